"""git's configuration: values through the `git config` command line, files replaced under git's own lock.

The syntax is git's business (quoting, sections, includes), so git reads and edits; what is done here is to find
the file, to hold it, and to put new bytes in its place in one step. `environ` is the environment git runs in.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shlex
import shutil
import stat
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attest.errors import UnavailableError, UsageError

GIT_TIMEOUT_S = 10.0
"""One `git config` takes milliseconds; longer is a disk or a network mount that hangs, while git waits for us."""

MAX_OUTPUT_BYTES = 1024 * 1024
MAX_CONFIG_BYTES = 1024 * 1024
"""Configurations have a few KiB; those of build farms, with a section a submodule, some hundred."""

LOCK_ATTEMPTS, LOCK_PAUSE_S = 20, 0.05
"""A git that writes a configuration is done in far less than the second these make."""

_NOT_FOUND, _NOTHING_TO_UNSET = 1, 5  # exit statuses (git-config(1), DESCRIPTION)
_DRAFT = ".notme-git-"

_NO_REPOSITORY = Path(os.devnull)
"""As GIT_DIR it keeps git from looking for a repository, whose configuration has no say over a single file."""


@dataclass(frozen=True, slots=True)
class GitConfig:
    """The `git config` command line. Every method raises `UnavailableError` with git's words when git fails."""

    program: str
    environ: Mapping[str, str]

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> GitConfig:
        """The git on PATH. Relative parts of PATH are passed over: they would find a working tree's `git`."""
        program = next(find_programs("git", environ), None)
        if program is None:
            raise UnavailableError("git is not on the PATH", hint="install git")
        # GIT_CONFIG names a file to `git config` alone: it would show us what no other git command goes by.
        return cls(program, {name: value for name, value in environ.items() if name != "GIT_CONFIG"})

    def repository_file(self, directory: Path) -> Path:
        """The configuration file of the repository at `directory`, which its worktrees share.

        Raises `UsageError` outside a repository.
        """
        done = self._run("rev-parse", "--git-path", "config", directory=directory)
        if done.returncode and b"not a git repository" in done.stderr:
            raise UsageError(
                "this is no git repository", hint="change to one, or name every repository of yours with --global"
            )
        self._check(done, directory)
        return (directory / os.fsdecode(done.stdout.removesuffix(b"\n"))).absolute()

    def ask(self, *arguments: str, directory: Path) -> bytes:
        """What any git command prints in `directory`."""
        done = self._run(*arguments, directory=directory)
        self._check(done, directory)
        return done.stdout

    def has_submodules(self, directory: Path) -> bool:
        """Whether the working tree at `directory` names submodules, which have configurations of their own."""
        done = self._run("rev-parse", "--show-toplevel", directory=directory)
        return done.returncode == 0 and Path(os.fsdecode(done.stdout.removesuffix(b"\n")), ".gitmodules").exists()

    def in_force(self, keys: Iterable[str], directory: Path) -> dict[str, tuple[str, ...]]:
        """The values git goes by in `directory`, all scopes and includes; the last one counts."""
        return self._values(keys, (), directory=directory)

    def in_force_beside(self, keys: Iterable[str], file: Path) -> dict[str, tuple[str, ...]]:
        """As `in_force`, for the repository that `file` configures, or for none where it is the user's file."""
        folder = file.absolute().parent
        return self._values(keys, (), directory=folder, git_dir=folder)

    def in_file(self, keys: Iterable[str], file: Path) -> dict[str, tuple[str, ...]]:
        """The values in this one file, without includes; an absent file has none."""
        return self._values(keys, ("--file", str(file)), directory=file.parent, git_dir=_NO_REPOSITORY)

    def booleans(self, keys: Iterable[str], *, beside: Path | None = None) -> list[tuple[str, str, str]]:
        """Values of booleans as git goes by them, here or beside a file (`in_force_beside`), in git's order.

        Each with the file it stands in and its key; it is `true`, `false` or a number.
        """
        folder = beside.absolute().parent if beside else None
        options = ("--type=bool-or-int", "--show-origin")
        names, output = self.matching(keys, options, directory=folder or Path(), git_dir=folder)
        parts = output.split("\0")[:-1]
        entries = [(origin, *entry.split("\n", 1)) for origin, entry in zip(parts[::2], parts[1::2], strict=True)]
        return [(origin, names[name], value) for origin, name, value in entries]

    def is_true(self, key: str, value: str) -> bool:
        """What git takes this value of a boolean for."""
        asked = ("-c", f"{key}={value}", "config", "--null", "--type=bool", "--get", key)
        done = self._run(*asked, directory=Path(), git_dir=_NO_REPOSITORY)
        self._check(done, Path())
        return done.stdout == b"true\0"

    def put(self, file: Path, key: str, values: Sequence[str]) -> None:
        """Give `key` exactly these values in `file`; none removes it, with its section if nothing else is there."""
        if not values:
            self._edit(file, "--unset-all", key, allowed=_NOTHING_TO_UNSET)
            return
        self._edit(file, "--replace-all", key, values[0])
        for value in values[1:]:
            self._edit(file, "--add", key, value)

    def _values(
        self, keys: Iterable[str], source: Sequence[str], *, directory: Path, git_dir: Path | None = None
    ) -> dict[str, tuple[str, ...]]:
        names, output = self.matching(keys, source, directory=directory, git_dir=git_dir)
        found: dict[str, list[str]] = {key: [] for key in names.values()}
        for entry in output.split("\0")[:-1]:
            name, value = parse_entry(entry)
            found[names[name]].append(value)
        return {key: tuple(values) for key, values in found.items()}

    def matching(
        self, keys: Iterable[str], options: Sequence[str], *, directory: Path, git_dir: Path | None = None
    ) -> tuple[dict[str, str], str]:
        """The keys by the names git gives them, and what it prints of those, NUL after each part."""
        # git prints section and name in lower case; only the part between them, which ours have so, is kept.
        names = {key.lower(): key for key in keys}
        pattern = f"^({'|'.join(re.escape(name) for name in names)})$"
        done = self._run("config", *options, "--null", "--get-regexp", pattern, directory=directory, git_dir=git_dir)
        if done.returncode != _NOT_FOUND or done.stderr:
            self._check(done, directory)
        return names, os.fsdecode(done.stdout)

    def _edit(self, file: Path, *arguments: str, allowed: int = 0) -> None:
        done = self._run(
            "config", "--file", str(file), *arguments, directory=file.parent, git_dir=_NO_REPOSITORY
        )
        if done.returncode != allowed:
            self._check(done, file.parent)

    def _run(
        self, *arguments: str, directory: Path, git_dir: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        environ = {**self.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
        if git_dir is not None:
            environ["GIT_DIR"] = str(git_dir)
            for name in ("GIT_COMMON_DIR", "GIT_WORK_TREE"):  # they belong to the GIT_DIR there was
                environ.pop(name, None)
        try:
            return subprocess.run(
                [self.program, *arguments],
                cwd=directory,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=GIT_TIMEOUT_S,
                check=False,
            )
        except ValueError as error:  # a NUL
            raise UsageError(f"git takes no such value: {error}") from None
        except OSError as error:
            raise UnavailableError(f"git cannot be run in {directory}: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise UnavailableError(f"git {arguments[0]} did not end within {GIT_TIMEOUT_S:.0f} s") from None

    def _check(self, done: subprocess.CompletedProcess[bytes], directory: Path) -> None:
        if len(done.stdout) > MAX_OUTPUT_BYTES:
            raise UnavailableError(f"git printed more than {MAX_OUTPUT_BYTES} bytes of configuration")
        if done.returncode == 0:
            return
        lines = os.fsdecode(done.stderr).strip().splitlines() or [f"exit status {done.returncode}"]
        reason = next((line for line in lines if line.startswith(("fatal: ", "error: "))), lines[-1])
        hint = "mend the configuration that git names" if "bad config" in reason else ""
        if "dubious ownership" in reason:  # CVE-2022-24765: another user's configuration would be obeyed
            named = re.search(r"repository at '(.+)'", os.fsdecode(done.stderr))
            place = named[1] if named else str(directory.absolute())
            hint = f"if you trust it: git config --global --add safe.directory {shlex.quote(place)}"
        raise UnavailableError(f"git, run in {directory.absolute()}, says: {reason}", hint=hint)


def parse_entry(entry: str) -> tuple[str, str]:
    """Name and value, as `git config --null` prints them."""
    name, equals, value = entry.partition("\n")
    # A name without `=` is a boolean that is true (git-config(1), Syntax).
    return name, value if equals else "true"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One configuration file. `path` is where it lies; a symbolic link that named it stays as it is."""

    path: Path

    @classmethod
    def locate(cls, path: Path) -> ConfigFile:
        """The file that `path` names, present or not. git follows links likewise when it writes."""
        return cls(Path(os.path.realpath(path)))

    def read(self) -> bytes | None:
        """The file's bytes, None where there is none. `UnavailableError` for what is no file or too large."""
        try:
            # O_NONBLOCK: opening a FIFO would wait for its writer.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unusable(self.path, error) from None
        with file_errors(self.path), open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnavailableError(f"{self.path} is no regular file", hint="see what GIT_CONFIG_GLOBAL names")
            data = file.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise UnavailableError(f"{self.path} is larger than {MAX_CONFIG_BYTES} bytes")
        return data

    def replace(self, data: bytes | None) -> None:
        """Put `data` in the file's place in one step, with its mode and owner; None removes it."""
        with file_errors(self.path):
            if data is None:
                self.path.unlink(missing_ok=True)
                sync_folder(self.path.parent)
                return
            try:
                found = self.path.stat()
            except FileNotFoundError:
                replace_file(self.path, data, mode=None)
            else:
                owner = (found.st_uid, found.st_gid)
                replace_file(self.path, data, mode=stat.S_IMODE(found.st_mode), owner=owner)

    @contextlib.contextmanager
    def locked(self, holder: str) -> Iterator[None]:
        """Hold git's lock on the file: `<file>.lock`, which every git makes with O_EXCL before it writes.

        Ours is a symbolic link to `holder`, a word and no file: made in one step together with what it
        says, so that one left by a killed process is known as such. The caller sees to it that two
        processes with the same `holder` are never here at once; then one that is found was left.
        """
        lock = self.path.with_name(f"{self.path.name}.lock")
        with file_errors(self.path):
            if not self.path.parent.is_dir():
                raise UnavailableError(f"there is no folder {self.path.parent} for git's configuration")
            _take(lock, holder)
            try:
                for draft in self.path.parent.iterdir():
                    if draft.name.startswith(self.path.name + _DRAFT):
                        draft.unlink()
                yield
            finally:
                _release(lock, holder)


def global_file(environ: Mapping[str, str]) -> Path:
    """The file that `git config --global` writes to (git-config(1), FILES; builtin/config.c).

    GIT_CONFIG_GLOBAL; else ~/.gitconfig, unless only $XDG_CONFIG_HOME/git/config is there to be read.
    Raises `UsageError` without a home directory.
    """
    named = environ.get("GIT_CONFIG_GLOBAL")
    if named is not None:
        if not named:
            raise UsageError("GIT_CONFIG_GLOBAL is empty", hint="unset it, or let it name a file")
        return Path(named).absolute()
    home = environ.get("HOME")
    if not home:
        raise UsageError("HOME is not set, so there is no global git configuration", hint="set HOME")
    user = Path(home, ".gitconfig").absolute()
    xdg = Path(environ.get("XDG_CONFIG_HOME") or Path(home, ".config"), "git", "config").absolute()
    return xdg if not os.access(user, os.R_OK) and os.access(xdg, os.R_OK) else user


def find_programs(name: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Absolute paths of executables called `name` in the absolute parts of PATH, in order."""
    for place in environ.get("PATH", os.defpath).split(os.pathsep):
        if os.path.isabs(place) and (found := shutil.which(name, path=place)) is not None:
            yield found


def replace_file(path: Path, data: bytes, *, mode: int | None, owner: tuple[int, int] | None = None) -> None:
    """Put a file with `data` at `path`, on disk and in one step; `UnavailableError` where that fails.

    `mode` None: as the umask says. `owner`: user id and group id, where they are to stay another's.
    """
    draft = path.with_name(f"{path.name}{_DRAFT}{secrets.token_hex(8)}")
    with file_errors(path):
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            descriptor = os.open(draft, flags, 0o666 if mode is None else 0o600)
            with open(descriptor, "wb") as file:
                found = os.fstat(descriptor)
                if owner is not None and owner != (found.st_uid, found.st_gid):
                    os.fchown(descriptor, *owner)
                if mode is not None:
                    os.fchmod(descriptor, mode)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` on disk, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """What the system says against work on `path`, as `UnavailableError`."""
    try:
        yield
    except OSError as error:
        raise _unusable(path, error) from None


def _unusable(path: Path, error: OSError) -> UnavailableError:
    return UnavailableError(f"cannot use {path}: {error.strerror or error}")


def _take(lock: Path, holder: str) -> None:
    for attempt in range(LOCK_ATTEMPTS):
        if attempt:
            time.sleep(LOCK_PAUSE_S)
        _release(lock, holder)
        try:
            os.symlink(holder, lock)
        except FileExistsError:
            continue
        return
    raise UnavailableError(
        f"another git is writing this configuration: {lock} exists", hint="if no git is running, remove that file"
    )


def _release(lock: Path, holder: str) -> None:
    """Remove the lock if it is the holder's; OSError from `readlink`: there is none, or it is a git's own."""
    with contextlib.suppress(OSError):
        if os.readlink(lock) == holder:
            lock.unlink()
