"""A judged pull request as lines for a person, and as plain values for `--json`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attest.forges import Twin
from attest.instants import rfc3339
from attest.pull import Change, Check
from attest.report import data, text


def lines(check: Check) -> Iterator[str]:
    """Each commit, how it came to be where that is not plain, and the sum."""
    for change in check.changes:
        yield from text.row_lines(change.row)
        if origin := change.origin():
            yield f"  {text.printable(origin)}"
    yield f"{text.summary_line(check.counts)}; policy {text.printable(check.policy)}"


def document(check: Check, object_format: str) -> dict[str, Any]:
    """The whole report."""
    query = check.query
    return {
        "base": check.base,
        "head": check.head,
        "ref": query.context.ref,
        "policy": check.policy,
        "judgedAt": rfc3339(int(query.at.timestamp())),
        "outcomes": {outcome.value: count for outcome, count in check.counts.items() if outcome is not None},
        "commits": [_change(change, check, object_format) for change in check.changes],
    }


def _change(change: Change, check: Check, object_format: str) -> dict[str, Any]:
    return {
        **data.row_data(change.row, check.query, object_format),
        "subject": change.row.subject,
        "made": change.made.value,
        "forge": {"name": change.forge.name, "proven": change.proven} if change.forge is not None else None,
        "automaticMerge": change.automatic,
        "sameTreeAs": _twin(change.twin) if change.twin is not None else None,
    }


def _twin(twin: Twin) -> dict[str, Any]:
    commits = [{"id": row.object_id, "outcome": row.outcome} for row in twin.rows]
    return {"id": twin.object_id, "outcome": twin.outcome.value, "commits": commits, "more": twin.more}
