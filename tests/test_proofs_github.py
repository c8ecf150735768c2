"""GitHub Actions jobs: which claims are an identity, and in upstream's order why others are none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import fulcio
from attest.errors import Error, MalformedError, RefusedError
from attest.types import PrincipalKind
from notme_git.authority.proofs import github, jwt
from notme_git.authority.proofs.configured import GITHUB_ISSUER, GitHub
from notme_git.authority.proofs.jwt import TokenError
from tests.issuer import SHA, Issuer

AT = datetime(2026, 11, 23, 13, 57, 8, tzinfo=UTC)
SETTINGS = GitHub(owners=("example",))


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(lambda: AT) as running:
        yield running


def claims(issuer: Issuer, owner: str = "example", **overrides: Any) -> dict[str, Any]:
    base = jwt.parse(issuer.github_token(f"{owner}/tool", iss=GITHUB_ISSUER)).claims
    return {name: value for name, value in {**base, **overrides}.items() if value is not None}


def test_a_job_is_named_by_its_repository_and_its_token_is_good_once(issuer: Issuer) -> None:
    found = github.identify(claims(issuer, jti="one"), SETTINGS)
    assert (found.method, found.kind, found.issuer) == ("gha-oidc", PrincipalKind.WORKLOAD, GITHUB_ISSUER)
    assert (found.subject, found.names) == ("repo:example/tool:ref:refs/heads/main", ("gha", "example", "tool"))
    assert (found.once, found.claims["sha"]) == (f"{GITHUB_ISSUER} one", SHA)


def test_what_the_token_says_of_the_job_goes_into_the_certificate(issuer: Issuer) -> None:
    said = fulcio.named(github.identify(claims(issuer), SETTINGS).ci)
    assert said["sourceRepositoryURI"] == "https://github.com/example/tool"
    assert said["runInvocationURI"] == "https://github.com/example/tool/actions/runs/30433642/attempts/1"


REFUSED: list[tuple[dict[str, Any], type[Error], str]] = [
    *[({name: None}, TokenError, f"invalid claims: {name}") for name in (*github.REQUIRED, "iat")],
    ({"sha": 5.5}, TokenError, "invalid claims: sha"),
    ({"repository": "a b%2F../x"}, TokenError, "invalid claims: repository is not one of repository_owner"),
    ({"repository": "example/a/b"}, TokenError, "invalid claims: repository is not one of repository_owner"),
    ({"repository": "example/"}, TokenError, "invalid claims: repository is not one of repository_owner"),
    ({"repository": "other/tool"}, TokenError, "invalid claims: repository is not one of repository_owner"),
    ({"repository_owner": "other"}, RefusedError, "repository owner not permitted"),
    ({"event_name": "pull_request_target"}, RefusedError, "event pull_request_target not permitted"),
    ({"event_name": "pull_request"}, RefusedError, "event pull_request not permitted"),
    ({"jti": None}, MalformedError, "jti claim required for replay protection"),
    ({"jti": ""}, MalformedError, "jti claim required for replay protection"),
]


@pytest.mark.parametrize(("changed", "kind", "message"), REFUSED)
def test_what_is_missing_or_does_not_fit_is_refused(
    issuer: Issuer, changed: dict[str, Any], kind: type[Error], message: str
) -> None:
    with pytest.raises(kind) as refused:
        github.identify(claims(issuer, **changed), SETTINGS)
    assert (type(refused.value), refused.value.message) == (kind, message)


@pytest.mark.parametrize("owners", [(), ("other",), ("exampl",)])
def test_nobody_is_permitted_who_is_not_written_down(issuer: Issuer, owners: tuple[str, ...]) -> None:
    with pytest.raises(RefusedError, match="repository owner not permitted"):
        github.identify(claims(issuer, jti=None), GitHub(owners=owners))


def test_an_owner_counts_whatever_its_case(issuer: Issuer) -> None:
    assert github.identify(claims(issuer, "ExAmple"), SETTINGS).names == ("gha", "ExAmple", "tool")


def test_pull_requests_only_where_the_settings_say_so_and_those_of_strangers_never(issuer: Issuer) -> None:
    settings = GitHub(owners=("example",), allow_pull_request=True)
    assert github.identify(claims(issuer, event_name="pull_request"), settings).claims["event_name"] == "pull_request"
    with pytest.raises(RefusedError):
        github.identify(claims(issuer, event_name="pull_request_target"), settings)


@given(st.dictionaries(st.sampled_from((*github.REQUIRED, "jti", "iat")), st.text(max_size=20) | st.integers()))
def test_any_claims_are_a_job_or_a_documented_error(issuer: Issuer, changed: dict[str, Any]) -> None:
    with contextlib.suppress(RefusedError, MalformedError):
        github.identify({**claims(issuer), **changed}, SETTINGS)
