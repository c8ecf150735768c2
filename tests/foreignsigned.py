"""Signatures of others, written as others would: a small S/MIME authority, and gitsign's public commits.

`tests.der` is the encoder, so that nothing of what is under test writes what it reads.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from attest import cms, gitobject
from attest.gitobject import Commit, ObjectFormat, ObjectKind, Tag
from tests import der

FOLDER = Path(__file__).resolve().parent / "gitsign"
NOW = datetime(2026, 7, 10, 12, 0, 0, tzinfo=UTC)
CONTENT = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nx\n"
A_YEAR = timedelta(days=365)

SHA256 = hashes.SHA256()
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def real(name: str) -> Commit | Tag:
    """One of gitsign's own public objects."""
    raw = (FOLDER / name).read_bytes()
    kind = ObjectKind.COMMIT if name.endswith(".commit") else ObjectKind.TAG
    parsed = gitobject.parse(raw, kind, ObjectFormat.SHA1)
    assert isinstance(parsed, Commit | Tag)
    return parsed


def armoured(made: bytes) -> bytes:
    return cms.ARMOUR.wrap(made)


@functools.cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """Slow to make, so each one is made once; `number` tells several apart."""
    del number
    return rsa.generate_private_key(65537, bits)


@functools.cache
def ec_key(curve: type[ec.EllipticCurve] = ec.SECP256R1, number: int = 0) -> ec.EllipticCurvePrivateKey:
    del number
    return ec.generate_private_key(curve())


def sign(key: Key, data: bytes, digest: hashes.HashAlgorithm = SHA256) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), digest)
    return key.sign(data, ec.ECDSA(digest))


Edit = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


@dataclass(frozen=True)
class Authority:
    """A CA: `issue` makes a leaf for people or, with `ca`, another CA below it."""

    name: str = "Example S/MIME CA"
    key: Key = field(default_factory=lambda: rsa_key(number=1))
    above: Authority | None = None
    path_length: int | None = None
    begins: datetime = NOW - A_YEAR
    ends: datetime = NOW + 3 * A_YEAR
    edit: Edit = lambda builder: builder
    ca: bool = True

    @functools.cached_property
    def certificate(self) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        above = self.above or self
        issuer = subject if above is self else above.certificate.subject
        builder = x509.CertificateBuilder(issuer, subject, self.key.public_key(), 4711, self.begins, self.ends)
        constraints = x509.BasicConstraints(ca=self.ca, path_length=self.path_length)
        builder = self.edit(builder.add_extension(constraints, critical=True))
        return builder.sign(above.key, SHA256)

    def issue(
        self,
        key: Key,
        *,
        names: tuple[x509.GeneralName, ...] = (x509.RFC822Name("alice@example.com"),),
        serial: int = 0x1234,
        at: datetime = NOW - timedelta(days=1),
        life: timedelta = A_YEAR,
        purposes: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
        edit: Edit = lambda builder: builder,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Alice Example")])
        builder = x509.CertificateBuilder(self.certificate.subject, subject, key.public_key(), serial, at, at + life)
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        return edit(builder).sign(self.key, SHA256)


@dataclass(frozen=True)
class Signed:
    """One CMS signature by `key`, whose certificate is `leaf`; every part can be replaced by another."""

    key: Key
    leaf: x509.Certificate
    content: bytes = CONTENT
    digest: str = "sha256"
    algorithm: bytes | None = None
    attributes: tuple[bytes, ...] | None = None
    bare: bool = False
    sid: bytes | None = None
    others: tuple[bytes, ...] = ()
    with_leaf: bool = True
    unsigned: tuple[bytes, ...] = ()
    content_type: str = der.DATA
    carried: bytes | None = None
    signing: Callable[[bytes], bytes] | None = None
    signers: int = 1
    at: datetime = NOW

    @property
    def hash(self) -> hashes.HashAlgorithm:
        return {"sha256": SHA256, "sha384": hashes.SHA384(), "sha512": hashes.SHA512(), "sha1": hashes.SHA1()}[
            self.digest
        ]

    @property
    def digest_algorithm(self) -> bytes:
        oids = {"sha256": der.SHA256, "sha384": "2.16.840.1.101.3.4.2.2", "sha512": der.SHA512, "sha1": der.SHA1}
        return der.algorithm(oids[self.digest])

    @property
    def prescribed(self) -> tuple[bytes, bytes, bytes]:
        """contentType, signingTime, messageDigest."""
        hasher = hashes.Hash(self.hash)
        hasher.update(self.content)
        return (
            der.attribute(der.CONTENT_TYPE, der.oid(self.content_type)),
            der.attribute(der.SIGNING_TIME, der.utc_time(self.at)),
            der.attribute(der.MESSAGE_DIGEST, der.octets(hasher.finalize())),
        )

    def covered(self) -> bytes:
        """What is signed."""
        if self.bare:
            return self.content
        return der.tlv(0x31, *(self.prescribed if self.attributes is None else self.attributes))

    def info(self) -> bytes:
        kind = der.RSA_SHA256 if isinstance(self.key, rsa.RSAPrivateKey) else der.ECDSA_SHA256
        signing = self.signing or (lambda data: sign(self.key, data, self.hash))
        sid = der.seq(self.leaf.issuer.public_bytes(), der.integer(self.leaf.serial_number))
        return der.seq(
            der.integer(1),
            self.sid or sid,
            self.digest_algorithm,
            b"" if self.bare else der.retagged(0xA0, self.covered()),
            self.algorithm or der.algorithm(kind, der.NULL if kind == der.RSA_SHA256 else b""),
            der.octets(signing(self.covered())),
            der.tlv(0xA1, *self.unsigned) if self.unsigned else b"",
        )

    def der(self) -> bytes:
        carried = der.tlv(0xA0, der.octets(self.carried)) if self.carried is not None else b""
        certificates = [self.leaf.public_bytes(Encoding.DER)] if self.with_leaf else []
        body = der.seq(
            der.integer(1),
            der.set_of(self.digest_algorithm),
            der.seq(der.oid(self.content_type), carried),
            der.tlv(0xA0, *certificates, *self.others),
            der.tlv(0x31, *[self.info()] * self.signers),
        )
        return der.seq(der.oid(der.SIGNED_DATA), der.tlv(0xA0, body))

    def armour(self) -> bytes:
        return armoured(self.der())
