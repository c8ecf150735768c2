"""An identity token in the environment: taken out of it when it is first read, so that no child gets it."""

from __future__ import annotations

from collections.abc import MutableMapping

VARIABLE = "SIGSTORE_ID_TOKEN"
"""The name that gitsign and cosign know, too."""

_held: list[str] = []
"""What `take` found; one value at most."""


def take(environ: MutableMapping[str, str]) -> None:
    """Move SIGSTORE_ID_TOKEN out of the environment into this process's memory."""
    found = environ.pop(VARIABLE, None)
    if found is not None:
        _held[:] = [found]


def held() -> str | None:
    """What was taken."""
    return _held[0] if _held else None
