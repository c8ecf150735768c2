"""What of a setup stands in a configuration file, told from the values alone, and how to take it out by hand."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attest.identity import KEY_PREFIX
from notme_git import wanted
from notme_git.doctor.facts import agent_of, is_automatic, our_form

AUTO = "--auto"
"""In an agent's place, where whichever agent calls signs; no agent's name begins so."""

Values = Mapping[str, Sequence[str]]

_PROGRAMS = tuple(wanted.PREVIOUS)
_OWN_SECTION = "notme."


def signs_as(values: Values, home: Path) -> str:
    """The agent that these values of one file sign as, `AUTO`, or empty where nothing of a setup is among them."""
    if any(is_automatic(program) and our_form(program) for key in _PROGRAMS for program in values[key]):
        return AUTO
    return next((agent for key in reversed(values["user.signingkey"]) if (agent := agent_of(key, home))), "")


def by_hand(file: Path, values: Values) -> str:
    """A line for a shell that takes a setup out of `file`; empty where nothing of one is in it.

    For when its record is gone. What the keys had before is then known of the signing programs, and of gpgsign.
    """
    programs = [program for key in _PROGRAMS for program in values[key] if our_form(program)]
    if not programs and not any(key.startswith(KEY_PREFIX) for key in values["user.signingkey"]):
        return ""
    homes = {str(Path(program).parent.parent) for program in programs}
    keys = " ".join(key for key in values if values[key] and _is_ours(key, values, homes))
    edit = f"git config --file {shlex.quote(str(file))}"
    unset = f'for key in {keys}; do {edit} --unset-all "$key"; done'
    return "; ".join([unset, *(f"{edit} {key} {shlex.quote(value)}" for key, value in _before(values))])


def _is_ours(key: str, values: Values, homes: set[str]) -> bool:
    last = values[key][-1]
    if key in _PROGRAMS:
        return bool(our_form(last))
    if key.startswith(_OWN_SECTION):
        return True
    if key in ("user.signingkey", "gpg.ssh.allowedSignersFile"):
        return last.startswith(KEY_PREFIX) or any(last.startswith(f"{home}/ssh/") for home in homes)
    if key == wanted.DEFAULT_KEY:
        return last == wanted.SAYS_NO_KEY
    if any(is_automatic(program) for name in _PROGRAMS for program in values[name]):
        # There format, identity and tags are the human's, and so is gpgsign where the human signs.
        return key == wanted.SIGNS and last == wanted.AUTO_ON and tuple(values[wanted.HUMAN_SIGNS][-1:]) != ("true",)
    return True


def _before(values: Values) -> Iterator[tuple[str, str]]:
    for key, remembered in wanted.PREVIOUS.items():
        if values[remembered] and any(our_form(program) for program in values[key]):
            yield key, values[remembered][-1]
    if tuple(values[wanted.HUMAN_SIGNS][-1:]) == ("false",) and values[wanted.SIGNS][-1:] == (wanted.AUTO_ON,):
        yield wanted.SIGNS, "false"
