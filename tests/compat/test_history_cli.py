"""`examine` and `verify` over whole histories, as an auditor runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import repositories
from bench.repositories import Made
from tests.compat import warm
from tests.compat.conftest import AGENT, SCRIPTS, Done, Sandbox, copy, stop_daemons

KEYS = {
    "commit", "kind", "format", "outcome", "integrity", "leaf_sha256", "serial", "issuer", "subject",
    "subject_alternative_names", "not_before", "not_after", "signer", "identity", "signing_time", "committer",
    "committer_date", "author", "author_date", "parents", "rule", "remarks", "contradictions", "evidence", "findings",
    "through",
}  # fmt: skip


@pytest.fixture(scope="module")
def history(template: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """An unsigned commit, three signed ones, a merge, a signed tag, a lightweight one."""
    made = copy(template, tmp_path_factory.mktemp("history") / "machine")
    made.unsigned("begin", who="Bob Example <bob@example.org>")
    made.commit("one")
    made.git("switch", "-q", "-c", "side")
    made.commit("two")
    made.git("switch", "-q", "main")
    made.commit("three", "--trailer", "Signed-off-by: Alice Example <alice@example.org>")
    made.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    made.git("tag", "-s", "-m", "release", "v1")
    made.git("-c", "tag.gpgsign=false", "tag", "light")
    yield made
    stop_daemons(made.root)


def lines(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.text.splitlines()]


def test_every_line_has_every_key_and_tags_are_included(history: Sandbox) -> None:
    found = lines(history.attest("examine", "--all", "--jsonl"))
    assert all(set(item) == KEYS for item in found)
    assert [item["kind"] for item in found] == ["tag"] + ["commit"] * 5
    assert [item["commit"] for item in found[1:]] == history.git("rev-list", "--all").text.split()
    assert found[0]["commit"] == history.rev("v1")
    assert [item["integrity"] for item in found] == [True, True, True, True, True, None]
    assert [item["format"] for item in found] == ["x509"] * 5 + [None]
    assert {item["outcome"] for item in found} == {None}
    signed = found[1]
    assert re.fullmatch("[0-9a-f]{64}", signed["leaf_sha256"])
    assert signed["subject"] == "O=notme,CN=claude-code"
    assert [name.rpartition("/")[2] for name in signed["subject_alternative_names"]] == [AGENT]
    assert signed["not_before"] < signed["signing_time"] < signed["not_after"]
    for name in ("not_before", "committer_date"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", signed[name])
    assert signed["identity"]["representedPrincipal"]["email"] == "alice@example.org"
    three = next(item for item in found if [c["code"] for c in item["contradictions"]])
    assert "agent-signed-off-for-human" in [c["code"] for c in three["contradictions"]]


def test_the_certificate_in_a_line_is_the_one_that_openssl_reads(history: Sandbox, tmp_path: Path) -> None:
    [found] = lines(history.attest("examine", "HEAD", "--jsonl"))
    raw = history.git("cat-file", "commit", "HEAD").out
    signature = raw.split(b"gpgsig ")[1].split(b"\n\n")[0].replace(b"\n ", b"\n")
    pem = tmp_path / "signature.pem"
    pem.write_bytes(signature.replace(b"SIGNED MESSAGE", b"PKCS7") + b"\n")
    certs = history.run("openssl", "pkcs7", "-print_certs", "-in", pem, "-out", tmp_path / "leaf.pem").status
    assert certs == 0
    said = history.run(
        *("openssl", "x509", "-in", tmp_path / "leaf.pem", "-noout", "-serial", "-fingerprint", "-sha256", "-dates")
    ).text
    assert f"serial={found['serial'].upper().zfill(len(found['serial']) + len(found['serial']) % 2)}" in said
    assert found["leaf_sha256"].upper() in said.replace(":", "")


def test_over_a_range_there_is_a_line_an_object_and_a_summary(history: Sandbox) -> None:
    done = history.attest("verify", "--all", status=1)
    printed = done.text.splitlines()
    assert [line.split("  ")[0] for line in printed if not line.startswith(" ")][:-1] == ["accepted"] * 5 + ["REJECTED"]
    assert printed[-1] == "6 objects: 5 accepted, 1 rejected"
    assert any("signature-missing" in line for line in printed)
    assert any(line.startswith("  warning (agent-signed-off-for-human)") for line in printed)
    quiet = history.attest("verify", "--all", "--quiet", "--jobs", "2", status=1)
    assert quiet.text == printed[-1]


@pytest.mark.parametrize(
    ("arguments", "count", "status"),
    [
        (("HEAD~1..HEAD",), 2, 0),
        (("--all", "--merges"), 2, 0),
        (("--branches", "--since=2000-01-01"), 5, 1),
        (("HEAD", "--not", "side"), 2, 0),
        (("HEAD", "^side", "--first-parent"), 2, 0),
        (("HEAD", "--max-count=1"), 1, 0),
        (("--tags",), 6, 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_git_takes_to_limit_a_walk_is_taken(
    history: Sandbox, arguments: tuple[str, ...], count: int, status: int
) -> None:
    found = history.attest("verify", *arguments, "--json", status=status).json
    assert len(found) == count
    assert {item["outcome"] for item in found} <= {"accepted", "rejected"}


@pytest.mark.parametrize(
    "arguments",
    [("--objects", "HEAD"), ("--output=x", "HEAD"), ("--header", "HEAD"), ("--", "x"), ("HEAD", "--format=%H"), ()],
    ids=" ".join,
)
def test_an_option_that_changes_what_is_listed_is_no_option_here(history: Sandbox, arguments: tuple[str, ...]) -> None:
    done = history.attest("examine", *arguments, status=64)
    assert done.out == b""


def test_paths_go_after_two_dashes_as_with_git(sandbox: Sandbox) -> None:
    for name in ("a", "b"):
        (sandbox.repo / name).write_text(name, "utf-8")
        sandbox.git("add", name)
        sandbox.commit(name)
    [found] = sandbox.attest("verify", "main", "--since=2000-01-01", "--json", "--", "a").json
    assert found["object"]["id"] == sandbox.rev("HEAD^")
    assert sandbox.attest("verify", "--json", "--", "HEAD").json["object"]["id"] == sandbox.rev("HEAD")
    assert "There is no 'a' here." in sandbox.attest("verify", "main", "a", status=64).err


def test_a_range_that_git_does_not_know_names_the_end_that_is_not_there(history: Sandbox, tmp_path: Path) -> None:
    assert "There is no 'main~99' here." in history.attest("verify", "main~99..main", status=64).err
    clone = tmp_path / "clone"
    history.git("clone", "-q", "--depth", "1", f"file://{history.repo}", str(clone))
    assert "git fetch --unshallow" in history.attest("verify", "HEAD~1..HEAD", cwd=clone, status=64).err


def test_all_leaves_out_what_is_kept_beside_the_history(sandbox: Sandbox) -> None:
    sandbox.commit("one")
    sandbox.notme("attest", "HEAD")
    sandbox.attest("bundle", "export", "--all", "--layout", "notes")
    sandbox.attest("bundle", "export", "--all", "--layout", "gitsign")
    sandbox.git("update-ref", "refs/notme/remotes/origin/attestations/notme", "refs/attestations/notme")
    assert sandbox.attest("verify", "--all", "--quiet").text == "1 object: 1 accepted"
    assert [found["commit"] for found in lines(sandbox.attest("examine", "--all", "--jsonl"))] == [sandbox.rev("HEAD")]
    assert len(sandbox.attest("verify", "--all", "refs/notes/commits", "--json", status=1).json) == 2
    sandbox.notme("attest", "--all", "--type", "svr")
    told = sandbox.notme("attest", "--all", "--json").json
    assert [each["object"] for each in told] == [sandbox.rev("HEAD")]


def test_whoever_trusts_nobody_can_examine_and_not_verify(history: Sandbox, tmp_path: Path) -> None:
    nobody = {"NOTME_HOME": str(tmp_path / "none")}
    found = lines(history.attest("examine", "--all", "--jsonl", environ=nobody))
    assert [item["integrity"] for item in found] == [True] * 5 + [None]
    assert {item["findings"][3]["reason"] for item in found[:-1]} == {"anchor-unknown"}
    done = history.attest("verify", "--all", status=2, environ=nobody)
    assert (done.out, "--anchor" in done.err) == (b"", True)


def test_an_object_that_is_missing_hides_no_other(template: Sandbox, tmp_path: Path) -> None:
    sandbox = copy(template, tmp_path / "machine")
    try:
        sandbox.unsigned("one")
        sandbox.commit("two")
        sandbox.git("tag", "-s", "-m", "x", "v1")
        tag = sandbox.rev("v1")
        (sandbox.repo / ".git" / "objects" / tag[:2] / tag[2:]).unlink()
        done = sandbox.attest("examine", tag, "HEAD", "--jsonl", status=None)
        assert done.status in (2, 64)
        assert "Traceback" not in done.err
    finally:
        stop_daemons(sandbox.root)


def test_where_a_shallow_clone_was_cut_the_history_is_not_taken_for_whole(history: Sandbox, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    history.git("clone", "-q", "--depth", "2", f"file://{history.repo}", str(clone))
    whole = history.attest("verify", "--all", "--quiet", cwd=clone, status=2)
    assert "git fetch --unshallow" in whole.err
    assert whole.text.endswith(" accepted")
    assert "shallow" in history.attest("examine", "--all", "--jsonl", cwd=clone, status=2).err
    assert "git fetch --unshallow" in history.attest("audit", ".", cwd=clone, status=2).err
    near = history.attest("verify", "HEAD^..HEAD", "--first-parent", "--quiet", cwd=clone, status=None)
    assert "shallow" not in near.err


def test_a_range_the_wrong_way_round_says_so(history: Sandbox) -> None:
    done = history.attest("verify", "HEAD..HEAD~1", status=2)
    assert "is it the other way round?" in done.err


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return repositories.make(tmp_path_factory.mktemp("made") / "ssh", "ssh", 4000)


def run(
    made: Made, *arguments: str, status: int | None = 0, command: str = "verify"
) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(made.folder.parent), "NOTME_HOME": str(made.home)}
    done = warm.run_text(
        [str(SCRIPTS / "notme-attest"), command, *arguments, "--repo", str(made.folder), *made.options],
        env=environ, timeout=120,
    )  # fmt: skip
    assert status is None or done.returncode == status, done
    return done


def test_several_processes_say_the_same_in_the_same_order(made: Made) -> None:
    one = run(made, "--all", "--jsonl", "--jobs", "1").stdout
    assert len(one.splitlines()) == 4000
    assert run(made, "--all", "--jsonl", "--jobs", "3").stdout == one


def test_several_processes_state_the_same_in_the_same_order(made: Made, tmp_path: Path, key: Path) -> None:
    options = ("--key", str(key), "--no-store", "--type", "commit", "--type", "svr")
    told, written = list[str](), list[bytes]()
    for jobs in ("1", "2"):
        out = tmp_path / f"{jobs}.intoto.jsonl"
        words = ("--all", "--max-count=2000", *options, "--out", str(out), "--jobs", jobs)
        told.append(run(made, *words, command="attest").stdout)
        written.append(out.read_bytes())
    assert told[0] == told[1]
    assert [each.count(b"\n") for each in written] == [told[0].count("\n")] * 2


def test_git_says_the_same_of_plain_ssh_keys(made: Made) -> None:
    allowed = made.options[1]
    git = ["git", "-c", f"gpg.ssh.allowedSignersFile={allowed}", "log", "-20", "--format=%H %G? %GS"]
    said = subprocess.run(git, cwd=made.folder, capture_output=True, text=True, check=True).stdout.splitlines()
    ours = [json.loads(line) for line in run(made, "--all", "--max-count=20", "--jsonl").stdout.splitlines()]
    assert said == [f"{item['commit']} G {item['identity']['actor']['email']}" for item in ours]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    place = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", place], check=True, capture_output=True)
    place.chmod(0o600)
    return place


def test_after_a_checkpoint_only_what_is_new_is_judged(history: Sandbox, tmp_path: Path, key: Path) -> None:
    sandbox = copy(history, tmp_path / "machine")
    options = ("--checkpoint", tmp_path / "state", "--key", key)
    try:
        first = sandbox.attest("verify", "--all", *options, status=1)
        assert first.text.splitlines()[-1] == "6 objects: 5 accepted, 1 rejected"
        again = sandbox.attest("verify", "--all", *options, status=1)
        [before, summary] = again.text.splitlines()
        assert (before.startswith("REJECTED"), "examined before" in before) == (True, True)
        assert summary == "6 objects: 5 accepted, 1 rejected"
        sandbox.commit("new")
        more = sandbox.attest("verify", "--all", *options, "--jsonl", status=1)
        assert [item["commit"] for item in lines(more)] == [sandbox.rev("HEAD")]
        # Another policy is another question, and so is another range.
        other = sandbox.attest("verify", "--all", *options, "--require-time", "independent", "--quiet", status=1)
        assert other.text == "7 objects: 7 rejected"
    finally:
        stop_daemons(sandbox.root)


def test_a_checkpoint_counts_only_under_its_key(history: Sandbox, tmp_path: Path, key: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "other.pem"
    history.attest("verify", "HEAD~1..HEAD", "--checkpoint", state, "--key", key)
    history.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", other)
    other.chmod(0o600)
    refused = history.attest("verify", "HEAD~1..HEAD", "--checkpoint", state, "--key", other, status=2)
    assert "no checkpoint signed by this key" in refused.err
    state.write_bytes(state.read_bytes().replace(b'"payload":"', b'"payload":"AAAA'))
    history.attest("verify", "HEAD~1..HEAD", "--checkpoint", state, "--key", key, status=2)
    history.attest("verify", "HEAD", "--checkpoint", state, status=64)


def test_what_a_walk_passes_over_never_counts_as_looked_at(history: Sandbox, tmp_path: Path, key: Path) -> None:
    options = ("--checkpoint", tmp_path / "state", "--key", key)
    refused = history.attest("verify", "--first-parent", "HEAD", *options, status=64)
    assert "passes some of it over" in refused.err
    assert not (tmp_path / "state").exists()
    sandbox = copy(history, tmp_path / "machine")
    try:
        for edge in ("HEAD~1", "HEAD~2"):
            sandbox.git("branch", "--force", "edge", edge)
            judged = sandbox.attest("verify", "edge..HEAD", *options, "--jsonl", status=None)
            expected = sandbox.git("rev-list", "edge..HEAD").text.split()
            assert sorted(line["commit"] for line in lines(judged)) == sorted(expected)
    finally:
        stop_daemons(sandbox.root)


def test_a_run_that_was_interrupted_goes_on_where_it_was(tmp_path: Path, key: Path) -> None:
    made = repositories.make(tmp_path / "ssh", "ssh", 20_000)
    state = tmp_path / "state"
    options = ["--all", "--checkpoint", str(state), "--key", str(key), "--jobs", "1"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "NOTME_HOME": str(made.home)}
    command = [str(SCRIPTS / "notme-attest"), "verify", *options, "--jsonl", "--repo", str(made.folder), *made.options]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(3000)]
        process.send_signal(signal.SIGINT)
        seen += process.stdout.readlines()
        assert process.wait(60) == 130
    left = run(made, *options, "--jsonl").stdout.splitlines()
    assert 0 < len(left) < 20_000
    ids = [json.loads(line)["commit"] for line in [*(item.decode() for item in seen), *left]]
    assert len(set(ids)) == len(ids) == 20_000
    assert run(made, *options, "--quiet").stdout == "20,000 objects: 20,000 accepted\n"


def test_a_pinned_start_lets_the_trees_own_policy_judge(history: Sandbox, tmp_path: Path) -> None:
    sandbox = copy(history, tmp_path / "machine")
    try:
        rules = 'version = 1\n\n[[rules]]\nname = "agents"\nmatch = { classes = ["agent"] }\n'
        (sandbox.repo / ".notme").mkdir()
        (sandbox.repo / ".notme" / "policy.toml").write_text(rules)
        sandbox.git("add", ".notme")
        sandbox.commit("rules")
        start = sandbox.rev("HEAD")
        sandbox.commit("after")
        assert sandbox.verdict("HEAD")["policy"]["name"] == "builtin:default"
        sandbox.attest("trust", "repo", "--start", start)
        verdict = sandbox.verdict("HEAD")
        assert (verdict["outcome"], verdict["rule"]) == ("accepted", "agents")
        sandbox.unsigned("unsigned")
        found = sandbox.attest("verify", f"{start}..HEAD", "--json", status=1).json
        assert [(item["outcome"], item["rule"]) for item in found] == [("rejected", None), ("accepted", "agents")]
        assert "one branch is judged at a time" in sandbox.attest("verify", "--all", status=64).err
    finally:
        stop_daemons(sandbox.root)


def test_notes_of_tools_are_held_against_the_signature_where_that_is_asked_for(
    history: Sandbox, tmp_path: Path
) -> None:
    sandbox = copy(history, tmp_path / "machine")
    try:
        log = {
            "schema_version": "authorship/3.0.0",
            "base_commit_sha": "",
            "prompts": {"0123456789abcdef": {"agent_id": {"tool": "codex", "id": "1", "model": "gpt"}}},
        }
        note = f"src/a.py\n  0123456789abcdef 1-4\n---\n{json.dumps(log)}\n"
        sandbox.git("notes", "--ref", "ai", "add", "-F", "-", "HEAD", stdin=note.encode())
        plain, noted = (sandbox.attest("verify", "HEAD", "--jsonl", *more) for more in ((), ("--notes",)))
        codes = [[c["code"] for c in lines(done)[0]["contradictions"]] for done in (plain, noted)]
        assert "note-names-other-agent" not in codes[0]
        assert "note-names-other-agent" in codes[1]
    finally:
        stop_daemons(sandbox.root)


def test_progress_goes_to_a_terminal_alone(history: Sandbox) -> None:
    done = history.attest("verify", "--all", "--quiet", status=1)
    assert "\r" not in done.err
    assert done.err == ""


def test_a_million_is_not_needed_to_see_that_it_streams(made: Made) -> None:
    """The first line is there long before the last: nothing is collected."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(made.folder.parent), "NOTME_HOME": str(made.home)}
    command = [str(SCRIPTS / "notme-attest"), "examine", "--all", "--jsonl", "--jobs", "1", "--repo", str(made.folder)]
    begin = time.monotonic()
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = time.monotonic() - begin
        process.stdout.read()
        process.wait()
    assert first < time.monotonic() - begin
