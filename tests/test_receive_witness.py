"""Statements of what arrived: made, signed, read again, and judged by others."""

from __future__ import annotations

import hashlib
import json
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from attest import keys, stamps, store, witnessed
from attest.errors import Error, MalformedError, UnavailableError, VerificationError
from attest.gitobject import parse_push_certificate
from attest.receive import signedpush, witness
from attest.receive.signedpush import Received
from attest.receive.updates import Update
from attest.repository import Repository, open_repository
from attest.said import read
from attest.signing_key import SigningKey
from tests.disk import unsynced
from tests.forge import NOW
from tests.peers import peer
from tests.pushes import Clone
from tests.world import World

REF, URI = "refs/heads/main", "https://git.example/witness"


def key_of(seed: bytes) -> SigningKey:
    private = Ed25519PrivateKey.from_private_bytes(seed * 32)
    return SigningKey(keys.from_cryptography(private.public_key()), private)


KEY, STRANGER = key_of(b"w"), key_of(b"s")


@dataclass(frozen=True)
class Desk:
    repo: Repository
    clone: Clone
    first: str
    second: str

    def lines(self, *moved: Update, received: Received | None = None) -> dict[str, list[bytes]]:
        return witness.lines(self.repo, moved, URI, "https://git.example/app", received, KEY, NOW)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("witness")
    with unsynced():
        world = World(folder / "world")
    clone = Clone.make(folder / "clone", world)
    first = clone.commit({"a": "1"}, signed=False)
    second = clone.commit({"a": "2"}, first, signed=False)
    with open_repository(clone.path, clone.environ) as repo:
        yield Desk(repo, clone, first, second)


def payload_of(line: bytes) -> bytes:
    return b64decode(json.loads(line)["dsseEnvelope"]["payload"])


def test_a_statement_says_what_came_where_in_place_of_what_and_when(desk: Desk) -> None:
    ((oid, (line,)),) = desk.lines(Update(REF, desk.first, desk.second)).items()
    said = witnessed.verify(line, oid, (STRANGER.public, KEY.public))
    assert oid == desk.second
    assert (said.key, said.witness, said.signed_push) == (KEY.public, URI, False)
    assert (said.ref, said.old, said.new, said.received_at) == (REF, desk.first, desk.second, "2026-11-23T13:58:10Z")
    assert read(said.payload).predicate == {
        "witness": {"id": URI},
        "repository": "https://git.example/app",
        "ref": REF,
        "old": {"gitCommit": desk.first},
        "new": {"gitCommit": desk.second},
        "receivedAt": "2026-11-23T13:58:10Z",
        "pushCertificate": None,
    }
    assert witnessed.is_witness(line)
    assert not stamps.is_stamp(line)
    assert b"\n" not in line


def test_a_deletion_is_stated_of_the_tip_that_went_and_tags_by_their_own_kind(desk: Desk) -> None:
    tag = desk.clone.write(desk.clone.world.tag(target=desk.first), 4)
    made = desk.lines(Update(REF, desk.second, None), Update("refs/tags/v1", None, tag))
    gone, tagged = (witnessed.verify(made[oid][0], oid, (KEY.public,)) for oid in (desk.second, tag))
    assert (gone.old, gone.new) == (desk.second, None)
    assert [subject.digests for subject in read(tagged.payload).subjects] == [{"gitTag": tag}]


def test_two_refs_that_come_to_one_id_have_two_statements_of_it(desk: Desk) -> None:
    (lines,) = desk.lines(Update("refs/heads/a", None, desk.first), Update("refs/heads/b", None, desk.first)).values()
    assert {witnessed.verify(line, desk.first, (KEY.public,)).ref for line in lines} == {"refs/heads/a", "refs/heads/b"}
    assert store.append(desk.repo, {desk.first: lines}, NOW) == 2
    assert store.read(desk.repo, desk.first) == sorted(lines)


def test_the_push_certificate_stands_in_it_whole(desk: Desk) -> None:
    raw = desk.clone.world.push()
    received = Received("c" * 40, parse_push_certificate(raw), NOW, NOW)
    (lines,) = desk.lines(Update(REF, None, desk.first), received=received).values()
    said = witnessed.verify(lines[0], desk.first, (KEY.public,))
    assert said.signed_push
    found = read(said.payload).predicate["pushCertificate"]
    assert b64decode(found["content"]) == raw
    assert found["digest"] == {"gitBlob": "c" * 40, "sha256": hashlib.sha256(raw).hexdigest()}
    many = b"".join(b"%040x %040x refs/heads/%d\n" % (n, n + 1, n) for n in range(1, 200))
    long = raw.replace(b"\n\n", b"\n\n" + many)
    received = Received("c" * 40, parse_push_certificate(long), NOW, NOW)
    (lines,) = desk.lines(Update(REF, None, desk.first), received=received).values()
    found = json.loads(payload_of(lines[0]))["predicate"]["pushCertificate"]
    assert "content" not in found
    assert found["digest"]["sha256"] == signedpush.sha256(received)


def test_openssl_verifies_the_signature_over_the_pre_authentication_encoding(desk: Desk, tmp_path: Path) -> None:
    """The encoding is written out here by hand, as DSSE 1.0.2 has it."""
    ((_, (line,)),) = desk.lines(Update(REF, desk.first, desk.second)).items()
    envelope = json.loads(line)["dsseEnvelope"]
    payload = b64decode(envelope["payload"])
    kind = b"application/vnd.in-toto+json"
    (tmp_path / "data").write_bytes(b"DSSEv1 28 " + kind + b" " + str(len(payload)).encode() + b" " + payload)
    (tmp_path / "signature").write_bytes(b64decode(envelope["signatures"][0]["sig"]))
    (tmp_path / "key.der").write_bytes(KEY.public.spki)
    command: list[str | Path] = [peer("openssl"), "pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER"]
    command += ["-inkey", tmp_path / "key.der", "-in", tmp_path / "data", "-sigfile", tmp_path / "signature"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_who_is_not_trusted_and_what_was_changed_proves_nothing(desk: Desk) -> None:
    ((oid, (line,)),) = desk.lines(Update(REF, desk.first, desk.second)).items()
    for trusted in ((), (STRANGER.public,)):
        with pytest.raises(VerificationError, match="no key that was named"):
            witnessed.verify(line, oid, trusted)
    payload = payload_of(line)
    changed = line.replace(b64encode(payload), b64encode(payload.replace(b"heads/main", b"heads/evil")))
    with pytest.raises(VerificationError):
        witnessed.verify(changed, oid, (KEY.public,))
    with pytest.raises(MalformedError, match="about another object"):
        witnessed.verify(line, desk.first, (KEY.public,))


OTHER = {
    "another predicate": {"predicateType": "https://notme.bot/provenance/commit/v0.1"},
    "no witness": {"predicate": {"ref": REF, "receivedAt": "now"}},
    "two old ids": {
        "predicate": {"witness": {"id": URI}, "ref": REF, "receivedAt": "now", "old": {"gitCommit": "a", "gitTag": "b"}}
    },
    "an old id that is none": {"predicate": {"witness": {"id": URI}, "ref": REF, "receivedAt": "now", "old": "a"}},
    "no ref": {"predicate": {"witness": {"id": URI}, "receivedAt": "now"}},
}


@pytest.mark.parametrize("fields", OTHER.values(), ids=OTHER)
def test_another_statement_under_the_same_key_is_malformed(desk: Desk, fields: dict[str, object]) -> None:
    ((oid, (line,)),) = desk.lines(Update(REF, desk.first, desk.second)).items()
    payload = json.dumps({**json.loads(payload_of(line)), **fields}).encode()
    with pytest.raises(MalformedError):
        witnessed.verify(witness.sign(payload, KEY), oid, (KEY.public,))


def test_ids_that_git_does_not_know_are_not_stated(desk: Desk) -> None:
    with pytest.raises(UnavailableError):
        desk.lines(Update(REF, "a" * 40, desk.first))


@given(st.one_of(st.binary(max_size=300), st.binary(max_size=300).map(lambda tail: witnessed.HEAD + tail)))
def test_any_line_is_an_error_and_none_is_believed(line: bytes) -> None:
    with pytest.raises(Error):
        witnessed.verify(line, "a" * 40, (KEY.public,))
