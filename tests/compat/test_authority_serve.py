"""`notme-git authority`: made, served by several processes, ended and killed, backed up and restored."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from notme_git.authority import kek
from tests.compat.conftest import SCRIPTS, SECONDS, Sandbox, machine

KEK, NEW_KEK = "k" * 40, "n" * 40


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    made = machine(tmp_path)
    for name, key in (("kek", KEK), ("new", NEW_KEK)):
        (made.root / name).write_text(f"{key}\n")
        (made.root / name).chmod(0o400)
    return made


@dataclass(frozen=True, slots=True)
class Serving:
    """A started server; `told` is its ready line."""

    process: subprocess.Popen[bytes]
    told: dict[str, Any]

    @property
    def workers(self) -> list[int]:
        """The processes it has forked, now."""
        pid = self.process.pid
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.told["url"] + path, timeout=SECONDS) as answer:
            return json.load(answer)

    def ended(self) -> tuple[int, str]:
        """Ask it to end; its status and what it said."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, said.decode()


@contextmanager
def serving(sandbox: Sandbox, *options: str, **environ: str) -> Iterator[Serving]:
    command: list[str | Path] = [SCRIPTS / "notme-git", "authority", "serve", "--port", "0", "--json", *options]
    process = subprocess.Popen(
        command,
        env={**sandbox.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line, process.communicate(timeout=SECONDS)[1].decode()
        yield Serving(process, json.loads(line))
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether there is such a process, and not only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_team_s_authority_is_made_encrypted_and_served_by_two_workers_until_sigterm(sandbox: Sandbox) -> None:
    made = sandbox.notme(
        "authority", "init", "--url", "https://a.example", "--organization", "Example",
        "--kek-file", str(sandbox.root / "kek"), "--json",
    )  # fmt: skip
    told = made.json
    assert (told["keyStore"], told["url"], told["organization"]["name"]) == (
        "encrypted",
        "https://a.example",
        "Example",
    )
    assert "PRIVATE KEY" in told["recoveryKey"]
    settings = sandbox.home / "authority" / "settings.toml"
    assert settings.stat().st_mode & 0o777 == 0o600
    with serving(sandbox, "--workers", "2") as server:
        assert server.told["url"] == "https://a.example"
        workers = server.workers
        assert len(workers) == 2
        status, said = server.ended()
    assert status == 0, said
    assert not any(map(alive, workers))
    assert KEK not in made.err + said


def test_the_first_serve_makes_the_authority_and_shows_its_recovery_key_once(sandbox: Sandbox) -> None:
    with serving(sandbox, "--key-store", "file") as server:
        assert server.get("/.well-known/signet-authority.json")
        _, said = server.ended()
    assert said.count("BEGIN PRIVATE KEY") == 1
    assert "can read the keys" in said
    with serving(sandbox) as server:
        assert server.get("/.well-known/signet-authority.json")
        _, said = server.ended()
    assert "PRIVATE KEY" not in said


def test_what_serves_leaves_no_core_file_and_is_not_read_by_other_processes_of_its_user(sandbox: Sandbox) -> None:
    with serving(sandbox, "--workers", "2", NOTME_KEK=KEK) as server:
        for pid in (server.process.pid, *server.workers):
            (core,) = [x for x in Path(f"/proc/{pid}/limits").read_text().splitlines() if x.startswith("Max core file")]
            assert core.split()[4:6] == ["0", "0"]
            assert Path(f"/proc/{pid}/environ").stat().st_uid == 0  # root's, as the process is not dumpable (proc(5))


def test_a_worker_that_is_killed_is_replaced_and_none_outlives_its_parent(sandbox: Sandbox) -> None:
    with serving(sandbox, "--key-store", "memory") as server:
        (worker,) = server.workers
        os.kill(worker, signal.SIGKILL)
        until(lambda: server.workers not in ([], [worker]))
        assert server.get("/.well-known/signet-authority.json")
        (worker,) = server.workers
        server.process.kill()
        until(lambda: not alive(worker))


def test_systemd_is_told_when_it_serves_and_when_it_ends(sandbox: Sandbox) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(sandbox.root / "notify"))
        told.settimeout(SECONDS)
        with serving(sandbox, "--key-store", "file", NOTIFY_SOCKET=str(sandbox.root / "notify")) as server:
            assert told.recv(100) == b"READY=1"
            assert server.ended()[0] == 0
            assert told.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--host", "0.0.0.0"], "no loopback address", id="open to all without TLS"),
        pytest.param(["--url", "http://a.example"], "only loopback may be without TLS", id="a URL without TLS"),
        pytest.param(["--key-store", "memory", "--workers", "2"], "one worker's", id="two workers, keys in memory"),
        pytest.param(["--key-store", "encrypted"], "no key-encryption key is named", id="encrypted under nothing"),
    ],
)
def test_what_is_not_served_is_refused_with_the_reason(sandbox: Sandbox, options: list[str], said: str) -> None:
    refused = sandbox.notme("authority", "serve", "--port", "0", *options, status=None)
    assert refused.status != 0
    assert said in refused.err
    assert "Traceback" not in refused.err


def test_a_key_encryption_key_in_the_environment_is_enough_and_a_wrong_one_is_named(sandbox: Sandbox) -> None:
    environ = {kek.VARIABLE: KEK}
    sandbox.notme("authority", "init", "--key-store", "encrypted", environ=environ)
    wrapped = sandbox.notme("authority", "rewrap", "--kek-file", sandbox.root / "new", environ=environ)
    assert wrapped.text.startswith("3 keys")
    wrong = sandbox.notme("epoch", "rotate", environ=environ, status=None)
    assert wrong.status != 0
    assert "another key-encryption key" in wrong.err
    refused = sandbox.notme("authority", "serve", "--port", "0", environ=environ, status=None)
    assert "another key-encryption key" in refused.err
    sandbox.notme("epoch", "rotate", environ={kek.FILE_VARIABLE: str(sandbox.root / "new")})
    assert sandbox.notme("authority", "status", "--json").json["epoch"] == 2


def test_a_backup_that_is_unpacked_elsewhere_is_the_same_authority(sandbox: Sandbox, tmp_path: Path) -> None:
    with serving(sandbox, "--key-store", "file") as server:
        anchors = server.get("/.well-known/jwks.json")
        made = sandbox.notme("authority", "backup", tmp_path / "backup.tar")
    assert "keep it as you would keep them" in made.err
    assert (tmp_path / "backup.tar").stat().st_mode & 0o777 == 0o600
    assert sandbox.notme("authority", "backup", tmp_path / "backup.tar", status=None).status != 0
    (tmp_path / "second").mkdir()
    other = machine(tmp_path / "second")
    (other.home / "authority").mkdir(parents=True, mode=0o700)
    with tarfile.open(tmp_path / "backup.tar") as tar:
        tar.extractall(other.home / "authority", filter="fully_trusted")
    with serving(other) as server:
        assert server.get("/.well-known/jwks.json") == anchors
    assert (other.home / "authority" / "anchors.pem").read_bytes() == (
        sandbox.home / "authority" / "anchors.pem"
    ).read_bytes()


def test_the_operator_s_code_is_printed_once_and_kept_as_a_hash(sandbox: Sandbox) -> None:
    sandbox.notme("authority", "init", "--key-store", "file")
    code = sandbox.notme("authority", "code", "--expires", "90s", "--json").json
    assert not code["recovery"]
    for file in (sandbox.home / "authority").glob("authority.db*"):
        assert code["code"].encode() not in file.read_bytes()
    assert sandbox.notme("authority", "code", "--expires", "25h", status=None).status != 0
