"""Where the home is. Apart from `home`, because programs that pass a call on need this and no cryptography.

`NOTME_HOME` names the folder that holds all state; without it that is `notme-git` in the XDG data
directory. Two homes never mix: nothing is looked up in a second one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from attest.errors import UsageError


def default(environ: Mapping[str, str]) -> Path:
    """The home that `environ` names; a relative one is an error, because git changes directory."""
    named = environ.get("NOTME_HOME")
    if named is not None:
        if not os.path.isabs(named):
            raise UsageError(
                f"NOTME_HOME is {named!r}, which is not an absolute path", hint="give an absolute path"
            )
        return Path(named)
    data = environ.get("XDG_DATA_HOME", "")
    if os.path.isabs(data):
        return Path(data) / "notme-git"
    user = environ.get("HOME", "")
    if not os.path.isabs(user):
        raise UsageError(
            "neither NOTME_HOME nor HOME names a home", hint="set NOTME_HOME to an absolute path"
        )
    return Path(user) / ".local" / "share" / "notme-git"
