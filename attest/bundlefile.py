"""Attestations as a file for machines that no network connects: in-toto bundles, JSON Lines (in-toto, spec/v1/bundle).

A file says itself what each of its lines is about: importing needs neither names nor order, and a line that is no
attestation about an object is passed over and counted. Nothing is believed by being imported.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import IO

from attest import lines, store
from attest.apas import dispatch
from attest.errors import MalformedError, UnavailableError
from attest.repository import Repository

MAX_LINES = 1_000_000
MAX_BYTES = 8 * 1024**3


@dataclass(frozen=True, slots=True)
class Imported:
    """Of a file's lines how many are attestations, and how many are not; how many lines were new, and how many objects
    the file is about. A line about several objects is stored with each of them. `withheld` are attestations that name
    the sources of content: a git ref is read by everyone (design D9).
    """

    recognised: int
    ignored: int
    added: int
    objects: int
    withheld: int = 0


class Spool(Mapping[str, "list[bytes]"]):
    """The recognised lines of a file, kept in a temporary one, by the object they are about. In a `with` block.

    All are taken before the first is asked for.
    """

    def __init__(self, id_length: int) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._places = dict[str, list[tuple[int, int]]]()
        self._id_length = id_length
        self.recognised = self.ignored = self.withheld = self._end = self._stored = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __getitem__(self, oid: str) -> list[bytes]:
        """Its lines, each once; `UnavailableError` for more than one object can have."""
        found, total = dict[bytes, None](), 0
        for start, size in self._places[oid]:
            self._file.seek(start)
            content = self._file.read(size)
            if content not in found:
                found[content], total = None, total + size + 1
            if total > store.MAX_ADDED_BYTES:
                raise store.too_many(oid, sum(size + 1 for _, size in self._places[oid]))
        return list(found)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def take(self, content: bytes) -> None:
        """Keep a line if it is an attestation about objects of this repository's kind of ids.

        Raises `UnavailableError` where the lines, each as often as it is stored, have more than `MAX_BYTES`.
        """
        try:
            line = lines.parse(content)
        except MalformedError:
            self.ignored += 1
            return
        about = [oid for oid in line.about if len(oid) == self._id_length]
        if not about:
            self.ignored += 1
            return
        if line.said is not None and dispatch.discloses(line.said):
            self.withheld += 1
            return
        self.recognised += 1
        self._stored += len(content) * len(about)
        _check(self._stored, 0)
        place = (self._end, len(content))
        self._end += self._file.write(content)
        for oid in about:
            self._places.setdefault(oid, []).append(place)


def import_file(repository: Repository, file: IO[bytes], at: datetime, ref: str = store.REF) -> Imported:
    """Store what a file has, in one commit dated `at`; once more, and nothing is new.

    Raises `UnavailableError` for a file of more than `MAX_LINES` or `MAX_BYTES`, and as `store.append` does.
    """
    return _import(repository, _lines(file), at, ref)


def import_lines(
    repository: Repository, found: Iterable[tuple[str, Iterable[bytes]]], at: datetime, ref: str = store.REF
) -> Imported:
    """The same for lines that are kept elsewhere."""
    return _import(repository, (content for _, stored in found for content in stored), at, ref)


def _import(repository: Repository, contents: Iterable[bytes], at: datetime, ref: str) -> Imported:
    try:
        with Spool(repository.object_format.hex_length) as spool:
            for content in contents:
                spool.take(content)
            added = store.append(repository, spool, at, ref) if spool else 0
            return Imported(spool.recognised, spool.ignored, added, len(spool), spool.withheld)
    except OSError as error:
        raise UnavailableError(
            f"what is imported cannot be read, or kept in the folder for temporary files: {error.strerror}",
            hint="Nothing was imported. TMPDIR names a folder with more space.",
        ) from None


def export_lines(
    found: Iterable[tuple[str, Iterable[bytes]]], write: Callable[[bytes], object]
) -> tuple[int, int]:
    """Write what is an attestation of stored lines; returns how many are, and about how many objects."""
    count, objects = 0, 0
    for _, stored in found:
        good = [content for content in stored if _is_attestation(content)]
        for content in good:
            write(content + b"\n")
        count, objects = count + len(good), objects + bool(good)
    return count, objects


def _is_attestation(content: bytes) -> bool:
    try:
        lines.parse(content)
    except MalformedError:
        return False
    return True


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines without their ends; of one that is too long the beginning, which is no attestation."""
    total = count = 0
    while raw := file.readline(lines.MAX_LINE_BYTES + 2):
        content = raw.rstrip(b"\r\n")
        total += len(raw)
        while not raw.endswith(b"\n") and (raw := file.readline(lines.MAX_LINE_BYTES)):
            total += len(raw)
            _check(total, count)
        if content:
            count += 1
            yield content
        _check(total, count)


def _check(total: int, count: int) -> None:
    if count > MAX_LINES or total > MAX_BYTES:
        raise UnavailableError(
            f"there are more than {MAX_LINES:,} lines or {MAX_BYTES:,} bytes to store; nothing was imported",
            hint="Split it.",
        )
