"""`python -m bench.attest [--quick]`: statements signed, stored, read and carried, beside what stock git takes for it.

The statements are real ones, signed and time-stamped, about made-up ids of commits. Ratios are between ours and a stock
tool that does the same to the same bytes, in one run on one machine. The time to read one is a median. `--quick` takes
a twentieth of everything.
"""

from __future__ import annotations

import functools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from attest import bundlefile, repository, shards, store, sync
from attest.remote import Remote
from attest.repository import Repository
from bench import statements
from bench.harness import row

QUICK = "--quick" in sys.argv
COUNT = 5_000 if QUICK else 100_000
SINGLE = 50 if QUICK else 500
"""Appended one by one."""


class Lines(Mapping[str, list[bytes]]):
    """Lines in a file, by the object they are about."""

    def __init__(self, path: Path, count: int) -> None:
        self._file, self.size = open(path, "w+b"), 0  # noqa: SIM115
        self._places = dict[str, tuple[int, int]]()
        for oid, line in statements.lines(count):
            self._places[oid] = (self.size, len(line))
            self.size += self._file.write(line)

    def __getitem__(self, oid: str) -> list[bytes]:
        start, size = self._places[oid]
        self._file.seek(start)
        return [self._file.read(size)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def main() -> None:
    """All of them, as a table."""
    row("what", "reached", "to reach")
    signed, stored = statements.rates(200 if QUICK else 4000)
    row("commit statements signed, two processes", f"{signed:,.0f} /s", ">= 10,000 /s")
    row("the same, time-stamped and as stored", f"{stored:,.0f} /s", "")
    with tempfile.TemporaryDirectory(prefix="notme-attest-") as directory:
        place = Path(directory)
        lines = Lines(place / "lines", COUNT)
        row(f"{COUNT:,} statements", f"{lines.size / COUNT:,.0f} bytes each", "")
        with _made(place / "ours") as repo:
            _write(repo, place, lines)
            _read(repo, lines)
            _carry(repo, place)
        _one_by_one(place, lines)


def _write(repo: Repository, place: Path, lines: Lines) -> None:
    before = _peak()
    seconds = _timed(lambda: store.append(repo, lines, datetime.now(UTC)))
    row(f"stored, all in one call: {COUNT / seconds:,.0f} /s", f"{seconds:.1f} s", "")
    row("  memory", f"{_peak() - before:,.0f} MiB", "")
    row("  packed", f"{_packed(repo.path) / COUNT:,.0f} bytes each", "")
    git(place, "init", "-q", "plain")
    with open(place / "stream", "w+b") as stream:
        stream.writelines(_stream(lines))
        stream.seek(0)
        start = time.perf_counter()
        subprocess.run(["git", "fast-import", "--quiet", "--done"], cwd=place / "plain", stdin=stream, check=True)
        plain = time.perf_counter() - start
    (place / "stream").unlink()
    row("  plain git fast-import of the same files", f"{plain:.1f} s", "")
    row("  packed", f"{_packed(place / 'plain') / COUNT:,.0f} bytes each", "")
    row("  ours / plain", f"{seconds / plain:.2f}", "")


def _read(repo: Repository, lines: Lines) -> None:
    oids = list(lines)
    with repository.open_repository(repo.path, os.environ) as fresh:
        one = statistics.median([_timed(functools.partial(store.read, fresh, oid)) for oid in oids[:100]])
        row("read: one", f"{one * 1000:.1f} ms", "")
        row("read: 1,000 of them", f"{_timed(lambda: store.read_many(fresh, oids[:1000])):.2f} s", "")
        count, seconds = 0, time.perf_counter()
        for _, found in store.read_all(fresh):
            count += len(found)
        seconds = time.perf_counter() - seconds
        assert count == COUNT
        row(f"read: all, {COUNT / seconds:,.0f} /s", f"{seconds:.1f} s", "")
    names = "".join(f"{store.REF}:{shards.path_of(oid)}\n" for oid in oids[:1000]).encode()
    stock = _timed(lambda: git(repo.path, "cat-file", "--batch", stdin=names))
    row("  1,000 by git cat-file --batch", f"{stock:.2f} s", "")


def _carry(repo: Repository, place: Path) -> None:
    """To a bare repository, from it into an empty one, and as a file."""
    git(place, "init", "-q", "--bare", "hub")
    address = (place / "hub").as_uri()
    at = datetime.now(UTC)
    pushed = _timed(lambda: sync.sync(repo, Remote(repo, address, os.environ), at))
    with _made(place / "second") as second:
        fetched = _timed(lambda: sync.sync(second, Remote(second, address, os.environ), at))
        again = _timed(lambda: sync.sync(second, Remote(second, address, os.environ), at))
    git(place, "init", "-q", "--bare", "hub2")
    git(place, "init", "-q", "third")
    plain_push = _timed(lambda: git(repo.path, "push", "-q", (place / "hub2").as_uri(), store.REF))
    plain_fetch = _timed(lambda: git(place / "third", "fetch", "-q", address, f"{store.REF}:{store.REF}"))
    row(f"sync, all to an empty remote (git push {plain_push:.1f} s)", f"{pushed:.1f} s", "")
    row(f"sync, all from a remote (git fetch {plain_fetch:.1f} s)", f"{fetched:.1f} s", "")
    row("sync, nothing new", f"{again * 1000:.0f} ms", "")
    with open(place / "all.jsonl", "wb") as file:
        exported = _timed(lambda: bundlefile.export_lines(store.read_all(repo), file.write))
    with _made(place / "imported") as other, open(place / "all.jsonl", "rb") as file:
        imported = _timed(lambda: bundlefile.import_file(other, file, at))
    row(f"exported to a file: {exported:.1f} s; imported", f"{imported:.1f} s", "")


def _one_by_one(place: Path, lines: Lines) -> None:
    """What a commit at a time costs, against a note at a time."""
    some = list(lines.items())[:SINGLE]
    with _made(place / "single") as repo:
        ours = _timed(lambda: [store.append(repo, {oid: found}, datetime.now(UTC)) for oid, found in some]) / SINGLE
        loose = _used(repo.path / ".git" / "objects")
        git(repo.path, "gc", "--quiet")
        packed = _packed(repo.path)
    notes = place / "notes"
    git(place, "init", "-q", "notes")
    stream = (b"commit refs/heads/main\ncommitter x <x@x> %d +0000\ndata 0\n" % n for n in range(SINGLE))
    git(notes, "fast-import", "--quiet", stdin=b"".join(stream))
    oids = git(notes, "rev-list", "main").decode().split()
    assert len(oids) == SINGLE
    options = ("-c", "user.name=x", "-c", "user.email=x@x", "notes", "append", "-F", "-")
    stock = _timed(
        lambda: [git(notes, *options, oid, stdin=found[0]) for oid, (_, found) in zip(oids, some, strict=True)]
    )
    row(f"one by one (git notes append {stock / SINGLE * 1000:.0f} ms)", f"{ours * 1000:.0f} ms each", "")
    row("  loose on disk", f"{loose / SINGLE / 1024:.1f} KiB each", "")
    row("  after git gc", f"{packed / SINGLE / 1024:.1f} KiB each", "")


def _stream(lines: Lines) -> Iterator[bytes]:
    yield b"commit refs/heads/main\ncommitter x <x@x> 0 +0000\ndata 0\n"
    for oid, found in lines.items():
        content = b"".join(line + b"\n" for line in found)
        yield b"M 100644 inline %b\ndata %d\n%b\n" % (shards.path_of(oid).encode(), len(content), content)
    yield b"done\n"


def _made(folder: Path) -> Repository:
    folder.mkdir()
    git(folder, "init", "-q", ".")
    return repository.open_repository(folder, os.environ)


def _timed(what: Callable[[], object]) -> float:
    start = time.perf_counter()
    what()
    return time.perf_counter() - start


def _peak() -> float:
    """The most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _packed(folder: Path) -> int:
    said = dict(line.split(": ") for line in git(folder, "count-objects", "-v").decode().splitlines())
    return int(said["size-pack"]) * 1024


def _used(folder: Path) -> int:
    """Bytes on the disk, in whole blocks."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """What git prints; any failure ends the benchmark."""
    done = subprocess.run(["git", *arguments], cwd=folder, input=stdin, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"git {' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done.stdout


if __name__ == "__main__":
    main()
