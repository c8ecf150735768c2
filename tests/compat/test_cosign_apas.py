"""cosign on handoffs and dispatches: of a document and of each commit, it finds the statement that is about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest.apas import dispatch_read, dispatch_statement, handoff_statement
from attest.apas.dispatch import PREDICATE_TYPE as DISPATCH
from attest.apas.dispatch_statement import Entry
from attest.apas.handoff import PREDICATE_TYPE as HANDOFF
from attest.apas.handoff_statement import Document
from attest.attester import KeyAttester
from attest.keys import from_cryptography
from attest.signing_key import SigningKey
from notme_git import attesting
from tests.compat.attested import anchors
from tests.compat.signed import run
from tests.dispatches import SERVED, encoded
from tests.peers import peer
from tests.world import World

RELAXED = ("--insecure-ignore-tlog=true", "--insecure-ignore-sct", "--use-signed-timestamps")


PRIVATE = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
KEY = SigningKey(from_cryptography(PRIVATE.public_key()), PRIVATE)


@dataclass(frozen=True)
class Desk:
    folder: Path
    identity: str
    issuer: str
    commits: tuple[str, ...]

    def ask(self, bundle: str, predicate_type: str, *about: str) -> tuple[bool, str]:
        """Whether cosign takes the bundle for what is named, and what it says."""
        expected = ("--certificate-identity", self.identity, "--certificate-oidc-issuer", self.issuer)
        given = ("--bundle", bundle, "--trusted-root", "root.json", "--type", predicate_type)
        ended = run(peer("cosign"), "verify-blob-attestation", *given, *expected, *RELAXED, *about, cwd=self.folder)
        return ended.returncode == 0, ended.stderr


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    peer("cosign")
    folder = tmp_path_factory.mktemp("cosign-apas")
    world = World(folder)
    world.grant()
    payloads = [world.commit(message=message) for message in (b"one\n", b"two\n")]
    examinations = [world.examine(world.signed_commit(payload)) for payload in payloads]
    plan = Document("plan.md", b"# Plan\n")
    link = handoff_statement.link(plan, None, agent="scout", work_item="acme-17", files=(), commits=())
    dispatch = dispatch_read.parse(encoded(SERVED))
    entries = [Entry.of(one) for one in examinations]
    stated = {
        "handoff.json": handoff_statement.build(plan, link, from_phase="planning", to_phase="generating"),
        "dispatch.json": dispatch_statement.assemble(dispatch, entries, repository="https://git.example/app", ref=None),
    }
    with world.opened() as authority:
        attester = attesting.HomeAttester.enroll(authority, world.trust(), world.now)
        for name, payload in stated.items():
            (folder / name).write_bytes(attester.sign(payload, world.now))
        (folder / "key.json").write_bytes(KeyAttester(KEY, "urn:o").sign(stated["handoff.json"], world.now))
        shown = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / "key.pub").write_bytes(shown)
        (folder / "root.json").write_bytes(anchors(authority)["root.json"])
        issuer = authority.url
    (folder / "plan.md").write_bytes(plan.data)
    (folder / "other.md").write_bytes(b"# Another plan\n")
    return Desk(folder, attester.id, issuer, tuple(one.object_id for one in examinations))


def test_a_handoff_is_accepted_for_its_document_and_for_no_other(desk: Desk) -> None:
    accepted, says = desk.ask("handoff.json", HANDOFF, "plan.md")
    assert accepted, says
    refused, says = desk.ask("handoff.json", HANDOFF, "other.md")
    assert not refused
    assert "do not match digests in statement" in says
    assert not desk.ask("handoff.json", DISPATCH, "plan.md")[0]


def test_a_handoff_that_an_orchestrators_key_signed_is_accepted_for_its_document_and_for_no_other(desk: Desk) -> None:
    asked = ("verify-blob-attestation", "--bundle", "key.json", "--key", "key.pub", "--type", HANDOFF, RELAXED[0])
    statuses = [run(peer("cosign"), *asked, file, cwd=desk.folder).returncode for file in ("plan.md", "other.md")]
    assert statuses[0] == 0
    assert statuses[1] != 0


def test_a_dispatch_is_accepted_for_each_of_its_commits_and_for_no_other(desk: Desk) -> None:
    for commit in desk.commits:
        accepted, says = desk.ask("dispatch.json", DISPATCH, "--digest", commit, "--digestAlg", "gitCommit")
        assert accepted, says
    assert not desk.ask("dispatch.json", DISPATCH, "--digest", "1" * 40, "--digestAlg", "gitCommit")[0]
