"""One reader of git objects in front of two ways to get at them (design D11).

SHA-1 repositories are read through libgit2's object database, SHA-256 ones, which libgit2 1.9 cannot
open, through one `git cat-file --batch`. Where the objects lie (worktree, bare, quarantine of a hook,
alternates) and whether the repository's owner is to be trusted, git itself is asked in both cases.

Replace refs and grafts are not honoured: both show other bytes, or other parents, under an id that a
signature vouches for. No id is checked here: step 1 recomputes it from the bytes, by one rule for both.
Nothing is ever fetched: a verifier that reaches for a promisor remote is not offline.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import select
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType, TracebackType
from typing import IO
from urllib.parse import urlsplit

from attest import alternates
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.gitobject import MAX_OBJECT_BYTES, ObjectFormat, ObjectKind

GIT_TIMEOUT = 60.0
"""Seconds for one git command, or for its next bytes: reading a cold disk is slow, a hung one never ends."""

MAX_HEADER_BYTES = 256
"""`<64 hex digits> commit <size>` and every message `cat-file` prints in its place."""

MAPPED_BYTES = 128 * 1024 * 1024
WINDOW_BYTES = 16 * 1024 * 1024
"""Bounds on what libgit2 maps of packs; by default it maps whole packs up to 8 GiB (design D11)."""

_CHUNK = 1 << 16
_KINDS = {1: ObjectKind.COMMIT.value, 2: "tree", 3: "blob", 4: ObjectKind.TAG.value}

# What every git command of ours is told, over the caller's environment.
_SETTINGS = {
    "LC_ALL": "C",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",  # known since 2.44 and 2.39.4; to an older git, no transport is allowed
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}

# A repository's own configuration could name a program here, which git starts when it reads the index.
_OPTIONS = ("--no-replace-objects", "-c", "core.fsmonitor=false")


class Repository:
    """An open repository; get one from `open_repository`. Use it in a `with` block, or `close` it.

    `path` is where git commands run, `object_format` the repository's hash. One instance may be shared by
    threads; processes open their own.
    """

    def __init__(
        self, path: Path, git: str, environ: Mapping[str, str], object_format: ObjectFormat, objects: Path
    ) -> None:
        self.path = path
        self.object_format = object_format
        self.quarantined = "GIT_QUARANTINE_PATH" in environ
        self._git, self._objects, self._hex_length = git, objects, object_format.hex_length
        self._environ = {**environ, **_SETTINGS}
        self._reader: _ObjectDatabase | _Batch
        if object_format is ObjectFormat.SHA1:
            self._reader = _ObjectDatabase(objects, alternates.split(environ.get(alternates.VARIABLE, "")))
        else:
            self._reader = _Batch(self)

    def __enter__(self) -> Repository:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the reading process, if there is one."""
        self._reader.close()

    def again(self) -> Repository:
        """The same repository opened once more, for another process."""
        return Repository(self.path, self._git, self._environ, self.object_format, self._objects)

    def apart(self, folder: Path) -> Repository:
        """The same repository, where git puts what it makes into `folder` and not among the objects that are judged."""
        others = alternates.split(self._environ.get(alternates.VARIABLE, ""))
        environ = {
            **self._environ,
            "GIT_OBJECT_DIRECTORY": str(folder),
            alternates.VARIABLE: alternates.join((str(self._objects), *others)),
        }
        return Repository(self.path, self._git, environ, self.object_format, folder)

    def read(self, oid: str) -> tuple[str, bytes]:
        """Kind (`commit`, `tag`, `tree`, `blob`) and content of the object with this id, lower-case hex.

        Raises `UnavailableError` when it is not here, `MalformedError` above `gitobject.MAX_OBJECT_BYTES`
        and for what is not an id.
        """
        try:
            return self._reader.read(self.check_id(oid))
        except _AbsentError:
            hint = self._cut() or "See whether the id is right, or fetch it from where it is."
            raise UnavailableError(f"object {oid} is not in this repository", hint=hint) from None

    def read_many(self, oids: Iterable[str]) -> Iterator[tuple[str, str, bytes]]:
        """`(oid, kind, content)` of each object, in the order asked for; errors as `read` raises them."""
        for oid in oids:
            yield oid, *self.read(oid)

    def resolve(self, revision: str) -> str:
        """The object id, lower-case hex, that git takes `revision` for; a tag's name gives the tag object.

        An id given in full is returned whether the object exists or not. Raises `UsageError`.
        """
        done = self.git("rev-parse", "--verify", "--end-of-options", revision)
        oid = done.stdout.decode("ascii", "replace").strip()
        if done.returncode or len(oid) != self.object_format.hex_length:
            named, commit, _ = revision.partition("^{commit}")
            what = "a commit" if commit else "one object"
            hint = f"Name a commit or tag that is there. {self._cut()}".rstrip()
            raise UsageError(f"{named!r} is not {what} of {self.path}", hint=hint)
        return oid

    def commit_of(self, oid: str) -> str:
        """The commit that an object is, or that a tag leads to. Raises `UsageError`."""
        return self.resolve(f"{self.check_id(oid)}^{{commit}}")

    def full_ref(self, revision: str) -> str | None:
        """The full name, such as `refs/heads/main`, when `revision` is or points to a ref, else None.

        Of a remote-tracking branch that of the branch at the remote, which it is a copy of: a rule on `main` is about
        `origin/main`, too. None where no refspec of a remote says which that is.
        """
        done = self.git("rev-parse", "--symbolic-full-name", "--verify", "--quiet", "--end-of-options", revision)
        name = done.stdout.decode("utf-8", "replace").strip()
        if done.returncode or not name.startswith("refs/"):
            return None
        return self._tracked(name) if name.startswith("refs/remotes/") else name

    def _tracked(self, ref: str) -> str | None:
        done = self.git("config", "--null", "--get-regexp", r"^remote\..*\.fetch$")
        values = (item.partition("\n")[2] for item in done.stdout.decode("utf-8", "replace").split("\0"))
        found = {name for value in values if (name := _source(value.removeprefix("+"), ref))}
        return found.pop() if len(found) == 1 else None

    def remote(self) -> str | None:
        """The address of `origin` as configured, without user and password, or None.

        Statements carry it to anyone who can read them, and tokens are often written into addresses.
        """
        done = self.git("config", "--get", "remote.origin.url")
        address = done.stdout.decode("utf-8", "replace").strip()
        return without_credentials(address) if done.returncode == 0 and address else None

    def list_range(self, expression: str) -> Iterator[str]:
        """Ids of the commits in `expression` (`A..B`, or `B` for all its history), newest first, as they come.

        A shallow clone's history ends where it was cut, and so does this list. Raises `UsageError` when
        git does not understand the expression, `UnavailableError` when the walk breaks off.
        """
        return self._walk(expression, "--end-of-options", expression, "--")

    def walk(self, arguments: Sequence[str], without: Sequence[str] = (), typed: str = "") -> Iterator[str]:
        """The same for arguments that may be options of rev-list, which the caller has seen to (`revisions`).

        What the commits `without` reach is left out. Errors name what was `typed`, by default the arguments.
        """
        excluded = [f"^{self.check_id(oid)}" for oid in without]
        named = any(not argument.startswith("-") for argument in arguments)
        given = (*excluded, *arguments, *(() if "--" in arguments else ("--",)))
        return self._walk(typed or " ".join(arguments), *given, named=named)

    def _walk(self, what: str, *arguments: str, named: bool = True) -> Iterator[str]:
        # A commit-graph could name other parents than the commits do.
        command = ("-c", "core.commitGraph=false", "rev-list", *arguments)
        count = 0
        process = self._start(*command, stdin=False)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                count += 1
                yield line.decode("ascii", "replace").strip()
            if process.wait() == 0:
                return
        finally:
            _stop(process)  # the reader may have gone before the end
        if count or not named:
            # Options alone name refs that are there: what git stumbles over then is the repository.
            raise UnavailableError(
                f"git could not walk {what!r} to its end", hint="Run git fsck, or fetch what is missing."
            )
        raise UsageError(f"{what!r} is not a range of {self.path}", hint=self._not_a_range(what))

    def _not_a_range(self, what: str) -> str:
        for name in itertools.takewhile(lambda name: name != "--", what.split()):
            for end in filter(None, name.lstrip("^").replace("...", "..").split("..")):
                asked = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", end)
                if asked.returncode and not end.startswith("-"):
                    return " ".join(filter(None, (f"There is no {end!r} here.", self._cut())))
        return "Write it as A..B, from A to B, and paths after --."

    def ancestry(self, tips: Sequence[str]) -> Iterator[list[str]]:
        """Each commit that the commits `tips` reach, followed by its parents, every one before its own parents.

        Raises `UnavailableError` where git cannot walk to the end.
        """
        asked = "".join(f"{self.check_id(oid)}\n" for oid in tips).encode("ascii")
        command = ("-c", "core.commitGraph=false", "rev-list", "--topo-order", "--parents", "--stdin")
        process = self._start(*command, stdin=True)
        feeder = threading.Thread(target=_feed, args=(process, asked), daemon=True)
        feeder.start()
        try:
            assert process.stdout is not None
            # A process with a pipe to write to has none of its pipes buffered.
            with open(process.stdout.fileno(), "rb", closefd=False) as lines:
                for line in lines:
                    yield line.decode("ascii", "replace").split()
            if process.wait():
                raise UnavailableError("git could not walk the history", hint="Run git fsck, or fetch what is missing.")
        finally:
            _stop(process)
            feeder.join()

    def list_tags(self, pattern: str = "refs/tags") -> list[str]:
        """Ids of the tag objects that refs under `pattern` name; a lightweight tag is a commit and has none."""
        done = self.git("for-each-ref", "--format=%(objecttype) %(objectname)", pattern)
        named = (line.split(" ") for line in done.stdout.decode("ascii", "replace").splitlines())
        return list(dict.fromkeys(oid for kind, oid in named if kind == ObjectKind.TAG))

    def changed_paths(self, oids: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The paths that each of these commits changes against its first parent; all paths of a root commit.

        One process of git for all of them. Raises `UnavailableError` where a tree is missing.
        """
        # With the letters before each path: a file whose name is a commit's id would else be taken for the next commit.
        options = ("--stdin", "-r", "-z", "--root", "--name-status", "--no-renames", "--diff-merges=first-parent")
        # `ignore = all` in .gitmodules of the worktree, or in the configuration, would hide that a submodule moves.
        whole = "--ignore-submodules=none"
        names = "".join(f"{self.check_id(oid)}\n" for oid in oids).encode()
        done = self.git("diff-tree", *options, whole, stdin=names)
        if done.returncode:
            raise UnavailableError("git could not compare the trees of some commits", hint="Run git fsck.")
        found: dict[str, tuple[str, ...]] = dict.fromkeys(oids, ())
        items = iter(done.stdout.split(b"\0"))
        current, paths = "", list[str]()
        for item in items:
            if len(item) == self.object_format.hex_length or not item:
                found.update({current: tuple(paths)} if current else {})
                current, paths = item.decode("ascii", "replace"), []
            else:
                paths.append(next(items, b"").decode("utf-8", "surrogateescape"))
        return found

    def git(
        self, *arguments: str, stdin: bytes = b"", timeout: float = GIT_TIMEOUT
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one git command here and return how it ended; `UnavailableError` when it cannot be run."""
        return _run(self._git, self.path, self._environ, arguments, stdin, timeout)

    def feed(
        self, *arguments: str, stdin: Iterable[bytes], timeout: float = GIT_TIMEOUT
    ) -> subprocess.CompletedProcess[bytes]:
        """As `git`, with what it reads made while it reads, and nothing of what it prints.

        Where making it fails, git is killed before the end of its input, and the error goes on.
        """
        end = time.monotonic() + timeout
        with tempfile.TemporaryFile() as errors:
            process = self._start(*arguments, stdin=True, errors=errors)
            try:
                assert process.stdin is not None
                _write(process.stdin, stdin, end)
                process.stdin.close()
                status = process.wait(max(0.0, end - time.monotonic()))
            except (subprocess.TimeoutExpired, TimeoutError):
                raise UnavailableError(f"git {arguments[0]} did not end within {timeout:.0f} s") from None
            finally:
                _stop(process)
            errors.seek(0)
            return subprocess.CompletedProcess(arguments, status, b"", errors.read(_CHUNK))

    def git_at_most(self, limit: int, *arguments: str, stdin: bytes = b"") -> bytes | None:
        """What one git command prints, None for more than `limit` bytes of it. `UnavailableError` where it fails."""
        process = self._start(*arguments, stdin=True)
        feeder = threading.Thread(target=_feed, args=(process, stdin), daemon=True)
        feeder.start()
        watch = threading.Timer(GIT_TIMEOUT, process.kill)
        watch.start()
        try:
            assert process.stdout is not None
            found = bytearray()
            while len(found) <= limit and (read := process.stdout.read(_CHUNK)):
                found += read
            if len(found) > limit:
                return None
            if process.wait():
                raise UnavailableError(f"git {arguments[0]} failed", hint="Run git fsck, or fetch what is missing.")
            return bytes(found)
        finally:
            watch.cancel()
            _stop(process)
            feeder.join()

    def _start(
        self, *arguments: str, stdin: bool, errors: IO[bytes] | int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start one git command here with its output on a pipe, and its input too where `stdin` says so."""
        try:
            return subprocess.Popen(
                [self._git, *_OPTIONS, *arguments],
                cwd=self.path,
                env=self._environ,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0 if stdin else -1,
            )
        except ValueError as error:
            raise UsageError(f"git takes no such argument: {error}") from None
        except OSError as error:
            raise UnavailableError(f"git cannot be run: {error}", hint="Install git.") from None

    def cut_points(self) -> frozenset[str]:
        """The commits behind which a shallow clone has nothing; none where it is whole."""
        done = self.git("rev-parse", "--path-format=absolute", "--git-path", "shallow")
        try:
            with open(os.fsdecode(done.stdout.removesuffix(b"\n")), "rb") as file:
                found = file.read(MAX_OBJECT_BYTES + 1)
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise UnavailableError(f"cannot read where this clone was cut: {error.strerror}") from None
        if done.returncode or len(found) > MAX_OBJECT_BYTES:
            raise UnavailableError("cannot read where this clone was cut", hint="Run git fsck.")
        return frozenset(found.decode("ascii", "replace").split())

    def _cut(self) -> str:
        """What to do where this is a clone of a part, which may be why something is not here; else empty."""
        if self.git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true":
            return "This clone is shallow: git fetch --unshallow brings the rest."
        if self.is_partial():
            return "This clone is partial: git fetch --refetch --filter=blob:none brings commits and tags."
        return ""

    def is_partial(self) -> bool:
        """Whether this is a clone that left objects at a remote, to be fetched when they are wanted."""
        # The first until git 2.26, the second since (partial-clone.adoc).
        promised = r"^(extensions\.partialclone|remote\..*\.promisor)$"
        return self.git("config", "--get-regexp", promised).returncode == 0

    def check_id(self, oid: str) -> str:
        """`oid` when it is a full object id in lower-case hex, else `MalformedError`."""
        if len(oid) != self._hex_length or oid.strip("0123456789abcdef"):
            raise MalformedError(f"{oid!r} is not a {self.object_format} object id")
        return oid


def _source(refspec: str, ref: str) -> str:
    """What a refspec fetches into `ref` (git-fetch(1), <refspec>), a full name; empty where it is not that."""
    source, _, target = refspec.partition(":")
    if "*" in target:
        begin, _, end = target.partition("*")
        if not ref.startswith(begin) or not ref.endswith(end) or len(ref) <= len(begin) + len(end):
            return ""
        source = source.replace("*", ref[len(begin) : len(ref) - len(end)], 1)
    elif target != ref:
        return ""
    return source if source.startswith("refs/") else ""


def open_repository(path: Path, environ: Mapping[str, str]) -> Repository:
    """The repository that git finds from directory `path`.

    `environ` is the environment git commands get. As with git, `GIT_DIR` and its like in it win over
    `path`, which is how hooks name repository and quarantine: leave them out where the user named a path.
    Raises `UnavailableError` without a repository, without git, or when git distrusts the owner.
    """
    git = find_git(environ)
    path = path.absolute()
    done = _run(git, path, {**environ, **_SETTINGS}, ("rev-parse", "--show-object-format", "--git-path", "objects"))
    if done.returncode:
        raise _not_opened(path, done.stderr.decode("utf-8", "replace").strip())
    name, _, objects = os.fsdecode(done.stdout).removesuffix("\n").partition("\n")
    try:
        object_format = ObjectFormat(name)
    except ValueError:
        raise UnavailableError(f"object format {name!r} is unknown here", hint="Use a newer version.") from None
    return Repository(path, git, environ, object_format, path / objects)


def find_git(environ: Mapping[str, str]) -> str:
    """git's absolute path. Relative parts of PATH are passed over: they would find the judged tree's `git`."""
    places = [place for place in environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(place)]
    git = shutil.which("git", path=os.pathsep.join(places)) if places else None
    if git is None:
        raise UnavailableError("git is not on the PATH", hint="Install git.")
    return git


def _run(
    git: str,
    path: Path,
    environ: Mapping[str, str],
    arguments: tuple[str, ...],
    stdin: bytes = b"",
    timeout: float = GIT_TIMEOUT,
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            [git, *_OPTIONS, *arguments],
            cwd=path,
            env=environ,
            input=stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except ValueError as error:  # a NUL in an argument
        raise UsageError(f"git takes no such argument: {error}") from None
    except OSError as error:
        hint = "" if path.is_dir() else "Name one with --repo DIRECTORY."
        raise UnavailableError(f"git cannot be run in {path}: {error.strerror}", hint=hint) from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"git {arguments[0]} did not end within {timeout:.0f} s") from None


def _not_opened(path: Path, complaint: str) -> UnavailableError:
    if "dubious ownership" in complaint:  # CVE-2022-24765: another user's configuration would be obeyed
        return UnavailableError(
            f"{path} belongs to another user, and git does not trust it",
            hint=f"If you do: git config --global --add safe.directory {shlex.quote(str(path))}",
        )
    reason = complaint.splitlines()[-1].removeprefix("fatal: ") if complaint else "git gave no reason"
    return UnavailableError(f"no repository at {path}: {reason}", hint="Name one with --repo DIRECTORY.")


def without_credentials(address: str) -> str:
    """A remote's address as it may be shown to anyone."""
    try:
        parts = urlsplit(address)
        if not parts.netloc:
            return address
        user, at, host = parts.netloc.rpartition("@")
        # ssh's user is part of the place (`git@`); for http it is a credential.
        kept = user.partition(":")[0] + at if parts.scheme in ("ssh", "git+ssh") else ""
        return parts._replace(netloc=kept + host).geturl()
    except ValueError:
        return address


class _AbsentError(Exception):
    """A reader has no object of that id."""


class _ObjectDatabase:
    """libgit2's object database over one objects directory and its alternates."""

    def __init__(self, objects: Path, others: Sequence[str]) -> None:
        library = _libgit2()
        self._errors = (library.GitError, ValueError, OSError)
        try:
            self._odb = library.Odb(str(objects))
            for place in others:
                self._odb.add_disk_alternate(place)
        except self._errors as error:
            raise UnavailableError(f"the objects in {objects} cannot be opened: {error}") from None

    def read(self, oid: str) -> tuple[str, bytes]:
        try:
            _, size = self._odb.read_header(oid)
            if size > MAX_OBJECT_BYTES:
                raise _too_large(oid, size)
            kind, data = self._odb.read(oid)
        except KeyError:
            raise _AbsentError from None
        except self._errors as error:
            raise UnavailableError(f"object {oid} cannot be read: {error}", hint="Run git fsck.") from None
        return _KINDS[kind], data

    def close(self) -> None: ...


@functools.cache
def _libgit2() -> ModuleType:
    """pygit2, with libgit2's process-wide settings made once (design D11).

    Imported here because it takes 57 ms, which verifying a SHA-256 repository need not pay.
    """
    import pygit2

    settings = pygit2.settings
    settings.enable_caching(False)
    settings.mwindow_size = WINDOW_BYTES
    settings.mwindow_mapped_limit = MAPPED_BYTES
    # Bytes that do not hash to their name are a finding of step 1, not an unreadable object.
    settings.enable_strict_hash_verification(False)
    return pygit2


class _Batch:
    """One `git cat-file --batch`, started when first asked; a lock keeps question and answer together."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = bytearray()
        self._lock = threading.Lock()

    def read(self, oid: str) -> tuple[str, bytes]:
        with self._lock:
            try:
                return self._ask(oid)
            except BaseException:
                # Whatever was left unread would be taken for the answer to the next question.
                self._end()
                raise

    def close(self) -> None:
        with self._lock:
            self._end()

    def _ask(self, oid: str) -> tuple[str, bytes]:
        if self._process is None:
            self._process = self._repository._start("cat-file", "--batch", stdin=True)
            self._finalizer = weakref.finalize(self, _stop, self._process)
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(oid.encode("ascii") + b"\n")
        except OSError as error:
            raise _broken(oid, str(error)) from None
        header = self._take_line(stdout, oid).split(" ")
        if header == [oid, "missing"]:
            raise _AbsentError
        if len(header) != 3 or header[0] != oid or not header[2].isdecimal():
            raise _broken(oid, " ".join(header))
        size = int(header[2])
        if size > MAX_OBJECT_BYTES:
            raise _too_large(oid, size)
        return header[1], self._take(stdout, size + 1, oid)[:-1]

    def _take_line(self, stdout: IO[bytes], oid: str) -> str:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_HEADER_BYTES:
                raise _broken(oid, "a line without end")
            self._fill(stdout, oid)
        return self._take(stdout, end + 1, oid)[:-1].decode("ascii", "replace")

    def _take(self, stdout: IO[bytes], size: int, oid: str) -> bytes:
        while len(self._buffer) < size:
            self._fill(stdout, oid)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _fill(self, stdout: IO[bytes], oid: str) -> None:
        answer = select.poll()
        answer.register(stdout, select.POLLIN)
        if not answer.poll(GIT_TIMEOUT * 1000):
            raise _broken(oid, f"no answer within {GIT_TIMEOUT:.0f} s")
        data = os.read(stdout.fileno(), _CHUNK)
        if not data:
            raise _broken(oid, "it ended")
        self._buffer += data

    def _end(self) -> None:
        self._buffer.clear()
        if self._process is not None:
            self._process = None
            self._finalizer()


def _write(pipe: IO[bytes], pieces: Iterable[bytes], end: float) -> None:
    """Write all pieces until `end` on the monotonic clock (`TimeoutError`), or until the reader has gone."""
    os.set_blocking(pipe.fileno(), False)
    room = select.poll()
    room.register(pipe, select.POLLOUT)
    for piece in _gathered(pieces):
        left = memoryview(piece)
        while left:
            if not room.poll(max(0.0, end - time.monotonic()) * 1000):
                raise TimeoutError
            try:
                left = left[os.write(pipe.fileno(), left) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return  # why, its exit status and its words say


def _gathered(pieces: Iterable[bytes]) -> Iterator[bytearray]:
    """The same in pieces of some size: each costs two calls of the system."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= _CHUNK:
            yield held
            held = bytearray()
    yield held


def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    """Write to a process while another thread reads from it; it may end before it has read all."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        rest = memoryview(data)
        while rest:
            rest = rest[process.stdin.write(rest) :]
    with contextlib.suppress(OSError):
        process.stdin.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with process:  # closes the pipes and collects the process
        pass


def _too_large(oid: str, size: int) -> MalformedError:
    return MalformedError(f"object {oid} has {size} bytes; at most {MAX_OBJECT_BYTES} are read")


def _broken(oid: str, what: str) -> UnavailableError:
    return UnavailableError(f"git cat-file gave no answer for {oid}: {what}", hint="Run git fsck.")
