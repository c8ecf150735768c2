"""What a pusher reads: which commit, which step or rule, what to do. git shows it as lines of `remote:`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attest.errors import ACCEPTED, REJECTED, Error, Reason, Step
from attest.receive.push import SHOWN, Report, status_of
from attest.report.text import printable
from attest.row import Row
from attest.types import Finding

SHORT = 12
"""Hex digits of an id that are shown; git takes them for the whole."""

MAX_SUBJECT = 60
"""Characters of a message's first line; git folds no line of `remote:`."""

MAX_DETAIL = 400
"""Characters of a finding: a policy names its rules, and a certificate its patterns."""

_ANEW = "make it anew, signed: git rebase --no-ff -S {base}, then push again"
_RECORD = (
    "or, where it was made from signed commits, send a record of them first: "
    "notme-attest rewrite record {commit} --from OLD.., then notme-attest sync"
)
_REPLACED = frozenset({Reason.SIGNATURE_MISSING, Reason.SIGNATURE_FOREIGN, Reason.KEY_UNKNOWN, Reason.NO_RULE})
"""Where a forge made a commit of signed ones, it carries no signature or the forge's own."""

_MAX_RECORDS = 3
_ADMIN = "ask who runs this server"
_STAMP = (
    "sign with a time-stamp; one that is kept beside a commit (in ssh format, or a third party's) has to be here "
    "first: notme-git timestamp {commit}, then notme-attest sync REMOTE"
)
_REMEDIES: dict[str, str] = {
    Reason.SIGNATURE_MISSING: _ANEW,
    Reason.SIGNATURE_SEVERAL: _ANEW,
    Reason.SIGNATURE_MALFORMED: _ANEW,
    Reason.SIGNATURE_UNKNOWN: _ANEW,
    Reason.SIGNATURE_INVALID: _ANEW,
    Reason.DIGEST_MISMATCH: _ANEW,
    Reason.OBJECT_MALFORMED: "see what git fsck says of it, and make it anew",
    Reason.SIGNATURE_FOREIGN: "sign as an agent of a pinned authority, or have the key listed in the policy",
    Reason.KEY_UNKNOWN: "sign with a key that the policy lists, or have this one listed",
    Reason.KEY_REVOKED: "sign with another key: this one was revoked",
    Reason.ANCHOR_UNKNOWN: "sign under an authority that this server pinned, or have yours pinned; "
    "after a rotation of its keys the server needs a newer trust bundle",
    Reason.TIME_UNPROVEN: _STAMP,
    Reason.TIME_REQUIRED: _STAMP,
    Reason.TIME_OUTSIDE_VALIDITY: _ANEW,
    Reason.REVOKED: "get a new grant (notme-git grant add), then " + _ANEW,
    Reason.EPOCH_RETIRED: _ANEW,
    Reason.BUNDLE_STALE: _ADMIN + ": its trust bundle is too old",
    Reason.BUNDLE_ABSENT: _ADMIN + ": it has no trust bundle",
    Reason.SCOPE_MISSING: "get a grant with the scope that is needed (notme-git grant add --scope), then sign anew",
    Reason.COMMITTER_MISMATCH: "commit under the agent's or its human's own name and address, then sign anew",
    Reason.CONSTRAINT_MISMATCH: "push to where the grant allows, or get a grant for here",
    Reason.CONTEXT_UNKNOWN: _ADMIN + ": notme.repository says which address certificates are held against",
    Reason.NO_RULE: "see which rule could allow it: notme-attest policy explain {commit}",
    Reason.RULE_DENIES: "leave out what the rule denies, or have someone push it who may",
    Reason.RULE_NOT_MET: "meet what the rule asks for: notme-attest policy explain {commit}",
    Reason.POLICY_BROKEN: _ADMIN + ": the policy in the tree cannot be used, and notme.policyFile can name another",
    Reason.FORMAT_REFUSED: "sign in a format that the policy counts",
}


def lines(reports: Sequence[Report]) -> Iterator[str]:
    """Of a push that is refused: each update with what stands against it."""
    status = status_of(reports)
    if status == ACCEPTED:
        return
    yield "the push is refused" if status == REJECTED else "the push is refused: it could not be checked"
    bad = [report for report in reports if report.status != ACCEPTED]
    room = SHOWN
    for report in bad[:SHOWN]:
        yield from _update(report, room)
        room -= min(room, len(report.against))
    if len(bad) > SHOWN:
        yield f"and {len(bad) - SHOWN} more refs"
    if len(reports) > 1 and any(report.status == ACCEPTED for report in reports):
        yield "nothing of it was taken: the other refs may be pushed without these"


def remarks(reports: Sequence[Report]) -> Iterator[str]:
    """What a pusher should know of a push that is let through."""
    for report in reports:
        if report.status == ACCEPTED and report.unproven:
            yield f"{_shown(report.update.ref)}: {report.unproven} accepted, but when they were signed is unproven"
        if report.status == ACCEPTED and report.contradictions:
            counted = ", ".join(f"{count} {code}" for code, count in report.contradictions.most_common())
            yield f"{_shown(report.update.ref)}: accepted, but claims and signatures do not agree: {counted}"


def _update(report: Report, room: int) -> Iterator[str]:
    """One ref, with so many of its objects at most."""
    ref = _shown(report.update.ref)
    if report.stopped is not None:
        yield f"{ref}: {sentence(report.stopped)}"
    bad = report.rejected + report.unchecked
    if not bad:
        return
    counted = [f"{report.rejected} rejected"] if report.rejected else []
    counted += [f"{report.unchecked} could not be checked"] if report.unchecked else []
    yield f"{ref}: of {report.judged} new, {', '.join(counted)}, by policy {_shown(report.policy)}"
    told: set[str] = set()
    shown = report.against[:room]
    for row in shown:
        yield from _row(row, report, told)
    if bad > len(shown):
        yield f"  and {bad - len(shown)} more ({_counts(report)})"


def _row(row: Row, report: Report, told: set[str]) -> Iterator[str]:
    """One object; what to do is said once for each reason."""
    subject, committer = _cut(row.subject, MAX_SUBJECT), _cut(row.committer, MAX_SUBJECT)
    yield f'  {row.kind} {row.object_id[:SHORT]} "{subject}" by {committer}'
    found = row.decisive
    if found is None:
        return
    yield f"    {_step(found)}"
    remedy = remedy_of(found.reason, report.update.old, row.object_id)
    if remedy and found.reason not in told:
        told.add(found.reason)
        yield f"    what to do: {remedy}"
    yield from _records(row, report, told)


def _records(row: Row, report: Report, told: set[str]) -> Iterator[str]:
    """Where a rule would take a rewrite record for a signature: why none does, or how to send one."""
    found = row.decisive
    if not report.follows or row.kind != "commit" or found is None or found.reason not in _REPLACED:
        return
    for each in [record for record in row.through if record.refused][:_MAX_RECORDS]:
        yield f"    rewrite record {each.record[:SHORT]} is not followed: {_cut(each.refused, MAX_DETAIL)}"
    if not row.through and _RECORD not in told:
        told.add(_RECORD)
        yield f"    {_RECORD.format(commit=row.object_id[:SHORT])}"


def remedy_of(reason: str, base: str | None, commit: str) -> str:
    """What a pusher can do about a reason: with the ids at hand, else what every verifier's user is told."""
    text = _REMEDIES.get(reason, "")
    if text:
        return text.format(base=base[:SHORT] if base else "--root", commit=commit[:SHORT])
    from attest.reasons import ENTRIES

    return ENTRIES[reason].remedy if reason in ENTRIES else ""


def sentence(error: Error) -> str:
    """An error in one line."""
    return printable(f"{error.message} ({error.hint})" if error.hint else error.message)


def _step(found: Finding) -> str:
    return f"step {found.step} {Step(found.step).name.lower()}, {found.reason}: {_cut(found.detail, MAX_DETAIL)}"


def _counts(report: Report) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in report.reasons.most_common())


def _shown(text: str) -> str:
    return _cut(text, MAX_DETAIL)


def _cut(text: str, limit: int) -> str:
    """Printable, and no longer than that."""
    clean = printable(text)
    return clean if len(clean) <= limit else f"{clean[: limit - 3]}..."
