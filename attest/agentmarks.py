"""By which names and addresses AI agents call themselves in commits: author, committer and trailer lines.

A mark is a claim, as anything in those lines is; what it is good for is to be held against a certificate. The table
keeps to what an agent's maker writes or documents, and to addresses that detectors of others saw in public histories.
A name alone counts only where hardly a person has it: `Claude Opus 4.5` and `OpenAI Codex` do, `Devin` and `Jules`
are left to their addresses.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

KEPT = 4096
"""Pairs of name and address that are remembered: a history has some thousands, repeated by the ten thousand."""

GITHUB = "@users.noreply.github.com"


@dataclass(frozen=True, slots=True)
class AgentMark:
    """A row, everything in lower case.

    `name` is what grants call the agent. `names` are how lines call it, alone or with a model or version behind;
    `words` are names that people and things have too, and count only where a line can name nothing but a tool.
    `addresses` are whole; for GitHub's `NUMBER+LOGIN@users.noreply.github.com` the number is left out. Under `domains`
    nobody but the maker gives addresses away. `keys` are trailers that no other agent writes.
    """

    name: str
    source: str
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


_DISCLOSURE = "github.com/chaoss/disclosure: detection/constants.go"
_GIT_AI = "github.com/git-ai-project/git-ai: src/authorship/agent_detection.rs"
_SEEN = "seen in public histories"


def _bots(*logins: str) -> tuple[str, ...]:
    return tuple(f"{login}[bot]{GITHUB}" for login in logins)


MARKS = (
    AgentMark(
        "aider", f"{_DISCLOSURE}; github.com/Aider-AI/aider/issues/4226",
        names=("aider",), addresses=("noreply@aider.chat",), domains=("aider.chat",),
    ),
    AgentMark(
        "amp", "ampcode.com/manual: amp.git.commit.coauthor.enabled, amp.git.commit.ampThread.enabled",
        names=("sourcegraph amp",), addresses=("amp@ampcode.com",), domains=("ampcode.com",),
        words=("amp",), keys=("amp-thread-id", "amp-thread"),
    ),
    AgentMark(
        "claude-code",
        f"{_DISCLOSURE}; {_GIT_AI}; github.com/anthropics/claude-code/issues/1655 (address), 66079 (name and model)",
        names=("claude", "claude code", "claude-code", "anthropic claude"),
        addresses=("noreply@anthropic.com", *_bots("claude", "anthropic-claude", "claude-code-action")),
        domains=("anthropic.com",), words=("claude-web",), keys=("claude-session",),
    ),
    AgentMark("cline", _DISCLOSURE, names=("cline",), addresses=_bots("cline"), domains=("cline.bot",)),
    AgentMark(
        "codex",
        f"{_DISCLOSURE}; {_GIT_AI}; github.com/openai/codex/issues/18095: codex@example.com is a stranger's",
        names=("codex", "openai codex", "codex cli"),
        addresses=("noreply@openai.com", "codex@openai.com", *_bots("openai-codex", "chatgpt-codex-connector")),
        domains=("openai.com",), words=("codex-cloud",),
    ),
    AgentMark(
        "copilot", f"{_DISCLOSURE}; {_GIT_AI}; github.com/chaoss/disclosure/pull/103",
        names=("copilot", "github copilot", "copilot-swe-agent"),
        addresses=("copilot@github.com", f"copilot{GITHUB}", *_bots("copilot", "copilot-swe-agent")),
        words=("github-copilot", "github-copilot-agent", "github-copilot-cli"),
    ),
    AgentMark(
        "crush", "github.com/charmbracelet/crush: the lines that its prompt asks for",
        names=("charm crush",), addresses=("crush@charm.land",), domains=("charm.land",), words=("crush",),
    ),
    AgentMark(
        "cursor", f"{_DISCLOSURE}; {_GIT_AI}",
        names=("cursor", "cursor agent"), addresses=("cursoragent@cursor.com", *_bots("cursor")),
        domains=("cursor.com",), words=("cursor-agent",),
    ),
    AgentMark(
        "devin", f"{_DISCLOSURE}; {_GIT_AI}",
        names=("devin ai", "devin-ai-integration"), addresses=_bots("devin-ai-integration"), words=("devin",),
    ),
    AgentMark(
        "droid", f"{_SEEN}: Co-authored-by: factory-droid[bot]",
        names=("factory droid", "factory-droid"), addresses=_bots("factory-droid"), words=("droid",),
    ),
    AgentMark(
        "gemini-cli", f"{_DISCLOSURE}; github.com/google-gemini/gemini-cli/issues/12419: no address of its own",
        names=("gemini cli", "gemini code assist", "gemini-code-assist", "google gemini"),
        addresses=("gemini-cli-agent@google.com", *_bots("gemini-cli", "gemini-code-assist")),
        domains=("google.com",), words=("gemini",),
    ),
    AgentMark(
        "goose", "github.com/block/goose: HOWTOAI.md",
        names=("codename goose",), addresses=("goose@block.xyz", f"aaif-goose{GITHUB}"),
        domains=("block.xyz",), words=("goose",),
    ),
    AgentMark(
        "jules", f"{_SEEN}: author google-labs-jules[bot]",
        names=("google jules", "google-labs-jules"), addresses=_bots("google-labs-jules"), words=("jules",),
    ),
    AgentMark(
        "junie", f"{_SEEN}: Co-authored-by: Junie",
        names=("jetbrains junie",), addresses=("junie@jetbrains.com",), domains=("jetbrains.com",), words=("junie",),
    ),
    AgentMark(
        "opencode", f"github.com/anomalyco/opencode/issues/11552; {_SEEN}",
        names=("opencode", "opencode-agent"), addresses=("noreply@opencode.ai", *_bots("opencode-agent")),
        domains=("opencode.ai",),
    ),
    AgentMark(
        "openhands", "github.com/All-Hands-AI/OpenHands: the identity that its runtime sets",
        names=("openhands", "openhands-agent"), addresses=("openhands@all-hands.dev",), domains=("all-hands.dev",),
    ),
    AgentMark(
        "qwen-code", "github.com/QwenLM/qwen-code: gitCoAuthor in the tests of its shell tool",
        names=("qwen code", "qwen-code", "qwen-coder"), addresses=("qwen-coder@alibabacloud.com",),
    ),
    AgentMark(
        "replit", f"{_DISCLOSURE}: ReplitAttributionRegex", names=("replit agent",), keys=("replit-commit-author",)
    ),
    AgentMark(
        "roo-code", _GIT_AI, names=("roo code",), addresses=("roomote@roocode.com",), domains=("roocode.com",),
        words=("roo-background",),
    ),
    AgentMark("windsurf", _SEEN, names=("windsurf", "windsurf cascade"), domains=("codeium.com", "windsurf.ai")),
)  # fmt: skip
"""In the order of their names, which are those of notme_git/agents.py: grants are given to these."""

_BY_NAME = {name: mark.name for mark in MARKS for name in mark.names}
_BY_WORD = {word: mark.name for mark in MARKS for word in (*mark.words, mark.name)}
_BY_ADDRESS = {address: mark.name for mark in MARKS for address in mark.addresses}
_DOMAINS = {mark.name: mark.domains for mark in MARKS}
_BY_KEY = {key: mark.name for mark in MARKS for key in mark.keys}
_NAMED = frozenset(mark.name for mark in MARKS)

# Behind an agent's name: a version or one of the words by which models of that family go.
_MODEL = re.compile(r"v?[0-9]|(?:opus|sonnet|haiku|fable|instant|agent|bot|assistant|model|pro|mini|max|ai|cli|code)\b")
_NUMBERED = re.compile(r"[0-9]+\+(?=[^@]+@users\.noreply\.github\.com$)")
_BRACKETS = re.compile(r"\s*[(\[][^)\]]*[)\]]\s*$")


@functools.lru_cache(maxsize=KEPT)
def agent_of(name: str, address: str) -> str:
    """The agent that `NAME <ADDRESS>` stands for, as grants call it; empty for a person, or for nobody known.

    The address decides where it is known: models are named beside the agent that runs them.
    """
    return by_address(address) or by_name(name)


def by_address(address: str) -> str:
    """The agent whose address this is. Those that an authority makes up are `NAME@...invalid` (design D14)."""
    folded = _NUMBERED.sub("", address.lower(), count=1)
    if found := _BY_ADDRESS.get(folded):
        return found
    local, _, domain = folded.partition("@")
    return local if domain.endswith(".invalid") and local in _NAMED else ""


def by_name(name: str) -> str:
    """The agent that a name alone is enough for."""
    folded = _BRACKETS.sub("", name.lower()).strip()
    if found := _BY_NAME.get(folded):
        return found
    words = folded.split(" ")
    for count in (2, 1):
        known = _BY_NAME.get(" ".join(words[:count]))
        if known and len(words) > count and _MODEL.match(words[count]):
            return known
    return ""


@functools.lru_cache(maxsize=KEPT)
def by_word(text: str) -> str:
    """The agent named where nothing but a tool can be: `Generated with X`, `Assisted-by: X:MODEL`, a note's tool."""
    folded = text.lower().strip()
    return by_name(folded) or _BY_WORD.get(folded) or _BY_WORD.get(folded.replace(" ", "-")) or ""


def by_key(key: str) -> str:
    """The agent that alone writes trailers with this key (lower case)."""
    return _BY_KEY.get(key, "")


def is_strange(agent: str, address: str) -> bool:
    """Whether `address` is neither known as this agent's nor under a domain of its maker's."""
    return by_address(address) != agent and address.lower().rpartition("@")[2] not in _DOMAINS[agent]
