from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import certificate, cms, delegation, identity, patterns, profile, sshcert, statement, trust, verify
from attest.certificate import Chain
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.gitobject import ObjectFormat, ObjectKind
from attest.keys import KeyAlgorithm
from attest.policy import Context, Policy
from attest.profile import LeafSpec, Profile
from attest.types import Assurance, Authentication, Constraints, PrincipalKind, Revocation, RevocationKind
from tests import builders, family
from tests.family import CHILD, CI, ORCHESTRATOR, SCOPES, Family, alone, child_spec, signature
from tests.forge import (
    AGENT,
    ALICE,
    NOW,
    Edit,
    Forge,
    attach,
    certify,
    commit_id,
    commit_payload,
    named,
)

NOTME = Forge(Profile.NOTME, seed="delegation")
INTEROP = Forge(Profile.INTEROP, seed="delegation")


def made(forge: Forge = NOTME, **changes: Any) -> Family:
    """See `family.made`; of the notme authority unless told otherwise."""
    return family.made(forge, **changes)


def test_a_leaf_within_its_issuing_ca_is_accepted_and_names_both() -> None:
    family = made()
    chain = family.verify()
    above = chain.leaf.delegator
    assert chain.issuing == family.ca.certificate
    assert above is not None
    assert (above.claims, above.scopes, above.ci) == (ORCHESTRATOR, SCOPES, CI)
    assert (chain.leaf.claims, chain.leaf.ci, chain.remarks) == (CHILD, CI[:1], ())
    found = identity.describe(chain.leaf)
    assert found.delegator is not None
    assert (found.actor.id, found.delegator.id) == (chain.leaf.uri, above.uri)
    assert [(c.name, c.value) for c in found.ci] == [("issuer", "https://ci.example")]
    assert identity.summary(chain.leaf) == (
        "child via orchestrator for Alice Example <alice@example.org> (other-user, self-asserted)"
    )


def test_profile_interop_has_no_issuing_ca() -> None:
    """Stock tools, for which it is there, check no claim: they would show whatever address an orchestrator wrote."""
    family = made(INTEROP)
    with pytest.raises(VerificationError, match="profile interop has no issuing CA") as caught:
        family.verify()
    assert caught.value.reason is Reason.PROFILE_MISMATCH
    with pytest.raises(VerificationError, match="profile interop has no issuing CA"):
        certificate.verify_issuing(family.ca.certificate, INTEROP.trusted.anchors, Profile.INTEROP)


def claim(**changes: Any) -> Callable[[LeafSpec], LeafSpec]:
    return lambda spec: replace(spec, claims=named(spec.claims, **changes))


def field(**changes: Any) -> Callable[[LeafSpec], LeafSpec]:
    return lambda spec: replace(spec, **changes)


def limits(repositories: tuple[str, ...] = ("https://git.example/app",), branches: tuple[str, ...] = ("main",)) -> Any:
    return claim(constraints=Constraints(repositories, branches))


def renamed(name: str) -> Callable[[LeafSpec], LeafSpec]:
    """Another name, with the URI and the address that go with it."""

    def change(spec: LeafSpec) -> LeafSpec:
        uri = spec.uri.removesuffix("child") + name
        email = f"orchestrator+{name}@authority.example.invalid"
        return replace(spec, uri=uri, subject=uri, claims=named(spec.claims, actor_name=name, actor_email=email))

    return change


NARROWER: dict[str, Callable[[LeafSpec], LeafSpec]] = {
    "one scope of several": field(scopes=("sign:attestation",)),
    "a repository and a branch that the patterns match": limits(),
    "some of the patterns": limits(("https://git.example/**",), ("agents/*",)),
    "a weaker assurance": claim(assurance=Assurance.SAME_USER),
    "the orchestrator's own address": claim(actor_email=ORCHESTRATOR.actor_email),
    "a workload": claim(actor_kind=PrincipalKind.WORKLOAD),
    "no facts of a CI job": field(ci=()),
    "another name": renamed("test-runner.2"),
}


@pytest.mark.parametrize("narrow", NARROWER.values(), ids=NARROWER)
def test_what_is_narrower_is_accepted(narrow: Callable[[LeafSpec], LeafSpec]) -> None:
    assert made(child=narrow).verify().leaf.delegator is not None


WIDENED: dict[str, tuple[Callable[[LeafSpec], LeafSpec], str]] = {
    "another represented principal": (claim(represented=replace(ALICE, id="https://x/bob")), "represents"),
    "another address of the represented principal": (
        claim(represented=replace(ALICE, email="ceo@example.org")),
        "represents",
    ),
    "a better authentication of the represented principal": (
        claim(represented=replace(ALICE, authentication=Authentication.PASSKEY)),
        "represents",
    ),
    "nobody represented": (claim(represented=None), "represents nobody"),
    "another grant": (claim(grant_id="another"), "grant"),
    "another digest of the grant": (claim(grant_sha256=bytes(32)), "grant"),
    "no grant": (claim(grant_id="", grant_sha256=b""), "grant"),
    "no session": (claim(session=""), "session or task"),
    "another session": (claim(session="session-43"), "session or task"),
    "no task": (claim(task_digest=b""), "session or task"),
    "another task": (claim(task_digest=b"\1" * 32), "session or task"),
    "a human": (claim(actor_kind=PrincipalKind.HUMAN), "nobody that a grant"),
    "an organization": (claim(actor_kind=PrincipalKind.ORGANIZATION), "nobody that a grant"),
    "a URI beside its orchestrator's": (field(uri="wimse://authority.example/agent/child"), "not child under"),
    "a URI that only begins like its orchestrator's": (
        field(uri="wimse://authority.example/agent/orchestrator-2/child"),
        "not child under",
    ),
    "its orchestrator's own URI": (field(uri="wimse://authority.example/agent/orchestrator"), "not child under"),
    "a URI two levels down": (field(uri="wimse://authority.example/agent/orchestrator/a/child"), "not child under"),
    "another name than its URI's": (claim(actor_name="other"), "not other under"),
    "a subject that is not its URI": (field(subject="somebody"), "not child under"),
    "a name with a slash": (renamed("a/b"), "nobody that a grant"),
    "a name that goes up": (renamed(".."), "nobody that a grant"),
    "a name with a blank": (renamed("a b"), "nobody that a grant"),
    "the human's address": (claim(actor_email=ALICE.email), "address"),
    "another agent's address": (claim(actor_email="child@authority.example.invalid"), "address"),
    "the address of another child": (claim(actor_email="orchestrator+x@authority.example.invalid"), "address"),
    "a scope its orchestrator does not hold": (field(scopes=("sign:git", "bridgeCert")), "scopes"),
    "the scope that mints": (field(scopes=("sign:git", "certMint")), "scopes"),
    "no scope": (field(scopes=()), "scopes"),
    "no constraints": (limits((), ()), "not constrained in repositories"),
    "no constraint of branches": (limits(branches=()), "not constrained in branches"),
    "a branch beyond the patterns": (limits(branches=("main", "release/1")), "'release/1' of its branches"),
    "a repository beyond the patterns": (limits(("https://evil.example/app",)), "of its repositories"),
    "a wider pattern": (limits(branches=("**",)), "'\\*\\*' of its branches"),
    "a pattern inside another, which is not worked out": (limits(branches=("agents/a*",)), "of its branches"),
    "a stronger assurance": (claim(assurance=Assurance.REMOTE_AUTHORITY), "assurance"),
    "another epoch": (field(epoch=2), "epoch or authentication"),
    "another authentication": (field(auth_method="passkey"), "epoch or authentication"),
    "another fact of a CI job": (field(ci=((8, "https://other.example"),)), "CI job"),
    "a fact of a CI job that its orchestrator has not": (field(ci=((22, "public"),)), "CI job"),
}


@pytest.mark.parametrize(("widen", "text"), WIDENED.values(), ids=WIDENED)
def test_what_is_wider_is_refused(widen: Callable[[LeafSpec], LeafSpec], text: str) -> None:
    with pytest.raises(VerificationError, match=text) as caught:
        made(child=widen).verify()
    assert (caught.value.step, caught.value.reason) == (Step.CHAIN, Reason.DELEGATION_EXCEEDED)


MAY_NOT: dict[str, Callable[[LeafSpec], LeafSpec]] = {
    "a human": claim(actor_kind=PrincipalKind.HUMAN),
    "an organization": claim(actor_kind=PrincipalKind.ORGANIZATION),
    "a verifier": claim(actor_kind=PrincipalKind.VERIFIER),
}


@pytest.mark.parametrize("change", MAY_NOT.values(), ids=MAY_NOT)
def test_only_agents_and_workloads_pass_a_grant_on(change: Callable[[LeafSpec], LeafSpec]) -> None:
    with pytest.raises(VerificationError, match="may be passed on") as caught:
        made(parent=change).verify()
    assert caught.value.reason is Reason.DELEGATION_EXCEEDED


def with_extension(value: x509.ExtensionType, *, critical: bool) -> Edit:
    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder._extensions = [e for e in builder._extensions if e.oid != value.oid]
        return builder.add_extension(value, critical=critical)

    return edit


def without(oid: x509.ObjectIdentifier) -> Edit:
    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder._extensions = [e for e in builder._extensions if e.oid != oid]
        return builder

    return edit


def usage(**flags: bool) -> Edit:
    none = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    none |= dict.fromkeys(("digital_signature", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
    return with_extension(x509.KeyUsage(**none | flags), critical=True)


def path_length(length: int | None) -> Edit:
    return with_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)


def names(*values: x509.GeneralName) -> Edit:
    return with_extension(x509.SubjectAlternativeName(values), critical=True)


URI = x509.UniformResourceIdentifier("wimse://authority.example/agent/orchestrator")
CODE_SIGNING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
TLS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.CLIENT_AUTH])
NOT_ISSUING: dict[str, tuple[Edit, Reason, str]] = {
    "a CA that may have another below it": (path_length(1), Reason.PROFILE_MISMATCH, "more than leaves"),
    "a CA without an end to its path": (path_length(None), Reason.PROFILE_MISMATCH, "more than leaves"),
    "no CA": (
        with_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
        Reason.CERTIFICATE_INVALID,
        "not a CA",
    ),
    "a key that does not sign certificates": (
        usage(digital_signature=True),
        Reason.CERTIFICATE_INVALID,
        "not a CA",
    ),
    "a key that also signs": (
        usage(key_cert_sign=True, crl_sign=True, digital_signature=True),
        Reason.PROFILE_MISMATCH,
        "more than issue",
    ),
    "no purpose": (without(ExtensionOID.EXTENDED_KEY_USAGE), Reason.PROFILE_MISMATCH, "demands"),
    "a critical purpose": (
        with_extension(CODE_SIGNING, critical=True),
        Reason.PROFILE_MISMATCH,
        "criticality",
    ),
    "the purpose of TLS clients too": (with_extension(TLS, critical=False), Reason.PROFILE_MISMATCH, "that alone"),
    "an unknown extension": (
        with_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0"), critical=True),
        Reason.EXTENSION_UNKNOWN,
        "critical",
    ),
    "no claims": (without(profile.CLAIMS), Reason.PROFILE_MISMATCH, "demands"),
    "no name": (without(ExtensionOID.SUBJECT_ALTERNATIVE_NAME), Reason.PROFILE_MISMATCH, "demands"),
    "two names": (names(URI, x509.DNSName("example.org")), Reason.PROFILE_MISMATCH, "not one URI"),
}


@pytest.mark.parametrize(("edit", "reason", "text"), NOT_ISSUING.values(), ids=NOT_ISSUING)
def test_an_issuing_ca_that_departs_from_its_profile_is_refused(edit: Edit, reason: Reason, text: str) -> None:
    with pytest.raises(VerificationError, match=text) as caught:
        made(ca_edit=edit).verify()
    assert caught.value.reason is reason


SAYS_OTHERWISE: dict[str, tuple[Callable[[LeafSpec], LeafSpec], str]] = {
    "no depth": (claim(depth=0), "does not say"),
    "a depth that no path length goes with": (claim(depth=2), "does not say"),
    "no scope to mint": (field(scopes=("sign:git",)), "certMint"),
    "a binding to more than its key": (field(binding=bytes(32)), "key binding"),
    "an issue long before its life": (field(issued_at=NOW - timedelta(days=2)), "validity is not within"),
}


@pytest.mark.parametrize(("change", "text"), SAYS_OTHERWISE.values(), ids=SAYS_OTHERWISE)
def test_an_issuing_ca_that_says_otherwise_is_refused(change: Callable[[LeafSpec], LeafSpec], text: str) -> None:
    with pytest.raises(VerificationError, match=text):
        made(parent=change).verify()


def test_an_issuing_ca_lives_a_day_at_most() -> None:
    with pytest.raises(VerificationError, match="longer than 24 hours"):
        made(until=NOW + timedelta(hours=24, seconds=1)).verify()


def test_a_leaf_lives_within_its_issuing_ca() -> None:
    with pytest.raises(VerificationError, match="validity is not within"):
        made(until=NOW + timedelta(minutes=4)).verify()


def test_a_minted_leaf_lives_five_minutes_like_any_other() -> None:
    def longer(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder._not_valid_after = (NOW + timedelta(seconds=301)).replace(tzinfo=None)
        return builder

    with pytest.raises(VerificationError, match="longer than five minutes"):
        made(leaf_edit=longer).verify()


def test_a_minted_leaf_is_bound_to_its_own_key_alone() -> None:
    with pytest.raises(VerificationError, match="key binding"):
        made(child=field(binding=bytes(32))).verify()


@pytest.mark.parametrize("change", [claim(depth=1)], ids=["passes on again"])
def test_no_leaf_passes_its_grant_on(change: Callable[[LeafSpec], LeafSpec]) -> None:
    with pytest.raises(VerificationError, match="leaf, and says"):
        made(child=change).verify()
    spec = replace(NOTME.spec(), claims=named(AGENT, depth=1))
    with pytest.raises(VerificationError, match="leaf, and says"):
        certificate.verify_chain(NOTME.issue(spec).certificate, (), NOTME.trusted.anchors)


def test_an_issuing_ca_signs_no_commits_itself() -> None:
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(made().ca.certificate, (), NOTME.trusted.anchors)
    assert caught.value.reason in (Reason.PURPOSE_MISMATCH, Reason.PROFILE_MISMATCH)


def test_a_leaf_without_its_issuing_ca_has_no_anchor() -> None:
    family = made()
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(family.leaf.certificate, (), NOTME.trusted.anchors)
    assert caught.value.reason is Reason.ANCHOR_UNKNOWN


def test_a_child_mints_nothing_further() -> None:
    """A CA below a CA, however well it is made otherwise."""
    family, below, last = made(), NOTME.key(), NOTME.key()
    spec = alone(replace(child_spec(NOTME), claims=named(CHILD, depth=1), scopes=SCOPES), below)
    middle = certify(
        profile.issuing_ca(spec, below.public_key(), family.ca.certificate, serial=21, until=NOW + timedelta(hours=1)),
        family.ca.key,
    )
    leaf = certify(builders.signing_leaf(child_spec(NOTME), last.public_key(), middle, serial=22), below)
    for others in ((middle,), (middle, family.ca.certificate)):
        with pytest.raises(VerificationError) as caught:
            certificate.verify_chain(leaf, others, NOTME.trusted.anchors)
        assert caught.value.reason is Reason.ANCHOR_UNKNOWN


def test_an_issuing_ca_of_another_authority_mints_nothing_here() -> None:
    other = Forge(Profile.NOTME, seed="delegation other")
    family = made(other)
    with pytest.raises(VerificationError) as caught:
        certificate.verify_chain(family.leaf.certificate, (family.ca.certificate,), NOTME.trusted.anchors)
    assert caught.value.reason is Reason.ANCHOR_UNKNOWN


def test_a_certificate_without_claims_passes_nothing_on() -> None:
    held = made().verify().leaf
    assert held.delegator is not None
    for child, parent in ((replace(held, claims=None), held.delegator), (held, replace(held.delegator, claims=None))):
        with pytest.raises(VerificationError, match="no claims"):
            delegation.verify_within(child, parent)


def test_a_signature_carries_leaf_and_issuing_ca_as_a_sorted_set() -> None:
    family = made()
    payload = commit_payload(committer=f"child <{CHILD.actor_email}>")
    pending = cms.to_be_signed(payload, KeyAlgorithm.ED25519, signing_time=NOW)
    value = family.leaf.sign(pending.data)
    assembled = cms.assemble(
        pending,
        value,
        signer=family.leaf.certificate,
        intermediates=(family.ca.certificate,),
        timestamp=NOTME.token(value),
    )
    armour = signature(family, payload)
    assert cms.ARMOUR.wrap(assembled) == armour
    found = verify.examine_signature(armour, payload, NOTME.trusted, at=NOW, git=True)
    assert "".join(f.status[0] for f in found.findings[1:5]) == "pppp"
    assert found.finding(Step.IDENTITY).detail.startswith("child via orchestrator for Alice")


def test_a_statement_names_who_passed_the_grant_on() -> None:
    family, payload = made(), commit_payload(committer=f"child <{CHILD.actor_email}>")
    raw = attach(payload, signature(family, payload))
    examination = verify.examine(
        raw, ObjectKind.COMMIT, ObjectFormat.SHA1, commit_id(raw), NOTME.trusted, at=NOW, profile=Profile.NOTME
    )
    verdict = verify.judge(examination, Policy(), Context("refs/heads/main", "https://git.example/app"), at=NOW)
    stated = statement.build(examination, verdict, verifier_id="https://v", repository=None, ref=None, at=NOW)
    predicate = json.loads(stated)["predicate"]
    assert predicate["verification"]["result"] == "PASSED"
    assert predicate["certificate"]["ci"] == {"issuer": "https://ci.example"}
    assert predicate["identity"]["actor"]["id"] == "wimse://authority.example/agent/orchestrator/child"
    assert predicate["identity"]["delegator"] == {
        "id": "wimse://authority.example/agent/orchestrator",
        "kind": "agent",
        "name": "orchestrator",
        "email": ORCHESTRATOR.actor_email,
        "certificateSha256": hashlib.sha256(family.ca.der).hexdigest(),
        "source": "issuing-certificate-claims",
    }


def test_the_same_certificates_in_another_order_are_refused() -> None:
    family, payload = made(), commit_payload(committer=f"child <{CHILD.actor_email}>")
    armour = signature(family, payload, order=lambda both: sorted(both, reverse=True))
    found = verify.examine_signature(armour, payload, NOTME.trusted, at=NOW, git=True)
    assert found.finding(Step.CHAIN).reason == Reason.PROFILE_MISMATCH
    assert "order of DER" in found.finding(Step.CHAIN).detail


def revocations(chain: Chain) -> dict[str, tuple[RevocationKind, str]]:
    above = chain.leaf.delegator
    assert above is not None
    return {
        "the orchestrator": (RevocationKind.PRINCIPAL, above.uri),
        "the human": (RevocationKind.PRINCIPAL, ALICE.id),
        "the child": (RevocationKind.PRINCIPAL, chain.leaf.uri),
        "the grant": (RevocationKind.GRANT, ORCHESTRATOR.grant_id),
        "the session": (RevocationKind.SESSION, ORCHESTRATOR.session),
        "the issuing CA's certificate": (RevocationKind.CERTIFICATE, above.signed_sha256.hex()),
        "the child's certificate": (RevocationKind.CERTIFICATE, chain.leaf.signed_sha256.hex()),
    }


@pytest.mark.parametrize("what", revocations(made().verify()))
def test_what_revokes_an_issuing_ca_revokes_what_it_minted(what: str) -> None:
    chain = made().verify()
    kind, name = revocations(chain)[what]
    assert trust._concerns(Revocation(kind, name, 0, ""), chain.leaf)
    assert not trust._concerns(Revocation(kind, name + "x", 0, ""), chain.leaf)


def test_no_openssh_certificate_passes_a_grant_on() -> None:
    leaf = NOTME.ssh_leaf(named(AGENT, depth=1))
    with pytest.raises(VerificationError, match="OpenSSH has no chains"):
        sshcert.verify_chain(sshcert.parse(leaf.blob), NOTME.trusted.anchors)


FAMILY = made()
HELD = FAMILY.verify().leaf
PATTERNS = st.lists(st.text("ab/*", min_size=1, max_size=5), max_size=3).map(tuple)


@settings(derandomize=True, max_examples=300)
@given(PATTERNS, PATTERNS, st.text("ab/", max_size=5))
def test_where_a_child_may_be_its_parent_may_be_too(
    theirs: tuple[str, ...], mine: tuple[str, ...], value: str
) -> None:
    child, parent = HELD, HELD.delegator
    assert parent is not None
    assert parent.claims is not None
    assert child.claims is not None
    parent = replace(parent, claims=named(parent.claims, constraints=Constraints((), theirs)))
    child = replace(child, claims=named(child.claims, constraints=Constraints((), mine)))
    try:
        delegation.verify_within(child, parent)
    except VerificationError:
        return
    within = [not limits or any(patterns.matches(each, value) for each in limits) for limits in (theirs, mine)]
    assert within[0] or not within[1]


@settings(derandomize=True, max_examples=200)
@given(st.integers(0, 10**6))
def test_no_bit_of_an_issuing_ca_can_be_changed(bit: int) -> None:
    data = bytearray(FAMILY.ca.der)
    bit %= len(data) * 8
    data[bit // 8] ^= 1 << bit % 8
    try:
        changed = certificate.read(bytes(data))
    except MalformedError:
        return
    with pytest.raises(VerificationError):
        certificate.verify_chain(FAMILY.leaf.certificate, (changed,), NOTME.trusted.anchors)
