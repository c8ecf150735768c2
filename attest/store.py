"""Attestations kept in git: one ref, one file an object, one bundle a line (design D9).

    refs/attestations/notme  ->  commit  ->  tree:  ab/cd/<object id>.intoto.jsonl

Beside bundles a file holds the time-stamps of SSH signatures, a line each (`stamps`).

A file is a set of lines, written sorted and without repetition. So two writers, or two clones that
met later, end with the same bytes whoever came first, and a merge has no conflict to show. Lines are
only added. Whether a line is a bundle, and what it proves, its reader finds out (`attestation`): refs can be
rewritten and files deleted by whoever can push, so absence is no evidence and means deny.

Every function takes the ref last: another of the same layout, such as a team's own, is kept the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from attest import shards
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.refwriter import ATTEMPTS, busy, commit, commit_id, data, is_ancestor, move
from attest.repository import Repository
from attest.shards import FILE, path_of

REF = "refs/attestations/notme"

MAX_ADDED_BYTES = 4 * 1024 * 1024
"""Of one object's lines where some are added: some 500 statements."""

MAX_MERGED_BYTES = 2 * MAX_ADDED_BYTES
"""Of one object's lines when they come from elsewhere, so that two who added all they could can still be united. What
is larger was made by nobody who keeps to the bounds. It is left out, also of what is pushed then: nobody who may push
can fill a file up to where nothing can be read any more (`MAX_OBJECT_BYTES`)."""

MAX_UNPACKED_BYTES = 16 * 1024**3
"""Of all files that a merge looks at: two million statements of 8 kB. A few MB of a pack can name more than any disk
holds, as one large file in the place of many, or as files that differ from each other by a line."""

_LINE_COST = 256
"""Bytes that a line counts for beyond its own: short ones take longest."""


@dataclass(frozen=True, slots=True)
class Added:
    """What came: to how many objects how many lines, and how many files were left out as malformed or too large."""

    objects: int = 0
    lines: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a merge does: both sides' blobs of each file that grows, and whether `theirs` is the union as it is."""

    added: Added
    files: Mapping[str, tuple[str | None, str]]
    whole: bool


def append(repository: Repository, bundles: Mapping[str, Sequence[bytes]], at: datetime, ref: str = REF) -> int:
    """Add bundles, each one line, to the objects they are about; returns how many were not there yet.

    `bundles` maps object id (lower-case hex) to lines, and is asked for the same id more than once: it may read
    them from elsewhere. All become one commit, dated `at`; nothing new makes none. Raises `MalformedError` for
    what is no id, `UsageError` for what is no line, and `UnavailableError` for an object that would have more than
    `MAX_ADDED_BYTES`, and when git cannot write: in a hook's quarantine, on a full disk, or after losing `ATTEMPTS`
    races in a row.
    """
    wanted = sorted(repository.check_id(oid) for oid in bundles)
    for oid in wanted:
        _check(bundles[oid])
    for _ in range(ATTEMPTS):
        tip = commit_id(repository, ref)
        stored = _blobs(repository, tip, wanted)
        changed, count = list[str](), 0
        for oid in wanted:
            if new := set(bundles[oid]) - _lines(repository, stored.get(oid)):
                changed.append(oid)
                count += len(new)
        if not changed:
            return 0
        files = ((oid, set(bundles[oid]) | _lines(repository, stored.get(oid))) for oid in changed)
        commands = (_modified(each, MAX_ADDED_BYTES) for each in files)
        if commit(repository, ref, [tip] if tip else [], f"attest {len(changed)} object(s)", at, commands):
            return count
    raise busy(ref, ATTEMPTS)


def read(repository: Repository, oid: str, ref: str = REF) -> list[bytes]:
    """The stored lines about the object `oid`, empty when there are none. Nothing about them is checked."""
    return read_many(repository, [oid], ref)[oid]


def read_many(repository: Repository, oids: Sequence[str], ref: str = REF) -> dict[str, list[bytes]]:
    """As `read`, for several objects with one process of git."""
    stored = _blobs(repository, commit_id(repository, ref), [repository.check_id(oid) for oid in oids])
    return {oid: sorted(_lines(repository, stored.get(oid))) for oid in oids}


def read_all(repository: Repository, ref: str = REF) -> Iterator[tuple[str, list[bytes]]]:
    """Every object that lines are stored about, in order of its id, with its lines."""
    tip = commit_id(repository, ref)
    if tip is not None:
        for about, blob in shards.walk(repository, shards.root_of(repository, tip)):
            yield about, sorted(_lines(repository, blob))


def exists(repository: Repository, ref: str = REF) -> bool:
    """Whether anything is stored at all, also where it cannot be read."""
    try:
        return commit_id(repository, ref) is not None
    except UnavailableError:
        return True


def merge(
    repository: Repository, other: str, at: datetime, ref: str = REF, *, limit: int = MAX_UNPACKED_BYTES
) -> Added:
    """Add all that the ref or commit `other` (say, what was fetched from a remote) has and `ref` lacks.

    Never a conflict: every file becomes the union of both, also where `other` has lost lines or files. Files that
    cannot be read, or would exceed `MAX_MERGED_BYTES`, stay as they are here. Raises `UsageError` when `other` is
    no commit, `UnavailableError` as `append` does, and where files that differ have more than `limit` bytes in all.
    """
    theirs = commit_id(repository, other)
    if theirs is None:
        raise UsageError(f"{other!r} is no commit to merge", hint=f"Fetch first: git fetch REMOTE {ref}:{other}")
    for _ in range(ATTEMPTS):
        tip = commit_id(repository, ref)
        if tip is not None and is_ancestor(repository, theirs, tip):
            return Added()
        plan = _plan(repository, tip, theirs, limit)
        if plan.whole and (tip is None or is_ancestor(repository, tip, theirs)):
            moved = move(repository, ref, tip, theirs)
        else:
            moved = _unite(repository, plan, tip, theirs, at, ref)
        if moved:
            return plan.added
    raise busy(ref, ATTEMPTS)


def beyond(repository: Repository, theirs: str | None, mine: str) -> Added:
    """What the commit `mine` has that the commit `theirs` has not; None is a ref that is not there."""
    objects = lines = 0
    for found in shards.differences(repository, _root(repository, theirs), _root(repository, mine)):
        if found.theirs is None:
            continue
        try:
            known = _contents(repository, found.mine)
        except MalformedError:
            known = set()
        if new := len(_lines(repository, found.theirs) - known):
            objects, lines = objects + 1, lines + new
    return Added(objects, lines)


def _plan(repository: Repository, tip: str | None, theirs: str, limit: int) -> _Plan:
    files = dict[str, tuple[str | None, str]]()
    lines, left_out, whole, cost = 0, 0, True, 0
    for found in shards.differences(repository, _root(repository, tip), _root(repository, theirs)):
        if found.theirs is None:
            left_out, whole = left_out + found.strange, False
            continue
        mine = _lines(repository, found.mine)
        try:
            kind, content = repository.read(found.theirs)
            other = _split(content) if kind == "blob" else set()
        except MalformedError:  # larger than anything that is read
            content, other = b"", set()
        cost += len(content) + _LINE_COST * len(other)
        if cost > limit:
            raise UnavailableError(
                f"{theirs} has more than {limit:,} bytes of attestations that are new here; nothing was added",
                hint="If you do not expect that many, somebody pushed them to do harm: put the ref there back.",
            )
        united = _join(mine | other)
        if not other or len(united) > MAX_MERGED_BYTES:
            left_out, whole = left_out + 1, False
            continue
        whole = whole and united == content
        if new := len(other - mine):
            files[found.about] = (found.mine, found.theirs)
            lines += new
    return _Plan(Added(len(files), lines, left_out), files, whole)


def _unite(repository: Repository, plan: _Plan, tip: str | None, theirs: str, at: datetime, ref: str) -> bool:
    """A commit after both; without one of ours, after theirs, with nothing but what was looked at."""
    files = (
        (oid, _lines(repository, mine) | _lines(repository, other)) for oid, (mine, other) in plan.files.items()
    )
    commands = map(_modified, files)
    if tip is not None:
        return commit(repository, ref, [tip, theirs], f"merge {theirs}", at, commands)
    return commit(repository, ref, [theirs], f"take over {theirs}", at, _alone(commands))


def _alone(commands: Iterable[bytes]) -> Iterator[bytes]:
    yield b"deleteall\n"
    yield from commands


def _modified(file: tuple[str, set[bytes]], limit: int = MAX_MERGED_BYTES) -> bytes:
    oid, lines = file
    content = _join(lines)
    if len(content) > limit:
        raise too_many(oid, len(content))
    return b"M %b inline %b\n" % (FILE, path_of(oid).encode()) + data(content)


def too_many(oid: str, size: int) -> UnavailableError:
    """The error that the lines about an object would have `size` bytes."""
    return UnavailableError(
        f"{path_of(oid)} would have {size:,} bytes; lines are added to at most {MAX_ADDED_BYTES:,}",
        hint=f"Nothing was stored: leave out what nobody needs to know of {oid[:12]}.",
    )


def _root(repository: Repository, commit_oid: str | None) -> str | None:
    return None if commit_oid is None else shards.root_of(repository, commit_oid)


def _blobs(repository: Repository, tip: str | None, oids: Sequence[str]) -> dict[str, str]:
    return {} if tip is None else shards.find(repository, shards.root_of(repository, tip), oids)


def _lines(repository: Repository, blob: str | None) -> set[bytes]:
    try:
        return _contents(repository, blob)
    except MalformedError as error:
        raise UnavailableError(f"a file of attestations cannot be read: {error.message}", hint=error.hint) from None


def _contents(repository: Repository, blob: str | None) -> set[bytes]:
    """The lines of a file; `MalformedError` for what is none, or is larger than anything that is read."""
    if blob is None:
        return set()
    try:
        kind, content = repository.read(blob)
    except UnavailableError:
        if not repository.is_partial():
            raise
        raise UnavailableError(
            "this partial clone has left attestations at its remote", hint="Bring them with: notme-attest sync"
        ) from None
    if kind != "blob":
        raise MalformedError(f"a {kind} stands in the place of a file of attestations")
    return _split(content)


def _split(content: bytes) -> set[bytes]:
    return set(content.split(b"\n")) - {b""}


def _join(lines: set[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in sorted(lines))


def _check(lines: Sequence[bytes]) -> None:
    for line in lines:
        if not line or b"\n" in line or b"\r" in line:
            raise UsageError("a bundle is stored as one line, neither empty nor broken")
