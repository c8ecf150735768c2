"""`notme-git whoami` on a machine: marks, grants, and what a real git would use."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compat.conftest import AGENT, HUMAN, KEY, Sandbox

CLAUDE = {"CLAUDECODE": "1"}
CODEX = {"CODEX_THREAD_ID": "019d1afb-secret-of-a-thread"}


def whoami(sandbox: Sandbox, environ: dict[str, str], *, status: int = 0, **options: Any) -> Any:
    return sandbox.notme("whoami", "--json", environ=environ, status=status, **options).json


def test_a_detected_agent_gets_its_grant_and_is_told_what_that_is_worth(sandbox: Sandbox) -> None:
    said = whoami(sandbox, CLAUDE)
    assert (said["agent"], said["marks"], said["declared"]) == (AGENT, ["CLAUDECODE"], False)
    assert said["grant"]["email"] == sandbox.address
    assert said["grant"]["scopes"] == ["sign:git"]
    assert f"{said['human']['display']} <{said['human']['email']}>" == HUMAN
    assert (said["assurance"], said["reason"], said["session"]) == ("same-user", None, None)
    assert said["git"] == {"format": "x509", "signingKey": KEY, "signsCommits": "true"}
    shown = sandbox.notme("whoami", environ=CLAUDE).text
    detected = f"{AGENT}, detected by CLAUDECODE"
    for part in (detected, "a claim: any process", said["grant"]["id"], HUMAN, "same-user", KEY):
        assert part in shown


def test_the_grant_told_is_the_one_that_signs(sandbox: Sandbox) -> None:
    sandbox.commit()
    signed = sandbox.verdict()["identity"]["grant"]["id"]
    assert whoami(sandbox, CLAUDE)["grant"]["id"] == signed


def test_a_human_gets_no_grant_and_that_is_no_error(sandbox: Sandbox) -> None:
    said = whoami(sandbox, {}, cwd=sandbox.user)
    assert (said["agent"], said["configured"], said["grant"], said["assurance"]) == (None, None, None, None)
    assert "git goes by what is configured here" in said["reason"]
    assert sandbox.notme("whoami", cwd=sandbox.user).text.startswith("agent      none")


@pytest.mark.parametrize("options", [(), ("--format", "ssh"), ("--profile", "interop")], ids=" ".join)
def test_where_an_agent_is_set_up_it_signs_without_any_mark(sandbox: Sandbox, options: tuple[str, ...]) -> None:
    sandbox.notme("setup", "--agent", AGENT, *options)
    sandbox.commit()
    said = whoami(sandbox, {})
    assert (said["agent"], said["configured"], said["reason"]) == (None, AGENT, None)
    assert said["grant"]["id"] == sandbox.verdict()["identity"]["grant"]["id"]
    shown = sandbox.notme("whoami").text
    assert f"git here   signs every commit as {AGENT} (user.signingkey)" in shown
    assert f"grant      {said['grant']['id']}" in shown


def test_an_agent_that_is_set_up_and_has_no_grant_is_told_so(sandbox: Sandbox) -> None:
    sandbox.notme("grant", "revoke", AGENT)
    said = whoami(sandbox, {})
    assert (said["configured"], said["grant"]) == (AGENT, None)
    assert "was revoked on" in said["reason"]


def test_where_git_signs_nothing_no_agent_is_said_to_sign(sandbox: Sandbox) -> None:
    sandbox.git("config", "commit.gpgsign", "false")
    assert whoami(sandbox, {})["configured"] is None


def test_two_agents_at_once_end_with_1_and_a_remedy_that_works(sandbox: Sandbox) -> None:
    both = {**CLAUDE, **CODEX}
    said = whoami(sandbox, both, status=1)
    assert (said["agent"], said["grant"]) == (None, None)
    assert {c["agent"]: c["marks"] for c in said["candidates"]} == {AGENT: ["CLAUDECODE"], "codex": ["CODEX_THREAD_ID"]}
    assert f"NOTME_AGENT={AGENT}" in said["remedy"]
    told = sandbox.notme("whoami", environ={**both, "NOTME_AGENT": AGENT}).text
    assert f"{AGENT}, declared by NOTME_AGENT, which wins over the marks of codex" in told


def test_values_of_marks_are_never_shown(sandbox: Sandbox) -> None:
    for form in ((), ("--json",)):
        done = sandbox.notme("whoami", *form, environ=CODEX)
        assert "CODEX_THREAD_ID" in done.text
        assert "secret" not in done.text + done.err


def test_an_agent_without_a_grant_is_told_how_to_get_one(sandbox: Sandbox) -> None:
    said = whoami(sandbox, CODEX)
    assert (said["agent"], said["grant"]) == ("codex", None)
    assert "no agent 'codex' has a grant" in said["reason"]
    assert said["remedy"] == "notme-git grant add codex"
    sandbox.notme(*said["remedy"].split()[1:])
    assert whoami(sandbox, CODEX)["grant"]["agent"] == "codex"


def test_a_revoked_grant_is_told_as_revoked(sandbox: Sandbox) -> None:
    sandbox.notme("grant", "revoke", AGENT)
    said = whoami(sandbox, CLAUDE)
    assert said["grant"] is None
    assert "was revoked on" in said["reason"]


def test_a_home_without_an_authority_is_said_and_is_no_error(bare_machine: Sandbox) -> None:
    said = whoami(bare_machine, CLAUDE)
    assert (said["agent"], said["authority"], said["human"], said["grant"]) == (AGENT, None, None, None)
    assert "no authority in" in said["reason"]
    assert "notme-git init" in said["remedy"]
    assert said["git"] == {"format": None, "signingKey": None, "signsCommits": None}
    assert not bare_machine.home.exists()


def test_a_session_is_shown_and_cannot_write_to_the_terminal(sandbox: Sandbox) -> None:
    assert whoami(sandbox, {"NOTME_SESSION": "s-42"})["session"] == "s-42"
    done = sandbox.notme("whoami", environ={"NOTME_SESSION": "\x1b[2J\nagent codex" + "x" * 999})
    assert b"\x1b" not in done.out
    assert "\nagent codex" not in done.text
    assert max(map(len, done.text.splitlines())) < 400
    assert whoami(sandbox, {"NOTME_SESSION": "\udcff"})["session"] == "?"


def test_what_git_would_use_includes_the_environment_of_a_run(sandbox: Sandbox) -> None:
    given = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.signingkey", "GIT_CONFIG_VALUE_0": "notme:codex"}
    assert whoami(sandbox, given)["git"]["signingKey"] == "notme:codex"


def test_a_configuration_that_git_cannot_read_ends_with_2(sandbox: Sandbox) -> None:
    (sandbox.repo / ".git" / "config").write_bytes(b"[user\n")
    done = sandbox.notme("whoami", environ=CLAUDE, status=2)
    assert "bad config" in done.err
    assert done.out == b""
