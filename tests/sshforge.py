"""SSH keys of every kind, their signatures and certificates, made with the keys of a test.

Names and layout are written here anew, from the sources that `attest.foreign.sshkeys` gives, so that a slip in the
reader is not repeated by the writer.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import sshsig
from attest.sshwire import string, uint32, uint64

PRESENT, VERIFIED = 0x01, 0x04
FOREVER = 2**64 - 1

CURVES: dict[str, tuple[ec.EllipticCurve, HashAlgorithm]] = {
    "nistp256": (ec.SECP256R1(), SHA256()),
    "nistp384": (ec.SECP384R1(), SHA384()),
    "nistp521": (ec.SECP521R1(), SHA512()),
}
RSA_HASHES: dict[str, HashAlgorithm] = {"rsa-sha2-512": SHA512(), "rsa-sha2-256": SHA256(), "ssh-rsa": SHA1()}

Private = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def mpint(value: int) -> bytes:
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big"))


@dataclass(frozen=True)
class Maker:
    """One private key. `fields` is the public part after the name, in wire form; `application` makes a security key."""

    kind: str
    fields: bytes
    private: Private
    application: str | None = None

    @property
    def blob(self) -> bytes:
        return string(self.kind) + self.fields

    @property
    def line(self) -> str:
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    def value(self, data: bytes, *, algorithm: str = "", flags: int = PRESENT) -> bytes:
        """A signature blob over `data`."""
        name, tail = algorithm or self.kind.replace("ssh-rsa", "rsa-sha2-512"), b""
        if self.application is not None:
            tail = bytes([flags]) + uint32(7)
            data = hashlib.sha256(self.application.encode()).digest() + tail + hashlib.sha256(data).digest()
        return string(name) + string(self._raw(name, data)) + tail

    def _raw(self, algorithm: str, data: bytes) -> bytes:
        match self.private:
            case Ed25519PrivateKey() as key:
                return key.sign(data)
            case rsa.RSAPrivateKey() as key:
                return key.sign(data, padding.PKCS1v15(), RSA_HASHES[algorithm])
            case key:
                r, s = decode_dss_signature(key.sign(data, ec.ECDSA(CURVES[f"nistp{key.key_size}"][1])))
                return mpint(r) + mpint(s)

    def sign(
        self,
        content: bytes,
        *,
        certificate: bytes = b"",
        namespace: str = "git",
        hash_algorithm: str = "sha512",
        algorithm: str = "",
        flags: int = PRESENT,
    ) -> bytes:
        """The blob of a signature over `content`."""
        signed = sshsig.to_be_signed(content, namespace=namespace, hash_algorithm=hash_algorithm)
        head = b"SSHSIG" + uint32(1) + string(certificate or self.blob) + string(namespace) + string(b"")
        return head + string(hash_algorithm) + string(self.value(signed, algorithm=algorithm, flags=flags))

    def certify(
        self,
        subject: Maker,
        principals: Sequence[str] = ("alice@example.org",),
        *,
        serial: int = 1,
        type: int = 1,
        key_id: str = "alice's laptop",
        valid: tuple[int, int] = (0, FOREVER),
        critical: Sequence[tuple[str, str]] = (),
        reserved: bytes = b"",
        algorithm: str = "",
        flags: int = PRESENT,
    ) -> bytes:
        """A certificate over the key of `subject`."""
        options = b"".join(string(name) + string(string(value) if value else b"") for name, value in critical)
        name = f"{subject.kind.removesuffix('@openssh.com')}-cert-v01@openssh.com"
        signed = b"".join(
            (
                string(name) + string(bytes(32)) + subject.fields,
                uint64(serial) + uint32(type) + string(key_id),
                string(b"".join(map(string, principals))),
                uint64(valid[0]) + uint64(valid[1]),
                string(options) + string(string("permit-pty") + string(b"")) + string(reserved),
                string(self.blob),
            )
        )
        return signed + string(self.value(signed, algorithm=algorithm, flags=flags))


def ed25519(seed: str = "alice", *, application: str | None = None) -> Maker:
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())
    fields = string(key.public_key().public_bytes_raw())
    if application is None:
        return Maker("ssh-ed25519", fields, key)
    return Maker("sk-ssh-ed25519@openssh.com", fields + string(application), key, application)


def ecdsa(curve: str, seed: str = "alice", *, application: str | None = None) -> Maker:
    key = ec.derive_private_key(int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big") >> 1, CURVES[curve][0])
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    fields = string(curve) + string(point)
    if application is None:
        return Maker(f"ecdsa-sha2-{curve}", fields, key)
    return Maker(f"sk-ecdsa-sha2-{curve}@openssh.com", fields + string(application), key, application)


@functools.cache
def rsa_key(bits: int = 2048) -> Maker:
    key = rsa.generate_private_key(65537, bits)
    numbers = key.public_key().public_numbers()
    return Maker("ssh-rsa", mpint(numbers.e) + mpint(numbers.n), key)


def every_kind() -> dict[str, Maker]:
    """One key of each kind that counts."""
    makers = (
        ed25519(),
        *(ecdsa(curve) for curve in CURVES),
        rsa_key(),
        ed25519(application="ssh:"),
        ecdsa("nistp256", application="ssh:work"),
    )
    return {maker.kind: maker for maker in makers}


KINDS = ("ssh-ed25519", *(f"ecdsa-sha2-{curve}" for curve in CURVES), "ssh-rsa", "sk-ssh-ed25519@openssh.com",
         "sk-ecdsa-sha2-nistp256@openssh.com")  # fmt: skip
"""The names of `every_kind`, without making the keys."""
