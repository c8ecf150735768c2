from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from attest import sshwire
from attest.errors import UnavailableError
from attest.types import Revocation, RevocationKind
from notme_git import sshtrust
from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def exported(world: World) -> list[list[str]]:
    with world.opened() as authority:
        return [line.split(" ") for line in sshtrust.allowed_signers(authority).splitlines()]


def root_of(world: World, number: int) -> str:
    key = world.forge(number=number).trusted.anchors[0].key
    return sshwire.line("ssh-ed25519", sshwire.ed25519_key(key.raw)).decode().split()[1]


def test_the_root_may_certify_every_agent_that_was_ever_granted_something(world: World) -> None:
    world.grant("b", email="b@example.org")
    world.grant("a", email="a@example.org")
    world.revoke(world.grant("c", email="c@example.org"))
    world.grant("a", email="a@example.org")
    assert exported(world) == [
        [
            "a@example.org,b@example.org,c@example.org",
            'cert-authority,namespaces="git"',
            "ssh-ed25519",
            root_of(world, 1),
            "epoch-1",
        ]
    ]


def test_the_verifier_principal_signs_nothing_in_git(world: World) -> None:
    """Every authority has one from its founding; without an agent nobody is allowed."""
    assert exported(world) == []


def test_a_retired_epoch_is_good_for_what_is_older(world: World) -> None:
    world.grant()
    world.tick(minutes=2)
    world.rotate()
    old, new = exported(world)
    assert old[1] == f'cert-authority,namespaces="git",valid-before="{world.now:%Y%m%d%H%M%S}Z"'
    assert (old[3], new[3]) == (root_of(world, 1), root_of(world, 2))
    assert "valid-before" not in new[1]


def test_a_compromised_epoch_is_left_out(world: World) -> None:
    world.grant()
    world.recover(compromised_at=world.now - timedelta(minutes=1))
    assert [line[3] for line in exported(world)] == [root_of(world, 2)]


@pytest.mark.parametrize(
    "email", ["*@example.org", "a?@example.org", "!a@example.org", "#a@example.org", "a'@example.org"]
)
def test_an_address_that_would_mean_more_is_left_out_and_named(world: World, email: str) -> None:
    world.grant("bad", email=email)
    world.grant("good", email="good@example.org")
    assert [line[0] for line in exported(world)] == ["good@example.org"]
    with world.opened() as authority:
        assert sshtrust.left_out(authority) == [email]


def test_without_ssh_keygen_there_is_a_hint(world: World) -> None:
    with world.opened() as authority, pytest.raises(UnavailableError) as caught:
        sshtrust.krl(authority, ssh_keygen="/nonexistent/ssh-keygen")
    assert "install" in caught.value.hint


def test_a_session_that_would_write_a_second_line_is_an_error(world: World) -> None:
    world.grant()
    with world.opened() as authority:
        authority.store.add_revocation(Revocation(RevocationKind.SESSION, "s\nserial: 1", 1, ""))
        with pytest.raises(UnavailableError, match="cannot stand"):
            sshtrust.krl(authority, ssh_keygen="/nonexistent/ssh-keygen")
