"""docs/attestations.md as a user follows it: its blocks one after the other, in a repository that an agent signs in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from attest import bundles
from tests.compat.attested import blocks, put_scripts
from tests.compat.conftest import Sandbox, copy, stop_daemons
from tests.peers import peer

CHECKS = {
    "verify-attestation": ("git", "COMMIT): ACCEPTED"),
    "verify-attestation-key": ("git", "COMMIT): ACCEPTED"),
    "cosign": ("cosign", "Verified OK"),
    "cosign-key": ("cosign", "Verified OK"),
    "sigstore-go": ("sigstore-go", "Verification successful!"),
    "sigstore-js": ("sigstore-js", "verified: https://notme.bot/provenance/commit/v0.1"),
    "sigstore-js-key": ("sigstore-js", "verified: https://notme.bot/provenance/commit/v0.1"),
    "in-toto": ("git", "https://notme.bot/provenance/commit/v0.1 {'gitCommit': 'COMMIT'}"),
    "openssl": ("openssl", "URI:wimse://"),
    "commit-time-stamp": ("openssl", "Verification: OK"),
}
"""Block, peer, and what is printed among other things; `COMMIT` is its id."""


UNTOLD = ("in-toto", "openssl", "commit-time-stamp")
"""Those that are not told what commit to expect."""

VARIABLES = ("TYPE", "ALG", "DIGEST", "IDENTITY", "ISSUER")


@dataclass(frozen=True)
class Reader:
    """Who follows the page, and what they expect as it says."""

    sandbox: Sandbox
    expected: Mapping[str, str]

    def follows(self, name: str, *, folder: Path | None = None, status: int = 0, **expected: str) -> str:
        told = {**self.expected, **expected}
        done = self.sandbox.run(peer("bash"), "-euc", blocks()[name], cwd=folder, environ=told, status=status)
        return done.out.decode() + done.err


@pytest.fixture(scope="module")
def reader(template: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    peer("openssl")
    sandbox = copy(template, tmp_path_factory.mktemp("page") / "machine")
    sandbox.commit("one")
    sandbox.run(peer("bash"), "-euc", blocks()["make"])
    told = sandbox.run(peer("bash"), "-euc", blocks()["expect"] + f"printenv {' '.join(VARIABLES)}").text
    sandbox.run(peer("bash"), "-euc", blocks()["make-key"])
    put_scripts(sandbox.repo)
    yield Reader(sandbox, dict(zip(VARIABLES, told.splitlines(), strict=True)))
    stop_daemons(sandbox.root)


def test_every_block_of_the_page_is_run_here() -> None:
    assert [name for name in blocks() if "." not in name and name not in CHECKS] == ["make", "expect", "make-key"]


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_of_the_page_accepts_what_the_page_makes(reader: Reader, name: str) -> None:
    program, says = CHECKS[name]
    peer(program)
    assert says.replace("COMMIT", reader.expected["DIGEST"]) in reader.follows(name)


@pytest.mark.parametrize("name", [name for name in CHECKS if name not in UNTOLD])
def test_a_check_of_the_page_refuses_it_for_another_commit(reader: Reader, name: str) -> None:
    peer(CHECKS[name][0])
    reader.follows(name, DIGEST="1" * 40, status=1)


def test_openssl_refuses_the_time_stamp_of_a_commit_for_another_signature_and_under_other_anchors(
    reader: Reader,
) -> None:
    peer("openssl")
    last = blocks()["commit-time-stamp"].splitlines()[-1]
    lines = {
        last.replace("-data commit.signature", "-data commit.tst"): "message imprint mismatch",
        last.replace("-CAfile anchors.pem", "-CAfile leaf.pem"): "certificate verify error",
    }
    reader.follows("openssl")
    reader.follows("commit-time-stamp")
    for line, says in lines.items():
        done = reader.sandbox.run(peer("bash"), "-euc", line, status=1)
        assert says in done.err


STATED = {
    "commit": (),
    "vsa": (),
    "svr": (),
    "test-result": (),
    "gitsign": (),
    "source-provenance": ("--previous", "HEAD~1"),
    "reference": ("--document", "https://example.org/anchors.pem=anchors.pem"),
}
"""What `attest` can state of a range without an orchestrator, and what it has to be told for that."""


@pytest.fixture(scope="module")
def stated(reader: Reader) -> Mapping[str, bytes]:
    """The bundle of each type, by its predicate type."""
    asked = [word for name, more in STATED.items() for word in ("--type", name, *more)]
    about = ("--repository", "https://git.example/app", "--ref", "refs/heads/main", "--out", "all.intoto.jsonl")
    reader.sandbox.commit("two")
    reader.sandbox.notme("attest", "HEAD~1..HEAD", *asked, *about)
    lines = (reader.sandbox.repo / "all.intoto.jsonl").read_bytes().splitlines()
    return {json.loads(bundles.parse_bundle(line).envelope.payload)["predicateType"]: line for line in lines}


def test_every_type_is_stated(stated: Mapping[str, bytes]) -> None:
    assert len(stated) == len(STATED)


def test_what_attest_states_of_any_type_is_accepted_for_its_commit_alone(
    reader: Reader, stated: Mapping[str, bytes], tmp_path: Path
) -> None:
    peer("cosign")
    (tmp_path / "root.json").write_bytes((reader.sandbox.repo / "root.json").read_bytes())
    head, before = reader.sandbox.rev("HEAD"), reader.sandbox.rev("HEAD~1")
    for predicate_type, line in stated.items():
        (tmp_path / "bundle.json").write_bytes(line)
        reader.follows("cosign", folder=tmp_path, TYPE=predicate_type, DIGEST=head)
        reader.follows("cosign", folder=tmp_path, TYPE=predicate_type, DIGEST=before, status=1)
