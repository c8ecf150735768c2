"""Verification of a keyless bundle, offline: what it proves under a trusted root, and in whose name.

1. object: the envelope holds an in-toto Statement and one signature
2. integrity: the signature is over it, by the key of the certificate in the bundle
3. log: every entry is of this envelope and certificate, and of a log that the root names, which promised it or proves
   it; there is one at least, unless the root names no logs (instances that keep none, as GitHub's for private use)
4. time: every time-stamp holds (RFC 3161, over the signature, by an authority of the root); at least one instant is
   known, from a time-stamp or a log's promise
5. chain: at each instant the certificate was valid and led to an authority that counted then, and so did the logs
6. transparency of certificates: a log of certificates promised to show it, where the root names any
7. identity: the certificate names one identity and the provider that vouched for it; who may attest is the caller's

Nothing here knows whether an identity was taken over, or whether the logs showed the same to everybody: that is for
those who watch them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from attest import asn1, dsse, evidence, keys, timestamp
from attest.errors import Error, MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign import cmscerts, cmstime, sigstore, transparency
from attest.foreign.cmstime import Log
from attest.foreign.sigstore import SigstoreRoot
from attest.instants import rfc3339
from attest.keyless import body, entry
from attest.keyless.bundle import KeylessBundle
from attest.keyless.entry import Logged
from attest.types import Evidence, Voucher

LOG_UNCHECKED = "log-unchecked"
"""Remark: the trusted root names no log, so that nobody else knows of the statement."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed: an e-mail address, a URI or a user name, and the OpenID provider that vouched for it."""

    subject: str
    issuer: str

    @property
    def uri(self) -> str:
        """`sigstore:ISSUER#SUBJECT`, as signatures of gitsign are called."""
        return sigstore.principal_id(self.issuer, self.subject)


@dataclass(frozen=True, slots=True)
class VerifiedKeyless:
    """What a bundle proved: `identity` signed `payload` no later than `time`, while its certificate was valid."""

    payload: bytes
    identity: Identity
    time: datetime
    evidence: tuple[Evidence, ...]
    logged: tuple[Logged, ...]
    authority: str
    remarks: tuple[str, ...]


def verify_keyless(made: KeylessBundle, root: SigstoreRoot, at: datetime) -> VerifiedKeyless:
    """The seven steps; `at` is now.

    Raises `VerificationError` for what is false, `UnavailableError` where the time cannot be known or this clock is
    behind.
    """
    envelope = made.bundle.envelope
    if not dsse.is_statement(envelope.payload_type):
        raise VerificationError(
            Step.OBJECT, Reason.OBJECT_MALFORMED, f"the payload is {envelope.payload_type!r}, not an in-toto Statement"
        )
    leaf = _verify_signature(made)
    logged = _verify_entries(made, leaf, root)
    times = _verify_times(made, root, logged)
    authority = _verify_chain(leaf, root, times, logged, at)
    if root.certificate_logs:
        transparency.verify_logged(leaf, authority, root.certificate_logs)
    return VerifiedKeyless(
        payload=envelope.payload,
        identity=identity_of(leaf),
        time=datetime.fromtimestamp(min(when for when, _ in times), UTC),
        evidence=_evidence(leaf, times),
        logged=logged,
        authority=authority.subject.rfc4514_string(),
        remarks=_remarks(root),
    )


def verify_identity(proven: VerifiedKeyless, *expected: Identity) -> Identity:
    """Step 7 where the verifier said who is expected: which of them it is, or `VerificationError`."""
    if proven.identity not in expected:
        raise VerificationError(
            Step.IDENTITY,
            Reason.IDENTITY_UNEXPECTED,
            f"signed by {proven.identity.subject!r}, for whom {proven.identity.issuer!r} vouched: not who was expected",
            hint="Name both exactly as the certificate has them.",
        )
    return proven.identity


def identity_of(leaf: x509.Certificate) -> Identity:
    """What a certificate of Fulcio's says (oid-info.md); `VerificationError(Step.CHAIN, ...)`."""
    try:
        return Identity(sigstore.text_of(sigstore.subject_of(leaf)), sigstore.issuer_of(leaf))
    except (MalformedError, *cmscerts.UNREADABLE) as error:
        raise cmscerts.invalid(f"it cannot be read ({type(error).__name__})") from None


def _verify_signature(made: KeylessBundle) -> x509.Certificate:
    try:
        leaf = asn1.load_certificate(made.bundle.certificate)
        key = keys.from_cryptography(leaf.public_key())
    except (Error, *cmscerts.UNREADABLE) as error:
        said = error.message if isinstance(error, Error) else type(error).__name__
        raise cmscerts.invalid(f"it cannot be read: {said}") from None
    envelope = made.bundle.envelope
    keys.verify_signature(key, envelope.signatures[0].sig, dsse.pae(envelope.payload_type, envelope.payload))
    return leaf


def _verify_entries(made: KeylessBundle, leaf: x509.Certificate, root: SigstoreRoot) -> tuple[Logged, ...]:
    found = []
    for item in made.entries:
        found.append(entry.verify_entry(item, root.logs))
        body.verify_body(item, made.bundle.envelope, leaf)
    if root.logs and not found:
        raise entry.invalid("there is none, and the trusted root names logs")
    return tuple(found)


def _verify_times(made: KeylessBundle, root: SigstoreRoot, logged: tuple[Logged, ...]) -> tuple[tuple[int, str], ...]:
    """Each instant, unix seconds, and who says so."""
    found = [(item.when, f"rekor:{item.log[:16]}") for item in logged if item.when is not None]
    signature = made.bundle.envelope.signatures[0].sig
    for response in made.bundle.timestamps:
        try:
            found.append(cmstime.verify_token(timestamp.open_response(response), signature, root.stampers))
        except (Error, *cmscerts.UNREADABLE, OverflowError) as error:
            said = error.message if isinstance(error, Error) else type(error).__name__
            raise VerificationError(
                Step.TIME, Reason.TIMESTAMP_INVALID, f"a time-stamp does not hold: {said}"
            ) from None
    if not found:
        raise UnavailableError(
            "time unproven: the bundle has neither a time-stamp nor a log's promise, so that nobody knows whether the "
            "certificate was valid when it was signed",
            reason=Reason.TIME_UNPROVEN,
        )
    return tuple(found)


def _verify_chain(
    leaf: x509.Certificate,
    root: SigstoreRoot,
    times: tuple[tuple[int, str], ...],
    logged: tuple[Logged, ...],
    at: datetime,
) -> x509.Certificate:
    """Step 5 at every instant: returns the certificate of the authority that issued the leaf."""
    for when, _ in times:
        instant = datetime.fromtimestamp(when, UTC)
        if instant > at + evidence.SKEW:
            raise UnavailableError(
                f"it was signed at {rfc3339(when)}, and this machine's clock says {at:%Y-%m-%dT%H:%M:%SZ}",
                hint="set the clock of this machine and try again",
                reason=Reason.CLOCK_BEHIND,
            )
        # Both clocks are the instance's own: no allowance, as with stock verifiers.
        if not leaf.not_valid_before_utc <= instant <= leaf.not_valid_after_utc:
            raise VerificationError(
                Step.TIME,
                Reason.TIME_OUTSIDE_VALIDITY,
                f"signed at {rfc3339(when)}, outside of the certificate's validity",
            )
        if not all(entry.counts(_log(root, item), when) for item in logged):
            raise entry.invalid("the log does not count at the time of the signature")
        issuer = sigstore.issued(leaf, root, instant)
    return issuer


def _log(root: SigstoreRoot, item: Logged) -> Log:
    return root.logs[bytes.fromhex(item.log)]


def _evidence(leaf: x509.Certificate, times: tuple[tuple[int, str], ...]) -> tuple[Evidence, ...]:
    begins = int(leaf.not_valid_before_utc.timestamp())
    return tuple(Evidence(min(begins, when), when, Voucher.INDEPENDENT, source) for when, source in times)


def _remarks(root: SigstoreRoot) -> tuple[str, ...]:
    unlogged = () if root.logs else (LOG_UNCHECKED,)
    return unlogged if root.certificate_logs else (*unlogged, sigstore.SCT_UNCHECKED)
