"""Hooks are put in place beside those that are there, and taken out again without a trace."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from attest.errors import UnavailableError, UsageError
from attest.receive import install
from attest.receive.cli import hook
from attest.repository import open_repository
from tests.peers import ROOT
from tests.pushes import Clone
from tests.world import World

THEIRS = "#!/bin/sh\ncat >> seen\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def clone(tmp_path: Path, world: World) -> Clone:
    return Clone.make(tmp_path / "it's a clone", world)


def folder(clone: Clone, *, shared: bool = False, cwd: Path | None = None) -> Path:
    with open_repository(cwd or clone.path, clone.environ) as repo:
        return install.folder(repo, shared=shared)


def theirs(hooks: Path, name: str) -> Path:
    hooks.mkdir(exist_ok=True)
    path = hooks / name
    path.write_text(THEIRS)
    path.chmod(0o755)
    return path


def program(tmp_path: Path, status: int) -> tuple[str, ...]:
    """A stand-in for the verifier that writes down how it was called."""
    path = tmp_path / "verifier it's"
    path.write_text(f'#!/bin/sh\nprintf "%s|" "$@" > "{tmp_path}/called"\nexit {status}\n')
    path.chmod(0o755)
    return (str(path), "-m")


def test_a_hook_runs_the_verifier_with_gits_own_arguments(clone: Clone, tmp_path: Path) -> None:
    placed = install.place(folder(clone), "update", program(tmp_path, 3))
    assert (placed.done, placed.then) == ("installed", None)
    assert placed.path.stat().st_mode & 0o700 == 0o700
    done = subprocess.run([placed.path, "refs/heads/a b", "-x", ""], check=False)
    assert done.returncode == 3
    assert (tmp_path / "called").read_text() == "-m|hook|update|--|refs/heads/a b|-x||"


def test_a_hook_that_was_there_runs_after_ours_and_comes_back(clone: Clone, tmp_path: Path) -> None:
    hooks = folder(clone)
    before = theirs(hooks, "pre-receive")
    for done in ("installed", "replaced"):
        placed = install.place(hooks, "pre-receive", program(tmp_path, 0))
        assert (placed.done, placed.then) == (done, hooks / "pre-receive.before-notme")
    subprocess.run([before], check=True, cwd=clone.path)
    assert f"|--then|{hooks}/pre-receive.before-notme|--|" in (tmp_path / "called").read_text()
    assert install.remove(hooks, "pre-receive").done == "restored"
    assert before.read_text() == THEIRS
    assert install.remove(hooks, "pre-receive").done == "not ours"
    assert before.read_text() == THEIRS
    assert [p.name for p in hooks.iterdir() if not p.name.endswith(".sample")] == ["pre-receive"]


def test_a_link_to_a_hook_is_theirs_wherever_it_leads(clone: Clone, tmp_path: Path) -> None:
    hooks, target = folder(clone), tmp_path / "shared-hook"
    install.place(hooks, "pre-push", program(tmp_path, 0)).path.rename(target)
    (hooks / "pre-push").symlink_to(target)
    text = target.read_text()
    placed = install.place(hooks, "pre-push", program(tmp_path, 0))
    assert placed.then is not None
    assert placed.then.is_symlink()
    assert target.read_text() == text


def test_two_hooks_from_before_are_for_the_operator_to_choose_from(clone: Clone, tmp_path: Path) -> None:
    hooks = folder(clone)
    theirs(hooks, "pre-push")
    theirs(hooks, "pre-push.before-notme")
    with pytest.raises(UnavailableError, match="are there"):
        install.place(hooks, "pre-push", program(tmp_path, 0))


# Runs every executable file of a folder, each with the whole input, as Forgejo and Gitea do.
DELEGATE = """#!/bin/sh
data=$(cat)
for each in "${0%/*}/pre-receive.d/"*; do
    test -x "$each" && test -f "$each" || continue
    echo "$data" | "$each" || exit 1
done
"""


@pytest.mark.parametrize("status", [0, 1])
def test_where_the_servers_own_hook_runs_a_folder_ours_becomes_one_of_it(
    clone: Clone, tmp_path: Path, status: int
) -> None:
    hooks = folder(clone)
    own = theirs(hooks, "pre-receive")
    own.write_text(DELEGATE)
    (hooks / "pre-receive.d").mkdir()
    placed = install.place(hooks, "pre-receive", program(tmp_path, status))
    assert (placed.path, placed.then) == (hooks / "pre-receive.d" / "notme", None)
    assert subprocess.run([own], input=b"", check=False).returncode == status
    assert (tmp_path / "called").read_text() == "-m|hook|pre-receive|--|"
    assert install.remove(hooks, "pre-receive").done == "removed"
    assert own.read_text() == DELEGATE
    assert list((hooks / "pre-receive.d").iterdir()) == []


def test_a_folder_that_no_hook_runs_is_not_used(clone: Clone, tmp_path: Path) -> None:
    hooks = folder(clone)
    hooks.mkdir(exist_ok=True)
    (hooks / "pre-receive.d").mkdir()
    assert install.place(hooks, "pre-receive", program(tmp_path, 0)).path == hooks / "pre-receive"


def test_what_is_not_there_is_not_taken_out(clone: Clone) -> None:
    assert install.remove(folder(clone), "update").done == "not there"


def test_a_directory_of_several_repositories_is_left_alone_unless_that_was_asked_for(
    clone: Clone, tmp_path: Path
) -> None:
    for place in (tmp_path / "everybodys", clone.path / ".husky"):
        clone.git("config", "core.hooksPath", place)
        with pytest.raises(UsageError, match=r"core\.hooksPath"):
            folder(clone)
        assert folder(clone, shared=True) == place


def test_the_hooks_of_a_linked_worktree_are_its_repositorys(clone: Clone, tmp_path: Path) -> None:
    oid = clone.commit({"a": "1"}, signed=False)
    clone.git("worktree", "add", "-q", tmp_path / "linked", oid)
    assert folder(clone, cwd=tmp_path / "linked") == folder(clone) == clone.path / ".git" / "hooks"


def test_the_hooks_of_a_bare_repository_are_its_own(clone: Clone, tmp_path: Path) -> None:
    clone.git("init", "-q", "--bare", tmp_path / "bare.git")
    assert folder(clone, cwd=tmp_path / "bare.git") == tmp_path / "bare.git" / "hooks"


@pytest.mark.parametrize("name", install.ALL)
def test_the_scripts_to_be_copied_are_those_that_are_installed(name: str) -> None:
    path = ROOT / "hooks" / name
    assert path.read_text() == install.script(name, ("notme-attest",), False)
    assert path.stat().st_mode & 0o111


def test_every_hook_has_a_command_and_a_script() -> None:
    assert sorted(install.ALL) == sorted(set(hook.commands) - {"install"})
    assert sorted(install.ALL) == sorted(p.name for p in (ROOT / "hooks").iterdir())
