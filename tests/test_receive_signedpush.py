"""Push certificates, examined from their bytes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pygit2
import pytest

from attest import gitobject
from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.policy import Policy
from attest.receive import signedpush
from attest.receive.push import Judge
from attest.receive.settings import Settings
from attest.receive.signedpush import Received
from attest.receive.updates import Update
from attest.repository import Repository, open_repository
from attest.types import StepStatus, Voucher
from tests.disk import unsynced
from tests.forge import Leaf
from tests.pushes import Clone
from tests.world import World

OLD, NEW, REF = "1" * 40, "2" * 40, "refs/heads/main"
UPDATE = Update(REF, OLD, NEW)
MAC = "ab" * 20
BLOB = pygit2.enums.ObjectType.BLOB
PROTECTED = Settings(protect=(REF,))


@dataclass(frozen=True)
class Gate:
    """A repository that was pushed to, and an agent's stolen leaf, under which nobody has a time-stamp."""

    clone: Clone
    repo: Repository
    leaf: Leaf

    @property
    def world(self) -> World:
        return self.clone.world

    def payload(self, *, nonce: str | None = None, lines: str = f"{OLD} {NEW} {REF}\n", who: str = "") -> bytes:
        seconds = int(self.world.now.timestamp())
        given = f"{seconds - 2}-{MAC}" if nonce is None else nonce
        head = f"certificate version 0.1\npusher {who or self.world.who()} {seconds} +0000\npushee https://git.example\n"
        return f"{head}nonce {given}\n\n{lines}".encode()

    def signed(self, payload: bytes, *, timestamped: bool = False) -> bytes:
        return payload + self.world.forge().armour(self.leaf, payload, at=self.world.now, timestamped=timestamped)

    def open(self, raw: bytes, *updates: Update, status: str = "OK", nonce: str | None = None) -> Received | None:
        environ = {
            "GIT_PUSH_CERT": self.clone.write(raw, BLOB),
            "GIT_PUSH_CERT_STATUS": "G",
            "GIT_PUSH_CERT_NONCE_STATUS": status,
            "GIT_PUSH_CERT_NONCE": gitobject.parse_push_certificate(raw).nonce if nonce is None else nonce,
        }
        return signedpush.open_certificate(self.repo, environ, updates or (UPDATE,), self.world.now)

    def check(self, received: Received | None, settings: Settings | None = None) -> None:
        assert received is not None
        found = signedpush.examine(received, self.world.trust())
        by = Judge(self.world.trust(), Policy(), Policy())
        signedpush.check(found, by, UPDATE, settings or Settings(), None, self.world.now)


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("gate")
    with unsynced():
        world = World(folder / "world")
    world.grant()
    clone = Clone.make(folder / "clone", world)
    with unsynced():
        leaf = world.stolen()
    with open_repository(clone.path, clone.environ) as repo:
        yield Gate(clone, repo, leaf)


def test_a_push_without_a_certificate_has_none(gate: Gate) -> None:
    assert signedpush.open_certificate(gate.repo, {}, (UPDATE,), gate.world.now) is None


@pytest.mark.parametrize("status", ["OK", "SLOP"])
def test_a_good_nonce_is_evidence_of_the_receiving_side_even_for_a_protected_ref(gate: Gate, status: str) -> None:
    received = gate.open(gate.signed(gate.payload()), status=status)
    assert received is not None
    assert received.issued == gate.world.now - timedelta(seconds=2)
    found = signedpush.examine(received, gate.world.trust())
    assert found.finding(Step.TIME).status is StepStatus.PROVEN
    assert [e.voucher for e in found.evidence] == [Voucher.SIGNER, Voucher.RECEIVER]
    gate.check(received, PROTECTED)


def test_a_certificate_that_is_used_after_its_end_is_refused_on_a_protected_ref(gate: Gate) -> None:
    """The nonce says when the push came, and that is too late for the certificate: the time is the signer's word."""
    raw = gate.signed(gate.payload())
    signed_at = gate.world.now
    try:
        gate.world.tick(hours=1)
        received = gate.open(raw)
        gate.check(received)
        with pytest.raises(VerificationError, match="time-required"):
            gate.check(received, PROTECTED)
    finally:
        gate.world.now = signed_at


@pytest.mark.parametrize("status", ["BAD", "MISSING", "UNSOLICITED", ""])
def test_a_nonce_that_this_server_did_not_give_out_is_refused(gate: Gate, status: str) -> None:
    with pytest.raises(VerificationError, match="nonce") as refused:
        gate.open(gate.signed(gate.payload()), status=status)
    assert "certNonceSlop" in refused.value.hint


def test_a_nonce_that_is_not_the_certificates_is_refused(gate: Gate) -> None:
    with pytest.raises(VerificationError, match="nonce"):
        gate.open(gate.signed(gate.payload()), nonce=f"1-{MAC}")


def test_a_nonce_of_the_future_or_without_a_time_could_not_be_checked(gate: Gate) -> None:
    later = int(gate.world.now.timestamp()) + 60
    with pytest.raises(UnavailableError, match="clock"):
        gate.open(gate.signed(gate.payload(nonce=f"{later}-{MAC}")))
    for nonce in ("hello", f"-{MAC}", f"99999999999-{MAC}", "1-x"):
        with pytest.raises(MalformedError):
            gate.open(gate.signed(gate.payload(nonce=nonce)))


@pytest.mark.parametrize(
    "update",
    [Update("refs/heads/other", OLD, NEW), Update(REF, OLD, "3" * 40), Update(REF, None, NEW), Update(REF, OLD, None)],
    ids=["another ref", "another tip", "a new ref", "a deletion"],
)
def test_an_update_that_the_certificate_does_not_name_is_refused(gate: Gate, update: Update) -> None:
    with pytest.raises(VerificationError, match="says nothing of this update"):
        gate.open(gate.signed(gate.payload()), UPDATE, update)


def test_creation_and_deletion_are_named_by_zeros(gate: Gate) -> None:
    zeros = "0" * 40
    raw = gate.signed(gate.payload(lines=f"{zeros} {NEW} refs/heads/a\n{OLD} {zeros} refs/heads/b\n"))
    assert gate.open(raw, Update("refs/heads/a", None, NEW), Update("refs/heads/b", OLD, None)) is not None


def by_another_authority(gate: Gate) -> bytes:
    other = gate.world.other
    with unsynced():
        other.grant()
        leaf = other.stolen()
    payload = gate.payload(who=other.who())
    return payload + other.forge().armour(leaf, payload, at=gate.world.now)


REFUSED: dict[str, tuple[Callable[[Gate], bytes], Reason]] = {
    "no signature": (lambda gate: gate.payload(), Reason.SIGNATURE_MISSING),
    "another's address": (
        lambda gate: gate.signed(gate.payload(who="Mallory <mallory@example.net>")),
        Reason.COMMITTER_MISMATCH,
    ),
    "changed after it was signed": (
        lambda gate: gate.signed(gate.payload()).replace(b"https://git.example", b"https://git.sample"),
        Reason.DIGEST_MISMATCH,
    ),
    "another authority's": (by_another_authority, Reason.ANCHOR_UNKNOWN),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
def test_git_calls_all_of_these_good_and_we_do_not(
    gate: Gate, make: Callable[[Gate], bytes], reason: Reason
) -> None:
    with pytest.raises(VerificationError) as refused:
        gate.check(gate.open(make(gate)))
    assert refused.value.reason is reason


def test_what_is_no_certificate_is_malformed(gate: Gate) -> None:
    for oid in (gate.clone.write(b"hello\n", BLOB), gate.clone.tree({"a": "1"})):
        with pytest.raises(MalformedError):
            signedpush.open_certificate(gate.repo, {"GIT_PUSH_CERT": oid}, (UPDATE,), gate.world.now)
    for name in ("0" * 40, "f" * 40):
        with pytest.raises(UnavailableError):
            signedpush.open_certificate(gate.repo, {"GIT_PUSH_CERT": name}, (UPDATE,), gate.world.now)
