"""What a log's entry is of: this envelope, by this certificate, or the bundle pairs what does not belong together
(CVE-2022-36056).

Five kinds are met. Rekor version 1 writes `dsse` 0.0.1 and `intoto` 0.0.2 (the digest of the payload and the
signature) and takes `hashedrekord` 0.0.1 over the pre-authentication encoding; version 2 writes `hashedrekord` 0.0.2
and wrote `dsse` 0.0.2. All name the certificate. The digest of the whole envelope, which `dsse` and `intoto` add, is
over a spelling of its JSON that nobody keeps, and says nothing more: payload, type and signature are pinned without it.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from attest import dsse
from attest.dsse import Envelope
from attest.errors import MalformedError
from attest.keyless.entry import Entry, invalid
from attest.keyless.fields import Fields

_ARMOUR = re.compile(rb"-----BEGIN CERTIFICATE-----\n([A-Za-z0-9+/=\n]*)\n-----END CERTIFICATE-----\n?")


@dataclass(frozen=True, slots=True)
class Body:
    """What an entry says: a digest, of the payload or of what was signed, the signature, and who made it (DER)."""

    payload_digest: bytes | None
    signed_digest: bytes | None
    signature: bytes
    certificate: bytes


def verify_body(entry: Entry, envelope: Envelope, leaf: x509.Certificate) -> None:
    """Return where the entry is of the envelope's one signature; `VerificationError` with `LOG_ENTRY_INVALID`."""
    try:
        body = read(entry)
    except MalformedError as error:
        raise invalid(error.message) from None
    signed = dsse.pae(envelope.payload_type, envelope.payload)
    if body.payload_digest not in (None, hashlib.sha256(envelope.payload).digest()):
        raise invalid("it is of another payload")
    if body.signed_digest not in (None, hashlib.sha256(signed).digest()):
        raise invalid("it is of another envelope")
    if body.signature != envelope.signatures[0].sig:
        raise invalid("it is of another signature")
    if body.certificate != leaf.public_bytes(Encoding.DER):
        raise invalid("it names another certificate")


def read(entry: Entry) -> Body:
    """The body of any of the five kinds; `MalformedError`, also where it is of another kind than the entry says."""
    top = Fields(dsse.read_json(entry.body), "")
    kind = (top.text("kind"), top.text("apiVersion"))
    if kind != entry.kind:
        raise MalformedError("its body is of another kind than it says")
    reader = _READERS.get(kind)
    if reader is None:
        raise MalformedError(f"entries of the kind {kind[0][:40]!r} {kind[1][:40]!r} are not read")
    return reader(top.message("spec"))


def _dsse_1(spec: Fields) -> Body:
    made = spec.one("signatures")
    return Body(_hex(spec.message("payloadHash")), None, made.data("signature"), _pem(made.data("verifier")))


def _intoto_2(spec: Fields) -> Body:
    content = spec.message("content")
    made = content.message("envelope").one("signatures")
    signature = made.data("sig")
    try:
        # Base64 of base64: the field holds the text that stood in the envelope.
        once = b64decode(signature, validate=True)
    except ValueError:
        raise MalformedError("its signature is not base64") from None
    return Body(_hex(content.message("payloadHash")), None, once, _pem(made.data("publicKey")))


def _hashedrekord_1(spec: Fields) -> Body:
    made = spec.message("signature")
    certificate = _pem(made.message("publicKey").data("content"))
    return Body(None, _hex(spec.message("data").message("hash")), made.data("content"), certificate)


def _dsse_2(spec: Fields) -> Body:
    content = spec.message("dsseV002")
    made = content.one("signatures")
    return Body(_digest(content.message("payloadHash")), None, made.data("content"), _verifier(made))


def _hashedrekord_2(spec: Fields) -> Body:
    content = spec.message("hashedRekordV002")
    made = content.message("signature")
    return Body(None, _digest(content.message("data")), made.data("content"), _verifier(made))


_READERS: MappingProxyType[tuple[str, str], Callable[[Fields], Body]] = MappingProxyType(
    {
        ("dsse", "0.0.1"): _dsse_1,
        ("intoto", "0.0.2"): _intoto_2,
        ("hashedrekord", "0.0.1"): _hashedrekord_1,
        ("dsse", "0.0.2"): _dsse_2,
        ("hashedrekord", "0.0.2"): _hashedrekord_2,
    }
)


def _hex(fields: Fields) -> bytes:
    if fields.text("algorithm") != "sha256":
        raise MalformedError("its digest is not SHA-256")
    try:
        return bytes.fromhex(fields.text("value"))
    except ValueError:
        raise MalformedError("its digest is not hex") from None


def _digest(fields: Fields) -> bytes:
    if fields.text("algorithm") != "SHA2_256":
        raise MalformedError("its digest is not SHA-256")
    return fields.data("digest")


def _verifier(made: Fields) -> bytes:
    return made.message("verifier").message("x509Certificate").data("rawBytes")


def _pem(data: bytes) -> bytes:
    """What stands in the armour (RFC 7468); it is compared, and so never parsed."""
    match = _ARMOUR.fullmatch(data)
    try:
        return b64decode(match[1].replace(b"\n", b""), validate=True) if match else b""
    except ValueError:
        raise MalformedError("it names no certificate") from None
