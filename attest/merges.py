"""What a merge leaves out: changes of its other parents that are not in what it made of them.

A commit is held against its first parent, and whoever merges says which parent that is. `git merge -s ours` from a
branch of one's own puts back everything that the other line of history changed since, and changes nothing against its
first parent. So a merge also answers for each path that another parent changed since the two lines parted, and that is
not in the merge as it is in that parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from attest.errors import UnavailableError
from attest.repository import Repository

MAX_BASES = 16
"""Where two lines of history parted, if they merged each other crosswise; more than a few nobody makes by accident."""

MAX_SIDES = 20_000
"""Parents behind the first, over all merges of a batch: git is asked for each of them where the lines parted."""

_PLAIN = ("-r", "-z", "--name-status", "--no-renames", "--diff-merges=first-parent", "--ignore-submodules=none")


@dataclass(frozen=True, slots=True)
class _Side:
    """A merge, one of its parents behind the first, and the commits where that one parted from the first."""

    merge: str
    parent: str
    bases: tuple[str, ...]


def answered_for(repo: Repository, oids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The paths that each of these commits answers for: what it changes, and what it leaves out where it merges.

    Raises `UnavailableError` where history or a tree is missing.
    """
    dropped = left_out(repo, oids)
    changed = repo.changed_paths(oids)
    return {oid: tuple(dict.fromkeys((*paths, *dropped.get(oid, ())))) for oid, paths in changed.items()}


def left_out(repo: Repository, oids: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The paths of changes that the merges among these commits leave out; a commit with none is not named.

    Raises `UnavailableError` where history or a tree is missing.
    """
    sides = list(_sides(repo, oids))
    if not sides:
        return {}
    found: dict[str, set[str]] = {}
    answers = iter(_compare(repo, [pair for side in sides for pair in _pairs(side)]))
    for side in sides:
        other = next(answers)
        # Without a common past, all that the parent has is its change, and what it has not is none.
        changed = {p for p, letter in other.items() if letter == "D"} if not side.bases else set[str]()
        for _ in side.bases:
            changed |= other.keys() & next(answers).keys()
        found.setdefault(side.merge, set()).update(changed)
    return {merge: tuple(sorted(paths)) for merge, paths in found.items() if paths}


def _pairs(side: _Side) -> Iterator[tuple[str, str]]:
    yield side.merge, side.parent
    for base in side.bases:
        yield side.parent, base


def _sides(repo: Repository, oids: Sequence[str]) -> Iterator[_Side]:
    wanted = set(oids)
    options = ("--no-walk=unsorted", "--parents", "--min-parents=2", "--ignore-missing", "--stdin")
    names = "".join(f"{repo.check_id(oid)}\n" for oid in oids).encode()
    done = repo.git("-c", "core.commitGraph=false", "rev-list", *options, stdin=names)
    if done.returncode:
        raise UnavailableError("git could not read the parents of some commits", hint="Run git fsck.")
    count = 0
    for line in done.stdout.decode("ascii", "replace").splitlines():
        merge, first, *others = line.split(" ")
        count += len(others)
        if count > MAX_SIDES:
            raise UnavailableError(f"the merges of a batch have more than {MAX_SIDES} parents")
        if merge in wanted:
            yield from (_Side(merge, other, _bases(repo, first, other)) for other in others)


def _bases(repo: Repository, first: str, other: str) -> tuple[str, ...]:
    done = repo.git("-c", "core.commitGraph=false", "merge-base", "--all", first, other)
    if done.returncode > 1:
        raise UnavailableError(f"git cannot tell where {first} and {other} parted", hint="Run git fsck.")
    bases = tuple(done.stdout.decode("ascii", "replace").split())
    if len(bases) > MAX_BASES:
        raise UnavailableError(f"{first} and {other} parted in more than {MAX_BASES} places")
    return bases


def _compare(repo: Repository, pairs: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """What differs in the first of each pair from the second: letters of `git diff-tree --name-status`, by path."""
    # With --always each pair has its answer, in their order: a line `COMMIT PARENT` stands for another parent.
    names = "".join(f"{commit} {parent}\n" for commit, parent in pairs).encode()
    done = repo.git("diff-tree", "--stdin", "--always", *_PLAIN, stdin=names)
    found: list[dict[str, str]] = []
    items = iter(done.stdout.split(b"\0")[:-1])
    for item in items:
        if len(item) == repo.object_format.hex_length:
            found.append({})
        else:
            found[-1][next(items, b"").decode("utf-8", "surrogateescape")] = item.decode("ascii", "replace")
    if done.returncode or len(found) != len(pairs):
        raise UnavailableError("git could not compare the trees of some merges", hint="Run git fsck.")
    return found
