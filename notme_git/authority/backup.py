"""A copy of an authority in one file, made while it serves: a tar of its database, its key files and its settings.

The database is copied by SQLite itself, as it stands at one moment. Keys in a desktop's keyring or in memory are not in
it. What is in plain in the authority's folder is in plain here: the file has mode 0600 and is never overwritten.
`anchors.pem` and `bundle` are left out: the mark that they are behind has the next run write them from the database.
"""

from __future__ import annotations

import io
import os
import secrets
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from attest.errors import RefusedError, UnavailableError
from notme_git.authority import epochs, settings
from notme_git.authority.embedded import Authority
from notme_git.authority.keystore import EncryptedKeys, FileKeys, encrypted, files, private

DATABASE = "authority.db"
KEYS = "keys"


def write(authority: Authority, target: Path) -> tuple[str, ...]:
    """Make the backup, on disk when this returns, and return the names of what is in it.

    `RefusedError` if the file exists, `UnavailableError` if it cannot be written or the authority cannot be read.
    """
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "wb") as file:
                names = _fill(authority, file)
                file.flush()
                os.fsync(descriptor)
            os.link(unfinished, target)
        finally:
            os.unlink(unfinished)
    except FileExistsError:
        raise RefusedError(f"{target} exists already", hint="name a file that does not") from None
    except (OSError, sqlite3.Error) as error:
        raise UnavailableError(f"cannot write {target}: {error}", hint="check its folder and its space") from None
    return names


def _fill(authority: Authority, file: io.BufferedWriter) -> tuple[str, ...]:
    with tarfile.open(fileobj=file, mode="w") as tar:
        _add(tar, DATABASE, _database(authority.directory / DATABASE))
        own = authority.directory / settings.NAME
        if own.exists():
            _add(tar, settings.NAME, own.read_bytes())
        folder = tarfile.TarInfo(KEYS)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(folder)
        for path, most in _key_files(authority):
            _add(tar, f"{KEYS}/{path.name}", files.read(path, most))
        _add(tar, epochs.BEHIND, b"")
        return tuple(tar.getnames())


def _key_files(authority: Authority) -> list[tuple[Path, int]]:
    """The key files, and how long one may be; a file that is being written begins with a dot."""
    match authority.keys:
        case FileKeys(directory=directory):
            return [(path, private.MAX_FILE_BYTES) for path in sorted(directory.glob("[a-z0-9]*.pem"))]
        case EncryptedKeys(directory=directory):
            return [(path, encrypted.MAX_FILE_BYTES) for path in sorted(directory.glob(f"[a-z0-9]*{encrypted.SUFFIX}"))]
    return []


def _database(path: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / DATABASE
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        return copy.read_bytes()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), 0o600
    tar.addfile(entry, io.BytesIO(data))
