"""The programs that git executes, `<home>/bin/notme-*`, and the module they run: `shim.py` with its settings filled in.

git runs `gpg.program` and its like directly, without a shell and without arguments of ours (gpg-interface.c), so
the interpreter and the home have to be in the file. `-I`: neither PYTHONPATH, nor the user's site directory, nor
the working tree git stands in can add a module. `-S`: site would take longer than the whole call. The module lies
beside the programs and is compiled when it is written: to compile it in each call would take 2 of 10 ms.

The kernel splits the line after `#!` at blanks and cuts it (execve(2)); where Python's path has a blank or is
long, a POSIX sh script runs the module.
"""

from __future__ import annotations

import contextlib
import os
import py_compile
from pathlib import Path

from attest.errors import UsageError
from notme_git import agents, gitconfig

MODE = 0o755

MODULE = "notme_shim.py"

NAMES = ("notme-x509", "notme-ssh", "notme-openpgp", "notme-auto-x509", "notme-auto-ssh", "notme-auto-openpgp")
"""What a shim answers is in its name; `auto` asks the environment which agent it is."""

MARK = b"# A program that git calls for signatures; made by notme-git setup, which also makes it anew."
"""The second line, by which a shim is known wherever it lies and whatever it is called."""

SENT = ("GIT_DIR", "GIT_REFLOG_ACTION", "NOTME_SESSION")
"""Beside the agents' marks, all that the daemon is told of the environment."""

MAX_INTERPRETER = 120
"""Bytes after `#!` that every kernel takes: 127 on Linux before 5.1, flags and line end included."""

_HEAD_BYTES = 512
_SOURCE = Path(__file__).with_name("shim.py")
_BEGIN, _END = "# BEGIN SETTINGS\n", "# END SETTINGS\n"

_LAUNCHER = """\
#!{python} -IS
{mark}
import sys

sys.path.insert(0, {folder})
import notme_shim

notme_shim.run(sys.argv[0], sys.argv[1:])
"""

_WRAPPER = """\
#!/bin/sh
{mark}
if [ ! -x {python} ]; then
    printf '%s\\n' {gone} >&2
    exit 2
fi
exec {python} -IS {script} "$0" "$@"
"""

_GONE = "notme-git: the Python it was set up with is gone ({python}); run notme-git setup again"


def folder(home: Path) -> Path:
    """Where the shims of `home` lie."""
    return home / "bin"


def path(home: Path, form: str = "x509", *, auto: bool = False) -> Path:
    """The shim for signatures of this format: x509, ssh or openpgp."""
    return folder(home) / f"notme-{'auto-' if auto else ''}{form}"


def module(python: str, home: Path, *, sandboxed: bool = False, wrapped: bool = False) -> bytes:
    """The module's text. `sandboxed`: for a sandbox, where only the broker's socket may sign. `wrapped`: run by sh."""
    for what, name in (("Python", python), ("home", str(home))):
        if not os.path.isabs(name) or "\0" in name:
            raise UsageError(f"the {what} {name!r} is not an absolute path", hint="call notme-git by its full path")
    head, _, rest = _SOURCE.read_text("utf-8").partition(_BEGIN)
    body = rest.partition(_END)[2]
    settings = (
        f"PYTHON = {python!a}\nHOME = {str(home)!a}\n"
        f"NAMES = {(*SENT, *agents.MARK_NAMES)!r}\nMARKS = {agents.MARK_NAMES!r}\nSANDBOXED = {sandboxed}\n"
    )
    if wrapped:  # the sh script hands its own name on
        body = body.replace("run(sys.argv[0], sys.argv[1:])", "run(sys.argv[1], sys.argv[2:])")
    return (head + settings + body).encode()


def sandbox_program() -> bytes:
    """One self-contained program for a sandbox, whose Python is its own and whose home says nothing."""
    head = f"#!/usr/bin/env -S python3 -IS\n{MARK.decode()}\n"
    return head.encode() + module("/", Path("/"), sandboxed=True)


def render(python: str, home: Path) -> tuple[bytes, bytes]:
    """The program, and the module it runs."""
    place, direct = folder(home), module(python, home)
    # Past the links of a virtual environment: its pyvenv.cfg is looked for and read, and -S uses nothing of it.
    real = os.path.realpath(python)
    # isprintable: bytes that are no UTF-8 make no Python source, and a control character no line.
    if real.isprintable() and not any(c.isspace() for c in real) and len(os.fsencode(real)) <= MAX_INTERPRETER:
        launcher = _LAUNCHER.format(python=real, mark=MARK.decode(), folder=ascii(str(place)))
        return os.fsencode(launcher), direct
    text = _WRAPPER.format(
        mark=MARK.decode(),
        python=_quoted(python),
        script=_quoted(str(place / MODULE)),
        gone=_quoted(_GONE.format(python=python)),
    )
    return os.fsencode(text), module(python, home, wrapped=True)


def install(home: Path, python: str) -> Path:
    """Write module and programs, each in one step, and return their folder. `UnavailableError` if that fails."""
    program, text = render(python, home)
    place = folder(home)
    with gitconfig.file_errors(place):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    gitconfig.replace_file(place / MODULE, text, mode=0o644)
    with contextlib.suppress(OSError, py_compile.PyCompileError):
        py_compile.compile(str(place / MODULE), doraise=True)
    for name in NAMES:
        gitconfig.replace_file(place / name, program, mode=MODE)
    return place


def stale(home: Path, python: str) -> list[Path]:
    """The shims that are missing or not what this version writes."""
    program, text = render(python, home)
    wanted = {folder(home) / MODULE: text, **{folder(home) / name: program for name in NAMES}}
    return [file for file, content in wanted.items() if _read(file, len(content)) != content]


def refresh(home: Path, python: str) -> None:
    """Write the shims anew where one is stale."""
    if stale(home, python):
        install(home, python)


def is_shim(program: str | Path) -> bool:
    """Whether this file is a shim, of whatever home and under whatever name; what cannot be read is none."""
    return _read(Path(program), _HEAD_BYTES, whole=False).split(b"\n")[1:2] == [MARK]


def _read(file: Path, limit: int, *, whole: bool = True) -> bytes:
    try:
        # O_NONBLOCK: opening a FIFO would wait for its writer.
        with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            return opened.read(limit + 1 if whole else limit)
    except (OSError, ValueError):
        return b""


def _quoted(text: str) -> str:
    """One word of sh (POSIX 2.2.2): in single quotes everything but the quote itself stands for itself."""
    return "'" + text.replace("'", "'\\''") + "'"
