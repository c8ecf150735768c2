"""The daemon under a service manager: a systemd user unit, a launchd property list.

Nobody needs one, because git starts the daemon; it is for those who want it up before git calls, as with the
ssh-agent protocol, where ssh-keygen starts nothing.
"""

from __future__ import annotations

import os
import plistlib
import sys
from collections.abc import Mapping
from pathlib import Path

from attest.errors import UnavailableError
from notme_git import gitconfig
from notme_git.daemon import place

LABEL = "bot.notme.git"

_UNIT = """\
[Unit]
Description=notme-git signing daemon for {home}
Documentation=man:notme-git-daemon(1)

[Service]
Type=exec
Environment="NOTME_HOME={home}"
ExecStart="{python}" -I -m notme_git daemon-serve --foreground
Restart=on-failure
LimitCORE=0
LimitMEMLOCK=infinity
NoNewPrivileges=yes
UMask=0077

[Install]
WantedBy=default.target
"""


def usual() -> str:
    """This system's own service manager."""
    return "launchd" if sys.platform == "darwin" else "systemd"


def render(kind: str, home: Path, python: str) -> str:
    """The unit file (systemd.service(5)) or property list (launchd.plist(5))."""
    if kind == "systemd":
        # A `$` is expanded in command lines (systemd.service(5)), and nowhere else.
        return _UNIT.format(home=_escaped(str(home)), python=_escaped(python).replace("$", "$$"))
    value = {
        "Label": _label(home),
        "ProgramArguments": [python, "-I", "-m", "notme_git", "daemon-serve", "--foreground"],
        "EnvironmentVariables": {"NOTME_HOME": str(home)},
        "RunAtLoad": True,
        "KeepAlive": {"SuccessfulExit": False},
        "ProcessType": "Background",
        "HardResourceLimits": {"Core": 0},
    }
    return plistlib.dumps(value).decode()


def install(kind: str, text: str, environ: Mapping[str, str]) -> Path:
    """Write it where the manager looks for a user's own."""
    user = environ.get("HOME", "")
    if not os.path.isabs(user):
        raise UnavailableError("HOME is not set, so there is no place for it", hint="print it, without --install")
    if kind == "systemd":
        base = environ.get("XDG_CONFIG_HOME") or os.path.join(user, ".config")
        file = Path(base, "systemd", "user", "notme-git.service")
    else:
        file = Path(user, "Library", "LaunchAgents", f"{LABEL}.plist")
    with gitconfig.file_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    gitconfig.replace_file(file, text.encode(), mode=0o644)
    return file


def switch_on(kind: str, file: Path) -> str:
    """The command that does it."""
    return f"systemctl --user enable --now {file.name}" if kind == "systemd" else f"launchctl load -w {file}"


def _label(home: Path) -> str:
    return f"{LABEL}.{place.name(home)}"


def _escaped(text: str) -> str:
    """systemd.syntax(7): inside double quotes a backslash escapes, and `%` is written twice."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
