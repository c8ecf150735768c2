"""The attestation ref, written and read through real git in both object formats."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest import repository, store
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.gitobject import ObjectFormat
from attest.refwriter import commit
from attest.repository import Repository
from tests.peers import peer

AT = datetime(2026, 11, 23, 13, 58, 10, tzinfo=UTC)
WRITERS = 4
ROUNDS = 5


def git(path: Path, *arguments: str) -> str:
    done = subprocess.run([str(peer("git")), *arguments], cwd=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(params=list(ObjectFormat))
def fmt(request: pytest.FixtureRequest) -> ObjectFormat:
    return ObjectFormat(request.param)


Maker = Callable[[str], Repository]


@pytest.fixture
def make(fmt: ObjectFormat, tmp_path: Path) -> Iterator[Maker]:
    opened: list[Repository] = []

    def maker(name: str) -> Repository:
        path = tmp_path / name
        path.mkdir()
        git(path, "init", "--quiet", "--initial-branch=main", f"--object-format={fmt}")
        opened.append(repository.open_repository(path, os.environ))
        return opened[-1]

    yield maker
    for repo in opened:
        repo.close()


@pytest.fixture
def repo(make: Maker) -> Repository:
    return make("repo")


def oid(repo: Repository, number: int) -> str:
    return f"{number:0{repo.object_format.hex_length}x}"


def commits(repo: Repository) -> int:
    return int(git(repo.path, "rev-list", "--count", store.REF))


def test_what_was_appended_is_read_back(repo: Repository) -> None:
    assert store.read(repo, oid(repo, 1)) == []
    assert store.append(repo, {oid(repo, 1): [b"one", b"two"], oid(repo, 2): [b"three"]}, AT) == 3
    assert store.read(repo, oid(repo, 1)) == [b"one", b"two"]
    assert store.read(repo, oid(repo, 2)) == [b"three"]
    assert store.read(repo, oid(repo, 3)) == []


def test_the_layout_is_one_sharded_file_an_object_on_a_ref_of_our_own(repo: Repository) -> None:
    name = "ab12" + oid(repo, 5)[4:]
    store.append(repo, {name: [b"two", b"one"]}, AT)
    assert git(repo.path, "ls-tree", "-r", "--name-only", store.REF) == f"ab/12/{name}.intoto.jsonl"
    assert git(repo.path, "cat-file", "blob", f"{store.REF}:ab/12/{name}.intoto.jsonl") == "one\ntwo"
    assert store.REF == "refs/attestations/notme"
    assert git(repo.path, "for-each-ref", "--format=%(refname)") == store.REF
    written = git(repo.path, "log", "-1", "--format=%an <%ae> %at %cn <%ce> %ct", store.REF)
    who = "notme-attest <attest@notme.invalid> 1795442290"
    assert written == f"{who} {who}"
    git(repo.path, "fsck", "--strict")


def test_the_same_appends_give_the_same_commit_on_every_machine(make: Maker) -> None:
    tips = set()
    for name in ("a", "b"):
        repo = make(name)
        store.append(repo, {oid(repo, 1): [b"one"], oid(repo, 2): [b"two"]}, AT)
        tips.add(git(repo.path, "rev-parse", store.REF))
    assert len(tips) == 1


def test_lines_are_added_and_never_taken_away(repo: Repository) -> None:
    store.append(repo, {oid(repo, 1): [b"one"]}, AT)
    store.append(repo, {oid(repo, 1): [b"two"]}, AT)
    assert store.read(repo, oid(repo, 1)) == [b"one", b"two"]
    assert commits(repo) == 2


def test_a_line_that_is_there_is_not_stored_again(repo: Repository) -> None:
    assert store.append(repo, {oid(repo, 1): [b"one", b"one"]}, AT) == 1
    assert store.append(repo, {oid(repo, 1): [b"one"]}, AT) == 0
    assert store.append(repo, {oid(repo, 1): [b"one", b"two"], oid(repo, 2): []}, AT) == 1
    assert store.append(repo, {}, AT) == 0
    assert commits(repo) == 2


def test_a_batch_is_one_commit(repo: Repository) -> None:
    batch = {oid(repo, number): [b"line %d" % number] for number in range(500)}
    assert store.append(repo, batch, AT) == 500
    assert commits(repo) == 1
    assert store.read(repo, oid(repo, 499)) == [b"line 499"]


@pytest.mark.parametrize("line", [b"", b"two\nlines", b"one\n", b"carriage\rreturn"], ids=repr)
def test_what_is_not_one_line_is_refused(repo: Repository, line: bytes) -> None:
    with pytest.raises(UsageError):
        store.append(repo, {oid(repo, 1): [line]}, AT)


@pytest.mark.parametrize("name", ["HEAD", "../../x", "a" * 39, "A" * 40])
def test_what_is_no_object_id_is_refused(repo: Repository, name: str) -> None:
    with pytest.raises(MalformedError):
        store.append(repo, {name: [b"x"]}, AT)
    with pytest.raises(MalformedError):
        store.read(repo, name)


def append_often(path: Path, writer: int) -> None:
    with repository.open_repository(path, os.environ) as repo:
        for number in range(ROUNDS):
            lines = {oid(repo, 1): [b"shared %d %d" % (writer, number)], oid(repo, 10 + writer): [b"%d" % number]}
            store.append(repo, lines, AT)


def test_writers_at_once_lose_nothing(repo: Repository) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=append_often, args=(repo.path, number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    everything = sorted(b"shared %d %d" % (who, number) for who in range(WRITERS) for number in range(ROUNDS))
    assert store.read(repo, oid(repo, 1)) == everything
    for who in range(WRITERS):
        assert len(store.read(repo, oid(repo, 10 + who))) == ROUNDS
    assert commits(repo) == WRITERS * ROUNDS


def fetch(repo: Repository, source: Repository) -> str:
    git(repo.path, "fetch", "--quiet", str(source.path), f"+{store.REF}:refs/attestations/theirs")
    return "refs/attestations/theirs"


def test_two_clones_that_diverged_merge_into_the_same_files(make: Maker) -> None:
    left, right = make("left"), make("right")
    store.append(left, {oid(left, 1): [b"shared", b"left"], oid(left, 2): [b"left alone"]}, AT)
    store.append(right, {oid(right, 1): [b"right", b"shared"], oid(right, 3): [b"right alone"]}, AT)
    store.merge(left, fetch(left, right), AT)
    assert store.read(left, oid(left, 1)) == [b"left", b"right", b"shared"]
    assert store.read(left, oid(left, 2)) == [b"left alone"]
    assert store.read(left, oid(left, 3)) == [b"right alone"]
    store.merge(right, fetch(right, left), AT)
    assert git(right.path, "rev-parse", store.REF) == git(left.path, "rev-parse", store.REF)
    store.merge(left, fetch(left, right), AT)
    assert commits(left) == 3
    git(left.path, "push", "--quiet", str(right.path), store.REF)


def test_both_orders_of_a_merge_give_the_same_tree(make: Maker) -> None:
    left, right = make("left"), make("right")
    store.append(left, {oid(left, 1): [b"b", b"c"]}, AT)
    store.append(right, {oid(right, 1): [b"a", b"d"]}, AT)
    fetch(left, right)
    fetch(right, left)
    store.merge(left, "refs/attestations/theirs", AT)
    store.merge(right, "refs/attestations/theirs", AT)
    trees = {git(repo.path, "rev-parse", store.REF + "^{tree}") for repo in (left, right)}
    assert len(trees) == 1


def test_a_first_merge_takes_the_other_ref_over(make: Maker) -> None:
    left, right = make("left"), make("right")
    store.append(right, {oid(right, 1): [b"one"]}, AT)
    store.merge(left, fetch(left, right), AT)
    assert git(left.path, "rev-parse", store.REF) == git(right.path, "rev-parse", store.REF)


def test_a_continuation_that_lost_lines_does_not_take_them_from_us(make: Maker) -> None:
    left, right = make("left"), make("right")
    store.append(left, {oid(left, 1): [b"one", b"two"], oid(left, 2): [b"three"]}, AT)
    store.merge(right, fetch(right, left), AT)
    name = oid(right, 1)
    blob = subprocess.run(
        [str(peer("git")), "hash-object", "-w", "--stdin"],
        cwd=right.path,
        input=b"two\n",
        capture_output=True,
        check=True,
    )
    path = f"{name[:2]}/{name[2:4]}/{name}.intoto.jsonl"
    git(right.path, "read-tree", "--empty")
    git(right.path, "update-index", "--add", "--cacheinfo", f"100644,{blob.stdout.decode().strip()},{path}")
    tree = git(right.path, "write-tree")
    author = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    lossy = git(right.path, *author, "commit-tree", tree, "-p", store.REF, "-m", "lossy")
    git(right.path, "update-ref", store.REF, lossy)
    store.merge(left, fetch(left, right), AT)
    assert store.read(left, oid(left, 1)) == [b"one", b"two"]
    assert store.read(left, oid(left, 2)) == [b"three"]


def test_what_is_no_commit_is_not_merged(repo: Repository) -> None:
    with pytest.raises(UsageError):
        store.merge(repo, "refs/attestations/theirs", AT)


def test_something_else_in_the_place_of_a_file_is_an_error(repo: Repository) -> None:
    name = oid(repo, 1)
    empty = git(repo.path, "hash-object", "-t", "tree", "-w", "/dev/null")
    git(repo.path, "read-tree", f"--prefix={name[:2]}/{name[2:4]}/{name}.intoto.jsonl/", empty)
    nested = empty
    for part in (f"{name}.intoto.jsonl", name[2:4], name[:2]):
        done = subprocess.run(
            [str(peer("git")), "mktree"],
            cwd=repo.path,
            input=f"040000 tree {nested}\t{part}\n",
            capture_output=True,
            text=True,
            check=True,
        )
        nested = done.stdout.strip()
    author = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    git(repo.path, "update-ref", store.REF, git(repo.path, *author, "commit-tree", nested, "-m", "x"))
    with pytest.raises(UnavailableError):
        store.read(repo, name)


def test_nothing_is_written_while_a_push_is_in_quarantine(repo: Repository) -> None:
    store.append(repo, {oid(repo, 1): [b"one"]}, AT)
    with repository.open_repository(repo.path, {**os.environ, "GIT_QUARANTINE_PATH": "/x"}) as hook:
        with pytest.raises(UnavailableError) as caught:
            store.append(hook, {oid(repo, 1): [b"two"]}, AT)
        assert "post-receive" in caught.value.hint
        assert store.read(hook, oid(repo, 1)) == [b"one"]


def test_a_lock_left_behind_is_an_error_that_names_it(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "ATTEMPTS", 2)
    lock = repo.path / ".git" / "refs" / "attestations" / "notme.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(UnavailableError) as caught:
        store.append(repo, {oid(repo, 1): [b"one"]}, AT)
    assert "lock" in caught.value.hint


def test_a_failure_that_another_try_does_not_mend_is_an_error_at_once(repo: Repository) -> None:
    hook = repo.path / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(UnavailableError):
        store.append(repo, {oid(repo, 1): [b"one"]}, AT)
    assert store.read(repo, oid(repo, 1)) == []


def test_what_git_writes_down_of_its_failure_does_not_stay(repo: Repository) -> None:
    store.append(repo, {oid(repo, 1): [b"one"]}, AT)
    tip = git(repo.path, "rev-parse", store.REF)
    with pytest.raises(UnavailableError):
        commit(repo, store.REF, [tip], "x", AT, [b"no command of git's\n"])
    assert [name for name in os.listdir(repo.path / ".git") if "crash" in name] == []
    assert git(repo.path, "rev-parse", store.REF) == tip


def tree_of(repo: Repository, *entries: str) -> str:
    done = subprocess.run(
        [str(peer("git")), "mktree", "--missing"],
        cwd=repo.path,
        input="".join(entry + "\n" for entry in entries),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def blob_of(repo: Repository, content: bytes) -> str:
    command = [str(peer("git")), "hash-object", "-w", "--stdin"]
    done = subprocess.run(command, cwd=repo.path, input=content, capture_output=True, check=True)
    return done.stdout.decode().strip()


def commit_of(repo: Repository, tree: str, *parents: str) -> str:
    author = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    after = [word for parent in parents for word in ("-p", parent)]
    return git(repo.path, *author, "commit-tree", tree, *after, "-m", "x")


def of_files(repo: Repository, files: dict[str, tuple[str, str]]) -> str:
    """A commit with these files: path to mode and blob."""
    git(repo.path, "read-tree", "--empty")
    for path, (mode, blob) in files.items():
        git(repo.path, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}")
    return commit_of(repo, git(repo.path, "write-tree"))


def at_path(repo: Repository, number: int) -> str:
    name = oid(repo, number)
    return f"{name[:2]}/{name[2:4]}/{name}.intoto.jsonl"


def test_all_that_is_stored_is_read_in_order_of_the_objects(repo: Repository) -> None:
    assert list(store.read_all(repo)) == []
    names = sorted(f"{number:02x}{number % 3:02x}" + oid(repo, number)[4:] for number in range(40))
    store.append(repo, {name: [name.encode()] for name in reversed(names)}, AT)
    assert list(store.read_all(repo)) == [(name, [name.encode()]) for name in names]


def test_lines_are_asked_for_when_they_are_written_and_an_error_then_writes_nothing(repo: Repository) -> None:
    class Failing(dict[str, list[bytes]]):
        asked = 0

        def __getitem__(self, key: str) -> list[bytes]:
            self.asked += 1
            if self.asked > 5:
                raise UnavailableError("the file has gone")
            return [b"x" * 100_000]

    store.append(repo, {oid(repo, 9): [b"before"]}, AT)
    before = git(repo.path, "rev-parse", store.REF)
    with pytest.raises(UnavailableError, match="gone"):
        store.append(repo, Failing({oid(repo, number): [b""] for number in (1, 2)}), AT)
    assert git(repo.path, "rev-parse", store.REF) == before


def test_another_ref_is_kept_in_the_same_way(repo: Repository) -> None:
    team = "refs/attestations/team"
    store.append(repo, {oid(repo, 1): [b"one"]}, AT, team)
    assert store.read(repo, oid(repo, 1)) == []
    assert store.read(repo, oid(repo, 1), team) == [b"one"]
    assert store.merge(repo, team, AT) == store.Added(1, 1)
    assert store.read(repo, oid(repo, 1)) == [b"one"]


def test_a_merge_says_what_came(make: Maker) -> None:
    left, right = make("left"), make("right")
    store.append(left, {oid(left, 1): [b"shared", b"left"]}, AT)
    store.append(right, {oid(right, 1): [b"shared", b"right"], oid(right, 2): [b"a", b"b"]}, AT)
    theirs = fetch(left, right)
    assert store.beyond(left, git(left.path, "rev-parse", theirs), git(left.path, "rev-parse", store.REF)) == (
        store.Added(1, 1)
    )
    assert store.merge(left, theirs, AT) == store.Added(2, 3)
    assert store.merge(left, theirs, AT) == store.Added()
    assert store.beyond(left, None, git(left.path, "rev-parse", store.REF)) == store.Added(2, 5)


@pytest.mark.parametrize("ours", [False, True], ids=["as the first", "beside ours"])
def test_of_what_was_fetched_only_readable_files_in_their_places_are_taken(
    repo: Repository, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_MERGED_BYTES", 1000)
    if ours:
        store.append(repo, {oid(repo, 1): [b"ours"], oid(repo, 2): [b"ours"]}, AT)
    good, large, empty = blob_of(repo, b"good\n"), blob_of(repo, b"x" * 2000), blob_of(repo, b"")
    moved = "ff/ff/" + at_path(repo, 3)[6:]
    hostile = of_files(
        repo,
        {
            at_path(repo, 1): ("100644", large),
            at_path(repo, 3): ("100644", good),
            at_path(repo, 4): ("120000", good),
            at_path(repo, 5): ("100755", good),
            at_path(repo, 6): ("100644", empty),
            moved: ("100644", good),
            "README": ("100644", good),
            "00/00/README": ("100644", good),
        },
    )
    assert store.merge(repo, hostile, AT) == store.Added(1, 1, 4)
    kept = {oid(repo, 1): [b"ours"], oid(repo, 2): [b"ours"]} if ours else {}
    assert dict(store.read_all(repo)) == kept | {oid(repo, 3): [b"good"]}
    listed = git(repo.path, "ls-tree", "-r", "--name-only", store.REF).splitlines()
    assert listed == sorted(at_path(repo, number) for number in ((1, 2, 3) if ours else (3,)))
    git(repo.path, "merge-base", "--is-ancestor", hostile, store.REF)  # so that it can be pushed back


def test_trees_without_end_are_not_followed(repo: Repository) -> None:
    """Ten levels of 256 times the same tree: 2^80 files, had anybody listed them."""
    tree = tree_of(repo, f"100644 blob {blob_of(repo, b'x')}\tx")
    for _ in range(10):
        tree = tree_of(repo, *(f"040000 tree {tree}\t{number:02x}" for number in range(256)))
    store.append(repo, {oid(repo, 1): [b"ours"]}, AT)
    assert store.merge(repo, commit_of(repo, tree), AT) == store.Added()
    assert store.read(repo, oid(repo, 1)) == [b"ours"]


def test_what_was_deleted_rewound_or_pruned_is_not_there(repo: Repository) -> None:
    store.append(repo, {oid(repo, 1): [b"one"]}, AT)
    store.append(repo, {oid(repo, 2): [b"two"]}, AT)
    git(repo.path, "update-ref", store.REF, store.REF + "~1")
    assert store.read_many(repo, [oid(repo, 1), oid(repo, 2)]) == {oid(repo, 1): [b"one"], oid(repo, 2): []}
    git(repo.path, "update-ref", "-d", store.REF)
    git(repo.path, "prune", "--expire=now")
    assert store.read(repo, oid(repo, 1)) == []
    assert not store.exists(repo)


def test_a_file_whose_content_is_missing_is_unavailable_and_never_empty(repo: Repository) -> None:
    absent = "1" * repo.object_format.hex_length
    name = oid(repo, 1)
    leaf = tree_of(repo, f"100644 blob {absent}\t{name}.intoto.jsonl")
    root = tree_of(repo, f"040000 tree {tree_of(repo, f'040000 tree {leaf}{chr(9)}{name[2:4]}')}\t{name[:2]}")
    git(repo.path, "update-ref", store.REF, commit_of(repo, root))
    for ask in (store.read, lambda repo, name: store.append(repo, {name: [b"x"]}, AT)):
        with pytest.raises(UnavailableError):
            ask(repo, name)


def test_one_file_in_the_place_of_many_is_not_written_as_often(repo: Repository) -> None:
    blob = blob_of(repo, b"".join(b"%64d\n" % number for number in range(1000)))
    hostile = of_files(repo, {at_path(repo, number): ("100644", blob) for number in range(1, 40)})
    with pytest.raises(UnavailableError, match="nothing was added") as caught:
        store.merge(repo, hostile, AT, limit=3_000_000)
    assert "put the ref there back" in caught.value.hint
    assert not store.exists(repo)


def test_what_can_be_added_here_others_take(make: Maker) -> None:
    """Else the next who synchronizes would take it out of the remote's files."""
    repo, other = make("repo"), make("other")
    most = b"x" * (store.MAX_ADDED_BYTES - 1)
    with pytest.raises(UnavailableError) as caught:
        store.append(repo, {oid(repo, 1): [most, b"y"]}, AT)
    assert "leave out" in caught.value.hint
    assert not store.exists(repo)
    store.append(repo, {oid(repo, 1): [most]}, AT)
    store.append(other, {oid(repo, 1): [b"y" + most[1:]]}, AT)
    assert store.merge(other, fetch(other, repo), AT) == store.Added(1, 1)
    assert len(store.read(other, oid(repo, 1))) == 2
