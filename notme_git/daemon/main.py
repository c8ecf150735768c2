"""`notme-git daemon-serve`: the process itself, from its first system call to its last.

It starts with an allow-listed environment (`client.ENVIRONMENT`), and gives up everything else it was born with:
its session, its directory, its descriptors. git waits for the end of our stderr, so a daemon that kept it open would
hold every `git commit` back until it ends.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attest.errors import Error, RefusedError, UsageError, as_error, exit_status
from attest.instants import rfc3339
from notme_git import __version__
from notme_git.config import Config, environment
from notme_git.daemon import agent_setting, client, ephemeral, hardening, place, protocol, serving
from notme_git.daemon.credential import Embedded, Signer, Source
from notme_git.daemon.protocol import Reply, Request
from notme_git.daemon.server import Peer, Server
from notme_git.daemon.ssh_agent import SshAgent
from notme_git.remote import ambient, source
from notme_git.session import record
from notme_git.tsa.always import Always

IDLE_S = 30 * 60.0
"""Long enough for an agent that thinks between two commits, short enough that a forgotten daemon is gone by lunch."""

MAX_IDLE_S = 24 * 3600.0

RACE_S = 5.0
"""How long one that is not the first waits for the other to listen, or to end."""

GARBAGE = 50_000
"""Objects before the collector looks: a signature leaves no cycles behind, and after many an error it still looks."""

SPENT = 512
"""So many signatures back, the status says what one took of the processor."""


def run(words: Sequence[str], command: Callable[[], int]) -> int:
    """Serve until stopped or idle. `--ready FD`: a socket to say there that we listen, or why not.

    `command` runs the command line in `sys.argv`: with an ephemeral authority some of it needs our keys.
    `--foreground`: as a service manager wants it, with its standard descriptors and without an idle time.
    """
    ready = int(words[words.index("--ready") + 1]) if "--ready" in words else -1
    foreground = "--foreground" in words
    human = words[words.index("--ephemeral") + 1] if "--ephemeral" in words else None
    if not foreground:
        detach(ready)
    try:
        config = Config.read()
        ambient.keep(os.environ)
        os.umask(0o077)
        with contextlib.ExitStack() as stack:
            if _is_first(stack, config.home, 0.0 if foreground else RACE_S):
                idle_s = math.inf if foreground else _idle(config.environ.get("NOTME_DAEMON_IDLE", ""))
                _serve(config, ready, idle_s, human, command)
            else:
                tell(ready, b"ready")
    except Exception as exception:
        error = as_error(exception)
        tell(ready, error.message.encode())
        if foreground:
            sys.stderr.write(f"notme-git: {error.message}\n")
        return exit_status(error)
    return 0


def _is_first(stack: contextlib.ExitStack, home: Path, patience_s: float) -> bool:
    """Hold the home's lock until `stack` ends; False if another daemon answers, which the client can ask as well.

    Several clients may start one at the same moment, or while another is ending.
    """
    end = time.monotonic() + patience_s
    while True:
        try:
            stack.enter_context(place.alone(home))
            return True
        except RefusedError:
            if time.monotonic() >= end:
                raise
        if client.listens(home):
            return False
        time.sleep(0.01)


def detach(ready: int) -> None:
    """Leave session, directory and descriptors behind, but for the standard ones and `ready`."""
    with contextlib.suppress(OSError):
        os.setsid()
    os.chdir("/")
    kept = sorted({0, 1, 2, ready} - {-1})
    for low, high in zip(kept, [*kept[1:], resource.getrlimit(resource.RLIMIT_NOFILE)[0]], strict=True):
        os.closerange(low + 1, high)


def tell(ready: int, what: bytes) -> None:
    """Say to the starter that we listen, or why not."""
    if ready >= 0:
        with contextlib.suppress(OSError), open(ready, "wb", buffering=0) as end:
            end.write(what)


def _serve(config: Config, ready: int, idle_s: float, human: str | None, command: Callable[[], int]) -> None:
    hardened = hardening.harden()
    if human is not None:
        ephemeral.found(config.home, human, config.at)
    else:
        ephemeral.check_alive(config.home)
    if ephemeral.holds(config.home):
        idle_s = math.inf  # its end is the authority's
    with contextlib.ExitStack() as stack:
        opening = stack.enter_context(source.opened(config.home))
        daemon = Daemon(config, opening, hardened, idle_s, command)
        if isinstance(opening, Embedded):
            authority = opening.authority
            stack.callback(lambda: ephemeral.end(authority, datetime.now(UTC)))
        stack.callback(daemon.signer.drop_all)
        address = place.runtime_folder(config.home, config.environ) / "sock"
        listener = place.listen(address)
        stack.callback(place.withdraw, config.home, address)
        stack.callback(listener.close)
        daemon.server.add(listener, daemon)
        if agent_setting.enabled(config.home):
            daemon.offer_ssh_agent()
        stack.callback(daemon.withdraw_ssh_agent)
        place.publish(config.home, address)
        daemon.published = place.Published.of(config.home, address)
        gc.freeze()  # what is there now is there for good: no collection has to look at it again
        gc.set_threshold(GARBAGE)
        daemon.server.run(lambda: tell(ready, b"ready"))


@dataclass(slots=True)
class Daemon:
    """The wire of the daemon's own socket: this user's calls by git, and its control."""

    config: Config
    source: Source
    hardened: dict[str, str]
    idle_s: float
    command: Callable[[], int]
    began: float = field(default_factory=time.monotonic)
    server: Server = field(init=False)
    signer: Signer = field(init=False)
    ssh_agent: str | None = None
    agent: SshAgent | None = None
    last_refusal: dict[str, Any] | None = None
    published: place.Published | None = None
    origin: tuple[int, ...] = field(init=False)
    forks: list[int] = field(default_factory=list)
    spent: deque[int] = field(default_factory=lambda: deque(maxlen=SPENT))
    head: int = protocol.HEAD_BYTES
    keep: bool = False

    def __post_init__(self) -> None:
        self.signer = Signer(self.config.home, self.source, Always.of(self.config.home, environment()))
        self.server = Server(idle_s=self.idle_s, sweep=self._sweep)
        self.origin = self._origin()

    def body_length(self, head: bytes) -> int:
        """See `server.Wire`."""
        return protocol.body_length(head)

    def admits(self, peer: Peer) -> bool:
        """This user and nobody else: not even root has business here."""
        return peer.uid == os.getuid()

    def answer(self, body: bytes, peer: Peer) -> bytes:
        """See `server.Wire`. Whatever goes wrong is told to the one client that caused it.

        Where the home has another authority than the one that is open here, it hangs up, and the client starts another.
        """
        if self._origin() != self.origin:
            self.server.stopping = True
            raise ConnectionResetError("the authority was replaced")
        try:
            request = Request.decode(body)
            if request.dialect == protocol.CONTROL:
                reply = self._control(request, peer.pid)
            else:
                reply = self._answer(request, peer.pid, datetime.now(UTC))
        except Exception as exception:
            reply = serving.refusal(exception)
        return reply.encode()

    def _answer(self, request: Request, pid: int, at: datetime) -> Reply:
        """For git; why there was no signature is kept, because git up to 2.42 shows it to nobody."""
        before, began = self.signer.signatures, time.thread_time_ns()
        reply = serving.answer(request, self.signer, pid, at)
        if self.signer.signatures > before:
            self.spent.append((time.thread_time_ns() - began) // 1000)
        if reply.status:
            said = b"".join(data for where, data in reply.events if where == "2")
            why = said.decode("utf-8", "replace").strip()
            signed = self._signatures()
            self.last_refusal = {"at": rfc3339(int(at.timestamp())), "reason": why, "signatures": signed}
        return reply

    def _control(self, request: Request, pid: int) -> Reply:
        if request.argv != ("status",):
            record.find(self.config.home, "", pid)  # refuses a process whose session has only a broker to ask
        match request.argv:
            case ("status",):
                return Reply(0, (("1", json.dumps(self.status()).encode()),))
            case ("stop",):
                self.server.stopping = True
                return Reply(0)
            case ("command", *words):
                if not ephemeral.forwards(self.config.home, words):
                    raise UsageError("that command does not run in the daemon")
                folder = place.runtime_folder(self.config.home, self.config.environ)
                child, answers = ephemeral.run(self.command, words, request.environ, request.cwd, folder)
                self.forks.append(child)
                return Reply(0, (("1", os.fsencode(answers)),))
            case ("ssh-agent",):
                return Reply(0, (("1", self.offer_ssh_agent().encode()),))
            case _:
                raise UsageError(f"the daemon knows no control {' '.join(request.argv)[:64]!r}")

    def status(self) -> dict[str, Any]:
        """What `notme-git daemon status` shows."""
        return {
            "pid": os.getpid(),
            "version": __version__,
            "home": str(self.config.home),
            "uptimeSeconds": int(time.monotonic() - self.began),
            "idleSecondsLeft": None if self.server.idle_s == math.inf else int(self.server.idle_left),
            "signatures": self._signatures(),
            "credentials": self.signer.held,
            "medianMicroseconds": sorted(self.spent)[len(self.spent) // 2] if self.spent else None,
            "memoryKiB": _memory("VmRSS"),
            "anonymousKiB": _memory("RssAnon"),
            "hardening": self.hardened,
            "sshAgent": self.ssh_agent,
            "ephemeral": ephemeral.holds(self.config.home),
            "lastRefusal": self.last_refusal,
        }

    def _signatures(self) -> int:
        return self.signer.signatures + (self.agent.signatures if self.agent else 0)

    def offer_ssh_agent(self) -> str:
        """Serve the ssh-agent protocol, too, from now on and until the end; returns its socket's path."""
        if self.agent is None:
            self.agent = SshAgent(self.signer, lambda: datetime.now(UTC))
            path = agent_setting.socket_path(self.config.home, self.config.environ)
            self.server.add(place.listen(path), self.agent)
            self.server.idle_s = math.inf  # ssh-keygen starts no daemon
            self.ssh_agent = str(path)
        self.agent.refresh()
        return self.ssh_agent or ""

    def withdraw_ssh_agent(self) -> None:
        """Take the socket away, and the certificates whose keys end with this process."""
        if self.ssh_agent is not None:
            for file in (Path(self.ssh_agent), *(self.config.home / "ssh" / agent_setting.CURRENT).glob("*-cert.pub")):
                with contextlib.suppress(OSError):
                    file.unlink()

    def _origin(self) -> tuple[int, ...]:
        """Which files say where credentials come from: the authority's database, or who it is elsewhere."""
        found: list[int] = []
        for name in ("authority/authority.db", "remote/authority.json"):
            with contextlib.suppress(OSError):
                state = os.stat(f"{self.config.home}/{name}")
                found += (state.st_dev, state.st_ino)
        return tuple(found)

    def _sweep(self) -> None:
        self.forks = [child for child in self.forks if os.waitpid(child, os.WNOHANG)[0] == 0]
        self.signer.drop_stale()
        stands = self.published is None or self.published.stands()
        if not stands or self._origin() != self.origin:
            self.server.stopping = True  # the home is gone, or another daemon or authority has taken its place
        if self.agent is not None:
            with contextlib.suppress(Error):  # a disk that is full now may have room at the next sweep
                self.agent.refresh()


def _idle(text: str) -> float:
    """Seconds; the longest where the environment says more, the usual where it says nothing that can be read."""
    try:
        return min(max(float(text), 1.0), MAX_IDLE_S)
    except ValueError:
        return IDLE_S


def _memory(what: str) -> int:
    """Resident memory in KiB: proc_pid_status(5), of which RssAnon is in no file; elsewhere the highest so far."""
    try:
        with open("/proc/self/status", "rb") as file:
            line = next(line for line in file if line.startswith(what.encode() + b":"))
        return int(line.split()[1])
    except (OSError, StopIteration, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak
