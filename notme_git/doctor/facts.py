"""What the checks go by: values gathered once (`gather`), without a file, a program or a clock behind them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from attest.identity import KEY_PREFIX
from notme_git import agents, shimfile, wanted
from notme_git.authority.store import StoredGrant
from notme_git.daemon.agent_setting import CURRENT
from notme_git.daemon.client import BROKER
from notme_git.tsa.missed import Missed

Mode = Literal["none", "agent", "auto", "blind"]

PROGRAM_KEYS = {
    "x509": ("gpg.x509.program",),
    "ssh": ("gpg.ssh.program",),
    "openpgp": ("gpg.program", "gpg.openpgp.program"),
}
"""git takes the last of these (gpg-interface.c, git_gpg_config)."""

USUAL = {"x509": "gpgsm", "ssh": "ssh-keygen", "openpgp": "gpg"}
CERTIFICATE = "-cert.pub"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of git's configuration. `scope` as git says it; `origin` is its file, empty on the command line."""

    key: str
    value: str
    scope: str
    origin: str

    @property
    def place(self) -> str:
        """For a sentence."""
        return self.origin or "the environment (GIT_CONFIG_COUNT, GIT_CONFIG_PARAMETERS)"


@dataclass(frozen=True, slots=True)
class Git:
    """git's version and, in git's order, the values that have a say; the last of a key counts. Keys in lower case."""

    version: tuple[int, ...]
    settings: tuple[Setting, ...]

    def every(self, *keys: str) -> list[Setting]:
        """All values of these keys."""
        wanted_keys = {key.lower() for key in keys}
        return [setting for setting in self.settings if setting.key in wanted_keys]

    def last(self, *keys: str) -> Setting | None:
        """The value in force."""
        return next(reversed(self.every(*keys)), None)

    def value(self, *keys: str) -> str:
        """The value in force, empty for none."""
        found = self.last(*keys)
        return found.value if found else ""


@dataclass(frozen=True, slots=True)
class Program:
    """The program that git would run: as configured, where that is, and what lies there."""

    name: str
    path: str = ""
    exists: bool = True
    executable: bool = True
    shim: bool = False


@dataclass(frozen=True, slots=True)
class Shims:
    """The programs in the home: what is missing and what differs, and the Python that is named in them."""

    missing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    python: str = ""
    python_runs: bool = True


@dataclass(frozen=True, slots=True)
class Key:
    """`user.signingkey`. `named` is `notme:AGENT` where key or file say so; `path` where it names a file."""

    named: str = ""
    literal: bool = False
    path: str = ""
    problem: Literal["", "missing", "empty", "unreadable"] = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something an error said: the code it gets, its sentence and what it says to do."""

    code: str
    message: str
    remedy: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Authority:
    """The home's authority. `troubles` of database, keys, anchors and bundle; the rest as far as it could be read.

    Times in unix seconds. `latest` is the last one at which something was issued.
    """

    present: bool = True
    troubles: tuple[Trouble, ...] = ()
    human_email: str = ""
    grants: tuple[StoredGrant, ...] | None = None
    bundle_issued_at: int = 0
    latest: int = 0


@dataclass(frozen=True, slots=True)
class Ssh:
    """Files for SSH signatures. `stale`: those of the home that differ from what the authority says."""

    stale: tuple[str, ...] = ()
    allowed: Literal["unset", "missing", "foreign", "named"] = "named"
    certificate_until: int | None = None
    offered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon as its address shows it. `status` is its own word.

    `folder` has its socket, or will have it; `folder_blocked`: it cannot be made, or not be written to.
    """

    address: str = ""
    state: Literal["none", "dead", "silent", "foreign", "running"] = "none"
    status: Mapping[str, Any] | None = None
    socket_open: bool = False
    folder: str = ""
    folder_bad: bool = False
    folder_blocked: bool = False
    runtime_dir: Literal["private", "unset", "open"] = "private"
    version: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """What the environment claims of a session, judged: the refusal, and whether its socket answers."""

    problem: str = ""
    socket_answers: bool = True


@dataclass(frozen=True, slots=True)
class Tsa:
    """Time-stamps by third parties: what is wrong with their setting, what is missing, and whether a hook would ask."""

    problem: str = ""
    remedy: str = ""
    missed: Missed | None = None
    hook_missing: bool = False


@dataclass(frozen=True, slots=True)
class Records:
    """What hooks go by: what is wrong with their settings; `keyless`: a hook that makes records has nothing to sign
    them with; `absent`: the policy follows records, and no attestations are here.
    """

    problem: str = ""
    remedy: str = ""
    keyless: bool = False
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything. `programs_gone`: remembered programs from before setup that are not there, by their key."""

    home: Path
    environ: Mapping[str, str]
    at: datetime
    git: Git
    program: Program
    programs_gone: Mapping[str, str]
    shims: Shims
    key: Key
    authority: Authority
    ssh: Ssh
    daemon: Daemon
    session: Session
    tsa: Tsa = Tsa()
    records: Records = Records()

    @property
    def form(self) -> str:
        """`gpg.format` in force; git's default is openpgp."""
        return self.git.value("gpg.format").lower() or "openpgp"

    @property
    def mode(self) -> Mode:
        """Which setup this is: for one agent, for whichever calls, over the ssh-agent protocol; the last one counts."""
        return next(self._modes(), "none")

    @property
    def sandboxed(self) -> bool:
        """Whether a broker outside does the signing: authority, daemon and home are out of sight here."""
        return bool(self.environ.get(BROKER))

    @property
    def agent(self) -> str:
        """The agent that would sign; empty where none can be named."""
        mode = self.mode
        if mode == "auto":
            return agents.detect(self.environ).agent or ""
        if mode == "blind":
            return Path(self.configured_key).name.removesuffix(CERTIFICATE)
        named = self.key.named if self.key.named.startswith(KEY_PREFIX) else self.configured_key
        return agent_of(named, self.home) or self._by_address()

    @property
    def configured_key(self) -> str:
        """The last `user.signingkey` that names an agent of ours, in force or not; empty for none."""
        values = [s.value for s in self.git.every("user.signingkey")]
        return next((v for v in reversed(values) if agent_of(v, self.home)), "")

    def _by_address(self) -> str:
        """The agent whose address setup wrote, where its key is gone."""
        written = {setting.value for setting in self.git.every("author.email", "committer.email")}
        known = {item.grant.actor.name for item in self.authority.grants or () if item.grant.actor.email in written}
        return known.pop() if len(known) == 1 else ""

    def _modes(self) -> Iterator[Mode]:
        programs = {key for keys in PROGRAM_KEYS.values() for key in keys}
        for setting in reversed(self.git.settings):
            if setting.key == "user.signingkey" and agent_of(setting.value, self.home):
                yield "blind" if Path(setting.value).parent.name == CURRENT else "agent"
            elif setting.key in programs and our_form(setting.value) and is_automatic(setting.value):
                yield "auto"
        if self.key.named or any(our_form(s.value) for s in self.git.every(*programs)):
            yield "agent"


def agent_of(key: str, home: Path) -> str:
    """The agent that this `user.signingkey` names: `notme:AGENT...`, or a file that setup made. Empty for another."""
    if key.startswith(KEY_PREFIX):
        return key.split(":")[1]
    place, name = os.path.split(key)
    ending = {str(home / "ssh"): ".pub", str(home / "ssh" / CURRENT): CERTIFICATE}.get(place, "")
    return name.removesuffix(ending) if ending and name.endswith(ending) else ""


def our_form(program: str) -> str:
    """The format that a program of ours is for, by its name; empty for a program that is none."""
    name = os.path.basename(program)
    return name.rpartition("-")[2] if name in shimfile.NAMES else ""


def is_automatic(program: str) -> bool:
    """Whether it asks the environment which agent calls."""
    return os.path.basename(program).startswith("notme-auto-")


def is_on(value: str) -> bool:
    """git's booleans (git-config(1), Values); a number is one, too."""
    return value.lower() in ("true", "yes", "on") or (value.lstrip("+-").isdecimal() and int(value) != 0)


FORMATS = wanted.FORMATS
