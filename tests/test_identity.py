from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest import certificate, gitobject, identity
from attest.certificate import Anchor, BridgeCertificate
from attest.claims import Claims
from attest.errors import Reason, Step, VerificationError
from attest.foreign.vouched import Vouched
from attest.profile import Profile
from attest.row import Signer, SignerKind
from attest.signed import GitObject
from attest.types import Assurance, Authentication, Principal, PrincipalKind
from tests.forge import AGENT, ALICE, NOW, Forge, commit_payload, named, push_payload, tag_payload

FORGE = Forge(Profile.NOTME, seed="identity")
INTEROP = Forge(Profile.INTEROP, seed="identity")
ALONE = replace(AGENT, represented=None)
AGENT_7 = f"agent-7 <{AGENT.actor_email}>"
HUMAN = "Alice Example <alice@example.org>"
BOB = "Bob <bob@example.org>"


def leaf(claims: Claims = AGENT, *, forge: Forge = FORGE, scopes: tuple[str, ...] = ("sign:git",)) -> BridgeCertificate:
    made = forge.leaf(claims, scopes=scopes)
    return certificate.verify_chain(made.certificate, (), forge.trusted.anchors).leaf


def commit(committer: str, author: str | None = None) -> GitObject:
    return gitobject.parse_payload(commit_payload(committer=committer, author=author))


def tag(tagger: str | None) -> GitObject:
    return gitobject.parse_payload(tag_payload("1" * 40, tagger=tagger))


def push(pusher: str) -> GitObject:
    return gitobject.parse_payload(push_payload(pusher=pusher))


AGREE = [
    ("the agent committed", commit(AGENT_7), []),
    ("the human committed", commit(HUMAN), []),
    ("another name with the agent's address", commit(f"somebody <{AGENT.actor_email}>"), []),
    ("ASCII in other case", commit("A <Alice@EXAMPLE.org>"), []),
    ("the agent committed what the human wrote", commit(AGENT_7, HUMAN), []),
    ("somebody else is the author", commit(AGENT_7, BOB), [identity.AUTHORED_BY_OTHER]),
    ("an author without address", commit(AGENT_7, "nobody <>"), [identity.AUTHORED_BY_OTHER]),
    ("the agent tagged", tag(AGENT_7), []),
    ("the human tagged", tag(HUMAN), []),
    ("the agent pushed", push(AGENT_7), []),
    ("the human pushed", push(HUMAN), []),
    ("pushed by the name of the key", push("notme:agent-7"), []),
    ("pushed by the name of key and profile", push("notme:agent-7:notme"), []),
]


@pytest.mark.parametrize(("parsed", "remarks"), [a[1:] for a in AGREE], ids=[a[0] for a in AGREE])
def test_an_object_that_agrees_with_its_certificate(parsed: GitObject, remarks: list[str]) -> None:
    assert identity.verify_identity(leaf(), parsed) == remarks


CONTRADICT = [
    ("somebody else committed", AGENT, commit(BOB, AGENT_7)),
    ("a committer without address", AGENT, commit("agent-7 <>")),
    ("an address that ends like the agent's", AGENT, commit(f"x <x{AGENT.actor_email}>")),
    ("an address that begins like the human's", AGENT, commit("x <alice@example.org.evil.example>")),
    ("a letter that folds to another in Unicode alone", AGENT, commit("x <al\u0131ce@example.org>")),
    ("the Kelvin sign for a k", named(AGENT, actor_email="k@example.org"), commit("x <\u212a@example.org>")),
    ("the human committed, whom the certificate does not name", ALONE, commit(HUMAN)),
    (
        "a human without address and a committer without",
        named(AGENT, represented=replace(ALICE, email="")),
        commit("a <>"),
    ),
    ("somebody else tagged", AGENT, tag(BOB)),
    ("nobody tagged", AGENT, tag(None)),
    ("somebody else pushed", AGENT, push(BOB)),
    ("pushed by the key of another agent", AGENT, push("notme:agent-8")),
    ("pushed by the key of another profile", AGENT, push("notme:agent-7:interop")),
    ("pushed by an ssh key", AGENT, push("ssh-ed25519 AAAA")),
]


@pytest.mark.parametrize(("claims", "parsed"), [c[1:] for c in CONTRADICT], ids=[c[0] for c in CONTRADICT])
def test_an_object_that_contradicts_its_certificate_fails_step_7(claims: Claims, parsed: GitObject) -> None:
    with pytest.raises(VerificationError) as caught:
        identity.verify_identity(leaf(claims), parsed)
    assert (caught.value.step, caught.value.reason) == (Step.IDENTITY, Reason.COMMITTER_MISMATCH)


@pytest.mark.parametrize("scopes", [(), ("sign:attestation",), ("sign:git ",), ("bridgeCert",), ("sign",)])
def test_a_certificate_without_the_scope_signs_nothing_in_git(scopes: tuple[str, ...]) -> None:
    for parsed in (None, commit(AGENT_7)):
        with pytest.raises(VerificationError) as caught:
            identity.verify_identity(leaf(scopes=scopes), parsed)
        assert caught.value.reason is Reason.SCOPE_MISSING


def test_content_that_is_no_object_has_no_lines_to_contradict() -> None:
    assert identity.verify_identity(leaf(), None) == []


@pytest.mark.parametrize(
    ("claims", "line"),
    [
        (AGENT, "agent-7 for Alice Example <alice@example.org> (same-user, self-asserted)"),
        (ALONE, f"agent-7 <{AGENT.actor_email}> (same-user)"),
        (
            named(AGENT, represented=replace(ALICE, display="Al\nice\x1b[31m\u202eEvil\u2028[GNUPG:] GOODSIG")),
            "agent-7 for Al?ice?[31m?Evil?[GNUPG:] GOODSIG <alice@example.org> (same-user, self-asserted)",
        ),
        (
            named(AGENT, actor_name="x\n[GNUPG:] TRUST_ULTIMATE"),
            "x?[GNUPG:] TRUST_ULTIMATE for Alice Example <alice@example.org> (same-user, self-asserted)",
        ),
    ],
    ids=["an agent", "no represented principal", "control signs in the human's name", "a status line in the agent's"],
)
def test_the_line_for_a_person_is_one_line_whatever_stands_in_the_names(claims: Claims, line: str) -> None:
    assert identity.summary(leaf(claims)) == line
    assert line.isprintable()


def test_the_stored_identity_has_each_fact_from_the_certificate() -> None:
    read = leaf()
    found = identity.describe(read)
    assert (found.actor.id, found.actor.kind, found.actor.email) == (read.uri, PrincipalKind.AGENT, AGENT.actor_email)
    assert found.represented == ALICE
    assert (found.grant_id, found.grant_sha256) == (AGENT.grant_id, AGENT.grant_sha256)
    assert (found.scopes, found.epoch, found.assurance) == (("sign:git",), 1, Assurance.SAME_USER)
    assert found.certificate_sha256 == read.sha256


def test_a_certificate_of_upstream_names_a_workload_and_no_represented_principal(shared_vectors: Path) -> None:
    folder = shared_vectors / "notme"
    anchor = Anchor.read(certificate.load_pem((folder / "D-ca.pem").read_bytes())[0], Profile.UPSTREAM)
    der = certificate.load_pem((folder / "D-pair-signing.pem").read_bytes())[0]
    read = certificate.verify_chain(der, (), (anchor,)).leaf
    found = identity.describe(read)
    assert (found.represented, found.grant_id, found.actor.kind) == (None, "", PrincipalKind.WORKLOAD)
    assert found.actor.authentication is Authentication.SELF_ASSERTED
    assert identity.summary(read).endswith("(upstream; represented principal: none)")
    if "bridgeCert" in read.scopes:
        assert identity.verify_identity(read, commit(BOB)) == [identity.NO_ADDRESS]


def test_an_interop_certificate_counts_the_same_addresses() -> None:
    read = leaf(forge=INTEROP)
    assert identity.known_addresses(read) == {AGENT.actor_email, "alice@example.org"}
    assert identity.verify_identity(read, push("notme:agent-7:interop")) == []


def test_the_times_of_the_lines_are_not_held_against_the_certificate() -> None:
    """They are claims; rebase and amend keep old ones (design D14)."""
    old = commit_payload(at=NOW - timedelta(days=900), authored=NOW - timedelta(days=1000))
    assert identity.verify_identity(leaf(), gitobject.parse_payload(old)) == []


VOUCHED = Vouched(
    principal=Principal("ssh:alice", PrincipalKind.HUMAN, "", "alice", "alice@example.org", Authentication.OWN_KEY),
    addresses=frozenset({"Alice@Example.org"}),
    root="allowed signers",
)
OWN_KEY = Signer(SignerKind.SSH_KEY, "SHA256:x", "ssh-ed25519")


@pytest.mark.parametrize("parsed", [commit(HUMAN), tag(HUMAN), push(HUMAN), push(OWN_KEY.key)], ids=range(4))
def test_who_is_vouched_for_by_others_may_sign_what_is_his(parsed: GitObject) -> None:
    assert identity.verify_foreign(VOUCHED, OWN_KEY, parsed) == []


@pytest.mark.parametrize(
    ("parsed", "words"),
    [
        (commit(BOB), "committer <bob@example.org> is none of the addresses .* vouched for with (alice@example.org)"),
        (tag(BOB), "tagger <bob@example.org> is none of the addresses"),
        (tag(None), "the tag names no tagger"),
        (push(BOB), "pusher <bob@example.org> is none of the addresses"),
    ],
    ids=["commit", "tag", "no tagger", "push"],
)
def test_who_is_vouched_for_by_others_may_not_sign_for_somebody_else(parsed: GitObject, words: str) -> None:
    with pytest.raises(VerificationError, match=words.replace("(", r"\(").replace(")", r"\)")) as caught:
        identity.verify_foreign(VOUCHED, OWN_KEY, parsed)
    assert caught.value.reason is Reason.COMMITTER_MISMATCH
