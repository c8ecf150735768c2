"""A provider's keys: found, remembered, asked for again, and refused from a provider that lies or keeps us waiting."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import UnavailableError
from notme_git.authority.proofs import configured, fetch, jwks, jwt
from notme_git.authority.proofs.fetch import Access
from notme_git.authority.proofs.jwks import Keys
from notme_git.authority.proofs.jwt import TokenError
from tests.issuer import DISCOVERY, JWKS, Issuer, Said, jwk

AT = datetime(2026, 11, 23, 13, 57, 8, tzinfo=UTC)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(lambda: AT) as running:
        yield running


def provider(issuer: Issuer, **more: Any) -> configured.Issuer:
    return configured.Issuer(issuer.url, audiences=("notme.bot",), **more)


def find(keys: Keys, issuer: Issuer, kid: str = "rsa", *, at: datetime = AT, header: Any = None) -> str:
    """`found`, or why not."""
    token = jwt.parse(issuer.token(kid=kid, header=header))
    try:
        jwt.verify(token, asyncio.run(keys.find(token, at)))
    except (TokenError, UnavailableError) as error:
        return f"{type(error).__name__}: {error.message}"
    return "found"


def test_keys_are_discovered_once_and_remembered(issuer: Issuer) -> None:
    keys = Keys(provider(issuer))
    assert [find(keys, issuer, kid) for kid in ("rsa", "ec", "rsa")] == ["found"] * 3
    assert issuer.asked == [DISCOVERY, JWKS]


def test_after_an_hour_they_are_asked_for_again(issuer: Issuer) -> None:
    keys = Keys(provider(issuer))
    for minutes in (0, 59, 60):
        assert find(keys, issuer, at=AT + timedelta(minutes=minutes)) == "found"
    assert issuer.asked.count(JWKS) == 2


def test_a_key_that_is_not_known_is_asked_for_once_a_minute(issuer: Issuer) -> None:
    keys = Keys(provider(issuer))
    find(keys, issuer)
    for seconds in (1, 59):
        assert find(keys, issuer, "rsa-2", at=AT + timedelta(seconds=seconds)) == "TokenError: unknown key id: rsa-2"
    assert issuer.asked.count(JWKS) == 1
    issuer.keys = ("rsa-2",)
    assert find(keys, issuer, "rsa-2", at=AT + timedelta(seconds=60)) == "found"
    assert find(keys, issuer, "rsa", at=AT + timedelta(seconds=61)) == "TokenError: unknown key id: rsa"


def test_while_the_provider_is_down_known_keys_count_for_a_day(issuer: Issuer) -> None:
    keys = Keys(provider(issuer))
    find(keys, issuer)
    issuer.down = True
    assert find(keys, issuer, at=AT + timedelta(hours=23)) == "found"
    assert find(keys, issuer, "rsa-2", at=AT + timedelta(hours=23)).startswith("UnavailableError")
    assert find(keys, issuer, at=AT + timedelta(hours=24)).startswith("UnavailableError")


def test_a_provider_that_failed_is_left_alone_for_a_moment(issuer: Issuer) -> None:
    keys, issuer.down = Keys(provider(issuer)), True
    assert find(keys, issuer).startswith("UnavailableError")
    issuer.down = False
    assert "a moment ago" in find(keys, issuer, at=AT + timedelta(seconds=9))
    assert find(keys, issuer, at=AT + timedelta(seconds=10)) == "found"


def test_however_many_ask_at_once_one_question_is_under_way(issuer: Issuer) -> None:
    keys, token = Keys(provider(issuer)), jwt.parse(issuer.token())

    async def all_at_once() -> None:
        await asyncio.gather(*(keys.find(token, AT) for _ in range(50)))

    asyncio.run(all_at_once())
    assert issuer.asked == [DISCOVERY, JWKS]


def test_a_token_without_a_key_id_is_by_the_only_key_of_its_algorithm(issuer: Issuer) -> None:
    keys = Keys(provider(issuer))
    assert find(keys, issuer, header={"kid": None}) == "found"
    issuer.keys = ("rsa", "rsa-2")
    assert find(Keys(provider(issuer)), issuer, header={"kid": None}) == "TokenError: unknown key id: none"


def test_a_key_of_another_kind_under_the_same_id_is_none(issuer: Issuer) -> None:
    assert find(Keys(provider(issuer)), issuer, "ec", header={"kid": "rsa"}) == "TokenError: unknown key id: rsa"


def said(value: Any) -> Said:
    return Said(value if isinstance(value, bytes) else json.dumps(value).encode())


def keys_of(*listed: Mapping[str, Any]) -> Said:
    return said({"keys": list(listed)})


LIES: dict[str, tuple[str, Callable[[str], Said], str]] = {
    "another issuer": (DISCOVERY, lambda url: said({"issuer": "https://evil", "jwks_uri": url}), "another issuer"),
    "no issuer": (DISCOVERY, lambda url: said({"jwks_uri": url + JWKS}), "another issuer"),
    "keys without TLS": (
        DISCOVERY, lambda url: said({"issuer": url, "jwks_uri": "http://192.0.2.1/"}), "under https"
    ),
    "keys at no address": (DISCOVERY, lambda url: said({"issuer": url, "jwks_uri": "https://["}), "under https"),
    "keys in a file": (DISCOVERY, lambda url: said({"issuer": url, "jwks_uri": "file:///etc/passwd"}), "under https"),
    "no keys": (DISCOVERY, lambda url: said({"issuer": url}), "under https"),
    "redirect": (JWKS, lambda url: Said(b"", 302, {"Location": url}), "status 302"),
    "error": (JWKS, lambda _: Said(b"{}", 500), "status 500"),
    "no JSON": (JWKS, lambda _: said(b"<html>"), "JSON object"),
    "no object": (JWKS, lambda _: said([]), "JSON object"),
    "no list": (JWKS, lambda _: said({"keys": {}}), "no list"),
    "no keys in the list": (JWKS, lambda _: said({"keys": [1]}), "no list"),
    "too many": (JWKS, lambda _: keys_of(*[jwk("rsa")] * 65), "no list"),
    "too much": (JWKS, lambda _: said(b"{" + b" " * fetch.MAX_BYTES + b"}"), "larger than"),
    "too deep": (JWKS, lambda _: said(b"[" * 100_000), "JSON object"),
    "too short": (JWKS, lambda _: Said(b"{}", 200, {"Content-Length": "3"}), "ended early"),
    "two lengths": (JWKS, lambda _: Said(b"{}", 200, {"Transfer-Encoding": "chunked"}), "cannot ask"),
    "no HTTP": (JWKS, lambda _: Said(b"", 200, {"X": "\r\n\x00bad"}), "cannot ask"),
    "its private key": (JWKS, lambda _: keys_of(jwk("rsa", private=True)), "private key"),
    "a shared secret": (JWKS, lambda _: keys_of({"kty": "oct", "k": "AAAA"}), "private key"),
    "a weak key": (JWKS, lambda _: keys_of(jwk("weak")), "RSA of 1024 bits"),
    "two of one name": (JWKS, lambda _: keys_of(jwk("rsa"), {**jwk("rsa-2"), "kid": "rsa"}), "two keys"),
    "no point": (JWKS, lambda _: keys_of({**jwk("ec"), "y": jwk("ec")["x"]}), "cannot be used"),
    "half a key": (JWKS, lambda _: keys_of({"kty": "RSA", "n": jwk("rsa")["n"]}), "cannot be used"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "lie", "word"), LIES.values(), ids=LIES)
def test_a_provider_that_lies_is_as_good_as_down(
    issuer: Issuer, path: str, lie: Callable[[str], Said], word: str
) -> None:
    issuer.answers[path] = lie(issuer.url)
    why = find(Keys(provider(issuer)), issuer)
    assert why.startswith("UnavailableError")
    assert word in why


@pytest.mark.parametrize("path", [DISCOVERY, JWKS])
def test_a_slow_provider_is_given_up(issuer: Issuer, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_S", 0.1)
    issuer.answers[path] = Said(b"{}", hold=threading.Event())
    assert "did not answer within" in find(Keys(provider(issuer)), issuer)


def test_an_answer_may_come_in_chunks_or_end_with_its_connection(issuer: Issuer) -> None:
    body = json.dumps(issuer.jwks()).encode()
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    issuer.answers[JWKS] = Said(chunked, headers={"Transfer-Encoding": "chunked", "Content-Length": ""})
    assert find(Keys(provider(issuer)), issuer) == "found"
    issuer.answers[JWKS] = Said(body, headers={"Content-Length": "", "Connection": "close"})
    assert find(Keys(provider(issuer)), issuer) == "found"


def test_keys_for_something_else_are_passed_over(issuer: Issuer) -> None:
    others: list[dict[str, Any]] = [
        {**jwk("weak"), "use": "enc"}, {**jwk("rsa-2"), "alg": "RS512"}, {"kty": "EC", "crv": "P-384"},
        {"kty": "new"}, {**jwk("rsa-3"), "kid": 5},
    ]  # fmt: skip
    issuer.answers[JWKS] = keys_of(*others, jwk("rsa"))
    assert find(Keys(provider(issuer)), issuer) == "found"
    assert find(Keys(provider(issuer)), issuer, "rsa-2") == "TokenError: unknown key id: rsa-2"


def test_keys_may_stand_in_a_file(issuer: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    keys = Keys(provider(issuer, jwks_file=str(file)))
    assert "cannot read" in find(keys, issuer)
    file.write_text(json.dumps(issuer.jwks()))
    assert find(keys, issuer, at=AT + timedelta(minutes=1)) == "found"
    assert issuer.asked == []


def test_a_private_authority_vouches_for_the_provider_and_gets_the_bearer_token(tmp_path: Path) -> None:
    with Issuer(lambda: AT, tls=tmp_path) as issuer:
        assert "CERTIFICATE_VERIFY_FAILED" in find(Keys(provider(issuer)), issuer)
        issuer.bearer, bearer = "let-me-in", tmp_path / "bearer"
        bearer.write_text("let-me-in\n")
        trusted = {"ca_file": str(issuer.ca_file)}
        assert "status 401" in find(Keys(provider(issuer, **trusted)), issuer)
        assert find(Keys(provider(issuer, **trusted, bearer_file=str(bearer))), issuer) == "found"


def test_a_bearer_token_goes_to_no_other_host(issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bearer = tmp_path / "bearer"
    bearer.write_text("let-me-in")
    with Issuer(lambda: AT, tls=tmp_path) as other:
        other.bearer = issuer.bearer = "let-me-in"
        issuer.answers[DISCOVERY] = said({"issuer": issuer.url, "jwks_uri": other.url + JWKS})
        access: list[Access] = []

        async def get(url: str, given: Access) -> bytes:
            access.append(given)
            return issuer.say(url.removeprefix(issuer.url), "").body if url.startswith(issuer.url) else b"{}"

        monkeypatch.setattr(fetch, "get", get)
        with pytest.raises(UnavailableError):
            asyncio.run(jwks.load(provider(issuer, bearer_file=str(bearer))))
    assert [each.bearer for each in access] == ["let-me-in", ""]
    assert "let-me-in" not in repr(access)


ADDRESSES = ["http://192.0.2.1/", "file:///etc/passwd", "https://", "http://localhost:1/", "http://[::1]:1/",
             "http://localhost/a\nb", "https://a b/", "gopher://localhost/"]  # fmt: skip


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_that_may_not_be_asked_or_does_not_answer(url: str) -> None:
    with pytest.raises(UnavailableError):
        asyncio.run(fetch.get(url, Access()))


@given(st.binary(max_size=200))
def test_any_bytes_are_keys_or_a_documented_error(data: bytes) -> None:
    with pytest.raises(UnavailableError):
        jwks.parse(data)


FIELDS = ("kty", "crv", "n", "e", "x", "y", "use", "alg", "kid")
TEXTS = st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "sig", "AQAB", jwk("ec")["x"]]) | st.text(max_size=9)


@given(st.lists(st.dictionaries(st.sampled_from(FIELDS), TEXTS | st.integers() | st.none()), max_size=3))
def test_any_keys_are_read_or_a_documented_error(listed: list[dict[str, Any]]) -> None:
    try:
        found = jwks.parse(json.dumps({"keys": listed}).encode())
    except UnavailableError:
        return
    assert all(each.algorithm in jwt.ALGORITHMS for each in found)
