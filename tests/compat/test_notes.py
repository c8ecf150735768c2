"""Notes as real git keeps them: at whatever depth of folders, in both object formats, never fetched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from attest import notes, repository
from attest.errors import MalformedError
from attest.gitobject import ObjectFormat
from attest.repository import Repository
from tests.peers import peer

MANY = 600
"""git puts notes into folders from 256 on."""


def git(path: Path, *arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run([str(peer("git")), *arguments], cwd=path, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def imported(path: Path, count: int) -> list[str]:
    """A history of `count` commits, each with a note that git attaches; ids oldest first."""
    stream = []
    for number in range(count):
        who = b"committer A <a@example.org> %d +0000\n" % (1_700_000_000 + number)
        stream.append(b"commit refs/heads/main\nmark :%d\n%bdata 2\nm\n" % (number + 1, who))
    who = b"committer A <a@example.org> 1700000000 +0000\n"
    stream.append(b"commit refs/notes/ai\n%bdata 2\nn\n" % who)
    for number in range(count):
        text = b"note %d" % number
        stream.append(b"N inline :%d\ndata %d\n%b\n" % (number + 1, len(text), text))
    git(path, "fast-import", "--quiet", stdin=b"".join(stream))
    return git(path, "rev-list", "--reverse", "refs/heads/main").split()


@pytest.fixture(params=list(ObjectFormat))
def repo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    git(tmp_path, "init", "--quiet", "--initial-branch=main", f"--object-format={request.param}")
    with repository.open_repository(tmp_path, os.environ) as opened:
        yield opened


@pytest.mark.parametrize("count", [3, MANY])
def test_the_notes_of_many_commits_are_found(repo: Repository, count: int) -> None:
    ids = imported(repo.path, count)
    tree = git(repo.path, "ls-tree", "refs/notes/ai").splitlines()
    assert (" tree " in tree[0]) is (count == MANY)
    found = notes.read_many(repo, [*ids, "f" * repo.object_format.hex_length])
    assert found == {oid: b"note %d" % number for number, oid in enumerate(ids)}


def test_what_git_notes_adds_is_found_under_its_ref(repo: Repository) -> None:
    (oid,) = imported(repo.path, 1)
    git(repo.path, "-c", "user.name=A", "-c", "user.email=a@example.org",
        "notes", f"--ref={notes.AGENT_TRACE}", "add", "-m", "{}", oid)  # fmt: skip
    assert notes.read_many(repo, [oid], notes.AGENT_TRACE) == {oid: b"{}\n"}
    assert notes.read_all(repo, [oid]) == {oid: [b"note 0", b"{}\n"]}


def test_without_the_ref_or_without_objects_there_are_no_notes(repo: Repository) -> None:
    oid = "0" * repo.object_format.hex_length
    assert notes.read_all(repo, [oid]) == {}
    imported(repo.path, 1)
    assert notes.read_many(repo, []) == {}
    assert notes.read_many(repo, [oid]) == {}


def test_a_folder_in_the_place_of_a_note_is_none(repo: Repository) -> None:
    (oid,) = imported(repo.path, 1)
    blob = git(repo.path, "hash-object", "-w", "--stdin", stdin=b"x")
    tree = git(repo.path, "mktree", stdin=f"100644 blob {blob}\tx\n".encode())
    top = git(repo.path, "mktree", stdin=f"040000 tree {tree}\t{oid}\n".encode())
    git(repo.path, "update-ref", "refs/notes/ai", top)
    assert notes.read_many(repo, [oid]) == {}


def test_what_is_no_id_is_never_asked_for(repo: Repository) -> None:
    imported(repo.path, 1)
    with pytest.raises(MalformedError):
        notes.read_many(repo, ["HEAD\nHEAD"])
