"""Plain SSH keys and their signatures: PROTOCOL.sshsig, RFC 8332 (RSA), RFC 5656 (ECDSA), PROTOCOL.u2f (sk- keys)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import sshsig, sshwire
from attest.sshwire import string
from tests.forge import sign

SK_ED25519 = "sk-ssh-ed25519@openssh.com"
APPLICATION = "ssh:"
PRESENT = 0x01
"""The flag of a touch (WebAuthn section 6.1, UP)."""

RSA_HASHES: dict[str, HashAlgorithm] = {"rsa-sha2-512": SHA512(), "ssh-rsa": SHA1()}


@dataclass(frozen=True)
class SshKey:
    """A public key's blob, its name, and how the key signs: bytes to a signature blob."""

    kind: str
    blob: bytes
    signs: Callable[[bytes], bytes]

    def blob_over(self, content: bytes, *, namespace: str = "git", hash_algorithm: str = "sha512") -> bytes:
        """The SSHSIG blob over `content`."""
        signed = sshsig.to_be_signed(content, namespace=namespace, hash_algorithm=hash_algorithm)
        head = sshsig.MAGIC + sshwire.uint32(sshsig.VERSION) + string(self.blob)
        return head + string(namespace) + string(b"") + string(hash_algorithm) + string(self.signs(signed))

    def armour(self, content: bytes, **options: str) -> bytes:
        return sshsig.ARMOUR.wrap(self.blob_over(content, **options))

    def line(self, comment: str = "") -> str:
        """As in a public key file, without its end."""
        return sshwire.line(self.kind, self.blob, comment).decode().rstrip("\n")


def ed25519(key: Ed25519PrivateKey) -> SshKey:
    point = key.public_key().public_bytes_raw()
    return SshKey(sshwire.ED25519, sshwire.ed25519_key(point), lambda data: sshwire.ed25519_signature(key.sign(data)))


def security_key(key: Ed25519PrivateKey, *, flags: int = PRESENT, counter: int = 5) -> SshKey:
    """An Ed25519 key as a security key holds it: it signs digests, with flags and counter between them."""
    head = string(SK_ED25519) + string(key.public_key().public_bytes_raw()) + string(APPLICATION)
    tail = bytes([flags]) + sshwire.uint32(counter)

    def signs(data: bytes) -> bytes:
        covered = hashlib.sha256(APPLICATION.encode()).digest() + tail + hashlib.sha256(data).digest()
        return string(SK_ED25519) + string(key.sign(covered)) + tail

    return SshKey(SK_ED25519, head, signs)


def ecdsa(key: EllipticCurvePrivateKey) -> SshKey:
    name, curve = "ecdsa-sha2-nistp256", "nistp256"
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def signs(data: bytes) -> bytes:
        r, s = decode_dss_signature(sign(key, data))
        return string(name) + string(mpint(r) + mpint(s))

    return SshKey(name, string(name) + string(curve) + string(point), signs)


def rsa_key(key: rsa.RSAPrivateKey, algorithm: str = "rsa-sha2-512") -> SshKey:
    numbers = key.public_key().public_numbers()
    blob = string("ssh-rsa") + mpint(numbers.e) + mpint(numbers.n)

    def signs(data: bytes) -> bytes:
        value = key.sign(data, padding.PKCS1v15(), RSA_HASHES[algorithm])
        return string(algorithm) + string(value)

    return SshKey("ssh-rsa", blob, signs)


def mpint(value: int) -> bytes:
    """RFC 4251 section 5, of a positive number."""
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def fixed_rsa(seed: bytes, bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key that follows from a seed, as no library makes one: primes are the next ones after a digest."""
    e = 65537
    p, q = (_prime(seed + name, bits // 2, e) for name in (b" p", b" q"))
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def _prime(seed: bytes, bits: int, e: int) -> int:
    """The next prime after the digest for which e has an inverse. Fermat's test is enough for numbers nobody chose."""
    top = (3 << bits - 2) | 1  # both highest bits, so that the product has all its bits
    candidate = int.from_bytes(hashlib.shake_256(seed).digest(bits // 8), "big") | top
    small = [3, 5, 7, *(n for n in range(9, 2000, 2) if pow(2, n - 1, n) == 1)]
    while True:
        if all(candidate % n for n in small) and candidate % e != 1 and pow(2, candidate - 1, candidate) == 1:
            return candidate
        candidate += 2
