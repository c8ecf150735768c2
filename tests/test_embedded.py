from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from attest import home
from attest.errors import Error, RefusedError, UnavailableError
from attest.types import Grant, Outcome, PrincipalKind
from notme_git.authority import embedded, epochs, founding
from tests import disk
from tests.forge import NOW
from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.grant()
    return made


def found(folder: Path) -> founding.Founded:
    with disk.unsynced():
        return founding.found(folder, "Alice Example", "alice@example.org", "file", NOW)


def works(folder: Path) -> bool:
    """Whether there is a whole authority in `folder`; half of one fails the test."""
    if not embedded.exists(folder):
        return False
    with embedded.opened(folder) as authority:
        assert authority.human.email == "alice@example.org"
        assert authority.epoch.number == 1
        assert len(authority.store.grants()) == 1
    assert home.read_trust(folder).bundle is not None
    return True


def test_an_authority_is_made_whole(tmp_path: Path) -> None:
    made = found(tmp_path / "home")
    assert works(tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir() if path.name.startswith(".")] == []
    assert len(bytes.fromhex(made.authority_id)) == embedded.ID_BYTES
    assert "files" in made.warning


def test_what_an_authority_keeps_is_for_its_user_alone(tmp_path: Path) -> None:
    found(tmp_path / "home")
    folder = tmp_path / "home" / "authority"
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "authority.db").stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o777 for path in (folder / "keys").iterdir()} == {0o600}


def test_a_second_authority_in_one_home_is_refused(tmp_path: Path) -> None:
    first = found(tmp_path)
    with pytest.raises(RefusedError, match="already"):
        found(tmp_path)
    with embedded.opened(tmp_path) as authority:
        assert authority.id == first.authority_id


def test_a_creation_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), embedded.creating(tmp_path / "home", "file"):
        raise RuntimeError
    assert list((tmp_path / "home").iterdir()) == []


def test_an_authority_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="meanwhile"), embedded.creating(tmp_path, "file"):
        first = found(tmp_path)
    with embedded.opened(tmp_path) as authority:
        assert authority.id == first.authority_id


def test_a_home_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="cannot write"):
        found(tmp_path / "file" / "home")


def test_killed_at_any_step_of_its_making_an_authority_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    steps = disk.count(lambda: found(tmp_path / "undisturbed"))
    assert steps > 30
    outcomes = set()
    for step in range(steps):
        folder = tmp_path / str(step)
        disk.kill_at(step, lambda folder=folder: found(folder))  # type: ignore[misc]
        there = works(folder)
        outcomes.add(there)
        if not there:
            found(folder)
            assert works(folder)
        shutil.rmtree(folder)
    assert outcomes == {True, False}


def test_a_disk_that_is_full_at_any_step_leaves_an_authority_whole_or_not_at_all(tmp_path: Path) -> None:
    steps = disk.count(lambda: found(tmp_path / "undisturbed"))
    full = OSError(errno.ENOSPC, "No space left on device")
    for step in range(steps):
        folder = tmp_path / str(step)
        try:
            disk.fail_at(step, full, lambda folder=folder: found(folder))  # type: ignore[misc]
        except (Error, OSError):
            if not works(folder):
                found(folder)
        assert works(folder)
        shutil.rmtree(folder)


def damage_missing(path: Path) -> None:
    path.unlink()


def damage_blank(path: Path) -> None:
    path.write_bytes(b"")


def damage_noise(path: Path) -> None:
    path.write_bytes(b"\x5a" * 4096)


def damage_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = [damage_missing, damage_blank, damage_noise, damage_folder]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_database_that_cannot_be_read_is_an_error_and_stays_as_it_is(
    world: World, damage: Callable[[Path], None]
) -> None:
    path = world.home / "authority" / "authority.db"
    for extra in path.parent.glob("authority.db-*"):
        extra.unlink()
    damage(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UnavailableError):
        world.sign(world.commit())
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("role", ["root", "tsa"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_key_that_cannot_be_read_is_an_error_and_is_not_replaced(
    world: World, role: str, damage: Callable[[Path], None]
) -> None:
    path = world.home / "authority" / "keys" / f"epoch-1-{role}.pem"
    damage(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(UnavailableError):
        world.sign(world.commit())
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("role", ["root", "tsa"])
def test_the_key_of_another_authority_is_not_used(world: World, role: str) -> None:
    name = Path("authority", "keys", f"epoch-1-{role}.pem")
    shutil.copy(world.other.home / name, world.home / name)
    with pytest.raises(Error):
        world.sign(world.commit())


def test_a_missing_key_of_one_profile_does_not_hinder_the_other(world: World) -> None:
    (world.home / "authority" / "keys" / "epoch-1-interop.pem").unlink()
    assert world.judge(world.signed_commit()).outcome is Outcome.ACCEPTED


def test_a_home_without_an_authority_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught, embedded.opened(tmp_path):
        pass
    assert "notme-git init" in caught.value.hint


@pytest.mark.parametrize("key", ["authority_id", "key_store"])
def test_a_database_without_its_settings_is_an_error(world: World, key: str) -> None:
    with sqlite3.connect(world.home / "authority" / "authority.db") as database:
        database.execute("DELETE FROM settings WHERE key = ?", (key,))
    database.close()
    with pytest.raises(UnavailableError, match="settings"), embedded.opened(world.home):
        pass


def test_a_database_that_names_no_human_is_an_error(world: World) -> None:
    with world.opened() as authority:
        authority.store.set_setting("human", "nobody")
        with pytest.raises(UnavailableError, match="no human"):
            _ = authority.human


def test_a_humans_id_holds_no_name_and_an_agents_does() -> None:
    human = embedded.principal("ab", PrincipalKind.HUMAN, "", "Alice", "alice@example.org")
    agent = embedded.principal("ab", PrincipalKind.AGENT, "claude", "claude", "c@ab.invalid")
    assert human.id.startswith("wimse://ab.invalid/human/")
    assert "alice" not in human.id.lower()
    assert agent.id == "wimse://ab.invalid/agent/claude"
    assert human.id != embedded.principal("ab", PrincipalKind.HUMAN, "", "Alice", "alice@example.org").id


OPERATIONS: dict[str, Callable[[World, Grant], object]] = {
    "rotate": lambda world, _: world.rotate(),
    "recover": lambda world, _: world.recover(compromised_at=world.now),
    "revoke": lambda world, grant: world.revoke(grant),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_any_step_the_authority_is_in_the_old_state_or_the_new(tmp_path: Path, name: str) -> None:
    world = World(tmp_path)
    kept, granted = world.home, world.grant()
    world.grant("other-agent")
    world.tick(minutes=1)

    def operate() -> None:
        OPERATIONS[name](world, granted)

    def fresh(copy: str) -> None:
        world.home = shutil.copytree(kept, tmp_path / copy)

    fresh("undisturbed")
    steps = disk.count(operate)
    sequences = set()
    for step in range(steps):
        fresh(str(step))
        disk.kill_at(step, operate)
        with world.opened() as authority:
            epochs.catch_up(authority)
            bundle = authority.store.latest_sequence()
            moved = authority.epoch.number == 2 or bool(authority.store.revocations())
        assert (bundle == 2) == moved
        trusted = world.trust()
        assert trusted.bundle is not None
        assert trusted.bundle.sequence == bundle
        payload = world.commit(committer=world.who("other-agent"))
        assert world.judge(world.signed_commit(payload, agent="other-agent")).outcome is Outcome.ACCEPTED
        if not moved:
            operate()
        sequences.add(bundle)
        shutil.rmtree(world.home)
    assert sequences == {1, 2}
