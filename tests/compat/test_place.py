"""Which repository a command looks at: the one git finds, in a hook and with GIT_DIR as anywhere else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from attest.gitobject import ObjectFormat
from tests.compat.conftest import AGENT, SCRIPTS, Sandbox

READING = {
    "verify": ("notme-attest", "verify", "HEAD"),
    "examine": ("notme-git", "examine", "HEAD"),
    "log": ("notme-git", "log"),
    "attest": ("notme-git", "attest", "HEAD"),
}


@pytest.fixture
def other(sandbox: Sandbox) -> Path:
    """Another repository, with one commit that nobody signed; the sandbox's own has one that the agent signed."""
    sandbox.commit("by the agent")
    place = sandbox.root / "other"
    sandbox.git("init", "-q", "-b", "main", place)
    sandbox.unsigned("by nobody", who="Mallory <mallory@example.org>", cwd=place)
    return place


def elsewhere(sandbox: Sandbox, other: Path) -> dict[str, tuple[Path, dict[str, str]]]:
    """Places to call from, and environments, by which git finds the sandbox's own repository."""
    named = {"GIT_DIR": str(sandbox.repo / ".git")}
    return {
        "in another repository": (other, named),
        "at the root, with a work tree": (Path("/"), {**named, "GIT_WORK_TREE": str(sandbox.repo)}),
        "by a relative name": (sandbox.root, {"GIT_DIR": "repo/.git"}),
    }


@pytest.mark.parametrize("where", ["in another repository", "at the root, with a work tree", "by a relative name"])
def test_git_dir_names_the_repository_as_for_git(sandbox: Sandbox, other: Path, where: str) -> None:
    cwd, environ = elsewhere(sandbox, other)[where]
    here = sandbox.rev("HEAD")
    for words in READING.values():
        done = sandbox.run(SCRIPTS / words[0], *words[1:], cwd=cwd, environ=environ, real=False)
        assert here[:8] in done.text, words


def test_git_hands_its_own_git_dir_on(sandbox: Sandbox, other: Path) -> None:
    named = f"--git-dir={sandbox.repo / '.git'}"
    assert sandbox.rev("HEAD")[:8] in sandbox.git(named, "notme", "log", cwd=other).text
    assert "not-set-up" not in sandbox.git(named, "notme", "doctor", cwd=other, status=None).text


def test_a_directory_that_is_named_wins_over_git_dir(sandbox: Sandbox, other: Path) -> None:
    environ = {"GIT_DIR": str(sandbox.repo / ".git")}
    assert "by nobody" in sandbox.notme("log", "--repo", other, environ=environ).text
    assert "not-set-up" in sandbox.notme("doctor", "--repo", other, environ=environ, status=1).text


@pytest.fixture(params=list(ObjectFormat))
def guarded(request: pytest.FixtureRequest, sandbox: Sandbox) -> Path:
    """A bare repository whose pre-receive hook takes nothing but what is accepted, and knows no home."""
    for name, form in (("anchors", "pem"), ("bundle", "bundle")):
        (sandbox.root / name).write_bytes(sandbox.notme("trust", "export", "--format", form).out)
    bare = sandbox.root / "bare.git"
    sandbox.git("init", "-q", "--bare", "-b", "main", f"--object-format={request.param}", bare)
    hook = bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\nunset NOTME_HOME\nread old new ref\n"
        'test -z "${old##*[!0]*}" && range=$old..$new || range=$new\n'
        f'exec "{sys.executable}" -m attest verify "$range" --ref "$ref" '
        f'--anchor "{sandbox.root}/anchors" --bundle "{sandbox.root}/bundle"\n'
    )
    hook.chmod(0o755)
    return bare


def test_a_pre_receive_hook_judges_what_is_in_quarantine(sandbox: Sandbox, guarded: Path) -> None:
    work = sandbox.root / "work"
    form = sandbox.git("rev-parse", "--show-object-format", cwd=guarded).text
    sandbox.git("init", "-q", "-b", "main", f"--object-format={form}", work)
    sandbox.git("remote", "add", "origin", guarded, cwd=work)
    sandbox.notme("setup", "--agent", AGENT, cwd=work)
    for message in ("first", "second"):
        sandbox.commit(message, cwd=work)
        pushed = sandbox.git("push", "-q", "origin", "HEAD:main", cwd=work)
        assert ": accepted" in pushed.err
    accepted = sandbox.rev("main", cwd=guarded)
    unsigned = sandbox.unsigned("third", cwd=work)
    refused = sandbox.git("push", "-q", "origin", "HEAD:main", cwd=work, status=1)
    assert re.search(rf"REJECTED +{unsigned[:12]} ", refused.err)
    assert sandbox.rev("main", cwd=guarded) == accepted
