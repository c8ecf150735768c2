from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from attest import canonical, home, trust
from attest.errors import Reason, RefusedError, UnavailableError, VerificationError
from attest.trust import Trust
from attest.types import Outcome, Retirement, SignedTrustBundle, SignerRole
from notme_git.authority import embedded, epochs
from tests.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.grant()
    return made


def bundle_file(world: World) -> bytes:
    return (world.home / home.BUNDLE).read_bytes()


def sequence(trusted: Trust) -> int:
    return trusted.bundle.sequence if trusted.bundle else 0


def roles(world: World) -> list[SignerRole]:
    return [s.role for s in canonical.decode(SignedTrustBundle, bundle_file(world)).signatures]


CURRENT, PREVIOUS, RECOVERY = SignerRole.CURRENT, SignerRole.PREVIOUS, SignerRole.RECOVERY


def test_the_first_bundle_has_one_epoch_and_commits_to_the_recovery_key(world: World) -> None:
    bundle = world.trust().bundle
    assert bundle is not None
    assert (bundle.sequence, len(bundle.epochs), bundle.revocations) == (1, 1, ())
    assert bundle.epochs[0].retirement is Retirement.CURRENT
    assert len(bundle.recovery_commitment) == 32
    assert roles(world) == [CURRENT, CURRENT]


def test_the_recovery_key_is_kept_nowhere(world: World) -> None:
    key = load_pem_private_key(world.recovery_key, None)
    assert isinstance(key, Ed25519PrivateKey)
    secret = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    body = b"".join(world.recovery_key.splitlines()[1:-1])
    for path in world.home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert secret not in data
            assert body not in data


def test_a_rotation_retires_one_epoch_and_begins_the_next(world: World) -> None:
    world.tick(hours=1)
    new = world.rotate()
    bundle = world.trust().bundle
    assert bundle is not None
    first, second = bundle.epochs
    assert (first.retirement, first.retired_at) == (Retirement.ROUTINE, int(world.now.timestamp()))
    assert (second, second.number, second.retirement) == (new, 2, Retirement.CURRENT)
    assert {first.root, first.interop_root}.isdisjoint({second.root, second.interop_root})
    assert roles(world) == [CURRENT, CURRENT, PREVIOUS, PREVIOUS]


def test_sequences_grow_by_one_across_every_change(world: World) -> None:
    seen = [sequence(world.trust())]
    for change in (world.rotate, lambda: world.revoke(world.grant("x")), world.rotate):
        world.tick(minutes=1)
        change()
        seen.append(sequence(world.trust()))
    assert seen == [1, 2, 3, 4]


def test_who_pinned_the_first_epoch_follows_one_rotation_and_not_two(world: World) -> None:
    pinned = home.read_anchors(world.home / home.ANCHORS, None)
    world.rotate()
    assert sequence(trust.verify_bundle(bundle_file(world), pinned)) == 2
    followed = trust.verify_bundle(bundle_file(world), pinned).anchors
    world.rotate()
    with pytest.raises(VerificationError, match="pinned") as caught:
        trust.verify_bundle(bundle_file(world), pinned)
    assert "pin its current root" in caught.value.hint
    assert sequence(trust.verify_bundle(bundle_file(world), followed)) == 3


def test_who_pinned_a_compromised_epoch_has_to_pin_anew(world: World) -> None:
    pinned = home.read_anchors(world.home / home.ANCHORS, None)
    world.recover(compromised_at=world.now)
    with pytest.raises(VerificationError) as caught:
        trust.verify_bundle(bundle_file(world), pinned)
    assert caught.value.reason is Reason.BUNDLE_INVALID
    assert world.trust().bundle is not None


def test_a_recovery_is_signed_by_the_recovery_key_and_not_by_the_compromised_one(world: World) -> None:
    world.tick(hours=3)
    since = world.now - timedelta(hours=2)
    world.recover(compromised_at=since)
    bundle = world.trust().bundle
    assert bundle is not None
    first = bundle.epochs[0]
    assert (first.retirement, first.compromised_at) == (Retirement.COMPROMISE, int(since.timestamp()))
    assert roles(world) == [CURRENT, CURRENT, RECOVERY]


def test_the_recovery_signature_is_carried_on_and_a_second_recovery_adds_its_own(world: World) -> None:
    world.recover(compromised_at=world.now)
    world.rotate()
    assert roles(world) == [CURRENT, CURRENT, PREVIOUS, PREVIOUS, RECOVERY]
    world.recover(compromised_at=world.now)
    assert roles(world) == [CURRENT, CURRENT, RECOVERY, RECOVERY]
    assert sequence(world.trust()) == 4
    assert world.judge(world.signed_commit()).outcome is Outcome.ACCEPTED


def test_a_recovery_does_not_need_the_old_keys(world: World) -> None:
    shutil.rmtree(world.home / "authority" / "keys")
    world.recover(compromised_at=world.now)
    assert world.judge(world.signed_commit()).outcome is Outcome.ACCEPTED


def test_a_rotation_needs_the_old_keys_and_changes_nothing_without_them(world: World) -> None:
    (world.home / "authority" / "keys" / "epoch-1-interop.pem").unlink()
    before = bundle_file(world)
    with pytest.raises(UnavailableError):
        world.rotate()
    with world.opened() as authority:
        assert (authority.epoch.number, authority.store.latest_sequence()) == (1, 1)
    assert bundle_file(world) == before


@pytest.mark.parametrize(
    ("pem", "text"),
    [
        (b"", "not a recovery key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "not a recovery key"),
        (
            Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "of another authority",
        ),
    ],
    ids=["nothing", "no key", "another key"],
)
def test_a_recovery_with_anything_but_the_recovery_key_is_refused(world: World, pem: bytes, text: str) -> None:
    with world.opened() as authority, pytest.raises(RefusedError, match=text):
        epochs.recover(authority, pem, compromised_at=world.now, at=world.now)
    assert sequence(world.trust()) == 1


def test_the_epochs_own_key_is_no_recovery_key(world: World) -> None:
    root = (world.home / "authority" / "keys" / "epoch-1-root.pem").read_bytes()
    with pytest.raises(RefusedError, match="of another authority"):
        world.recover(compromised_at=world.now, recovery_key=root)


def test_a_revocation_stands_in_every_bundle_from_then_on(world: World) -> None:
    grant = world.grant("other")
    world.revoke(grant, "lost")
    world.rotate()
    bundle = world.trust().bundle
    assert bundle is not None
    assert [(r.kind, r.id, r.reason) for r in bundle.revocations] == [("grant", grant.id, "lost")]


def test_no_bundle_is_made_that_verifiers_would_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sequence(home.read_trust(world.home))
    with world.opened() as authority:
        monkeypatch.setattr(trust, "MAX_BUNDLE_BYTES", 1000)
        with pytest.raises(UnavailableError, match="verifiers read 1000"):
            epochs.revoke_session(authority, "s", reason="", at=world.now)
        assert (authority.store.latest_sequence(), authority.store.revocations()) == (before, [])


def test_revoking_an_unknown_grant_makes_no_bundle(world: World) -> None:
    with world.opened() as authority, pytest.raises(RefusedError):
        epochs.revoke_grant(authority, "no-such-grant", reason="", at=world.now)
    assert sequence(world.trust()) == 1


@pytest.mark.parametrize("name", [home.ANCHORS, home.BUNDLE], ids=["anchors", "bundle"])
def test_the_copies_for_the_verifier_are_written_again_from_the_database(world: World, name: Path) -> None:
    before = (world.home / name).read_bytes()
    (world.home / name).write_bytes(b"damaged")
    with world.opened() as authority:
        epochs.export(authority)
    assert (world.home / name).read_bytes() == before


def test_copies_that_are_not_behind_are_left_alone(world: World) -> None:
    """A missing bundle may be somebody's doing: only a killed process is caught up with."""
    (world.home / home.BUNDLE).unlink()
    with world.opened() as authority:
        epochs.catch_up(authority)
    with pytest.raises(UnavailableError):
        world.trust()


def test_copies_that_cannot_be_written_are_an_error(world: World) -> None:
    with world.opened() as authority:
        (world.home / home.BUNDLE).unlink()
        (world.home / home.BUNDLE).mkdir()
        with pytest.raises(UnavailableError, match="cannot write"):
            epochs.export(authority)


def test_two_rotations_at_once_do_not_make_the_same_epoch_twice(world: World) -> None:
    with embedded.opened(world.home) as one, embedded.opened(world.home) as two:
        first = epochs.rotate(one, world.now)
        second = epochs.rotate(two, world.now)
    assert (first.number, second.number) == (2, 3)
    assert sequence(world.trust()) == 3


def test_no_unfinished_file_stays_beside_the_copies(world: World) -> None:
    world.rotate()
    assert sorted(name for name in os.listdir(world.home / "authority") if name.startswith(".")) == []
