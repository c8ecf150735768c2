from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from attest import keys, timestamp
from attest.errors import Reason, RefusedError, VerificationError
from attest.keys import KeyAlgorithm
from attest.profile import Profile
from attest.types import Assurance, Authentication, Grant
from notme_git.enroll import local
from tests.world import World

ALGORITHMS = {Profile.NOTME: KeyAlgorithm.ED25519, Profile.INTEROP: KeyAlgorithm.P256}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.grant()
    return made


def granted(world: World) -> Grant:
    with world.opened() as authority:
        return next(s.grant for s in authority.store.grants() if s.grant.actor.name == "claude-code")


@pytest.mark.parametrize("profile", ALGORITHMS)
def test_an_enrolment_gives_a_key_and_its_certificate_that_belong_together(world: World, profile: Profile) -> None:
    credential = world.credential(profile=profile)
    leaf = credential.chain.leaf
    assert credential.algorithm is leaf.key.algorithm is ALGORITHMS[profile]
    keys.verify_signature(leaf.key, credential.sign(b"data"), b"data")
    assert credential.der == credential.certificate.public_bytes(Encoding.DER) == leaf.encoded


def test_the_ssh_certificate_stands_over_the_same_key(world: World) -> None:
    credential = world.credential()
    assert credential.ssh_chain is not None
    assert credential.ssh_chain.leaf.encoded == credential.ssh_certificate
    assert credential.ssh_chain.leaf.key == credential.chain.leaf.key
    interop = world.credential(profile=Profile.INTEROP)
    assert (interop.ssh_certificate, interop.ssh_chain) == (b"", None)


def test_session_task_and_assurance_go_into_both_certificates(world: World) -> None:
    grant, anchors, digest = granted(world), world.trust().anchors, bytes(range(32))
    with world.opened() as authority:
        credential = local.enroll(
            *(authority, grant, Profile.NOTME, "sign:git", anchors, world.now),
            session="s-1",
            task_digest=digest,
            assurance=Assurance.SANDBOXED_BROKER,
        )
    for chain in (credential.chain, credential.ssh_chain):
        assert chain is not None
        claims = chain.leaf.claims
        assert claims is not None
        assert (claims.session, claims.task_digest, claims.assurance) == ("s-1", digest, "sandboxed-broker")


def test_what_separates_actor_and_human_here_is_said_to_be_nothing(world: World) -> None:
    claims = world.credential().chain.leaf.claims
    assert claims is not None
    assert claims.assurance is Assurance.SAME_USER
    assert claims.represented is not None
    assert claims.represented.authentication is Authentication.SELF_ASSERTED
    assert world.credential().chain.leaf.auth_method == "local"


def test_every_enrolment_has_keys_of_its_own(world: World) -> None:
    leaves = [world.credential().chain.leaf for _ in range(5)]
    assert len({leaf.key for leaf in leaves}) == len({leaf.binding for leaf in leaves}) == 5


@pytest.mark.parametrize("profile", ALGORITHMS)
def test_a_stamp_is_under_the_same_root_as_the_certificate(world: World, profile: Profile) -> None:
    credential = world.credential(profile=profile)
    token = credential.stamp(b"signature", world.now)
    assert timestamp.verify_timestamp(token, b"signature", (credential.chain.anchor,)).time == world.now


def test_a_certificate_that_the_pinned_anchor_did_not_issue_is_not_used(world: World) -> None:
    grant, anchors = granted(world), world.other.trust().anchors
    with world.opened() as authority, pytest.raises(VerificationError) as caught:
        local.enroll(authority, grant, Profile.NOTME, "sign:git", anchors, world.now)
    assert caught.value.reason is Reason.ANCHOR_UNKNOWN


def test_a_scope_beyond_the_grant_is_refused(world: World) -> None:
    grant, anchors = granted(world), world.trust().anchors
    with world.opened() as authority, pytest.raises(RefusedError):
        local.enroll(authority, grant, Profile.NOTME, "certMint", anchors, world.now)


def test_nothing_of_the_key_shows_when_a_credential_is_printed_or_lies_in_the_home(world: World) -> None:
    credential = world.credential()
    assert "PrivateKey" not in repr(credential)
    secret = credential._key.private_bytes_raw()  # type: ignore[union-attr]  # profile notme: Ed25519
    assert all(secret not in path.read_bytes() for path in world.home.rglob("*") if path.is_file())
