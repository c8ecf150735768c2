"""What may be granted, and when a grant may be used."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import RefusedError, UsageError
from attest.types import Authentication, Grant, Principal, PrincipalKind
from notme_git.authority import grants
from notme_git.authority.store import StoredGrant

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW_S = 1772366400
ALICE = Principal(
    id="wimse://a1b2.invalid/human/0b7c",
    kind=PrincipalKind.HUMAN,
    name="alice",
    display="Alice Example",
    email="alice@example.org",
    authentication=Authentication.SELF_ASSERTED,
)


def make(agent: str = "claude-code", at: datetime = NOW, grant_id: str = "g1", **changes: object) -> Grant:
    arguments: dict[str, object] = {
        "email": None,
        "scopes": ["sign:git"],
        "expires": timedelta(days=30),
        "repositories": [],
        "branches": [],
    }
    arguments |= changes
    return grants.new_grant("a1b2", agent, ALICE, at=at, grant_id=grant_id, **arguments)  # type: ignore[arg-type]


def test_a_grant_says_who_acts_for_whom_for_what_and_how_long() -> None:
    grant = make(repositories=["https://git.example.org/**"], branches=["main", "release/*"])
    assert grant.actor.id == "wimse://a1b2.invalid/agent/claude-code"
    assert (grant.actor.kind, grant.actor.name) == (PrincipalKind.AGENT, "claude-code")
    assert grant.actor.email == "claude-code@a1b2.invalid"
    assert grant.represented == ALICE
    assert grant.scopes == ("sign:git",)
    assert (grant.created_at, grant.expires_at) == (NOW_S, NOW_S + 30 * 86400)
    assert grant.constraints.repositories == ("https://git.example.org/**",)
    assert grant.constraints.branches == ("main", "release/*")
    assert grant.delegation_depth == 0


def test_a_given_address_is_the_agents() -> None:
    assert make(email="bot@example.org").actor.email == "bot@example.org"


def test_scopes_are_kept_once_and_in_the_order_of_the_vocabulary() -> None:
    given_twice = ["sign:attestation", "sign:git", "sign:attestation"]
    assert make(scopes=given_twice).scopes == ("sign:git", "sign:attestation")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"scopes": []}, id="no scope"),
        pytest.param({"scopes": ["sign:git", "sign:everything"]}, id="a scope nobody knows"),
        pytest.param({"scopes": ["SIGN:GIT"]}, id="a scope in capitals"),
        pytest.param({"email": "nobody"}, id="an address without an at sign"),
        pytest.param({"email": ""}, id="an empty address"),
        pytest.param({"expires": timedelta()}, id="no time"),
        pytest.param({"expires": timedelta(days=-1)}, id="negative time"),
        pytest.param({"expires": timedelta(milliseconds=900)}, id="less than a second"),
        pytest.param({"expires": timedelta(days=3651)}, id="more than ten years"),
        pytest.param({"repositories": ["[ab]"]}, id="a bad repository pattern"),
        pytest.param({"branches": ["main", ""]}, id="a bad branch pattern"),
        pytest.param({"branches": ["x"] * (grants.MAX_PATTERNS + 1)}, id="too many patterns"),
        pytest.param({"delegation_depth": 2}, id="a depth beyond one"),
        pytest.param({"delegation_depth": -1}, id="a depth below nothing"),
        pytest.param({"agent": "Claude"}, id="an agent in capitals"),
    ],
)
def test_a_grant_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        make(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a", "0", "claude-code", "agent_7.beta", "a" * 63])
def test_a_name_of_an_agent_is_taken(name: str) -> None:
    assert grants.parse_agent(name) == name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("A", id="capitals"),
        pytest.param("-x", id="an option"),
        pytest.param(".x", id="a dot in front"),
        pytest.param("a/b", id="a slash"),
        pytest.param("a b", id="a blank"),
        pytest.param("a\n", id="a line end at the end"),
        pytest.param("ä", id="beyond ASCII"),
        pytest.param("a" * 64, id="64 characters"),
    ],
)
def test_a_bad_name_of_an_agent_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as refused:
        grants.parse_agent(name)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("12h", 43200), ("30d", 2592000), ("2w", 1209600), ("3650d", 315360000)],
)
def test_a_duration_is_read(text: str, seconds: int) -> None:
    assert grants.parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("30", id="no unit"),
        pytest.param("d", id="no number"),
        pytest.param("0d", id="nothing"),
        pytest.param("-1d", id="negative"),
        pytest.param("+1d", id="a sign"),
        pytest.param("030d", id="a zero in front"),
        pytest.param("1.5h", id="a fraction"),
        pytest.param("1 d", id="a blank"),
        pytest.param("1d\n", id="a line end"),
        pytest.param("1y", id="a unit nobody knows"),
        pytest.param("1D", id="a capital unit"),
        pytest.param("٣d", id="a digit beyond ASCII"),
        pytest.param("3651d", id="more than ten years"),
        pytest.param("9999999999w", id="more than a timedelta holds"),
        pytest.param("1" * 5000 + "s", id="more digits than Python converts"),
    ],
)
def test_a_bad_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        grants.parse_duration(text)
    assert refused.value.hint
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("text", "display", "email"),
    [
        ("Alice Example <alice@example.org>", "Alice Example", "alice@example.org"),
        ("Åsa Öberg <åsa@exämple.se>", "Åsa Öberg", "åsa@exämple.se"),
        ("O'Neil, J. (x) <j+git@a.b>", "O'Neil, J. (x)", "j+git@a.b"),
    ],
)
def test_a_human_is_read(text: str, display: str, email: str) -> None:
    assert grants.parse_human(text) == (display, email)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("Alice Example", id="no address"),
        pytest.param("alice@example.org", id="an address alone"),
        pytest.param("<alice@example.org>", id="no name"),
        pytest.param(" <alice@example.org>", id="a blank for a name"),
        pytest.param("Alice  <alice@example.org>", id="two blanks before the address"),
        pytest.param(" Alice <alice@example.org>", id="a blank in front"),
        pytest.param("Alice<alice@example.org>", id="no blank before the address"),
        pytest.param("Alice <alice@example.org> ", id="a blank at the end"),
        pytest.param("Alice <alice@example.org> <x@y>", id="two addresses"),
        pytest.param("Al<ice <alice@example.org>", id="a bracket in the name"),
        pytest.param("Al>ice <alice@example.org>", id="the other bracket in the name"),
        pytest.param("Alice\n[GNUPG:] GOODSIG <alice@example.org>", id="a status line in the name"),
        pytest.param("Alice\x1b[31m <alice@example.org>", id="a terminal sequence in the name"),
        pytest.param("Alice\u202e <alice@example.org>", id="a mark that turns the direction of text"),
        pytest.param("Alice\udc80 <alice@example.org>", id="bytes that are no UTF-8"),
        pytest.param("A" * 129 + " <alice@example.org>", id="a name over the limit"),
        pytest.param("Alice <alice>", id="no at sign"),
        pytest.param("Alice <@example.org>", id="nothing before the at sign"),
        pytest.param("Alice <alice@>", id="nothing after the at sign"),
        pytest.param("Alice <a@b@c>", id="two at signs"),
        pytest.param("Alice <al ice@example.org>", id="a blank in the address"),
        pytest.param("Alice <alice@example.org,bob@example.org>", id="a list"),
        pytest.param("Alice <alice@example.org\n>", id="a line end in the address"),
        pytest.param("Alice <" + "a" * 251 + "@b.c>", id="an address over the limit"),
    ],
)
def test_a_bad_human_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        grants.parse_human(text)
    assert refused.value.hint


WORD = st.text(max_size=9)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=60), st.builds("{} <{}@{}>".format, WORD, WORD, WORD)))
def test_any_text_is_refused_or_a_human_that_writes_back_the_same(text: str) -> None:
    try:
        human = grants.parse_human(text)
    except UsageError:
        return
    assert f"{human.display} <{human.email}>" == text
    assert human.display.isprintable()
    assert not set("<>\n\0") & set(human.display + human.email)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(st.one_of(st.text(max_size=20), st.from_regex(r"\A[0-9]{1,12}[smhdw]\Z")))
def test_any_text_is_refused_or_a_duration_in_bounds(text: str) -> None:
    try:
        duration = grants.parse_duration(text)
    except UsageError:
        return
    assert timedelta(0) < duration <= timedelta(days=3650)


def test_a_grant_in_force_may_be_used_until_the_second_it_expires() -> None:
    grant = make(expires=timedelta(seconds=10))
    grants.check_usable(grant, None, scope="sign:git", at=NOW + timedelta(seconds=9.9))
    with pytest.raises(RefusedError, match="expired on 2026-03-01T12:00:10Z"):
        grants.check_usable(grant, None, scope="sign:git", at=NOW + timedelta(seconds=10))


@pytest.mark.parametrize(
    ("revoked_at", "scope", "at", "said"),
    [
        pytest.param(NOW_S + 1, "sign:git", NOW + timedelta(days=1), "was revoked", id="revoked"),
        pytest.param(NOW_S + 999, "sign:git", NOW, "was revoked", id="revoked later than the clock says"),
        pytest.param(0, "sign:git", NOW, "was revoked", id="revoked at the beginning of time"),
        pytest.param(None, "sign:git", NOW + timedelta(days=31), "expired", id="expired"),
        pytest.param(
            None, "sign:attestation", NOW, "not sign:attestation", id="a scope that was not granted"
        ),
        pytest.param(None, "sign", NOW, "not sign", id="a prefix of a granted scope"),
    ],
)
def test_a_grant_that_is_not_in_force_is_refused(
    revoked_at: int | None, scope: str, at: datetime, said: str
) -> None:
    with pytest.raises(RefusedError, match=said) as refused:
        grants.check_usable(make(), revoked_at, scope=scope, at=at)
    assert "notme-git grant add claude-code" in refused.value.hint


def test_a_grant_that_may_be_passed_on_says_so_and_may_mint() -> None:
    grant = make(delegation_depth=1)
    assert (grant.delegation_depth, grant.scopes) == (1, ("certMint", "sign:git"))
    grants.check_delegable(grant)


def test_an_agent_of_an_orchestrator_uses_its_newest_grant_that_may_be_passed_on() -> None:
    stored = [
        StoredGrant(make("orchestrator", grant_id="delegable", delegation_depth=1), None),
        StoredGrant(make("orchestrator", grant_id="newer", at=NOW + timedelta(hours=1)), None),
    ]
    at = NOW + timedelta(days=1)
    chosen = grants.select_acting(stored, "orchestrator/tester", scope="sign:git", at=at)
    assert chosen.id == "delegable"
    assert grants.select_acting(stored, "orchestrator", scope="sign:git", at=at).id == "newer"
    actor = grants.actor_of(chosen, "orchestrator/tester")
    assert (actor.id, actor.name) == ("wimse://a1b2.invalid/agent/orchestrator/tester", "tester")
    assert actor.email == "orchestrator+tester@a1b2.invalid"
    assert grants.actor_of(chosen, "orchestrator") == chosen.actor


def test_a_name_with_a_slash_has_no_grant_of_its_own() -> None:
    stored = [StoredGrant(make("orchestrator", delegation_depth=1), None)]
    with pytest.raises(RefusedError, match="no agent"):
        grants.select(stored, "orchestrator/tester", scope="sign:git", at=NOW)
    with pytest.raises(RefusedError, match="may not be passed on"):
        grants.select_acting([StoredGrant(make(), None)], "claude-code/tester", scope="sign:git", at=NOW)


@pytest.mark.parametrize("text", ["", "/", "a/", "/b", "a/b/c", "a/B", "a/verifier", "verifier/b", "a/.."])
def test_what_is_no_name_of_who_acts_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        grants.parse_acting(text)


def test_who_acts_is_named_with_whose_grant_it_is() -> None:
    assert grants.parse_acting("claude-code") == ("claude-code", "")
    assert grants.parse_acting("orchestrator/tester") == ("orchestrator", "tester")


def test_a_grant_that_may_not_be_passed_on_is_refused_for_that_whatever_its_scopes() -> None:
    with pytest.raises(RefusedError, match="may not be passed on") as refused:
        grants.check_delegable(make(scopes=["certMint", "sign:git"]))
    assert refused.value.hint == "notme-git grant add claude-code --delegate"


def select(stored: list[StoredGrant], agent: str = "claude-code", at: datetime = NOW) -> str:
    return grants.select(stored, agent, scope="sign:git", at=at).id


def test_the_newest_usable_grant_of_the_agent_is_selected() -> None:
    later = NOW + timedelta(hours=1)
    stored = [
        StoredGrant(make(grant_id="new", at=later), None),
        StoredGrant(make(grant_id="old"), None),
        StoredGrant(make("codex", grant_id="other", at=later + timedelta(hours=1)), None),
    ]
    assert select(stored, at=later) == "new"


def test_of_grants_of_the_same_second_the_one_added_later_is_selected() -> None:
    stored = [StoredGrant(make(grant_id=name), None) for name in ("first", "second", "third")]
    assert select(stored) == "third"


@pytest.mark.parametrize(
    "newest",
    [
        pytest.param(StoredGrant(make(grant_id="n", at=NOW), NOW_S), id="revoked"),
        pytest.param(
            StoredGrant(make(grant_id="n", at=NOW, expires=timedelta(seconds=1)), None), id="expired"
        ),
        pytest.param(StoredGrant(make(grant_id="n", at=NOW, scopes=["bridgeCert"]), None), id="narrower"),
    ],
)
def test_an_unusable_newer_grant_does_not_hide_a_usable_older_one(newest: StoredGrant) -> None:
    older = StoredGrant(make(grant_id="older", at=NOW - timedelta(days=1)), None)
    assert select([older, newest], at=NOW + timedelta(minutes=1)) == "older"


def test_without_a_usable_grant_the_newest_says_why() -> None:
    stored = [
        StoredGrant(make(grant_id="old", at=NOW - timedelta(days=60)), None),
        StoredGrant(make(grant_id="new"), NOW_S + 60),
    ]
    with pytest.raises(RefusedError, match="grant new for claude-code was revoked on 2026-03-01T12:01:00Z"):
        select(stored, at=NOW + timedelta(hours=1))


def test_an_unknown_agent_is_refused_with_the_names_of_the_known() -> None:
    stored = [StoredGrant(make(name, grant_id=name), None) for name in ("codex", "claude-code", "aider")]
    with pytest.raises(RefusedError, match="known agents: aider, claude-code, codex") as refused:
        select(stored, "gemini")
    assert refused.value.hint == "notme-git grant add gemini"


def test_an_agent_that_cannot_have_a_grant_is_not_told_to_get_one() -> None:
    with pytest.raises(RefusedError, match="known agents: none") as refused:
        select([], "x; rm -rf\n")
    assert "\n" not in refused.value.message + refused.value.hint
    assert refused.value.hint == "notme-git grant list"


def test_a_grant_for_nobody_is_selected_like_any_other() -> None:
    assert select([StoredGrant(replace(make(), represented=None), None)]) == "g1"
