"""SSH public keys of every kind that OpenSSH signs with, and their signatures, read strictly.

====================================  =======================================  =====================================
kind of key                           fields of the blob after its name        source
====================================  =======================================  =====================================
``ssh-ed25519``                       point                                    RFC 8709 section 4
``ecdsa-sha2-nistp256`` 384, 521      curve, point                             RFC 5656 section 3.1
``ssh-rsa``                           e, n                                     RFC 4253 section 6.6, RFC 8332
``sk-ssh-ed25519@openssh.com``        point, application                       OpenSSH's PROTOCOL.u2f
``sk-ecdsa-sha2-nistp256@...``        curve, point, application                OpenSSH's PROTOCOL.u2f
====================================  =======================================  =====================================

Where a second spelling of a key or signature would do, it is refused: a second spelling is a second object with the
same good signature. So is what is weak: DSA, RSA below 2048 bits, and signatures over SHA-1 (`ssh-rsa`).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from attest import keys, sshwire
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.keys import PublicKey
from attest.sshwire import Reader, string

ED25519, RSA = sshwire.ED25519, "ssh-rsa"
SK_ED25519, SK_P256 = "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"

FIELDS = {
    ED25519: 1,
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    RSA: 2,
    SK_ED25519: 2,
    SK_P256: 3,
}
"""How many strings a key of each kind has after its name; all of them stand in a certificate's place for the key."""

MAX_BLOB_BYTES = 8192
"""An RSA key of 16384 bits takes some 2100; the rest is a security key's application string."""
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 16384
"""NIST SP 800-131A has nothing shorter; OpenSSH reads nothing longer."""
MAX_RSA_EXPONENT_BITS = 64
"""OpenSSL's limit for long moduli, here for all: a long exponent makes every check as slow as a signature."""
MAX_APPLICATION_BYTES = 1024
"""`ssh:` and perhaps a name; hashed anew for every signature."""

KEPT = 256
"""Keys that are remembered as parsed, as many as the people and machines that sign in one repository."""

USER_PRESENT, USER_VERIFIED = 0x01, 0x04
"""Bits of a security key's flags (PROTOCOL.u2f): it was touched, and knew by PIN or finger who touched it."""

_CURVES: dict[str, tuple[bytes, ec.EllipticCurve, HashAlgorithm]] = {  # RFC 5656 section 6.2.1: digest by curve
    "ecdsa-sha2-nistp256": (b"nistp256", ec.SECP256R1(), SHA256()),
    "ecdsa-sha2-nistp384": (b"nistp384", ec.SECP384R1(), SHA384()),
    "ecdsa-sha2-nistp521": (b"nistp521", ec.SECP521R1(), SHA512()),
    SK_P256: (b"nistp256", ec.SECP256R1(), SHA256()),
}
_RSA_HASHES: dict[str, HashAlgorithm] = {"rsa-sha2-256": SHA256(), "rsa-sha2-512": SHA512()}  # RFC 8332 section 3
_PKCS1 = padding.PKCS1v15()

_MAX_NUMBER_BYTES = 67  # of 521 bits, with a sign byte

Parsed: TypeAlias = PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class SshKey:
    """One public key that is fit to be used. `blob` is all of it; `application` is a security key's, hashed, or empty.

    `fingerprint` is as `ssh-keygen -l` prints it.
    """

    blob: bytes
    kind: str
    fingerprint: str
    key: Parsed = field(compare=False, repr=False)
    application: bytes = b""


@functools.lru_cache(maxsize=KEPT)
def parse(blob: bytes) -> SshKey:
    """Read one public key blob; `MalformedError` for every other kind, for a weak key and for a second spelling."""
    if len(blob) > MAX_BLOB_BYTES:
        raise MalformedError(f"{len(blob)} bytes of SSH key; at most {MAX_BLOB_BYTES} are read")
    reader = Reader(blob)
    kind = kind_of(reader)
    fields = read_fields(kind, reader)
    reader.end()
    application = b""
    if kind in (SK_ED25519, SK_P256):
        *fields, name = fields
        if len(name) > MAX_APPLICATION_BYTES:
            raise MalformedError(f"a security key's application of {len(name)} bytes, over {MAX_APPLICATION_BYTES}")
        application = _sha256(name)
    return SshKey(blob, kind, sshwire.fingerprint(blob), _load(kind, fields), application)


def kind_of(reader: Reader) -> str:
    """The name at the beginning of a key, one of `FIELDS`."""
    kind = reader.string(MAX_APPLICATION_BYTES).decode("ascii", "replace")
    if kind not in FIELDS:
        raise MalformedError(f"an SSH key of kind {kind[:64]!r}, which counts for nothing here")
    return kind


def read_fields(kind: str, reader: Reader) -> list[bytes]:
    """The fields of a key after its name."""
    return [reader.string(MAX_BLOB_BYTES) for _ in range(FIELDS[kind])]


def encode(kind: str, fields: Sequence[bytes]) -> bytes:
    """The blob of a key with these fields."""
    return string(kind) + b"".join([string(field) for field in fields])


def verify(key: SshKey, algorithm: str, signature: bytes, extra: bytes, signed: bytes) -> None:
    """Return when `signature` of this `algorithm` by `key` is over exactly `signed`.

    `signature` is what stands in the inner string of a signature blob, `extra` what follows it: flags and counter of
    a security key (5 bytes), which are signed too, else nothing. Raises `VerificationError` (step 3).
    """
    # An RSA key's own name is also that of its signatures over SHA-1, which count for nothing.
    if not (algorithm in _RSA_HASHES if key.kind == RSA else algorithm == key.kind):
        raise VerificationError(
            Step.INTEGRITY,
            Reason.KEY_REFUSED,
            f"a signature of kind {algorithm[:64]!r} is none that counts of a key of kind {key.kind}",
        )
    if key.application:
        signed = key.application + extra + _sha256(signed)
    elif extra:
        raise _invalid("something follows the signature proper")
    match key.key:
        case PublicKey() as plain:
            keys.verify_signature(plain, signature, signed)
        case rsa.RSAPublicKey() as long:
            _verify_rsa(long, algorithm, signature, signed)
        case ec.EllipticCurvePublicKey() as point:
            _verify_ecdsa(point, _CURVES[key.kind][2], signature, signed)


def flags(extra: bytes) -> int:
    """The flags of a security key's signature."""
    return extra[0] if extra else USER_PRESENT | USER_VERIFIED


def _load(kind: str, fields: Sequence[bytes]) -> Parsed:
    if kind in (ED25519, SK_ED25519):
        return keys.ed25519(fields[0])
    if kind == RSA:
        return _load_rsa(*map(_number, fields))
    (name, point), (expected, curve, _) = fields, _CURVES[kind]
    if name != expected:
        raise MalformedError(f"a key of kind {kind} on another curve")
    if len(point) != 1 + 2 * ((curve.key_size + 7) // 8) or point[0] != 4:
        raise MalformedError(f"the point of a key of kind {kind} is not in uncompressed form")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    except ValueError:
        raise MalformedError(f"the point of a key of kind {kind} is not on its curve") from None


def _load_rsa(e: int, n: int) -> rsa.RSAPublicKey:
    if not MIN_RSA_BITS <= n.bit_length() <= MAX_RSA_BITS:
        raise MalformedError(f"an RSA key of {n.bit_length()} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} count")
    if e.bit_length() > MAX_RSA_EXPONENT_BITS:
        raise MalformedError(f"an RSA exponent of {e.bit_length()} bits, over {MAX_RSA_EXPONENT_BITS}")
    try:
        return rsa.RSAPublicNumbers(e, n).public_key()
    except ValueError:
        raise MalformedError("an RSA exponent or modulus that is none") from None


def _verify_rsa(key: rsa.RSAPublicKey, algorithm: str, signature: bytes, signed: bytes) -> None:
    # OpenSSH also takes one whose leading zero bytes were left out.
    if len(signature) != (key.key_size + 7) // 8:
        raise _invalid("the RSA signature is not as long as its modulus (RFC 8332 section 3)")
    try:
        key.verify(signature, signed, _PKCS1, _RSA_HASHES[algorithm])
    except InvalidSignature:
        raise _invalid("the RSA signature is not over this content by this key") from None


def _verify_ecdsa(key: ec.EllipticCurvePublicKey, digest: HashAlgorithm, signature: bytes, signed: bytes) -> None:
    """RFC 5656 section 3.1.2: two numbers. Either of s and n - s, as FIPS 186-5 has it."""
    try:
        reader = Reader(signature)
        r, s = _number(reader.string(_MAX_NUMBER_BYTES)), _number(reader.string(_MAX_NUMBER_BYTES))
        reader.end()
    except MalformedError as error:
        raise _invalid(f"the ECDSA signature is not two numbers: {error}") from None
    if not (0 < r < key.curve.group_order and 0 < s < key.curve.group_order):
        raise _invalid("r or s of the ECDSA signature is outside [1, n-1]")
    try:
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(digest))
    except InvalidSignature:
        raise _invalid("the ECDSA signature is not over this content by this key") from None


def _number(data: bytes) -> int:
    """A positive mpint in its one spelling (RFC 4251 section 5)."""
    if not data or data[0] & 0x80 or (data[0] == 0 and (len(data) == 1 or not data[1] & 0x80)):
        raise MalformedError("a number is not positive, or not in its shortest form")
    return int.from_bytes(data, "big")


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _invalid(message: str) -> VerificationError:
    return VerificationError(Step.INTEGRITY, Reason.SIGNATURE_INVALID, message)
