"""Prints docs/agents.md from the table that decides: `python docs/agents.py > docs/agents.md`."""

from __future__ import annotations

import sys

from notme_git.agents import AGENTS, DECLARED, RUNNERS, UNNAMED, Agent, Mark, Runner

HEAD = f"""\
# Which agent acts

<!-- Made from notme_git/agents.py by docs/agents.py; a test compares the two. -->

AI coding agents and CI runners leave marks in the environment of what they start. `notme-git whoami` says which were
found, which agent they tell, under which grant that agent would sign, and what git would use in this repository.

**What a mark is worth.** It is a claim and no proof: any process of the same user can set or unset it. It selects
among the grants that the human gave, and gives nothing itself. An agent that takes another's mark signs with what the
other was granted, and nothing on a machine with one user id prevents that; an agent that removes its marks gets what
the human has configured, which is why a human's key belongs where an agent cannot use it. For more than a claim start
the agent with `notme-git run`.

* One agent with a decisive mark: that one.
* Marks of several agents, such as Codex started by Claude Code: an error, because which of them acts cannot be seen.
  `{DECLARED}=NAME` settles it, and wins over every mark.
* Weak marks only: nobody. A human's shell in an editor's terminal has them too, or nobody could confirm them.
* A CI runner is told beside the agent: an agent inside CI is the agent.

`whoami` exits with 0 when it could say who acts, or that nobody does; with 1 when the marks contradict each other;
with 2 when it could not look.
"""


def condition(mark: Mark) -> str:
    """One mark as people write it; weak ones in brackets."""
    said = {"set": f"`{mark.name}`", "is": f"`{mark.name}={mark.text}`", "starts": f"`{mark.name}={mark.text}...`"}
    return f"({said[mark.condition]})" if mark.weak else said[mark.condition]


def row(item: Agent | Runner) -> str:
    """One line of a table."""
    marks = ", ".join(condition(mark) for mark in item.marks) or f"none: set `{DECLARED}={item.name}`"
    return f"| `{item.name}` | {item.display} | {marks} | {item.source} |"


def render() -> str:
    """The whole page."""
    unnamed = " and ".join(condition(mark) for mark in UNNAMED)
    lines = [
        HEAD,
        "## Agents\n",
        f"Weak marks are in brackets. With a value that no row names {unnamed} tell of some agent, and are weak.\n",
        "| name | agent | marks | source |",
        "|---|---|---|---|",
        *map(row, AGENTS),
        "\n## CI runners\n",
        "| name | runner | marks | source |",
        "|---|---|---|---|",
        *map(row, RUNNERS),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
