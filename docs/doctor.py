"""Prints docs/doctor.md from the table of codes: `python docs/doctor.py > docs/doctor.md`."""

from __future__ import annotations

import sys

from notme_git.doctor.finding import CODES

HEAD = """\
# What the doctor finds

<!-- Made from notme_git/doctor/finding.py by docs/doctor.py; a test compares the two. -->

`notme-git doctor` looks before the commit does: at git's configuration in the repository (every scope and include,
and the environment), at the authority in the home, at the daemon, and at what `notme-git run` and agents leave in the
environment. For each thing that is wrong it says one line and one remedy, with the command where one command is enough.

    $ notme-git doctor
    error    gpgsign-overridden: commit.gpgsign is 'false', by /home/alice/src/.git/config.worktree
      remedy remove it from /home/alice/src/.git/config.worktree: git config --file ... --unset-all commit.gpgsign

* It exits with 0 when nothing was found, with 1 when something was, with 2 when it could not look: no git, or a
  configuration or repository that git refuses.
* `--json` prints the same for programs: `code`, `severity`, `message`, `remedy`, `command`, `fixable`. Codes are
  stable; sentences are not.
* `--repo DIR` looks at another repository than the one it is called in.
* `--fix` writes anew what notme-git made and can make again: the programs in the home, the key and allowed-signers
  files for SSH, and a dead daemon's address. It changes no configuration of git and nothing of the authority.
* It starts no daemon, writes nothing without `--fix`, and shows no key and no file's content. It loads the
  authority's private keys to see that they are the ones the certificates name, and drops them.

An **error** means that a commit would fail, be made unsigned, or be refused by a verifier. A **warning** is worth
knowing, and counts for the exit status, too. A **note** does not: it says what this machine cannot give.

What it does not look for: hooks, aliases and tools that pass `--no-gpg-sign`. The constraints of a grant to
repositories and branches are for verifiers, who know both.
"""


def render() -> str:
    """The whole page."""
    rows = [f"| `{name}` | {code.severity} | {code.meaning} |" for name, code in CODES.items()]
    return "\n".join([HEAD, "## Codes\n", "| code | severity | what it means |", "|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
