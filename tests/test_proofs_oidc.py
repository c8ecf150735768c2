"""Any OpenID provider: the subject of a token as an identity."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from notme_git.authority import identity
from notme_git.authority.proofs import configured, oidc
from notme_git.authority.proofs.jwt import TokenError

ISSUER = "https://login.example/tenant/"
PROVIDER = configured.Issuer(ISSUER, audiences=("us",))
CLAIMS: dict[str, Any] = {"iss": ISSUER, "sub": "auth0|a/b", "aud": "us", "exp": 1795442828, "groups": ["x"], "n": 5}


def test_a_subject_is_named_under_its_issuer_and_no_slash_in_it_separates() -> None:
    found = oidc.identify({**CLAIMS, "jti": "one"}, PROVIDER)
    assert identity.uri("here:1", *found.names) == "wimse://here:1/oidc/login.example%2Ftenant/auth0%7Ca%2Fb"
    assert (found.method, found.once) == (f"oidc:{ISSUER}", f"{ISSUER} one")
    assert found.expires == datetime(2026, 11, 23, 14, 7, 8, tzinfo=UTC)
    assert (found.claims["n"], "groups" in found.claims) == ("5", False)


def test_without_a_jti_the_claims_are_what_is_good_once() -> None:
    first, again, other = (
        oidc.identify({**CLAIMS, "iat": at}, PROVIDER).once for at in (1, 1, 2)
    )  # another signature over the same claims is no other token
    assert first == again != other


def test_what_is_required_is_named_when_it_is_missing() -> None:
    with pytest.raises(TokenError, match="invalid claims: groups, nothing"):
        oidc.require(CLAIMS, ("sub", "groups", "nothing"))
