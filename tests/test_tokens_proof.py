"""DPoP proofs and the JWS under them: what is taken, what is refused, and that nothing else can happen."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import keys
from attest.errors import Error, MalformedError
from notme_git.enroll.keys import proof as signature
from notme_git.tokens import jws, proof
from notme_git.tokens.proof import ProofKey, verify_proof
from tests.forge import NOW
from tests.peers import shared_vectors

URL = "https://rs.example.org/mcp"
KEY = ec.derive_private_key(7, ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x07")
PUBLIC = jws.jwk(keys.from_cryptography(KEY.public_key()))


def made(
    header: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | None = None,
    *,
    without: str = "",
    key: Any = KEY,
) -> str:
    """A proof for `GET URL` now, with some of it replaced or left out."""
    public = jws.jwk(keys.from_cryptography(key.public_key()))
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": public, **(header or {})}
    body = {"jti": "one", "htm": "GET", "htu": URL, "iat": int(NOW.timestamp()), **(claims or {})}
    for part in (head, body):
        part.pop(without, None)
    return jws.make(head, body, lambda signed: signature(key, signed))


def test_a_proof_proves_its_key_and_its_values() -> None:
    key = ProofKey()
    found = verify_proof(key.prove("GET", URL, NOW, nonce="n"), method="GET", url=URL, at=NOW)
    assert (found.thumbprint, found.nonce) == (key.thumbprint, "n")
    assert found.expires == int(NOW.timestamp()) + 60


def test_the_thumbprint_is_the_one_that_upstream_observed() -> None:
    seen = json.loads((shared_vectors() / "notme" / "dpop-token.json").read_text())
    assert jws.thumbprint(jws.parse_key(seen["proof_jwk"])) == seen["expected_jkt"]
    jws.parse(seen["proof"]).verify(jws.parse_key(seen["proof_jwk"]))


@pytest.mark.parametrize(
    ("header", "claims", "without"),
    [
        pytest.param({"typ": "JWT"}, {}, "", id="another type"),
        pytest.param({"alg": "none"}, {}, "", id="no signature asked for"),
        pytest.param({"jwk": {"kty": "oct", "k": "AAAA"}}, {}, "", id="a symmetric key"),
        pytest.param({"jwk": {**PUBLIC, "d": "AAAA"}}, {}, "", id="a private key"),
        pytest.param({"jwk": jws.jwk(keys.from_cryptography(ED.public_key()))}, {}, "", id="another key's header"),
        pytest.param({"crit": ["b64"]}, {}, "", id="an extension that must be understood"),
        pytest.param({"jwk": ["x"]}, {}, "", id="a key that is none"),
        pytest.param({}, {}, "jwk", id="no key"),
        pytest.param({}, {}, "jti", id="no jti"),
        pytest.param({}, {"jti": ""}, "", id="an empty jti"),
        pytest.param({}, {"jti": "x" * 257}, "", id="a jti without end"),
        pytest.param({}, {"jti": 7}, "", id="a jti that is a number"),
        pytest.param({}, {"htm": "POST"}, "", id="another method"),
        pytest.param({}, {"htm": "get"}, "", id="the method in small letters"),
        pytest.param({}, {"htu": URL + "/x"}, "", id="another path"),
        pytest.param({}, {"htu": "https://other.example.org/mcp"}, "", id="another host"),
        pytest.param({}, {"htu": "http://rs.example.org/mcp"}, "", id="another scheme"),
        pytest.param({}, {"htu": "https://rs.example.org@evil.example/mcp"}, "", id="a user before the host"),
        pytest.param({}, {"htu": "https://rs.example.org%2Fmcp"}, "", id="an encoded separator"),
        pytest.param({}, {"htu": "https://[/"}, "", id="no URL"),
        pytest.param({}, {}, "iat", id="no iat"),
        pytest.param({}, {"iat": int(NOW.timestamp()) - 3600}, "", id="made an hour ago"),
        pytest.param({}, {"iat": int(NOW.timestamp()) + 61}, "", id="to be made later"),
        pytest.param({}, {"iat": 10**400}, "", id="a time without end"),
        pytest.param({}, {"iat": True}, "", id="a time that is true"),
        pytest.param({}, {"nonce": "\ud800"}, "", id="a lone surrogate"),
    ],
)
def test_a_proof_is_refused_for(header: Mapping[str, Any], claims: Mapping[str, Any], without: str) -> None:
    assert verify_proof(made(), method="GET", url=URL, at=NOW).jti == "one"
    with pytest.raises(Error):
        verify_proof(made(header, claims, without=without), method="GET", url=URL, at=NOW)


def test_every_flipped_character_of_a_proof_is_refused() -> None:
    good = made()
    for at in range(len(good)):
        bad = good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :]
        with pytest.raises(Error):
            verify_proof(bad, method="GET", url=URL, at=NOW)


def test_with_a_token_the_proof_is_over_that_token() -> None:
    key = ProofKey()
    good = key.prove("GET", URL, NOW, token="a.b.c")
    assert verify_proof(good, method="GET", url=URL, at=NOW, token="a.b.c").nonce == ""
    for bad, token in ((good, "a.b.d"), (key.prove("GET", URL, NOW), "a.b.c")):
        with pytest.raises(Error):
            verify_proof(bad, method="GET", url=URL, at=NOW, token=token)


@pytest.mark.parametrize("seconds", [-60, 0, 60])
def test_a_minute_of_skew_is_allowed(seconds: int) -> None:
    assert verify_proof(made(), method="GET", url=URL, at=NOW + timedelta(seconds=seconds)).jti == "one"


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("HTTPS://RS.Example.ORG:443/mcp?x=1#y", URL),
        ("https://rs.example.org", "https://rs.example.org/"),
        ("http://[::1]:80/%7Ea", "http://[::1]/~a"),
        ("https://rs.example.org/a%2fb", "https://rs.example.org/a%2Fb"),
    ],
)
def test_one_url_has_one_spelling(url: str, same: str) -> None:
    assert proof.normal(url) == same


def test_an_ed25519_proof_only_where_the_caller_takes_it() -> None:
    good = made({"alg": "EdDSA"}, key=ED)
    assert verify_proof(good, method="GET", url=URL, at=NOW, algorithms=("ES256", "EdDSA")).jti == "one"
    with pytest.raises(MalformedError):
        verify_proof(good, method="GET", url=URL, at=NOW)


_plain = st.none() | st.booleans() | st.integers() | st.text()
_json = _plain | st.lists(_plain) | st.dictionaries(st.text(), _plain)


@given(st.text() | st.binary().map(lambda data: f"{jws.b64(data)}.{jws.b64(data)}.{jws.b64(data)}"))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_text_is_refused_or_a_jws(text: str) -> None:
    with contextlib.suppress(MalformedError):
        jws.parse(text)


@given(st.dictionaries(st.sampled_from(["jti", "htm", "htu", "iat", "nonce", "ath"]), _json))
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_signed_claims_are_refused_or_a_proof(claims: dict[str, Any]) -> None:
    with contextlib.suppress(Error):
        verify_proof(made({}, claims), method="GET", url=URL, at=NOW, token="t")


@given(st.text())
@settings(derandomize=True, max_examples=200, deadline=None)
def test_any_text_is_refused_or_a_url(text: str) -> None:
    with contextlib.suppress(MalformedError):
        assert proof.normal(proof.normal(text)) == proof.normal(text)
