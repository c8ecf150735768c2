"""The values of git's configuration that make it sign: as one agent, or as whichever agent calls.

Whatever the format, `gpg.x509.program` is ours too: git goes by the armour in an object, not by `gpg.format`, and
agents' CMS signatures are in many histories.
"""

from __future__ import annotations

from pathlib import Path

from attest.errors import UsageError
from notme_git import shimfile

FORMATS = ("x509", "ssh", "openpgp")
"""`gpg.format` (git-config(1))."""

PROFILES = ("notme", "interop")

PROGRAMS = {"x509": "gpg.x509.program", "ssh": "gpg.ssh.program", "openpgp": "gpg.program"}
PREVIOUS = {
    "gpg.x509.program": "notme.previousX509Program",
    "gpg.ssh.program": "notme.previousSshProgram",
    "gpg.program": "notme.previousOpenpgpProgram",
}
"""Where setup remembers the program that was configured before us: it keeps what is not ours (design D2)."""

SIGNS = "commit.gpgsign"

AUTO = "notme.auto"
"""`true` in a file in which `setup --auto` switched `commit.gpgsign` on, for the agents."""

AUTO_ON = "1"
"""What it wrote there: true to git, and told apart from the `true` that a human may write in its place."""

HUMAN_SIGNS = "notme.humanSigns"
"""What the same file said of `commit.gpgsign` before, true or false; absent where it said nothing."""

DEFAULT_KEY = "gpg.ssh.defaultKeyCommand"
NO_KEY = "none"
SAYS_NO_KEY = f"echo key::{NO_KEY}"
"""For a human without an SSH key: git asks for one before it calls us, and would make no commit at all."""


def key_name(agent: str, profile: str) -> str:
    """`user.signingkey` of an agent; taken apart by `acting.parse_key`. `UsageError` for what has no such name."""
    if not agent or ":" in agent or not agent.isprintable():
        raise UsageError(f"{agent!r} is no agent's name", hint="notme-git grant list shows the agents")
    if profile not in PROFILES:
        raise UsageError(f"{profile!r} is no profile to sign with", hint=f"choose one of {', '.join(PROFILES)}")
    return f"notme:{agent}" if profile == "notme" else f"notme:{agent}:{profile}"


def for_agent(
    home: Path, agent: str, identity: tuple[str, str], *, form: str = "x509", profile: str = "notme", key: str = ""
) -> dict[str, str]:
    """Every commit and tag signed as `agent`, with its name and address. `key`: a file in place of the key's name."""
    name, email = identity
    return {
        "gpg.format": form,
        **_programs(home, form),
        "user.signingkey": key or key_name(agent, profile),
        SIGNS: "true",
        "tag.gpgsign": "true",
        # Not user.*: these win over it, and the human's own identity stays what it is (design D14).
        "author.name": name,
        "author.email": email,
        "committer.name": name,
        "committer.email": email,
    }


def for_whoever_calls(home: Path, form: str) -> dict[str, str]:
    """Key, format and identity stay the human's; the program asks the environment whether an agent calls."""
    return {
        **_programs(home, form),
        PROGRAMS[form]: str(shimfile.path(home, form, auto=True)),
        SIGNS: AUTO_ON,
        AUTO: "true",
    }


def _programs(home: Path, form: str) -> dict[str, str]:
    return {PROGRAMS[each]: str(shimfile.path(home, each)) for each in dict.fromkeys((form, "x509"))}
