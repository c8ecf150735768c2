"""What an audit counts: made of the rows of a batch where they are made, and merged; never the rows themselves."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from attest.audit.standing import ACCEPTED, Standing, standing
from attest.audit.tally import MAX_NAMES, Anomalies, Example, Span, Spans, Tally
from attest.errors import Reason, Step
from attest.evidence import RANK
from attest.instants import instant
from attest.row import Row, SignerKind
from attest.through import Who
from attest.types import Evidence, Identity, Principal, PrincipalKind, Severity, StepStatus

DAY = 86_400
MAX_MONTHS = 240
"""Months of one pair that are told apart: twenty years."""

MAX_NAME = 200
"""Characters of a name that are kept: an object may be one name of sixteen megabytes."""

NOBODY = "nobody"
"""The voucher of a time for which there is not even the signer's word."""


class Pair(NamedTuple):
    """Who acted, and for whom; what is about the represented principal is empty where there is none."""

    actor: str
    actor_id: str
    actor_kind: str
    represented: str
    represented_id: str
    authentication: str


class Unknown(NamedTuple):
    """A signer whom nothing vouches for: what kind of credential, its key, and whom the certificate names, if one."""

    kind: str
    key: str
    says: str


class Ruling(NamedTuple):
    """What the policy said: the rule that decided, the outcome, and the reason where it is not accepted."""

    rule: str
    outcome: str
    reason: str


@dataclass(slots=True)
class Facts:
    """Counts over objects. `months` are `YYYY-MM` in UTC of the committer's date, empty where there is none."""

    kinds: Counter[str] = field(default_factory=Counter)
    standings: Counter[Standing] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    months: dict[str, Counter[Standing]] = field(default_factory=dict)
    span: Span = field(default_factory=Span)
    pairs: Spans[Pair] = field(default_factory=Spans)
    pair_months: dict[Pair, Counter[str]] = field(default_factory=dict)
    unknown: Spans[Unknown] = field(default_factory=Spans)
    unsigned: Spans[str] = field(default_factory=Spans)
    rewritten: Spans[Pair] = field(default_factory=Spans)
    rules: Spans[Ruling] = field(default_factory=Spans)
    formats: Tally = field(default_factory=Tally)
    signers: Tally = field(default_factory=Tally)
    algorithms: Tally = field(default_factory=Tally)
    assurance: Tally = field(default_factory=Tally)
    authentication: Tally = field(default_factory=Tally)
    epochs: Tally = field(default_factory=Tally)
    vouchers: Tally = field(default_factory=Tally)
    anomalies: Anomalies = field(default_factory=Anomalies)

    @property
    def total(self) -> int:
        """How many objects."""
        return self.span.count

    @property
    def accepted(self) -> int:
        """How many of them were accepted."""
        return sum(self.standings[each] for each in ACCEPTED)

    @property
    def signed(self) -> int:
        """How many of them have a signature, of whatever worth."""
        return sum(self.formats.counts.values()) + self.formats.others

    def add(self, row: Row) -> None:
        """One more object, judged."""
        stands, date = standing(row), row.committer_date
        accepted = stands in ACCEPTED
        self.kinds[row.kind] += 1
        self.standings[stands] += 1
        self.outcomes[str(row.outcome)] += 1
        self.months.setdefault(month(date), Counter())[stands] += 1
        self.span.add(date, accepted=accepted)
        self._signature(row, stands, date)
        self._anomalies(row, stands, date)
        record = next((each for each in row.through if each.follows), None)
        for actor, behalf in record.people() if record is not None else ():
            self.rewritten.of(_content(actor, behalf)).add(date, accepted=accepted)
        first = row.decisive
        reason = first.reason if first is not None and not accepted else ""
        self.rules.of(Ruling(row.rule, str(row.outcome), reason)).add(date, accepted=accepted)

    def merge(self, other: Facts) -> None:
        """The objects of another one."""
        for name in ("kinds", "standings", "outcomes"):
            getattr(self, name).update(getattr(other, name))
        for name, counts in other.months.items():
            self.months.setdefault(name, Counter()).update(counts)
        for key, counted in other.pair_months.items():
            for each, many in counted.items():
                self._pair_month(key, each, many)
        for name in ("span", "pairs", "unknown", "unsigned", "rewritten", "rules", "formats", "signers", "algorithms"):
            getattr(self, name).merge(getattr(other, name))
        for name in ("assurance", "authentication", "epochs", "vouchers", "anomalies"):
            getattr(self, name).merge(getattr(other, name))

    def _signature(self, row: Row, stands: Standing, date: int | None) -> None:
        if row.format is None:
            if stands in (Standing.UNSIGNED, Standing.EXCUSED):
                self.unsigned.of(cut(row.committer)).add(date, accepted=stands is Standing.EXCUSED)
            return
        self.formats.add(row.format)
        if row.signer is not None:
            self.signers.add(row.signer.profile or row.signer.kind)
            self.algorithms.add(cut(row.signer.algorithm))
        if stands is Standing.STRANGER:
            signer = row.signer
            says = cut(signer.subject or ", ".join(signer.subject_alternative_names)) if signer is not None else ""
            key = Unknown(signer.kind, cut(signer.key), says) if signer is not None else Unknown(row.format, "", "")
            self.unknown.of(key).add(date)
        who = row.identity
        if who is None:
            return
        accepted = stands in ACCEPTED
        self.pairs.of(pair(who)).add(date, accepted=accepted)
        self._pair_month(pair(who), month(date), 1)
        if not accepted:
            return
        # What stands behind a signature is told of those that count; of the others it would be hearsay.
        self.vouchers.add(best_voucher(row.evidence))
        self.authentication.add(authenticated(who))
        if row.signer is not None and row.signer.kind is SignerKind.BRIDGE:
            self.assurance.add(who.assurance)
            self.epochs.add(str(who.epoch))

    def _pair_month(self, key: Pair, name: str, many: int) -> None:
        """Count in a month; beyond the bounds of either it is in the span alone."""
        if key not in self.pair_months and len(self.pair_months) >= MAX_NAMES:
            return
        counted = self.pair_months.setdefault(key, Counter())
        if name in counted or len(counted) < MAX_MONTHS:
            counted[name] += many

    def _anomalies(self, row: Row, stands: Standing, date: int | None) -> None:
        first = row.decisive
        known = stands in (Standing.REJECTED, Standing.UNCHECKED)
        if first is not None and known and first.reason != Reason.SIGNATURE_MISSING:
            failed = first.status is StepStatus.FAILED
            severity = Severity.ERROR if failed else Severity.WARNING
            code = f"{Step(first.step).name.lower()}:{first.reason}"
            self.anomalies.add(code, severity, Example(row.object_id, date, cut(first.detail)))
        for remark in row.remarks:
            self.anomalies.add(f"remark:{remark}", Severity.INFO, Example(row.object_id, date, remark))
        for item in row.contradictions:
            self.anomalies.add(f"claims:{item.code}", item.severity, Example(row.object_id, date, cut(item.detail)))


def of(rows: Iterable[Row]) -> Facts:
    """The facts of these rows."""
    made = Facts()
    for row in rows:
        made.add(row)
    return made


def month(date: int | None) -> str:
    """`YYYY-MM` in UTC, empty for none."""
    return "" if date is None else _month(date // DAY)


@functools.lru_cache(maxsize=4096)
def _month(day: int) -> str:
    moment = instant(day * DAY)
    return f"{moment.year:04}-{moment.month:02}"


def best_voucher(evidence: Iterable[Evidence]) -> str:
    """Who vouches best for the time of signing."""
    return max((item.voucher for item in evidence), key=lambda each: RANK[each], default=NOBODY)


def authenticated(who: Identity) -> str:
    """How the human behind it proved who it is, or where there is none, the actor."""
    return (who.represented or who.actor).authentication


@functools.lru_cache(maxsize=1024)
def pair(who: Identity) -> Pair:
    """Who acted and for whom."""
    by, behalf = who.actor, who.represented
    return Pair(
        cut(named(by)),
        cut(by.id),
        by.kind,
        cut(named(behalf)) if behalf is not None else "",
        cut(behalf.id) if behalf is not None else "",
        authenticated(who),
    )


def _content(actor: Who, behalf: Who | None) -> Pair:
    """By a rewrite record, which does not say how the human proved who it is."""
    name, behalf_id = (cut(behalf.name), cut(behalf.id)) if behalf is not None else ("", "")
    return Pair(cut(actor.name), cut(actor.id), str(actor.kind), name, behalf_id, "")


def person(who: Identity | None) -> Principal | None:
    """The human behind a signature."""
    if who is None or who.represented is not None:
        return who.represented if who is not None else None
    return who.actor if who.actor.kind is PrincipalKind.HUMAN else None


def named(principal: Principal) -> str:
    """A name for people: `display <email>` for humans, the display name for others."""
    if principal.kind is PrincipalKind.HUMAN and principal.email and principal.email != principal.display:
        return f"{principal.display} <{principal.email}>"
    return principal.display or principal.id


def cut(text: str) -> str:
    """As much of a name as is kept."""
    return text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…"
