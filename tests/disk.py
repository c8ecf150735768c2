"""What a disk does to a process: it is slow, it is full, and it keeps what a killed process had written by then.

A process that is killed between any two of its writes, in process and repeatable: from the chosen call on,
every call that could change the disk raises `Killed`, and so do the clean-ups that a killed process does not
run either. What the kernel has by then is what the next process finds.
"""

from __future__ import annotations

import builtins
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from notme_git.authority.store import Store

CALLS: tuple[tuple[Any, str], ...] = (
    (os, "open"),
    (os, "mkdir"),
    (os, "link"),
    (os, "rename"),
    (os, "replace"),
    (os, "unlink"),
    (os, "fsync"),
    (os, "rmdir"),
    (builtins, "open"),
    (Store, "_execute"),
)


_CONNECT = sqlite3.connect


class Killed(BaseException):
    """No `except Exception` sees it, as none sees SIGKILL."""


class Counter:
    """How many counted calls were made, and what happens at one of them."""

    def __init__(self, end: int | None, error: Callable[[], BaseException]) -> None:
        self.calls, self._end, self._error = 0, end, error

    def step(self) -> None:
        self.calls += 1
        if self._end is not None and self.calls > self._end:
            raise self._error()


class Once(Counter):
    """The error comes once; afterwards everything works again, as on a disk where somebody made room."""

    def step(self) -> None:
        self.calls += 1
        if self._end is not None and self.calls == self._end + 1:
            raise self._error()


class Unsynced(sqlite3.Connection):
    """Never waits for the disk, whatever it is told."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        super().execute("PRAGMA synchronous = OFF")

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *values)


@contextmanager
def unsynced() -> Iterator[None]:
    """Wait for no disk: what survives a power cut is tested with the store and the key store, one file at a time."""
    if sqlite3.connect is not _CONNECT:
        yield  # inside another one, which may be counting
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(sqlite3, "connect", lambda *args, **named: _CONNECT(*args, factory=Unsynced, **named))
        yield


@contextmanager
def counted(counter: Counter) -> Iterator[Counter]:
    """Every call in `CALLS` asks the counter first."""
    with unsynced(), pytest.MonkeyPatch.context() as patch:
        for owner, name in CALLS:
            patch.setattr(owner, name, _asking(counter, getattr(owner, name)))
        yield counter


def _asking(counter: Counter, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **named: Any) -> Any:
        counter.step()
        return real(*args, **named)

    return call


def count(action: Callable[[], object]) -> int:
    """The calls of an undisturbed run."""
    with counted(Counter(None, Killed)) as counter:
        action()
    return counter.calls


def kill_at(step: int, action: Callable[[], object]) -> None:
    """Run `action` until it has made `step` calls."""
    with counted(Counter(step, Killed)), pytest.raises(Killed):
        action()


def fail_at(step: int, error: OSError, action: Callable[[], object]) -> None:
    """Run `action`; its call number `step` fails. What `action` raises goes on."""
    with counted(Once(step, lambda: error)):
        action()
