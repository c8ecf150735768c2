from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from attest.errors import UnavailableError
from notme_git import ssh, sshfiles, sshtrust, wanted
from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.grant()
    return made


def write(world: World, agent: str = "claude-code") -> tuple[Path, Path]:
    with world.opened() as authority:
        return sshfiles.write(world.home, authority, agent)


def test_an_agents_key_file_names_it_and_holds_the_authoritys_public_key(world: World) -> None:
    key, _ = write(world)
    assert key == sshfiles.key_file(world.home, "claude-code")
    content = key.read_bytes()
    assert ssh.key_name(str(key), content) == wanted.key_name("claude-code", "notme")
    root = world.forge().root.public_key()
    public = load_ssh_public_key(content)
    assert public.public_bytes(Encoding.Raw, PublicFormat.Raw) == root.public_bytes(Encoding.Raw, PublicFormat.Raw)


def test_the_allowed_signers_are_those_of_the_authority(world: World) -> None:
    _, allowed = write(world)
    with world.opened() as authority:
        assert allowed.read_text() == sshtrust.allowed_signers(authority)
    assert "cert-authority" in allowed.read_text()


def test_both_are_for_this_user_to_change_alone(world: World) -> None:
    key, allowed = write(world)
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (key, allowed)} == {0o644}


def test_after_a_rotation_what_is_there_is_written_again(world: World) -> None:
    files = [*write(world), *write(world, "other")]
    before = [file.read_bytes() for file in files]
    world.tick(seconds=1)
    world.rotate()
    with world.opened() as authority:
        sshfiles.refresh(world.home, authority)
    assert all(file.read_bytes() != old for file, old in zip(files, before, strict=True))
    assert ssh.key_name("x", files[2].read_bytes()) == "notme:other"


def test_where_nothing_is_there_nothing_is_written(world: World) -> None:
    with world.opened() as authority:
        sshfiles.refresh(world.home, authority)
    assert not (world.home / sshfiles.FOLDER).exists()


def test_a_folder_that_cannot_be_made_is_an_error(world: World) -> None:
    (world.home / sshfiles.FOLDER).write_bytes(b"")
    with pytest.raises(UnavailableError, match="ssh"):
        write(world)
