"""The Sigstore bundle v0.3 around a DSSE envelope, with a certificate or of a bare key.

A bundle holds the envelope, the leaf of whoever signed it and time-stamps over the raw signature, so
that it can be checked long after the leaf's five minutes. `verify_bundle` is ours; stock Sigstore
verifiers check the same bytes under a trusted root that names our anchors.

The key is the certificate's, or one that the reader was given: a key id decides nothing. Transparency log entries in
a bundle are tolerated and not used: nothing is concluded from them.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from attest import asn1, certificate, evidence, keys, timestamp, trust
from attest.certificate import BridgeCertificate, Chain
from attest.dsse import (
    PAYLOAD_TYPE,
    Envelope,
    EnvelopeSignature,
    JsonObject,
    bytes_at,
    envelope_of,
    is_statement,
    object_at,
    objects_at,
    pae,
    quoted,
    read_json,
    text_at,
)
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.profile import FULCIO_ISSUER, RULES, Profile
from attest.trust import Trust
from attest.types import Evidence, PrincipalKind, Voucher

BUNDLE_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SCOPE = "sign:attestation"
"""What a verifier's certificate must be scoped to before its attestations count."""

MAX_TIMESTAMPS = 4
"""Each costs a signature check before anything is known about the sender."""

MAX_ISSUER_BYTES = 2048
"""An address; longer ones no browser takes either."""

_CHAIN_MEDIA_TYPES = frozenset(f"application/vnd.dev.sigstore.bundle+json;version=0.{minor}" for minor in (1, 2))
_MEDIA_TYPES = _CHAIN_MEDIA_TYPES | {
    BUNDLE_MEDIA_TYPE,
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
}


@dataclass(frozen=True, slots=True)
class Bundle:
    """Sigstore bundle v0.3: `certificate` is the signer's DER, `timestamps` are DER TimeStampResp (RFC 3161)."""

    certificate: bytes
    timestamps: tuple[bytes, ...]
    envelope: Envelope

    def encode(self) -> bytes:
        """One line of compact JSON without a line feed, fields in the order of the Sigstore protobufs."""
        signer = b'"certificate":{"rawBytes":"%b"}' % b64encode(self.certificate)
        return _bundled(signer, self.timestamps, self.envelope)


@dataclass(frozen=True, slots=True)
class KeyBundle:
    """Sigstore bundle v0.3 of a bare key: the envelope's one signature names it, and so does the hint."""

    timestamps: tuple[bytes, ...]
    envelope: Envelope

    def encode(self) -> bytes:
        """As `Bundle.encode`."""
        signer = b'"publicKey":{"hint":%b}' % quoted(self.envelope.signatures[0].keyid)
        return _bundled(signer, self.timestamps, self.envelope)


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """What a bundle proved: `signer` signed `payload`, no later than `time`, while its certificate was valid.

    `issuer` is the authority's address as the certificate carries it for stock Sigstore verifiers, or
    empty. `self_attested` says that who made the statement also made what it is about (design D10).
    """

    payload: bytes
    signer: BridgeCertificate
    time: datetime
    chain: Chain
    actor_kind: PrincipalKind
    issuer: str
    self_attested: bool


def assemble(
    payload: bytes,
    signature: bytes,
    *,
    certificate: bytes,
    timestamp_response: bytes | None,
    keyid: str = "",
    payload_type: str = PAYLOAD_TYPE,
) -> Bundle:
    """The bundle around `signature` over `pae(payload_type, payload)`.

    `certificate` is the signer's DER, `timestamp_response` a DER TimeStampResp over `signature`; a bundle
    without one can be written, and neither we nor stock verifiers accept it.
    """
    stamps = () if timestamp_response is None else (timestamp_response,)
    return Bundle(certificate, stamps, Envelope(payload, payload_type, (EnvelopeSignature(signature, keyid),)))


def parse_bundle(data: bytes) -> Bundle:
    """Read a Sigstore bundle (v0.1 to v0.3) with a certificate and a DSSE envelope of exactly one signature.

    Of a chain (v0.1, v0.2) only the leaf, which stands first, is taken: what is above it is pinned here.
    Raises `MalformedError`, also for bundles with a bare public key or over a bare message.
    """
    media_type, material, envelope = _opened(data)
    if "certificate" in material:
        leaf = object_at(material, "certificate")
    elif media_type in _CHAIN_MEDIA_TYPES:
        leaf = objects_at(object_at(material, "x509CertificateChain"), "certificates", most=10, least=1)[0]
    else:
        raise MalformedError("the bundle carries no certificate", hint="Bundles with a bare public key are not read.")
    return Bundle(certificate=bytes_at(leaf, "rawBytes"), timestamps=_timestamps(material), envelope=envelope)


def parse_key_bundle(data: bytes) -> KeyBundle:
    """Read a Sigstore bundle whose verification material is the hint of a bare key; `MalformedError`.

    The hint has to be the signature's key id (protobuf-specs, `sigstore_common.proto`, PublicKeyIdentifier); neither
    decides whose key it is.
    """
    _, material, envelope = _opened(data)
    hint = text_at(object_at(material, "publicKey"), "hint")
    if envelope.signatures[0].keyid != hint:
        raise MalformedError("the bundle's hint is not the key id of its signature")
    return KeyBundle(_timestamps(material), envelope)


def verify_bundle(bundle: Bundle, trusted: Trust, at: datetime, profile: Profile | None = None) -> VerifiedBundle:
    """Check a bundle offline: signature, chain, time, epoch and whether the signer may attest.

    `profile` narrows which certificates count.

    `at` is now. Raises `VerificationError` with the step that fails, `UnavailableError` where no
    time-stamp shows that the leaf was valid then, or the clock here is behind. Without a trust bundle
    epochs and revocation are not checked, as in an examination.
    """
    signature = bundle.envelope.signatures[0].sig
    try:
        leaf = asn1.load_certificate(bundle.certificate)
        key = certificate.key_of(leaf)
    except Error as error:
        raise VerificationError(
            Step.CHAIN, Reason.CERTIFICATE_INVALID, f"the bundle's certificate cannot be read: {error}"
        ) from None
    keys.verify_signature(key, signature, pae(bundle.envelope.payload_type, bundle.envelope.payload))
    chain = certificate.verify_chain(leaf, (), trusted.anchors, profile)
    found = _evidence(bundle, chain)
    best, *_ = evidence.verify_time(found, chain.leaf, at)
    if trusted.of(chain.anchor).bundle is not None:
        trust.verify_epoch(trusted, chain, found, at)
    actor_kind, self_attested = _verify_attester(chain.leaf, bundle.envelope)
    return VerifiedBundle(
        payload=bundle.envelope.payload,
        signer=chain.leaf,
        time=datetime.fromtimestamp(best.not_after, UTC),
        chain=chain,
        actor_kind=actor_kind,
        issuer=_issuer(leaf),
        self_attested=self_attested,
    )


def _bundled(signer: bytes, timestamps: Iterable[bytes], envelope: Envelope) -> bytes:
    """Written by hand, because base64 needs no escaping and `json` would look through all of it."""
    stamps = b",".join(b'{"signedTimestamp":"%b"}' % b64encode(stamp) for stamp in timestamps)
    return (
        b'{"mediaType":%b,"verificationMaterial":{%b,"tlogEntries":[],'
        b'"timestampVerificationData":{"rfc3161Timestamps":[%b]}},"dsseEnvelope":%b}'
    ) % (quoted(BUNDLE_MEDIA_TYPE), signer, stamps, envelope.encode())


def _evidence(bundle: Bundle, chain: Chain) -> tuple[Evidence, ...]:
    """As `evidence.collect` does for a commit: every time-stamp present must hold, under the leaf's own anchor."""
    found = []
    for response in bundle.timestamps:
        try:
            token = timestamp.open_response(response)
        except MalformedError as error:
            raise VerificationError(Step.TIME, Reason.TIMESTAMP_INVALID, error.message) from None
        stamp = timestamp.verify_timestamp(token, bundle.envelope.signatures[0].sig, (chain.anchor,))
        end = int((stamp.time + stamp.accuracy).timestamp())
        found.append(
            Evidence(
                not_before=min(int(chain.leaf.issued_at.timestamp()), end),
                not_after=end,
                voucher=Voucher.AUTHORITY,
                source=f"rfc3161:{stamp.anchor.key.key_id}",
            )
        )
    return tuple(found)


def _issuer(leaf: x509.Certificate) -> str:
    """Fulcio's issuer extension, OID 1.3.6.1.4.1.57264.1.8: a DER UTF8String; empty without one."""
    found = [e.value for e in leaf.extensions if e.oid == FULCIO_ISSUER]
    if not found or not isinstance(found[0], x509.UnrecognizedExtension):
        return ""
    try:
        return asn1.decode(str, found[0].value, limit=MAX_ISSUER_BYTES)
    except MalformedError as error:
        raise VerificationError(Step.CHAIN, Reason.CERTIFICATE_INVALID, f"issuer extension: {error.message}") from None


def _verify_attester(leaf: BridgeCertificate, envelope: Envelope) -> tuple[PrincipalKind, bool]:
    """Step 7 for a statement: a verifier may make any; an agent only one that says it is about its own work."""
    if not is_statement(envelope.payload_type):
        raise VerificationError(
            Step.OBJECT, Reason.OBJECT_MALFORMED, f"the payload is {envelope.payload_type!r}, not an in-toto Statement"
        )
    marked = _marked_self_attested(envelope.payload)
    kind = leaf.claims.actor_kind if leaf.claims else None
    if kind is PrincipalKind.VERIFIER and SCOPE in leaf.scopes:
        return kind, marked
    if kind is PrincipalKind.AGENT and marked and {SCOPE, RULES[leaf.profile].scope} & set(leaf.scopes):
        return kind, True
    raise VerificationError(
        Step.IDENTITY,
        Reason.SCOPE_MISSING,
        f"{leaf.subject} ({kind or 'no kind of principal'}) may not attest: it is no verifier with scope {SCOPE}",
        hint="Attest with a verifier's certificate; an agent's statement about its own work must be marked as such.",
    )


def _marked_self_attested(payload: bytes) -> bool:
    """`predicate.verification.verifier.selfAttested`, read from the very bytes that were verified."""
    try:
        value: object = read_json(payload)
    except MalformedError as error:
        raise VerificationError(Step.OBJECT, Reason.OBJECT_MALFORMED, error.message) from None
    for name in ("predicate", "verification", "verifier", "selfAttested"):
        value = value.get(name) if isinstance(value, dict) else None
    return value is True


def _opened(data: bytes) -> tuple[str, JsonObject, Envelope]:
    """A bundle's media type, verification material and envelope, which has exactly one signature."""
    top = read_json(data)
    media_type = text_at(top, "mediaType")
    if media_type not in _MEDIA_TYPES:
        raise MalformedError(f"{media_type!r} is not a Sigstore bundle of version 0.1 to 0.3")
    material, envelope = object_at(top, "verificationMaterial"), envelope_of(object_at(top, "dsseEnvelope"))
    if len(envelope.signatures) != 1:
        raise MalformedError(f"the bundle's envelope has {len(envelope.signatures)} signatures, not one")
    return media_type, material, envelope


def _timestamps(material: Mapping[str, Any]) -> tuple[bytes, ...]:
    stamps = object_at(material, "timestampVerificationData") if "timestampVerificationData" in material else {}
    items = objects_at(stamps, "rfc3161Timestamps", most=MAX_TIMESTAMPS) if "rfc3161Timestamps" in stamps else []
    return tuple(bytes_at(item, "signedTimestamp") for item in items)
