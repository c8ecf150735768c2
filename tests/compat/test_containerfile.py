"""The Containerfile, step by step without a container engine: what it copies, runs and starts, in a folder of its own.

The image's file system is a folder: paths of the file are put below it. Nothing is fetched: pip finds what the
environment that runs the tests has, in the versions that the lock names.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.compat.conftest import SECONDS
from tests.compat.test_packaging import BASE, closure
from tests.peers import ROOT

EXTRA = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]["authority"]
OWNER = "10001:10001"


@dataclass(slots=True)
class Image:
    """A folder in place of an image, and what its file has set so far."""

    root: Path
    port: int
    folder: str = "/"
    user: str = "root"
    environ: dict[str, str] = field(default_factory=dict)
    health: list[str] = field(default_factory=list)
    entry: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def inside(self, text: str) -> str:
        """The same words for this machine: absolute paths lie below the root, the port is a free one."""
        moved = re.sub(r"(?<![\w:/.*\\])/(src|wheels|var)\b", rf"{self.root}/\1", text)
        return moved.replace("8788", str(self.port)).replace("0.0.0.0", "127.0.0.1")

    def run(self, *command: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command as a step would, and insist that it ends well."""
        done = subprocess.run(
            command, cwd=self.at(self.folder), env=environ or self.all(), capture_output=True, text=True,
            timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def at(self, path: str) -> Path:
        return self.root / path.removeprefix("/")

    def all(self) -> dict[str, str]:
        return {
            "PATH": f"{self.root}/python/bin:{os.defpath}",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's own word for it: no isolation
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            **{name: self.inside(value) for name, value in self.environ.items()},
        }

    def step(self, word: str, rest: str) -> None:
        """Do what one instruction says."""
        match word:
            case "WORKDIR":
                self.folder = rest
                self.at(rest).mkdir()
            case "COPY":
                _copy(self, rest)
            case "RUN":
                self.run("sh", "-euc", self.inside(rest))
            case "ENV":
                self.environ |= dict(pair.split("=", 1) for pair in rest.replace("${BUILD_SHA}", "").split())
            case "FROM":
                self.folder = "/"
            case "HEALTHCHECK":
                self.health = json.loads(self.inside(rest[rest.index("CMD ") + 4 :]))
            case "ENTRYPOINT":
                self.entry = json.loads(rest)
            case "CMD":
                self.command = json.loads(self.inside(rest))
            case "USER":
                self.user = rest
            case "ARG" | "EXPOSE" | "VOLUME":
                pass
            case _:
                pytest.fail(f"no such step here: {word}")


def steps() -> list[tuple[str, str]]:
    text = "\n".join(line for line in (ROOT / "Containerfile").read_text("utf-8").splitlines() if line[:1] != "#")
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def _copy(image: Image, what: str) -> None:
    """`COPY . .` takes what `.dockerignore` lets in; from the stage before, the folder is there already."""
    if what.startswith("--from="):
        return
    assert what == ". ."
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for name in (line[1:] for line in lines if line.startswith("!")):
        source, target = ROOT / name, image.at(image.folder) / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """A folder with an interpreter, pip, what is installed here, and a chown that writes down what it is asked."""
    venv.create(tmp_path / "python", with_pip=False)
    programs = tmp_path / "python" / "bin"
    site = subprocess.run(
        [programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for distribution in closure([*BASE, *EXTRA, "hatchling", "pip"]):
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            linked = Path(site.stdout.strip()) / top
            if not linked.is_symlink():  # a namespace's folder is that of all its distributions
                linked.symlink_to(str(distribution.locate_file(top)))
    scripts = {"pip": 'exec python -m pip "$@"', "chown": f'echo "$1" >{shlex.quote(str(tmp_path))}/owner'}
    for name, body in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    for folder in ("wheels", "var/lib"):
        (tmp_path / folder).mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        return Image(tmp_path, free.getsockname()[1])


def test_every_step_works_and_what_is_started_is_healthy_and_not_root(image: Image) -> None:
    for word, rest in steps():
        image.step(word, rest)
    assert not (image.root / "wheels").exists()
    assert (image.root / "owner").read_text().strip() == image.user == OWNER
    home = image.root / "var" / "lib" / "notme"
    assert home.stat().st_mode & 0o777 == 0o700
    assert list(home.iterdir()) == []
    image.run(*image.entry, "init", "--url", "https://a.example", "--key-store", "file")
    command = [*image.entry, *image.command]
    served = subprocess.Popen(command, env=image.all(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert served.stdout
        assert b"serves https://a.example" in served.stdout.readline()
        image.run(*image.health)
        served.terminate()
        assert served.wait(SECONDS) == 0
        with pytest.raises(AssertionError, match="refused"):
            image.run(*image.health)
    finally:
        served.kill()
        served.communicate()


def test_what_is_started_is_not_open_to_all_before_it_has_a_public_origin() -> None:
    words = dict(steps())
    environ = {"NOTME_HOME": "/nonexistent", "PATH": os.environ["PATH"]}
    _, *entry = json.loads(words["ENTRYPOINT"])
    command = [sys.executable, "-m", "notme_git", *entry, *json.loads(words["CMD"])]
    refused = subprocess.run(
        command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    assert refused.returncode != 0
    assert "--url https://" in refused.stderr


def test_the_constraints_are_the_whole_lock(tmp_path: Path) -> None:
    (line,) = [rest for word, rest in steps() if word == "RUN" and rest.startswith("sed")]
    made = tmp_path / "constraints.txt"
    command = line.replace("requirements.lock", str(ROOT / "requirements.lock"))
    subprocess.run(["sh", "-euc", command.replace("/wheels/constraints.txt", str(made))], check=True)
    names = [text for text in (ROOT / "requirements.lock").read_text("utf-8").splitlines() if "==" in text]
    assert len(made.read_text().splitlines()) == len(names) > len(EXTRA)


def test_nothing_that_is_secret_or_local_gets_in() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert [line for line in lines if line and line[0] not in "#!"] == ["*", "**/__pycache__"]
    assert not re.search(r"(?i)(kek|secret|token|password|private)\w*=", (ROOT / "Containerfile").read_text("utf-8"))
