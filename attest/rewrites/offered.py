"""Record what the check of a pull request found: which commits the forge's own ones were made from."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from attest import history
from attest.attester import Attester
from attest.forges import Made as Class
from attest.pull import Change, Check
from attest.repository import Repository
from attest.rewrites import maker
from attest.rewrites.compare import Pair
from attest.rewrites.maker import Asked
from attest.rewrites.model import MAX_OLD, Made


def record(repo: Repository, check: Check, attester: Attester, at: datetime) -> tuple[Check, int]:
    """Sign and store a record for each commit whose originals are known, and judge these commits again with it.

    Returns the check as it is then, and how many records are new. The attester's own key counts.
    """
    asked = [each for change in check.changes if (each := _asked(change)) is not None]
    if not asked:
        return check, 0
    query = check.query
    if attester.public is not None:
        query = replace(query, attesters=(*query.attesters, attester.public))
    kept = maker.keep(repo, maker.make(repo, asked, query, attester.id, at), attester, query, at)
    rows = {row.object_id: row for row in history.rows(repo, [each.pair.new for each in asked], query)}
    changes = [replace(change, row=rows.get(change.row.object_id, change.row)) for change in check.changes]
    return replace(check, query=query, changes=tuple(changes)), len(kept)


def _asked(change: Change) -> Asked | None:
    twin = change.twin
    if twin is None or twin.more or not 0 < len(twin.rows) <= MAX_OLD:
        return None
    one = change.made is Class.FORGE_REBASE or len(twin.rows) == 1
    old = tuple(row.object_id for row in twin.rows)
    return Asked(Pair(old, change.row.object_id), Made.REBASE if one else Made.SQUASH)
