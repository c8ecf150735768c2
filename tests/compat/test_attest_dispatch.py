"""`attest --dispatch`: the orchestrator's own statement, the verifier's that repeats it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from attest import dsse, lines
from tests.compat.conftest import Done, Sandbox, copy, stop_daemons
from tests.dispatches import DEFINITION, ITEM_HASH, MANIFEST, SERVED, SESSION, encoded
from tests.handoffs import ORCHESTRATOR, public

ORIGINS_HASH = "sha256:d20204e36d2f60719a9bddb2a595639cd60a80e19797e5128acb9a96bede9669"


@pytest.fixture(scope="module")
def desk(template: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A repository whose last two commits are a dispatch's; beside it the orchestrator's key, and what it says."""
    sandbox = copy(template, tmp_path_factory.mktemp("dispatch") / "machine")
    for message in ("none", "one", "two"):
        sandbox.commit(message)
    secret = ORCHESTRATOR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (sandbox.root / "key.pem").write_bytes(secret)
    (sandbox.root / "key.pem").chmod(0o600)
    shown = ORCHESTRATOR.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (sandbox.root / "key.pub").write_bytes(shown)
    (sandbox.root / "served.json").write_bytes(encoded(SERVED))
    (sandbox.root / ".rsry-dispatch.json").write_bytes(encoded(MANIFEST))
    yield sandbox
    stop_daemons(sandbox.root)


def attest(desk: Sandbox, file: str, *arguments: str | Path, status: int = 0) -> Done:
    words = ("attest", "HEAD~2..HEAD", "--key", desk.root / "key.pem", "--dispatch", desk.root / file)
    return desk.attest(*words, *arguments, status=status)


def stated(path: Path) -> list[dict[str, Any]]:
    """The statements in a file, each signed by the orchestrator."""
    found = []
    for line in path.read_bytes().splitlines():
        envelope = lines.envelope_of(dsse.read_json(line))
        assert dsse.verify_envelope(envelope, [public(ORCHESTRATOR)])
        found.append(json.loads(envelope.payload))
    return found


def test_a_dispatch_is_stated_of_every_commit_of_the_range_and_kept_beside_each(desk: Sandbox) -> None:
    out = desk.root / "dispatch.intoto.jsonl"
    attest(desk, "served.json", "--type", "dispatch", "--out", out)
    (said,) = stated(out)
    commits = [desk.rev("HEAD~1"), desk.rev("HEAD")]
    assert sorted(one["digest"]["gitCommit"] for one in said["subject"]) == sorted(commits)
    run = said["predicate"]["runDetails"]
    assert said["predicate"]["dispatchDefinition"] == DEFINITION
    assert (run["originsHash"], "contentOrigins" in run, "workDir" in run["execution"]) == (ORIGINS_HASH, False, False)
    assert all({"sha", "signature", "certSha256", "epoch"} <= set(one) for one in run["work"]["commits"])
    for commit in commits:
        shown = desk.attest("show", commit, "--attester-key", desk.root / "key.pub", "--json").json
        assert [(one["predicateType"], one["verified"]) for one in shown] == [(said["predicateType"], True)]


def test_the_verifiers_statement_repeats_the_work_item_and_the_orchestrators_names_it(desk: Sandbox) -> None:
    out = desk.root / "both.intoto.jsonl"
    attest(desk, "served.json", "--type", "commit", "--type", "dispatch", "--out", out, "--no-store")
    found = stated(out)
    commits = [one["predicate"] for one in found if "dispatch" not in one["predicateType"]]
    assert len(commits) == 2
    assert {one["dispatchDefinition"]["workItemRef"]["workItemId"] for one in commits} == {"acme-17"}
    assert {one["runDetails"]["originsHash"] for one in commits} == {ORIGINS_HASH}
    entries = found[-1]["predicate"]["runDetails"]["work"]["commits"]
    assert all(len(one["verificationStatement"]["sha256"]) == 64 for one in entries)


def test_sources_and_paths_go_into_a_file_alone(desk: Sandbox) -> None:
    out = desk.root / "scoped.intoto.jsonl"
    attest(desk, "served.json", "--type", "dispatch", "--scoped", "--out", out, status=64)
    attest(desk, "served.json", "--type", "dispatch", "--scoped", "--no-store", "--out", out)
    run = stated(out)[0]["predicate"]["runDetails"]
    assert (len(run["contentOrigins"]), "originsHash" in run) == (3, False)
    assert run["execution"]["workDir"] == "/home/build/acme"


def test_a_manifest_without_a_fact_makes_nothing_and_names_it(desk: Sandbox) -> None:
    before = desk.rev("refs/attestations/notme")
    done = attest(desk, ".rsry-dispatch.json", "--type", "dispatch", status=2)
    assert "the dispatch does not say workItemRef.contentHash" in done.err
    assert desk.rev("refs/attestations/notme") == before
    attest(desk, ".rsry-dispatch.json", "--type", "dispatch", "--work-item-hash", ITEM_HASH)


def test_a_verifier_repeats_no_hash_of_origins_that_name_the_dispatch_itself(desk: Sandbox) -> None:
    entry = {"uri": "https://a.example/", "vouchedBy": SESSION}
    told = {**SERVED, "runDetails": {**SERVED["runDetails"], "contentOrigins": [entry]}}
    (desk.root / "actor.json").write_bytes(encoded(told))
    done = attest(desk, "actor.json", "--type", "commit", "--no-store", "--out", desk.root / "none", status=64)
    assert "is an actor" in done.err
    assert not (desk.root / "none").exists()


def test_a_verifier_of_a_home_is_no_orchestrator(desk: Sandbox) -> None:
    words = ("attest", "HEAD", "--type", "dispatch", "--dispatch", desk.root / "served.json")
    assert "the orchestrator's statement" in desk.notme(*words, status=64).err
