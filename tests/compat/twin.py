"""One call twice: by a real program, and by ours in its place."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.compat.conftest import SCRIPTS
from tests.peers import SEARCH, peer

SECONDS = 60
NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True)
class Outcome:
    """All that a caller can see of a call: how it ended, what it printed, what it left."""

    status: int
    out: bytes
    err: bytes
    files: dict[str, tuple[int, bytes]]


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file in a folder."""
    found = sorted(place for place in folder.iterdir() if place.is_file())
    return {place.name: (place.stat().st_mode, place.read_bytes()) for place in found}


def environment(more: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": SEARCH, "HOME": os.environ["HOME"], "LC_ALL": "C.UTF-8", "TZ": "UTC", **more}


def run(folder: Path, *command: str | Path, stdin: bytes = b"", environ: Mapping[str, str] = NOTHING) -> Outcome:
    """Run a command without a terminal; ssh-keygen would ask there."""
    ended = subprocess.run(
        command, cwd=folder, env=environment(environ), input=stdin, capture_output=True, timeout=SECONDS,
        start_new_session=True, check=False,
    )  # fmt: skip
    return Outcome(ended.returncode, ended.stdout, ended.stderr, files(folder))


def made(folder: Path, *command: str | Path, stdin: bytes = b"", environ: Mapping[str, str] = NOTHING) -> bytes:
    """The output of a command that has to succeed."""
    outcome = run(folder, *command, stdin=stdin, environ=environ)
    assert outcome.status == 0, (command, outcome.err)
    return outcome.out


def twin(
    program: str,
    folder: Path,
    tmp_path: Path,
    *arguments: str,
    stdin: bytes = b"",
    environ: Mapping[str, str] = NOTHING,
) -> tuple[Outcome, Outcome]:
    """The same call by the real program and by ours, each in its copy of the folder."""
    real, ours = tmp_path / "real" / "keys", tmp_path / "ours" / "keys"
    for place in (real, ours):
        shutil.copytree(folder, place)
    return (
        run(real, peer(program), *arguments, stdin=stdin, environ=environ),
        run(ours, SCRIPTS / "notme-git", program, *arguments, stdin=stdin, environ=environ),
    )
