"""The hooks of one's own machine, called by git itself; and a push by path into a SHA-256 repository."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.compat import warm
from tests.disk import unsynced
from tests.peers import ROOT
from tests.pushes import Clone, Ended, now
from tests.world import World

ATTEST = Path(sys.executable).parent / "notme-attest"
SIGN_OFF = "Signed-off-by: claude-code <claude-code@authority.example.invalid>"


def attest(
    clone: Clone, *words: str | Path, status: int = 0, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the verifier there as a user does."""
    command, said = [ATTEST, *words], {**clone.environ, **(environ or {})}
    done = warm.run_text(command, cwd=clone.path, env=said)
    assert done.returncode == status, done
    return done


@dataclass(frozen=True)
class Desk:
    """A clone with our hooks, and an empty remote, `origin`."""

    clone: Clone
    remote: Path
    main: str

    def attest(self, *words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        return attest(self.clone, *words, status=status)

    def push(self, *words: str, **options: dict[str, str]) -> Ended:
        return self.clone.git("push", "-q", "origin", *words, status=None, **options)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("client")
    with unsynced():
        world = World(folder / "world", at=now())
    world.grant()
    clone, remote = Clone.make(folder / "clone", world), folder / "remote.git"
    clone.git("init", "-q", "--bare", "-b", "main", remote)
    clone.git("remote", "add", "origin", remote)
    clone.git("config", "notme.anchor", world.home / "authority" / "anchors.pem")
    clone.git("config", "notme.bundle", world.home / "authority" / "bundle")
    made = Desk(clone, remote, clone.commit({"a": "1"}))
    made.attest("hook", "install", "--client")
    return made


def test_what_is_pushed_is_judged_before_it_leaves(desk: Desk) -> None:
    first = desk.push(f"{desk.main}:refs/heads/main")
    assert (first.status, first.err) == (0, "")
    bad = desk.clone.commit({"a": "2"}, desk.main, message="unsigned", signed=False)
    refused = desk.push(f"{bad}:refs/heads/bad")
    assert refused.status == 1
    assert f'commit {bad[:12]} "unsigned"' in refused.err
    assert desk.main[:12] not in refused.err
    past = desk.push("--no-verify", f"{bad}:refs/heads/past")
    assert past.status == 0
    # What the remote has is its own matter: not judged again.
    good = desk.clone.commit({"a": "3"}, bad)
    assert desk.push(f"{good}:refs/heads/past").status == 0
    assert desk.push(":refs/heads/past").status == 0


def test_a_hook_that_was_there_runs_after_ours_with_the_same_input_and_can_refuse(desk: Desk, tmp_path: Path) -> None:
    hook = desk.clone.path / ".git" / "hooks" / "pre-push"
    desk.attest("hook", "install", "--client", "--uninstall")
    hook.write_text(f'#!/bin/sh\necho "$1" > "{tmp_path}/seen"\ncat >> "{tmp_path}/seen"\nexit 1\n')
    hook.chmod(0o755)
    shown = json.loads(desk.attest("hook", "install", "--client", "--json").stdout)
    assert [Path(item["path"]).name for item in shown["hooks"]] == ["pre-push", "commit-msg"]
    assert shown["hooks"][0]["then"].endswith("pre-push.before-notme")
    try:
        oid = desk.clone.commit({"a": "4"}, desk.main)
        assert desk.push(f"{oid}:refs/heads/chained").status == 1
        zeros = "0" * 40
        assert (tmp_path / "seen").read_text() == f"origin\n{oid} {oid} refs/heads/chained {zeros}\n"
        (tmp_path / "seen").unlink()
        bad = desk.clone.commit({"a": "5"}, desk.main, signed=False)
        assert desk.push(f"{bad}:refs/heads/chained").status == 1
        assert not (tmp_path / "seen").exists()
    finally:
        desk.attest("hook", "install", "--client", "--uninstall")
        hook.unlink()
        desk.attest("hook", "install", "--client")


def test_the_framework_pre_commit_keeps_gits_words_and_says_them_in_the_environment(desk: Desk) -> None:
    bad = desk.clone.commit({"a": "6"}, desk.main, signed=False)
    said = {
        "PRE_COMMIT_REMOTE_NAME": "origin",
        "PRE_COMMIT_REMOTE_URL": str(desk.remote),
        "PRE_COMMIT_REMOTE_BRANCH": "refs/heads/x",
        "PRE_COMMIT_TO_REF": bad,
    }
    assert bad[:12] in attest(desk.clone, "hook", "pre-push", status=1, environ=said).stderr
    bare = desk.attest("hook", "pre-push", status=64)
    assert "REMOTE" in bare.stderr
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert text.count("entry: notme-attest hook ") == 2
    for name in ("pre-push", "commit-msg"):
        assert f"entry: notme-attest hook {name}\n" in text
        assert f"stages: [{name}]\n" in text


def test_an_agents_own_sign_off_stops_the_commit(desk: Desk) -> None:
    who = ("-c", "user.name=claude-code", "-c", "user.email=claude-code@authority.example.invalid")
    signing = ("-c", "user.signingKey=notme:claude-code")
    commit = ("commit", "-q", "--allow-empty", "-m")
    done = desk.clone.git(*who, *signing, *commit, f"work\n\n{SIGN_OFF}", status=None)
    assert done.status == 1
    assert "error, agent-signed-off" in done.err
    assert "Traceback" not in done.err
    assert desk.clone.git(*who, *signing, *commit, "work").status == 0


def test_a_client_without_anybody_to_trust_could_not_check(desk: Desk, tmp_path: Path) -> None:
    other = Clone.make(tmp_path / "other", desk.clone.world)
    oid = other.commit({"a": "1"})
    other.git("remote", "add", "origin", desk.remote)
    attest(other, "hook", "install", "--client")
    done = other.git("push", "-q", "origin", f"{oid}:refs/heads/other", status=None)
    assert done.status == 1
    assert "notme.anchor" in done.err


def test_a_server_without_anybody_to_trust_refuses_and_says_so_when_hooks_are_installed(
    desk: Desk, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.git"
    desk.clone.git("init", "-q", "--bare", bare)
    installed = desk.attest("hook", "install", "--server", bare)
    assert "every push is refused" in installed.stderr
    for home in (desk.clone.environ["HOME"], ""):
        push = ("push", "-q", "--no-verify", bare, f"{desk.main}:refs/heads/main")
        done = desk.clone.git(*push, status=None, environ={"HOME": home})
        assert (done.status, "notme.anchor" in done.err) == (1, True)
    assert "hooks/pre-receive: removed" in desk.attest("hook", "install", "--server", bare, "--uninstall").stdout
    assert desk.clone.git("push", "-q", "--no-verify", bare, f"{desk.main}:refs/heads/main").status == 0


def test_the_update_hook_refuses_one_ref_and_takes_the_other(desk: Desk, tmp_path: Path) -> None:
    bare = tmp_path / "update.git"
    desk.clone.git("init", "-q", "--bare", "-b", "main", bare)
    for name in ("notme.anchor", "notme.bundle"):
        desk.clone.git("-C", bare, "config", name, desk.clone.git("config", name).out.strip())
    desk.clone.git("-C", bare, "config", "notme.attesterKey", tmp_path / "none.pub")
    installed = desk.attest("hook", "install", "--server", bare, "--hook", "update")
    assert "where a policy follows rewrite records, every push is refused until" in installed.stderr
    bad = desk.clone.commit({"a": "7"}, desk.main, signed=False)
    targets = (f"{desk.main}:refs/heads/main", f"{bad}:refs/heads/bad")
    done = desk.clone.git("push", "--no-verify", bare, *targets, status=None)
    assert (done.status, "hook declined" in done.err, bad[:12] in done.err) == (1, True, True)
    refs = desk.clone.git("-C", bare, "for-each-ref", "--format=%(refname)").out.split()
    assert refs == ["refs/heads/main"]


def test_a_sha256_repository_is_judged_in_quarantine_too(desk: Desk, tmp_path: Path) -> None:
    source, bare = tmp_path / "source", tmp_path / "bare.git"
    clone = Clone(source, desk.clone.world, desk.clone.environ)
    source.mkdir()
    clone.git("init", "-q", "--object-format=sha256", "-b", "main", ".")
    clone.git("init", "-q", "--object-format=sha256", "--bare", "-b", "main", bare)
    clone.git("-C", bare, "config", "notme.anchor", desk.clone.git("config", "notme.anchor").out.strip())
    desk.attest("hook", "install", "--server", bare)
    clone.git("-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", "plain")
    oid = clone.git("rev-parse", "HEAD").out.strip()
    done = clone.git("push", "-q", bare, "main", status=None)
    assert (done.status, oid[:12] in done.err, "signature-missing" in done.err) == (1, True, True), done
