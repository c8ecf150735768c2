"""What would break, were a policy enforced today: the past judged by it, counted by rule and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from attest import history
from attest.query import Query
from attest.report.text import SHORT_ID, printable
from attest.repository import Repository
from attest.row import Row
from attest.through import ACCEPTING
from attest.types import Outcome


@dataclass(frozen=True, slots=True)
class Offender:
    """One object that would not be accepted."""

    object_id: str
    outcome: Outcome
    rule: str
    reason: str
    who: str
    subject: str
    detail: str


@dataclass(slots=True)
class Tally:
    """What became of a history. `against` counts by rule (empty where none decided) and reason."""

    shown: int
    accepted: Counter[str] = field(default_factory=Counter)
    against: Counter[tuple[str, str, Outcome]] = field(default_factory=Counter)
    offenders: list[Offender] = field(default_factory=list)

    def __call__(self, rows: Iterator[Row]) -> Tally:
        """The tally of a batch, made in the process that judges it."""
        made = Tally(self.shown)
        for row in rows:
            made.add(row)
        return made

    def add(self, row: Row) -> None:
        """Count one object."""
        if row.outcome in ACCEPTING:
            self.accepted[row.rule] += 1
            return
        first, outcome = row.decisive, row.outcome or Outcome.COULD_NOT_CHECK
        reason = first.reason if first is not None else ""
        self.against[row.rule, reason, outcome] += 1
        if len(self.offenders) < self.shown:
            who = row.identity.actor.display if row.identity is not None else row.committer
            detail = first.detail if first is not None else ""
            self.offenders.append(Offender(row.object_id, outcome, row.rule, reason, who, row.subject, detail))

    def join(self, other: Tally) -> None:
        """Count what another counted after this."""
        self.accepted += other.accepted
        self.against += other.against
        self.offenders += other.offenders[: self.shown - len(self.offenders)]

    @property
    def total(self) -> int:
        """How many objects."""
        return self.accepted.total() + self.against.total()

    def count(self, outcome: Outcome) -> int:
        """How many are rejected, or could not be checked."""
        return sum(count for (_, _, found), count in self.against.items() if found is outcome)


def simulate(repo: Repository, object_ids: Iterable[str], query: Query, *, shown: int, jobs: int = 1) -> Tally:
    """Judge all of these under `query.policy`."""
    total = Tally(shown)
    for part in history.results(repo, object_ids, query, Tally(shown), jobs=jobs):
        total.join(part)
    return total


def text_lines(tally: Tally) -> Iterator[str]:
    """For people."""
    parts = [(tally.accepted.total(), "accepted"), (tally.count(Outcome.REJECTED), "rejected")]
    parts.append((tally.count(Outcome.COULD_NOT_CHECK), "could not be checked"))
    said = ", ".join(f"{count:,} {word}" for count, word in parts)
    yield f"{tally.total:,} object{'' if tally.total == 1 else 's'}: {said}"
    for rule, count in tally.accepted.most_common():
        yield f"  {count:>9,}  accepted by rule {rule}"
    for (rule, reason, outcome), count in tally.against.most_common():
        word = "rejected" if outcome is Outcome.REJECTED else "unchecked"
        yield f"  {count:>9,}  {word} {f'by rule {rule}' if rule else 'by no rule'} ({reason})"
    for item in tally.offenders:
        by = f"rule {item.rule}, " if item.rule else ""
        yield f"{item.object_id[:SHORT_ID]} {printable(item.who)}: {printable(item.subject)}"
        yield f"  {by}{item.reason}: {printable(item.detail)}"
    if tally.against.total() > len(tally.offenders) > 0:
        yield f"... and {tally.against.total() - len(tally.offenders):,} more"


def data(tally: Tally) -> dict[str, Any]:
    """For programs."""
    return {
        "objects": tally.total,
        "accepted": tally.accepted.total(),
        "rejected": tally.count(Outcome.REJECTED),
        "unchecked": tally.count(Outcome.COULD_NOT_CHECK),
        "acceptedBy": dict(tally.accepted.most_common()),
        "against": [
            {"rule": rule or None, "reason": reason, "outcome": str(outcome), "objects": count}
            for (rule, reason, outcome), count in tally.against.most_common()
        ],
        "offenders": [
            {
                "object": item.object_id,
                "outcome": str(item.outcome),
                "rule": item.rule or None,
                "reason": item.reason,
                "who": item.who,
                "subject": item.subject,
                "detail": item.detail,
            }
            for item in tally.offenders
        ],
    }
