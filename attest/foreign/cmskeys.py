"""What a signature in CMS of others is made with, and whether it holds: RSA, ECDSA, Ed25519.

RFC 3370, 5753, 5754, 4056 (PSS) and 8419. SHA-1, MD5 and RSA keys under 2048 bits are refused: whoever can make two
documents with one digest, or factor the modulus, signs what nobody saw. A name that is not known here is "could not
check". Ed25519 and P-256 with SHA-256 go the way of our own signatures, and under the one strictness rule (`keys`).
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from attest import keys
from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign import cmsdata
from attest.foreign.ber import Value
from attest.foreign.cmsdata import Algorithm

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MIN_RSA_BITS, MAX_RSA_BITS = 2048, 16384
"""Above, one check takes longer than a thousand of the usual ones."""

_DIGESTS: dict[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
_BROKEN = {
    "1.3.14.3.2.26": "SHA-1",
    "1.2.840.113549.2.5": "MD5",
    "1.2.840.113549.1.1.4": "RSA with MD5",
    "1.2.840.113549.1.1.5": "RSA with SHA-1",
    "1.3.14.3.2.29": "RSA with SHA-1",
    "1.2.840.10045.4.1": "ECDSA with SHA-1",
    "1.2.840.10040.4.3": "DSA with SHA-1",
}
_RSA, _PSS, _EC, _ED25519 = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.10045.2.1", "1.3.101.112"
_RSA_WITH = {
    "1.2.840.113549.1.1.11": hashes.SHA256(),
    "1.2.840.113549.1.1.12": hashes.SHA384(),
    "1.2.840.113549.1.1.13": hashes.SHA512(),
}
_ECDSA_WITH = {
    "1.2.840.10045.4.3.2": hashes.SHA256(),
    "1.2.840.10045.4.3.3": hashes.SHA384(),
    "1.2.840.10045.4.3.4": hashes.SHA512(),
}
_CURVES = {"secp256r1": "p256", "secp384r1": "p384", "secp521r1": "p521"}
_CURVES |= {f"brainpoolP{bits}r1": f"brainpool-p{bits}" for bits in (256, 384, 512)}
_MGF1 = "1.2.840.113549.1.1.8"


@functools.lru_cache(maxsize=keys.KEPT)
def load(spki: bytes) -> PublicKeyTypes | None:
    """The key in a SubjectPublicKeyInfo (DER); None where the library knows no such key."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        return load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def name(key: PublicKeyTypes | None) -> str:
    """`ed25519`, `rsa2048`, `ecdsa-p256`; empty for what is not read here."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return f"ecdsa-{_CURVES[key.curve.name]}"
    return ""


def digest_name(algorithm: Algorithm) -> str:
    """`sha256` and so on, or the dotted OID."""
    known = _DIGESTS.get(algorithm.oid)
    return known.name if known is not None else _BROKEN.get(algorithm.oid, algorithm.oid)


def digest(algorithm: Algorithm, content: bytes) -> bytes:
    """The digest of `content`; refuses broken algorithms and does not know others (as `verify` does)."""
    return hashlib.new(_digest(algorithm.oid).name, content).digest()


def verify(spki: bytes, algorithm: Algorithm, digest_algorithm: Algorithm, signature: bytes, message: bytes) -> None:
    """Return when `signature` by the key in `spki` is over exactly `message`, which is not hashed beforehand.

    Raises `VerificationError(Step.INTEGRITY, ...)`, `KEY_REFUSED` or `SIGNATURE_INVALID`; `UnavailableError` for an
    algorithm or key that nobody here knows.
    """
    if algorithm.oid in _BROKEN:
        _refuse(f"signed with {_BROKEN[algorithm.oid]}, which is broken")
    key = load(spki)
    if isinstance(key, rsa.RSAPublicKey):
        _verify_rsa(key, algorithm, digest_algorithm, signature, message)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        _verify_ecdsa(spki, key, algorithm, digest_algorithm, signature, message)
    elif isinstance(key, ed25519.Ed25519PublicKey) and algorithm.oid == _ED25519:
        _verify_ours(spki, signature, message)
    else:
        raise UnavailableError(f"nobody here checks signature algorithm {algorithm.oid} with the signer's key")


def _verify_rsa(
    key: rsa.RSAPublicKey, algorithm: Algorithm, digest_algorithm: Algorithm, signature: bytes, message: bytes
) -> None:
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        _refuse(f"an RSA key of {key.key_size} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are accepted")
    how: padding.AsymmetricPadding = padding.PKCS1v15()
    if algorithm.oid == _PSS:
        hashed, how = _pss(algorithm.parameters)
    elif algorithm.oid == _RSA:
        hashed = _digest(digest_algorithm.oid)
    elif algorithm.oid in _RSA_WITH:
        hashed = _RSA_WITH[algorithm.oid]
    else:
        raise UnavailableError(f"nobody here checks signature algorithm {algorithm.oid} with an RSA key")
    try:
        key.verify(signature, message, how, hashed)
    except (InvalidSignature, ValueError):
        raise _invalid("RSA") from None


def _verify_ecdsa(
    spki: bytes,
    key: ec.EllipticCurvePublicKey,
    algorithm: Algorithm,
    digest_algorithm: Algorithm,
    signature: bytes,
    message: bytes,
) -> None:
    if key.curve.name not in _CURVES:
        raise UnavailableError(f"nobody here checks signatures on curve {key.curve.name}")
    if algorithm.oid == _EC:
        hashed = _digest(digest_algorithm.oid)
    elif algorithm.oid in _ECDSA_WITH:
        hashed = _ECDSA_WITH[algorithm.oid]
    else:
        raise UnavailableError(f"nobody here checks signature algorithm {algorithm.oid} with an ECDSA key")
    if key.curve.name == "secp256r1" and hashed.name == "sha256":
        return _verify_ours(spki, signature, message)
    try:
        # In its one DER encoding: OpenSSL's decoder was lax once (CVE-2014-8275).
        if encode_dss_signature(*decode_dss_signature(signature)) != signature:
            raise _invalid("ECDSA")
        key.verify(signature, message, ec.ECDSA(hashed))
    except (InvalidSignature, ValueError):
        raise _invalid("ECDSA") from None


def _verify_ours(spki: bytes, signature: bytes, message: bytes) -> None:
    try:
        key = keys.parse_spki(spki)
    except MalformedError as error:
        raise VerificationError(
            Step.INTEGRITY, Reason.KEY_REFUSED, f"the signer's key is refused: {error.message}"
        ) from None
    keys.verify_signature(key, signature, message)


def _pss(parameters: Value | None) -> tuple[hashes.HashAlgorithm, padding.PSS]:
    """RSASSA-PSS-params (RFC 4055 section 3.1); the defaults are all SHA-1."""
    fields = {} if parameters is None else {child.tag: child for child in parameters.children}
    if b"\xa0" not in fields or b"\xa1" not in fields:
        _refuse("signed with RSA-PSS and SHA-1, which is broken")
    if any(len(field.children) != 1 for field in fields.values()):
        raise MalformedError("not BER of RSASSA-PSS-params")
    hashed = _digest(cmsdata.read_algorithm(fields[b"\xa0"].children[0]).oid)
    mask = cmsdata.read_algorithm(fields[b"\xa1"].children[0])
    if mask.oid != _MGF1 or mask.parameters is None:
        raise UnavailableError(f"nobody here checks RSA-PSS with mask generation {mask.oid}")
    masked = _digest(cmsdata.read_algorithm(mask.parameters).oid)
    salt = cmsdata.read_integer(fields[b"\xa2"].children[0]) if b"\xa2" in fields else 20
    trailer = cmsdata.read_integer(fields[b"\xa3"].children[0]) if b"\xa3" in fields else 1
    if not 0 <= salt <= MAX_RSA_BITS // 8 or trailer != 1:
        raise MalformedError("RSASSA-PSS-params are out of range (RFC 4055 section 3.1)")
    return hashed, padding.PSS(padding.MGF1(masked), salt)


def _digest(oid: str) -> hashes.HashAlgorithm:
    if oid in _BROKEN:
        _refuse(f"a digest by {_BROKEN[oid]}, which is broken")
    if oid not in _DIGESTS:
        raise UnavailableError(f"nobody here knows digest algorithm {oid}")
    return _DIGESTS[oid]


def _refuse(why: str) -> NoReturn:
    raise VerificationError(Step.INTEGRITY, Reason.KEY_REFUSED, why)


def _invalid(kind: str) -> VerificationError:
    return VerificationError(
        Step.INTEGRITY, Reason.SIGNATURE_INVALID, f"the {kind} signature is not over this content by this key"
    )
