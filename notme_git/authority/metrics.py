"""Counters that all worker processes of one server add to, and any of them can tell.

They lie in memory that is shared over fork: each worker has a row of its own, so nothing is locked and nothing is lost;
a sum is read over all rows. They begin at nought with the server, as counters of the Prometheus text format may.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping

NAMES: Mapping[str, str] = {
    "requests": "Requests answered",
    "refused": "Requests answered with a status of 400 to 499",
    "failed": "Requests answered with a status of 500 or more",
    "issued": "Certificate pairs issued",
    "tokens": "Access tokens issued",
    "timestamps": "Time-stamps made",
    "limited": "Requests refused for their rate",
    "no_nonce": "Pairs issued without a nonce (compat.no_nonce)",
    "legacy_digest": "Pairs issued for proofs over a digest (compat.legacy_digest)",
    "microseconds": "Time spent on requests, in microseconds",
}
MAX_WORKERS = 64
NUMBER_BYTES = 8
_PLACE = {name: index for index, name in enumerate(NAMES)}


class Metrics:
    """Made before the workers fork; each then says which `worker` it is."""

    def __init__(self) -> None:
        self._numbers = memoryview(mmap.mmap(-1, MAX_WORKERS * len(NAMES) * NUMBER_BYTES)).cast("Q")
        self.worker = 0

    def add(self, name: str, amount: int = 1) -> None:
        """Count `amount` more of `name`."""
        self._numbers[self.worker % MAX_WORKERS * len(NAMES) + _PLACE[name]] += amount

    def read(self) -> dict[str, int]:
        """Every counter, over all workers."""
        return {name: sum(self._numbers[place :: len(NAMES)]) for name, place in _PLACE.items()}

    def text(self) -> str:
        """In the Prometheus text format."""
        lines = []
        for name, value in self.read().items():
            full = f"notme_authority_{name}_total"
            lines += [f"# HELP {full} {NAMES[name]}", f"# TYPE {full} counter", f"{full} {value}"]
        return "\n".join(lines) + "\n"
