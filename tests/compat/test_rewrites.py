"""Rewrites by git itself: the hook records them; and a squash by a forge, from the branch to a clone that lost it."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.compat.conftest import Sandbox
from tests.githttp import serving
from tests.peers import ROOT, SEARCH, peer

UNSIGNED = ("-c", "commit.gpgsign=false")
LINES = "".join(f"{n}\n" for n in range(40))
GITHUB = {"GIT_COMMITTER_NAME": "GitHub", "GIT_COMMITTER_EMAIL": "noreply@github.com"}
POLICY = """version = 1

[[rules]]
name = "agents"
match = { classes = ["agent"] }

[[rules]]
name = "squashes"
match = { through = "record", refs = ["main"], classes = ["agent"] }
"""


@pytest.fixture
def desk(sandbox: Sandbox) -> Sandbox:
    """On branch topic, begun at main's one commit, which is signed; our hooks are installed."""
    write(sandbox, "lines", LINES)
    sandbox.git("commit", "-q", "-m", "base")
    sandbox.notme("hook", "install", "--client")
    sandbox.git("switch", "-q", "-c", "topic")
    return sandbox


def write(sandbox: Sandbox, name: str, content: str) -> None:
    (sandbox.repo / name).write_text(content)
    sandbox.git("add", name)


def commit(sandbox: Sandbox, name: str, content: str, message: str) -> str:
    """By the agent."""
    write(sandbox, name, content)
    sandbox.git("commit", "-q", "-m", message)
    return sandbox.git("rev-parse", "HEAD").text


def through(sandbox: Sandbox, revision: str = "HEAD") -> list[dict[str, Any]]:
    shown = sandbox.attest("verify", revision, "--json", status=None)
    found: list[dict[str, Any]] = json.loads(shown.out).get("through", [])
    return found


def all_through(sandbox: Sandbox, revisions: str) -> list[dict[str, Any]]:
    """The first record of each commit of a range, newest first."""
    shown = sandbox.attest("verify", revisions, "--rewrites", "--json", status=None)
    return [row["through"][0] for row in json.loads(shown.out)]


def names(record: Mapping[str, Any]) -> set[tuple[str, str]]:
    originals = record["originals"]
    return {(each["actor"]["display"], each["representedPrincipal"]["display"]) for each in originals}


def move_main(sandbox: Sandbox, content: str) -> None:
    sandbox.git("switch", "-q", "main")
    write(sandbox, "lines", content)
    sandbox.git(*UNSIGNED, "commit", "-q", "-m", "main moves")
    sandbox.git("switch", "-q", "topic")


def test_an_amend_that_nobody_signs_is_recorded_and_leads_to_the_agent(desk: Sandbox) -> None:
    old = commit(desk, "f", "1\n", "work")
    done = desk.git(*UNSIGNED, "commit", "-q", "--amend", "-m", "work, said better")
    assert done.err == ""
    (record,) = through(desk)
    assert (record["made"], record["relation"], record["seenHere"]) == ("amend", "same-tree", True)
    assert record["originals"][0]["id"] == old
    assert names(record) == {("claude-code", "Alice Example")}
    assert record["recordedBy"].startswith("wimse://")
    # Another content is recorded too, and says of itself that it has nothing in common.
    write(desk, "f", "other\n")
    desk.git(*UNSIGNED, "commit", "-q", "--amend", "-m", "other")
    (other,) = through(desk)
    assert (other["follows"], "nothing in common" in other["refused"]) == (False, True)


def test_a_rebase_onto_a_base_that_moved_is_recorded_by_its_changes(desk: Sandbox) -> None:
    commit(desk, "lines", LINES.replace("30\n", "thirty\n"), "one")
    commit(desk, "f", "1\n", "two")
    move_main(desk, "first\n" + LINES)
    assert desk.git(*UNSIGNED, "rebase", "-q", "main").err == ""
    found = all_through(desk, "main..HEAD")
    assert len(found) == 2
    for record in found:
        assert (record["made"], record["relation"], record["follows"]) == ("rebase", "patch-id", True)
        assert names(record) == {("claude-code", "Alice Example")}


def test_a_conflict_that_was_solved_by_hand_is_not_followed(desk: Sandbox) -> None:
    commit(desk, "lines", LINES.replace("30\n", "thirty\n"), "one")
    move_main(desk, LINES.replace("30\n", "XXX\n"))
    desk.git(*UNSIGNED, "rebase", "-q", "main", status=1)
    write(desk, "lines", LINES.replace("30\n", "thirty XXX\n"))
    desk.git(*UNSIGNED, "-c", "core.editor=true", "rebase", "--continue")
    (record,) = through(desk)
    assert (record["relation"], record["follows"]) == ("none", False)


def test_an_interactive_rebase_records_what_became_of_each(desk: Sandbox, tmp_path: Path) -> None:
    ids = [commit(desk, name, f"{name}\n", name) for name in ("a", "b", "c", "d", "e")]
    plan = ("pick", "squash", "reword", "fixup", "pick")
    editor = tmp_path / "editor"
    lines = "\\n".join(f"{word} {oid}" for word, oid in zip(plan, ids, strict=True))
    editor.write_text(f'#!/bin/sh\nprintf "{lines}\\n" > "$1"\n')
    editor.chmod(0o755)
    environ = {"GIT_SEQUENCE_EDITOR": f"'{editor}'", "GIT_EDITOR": "sed -i '$ a again'"}
    desk.git(*UNSIGNED, "rebase", "-q", "-i", "main", environ=environ)
    assert desk.git("log", "--format=%s", "main..").text.splitlines() == ["e", "c", "a"]
    found = all_through(desk, "main..HEAD")[::-1]
    assert [each["made"] for each in found] == ["squash", "squash", "rebase"]
    assert [[each["id"] for each in record["originals"]] for record in found] == [ids[:2], ids[2:4], ids[4:]]
    assert {each["relation"] for each in found} == {"same-tree"}
    assert all(each["follows"] for each in found)


def test_commits_out_of_order_are_no_one_row(desk: Sandbox, tmp_path: Path) -> None:
    first, second, third = (commit(desk, name, f"{name}\n", name) for name in ("a", "b", "c"))
    editor = tmp_path / "editor"
    editor.write_text(f'#!/bin/sh\nprintf "pick {first}\\nfixup {third}\\npick {second}\\n" > "$1"\n')
    editor.chmod(0o755)
    desk.git(*UNSIGNED, "rebase", "-q", "-i", "main", environ={"GIT_SEQUENCE_EDITOR": f"'{editor}'"})
    shown = desk.attest("verify", "main..HEAD", "--rewrites", "--json", status=None)
    last, before = (row["through"] for row in json.loads(shown.out))
    # git may have told of the amending of the first alone, too.
    (both,) = (record for record in before if record["made"] == "squash")
    assert "one row" in both["refused"]
    assert last[0]["relation"] == "patch-id"


def test_a_rebase_that_the_agent_signs_is_recorded_and_its_own_signature_counts(desk: Sandbox) -> None:
    commit(desk, "f", "1\n", "one")
    move_main(desk, "first\n" + LINES)
    desk.git("rebase", "-q", "main")
    shown = json.loads(desk.attest("verify", "HEAD", "--json").out)
    assert (shown["outcome"], "through" in shown) == ("accepted", False)
    [record] = json.loads(desk.attest("rewrite", "show", "HEAD", "--json").out)
    assert (record["relation"], record["rewriter"]) == ("patch-id", "claude-code, who signed it")


def test_a_cherry_pick_is_recorded_by_hand(desk: Sandbox) -> None:
    old = commit(desk, "f", "1\n", "one")
    desk.git("switch", "-q", "main")
    write(desk, "lines", "first\n" + LINES)
    desk.git(*UNSIGNED, "commit", "-q", "-m", "main moves")
    desk.git(*UNSIGNED, "cherry-pick", old)
    done = desk.notme("rewrite", "record", "HEAD", "--from", old, "--made", "cherry-pick")
    assert done.text.endswith("cherry-pick of 1 commit by claude-code for Alice Example: patch-id")
    assert through(desk)[0]["follows"]


@pytest.mark.parametrize("fault", ["key", "ref", "home"])
def test_what_goes_wrong_is_said_and_breaks_no_amend(desk: Sandbox, fault: str) -> None:
    commit(desk, "f", "1\n", "work")
    environ = {}
    if fault == "key":
        desk.git("config", "notme.verifierKey", "/nowhere/key.pem")
    elif fault == "ref":
        (desk.repo / ".git" / "refs" / "attestations").write_text("in the way")
    else:
        environ = {"NOTME_HOME": str(desk.root / "nothing")}
    done = desk.git(*UNSIGNED, "commit", "-q", "--amend", "-m", "again", environ=environ)
    assert "not recorded which commits these were made from" in done.err
    assert "Traceback" not in done.err
    assert desk.git("log", "-1", "--format=%s").text == "again"


def test_what_nobody_signed_costs_nothing_and_a_hook_that_was_there_still_runs(desk: Sandbox) -> None:
    desk.notme("hook", "install", "--client", "--uninstall")
    hook = desk.repo / ".git" / "hooks" / "post-rewrite"
    hook.write_text('#!/bin/sh\n{ echo "$1"; cat; } > seen\n')
    hook.chmod(0o755)
    shown = json.loads(desk.notme("hook", "install", "--client", "--json").out)
    assert [Path(item["path"]).name for item in shown["hooks"]] == ["pre-push", "commit-msg", "post-rewrite"]
    write(desk, "f", "1\n")
    desk.git(*UNSIGNED, "commit", "-q", "-m", "unsigned")
    old = desk.git("rev-parse", "HEAD").text
    desk.git(*UNSIGNED, "commit", "-q", "--amend", "-m", "again")
    assert (desk.repo / "seen").read_text().split() == ["amend", old, desk.git("rev-parse", "HEAD").text]
    assert desk.git("rev-parse", "-q", "--verify", "refs/attestations/notme", status=1).out == b""


def test_the_verifier_alone_records_with_a_key_of_its_own(desk: Sandbox) -> None:
    key = desk.root / "key.pem"
    desk.run(peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", key)
    public = desk.root / "key.pub"
    desk.run(peer("openssl"), "pkey", "-in", key, "-pubout", "-out", public)
    desk.notme("hook", "install", "--client", "--uninstall")
    desk.attest("hook", "install", "--client")
    assert not (desk.repo / ".git" / "hooks" / "post-rewrite").exists()
    assert "run it in the repository" in desk.attest("hook", "install", "--client", cwd=desk.root, status=2).err
    assert "records nothing until" in desk.attest("hook", "install", "--client", "--hook", "post-rewrite").err
    desk.git("config", "notme.verifierKey", key)
    desk.git("config", "notme.verifier", "https://alice.example/laptop")
    desk.attest("hook", "install", "--client")
    commit(desk, "f", "1\n", "work")
    assert desk.git(*UNSIGNED, "commit", "-q", "--amend", "-m", "again").err == ""
    assert "no key that was named" in through(desk)[0]["refused"]
    shown = desk.attest("verify", "HEAD", "--attester-key", public, "--json", status=1)
    assert json.loads(shown.out)["through"][0]["recordedBy"] == "https://alice.example/laptop"


def test_a_pull_request_that_a_forge_squashed_still_names_agent_and_human(desk: Sandbox, tmp_path: Path) -> None:
    """Issue 6: from the branch over HTTP, through the forge's squash and the job after it, to a clone without it."""
    hub, repo = tmp_path / "hub", tmp_path / "hub" / "app.git"
    desk.git("init", "-q", "--bare", "-b", "main", repo, cwd=tmp_path)
    desk.git("config", "http.receivepack", "true", cwd=repo)
    anchors, bundle = tmp_path / "anchors.pem", tmp_path / "bundle"
    anchors.write_text(desk.notme("trust", "export", "--format", "pem").text + "\n")
    bundle.write_bytes(desk.notme("trust", "export", "--format", "bundle").out)
    policy, key, public = tmp_path / "policy.toml", tmp_path / "key.pem", tmp_path / "key.pub"
    policy.write_text(POLICY)
    desk.run(peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", key)
    desk.run(peer("openssl"), "pkey", "-in", key, "-pubout", "-out", public)
    trust = ("--anchor", anchors, "--bundle", bundle)
    with serving(peer("git"), hub, {"PATH": SEARCH, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}) as address:
        allowed = {"GIT_ALLOW_PROTOCOL": "http:file", "NOTME_HOME": str(tmp_path / "none")}
        desk.git("push", "-q", "--no-verify", f"{address}/app.git", "main", environ=allowed)
        commit(desk, "lines", LINES.replace("30\n", "thirty\n"), "one")
        commit(desk, "f", "1\n", "two")
        desk.git("push", "-q", "--no-verify", f"{address}/app.git", "HEAD:refs/pull/1/head", environ=allowed)
        # The forge: main has moved meanwhile, and the button makes one unsigned commit of both.
        forge = tmp_path / "forge"
        desk.git("clone", "-q", repo, forge, cwd=tmp_path)
        (forge / "lines").write_text("first\n" + LINES)
        who = ("-c", "user.name=Bob", "-c", "user.email=bob@example.org", *UNSIGNED)
        desk.git(*who, "commit", "-qam", "main moves", cwd=forge)
        desk.git("fetch", "-q", "origin", "refs/pull/1/head", cwd=forge)
        desk.git(*who, "merge", "-q", "--squash", "FETCH_HEAD", cwd=forge)
        desk.git(*who, "commit", "-q", "-m", "Both (#1)", cwd=forge, environ=GITHUB)
        desk.git("push", "-q", "origin", "HEAD:main", cwd=forge)
        # The job after the merge, with a key of its own and nothing of the agent's machine.
        job = tmp_path / "job"
        refs = ("+refs/heads/*:refs/remotes/origin/*", "+refs/pull/1/head:refs/pull/1/head")
        desk.git("init", "-q", "--bare", job, cwd=tmp_path)
        desk.git("fetch", "-q", f"{address}/app.git", *refs, cwd=job, environ=allowed)
        words = ("--from", "refs/remotes/origin/main~2..refs/pull/1/head", "--key", key, "--id", "https://ci.example/job")
        made = desk.attest("rewrite", "record", "refs/remotes/origin/main", *words, *trust, cwd=job, environ=allowed)
        assert made.text.endswith("squash of 2 commits by claude-code for Alice Example: patch-id")
        ref = "refs/attestations/notme"
        desk.git("push", "-q", f"{address}/app.git", f"{ref}:{ref}", cwd=job, environ=allowed)
        desk.git("update-ref", "-d", "refs/pull/1/head", cwd=repo)
        # Whoever clones later never sees the branch.
        desk.git("clone", "-q", f"{address}/app.git", "late", cwd=tmp_path, environ=allowed)
        desk.git("fetch", "-q", "origin", f"{ref}:{ref}", cwd=tmp_path / "late", environ=allowed)
    late = {"cwd": tmp_path / "late", "environ": allowed}
    said = desk.attest("verify", "HEAD", *trust, "--attester-key", public, status=1, **late).text
    assert "content by claude-code for Alice Example: squash of 2 commits (accepted), patch-id" in said
    assert "the record's word: the originals are not all here" in said
    assert "of https://ci.example/job at" in said
    assert "the word of GitHub (claimed)" in said
    judged = ("--attester-key", public, "--policy", policy, "--ref", "refs/heads/main", "--json")
    shown = json.loads(desk.attest("verify", "HEAD", *trust, *judged, **late).out)
    assert (shown["outcome"], shown["rule"]) == ("accepted", "squashes")
    assert shown["through"][0]["record"] in shown["findings"][7]["detail"]
    simulated = ("policy", "simulate", "HEAD~..HEAD", *trust, "--policy", policy, "--ref", "refs/heads/main")
    assert "accepted by rule squashes" in desk.attest(*simulated, "--attester-key", public, **late).text
    desk.attest(*simulated, status=1, **late)
    # Without the record, or without its key, the same policy rejects it.
    without = ("--policy", policy, "--ref", "refs/heads/main", "--json")
    desk.attest("verify", "HEAD", *trust, *without, status=1, **late)
    desk.git("update-ref", "-d", ref, cwd=tmp_path / "late")
    desk.attest("verify", "HEAD", *trust, *judged, status=1, **late)


def test_a_forges_rebase_and_merge_are_found_for_what_they_are(desk: Sandbox) -> None:
    commit(desk, "a", "a\n", "one")
    commit(desk, "b", "b\n", "two")
    base, tip = desk.git("rev-parse", "main").text, desk.git("rev-parse", "topic").text
    move_main(desk, "first\n" + LINES)
    desk.git("switch", "-q", "-c", "rebased", "main")
    desk.git(*UNSIGNED, "cherry-pick", f"{base}..{tip}", environ=GITHUB)
    done = desk.notme("rewrite", "record", "HEAD", "--from", f"{base}..{tip}", "--json")
    assert [(each["made"], each["relation"]) for each in json.loads(done.out)] == [("rebase", "patch-id")] * 2
    again = desk.notme("rewrite", "record", "HEAD", "--from", f"{base}..{tip}", "--json")
    assert {each["recorded"] for each in json.loads(again.out)} == {"before"}
    desk.git("switch", "-q", "-c", "merged", "main")
    desk.git(*UNSIGNED, "merge", "-q", "--no-ff", "-m", "Merge (#1)", tip, environ=GITHUB)
    done = desk.notme("rewrite", "record", "HEAD", "--from", f"{base}..{tip}", "--json")
    assert [(each["made"], each["relation"]) for each in json.loads(done.out)] == [("merge", "patch-id")]
    desk.git("switch", "-q", "-c", "changed", "main")
    write(desk, "a", "another\n")
    desk.git(*UNSIGNED, "commit", "-q", "-m", "(#1)", environ=GITHUB)
    done = desk.notme("rewrite", "record", "HEAD", "--from", f"{base}..{tip}", status=1)
    assert "they do not change the same lines" in done.text
    same = desk.notme("rewrite", "record", tip, "--from", f"{base}..{tip}", status=64)
    assert "not made anew" in same.err


def test_the_check_of_a_pull_request_records_what_a_forge_made(desk: Sandbox) -> None:
    commit(desk, "a", "a\n", "one")
    commit(desk, "b", "b\n", "two")
    desk.git("switch", "-q", "main")
    desk.git(*UNSIGNED, "merge", "-q", "--squash", "topic")
    desk.git(*UNSIGNED, "commit", "-q", "-m", "Both (#1)", environ=GITHUB)
    policy = desk.root / "policy.toml"
    policy.write_text(POLICY)
    words = ("check", "--base", "main~", "--head", "main", "--ref", "refs/heads/main", "--policy", policy)
    desk.notme(*words, status=1)
    desk.attest(*words, "--record", status=64)
    done = desk.notme(*words, "--record")
    assert (done.err.splitlines()[0], "content by claude-code for Alice Example" in done.text) == (
        "1 rewrite record stored",
        True,
    )
    log = desk.notme("log", "-n", "1", "main").text
    assert "(claude-code)" in log
    assert "(Alice Example)" in log
    assert json.loads(desk.notme("log", "-n", "1", "--json", "main").out)[0]["through"]["made"] == "squash"
    explained = desk.notme("policy", "explain", "main", "--policy", policy).text
    assert "rule squashes accepts" in explained
    assert "content by claude-code" in explained
    (counted,) = desk.notme("audit", ".", "--rewrites", "--json").json["total"]["rewritten"]
    assert (counted["actor"]["name"], counted["count"]) == ("claude-code", 1)
    assert "content by rewrite records" in desk.notme("audit", ".", "--rewrites").text
    for form in ("markdown", "github", "sarif", "json"):
        shown = desk.notme(*words[:-2], "--format", form, status=1).text
        assert "claude-code" in shown, form


def test_a_summary_follows_the_records_of_a_key_that_is_named(desk: Sandbox, tmp_path: Path) -> None:
    commit(desk, "f", "1\n", "one")
    commit(desk, "g", "1\n", "two")
    desk.git("switch", "-q", "main")
    desk.git("merge", "-q", "--squash", "topic")
    desk.git(*UNSIGNED, "commit", "-q", "-m", "squashed", environ=GITHUB)
    key, public, policy = tmp_path / "key.pem", tmp_path / "key.pub", tmp_path / "policy.toml"
    desk.run(peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", key)
    desk.run(peer("openssl"), "pkey", "-in", key, "-pubout", "-out", public)
    policy.write_text(POLICY)
    desk.attest("rewrite", "record", "HEAD", "--from", "main~1..topic", "--key", key)
    place = ("--policy", policy, "--ref", "refs/heads/main", "--repository", "https://git.example/app", "--json")
    words = ("HEAD~1..HEAD", "--type", "vsa", "--type", "svr", "--key", key, "--id", "https://ci.example/v", *place)
    failed = desk.attest("attest", *words, status=1)
    assert {each["result"] for each in failed.json} == {"FAILED"}
    done = desk.attest("attest", *words, "--attester-key", public)
    assert sorted((each["type"], each["result"]) for each in done.json) == [
        ("commit", "PASSED"), ("svr", "PASSED"), ("vsa", "PASSED")
    ]  # fmt: skip
    # The commit's statement names the record that it rests on, and agent and human behind it.
    out = tmp_path / "commit.jsonl"
    into = ("--key", key, "--id", "https://ci.example/v", *place, "--no-store", "--out", out)
    desk.attest("attest", "HEAD", *into, "--attester-key", public)
    made = json.loads(b64decode(json.loads(out.read_bytes())["dsseEnvelope"]["payload"]))["predicate"]
    (record,) = made["rewrites"]
    (leads,) = desk.attest("rewrite", "show", "HEAD", "--attester-key", public, "--json").json
    assert record["digest"] == {"sha256": leads["record"]}
    assert (record["made"], record["relation"], record["comparedHere"]) == ("squash", "same-tree", True)
    (signer,) = record["signers"]
    assert (signer["actor"]["name"], signer["representedPrincipal"]["name"]) == ("claude-code", "Alice Example")
    schema = json.loads((ROOT / "schema/gen/json/predicates.schema.json").read_text("utf-8"))
    jsonschema.validate(made, {**schema, "$ref": "#/$defs/CommitPredicate"})
    asked = ("--attester-key", public, "--type", "https://slsa.dev/verification_summary/v1", "--ref", "refs/heads/main")
    desk.attest("verify-attestation", "HEAD", *asked)
