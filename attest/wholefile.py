"""Files that are there with all that belongs in them, or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from attest.errors import UnavailableError

_DEVICES = ("/dev/", "/proc/")


class WholeFile:
    """A file that takes its place once it is finished; nothing is made before the first `write`.

    A symbolic link leads where it led before. What is no regular file (a pipe, a terminal, /dev/null) is written to as
    it is: to put a file in its place would take it from everybody else. Every method raises `UnavailableError`.
    """

    def __init__(self, path: Path, *, private: bool = False) -> None:
        self._path, self._mode = path, 0o600 if private else 0o666
        self._place = self._temporary = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.finish() if kind is None else self.abandon()

    def write(self, data: bytes) -> None:
        """Add `data`."""
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(data)
        except OSError as error:
            raise self._failed(error) from None

    def finish(self) -> None:
        """All is written."""
        if self._file is None:
            return
        try:
            self._file.close()
            if self._temporary != self._path:
                os.replace(self._temporary, self._place)
        except OSError as error:
            raise self._failed(error) from None

    def abandon(self) -> None:
        """There will be no more: what was there before stays."""
        with contextlib.suppress(OSError):
            if self._file is not None:
                self._file.close()
        if self._temporary != self._path:
            # It may not be there, or a name before it be no folder, or the disk for reading only.
            with contextlib.suppress(OSError):
                self._temporary.unlink()

    def _open(self) -> IO[bytes]:
        if str(self._path.absolute()).startswith(_DEVICES) or (self._path.exists() and not self._path.is_file()):
            return open(self._path, "wb")
        self._place = Path(os.path.realpath(self._path))
        self._temporary = self._place.with_name(f".notme-{os.urandom(8).hex()}")
        return open(self._temporary, "xb", opener=lambda path, flags: os.open(path, flags, self._mode))

    def _failed(self, error: OSError) -> UnavailableError:
        self.abandon()
        return UnavailableError(f"cannot write {self._path}: {error.strerror}")


def write(path: Path, data: bytes, *, private: bool = False) -> None:
    """Put `data` in the place of a file, whole or not at all; `private` for its owner alone. `UnavailableError`."""
    with WholeFile(path, private=private) as file:
        file.write(data)
