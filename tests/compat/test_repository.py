"""The reader against real git, in both object formats."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from attest import gitobject, repository
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.gitobject import ObjectFormat, ObjectKind
from attest.repository import Repository
from tests.peers import peer

IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Agent 7"), ("EMAIL", "agent-7@example.org"), ("DATE", "1795442263 +0000"))
}


@dataclass(frozen=True)
class Work:
    """A repository of real git with one commit `main` and an annotated tag `v1` on it."""

    path: Path
    fmt: ObjectFormat

    def git(self, *arguments: str, check: bool = True, **environ: str) -> str:
        command = [str(peer("git")), *arguments]
        done = subprocess.run(
            command,
            cwd=self.path,
            env={**os.environ, **IDENTITY, **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.strip()

    def open(self, **environ: str) -> Repository:
        return repository.open_repository(self.path, {**os.environ, **environ})


@pytest.fixture(params=list(ObjectFormat))
def work(request: pytest.FixtureRequest, tmp_path: Path) -> Work:
    made = Work(tmp_path / "work", request.param)
    made.path.mkdir()
    made.git("init", "--quiet", "--initial-branch=main", f"--object-format={made.fmt}")
    (made.path / "file").write_bytes(b"content\n")
    made.git("add", "file")
    made.git("commit", "--quiet", "-m", "first")
    made.git("tag", "-a", "-m", "release", "v1")
    return made


@pytest.fixture
def repo(work: Work) -> Iterator[Repository]:
    with work.open() as opened:
        yield opened


def test_the_object_format_is_the_repositorys(work: Work, repo: Repository) -> None:
    assert repo.object_format is work.fmt


@pytest.mark.parametrize("revision", ["HEAD", "v1", "HEAD^{tree}", "HEAD:file"])
def test_an_object_is_read_as_git_hashed_it(work: Work, repo: Repository, revision: str) -> None:
    oid = repo.resolve(revision)
    kind, data = repo.read(oid)
    assert oid == work.git("rev-parse", revision)
    assert kind == work.git("cat-file", "-t", revision)
    assert hashlib.new(work.fmt, b"%b %d\0" % (kind.encode(), len(data)) + data).hexdigest() == oid


def test_a_tags_name_is_the_tag_and_a_branch_the_commit(work: Work, repo: Repository) -> None:
    assert repo.resolve("v1") == work.git("rev-parse", "refs/tags/v1") != work.git("rev-parse", "v1^{commit}")
    assert repo.read(repo.resolve("v1"))[0] == ObjectKind.TAG
    assert repo.read(repo.resolve("main"))[0] == ObjectKind.COMMIT


@pytest.mark.parametrize("packed", [False, True], ids=["loose", "packed"])
def test_many_objects_come_in_the_order_asked_for(work: Work, packed: bool) -> None:
    for number in range(20):
        work.git("commit", "--quiet", "--allow-empty", "-m", f"commit {number}")
    if packed:
        work.git("gc", "--quiet")
    with work.open() as repo:
        oids = list(repo.list_range("HEAD"))[::-1]
        assert len(oids) == 21
        found = list(repo.read_many(oids))
    assert [oid for oid, _, _ in found] == oids
    for oid, kind, data in found:
        assert gitobject.object_id(ObjectKind(kind), data, work.fmt) == oid


def test_threads_may_share_a_reader(repo: Repository) -> None:
    oids = [repo.resolve(revision) for revision in ("HEAD", "v1", "HEAD^{tree}", "HEAD:file")]
    expected = {oid: repo.read(oid) for oid in oids}
    wrong: list[str] = []

    def read() -> None:
        wrong.extend(oid for oid in oids * 50 if repo.read(oid) != expected[oid])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "revision", ["nothing", "-q", "--all", "HEAD..main", "", "HEAD~9", "main:nothing", "a\0b", "\udcff"], ids=repr
)
def test_an_unknown_revision_is_a_usage_error_with_a_hint(repo: Repository, revision: str) -> None:
    with pytest.raises(UsageError) as caught:
        repo.resolve(revision)
    assert caught.value.hint or "\0" in revision


def test_a_revision_that_is_a_ref_has_a_full_name(work: Work, repo: Repository) -> None:
    assert repo.full_ref("HEAD") == "refs/heads/main"
    assert repo.full_ref("main") == "refs/heads/main"
    assert repo.full_ref("v1") == "refs/tags/v1"
    assert repo.full_ref("HEAD~0") is None
    assert repo.full_ref("nothing") is None
    work.git("checkout", "--quiet", "--detach")
    assert repo.full_ref("HEAD") is None


def test_a_remote_tracking_branch_goes_by_the_branch_that_it_tracks(work: Work) -> None:
    for name in ("origin/main", "origin/pr/1", "mine", "gone/main"):
        work.git("update-ref", f"refs/remotes/{name}", "HEAD")
    work.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    repo = work.open()
    assert repo.full_ref("origin/main") is None
    work.git("remote", "add", "origin", "https://git.example/app")
    assert repo.full_ref("origin/main") == "refs/heads/main"
    assert repo.full_ref("origin") == "refs/heads/main"
    assert repo.full_ref("origin/pr/1") == "refs/heads/pr/1"
    assert repo.full_ref("gone/main") is None
    # Two that it may be are none.
    work.git("config", "--add", "remote.origin.fetch", "+refs/pull/*/head:refs/remotes/origin/pr/*")
    assert repo.full_ref("origin/pr/1") is None
    work.git("config", "--add", "remote.other.fetch", "refs/heads/topic:refs/remotes/mine")
    assert repo.full_ref("mine") == "refs/heads/topic"


def test_a_range_lists_what_rev_list_lists(work: Work, repo: Repository) -> None:
    first = repo.resolve("HEAD")
    for number in range(3):
        work.git("commit", "--quiet", "--allow-empty", "-m", f"commit {number}")
    assert list(repo.list_range(f"{first}..HEAD")) == work.git("rev-list", f"{first}..HEAD").split()
    assert list(repo.list_range("HEAD..HEAD")) == []


@pytest.mark.parametrize("expression", ["nothing..HEAD", "--all", "-n1", "HEAD...\0"])
def test_what_is_no_range_is_a_usage_error(repo: Repository, expression: str) -> None:
    with pytest.raises(UsageError):
        list(repo.list_range(expression))


def test_the_paths_of_a_commit_are_its_own_though_a_file_is_named_like_the_next_commit(
    work: Work, repo: Repository
) -> None:
    """`git diff-tree` writes ids and paths one after the other."""
    first = work.git("rev-parse", "HEAD")
    for name in (first, "zz", "über\nname"):
        (work.path / name).write_bytes(b"x\n")
    work.git("add", ".")
    work.git("commit", "--quiet", "-m", "second")
    work.git("switch", "--quiet", "-c", "side", first)
    (work.path / "side").write_bytes(b"x\n")
    work.git("add", "side")
    work.git("commit", "--quiet", "-m", "third")
    work.git("switch", "--quiet", "main")
    work.git("merge", "--quiet", "--no-ff", "-m", "merge", "side")
    merge, second, third = work.git("rev-parse", "main", "main~1", "side").split()
    assert repo.changed_paths([merge, second, first, third]) == {
        merge: ("side",),
        second: tuple(sorted((first, "zz", "über\nname"))),
        first: ("file",),
        third: ("side",),
    }


def test_a_submodule_that_the_tree_itself_wants_ignored_is_a_path_like_any_other(work: Work, repo: Repository) -> None:
    (work.path / ".gitmodules").write_text(
        '[submodule "lib"]\npath = lib\nurl = https://git.example/lib\nignore = all\n'
    )
    work.git("add", ".gitmodules")
    for digit in "12":
        work.git("update-index", "--add", "--cacheinfo", f"160000,{digit * work.fmt.hex_length},lib")
        work.git("commit", "--quiet", "-m", digit)
    head = work.git("rev-parse", "HEAD")
    assert repo.changed_paths([head]) == {head: ("lib",)}
    work.git("config", "diff.ignoreSubmodules", "all")
    assert repo.changed_paths([head]) == {head: ("lib",)}


def test_no_program_is_started_that_the_judged_repository_names_for_its_index(work: Work, repo: Repository) -> None:
    program, trace = work.path.parent / "program", work.path.parent / "started"
    program.write_text(f"#!/bin/sh\necho >{trace}\n")
    program.chmod(0o755)
    work.git("config", "core.fsmonitor", str(program))
    work.git("status")
    assert trace.exists()
    trace.unlink()
    assert repo.git("status").returncode == 0
    assert not trace.exists()


def test_a_walk_takes_options_and_leaves_out_what_is_known(work: Work, repo: Repository) -> None:
    first = work.git("rev-parse", "HEAD")
    work.git("commit", "--quiet", "--allow-empty", "-m", "second")
    second = work.git("rev-parse", "HEAD")
    assert list(repo.walk(("--all",))) == [second, first]
    assert list(repo.walk(("--all", "--max-count=1"))) == [second]
    assert list(repo.walk(("--all",), [first])) == [second]
    assert list(repo.walk(("HEAD", "--", "file"))) == [first]
    assert repo.list_tags() == [work.git("rev-parse", "v1")]


def test_a_range_left_halfway_leaves_no_process_behind(work: Work, repo: Repository) -> None:
    for number in range(3):
        work.git("commit", "--quiet", "--allow-empty", "-m", f"commit {number}")
    walk = repo.list_range("HEAD")
    assert next(walk) == repo.resolve("HEAD")
    walk.close()  # type: ignore[attr-defined]  # pytest turns a process left running into an error


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://alice:token@git.example/app.git", "https://git.example/app.git"),
        ("https://token@git.example:8443/app", "https://git.example:8443/app"),
        ("ssh://git:secret@git.example/app", "ssh://git@git.example/app"),
        ("git@git.example:acme/app", "git@git.example:acme/app"),
        ("../neighbour", "../neighbour"),
    ],
)
def test_the_remotes_address_is_told_without_credentials(work: Work, repo: Repository, address: str, told: str) -> None:
    assert repo.remote() is None
    work.git("remote", "add", "origin", address)
    assert repo.remote() == told


@pytest.mark.parametrize("oid", ["HEAD", "", "A" * 40, "0" * 39, "0" * 41, "\n" * 40, "0" * 65])
def test_what_is_no_object_id_is_not_asked_for(repo: Repository, oid: str) -> None:
    with pytest.raises(MalformedError):
        repo.read(oid)


def test_a_missing_object_is_unavailable_and_the_next_one_is_read(work: Work, repo: Repository) -> None:
    with pytest.raises(UnavailableError) as caught:
        repo.read("0" * work.fmt.hex_length)
    assert caught.value.hint
    assert "clone" not in caught.value.hint
    assert repo.read(repo.resolve("HEAD"))[0] == ObjectKind.COMMIT


@pytest.mark.parametrize("work", [ObjectFormat.SHA1], indirect=True)  # git cat-file itself ends without an answer
@pytest.mark.parametrize(
    ("option", "advice"), [("--depth=1", "git fetch --unshallow"), ("--filter=tree:0", "git fetch --refetch")]
)
def test_only_in_a_clone_of_a_part_it_says_how_to_have_the_rest(
    work: Work, tmp_path: Path, option: str, advice: str
) -> None:
    work.git("config", "uploadpack.allowFilter", "true")
    work.git("commit", "--quiet", "--allow-empty", "-m", "second")
    first = work.git("rev-parse", "HEAD~1")
    work.git("clone", "--quiet", "--no-local", "--bare", option, f"file://{work.path}", str(tmp_path / "part"))
    absent = first if "depth" in option else work.git("rev-parse", "HEAD^{tree}")
    with repository.open_repository(tmp_path / "part", os.environ) as repo:
        with pytest.raises(UnavailableError) as caught:
            repo.read(absent)
        assert advice in caught.value.hint
        with pytest.raises(UsageError) as unknown:
            repo.resolve("nothing")
        assert advice in unknown.value.hint


def test_an_object_over_the_bound_is_refused_before_it_is_read(
    work: Work, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work.path / "large").write_bytes(bytes(5000))
    oid = work.git("hash-object", "-w", "large")
    monkeypatch.setattr(repository, "MAX_OBJECT_BYTES", 4999)
    with pytest.raises(MalformedError):
        repo.read(oid)
    monkeypatch.setattr(repository, "MAX_OBJECT_BYTES", 5000)
    assert repo.read(oid) == ("blob", bytes(5000))


def test_closing_ends_the_reading_process(work: Work, tmp_path: Path) -> None:
    wrapper = tmp_path / "bin" / "git"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho $$ >"{tmp_path}/pid"\nexec "{peer("git")}" "$@"\n')
    wrapper.chmod(0o755)
    repo = work.open(PATH=str(wrapper.parent))
    repo.read(work.git("rev-parse", "HEAD"))
    pid = int((tmp_path / "pid").read_text())  # of the reader, or of what ran before where there is none
    repo.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_object_written_after_opening_is_seen(work: Work, repo: Repository) -> None:
    repo.read(repo.resolve("HEAD"))
    work.git("commit", "--quiet", "--allow-empty", "-m", "later")
    work.git("gc", "--quiet")
    assert b"later" in repo.read(repo.resolve("HEAD"))[1]


def test_a_replaced_commit_is_read_as_it_was_signed(work: Work, repo: Repository) -> None:
    first = work.git("rev-parse", "HEAD")
    work.git("commit", "--quiet", "--allow-empty", "-m", "evil twin")
    work.git("replace", first, "HEAD")
    assert b"evil" in work.git("cat-file", "commit", first).encode()
    assert b"evil" not in repo.read(first)[1]
    assert b"evil" not in b"".join(data for _, _, data in repo.read_many([first]))


def test_grafts_do_not_change_a_range(work: Work, repo: Repository) -> None:
    for number in range(3):
        work.git("commit", "--quiet", "--allow-empty", "-m", f"commit {number}")
    (work.path / ".git" / "info").mkdir(exist_ok=True)
    (work.path / ".git" / "info" / "grafts").write_text(work.git("rev-parse", "HEAD") + "\n")
    assert len(work.git("rev-list", "HEAD").split()) == 1
    assert len(list(repo.list_range("HEAD"))) == 4


def test_a_partial_clone_fetches_nothing(work: Work, tmp_path: Path) -> None:
    work.git("config", "uploadpack.allowFilter", "true")
    work.git("clone", "--quiet", "--no-local", "--bare", "--filter=blob:none", ".", str(tmp_path / "partial"))
    blob = work.git("rev-parse", "HEAD:file")
    with repository.open_repository(tmp_path / "partial", os.environ) as repo:
        assert repo.read(repo.resolve("HEAD"))[0] == ObjectKind.COMMIT
        with pytest.raises(UnavailableError):
            repo.read(blob)


def test_a_linked_worktree_and_a_subdirectory_are_found(work: Work, tmp_path: Path) -> None:
    (work.path / "below").mkdir()
    work.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
    for path in (work.path / "below", tmp_path / "linked", work.path / ".git"):
        with repository.open_repository(path, os.environ) as repo:
            assert repo.read(repo.resolve("v1"))[0] == ObjectKind.TAG


def test_git_dir_in_the_environment_names_the_repository_as_for_git(work: Work, tmp_path: Path) -> None:
    with repository.open_repository(tmp_path, {**os.environ, "GIT_DIR": str(work.path / ".git")}) as repo:
        assert repo.resolve("HEAD") == work.git("rev-parse", "HEAD")


def test_objects_in_a_hooks_quarantine_are_read(work: Work, tmp_path: Path) -> None:
    bare = Work(tmp_path / "bare.git", work.fmt)
    bare.path.mkdir()
    bare.git("init", "--quiet", "--bare", f"--object-format={work.fmt}")
    environment = tmp_path / "environment"
    hook = bare.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    # The quarantine is gone after the hook, so the hook keeps a copy of it and of what names it.
    hook.write_text(
        f'#!/bin/sh\nenv -0 >"{environment}"\ncp -R "$GIT_OBJECT_DIRECTORY" "{tmp_path}/quarantine"\nexit 1\n'
    )
    hook.chmod(0o755)
    work.git("push", "--quiet", str(bare.path), "main", check=False)
    told = dict(entry.split("=", 1) for entry in environment.read_text().split("\0") if entry)
    told["GIT_OBJECT_DIRECTORY"] = str(tmp_path / "quarantine")
    oid = work.git("rev-parse", "main")
    with repository.open_repository(bare.path, told) as repo:
        assert repo.quarantined
        assert repo.read(oid)[0] == ObjectKind.COMMIT
    with bare.open() as repo, pytest.raises(UnavailableError):
        repo.read(oid)


def test_alternates_of_the_environment_are_read(work: Work, tmp_path: Path) -> None:
    other = Work(tmp_path / "other", work.fmt)
    other.path.mkdir()
    other.git("init", "--quiet", f"--object-format={work.fmt}")
    objects = str(work.path / ".git" / "objects")
    with other.open(GIT_ALTERNATE_OBJECT_DIRECTORIES=objects) as repo:
        assert repo.read(work.git("rev-parse", "HEAD"))[0] == ObjectKind.COMMIT


def test_where_there_is_no_repository_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        repository.open_repository(tmp_path, {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)})
    assert "not a git repository" in caught.value.message
    assert caught.value.hint


def test_a_directory_that_is_not_there_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        repository.open_repository(tmp_path / "nothing", os.environ)


def test_without_git_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        repository.open_repository(tmp_path, {"PATH": str(tmp_path)})
    assert "git" in caught.value.hint


def test_a_git_in_a_relative_part_of_the_path_is_never_run(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = work.path / "git"
    planted.write_text(f'#!/bin/sh\n: >"{tmp_path}/run"\n')
    planted.chmod(0o755)
    monkeypatch.chdir(work.path)
    with pytest.raises(UnavailableError):
        repository.open_repository(work.path, {**os.environ, "PATH": os.pathsep.join([".", "", str(tmp_path)])})
    assert not (tmp_path / "run").exists()


def test_a_repository_of_another_user_is_not_opened(work: Work) -> None:
    # git's own switch for testing this; to make it true takes root.
    with pytest.raises(UnavailableError) as caught:
        work.open(GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert "safe.directory" in caught.value.hint


def corrupt(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:10])


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("spoil", [corrupt, remove])
def test_a_spoilt_object_is_unavailable_and_not_something_else(work: Work, spoil: Callable[[Path], None]) -> None:
    oid = work.git("rev-parse", "HEAD")
    spoil(work.path / ".git" / "objects" / oid[:2] / oid[2:])
    with work.open() as repo, pytest.raises(UnavailableError):
        repo.read(oid)


@pytest.mark.parametrize("work", [ObjectFormat.SHA1], indirect=True)  # git cat-file itself refuses them
def test_bytes_under_another_name_are_left_for_the_examination_to_find(work: Work) -> None:
    oid, other = work.git("rev-parse", "HEAD"), "0" * 39 + "1"
    objects = work.path / ".git" / "objects"
    (objects / other[:2]).mkdir()
    shutil.copy(objects / oid[:2] / oid[2:], objects / other[:2] / other[2:])
    with work.open() as repo:
        assert repo.read(other) == repo.read(oid)
