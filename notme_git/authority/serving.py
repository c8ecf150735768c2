"""Serving an authority: one parent that holds the address and the keys, and workers that it forks and minds.

The parent binds the socket and opens the authority before it forks: every worker has the same keys (also those that are
in memory alone), the same secret, and the same shared counters. A worker that ends is replaced after a pause; a worker
whose parent is gone ends itself. SIGTERM and SIGINT end all of them in order, requests under way first.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvicorn

from attest.errors import UnavailableError
from attest.keys import use_libsodium
from notme_git.authority import embedded
from notme_git.authority.embedded import Authority
from notme_git.authority.http import app, wire
from notme_git.authority.keystore import CachedKeys, KeyStore
from notme_git.authority.metrics import MAX_WORKERS, Metrics
from notme_git.authority.settings import Settings
from notme_git.daemon import hardening

BACKLOG = 1024
CONCURRENCY = 512
"""Requests at once and worker; beyond that uvicorn answers 503."""

KEEP_ALIVE_S = 30
GRACE_S = 5
PAUSE_S = 1.0
"""Between the end of a worker and its successor, doubled while they go on ending at once."""

LONGEST_PAUSE_S = 30.0
PARENT_CHECK_S = 0.5
GARBAGE = 50_000
"""Objects before the collector looks: a request leaves few cycles behind."""

ENDING = (signal.SIGTERM, signal.SIGINT)
WATCHED = (*ENDING, signal.SIGCHLD)
"""The parent waits for these and is interrupted by none: a handler could run just before it begins to wait."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; `UnavailableError` where the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise UnavailableError(
            f"cannot listen on {host} port {port}: {error.strerror}", hint="choose another with --port"
        ) from None
    return listening


@dataclass(slots=True)
class Server:
    """What all workers share."""

    home: Path
    settings: Settings
    keys: KeyStore
    listening: socket.socket
    workers: int
    metrics: Metrics = field(default_factory=Metrics)
    children: dict[int, int] = field(default_factory=dict)

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until SIGTERM or SIGINT; `ready` is called once the workers are there."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        try:
            for number in range(min(self.workers, MAX_WORKERS)):
                self._start(number)
            ready()
            _notify("READY=1")
            self._mind()
        finally:
            _notify("STOPPING=1")
            self._end()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _start(self, number: int) -> None:
        parent = os.getpid()  # asked before there is a child: it may be gone by the time that the child asks
        child = os.fork()
        if child:
            self.children[child] = number
            return
        status = 1
        try:
            self._work(number, parent)
            status = 0
        except BaseException as error:
            logging.getLogger("notme.authority").critical("worker ended: %s: %s", type(error).__name__, error)
        finally:
            os._exit(status)

    def _work(self, number: int, parent: int) -> None:
        """One worker, from here on with a database connection of its own."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
        hardening.harden()  # memory locks are not inherited (mlockall(2))
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        use_libsodium()
        self.metrics.worker = number
        with embedded.opened(self.home) as authority:
            front = app.build(replace(authority, keys=self.keys), self.settings, metrics=self.metrics)
            gc.freeze()  # what is there now is there for good: no collection has to look at it again
            gc.set_threshold(GARBAGE)
            uvicorn.Server(_config(front, self.settings)).run(sockets=[self.listening])

    def _mind(self) -> None:
        pause, began = PAUSE_S, time.monotonic()
        while signal.sigwait(WATCHED) == signal.SIGCHLD:
            numbers = self._reap()
            if not numbers:
                continue
            quickly = time.monotonic() - began < 2 * pause
            pause = min(pause * 2, LONGEST_PAUSE_S) if quickly else PAUSE_S
            if _asked_to_end_within(pause):
                return
            began = time.monotonic()
            for number in numbers:
                self._start(number)

    def _reap(self) -> list[int]:
        """The numbers of the workers that have ended since; one signal may stand for several."""
        ended = [child for child in self.children if os.waitpid(child, os.WNOHANG)[0]]
        return [self.children.pop(child) for child in ended]

    def _end(self) -> None:
        for child in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        until = time.monotonic() + GRACE_S + 2
        while self.children and time.monotonic() < until:
            if not self._reap():
                time.sleep(0.02)
        for child in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _asked_to_end_within(seconds: float) -> bool:
    """Wait so long, or until a signal to end is there; it stays for `sigwait`."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if signal.sigpending() & set(ENDING):
            return True
        time.sleep(0.05)
    return False


def cached(keys: KeyStore) -> KeyStore:
    """The same keys, read from their place once."""
    return keys if isinstance(keys, CachedKeys) else CachedKeys(keys)


def loaded(authority: Authority) -> KeyStore:
    """The authority's keys, those of its current epoch read by now: what cannot be read is said before it serves."""
    keys = cached(authority.keys)
    for role in ("root", "interop", "tsa"):
        keys.private_key(f"epoch-{authority.epoch.number}-{role}")
    return keys


def log_to_stderr() -> None:
    """One line of JSON for each request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("notme.authority")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _config(front: app.Front, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        front,
        loop="uvloop",
        http=wire.Bounded,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        limit_concurrency=CONCURRENCY,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def _end_with(parent: int) -> None:
    """A worker does not outlive its parent, however that ended."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os.kill(os.getpid(), signal.SIGTERM)


def _notify(state: str) -> None:
    """sd_notify(3), where systemd waits for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying:
        notifying.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        notifying.send(state.encode())
