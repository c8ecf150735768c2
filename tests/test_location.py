from __future__ import annotations

from pathlib import Path

import pytest

from attest import location
from attest.errors import UsageError


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"NOTME_HOME": "/n", "XDG_DATA_HOME": "/x", "HOME": "/h"}, "/n"),
        ({"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/notme-git"),
        ({"XDG_DATA_HOME": "x", "HOME": "/h"}, "/h/.local/share/notme-git"),
        ({"XDG_DATA_HOME": "", "HOME": "/h"}, "/h/.local/share/notme-git"),
        ({"HOME": "/h"}, "/h/.local/share/notme-git"),
    ],
)
def test_the_environment_names_one_home(environ: dict[str, str], folder: str) -> None:
    assert location.default(environ) == Path(folder)


@pytest.mark.parametrize(
    "environ", [{"NOTME_HOME": "n", "HOME": "/h"}, {"NOTME_HOME": "", "HOME": "/h"}, {}, {"HOME": ""}]
)
def test_a_home_that_depends_on_where_git_stands_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"NOTME_HOME|HOME"):
        location.default(environ)
