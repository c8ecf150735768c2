"""One object a line, as RFC 4180 writes tables: for a spreadsheet.

A spreadsheet takes a cell that begins like a formula for one and runs it when the file is opened, and names in commits
are anybody's: such a cell gets an apostrophe before it, which spreadsheets take for "this is text".
"""

from __future__ import annotations

from attest.audit import facts
from attest.audit.facts import cut
from attest.audit.standing import ACCEPTED, standing
from attest.instants import rfc3339
from attest.report.text import printable
from attest.row import Row

COLUMNS = (
    *("repository", "object", "kind", "standing", "outcome", "rule", "reason", "detail"),
    *("format", "signer", "algorithm", "key", "certificate"),
    *("actor", "actor_kind", "actor_id", "represented", "represented_id", "authentication", "assurance", "epoch"),
    *("signing_time", "time_voucher", "committer", "committer_date", "author", "author_date", "contradictions"),
    *("subject",),
)

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def header() -> str:
    """The first line."""
    return _line(COLUMNS)


def line(repository: str, row: Row) -> str:
    """The line of one object."""
    stands, first, signer, who = standing(row), row.decisive, row.signer, row.identity
    against = first if first is not None and stands not in ACCEPTED else None
    acted = facts.pair(who) if who is not None else None
    cells = (
        *(repository, row.object_id, row.kind, stands, row.outcome or "", row.rule),
        *((against.reason, against.detail) if against is not None else ("", "")),
        row.format or "",
        *((signer.profile or signer.kind, signer.algorithm, signer.key, signer.leaf_sha256) if signer else ("",) * 4),
        *((acted.actor, acted.actor_kind, acted.actor_id, acted.represented) if acted is not None else ("",) * 4),
        *((acted.represented_id, acted.authentication) if acted is not None else ("", "")),
        *((who.assurance, str(who.epoch)) if who is not None else ("", "")),
        *(_time(row.signing_time), facts.best_voucher(row.evidence) if row.format else ""),
        *(row.committer, _time(row.committer_date), row.author, _time(row.author_date)),
        *(" ".join(item.code for item in row.contradictions), row.subject),
    )
    return _line(cells)


def _line(cells: tuple[str, ...]) -> str:
    return ",".join(map(cell, cells)) + "\r\n"


def cell(text: str) -> str:
    """One field, without control characters, that no spreadsheet takes for a formula."""
    text = printable(cut(text))
    if text.lstrip().startswith(_FORMULA):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"') else text


def _time(seconds: int | None) -> str:
    return "" if seconds is None else rfc3339(seconds)
