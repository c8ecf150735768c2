"""Completion in real shells: each is given the printed script and asked what it would offer."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.compat.conftest import AGENT, Sandbox
from tests.compat.terminal import typed_into
from tests.peers import GIT_COMPLETION, peer

ATTEST = ("completion", "bash", "--program", "notme-attest")
LOAD = 'eval "$(notme-git completion bash)"; eval "$(notme-git completion bash --program notme-attest)"\n'


@pytest.fixture(scope="module")
def loaded(template: Sandbox) -> str:
    """What `LOAD` evaluates, printed once: how it is loaded is shown by whoever types."""
    return f"{template.notme('completion', 'bash').text}\n{template.notme(*ATTEST).text}\n"


def bash(sandbox: Sandbox, script: str) -> str:
    done = sandbox.run(peer("bash"), "--norc", "-c", script)
    assert done.err == ""
    return done.text


def offered(sandbox: Sandbox, loaded: str, *words: str) -> list[str]:
    """What bash offers for the last word: the function that `complete -p` names is called as bash calls it."""
    typed = " ".join(map(shlex.quote, words))
    function = f"_{words[0].replace('-', '_')}_completion"
    script = (
        f"{loaded}complete -p {words[0]}\n"
        f"COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}\n{function} {words[0]}\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    registered, *replies = bash(sandbox, script).split("\n")
    assert f"-F {function} {words[0]}" in registered
    return replies


@pytest.mark.parametrize(
    ("words", "among"),
    [
        (("notme-git", "gr"), ["grant"]),
        (("notme-git", "grant", ""), ["add", "list", "revoke"]),
        (("notme-git", "setup", "--agent", ""), [AGENT]),
        (("notme-git", "setup", "--agent", "cl"), [AGENT]),
        (("notme-git", "grant", "revoke", "cl"), [AGENT]),
        (("notme-git", "completion", ""), ["bash", "zsh", "fish"]),
        (("notme-git", "log", "--max"), ["--max-count"]),
        (("notme-attest", "verify", "HEAD", "--require-time", "a"), ["authority"]),
        (("notme-attest", "ver"), ["verify", "verify-attestation", "verify-signature"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_bash_offers_commands_options_and_agents(
    sandbox: Sandbox, loaded: str, words: tuple[str, ...], among: list[str]
) -> None:
    assert offered(sandbox, loaded, *words) == among


def test_without_a_home_no_agent_is_offered_and_nothing_said(bare_machine: Sandbox, loaded: str) -> None:
    assert offered(bare_machine, loaded, "notme-git", "setup", "--agent", "") == []


def test_git_notme_is_completed_where_gits_completion_is(sandbox: Sandbox, loaded: str) -> None:
    """git calls `_git_notme` with the words as it took them apart; options of git may come first."""
    peer("git-completion")
    for words in ("git notme gr", "git --no-pager notme gr", "git notme setup --agent cl"):
        typed = words.split()
        script = (
            f". {GIT_COMPLETION}\n{loaded}"
            f"COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; COMP_LINE={words!r}; COMP_POINT={len(words)}\n"
            'compopt() { :; }\n__git_wrap__git_main\nprintf "%s\\n" "${COMPREPLY[@]}"'
        )
        assert bash(sandbox, script) == {"gr": "grant", "cl": AGENT}[typed[-1]]


INTERACTIVE = {
    "bash": (("--norc", "-i"), LOAD),
    "zsh": (("-f", "-i"), 'autoload -Uz compinit; compinit -u -D; eval "$(notme-git completion zsh)"\n'),
}


@pytest.mark.parametrize(("shell", "options", "load"), [(k, *v) for k, v in INTERACTIVE.items()], ids=INTERACTIVE)
def test_a_tab_completes_the_word_for_whoever_types(
    sandbox: Sandbox, shell: str, options: tuple[str, ...], load: str
) -> None:
    typed = typed_into(
        peer(shell), *options,
        keys=f"{load}notme-git gran\tli\t| cat; echo 'en'd\n", until="\nend\n",
        cwd=sandbox.repo, environ={**sandbox.environ, "TERM": "dumb"},
    )  # fmt: skip
    assert re.search(rf"\nactive +[0-9a-f-]+  {AGENT} <", typed)


def test_the_script_of_zsh_offers_values_with_their_descriptions(sandbox: Sandbox) -> None:
    """compadd and _describe are what zsh's completion hands its offers to; here they print them."""
    sandbox.run(peer("zsh"), "-f", "-n", "-c", sandbox.notme("completion", "zsh").text)
    script = (
        "compdef() { print -r -- compdef $* }\n"
        "compadd() { local name=$argv[-1]; print -rl -- ${(P)name} }\n"
        "_describe() { local name=$3; print -rl -- ${(P)name} }\n"
        'eval "$(notme-git completion zsh)"\n'
        "words=(notme-git setup --agent cl); CURRENT=4; _notme_git_completion\n"
        "words=(notme-git gr); CURRENT=2; _notme_git_completion\n"
    )
    done = sandbox.run(peer("zsh"), "-f", "-c", script)
    assert done.text.split("\n") == [
        "compdef _notme_git_completion notme-git", AGENT, "grant:Who may act on the human's behalf.",
    ]  # fmt: skip
    assert done.err == ""


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("notme-git gr", "grant"),
        ("notme-git setup --agent cl", AGENT),
        ("notme-attest examine HEAD --prof", "--profile"),
    ],
)
def test_fish_offers_what_its_script_says(sandbox: Sandbox, line: str, word: str) -> None:
    program = line.split()[0]
    script = f"notme-git completion fish --program {program} | source; complete -C {shlex.quote(line)}"
    done = sandbox.run(peer("fish"), "--no-config", "-c", script)
    assert word in [offer.split("\t")[0] for offer in done.text.split("\n")]
    assert done.err == ""


def test_another_shell_is_a_matter_of_usage(bare_machine: Sandbox) -> None:
    assert "tcsh" in bare_machine.notme("completion", "tcsh", status=64).err
