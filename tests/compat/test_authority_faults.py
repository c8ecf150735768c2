"""An authority that is killed with SIGKILL while it rotates: what it had said is so, and nothing goes back."""

from __future__ import annotations

import os
import random
import signal
import struct
import time
from pathlib import Path

from attest import canonical, home
from attest.types import Retirement, SignedTrustBundle, TrustBundle
from notme_git.authority import embedded, epochs
from tests.world import World

KILLS = 20
ROTATIONS = 2
NUMBER = struct.Struct(">I")


def _rotate(place: Path, world: World, said: int) -> None:
    with embedded.opened(place) as authority:
        os.write(said, NUMBER.pack(0))
        for _ in range(ROTATIONS):
            epochs.rotate(authority, world.now)
            os.write(said, NUMBER.pack(authority.store.latest_sequence()))


def _killed(world: World, after: float) -> int:
    """Rotate in a process that is killed so many seconds `after` it began; returns the last sequence it had said."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            _rotate(world.home, world, write)
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb", buffering=0) as file:
        assert file.read(NUMBER.size) == NUMBER.pack(0)
        time.sleep(after)  # the moment is what is tested
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        said = file.readall()
    return max((n for (n,) in NUMBER.iter_unpack(said)), default=0)


def test_a_rotation_killed_anywhere_leaves_one_current_epoch_whose_keys_open_and_no_sequence_goes_back(
    tmp_path: Path,
) -> None:
    world, chance, before = World(tmp_path), random.Random(7), 0
    began = time.monotonic()
    with embedded.opened(world.home) as authority:
        epochs.rotate(authority, world.now)
    one = time.monotonic() - began  # so that the moments are spread over a rotation on any machine
    for _ in range(KILLS):
        said = _killed(world, chance.uniform(0, ROTATIONS * one))
        with world.opened() as authority:
            sequence, found = authority.store.latest_sequence(), authority.store.epochs()
            assert sequence >= max(before, said)
            assert [epoch.number for epoch in found] == list(range(1, len(found) + 1))
            assert [e.retirement for e in found].count(Retirement.CURRENT) == 1
            for role in ("root", "interop", "tsa"):
                authority.keys.private_key(f"epoch-{authority.epoch.number}-{role}")
            epochs.catch_up(authority)
            signed = canonical.decode(SignedTrustBundle, authority.store.latest_bundle() or b"")
            assert canonical.decode(TrustBundle, signed.bundle).sequence == sequence
        home.read_trust(world.home)
        before = sequence
    world.rotate()
    with world.opened() as authority:
        assert authority.store.latest_sequence() > before
