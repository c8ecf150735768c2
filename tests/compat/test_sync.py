"""Attestations between clones, through real git: nothing is lost, whoever is first, and whatever the remote is."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest import repository, store, sync
from attest.errors import UnavailableError, UsageError
from attest.gitobject import ObjectFormat
from attest.remote import Remote
from attest.repository import Repository
from attest.store import Added
from tests import githttp
from tests.clones import Hub, git, origin
from tests.compat import warm
from tests.compat.conftest import Sandbox
from tests.peers import peer
from tests.statements import bundle

AT = datetime(2026, 11, 23, 13, 58, 10, tzinfo=UTC)
CLONES = 10
WRITES = 100
SYNCS = 2
ATTEST = str(Path(sys.executable).parent / "notme-attest")
TRACKING = "refs/notme/remotes/origin/attestations/notme"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path, ObjectFormat.SHA1)
    yield made
    made.close()


@pytest.fixture(params=list(ObjectFormat))
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hub]:
    made = Hub(tmp_path, ObjectFormat(request.param))
    yield made
    made.close()


def synced(repo: Repository) -> sync.Synced:
    return sync.sync(repo, origin(repo), AT)


def everything(repo: Repository) -> dict[str, list[bytes]]:
    return dict(store.read_all(repo))


def leftovers(repo: Repository) -> list[str]:
    objects = git(repo.path, "rev-parse", "--path-format=absolute", "--git-path", "objects")
    return [name for name in os.listdir(objects) if name.startswith("tmp_")]


def attest(
    repo: Repository, *arguments: str, status: int = 0, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = warm.run_text([ATTEST, *arguments], cwd=repo.path, env={**os.environ, **(environ or {})})
    assert done.returncode == status, done
    return done


def test_two_clones_that_attested_offline_have_the_union_after_both_pushed_and_fetched(either: Hub) -> None:
    """Done ten times in random order: nothing is lost, and both have the same tree."""
    order, left, right = random.Random(6), either.clone("left"), either.clone("right")
    expected: dict[str, list[bytes]] = {}
    for turn in range(10):
        for repo in (left, right):
            name, shared = repo.path.name, either.oid(turn)
            lines = {either.oid(100 + order.randrange(9000)): [b"%d" % turn], shared: [f"{name} {turn}".encode()]}
            store.append(repo, lines, AT)
            for about, added in lines.items():
                expected[about] = sorted({*expected.get(about, []), *added})
        steps = [left, right, left, right]
        order.shuffle(steps)
        for repo in (*steps, left, right):
            synced(repo)
        assert everything(left) == everything(right) == expected
        trees = {git(repo.path, "rev-parse", f"{store.REF}^{{tree}}") for repo in (left, right)}
        assert trees == {git(either.bare, "rev-parse", f"{store.REF}^{{tree}}")}


def write_and_sync(place: Path, who: int) -> None:
    order = random.Random(who)
    shared = [f"{number:040x}" for number in range(20)]
    with repository.open_repository(place, os.environ) as repo:
        for number in range(WRITES):
            about = order.choice(shared) if order.random() < 0.5 else f"{order.getrandbits(160):040x}"
            store.append(repo, {about: [b"%d %d" % (who, number)]}, AT)
            if order.random() < SYNCS / WRITES:
                synced(repo)
        synced(repo)


def test_a_thousand_concurrent_writes_in_ten_clones_are_all_kept(hub: Hub) -> None:
    clones = [hub.clone(f"clone{number}") for number in range(CLONES)]
    context = multiprocessing.get_context("fork")
    writers = [
        context.Process(target=write_and_sync, args=(repo.path, number)) for number, repo in enumerate(clones)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * CLONES
    trees = set()
    for repo in clones:
        synced(repo)
        trees.add(git(repo.path, "rev-parse", f"{store.REF}^{{tree}}"))
        assert leftovers(repo) == []
    assert len(trees) == 1
    kept = sorted(line for lines in everything(clones[0]).values() for line in lines)
    assert kept == sorted(b"%d %d" % (who, number) for who in range(CLONES) for number in range(WRITES))


def test_what_came_and_went_is_counted(either: Hub) -> None:
    left, right = either.clone("left"), either.clone("right")
    assert synced(left) == sync.Synced("origin", store.REF, Added(), Added(), None, None, False)
    store.append(left, {either.oid(1): [b"a", b"b"], either.oid(2): [b"c"]}, AT)
    store.append(right, {either.oid(1): [b"a", b"d"]}, AT)
    assert synced(left).pushed == Added(2, 3)
    done = synced(right)
    assert (done.fetched, done.pushed) == (Added(2, 2), Added(1, 1))
    assert done.tip == done.remote_tip == git(either.bare, "rev-parse", store.REF)
    assert git(right.path, "rev-parse", TRACKING) == done.tip
    assert synced(right).pushed == Added()


def test_a_push_that_lost_the_race_unites_and_tries_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = hub.clone("left"), hub.clone("right")
    store.append(left, {hub.oid(1): [b"left"]}, AT)
    store.append(right, {hub.oid(1): [b"right"]}, AT)
    push, answers = Remote.push, list[bool]()

    def late(self: Remote, oid: str, ref: str, expected: str | None) -> bool:
        if not answers and self.shown == "origin":
            answers.append(True)
            assert push(origin(right), store_tip(right), ref, expected)
        answers.append(push(self, oid, ref, expected))
        return answers[-1]

    monkeypatch.setattr(Remote, "push", late)
    monkeypatch.setattr(sync, "PAUSE_S", 0.0)
    synced(left)
    assert answers == [True, False, True]
    assert store.read(left, hub.oid(1)) == [b"left", b"right"]


def test_a_remote_that_never_moves_its_ref_is_given_up_with_what_it_says(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "PAUSE_S", 0.0)
    monkeypatch.setattr(sync, "ATTEMPTS", 2)
    repo = hub.clone("clone")
    store.append(repo, {hub.oid(1): [b"1"]}, AT)
    lock = hub.bare / "refs" / "attestations" / "notme.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    with pytest.raises(UnavailableError, match=r"none of 2 pushes in a row; it says: .*failed to update ref"):
        synced(repo)


def test_a_remote_that_takes_no_such_ref_says_so(hub: Hub) -> None:
    repo = hub.clone("clone")
    store.append(repo, {hub.oid(1): [b"1"]}, AT)
    hook = hub.bare / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho no refs of that kind >&2\nexit 1\n")
    hook.chmod(0o755)
    said = attest(repo, "sync", status=2).stderr
    assert "hook declined" in said
    assert "origin was asked and refused" in said


def store_tip(repo: Repository) -> str:
    return git(repo.path, "rev-parse", store.REF)


def test_one_way_only(hub: Hub) -> None:
    left, right = hub.clone("left"), hub.clone("right")
    store.append(left, {hub.oid(1): [b"left"]}, AT)
    attest(left, "sync", "--push-only")
    store.append(right, {hub.oid(1): [b"right"]}, AT)
    refused = attest(right, "sync", "--push-only", status=2)
    assert "origin has attestations that are not here" in refused.stderr
    assert store.read(right, hub.oid(1)) == [b"right"]
    attest(right, "sync", "--fetch-only")
    assert store.read(right, hub.oid(1)) == [b"left", b"right"]
    assert git(hub.bare, "rev-parse", store.REF) == store_tip(left)
    assert attest(left, "sync", "--fetch-only", "--push-only", status=64).stdout == ""


def test_the_command_says_what_it_did(hub: Hub) -> None:
    left, right = hub.clone("left"), hub.clone("right")
    store.append(left, {hub.oid(1): [b"a", b"b"], hub.oid(2): [b"c"]}, AT)
    assert attest(left, "sync").stdout == "from origin: nothing new\nto origin: 3 lines about 2 objects\n"
    store.append(right, {hub.oid(3): [b"d"]}, AT)
    said = json.loads(attest(right, "sync", "origin", "--json").stdout)
    assert said["fetched"] == {"objects": 2, "lines": 3, "leftOut": 0}
    assert said["pushed"] == {"objects": 1, "lines": 1}
    assert said["tip"] == said["remoteTip"] == store_tip(right)
    assert attest(left, "sync", str(hub.bare)).stdout.startswith(f"from {hub.bare}: 1 line about 1 object\n")


def test_another_ref_is_synchronized_and_no_other_kind_of_ref(hub: Hub) -> None:
    left, right = hub.clone("left"), hub.clone("right")
    store.append(left, {hub.oid(1): [b"a"]}, AT, "refs/attestations/team")
    attest(left, "sync", "--ref", "refs/attestations/team")
    attest(right, "sync", "--ref", "refs/attestations/team")
    assert store.read(right, hub.oid(1), "refs/attestations/team") == [b"a"]
    for ref in ("refs/heads/main", "refs/notes/ai", "refs/attestations/commits", "refs/attestations/..", "x"):
        with pytest.raises(UsageError):
            sync.sync(left, origin(left), AT, ref=ref)


@pytest.mark.parametrize("harm", ["rewound", "deleted", "rewritten"])
def test_what_a_remote_lost_is_not_lost_here_and_comes_back_there(hub: Hub, harm: str) -> None:
    repo = hub.clone("clone")
    for number in range(3):
        store.append(repo, {hub.oid(number): [b"%d" % number]}, AT)
        synced(repo)
    before = everything(repo)
    if harm == "rewound":
        git(hub.bare, "update-ref", store.REF, f"{store.REF}~2")
    elif harm == "deleted":
        git(hub.bare, "update-ref", "-d", store.REF)
    else:
        with repository.open_repository(hub.bare, os.environ) as bare:
            git(hub.bare, "update-ref", "-d", store.REF)
            store.append(bare, {hub.oid(9): [b"other"]}, AT)
        before[hub.oid(9)] = [b"other"]
    done = attest(repo, "sync", "--json")
    assert everything(repo) == before
    assert json.loads(done.stdout)["restored"] is (harm == "deleted")
    assert ("had lost it" in done.stderr) is (harm == "deleted")
    with repository.open_repository(hub.bare, os.environ) as bare:
        assert everything(bare) == before


def test_a_remote_that_has_lost_everything_takes_nothing_from_a_fetch(hub: Hub) -> None:
    repo = hub.clone("clone")
    store.append(repo, {hub.oid(1): [b"1"]}, AT)
    synced(repo)
    git(hub.bare, "update-ref", "-d", store.REF)
    attest(repo, "sync", "--fetch-only")
    assert store.read(repo, hub.oid(1)) == [b"1"]


def test_more_than_the_bound_is_refused_and_leaves_nothing(hub: Hub) -> None:
    left, right = hub.clone("left"), hub.clone("right")
    store.append(left, {hub.oid(number): [os.urandom(2000).hex().encode()] for number in range(20)}, AT)
    synced(left)
    refused = attest(right, "sync", "--max-bytes", "5000", status=2)
    assert "sends more than 5000 bytes" in refused.stderr
    assert not store.exists(right)
    assert leftovers(right) == []
    assert git(right.path, "count-objects") == "0 objects, 0 kilobytes"


def test_broken_objects_of_a_remote_are_refused_whole(hub: Hub) -> None:
    """A tree with an entry `.git`: git's own check of what comes knows it (CVE-2014-9390)."""
    blob = git(hub.bare, "hash-object", "-w", "--stdin", stdin="x")
    tree = subprocess.run(
        [str(peer("git")), "hash-object", "-w", "-t", "tree", "--stdin", "--literally"],
        cwd=hub.bare,
        input=b"100644 .git\0" + bytes.fromhex(blob),
        capture_output=True,
        check=True,
    )
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    git(hub.bare, "update-ref", store.REF, git(hub.bare, *who, "commit-tree", tree.stdout.decode().strip(), "-m", "x"))
    repo = hub.clone("clone")
    store.append(repo, {hub.oid(1): [b"1"]}, AT)
    assert "hasDotgit" in attest(repo, "sync", status=2).stderr
    assert everything(repo) == {hub.oid(1): [b"1"]}
    assert leftovers(repo) == []


@pytest.mark.parametrize("name", ["a:b", '"a', "a:\"b"])
def test_a_clone_may_be_in_a_folder_of_any_name(hub: Hub, name: str) -> None:
    repo, other = hub.clone(name), hub.clone("other")
    store.append(other, {hub.oid(1): [b"1"]}, AT)
    synced(other)
    store.append(repo, {hub.oid(2): [b"2"]}, AT)
    assert synced(repo).pushed == Added(1, 1)
    assert everything(repo) == {hub.oid(1): [b"1"], hub.oid(2): [b"2"]}


def test_a_mirror_synchronizes_its_one_ref(hub: Hub) -> None:
    repo = hub.clone("mirror", "--mirror")
    store.append(repo, {hub.oid(1): [b"1"]}, AT)
    git(repo.path, "branch", "mine", "main")
    assert synced(repo).pushed == Added(1, 1)
    assert git(hub.bare, "for-each-ref", "--format=%(refname)").split() == [store.REF, "refs/heads/main"]


@pytest.mark.parametrize("mode", ["120000", "100755", "160000"])
def test_what_is_no_plain_file_at_a_remote_is_left_out_and_counted(hub: Hub, mode: str) -> None:
    repo, who = hub.clone("clone"), ("-c", "user.name=x", "-c", "user.email=x@example.org")
    store.append(repo, {hub.oid(1): [b"1"]}, AT)
    synced(repo)
    about = f"abcd{0:036x}"
    link = mode == "160000"
    kind, entry = ("commit", hub.oid(9)) if link else ("blob", git(hub.bare, "hash-object", "-w", "--stdin", stdin="x"))
    folder = git(hub.bare, "mktree", "--missing", stdin=f"{mode} {kind} {entry}\t{about}.intoto.jsonl\n")
    top = git(hub.bare, "mktree", stdin=f"040000 tree {folder}\tcd\n")
    tree = git(hub.bare, "mktree", stdin=f"{git(hub.bare, 'ls-tree', store.REF)}\n040000 tree {top}\tab\n")
    git(hub.bare, "update-ref", store.REF, git(hub.bare, *who, "commit-tree", tree, "-p", store.REF, "-m", "x"))
    with repository.open_repository(hub.bare, os.environ) as bare, pytest.raises(UnavailableError):
        store.read(bare, about)
    done = attest(repo, "sync")
    assert "1 malformed or oversized file(s) were left out" in done.stderr
    assert store.append(repo, {about: [b"2"]}, AT) == 1
    synced(repo)
    with repository.open_repository(hub.bare, os.environ) as bare:
        assert everything(bare) == {hub.oid(1): [b"1"], about: [b"2"]}


def test_what_is_no_commit_at_a_remote_is_said_at_once(hub: Hub) -> None:
    git(hub.bare, "update-ref", store.REF, git(hub.bare, "hash-object", "-w", "--stdin", stdin="x"))
    assert f"has a blob as {store.REF}" in attest(hub.clone("clone"), "sync", status=2).stderr


def test_no_program_of_the_repository_runs(hub: Hub, tmp_path: Path) -> None:
    left, right = hub.clone("left"), hub.clone("right")
    store.append(left, {hub.oid(1): [b"1"]}, AT)
    synced(left)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 >> {tmp_path}/ran\nexit 1\n")
    program.chmod(0o755)
    store.append(right, {hub.oid(2): [b"2"]}, AT)
    for hook in ("pre-push", "reference-transaction", "post-update", "pre-auto-gc", "fsmonitor-watchman"):
        (right.path / ".git" / "hooks").mkdir(exist_ok=True)
        (right.path / ".git" / "hooks" / hook).symlink_to(program)
    git(right.path, "config", "core.fsmonitor", str(program))
    git(right.path, "config", "filter.x.smudge", str(program))
    (right.path / ".git" / "info" / "attributes").write_text("* filter=x\n")
    # This one hook may forbid that a ref is moved, and the user's own is asked when ours is: see test_store.
    (right.path / ".git" / "hooks" / "reference-transaction").unlink()
    attest(right, "sync")
    assert store.read(right, hub.oid(1)) == [b"1"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "remote",
    ["nowhere", "-upload-pack=x", "http://bob:secret@127.0.0.1:9/x.git", "ext::sh -c true", "two\nlines", ""],
    ids=repr,
)
def test_a_remote_that_is_none_is_said_in_one_sentence_without_secrets(hub: Hub, remote: str) -> None:
    repo = hub.clone("clone")
    if not remote:
        git(repo.path, "remote", "rename", "origin", "there")
        git(repo.path, "remote", "add", "second", "x")
    done = attest(repo, "sync", "--", remote, status=2 if remote in ("nowhere",) or ":" in remote else 64)
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
    assert 1 <= len(done.stderr.splitlines()) <= 2


def slow(repo: Repository, script: Path) -> None:
    script.write_text(f"#!/bin/sh\ntouch {script}.started\nsleep 600\n")
    script.chmod(0o755)
    git(repo.path, "config", "remote.origin.uploadpack", str(script))


def test_an_interrupted_sync_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    left, right = hub.clone("left"), hub.clone("right")
    store.append(left, {hub.oid(1): [b"1"]}, AT)
    synced(left)
    script = tmp_path / "slow"
    # The question is answered, the fetch hangs.
    script.write_text(
        f"#!/bin/sh\nif [ -e {script}.asked ]; then touch {script}.started; sleep 600; fi\n"
        f'touch {script}.asked\nexec git-upload-pack "$@"\n'
    )
    script.chmod(0o755)
    git(right.path, "config", "remote.origin.uploadpack", str(script))
    process = subprocess.Popen([ATTEST, "sync"], cwd=right.path, stderr=subprocess.PIPE, start_new_session=True)
    while not Path(f"{script}.started").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said.strip()) == (130, b"")
    assert leftovers(right) == []
    assert not store.exists(right)
    git(right.path, "fsck", "--strict")


def test_a_remote_that_never_answers_is_given_up(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = hub.clone("clone")
    slow(repo, tmp_path / "slow")
    monkeypatch.setattr("attest.remote.ASK_SECONDS", 0.2)
    with pytest.raises(UnavailableError, match="did not answer in time"):
        origin(repo).tip(store.REF)


def test_a_remote_that_talks_without_end_is_given_up(hub: Hub, tmp_path: Path) -> None:
    repo = hub.clone("clone")
    script = tmp_path / "loud"
    script.write_text("#!/bin/sh\nyes 'too much' >&2\n")
    script.chmod(0o755)
    git(repo.path, "config", "remote.origin.uploadpack", str(script))
    with pytest.raises(UnavailableError, match="messages without end"):
        origin(repo).tip(store.REF)


def first_commit(hub: Hub, count: int = 1) -> Sequence[str]:
    """Commits on main at the hub, oldest first."""
    repo = hub.clone("first")
    for number in range(count):
        (repo.path / "file").write_text(f"{number}")
        git(repo.path, "add", "file")
        git(repo.path, "commit", "-q", "-m", f"change {number}")
    git(repo.path, "push", "-q", "origin", "HEAD:main")
    return git(repo.path, "rev-list", "--reverse", "HEAD").split()


def test_a_shallow_clone_has_all_attestations_and_stays_shallow(either: Hub) -> None:
    commits = first_commit(either, 3)
    writer = either.clone("writer")
    for number, commit in enumerate(commits):
        store.append(writer, {commit: [b"%d" % number]}, AT)
    synced(writer)
    shallow = either.clone("shallow", "--depth=1")
    store.append(shallow, {either.oid(7): [b"seven"]}, AT)
    done = synced(shallow)
    assert (done.fetched, done.pushed) == (Added(len(commits), len(commits)), Added(1, 1))
    assert git(shallow.path, "rev-parse", "--is-shallow-repository") == "true"
    assert git(shallow.path, "rev-list", "--count", "HEAD") == "1"
    assert store.read(shallow, commits[0]) == [b"0"]
    assert git(shallow.path, "rev-list", "--count", store.REF) == str(len(commits) + 2)
    assert synced(writer).fetched == Added(1, 1)


def test_of_a_shallow_clone_of_the_ref_itself_nothing_is_lost(hub: Hub) -> None:
    first_commit(hub)
    writer, other = hub.clone("writer"), hub.clone("other")
    for number in range(3):
        store.append(writer, {hub.oid(number): [b"%d" % number]}, AT)
    synced(writer)
    git(other.path, "fetch", "-q", "--depth=1", "origin", f"{store.REF}:{store.REF}")
    store.append(other, {hub.oid(5): [b"5"]}, AT)
    store.append(writer, {hub.oid(6): [b"6"]}, AT)
    synced(writer)
    synced(other)
    synced(writer)
    assert everything(writer) == everything(other) == {hub.oid(n): [b"%d" % n] for n in (0, 1, 2, 5, 6)}


def test_what_a_partial_clone_left_at_the_remote_is_fetched_in_one_go(either: Hub, tmp_path: Path) -> None:
    first_commit(either)
    writer = either.clone("writer")
    about = {either.oid(number): [b"%d" % number] for number in range(50)}
    store.append(writer, about, AT)
    synced(writer)
    partial = either.clone("partial", "--filter=blob:none")
    git(partial.path, "fetch", "-q", "origin", f"{store.REF}:{store.REF}")
    with pytest.raises(UnavailableError, match="partial clone"):
        store.read(partial, either.oid(1))
    log, script = tmp_path / "log", tmp_path / "logging"
    script.write_text(f'#!/bin/sh\necho >> {log}\nexec git-upload-pack "$@"\n')
    script.chmod(0o755)
    git(partial.path, "config", "remote.origin.uploadpack", str(script))
    synced(partial)
    assert len(log.read_text().splitlines()) <= 3  # the question, the ref, what was missing
    assert everything(partial) == about
    store.append(writer, {either.oid(60): [b"sixty"]}, AT)
    synced(writer)
    assert synced(partial).fetched == Added(1, 1)
    assert store.read(partial, either.oid(60)) == [b"sixty"]
    git(partial.path, "fsck")


def test_what_the_users_own_refspec_fetched_is_united(hub: Hub) -> None:
    left, right = hub.clone("left"), hub.clone("right")
    store.append(left, {hub.oid(1): [b"left"]}, AT)
    synced(left)
    git(right.path, "config", "--add", "remote.origin.fetch", f"+{store.REF}:{TRACKING}")
    store.append(right, {hub.oid(1): [b"right"]}, AT)
    git(right.path, "fetch", "-q")
    assert store.read(right, hub.oid(1)) == [b"right"]
    assert synced(right).fetched == Added(1, 1)
    assert store.read(right, hub.oid(1)) == [b"left", b"right"]


def test_nothing_is_synchronized_within_a_push(hub: Hub) -> None:
    repo = hub.clone("clone")
    hook = hub.open(repo.path, {"GIT_QUARANTINE_PATH": "/x"})
    with pytest.raises(UnavailableError, match="quarantine"):
        sync.sync(hook, origin(repo), AT)


def test_over_http_git_knows_the_password_or_nobody_does(hub: Hub, tmp_path: Path) -> None:
    left, right = hub.clone("left"), hub.clone("right")
    store.append(left, {hub.oid(1): [b"left"]}, AT)
    git(hub.bare, "config", "http.receivepack", "true")
    helper = tmp_path / "helper"
    helper.write_text("#!/bin/sh\necho username=bob; echo password=hidden\n")
    helper.chmod(0o755)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with githttp.serving(peer("git"), tmp_path, environ, "bob:hidden") as address:
        for repo in (left, right):
            git(repo.path, "remote", "set-url", "origin", f"{address}/hub.git")
            refused = attest(repo, "sync", status=2)
            assert "could not be read from origin" in refused.stderr
            git(repo.path, "config", "credential.helper", str(helper))
        assert "hidden" not in attest(left, "sync").stdout
        assert synced(right).fetched == Added(1, 1)
    assert store.read(right, hub.oid(1)) == [b"left"]


def statements(sandbox: Sandbox, *options: str, status: int) -> Any:
    return sandbox.attest("show", "HEAD", "--json", *options, status=status).json


@pytest.mark.parametrize("harm", ["rewound", "deleted", "pruned", "emptied"])
def test_an_attestation_that_has_gone_counts_for_nothing(sandbox: Sandbox, harm: str) -> None:
    """Absence is not evidence: what was accepted by a statement is not accepted without it."""
    sandbox.commit("first")
    sandbox.notme("attest", "HEAD")
    sandbox.commit("second")
    sandbox.notme("attest", "HEAD")
    assert [item["verified"] for item in statements(sandbox, status=0)] == [True]
    if harm == "rewound":
        sandbox.git("update-ref", store.REF, f"{store.REF}~1")
    elif harm == "emptied":
        empty = sandbox.git("hash-object", "-t", "tree", "-w", "/dev/null").text
        made = sandbox.git("commit-tree", "-p", store.REF, "-m", "x", empty).text
        sandbox.git("update-ref", store.REF, made)
    else:
        sandbox.git("update-ref", "-d", store.REF)
        if harm == "pruned":
            sandbox.git("reflog", "expire", "--expire=now", "--all")
            sandbox.git("gc", "-q", "--prune=now")
    assert statements(sandbox, status=1) == []


def test_what_was_fetched_or_imported_is_not_believed_for_that(sandbox: Sandbox) -> None:
    sandbox.commit("first")
    oid = sandbox.rev("HEAD")
    forged = bundle(oid)
    sandbox.attest("bundle", "import", "-", stdin=forged + b"\n")
    assert [item["verified"] for item in statements(sandbox, status=1)] == [False]
    sandbox.notme("attest", "HEAD")
    assert sorted(item["verified"] for item in statements(sandbox, status=1)) == [False, True]


def test_attestations_of_one_machine_are_verified_on_another_by_every_way(sandbox: Sandbox, tmp_path: Path) -> None:
    """By sync, by a file, and by the places of gitsign and source-tool: the same statement, and it verifies."""
    sandbox.commit("first")
    sandbox.notme("attest", "HEAD")
    hub = tmp_path / "hub.git"
    sandbox.git("init", "-q", "--bare", "-b", "main", str(hub))
    sandbox.git("push", "-q", str(hub), "HEAD:main")
    sandbox.attest("sync", str(hub))
    expected = statements(sandbox, status=0)
    sandbox.attest("bundle", "export", "HEAD", "--out", str(tmp_path / "file"))
    for number, way in enumerate((("sync",), ("bundle", "import", str(tmp_path / "file")))):
        clone = tmp_path / f"clone{number}"
        sandbox.git("clone", "-q", str(hub), str(clone))
        assert sandbox.attest("show", "HEAD", "--json", cwd=clone, status=1).json == []
        sandbox.attest(*way, cwd=clone)
        assert sandbox.attest("show", "HEAD", "--json", cwd=clone).json == expected
        for layout in ("gitsign", "notes"):
            sandbox.attest("bundle", "export", "HEAD", "--layout", layout, cwd=clone)
            assert sandbox.attest("show", "HEAD", "--json", "--layout", layout, cwd=clone).json == expected
