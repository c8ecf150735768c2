"""Counts that cannot outgrow memory, whatever a repository is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from attest.types import Severity

MAX_NAMES = 2000
"""Names that one count tells apart. What repositories hold is anybody's to make up: a name a commit, for a million."""

MAX_EXAMPLES = 20
"""Objects that are named for one kind of anomaly; the others are counted."""

K = TypeVar("K")


@dataclass(slots=True)
class Tally:
    """How often each name came; further names than `MAX_NAMES` are counted together in `others`."""

    counts: Counter[str] = field(default_factory=Counter)
    others: int = 0

    def add(self, name: str, count: int = 1) -> None:
        """`count` more of this name."""
        if name in self.counts or len(self.counts) < MAX_NAMES:
            self.counts[name] += count
        else:
            self.others += count

    def merge(self, other: Tally) -> None:
        """What another one counted."""
        for name, count in other.counts.items():
            self.add(name, count)
        self.others += other.others


@dataclass(slots=True)
class Span:
    """How many objects, how many of them accepted, and when by their own dates (unix seconds) first and last."""

    count: int = 0
    accepted: int = 0
    first: int | None = None
    last: int | None = None

    def add(self, date: int | None, *, accepted: bool = False) -> None:
        """One more object."""
        self.merge(Span(1, int(accepted), date, date))

    def merge(self, other: Span) -> None:
        """The objects of another one."""
        self.count += other.count
        self.accepted += other.accepted
        self.first = min((d for d in (self.first, other.first) if d is not None), default=None)
        self.last = max((d for d in (self.last, other.last) if d is not None), default=None)


@dataclass(slots=True)
class Spans(Generic[K]):
    """A span for each of at most `MAX_NAMES` keys, and one for the objects of all others."""

    each: dict[K, Span] = field(default_factory=dict)
    others: Span = field(default_factory=Span)

    def of(self, key: K) -> Span:
        """The span to count an object of `key` in."""
        if (found := self.each.get(key)) is not None:
            return found
        if len(self.each) >= MAX_NAMES:
            return self.others
        return self.each.setdefault(key, Span())

    def merge(self, other: Spans[K]) -> None:
        """What another one counted."""
        for key, span in other.each.items():
            self.of(key).merge(span)
        self.others.merge(other.others)

    def ranked(self) -> list[tuple[K, Span]]:
        """The most frequent first; equals in the order in which they came."""
        return sorted(self.each.items(), key=lambda item: -item[1].count)


class Example(NamedTuple):
    """One object that shows an anomaly; `date` is its own, in unix seconds."""

    object_id: str
    date: int | None
    detail: str
    repository: str = ""


@dataclass(slots=True)
class Anomaly:
    """How often something odd came, and the first few objects it came with."""

    severity: Severity
    count: int = 0
    examples: list[Example] = field(default_factory=list)


@dataclass(slots=True)
class Anomalies:
    """Anomalies by their code."""

    each: dict[str, Anomaly] = field(default_factory=dict)

    def add(self, code: str, severity: Severity, example: Example) -> None:
        """One more. Codes are this program's own words, so there are few."""
        self._merge(code, Anomaly(severity, 1, [example]))

    def merge(self, other: Anomalies) -> None:
        """What another one counted."""
        for code, anomaly in other.each.items():
            self._merge(code, anomaly)

    def ranked(self) -> Iterator[tuple[str, Anomaly]]:
        """The gravest first, then the most frequent."""
        order = list(Severity)
        yield from sorted(self.each.items(), key=lambda item: (-order.index(item[1].severity), -item[1].count, item[0]))

    def _merge(self, code: str, anomaly: Anomaly) -> None:
        mine = self.each.setdefault(code, Anomaly(anomaly.severity))
        mine.count += anomaly.count
        mine.examples += anomaly.examples[: MAX_EXAMPLES - len(mine.examples)]
