"""Who acts, by the marks in an environment: the table, and what is made of it."""

from __future__ import annotations

import runpy
import subprocess
import sys

import pytest

from attest.errors import RefusedError
from notme_git import agents
from notme_git.agents import AGENTS, MARK_NAMES, RUNNERS, UNNAMED
from notme_git.authority.grants import parse_agent
from tests.peers import ROOT

SHELL = {"HOME": "/home/alice", "PATH": "/usr/bin", "USER": "alice", "SHELL": "/bin/bash", "TERM": "xterm-256color"}
VSCODE = {"TERM_PROGRAM": "vscode", "GIT_ASKPASS": "/usr/share/code/askpass.sh"}
CLAUDE = {"CLAUDECODE": "1", "CLAUDE_CODE_ENTRYPOINT": "cli", "AI_AGENT": "claude-code_2.1.119_agent"}
CODEX = {"CODEX_THREAD_ID": "019d1afb-b2c7-72d3-b240-f3ee9d31b2c9", "CODEX_CI": "1", "GIT_PAGER": "cat"}
ACTIONS = {"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_SHA": "0" * 40}

ONE = {
    "Claude Code on a terminal": (CLAUDE, "claude-code"),
    "Claude Code before it named itself twice": ({"CLAUDECODE": "1"}, "claude-code"),
    "Claude Code in an editor whose own name it leaves": ({**CLAUDE, "AI_AGENT": "vscode"}, "claude-code"),
    "Codex, network allowed": (CODEX, "codex"),
    "Codex in its sandbox on macOS": (
        {"CODEX_SANDBOX": "seatbelt", "CODEX_SANDBOX_NETWORK_DISABLED": "1"},
        "codex",
    ),
    "Cursor's agent in Cursor's terminal": ({**VSCODE, "CURSOR_AGENT": "1", "CURSOR_TRACE_ID": "ab12"}, "cursor"),
    "Copilot CLI": ({"COPILOT_CLI": "1", "COPILOT_AGENT_SESSION_ID": "5aacf7d0"}, "copilot"),
    "Copilot in VS Code": ({**VSCODE, "COPILOT_AGENT": "1"}, "copilot"),
    "Copilot's coding agent in Actions": ({**ACTIONS, "COPILOT_AGENT_SESSION_ID": "5aacf7d0"}, "copilot"),
    "Gemini CLI": ({"GEMINI_CLI": "1", "GIT_PAGER": "cat"}, "gemini-cli"),
    "aider": ({"OR_SITE_URL": "https://aider.chat", "OR_APP_NAME": "Aider"}, "aider"),
    "Amp": ({"AGENT": "amp", "AMP_CURRENT_THREAD_ID": "T-019c971d"}, "amp"),
    "Goose": ({"GOOSE_TERMINAL": "1", "AGENT": "goose"}, "goose"),
    "Goose before it took AGENT": ({"GOOSE_TERMINAL": "1"}, "goose"),
    "Crush": ({"CRUSH": "1", "AGENT": "crush", "AI_AGENT": "crush"}, "crush"),
    "opencode": ({"OPENCODE": "1", "OPENCODE_PID": "77", "AGENT": "1"}, "opencode"),
    "Cline in VS Code": ({**VSCODE, "CLINE_ACTIVE": "true"}, "cline"),
    "Roo Code in VS Code": ({**VSCODE, "ROO_ACTIVE": "true"}, "roo-code"),
    "Qwen Code": ({"QWEN_CODE": "1", "QWEN_CODE_SESSION_ID": "s-1"}, "qwen-code"),
    "Auggie": ({"AUGMENT_AGENT": "1"}, "auggie"),
    "Kiro's command line": ({"KIRO_SESSION_ID": "k-1", "TERM_PROGRAM": "kiro"}, "kiro"),
    "Antigravity": ({"ANTIGRAVITY_AGENT": "1"}, "antigravity"),
    "Android Studio": ({"ANDROID_STUDIO_AGENT": "1"}, "android-studio"),
    "Replit's assistant": ({"REPL_ID": "r-1", "REPLIT_MODE": "assistant"}, "replit"),
}

NOBODY = {
    "a plain shell": ({}, ()),
    "a terminal in VS Code": (VSCODE, ()),
    "a terminal in Cursor": ({**VSCODE, "CURSOR_TRACE_ID": "ab12"}, ("CURSOR_TRACE_ID",)),
    "a terminal in Zed": ({"TERM_PROGRAM": "zed"}, ("TERM_PROGRAM",)),
    "a terminal in Windsurf": (
        {"TERM_PROGRAM": "windsurf", "CODEIUM_EDITOR_APP_ROOT": "/opt/windsurf"},
        ("CODEIUM_EDITOR_APP_ROOT", "TERM_PROGRAM"),
    ),
    "a shell on Replit": ({"REPL_ID": "r-1"}, ("REPL_ID",)),
    "a host of the Claude SDK": ({"CLAUDE_CODE_ENTRYPOINT": "sdk-ts"}, ("CLAUDE_CODE_ENTRYPOINT",)),
    "an agent that only the convention tells of": ({"AI_AGENT": "kimi", "AGENT": "1"}, ("AGENT", "AI_AGENT")),
    "marks that were emptied": (dict.fromkeys(MARK_NAMES, ""), ()),
    "a mark said to be off": ({"CLAUDECODE": "0", "GEMINI_CLI": "false"}, ()),
    "a user of somebody's model": ({"OR_APP_NAME": "Aider\nnot", "GOOSE_PROVIDER": "openai"}, ()),
}

SEVERAL = {
    "Codex started by Claude Code": ({**CLAUDE, **CODEX}, ("claude-code", "codex")),
    "Claude Code started by Amp": (
        {"AGENT": "amp", "AMP_CURRENT_THREAD_ID": "T-1", **CLAUDE},
        ("amp", "claude-code"),
    ),
    "Goose started by Amp, whose AGENT it overwrites": (
        {"AMP_CURRENT_THREAD_ID": "T-1", "AGENT": "goose", "GOOSE_TERMINAL": "1"},
        ("amp", "goose"),
    ),
    "three deep": ({**CLAUDE, **CODEX, "GEMINI_CLI": "1"}, ("claude-code", "codex", "gemini-cli")),
}

IN_CI = {
    "GitHub Actions": (ACTIONS, "github-actions"),
    "GitLab": ({"CI": "true", "GITLAB_CI": "true"}, "gitlab-ci"),
    "CircleCI": ({"CI": "true", "CIRCLECI": "true"}, "circleci"),
    "Buildkite": ({"CI": "true", "BUILDKITE": "true"}, "buildkite"),
    "Azure Pipelines": ({"TF_BUILD": "True"}, "azure-pipelines"),
    "Jenkins": ({"BUILD_TAG": "jenkins-job-7", "JENKINS_URL": "https://ci.example.org/"}, "jenkins"),
    "Travis CI": ({"CI": "true", "TRAVIS": "true"}, "travis-ci"),
    "TeamCity": ({"TEAMCITY_VERSION": "2026.1"}, "teamcity"),
    "Drone": ({"CI": "true", "DRONE": "true"}, "drone"),
    "one that only follows the convention": ({"CI": "true"}, "ci"),
    "somebody's own tag": ({"BUILD_TAG": "release-7"}, None),
    "no CI, said": ({"CI": "false"}, None),
}


@pytest.mark.parametrize("scene", ONE)
def test_one_agent_leaves_its_marks_and_is_the_one(scene: str) -> None:
    left, name = ONE[scene]
    found = agents.detect({**SHELL, **left})
    assert (found.agent, found.declared, found.problem) == (name, False, "")
    assert [c.agent for c in found.candidates] == [name]
    assert found.marks
    assert set(found.marks) <= set(left)
    assert agents.choose({**SHELL, **left}) == name


@pytest.mark.parametrize("scene", NOBODY)
def test_what_a_human_may_have_too_decides_nothing(scene: str) -> None:
    left, weak = NOBODY[scene]
    found = agents.detect({**SHELL, **left})
    assert (found.agent, found.candidates, found.marks, found.weak) == (None, (), (), weak)
    assert agents.choose({**SHELL, **left}) is None


@pytest.mark.parametrize("scene", SEVERAL)
def test_marks_of_several_agents_are_an_error_that_names_them(scene: str) -> None:
    left, names = SEVERAL[scene]
    found = agents.detect({**SHELL, **left})
    assert found.agent is None
    assert tuple(c.agent for c in found.candidates) == names
    with pytest.raises(RefusedError) as refused:
        agents.choose({**SHELL, **left})
    for name in names:
        assert name in refused.value.message
        assert f"NOTME_AGENT={name}" in refused.value.hint
    assert agents.choose({**SHELL, **left, "NOTME_AGENT": names[-1]}) == names[-1]


@pytest.mark.parametrize("scene", IN_CI)
def test_a_runner_is_told_beside_the_agent(scene: str) -> None:
    left, runner = IN_CI[scene]
    alone, inside = agents.detect({**SHELL, **left}), agents.detect({**SHELL, **left, **CODEX})
    assert (alone.agent, alone.runner) == (None, runner)
    assert (inside.agent, inside.runner) == ("codex", runner)


def test_a_declared_agent_wins_and_is_said_to_be_declared() -> None:
    found = agents.detect({**SHELL, **CLAUDE, "NOTME_AGENT": "reviewer.2"})
    assert (found.agent, found.declared, found.marks) == ("reviewer.2", True, ("NOTME_AGENT",))
    assert [c.agent for c in found.candidates] == ["claude-code"]


@pytest.mark.parametrize("text", ["Claude", "verifier", "a b", "-x", "codex\n", "codex\namp", "x" * 64, "\udcff"])
def test_a_declaration_that_names_no_agent_is_refused_and_not_passed_over(text: str) -> None:
    found = agents.detect({**SHELL, **CLAUDE, "NOTME_AGENT": text})
    assert (found.agent, found.declared) == (None, True)
    with pytest.raises(RefusedError, match="NOTME_AGENT") as refused:
        agents.choose({**SHELL, **CLAUDE, "NOTME_AGENT": text})
    assert text not in refused.value.message


def test_an_empty_declaration_is_none() -> None:
    assert agents.choose({**SHELL, **CLAUDE, "NOTME_AGENT": ""}) == "claude-code"


@pytest.mark.parametrize("value", ["1\nAGENT=amp", "\x1b[2J", "\udcff", "x" * 100_000])
def test_a_hostile_value_never_reaches_what_is_told(value: str) -> None:
    found = agents.detect(dict.fromkeys(MARK_NAMES, value))
    assert value not in repr(found)
    assert value not in found.problem + found.remedy


def test_every_row_has_a_source_and_a_name_that_a_grant_takes() -> None:
    names = [agent.name for agent in AGENTS]
    assert names == sorted(set(names))
    for row in (*AGENTS, *RUNNERS):
        assert parse_agent(row.name) == row.name
        assert "." in row.source
        assert "\n" not in row.source + row.display


def test_a_row_that_was_not_confirmed_decides_nothing() -> None:
    for agent in AGENTS:
        if agent.source.startswith("not confirmed"):
            assert all(mark.weak for mark in agent.marks)


def test_one_mark_speaks_for_one_agent_only() -> None:
    decisive = [(mark.name, mark.text) for agent in AGENTS for mark in agent.marks if not mark.weak]
    assert len(set(decisive)) == len(decisive)


def test_every_decisive_mark_is_in_a_scene() -> None:
    seen = {(name, c.agent) for left, _ in (*ONE.values(), *SEVERAL.values())
            for c in agents.detect(left).candidates for name in c.marks}  # fmt: skip
    assert seen == {(mark.name, agent.name) for agent in AGENTS for mark in agent.marks if not mark.weak}


def test_the_names_that_leave_the_shim_are_all_that_is_looked_at_and_none_is_a_secret() -> None:
    class Watched(dict[str, str]):
        def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
            asked.add(name)
            return default

    asked: set[str] = set()
    agents.detect(Watched())
    assert asked == set(MARK_NAMES)
    assert list(MARK_NAMES) == sorted(set(MARK_NAMES))
    assert {mark.name for mark in UNNAMED} < set(MARK_NAMES)
    for name in MARK_NAMES:
        assert not {"KEY", "TOKEN", "SECRET", "PASSWORD", "PASS", "AUTH", "COOKIE", "URL"} & set(name.split("_"))


def test_a_human_pays_for_nothing_but_the_table() -> None:
    """The signing path asks for every commit, those of humans too."""
    program = (
        "import sys; from notme_git import agents; agents.choose({}); agents.choose({'CLAUDECODE': '1'})\n"
        "print(*sorted({'json', 'sqlite3', 'click', 'cryptography', 'attest', 'attest.errors'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_page_for_people_is_what_the_table_says() -> None:
    rendered = runpy.run_path(str(ROOT / "docs" / "agents.py"))["render"]()
    assert (ROOT / "docs" / "agents.md").read_text("utf-8") == rendered, "python docs/agents.py > docs/agents.md"
