"""Environment and clock, read once at the edge and handed on.

Two homes never mix: everything comes from the one that `attest.location.default` names. A key-encryption key and an
identity token are taken out of the environment first, so that no child gets them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from attest import location
from attest.errors import UsageError
from notme_git.authority import kek
from notme_git.keyless import secret


@dataclass(frozen=True, slots=True)
class Config:
    """What a run goes by: its home, its environment, and the time at which it began."""

    home: Path
    environ: Mapping[str, str]
    at: datetime
    python: str

    @classmethod
    def read(cls) -> Config:
        """From this process's environment and clock."""
        _take_secrets()
        environ = dict(os.environ)
        return cls(location.default(environ), environ, datetime.now(UTC), sys.executable)

    @classmethod
    def find(cls) -> Config | None:
        """The same, None where the environment names no home; one that it names wrongly is still an error."""
        try:
            return cls.read()
        except UsageError:
            if "NOTME_HOME" in os.environ:
                raise
            return None


def environment() -> dict[str, str]:
    """This process's environment, for calls that need no home."""
    _take_secrets()
    return dict(os.environ)


def _take_secrets() -> None:
    kek.take(os.environ)
    secret.take(os.environ)
