"""A machine in a folder: a user, a home with an authority and one grant, and a repository that git signs in.

Made once a run with the console scripts, and copied for each test that asks for a `sandbox`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from notme_git import shimfile
from notme_git.daemon import client
from notme_git.daemon import place as places
from tests.compat import warm
from tests.disk import unsynced
from tests.peers import SEARCH, peer

SCRIPTS = Path(sys.executable).parent
AGENT = "claude-code"
HUMAN = "Alice Example <alice@example.org>"
SUMMARY = f"{AGENT} for {HUMAN} (same-user, self-asserted)"
KEY = f"notme:{AGENT}"
OF_PROCESSES = [(each,) for each in ("broker", "daemon", "proxy", "run")]
"""Commands whose work is processes: they are real ones."""
SECONDS = 60
IDLE_S = 20
"""A daemon that a test forgot is gone after so long."""


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        """Standard output, without line ends at its end."""
        return self.out.decode().rstrip("\n")

    @property
    def json(self) -> Any:
        """Standard output, one JSON document."""
        return json.loads(self.out)


@dataclass(frozen=True)
class Sandbox:
    """One user's machine. `repo` is where commands run; every command gets `environ` and nothing else."""

    root: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return Path(self.environ["NOTME_HOME"])

    @property
    def user(self) -> Path:
        return self.root / "user"

    @property
    def repo(self) -> Path:
        return self.root / "repo"

    @property
    def shim(self) -> Path:
        return self.home / "bin" / "notme-x509"

    @property
    def keys(self) -> Path:
        return self.home / "authority" / "keys"

    @property
    def address(self) -> str:
        """The address of the agent, which was granted none."""
        return self.git("config", "author.email").text

    def run(
        self,
        *command: str | Path,
        cwd: Path | None = None,
        status: int | None = 0,
        stdin: bytes = b"",
        environ: Mapping[str, str] | None = None,
        real: bool = True,
    ) -> Done:
        """Run a command and insist on its exit status; None takes any. Not `real`: a console script, see `warm`."""
        wanted: dict[str, Any] = {
            "cwd": cwd or self.repo,
            "env": {**self.environ, **(environ or {})},
            "input": stdin,
            "timeout": SECONDS,
        }
        if real:
            ended = subprocess.run(command, capture_output=True, check=False, **wanted)
        else:
            ended = warm.run(command, **wanted)
        done = Done(ended.returncode, ended.stdout, ended.stderr.decode("utf-8", "replace"))
        assert status is None or done.status == status, f"{command}: {done}"
        return done

    def git(self, *arguments: str | Path, **options: Any) -> Done:
        return self.run(peer("git"), *arguments, **options)

    def notme(self, *arguments: str | Path, **options: Any) -> Done:
        real = options.pop("real", False) or arguments[:1] in OF_PROCESSES
        return self.run(SCRIPTS / "notme-git", *arguments, real=real, **options)

    def attest(self, *arguments: str | Path, **options: Any) -> Done:
        real = options.pop("real", False)
        return self.run(SCRIPTS / "notme-attest", *arguments, real=real, **options)

    def commit(self, message: str = "x", *arguments: str, **options: Any) -> Done:
        return self.git("commit", "-q", "--allow-empty", "-m", message, *arguments, **options)

    def unsigned(self, message: str = "x", *, who: str = "", **options: Any) -> str:
        """A commit without a signature, by `who` (`NAME <ADDRESS>`) or the agent; returns its id."""
        name, _, email = who.removesuffix(">").partition(" <")
        people = [f"{role}.{what}={value}" for role in ("author", "committer") for what, value in
                  (("name", name), ("email", email)) if who]  # fmt: skip
        configured = [word for item in ("commit.gpgsign=false", *people) for word in ("-c", item)]
        self.git(*configured, "commit", "-q", "--allow-empty", "-m", message, **options)
        return self.rev("HEAD", cwd=options.get("cwd"))

    def rev(self, name: str, *, cwd: Path | None = None) -> str:
        return self.git("rev-parse", "--verify", "-q", name, cwd=cwd, status=None).text

    def shows(self, rev: str = "HEAD", *, cwd: Path | None = None) -> str:
        """git's own word: `%G?` and `%GS`."""
        return self.git("log", "-1", "--format=%G? %GS", rev, cwd=cwd).text

    def verdict(self, rev: str = "HEAD", *options: str | Path, status: int = 0, **more: Any) -> Any:
        """The verdict of `notme-attest verify`, which must end with `status`."""
        return self.attest("verify", rev, "--json", *options, status=status, **more).json

    def sign(self, payload: bytes, *, key: str = KEY, **options: Any) -> Done:
        """Call the signing program as git does."""
        return self.run(self.shim, "--status-fd=2", "-bsau", key, stdin=payload, **options)

    def payload(self, *, author: str = "", committer: str = "", message: str = "subject") -> bytes:
        """A commit's bytes as git hands them to a signing program, by default by the agent."""
        agent = f"{AGENT} <{self.address}>"
        tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
        lines = [f"tree {tree}", f"author {author or agent} 1795442172 +0000",
                 f"committer {committer or agent} 1795442172 +0000", "", message, ""]  # fmt: skip
        return "\n".join(lines).encode()


def failed(verdict: Any) -> list[tuple[int, str]]:
    """Step and reason of every failed finding of a verdict."""
    return [(f["step"], f["reason"]) for f in verdict["findings"] if f["status"] == "failed"]


def machine(root: Path, *, home: Path | None = None) -> Sandbox:
    """An empty machine: a user without any configuration, an empty folder for a repository, no authority."""
    for folder in ("user", "repo", "run"):
        (root / folder).mkdir(parents=True, mode=0o700)
    environ = {
        "PATH": f"{SCRIPTS}{os.pathsep}{SEARCH}",
        "HOME": str(root / "user"),
        "NOTME_HOME": str(home or root / "home"),
        "XDG_RUNTIME_DIR": str(root / "run"),
        "NOTME_DAEMON_IDLE": str(IDLE_S),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_EDITOR": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    return Sandbox(root, environ)


def found(sandbox: Sandbox) -> Sandbox:
    """Make the authority, grant the agent, set up the repository."""
    sandbox.notme("init", "--key-store", "file", "--human", HUMAN)
    sandbox.notme("grant", "add", AGENT)
    sandbox.git("init", "-q", "-b", "main", ".")
    sandbox.notme("setup", "--agent", AGENT)
    return sandbox


def copy(template: Sandbox, root: Path) -> Sandbox:
    """The same machine elsewhere. What holds absolute paths is written again.

    Records of setups and of sessions, and the daemon's folder and sockets are left out.
    """
    left_out = shutil.ignore_patterns("setup", "daemon", "sessions", "notme-git-*")
    shutil.copytree(template.root, root, symlinks=True, ignore=left_out)
    made = Sandbox(root, {k: v.replace(str(template.root), str(root)) for k, v in template.environ.items()})
    with unsynced():
        shimfile.install(made.home, sys.executable)
    config = made.repo / ".git" / "config"
    config.write_bytes(config.read_bytes().replace(os.fsencode(template.root), os.fsencode(root)))
    return made


def without_daemon(sandbox: Sandbox) -> Sandbox:
    """Make it a machine on which no daemon can be started, so that whoever is called signs itself."""
    stop_daemons(sandbox.root)
    shutil.rmtree(sandbox.home / "daemon", ignore_errors=True)
    (sandbox.home / "daemon").write_bytes(b"")
    return sandbox


def stop_daemons(root: Path) -> None:
    """End the daemons of all homes below `root`, and remove their sockets: a long path has those in /tmp."""
    # os.walk passes over what goes away meanwhile; rglob does not.
    folders = [Path(folder) for folder, _, _ in os.walk(root)]
    for address in [folder / "address" for folder in folders if folder.name == "daemon"]:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as caller:
            place = os.fsdecode(address.read_bytes())
            caller.connect(place)
            _, pid = client.peer(caller)
            if pid not in (0, os.getpid()):  # of another namespace; a test that listens itself
                os.kill(pid, signal.SIGKILL)
                caller.settimeout(5)
                with contextlib.suppress(OSError):
                    caller.recv(1)  # the end, when the process has ended
    for authority in [folder for folder in folders if folder.name == "authority"]:
        folder = f"/tmp/notme-git-{places.name(authority.parent)}-{os.getuid()}"
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _warm() -> Iterator[None]:
    yield
    warm.end()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    peer("git")
    made = found(machine(tmp_path_factory.mktemp("template") / "machine"))
    yield made
    stop_daemons(made.root)


@pytest.fixture
def sandbox(template: Sandbox, tmp_path: Path) -> Iterator[Sandbox]:
    """A machine that is ready to sign, on a path with a blank and a quote."""
    yield copy(template, tmp_path / "Alice's machine")
    stop_daemons(tmp_path)


@pytest.fixture
def bare_machine(tmp_path: Path) -> Iterator[Sandbox]:
    """A machine without an authority."""
    peer("git")
    yield machine(tmp_path / "machine")
    stop_daemons(tmp_path)
