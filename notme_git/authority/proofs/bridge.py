"""An existing bridge certificate: a request signed with its mTLS key, as TLS would have the client show it.

The P-256 key signs `DOMAIN`, SHA-256 of the server's nonce and SHA-256 of what the request asks for, raw r||s. The
certificate is the TLS one of a pair, issued under the current epoch, in force and not revoked. It proves who holds it
and no more than it says: whoever renews by it renews the same grant.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest import asn1, certificate, keys
from attest import claims as claims_codec
from attest.claims import MAX_CLAIMS_BYTES, Claims
from attest.errors import Error, MalformedError, RefusedError
from attest.keys import KeyAlgorithm, PublicKey
from attest.profile import CLAIMS, SCOPES, SUBJECT
from attest.types import Epoch, RevocationKind
from notme_git.authority.embedded import Authority

METHOD = "bridge"
DOMAIN = b"notme-bridge-proof-v1\n"
MAX_PEM = 16 * 1024


@dataclass(frozen=True, slots=True)
class Bridge:
    """What a certificate says whose key was shown to be held. `subject` is upstream's principal id, `uri` the actor."""

    subject: str
    uri: str
    scopes: tuple[str, ...]
    claims: Claims
    signed_sha256: bytes
    not_after: datetime


def message(nonce: str, preimage: bytes) -> bytes:
    """What the mTLS key signs."""
    return DOMAIN + hashlib.sha256(nonce.encode()).digest() + hashlib.sha256(preimage).digest()


def verify(pem: str, signature: bytes, *, nonce: str, preimage: bytes, authority: Authority, at: datetime) -> Bridge:
    """The certificate's statement. Raises `RefusedError`; the caller uses the nonce up."""
    try:
        found = _load(pem)
        _check_issued(found, authority.epoch)
        key = _check_shape(found)
        read = _read(found)
        keys.verify_p1363(key, signature, message(nonce, preimage))
    except (Error, x509.ExtensionNotFound, *certificate.UNREADABLE) as error:
        raise RefusedError(f"bridge certificate: {error}") from None
    if not found.not_valid_before_utc <= at < read.not_after:
        raise RefusedError("bridge certificate: it is not in force now", hint="prove who you are anew")
    _check_revoked(authority, read)
    return read


def _load(pem: str) -> x509.Certificate:
    if len(pem) > MAX_PEM:
        raise MalformedError(f"longer than {MAX_PEM} characters")
    found = certificate.load_pem(pem.encode())
    if len(found) != 1:
        raise MalformedError("one certificate is asked for, the TLS one of a pair")
    return certificate.read(certificate.der_of(found[0]))


def _check_issued(found: x509.Certificate, epoch: Epoch) -> None:
    """Under one of the current epoch's roots, by its key and under its name."""
    roots = [certificate.read(der) for der in (epoch.root, epoch.interop_root) if der]
    anchor = certificate.find_anchor(found, [certificate.Anchor.read(root) for root in roots])
    if found.issuer != anchor.certificate.subject:
        raise MalformedError("its issuer name is not its issuer's subject name")


def _check_shape(found: x509.Certificate) -> PublicKey:
    """The TLS sibling of a pair: no CA, for client authentication alone, with a P-256 key."""
    constraints = found.extensions.get_extension_for_class(x509.BasicConstraints).value
    purposes = list(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    key = certificate.key_of(found)
    if constraints.ca or purposes != [ExtendedKeyUsageOID.CLIENT_AUTH] or key.algorithm is not KeyAlgorithm.P256:
        raise MalformedError("it is not the TLS one of a pair")
    return key


def _read(found: x509.Certificate) -> Bridge:
    named = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = named.get_values_for_type(x509.UniformResourceIdentifier)
    return Bridge(
        subject=asn1.decode(str, _value(found, SUBJECT), limit=MAX_CLAIMS_BYTES),
        uri=uri,
        scopes=tuple(asn1.decode_strings(_value(found, SCOPES), limit=MAX_CLAIMS_BYTES)),
        claims=claims_codec.decode(_value(found, CLAIMS)),
        signed_sha256=hashlib.sha256(found.tbs_certificate_bytes).digest(),
        not_after=found.not_valid_after_utc,
    )


def _value(found: x509.Certificate, oid: x509.ObjectIdentifier) -> bytes:
    value = found.extensions.get_extension_for_oid(oid).value
    if not isinstance(value, x509.UnrecognizedExtension):
        raise MalformedError(f"extension {oid.dotted_string} is of another kind")
    return value.value


def _check_revoked(authority: Authority, read: Bridge) -> None:
    """Whatever is revoked from any instant on: a certificate in force can only be newer, or stolen since."""
    represented = read.claims.represented
    named = {
        (RevocationKind.PRINCIPAL, read.uri),
        (RevocationKind.PRINCIPAL, represented.id if represented else ""),
        (RevocationKind.GRANT, read.claims.grant_id),
        (RevocationKind.SESSION, read.claims.session),
        (RevocationKind.CERTIFICATE, read.signed_sha256.hex()),
    }
    if any((each.kind, each.id) in named for each in authority.store.revocations()):
        raise RefusedError("bridge certificate: it, its grant, its session or its holder was revoked")
