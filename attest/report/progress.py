"""How far a long run is, on a terminal and nowhere else."""

from __future__ import annotations

import sys
import time

INTERVAL = 0.2
"""Seconds between two lines: often enough to see that it moves."""


class Progress:
    """One line on stderr that is written over. `add` after each piece of work, `close` before anything else is said."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._begun = self._last = time.monotonic()
        self._count = 0

    def add(self, count: int) -> None:
        """`count` more objects are done."""
        self._count += count
        now = time.monotonic()
        if self._shown and now - self._last >= INTERVAL:
            self._last = now
            rate = self._count / (now - self._begun)
            sys.stderr.write(f"\r\x1b[K{self._count:,} objects, {rate:,.0f} a second")
            sys.stderr.flush()

    def close(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
