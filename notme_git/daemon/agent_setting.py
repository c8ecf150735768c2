"""Which agents the daemon offers over the ssh-agent protocol: off by default, `setup --ssh-agent` adds one.

    <home>/daemon/ssh-agents        one name a line
    <runtime folder>/agent          the ssh-agent's socket (SSH_AUTH_SOCK)
    <home>/ssh/current/AGENT-cert.pub  the current certificate, for user.signingkey; the daemon keeps it fresh
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attest.errors import UnavailableError
from notme_git import gitconfig
from notme_git.daemon import place

MAX_BYTES = 64 * 1024
CURRENT = "current"


def enabled(home: Path) -> list[str]:
    """The agents that are offered."""
    try:
        with open(place.folder(home) / "ssh-agents", "rb") as file:
            return file.read(MAX_BYTES).decode("ascii").split()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UnavailableError(f"cannot read the list of ssh-agents: {error}") from None


def enable(home: Path, agent: str) -> Path:
    """Offer `agent`, too, and return the file for user.signingkey. A daemon that runs has to be told."""
    names = sorted({*enabled(home), agent})
    with gitconfig.file_errors(place.folder(home)):
        place.folder(home).mkdir(mode=0o700, parents=True, exist_ok=True)
    gitconfig.replace_file(place.folder(home) / "ssh-agents", "".join(f"{n}\n" for n in names).encode(), mode=0o600)
    return certificate_file(home, agent)


def certificate_file(home: Path, agent: str) -> Path:
    """Where the current certificate of an agent lies."""
    return home / "ssh" / CURRENT / f"{agent}-cert.pub"


def socket_path(home: Path, environ: Mapping[str, str]) -> Path:
    """The ssh-agent's socket."""
    return place.runtime_folder(home, environ) / "agent"
