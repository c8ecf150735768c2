"""The certificate profiles as data, and the certificates of our own profiles before they are signed.

notme     our Ed25519 leaf under our Ed25519 root (design D1)
interop   our P-256 leaf under our P-256 root, for tools that cannot check Ed25519 CMS
upstream  what the notme authority writes (`authority-protocol.md` 3), read only
signet    what signet-git writes (`authority-protocol.md` 16), read only

Object identifiers under 1.3.6.1.4.1.99999 are placeholders until an enterprise number is assigned; they
stand in this module alone.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509 import ObjectIdentifier
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from attest import asn1, fulcio
from attest import claims as claims_codec
from attest.claims import Claims
from attest.fulcio import Ci
from attest.keys import KeyAlgorithm

UPSTREAM_ARC = "1.3.6.1.4.1.99999.1"
SUBJECT = ObjectIdentifier(UPSTREAM_ARC + ".1")
ISSUED_AT = ObjectIdentifier(UPSTREAM_ARC + ".2")
SCOPES = ObjectIdentifier(UPSTREAM_ARC + ".3")
EPOCH = ObjectIdentifier(UPSTREAM_ARC + ".4")
AUTH_METHOD = ObjectIdentifier(UPSTREAM_ARC + ".5")
BINDING = ObjectIdentifier(UPSTREAM_ARC + ".6")
CLAIMS = ObjectIdentifier("1.3.6.1.4.1.99999.2.1")
FULCIO_ISSUER = fulcio.OIDS[fulcio.ISSUER]

ORGANIZATION = "notme"
"""In every name that we write; it stands for no organization that acts."""

LIFETIME = timedelta(minutes=5)
ISSUING_LIFETIME = timedelta(hours=24)
"""At most, and never beyond the grant: a day's work of an orchestrator that cannot reach its authority."""

BACKDATING = timedelta(seconds=60)
"""notBefore lies this far before issue, so that a verifier whose clock is behind does not refuse (design D1)."""

SSH_BACKDATING = timedelta(minutes=15)
"""git fixes the committer date before hooks and editor run, and ssh-keygen holds it against the certificate (D3)."""

PAYLOAD_UNCHECKED = "sign:git-blind"
"""The scope of a signer that sees a digest alone: the ssh-agent protocol shows no more. For SSH only."""

CERT_MINT = "certMint"
"""The scope of an issuing CA: the others in its certificate are what it may pass on (`authority-protocol.md` 9)."""

MAX_COMMON_NAME = 64
"""ub-common-name, RFC 5280 appendix A.1: characters; the library that writes our names counts bytes of UTF-8."""


class Profile(enum.StrEnum):
    """Which rules a signature's certificates are held against."""

    NOTME = "notme"
    INTEROP = "interop"
    UPSTREAM = "upstream"
    SIGNET = "signet"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a signing leaf of a profile carries: extension -> critical. Anything else is refused.

    `issuing` is what an issuing CA's certificate carries beside the facts of a CI job; empty where there is none.
    Profile interop has none: stock tools, for which it is there, look at no claim, and would take any address from one.
    """

    algorithm: KeyAlgorithm
    required: Mapping[ObjectIdentifier, bool]
    optional: Mapping[ObjectIdentifier, bool] = field(default_factory=dict)
    purposes: frozenset[ObjectIdentifier] = frozenset()
    scope: str = ""
    ours: bool = False
    issuing: Mapping[ObjectIdentifier, bool] = field(default_factory=dict)


_CONSTRAINTS = {ExtensionOID.BASIC_CONSTRAINTS: True, ExtensionOID.KEY_USAGE: True}
_KEY_IDS = {ExtensionOID.SUBJECT_KEY_IDENTIFIER: False, ExtensionOID.AUTHORITY_KEY_IDENTIFIER: False}
_UPSTREAM = dict.fromkeys((SUBJECT, ISSUED_AT, SCOPES, EPOCH, AUTH_METHOD, BINDING), False)
CI = dict.fromkeys(fulcio.OIDS.values(), False)

RULES: Mapping[Profile, Rules] = {
    Profile.NOTME: Rules(
        algorithm=KeyAlgorithm.ED25519,
        required={
            **_CONSTRAINTS,
            **_UPSTREAM,
            **_KEY_IDS,
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME: True,
            CLAIMS: False,
        },
        optional={ExtensionOID.EXTENDED_KEY_USAGE: False, **CI},
        scope="sign:git",
        ours=True,
        issuing={
            **_CONSTRAINTS,
            **_UPSTREAM,
            **_KEY_IDS,
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME: True,
            ExtensionOID.EXTENDED_KEY_USAGE: False,
            CLAIMS: False,
        },
    ),
    Profile.INTEROP: Rules(
        algorithm=KeyAlgorithm.P256,
        required={
            **_CONSTRAINTS,
            **_UPSTREAM,
            **_KEY_IDS,
            ExtensionOID.EXTENDED_KEY_USAGE: False,
            ExtensionOID.SUBJECT_ALTERNATIVE_NAME: False,
            CLAIMS: False,
        },
        optional=CI,
        purposes=frozenset({ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION}),
        scope="sign:git",
        ours=True,
    ),
    Profile.UPSTREAM: Rules(
        algorithm=KeyAlgorithm.ED25519,
        required={**_CONSTRAINTS, **_UPSTREAM, ExtensionOID.SUBJECT_ALTERNATIVE_NAME: True},
        optional=_KEY_IDS,
        scope="bridgeCert",
    ),
    Profile.SIGNET: Rules(
        algorithm=KeyAlgorithm.ED25519,
        required={**_CONSTRAINTS, ExtensionOID.EXTENDED_KEY_USAGE: False},
        optional={**_KEY_IDS, ExtensionOID.SUBJECT_ALTERNATIVE_NAME: False},
        purposes=frozenset({ExtendedKeyUsageOID.CODE_SIGNING}),
    ),
}


@dataclass(frozen=True, slots=True)
class LeafSpec:
    """Everything that goes into a pair of certificates; `key` and `serial` differ between the two.

    `ci` is what a CI provider said of the job that gets them; a verifier's certificates have none.
    """

    profile: Profile
    claims: Claims
    subject: str
    uri: str
    scopes: tuple[str, ...]
    epoch: int
    auth_method: str
    binding: bytes
    issued_at: datetime
    issuer_url: str
    ci: Ci = ()


def instant(when: datetime) -> str:
    """A time of issue as upstream writes it: RFC 3339 in UTC with milliseconds."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def short_name(text: str) -> str:
    """`text` cut to what a common name may hold; the full subject stands in extension .1.1."""
    return text.encode()[:MAX_COMMON_NAME].decode(errors="ignore")


def root(
    name: str, key: CertificatePublicKeyTypes, *, serial: int, at: datetime, until: datetime
) -> x509.CertificateBuilder:
    """A self-signed CA certificate: path length 1, SKI present (RFC 5280 section 4.2.1.2)."""
    subject = _name(name)
    return (
        _builder(subject, subject, key, serial, at - BACKDATING, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_key_usage(certificate=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def timestamping(
    name: str, key: CertificatePublicKeyTypes, issuer: x509.Certificate, *, serial: int, at: datetime
) -> x509.CertificateBuilder:
    """A certificate for a time-stamping key: EKU critical and alone (RFC 3161 section 2.3), as long as its root."""
    builder = _builder(_name(name), issuer.subject, key, serial, at - BACKDATING, issuer.not_valid_after_utc)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_key_usage(), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    return _key_identifiers(builder, key, issuer)


def issuing_ca(
    spec: LeafSpec, key: CertificatePublicKeyTypes, issuer: x509.Certificate, *, serial: int, until: datetime
) -> x509.CertificateBuilder:
    """The certificate with which an orchestrator mints leaves itself: no CA can stand below it (RFC 5280, 4.2.1.9).

    Its one purpose keeps TLS stacks from taking what it might issue for their own; not critical, because Bouncy Castle
    refuses that in a CA. Its name begins with two words that no agent's name has, so no leaf under it has its issuer's
    name as its own.
    """
    name = _name(short_name(f"issuing CA {spec.claims.actor_name}"))
    at = spec.issued_at.replace(microsecond=0)
    builder = _builder(name, issuer.subject, key, serial, at - BACKDATING, until)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_key_usage(certificate=True), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    return _described(builder, spec, key, issuer).add_extension(
        x509.SubjectAlternativeName([x509.UniformResourceIdentifier(spec.uri)]), critical=True
    )


def _described(
    builder: x509.CertificateBuilder, spec: LeafSpec, key: CertificatePublicKeyTypes, issuer: x509.Certificate
) -> x509.CertificateBuilder:
    """What says who holds the certificate and for whom, and the key identifiers."""
    values = {
        SUBJECT: asn1.encode(spec.subject),
        ISSUED_AT: asn1.encode(instant(spec.issued_at)),
        SCOPES: asn1.encode_strings(list(spec.scopes)),
        EPOCH: asn1.encode(spec.epoch),
        AUTH_METHOD: asn1.encode(spec.auth_method),
        BINDING: spec.binding,  # upstream writes the 32 bytes bare, without an inner OCTET STRING
        CLAIMS: claims_codec.encode(spec.claims),
    }
    for oid, value in values.items():
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
    for fact in fulcio.extensions(spec.ci):
        builder = builder.add_extension(fact, critical=False)
    return _key_identifiers(builder, key, issuer)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: CertificatePublicKeyTypes,
    serial: int,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key,
        serial_number=serial,
        not_valid_before=start,
        not_valid_after=end,
    )


def _name(common_name: str) -> x509.Name:
    """Built as structure, never from text: a comma in a name adds no RDN (`authority-protocol.md` 15, item 3)."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
        ]
    )


def _key_identifiers(
    builder: x509.CertificateBuilder, key: CertificatePublicKeyTypes, issuer: x509.Certificate
) -> x509.CertificateBuilder:
    above = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(key), critical=False
    ).add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above), critical=False)


def _key_usage(*, certificate: bool = False, agreement: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificate,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=agreement,
        key_cert_sign=certificate,
        crl_sign=certificate,
        encipher_only=False,
        decipher_only=False,
    )
