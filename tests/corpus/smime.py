"""A small S/MIME authority of somebody else: certificates of years, as companies issue them, P-256 throughout."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.forge import NOW, Edit, Forge, Leaf, certify

YEARS = timedelta(days=3650)
A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Ca:
    """A key and its certificate, self-signed."""

    key: EllipticCurvePrivateKey
    certificate: x509.Certificate


def authority(keys: Forge, name: str) -> Ca:
    """A root called `name`; its key is the next one that `keys` draws."""
    key = new_key(keys)
    builder = _builder(name, name, key, key, serial=1)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(ca=True), critical=True)
    return Ca(key, certify(builder, key))


def leaf(keys: Forge, ca: Ca, name: str, address: str, *, serial: int, edit: Edit = lambda builder: builder) -> Leaf:
    """A certificate for the e-mail address `address`, its builder changed by `edit` before the CA signs."""
    key = new_key(keys)
    builder = _for_mail(_builder(name, _name(ca.certificate), key, ca.key, serial=serial), address)
    return Leaf(key, certify(edit(builder), ca.key))


def alone(keys: Forge, name: str, address: str) -> Leaf:
    """A certificate as `leaf` makes them that nobody but its own key has signed."""
    key = new_key(keys)
    return Leaf(key, certify(_for_mail(_builder(name, name, key, key, serial=1), address), key))


def _for_mail(builder: x509.CertificateBuilder, address: str) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(ca=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(address)]), critical=False)


def new_key(keys: Forge) -> EllipticCurvePrivateKey:
    """The next key that `keys`, a forge of profile interop, draws."""
    key = keys.key()
    assert isinstance(key, EllipticCurvePrivateKey)
    return key


def _name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def _builder(
    subject: str, issuer: str, key: EllipticCurvePrivateKey, by: EllipticCurvePrivateKey, *, serial: int
) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder(
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        public_key=key.public_key(),
        serial_number=serial,
        not_valid_before=NOW - A_DAY,
        not_valid_after=NOW + YEARS,
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return made.add_extension(identifier, critical=False).add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
