"""Which AI agent started this process, told by the environment marks that agents and CI runners leave.

A mark is a claim: any process of the user can set or unset it. It chooses among grants and gives nothing, so a
forged mark gets no more than what the named agent's grant allows, and a removed one gets the human's own setup.

What the table keeps to:

* A mark decides only where a source says that the agent sets it for what it starts. What a human's shell gets
  too (an editor's terminal, a setting of the user's) is `weak`: told, and never decisive.
* No variable here holds a secret by its maker's documents: the shim sends these to the daemon. That is why
  COPILOT_GITHUB_TOKEN or AIDER_API_KEY, by which others go, are not here.
* Marks are inherited, so an agent started by an agent leaves both marks. Which of the two acts cannot be seen;
  that is an error and no guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DECLARED = "NOTME_AGENT"
"""Names the acting agent and wins over every mark; `notme-git run --agent` sets it."""

Condition = Literal["set", "is", "starts"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A variable, and what its value must be: anything but empty, one text, or beginning with one."""

    name: str
    condition: Condition = "set"
    text: str = ""
    weak: bool = False

    def left_in(self, environ: Mapping[str, str]) -> bool:
        """Whether the environment has this mark. Values are compared whole; case counts."""
        value = environ.get(self.name, "")
        if self.condition == "is":
            return value == self.text
        return value != "" and value.startswith(self.text)


@dataclass(frozen=True, slots=True)
class Agent:
    """A row: the name that grants use, the marks, and where they are documented. No marks: it leaves none."""

    name: str
    display: str
    marks: tuple[Mark, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Runner:
    """A CI runner. It runs agents and humans' scripts alike, so it is told beside the agent, never instead."""

    name: str
    display: str
    marks: tuple[Mark, ...]
    source: str


def _is(name: str, text: str) -> Mark:
    return Mark(name, "is", text)


def _weak(name: str, text: str = "") -> Mark:
    return Mark(name, "is" if text else "set", text, weak=True)


AGENTS = (
    Agent(
        "aider", "Aider", (_is("OR_APP_NAME", "Aider"),),
        "github.com/Aider-AI/aider: aider/llm.py sets it in its own environment",
    ),
    Agent(
        "amp", "Amp", (_is("AGENT", "amp"), Mark("AMP_CURRENT_THREAD_ID")),
        "github.com/ascorbic/am-i-vibing: .changeset/detect-amp-auggie-qwen-devin-droid.md; "
        "github.com/aaif-goose/goose/pull/7017 names AGENT=amp",
    ),
    Agent(
        "android-studio", "Android Studio agent", (Mark("ANDROID_STUDIO_AGENT"),),
        "github.com/firebase/firebase-tools/pull/10446: seen in what the agent starts",
    ),
    Agent(
        "antigravity", "Google Antigravity", (Mark("ANTIGRAVITY_AGENT"),),
        "github.com/firebase/firebase-tools/pull/10457: seen in all its surfaces",
    ),
    Agent(
        "auggie", "Augment Auggie", (Mark("AUGMENT_AGENT"),),
        "github.com/ascorbic/am-i-vibing: packages/am-i-vibing/src/providers.ts",
    ),
    Agent(
        "claude-code", "Claude Code",
        (
            _is("CLAUDECODE", "1"),
            Mark("AI_AGENT", "starts", "claude-code"),
            _weak("CLAUDE_CODE"),
            _weak("CLAUDE_CODE_ENTRYPOINT"),
        ),
        "github.com/anthropics/claude-code/issues/24838 (CLAUDECODE, entry point) and 53071 (AI_AGENT); "
        "github.com/microsoft/vscode/pull/327433 (AI_AGENT=claude-code_VERSION_agent). "
        "CLAUDE_CODE not confirmed: only in other detectors",
    ),
    Agent(
        "cline", "Cline", (_is("CLINE_ACTIVE", "true"),),
        "github.com/cline/cline: src/hosts/vscode/terminal/VscodeTerminalRegistry.ts",
    ),
    Agent(
        "codex", "OpenAI Codex",
        (
            Mark("CODEX_THREAD_ID"),
            Mark("CODEX_SANDBOX"),
            Mark("CODEX_SANDBOX_NETWORK_DISABLED"),
            _is("CODEX_CI", "1"),
        ),
        "github.com/openai/codex: codex-rs/protocol/src/shell_environment.rs (thread), codex-rs/core/src/spawn.rs "
        "(sandbox), pull/9366 (CODEX_CI)",
    ),
    Agent(
        "copilot", "GitHub Copilot (CLI, coding agent, VS Code)",
        (_is("COPILOT_CLI", "1"), Mark("COPILOT_AGENT_SESSION_ID"), _is("COPILOT_AGENT", "1")),
        "github.com/dynatrace-oss/dtctl/issues/288 (CLI 1.0.63; github.com/rjmurillo/ai-agents/issues/5369 finds no "
        "COPILOT_CLI in 1.0.80), github.com/watson/is-ci/issues/28 (coding agent), "
        "github.com/microsoft/vscode/pull/316267 (COPILOT_AGENT)",
    ),
    Agent(
        "crush", "Crush", (_is("CRUSH", "1"), _is("AGENT", "crush"), _is("AI_AGENT", "crush")),
        "github.com/charmbracelet/crush/pull/2484",
    ),
    Agent(
        "cursor", "Cursor",
        (Mark("CURSOR_AGENT"), _weak("CURSOR_TRACE_ID"), _weak("CURSOR_EXTENSION_HOST_ROLE", "agent-exec")),
        "cursor.com/docs/agent/terminal (CURSOR_AGENT); github.com/ascorbic/am-i-vibing takes CURSOR_TRACE_ID for the "
        "editor's terminal; the host role not confirmed: only in github.com/vercel/detect-agent: agents.json",
    ),
    Agent(
        "devin", "Devin", (),
        "github.com/ascorbic/am-i-vibing: packages/am-i-vibing/src/providers.ts: nothing set for what it starts",
    ),
    Agent(
        "droid", "Factory Droid", (),
        "github.com/ascorbic/am-i-vibing: packages/am-i-vibing/src/providers.ts: nothing set for what it starts",
    ),
    Agent(
        "gemini-cli", "Gemini CLI", (_is("GEMINI_CLI", "1"),),
        "github.com/google-gemini/gemini-cli: packages/core/src/services/shellExecutionService.ts",
    ),
    Agent(
        "goose", "Goose", (_is("GOOSE_TERMINAL", "1"), _is("AGENT", "goose")),
        "github.com/aaif-goose/goose/pull/4205 and 7017",
    ),
    Agent(
        "jules", "Jules", (_weak("USER", "swebot"),),
        "github.com/ascorbic/am-i-vibing: packages/am-i-vibing/src/providers.ts: a user's name, anybody may have it",
    ),
    Agent(
        "junie", "JetBrains Junie", (_weak("JUNIE_SHIM_PATH"), _weak("JUNIE_DATA")),
        "github.com/unjs/std-env: src/agents.ts; not confirmed that humans' shells lack them",
    ),
    Agent(
        "kiro", "Kiro", (Mark("KIRO_SESSION_ID"), _weak("KIRO_AGENT_PATH"), _weak("TERM_PROGRAM", "kiro")),
        "github.com/dynatrace-oss/dtctl/issues/282 (session, kiro-cli 2.6.1); github.com/vercel/vercel/pull/16092 "
        "(path); github.com/unjs/std-env/issues/185 (TERM_PROGRAM is in the editor's terminal too)",
    ),
    Agent(
        "opencode", "opencode", (_is("OPENCODE", "1"),),
        "github.com/anomalyco/opencode/issues/32689 (set in packages/opencode/src/index.ts; some versions did not hand "
        "it on)",
    ),
    Agent(
        "openhands", "OpenHands", (),
        "github.com/heygen-com/hyperframes/pull/1328: no mark found in its runtime images",
    ),
    Agent(
        "pi", "pi", (_weak("PI_CODING_AGENT", "true"),),
        "not confirmed: proposed in github.com/earendil-works/pi/pull/2867, which was closed",
    ),
    Agent(
        "qwen-code", "Qwen Code", (_is("QWEN_CODE", "1"), Mark("QWEN_CODE_SESSION_ID")),
        "github.com/ascorbic/am-i-vibing: packages/am-i-vibing/src/providers.ts; "
        "github.com/QwenLM/qwen-code: packages/core/src/utils/shellContextEnv.ts (session)",
    ),
    Agent(
        "replit", "Replit", (_is("REPLIT_MODE", "assistant"), _weak("REPL_ID")),
        "github.com/ascorbic/am-i-vibing: packages/am-i-vibing/src/providers.ts (REPL_ID alone: a human's shell)",
    ),
    Agent(
        "roo-code", "Roo Code", (_is("ROO_ACTIVE", "true"),),
        "github.com/RooCodeInc/Roo-Code/pull/11862",
    ),
    Agent(
        "warp", "Warp", (_weak("TERM_PROGRAM", "WarpTerminal"),),
        "github.com/ascorbic/am-i-vibing: packages/am-i-vibing/src/providers.ts: the terminal, for humans too",
    ),
    Agent(
        "windsurf", "Windsurf", (_weak("CODEIUM_EDITOR_APP_ROOT"), _weak("TERM_PROGRAM", "windsurf")),
        "github.com/ascorbic/am-i-vibing: packages/am-i-vibing/src/providers.ts; "
        "github.com/heygen-com/hyperframes/pull/1328: the editor's terminal, for humans too",
    ),
    Agent(
        "zed", "Zed", (_weak("TERM_PROGRAM", "zed"),),
        "github.com/ascorbic/am-i-vibing: packages/am-i-vibing/src/providers.ts: the editor's terminal, for humans too",
    ),
)  # fmt: skip
"""In the order of their names. Amazon Q Developer CLI is left out: what it sets was not confirmed."""

UNNAMED = (_weak("AGENT"), _weak("AI_AGENT"))
"""A convention of several (github.com/agentsmd/agents.md/issues/136): some agent, perhaps none of the table."""

RUNNERS = (
    Runner(
        "github-actions", "GitHub Actions", (_is("GITHUB_ACTIONS", "true"),),
        "docs.github.com/en/actions/reference/variables-reference",
    ),
    Runner("gitlab-ci", "GitLab CI", (Mark("GITLAB_CI"),), "github.com/watson/ci-info: vendors.json"),
    Runner("circleci", "CircleCI", (Mark("CIRCLECI"),), "github.com/watson/ci-info: vendors.json"),
    Runner("buildkite", "Buildkite", (Mark("BUILDKITE"),), "github.com/watson/ci-info: vendors.json"),
    Runner(
        "azure-pipelines", "Azure Pipelines", (Mark("TF_BUILD"),),
        "github.com/dagger/dagger/pull/9465",
    ),
    Runner(
        "jenkins", "Jenkins", (Mark("BUILD_TAG", "starts", "jenkins-"),),
        "a Jenkins server's own /env-vars.html (BUILD_TAG), cakebuild.net: JenkinsBuildInfo",
    ),
    Runner("travis-ci", "Travis CI", (Mark("TRAVIS"),), "github.com/watson/ci-info: vendors.json"),
    Runner("teamcity", "TeamCity", (Mark("TEAMCITY_VERSION"),), "github.com/watson/ci-info: vendors.json"),
    Runner("drone", "Drone", (Mark("DRONE"),), "github.com/watson/ci-info: vendors.json"),
    Runner(
        "ci", "some CI runner", (_is("CI", "true"), _is("CI", "1")),
        "docs.github.com/en/actions/reference/variables-reference (a convention of many)",
    ),
)  # fmt: skip
"""The first that left a mark is the one; what many set comes last."""

MARK_NAMES = tuple(
    sorted({DECLARED, *(mark.name for row in (*AGENTS, *RUNNERS) for mark in row.marks), *(m.name for m in UNNAMED)})
)
"""Every variable that `detect` looks at."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent and the names of the variables that speak for it. Values are left out: they may hold ids."""

    agent: str
    marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Detection:
    """What the environment says.

    `agent` is None for nobody, for several `candidates`, and where NOTME_AGENT names none. `weak` names the
    variables that would fit an agent, and that a human's shell may have too.
    """

    agent: str | None
    declared: bool
    candidates: tuple[Candidate, ...]
    weak: tuple[str, ...]
    runner: str | None

    @property
    def marks(self) -> tuple[str, ...]:
        """The names of the variables by which `agent` or the candidates were told."""
        if self.declared:
            return (DECLARED,)
        return tuple(dict.fromkeys(mark for candidate in self.candidates for mark in candidate.marks))

    @property
    def problem(self) -> str:
        """Why nobody can be named although there are marks; empty where there is no such trouble."""
        if self.agent is not None:
            return ""
        if self.declared:
            return f"{DECLARED} is set, but to nothing that can be an agent's name"
        if not self.candidates:
            return ""
        said = " and ".join(f"{c.agent} ({', '.join(c.marks)})" for c in self.candidates)
        return f"the environment has the marks of {said}: which of them acts cannot be seen"

    @property
    def remedy(self) -> str:
        """What to do about `problem`."""
        names = " or ".join(f"{DECLARED}={name}" for name in self._suggested)
        return f"say which: {names} in its environment, or start it with notme-git run --agent NAME -- COMMAND"

    @property
    def _suggested(self) -> tuple[str, ...]:
        return tuple(candidate.agent for candidate in self.candidates) or ("claude-code",)


def detect(environ: Mapping[str, str]) -> Detection:
    """Who acts, by the marks in `environ`. Never raises: what cannot be told is in the answer."""
    candidates = tuple(
        Candidate(agent.name, marks)
        for agent in AGENTS
        if (marks := tuple(m.name for m in agent.marks if not m.weak and m.left_in(environ)))
    )
    decisive = {name for candidate in candidates for name in candidate.marks}
    doubtful = (*(mark for agent in AGENTS for mark in agent.marks if mark.weak), *UNNAMED)
    weak = {mark.name for mark in doubtful if mark.left_in(environ)} - decisive
    runner = next((r.name for r in RUNNERS if any(mark.left_in(environ) for mark in r.marks)), None)
    declared = environ.get(DECLARED, "")
    agent = candidates[0].agent if len(candidates) == 1 else None
    if declared:
        agent = _declared_agent(declared)
    return Detection(agent, declared != "", candidates, tuple(sorted(weak)), runner)


def choose(environ: Mapping[str, str]) -> str | None:
    """The agent that acts, None for a human; `RefusedError` where the marks contradict each other."""
    found = detect(environ)
    if found.problem:
        from attest.errors import RefusedError

        raise RefusedError(found.problem, hint=found.remedy)
    return found.agent


def _declared_agent(text: str) -> str | None:
    # Only where somebody is declared: these load the authority's modules, which a human's commit does not need.
    from attest.errors import UsageError
    from notme_git.authority.grants import parse_agent

    try:
        return parse_agent(text)
    except UsageError:
        return None
