"""Reading tokens: what PyJWT writes is taken, and every departure is refused with upstream's word for it."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey, RSAKey

from notme_git.authority.proofs import jwt
from notme_git.authority.proofs.jwt import TokenError
from tests.issuer import Issuer, algorithm, jwk

AT = datetime(2026, 11, 23, 13, 57, 8, tzinfo=UTC)
NOW = int(AT.timestamp())
ISSUER = "https://issuer.example"
READERS: Any = {"RS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}


def key(kid: str) -> Any:
    return READERS[algorithm(kid)].import_key(jwk(kid))


@pytest.fixture(scope="module")
def issuer() -> Any:
    with Issuer(lambda: AT) as running:
        yield running


def written(claims: Any, header: Any = None, signature: str = "AA") -> str:
    """A token with any header and claims, whose signature is nobody's."""
    parts = (header or {"alg": "RS256", "typ": "JWT"}, claims)
    texts = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in parts)
    return ".".join((*(base64.urlsafe_b64encode(text).decode().rstrip("=") for text in texts), signature))


def claims(**more: Any) -> dict[str, Any]:
    base = {"iss": ISSUER, "sub": "me", "aud": "us", "exp": NOW + 300, "iat": NOW}
    return {name: value for name, value in {**base, **more}.items() if value is not None}


def why(reading: Callable[[], object]) -> str:
    """With which words it is refused."""
    with pytest.raises(TokenError) as refused:
        reading()
    return refused.value.message


def check(token: str, **more: Any) -> None:
    rules: Any = {"issuer": ISSUER, "audiences": ("us",), "algorithms": ("RS256",), "at": AT, **more}
    jwt.check(jwt.parse(token), **rules)


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
def test_what_another_library_signed_is_verified_and_nothing_else(issuer: Issuer, kid: str) -> None:
    token = jwt.parse(issuer.github_token(kid=kid))
    assert jwt.verify(token, key(kid))["repository"] == "example/tool"
    assert why(lambda: jwt.verify(token, key(f"{kid}-2"))) == "invalid signature"
    head, _, _ = token.text.rpartition(".")
    for forged in ("AA", "A" * 86, "A" * 342):
        changed = jwt.parse(f"{head}.{forged}")
        assert why(lambda changed=changed: jwt.verify(changed, key(kid))) == "invalid signature"  # type: ignore[misc]


def test_a_claim_that_was_changed_is_not_what_was_signed(issuer: Issuer) -> None:
    head, body, signature = issuer.github_token().split(".")
    changed = base64.urlsafe_b64decode(body + "==").replace(b"example/tool", b"example/evil")
    token = ".".join((head, base64.urlsafe_b64encode(changed).decode().rstrip("="), signature))
    assert why(lambda: jwt.verify(jwt.parse(token), key("rsa"))) == "invalid signature"


MALFORMED = {
    "no JWS": "a.b",
    "four parts": "a.b.c.d",
    "JWE": "a.b.c.d.e",
    "no base64url": written(claims())[:-2] + "?A",
    "padding": written(claims(), signature="AA=="),
    "another spelling of the same bytes": written(claims(), signature="AB"),
    "no signature": written(claims(), signature=""),
    "header no object": written(claims(), header=b"[]"),
    "claims no object": written(b'"me"'),
    "claims no JSON": written(b"{"),
    "a name twice": written(b'{"iss":"a","iss":"b"}'),
    "NaN": written(b'{"exp":NaN}'),
    "a lone surrogate": written(b'{"iss":"\\ud800"}'),
    "deep": written(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "no alg": written(claims(), header={"typ": "JWT"}),
    "alg no text": written(claims(), header={"alg": 5}),
    "kid no text": written(claims(), header={"alg": "RS256", "kid": 5}),
    "crit": written(claims(), header={"alg": "RS256", "crit": ["b64"], "b64": False}),
    "of another type": written(claims(), header={"alg": "RS256", "typ": "dpop+jwt"}),
    "too long": written(claims(pad="x" * jwt.MAX_BYTES)),
}


@pytest.mark.parametrize("token", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_plain_token_is_malformed(token: str) -> None:
    assert why(lambda: jwt.parse(token)).startswith("malformed JWT")


@pytest.mark.parametrize("name", ["none", "HS256", "HS512", "RS512", "PS256", "ES384", "rs256", "EdDSA"])
def test_an_algorithm_counts_only_if_it_is_allowed(name: str) -> None:
    assert why(lambda: check(written(claims(), header={"alg": name}))) == f"unsupported alg: {name}"


WRONG_CLAIMS: list[tuple[str, Any]] = [
    ("iss", None), ("iss", 5), ("iss", ""), ("sub", None), ("sub", ""), ("sub", "a\nb"), ("sub", "x" * 1025),
    ("exp", None), ("exp", "soon"), ("exp", True), ("exp", 1e400), ("exp", -1), ("exp", 2**70), ("iat", "now"),
    ("nbf", []), ("aud", None), ("aud", []), ("aud", [5]), ("aud", {}), ("jti", 5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG_CLAIMS)
def test_a_claim_of_another_type_is_named(name: str, value: Any) -> None:
    token = written(json.dumps(claims(**{name: value})).replace("Infinity", "1e400").encode())
    assert why(lambda: jwt.parse(token)) == f"invalid claims: {name}"


TIMES = [
    ({"exp": NOW}, "token expired"),
    ({"exp": NOW + 1}, ""),
    ({"exp": NOW + 0.5}, ""),
    ({"iat": NOW + 60}, ""),
    ({"iat": NOW + 61}, "token issued in the future"),
    ({"nbf": NOW + 61}, "token issued in the future"),
    ({"iat": None}, ""),
    ({"iss": "https://issuer.example/"}, "wrong issuer: https://issuer.example/"),
    ({"iss": "https://evil\x00.example"}, "invalid claims: iss"),
    ({"aud": "them"}, "wrong audience: them"),
    ({"aud": ["them", "us"]}, ""),
    ({"aud": ["them", "US"]}, "wrong audience: them, US"),
]


@pytest.mark.parametrize(("changed", "error"), TIMES)
def test_issuer_time_and_audience_are_held_exactly(changed: dict[str, Any], error: str) -> None:
    if error:
        assert why(lambda: check(written(claims(**changed)))) == error
    else:
        check(written(claims(**changed)))


def test_a_token_is_over_in_the_second_in_which_it_expires(issuer: Issuer) -> None:
    token = issuer.token()
    check(token, issuer=issuer.url, audiences=("notme.bot",), at=AT + timedelta(seconds=299))
    later = AT + timedelta(seconds=300)
    assert why(lambda: check(token, issuer=issuer.url, audiences=("notme.bot",), at=later)) == "token expired"


def test_an_error_repeats_nothing_that_a_terminal_would_obey() -> None:
    message = why(lambda: check(written(claims(), header={"alg": "\x1b[2J" + "x" * 500})))
    assert message.isprintable()
    assert len(message) < 200


def test_claims_become_texts_or_are_left_out() -> None:
    said = {"a": "x", "b": 7, "c": True, "d": None, "e": ["x"], "f": "", "g": "a\nb", "h": "x" * 1025, "i\n": "x"}
    assert jwt.texts(said) == {"a": "x", "b": "7", "c": "true"}


@given(st.text(max_size=400) | st.lists(st.binary(max_size=60), min_size=3, max_size=3).map(
    lambda parts: ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
))  # fmt: skip
def test_any_text_is_a_token_or_a_documented_error(text: str) -> None:
    with contextlib.suppress(TokenError):
        jwt.parse(text)


@given(st.dictionaries(
    st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "x"]),
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
                 lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)),
))  # fmt: skip
def test_any_claims_are_checked_or_a_documented_error(said: dict[str, Any]) -> None:
    with contextlib.suppress(TokenError):
        check(written(json.dumps({**claims(), **said}).encode()))
