"""Agents are told from people by what only agents write."""

from __future__ import annotations

import pytest

from attest import agentmarks
from attest.agentmarks import MARKS, agent_of, by_key, by_word, is_strange
from notme_git.agents import AGENTS


@pytest.mark.parametrize(
    ("name", "address", "agent"),
    [
        ("Claude", "noreply@anthropic.com", "claude-code"),
        ("Claude Opus 4.5 (1M context)", "", "claude-code"),
        ("Claude Code", "", "claude-code"),
        ("claude 3.7 sonnet", "", "claude-code"),
        ("claude[bot]", "209825114+claude[bot]@users.noreply.github.com", "claude-code"),
        ("Somebody", "NOREPLY@Anthropic.com", "claude-code"),
        ("Codex o4-mini", "noreply@openai.com", "codex"),
        ("OpenAI Codex", "", "codex"),
        ("Copilot", "198982749+Copilot@users.noreply.github.com", "copilot"),
        ("GitHub Copilot", "", "copilot"),
        ("aider (gpt-5)", "", "aider"),
        ("Cursor Agent", "", "cursor"),
        ("Qwen 3.6 27B", "noreply@opencode.ai", "opencode"),
        ("Devin AI", "158243242+devin-ai-integration[bot]@users.noreply.github.com", "devin"),
        ("claude-code", "claude-code@0123abcd.invalid", "claude-code"),
        ("codex", "codex@team.0123abcd.invalid", "codex"),
        ("Claude Monet", "claude@example.com", ""),
        ("Jean-Claude", "jc@example.com", ""),
        ("Claudette", "c@example.com", ""),
        ("Devin", "devin@example.com", ""),
        ("Jules Verne", "jules@example.com", ""),
        ("Copilots United", "x@example.com", ""),
        ("reviewer", "reviewer@0123abcd.invalid", ""),
        ("", "", ""),
        ("Alice Example", "alice@example.org", ""),
        ("Alice", "1+alice@users.noreply.github.com", ""),
    ],
)
def test_name_and_address_of_a_line(name: str, address: str, agent: str) -> None:
    assert agent_of(name, address) == agent


@pytest.mark.parametrize(
    ("text", "agent"),
    [("Devin", "devin"), ("gemini", "gemini-cli"), ("Roo Code", "roo-code"), ("claude", "claude-code"),
     ("github-copilot-cli", "copilot"), ("cursor-agent", "cursor"), ("Gemini CLI", "gemini-cli"), ("protoc", ""),
     ("Django 5.1", ""), ("care", "")],
)  # fmt: skip
def test_a_line_that_names_a_tool_may_use_any_of_its_names(text: str, agent: str) -> None:
    assert by_word(text) == agent


def test_addresses_of_strangers_are_told_from_those_of_makers() -> None:
    assert is_strange("codex", "codex@example.com")
    assert is_strange("claude-code", "123+claude@users.noreply.github.com")
    assert is_strange("claude-code", "noreply@anthropic.com.example.net")
    assert not is_strange("claude-code", "claude@anthropic.com")
    assert not is_strange("cursor", "cursoragent@cursor.com")


def test_a_trailer_of_one_agents_own_names_it() -> None:
    assert by_key("amp-thread-id") == "amp"
    assert by_key("signed-off-by") == ""


def test_the_table_is_in_order_and_nothing_in_it_names_two_agents() -> None:
    names = [mark.name for mark in MARKS]
    assert names == sorted(set(names))
    assert set(names) <= {agent.name for agent in AGENTS}
    for texts in ([(m.name, t) for m in MARKS for t in getattr(m, field)] for field in ("names", "addresses", "keys")):
        assert len({text for _, text in texts}) == len(texts)
        assert all(text == text.lower() for _, text in texts)
    words = [word for mark in MARKS for word in (*mark.words, *mark.names)]
    assert len(set(words)) == len(words)
    assert all(mark.source for mark in MARKS)


def test_every_address_of_the_table_stands_for_its_agent() -> None:
    for mark in MARKS:
        for address in mark.addresses:
            assert agentmarks.by_address(address.upper()) == mark.name
            assert not is_strange(mark.name, address)
