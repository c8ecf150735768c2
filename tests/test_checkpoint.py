"""Checkpoints: what one key signed, for one question, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import checkpoint, dsse, signing_key
from attest.checkpoint import Checkpoint, Open
from attest.errors import MalformedError, UnavailableError
from attest.foreign.allowed import AllowedSigners
from attest.foreign.roots import Roots
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.query import Query
from attest.signing_key import SigningKey
from attest.types import Outcome, Voucher
from tests.world import World

FULL = Checkpoint(
    question="ab" * 32,
    at=1_800_000_000,
    done=("1" * 40, "2" * 40),
    tips=("3" * 40, "^" + "4" * 40),
    position=7,
    last="5" * 40,
    counts={"accepted": 5, "rejected": 2},
    open=(Open("6" * 40, Outcome.REJECTED, "signature-missing"),),
)


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    return make_key(tmp_path / "key.pem")


def make_key(place: Path) -> SigningKey:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    place.write_bytes(pem)
    place.chmod(0o600)
    return signing_key.load(place)


def test_what_was_written_is_read_under_the_same_key(tmp_path: Path, key: SigningKey) -> None:
    place = tmp_path / "state"
    assert checkpoint.read(place, key) is None
    for written in (FULL, Checkpoint("0" * 64, 0)):
        checkpoint.write(place, key, written)
        assert checkpoint.read(place, key) == written
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_under_another_key_it_counts_for_nothing(tmp_path: Path, key: SigningKey) -> None:
    checkpoint.write(tmp_path / "state", key, FULL)
    with pytest.raises(UnavailableError, match="no checkpoint signed by this key"):
        checkpoint.read(tmp_path / "state", make_key(tmp_path / "other.pem"))


def test_any_changed_byte_is_refused(tmp_path: Path, key: SigningKey) -> None:
    place = tmp_path / "state"
    checkpoint.write(place, key, FULL)
    good = place.read_bytes()
    for at in range(0, len(good) - 1, 5):
        place.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        try:
            assert checkpoint.read(place, key) == FULL  # a key id, say, which decides nothing
        except UnavailableError:
            continue


def test_a_statement_by_the_same_key_is_no_checkpoint(tmp_path: Path, key: SigningKey) -> None:
    payload = FULL.encode()
    made = dsse.Envelope(
        payload, dsse.PAYLOAD_TYPE, (dsse.EnvelopeSignature(key.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))),)
    )
    (tmp_path / "state").write_bytes(made.encode())
    with pytest.raises(UnavailableError, match="another kind of document"):
        checkpoint.read(tmp_path / "state", key)


@settings(derandomize=True, max_examples=150)
@given(data=st.one_of(st.binary(max_size=80), st.integers(0, len(FULL.encode()) - 1)))
def test_any_bytes_are_malformed_or_a_value_that_encodes_to_them(data: bytes | int) -> None:
    raw = FULL.encode()
    given_bytes = data if isinstance(data, bytes) else raw[:data] + b"9" + raw[data + 1 :]
    with contextlib.suppress(MalformedError):
        assert Checkpoint.parse(given_bytes).encode() == given_bytes


CHANGES: dict[str, Callable[[Query, World], Query]] = {
    "the policy": lambda q, _: replace(q, policy=Policy(require_time=Voucher.AUTHORITY)),
    "no policy": lambda q, _: replace(q, policy=None),
    "the ref": lambda q, _: replace(q, context=Context(ref="refs/heads/main")),
    "the profile": lambda q, _: replace(q, profile=Profile.NOTME),
    "the anchors": lambda q, w: replace(q, trusted=w.other.trust()),
    "the roots": lambda q, _: replace(
        q, trusted=replace(q.trusted, foreign=Roots(allowed_signers=AllowedSigners.parse(b"# nobody\n")))
    ),
    "whose rewrite records count": lambda q, w: replace(q, attesters=(w.trust().anchors[0].key,)),
    "what tools noted": lambda q, _: replace(q, notes=True),
    "the bundle": lambda q, w: replace(q, trusted=(w.rotate(), w.trust())[1]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_under_something_else_it_is_another_question(tmp_path: Path, name: str) -> None:
    world = World(tmp_path)
    query = Query(world.trust(), datetime.now(UTC), Policy())
    asked = checkpoint.question(query, ["--all"], "sha1")
    world.tick(days=1)
    assert checkpoint.question(CHANGES[name](query, world), ["--all"], "sha1") != asked
    assert checkpoint.question(query, ["--branches"], "sha1") != asked
    assert checkpoint.question(query, ["--all"], "sha256") != asked
    later = replace(query, at=query.at + timedelta(days=9))
    assert checkpoint.question(later, ["--all"], "sha1") == asked
