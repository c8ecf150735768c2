"""Prints docs/reasons.md from the table of codes: `python docs/reasons.py > docs/reasons.md`."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

from attest.errors import Step
from attest.reasons import ENTRIES, Entry, Kind

WIDTH = 120

HEAD = """\
# Reasons, contradictions and remarks

<!-- Made from attest/reasons/ by docs/reasons.py; a test compares the two. -->

The verifier says what it found in words that programs may compare: they are stable, the sentences beside them are not.
`notme-attest reasons CODE` explains one, `notme-attest reasons` lists them, `--json` is for programs.

* A **reason** says why one of the eight steps did not end *proven*. A step that *failed* rejects the object; one that
  is *unavailable* could not be checked.
* A **contradiction** is between what an object or a note says of itself and what its signature proves. It fails no
  step: a policy says which severities a rule lets pass.
* A **remark** is about what is odd, but allowed.

    $ notme-attest verify HEAD
    commit 114be8d4035a9af6c06adec4268fbb2a04ee4b0e: REJECTED
      ...
      3 integrity  failed          the content is not what was signed: its digest differs
    $ notme-attest verify --json HEAD | jq -r '.findings[] | select(.reason) | "\\(.step) \\(.reason)"'
    3 digest-mismatch
    ...

A contradiction weighs **info** (worth knowing; everyday commits of agents and people have no more than that),
**warning** (probably wrong) or **error** (cannot be true, or must not be). Author, committer, trailers and notes are
claims: they can contradict a certificate, and never add to it. Which names and addresses stand for which agent is a
table in `attest/agentmarks.py`, with the source of every row. Notes are looked at where `--notes` asks for it.
"""

TITLES = {
    Kind.REASON: "Reasons",
    Kind.CONTRADICTION: "Contradictions",
    Kind.REMARK: "Remarks",
}


def render() -> str:
    """The whole page."""
    lines = [HEAD]
    for kind, title in TITLES.items():
        lines += [f"## {title}", ""]
        found = [entry for entry in ENTRIES.values() if entry.kind is kind]
        for entry in found:
            lines += [*section(entry), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def section(entry: Entry) -> Iterator[str]:
    """One code."""
    yield f"### `{entry.code}`"
    yield ""
    where = f"**{entry.severity}**" if entry.severity is not None else steps(entry)
    yield from paragraph(f"{where}. {entry.meaning}")
    yield ""
    if entry.example:
        yield f"    {entry.example}"
        yield ""
    yield from paragraph(f"*Remedy:* {entry.remedy}")


def paragraph(text: str) -> Iterator[str]:
    """In lines as the other pages have."""
    yield from textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def steps(entry: Entry) -> str:
    """`Step 4, chain` or `Steps 3 and 4, integrity and chain`."""
    if len(entry.steps) > 3:
        return f"Steps {int(entry.steps[0])} to {int(entry.steps[-1])}"
    numbers = " and ".join(str(int(step)) for step in entry.steps)
    names = " and ".join(Step(step).name.lower() for step in entry.steps)
    return f"Step{'s' if len(entry.steps) > 1 else ''} {numbers}, {names}"


if __name__ == "__main__":
    sys.stdout.write(render())
