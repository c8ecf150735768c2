"""What is said to somebody who names a wrong file, ref or option: the exit status, what is wrong, what to do next."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.conftest import Sandbox, copy, stop_daemons


@pytest.fixture(scope="module")
def machine(template: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A commit that the home attested, one that a key did, keys of a verifier, and files that hold something else."""
    made = copy(template, tmp_path_factory.mktemp("arguments") / "machine")
    made.commit("one")
    made.notme("attest", "HEAD")
    made.commit("two")
    made.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", made.root / "key.pem")
    made.run("openssl", "pkey", "-in", made.root / "key.pem", "-pubout", "-out", made.root / "key.pub")
    (made.root / "one.json").write_text("1", "utf-8")
    (made.root / "object.json").write_text("{}", "utf-8")
    (made.root / "nothing").mkdir()
    (made.root / "chain").mkdir()
    item = {"repo": "app", "workItemId": "1", "contentHash": "sha256:" + 64 * "a"}
    agent = {"name": "dev", "provider": "acme", "model": "m"}
    said = json.dumps({"dispatchDefinition": {"workItemRef": item, "agent": agent}})
    (made.root / "dispatch.json").write_text(said, "utf-8")
    made.attest("attest", "HEAD", "--key", made.root / "key.pem")
    yield made
    stop_daemons(made.root)


ATTEST = "attest HEAD --key {root}/key.pem "
HANDOFF = "handoff build --document {root}/one.json --from-agent x --work-item w --key {root}/key.pem "
CASES = {
    # What a named file is: none of its kind is 2, and the file is named.
    ATTEST + "--dispatch {root}/one.json": (2, "one.json: JSON document is not an object"),
    ATTEST + "--type dispatch --dispatch {root}/object.json": (2, "object.json: this says nothing of a dispatch"),
    "origins {root}/one.json": (1, "one.json: "),
    "handoff check {root}/nothing": (2, "they are called *.intoto.jsonl"),
    "verify-attestation {root}/none.json --subject HEAD": (64, "there is no file {root}/none.json"),
    "verify-attestation {root}/none.json": (64, "there is no file {root}/none.json, and"),
    # The hint about a public key never names a file that may hold the private one.
    "verify-attestation HEAD --attester-key {root}/key.pem": (2, "-in KEY -pubout -out KEY.pub"),
    "verify HEAD --witness-key {root}/none": (2, "-in KEY -pubout -out KEY.pub"),
    "verify HEAD --sigstore-root {root}/object.json": (2, "not a trusted root of Sigstore: 'mediaType' is missing"),
    "verify HEAD --repo {root}/none": (2, "Name one with --repo DIRECTORY."),
    # Options that do not fit are named.
    ATTEST + "--pusher bob": (64, "--pusher goes with --type source-provenance"),
    ATTEST + "--level X": (64, "--level goes with --type vsa"),
    "bundle import --layout notes {root}/one.json": (64, "either a file, or --layout"),
    ATTEST + "--type svr --dispatch {root}/dispatch.json": (64, "goes with --type dispatch or --type commit"),
    "verify-attestation {root}/one.json --subject HEAD --layout notes": (64, "one.json is a file"),
    # What an unset variable leaves empty takes no check away.
    "handoff check {root}/chain --attester-key {root}/key.pub --work-item=": (64, "--work-item names nothing"),
    "handoff check {root}/chain --attester-key {root}/key.pub --ends-with=": (64, "--ends-with is 64"),
    HANDOFF + "--from-phase a --to-phase b --id https://ci.example/x": (64, "No such option '--id'"),
    HANDOFF + "--from-phase= --to-phase b": (64, "--from-phase names nothing"),
    HANDOFF + "--from-phase a --to-phase b --commit HEAD": (64, "git rev-parse HEAD"),
    # A profile narrows whose certificates count, here as for commits.
    "verify-attestation HEAD~1 --profile notme": (0, "ACCEPTED"),
    "verify-attestation HEAD~1 --profile interop": (1, "the certificate is of profile notme, not interop"),
    "show HEAD~1 --profile interop": (1, "the certificate is of profile notme, not interop"),
    "bundle import {root}/one.json": (2, "1 line(s) were passed over"),
    # Rules on refs/heads/main would pass over what is offered for main.
    "verify HEAD --ref main": (64, "write refs/heads/main for a branch"),
    "verify HEAD --ref origin/main": (64, "write refs/heads/main for a branch"),
    "verify-attestation HEAD --ref origin/main": (64, "write refs/heads/main for a branch"),
    "verify-attestation HEAD --type gitsign": (64, "https://gitsign.sigstore.dev/predicate/git/v0.1, or"),
    ATTEST + "--ref main": (64, "write refs/heads/main for a branch"),
    "show HEAD": (1, "--attester-key FILE names the key"),
    "verify-attestation HEAD": (1, "--attester-key FILE names the key"),
    # What is asked for twice, or of nothing, is said so.
    "verify HEAD --json --jsonl": (64, "--json and --jsonl exclude each other"),
    "examine --all --json --jsonl": (64, "--json and --jsonl exclude each other"),
    "audit . --ref nope": (2, "'nope' is not one object"),
    "hook install --server {root}/none": (2, "--server DIRECTORY"),
    "hook install --server {root}/nothing": (2, "--server DIRECTORY"),
    "trust repo --list": (0, "nothing is pinned"),
}


@pytest.mark.parametrize("command", CASES)
def test_a_mistake_is_told_with_what_to_do_about_it(machine: Sandbox, command: str) -> None:
    status, said = CASES[command]
    root = str(machine.root)
    done = machine.attest(*(word.format(root=root) for word in command.split()), status=status)
    assert said.format(root=root) in done.text + done.err


def test_a_token_in_the_repository_s_address_is_never_stated(machine: Sandbox) -> None:
    address = "https://ci:s3cret@git.example/app"
    out = machine.root / "stated.jsonl"
    options = ("--no-store", "--out", out, "--ref", "refs/heads/main", "--repository", address)
    machine.attest("attest", "HEAD", "--type", "vsa", "--type", "svr", "--key", machine.root / "key.pem", *options)
    stated = [base64.b64decode(json.loads(line)["dsseEnvelope"]["payload"]) for line in out.read_bytes().splitlines()]
    assert len(stated) == 3
    assert all(b"git.example/app" in each and b"s3cret" not in each for each in stated)
    who = ("--subject", "HEAD", "--attester-key", machine.root / "key.pub")
    assert b"ACCEPTED" in machine.attest("verify-attestation", out, *who, "--repository", address).out
    told = machine.attest("audit", machine.repo, "--repository", address, "--json", status=None)
    assert "s3cret" not in told.text


@pytest.mark.parametrize("named", ["HEAD..HEAD", "0" * 40])
def test_where_nothing_was_judged_nothing_is_said_of_types(machine: Sandbox, named: str) -> None:
    done = machine.attest("attest", named, "--key", machine.root / "key.pem", status=2)
    assert "nothing was stated" not in done.err
    assert done.err


def test_what_cannot_be_read_is_no_misspelt_option(machine: Sandbox) -> None:
    secret = machine.root / "secret.pem"
    secret.write_bytes((machine.root / "key.pem").read_bytes())
    secret.chmod(0)
    # Root may read anything, unless it lays that down.
    laid_down = "-dac_override,-dac_read_search"
    lesser = ("setpriv", f"--inh-caps={laid_down}", f"--bounding-set={laid_down}") if os.geteuid() == 0 else ()
    if lesser and shutil.which("setpriv") is None:
        pytest.skip("root without setpriv reads every file")
    done = machine.run(*lesser, sys.executable, "-m", "attest", "attest", "HEAD", "--key", secret, status=2)
    assert f"cannot read the key {secret}: Permission denied" in done.err


@pytest.mark.parametrize("broken", ["a blob", "an object that is not there", "no id"])
def test_a_ref_that_cannot_be_read_is_not_a_ref_without_attestations(machine: Sandbox, broken: str) -> None:
    """docs/storage.md: what cannot be read (2) is told from what is not there (1)."""
    blob = machine.git("hash-object", "-w", "--stdin", stdin=b"x").text
    ref = machine.repo / ".git" / "refs" / "attestations" / "notme"
    before = ref.read_bytes()
    ref.write_text({"a blob": blob, "no id": "x"}.get(broken, "1" * 40) + "\n", "utf-8")
    try:
        for command in ("show HEAD", "verify-attestation HEAD", "bundle export --all --out -", "rewrite show HEAD"):
            done = machine.attest(*command.split(), status=2)
            assert (done.out, "refs/attestations/notme is there" in done.err) == (b"", True)
        assert "refs/attestations/notme is there" in machine.attest("verify", "HEAD").err
    finally:
        ref.write_bytes(before)


def test_a_remote_without_a_name_is_not_origin(machine: Sandbox) -> None:
    assert "REMOTE is empty" in machine.attest("sync", "", status=64).err


def test_records_that_were_never_fetched_are_not_looked_for_in_silence(template: Sandbox, tmp_path: Path) -> None:
    here = copy(template, tmp_path / "machine")
    here.commit("one")
    warning = "notme-attest sync --fetch-only"
    policy = tmp_path / "policy.toml"
    rule = '[[rules]]\nname = "{}"\nmatch = {{ {} classes = ["agent"] }}\n'
    policy.write_text("version = 1\n" + rule.format("squashes", 'through = "record",') + rule.format("agents", ""))
    under = ("--policy", policy)
    for words in (("HEAD",), ("HEAD", *under), ("--all", "--rewrites", *under)):
        assert here.attest("verify", *words).err == ""
    assert warning in here.attest("audit", ".", "--rewrites").err
    here.git("-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "squashed elsewhere")
    for refused in (("HEAD", *under), ("HEAD~1..", *under), ("--all", "--rewrites")):
        assert warning in here.attest("verify", *refused, status=1).err
    assert warning in here.attest("check", "--base", "HEAD~1", "--head", "HEAD", *under, status=1).err
    assert here.attest("check", "--base", "HEAD~1", "--head", "HEAD", status=1).err == ""
    assert warning in here.notme("attest", "HEAD", *under, status=1).err
    assert warning not in here.notme("attest", "HEAD", *under, status=1).err
    assert warning not in here.attest("verify", "--all", "--rewrites", status=1).err
    stop_daemons(tmp_path)
