"""One repository after the other over all cores; what cannot be read is told and hides no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from attest import history
from attest.audit import table, watch
from attest.audit.clones import Visits
from attest.audit.facts import DAY, Facts
from attest.audit.places import Place
from attest.audit.watch import Sighting, Watch
from attest.errors import Error, UsageError, as_error
from attest.instants import rfc3339
from attest.policy import Context
from attest.query import Query
from attest.repository import Repository, without_credentials
from attest.revisions import Revisions
from attest.row import Row

EVERY_REF = ("--branches", "--remotes", "--tags")
"""Not `--all`: statements, notes and stashes are commits, too, that nobody means to sign."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which objects: of these refs, or of all; dates of committers in unix seconds, `until` is the first too late."""

    refs: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    address: str | None = None

    def holds(self, date: int | None) -> bool:
        """Whether an object of this date is wanted; one without a date always is."""
        if date is None:
            return True
        return (self.since is None or date >= self.since) and (self.until is None or date < self.until)


@dataclass(slots=True)
class Audited:
    """One repository. With an `error` the facts are of what was read before it."""

    name: str
    facts: Facts = field(default_factory=Facts)
    object_format: str = ""
    ref: str = ""
    address: str = ""
    error: Error | None = None


@dataclass(slots=True)
class Audit:
    """All of it, and what was asked."""

    at: datetime
    wanted: Wanted
    policy: str
    policy_sha256: bytes
    trusts: tuple[str, ...]
    repositories: list[Audited] = field(default_factory=list)

    @property
    def total(self) -> Facts:
        """Over all repositories."""
        total = Facts()
        for each in self.repositories:
            total.merge(each.facts)
            for anomaly in total.anomalies.each.values():
                anomaly.examples = [e if e.repository else e._replace(repository=each.name) for e in anomaly.examples]
        return total


@dataclass(slots=True)
class Batch:
    """What a working process makes of the rows of a batch."""

    facts: Facts
    sightings: list[Sighting]
    lines: str


class Collector:
    """Makes batches of rows; it runs where the rows are made."""

    def __init__(self, name: str, wanted: Wanted, *, lines: bool) -> None:
        self._name, self._wanted, self._lines = name, wanted, lines

    def __call__(self, rows: Iterator[Row]) -> Batch:
        made, parts = Batch(Facts(), [], ""), list[str]()
        for row in rows:
            # git stops a walk at a date; tags, and commits whose parents are younger than they, are left to us.
            if not self._wanted.holds(row.committer_date):
                continue
            made.facts.add(row)
            made.sightings.append(watch.sighting(row))
            if self._lines:
                parts.append(table.line(self._name, row))
        made.lines = "".join(parts)
        return made


def audit(
    places: Sequence[Place],
    query: Callable[[Repository], Query],
    wanted: Wanted,
    environ: Mapping[str, str],
    *,
    at: datetime,
    jobs: int,
    lines: bool,
    heard: Callable[[Batch], None],
) -> Iterator[Audited]:
    """Each place, in order.

    `query` says what is asked in it; `heard` is told of every batch as it comes; `lines` asks for the table's in it.
    """
    watching = Watch(at)
    with (
        TemporaryDirectory(prefix="notme-audit-", ignore_cleanup_errors=True) as scratch,
        Visits(places, environ, Path(scratch)) as visits,
    ):
        for number, place in enumerate(places):
            watching.begin()
            found = Audited(place.name)
            try:
                with visits.opened(number) as repo:
                    try:
                        visits.attestations(number, repo, at)
                    except Error as error:  # what is signed is there all the same
                        found.error = error
                    _walk(repo, found, query(repo), wanted, watching, jobs=jobs, lines=lines, heard=heard)
            except Exception as exception:  # whatever one repository holds, the others are looked at
                found.error = as_error(exception)
            yield found


def _walk(
    repo: Repository,
    found: Audited,
    query: Query,
    wanted: Wanted,
    watching: Watch,
    *,
    jobs: int,
    lines: bool,
    heard: Callable[[Batch], None],
) -> None:
    found.object_format = repo.object_format.value
    named = wanted.refs[0] if len(wanted.refs) == 1 else "HEAD"
    found.ref = repo.full_ref(named) or ""
    found.address = without_credentials(wanted.address) if wanted.address else repo.remote() or ""
    query = replace(query, context=Context(ref=found.ref or None, repository=found.address or None))
    collect = Collector(found.name, wanted, lines=lines)
    walk = _Walk(repo, wanted)
    for batch in history.results(repo, walk.ids(), query, collect, jobs=jobs):
        found.facts.merge(batch.facts)
        for seen in batch.sightings:
            for code, example in watching.look(seen):
                found.facts.anomalies.add(code, watch.SEVERITIES[code], example)
        heard(batch)
    if walk.error is not None:
        raise walk.error


class _Walk:
    """The objects of a repository. `error` is why it ended early: what came before it is worth counting."""

    def __init__(self, repo: Repository, wanted: Wanted) -> None:
        refs = wanted.refs or self._every(repo)
        for ref in refs:
            if ref.startswith("-") and ref not in EVERY_REF:
                raise UsageError(f"{ref!r} is no ref")
            if ref not in EVERY_REF and not ref.startswith("^") and ".." not in ref:
                repo.resolve(ref)
        limits = [f"--since={rfc3339(wanted.since)}"] if wanted.since is not None else []
        limits += [f"--until={rfc3339(wanted.until)}"] if wanted.until is not None else []
        # --dense is git's default, and makes a walk of what else would name one commit.
        self._named = Revisions(repo, ["--dense", *limits, *refs])
        self.error: Error | None = None

    def ids(self) -> Iterator[str]:
        """Tags that are objects, then commits, each once."""
        try:
            yield from self._named.objects()
        except Error as error:
            self.error = error

    def _every(self, repo: Repository) -> tuple[str, ...]:
        # A head that is on no branch, as CI checks it out; an empty repository has none at all.
        found = repo.git("rev-parse", "--verify", "--quiet", "HEAD").returncode == 0
        return (*EVERY_REF, "HEAD") if found and repo.full_ref("HEAD") is None else EVERY_REF


def day(moment: datetime) -> int:
    """The first second of a day."""
    return int(moment.timestamp()) // DAY * DAY
