"""git's configuration: that it asks for signatures, in the format and from the program that setup chose."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator

from notme_git import shimfile
from notme_git.authority import grants
from notme_git.doctor.facts import FORMATS, PROGRAM_KEYS, Facts, Setting, agent_of, is_automatic, is_on, our_form
from notme_git.doctor.finding import Finding, Fix


def check_set_up(facts: Facts) -> Iterator[Finding]:
    """Whether anything here names us."""
    if facts.mode != "none":
        return
    granted = {stored.grant.actor.name for stored in facts.authority.grants or ()} - {grants.VERIFIER}
    command = f"notme-git setup --agent {granted.pop()}" if len(granted) == 1 else ""
    message = "git is not set up here: commits are not signed as an agent"
    yield Finding("not-set-up", message, "set it up, with --agent AGENT or --auto", command)


def check_signs(facts: Facts) -> Iterator[Finding]:
    """`commit.gpgsign` and `tag.gpgsign`."""
    if facts.mode == "none":
        return
    yield from _off(facts, "commit.gpgsign", "gpgsign-off", "gpgsign-overridden")
    if facts.mode != "auto":  # setup --auto leaves tags to the human's own configuration
        yield from _off(facts, "tag.gpgsign", "tag-gpgsign-off", "tag-gpgsign-off")


def check_format(facts: Facts) -> Iterator[Finding]:
    """`gpg.format`, against the programs and the key that setup wrote."""
    last, form = facts.git.last("gpg.format"), facts.form
    if facts.mode == "none":
        return
    if form not in FORMATS:
        place = last.place if last else ""
        remedy = "set it to x509, ssh or openpgp, or set up anew"
        yield Finding("format-unknown", f"gpg.format is {form!r}, by {place}", remedy, setup_command(facts))
    elif form != (expected := expected_form(facts)):
        message = f"gpg.format is {form}, but {expected} was set up"
        yield _overridden(facts, "format-mismatch", message, ("gpg.format",), lambda value: value == expected)


def check_program(facts: Facts) -> Iterator[Finding]:
    """The program that git runs for the format in force."""
    if facts.mode == "none" or facts.form not in FORMATS or facts.form != expected_form(facts):
        return
    ours = our_form(facts.program.name)
    if ours:
        yield from _our_program(facts, ours)
    elif facts.mode == "blind" or facts.program.shim:
        yield from _state(facts)
    else:
        keys = PROGRAM_KEYS[facts.form]
        told = any(our_form(setting.value) for setting in facts.git.every(*keys))
        message = f"{keys[0]} is {facts.program.name!r}, which knows no agents"
        code = "program-overridden" if told else "program-not-ours"
        yield _overridden(facts, code, message, keys, lambda value: bool(our_form(value)))


def check_shims(facts: Facts) -> Iterator[Finding]:
    """The programs in the home, and the Python they run with."""
    if facts.mode == "none" and not facts.shims.python:
        return
    again = "write them anew", "notme-git doctor --fix", Fix.SHIMS
    if facts.shims.missing:
        yield Finding("shim-missing", f"missing: {', '.join(facts.shims.missing)}", *again)
    elif not facts.shims.python_runs:
        yield Finding("python-gone", f"the Python {facts.shims.python} is gone, with which git's programs run", *again)
    elif facts.shims.stale:
        yield Finding("shim-stale", f"not what this version writes: {', '.join(facts.shims.stale)}", *again)


def check_previous(facts: Facts) -> Iterator[Finding]:
    """The programs that setup remembered."""
    for key, program in facts.programs_gone.items():
        human = facts.mode == "auto" and key.lower() == f"notme.previous{facts.form}program".lower()
        code, what = ("own-program-gone", "signs your own commits") if human else ("previous-gone", "verifies others'")
        message = f"{program!r}, the program from before setup, is gone; it {what}"
        yield Finding(code, message, f"install it again, or set {key} to another")


def expected_form(facts: Facts) -> str:
    """The format that setup chose, by what of it is left."""
    if facts.mode == "blind" or (facts.mode == "agent" and facts.configured_key.startswith(os.sep)):
        return "ssh"
    ours = [form for form, keys in PROGRAM_KEYS.items() if any(our_form(s.value) for s in facts.git.every(*keys))]
    automatic = [
        form for form in ours if any(is_automatic(s.value) for s in facts.git.every(*PROGRAM_KEYS[form]))
    ]
    if facts.mode == "auto" and automatic:
        ours = automatic
    if facts.form in ours:
        # setup writes x509's program in every format, so it alone says little.
        return facts.form
    return next((form for form in ours if form != "x509"), "x509")


def setup_command(facts: Facts) -> str:
    """The setup there is, once more."""
    ours = [s for s in facts.git.settings if our_form(s.value) or agent_of(s.value, facts.home)]
    everywhere = " --global" if ours and ours[-1].scope == "global" else ""
    form = expected_form(facts)
    if facts.mode == "auto":
        return f"notme-git setup --auto{everywhere}"
    if not facts.agent:
        return ""
    options = " --ssh-agent" if facts.mode == "blind" else f" --format {form}" if form != "x509" else ""
    profile = " --profile interop" if facts.configured_key.endswith(":interop") else ""
    return f"notme-git setup --agent {shlex.quote(facts.agent)}{options}{profile}{everywhere}"


def without(facts: Facts, setting: Setting, keys: tuple[str, ...], is_ours: Callable[[str], bool]) -> tuple[str, str]:
    """Remedy and command for a value that is in the way of ours."""
    ours = [s for s in facts.git.every(*keys) if is_ours(s.value)]
    if not setting.origin and any(not s.origin for s in ours):
        # `notme-git run` put ours there, and `git -c` alone beats that.
        return "leave it out of git's command line and its environment", "unset GIT_CONFIG_PARAMETERS"
    if not setting.origin:
        return "take it out of the environment", "unset GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS"
    if not ours or any(s.origin == setting.origin for s in ours):
        return "set up anew", setup_command(facts)
    return f"remove it from {setting.origin}", (
        f"git config --file {shlex.quote(setting.origin)} --unset-all {setting.key}"
    )


def _off(facts: Facts, key: str, unset: str, overridden: str) -> Iterator[Finding]:
    last = facts.git.last(key)
    if last is not None and is_on(last.value):
        return
    if last is None:
        yield Finding(unset, f"{key} is not set", "set up anew", setup_command(facts))
        return
    told = any(is_on(setting.value) for setting in facts.git.every(key))
    yield _overridden(facts, overridden if told else unset, f"{key} is {last.value!r}", (key,), is_on)


def _overridden(
    facts: Facts, code: str, message: str, keys: tuple[str, ...], is_ours: Callable[[str], bool]
) -> Finding:
    last = facts.git.last(*keys)
    if last is None:
        return Finding(code, message, "set up anew", setup_command(facts))
    return Finding(code, f"{message}, by {last.place}", *without(facts, last, keys, is_ours))


def _our_program(facts: Facts, ours: str) -> Iterator[Finding]:
    if ours != facts.form:
        message = f"{PROGRAM_KEYS[facts.form][0]} is {facts.program.name!r}, which speaks for format {ours}"
        yield Finding("program-wrong-dialect", message, "set up anew", setup_command(facts))
        return
    place = os.path.dirname(facts.program.path)
    if os.sep not in facts.program.name and facts.program.exists and not facts.program.shim:
        message = f"{facts.program.name!r} is looked for on PATH, which has another one: {facts.program.path}"
        yield Finding("program-shadowed", message, "set up anew, with a full path", setup_command(facts))
    elif facts.program.exists and place != str(shimfile.folder(facts.home)) and not facts.sandboxed:
        message = f"{facts.program.path} belongs to another home than {facts.home}"
        yield Finding("program-other-home", message, "set up anew, or let NOTME_HOME name it", setup_command(facts))
    else:
        yield from _state(facts)


def _state(facts: Facts) -> Iterator[Finding]:
    program = facts.program
    at_home = os.path.dirname(program.path) == str(shimfile.folder(facts.home))
    if not program.exists:
        if os.path.basename(program.path) in facts.shims.missing and at_home:
            return  # check_shims says so
        remedy = "set up anew" if our_form(program.name) else f"install it, or set {PROGRAM_KEYS[facts.form][0]}"
        command = setup_command(facts) if our_form(program.name) else ""
        yield Finding("program-gone", f"there is no program {program.name!r}", remedy, command)
    elif not program.executable:
        message = f"{program.path or program.name} may not be executed"
        if at_home:
            yield Finding("program-not-executable", message, "write it anew", "notme-git doctor --fix", Fix.SHIMS)
        else:
            command = f"chmod u+x {shlex.quote(program.path)}"
            yield Finding("program-not-executable", message, "give it the right to be executed", command)


