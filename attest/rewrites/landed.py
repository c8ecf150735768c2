"""What became of a row of commits that was taken in: a merge, a squash, or one new commit for each."""

from __future__ import annotations

from collections.abc import Sequence

from attest.errors import UsageError
from attest.gitobject import Commit, parse_commit
from attest.repository import Repository
from attest.rewrites import compare
from attest.rewrites.compare import Pair
from attest.rewrites.maker import Asked
from attest.rewrites.model import MAX_OLD, Made, Relation

MANY = (Made.SQUASH, Made.MERGE)
"""What makes one commit of several."""


def landed(repo: Repository, new: str, old: Sequence[str], made: Made | None = None) -> list[Asked]:
    """Which commit was made from which, the last of them `new`; ids in full, the old ones oldest first.

    What was done is found by comparing, unless it is said. What has nothing in common is taken for a squash.
    Raises `UsageError` where it cannot be, `UnavailableError` where a commit is not here.
    """
    if not 0 < len(old) <= MAX_OLD:
        raise UsageError(f"{len(old)} old commits; one is made from 1 to {MAX_OLD}", hint="name them with --from A..B")
    if new in old:
        raise UsageError(f"{new[:12]} is among the old commits: it was taken in as it is, and not made anew")
    if made in MANY or (made is not None and len(old) == 1):
        return [Asked(Pair(tuple(old), new), made)]
    if made is None and len(_read(repo, new).parents) > 1:
        return [Asked(Pair(tuple(old), new), Made.MERGE)]
    whole = Pair(tuple(old), new)
    if made is None and compare.compare(repo, [whole])[0].relation is not Relation.NONE:
        return [Asked(whole, Made.SQUASH if len(old) > 1 else Made.REBASE)]
    pairs = _one_to_one(repo, new, old)
    if made is not None or all(each.relation is not Relation.NONE for each in compare.compare(repo, pairs)):
        return [Asked(pair, made or Made.REBASE) for pair in pairs]
    return [Asked(whole, Made.SQUASH if len(old) > 1 else Made.REBASE)]


def _one_to_one(repo: Repository, new: str, old: Sequence[str]) -> list[Pair]:
    """Each old commit with the new one in its place, counted from the last; a rebase leaves merges out."""
    pairs: list[Pair] = []
    for each in reversed(old):
        if len(_read(repo, each).parents) > 1:
            continue
        pairs.append(Pair((each,), new))
        parents = _read(repo, new).parents
        if not parents:
            break
        new = parents[0]
    return pairs[::-1]


def _read(repo: Repository, object_id: str) -> Commit:
    kind, raw = repo.read(object_id)
    if kind != "commit":
        raise UsageError(f"{object_id} is a {kind}, not a commit")
    return parse_commit(raw, repo.object_format)
