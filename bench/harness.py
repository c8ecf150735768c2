"""Whole processes timed in turn, and a home to time them in."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TOOLS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Command:
    """One command line with its standard input; it must exit 0 every time."""

    argv: Sequence[str]
    stdin: bytes = b""


class Home:
    """A temporary home and repository in which commands run."""

    def __init__(self, root: Path) -> None:
        self.root, self.repo = root, root / "repo"
        for folder in (self.repo, root / "run"):
            folder.mkdir(mode=0o700, parents=True)
        self.environ = {
            "PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "HOME": str(root),
            "NOTME_HOME": str(root / "notme"),
            "XDG_RUNTIME_DIR": str(root / "run"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "LANG": "C.UTF-8",
        }
        self.run("git", "init", "-q", ".")

    def run(self, *argv: str, stdin: bytes = b"", cwd: Path | None = None) -> bytes:
        """Run one command and return what it prints; anything but exit 0 ends the benchmark."""
        done = subprocess.run(
            argv, cwd=cwd or self.repo, env=self.environ, input=stdin, capture_output=True, timeout=120, check=False
        )
        if done.returncode:
            sys.exit(f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def first_use(self) -> None:
        """What a newcomer types."""
        self.run("notme-git", "init", "--key-store", "file", "--human", "Alice Example <alice@example.org>")
        self.run("notme-git", "grant", "add", "claude-code")
        self.run("notme-git", "setup", "--agent", "claude-code")
        self.run("git", "commit", "-q", "--allow-empty", "-m", "x")

    def stop(self) -> None:
        """End the daemon that signing started."""
        self.run("notme-git", "daemon", "stop")

    def time(self, command: Command) -> float:
        """Seconds from start to end of one run."""
        start = time.perf_counter()
        self.run(*command.argv, stdin=command.stdin)
        return time.perf_counter() - start

    def compare(self, first: Command, second: Command, runs: int) -> tuple[float, float, float]:
        """Medians of both, run in turn after a warm-up of each, and the median of first / second pair by pair."""
        for command in (first, second):
            self.time(command)
        pairs = [(self.time(first), self.time(second)) for _ in range(runs)]
        return (
            statistics.median(a for a, _ in pairs),
            statistics.median(b for _, b in pairs),
            statistics.median(a / b for a, b in pairs),
        )


def row(what: str, reached: str, goal: str) -> None:
    """One line of the table."""
    print(f"{what:<58} {reached:>16} {goal:>12}", flush=True)
