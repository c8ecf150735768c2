"""Places opened one after the other; those that are addresses are cloned ahead of their turn.

A verifier is offline and fetches nothing by itself. Here the user names the address, so that git may go there, once,
into a folder that is gone afterwards; of file contents it fetches nothing, since no signature is about them alone, but
for the ref of the attestations (`store`).

There are no threads: the processes that examine are forked, and a thread's locks would be forked with them.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

from attest import repository
from attest.audit.places import SCHEMES, Place
from attest.cli import open_repository
from attest.errors import UnavailableError
from attest.repository import Repository

CLONE_SECONDS = 1800.0
"""Half an hour: the history of the Linux kernel without file contents takes minutes."""

AHEAD = 4
"""Clones at once: they wait for the network, and each may take disk space before it is wanted."""

MAX_SAID_BYTES = 16 * 1024
"""Of what git says, the end: a server may have it repeat anything, for ever."""

_TICK_MS = 200
_OPTIONS = ("--bare", "--quiet", "--filter=blob:none", "--template=", f"--config=core.hooksPath={os.devnull}")
_MUTE = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",  # empty: neither core.askPass nor SSH_ASKPASS is asked
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_ALLOW_PROTOCOL": ":".join(SCHEMES),
}
_LOCAL = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE")


class Visits:
    """The places of a run, opened in their order. In a `with` block, at whose end no clone is left running."""

    def __init__(self, places: Sequence[Place], environ: Mapping[str, str], scratch: Path) -> None:
        self._places, self._environ, self._scratch = places, environ, scratch
        self._clones: dict[int, Clone] = {}

    def __enter__(self) -> Visits:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for clone in self._clones.values():
            clone.stop()

    @contextlib.contextmanager
    def opened(self, number: int) -> Iterator[Repository]:
        """The repository with this number. `UnavailableError`."""
        place = self._places[number]
        folder = place.folder
        if place.address:
            self._begin(number)
            self._clones.pop(number).finish()
            folder = self._folder(number)
        elif not folder.is_dir():
            raise UnavailableError(f"there is no folder {folder}")
        try:
            repo = open_repository(folder, self._environ)
        except UnavailableError as error:
            # Other commands are told with --repo where to look.
            raise UnavailableError(error.message, hint="" if "--repo" in error.hint else error.hint) from None
        try:
            with repo:
                yield repo
        finally:
            if place.address:
                shutil.rmtree(folder, ignore_errors=True)

    def attestations(self, number: int, repo: Repository, at: datetime) -> None:
        """Bring what is attested to a clone, which git leaves behind: time-stamps, what witnesses saw, rewrite records.

        A folder has what it has. `UnavailableError` where there is something that cannot be had.
        """
        address = self._places[number].address
        if not address:
            return
        from attest import sync
        from attest.remote import Remote

        environ = {**{k: v for k, v in self._environ.items() if k not in _LOCAL}, **_MUTE}
        sync.sync(repo, Remote(repo, address, environ), at, push=False)

    def _begin(self, number: int) -> None:
        """Have this clone under way, and some of the next."""
        for each in range(number, len(self._places)):
            if len(self._clones) >= AHEAD:
                return
            if self._places[each].address and each not in self._clones:
                self._clones[each] = Clone(self._places[each], self._environ, self._folder(each))

    def _folder(self, number: int) -> Path:
        return self._scratch / f"{number}.git"


class Clone:
    """Commits, trees and tags on their way into a new folder.

    Nobody is asked for a password; what git's helpers know is used. `finish` it or `stop` it.
    """

    def __init__(
        self, place: Place, environ: Mapping[str, str], folder: Path, *, seconds: float = CLONE_SECONDS
    ) -> None:
        self._place, self._seconds, self._end = place, seconds, time.monotonic() + seconds
        command = (repository.find_git(environ), "clone", *_OPTIONS, "--end-of-options", place.address, str(folder))
        try:
            # In a session of its own there is no terminal on which ssh could ask, and git's helpers end with it.
            self._process = subprocess.Popen(
                command,
                env={**{k: v for k, v in environ.items() if k not in _LOCAL}, **_MUTE},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise UnavailableError(f"git cannot be run: {error}", hint="Install git.") from None

    def finish(self) -> None:
        """Wait for its end. Raises `UnavailableError` for any but a good one."""
        try:
            said = self._listen()
        except BaseException:
            self.stop()
            raise
        self.stop()
        if self._process.returncode:
            raise UnavailableError(
                f"{self._place.name} could not be cloned: {self._reason(said)}",
                hint="Nobody was asked for a password: clone it yourself and name the folder.",
            )

    def stop(self) -> None:
        """End it with all that it started, if it has not ended."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _listen(self) -> bytes:
        """What it says until it ends. What it left running (ssh's master connection) may keep the pipe open."""
        pipe = self._process.stderr
        assert pipe is not None
        said, ready = b"", select.poll()
        ready.register(pipe, select.POLLIN)
        while True:
            ended = self._process.poll() is not None
            if ready.poll(0 if ended else _TICK_MS):
                data = os.read(pipe.fileno(), MAX_SAID_BYTES)
                said = (said + data)[-MAX_SAID_BYTES:]
                if not data:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(max(0.0, self._end - time.monotonic()))
                    ended = True
                elif time.monotonic() < self._end:
                    continue
            if ended and self._process.returncode is not None:
                return said
            if time.monotonic() >= self._end:
                raise UnavailableError(f"{self._place.name} could not be cloned within {self._seconds:.0f} s")

    def _reason(self, said: bytes) -> str:
        """The cause as git says it, in which the address has no credentials."""
        lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
        # What git says first is the cause; what follows is advice that fits every cause.
        causes = (line for line in lines if line.startswith(("fatal:", "ssh:", "Host key")))
        line = next(causes, lines[-1] if lines else "git gave no reason")
        return line.removeprefix("fatal: ").replace(self._place.address, self._place.name)
