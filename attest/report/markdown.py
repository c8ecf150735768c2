"""A judged pull request as Markdown: for a step summary, a comment, a page.

Words from outside stand in code spans alone. In there nothing is markup, a mention or a link, and nothing can end the
span or a table's cell: backticks and bars are shown as characters that look like them.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from attest.pull import Change, Check, Note, cut
from attest.report.text import printable
from attest.types import Outcome, Severity

MAX_ROWS = 200
"""Commits and notes that are listed: GitHub takes 65,535 characters for a check run, and nobody reads more."""

MAX_CELL = 90

_WORDS = {
    Outcome.ACCEPTED: "accepted",
    Outcome.ACCEPTED_TIME_UNPROVEN: "accepted, time unproven",
    Outcome.REJECTED: "**rejected**",
    Outcome.COULD_NOT_CHECK: "**could not check**",
}
_LOOKALIKE = str.maketrans({"`": "\N{MODIFIER LETTER GRAVE ACCENT}", "|": "\N{BROKEN BAR}"})


def code(text: str, limit: int = MAX_CELL) -> str:
    """A code span with this text in it, cut to so many characters; a dash where there is none."""
    clean = cut(printable(text), limit).translate(_LOOKALIKE).strip()
    return f"`{clean}`" if clean else "-"


def document(check: Check) -> str:
    """All of it."""
    return "\n".join([*_lines(check), ""])


def title(check: Check) -> str:
    """`3 commits: 2 accepted, 1 rejected`"""
    counts = check.counts
    total = len(check.changes)
    parts = [f"{counts[outcome]} {word.strip('*')}" for outcome, word in _WORDS.items() if counts[outcome]]
    return f"{total} commit{'' if total == 1 else 's'}: {', '.join(parts)}"


def _lines(check: Check) -> Iterator[str]:
    yield "### Signatures"
    yield ""
    yield f"{title(check)}. Policy {code(check.policy)}, onto {code(check.base)}."
    yield ""
    yield "| commit | verdict | by | subject | |"
    yield "|---|---|---|---|---|"
    # What was not accepted is shown even where not everything is.
    shown = sorted(check.changes, key=lambda change: change.accepted)[:MAX_ROWS]
    ids = {change.row.object_id for change in shown}
    for change in check.changes:
        if change.row.object_id in ids:
            yield _row(change)
    if len(check.changes) > MAX_ROWS:
        yield ""
        yield f"and {len(check.changes) - MAX_ROWS} more"
    notes = check.notes()
    if notes:
        yield ""
        yield "#### What is to be said"
        yield ""
    told: set[str] = set()
    for note in notes[:MAX_ROWS]:
        yield from _note(note, told)
        told.add(note.code)
    if len(notes) > MAX_ROWS:
        yield f"- and {len(notes) - MAX_ROWS} more"


def _row(change: Change) -> str:
    row = change.row
    word = _WORDS[row.outcome] if row.outcome is not None else "-"
    who = row.identity
    name = row.committer if who is None else who.actor.display
    if who is not None and who.represented is not None:
        name += f" for {who.represented.display}"
    by = f"{code(name)}{'' if who is not None else ' (claimed)'}"
    words = ", ".join(filter(None, (change.origin(), change.content())))
    origin = code(words, 300) if words else ""
    return f"| `{row.object_id[:12]}` | {word} | {by} | {code(row.subject)} | {origin} |"


def _note(note: Note, told: Set[str]) -> Iterator[str]:
    """What to do is said once for each code; it is our own Markdown."""
    mark = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}[note.severity]
    yield f"- {mark} {code(note.code)}: {code(note.message, 700)}"
    if note.remedy and note.code not in told and note.severity is not Severity.INFO:
        yield f"  - {note.remedy}"
