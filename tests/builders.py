"""Leaves as the library's builder writes them: a second writer beside `attest.leaf`, whose product tests can bend."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest import asn1, profile
from attest.profile import BACKDATING, FULCIO_ISSUER, LIFETIME, LeafSpec, Profile, short_name
from attest.types import PrincipalKind


def signing_leaf(
    spec: LeafSpec, key: CertificatePublicKeyTypes, issuer: x509.Certificate, *, serial: int
) -> x509.CertificateBuilder:
    """The certificate that signs commits (or, for a verifier, attestations). `issuer` is a root or an issuing CA."""
    builder = _leaf(spec, key, issuer, serial, profile._key_usage())
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(spec.uri)]
    if spec.profile is Profile.INTEROP:
        names.append(x509.RFC822Name(spec.claims.actor_email))
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION]),
            critical=False,
        )
    elif spec.claims.actor_kind is PrincipalKind.VERIFIER:
        # Stock Sigstore verifiers ask for code signing and for an issuer (Fulcio's OID, a DER UTF8String).
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
        )
        builder = builder.add_extension(
            x509.UnrecognizedExtension(FULCIO_ISSUER, asn1.encode(spec.issuer_url)), critical=False
        )
    critical = spec.profile is Profile.NOTME
    return builder.add_extension(x509.SubjectAlternativeName(names), critical=critical)


def mtls_leaf(
    spec: LeafSpec, key: CertificatePublicKeyTypes, issuer: x509.Certificate, *, serial: int
) -> x509.CertificateBuilder:
    """The sibling for TLS client authentication; it must never be accepted for a commit."""
    builder = _leaf(spec, key, issuer, serial, profile._key_usage(agreement=True))
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return builder.add_extension(
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spec.uri)]), critical=True
    )


def _leaf(
    spec: LeafSpec,
    key: CertificatePublicKeyTypes,
    issuer: x509.Certificate,
    serial: int,
    usage: x509.KeyUsage,
) -> x509.CertificateBuilder:
    at = spec.issued_at.replace(microsecond=0)
    builder = profile._builder(
        profile._name(short_name(spec.claims.actor_name)), issuer.subject, key, serial, at - BACKDATING, at + LIFETIME
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return profile._described(builder.add_extension(usage, critical=True), spec, key, issuer)
