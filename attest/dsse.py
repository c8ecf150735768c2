"""DSSE envelopes (protocol 1.0.2) and the Sigstore bundle v0.3 around one.

A bundle holds the envelope, the leaf of whoever signed it and time-stamps over the raw signature, so
that it can be checked long after the leaf's five minutes. `verify_bundle` is ours; stock Sigstore
verifiers check the same bytes under a trusted root that names our anchors.

Key ids are unauthenticated hints and decide nothing here: the key is the certificate's. Transparency
log entries in a bundle are tolerated and not used: nothing is concluded from them.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from cryptography import x509

from attest import asn1, certificate, evidence, keys, timestamp, trust
from attest.certificate import BridgeCertificate, Chain
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.keys import PublicKey
from attest.profile import FULCIO_ISSUER, RULES
from attest.trust import Trust
from attest.types import Evidence, PrincipalKind, Voucher

PAYLOAD_TYPE = "application/vnd.in-toto+json"
BUNDLE_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SCOPE = "sign:attestation"
"""What a verifier's certificate must be scoped to before its attestations count."""

MAX_JSON_BYTES = 1024 * 1024
"""A commit's bundle is under 8 KiB; a summary that lists some thousand attestations still fits."""

MAX_JSON_DEPTH = 64
"""Our statements nest 7 deep; without a bound the parser's recursion is the bound."""

MAX_SIGNATURES = 16
MAX_TIMESTAMPS = 4
"""Each costs a signature check before anything is known about the sender."""

MAX_ISSUER_BYTES = 2048
"""An address; longer ones no browser takes either."""

JsonObject: TypeAlias = dict[str, Any]

_CHAIN_MEDIA_TYPES = frozenset(f"application/vnd.dev.sigstore.bundle+json;version=0.{minor}" for minor in (1, 2))
_MEDIA_TYPES = _CHAIN_MEDIA_TYPES | {
    BUNDLE_MEDIA_TYPE,
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
}


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature of an envelope, raw bytes. `keyid` is whatever the signer wrote."""

    sig: bytes
    keyid: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type and at least one signature; nothing in it is verified."""

    payload: bytes
    payload_type: str
    signatures: tuple[EnvelopeSignature, ...]

    def encode(self) -> bytes:
        """Compact JSON with padded standard base64, the form every reader takes."""
        signatures = (b'{"sig":"%b","keyid":%b}' % (b64encode(s.sig), _quoted(s.keyid)) for s in self.signatures)
        return b'{"payload":"%b","payloadType":%b,"signatures":[%b]}' % (
            b64encode(self.payload),
            _quoted(self.payload_type),
            b",".join(signatures),
        )


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
        signer = b'"publicKey":{"hint":%b}' % _quoted(self.envelope.signatures[0].keyid)
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


def _bundled(signer: bytes, timestamps: Iterable[bytes], envelope: Envelope) -> bytes:
    """Written by hand, because base64 needs no escaping and `json` would look through all of it."""
    stamps = b",".join(b'{"signedTimestamp":"%b"}' % b64encode(stamp) for stamp in timestamps)
    return (
        b'{"mediaType":%b,"verificationMaterial":{%b,"tlogEntries":[],'
        b'"timestampVerificationData":{"rfc3161Timestamps":[%b]}},"dsseEnvelope":%b}'
    ) % (_quoted(BUNDLE_MEDIA_TYPE), signer, stamps, envelope.encode())


def pae(payload_type: str, payload: bytes) -> bytes:
    """The bytes a DSSE signature covers: pre-authentication encoding, protocol 1.0.2, over the raw payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


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


def parse_envelope(data: bytes) -> Envelope:
    """Read a DSSE envelope: JSON as `read_json` has it, base64 of either alphabet, padded or not.

    Unknown fields are ignored, as the protocol asks. Raises `MalformedError`, also for an envelope
    without a signature.
    """
    return envelope_of(read_json(data))


def envelope_of(top: Mapping[str, Any]) -> Envelope:
    """The same for an object that `read_json` returned, or that is within one."""
    signatures = tuple(
        EnvelopeSignature(sig=_bytes(item, "sig"), keyid=_text(item, "keyid") if "keyid" in item else "")
        for item in _objects(top, "signatures", most=MAX_SIGNATURES, least=1)
    )
    return Envelope(payload=_bytes(top, "payload"), payload_type=_text(top, "payloadType"), signatures=signatures)


def parse_bundle(data: bytes) -> Bundle:
    """Read a Sigstore bundle (v0.1 to v0.3) with a certificate and a DSSE envelope of exactly one signature.

    Of a chain (v0.1, v0.2) only the leaf, which stands first, is taken: what is above it is pinned here.
    Raises `MalformedError`, also for bundles with a bare public key or over a bare message.
    """
    media_type, material, envelope = _opened(data)
    if "certificate" in material:
        leaf = _object(material, "certificate")
    elif media_type in _CHAIN_MEDIA_TYPES:
        leaf = _objects(_object(material, "x509CertificateChain"), "certificates", most=10, least=1)[0]
    else:
        raise MalformedError("the bundle carries no certificate", hint="Bundles with a bare public key are not read.")
    return Bundle(certificate=_bytes(leaf, "rawBytes"), timestamps=_timestamps(material), envelope=envelope)


def parse_key_bundle(data: bytes) -> KeyBundle:
    """Read a Sigstore bundle whose verification material is the hint of a bare key; `MalformedError`.

    The hint has to be the signature's key id (protobuf-specs, `sigstore_common.proto`, PublicKeyIdentifier); neither
    decides whose key it is.
    """
    _, material, envelope = _opened(data)
    hint = _text(_object(material, "publicKey"), "hint")
    if envelope.signatures[0].keyid != hint:
        raise MalformedError("the bundle's hint is not the key id of its signature")
    return KeyBundle(_timestamps(material), envelope)


def verify_envelope(envelope: Envelope, accepted: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    """The accepted keys that signed, each once; at least one did. Who wants n of m counts them.

    Protocol 1.0.2, "(t, n)-ENVELOPE": keys are counted, not signatures and not key ids, which anybody can write. A
    signature that no accepted key made is passed over. Raises `VerificationError` where none is left.
    """
    message = pae(envelope.payload_type, envelope.payload)
    signed = tuple(key for key in dict.fromkeys(accepted) if _signed(envelope, key, message))
    if not signed:
        raise VerificationError(Step.INTEGRITY, Reason.KEY_UNKNOWN, "no key that was named signed it")
    return signed


def verify_bundle(bundle: Bundle, trusted: Trust, at: datetime) -> VerifiedBundle:
    """Check a bundle offline: signature, chain, time, epoch and whether the signer may attest.

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
    chain = certificate.verify_chain(leaf, (), trusted.anchors)
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


def read_json(data: bytes) -> JsonObject:
    """The one JSON object in `data`, read so that no two readers can see different things in it.

    Refused with `MalformedError`: more than `MAX_JSON_BYTES` or `MAX_JSON_DEPTH`, anything but UTF-8,
    duplicate keys (RFC 8259 section 4 leaves them open), NaN and numbers that overflow, lone surrogates.
    """
    if len(data) > MAX_JSON_BYTES:
        raise MalformedError(f"{len(data)} bytes of JSON; at most {MAX_JSON_BYTES} are read")
    try:
        value = _DECODER.decode(data.decode())
    except ValueError as error:
        raise MalformedError(f"not one JSON document in UTF-8: {error}") from None
    except RecursionError:
        raise MalformedError("JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise MalformedError("JSON document is not an object")
    # Fewer brackets than that cannot nest deeper; and only an escape makes a lone surrogate.
    if data.count(b"{") + data.count(b"[") > MAX_JSON_DEPTH or b"\\u" in data:
        _check_depth_and_text(value)
    return value


def _signed(envelope: Envelope, key: PublicKey, message: bytes) -> bool:
    for made in envelope.signatures:
        try:
            keys.verify_signature(key, made.sig, message)
        except VerificationError:
            continue
        return True
    return False


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
    if envelope.payload_type != PAYLOAD_TYPE:
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
    media_type = _text(top, "mediaType")
    if media_type not in _MEDIA_TYPES:
        raise MalformedError(f"{media_type!r} is not a Sigstore bundle of version 0.1 to 0.3")
    material, envelope = _object(top, "verificationMaterial"), envelope_of(_object(top, "dsseEnvelope"))
    if len(envelope.signatures) != 1:
        raise MalformedError(f"the bundle's envelope has {len(envelope.signatures)} signatures, not one")
    return media_type, material, envelope


def _timestamps(material: Mapping[str, Any]) -> tuple[bytes, ...]:
    stamps = _object(material, "timestampVerificationData") if "timestampVerificationData" in material else {}
    items = _objects(stamps, "rfc3161Timestamps", most=MAX_TIMESTAMPS) if "rfc3161Timestamps" in stamps else []
    return tuple(_bytes(item, "signedTimestamp") for item in items)


def _object(top: Mapping[str, Any], name: str) -> JsonObject:
    value = top.get(name)
    if not isinstance(value, dict):
        raise MalformedError(f"{name} is missing or not an object")
    return value


def _objects(top: Mapping[str, Any], name: str, *, most: int, least: int = 0) -> list[JsonObject]:
    value = top.get(name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise MalformedError(f"{name} is missing or not a list of objects")
    if not least <= len(value) <= most:
        raise MalformedError(f"{name} has {len(value)} entries, not {least} to {most}")
    return value


def _text(top: Mapping[str, Any], name: str) -> str:
    value = top.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"{name} is missing or not a string")
    return value


def _bytes(top: Mapping[str, Any], name: str) -> bytes:
    """Base64 in one alphabet, padded or not; its re-encoding must give the text back.

    That one comparison refuses mixed alphabets, white space, stray padding and set trailing bits.
    """
    text = _text(top, name)
    url = "-" in text or "_" in text
    try:
        data = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_" if url else None, validate=True)
    except ValueError as error:
        raise MalformedError(f"{name} is not base64: {error}") from None
    again = (urlsafe_b64encode(data) if url else b64encode(data)).decode("ascii")
    if text not in (again, again.rstrip("=")):
        raise MalformedError(f"{name} is not base64 in one of its four plain spellings")
    if not data and name != "payload":
        raise MalformedError(f"{name} is empty")
    return data


def _check_depth_and_text(top: JsonObject) -> None:
    """Walks without recursion; a lone surrogate is a string that has no UTF-8 and so no second reader."""
    level: list[Any] = [top]
    for _ in range(MAX_JSON_DEPTH):
        following: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                following += value
                following += value.values()
            elif isinstance(value, list):
                following += value
            elif isinstance(value, str) and not value.isascii():
                try:
                    value.encode()
                except UnicodeEncodeError:
                    raise MalformedError("a JSON string holds half of a surrogate pair") from None
        if not following:
            return
        level = following
    raise MalformedError(f"JSON is nested more than {MAX_JSON_DEPTH} deep")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is not a number of JSON's range")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_float=_finite, parse_constant=_finite)


def _quoted(text: str) -> bytes:
    return json.dumps(text).encode("ascii")
