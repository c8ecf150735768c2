"""The daemon between git and its keys: how it lives, what it leaves behind, and what no ill treatment makes it do."""

from __future__ import annotations

import contextlib
import json
import os
import plistlib
import resource
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest import cms, gitobject, verify
from attest import home as homes
from attest.types import StepStatus
from notme_git.daemon import client, place
from notme_git.daemon.protocol import CONTROL, Reply, Request
from tests.compat.conftest import AGENT, HUMAN, KEY, SCRIPTS, SUMMARY, Sandbox, copy, found, machine, without_daemon
from tests.peers import SEARCH, peer

GOOD = f"G {SUMMARY}"
PATIENCE_S = 10.0


def ask(sandbox: Sandbox, request: Request) -> Reply:
    return client.exchange(client.address(sandbox.home, {}), request)


def status(sandbox: Sandbox) -> dict[str, Any]:
    """What the running daemon says of itself."""
    found: dict[str, Any] = json.loads(ask(sandbox, Request(CONTROL, ("status",))).events[0][1])
    return found


def pid(sandbox: Sandbox) -> int:
    return int(status(sandbox)["pid"])


def until(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def alive(number: int) -> bool:
    """Whether a process runs; a zombie, which nobody but its parent can end, does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(number: int) -> None:
    os.kill(number, signal.SIGKILL)
    assert until(lambda: not alive(number))


def signing(sandbox: Sandbox, payload: bytes) -> Request:
    return Request("gpgsm", ("--status-fd=2", "-bsau", KEY), stdin=payload, cwd=str(sandbox.repo))


def payload(sandbox: Sandbox, number: int = 0) -> bytes:
    """A commit's bytes with the time there is now."""
    now = int(time.time())
    who = f"{AGENT} <{sandbox.address}> {now} +0000"
    tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    return f"tree {tree}\nauthor {who}\ncommitter {who}\n\nchange {number}\n".encode()


def holds(sandbox: Sandbox, armour: bytes, content: bytes) -> bool:
    """Whether this machine's verifier proves a detached signature over `content` in steps 2 to 7."""
    trusted = homes.read_trust(sandbox.home)
    examined = verify.examine_signature(armour, content, trusted, at=datetime.now(UTC), git=True)
    return all(f.status is StepStatus.PROVEN for f in examined.findings[1:7])


def certificate(sandbox: Sandbox, rev: str = "HEAD", *, cwd: Path | None = None) -> bytes:
    """The certificate that signed a commit: two signatures of one daemon have the same one."""
    raw = sandbox.git("cat-file", "commit", rev, cwd=cwd).out
    found = gitobject.parse_commit(raw, gitobject.ObjectFormat.SHA1).signature
    assert found is not None
    return cms.parse(cms.ARMOUR.open(found.armour)).signer.tbs_certificate_bytes


def repository(sandbox: Sandbox, name: str) -> Path:
    """Another repository that is set up like the first, without its commits."""
    place = sandbox.root / name
    (place / ".git").mkdir(parents=True)
    for part in ("HEAD", "config"):
        shutil.copy(sandbox.repo / ".git" / part, place / ".git" / part)
    for part in ("objects", "refs"):
        (place / ".git" / part).mkdir()
    return place


@pytest.fixture
def running(sandbox: Sandbox) -> Sandbox:
    """A machine whose daemon has signed once."""
    sandbox.commit("first")
    return sandbox


# -- its life


def test_it_is_started_shown_and_stopped(sandbox: Sandbox) -> None:
    absent = sandbox.notme("daemon", "status", status=1)
    assert absent.text == f"no daemon of {sandbox.home} is running"
    assert sandbox.notme("daemon", "status", "--json", status=1).json == {"pid": None, "home": str(sandbox.home)}
    started = sandbox.notme("daemon", "start", "--json").json
    assert sandbox.notme("daemon", "start").text == f"daemon {started['pid']} signs for {sandbox.home}"
    sandbox.commit()
    shown = sandbox.notme("daemon", "status", "--json").json
    assert (shown["pid"], shown["signatures"], shown["credentials"]) == (started["pid"], 1, 1)
    assert 0 < shown["anonymousKiB"] < shown["memoryKiB"] < 128 * 1024
    assert 0 < shown["medianMicroseconds"] < 1_000_000
    words = sandbox.notme("daemon", "status").text
    assert words.startswith(f"daemon {started['pid']}, version ")
    assert "  1 signature made (" in words
    assert "core files: none; readable by debuggers of this user: no" in words
    assert sandbox.notme("daemon", "stop").text == f"stopped {started['pid']}"
    assert until(lambda: not alive(started["pid"]))
    assert not (sandbox.home / "daemon" / "address").exists()
    assert sandbox.notme("daemon", "stop").text == "no daemon was running"
    assert sandbox.notme("daemon", "stop", "--json").json == {"stopped": None}


def test_git_starts_it_and_the_next_commit_finds_it(sandbox: Sandbox) -> None:
    sandbox.commit()
    first = pid(sandbox)
    sandbox.commit()
    assert sandbox.shows() == GOOD
    now = status(sandbox)
    assert (now["pid"], now["signatures"], now["credentials"]) == (first, 2, 1)


def test_it_ends_when_nobody_has_called_for_its_idle_time(sandbox: Sandbox) -> None:
    sandbox.notme("daemon", "start", "--idle", "1")
    number, address = pid(sandbox), Path(client.address(sandbox.home, {}))
    assert until(lambda: not alive(number))
    assert not address.exists()
    assert not (sandbox.home / "daemon" / "address").exists()
    sandbox.commit()
    assert sandbox.shows() == GOOD


def test_twenty_clients_that_race_to_start_it_get_one_daemon(sandbox: Sandbox) -> None:
    repositories = [repository(sandbox, f"repo {number}") for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda repo: sandbox.commit(cwd=repo), repositories))
    assert len({certificate(sandbox, cwd=repo) for repo in repositories}) == 1
    assert status(sandbox)["signatures"] == 20
    held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    inode = str((sandbox.home / "daemon" / "lock").stat().st_ino)
    assert [int(words[4]) for words in held if words[5].endswith(":" + inode)] == [pid(sandbox)]


def test_the_daemons_of_two_homes_never_mix(running: Sandbox, tmp_path: Path) -> None:
    other = found(machine(tmp_path / "other"))
    for sandbox in (other, running, other, running):
        sandbox.commit()
    assert pid(running) != pid(other)
    assert (status(running)["signatures"], status(other)["signatures"]) == (3, 2)
    for sandbox, stranger in ((running, other), (other, running)):
        assert sandbox.verdict()["outcome"] == "accepted"
        seen = stranger.attest("verify", "HEAD", "--repo", sandbox.repo, "--json", status=1).json
        assert seen["outcome"] == "rejected"


def test_a_signature_asked_for_inside_a_hook_comes_from_a_daemon_that_outlives_the_hook(sandbox: Sandbox) -> None:
    """git gives a hook GIT_DIR and waits for the end of its descriptors."""
    inner = repository(sandbox, "inner")
    hook = sandbox.repo / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    there = f"unset GIT_DIR GIT_INDEX_FILE\ncd {shlex.quote(str(inner))}"
    hook.write_text(f"#!/bin/sh\n{there} && git commit -q --allow-empty -m x\n")
    hook.chmod(0o755)
    sandbox.commit()
    assert sandbox.shows() == sandbox.shows(cwd=inner) == GOOD
    assert status(sandbox)["signatures"] == 2


# -- what it holds back


def test_it_keeps_no_descriptor_directory_or_session_of_whoever_started_it(sandbox: Sandbox) -> None:
    began = time.monotonic()
    sandbox.commit()  # `Sandbox.run` reads stdout and stderr to their ends
    assert time.monotonic() - began < PATIENCE_S
    number = pid(sandbox)
    assert os.getsid(number) == number
    limits = Path(f"/proc/{number}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    assert status(sandbox)["hardening"]["dumpable"] == "no"
    if os.getuid():
        with pytest.raises(PermissionError):
            Path(f"/proc/{number}/environ").read_bytes()
    else:
        assert os.readlink(f"/proc/{number}/cwd") == "/"
        ends = {entry.name: os.readlink(entry) for entry in Path(f"/proc/{number}/fd").iterdir()}
        assert {ends[name] for name in "012"} == {"/dev/null"}
        opened = {end for name, end in ends.items() if name not in "012"}
        kinds = ("socket:", "anon_inode:", str(sandbox.home))
        assert all(end.startswith(kinds) for end in opened), opened


def test_no_key_is_in_its_arguments_or_environment(running: Sandbox) -> None:
    number = pid(running)
    command = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
    assert command[1:5] == [b"-I", b"-m", b"notme_git", b"daemon-serve"]
    assert command[5] == b"--ready"
    with contextlib.suppress(PermissionError):  # another user's own processes are root's to read
        environ = Path(f"/proc/{number}/environ").read_bytes().split(b"\0")
        assert {entry.split(b"=")[0].decode() for entry in environ if entry} <= set(client.ENVIRONMENT)


def test_of_a_hostile_environment_it_keeps_the_allow_list_alone(sandbox: Sandbox, tmp_path: Path) -> None:
    told = tmp_path / "environ.json"
    program = tmp_path / "python"
    program.write_text(
        f"#!{sys.executable} -IS\nimport json, os, sys\n"
        f"json.dump(dict(os.environ), open({str(told)!r}, 'w'))\nos.write(int(sys.argv[-1]), b'ready')\n"
    )
    program.chmod(0o755)
    marks = {"PYTHONPATH": "/x", "PYTHONSTARTUP": "/x", "LD_PRELOAD_X": "/x", "GIT_DIR": "/x", "GIT_CONFIG_COUNT": "0",
             "NOTME_SOCKET": "", "CLAUDECODE": "1", "TOKEN": "secret", "SSH_AUTH_SOCK": "/x"}  # fmt: skip
    client.start(sandbox.home, environ={**sandbox.environ, **marks}, python=str(program))
    kept = json.loads(told.read_text())
    kept.pop("LC_CTYPE", None)  # Python sets it where nothing else does (PEP 538)
    wanted = {name: sandbox.environ[name] for name in client.ENVIRONMENT if name in sandbox.environ}
    assert kept == wanted | {"NOTME_HOME": str(sandbox.home)}


def test_a_module_in_its_starters_way_is_not_imported(sandbox: Sandbox, tmp_path: Path) -> None:
    mark = tmp_path / "imported"
    for name in ("sitecustomize", "posix", "notme_git", "attest", "socket", "notme_shim"):
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\n")
        shutil.copy(tmp_path / f"{name}.py", sandbox.repo)
    startup = str(tmp_path / "attest.py")
    sandbox.commit(environ={"PYTHONPATH": str(tmp_path), "PYTHONHOME": "", "PYTHONSTARTUP": startup})
    assert sandbox.shows() == GOOD
    assert status(sandbox)["signatures"] == 1
    assert not mark.exists()


# -- what counts at once


def test_a_grant_that_is_revoked_while_it_runs_counts_at_the_next_signature(running: Sandbox) -> None:
    before, number = running.rev("HEAD"), pid(running)
    running.notme("grant", "revoke", AGENT)
    refused = running.commit(status=128)
    assert "has no grant" in refused.err or "revoked" in refused.err
    assert (running.rev("HEAD"), pid(running)) == (before, number)
    running.notme("grant", "add", AGENT, "--email", running.address)
    running.commit()
    assert (running.shows(), pid(running)) == (GOOD, number)


def test_an_epoch_that_is_rotated_while_it_runs_counts_at_the_next_signature(running: Sandbox) -> None:
    number, first = pid(running), certificate(running)
    running.notme("epoch", "rotate")
    running.commit()
    assert pid(running) == number
    assert certificate(running) != first
    verdict = running.verdict()
    assert (verdict["outcome"], verdict["identity"]["epoch"]) == ("accepted", 2)


def test_another_authority_in_the_place_of_the_one_it_opened_counts_at_the_next_signature(
    running: Sandbox, tmp_path: Path
) -> None:
    other, number = found(machine(tmp_path / "other")), pid(running)
    os.rename(running.home / "authority", running.root / "old")
    os.rename(other.home / "authority", running.home / "authority")
    before = running.rev("HEAD")
    running.commit(status=128)  # in the name of an agent that this authority does not know
    assert running.rev("HEAD") == before
    running.commit(environ={f"GIT_{role}_EMAIL": other.address for role in ("AUTHOR", "COMMITTER")})
    assert running.verdict()["outcome"] == "accepted"
    assert running.verdict("HEAD~", status=1)["outcome"] == "rejected"
    assert pid(running) != number


def test_an_authority_that_is_taken_away_takes_the_signatures_with_it(running: Sandbox) -> None:
    os.rename(running.home / "authority", running.root / "old")
    before = running.rev("HEAD")
    running.commit(status=128)
    assert running.rev("HEAD") == before
    os.rename(running.root / "old", running.home / "authority")
    running.commit()
    assert running.shows() == GOOD


def test_with_a_clock_that_was_set_back_it_refuses(sandbox: Sandbox) -> None:
    """The bundle says when the authority knew its epochs: a signature before that would be wrong."""
    offset = sandbox.root / "offset"
    offset.write_text("+0")
    environ = {"FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1"}
    command = [str(SCRIPTS / "notme-git"), "daemon", "start", "--foreground"]
    probe = sandbox.run(peer("faketime"), "-f", "+0", "env").text.splitlines()
    environ |= dict(line.split("=", 1) for line in probe if line.startswith("LD_PRELOAD="))
    with subprocess.Popen(command, env={**sandbox.environ, **environ}, stderr=subprocess.PIPE) as daemon:
        try:
            assert until((sandbox.home / "daemon" / "address").exists)
            sandbox.commit()
            assert sandbox.shows() == GOOD
            offset.write_text("-1d")
            before = sandbox.rev("HEAD")
            sandbox.commit(status=128)
            assert sandbox.rev("HEAD") == before
            offset.write_text("+0")
            sandbox.commit()
            assert sandbox.shows() == GOOD
        finally:
            daemon.kill()


# -- ill treatment


def test_a_socket_and_an_address_that_a_killed_daemon_left_are_replaced(running: Sandbox) -> None:
    number = pid(running)
    kill(number)
    assert Path(client.address(running.home, {})).is_socket()
    running.commit()
    assert running.shows() == GOOD
    assert pid(running) != number


@pytest.mark.parametrize(
    "what", ["nothing", "a directory", "a file", "a socket that hangs up", "noise", "too long", "empty"]
)
def test_an_address_that_names_something_else_costs_a_new_daemon_and_no_commit(running: Sandbox, what: str) -> None:
    kill(pid(running))
    decoy, address = running.root / "run" / "decoy", running.home / "daemon" / "address"
    with socket.socket(socket.AF_UNIX) as listener:
        if what == "a directory":
            decoy.mkdir()
        elif what == "a file":
            decoy.write_text("")
        elif what == "a socket that hangs up":
            decoy = Path(shorter(running), "decoy")
            listener.bind(str(decoy))
            listener.listen()
            threading.Thread(target=hang_up, args=(listener,), daemon=True).start()
        named = {"noise": b"\xff\n\1", "too long": b"/" + b"x" * 300, "empty": b""}
        address.write_bytes(named.get(what, os.fsencode(decoy)))
        running.commit()
    assert running.shows() == GOOD
    assert status(running)["signatures"] == 1


def hang_up(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            listener.accept()[0].close()


def shorter(sandbox: Sandbox) -> Path:
    """A folder whose path leaves room for a socket's name."""
    return place.runtime_folder(sandbox.home, sandbox.environ)


@contextlib.contextmanager
def old_daemon(sandbox: Sandbox, answer: bytes) -> Iterator[list[bytes]]:
    """Whoever listens at the home's address and says `answer` to everything; yields what it was asked."""
    (sandbox.home / "daemon").mkdir(mode=0o700, exist_ok=True)
    asked: list[bytes] = []
    path = shorter(sandbox) / "old"
    with socket.socket(socket.AF_UNIX) as listener, place.alone(sandbox.home):
        listener.bind(str(path))
        listener.listen()
        place.publish(sandbox.home, path)

        def serve() -> None:
            while True:
                try:
                    caller, _ = listener.accept()
                except OSError:
                    return
                with caller, contextlib.suppress(OSError):  # one that only looks whether anybody listens
                    asked.append(caller.recv(1 << 20))
                    caller.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [b"\x00\0\0\0\4old!", b"\x02" + Reply(0).encode()[1:], b"\x01\xff\xff\xff\xff", b"\x01\0\0\0\x09", b"\x01\0"],
    ids=["an older version", "a newer version", "too long", "cut off", "half a head"],
)
def test_a_daemon_of_another_version_signs_nothing_and_stops_nothing(sandbox: Sandbox, answer: bytes) -> None:
    with old_daemon(sandbox, answer) as asked:
        sandbox.commit()
        assert sandbox.shows() == GOOD  # asks for a verification on the way
    assert len(asked) >= 2


def test_a_daemon_that_is_killed_between_requests_costs_no_commit(running: Sandbox) -> None:
    for number in range(3):
        kill(pid(running))
        running.commit(f"{number}")
        assert running.shows() == GOOD
    assert running.git("rev-list", "--count", "HEAD").text == "4"


def test_a_daemon_that_is_killed_in_the_middle_of_a_request_costs_no_commit(running: Sandbox) -> None:
    number = pid(running)
    os.kill(number, signal.SIGSTOP)
    with pushed(running) as commit:
        time.sleep(0.3)  # until the request is in its socket
        assert commit.poll() is None
        kill(number)
        assert commit.wait(PATIENCE_S) == 0
    assert running.shows() == GOOD
    assert running.git("rev-list", "--count", "HEAD").text == "2"


@contextlib.contextmanager
def pushed(sandbox: Sandbox) -> Iterator[subprocess.Popen[bytes]]:
    """A commit that is being made."""
    command = [str(peer("git")), "commit", "-q", "--allow-empty", "-m", "pushed"]
    with subprocess.Popen(command, cwd=sandbox.repo, env=sandbox.environ) as process:
        yield process


def test_a_full_backlog_delays_a_commit_and_loses_none(running: Sandbox) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    number, address, idlers = pid(running), client.address(running.home, {}), list[socket.socket]()
    os.kill(number, signal.SIGSTOP)
    try:
        with contextlib.suppress(BlockingIOError):
            for _ in range(place.BACKLOG + 2):
                idler = socket.socket(socket.AF_UNIX)
                idler.setblocking(False)
                idlers.append(idler)
                idler.connect(address)
        assert len(idlers) > 100
        with pushed(running) as commit:
            time.sleep(0.3)
            assert commit.poll() is None
            os.kill(number, signal.SIGCONT)
            for idler in idlers:
                idler.close()
            assert commit.wait(PATIENCE_S) == 0
    finally:
        os.kill(number, signal.SIGCONT)
        for idler in idlers:
            idler.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (running.shows(), pid(running)) == (GOOD, number)


def test_a_hundred_signatures_asked_for_at_once_are_each_over_their_own_content(running: Sandbox) -> None:
    payloads = [payload(running, number) for number in range(100)]
    with ThreadPoolExecutor(100) as pool:
        replies = list(pool.map(lambda content: ask(running, signing(running, content)), payloads))
    assert {reply.status for reply in replies} == {0}
    for content, reply in zip(payloads, replies, strict=True):
        assert holds(running, dict(reply.events)["1"], content)
    assert status(running)["signatures"] == 101


def test_clients_that_say_nothing_or_half_of_it_keep_nobody_waiting(running: Sandbox) -> None:
    number, address, callers = pid(running), client.address(running.home, {}), list[socket.socket]()
    whole = signing(running, payload(running)).encode()
    noise = (b"\x01\x7f\xff\xff\xff", b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 9)
    for said in (b"", whole[:1], whole[:5], whole[:-1], *noise):
        for _ in range(8):
            caller = socket.socket(socket.AF_UNIX)
            caller.connect(address)
            caller.sendall(said)
            callers.append(caller)
    running.commit()
    assert (running.shows(), pid(running)) == (GOOD, number)
    for caller in callers:
        caller.close()
    running.commit()
    assert (running.shows(), pid(running)) == (GOOD, number)
    assert status(running)["signatures"] == 3


def test_half_a_request_signs_nothing(running: Sandbox) -> None:
    whole = signing(running, payload(running)).encode()
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(client.address(running.home, {}))
        caller.sendall(whole[:-1])
        caller.shutdown(socket.SHUT_WR)
        assert caller.recv(1) == b""
    assert status(running)["signatures"] == 1


# -- without it


def test_a_signature_made_without_a_daemon_has_the_same_form(running: Sandbox, tmp_path: Path) -> None:
    alone = without_daemon(copy(running, tmp_path / "alone"))
    shapes = []
    for sandbox in (running, alone):
        sandbox.commit("second")
        raw = sandbox.git("cat-file", "commit", "HEAD").out
        signature = gitobject.parse_commit(raw, gitobject.ObjectFormat.SHA1).signature
        assert signature is not None
        message = cms.parse(cms.ARMOUR.open(signature.armour))
        headers = [line.split(b" ")[0] for line in raw.partition(b"gpgsig")[0].splitlines()]
        shapes.append((signature.format, headers, message.algorithm, len(message.others), len(message.timestamps),
                       [e.oid for e in message.signer.extensions]))  # fmt: skip
        assert sandbox.shows() == GOOD
    assert shapes[0] == shapes[1]
    assert not (alone.home / "daemon" / "address").exists()


@pytest.mark.parametrize(
    ("key", "content"),
    [("notme:nobody", None), ("notme:", None), (KEY, b"login\n"), (KEY, b"")],
    ids=["no grant", "no agent", "no object", "nothing"],
)
def test_a_refusal_without_a_daemon_reads_and_ends_the_same(
    running: Sandbox, tmp_path: Path, key: str, content: bytes | None
) -> None:
    alone = without_daemon(copy(running, tmp_path / "alone"))
    said = [s.sign(payload(running) if content is None else content, key=key, status=None) for s in (running, alone)]
    assert said[0].status != 0
    assert said[0].out == b""
    assert said[0] == said[1]


# -- service managers


def test_the_systemd_unit_holds_for_systemd_and_runs(sandbox: Sandbox) -> None:
    installed = sandbox.notme("daemon", "unit", "--for", "systemd", "--install").text.splitlines()
    unit = sandbox.user / ".config" / "systemd" / "user" / "notme-git.service"
    assert installed == [f"written to {unit}", "next: systemctl --user enable --now notme-git.service"]
    text = unit.read_text()
    assert text == sandbox.notme("daemon", "unit", "--for", "systemd").out.decode()
    if judge := shutil.which("systemd-analyze", path=SEARCH):
        checked = sandbox.run(judge, "verify", "--user", "--man=no", unit, status=None)
        assert "notme-git.service" not in checked.err, checked.err
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    quoted = [lines[name].replace("%%", "%").replace("$$", "$") for name in ("Environment", "ExecStart")]
    environ, command = map(shlex.split, quoted)
    assert environ == [f"NOTME_HOME={sandbox.home}"]
    serves_until_ended(sandbox, command)


def test_the_launchd_list_holds_and_runs(sandbox: Sandbox) -> None:
    sandbox.notme("daemon", "unit", "--for", "launchd", "--install")
    file = sandbox.user / "Library" / "LaunchAgents" / "bot.notme.git.plist"
    read = plistlib.loads(file.read_bytes())
    assert plistlib.loads(plistlib.dumps(read)) == read
    assert read["EnvironmentVariables"] == {"NOTME_HOME": str(sandbox.home)}
    assert read["HardResourceLimits"] == {"Core": 0}
    serves_until_ended(sandbox, read["ProgramArguments"])


def serves_until_ended(sandbox: Sandbox, command: list[str]) -> None:
    """What a service manager runs stays in the foreground, signs, and ends with 0 when it is told to."""
    with subprocess.Popen(command, env=sandbox.environ, stderr=subprocess.PIPE) as daemon:
        try:
            assert until((sandbox.home / "daemon" / "address").exists)
            sandbox.commit()
            assert pid(sandbox) == daemon.pid
            assert status(sandbox)["idleSecondsLeft"] is None
            daemon.terminate()
            assert daemon.wait(PATIENCE_S) == 0
        finally:
            daemon.kill()
    assert sandbox.shows() == GOOD
    assert HUMAN.split()[0] in sandbox.shows()
