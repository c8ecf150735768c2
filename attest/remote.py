"""One ref of a remote: asked for, fetched, pushed. git goes to the network here, on a user's command.

What comes from a remote is hostile until it was looked at. It is fetched into a folder beside the objects, watched
while it grows, checked by git as it comes, and moved in whole; a fetch that is interrupted, too large or broken leaves
nothing behind. No hook of the repository runs, and nobody is asked for a password: what git's own helpers know is used.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from attest import alternates, repository
from attest.errors import UnavailableError, UsageError
from attest.repository import Repository, without_credentials

ASK_SECONDS = 120.0
"""For one question to a remote: some servers take half a minute to list a hundred thousand refs."""

TRANSFER_SECONDS = 1800.0

MAX_FETCHED_BYTES = 2 * 1024**3
"""Of one fetch, packed: more than a million statements."""

MAX_SAID_BYTES = 1024 * 1024
"""Of what git prints: a server may have it repeat anything, for ever."""

_TICK_S = 0.05
_SCHEMES = "file:git:http:https:ssh"
_MUTE = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",  # empty: neither core.askPass nor SSH_ASKPASS is asked
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_GRAFT_FILE": os.devnull,
}
_OPTIONS = (
    "--no-replace-objects",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "gc.auto=0"),
    *("-c", "fetch.fsckObjects=true"),
    *("-c", "core.bigFileThreshold=16m"),  # what is larger is not held in memory while it is unpacked
    *("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60"),
)
_FETCH = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--recurse-submodules=no", "--refmap=")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_LOST = ("stale info", "fetch first", "non-fast-forward", "cannot lock ref", "failed to update ref", "incorrect old")
"""What git says of a ref that somebody else moved in the meantime."""

_CAUSES = ("fatal:", "error: object", "ssh:", "Host key", "remote: ")

_LAST = {".idx": 1}
"""A pack counts from the moment that its index is there."""


class Remote:
    """A remote of a repository: a name from git's configuration, or an address.

    `environ` is what git gets; `UsageError` for what cannot be a remote.
    """

    def __init__(self, repo: Repository, name: str, environ: Mapping[str, str]) -> None:
        if not name or name.startswith("-") or not name.isprintable():
            raise UsageError(f"{name!r} is no remote", hint="Name one that git remote -v lists, or an address.")
        self.name, self.shown = name, without_credentials(name)
        self.configured = repo.git("config", "--get", f"remote.{name}.url").returncode == 0
        self.refusal = ""
        """What was said of the last push that somebody else was quicker than."""
        self._repo, self._git = repo, repository.find_git(environ)
        self._environ = {"GIT_ALLOW_PROTOCOL": _SCHEMES, **environ, **_MUTE}

    def tip(self, ref: str) -> str | None:
        """The object that the remote has under `ref`, None where it has no such ref."""
        said = self._ask("ls-remote", "--quiet", "--refs", "--end-of-options", self.name, ref)
        for line in said.splitlines():
            oid, _, name = line.partition("\t")
            if name == ref:
                self._repo.check_id(oid)
                return oid
        return None

    def fetch(self, ref: str, *, limit: int = MAX_FETCHED_BYTES) -> None:
        """Bring what `ref` needs, whole, in partial clones too; no ref moves here.

        Raises `UnavailableError` also where that is more than `limit` bytes.
        """
        self._fetch((), [ref], limit)

    def fetch_objects(self, oids: Sequence[str], *, limit: int = MAX_FETCHED_BYTES) -> None:
        """Bring the objects with these ids, in one go, although what names them is here already."""
        # Else the remote leaves out what, by the commits that we have, we ought to have.
        self._fetch(("-c", "fetch.negotiationAlgorithm=noop"), oids, limit)

    def _fetch(self, options: Sequence[str], wanted: Sequence[str], limit: int) -> None:
        with self._apart() as (folder, environ):
            names = "".join(f"{name}\n" for name in wanted).encode()
            command = (*options, "fetch", *_FETCH, "--no-filter", "--stdin", "--end-of-options", self.name)
            status, _, said = self._run(command, environ, TRANSFER_SECONDS, names, (folder, limit))
            if status:
                raise self._failed("could not be fetched from", said)
            _move_in(folder, self._objects())

    def push(self, oid: str, ref: str, expected: str | None) -> bool:
        """Have the remote move `ref` to `oid`, if it still is `expected`; False when somebody else moved it first."""
        lease = f"--force-with-lease={ref}:{expected or ''}"
        options = ("--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", lease)
        # A remote that `git clone --mirror` made takes no refspec: it would be sent all refs, and lose its others.
        single = ("-c", f"remote.{self.name}.mirror=false") if self.configured and "=" not in self.name else ()
        command = (*single, "push", *options, "--end-of-options", self.name, f"{oid}:{ref}")
        status, printed, said = self._run(command, self._environ, TRANSFER_SECONDS)
        if status == 0:
            return True
        refused = next((line for line in printed.splitlines() if line.startswith("!")), "")
        reason = refused.rpartition("\t")[2]
        if any(words in refused or words in said for words in _LOST):
            self.refusal = reason
            return False
        raise self._failed("could not be pushed to", said, reason)

    def _ask(self, *command: str) -> str:
        status, printed, said = self._run(command, self._environ, ASK_SECONDS)
        if status:
            raise self._failed("could not be read from", said)
        return printed

    @contextlib.contextmanager
    def _apart(self) -> Iterator[tuple[Path, Mapping[str, str]]]:
        """A folder for objects that are not ours yet. git itself prunes one that was left by a killed process."""
        objects = self._objects()
        others = alternates.split(self._environ.get(alternates.VARIABLE, ""))
        try:
            folder = Path(tempfile.mkdtemp(prefix="tmp_notme-", dir=objects))
        except OSError as error:
            raise UnavailableError(f"cannot write into {objects}: {error.strerror}") from None
        try:
            yield (
                folder,
                {
                    **self._environ,
                    "GIT_OBJECT_DIRECTORY": str(folder),
                    alternates.VARIABLE: alternates.join((str(objects), *others)),
                },
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _objects(self) -> Path:
        done = self._repo.git("rev-parse", "--path-format=absolute", "--git-path", "objects")
        return Path(os.fsdecode(done.stdout.removesuffix(b"\n")))

    def _run(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        seconds: float,
        stdin: bytes = b"",
        watched: tuple[Path, int] | None = None,
    ) -> tuple[int, str, str]:
        """Exit status and what was printed on both streams. `watched` may not grow beyond so many bytes."""
        end = time.monotonic() + seconds
        with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as said:
            asked.write(stdin)
            asked.seek(0)
            try:
                # In a session of its own there is no terminal on which ssh could ask, and git's helpers end with it.
                process = subprocess.Popen(
                    [self._git, *_OPTIONS, *command],
                    cwd=self._repo.path,
                    env=environ,
                    stdin=asked,
                    stdout=printed,
                    stderr=said,
                    start_new_session=True,
                )
            except OSError as error:
                raise UnavailableError(f"git cannot be run: {error}", hint="Install git.") from None
            try:
                while process.poll() is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_TICK_S)
                    self._check(end, (printed, said), watched)
                self._check(None, (printed, said), watched)
            finally:
                _stop(process)
            return process.returncode, _text(printed), _text(said)

    def _check(self, end: float | None, files: Sequence[IO[bytes]], watched: tuple[Path, int] | None) -> None:
        if end is not None and time.monotonic() >= end:
            raise UnavailableError(f"{self.shown} did not answer in time", hint="Try again later.")
        if any(os.fstat(file.fileno()).st_size > MAX_SAID_BYTES for file in files):
            raise UnavailableError(f"{self.shown} sends messages without end")
        if watched is not None and _size(watched[0]) > watched[1]:
            raise UnavailableError(
                f"{self.shown} sends more than {watched[1]} bytes of attestations",
                hint="--max-bytes takes more, if you know where they come from.",
            )

    def _failed(self, what: str, said: str, reason: str = "") -> UnavailableError:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        # What git says first is the cause; what follows is advice that fits every cause.
        causes = (line for line in lines if line.startswith(_CAUSES))
        cause = reason or next(causes, lines[-1] if lines else "git gave no reason")
        cause = _CREDENTIALS.sub("", cause.removeprefix("fatal: ").removeprefix("error: ").removeprefix("remote: "))
        hint = "Nobody was asked for a password: see whether git fetch and git push work there."
        if "fsck error" in said:
            hint = "What it sends is damaged, or made to do harm; nothing of it was kept."
        elif "No space left on device" in said or "File too large" in said:
            hint = "Make room, here or there, and try again; nothing of it was kept."
        elif reason:
            hint = f"{self.shown} was asked and refused: try again, and if it stays so ask whoever runs it."
        return UnavailableError(f"attestations {what} {self.shown}: {cause}", hint=hint)


def _move_in(folder: Path, objects: Path) -> None:
    """Make all of a folder's objects ours, each pack before its index; what is there already is the same."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("tmp_")]
    for path in sorted(found, key=lambda path: (_LAST.get(path.suffix, 0), path)):
        place = objects / path.relative_to(folder)
        try:
            if not place.parent.is_dir():
                place.parent.mkdir(exist_ok=True)
                place.parent.chmod(path.parent.stat().st_mode & 0o7777)  # git minds core.sharedRepository
            os.replace(path, place)
        except OSError as error:
            raise UnavailableError(f"cannot write {place}: {error.strerror}") from None


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):  # gone, or renamed, since it was listed
                total += os.lstat(os.path.join(place, name)).st_size
    return total


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(MAX_SAID_BYTES).decode("utf-8", "replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it started, if it has not ended."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
