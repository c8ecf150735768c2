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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

import uvicorn

from attest.errors import UnavailableError
from notme_git.authority import embedded
from notme_git.authority.http import app
from notme_git.authority.keystore import CachedKeys, KeyStore
from notme_git.authority.metrics import MAX_WORKERS, Metrics
from notme_git.authority.settings import Settings

BACKLOG = 1024
CONCURRENCY = 512
"""Requests at once and worker; beyond that uvicorn answers 503."""

KEEP_ALIVE_S = 30
GRACE_S = 5
PAUSE_S = 1.0
"""Between the end of a worker and its successor, doubled while they go on ending at once."""

LONGEST_PAUSE_S = 30.0
PARENT_CHECK_S = 0.5
ENDING = (signal.SIGTERM, signal.SIGINT)


class _Ended(BaseException):
    """SIGTERM or SIGINT came. No `except` or `suppress` of errors on the way takes it."""
GARBAGE = 50_000
"""Objects before the collector looks: a request leaves few cycles behind."""


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
        try:
            with _signals():
                for number in range(min(self.workers, MAX_WORKERS)):
                    self._start(number)
                ready()
                _notify("READY=1")
                self._mind()
        finally:
            _notify("STOPPING=1")
            self._end()

    def _start(self, number: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        child = os.fork()
        if child:
            self.children[child] = number
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            return
        status = 1
        try:
            self._work(number)
            status = 0
        except BaseException as error:
            logging.getLogger("notme.authority").critical("worker ended: %s: %s", type(error).__name__, error)
        finally:
            os._exit(status)

    def _work(self, number: int) -> None:
        """One worker, from here on with a database connection of its own."""
        for each in ENDING:
            signal.signal(each, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        self.metrics.worker = number
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        with embedded.opened(self.home) as authority:
            front = app.build(replace(authority, keys=self.keys), self.settings, metrics=self.metrics)
            gc.freeze()  # what is there now is there for good: no collection has to look at it again
            gc.set_threshold(GARBAGE)
            uvicorn.Server(_config(front, self.settings)).run(sockets=[self.listening])

    def _mind(self) -> None:
        pause, began = PAUSE_S, time.monotonic()
        while self.children:
            child, _ = os.waitpid(-1, 0)
            number = self.children.pop(child, None)
            if number is None:
                continue
            quickly = time.monotonic() - began < 2 * pause
            pause = min(pause * 2, LONGEST_PAUSE_S) if quickly else PAUSE_S
            time.sleep(pause)
            began = time.monotonic()
            self._start(number)

    def _end(self) -> None:
        for child in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        until = time.monotonic() + GRACE_S + 2
        while self.children and time.monotonic() < until:
            child, _ = os.waitpid(-1, os.WNOHANG)
            if child:
                self.children.pop(child, None)
            else:
                time.sleep(0.02)
        for child in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Out of whatever the parent waits in."""
    raise _Ended


def cached(keys: KeyStore) -> KeyStore:
    """The same keys, read from their place once."""
    return keys if isinstance(keys, CachedKeys) else CachedKeys(keys)


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
        http="httptools",
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


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    before = {each: signal.signal(each, _stop) for each in ENDING}
    try:
        with contextlib.suppress(_Ended):
            yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


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
