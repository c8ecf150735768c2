"""GIT_ALTERNATE_OBJECT_DIRECTORIES, read and written as git does it (git(1); quote.c and tmp-objdir.c of git).

Folders are parted by colons. One that has a colon in it, or begins with a quotation mark, stands in quotation marks
with the escapes of C: a repository may be in any folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

VARIABLE = "GIT_ALTERNATE_OBJECT_DIRECTORIES"

_ENTRY = re.compile(rb'"((?:[^"\\]|\\.)*)"|([^:]+)', re.DOTALL)
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2}|.)", re.DOTALL)
_SPECIAL = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def split(value: str) -> list[str]:
    """The folders that the variable names."""
    entries = _ENTRY.finditer(os.fsencode(value))
    found = (each[2] if each[1] is None else _ESCAPE.sub(_plain, each[1]) for each in entries)
    return [os.fsdecode(folder) for folder in found if folder]


def join(folders: Iterable[str]) -> str:
    """What the variable has to be to name these folders."""
    return os.pathsep.join(map(_quoted, folders))


def _quoted(folder: str) -> str:
    if os.pathsep not in folder and not folder.startswith('"'):
        return folder
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 8)]) if len(escape[1]) == 3 else _SPECIAL.get(escape[1], escape[1])
