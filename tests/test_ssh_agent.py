"""The ssh-agent: what it offers as time goes by, and which bytes it signs."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import sshcert, sshsig
from attest.errors import MalformedError
from attest.profile import PAYLOAD_UNCHECKED
from attest.sshwire import Reader, string, uint32
from notme_git.daemon import agent_setting
from notme_git.daemon.credential import Embedded, Signer
from notme_git.daemon.server import Peer
from notme_git.daemon.ssh_agent import FAILURE, FRESH, MAX_MESSAGE_BYTES, SshAgent
from notme_git.session import record
from tests.world import AGENT, World

PEER = Peer(os.getuid(), os.getpid())
LIFETIME = timedelta(minutes=5)
DATA = sshsig.to_be_signed(b"a commit")
LIST = bytes([11])


@dataclass
class Offering:
    """An agent over a world's authority, by the world's clock."""

    world: World
    agent: SshAgent

    @property
    def file(self) -> Path:
        return agent_setting.certificate_file(self.world.home, AGENT)

    def ask(self, message: bytes) -> bytes:
        """The body of the answer."""
        reader = Reader(self.agent.answer(message, PEER))
        body = reader.string()
        reader.end()
        return body

    def offered(self) -> list[bytes]:
        """The keys that it lists, each a certificate's blob."""
        reader = Reader(self.ask(LIST))
        assert reader.take(1) == bytes([12])
        found = []
        for _ in range(reader.uint32()):
            found.append(reader.string())
            assert reader.text() == f"notme:{AGENT}"
        reader.end()
        return found

    def sign(self, blob: bytes, data: bytes = DATA) -> bytes:
        return self.ask(signing(blob, data))


def signing(blob: bytes, data: bytes = DATA, flags: int = 0) -> bytes:
    return bytes([13]) + string(blob) + string(data) + uint32(flags)


@pytest.fixture
def offering(tmp_path: Path) -> Iterator[Offering]:
    world = World(tmp_path)
    world.grant(scopes=(PAYLOAD_UNCHECKED,))
    agent_setting.enable(world.home, AGENT)
    with world.opened() as authority:
        yield Offering(world, SshAgent(Signer.of(world.home, authority), lambda: world.now))


# -- what it offers


def test_it_offers_one_certificate_that_says_that_nothing_was_checked(offering: Offering) -> None:
    (blob,) = offering.offered()
    chain = sshcert.verify_chain(sshcert.parse(blob), offering.world.trust().anchors)
    assert chain.leaf.payload_unchecked
    assert chain.leaf.scopes == (PAYLOAD_UNCHECKED,)


def test_the_file_holds_the_newest_certificate(offering: Offering) -> None:
    (blob,) = offering.offered()
    kind, text, comment = offering.file.read_text("ascii").split()
    assert (kind, comment) == (sshcert.TYPE, f"notme:{AGENT}")
    assert base64.b64decode(text) == blob
    assert offering.file.stat().st_mode & 0o777 == 0o644


def test_a_certificate_is_replaced_before_it_ends_and_its_key_stays_until_then(offering: Offering) -> None:
    (first,) = offering.offered()
    offering.world.tick(seconds=(LIFETIME - FRESH).total_seconds() - 1)
    assert offering.offered() == [first]
    offering.world.tick(seconds=1)
    _, second = offering.offered()
    assert base64.b64decode(offering.file.read_text("ascii").split()[1]) == second
    for blob in (first, second):
        assert offering.sign(blob)[:1] == bytes([14])
    offering.world.tick(seconds=FRESH.total_seconds())
    assert offering.sign(first) == FAILURE
    assert offering.offered() == [second]


def test_a_sweep_replaces_it_without_being_asked(offering: Offering) -> None:
    offering.agent.refresh()
    before = offering.file.read_bytes()
    offering.world.tick(seconds=(LIFETIME - FRESH).total_seconds())
    offering.agent.refresh()
    assert offering.file.read_bytes() != before


def test_without_a_grant_nothing_is_offered_and_the_file_goes_away(offering: Offering) -> None:
    (blob,) = offering.offered()
    with offering.world.opened() as authority:
        grant = authority.store.grants()[-1].grant
    offering.world.revoke(grant)
    assert offering.sign(blob) == FAILURE
    assert offering.offered() == []
    assert not offering.file.exists()
    offering.world.grant(scopes=(PAYLOAD_UNCHECKED,))
    assert len(offering.offered()) == 1
    assert offering.file.exists()


def test_a_grant_that_ends_takes_the_certificate_with_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.grant(scopes=(PAYLOAD_UNCHECKED,), expires="2m")
    agent_setting.enable(world.home, AGENT)
    with world.opened() as authority:
        offering = Offering(world, SshAgent(Signer.of(world.home, authority), lambda: world.now))
        (blob,) = offering.offered()
        world.tick(minutes=2)
        assert offering.sign(blob) == FAILURE
        assert offering.offered() == []
        assert not offering.file.exists()


def test_a_grant_to_sign_what_is_seen_is_not_enough(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.grant(scopes=("sign:git",))
    agent_setting.enable(world.home, AGENT)
    with world.opened() as authority:
        assert Offering(world, SshAgent(Signer.of(world.home, authority), lambda: world.now)).offered() == []


# -- what it signs


@pytest.mark.parametrize("algorithm", ["sha512", "sha256"])
def test_it_signs_the_preamble_of_a_signature_in_the_namespace_git(offering: Offering, algorithm: str) -> None:
    (blob,) = offering.offered()
    data = sshsig.to_be_signed(b"a commit", hash_algorithm=algorithm)
    reader = Reader(offering.sign(blob, data))
    assert reader.take(1) == bytes([14])
    inner = Reader(reader.string())
    reader.end()
    assert inner.text() == "ssh-ed25519"
    Ed25519PublicKey.from_public_bytes(sshcert.parse(blob).public_key).verify(inner.string(), data)
    assert offering.agent.signatures == 1


USERAUTH = string(b"\x07" * 32) + bytes([50]) + string("git") + string("ssh-connection") + string("publickey")

NOT_SIGNED = {
    "nothing": b"",
    "a login (RFC 4252 section 7)": USERAUTH + bytes([1]) + string("ssh-ed25519") + string(b"k" * 51),
    "a login that begins like a signature": b"SSHSIG" + USERAUTH,
    "another namespace": sshsig.to_be_signed(b"x", namespace="file"),
    "an empty namespace": sshsig.to_be_signed(b"x", namespace=""),
    "a namespace with a NUL": sshsig.to_be_signed(b"x", namespace="git\0file"),
    "more behind it": DATA + b"x",
    "less of it": DATA[:-1],
    "a raw commit": b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n",
}


@pytest.mark.parametrize("what", NOT_SIGNED)
def test_it_signs_nothing_else(offering: Offering, what: str) -> None:
    (blob,) = offering.offered()
    assert offering.sign(blob, NOT_SIGNED[what]) == FAILURE
    assert offering.agent.signatures == 0


def test_it_signs_with_no_other_key(offering: Offering) -> None:
    (blob,) = offering.offered()
    plain = string("ssh-ed25519") + string(sshcert.parse(blob).public_key)
    for other in (b"", plain, blob[:-1], blob + b"x"):
        assert offering.sign(other) == FAILURE


def test_it_takes_no_other_message(offering: Offering) -> None:
    """Among them 17, 18, 19, 25 (add and remove keys), 20 and 26 (smartcards), 22 and 23 (lock), 27 (extensions)."""
    before = offering.offered()
    for kind in set(range(256)) - {11, 13}:
        assert offering.ask(bytes([kind]) + string("x")) == FAILURE
    assert offering.offered() == before


def test_only_this_user_is_spoken_with(offering: Offering) -> None:
    assert offering.agent.admits(PEER)
    assert not offering.agent.admits(Peer(os.getuid() + 1, os.getpid()))


@pytest.mark.parametrize("length", [0, MAX_MESSAGE_BYTES + 1, 2**32 - 1])
def test_a_message_of_no_or_too_many_bytes_ends_the_connection(offering: Offering, length: int) -> None:
    with pytest.raises(MalformedError):
        offering.agent.body_length(uint32(length))
    assert offering.agent.body_length(uint32(MAX_MESSAGE_BYTES)) == MAX_MESSAGE_BYTES


def test_any_bytes_are_a_failure_or_a_list(tmp_path: Path) -> None:
    """And never an exception, nor a signature: of these none names a key that is offered."""
    world = World(tmp_path)
    world.grant(scopes=(PAYLOAD_UNCHECKED,))
    agent_setting.enable(world.home, AGENT)
    with world.opened() as authority:
        offering = Offering(world, SshAgent(Signer.of(world.home, authority), lambda: world.now))

        @settings(max_examples=300, deadline=None, derandomize=True)
        @given(st.binary(min_size=1, max_size=200) | st.binary(max_size=200).map(lambda tail: bytes([13]) + tail))
        def check(message: bytes) -> None:
            answered = offering.ask(message)
            assert answered == FAILURE or (message == LIST and answered[:1] == bytes([12]))

        check()
        assert offering.agent.signatures == 0


def test_a_signature_with_any_bit_of_the_request_changed_is_refused_or_covers_what_was_sent(
    offering: Offering,
) -> None:
    (blob,) = offering.offered()
    whole = signing(blob)
    for at in range(0, len(whole) * 8, 13):
        changed = bytearray(whole)
        changed[at // 8] ^= 1 << at % 8
        answered = offering.ask(bytes(changed))
        if answered[:1] == bytes([14]):
            assert at // 8 >= 1 + 4 + len(blob) + 4, "the key is another"
            value = Reader(Reader(answered[1:]).string())
            value.text()
            sent = Reader(bytes(changed[1:]))
            sent.string()
            Ed25519PublicKey.from_public_bytes(sshcert.parse(blob).public_key).verify(value.string(), sent.string())


def test_in_a_session_it_signs_under_that_sessions_grant_alone(offering: Offering) -> None:
    """The session's process is this one. A newer grant, whose certificate is offered, is another."""
    world = offering.world
    source = offering.agent.signer.source
    assert isinstance(source, Embedded)
    first = source.authority.store.grants()[-1].grant
    session = record.begin(world.home, first, task=b"", command="x", broker=False, at=world.now)
    (blob,) = offering.offered()
    assert offering.sign(blob) != FAILURE
    world.grant(scopes=(PAYLOAD_UNCHECKED,))
    world.tick(minutes=4)
    other = next(each for each in offering.offered() if each != blob)
    assert offering.sign(other) == FAILURE
    record.end(world.home, session, world.now)
    assert offering.sign(other) != FAILURE
