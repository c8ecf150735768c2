from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from attest import home
from attest.errors import Error, Reason, UnavailableError, VerificationError
from attest.profile import Profile
from attest.trust import MAX_BUNDLE_BYTES
from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_home_pins_both_roots_of_its_own_authority(world: World) -> None:
    trusted = world.trust()
    assert [a.profile for a in trusted.anchors] == [Profile.NOTME, Profile.INTEROP]
    assert trusted.bundle is not None
    assert (trusted.bundle.authority_id, trusted.bundle.sequence) == (world.id, 1)


def blank(path: Path) -> None:
    path.write_bytes(b"")


def garble(path: Path) -> None:
    path.write_bytes(b"garbage" * 10)


def into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def bloat(path: Path) -> None:
    path.write_bytes(b"-" * (MAX_BUNDLE_BYTES + 1))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize("name", [home.ANCHORS, home.BUNDLE], ids=["anchors", "bundle"])
@pytest.mark.parametrize("damage", [Path.unlink, blank, garble, into_folder, bloat, cut])
def test_anchors_or_bundle_that_cannot_be_read_are_an_error(
    world: World, name: Path, damage: Callable[[Path], None]
) -> None:
    damage(world.home / name)
    with pytest.raises(Error) as caught:
        world.trust()
    assert isinstance(caught.value, UnavailableError) or (
        isinstance(caught.value, VerificationError) and caught.value.reason is Reason.BUNDLE_INVALID
    )


@pytest.mark.parametrize("name", [home.ANCHORS, home.BUNDLE], ids=["anchors", "bundle"])
def test_a_home_that_lacks_a_file_sends_to_the_doctor(world: World, name: Path) -> None:
    (world.home / name).unlink()
    with pytest.raises(UnavailableError) as caught:
        world.trust()
    assert "notme-git doctor" in caught.value.hint
    assert "init" not in caught.value.hint


@pytest.mark.parametrize("damage", [blank, garble, cut])
def test_what_is_no_bundle_could_not_be_checked(world: World, damage: Callable[[Path], None]) -> None:
    anchors, path = world.trust().anchors, world.home / home.BUNDLE
    damage(path)
    with pytest.raises(UnavailableError, match="is no trust bundle") as caught:
        home.read_bundle(path, anchors, None)
    assert "trust export --format bundle" in caught.value.hint


def test_a_bundle_by_another_authority_was_checked_and_is_false(world: World) -> None:
    with pytest.raises(VerificationError):
        home.read_bundle(world.other.home / home.BUNDLE, world.trust().anchors, None)


@pytest.mark.parametrize("text", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"])
def test_what_is_no_anchor_is_said_in_our_words(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "anchors").write_bytes(text)
    with pytest.raises(UnavailableError) as caught:
        home.read_anchors(tmp_path / "anchors", None)
    assert caught.value.message == f"{tmp_path}/anchors holds no usable anchor: no readable PEM certificate is in it"


def test_a_home_without_an_authority_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        home.read_trust(tmp_path)
    assert "notme-git init" in caught.value.hint


def test_the_bundle_of_another_authority_is_refused(world: World) -> None:
    shutil.copy(world.other.home / home.BUNDLE, world.home / home.BUNDLE)
    with pytest.raises(VerificationError, match="pinned") as caught:
        world.trust()
    assert caught.value.reason is Reason.BUNDLE_INVALID


def test_a_bundle_that_was_rolled_back_is_noticed(world: World) -> None:
    kept = (world.home / home.BUNDLE).read_bytes()
    world.trust()
    world.revoke(world.grant())
    assert world.trust().bundle is not None
    (world.home / home.BUNDLE).write_bytes(kept)
    with pytest.raises(VerificationError) as caught:
        world.trust()
    assert caught.value.reason is Reason.BUNDLE_ROLLBACK


def test_without_a_memory_of_sequences_rollback_is_not_noticed_and_not_claimed(world: World) -> None:
    kept = (world.home / home.BUNDLE).read_bytes()
    world.revoke(world.grant())
    world.trust()
    (world.home / home.BUNDLE).write_bytes(kept)
    shutil.rmtree(world.home / "verifier")
    bundle = world.trust().bundle
    assert bundle is not None
    assert bundle.sequence == 1


def test_a_bundle_that_names_another_recovery_key_than_before_is_refused(world: World) -> None:
    """Whoever stole the current key could else retire good epochs with a recovery key of their own making."""
    mark(world).write_text(f"1 {'ab' * 32}\n", "ascii")
    with pytest.raises(VerificationError, match="another recovery key") as caught:
        world.trust()
    assert caught.value.reason is Reason.BUNDLE_INVALID


def mark(world: World) -> Path:
    world.trust()
    return next((world.home / home.SEQUENCES).iterdir())


@pytest.mark.parametrize("text", ["", "x", "-1", "1 2", "\xff"])
def test_a_damaged_memory_is_an_error_and_not_the_beginning(world: World, text: str) -> None:
    mark(world).write_text(text, "latin-1")
    with pytest.raises(UnavailableError):
        world.trust()


def test_a_verifier_that_cannot_write_its_memory_still_verifies(world: World) -> None:
    (world.home / home.SEQUENCES).parent.mkdir()
    (world.home / home.SEQUENCES).symlink_to(world.home / "nowhere" / "at-all")
    assert world.trust().bundle is not None


def test_a_memory_that_cannot_be_read_is_an_error(world: World) -> None:
    (world.home / "verifier").write_bytes(b"in the way")
    with pytest.raises(UnavailableError, match="sequence"):
        world.trust()


def test_the_memory_is_kept_apart_for_each_authority(world: World) -> None:
    world.trust()
    anchors = home.read_anchors(world.other.home / home.ANCHORS, None)
    home.read_bundle(world.other.home / home.BUNDLE, anchors, world.home)
    assert len(list((world.home / home.SEQUENCES).iterdir())) == 2


def test_anchors_are_read_with_the_profile_that_was_named(world: World, tmp_path: Path) -> None:
    path = tmp_path / "root.pem"
    path.write_bytes(world.forge().root.public_bytes(Encoding.PEM))
    assert home.read_anchors(path, Profile.UPSTREAM)[0].profile is Profile.UPSTREAM
    assert home.read_anchors(path, None)[0].profile is Profile.NOTME
