"""The certificate of a signed push, examined anew from its bytes (`git push --signed`).

git says `GIT_PUSH_CERT_STATUS=G` of an SSH key that it never heard of, so nothing that git says of the signature is
looked at here. What git does know is whether the nonce in it is one that it gave out, and when: it compares in the
very process that made it. A good nonce proves that the certificate was signed between that moment and its arrival.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from attest import evidence, verify
from attest.errors import Error, MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.gitobject import PushCertificate, parse_push_certificate
from attest.instants import instant
from attest.policy import Context
from attest.receive.guard import Protected
from attest.receive.push import Judge
from attest.receive.settings import Settings
from attest.receive.updates import Update
from attest.repository import Repository
from attest.trust import Trust
from attest.types import Evidence, Finding, Outcome, StepStatus, Verdict, Voucher
from attest.verify import Examination

GOOD_NONCES = frozenset({"OK", "SLOP"})
"""SLOP: given out by another process of the same server, no longer ago than its `receive.certNonceSlop`."""

NONCE = "push-certificate-nonce"
"""Source of evidence: the time of the nonce, and that of the arrival."""

_NONCE = re.compile(r"([0-9]{1,10})-[0-9a-f]{40,64}")


@dataclass(frozen=True, slots=True)
class Received:
    """A push certificate that holds: well-formed, of this very push, with a nonce that this server gave out.

    `blob` is its object id, `issued` when the nonce was given out.
    """

    blob: str
    certificate: PushCertificate
    issued: datetime
    at: datetime

    @property
    def evidence(self) -> Evidence:
        """The receiving side's own, good for the certificate's signature."""
        return Evidence(int(self.issued.timestamp()), int(self.at.timestamp()), Voucher.RECEIVER, NONCE)


def open_certificate(
    repo: Repository, environ: Mapping[str, str], updates: Sequence[Update], at: datetime
) -> Received | None:
    """The certificate of the push under way, None for a push without one.

    Raises `VerificationError` for one that is not of this push, `MalformedError` for what is no certificate,
    `UnavailableError` when it cannot be read.
    """
    blob = environ.get("GIT_PUSH_CERT", "")
    if not blob:
        return None
    kind, raw = repo.read(blob)
    if kind != "blob":
        raise MalformedError(f"the push certificate is a {kind}")
    found = parse_push_certificate(raw)
    named = {(old.strip("0") and old, new.strip("0") and new, ref) for old, new, ref in found.updates}
    for update in updates:
        if (update.old or "", update.new or "", update.ref) not in named:
            raise _refused(Reason.DIGEST_MISMATCH, f"the push certificate says nothing of this update of {update.ref}")
    status = environ.get("GIT_PUSH_CERT_NONCE_STATUS", "")
    if status not in GOOD_NONCES or found.nonce != environ.get("GIT_PUSH_CERT_NONCE"):
        raise _refused(
            Reason.TIMESTAMP_INVALID,
            f"the push certificate's nonce is none that this server gave out just now ({status or 'no word'} from git)",
            hint="push again; on a server that speaks HTTP its operator sets receive.certNonceSlop",
        )
    return Received(blob, found, _issued(found.nonce, at), at)


def examine(received: Received, trusted: Trust) -> Examination:
    """Steps 2 to 7 of who signed the push; step 5 also goes by the nonce."""
    certificate = received.certificate
    if certificate.signature is None:
        raise refused_unsigned()
    found = verify.examine_signature(
        certificate.signature.armour, certificate.payload, trusted, at=received.at, parsed=certificate
    )
    return _with_nonce(found, received)


def check(
    found: Examination, by: Judge, update: Update, settings: Settings, repository: str | None, at: datetime
) -> None:
    """Whoever signed the push may do so for this ref; raises what stands against it first.

    Where no rule speaks of push certificates it is asked what the built-in policy asks: a signature by whom this side
    or the policy names, within what the certificate is constrained to.
    """
    policy = Protected(by.pusher) if settings.protects(update.ref) else by.pusher
    context = Context(update.ref, settings.repository or repository)
    verdict = verify.judge(found, policy, context, at=at)
    if verdict.outcome not in (Outcome.ACCEPTED, Outcome.ACCEPTED_TIME_UNPROVEN):
        raise _of(verdict)


def refused_unsigned() -> VerificationError:
    """The error of a push that has to be signed and is not."""
    return VerificationError(
        Step.SIGNATURE, Reason.SIGNATURE_MISSING, "pushes to this repository must be signed", hint="git push --signed"
    )


def _of(verdict: Verdict) -> Error:
    """A verdict that is not accepted as the error it comes from."""
    findings = verdict.findings.findings
    failed = verdict.outcome is Outcome.REJECTED
    status = StepStatus.FAILED if failed else StepStatus.UNAVAILABLE
    first = next(f for f in findings if f.status is status and f.reason not in verify.TOLERATED)
    reason = Reason(first.reason)
    message = f"who signed the push is not accepted ({first.reason}): {first.detail}"
    return VerificationError(Step(first.step), reason, message) if failed else UnavailableError(message, reason=reason)


def _with_nonce(found: Examination, received: Received) -> Examination:
    """`found` with the receiving side's evidence added, where step 5 rested on less."""
    if found.chain is None or found.finding(Step.TIME).status is StepStatus.FAILED:
        return found
    known = (*found.evidence, received.evidence)
    try:
        proven = evidence.verify_time(known, found.chain.leaf, received.at)
    except Error:
        return found
    detail = evidence.within_detail(proven)
    step = Finding(step=int(Step.TIME), status=StepStatus.PROVEN, reason="", detail=detail)
    findings = tuple(step if f.step == Step.TIME else f for f in found.findings)
    return replace(found, evidence=known, findings=findings)


def sha256(received: Received) -> str:
    """The digest of the certificate's bytes, lower-case hex."""
    return hashlib.sha256(received.certificate.raw).hexdigest()


def _issued(nonce: str, at: datetime) -> datetime:
    """When the nonce was given out: `SECONDS-HMAC` (receive-pack.c), checked by git with its own secret."""
    found = _NONCE.fullmatch(nonce)
    if found is None:
        raise MalformedError("the push certificate's nonce does not begin with a time")
    issued = instant(int(found[1]))
    if issued > at + timedelta(seconds=1):
        raise UnavailableError(
            "the clock of this server went back since it gave out the push's nonce", reason=Reason.CLOCK_BEHIND
        )
    return issued


def _refused(reason: Reason, message: str, *, hint: str = "") -> VerificationError:
    return VerificationError(Step.OBJECT, reason, message, hint=hint)
