"""Policies over real repositories: whose policy counts along a history, and the commands that speak of one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest import repository
from attest.errors import MalformedError, UnavailableError
from attest.policy import PolicyLike
from attest.query import Query
from attest.repository import Repository
from attest.rules import pins, reading, source
from attest.rules.ancestry import Ancestry
from attest.rules.ruleset import Ruleset
from attest.rules.source import PLACE, Broken
from attest.trust import Trust
from tests.compat.conftest import Sandbox
from tests.peers import peer

NOBODY = Trust(anchors=())
OLD = "Old Hand <old@example.org>"
OWNED = """
version = 1
name = "{}"
[[principals]]
name = "owner"
class = "human"
emails = ["agent-7@example.org"]
ssh_keys = ["{}"]
[[rules]]
name = "r"
"""
IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Agent 7"), ("EMAIL", "agent-7@example.org"), ("DATE", "1795442263 +0000"))
}


@dataclass
class Work:
    """A repository whose commits have names, and whose policies are called by a name.

    Every commit is signed with the key that its policies name; with `key` set to the other one, by somebody else.
    """

    path: Path
    key: str = "owner"

    def git(self, *arguments: str) -> str:
        environ = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull}
        signing = ("gpg.format=ssh", "commit.gpgsign=true", f"user.signingkey={self.path.parent / self.key}")
        options = [word for item in (*signing, f"gpg.ssh.program={peer('ssh-keygen')}") for word in ("-c", item)]
        command = [str(peer("git")), *options, *arguments]
        done = subprocess.run(command, cwd=self.path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def query(self) -> Query:
        return Query(NOBODY, datetime.now(UTC))

    def commit(self, name: str, policy: str | None = None) -> str:
        """A commit with a file of its own name, and with a policy of that name."""
        (self.path / f"{name}.txt").write_text(name)
        if policy is not None:
            (self.path / PLACE).parent.mkdir(exist_ok=True)
            public = " ".join((self.path.parent / "owner.pub").read_text().split()[:2])
            (self.path / PLACE).write_text(OWNED.format(policy, public))
        return self.record(name)

    def record(self, name: str) -> str:
        """Commit the worktree as it is."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", name)
        return self.git("rev-parse", "HEAD")

    def merge(self, name: str, branch: str) -> str:
        self.git("merge", "-q", "--no-ff", "-m", name, branch)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def work(tmp_path: Path) -> Work:
    made = Work(tmp_path / "work")
    made.path.mkdir()
    for key in ("owner", "other"):
        keygen = [str(peer("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / key)]
        subprocess.run(keygen, check=True)
    made.git("init", "-q", "-b", "main")
    return made


@pytest.fixture
def repo(work: Work) -> Iterator[Repository]:
    with repository.open_repository(work.path, os.environ) as opened:
        yield opened


def name(policy: PolicyLike | None) -> str:
    """What a test calls a policy."""
    assert policy is not None
    return "broken" if isinstance(policy, Broken) else policy.name.partition(" ")[0]


def in_force(work: Work, repo: Repository, start: str, base: str) -> str:
    return name(source.at(repo, start, base, work.query()).policy)


def judged(work: Work, repo: Repository, start: str, tip: str, *without: str) -> dict[str, str]:
    """By which policy each commit is judged, by their subjects."""
    found: dict[str, str] = {}
    for stretch in source.for_range(repo, start, tip, work.query(), without):
        for oid in repo.walk(stretch.arguments):
            assert oid not in found
            found[work.git("show", "-s", "--format=%s", oid)] = name(stretch.query.policy)
    return found


def test_each_commit_is_judged_by_the_policy_of_its_first_parent_and_side_commits_by_their_merges(
    work: Work, repo: Repository
) -> None:
    work.commit("before")
    start = work.commit("start", policy="one")
    work.git("branch", "early")
    work.commit("a")
    work.commit("changes", policy="two")
    work.commit("b")
    work.git("checkout", "-q", "early")
    work.commit("side", policy="mine")
    work.commit("side-too")
    work.git("checkout", "-q", "main")
    work.git("checkout", "-q", "-b", "proposal")
    work.commit("proposes", policy="three")
    work.git("checkout", "-q", "main")
    work.git("merge", "-q", "--no-ff", "-s", "ours", "-m", "merges-early", "early")
    tip = work.merge("merges-proposal", "proposal")
    everything = judged(work, repo, start, tip)
    assert everything == {
        "before": "one",
        "start": "one",
        "a": "one",
        "changes": "one",
        "b": "two",
        "side": "two",
        "side-too": "two",
        "merges-early": "two",
        "proposes": "two",
        "merges-proposal": "two",
    }
    assert in_force(work, repo, start, tip) == "three"
    later = work.commit("c")
    assert judged(work, repo, start, later, tip) == {"c": "three"}
    assert judged(work, repo, start, start) == {"before": "one", "start": "one"}


@pytest.mark.parametrize(("key", "left"), [("other", "broken"), ("owner", "one")])
def test_a_merge_from_ones_own_side_brings_older_rules_back_only_where_it_may_change_them(
    work: Work, repo: Repository, key: str, left: str
) -> None:
    start = work.commit("start", policy="one")
    work.git("branch", "early")
    new = work.commit("changes", policy="two")
    assert in_force(work, repo, start, new) == "two"
    work.git("checkout", "-q", "early")
    work.key = key
    work.commit("side")
    work.git("merge", "-q", "--no-ff", "-s", "ours", "-m", "takes-over", "main")
    taken = work.git("rev-parse", "HEAD")
    assert in_force(work, repo, start, taken) == left
    later = work.commit("later")
    assert judged(work, repo, start, later, taken) == {"later": left}


def test_a_start_that_is_not_among_the_first_parents_is_no_start(work: Work, repo: Repository) -> None:
    root = work.commit("root")
    start = work.commit("start", policy="one")
    work.git("checkout", "-q", "-b", "topic", root)
    old = work.commit("old")
    foxtrot = work.merge("foxtrot", "main")
    for tip in (old, foxtrot, root):
        with pytest.raises(UnavailableError, match="is not among the first parents"):
            list(source.for_range(repo, start, tip, work.query()))
        with pytest.raises(UnavailableError, match="is not among the first parents"):
            source.at(repo, start, tip, work.query())
    with pytest.raises(UnavailableError, match=f"has no {PLACE}"):
        source.at(repo, root, old, work.query())


@pytest.mark.parametrize("how", ["removed", "malformed", "a link", "a folder", "too large"])
def test_after_a_policy_that_cannot_be_read_nothing_is_accepted(work: Work, repo: Repository, how: str) -> None:
    start = work.commit("start", policy="one")
    file = work.path / PLACE
    file.unlink()
    match how:
        case "malformed":
            file.write_text("version = 2\n")
        case "a link":
            (work.path / "elsewhere.toml").write_text('version = 1\n[[rules]]\nname = "r"\n')
            file.symlink_to("../elsewhere.toml")
        case "a folder":
            file.mkdir()
            (file / "x").write_text("")
        case "too large":
            file.write_text("#" * (reading.MAX_BYTES + 1))
    work.record("breaks")
    work.git("rm", "-rq", "--ignore-unmatch", PLACE)
    tip = work.commit("mends", policy="two")
    assert judged(work, repo, start, tip) == {"start": "one", "breaks": "one", "mends": "broken"}
    assert in_force(work, repo, start, tip) == "broken"


def test_a_change_of_the_policy_that_the_policy_does_not_accept_puts_nothing_in_force(
    work: Work, repo: Repository
) -> None:
    start = work.commit("start", policy="one")
    work.key = "other"
    work.commit("takes-over", policy="mine")
    later = work.commit("takes", policy="mine-again")
    work.key = "owner"
    tip = work.commit("repairs", policy="two")
    expected = {"start": "one", "takes-over": "one", "takes": "broken", "repairs": "broken"}
    assert judged(work, repo, start, tip) == expected
    assert judged(work, repo, start, tip, later) == {"repairs": "broken"}
    assert in_force(work, repo, start, tip) == "broken"
    # Whoever runs the repository looks at it again, and says from where on.
    assert judged(work, repo, tip, work.commit("goes-on")) == {**dict.fromkeys(expected, "two"), "goes-on": "two"}


def test_a_policy_is_found_from_a_folder_below_and_by_its_own_name_alone(work: Work) -> None:
    (work.path / "deep" / ".notme").mkdir(parents=True)
    (work.path / "deep" / PLACE).write_text("version = 9\n")
    tip = work.commit("start", policy="one")
    with repository.open_repository(work.path / "deep", os.environ) as below:
        found = source.policy_at(below, tip)
        assert found is not None
        assert found.name == f"one ({PLACE} at {tip[:12]})"
        (work.path / "deep" / PLACE).write_text("version = 8\n")
        assert judged(work, below, tip, work.record("a-folder-below")) == {"start": "one", "a-folder-below": "one"}


def test_what_is_in_a_named_history_is_known_by_id(work: Work, repo: Repository) -> None:
    first, second = work.commit("first"), work.commit("second")
    third = work.commit("third")
    ancestry = Ancestry(repo)
    assert [ancestry.has(second, oid) for oid in (first, second, third, "0" * 40)] == [True, True, False, False]
    with pytest.raises(UnavailableError, match="cannot be walked"):
        ancestry.has("1" * 40, first)


def test_pins_are_by_folder_then_by_address(work: Work, repo: Repository, tmp_path: Path) -> None:
    home, oid = tmp_path / "home", "1" * 40
    assert pins.of_repository(home, repo) is None
    assert list(pins.listed(home)) == []
    work.git("remote", "add", "origin", "https://user:secret@git.example/app")
    far = pins.Pin("https://git.example/app", oid)
    pins.write(home, far)
    assert pins.of_repository(home, repo) == far
    near = pins.Pin(pins.place_of(repo), "2" * 40)
    pins.write(home, near)
    assert pins.of_repository(home, repo) == near
    assert sorted(pin.start for pin in pins.listed(home)) == [far.start, near.start]
    assert pins.remove(home, near.place)
    assert not pins.remove(home, near.place)
    assert pins.of_repository(home, repo) == far
    work.git("worktree", "add", "-q", "--detach", str(tmp_path / "tree"), work.commit("x"))
    with repository.open_repository(tmp_path / "tree", os.environ) as other:
        assert pins.place_of(other) == pins.place_of(repo) == os.path.realpath(work.path / ".git")


@pytest.mark.parametrize("content", [b"", b"start 1\nplace x\n", b"\xff" * 10, b"x" * 9000])
def test_a_spoiled_pin_is_not_an_absent_one(repo: Repository, tmp_path: Path, content: bytes) -> None:
    home = tmp_path / "home"
    pins.write(home, pins.Pin(pins.place_of(repo), "1" * 40))
    [file] = (home / pins.FOLDER).iterdir()
    file.write_bytes(content)
    with pytest.raises(UnavailableError, match="holds no pinned start"):
        pins.of_repository(home, repo)


@pytest.fixture
def past(sandbox: Sandbox) -> dict[str, str]:
    """A history of all kinds: unsigned, an agent's, a human's own SSH key, a merge of an unsigned side."""
    made = {"unsigned": sandbox.unsigned("unsigned", who=OLD)}
    sandbox.git("branch", "side")
    for file in ("src/a", "docs/b"):
        (sandbox.repo / file).parent.mkdir()
        (sandbox.repo / file).write_text(file)
        sandbox.git("add", file)
        sandbox.commit(file)
    made["agent"] = sandbox.rev("HEAD")
    sandbox.git("checkout", "-q", "side")
    made["side"] = sandbox.unsigned("side", who=OLD)
    sandbox.git("checkout", "-q", "main")
    sandbox.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    key = sandbox.root / "bob"
    sandbox.run(peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key)
    sandbox.git(*["-c", "gpg.format=ssh", "-c", "user.name=Bob", "-c", "user.email=bob@example.org"],
                *("-c", f"user.signingkey={key}", "-c", f"gpg.ssh.program={peer('ssh-keygen')}"),
                *["commit", "-q", "--allow-empty", "-S", "-m", "bobs"],
                environ={f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER")
                         for what, value in (("NAME", "Bob"), ("EMAIL", "bob@example.org"))})  # fmt: skip
    made["bob"] = sandbox.rev("HEAD")
    return made


def test_what_init_proposes_is_sound_and_breaks_nothing_of_the_history_it_came_from(
    sandbox: Sandbox, past: dict[str, str]
) -> None:
    text = sandbox.attest("policy", "init").text
    file = sandbox.root / "policy.toml"
    file.write_text(text)
    assert f'ancestors_of = ["{past["side"]}"]' in text or past["unsigned"] in text
    assert "compare this key with its owner" in text
    assert sandbox.attest("policy", "lint", file, "--json").json["errors"] == 0
    told = sandbox.attest("policy", "simulate", "--all", "--policy", file, "--json").json
    assert (told["objects"], told["accepted"]) == (6, 6)
    assert told["acceptedBy"] == {"agents": 3, "legacy": 2, "humans": 1}
    again = sandbox.unsigned("again", who=OLD)
    told = sandbox.attest("policy", "simulate", "--all", "--policy", file, "--json", status=1).json
    assert [(item["object"], item["reason"]) for item in told["offenders"]] == [(again, "signature-missing")]
    shown = sandbox.attest("policy", "simulate", "HEAD~2..HEAD", "--policy", file, status=1).text
    assert "2 objects: 1 accepted, 1 rejected, 0 could not be checked" in shown
    assert f"{again[:12]} Old Hand <old@example.org>: again" in shown


POLICY = """
version = 1
name = "app"
[[principals]]
name = "claude"
class = "agent"
certificates = ["wimse://*/agent/claude-code"]
[[rules]]
name = "agents"
match = { classes = ["agent"], paths = ["src/**"] }
require = { evidence = "authority" }
"""


def told(sandbox: Sandbox, rev: str, *options: str, status: int) -> Any:
    return sandbox.attest("policy", "explain", rev, "--json", *options, status=status).json


def test_explain_names_the_rule_and_verify_agrees(sandbox: Sandbox, past: dict[str, str]) -> None:
    file = sandbox.root / "policy.toml"
    file.write_text(POLICY)
    source_commit, docs_commit = f"{past['agent']}~1", past["agent"]
    for rev, status, rule, reason in (
        (source_commit, 0, "agents", None),
        (docs_commit, 1, None, "no-rule"),
        (past["unsigned"], 1, None, "no-rule"),
    ):
        said = told(sandbox, rev, "--policy", str(file), status=status)
        verdict = sandbox.verdict(rev, "--policy", file, status=status)
        assert (said["rule"], said["reason"], said["outcome"]) == (rule, reason, verdict["outcome"])
    said = told(sandbox, docs_commit, "--policy", str(file), status=1)
    assert said["rules"] == [
        {"rule": "agents", "part": "does-not-speak", "condition": "paths", "detail": "it also changes docs/b"}
    ]
    text = sandbox.attest("policy", "explain", past["unsigned"], "--policy", file, status=1).text
    assert "which no rule excuses" in text
    assert "rule agents does not speak (classes: it is not signed)" in text


def test_the_keys_that_a_policy_names_count_under_it_and_under_no_other(
    sandbox: Sandbox, past: dict[str, str]
) -> None:
    key = " ".join((sandbox.root / "bob.pub").read_text().split()[:2])
    file = sandbox.root / "policy.toml"
    principal = '[[principals]]\nname = "bob"\nclass = "{}"\nemails = ["{}"]\nssh_keys = ["{}"]\n'
    rule = '[[rules]]\nname = "humans"\nmatch = { classes = ["human"] }\nrequire = { actors = ["bob"] }\n'
    for kind, email, listed, status in (
        ("human", "bob@example.org", key, 0),
        ("agent", "bob@example.org", key, 1),
        ("human", "eve@example.org", key, 1),
        ("human", "bob@example.org", "SHA256:" + "A" * 43, 1),
    ):
        file.write_text("version = 1\n" + principal.format(kind, email, listed) + rule)
        sandbox.verdict(past["bob"], "--policy", file, status=status)
    narrowed = "version = 1\n[trust]\nformats = ['notme']\n"
    file.write_text(narrowed + principal.format("human", "bob@example.org", key) + rule)
    sandbox.verdict(past["bob"], "--policy", file, status=1)
    sandbox.verdict(past["bob"], status=1)


def test_a_policy_of_ssh_keys_needs_no_authority(work: Work, bare_machine: Sandbox) -> None:
    work.commit("start", policy="one")
    where = ("--repo", work.path)
    assert "rule r accepts" in bare_machine.attest("policy", "explain", "HEAD", *where).text
    assert "accepted by rule r" in bare_machine.attest("policy", "simulate", "HEAD", *where).text
    proposed = bare_machine.attest("policy", "init", *where).text
    assert " ".join((work.path.parent / "owner.pub").read_text().split()[:2]) in proposed


def test_a_repositorys_own_policy_is_pinned_shown_and_taken_back(sandbox: Sandbox) -> None:
    sandbox.attest("trust", "repo", status=1)
    sandbox.commit("first")
    sandbox.attest("trust", "repo", "--start", "HEAD", status=2)
    (sandbox.repo / PLACE).parent.mkdir()
    (sandbox.repo / PLACE).write_text(POLICY)
    sandbox.git("add", PLACE)
    sandbox.commit("policy")
    start = sandbox.rev("HEAD")
    [pin] = sandbox.attest("trust", "repo", "--start", "HEAD", "--json").json
    assert pin == {"place": os.path.realpath(sandbox.repo / ".git"), "start": start}
    assert sandbox.notme("trust", "repo", "--list").text == f"{start}  {pin['place']}"
    sandbox.notme("trust", "repo", "--remove")
    sandbox.attest("trust", "repo", "--remove", status=64)
    # Whether it is pinned or not, explain and lint look at what is there.
    assert told(sandbox, "HEAD", status=1)["policy"] == f"app ({PLACE} at {start[:12]})"
    assert "0 errors" in sandbox.attest("policy", "lint").text


BAD_INPUT = [
    ("explain", "HEAD", "--policy", "nowhere.toml"),
    ("explain", "HEAD"),
    ("simulate", "HEAD..HEAD", "--policy", "good.toml"),
    ("simulate", "--all", "--policy", "bad.toml"),
    ("lint", "nowhere.toml"),
]


def test_what_cannot_be_checked_is_said_in_a_sentence(sandbox: Sandbox) -> None:
    sandbox.commit("x")
    (sandbox.repo / "good.toml").write_text(POLICY)
    (sandbox.repo / "bad.toml").write_text("version = 1\nrulez = 1\n")
    for arguments in BAD_INPUT:
        done = sandbox.attest("policy", *arguments, status=2)
        assert done.err.startswith("notme-attest: ")
        assert "Traceback" not in done.err
    sandbox.attest("policy", "explain", "HEAD..HEAD", "--policy", "good.toml", status=64)
    done = sandbox.attest("policy", "lint", "bad.toml", status=1)
    assert "'rulez' is not known; did you mean 'rules'? (malformed)" in done.text


def test_a_file_that_is_no_policy_is_not_the_built_in_one(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("version = 1\nrulez = 1\n")
    with pytest.raises(UnavailableError, match="is no policy: 'rulez' is not known"):
        source.from_file(file, NOBODY)
    with pytest.raises(MalformedError):
        Ruleset.read(file.read_bytes(), "x")
