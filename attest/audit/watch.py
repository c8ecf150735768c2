"""What no single object shows: keys and certificates that turn up where they should not, and dates that run backwards.

It sees every object of a run, in the order of the walks, and remembers a bounded part of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeVar

from attest.audit import facts
from attest.audit.facts import DAY, cut
from attest.audit.tally import Example
from attest.row import Row
from attest.types import Severity

MAX_REMEMBERED = 50_000
"""Certificates, keys and open ends of history that are remembered, the latest of each; some 20 MB together."""

MAX_OBJECTS = 16
"""Objects that are remembered of a certificate, to know a fork's copy of the same commit when it comes."""

BUSY = 200
"""Objects under one certificate from which on it is odd. Ours live for five minutes, and an agent that signs every
few seconds stays below; a rebase of a long branch does not, and is worth a look."""

SHORT_LIVED = DAY
"""Seconds of validity up to which a certificate is made for one piece of work."""

SLACK = 3600
"""Seconds by which a commit may be dated before its parent: clocks differ, and rebases keep some dates."""

SEVERAL_PEOPLE = "several:people-of-one-key"
SEVERAL_REPOSITORIES = "several:repositories-of-one-certificate"
BUSY_CERTIFICATE = "several:objects-of-one-certificate"
BEFORE_PARENT = "dates:before-parent"
IN_FUTURE = "dates:in-future"

SEVERITIES = {
    SEVERAL_PEOPLE: Severity.WARNING,
    SEVERAL_REPOSITORIES: Severity.INFO,
    BUSY_CERTIFICATE: Severity.INFO,
    BEFORE_PARENT: Severity.INFO,
    IN_FUTURE: Severity.WARNING,
}

T = TypeVar("T")


class Sighting(NamedTuple):
    """What is remembered of one object. `leaf` only of a certificate that vouches; `person_id` empty for nobody."""

    object_id: str
    date: int | None
    parents: tuple[str, ...]
    leaf: str
    short_lived: bool
    key: str
    person_id: str
    person: str


def sighting(row: Row) -> Sighting:
    """Of one row."""
    who, signer = facts.person(row.identity), row.signer
    if row.identity is None or signer is None:
        return Sighting(row.object_id, row.committer_date, row.parents, "", False, "", "", "")
    begin, end = signer.not_before, signer.not_after
    return Sighting(
        row.object_id,
        row.committer_date,
        row.parents,
        signer.leaf_sha256,
        begin is not None and end is not None and end - begin <= SHORT_LIVED,
        signer.key,
        who.id if who is not None else "",
        cut(facts.named(who)) if who is not None else "",
    )


@dataclass(slots=True)
class _Certificate:
    """Where a certificate was met first, and with what."""

    repository: int
    count: int = 0
    objects: set[str] = field(default_factory=set)
    travelled: bool = False


class Watch:
    """One run. `begin` each repository, then `look` at each of its objects."""

    def __init__(self, at: datetime) -> None:
        self._latest = int(at.timestamp()) + DAY
        self._repository = 0
        self._ends: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self._certificates: OrderedDict[str, _Certificate] = OrderedDict()
        self._people: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def begin(self) -> None:
        """The next repository."""
        self._repository += 1
        self._ends.clear()

    def look(self, seen: Sighting) -> Iterator[tuple[str, Example]]:
        """What is odd about this object among those that were seen: codes with examples."""
        yield from self._dates(seen)
        if seen.leaf:
            yield from self._certificate(seen)
        if seen.key and seen.person_id:
            yield from self._key(seen)

    def _dates(self, seen: Sighting) -> Iterator[tuple[str, Example]]:
        child = self._ends.pop(seen.object_id, None)
        if seen.date is None:
            return
        if child is not None and child[1] + SLACK < seen.date:
            early = (seen.date - child[1]) // SLACK
            yield BEFORE_PARENT, Example(*child, f"its committer's date is {early} h before its parent's")
        if seen.date > self._latest:
            yield IN_FUTURE, Example(seen.object_id, seen.date, "its committer's date is still to come")
        for parent in seen.parents:
            known = self._ends.get(parent)
            if known is None or seen.date < known[1]:
                _remember(self._ends, parent, (seen.object_id, seen.date))

    def _certificate(self, seen: Sighting) -> Iterator[tuple[str, Example]]:
        met = self._certificates.get(seen.leaf) or _Certificate(self._repository)
        _remember(self._certificates, seen.leaf, met)
        if met.repository != self._repository:
            copied = seen.object_id in met.objects or len(met.objects) >= MAX_OBJECTS
            if seen.short_lived and not copied and not met.travelled:
                met.travelled = True
                detail = f"certificate {seen.leaf[:16]} signed in another repository, too"
                yield SEVERAL_REPOSITORIES, Example(seen.object_id, seen.date, detail)
            return
        met.count += 1
        if len(met.objects) < MAX_OBJECTS:
            met.objects.add(seen.object_id)
        if met.count == BUSY + 1 and seen.short_lived:
            detail = f"certificate {seen.leaf[:16]} signed more than {BUSY} objects"
            yield BUSY_CERTIFICATE, Example(seen.object_id, seen.date, detail)

    def _key(self, seen: Sighting) -> Iterator[tuple[str, Example]]:
        first = self._people.setdefault(seen.key, (seen.person_id, seen.person))
        _remember(self._people, seen.key, first)
        if first[0] != seen.person_id and first[0]:
            self._people[seen.key] = ("", "")  # said once
            detail = f"key {seen.key} signs for {first[1]} and for {seen.person}"
            yield SEVERAL_PEOPLE, Example(seen.object_id, seen.date, cut(detail))


def _remember(memory: OrderedDict[str, T], name: str, value: T) -> None:
    """Keep it as the latest; the oldest goes when there are too many."""
    memory[name] = value
    memory.move_to_end(name)
    if len(memory) > MAX_REMEMBERED:
        memory.popitem(last=False)
