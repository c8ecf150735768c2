"""Ranges and whole histories: read, examine and judge over the cores, in order, in constant memory (design D12).

Each process takes a batch of ids, reads the objects itself and gives back what the caller wants made of their rows.
At most a few batches are under way, so memory does not grow with the history, and results come in the order of the
ids. What is the same for all objects of one certificate or key is worked out once a process (`lane`, `rows`).
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from attest import keys, merges, notes, stamps, store, verify
from attest.errors import Error, UnavailableError
from attest.gitobject import SIGNED_KINDS, ObjectKind
from attest.lane import Lane
from attest.policy import Paths, Policy, no_paths
from attest.query import Query
from attest.repository import Repository
from attest.row import Row
from attest.rows import row_of, unread
from attest.through import ACCEPTING, Through
from attest.types import Evidence, Verdict
from attest.verify import Examination

if TYPE_CHECKING:
    from attest.rewrites.follow import Follower

T = TypeVar("T")

Work: TypeAlias = Callable[["Worker", Sequence[str]], T]

BATCH = 512
"""Objects a process is given at once: a tenth of a second of work, and two processes of git where paths are asked."""

FEW = 1500
"""Objects below which more processes cost more than they save."""

_SSH_BEGIN = b"-----BEGIN SSH SIGNATURE-----"


def rows(repo: Repository, object_ids: Iterable[str], query: Query, *, jobs: int = 1) -> Iterator[Row]:
    """The row of each object, in the order of the ids. What cannot be read is a row too."""
    for batch in results(repo, object_ids, query, list, jobs=jobs):
        yield from batch


def results(
    repo: Repository, object_ids: Iterable[str], query: Query, make: Callable[[Iterator[Row]], T], *, jobs: int = 1
) -> Iterator[T]:
    """What `make` makes of the rows of each batch, in the order of the ids. `make` runs in the working process."""
    return each(repo, object_ids, query, lambda worker, batch: make(worker.rows(batch)), jobs=jobs)


def each(
    repo: Repository, object_ids: Iterable[str], query: Query, work: Work[T], *, jobs: int = 1
) -> Iterator[T]:
    """What `work` makes of each batch, in the order of the ids. It runs in the working process, with its `Worker`."""
    keys.use_libsodium()
    query = with_sightings(repo, query)
    batches, first = _batches(object_ids), list[list[str]]()
    if jobs > 1:
        # Nobody knows how many there are before git has walked to the end of them.
        first, batches = _ahead(batches, FEW // BATCH + 1)
        if sum(map(len, first)) < FEW:
            jobs = 1
    batches = itertools.chain(first, batches)
    if jobs <= 1 or not hasattr(os, "fork"):
        worker = Worker(repo, query)
        return (work(worker, batch) for batch in batches)
    return _spread(repo, batches, query, work, jobs)


def with_sightings(repo: Repository, query: Query) -> Query:
    """The query with what witnesses say of the objects of `repo`, where some were named."""
    if not query.trusted.witnesses or query.sightings is not None:
        return query
    from attest import sightings

    return replace(query, sightings=sightings.find(repo, query.trusted.witnesses))


def cores() -> int:
    """How many processes can run at once here."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Judged:
    """One commit or tag, examined and judged; or why it could not be read.

    `records` are the rewrite records by which it is accepted, where it is not by itself: each of them is enough.
    """

    object_id: str
    found: tuple[Examination, Verdict] | None
    error: Error | None = None
    records: tuple[Through, ...] = ()


def by_records(verdict: Verdict, row: Row) -> Verdict:
    """The verdict with what rewrite records made of its row, where the policy follows them."""
    if row.outcome is verdict.outcome or row.outcome is None or not row.through:
        return verdict
    findings = replace(verdict.findings, findings=row.findings)
    return replace(verdict, findings=findings, outcome=row.outcome, rule=row.rule, warnings=row.warnings)


class Worker:
    """One process's share of a history: an open repository and what it remembers."""

    def __init__(self, repo: Repository, query: Query, *, following: bool = True) -> None:
        self.repo, self._query = repo, query
        self._follower: Follower | None = None
        self._lane = Lane(repo.object_format)
        self._rules = not isinstance(query.policy, Policy | None)
        self._stamped = store.exists(repo)
        asked = query.rewrites or (query.policy is not None and query.policy.follows)
        self._follows = following and asked and self._stamped
        self._spooled = query.home is not None and (query.home / stamps.FOLDER).is_dir()
        # Without a name for them, nobody's time-stamps beside a CMS signature or a plain key could count.
        self._stampers = bool(query.trusted.stampers)

    def rows(self, batch: Sequence[str]) -> Iterator[Row]:
        """The row of each object of a batch. An id may be anything; an object that is no commit or tag is unread."""
        lookup = _Lookup(self.repo, self._query, batch, stamped=self._stamped, spooled=self._spooled)
        for object_id in batch:
            try:
                kind, raw = self._read(object_id)
            except Error as error:
                yield unread(object_id, error, judged=self._query.policy is not None)
                continue
            row = self._row(object_id, kind, raw, lookup)
            yield self._followed(row, raw, lookup) if self._follows and kind is ObjectKind.COMMIT else row

    def judged(self, batch: Sequence[str]) -> Iterator[Judged]:
        """Each object of a batch with all that was found of it, which no row holds. The query has a policy."""
        lookup = _Lookup(self.repo, self._query, batch, stamped=self._stamped, spooled=self._spooled)
        for object_id in batch:
            try:
                kind, raw = self._read(object_id)
            except Error as error:
                yield Judged(object_id, None, error)
                continue
            query = self._query
            seen = query.sightings.of(object_id) if query.sightings is not None else None
            tokens = lookup.timestamps(object_id) if self._stampers or _SSH_BEGIN in raw else ()
            found = _noted(self._examine(object_id, kind, raw, tokens, seen), lookup, query)
            verdict, records = self._verdict(found, kind, raw, lookup)
            yield Judged(object_id, (found, verdict), records=records)

    def _read(self, object_id: str) -> tuple[ObjectKind, bytes]:
        name, raw = self.repo.read(object_id)
        kind = SIGNED_KINDS.get(name)
        if kind is None:
            raise UnavailableError(f"{object_id} is a {name}; only commits and tags carry signatures")
        return kind, raw

    def _row(self, object_id: str, kind: ObjectKind, raw: bytes, lookup: _Lookup) -> Row:
        query = self._query
        noted = query.notes and bool(lookup.notes(object_id))
        paths = lookup.paths_of(object_id) if self._rules else no_paths
        seen = query.sightings.of(object_id) if query.sightings is not None else None
        tokens = lookup.timestamps(object_id) if self._stampers else ()
        alike = not noted and not tokens
        if alike and (made := self._lane.row(object_id, kind, raw, query, paths, seen)) is not None:
            return made
        if not self._stampers and _SSH_BEGIN in raw:
            tokens = lookup.timestamps(object_id)
        found = _noted(self._examine(object_id, kind, raw, tokens, seen), lookup, query)
        row = self._judged(found, paths)
        if alike and self._lane.learns(found):
            # What a witness says is of this object alone.
            bare = found if seen is None else self._examine(object_id, kind, raw, tokens, None)
            self._lane.learn(raw, bare, row if seen is None else self._judged(bare, paths), query)
        return row

    def _examine(
        self, object_id: str, kind: ObjectKind, raw: bytes, tokens: Sequence[bytes], seen: Evidence | None
    ) -> Examination:
        query = self._query
        return verify.examine(
            raw,
            kind,
            self.repo.object_format,
            object_id,
            query.trusted,
            at=query.at,
            profile=query.profile,
            timestamps=tokens,
            seen=seen,
        )

    def _judged(self, found: Examination, paths: Paths) -> Row:
        query, decided = self._query, None
        if query.policy is not None:
            decided = verify.decide(found, query.policy, query.context, at=query.at, paths=paths)
        return row_of(found, decided, query.trusted)

    def _verdict(
        self, found: Examination, kind: ObjectKind, raw: bytes, lookup: _Lookup
    ) -> tuple[Verdict, tuple[Through, ...]]:
        query = self._query
        assert query.policy is not None
        paths = lookup.paths_of(found.object_id) if self._rules else no_paths
        verdict = verify.judge(found, query.policy, query.context, at=query.at, paths=paths)
        if not self._follows or kind is not ObjectKind.COMMIT:
            return verdict, ()
        row = self._followed(self._judged(found, paths), raw, lookup)
        decided = by_records(verdict, row)
        return decided, () if decided is verdict else self._bearing(found, row, paths)

    def _bearing(self, found: Examination, row: Row, paths: Paths) -> tuple[Through, ...]:
        """Those records of which each alone has the rule accept it: others may lead to commits of whom it names not."""
        query = self._query
        assert query.policy is not None
        kept = []
        for each in row.through:
            decided = verify.decide(found, query.policy, query.context, at=query.at, paths=paths, through=(each,))
            if decided.outcome in ACCEPTING and decided.rule == row.rule:
                kept.append(each)
        return tuple(kept)

    def _followed(self, row: Row, raw: bytes, lookup: _Lookup) -> Row:
        """The row with what rewrite records say of the commit, and judged by them where the policy follows records."""
        lines = lookup.lines(row.object_id)
        if not lines:
            return row
        if self._follower is None:
            self._follower = follower(self.repo, self._query)
        tokens = lookup.timestamps(row.object_id) if self._stampers or _SSH_BEGIN in raw else ()
        return self._follower.row(row, raw, lines, tokens, lookup.paths_of(row.object_id))


def follower(repo: Repository, query: Query) -> Follower:
    """Follows rewrite records; old commits are judged as new ones are, where there is no policy by the built-in one."""
    from attest.rewrites.follow import Follower  # what only repositories with records need

    # What leads on from old commits is the follower's own to see.
    originals = Worker(repo, replace(query, policy=query.policy or Policy()), following=False)
    return Follower(repo, query, lambda ids: list(originals.rows(ids)))


def _noted(found: Examination, lookup: _Lookup, query: Query) -> Examination:
    """With what tools noted of the object and its signature contradicts, where the query asks for it."""
    for note in lookup.notes(found.object_id) if query.notes else ():
        said = notes.find_in_note(note, found.object_id, found.parsed, found.identity)
        found = replace(found, contradictions=(*found.contradictions, *said))
    return found


class _Lookup:
    """What is asked of git for a whole batch at once, and only when the first object of it needs it."""

    def __init__(
        self, repo: Repository, query: Query, batch: Sequence[str], *, stamped: bool, spooled: bool
    ) -> None:
        self._repo, self._query, self._batch = repo, query, batch
        self._stamped, self._spooled = stamped, spooled
        self._lines: dict[str, list[bytes]] | None = None
        self._paths: dict[str, tuple[str, ...]] | None = None
        self._notes: dict[str, list[bytes]] | None = None

    def notes(self, object_id: str) -> Sequence[bytes]:
        """What tools noted of the object; where that cannot be read it is as if it were absent."""
        if self._notes is None:
            self._notes = {}
            with contextlib.suppress(Error):
                self._notes = notes.read_all(self._repo, self._batch)
        return self._notes.get(object_id, ())

    def lines(self, object_id: str) -> Sequence[bytes]:
        """What the ref of the attestations has about the object; where it cannot be read it is as if it were absent."""
        if self._stamped and self._lines is None:
            self._lines = {}
            with contextlib.suppress(Error):
                self._lines = store.read_many(self._repo, self._batch)
        return (self._lines or {}).get(object_id, ())

    def timestamps(self, object_id: str) -> Sequence[bytes]:
        """The time-stamps kept beside the object, in ref and home; one that cannot be read is as if it were absent."""
        tokens = stamps.of_lines(self.lines(object_id), object_id)
        if self._spooled and self._query.home is not None:
            with contextlib.suppress(Error):
                # Our own first: only so many are looked at, and the ref is anybody's.
                tokens = [*stamps.spooled(self._query.home, object_id), *tokens]
        return tokens

    def paths_of(self, object_id: str) -> Callable[[], tuple[str, ...]]:
        """Asks, when called, which paths the commit changes."""

        def ask() -> tuple[str, ...]:
            if self._paths is None:
                self._paths = merges.answered_for(self._repo, self._batch)
            return self._paths.get(object_id, ())

        return ask


def _batches(object_ids: Iterable[str]) -> Iterator[list[str]]:
    """Where the walk breaks off, what it gave until then comes first."""
    remaining = iter(object_ids)
    while True:
        batch = list[str]()
        try:
            for object_id in itertools.islice(remaining, BATCH):
                batch.append(object_id)  # what came before an error counts
        except Error:
            if batch:
                yield batch
            raise
        if not batch:
            return
        yield batch


def _ahead(batches: Iterator[list[str]], count: int) -> tuple[list[list[str]], Iterator[list[str]]]:
    """The first batches, and those after them; where the walk broke off, its error is what comes after them."""
    first = list[list[str]]()
    try:
        for batch in itertools.islice(batches, count):
            first.append(batch)
    except Error as error:
        return first, _broken(error)
    return first, batches


def _broken(error: Error) -> Iterator[list[str]]:
    raise error
    yield []


_worker: Worker | None = None
_to_do: Work[object] | None = None


def _begin(repo: Repository, query: Query, work: Work[object]) -> None:
    """In each new process. Ctrl-C is for the first one to answer."""
    global _worker, _to_do
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker, _to_do = Worker(repo.again(), query), work


def _work(batch: list[str]) -> object:
    assert _worker is not None
    assert _to_do is not None
    return _to_do(_worker, batch)


def _spread(
    repo: Repository, batches: Iterator[list[str]], query: Query, work: Work[T], jobs: int
) -> Iterator[T]:
    # Forked, so that what was asked needs no form in which it can travel: certificates have none.
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(repo, query, work))
    waiting: deque[Future[object]] = deque()
    broken: Error | None = None
    try:
        while broken is None:
            try:
                batch = next(batches, None)
            except Error as error:
                broken = error
                continue
            if batch is None:
                break
            waiting.append(pool.submit(_work, batch))
            if len(waiting) > 2 * jobs:
                yield waiting.popleft().result()  # type: ignore[misc]  # what `work` made
        while waiting:
            yield waiting.popleft().result()  # type: ignore[misc]  # what `work` made
        if broken is not None:
            raise broken
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
