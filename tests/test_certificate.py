from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ObjectIdentifier as OID
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import asn1, certificate, profile
from attest import claims as claims_codec
from attest.certificate import Anchor
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.profile import LeafSpec, Profile
from attest.types import PrincipalKind
from tests import builders, der
from tests.forge import AGENT, NOW, VERIFIER, Edit, Forge, certify, named

FORGES = {p: Forge(p, seed=f"certificate {p}") for p in (Profile.NOTME, Profile.INTEROP)}
NOTME, INTEROP = FORGES[Profile.NOTME], FORGES[Profile.INTEROP]
ANCHORS = NOTME.trusted.anchors + INTEROP.trusted.anchors


def changed(builder: x509.CertificateBuilder, **attributes: object) -> x509.CertificateBuilder:
    """`builder` with private attributes replaced: what a test needs and no public call gives."""
    for name, value in attributes.items():
        setattr(builder, f"_{name}", value)
    return builder


def without(*oids: OID) -> Edit:
    return lambda b: changed(b, extensions=[e for e in b._extensions if e.oid not in oids])


def with_extension(value: x509.ExtensionType, *, critical: bool) -> Edit:
    """Adds the extension, or puts it in place of the one that is there."""

    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        kept = without(value.oid)(builder)
        return kept.add_extension(value, critical=critical)

    return edit


def raw(oid: OID, value: bytes) -> Edit:
    return with_extension(x509.UnrecognizedExtension(oid, value), critical=False)


def both(*edits: Edit) -> Edit:
    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        for each in edits:
            builder = each(builder)
        return builder

    return edit


def usage(**set_: bool) -> Edit:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement"
        " key_cert_sign crl_sign encipher_only decipher_only"
    )
    return with_extension(x509.KeyUsage(**{name: set_.get(name, False) for name in names.split()}), critical=True)


def validity(before: datetime, after: datetime) -> Edit:
    return lambda b: changed(
        b, not_valid_before=before.replace(tzinfo=None), not_valid_after=after.replace(tzinfo=None)
    )


def refusal(forge: Forge, edit: Edit, **spec: object) -> VerificationError:
    leaf = forge.issue(replace(forge.spec(), **spec), edit=edit)  # type: ignore[arg-type]
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(leaf.certificate, (), ANCHORS)
    assert caught.value.step is Step.CHAIN
    return caught.value


@pytest.mark.parametrize("forge", FORGES.values(), ids=FORGES)
def test_a_leaf_of_ours_is_read_as_it_was_issued(forge: Forge) -> None:
    issued = forge.leaf(at=NOW + timedelta(milliseconds=549, microseconds=1))
    chain = certificate.verify_chain(issued.certificate, (), ANCHORS, forge.profile)
    leaf = chain.leaf
    assert (chain.anchor.profile, chain.issuing, chain.remarks) == (forge.profile, None, ())
    assert leaf.claims == AGENT
    assert leaf.subject == "agent-7"
    assert leaf.uri == "wimse://authority.example/agent/agent-7"
    assert leaf.scopes == ("sign:git",)
    assert (leaf.epoch, leaf.auth_method) == (1, "embedded")
    assert leaf.issued_at == NOW + timedelta(milliseconds=549)
    assert (leaf.not_before, leaf.not_after) == (NOW - timedelta(seconds=60), NOW + timedelta(minutes=5))
    assert leaf.emails == ((AGENT.actor_email,) if forge.profile is Profile.INTEROP else ())
    assert (leaf.encoded, leaf.signed) == (issued.der, issued.certificate.tbs_certificate_bytes)
    assert (leaf.serial, leaf.issuer) == (issued.certificate.serial_number, forge.root.subject.rfc4514_string())
    assert (leaf.fingerprints, leaf.payload_unchecked) == ((), False)


def test_the_bytes_of_our_extensions_are_those_that_upstream_documents() -> None:
    """`authority-protocol.md` 3: values as the authority writes them, except that the epoch is minimal DER."""
    spec = replace(NOTME.spec(), epoch=1, scopes=("sign:git", "bridgeCert"), binding=bytes(range(32)))
    found = {
        e.oid.dotted_string: e.value.value
        for e in NOTME.issue(spec).certificate.extensions
        if isinstance(e.value, x509.UnrecognizedExtension)
    }
    arc = "1.3.6.1.4.1.99999.1."
    assert found[arc + "1"] == b"\x0c\x07agent-7"
    assert found[arc + "2"] == b"\x0c\x182026-11-23T13:58:10.000Z"
    assert found[arc + "3"] == b"\x30\x16\x0c\x08sign:git\x0c\x0abridgeCert"
    assert found[arc + "4"] == b"\x02\x01\x01"
    assert found[arc + "5"] == b"\x0c\x08embedded"
    assert found[arc + "6"] == bytes(range(32))


def test_a_verifiers_leaf_carries_what_stock_sigstore_verifiers_ask_for() -> None:
    issued = NOTME.verifier().certificate
    leaf = certificate.verify_chain(issued, (), ANCHORS).leaf
    issuer = issued.extensions.get_extension_for_oid(OID("1.3.6.1.4.1.57264.1.8")).value
    assert isinstance(issuer, x509.UnrecognizedExtension)
    assert issuer.value == b"\x0c\x19https://authority.example"
    assert leaf.claims == VERIFIER


def test_a_long_name_is_cut_in_the_common_name_and_whole_in_the_extension() -> None:
    long = "agent-" + "x" * 80
    issued = NOTME.leaf(named(AGENT, actor_name=long)).certificate
    leaf = certificate.verify_chain(issued, (), ANCHORS).leaf
    names = issued.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert [len(str(n.value)) for n in names] == [64]
    assert (leaf.subject, leaf.remarks) == (long, ())


@pytest.mark.parametrize("name", ["a,OU=evil", "a+OU=evil", "a/O=evil", 'a"b', "[GNUPG:] GOODSIG", "a\nO=evil"])
def test_no_sign_in_a_name_adds_a_part_to_the_subject(name: str) -> None:
    leaf = NOTME.leaf(named(AGENT, actor_name=name)).certificate
    assert [(a.oid, a.value) for a in leaf.subject] == [
        (NameOID.COMMON_NAME, name),
        (NameOID.ORGANIZATION_NAME, "notme"),
    ]


SAN, EKU, KU, BC = (
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.BASIC_CONSTRAINTS,
)
NONE = x509.UnrecognizedExtension(OID("1.2.3.4"), b"\x05\x00")
CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
URI = x509.UniformResourceIdentifier("wimse://authority.example/agent/agent-7")

REFUSED: list[tuple[str, Forge, Edit, Reason, str]] = [
    # check 1: extensions
    ("an unknown critical extension", NOTME, with_extension(NONE, critical=True), Reason.EXTENSION_UNKNOWN, "critical"),
    ("an unknown extension", NOTME, with_extension(NONE, critical=False), Reason.EXTENSION_UNKNOWN, "1.2.3.4"),
    (
        "a CRL address",
        INTEROP,
        with_extension(
            x509.CRLDistributionPoints(
                [x509.DistributionPoint([x509.UniformResourceIdentifier("http://x")], None, None, None)]
            ),
            critical=False,
        ),
        Reason.EXTENSION_UNKNOWN,
        "2.5.29.31",
    ),
    *[
        (
            f"no extension {oid.dotted_string}",
            NOTME,
            without(oid),
            Reason.PROFILE_MISMATCH,
            f"demands.*{oid.dotted_string}",
        )
        for oid in (
            *(profile.SUBJECT, profile.ISSUED_AT, profile.SCOPES, profile.EPOCH, profile.AUTH_METHOD),
            *(profile.BINDING, profile.CLAIMS, BC, KU, SAN),
            *(ExtensionOID.SUBJECT_KEY_IDENTIFIER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER),
        )
    ],
    ("no extended key usage in interop", INTEROP, without(EKU), Reason.PROFILE_MISMATCH, "demands"),
    (
        "a subject alternative name that is not critical",
        NOTME,
        with_extension(x509.SubjectAlternativeName([URI]), critical=False),
        Reason.PROFILE_MISMATCH,
        "criticality",
    ),
    (
        "a critical claims extension",
        NOTME,
        with_extension(x509.UnrecognizedExtension(profile.CLAIMS, b""), critical=True),
        Reason.PROFILE_MISMATCH,
        "criticality",
    ),
    (
        "basic constraints that are not critical",
        NOTME,
        with_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False),
        Reason.PROFILE_MISMATCH,
        "criticality",
    ),
    # check 2: end entity and purpose
    (
        "a CA",
        NOTME,
        with_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True),
        Reason.PURPOSE_MISMATCH,
        "CA",
    ),
    ("no digital signature", NOTME, usage(), Reason.PURPOSE_MISMATCH, "not for signing"),
    *[
        (
            f"key usage {extra}",
            NOTME,
            usage(digital_signature=True, **{extra: True}),
            Reason.PURPOSE_MISMATCH,
            "not for",
        )
        for extra in (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
        )
    ],
    ("client authentication", NOTME, with_extension(CLIENT, critical=False), Reason.PURPOSE_MISMATCH, "TLS sibling"),
    (
        "client authentication beside the right purposes",
        INTEROP,
        with_extension(
            x509.ExtendedKeyUsage(
                [
                    ExtendedKeyUsageOID.CODE_SIGNING,
                    ExtendedKeyUsageOID.EMAIL_PROTECTION,
                    ExtendedKeyUsageOID.CLIENT_AUTH,
                ]
            ),
            critical=False,
        ),
        Reason.PURPOSE_MISMATCH,
        "TLS sibling",
    ),
    (
        "code signing for an agent, which is the verifier's mark",
        NOTME,
        with_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False),
        Reason.PURPOSE_MISMATCH,
        "another purpose",
    ),
    (
        "code signing alone in interop",
        INTEROP,
        with_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False),
        Reason.PURPOSE_MISMATCH,
        "lacks the purposes",
    ),
    # names
    (
        "two URIs",
        NOTME,
        with_extension(x509.SubjectAlternativeName([URI, x509.UniformResourceIdentifier("x:y")]), critical=True),
        Reason.PROFILE_MISMATCH,
        "not one URI",
    ),
    (
        "a DNS name",
        NOTME,
        with_extension(x509.SubjectAlternativeName([URI, x509.DNSName("example.org")]), critical=True),
        Reason.PROFILE_MISMATCH,
        "not one URI",
    ),
    (
        "an e-mail name in notme",
        NOTME,
        with_extension(x509.SubjectAlternativeName([URI, x509.RFC822Name("a@example.org")]), critical=True),
        Reason.PROFILE_MISMATCH,
        "more than one URI",
    ),
    (
        "another e-mail name than the actor's",
        INTEROP,
        with_extension(x509.SubjectAlternativeName([URI, x509.RFC822Name("alice@example.org")]), critical=False),
        Reason.PROFILE_MISMATCH,
        "not the one of its actor",
    ),
    # values
    (
        "a subject that is no UTF8String",
        NOTME,
        raw(profile.SUBJECT, b"agent-7"),
        Reason.CERTIFICATE_INVALID,
        "DER of str",
    ),
    (
        "an issuance time with an offset",
        NOTME,
        raw(profile.ISSUED_AT, asn1.encode("2026-11-23T14:58:10.000+01:00")),
        Reason.CERTIFICATE_INVALID,
        "RFC 3339",
    ),
    ("scopes that are no list", NOTME, raw(profile.SCOPES, asn1.encode("sign:git")), Reason.CERTIFICATE_INVALID, "DER"),
    (
        "a padded epoch, which is upstream's",
        NOTME,
        raw(profile.EPOCH, b"\x02\x04\0\0\0\x01"),
        Reason.PROFILE_MISMATCH,
        "epoch-not-minimal",
    ),
    ("a negative epoch", NOTME, raw(profile.EPOCH, b"\x02\x01\xff"), Reason.CERTIFICATE_INVALID, "non-negative"),
    ("an empty epoch", NOTME, raw(profile.EPOCH, b"\x02\x00"), Reason.CERTIFICATE_INVALID, "non-negative"),
    (
        "an epoch with bytes after it",
        NOTME,
        raw(profile.EPOCH, b"\x02\x01\x01\0"),
        Reason.CERTIFICATE_INVALID,
        "non-neg",
    ),
    (
        "an epoch of seven bytes",
        NOTME,
        raw(profile.EPOCH, b"\x02\x07" + bytes(7)),
        Reason.CERTIFICATE_INVALID,
        "six bytes",
    ),
    ("a binding of 31 bytes", NOTME, raw(profile.BINDING, bytes(31)), Reason.CERTIFICATE_INVALID, "31 bytes"),
    (
        "a binding in an OCTET STRING",
        NOTME,
        raw(profile.BINDING, b"\x04\x20" + bytes(32)),
        Reason.CERTIFICATE_INVALID,
        "34 bytes",
    ),
    ("claims that do not decode", NOTME, raw(profile.CLAIMS, b"\x30\x00"), Reason.CERTIFICATE_INVALID, "DER of Claims"),
    # check 5: names and identifiers of the issuer
    (
        "another issuer name",
        NOTME,
        lambda b: changed(b, issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signet-authority")])),
        Reason.CERTIFICATE_INVALID,
        "issuer name",
    ),
    (
        "the key identifier of another issuer",
        NOTME,
        with_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(INTEROP.root_key.public_key()), critical=False
        ),
        Reason.CERTIFICATE_INVALID,
        "authority key identifier",
    ),
    # check 6: validity within the root's
    (
        "a life that began before the root's",
        NOTME,
        both(
            validity(NOW - timedelta(days=2), NOW - timedelta(days=2) + timedelta(minutes=6)),
            raw(profile.ISSUED_AT, asn1.encode("2026-11-21T13:59:10.000Z")),
        ),
        Reason.CERTIFICATE_INVALID,
        "validity is not within",
    ),
    # check 7: at most five minutes from issue
    (
        "a life of five minutes and a second",
        NOTME,
        validity(NOW - timedelta(seconds=60), NOW + timedelta(seconds=301)),
        Reason.PROFILE_MISMATCH,
        "longer than five minutes",
    ),
    (
        "a life that begins 61 seconds before its issue",
        NOTME,
        validity(NOW - timedelta(seconds=61), NOW + timedelta(minutes=5)),
        Reason.PROFILE_MISMATCH,
        "more than a minute before",
    ),
    (
        "no backdating, which is upstream's",
        NOTME,
        validity(NOW, NOW + timedelta(minutes=5)),
        Reason.PROFILE_MISMATCH,
        "not-backdated",
    ),
]


@pytest.mark.parametrize(("forge", "edit", "reason", "text"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_a_leaf_that_departs_from_its_profile_is_refused(forge: Forge, edit: Edit, reason: Reason, text: str) -> None:
    with pytest.raises(VerificationError, match=text):
        certificate.verify_chain(forge.issue(forge.spec(), edit=edit).certificate, (), ANCHORS)
    assert refusal(forge, edit).reason is reason


@pytest.mark.parametrize("forge", FORGES.values(), ids=FORGES)
def test_the_tls_sibling_of_a_pair_is_refused(forge: Forge) -> None:
    sibling = forge.issue(forge.spec(), mtls=True)
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(sibling.certificate, (), ANCHORS)
    assert (caught.value.step, caught.value.reason) in {
        (Step.CHAIN, Reason.PURPOSE_MISMATCH),
        (Step.CHAIN, Reason.EXTENSION_UNKNOWN),
        (Step.CHAIN, Reason.PROFILE_MISMATCH),
    }


@pytest.mark.parametrize(
    ("forge", "which"),
    [(NOTME, "root"), (NOTME, "tsa"), (INTEROP, "root"), (INTEROP, "tsa")],
    ids=["the Ed25519 root", "the time-stamping key under it", "the interop root", "the time-stamping key under that"],
)
def test_no_other_certificate_of_the_authority_signs_commits(forge: Forge, which: str) -> None:
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(getattr(forge, which), (), ANCHORS)
    assert caught.value.step is Step.CHAIN


def test_a_root_with_the_same_names_and_another_key_is_no_anchor() -> None:
    imposter = Forge(Profile.NOTME)
    leaf = imposter.leaf().certificate
    assert leaf.issuer == NOTME.root.subject
    with pytest.raises(VerificationError, match="no pinned anchor") as caught:
        certificate.verify_chain(leaf, (imposter.root,), ANCHORS)
    assert caught.value.reason is Reason.ANCHOR_UNKNOWN
    assert "--anchor" in caught.value.hint


def test_a_leaf_whose_bytes_changed_after_signing_is_not_under_the_anchor() -> None:
    changed_der = NOTME.leaf().der.replace(b"agent-7", b"agent-8")
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(x509.load_der_x509_certificate(changed_der), (), ANCHORS)
    assert caught.value.reason is Reason.ANCHOR_UNKNOWN


@pytest.mark.parametrize(
    ("forge", "asked"), [(NOTME, Profile.INTEROP), (INTEROP, Profile.NOTME), (NOTME, Profile.UPSTREAM)]
)
def test_a_profile_that_was_asked_for_is_kept_to(forge: Forge, asked: Profile) -> None:
    with pytest.raises(VerificationError, match=f"of profile {forge.profile}, not {asked}") as caught:
        certificate.verify_chain(forge.leaf().certificate, (), ANCHORS, asked)
    assert caught.value.reason is Reason.PROFILE_MISMATCH


def test_our_leaf_under_an_anchor_pinned_as_upstream_is_refused() -> None:
    anchor = Anchor.read(NOTME.root, Profile.UPSTREAM)
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(NOTME.leaf().certificate, (), (anchor,))
    assert caught.value.reason is Reason.EXTENSION_UNKNOWN


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256 in notme", "P-384", "RSA"],
)
def test_a_key_of_another_algorithm_is_refused(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    error = refusal(NOTME, lambda b: changed(b, public_key=key.public_key()))
    assert error.reason in (Reason.PROFILE_MISMATCH, Reason.CERTIFICATE_INVALID)


def ca(
    name: str, key: Ed25519PrivateKey, *, signer: Ed25519PrivateKey, issuer: str, edit: Edit = lambda b: b
) -> x509.Certificate:
    """A CA certificate for `key` with the name `name`, issued by `signer` under the name `issuer`."""

    def named(text: str) -> x509.CertificateBuilder:
        return profile.root(
            text, key.public_key(), serial=5, at=NOW - timedelta(hours=1), until=NOW + timedelta(days=1)
        )

    return certify(edit(changed(named(name), issuer_name=named(issuer)._subject_name)), signer)


def leaf_under(issuer: x509.Certificate) -> x509.CertificateBuilder:
    """A leaf in the shape of signet-git: it looks self-issued (`authority-protocol.md` 16)."""
    builder = x509.CertificateBuilder(
        subject_name=issuer.subject,
        issuer_name=issuer.subject,
        public_key=Ed25519PrivateKey.from_private_bytes(bytes([3]) * 32).public_key(),
        serial_number=9,
        not_valid_before=NOW,
        not_valid_after=NOW + timedelta(minutes=5),
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    return usage(digital_signature=True)(builder)


class Signet:
    """Root, issuing CA and leaf in the shape of signet-git (`authority-protocol.md` 16)."""

    def __init__(
        self,
        *,
        root: Edit = lambda b: b,
        issuing: Edit = lambda b: b,
        leaf: Edit = lambda b: b,
        leaf_issuer: str = "alice@example.org",
    ) -> None:
        keys = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2)]
        self.keys = keys
        self.root = ca("did:key:signet", keys[0], signer=keys[0], issuer="did:key:signet", edit=root)
        self.issuing = ca("alice@example.org", keys[1], signer=keys[0], issuer="did:key:signet", edit=issuing)
        builder = leaf_under(self.issuing)
        if leaf_issuer != "alice@example.org":
            builder = changed(builder, issuer_name=self.root.subject)
        self.leaf = certify(leaf(builder), keys[1])

    @property
    def anchors(self) -> tuple[Anchor, ...]:
        return (Anchor.read(self.root, Profile.SIGNET),)


def test_one_issuing_ca_is_walked_under_profile_signet() -> None:
    signet = Signet()
    chain = certificate.verify_chain(signet.leaf, (signet.issuing,), signet.anchors)
    assert chain.issuing == signet.issuing
    assert (chain.leaf.subject, chain.leaf.epoch, chain.leaf.scopes) == ("alice@example.org", None, ())
    assert chain.leaf.issued_at == NOW


CHAINS: list[tuple[str, Callable[[], Signet], Reason, str]] = [
    (
        "an issuing CA that is no CA",
        lambda: Signet(issuing=with_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)),
        Reason.CERTIFICATE_INVALID,
        "not a CA",
    ),
    (
        "an issuing CA that may not sign certificates",
        lambda: Signet(issuing=usage(digital_signature=True)),
        Reason.CERTIFICATE_INVALID,
        "not a CA",
    ),
    (
        "a root that may not sign certificates",
        lambda: Signet(root=usage(crl_sign=True)),
        Reason.CERTIFICATE_INVALID,
        "not a CA",
    ),
    (
        "a root without room for an issuing CA",
        lambda: Signet(root=with_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)),
        Reason.CERTIFICATE_INVALID,
        "path length",
    ),
    (
        "a leaf that lives beyond its issuing CA",
        lambda: Signet(leaf=validity(NOW, NOW + timedelta(days=2))),
        Reason.CERTIFICATE_INVALID,
        "validity",
    ),
    (
        "an issuing CA that lives beyond its root",
        lambda: Signet(issuing=validity(NOW, NOW + timedelta(days=2))),
        Reason.CERTIFICATE_INVALID,
        "validity",
    ),
    (
        "a leaf that names the root as its issuer",
        lambda: Signet(leaf_issuer="did:key:signet"),
        Reason.CERTIFICATE_INVALID,
        "issuer name",
    ),
    ("a leaf without its purpose", lambda: Signet(leaf=without(EKU)), Reason.PROFILE_MISMATCH, "demands"),
    (
        "a leaf with two common names",
        lambda: Signet(
            leaf=lambda b: changed(
                b,
                subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n) for n in ("alice", "bob")]),
            )
        ),
        Reason.CERTIFICATE_INVALID,
        "2 common names",
    ),
]


@pytest.mark.parametrize(("make", "reason", "text"), [c[1:] for c in CHAINS], ids=[c[0] for c in CHAINS])
def test_a_chain_with_a_broken_link_is_refused(make: Callable[[], Signet], reason: Reason, text: str) -> None:
    signet = make()
    with pytest.raises(VerificationError, match=text) as caught:
        certificate.verify_chain(signet.leaf, (signet.issuing,), signet.anchors)
    assert (caught.value.step, caught.value.reason) == (Step.CHAIN, reason)


def test_an_issuing_ca_that_is_not_included_is_not_guessed() -> None:
    signet = Signet()
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(signet.leaf, (), signet.anchors)
    assert caught.value.reason is Reason.ANCHOR_UNKNOWN


def test_two_included_cas_with_the_issuing_key_are_one_too_many() -> None:
    signet = Signet()
    twin = ca("alice@example.org", signet.keys[1], signer=signet.keys[0], issuer="did:key:signet")
    with pytest.raises(VerificationError, match="several") as caught:
        certificate.verify_chain(signet.leaf, (signet.issuing, twin), signet.anchors)
    assert caught.value.reason is Reason.CERTIFICATE_INVALID


def test_two_issuing_cas_above_each_other_are_too_deep() -> None:
    signet = Signet()
    below = Ed25519PrivateKey.generate()
    sub = ca("sub", below, signer=signet.keys[1], issuer="alice@example.org")
    leaf = certify(leaf_under(sub), below)
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(leaf, (sub, signet.issuing), signet.anchors)
    assert caught.value.reason is Reason.ANCHOR_UNKNOWN


def test_a_ca_that_says_nothing_of_its_holder_issues_nothing_in_our_profiles() -> None:
    key = Ed25519PrivateKey.generate()
    issuing = ca("issuing", key, signer=NOTME.root_key, issuer="authority.example")  # type: ignore[arg-type]
    spec = NOTME.spec()
    leaf = certify(builders.signing_leaf(spec, Ed25519PrivateKey.generate().public_key(), issuing, serial=4), key)
    with pytest.raises(VerificationError, match="demands extension") as caught:
        certificate.verify_chain(leaf, (issuing,), ANCHORS)
    assert caught.value.reason is Reason.PROFILE_MISMATCH


UPSTREAM_REMARKS = (
    "epoch-not-minimal",
    "subject-key-identifier-missing",
    "authority-key-identifier-missing",
    "not-backdated",
)
PAIRS = [
    ("D-pair", "D-ca", UPSTREAM_REMARKS),
    ("gha-pair", "ca-epoch1", (*UPSTREAM_REMARKS, "issuer-name-mismatch")),
    ("epoch1-pair", "ca-epoch1", (*UPSTREAM_REMARKS, "issuer-name-mismatch")),
    ("epoch2-pair", "ca-epoch2", (*UPSTREAM_REMARKS, "issuer-name-mismatch")),
    ("bootstrap-pair", "ca-epoch1", (*UPSTREAM_REMARKS, "issuer-name-mismatch")),
    ("invite-pair", "ca-epoch1", (*UPSTREAM_REMARKS, "issuer-name-mismatch")),
    ("oidc-session-pair", "ca-epoch1", (*UPSTREAM_REMARKS, "issuer-name-mismatch")),
    ("passkey-pair", "ca-epoch1", (*UPSTREAM_REMARKS, "issuer-name-mismatch")),
]


def shared(folder: Path, name: str) -> x509.Certificate:
    return certificate.load_pem((folder / "notme" / f"{name}.pem").read_bytes())[0]


@pytest.mark.parametrize(("pair", "root", "remarks"), PAIRS, ids=[p[0] for p in PAIRS])
def test_a_pair_of_the_upstream_authority_is_read_with_its_remarks(
    shared_vectors: Path, pair: str, root: str, remarks: tuple[str, ...]
) -> None:
    anchors = (Anchor.read(shared(shared_vectors, root), Profile.UPSTREAM),)
    chain = certificate.verify_chain(shared(shared_vectors, f"{pair}-signing"), (), anchors)
    assert chain.remarks == remarks
    assert (chain.leaf.claims, len(chain.leaf.binding), chain.leaf.epoch) == (None, 32, 2 if "2" in pair else 1)
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(shared(shared_vectors, f"{pair}-mtls"), (), anchors)
    assert caught.value.step is Step.CHAIN
    with pytest.raises(VerificationError):
        certificate.verify_chain(shared(shared_vectors, f"{pair}-signing"), (), (Anchor.read(anchors[0].certificate),))


@pytest.mark.parametrize("pem", [b"", b"no certificate", b"x" * (certificate.MAX_PEM_BYTES + 1)])
def test_pem_without_a_readable_certificate_is_malformed(pem: bytes) -> None:
    with pytest.raises(MalformedError):
        certificate.load_pem(pem)


def test_a_certificate_with_a_negative_serial_number_is_malformed() -> None:
    negative = NOTME.root.public_bytes(Encoding.DER).replace(b"\x02\x01\x01", b"\x02\x01\xff", 1)
    with pytest.raises(MalformedError, match="serial number"):
        asn1.load_certificate(negative)


SAMPLE = NOTME.leaf().der


@given(st.integers(0, 8 * len(SAMPLE) - 1))
@settings(derandomize=True, max_examples=400)
def test_a_leaf_with_one_flipped_bit_is_never_under_the_anchor(bit: int) -> None:
    flipped = bytearray(SAMPLE)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Error):
        certificate.verify_chain(asn1.load_certificate(bytes(flipped)), (), ANCHORS)


def signed_again(tbs: bytes) -> bytes:
    """A certificate around `tbs` that the root really signed."""
    assert isinstance(NOTME.root_key, Ed25519PrivateKey)
    return der.seq(tbs, der.algorithm(der.ED25519), der.tlv(0x03, b"\0", NOTME.root_key.sign(tbs)))


TBS = NOTME.leaf().certificate.tbs_certificate_bytes


def test_a_certificate_signed_again_is_the_same() -> None:
    chain = certificate.verify_chain(asn1.load_certificate(signed_again(TBS)), (), ANCHORS)
    assert chain.leaf.claims == AGENT


@given(st.integers(0, 8 * len(TBS) - 1))
@settings(derandomize=True, max_examples=600)
def test_a_leaf_with_one_flipped_bit_that_the_root_signed_is_refused_or_read_as_it_stands(bit: int) -> None:
    flipped = bytearray(TBS)
    flipped[bit // 8] ^= 1 << bit % 8
    signed = signed_again(bytes(flipped))
    try:
        leaf = certificate.verify_chain(asn1.load_certificate(signed), (), ANCHORS).leaf
    except Error:
        return
    assert leaf.encoded == signed
    claims = asn1.load_certificate(leaf.encoded).extensions.get_extension_for_oid(profile.CLAIMS).value
    assert isinstance(claims, x509.UnrecognizedExtension)
    assert leaf.claims is not None
    assert claims_codec.encode(leaf.claims) == claims.value


def test_an_extension_that_stands_twice_is_refused() -> None:
    """The library refuses to write this, so the bytes are put together here."""
    head, extensions = TBS[: TBS.rindex(b"\xa3\x82")], NOTME.leaf().certificate
    items = [
        der.seq(
            der.oid(e.oid.dotted_string), b"\x01\x01\xff" if e.critical else b"", der.octets(e.value.public_bytes())
        )
        for e in extensions.extensions
    ]
    body = head[4:] + der.tlv(0xA3, der.seq(*items, items[-1]))
    with pytest.raises(VerificationError, match="does not hold") as caught:
        certificate.verify_chain(asn1.load_certificate(signed_again(der.seq(body))), (), ANCHORS)
    assert caught.value.reason is Reason.CERTIFICATE_INVALID


@pytest.mark.parametrize("unused", [1, 7, 8, 255])
def test_a_signature_of_the_issuer_has_one_spelling(unused: int) -> None:
    """The count of unused bits is signed by nobody: a leaf changed there is another object, same signature."""
    for seed in range(8):
        forge = Forge(Profile.NOTME, seed=f"unused bits {seed}")
        before = forge.leaf()
        signature = before.certificate.signature
        changed_der = before.der.removesuffix(b"\0" + signature) + bytes([unused]) + signature
        with pytest.raises(Error):
            certificate.verify_chain(asn1.load_certificate(changed_der), (), forge.trusted.anchors)


def test_a_name_longer_than_is_allowed_is_read_without_a_warning() -> None:
    long = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x" * 65, _validate=False)])
    assert certificate.read_leaf(NOTME.issue(NOTME.spec()).certificate, Profile.NOTME).remarks == ()
    leaf = NOTME.issue(NOTME.spec(), edit=lambda b: changed(b, subject_name=long)).certificate
    with pytest.raises(VerificationError, match="common-name-too-long"):
        certificate.verify_chain(leaf, (), ANCHORS)


def test_a_version_that_does_not_exist_is_malformed() -> None:
    with pytest.raises(MalformedError, match="version"):
        asn1.load_certificate(signed_again(TBS.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", 1)))


def test_the_kind_of_actor_is_read_from_the_claims_alone() -> None:
    leaf = certificate.verify_chain(NOTME.verifier().certificate, (), ANCHORS).leaf
    assert leaf.claims is not None
    assert leaf.claims.actor_kind is PrincipalKind.VERIFIER


def test_the_moment_of_issue_is_kept_to_the_millisecond_in_utc() -> None:
    at = datetime(2026, 11, 23, 14, 58, 10, 7000, tzinfo=UTC)
    spec: LeafSpec = replace(NOTME.spec(), issued_at=at)
    assert certificate.verify_chain(NOTME.issue(spec).certificate, (), ANCHORS).leaf.issued_at == at


def test_a_root_signed_with_sha256_by_p256_only_is_read_as_interop() -> None:
    assert Anchor.read(INTEROP.root).profile is Profile.INTEROP
    assert isinstance(INTEROP.root.signature_hash_algorithm, SHA256)


@pytest.mark.parametrize("name", ["ssh", "sigstore", "Smime", "wimse://authority.example/agent/ssh", "ssh-bot:1", ""])
def test_an_actor_may_have_a_name_that_only_looks_like_how_a_key_is_called(name: str) -> None:
    certificate.check_name(name)


@pytest.mark.parametrize("name", ["ssh:SHA256:x", "SSH:x", "ni:///sha-256;x", "sigstore:https%3A%2F%2Fi#a", "openpgp:"])
def test_no_actor_is_called_as_a_key_is(name: str) -> None:
    with pytest.raises(VerificationError, match="as somebody with a key of their own is called"):
        certificate.check_name(name)
