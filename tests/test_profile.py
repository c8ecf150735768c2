from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from attest import profile
from attest.profile import RULES, Profile
from tests.forge import AGENT, NOW, Forge, named

FORGES = {p: Forge(p, seed=f"profile {p}") for p in (Profile.NOTME, Profile.INTEROP)}

BRIDGE = {f"1.3.6.1.4.1.99999.1.{n}" for n in range(1, 7)} | {"1.3.6.1.4.1.99999.2.1"}
COMMON = BRIDGE | {"2.5.29.19", "2.5.29.15", "2.5.29.14", "2.5.29.35", "2.5.29.17"}


def extensions(certificate: x509.Certificate) -> dict[str, bool]:
    return {e.oid.dotted_string: e.critical for e in certificate.extensions}


def purposes(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


@pytest.mark.parametrize("forge", FORGES.values(), ids=FORGES)
def test_a_root_is_a_ca_with_room_for_one_below(forge: Forge) -> None:
    root = forge.root
    assert root.subject == root.issuer
    assert extensions(root) == {"2.5.29.19": True, "2.5.29.15": True, "2.5.29.14": False}
    basic = root.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (basic.ca, basic.path_length) == (True, 1)
    usage = root.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)


@pytest.mark.parametrize("forge", FORGES.values(), ids=FORGES)
def test_a_time_stamping_certificate_has_its_one_purpose_and_lives_as_long_as_its_root(forge: Forge) -> None:
    assert purposes(forge.tsa) == {ExtendedKeyUsageOID.TIME_STAMPING}
    assert extensions(forge.tsa)["2.5.29.37"] is True
    assert forge.tsa.not_valid_after_utc == forge.root.not_valid_after_utc
    assert forge.tsa.issuer == forge.root.subject


def test_a_notme_leaf_carries_what_upstream_carries_and_ours() -> None:
    leaf = FORGES[Profile.NOTME].leaf().certificate
    assert set(extensions(leaf)) == COMMON
    assert {oid for oid, critical in extensions(leaf).items() if critical} == {"2.5.29.19", "2.5.29.15", "2.5.29.17"}
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("wimse://authority.example/agent/agent-7")]


def test_an_interop_leaf_carries_what_openssl_gpgsm_and_gitlab_ask_for() -> None:
    leaf = FORGES[Profile.INTEROP].leaf().certificate
    assert set(extensions(leaf)) == COMMON | {"2.5.29.37"}
    assert purposes(leaf) == {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION}
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.RFC822Name) == [AGENT.actor_email]
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "agent-7"


@pytest.mark.parametrize("forge", FORGES.values(), ids=FORGES)
def test_the_tls_sibling_shares_all_but_purpose_and_use(forge: Forge) -> None:
    signing, mtls = forge.leaf().certificate, forge.issue(forge.spec(), mtls=True).certificate
    assert (mtls.subject, mtls.issuer) == (signing.subject, signing.issuer)
    assert purposes(mtls) == {ExtendedKeyUsageOID.CLIENT_AUTH}
    assert mtls.extensions.get_extension_for_class(x509.KeyUsage).value.key_agreement
    for oid in (profile.SUBJECT, profile.SCOPES, profile.EPOCH, profile.BINDING, profile.CLAIMS):
        values = [c.extensions.get_extension_for_oid(oid).value.public_bytes() for c in (signing, mtls)]
        assert values[0] == values[1]


@pytest.mark.parametrize("forge", FORGES.values(), ids=FORGES)
def test_a_leaf_lives_from_a_minute_before_to_five_minutes_after_its_issue(forge: Forge) -> None:
    leaf = forge.issue(replace(forge.spec(), issued_at=NOW + timedelta(milliseconds=999))).certificate
    assert leaf.not_valid_before_utc == NOW - timedelta(seconds=60)
    assert leaf.not_valid_after_utc == NOW + timedelta(minutes=5)


@pytest.mark.parametrize("forge", FORGES.values(), ids=FORGES)
def test_leaf_and_issuer_name_each_other_by_name_and_key(forge: Forge) -> None:
    leaf = forge.leaf().certificate
    above = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert above == forge.root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert leaf.issuer.public_bytes() == forge.root.subject.public_bytes()


@pytest.mark.parametrize("name", ["x" * 65, "x" * 300, "ü" * 40, "漢" * 30, "x" * 63 + "ü"])
def test_a_long_name_is_cut_to_what_a_common_name_holds(name: str) -> None:
    short = profile.short_name(name)
    assert len(short.encode()) <= 64
    assert name.startswith(short)
    forge = FORGES[Profile.NOTME]
    leaf = forge.issue(replace(forge.spec(), claims=named(AGENT, actor_name=name))).certificate
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == short


@pytest.mark.parametrize("name", ["x", "x" * 64, "ü" * 32])
def test_a_name_that_fits_is_not_cut(name: str) -> None:
    assert profile.short_name(name) == name


def test_only_our_profiles_are_written_and_each_has_one_algorithm_and_scope() -> None:
    assert set(RULES) == set(Profile)
    assert {p for p, rules in RULES.items() if rules.ours} == {Profile.NOTME, Profile.INTEROP}
    assert [RULES[p].scope for p in Profile] == ["sign:git", "sign:git", "bridgeCert", ""]
