"""GitLab jobs: which claims are an identity."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import fulcio
from attest.errors import RefusedError
from notme_git.authority import identity
from notme_git.authority.proofs import configured, gitlab, jwt
from notme_git.authority.proofs.jwt import TokenError
from tests.issuer import Issuer

AT = datetime(2026, 11, 23, 13, 57, 8, tzinfo=UTC)
SERVER = "https://gitlab.example:8443/forge"
PROVIDER = configured.Issuer(SERVER, kind="gitlab", audiences=("notme.bot",))


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with Issuer(lambda: AT) as running:
        yield running


def claims(issuer: Issuer, project: str = "example/tool", **overrides: Any) -> Any:
    return jwt.parse(issuer.gitlab_token(project, iss=SERVER, **overrides)).claims


def test_a_job_is_named_by_instance_groups_and_project(issuer: Issuer) -> None:
    found = gitlab.identify(claims(issuer, "example/sub/tool", jti="one"), PROVIDER)
    assert found.names == ("gitlab", "gitlab.example:8443/forge", "example", "sub", "tool")
    assert identity.uri("here", *found.names).count("/") == len(found.names) + 2
    assert (found.method, found.once) == (f"oidc:{SERVER}", f"{SERVER} one")
    assert found.claims["user_login"] == "alice"


def test_what_the_token_says_of_the_job_goes_into_the_certificate(issuer: Issuer) -> None:
    said = fulcio.named(gitlab.identify(claims(issuer), PROVIDER).ci)
    assert said["sourceRepositoryURI"] == f"{SERVER}/example/tool"
    assert said["runInvocationURI"] == f"{SERVER}/example/tool/-/jobs/302"


def test_a_token_may_be_used_again_only_where_the_settings_say_so(issuer: Issuer) -> None:
    again = configured.Issuer(SERVER, kind="gitlab", audiences=("notme.bot",), reuse=True)
    assert gitlab.identify(claims(issuer), again).once == ""


REFUSED = [
    *[({name: None}, name) for name in gitlab.REQUIRED],
    ({"namespace_path": "other"}, "project_path is not one of namespace_path"),
    ({"project_path": "tool"}, "project_path is not one of namespace_path"),
    ({"project_path": "example/"}, "project_path is not one of namespace_path"),
]


@pytest.mark.parametrize(("changed", "message"), REFUSED)
def test_what_is_missing_or_does_not_fit_is_refused(issuer: Issuer, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(TokenError) as refused:
        gitlab.identify(claims(issuer, **changed), PROVIDER)
    assert refused.value.message == f"invalid claims: {message}"


@given(st.dictionaries(st.sampled_from((*gitlab.REQUIRED, "jti")), st.text(max_size=20) | st.integers()))
def test_any_claims_are_a_job_or_a_documented_error(issuer: Issuer, changed: dict[str, Any]) -> None:
    with contextlib.suppress(RefusedError):
        gitlab.identify({**claims(issuer), **changed}, PROVIDER)
