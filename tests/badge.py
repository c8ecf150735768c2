"""The package `tests/packages/badge`, built as a wheel and put where an installed one would be."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

PACKAGE = Path(__file__).parent / "packages" / "badge"
SECRET = b"what the door knows"


@contextmanager
def badge_installed(folder: Path) -> Iterator[None]:
    """Until the end the package can be imported, and its secret stands where it looks for it."""
    wheel = next(iter(WheelBuilder(str(PACKAGE)).build(directory=str(folder / "wheels"))))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    (folder / "secret").write_bytes(SECRET)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder / "site"))
        patch.setenv("BADGE_SECRET_FILE", str(folder / "secret"))
        try:
            yield
        finally:
            sys.modules.pop("notme_badge", None)
