"""One attestation, of whatever kind: whose signature it bears, and what it says.

=====================================  ==========================================================================
a line                                 counts when
=====================================  ==========================================================================
Sigstore bundle with a certificate     the certificate leads to a pinned anchor and is a verifier's (`bundles`)
the same, of any Sigstore instance     the identity in it is one of those named, under the root named (`keyless`)
Sigstore bundle of a bare key          the key is one of those named
DSSE envelope                          at least one of the keys named signed it; all that did are told
witness statement                      one of the keys named as a server's signed it (`receive.witness`)
=====================================  ==========================================================================

Nothing else counts, and by default nothing but the first. A line says who signed it only once that was verified; key
ids, and names in the statement, are claims.
"""

from __future__ import annotations

import enum
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from attest import bundles, dsse, lines, said, stamps, witnessed
from attest.attester import uri_of
from attest.dsse import Envelope
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.keys import PublicKey
from attest.profile import Profile
from attest.said import Said
from attest.trust import Trust
from attest.types import Voucher

if TYPE_CHECKING:
    from attest.keyless.verify import Identity


class Credential(enum.StrEnum):
    """What stands behind an attester."""

    CERTIFICATE = "certificate"
    """A bridge certificate of a pinned authority."""
    KEY = "key"
    SIGSTORE = "sigstore"
    WITNESS = "witness"
    """The key of a server that receives pushes."""


@dataclass(frozen=True, slots=True)
class Accepting:
    """Whose attestations count: verifiers under the anchors of `trusted`, and whoever else is named.

    `identities` count under the Sigstore root in `trusted.foreign`. With `agents` a statement that an agent made about
    its own work, and marked as such, is read too.
    """

    trusted: Trust
    keys: tuple[PublicKey, ...] = ()
    witnesses: tuple[PublicKey, ...] = ()
    identities: tuple[Identity, ...] = ()
    agents: bool = False
    profile: Profile | None = None
    """Which profile of certificates counts; None: each."""

    @property
    def anybody(self) -> bool:
        """Whether anybody's count."""
        return bool(self.trusted.anchors or self.keys or self.witnesses or self.identities)


@dataclass(frozen=True, slots=True)
class By:
    """An attester that signed: its URI (of a bare key RFC 6920's), and what vouches for it.

    `issuer` is the authority's address or the OpenID provider, empty for keys. `key` is a bare key, None where there is
    a new one with every signature. `anchor` is SHA-256 of the SPKI that a bridge certificate leads to, else empty.
    """

    credential: Credential
    uri: str
    issuer: str = ""
    key: PublicKey | None = None
    kind: str = "verifier"
    anchor: bytes = b""

    @property
    def spki(self) -> str:
        """SubjectPublicKeyInfo of a bare key in base64, else empty."""
        return b64encode(self.key.spki).decode("ascii") if self.key is not None else ""


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a line proved: everybody in `by` signed the statement `said`.

    `time` is the instant by which it existed, and `voucher` who says so; None for bare keys, which need none.
    """

    said: Said
    by: tuple[By, ...]
    time: datetime | None = None
    voucher: Voucher | None = None
    remarks: tuple[str, ...] = ()


def verify(line: bytes, accepting: Accepting, at: datetime) -> Attestation:
    """What one line proves; `at` is now.

    Raises `MalformedError` for what is no attestation, `VerificationError` where nobody who counts signed it, and
    `UnavailableError` where that cannot be told: without a time-stamp, or with a clock that is behind.
    """
    if stamps.is_stamp(line):
        raise MalformedError("it is a time-stamp, and states nothing")
    top = dsse.read_json(line)
    if top.get("mediaType") == witnessed.MEDIA_TYPE:
        return _witnessed(line, accepting)
    if "dsseEnvelope" not in top:
        return _enveloped(dsse.parse_envelope(line), accepting)
    material = top.get("verificationMaterial")
    if isinstance(material, dict) and "publicKey" in material:
        return _enveloped(bundles.parse_key_bundle(line).envelope, accepting)
    return _certified(line, accepting, at)


def _enveloped(envelope: Envelope, accepting: Accepting) -> Attestation:
    """Signatures by bare keys. The type of the payload is looked at once it is known whose it is, as DSSE asks."""
    signed = dsse.verify_envelope(envelope, accepting.keys)
    if not dsse.is_statement(envelope.payload_type):
        raise MalformedError(f"the payload is {envelope.payload_type[:80]!r}, not an in-toto Statement")
    by = tuple(By(Credential.KEY, uri_of(key), key=key) for key in signed)
    return _checked(Attestation(said.read(envelope.payload), by), accepting)


def _certified(line: bytes, accepting: Accepting, at: datetime) -> Attestation:
    try:
        found = bundles.verify_bundle(bundles.parse_bundle(line), accepting.trusted, at, accepting.profile)
    except VerificationError as error:
        if error.reason is not Reason.ANCHOR_UNKNOWN or not accepting.identities:
            raise
        return _keyless(line, accepting, at)
    anchor = found.chain.anchor.key.spki_sha256
    by = By(Credential.CERTIFICATE, found.signer.uri, found.issuer, kind=str(found.actor_kind), anchor=anchor)
    return _checked(Attestation(said.read(found.payload), (by,), found.time, Voucher.AUTHORITY), accepting)


def _keyless(line: bytes, accepting: Accepting, at: datetime) -> Attestation:
    """Under the Sigstore root that the verifier named, where no anchor of ours stands behind the certificate."""
    from attest.keyless import verify as keyless
    from attest.keyless.bundle import KeylessBundle

    root = accepting.trusted.foreign.sigstore if accepting.trusted.foreign is not None else None
    if root is None:
        raise VerificationError(
            Step.CHAIN,
            Reason.ANCHOR_UNKNOWN,
            "no pinned authority issued the certificate, and no root of Sigstore was named",
            hint="--sigstore-root FILE names one",
        )
    proven = keyless.verify_keyless(KeylessBundle.parse(line), root, at)
    who = keyless.verify_identity(proven, *accepting.identities)
    by = By(Credential.SIGSTORE, who.uri, who.issuer)
    made = Attestation(said.read(proven.payload), (by,), proven.time, Voucher.INDEPENDENT, proven.remarks)
    return _checked(made, accepting)


def _checked(made: Attestation, accepting: Accepting) -> Attestation:
    if made.said.self_attested and not accepting.agents:
        raise VerificationError(
            Step.IDENTITY,
            Reason.SCOPE_MISSING,
            f"it is self-attested: {made.by[0].uri} signed it about its own work, and is no verifier of it",
        )
    return made


def _witnessed(line: bytes, accepting: Accepting) -> Attestation:
    envelope = lines.envelope_of(dsse.read_json(line))
    statement = said.read(envelope.payload)
    oid = next(iter(statement.subjects[0].digests.values()))
    found = witnessed.verify(line, oid, accepting.witnesses)
    by = By(Credential.WITNESS, uri_of(found.key), key=found.key, kind="witness")
    return Attestation(statement, (by,))
