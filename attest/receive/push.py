"""Whether a push is let through: each update of it, and every object that it brings, judged before any ref moves.

Whose policy counts, design D15 says: the one at the target ref's old tip, that of the default branch where the ref is
new or its old tip has none, and a file of the operator's before both. Nothing that is pushed chooses its own judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from attest import history, signing_key
from attest.errors import ACCEPTED, REJECTED, UNCHECKED, Error, Reason, Step, VerificationError, exit_status
from attest.policy import Context, PolicyLike
from attest.query import Query
from attest.receive.guard import Protected
from attest.receive.settings import Settings
from attest.receive.updates import Change, Update, change_of, is_attestations, new_objects
from attest.repository import Repository
from attest.row import Row
from attest.through import ACCEPTING
from attest.trust import Trust
from attest.types import Outcome, Severity

SHOWN = 20
"""Objects of a push that are shown when it is refused; the rest is counted. More than a screen nobody reads."""


@dataclass(frozen=True, slots=True)
class Judge:
    """By what an update is judged: whom to trust, the rules for what it brings, and those for who signed the push."""

    trusted: Trust
    policy: PolicyLike
    pusher: PolicyLike


@dataclass(slots=True)
class Report:
    """What became of one update. `stopped` says that it is refused, or could not be checked, whatever it brings.

    `follows` is whether its policy has a rule that follows rewrite records.
    `against` are the first objects that stand against it, `reasons` how many there are for which reason;
    `contradictions` counts, by code, what accepted objects claim against what their signatures prove.
    """

    update: Update
    policy: str = ""
    follows: bool = False
    judged: int = 0
    rejected: int = 0
    unchecked: int = 0
    unproven: int = 0
    stopped: Error | None = None
    against: list[Row] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    contradictions: Counter[str] = field(default_factory=Counter)

    @property
    def status(self) -> int:
        """The exit status that goes with it."""
        if self.rejected or (self.stopped is not None and exit_status(self.stopped) == REJECTED):
            return REJECTED
        return UNCHECKED if self.unchecked or self.stopped is not None else ACCEPTED

    def add(self, row: Row) -> None:
        """Count one judged object."""
        self.judged += 1
        if row.outcome in ACCEPTING:
            self.unproven += row.outcome is Outcome.ACCEPTED_TIME_UNPROVEN
            self.contradictions.update(c.code for c in row.contradictions if c.severity is not Severity.INFO)
            return
        if row.outcome is Outcome.REJECTED:
            self.rejected += 1
        else:
            self.unchecked += 1
        self.reasons[reason_of(row)] += 1
        if len(self.against) < SHOWN:
            self.against.append(row)


def reason_of(row: Row) -> str:
    """The stable word for what stands against it first."""
    found = row.decisive
    return found.reason if found is not None else ""


def judge_push(
    repo: Repository,
    updates: Sequence[Update],
    settings: Settings,
    judge_of: Callable[[Update], Judge],
    before: Callable[[Update], Sequence[str]],
    at: datetime,
    *,
    jobs: int = 1,
) -> list[Report]:
    """A report on each update, in order.

    `judge_of` says by what one is judged, and `before` which ids reach what counts as judged (`updates.Before`).
    """
    return [_judge_update(repo, update, settings, judge_of, before, at, jobs) for update in updates]


def status_of(reports: Sequence[Report]) -> int:
    """Rejected beats "could not check"; a push without updates is let through."""
    found = {report.status for report in reports}
    return REJECTED if REJECTED in found else max(found, default=ACCEPTED)


def _judge_update(
    repo: Repository,
    update: Update,
    settings: Settings,
    judge_of: Callable[[Update], Judge],
    before: Callable[[Update], Sequence[str]],
    at: datetime,
    jobs: int,
) -> Report:
    report = Report(update)
    try:
        _check_change(update, change_of(repo, update), settings)
        if update.new is None or is_attestations(update.ref) or settings.ignores(update.ref):
            return report
        by = judge_of(update)
        policy = Protected(by.policy) if settings.protects(update.ref) else by.policy
        report.policy, report.follows = policy.name, policy.follows
        keys = tuple(map(signing_key.load_public, settings.attester_keys)) if policy.follows else ()
        where = Context(update.ref, settings.repository or repo.remote())
        query = Query(by.trusted, at, policy, where, attesters=keys)
        for row in history.rows(repo, new_objects(repo, update, before(update)), query, jobs=jobs):
            report.add(row)
    except Error as error:
        report.stopped = error
    return report


def _check_change(update: Update, change: Change, settings: Settings) -> None:
    """What may not happen to a ref at all."""
    if change not in (Change.REWIND, Change.DELETE):
        return
    what = "deleted" if change is Change.DELETE else "rewound"
    if is_attestations(update.ref):
        raise _refused(f"it only grows and cannot be {what}", hint="fetch it, notme-git attest, push again")
    if settings.protects(update.ref):
        remedy = "its operator can lift notme.protect" if change is Change.DELETE else "merge or rebase onto its tip"
        raise _refused(f"it is protected and cannot be {what}", hint=remedy)


def _refused(message: str, *, hint: str) -> VerificationError:
    return VerificationError(Step.POLICY, Reason.RULE_DENIES, message, hint=hint)
