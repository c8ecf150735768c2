"""A history as rows: who signed what, for whom, and whether it holds.

Each row is the verdict of `notme-attest verify` on one commit, under the built-in policy and for the same ref. Actor
and represented principal come from the certificate and only where its chain holds; author and committer lines are
claims and are not shown as anybody's name. What cannot be read is a row too.
"""

from __future__ import annotations

import contextlib
import enum
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from attest import cli as attest_cli
from attest import history as attest_history
from attest import store, verify
from attest.errors import Error, Reason, UnavailableError, UsageError, VerificationError
from attest.gitobject import Commit
from attest.instants import rfc3339
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.query import Query
from attest.report import data
from attest.repository import Repository
from attest.through import Through
from attest.trust import Trust
from attest.types import Findings, Identity, Outcome, StepStatus, Verdict
from notme_git.reading.table import Cell, Column

SHORT_ID = 8
MAX_SUBJECT = 4096
"""Characters of a subject that are kept: a message may be one line of sixteen megabytes."""

NOBODY = "-"


class State(enum.StrEnum):
    """What a person wants to know first."""

    GOOD = "good"
    TIME_UNPROVEN = "time-unproven"
    BAD = "bad"
    UNSIGNED = "unsigned"
    OWN_KEY = "own-key"
    COULD_NOT_CHECK = "could-not-check"


_BY_OUTCOME = {
    Outcome.ACCEPTED: State.GOOD,
    Outcome.ACCEPTED_TIME_UNPROVEN: State.TIME_UNPROVEN,
    Outcome.REJECTED: State.BAD,
    Outcome.COULD_NOT_CHECK: State.COULD_NOT_CHECK,
}
_BY_REASON = {Reason.SIGNATURE_MISSING.value: State.UNSIGNED, Reason.SIGNATURE_FOREIGN.value: State.OWN_KEY}
_WORDS = {
    State.GOOD: ("good", "green"),
    State.TIME_UNPROVEN: ("time unproven", "yellow"),
    State.BAD: ("BAD", "red"),
    State.UNSIGNED: ("unsigned", "yellow"),
    State.OWN_KEY: ("own key", "cyan"),
    State.COULD_NOT_CHECK: ("could not check", "magenta"),
}

COLUMNS = (
    Column("commit"),
    Column("date (UTC)"),
    Column("state", 8),
    Column("actor", 8),
    Column("for", 8),
    Column("assurance", 6),
    Column("subject", 9),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One commit. `reason` and `detail` say what is wrong with it.

    `findings` is None where it could not be read, `committed` also where it is no well-formed commit.
    """

    id: str
    state: State
    reason: str
    detail: str
    signature_format: str
    findings: Findings | None
    committed: datetime | None
    subject: str
    record: Through | None = None

    def cells(self) -> tuple[Cell, ...]:
        """The cells under `COLUMNS`."""
        who = self.findings.identity if self.findings else None
        day, minute = (f"{self.committed:%Y-%m-%d}", f"{self.committed:%H:%M}") if self.committed else (NOBODY, "")
        word, style = _WORDS[self.state]
        more = self.signature_format if self.state is State.OWN_KEY else self.reason
        detail = f"{word} ({more})" if more and self.state is not State.UNSIGNED else word
        actor, behalf = self._by_record() if who is None else ("", "")
        return (
            Cell(self.id[:SHORT_ID]),
            Cell(f"{day} {minute}".rstrip(), brief=day),
            Cell(detail, style),
            Cell((who.actor.display or who.actor.id) if who else actor or NOBODY),
            Cell((who.represented.display or who.represented.email) if who and who.represented else behalf or NOBODY),
            Cell(_assurance(who) if who else NOBODY),
            Cell(self.subject if self.committed else f"({self.detail})"),
        )

    def _by_record(self) -> tuple[str, str]:
        """In parentheses, whose content it is by a rewrite record: no signature of theirs is on this commit."""
        people = self.record.people() if self.record is not None else ()
        actors = ", ".join(dict.fromkeys(actor.name for actor, _ in people))
        behalf = ", ".join(dict.fromkeys(who.name for _, who in people if who is not None))
        return f"({actors})" if actors else "", f"({behalf})" if behalf else ""

    def data(self) -> dict[str, Any]:
        """The row for `--json`."""
        return {
            "id": self.id,
            "committedAt": rfc3339(int(self.committed.timestamp())) if self.committed else None,
            "state": self.state.value,
            "reason": self.reason or None,
            "detail": self.detail or None,
            "signatureFormat": self.signature_format or None,
            "identity": data.findings_data(self.findings)["identity"] if self.findings else None,
            "subject": self.subject if self.committed else None,
            "through": data.through_data(self.record) if self.record is not None else None,
        }


@dataclass(frozen=True, slots=True)
class Page:
    """The ids of the newest commits, whether there are more, and what broke the walk off, if anything did."""

    ids: tuple[str, ...]
    more: bool
    broken: Error | None


def walk(repo: Repository, expression: str | None, limit: int) -> Page:
    """The newest `limit` commits of a range or of a revision's history; None is the history of HEAD."""
    if expression is None:
        _check_begun(repo)
        expression = "HEAD"
    ids: list[str] = []
    try:
        ids.extend(itertools.islice(repo.list_range(expression), limit + 1))
    except UnavailableError as error:
        return Page(tuple(ids[:limit]), False, error)
    except UsageError:
        if ".." in expression:
            raise
        # What git resolves but cannot walk is an object that is damaged or not here: a row says which.
        broken = UnavailableError(f"git could not walk {expression!r}", hint="run git fsck, or fetch what is missing")
        return Page((repo.resolve(expression),), False, broken)
    return Page(tuple(ids[:limit]), len(ids) > limit, None)


def read(
    repo: Repository, ids: Sequence[str], trusted: Trust, profile: str | None, context: Context, at: datetime
) -> list[Row]:
    """A row for each commit."""
    records = _records(repo, ids, trusted, profile, context, at)
    return [replace(_row(repo, oid, trusted, profile, context, at), record=records.get(oid)) for oid in ids]


def _records(
    repo: Repository, ids: Sequence[str], trusted: Trust, profile: str | None, context: Context, at: datetime
) -> dict[str, Through]:
    """The rewrite record that is followed, of each commit that has one and is not accepted as an agent's own."""
    if not store.exists(repo):
        return {}
    query = Query(trusted, at, Policy(), context, Profile(profile) if profile else None, rewrites=True)
    found: dict[str, Through] = {}
    with contextlib.suppress(Error):
        for row in attest_history.rows(repo, ids, query):
            if (record := next((each for each in row.through if each.follows), None)) is not None:
                found[row.object_id] = record
    return found


def _row(
    repo: Repository, oid: str, trusted: Trust, profile: str | None, context: Context, at: datetime
) -> Row:
    try:
        [examination] = attest_cli.examinations(repo, oid, trusted, profile, at, [])
    except Error as error:
        reason = str(error.reason) if isinstance(error, VerificationError) else ""
        return Row(oid, State.COULD_NOT_CHECK, reason, error.message, "", None, None, "")
    verdict = verify.judge(examination, Policy(), context, at=at)
    parsed = examination.parsed
    state, reason, detail = _state(verdict)
    return Row(
        id=oid,
        state=state,
        reason=reason,
        detail=detail,
        signature_format=str(examination.signature_format or ""),
        findings=verdict.findings,
        committed=parsed.committer.when if isinstance(parsed, Commit) else None,
        subject=_subject(parsed) if isinstance(parsed, Commit) else "",
    )


def _state(verdict: Verdict) -> tuple[State, str, str]:
    """The state, and of what is not good the first finding that says why."""
    findings = verdict.findings.findings
    by_reason = [_BY_REASON[f.reason] for f in findings if f.reason in _BY_REASON]
    state = by_reason[0] if by_reason else _BY_OUTCOME[verdict.outcome]
    if state in (State.GOOD, State.TIME_UNPROVEN):
        return state, "", ""
    wanted = StepStatus.UNAVAILABLE if state is State.COULD_NOT_CHECK else StepStatus.FAILED
    first = next((f for f in findings if f.status is wanted), None)
    return (state, first.reason, first.detail) if first else (state, "", "")


def _assurance(who: Identity) -> str:
    """Through the ssh-agent protocol the signer sees a digest and not what it signs: that is worth less."""
    return f"{who.assurance}, blind" if who.payload_unchecked else who.assurance.value


def _subject(commit: Commit) -> str:
    """The message's first paragraph on one line, as git's `%s` has it."""
    try:
        text = commit.message[: 4 * MAX_SUBJECT].decode(commit.encoding or "utf-8", "replace")
    except LookupError:  # git and we know names of encodings that Python does not
        text = commit.message[: 4 * MAX_SUBJECT].decode("utf-8", "replace")
    text = text.lstrip("\n")
    return " ".join(text.split("\n\n", 1)[0].splitlines())[:MAX_SUBJECT]


def _check_begun(repo: Repository) -> None:
    try:
        repo.resolve("HEAD")
    except UsageError:
        raise UnavailableError(
            f"there is no commit in {repo.path} yet", hint="make one (git commit), or name a branch"
        ) from None
