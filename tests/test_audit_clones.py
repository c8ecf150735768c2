"""Clones: ahead of their turn, bounded, silent, and gone afterwards. git is a script here."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from attest.audit import clones, places
from attest.audit.clones import Clone, Visits
from attest.errors import UnavailableError


def git(folder: Path, script: str) -> dict[str, str]:
    """An environment in which git is a script."""
    program = folder / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n", "ascii")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{program.parent}{os.pathsep}{os.defpath}", "GIT_DIR": "/elsewhere"}


ADDRESS = places.parse("https://me:pw@git.example.org/x")


def test_a_clone_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    environ = git(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(UnavailableError, match=r"https://git\.example\.org/x could not be cloned within 1 s"):
        Clone(ADDRESS, environ, tmp_path / "clone", seconds=1).finish()
    child = (tmp_path / "child").read_text("ascii").strip()
    for _ in range(100):
        # Who started it is gone, so that it may be left for init to collect.
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or ") Z " in state.read_text("ascii"):
            return
        time.sleep(0.02)
    pytest.fail("it goes on")


def test_git_is_told_to_ask_nobody_and_what_it_says_has_no_password(tmp_path: Path) -> None:
    says = f'env > {tmp_path}/environ; echo "$@" > {tmp_path}/words'
    environ = git(tmp_path, f"{says}; echo 'fatal: nothing at {ADDRESS.address}' >&2; echo 'hint: x' >&2; exit 128")
    with pytest.raises(UnavailableError) as caught:
        Clone(ADDRESS, environ, tmp_path / "clone").finish()
    assert caught.value.message.endswith("could not be cloned: nothing at https://git.example.org/x")
    told = dict(line.split("=", 1) for line in (tmp_path / "environ").read_text("utf-8").splitlines() if "=" in line)
    assert (told["GIT_TERMINAL_PROMPT"], told["GIT_ASKPASS"]) == ("0", "")
    assert told["GIT_ALLOW_PROTOCOL"] == "https:ssh:git:file"
    assert "GIT_DIR" not in told
    words = (tmp_path / "words").read_text("utf-8")
    assert words.index("--end-of-options") < words.index(ADDRESS.address)
    assert "--bare" in words


def test_what_a_server_says_for_ever_is_kept_to_its_end(tmp_path: Path) -> None:
    flood = "i=0; while [ $i -lt 3000 ]; do echo remote: words and words and words $i; i=$((i+1)); done >&2"
    environ = git(tmp_path, f"{flood}; echo 'fatal: the end' >&2; exit 1")
    with pytest.raises(UnavailableError, match="could not be cloned: the end"):
        Clone(ADDRESS, environ, tmp_path / "clone").finish()


def test_what_stays_behind_with_the_pipe_open_holds_up_nobody(tmp_path: Path) -> None:
    environ = git(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child; exit 0")
    begun = time.monotonic()
    Clone(ADDRESS, environ, tmp_path / "clone", seconds=30).finish()
    assert time.monotonic() - begun < 10
    os.kill(int((tmp_path / "child").read_text("ascii")), 15)


def test_some_clones_run_ahead_and_none_is_left_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clones, "AHEAD", 2)
    environ = git(tmp_path, f'case "$*" in *hang*) echo $$ > {tmp_path}/pid; sleep 60;; *) exit 1;; esac')
    named = [places.parse(f"https://h/{name}") for name in ("a", "hang", "b", "c")]
    with Visits(named, environ, tmp_path) as visits:
        with pytest.raises(UnavailableError, match="https://h/a could not be cloned"), visits.opened(0):
            pass
        for _ in range(500):
            if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text("ascii"):
                break
            time.sleep(0.01)
        assert list(visits._clones) == [1]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text("ascii")), 0)


def test_without_git_it_is_said(tmp_path: Path) -> None:
    visits = Visits([ADDRESS], {"PATH": str(tmp_path)}, tmp_path)
    with pytest.raises(UnavailableError, match="git is not on the PATH"), visits.opened(0):
        pass
