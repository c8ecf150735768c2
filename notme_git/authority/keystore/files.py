"""Keys in files, and files of one's own user that are never replaced by accident nor read where others may.

What is checked of a folder is checked of its descriptor, and what follows goes by that and not by the path.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from attest.errors import UnavailableError
from notme_git.authority.keystore.private import (
    MAX_FILE_BYTES,
    RESTORE_HINT,
    PrivateKey,
    checked_name,
    checked_size,
    parse_pem,
    parse_private_key,
    taken,
    to_pem,
)


@dataclass(frozen=True, slots=True)
class FileKeys:
    """Keys as `NAME.pem` (PKCS#8, RFC 7468 section 10), 0600, in a directory of 0700 that `save` makes."""

    directory: Path

    def save(self, name: str, pkcs8_der: bytes) -> None:
        """Keep a key under `name`, on disk when this returns. `RefusedError` if the name is taken."""
        add(self._path(name), to_pem(checked_size(pkcs8_der)), name)

    def load(self, name: str) -> bytes:
        """The key's PKCS#8 DER. `UnavailableError` if it is missing, damaged, or open to another user."""
        path = self._path(name)
        der = parse_pem(read(path, MAX_FILE_BYTES))
        if der is None:
            raise UnavailableError(f"{path} is no private key that this program wrote", hint=RESTORE_HINT)
        return der

    def private_key(self, name: str) -> PrivateKey:
        """The key, for one piece of work. `UnavailableError` as `load`, `MalformedError` for what is no key."""
        return parse_private_key(self.load(name))

    def delete(self, name: str) -> None:
        """Remove the key. `UnavailableError` if there is none."""
        remove(self._path(name))

    def _path(self, name: str) -> Path:
        return self.directory / f"{checked_name(name)}.pem"


def add(path: Path, data: bytes, name: str) -> None:
    """Write a new file, on disk when this returns; `RefusedError` if there is one, naming the key `name`.

    The file appears under its name when it is complete. A hard link, unlike a rename, never replaces.
    """
    unfinished = f".{path.name}.{secrets.token_hex(8)}"
    with _file_errors(path):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with _opened(path.parent) as folder:
            try:
                _write(unfinished, data, folder)
                os.link(unfinished, path.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError:
                raise taken(name) from None
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(unfinished, dir_fd=folder)
            os.fsync(folder)


def replace(path: Path, data: bytes) -> None:
    """Put `data` in place of what is in the file: the old or the new whole, whenever this ends."""
    unfinished = f".{path.name}.{secrets.token_hex(8)}"
    with _file_errors(path), _opened(path.parent) as folder:
        try:
            _write(unfinished, data, folder)
            os.replace(unfinished, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unfinished, dir_fd=folder)
        os.fsync(folder)


def read(path: Path, most: int) -> bytes:
    """At most `most` + 1 bytes. `UnavailableError` if the file is missing or open to another user."""
    with _file_errors(path), _opened(path.parent) as folder:
        # O_NONBLOCK: opening a FIFO would wait for its writer. It is refused below.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path.name, flags, dir_fd=folder)
        with open(descriptor, "rb") as file:
            _check_private(os.fstat(descriptor), path, stat.S_ISREG, "regular file")
            return file.read(most + 1)


def remove(path: Path) -> None:
    """Remove the file. `UnavailableError` if there is none."""
    with _file_errors(path), _opened(path.parent) as folder:
        os.unlink(path.name, dir_fd=folder)
        os.fsync(folder)


@contextlib.contextmanager
def _opened(directory: Path) -> Iterator[int]:
    """A checked descriptor of the directory."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(directory, flags)
    try:
        _check_private(os.fstat(folder), directory, stat.S_ISDIR, "directory")
        yield folder
    finally:
        os.close(folder)


def _write(name: str, text: bytes, folder: int) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    with open(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _check_private(found: os.stat_result, path: Path, is_kind: Callable[[int], bool], kind: str) -> None:
    if not is_kind(found.st_mode):
        raise UnavailableError(f"{path} is no {kind}", hint=RESTORE_HINT)
    if found.st_uid != os.geteuid():
        raise UnavailableError(
            f"{path} belongs to user {found.st_uid}, not to the one who runs this", hint=RESTORE_HINT
        )
    if found.st_mode & 0o077:
        raise UnavailableError(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, so others may have read the keys",
            hint="find out who could read it; if nobody did, take the rights away with chmod go=",
        )


@contextlib.contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(f"cannot use the key file {path}: {error.strerror}", hint=RESTORE_HINT) from None
