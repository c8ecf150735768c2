"""Upstream's CABundle: its bytes against upstream's own, ours against its rules."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import keys
from attest.errors import MalformedError, VerificationError
from notme_git.authority import cabundle
from notme_git.authority.cabundle import CaBundle
from tests.peers import shared_vectors
from tests.world import World

BUNDLES = ("bundle-epoch1", "bundle-epoch2", "bundle-epoch3")


@pytest.mark.parametrize("name", BUNDLES)
def test_a_live_bundle_of_upstream_encodes_to_its_bytes_and_verifies(name: str) -> None:
    data = json.loads((shared_vectors() / "notme" / f"{name}.json").read_text())
    found = CaBundle.parse(data["bundle"])
    assert found.to_be_signed().hex() == data["canonical_hex"]
    pinned = keys.ed25519(found.keys[found.current])
    at = datetime.fromtimestamp(found.issued_at, UTC)
    assert cabundle.verify_ca_bundle(data["bundle"], (pinned,), at) == found


@pytest.mark.parametrize("name", ["cabundle-basic", "cabundle-multikey"])
def test_a_fixture_of_upstream_encodes_to_its_bytes(name: str) -> None:
    folder = shared_vectors() / "notme"
    data = json.loads((folder / f"{name}.json").read_text())
    known = {kid: base64.b64decode(raw) for kid, raw in data["keys"].items()}
    made = CaBundle(data["epoch"], data["seqno"], known, data["keyId"], data["prevKeyId"], data["issuedAt"])
    assert made.to_be_signed().hex() == (folder / f"{name}.expected.hex").read_text().strip()
    assert made.to_be_signed() == (folder / f"{name}.bin").read_bytes()


def pinned(world: World) -> tuple[keys.PublicKey, ...]:
    return tuple(anchor.key for anchor in world.trust().anchors)


def test_the_sequence_never_goes_back_and_moves_at_most_once_a_minute(tmp_path: Path) -> None:
    world = World(tmp_path)
    seen = []
    for _ in range(4):
        with world.opened() as authority:
            seen.append(cabundle.current(authority, world.now)["seqno"])
        world.tick(seconds=40)
    assert seen == [1, 1, 2, 2]
    world.tick(hours=-1)
    with world.opened() as authority:
        assert cabundle.current(authority, world.now)["seqno"] == 3


def test_after_a_rotation_it_tells_both_keys_and_after_a_theft_the_new_one_alone(tmp_path: Path) -> None:
    world = World(tmp_path)
    before = pinned(world)
    world.rotate()
    with world.opened() as authority:
        told = CaBundle.parse(cabundle.current(authority, world.now))
    assert set(told.keys) == {told.current, told.previous}
    assert told.previous in {key.key_id for key in before}
    world.recover(compromised_at=world.now)
    with world.opened() as authority:
        told = CaBundle.parse(cabundle.current(authority, world.now))
    assert (set(told.keys), told.previous) == ({told.current}, "")


REFUSED: list[tuple[str, Callable[[dict[str, Any]], Any], timedelta, int]] = [
    ("old", lambda d: d, timedelta(seconds=301), 0),
    ("of the future", lambda d: d, timedelta(minutes=-10), 0),
    ("before what was seen", lambda d: d, timedelta(0), 9),
    ("of another seqno", lambda d: {**d, "seqno": 7}, timedelta(0), 0),
    ("with another key", lambda d: {**d, "keys": {d["keyId"]: base64.b64encode(bytes(32)).decode()}}, timedelta(0), 0),
    ("without issuedAt", lambda d: {k: v for k, v in d.items() if k != "issuedAt"}, timedelta(0), 0),
    ("with issuedAt 0", lambda d: {**d, "issuedAt": 0}, timedelta(0), 0),
    ("that is a list", lambda d: [d], timedelta(0), 0),
]


@pytest.mark.parametrize(("change", "later", "minimum"), [each[1:] for each in REFUSED], ids=[e[0] for e in REFUSED])
def test_no_bundle_is_taken(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], later: timedelta, minimum: int
) -> None:
    world = World(tmp_path)
    with world.opened() as authority:
        document = cabundle.current(authority, world.now)
    with pytest.raises(VerificationError):
        cabundle.verify_ca_bundle(change(document), pinned(world), world.now + later, minimum=minimum)


NAMES = st.sampled_from(["epoch", "seqno", "keys", "keyId", "issuedAt", "signature", "x"])
PLAIN = st.none() | st.integers() | st.text() | st.booleans()


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_any_json_is_a_bundle_or_malformed(value: object) -> None:
    try:
        found = CaBundle.parse(value)
    except MalformedError:
        return
    assert CaBundle.parse(found.document()) == found
