"""Public keys and signatures, and the one strictness rule for both (design D1).

RFC 8032 leaves the cofactor open, and libraries differ on points of small order, on second spellings
of a point and on S >= L. A signature that one verifier takes and the next refuses is no evidence. The
inputs on which libraries differ are therefore refused here, before any library is asked; on what
remains they agree (tests/compat/test_signature_vectors.py holds OpenSSL against libsodium).

A `PublicKey` that exists has passed the rule, so a signature costs only the checks on R and S.
"""

from __future__ import annotations

import enum
import functools
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.asn1 import TLV, BitString, decode_der, sequence
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ObjectIdentifier

from attest.errors import MalformedError, Reason, Step, VerificationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

# RFC 8410 section 4: id-Ed25519 without parameters, then a BIT STRING of 32 bytes.
_ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")
_ED25519_SPKI_SIZE = 44
# RFC 5480 section 2: id-ecPublicKey with namedCurve secp256r1, then an uncompressed point (04 x y).
# Explicit curve parameters (CVE-2020-0601), compressed and hybrid points never reach a library.
_P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_P256_SPKI_SIZE = 91
_P256_POINT_SIZE = 65

KEPT = 256
"""Keys that are remembered as parsed: what an authority or a verifier meets, it meets more than once."""

MAX_SPKI_SIZE = 4096
"""Bytes read to name the algorithm of a refused key; an RSA key of 16384 bits takes some 2100."""
MAX_ECDSA_DER_SIZE = 72
"""A SEQUENCE of two INTEGERs of at most 33 bytes each (32 and a sign byte), every header 2 bytes."""
_ECDSA = ECDSA(SHA256())
_SIGNATURE_SIZE = 64  # R and S (RFC 8032 section 5.1.6) or r and s (IEEE P1363), 32 bytes each

_P = 2**255 - 19  # the field of edwards25519, RFC 8032 section 5.1
_L = 2**252 + 27742317777372353535851937790883648493  # the order of its base point, same section
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # P-256, SP 800-186 section 3.2.1.3
_SIGN = 1 << 255  # top bit of an encoded Edwards point: the parity of x

# Doubling a point of order 8 gives y = 0, hence x^2 = -y^2, and with the equation of the curve
# d y^4 + 2 y^2 - 1 = 0. Its roots in the field are this y and -y.
_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7


def _points(*ys: int) -> frozenset[bytes]:
    """The encodings of these y with either sign of x (RFC 8032 section 5.1.2)."""
    return frozenset((y | sign).to_bytes(32, "little") for y in ys for sign in (0, _SIGN))


# RFC 8032 section 5.1.3 makes a decoder refuse y >= p and, where x = 0 (y = 1, y = -1), a set sign.
_SECOND_SPELLINGS = _points(*range(_P, _SIGN)) | {(y | _SIGN).to_bytes(32, "little") for y in (1, _P - 1)}
# The cofactor is 8, so eight points have an order that divides it: y = 1 (order 1), y = -1 (order 2),
# y = 0 (order 4, two points) and four of order 8. A key among them signs any message.
_SMALL_ORDER = _points(0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y) - _SECOND_SPELLINGS
_REFUSED_POINTS = _SECOND_SPELLINGS | _SMALL_ORDER


class KeyAlgorithm(enum.StrEnum):
    """The project's algorithms: pure Ed25519 (RFC 8032), and ECDSA on P-256 with SHA-256 (FIPS 186-5)."""

    ED25519 = "ed25519"
    P256 = "ecdsa-p256"


@dataclass(frozen=True)
class PublicKey:
    """A public key that has passed the strictness rule, made from its canonical SPKI DER alone.

    `spki` is 44 bytes for Ed25519 (RFC 8410 section 4), 91 for P-256 (RFC 5480 section 2); `raw` the
    32 byte Ed25519 point or the 65 byte uncompressed P-256 point. Raises `MalformedError` for every
    other algorithm, curve and spelling, for a P-256 point off the curve, and for an Ed25519 point of
    small order. Whether an Ed25519 point is on the curve is left to the verification, which fails for
    one that is not: asking here would cost about as much as a verification.
    """

    spki: bytes
    algorithm: KeyAlgorithm = field(init=False, compare=False)
    raw: bytes = field(init=False, compare=False)
    _key: Ed25519PublicKey | EllipticCurvePublicKey = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        size = len(self.spki)
        if size == _ED25519_SPKI_SIZE and self.spki.startswith(_ED25519_PREFIX):
            algorithm, raw = KeyAlgorithm.ED25519, self.spki[len(_ED25519_PREFIX) :]
            key: Ed25519PublicKey | EllipticCurvePublicKey = _load_ed25519(raw)
        elif size == _P256_SPKI_SIZE and self.spki.startswith(_P256_PREFIX):
            algorithm, raw = KeyAlgorithm.P256, self.spki[-_P256_POINT_SIZE:]
            key = _load_p256(raw)
        else:
            raise _unsupported(self.spki)
        object.__setattr__(self, "algorithm", algorithm)
        object.__setattr__(self, "raw", raw)
        object.__setattr__(self, "_key", key)

    @property
    def spki_sha256(self) -> bytes:
        """SHA-256 of the SPKI, 32 bytes: what a verifier pins."""
        return hashlib.sha256(self.spki).digest()

    @property
    def key_id(self) -> str:
        """The kid of the notme authority: the first 16 bytes of `spki_sha256`, 32 lower-case hex digits.

        Half a digest: for display and for a parity check, never the only selector of a key.
        """
        return self.spki_sha256[:16].hex()


@functools.lru_cache(maxsize=KEPT)
def parse_spki(der: bytes) -> PublicKey:
    """The key in a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), canonical DER without trailing bytes.

    Raises `MalformedError` as `PublicKey` does; for another algorithm or curve the message names its OID.
    """
    return PublicKey(der)


def ed25519(raw: bytes) -> PublicKey:
    """The key with this encoded point, 32 bytes (RFC 8032 section 5.1.2), or `MalformedError`."""
    if len(raw) != _ED25519_SPKI_SIZE - len(_ED25519_PREFIX):
        raise MalformedError(f"an Ed25519 public key has 32 bytes, not {len(raw)}")
    return PublicKey(_ED25519_PREFIX + raw)


def from_cryptography(key: PublicKeyTypes) -> PublicKey:
    """The same key under the strictness rule, or `MalformedError`.

    The object no longer knows how its key was spelled: where the spelling counts (a certificate), the
    caller also compares the SPKI in the bytes with `spki`.
    """
    return PublicKey(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def verify_signature(key: PublicKey, signature: bytes, message: bytes) -> None:
    """Return when `signature` by `key` is over exactly `message`, which is not hashed beforehand.

    Ed25519: 64 bytes R and S (RFC 8032 section 5.1.7), both canonical, R not of small order.
    ECDSA: DER of (r, s) (RFC 3279 section 2.2.3) in its one encoding, r and s in [1, n-1], SHA-256;
    either of s and n - s, as FIPS 186-5 has it, so two byte strings can be the same signature.
    Raises `VerificationError(Step.INTEGRITY, Reason.SIGNATURE_INVALID)`.
    """
    checker = key._key
    if key.algorithm is KeyAlgorithm.ED25519:
        _check_ed25519_signature(signature)
        if not _ed25519(key, signature, message):
            raise _invalid("the Ed25519 signature is not over this content by this key")
        return
    if len(signature) > MAX_ECDSA_DER_SIZE:
        raise _invalid(f"an ECDSA signature has at most {MAX_ECDSA_DER_SIZE} bytes, not {len(signature)}")
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        raise _invalid("the ECDSA signature is not DER of two integers") from None
    # The decoder is strict today, but does not promise to stay so.
    if encode_dss_signature(r, s) != signature:
        raise _invalid("the ECDSA signature is not in its one DER encoding")
    _verify_ecdsa(checker, r, s, signature, message)  # type: ignore[arg-type]


def _openssl(key: PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key._key.verify(signature, message)  # type: ignore[call-arg]  # for Ed25519 keys alone
    except InvalidSignature:
        return False
    return True


_ed25519 = _openssl


def use_libsodium() -> None:
    """From now on have Ed25519 checked by libsodium, in half of OpenSSL's time.

    For whoever checks thousands: loading it takes as long as some three hundred checks. On what the strictness rule
    lets through, the two libraries agree, so that nothing else changes (tests/compat/test_signature_vectors.py).
    """
    global _ed25519
    from nacl.bindings import crypto_sign_open
    from nacl.exceptions import CryptoError

    def libsodium(key: PublicKey, signature: bytes, message: bytes) -> bool:
        try:
            crypto_sign_open(signature + message, key.raw)
        except CryptoError:
            return False
        return True

    _ed25519 = libsodium


def verify_p1363(key: PublicKey, signature: bytes, message: bytes) -> None:
    """Return when `signature`, r and s as 32 bytes each (IEEE P1363), by `key` (P-256) is over `message`.

    The form of a proof of possession of the notme authority and of JWS ES256 (RFC 7518 section 3.4);
    SHA-256 is applied once. Raises `VerificationError(Step.INTEGRITY, ...)`, `KEY_REFUSED` when
    the key is not P-256, else `SIGNATURE_INVALID`.
    """
    if isinstance(key._key, Ed25519PublicKey):
        raise VerificationError(
            Step.INTEGRITY,
            Reason.KEY_REFUSED,
            "a signature of the form r, s needs a P-256 key; this one is for Ed25519",
            hint="Check that the two keys of the pair were not swapped.",
        )
    if len(signature) != _SIGNATURE_SIZE:
        raise _invalid(f"an ECDSA signature of the form r, s has 64 bytes, not {len(signature)}")
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    _verify_ecdsa(key._key, r, s, encode_dss_signature(r, s), message)


def _check_ed25519_signature(signature: bytes) -> None:
    """The part of the rule that concerns one signature: length, R, and S < L against malleability."""
    if len(signature) != _SIGNATURE_SIZE:
        raise _invalid(f"an Ed25519 signature has 64 bytes, not {len(signature)}")
    if signature[:32] in _REFUSED_POINTS:
        raise _invalid("R of the Ed25519 signature is of small order or not canonical")
    if int.from_bytes(signature[32:], "little") >= _L:
        raise _invalid("S of the Ed25519 signature is not below the group order")


def _verify_ecdsa(key: EllipticCurvePublicKey, r: int, s: int, der: bytes, message: bytes) -> None:
    """ECDSA with SHA-256, `der` being r and s. The range is checked because CVE-2022-21449 was a library without it."""
    if not (0 < r < _N and 0 < s < _N):
        raise _invalid("r or s of the ECDSA signature is outside [1, n-1]")
    try:
        key.verify(der, message, _ECDSA)
    except InvalidSignature:
        raise _invalid("the ECDSA signature is not over this content by this key") from None


def _load_ed25519(raw: bytes) -> Ed25519PublicKey:
    if raw in _SMALL_ORDER:
        raise MalformedError("the Ed25519 public key is a point of small order, which signs any message")
    if raw in _SECOND_SPELLINGS:
        raise MalformedError("the Ed25519 public key is not the canonical encoding of a point")
    return Ed25519PublicKey.from_public_bytes(raw)


def _load_p256(raw: bytes) -> EllipticCurvePublicKey:
    try:
        return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), raw)
    except ValueError:
        raise MalformedError("the P-256 public key is not a point on the curve") from None


@sequence
class _SubjectPublicKeyInfo:
    """RFC 5280 section 4.1.2.7, with the algorithm left closed: only refused keys are read with this."""

    algorithm: TLV
    key: BitString


def _unsupported(spki: bytes) -> MalformedError:
    """The error for bytes that are neither of the two forms; names algorithm and curve where it can."""
    hint = "Use an Ed25519 key, or P-256 as a named curve with an uncompressed point."
    if len(spki) > MAX_SPKI_SIZE:
        return MalformedError(f"a public key of {len(spki)} bytes, over {MAX_SPKI_SIZE}", hint=hint)
    try:
        rest = bytes(decode_der(_SubjectPublicKeyInfo, spki).algorithm.data)
        names: list[str] = []
        while rest[:1] == b"\x06" and len(names) < 2:
            end = 2 + rest[1]
            names.append(decode_der(ObjectIdentifier, rest[:end]).dotted_string)
            rest = rest[end:]
    except (ValueError, IndexError):
        return MalformedError("not DER of a public key (SubjectPublicKeyInfo)", hint=hint)
    named = " ".join(names) or "without an OID"
    return MalformedError(f"public key algorithm {named}: unsupported, or not canonical", hint=hint)


def _invalid(message: str) -> VerificationError:
    return VerificationError(Step.INTEGRITY, Reason.SIGNATURE_INVALID, message)
