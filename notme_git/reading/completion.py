"""Completion scripts for bash, zsh and fish, by click, and the values that only this program knows."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from attest.errors import Error, UsageError
from attest.types import PrincipalKind
from notme_git.authority.store import Store
from notme_git.config import Config

SHELLS = ("bash", "zsh", "fish")

# git's own bash completion calls `_git_NAME` for `git NAME`, with `words` and `cword` as it took them apart, and
# since 2.32 `__git_cmd_idx`, where NAME stands among them (git options may come before it).
_GIT_NOTME = """\
_git_notme() {
    local at=${__git_cmd_idx:-1}
    local COMP_WORDS=(notme-git "${words[@]:at+1}") COMP_CWORD=$((cword - at))
    _notme_git_completion notme-git
}
"""


def script(group: click.Group, shell: str) -> str:
    """The script that makes `shell` complete the program; for notme-git under bash, `git notme` too."""
    program = group.name or ""
    complete = get_completion_class(shell)
    if complete is None:
        raise UsageError(f"no completion for {shell!r}", hint=f"one of {', '.join(SHELLS)}")
    text = complete(group, {}, program, variable(program)).source().rstrip("\n") + "\n"
    return text + _GIT_NOTME if (shell, program) == ("bash", "notme-git") else text


def variable(program: str) -> str:
    """The environment variable by which the script asks the program, as `click.Command.main` looks for it."""
    return f"_{program.replace('-', '_').upper()}_COMPLETE"


def agents(home: Path, incomplete: str) -> list[str]:
    """Names of agents with a grant that is not revoked; none where they cannot be read.

    Whoever presses TAB gets no error, and no question of a keyring: the database alone is opened.
    """
    try:
        with Store.open(home / "authority" / "authority.db") as store:
            stored = [s.grant.actor for s in store.grants() if s.revoked_at is None]
    except Error:
        return []
    names = {actor.name for actor in stored if actor.kind is not PrincipalKind.VERIFIER}
    return sorted(name for name in names if name.startswith(incomplete))


def complete_agent(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """`shell_complete=` of every option or argument that names an agent."""
    del context, parameter
    try:
        return agents(Config.read().home, incomplete)
    except Error:
        return []
