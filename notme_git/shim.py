"""The file that git executes in place of gpgsm: `<home>/bin/notme-x509`, written by `notme-git setup`.

git runs `gpg.x509.program` directly, without a shell and without arguments of ours (gpg-interface.c), so the
interpreter and the home have to be in a file. What that file keeps to:

* It prints nothing of its own on stdout, which is the signature's, and on stderr only that Python is gone.
* A home in the environment wins over the one it was made for.
* `-I`: neither PYTHONPATH, nor the user's site directory, nor the working tree git stands in can add a module.
* Whatever fails, the exit status is not 0, and git makes no commit.
"""

from __future__ import annotations

import os
from pathlib import Path

from attest.errors import UsageError
from notme_git import gitconfig

MODE = 0o755

MARK = b"# The program that git calls for x509 signatures; made by notme-git setup, which also makes it anew."
"""The second line, by which a shim is known wherever it lies and whatever it is called."""

_HEAD_BYTES = 512
"""Enough for the first two lines of any script; no more of a foreign program is read."""

_SCRIPT = """\
#!/bin/sh
{mark}
if [ -z "${{NOTME_HOME+set}}" ]; then
    NOTME_HOME={home}
    export NOTME_HOME
fi
if [ ! -x {python} ]; then
    printf '%s\\n' {gone} >&2
    exit 2
fi
exec {python} -I -m notme_git gpgsm "$@"
"""


def path(home: Path) -> Path:
    """Where the shim of `home` lies."""
    return home / "bin" / "notme-x509"


def render(python: str, home: Path) -> bytes:
    """The script (POSIX sh) that runs `python` for `home`; `UsageError` unless both are absolute paths."""
    for what, name in (("Python", python), ("home", str(home))):
        if not os.path.isabs(name) or "\0" in name:
            raise UsageError(f"the {what} {name!r} is not an absolute path", hint="call notme-git by its full path")
    gone = f"notme-git: the Python it was set up with is gone ({python}); run notme-git setup again"
    script = _SCRIPT.format(mark=MARK.decode(), home=_quoted(str(home)), python=_quoted(python), gone=_quoted(gone))
    return os.fsencode(script)


def install(home: Path, python: str) -> Path:
    """Write the shim, executable and in one step, and return its path. `UnavailableError` if that fails."""
    script, place = render(python, home), path(home)
    with gitconfig.file_errors(place):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    gitconfig.replace_file(place, script, mode=MODE)
    return place


def is_shim(program: str | Path) -> bool:
    """Whether this file is a shim, of whatever home and under whatever name; what cannot be read is none."""
    try:
        # O_NONBLOCK: opening a FIFO would wait for its writer.
        with open(os.open(program, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(_HEAD_BYTES).split(b"\n")[1:2] == [MARK]
    except (OSError, ValueError):
        return False


def _quoted(text: str) -> str:
    """One word of sh (POSIX 2.2.2): in single quotes everything but the quote itself stands for itself."""
    return "'" + text.replace("'", "'\\''") + "'"
