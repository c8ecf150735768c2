"""What a commit message claims against who is configured to sign it."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest import contradictions
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.receive import message
from attest.repository import open_repository
from attest.types import Severity
from tests.pushes import Clone
from tests.world import World

HUMAN = "user.name=Alice Example", "user.email=alice@example.org"
AGENT = "user.name=claude-code", "user.email=claude-code@authority.example.invalid"
CLAUDE = "Co-Authored-By: Claude <noreply@anthropic.com>"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture
def clone(tmp_path: Path, world: World) -> Clone:
    return Clone.make(tmp_path / "clone", world)


def found(clone: Clone, text: str, *settings: str) -> dict[str, Severity]:
    for setting in settings:
        name, _, value = setting.partition("=")
        clone.git("config", name, value)
    path = clone.path / "message"
    path.write_text(text)
    with open_repository(clone.path, clone.environ) as repo:
        return {each.code: each.severity for each in message.check(repo, path)}


SIGNING = "user.signingKey=notme:claude-code", "commit.gpgSign=true"
CASES: dict[str, tuple[tuple[str, ...], str, dict[str, Severity]]] = {
    "an agent says who it is": ((*AGENT, *SIGNING), f"work\n\n{CLAUDE}\n", {}),
    "an agent signs off": (
        (*AGENT, *SIGNING),
        "work\n\nSigned-off-by: claude-code <claude-code@authority.example.invalid>\n",
        {contradictions.AGENT_SIGNED_OFF: Severity.ERROR},
    ),
    "an agent names another one": (
        (*AGENT, *SIGNING),
        "work\n\nCo-authored-by: Codex <noreply@openai.com>\n",
        {contradictions.OTHER_AGENT: Severity.WARNING},
    ),
    "an agent under an orchestrator": (
        (*AGENT, "user.signingKey=notme:codex/claude-code:interop"),
        "work\n\nCo-authored-by: Codex <noreply@openai.com>\n",
        {},
    ),
    "an agent for somebody whom no configuration names": (
        (*AGENT, *SIGNING),
        f"work\n\n{CLAUDE}\nOn-behalf-of: Alice Example <alice@example.org>\n",
        {},
    ),
    "a person signs what an agent made": (
        (*HUMAN, "commit.gpgSign=true"),
        f"work\n\n{CLAUDE}\n",
        {contradictions.BY_HUMAN_KEY: Severity.WARNING},
    ),
    "a person signs off": (
        (*HUMAN, "commit.gpgSign=true"),
        "work\n\nSigned-off-by: Alice Example <alice@example.org>\n",
        {},
    ),
    "an agent's sign-off, whoever signs": (
        HUMAN,
        "work\n\nSigned-off-by: Claude <noreply@anthropic.com>\n",
        {contradictions.AGENT_SIGNED_OFF: Severity.ERROR},
    ),
    "who signs shows in the process alone": ((*HUMAN, "notme.auto=true"), f"work\n\n{CLAUDE}\n", {}),
    "a comment is no claim": ((*AGENT, *SIGNING), f"work\n\n{CLAUDE}\n# Signed-off-by: claude-code <x@y>\n", {}),
    "nor is what lies below the scissors": (
        (*AGENT, *SIGNING),
        f"work\n\n{CLAUDE}\n# ------------------------ >8 ------------------------\n"
        "Signed-off-by: claude-code <claude-code@authority.example.invalid>\n",
        {},
    ),
}


@pytest.mark.parametrize(("settings", "text", "codes"), CASES.values(), ids=CASES)
def test_a_message_is_held_against_the_configured_signer(
    clone: Clone, settings: tuple[str, ...], text: str, codes: dict[str, Severity]
) -> None:
    assert found(clone, text, *settings) == codes


def test_what_cannot_be_known_is_an_error_and_no_answer(clone: Clone) -> None:
    found(clone, "work\n", *HUMAN)
    with open_repository(clone.path, clone.environ) as repo, pytest.raises(UnavailableError, match="cannot read"):
        message.check(repo, clone.path / "absent")
    with pytest.raises(UsageError, match=r"commit\.gpgsign"):
        found(clone, "work\n", *HUMAN, "commit.gpgSign=perhaps")


def test_a_message_that_is_no_text_is_malformed(clone: Clone) -> None:
    for setting in HUMAN:
        clone.git("config", *setting.split("="))
    path = clone.path / "message"
    path.write_bytes(b"work \xff\n")
    with pytest.raises(MalformedError, match="not text"), open_repository(clone.path, clone.environ) as repo:
        message.check(repo, path)
