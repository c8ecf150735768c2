"""Where statements go: signed into the repository and a file, or unsigned to where they will be signed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Protocol

from attest import dsse, stamps, store, wholefile
from attest.attester import Attester
from attest.errors import UnavailableError
from attest.predicates.maker import Stated
from attest.repository import Repository
from attest.wholefile import WholeFile

FLUSH = 10_000
"""Lines that are held before they are stored: some 60 MiB."""


class Sink(Protocol):
    """Takes statements as they come; `finish` after the last."""

    def add(self, stated: Stated) -> None:
        """One more."""

    def finish(self) -> None:
        """All are there. Raises `UnavailableError` where they cannot be written."""

    def abandon(self) -> None:
        """There will be no more: leave no half of a file."""


class Signed:
    """Signs, and stores one line a statement beside the object it is about, and in the file `out` if there is one.

    `clock` gives the time of each signature. With `home`, time-stamps of SSH signatures that were kept there are stored
    with the statements, for verifiers elsewhere.
    """

    def __init__(
        self,
        attester: Attester,
        clock: Callable[[], datetime],
        repository: Repository | None,
        home: Path | None,
        out: Path | None,
    ) -> None:
        self._attester, self._clock, self._repository = attester, clock, repository
        spooled = home is not None and (home / stamps.FOLDER).is_dir()
        self._home = home if spooled and repository is not None else None
        self._file = None if out is None else WholeFile(out)
        self._waiting: dict[str, list[bytes]] = {}
        self._count = 0

    def add(self, stated: Stated) -> None:
        """As `Sink` has it."""
        line = self._attester.sign(stated.payload, self._clock())
        if self._file is not None:
            self._file.write(line + b"\n")
        if self._repository is None:
            return
        for object_id in (stated.object_id, *stated.also):
            if object_id not in self._waiting:
                self._waiting[object_id] = self._kept(object_id)
            self._waiting[object_id].append(line)
            self._count += 1
        if self._count >= FLUSH:
            self._store()

    def finish(self) -> None:
        """As `Sink` has it."""
        self._store()
        if self._file is not None:
            self._file.finish()

    def abandon(self) -> None:
        """As `Sink` has it."""
        if self._file is not None:
            self._file.abandon()

    def _kept(self, object_id: str) -> list[bytes]:
        tokens = [] if self._home is None else stamps.spooled(self._home, object_id)
        return [stamps.encode(object_id, token) for token in tokens]

    def _store(self) -> None:
        if self._repository is not None and self._waiting:
            store.append(self._repository, self._waiting, at=self._clock())
        self._waiting, self._count = {}, 0


class ToBeSigned:
    """Writes each Statement, and the bytes that a DSSE signature covers. Never an envelope: nothing is signed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"cannot make {folder}: {error.strerror}") from None

    def add(self, stated: Stated) -> None:
        """As `Sink` has it."""
        name = f"{stated.object_id}-{stated.type}"
        for ending, data in (
            ("intoto.json", stated.payload),
            ("pae", dsse.pae(dsse.PAYLOAD_TYPE, stated.payload)),
        ):
            wholefile.write(self._folder / f"{name}.{ending}", data)

    def finish(self) -> None:
        """As `Sink` has it."""

    def abandon(self) -> None:
        """As `Sink` has it."""


class Nowhere:
    """For a walk in which there is nothing to state."""

    def add(self, stated: Stated) -> None:
        """As `Sink` has it; nobody is there to sign it."""
        raise UnavailableError(f"{stated.object_id} came while it was judged; nothing was stated", hint="try again")

    def finish(self) -> None:
        """As `Sink` has it."""

    def abandon(self) -> None:
        """As `Sink` has it."""
