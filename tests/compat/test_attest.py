"""`attest` by both programs: what is stated of a commit, a range and a push, who signs it, and who does not."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from attest import dsse, keys, signing_key, store
from attest.predicates import svr, vsa
from attest.predicates.maker import TYPES
from attest.receive import witness
from attest.receive.updates import Update
from attest.repository import open_repository
from tests.compat.conftest import SCRIPTS, Done, Sandbox, copy, stop_daemons
from tests.dispatches import MANIFEST
from tests.peers import peer

URL = "https://git.example/app"
ID = "https://ci.example/verifier"
PER_COMMIT = ("commit", "svr", "test-result", "gitsign")


@pytest.fixture(scope="module")
def machine(template: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A repository of three signed commits and one without a signature, whose tests state things in one ref."""
    sandbox = copy(template, tmp_path_factory.mktemp("attest") / "machine")
    sandbox.git("remote", "add", "origin", URL)
    for message in ("one", "two", "three"):
        sandbox.commit(message)
    sandbox.git("switch", "-q", "-c", "unsigned")
    sandbox.unsigned("nobody's")
    sandbox.git("switch", "-q", "main")
    yield sandbox
    stop_daemons(sandbox.root)


@pytest.fixture(scope="module")
def key(machine: Sandbox) -> Path:
    """A verifier's key, made as the error says."""
    path = machine.root / "verifier.pem"
    subprocess.run([peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", path], check=True, capture_output=True)
    path.chmod(0o600)
    return path


def statements(path: Path, key: Path) -> list[Any]:
    """The statements in a file, each of which the key signed."""
    public, found = signing_key.load(key).public, []
    for line in path.read_bytes().splitlines():
        envelope = json.loads(line)["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"])
        (signature,) = envelope["signatures"]
        keys.verify_signature(public, base64.b64decode(signature["sig"]), dsse.pae(dsse.PAYLOAD_TYPE, payload))
        found.append(json.loads(payload))
    return found


def attest(machine: Sandbox, key: Path, *words: str | Path, **options: Any) -> Done:
    return machine.attest("attest", *words, "--key", key, "--id", ID, **options)


def test_every_type_is_stated_of_a_range_in_a_file_of_lines(machine: Sandbox, key: Path) -> None:
    out = machine.root / "all.intoto.jsonl"
    types = [word for name in (*PER_COMMIT, "vsa", "source-provenance") for word in ("--type", name)]
    done = attest(machine, key, "HEAD~2..HEAD", *types, "--ref", "refs/heads/main", "--out", out, "--json")
    told = done.json
    assert {item["signer"]["identity"] for item in told} == {ID}
    assert [item["type"] for item in told].count("commit") == 2
    made = statements(out, key)
    assert [one["predicateType"] for one in made] == [item["predicateType"] for item in told]
    for one, item in zip(made, told, strict=True):
        assert set(one["subject"][0]["digest"].values()) == {item["object"]}
    summary = made[-1]
    assert summary["predicate"]["verifiedLevels"] == [
        "ORG_SOURCE_AGENT_COMMITS_ATTESTED", "ORG_SOURCE_HUMAN_PRINCIPAL_BOUND"
    ]  # fmt: skip
    payloads = [base64.b64decode(json.loads(line)["dsseEnvelope"]["payload"]) for line in out.read_bytes().splitlines()]
    digests = [hashlib.sha256(each).hexdigest() for each in payloads if b"commit/v0.1" in each]
    assert [item["digest"]["sha256"] for item in summary["predicate"]["inputAttestations"]] == digests


def test_what_was_not_accepted_is_stated_as_failed_or_not_at_all(machine: Sandbox, key: Path) -> None:
    types = [word for name in (*PER_COMMIT, "vsa") for word in ("--type", name)]
    done = attest(machine, key, "main..unsigned", *types, "--ref", "refs/heads/main", "--json", status=1)
    assert [(item["type"], item["result"]) for item in done.json] == [
        ("commit", "FAILED"), ("test-result", "FAILED"), ("vsa", "FAILED")
    ]  # fmt: skip
    assert "nothing was stated as gitsign, svr" in done.err


def test_without_a_key_nothing_is_made_and_the_way_to_one_is_said(machine: Sandbox) -> None:
    done = machine.attest("attest", "HEAD", status=64)
    assert done.out == b""
    assert "openssl genpkey -algorithm ed25519" in done.err


def test_what_is_to_be_signed_elsewhere_has_no_envelope(machine: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "to-sign"
    words = ("attest", "HEAD", "--type", "commit", "--type", "vsa", "--to-be-signed", folder)
    assert "say who will sign" in machine.attest(*words, status=64).err
    machine.attest(*words, "--id", ID, environ={"NOTME_HOME": str(machine.home)})
    oid = machine.rev("HEAD")
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(files) == {f"{oid}-{name}.{end}" for name in ("commit", "vsa") for end in ("intoto.json", "pae")}
    payload = files[f"{oid}-commit.intoto.json"]
    assert files[f"{oid}-commit.pae"] == b"DSSEv1 28 application/vnd.in-toto+json %d %b" % (len(payload), payload)
    assert json.loads(payload)["predicate"]["verification"]["verifier"] == {"id": ID}


def test_a_signature_made_elsewhere_over_those_bytes_is_dsses(machine: Sandbox, key: Path, tmp_path: Path) -> None:
    machine.attest("attest", "HEAD", "--to-be-signed", tmp_path, "--id", ID)
    pae, payload = next(tmp_path.glob("*.pae")), next(tmp_path.glob("*.intoto.json")).read_bytes()
    command = ("pkeyutl", "-sign", "-rawin", "-inkey", str(key), "-in", str(pae))
    made = subprocess.run([peer("openssl"), *command], check=True, capture_output=True).stdout
    keys.verify_signature(signing_key.load(key).public, made, dsse.pae(dsse.PAYLOAD_TYPE, payload))


def test_nobody_attests_their_own_work_unless_it_is_marked(template: Sandbox, tmp_path: Path) -> None:
    """A key that signs commits by SSH is given to `attest` as well."""
    sandbox = copy(template, tmp_path / "own")
    pem, ssh, out = sandbox.root / "own.pem", sandbox.root / "id", sandbox.root / "own.jsonl"
    sandbox.run(peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", ssh)
    loaded = load_ssh_private_key(ssh.read_bytes(), None)
    pem.write_bytes(loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pem.chmod(0o600)
    allowed = sandbox.root / "allowed"
    allowed.write_text(f"{sandbox.address} {ssh.with_suffix('.pub').read_text()}")
    configured = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={ssh}", "-c", "gpg.ssh.program=ssh-keygen")
    sandbox.git(*configured, "commit", "-q", "-S", "--allow-empty", "-m", "own")
    words = ("attest", "HEAD", "--key", pem, "--allowed-signers", allowed)
    assert "nobody attests their own work" in sandbox.attest(*words, status=1).err
    assert sandbox.rev("refs/attestations/notme") == ""
    sandbox.attest(*words, "--self-attest", "--out", out)
    (made,) = statements(out, pem)
    assert made["predicate"]["verification"]["verifier"]["selfAttested"] is True
    assert made["predicate"]["identity"]["actor"]["source"] == "known-key"


def test_a_push_is_stated_by_who_saw_it_and_not_by_the_range(machine: Sandbox, key: Path) -> None:
    words = ("HEAD~1..HEAD", "--type", "source-provenance", "--ref", "refs/heads/main")
    out = machine.root / "push.jsonl"
    attest(machine, key, *words, "--out", out)
    (made,) = statements(out, key)
    assert not {"prev_commit", "actor"} & set(made["predicate"])
    more = ("--previous", "HEAD~2", "--pusher", "alice", "--control", "SLSA_SOURCE_SCS_CONTINUITY=2026-10-01T00:00:00Z")
    attest(machine, key, *words, *more, "--out", out)
    (made,) = statements(out, key)
    assert made["predicate"]["prev_commit"] == machine.rev("HEAD~2")
    assert made["predicate"]["actor"] == "alice"
    assert made["predicate"]["controls"] == [{"name": "SLSA_SOURCE_SCS_CONTINUITY", "since": "2026-10-01T00:00:00Z"}]


def test_documents_and_notes_are_referred_to_by_their_digests(machine: Sandbox, key: Path) -> None:
    log, out = machine.root / "test.txt", machine.root / "reference.jsonl"
    log.write_text("all passed\n")
    machine.git("notes", "--ref", "ai", "add", "-f", "-m", "x\n---\n{}", "HEAD")
    given = f"https://ci.example/test.txt={log}"
    attest(machine, key, "HEAD", "--type", "reference", "--document", given, "--out", out)
    (made,) = statements(out, key)
    document, note = made["predicate"]["references"]
    assert document["digest"] == {"sha256": hashlib.sha256(b"all passed\n").hexdigest()}
    assert (document["downloadLocation"], document["mediaType"]) == ("https://ci.example/test.txt", "text/plain")
    assert note["digest"] == {"gitBlob": machine.git("notes", "--ref", "ai", "list", "HEAD").text}
    assert note["downloadLocation"] == f"git+{URL}@refs/notes/ai"
    assert "nothing of that type to say" in attest(machine, key, "HEAD~1", "--type", "reference", status=2).err


@pytest.mark.parametrize(
    "words",
    [
        ("--no-store",),
        ("--level", "SLSA_SOURCE_LEVEL_3"),
        ("--type", "vsa", "--level", "SLSA_BUILD_LEVEL_3"),
        ("--type", "vsa", "--level", "SLSA_SOURCE_LEVEL_2", "--level", "SLSA_SOURCE_LEVEL_3"),
        ("--type", "svr", "--self-attest"),
        ("--type", "dispatch"),
        ("--type", "reference", "--document", "nothing"),
        ("--type", "source-provenance", "--control", "x"),
        ("--previous", "HEAD~1"),
        ("--to-be-signed", "x"),
        ("--type", "nonsense"),
        ("--type", "vsa", "--repository", "git@git.example:team/app.git"),
        ("--all", "--type", "vsa"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_said_and_nothing_signed(machine: Sandbox, key: Path, words: tuple[str, ...]) -> None:
    before = machine.rev("refs/attestations/notme")
    done = attest(machine, key, "HEAD", *words, status=64)
    assert (done.out, "Traceback" in done.err) == (b"", False)
    assert machine.rev("refs/attestations/notme") == before


def test_levels_of_slsa_are_claimed_where_the_caller_vouches_for_them(machine: Sandbox, key: Path) -> None:
    out = machine.root / "vsa.jsonl"
    attest(machine, key, "HEAD", "--type", "vsa", "--level", "SLSA_SOURCE_LEVEL_3", "--out", out)
    made = statements(out, key)[-1]
    assert made["predicate"]["verifiedLevels"][0] == "SLSA_SOURCE_LEVEL_3"
    assert made["subject"][0]["annotations"] == {
        "sourceRefs": ["refs/heads/main"], "source_refs": ["refs/heads/main"]
    }  # fmt: skip
    attest(machine, key, "unsigned", "--type", "vsa", "--level", "SLSA_SOURCE_LEVEL_3", "--out", out, status=1)
    assert statements(out, key)[-1]["predicate"]["verifiedLevels"] == ["FAILED"]


def test_both_programs_know_every_type(machine: Sandbox) -> None:
    for program in ("notme-git", "notme-attest"):
        text = machine.run(SCRIPTS / program, "attest", "--help", real=False).text
        assert all(name in "".join(text.split()) for name in TYPES)


def test_show_and_verify_attestation_read_every_type_back(template: Sandbox, key: Path, tmp_path: Path) -> None:
    sandbox = copy(template, tmp_path / "shown")
    sandbox.git("remote", "add", "origin", URL)
    sandbox.commit("one")
    manifest, log = sandbox.root / "dispatch.json", sandbox.root / "log.txt"
    manifest.write_text(json.dumps(MANIFEST))
    log.write_text("passed\n")
    words = [word for name in TYPES for word in ("--type", name)]
    words += ["--dispatch", str(manifest), "--work-item-hash", "sha256:" + "a" * 64, "--document", f"https://x/log={log}"]
    sandbox.attest("attest", "HEAD", *words, "--ref", "refs/heads/main", "--key", key)
    public = sandbox.root / "public.pem"
    sandbox.run(peer("openssl"), "pkey", "-in", key, "-pubout", "-out", public)
    shown = sandbox.attest("show", "HEAD", "--attester-key", public).text
    assert shown.count("statement https://") == len(TYPES)
    assert shown.count(f" with the key {signing_key.load(key).public.key_id}") == len(TYPES)
    for line in (
        f"PASSED: {vsa.AGENT_COMMITS}, {vsa.HUMAN_BOUND} of git+{URL}",
        "proven: APAS_COMMIT_SIGNED_BY_BRIDGE_CERT, ",
        "PASSED: passed object, signature, ",
        "refs/heads/main came here",
        "text/plain at https://x/log",
        "statement https://gitsign.sigstore.dev/predicate/git/v0.1",
        "statement https://notme.bot/provenance/dispatch/v1",
    ):
        assert line in shown
    [commit] = [item for item in sandbox.attest("show", "HEAD", "--attester-key", public, "--json").json
                if item["predicateType"].endswith("commit/v0.1")]  # fmt: skip
    related = commit["statement"]["predicate"]["related"]
    assert related[0]["digest"] == {"sha256": hashlib.sha256(manifest.read_bytes()).hexdigest()}
    types = ("--type", vsa.PREDICATE_TYPE, "--type", svr.PREDICATE_TYPE)
    sandbox.attest("verify-attestation", "HEAD", "--attester-key", public, *types)


def test_a_witness_says_what_was_before(template: Sandbox, key: Path, tmp_path: Path) -> None:
    sandbox = copy(template, tmp_path / "witnessed")
    sandbox.git("remote", "add", "origin", URL)
    sandbox.commit("one")
    sandbox.commit("two")
    old, new, server = sandbox.rev("HEAD~1"), sandbox.rev("HEAD"), signing_key.load(key)
    at = datetime.now(UTC)
    kinds = {old: "commit", new: "commit"}
    payload = witness.build(Update("refs/heads/main", old, new), kinds, "https://git.example/", URL, None, at)
    with open_repository(sandbox.repo, sandbox.environ) as repo:
        store.append(repo, {new: [witness.sign(payload, server)]}, at)
    public, out = sandbox.root / "public.pem", sandbox.root / "push.jsonl"
    sandbox.run(peer("openssl"), "pkey", "-in", key, "-pubout", "-out", public)
    words = ("--type", "source-provenance", "--ref", "refs/heads/main", "--out", out)
    attest(sandbox, key, "HEAD", *words, "--witness-key", public)
    assert statements(out, key)[0]["predicate"]["prev_commit"] == old
    attest(sandbox, key, "HEAD", *words)
    assert "prev_commit" not in statements(out, key)[0]["predicate"]
