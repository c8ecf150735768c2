from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from attest import certificate, verify
from attest.errors import Error, Reason, RefusedError, Step, UsageError, VerificationError
from attest.gitobject import SignatureFormat
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.types import Assurance, Grant, Outcome, Verdict
from notme_git import sign
from notme_git.acting import Acting
from notme_git.daemon.credential import Signer
from notme_git.enroll import issuing, local
from notme_git.enroll.issuing import IssuingCA
from tests.forge import attach
from tests.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def grant(world: World) -> Grant:
    return world.grant("orchestrator", branches=("agents/*",), delegation_depth=1)


def enrolled(world: World, grant: Grant) -> IssuingCA:
    with world.opened() as authority:
        return issuing.enroll(
            authority,
            grant,
            Profile.NOTME,
            world.trust().anchors,
            world.now,
            session="s-1",
            task_digest=bytes(32),
            assurance=Assurance.OTHER_USER,
        )


def test_a_leaf_is_minted_without_the_authority_and_holds_what_its_orchestrator_holds(
    world: World, grant: Grant
) -> None:
    credential = enrolled(world, grant).mint("tester", "sign:git", world.now + timedelta(hours=2))
    chain = credential.chain
    claims = chain.leaf.claims
    assert claims is not None
    assert chain.issuing is not None
    assert chain.leaf.uri == f"{grant.actor.id}/tester"
    assert (claims.actor_name, claims.actor_email) == ("tester", f"orchestrator+tester@{world.id}.invalid")
    assert (claims.grant_id, claims.session, claims.task_digest) == (grant.id, "s-1", bytes(32))
    assert (claims.constraints, claims.assurance, claims.depth) == (grant.constraints, "other-user", 0)
    assert (chain.leaf.scopes, chain.leaf.not_after - chain.leaf.issued_at) == (("sign:git",), timedelta(minutes=5))
    assert (credential.ssh_chain, credential.ssh_certificate) == (None, b"")
    again = certificate.verify_chain(credential.certificate, (chain.issuing,), world.trust().anchors)
    assert again.leaf == chain.leaf


@pytest.mark.parametrize("scope", ["sign:attestation", "certMint", "bridgeCert", ""])
def test_no_scope_is_minted_that_the_orchestrator_may_not_pass_on(world: World, grant: Grant, scope: str) -> None:
    with pytest.raises(RefusedError, match="not within"):
        enrolled(world, grant).mint("tester", scope, world.now)


@pytest.mark.parametrize("name", ["", "a/b", "..", "Alice", "verifier", "x" * 64])
def test_no_leaf_is_minted_for_what_is_no_agents_name(world: World, grant: Grant, name: str) -> None:
    with pytest.raises(UsageError, match="no name for an agent"):
        enrolled(world, grant).mint(name, "sign:git", world.now)


def test_the_last_leaf_ends_with_its_issuing_ca(world: World, grant: Grant) -> None:
    ca = enrolled(world, grant)
    assert ca.until == world.now + timedelta(hours=24, minutes=-5)
    assert ca.mint("tester", "sign:git", ca.until).chain.leaf.not_after == ca.held.not_after
    with pytest.raises(RefusedError, match="ends at"):
        ca.mint("tester", "sign:git", ca.until + timedelta(seconds=1))


def test_nothing_is_minted_before_the_issuing_ca_began(world: World, grant: Grant) -> None:
    with pytest.raises(RefusedError, match="validity is not within"):
        enrolled(world, grant).mint("tester", "sign:git", world.now - timedelta(hours=1))


def test_an_answer_of_another_authority_is_not_used(world: World, grant: Grant) -> None:
    with world.opened() as authority, pytest.raises(VerificationError, match="no pinned anchor"):
        issuing.enroll(authority, grant, Profile.NOTME, world.other.trust().anchors, world.now)


def test_nobody_is_shown_a_key(world: World, grant: Grant) -> None:
    ca = enrolled(world, grant)
    assert "PrivateKey" not in repr(ca)
    assert not [name for name in dir(ca) if "key" in name and not name.startswith("_")]


def test_an_issuing_ca_is_enrolled_once_until_shortly_before_it_ends(world: World, grant: Grant) -> None:
    held, calls = issuing.Held(), list[IssuingCA]()

    def enroll() -> IssuingCA:
        calls.append(enrolled(world, grant))
        return calls[-1]

    first = held.get(("a",), world.now, enroll)
    assert held.get(("a",), first.until, enroll) is first
    assert held.get(("b",), world.now, enroll) is not first
    assert len(calls) == 2
    for at in (first.until + timedelta(seconds=1), first.held.not_before - timedelta(seconds=1)):
        held.get(("a",), world.now, enroll)
        before = len(calls)
        held.get(("a",), at, enroll)
        assert len(calls) == before + 1
    held.clear()
    assert held.get(("a",), world.now, enroll) is calls[-1]
    assert "PrivateKey" not in repr(held)


def test_only_so_many_issuing_cas_are_in_memory(world: World, grant: Grant) -> None:
    held, ca, calls = issuing.Held(), enrolled(world, grant), list[int]()

    def enroll() -> IssuingCA:
        calls.append(1)
        return ca

    for number in (*range(issuing.MAX_HELD + 1), 0):
        held.get((str(number),), world.now, enroll)
    assert len(calls) == issuing.MAX_HELD + 2


def signed(world: World, credential: local.Credential, *, form: SignatureFormat = SignatureFormat.X509) -> sign.Signed:
    payload = world.commit(committer=f"tester <orchestrator+tester@{world.id}.invalid>")
    trusted = world.trust()
    return sign.sign_payload(credential, trusted, sign.parse(payload), form=form, replaying=False, at=world.now)


def judged(world: World, made: sign.Signed, context: Context) -> Verdict:
    parsed = made.examination.parsed
    assert parsed is not None
    found = verify.examine_signature(made.armour, parsed.payload, world.trust(), at=world.now, git=True)
    return verify.judge(found, Policy(), context, at=world.now)


def test_what_a_minted_credential_signs_is_accepted_where_its_orchestrator_may(tmp_path: Path) -> None:
    world = World(tmp_path)
    ca = enrolled(world, world.grant("orchestrator", branches=("agents/*",), delegation_depth=1))
    made = signed(world, ca.mint("tester", "sign:git", world.now))
    world.tick(days=3)
    verdict = judged(world, made, Context(ref="refs/heads/agents/one"))
    assert verdict.outcome is Outcome.ACCEPTED
    assert verdict.findings.identity is not None
    assert verdict.findings.identity.delegator is not None
    assert verdict.findings.identity.delegator.name == "orchestrator"
    elsewhere = judged(world, made, Context(ref="refs/heads/main"))
    assert elsewhere.findings.findings[Step.POLICY - 1].reason == Reason.CONSTRAINT_MISMATCH


def test_what_was_minted_ends_with_the_orchestrators_grant(tmp_path: Path) -> None:
    world = World(tmp_path)
    grant = world.grant("orchestrator", delegation_depth=1)
    ca = enrolled(world, grant)
    before = signed(world, ca.mint("tester", "sign:git", world.now))
    world.tick(minutes=10)
    world.revoke(grant)
    world.tick(minutes=10)
    assert judged(world, before, Context(git=True)).outcome is Outcome.ACCEPTED
    with pytest.raises(RefusedError, match="is revoked since"):
        signed(world, ca.mint("tester", "sign:git", world.now))


@pytest.fixture
def orchestra(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.grant("orchestrator", delegation_depth=1)
    return world


def count(world: World) -> int:
    """How many certificates are on record."""
    with closing(sqlite3.connect(world.home / "authority" / "authority.db")) as database:
        return int(database.execute("SELECT count(*) FROM issued").fetchone()[0])


def test_the_agents_of_an_orchestrator_share_its_issuing_ca_and_no_key(orchestra: World) -> None:
    with orchestra.opened() as authority:
        signer = Signer.of(orchestra.home, authority)
        names = ("orchestrator/a", "orchestrator/b")
        made = [signer.credential(Acting(name), sign.SCOPE, orchestra.now) for name in names]
        assert made[0].chain.issuing is made[1].chain.issuing
        assert made[0].certificate.public_key() != made[1].certificate.public_key()
        assert signer.credential(Acting(names[0]), sign.SCOPE, orchestra.now) is made[0]
        orchestra.tick(hours=2)
        later = signer.credential(Acting(names[0]), sign.SCOPE, orchestra.now)
        assert later.chain.issuing is made[0].chain.issuing
        assert count(orchestra) == 1
        signer.drop_all()
        signer.credential(Acting(names[0]), sign.SCOPE, orchestra.now)
        assert count(orchestra) == 2


def test_an_issuing_ca_is_for_one_grant_epoch_and_assurance(orchestra: World) -> None:
    with orchestra.opened() as authority:
        signer = Signer.of(orchestra.home, authority)

        def issuer(assurance: Assurance = Assurance.SAME_USER) -> object:
            who = Acting("orchestrator/a", assurance=assurance)
            return signer.credential(who, sign.SCOPE, orchestra.now).chain.issuing

        found = [issuer(), issuer(Assurance.OTHER_USER)]
        orchestra.tick(seconds=1)
        orchestra.grant("orchestrator", delegation_depth=1)
        found.append(issuer())
        orchestra.rotate()
        found.append(issuer())
        assert len({id(each) for each in found}) == 4


def test_git_is_signed_for_as_an_orchestrators_agent_until_the_grant_is_revoked(orchestra: World) -> None:
    payload = orchestra.commit(committer=f"a <orchestrator+a@{orchestra.id}.invalid>")
    raw = attach(payload, orchestra.sign(payload, agent="orchestrator/a"))
    assert orchestra.judge(raw).outcome is Outcome.ACCEPTED
    pushed = orchestra.push(pusher="notme:orchestrator/a")
    assert orchestra.sign(pushed, agent="orchestrator/a")
    with pytest.raises(RefusedError, match="neither the actor nor the represented principal"):
        orchestra.sign(payload, agent="orchestrator/b")
    with orchestra.opened() as authority:
        granted = authority.store.grants()[-1].grant
    orchestra.revoke(granted)
    with pytest.raises(RefusedError, match="was revoked"):
        orchestra.sign(payload, agent="orchestrator/a")


REFUSED = {
    "an agent whose grant may not be passed on": ("claude-code/a", Profile.NOTME, "not certMint|may not be passed on"),
    "an orchestrator without a grant": ("nobody/a", Profile.NOTME, "no agent 'nobody'"),
    "profile interop": ("orchestrator/a", Profile.INTEROP, "no issuing CAs"),
    "two levels": ("orchestrator/a/b", Profile.NOTME, "no name for an agent"),
}


@pytest.mark.parametrize(("agent", "of", "text"), REFUSED.values(), ids=REFUSED)
def test_nothing_is_signed_for(orchestra: World, agent: str, of: Profile, text: str) -> None:
    orchestra.grant()
    with pytest.raises(Error, match=text):
        orchestra.sign(orchestra.commit(), agent=agent, profile=of)


def test_ssh_has_no_chains(world: World, grant: Grant) -> None:
    credential = enrolled(world, grant).mint("tester", "sign:git", world.now)
    with pytest.raises(RefusedError, match="x509 alone"):
        signed(world, credential, form=SignatureFormat.SSH)
