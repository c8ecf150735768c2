"""The folders that GIT_ALTERNATE_OBJECT_DIRECTORIES names, whatever they are called."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import alternates
from tests.peers import peer

FOLDERS = st.binary(min_size=1, max_size=30).filter(lambda name: b"\0" not in name).map(os.fsdecode)


@given(st.lists(FOLDERS, max_size=4))
def test_what_was_joined_is_split_again(folders: list[str]) -> None:
    assert alternates.split(alternates.join(folders)) == folders


@given(st.text().filter(lambda text: "\0" not in text))
def test_any_value_names_folders_or_none(value: str) -> None:
    assert all(alternates.split(os.fsdecode(value.encode("utf-8", "replace"))))


@pytest.mark.parametrize("name", ["plain", "a:b", '"q', 'a:"\\b', "a:\n\t\x01", os.fsdecode(b"a:\xff\xc3\xa9")])
def test_git_reads_what_we_write_and_we_what_git_writes(tmp_path: Path, name: str) -> None:
    def git(*arguments: str, **environ: str) -> str:
        who = {f"GIT_{role}_{what}": "x" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        command = [str(peer("git")), *arguments]
        environ = {**os.environ, **who, **environ}
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, check=True)
        return done.stdout.decode().strip()

    git("init", "-q", "--bare", "./" + name)
    objects = tmp_path / name / "objects"
    git("init", "-q", "other")
    git("-C", "other", "commit", "-q", "--allow-empty", "-m", "x")
    hook = tmp_path / name / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\nprintf %s "$GIT_ALTERNATE_OBJECT_DIRECTORIES" >"{tmp_path}/said"\n')
    hook.chmod(0o755)
    git("-C", "other", "push", "-q", f"file://{tmp_path}/{name}", "HEAD:refs/heads/main")
    said = alternates.split(os.fsdecode((tmp_path / "said").read_bytes()))
    assert list(map(os.path.normpath, said)) == [str(objects)]
    commit = git("-C", "other", "rev-parse", "HEAD")
    git("init", "-q", "third")
    others = {alternates.VARIABLE: alternates.join([str(objects)])}
    assert git("-C", "third", "cat-file", "-t", commit, **others) == "commit"
