"""What anybody may read of a live authority: keys, epochs, bundles and where things are; and which pages may."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from attest import certificate, trust
from notme_git.authority import cabundle, epochs
from notme_git.authority.settings import Settings
from tests.served import Served, served
from tests.world import World

WELL_KNOWN = "/.well-known"
PAGE = "https://tools.example.org"
ROOT_PEM = f"{WELL_KNOWN}/ca-bundle.pem"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path / "world"), Settings(origins=(PAGE,))) as running:
        yield running


def get(server: Served, path: str) -> Any:
    answer = server.request("GET", path)
    assert answer.status == 200, answer.body
    return answer.json


def current(server: Served) -> certificate.Anchor:
    """The pinned anchor of the current epoch in the notme profile."""
    return server.world.trust().anchors[0]


def rotate(server: Served) -> None:
    server.within(lambda desk: epochs.rotate(desk.authority, desk.clock()))


def recover(server: Served) -> None:
    """Retire the current key as somebody else's."""
    key, since = server.world.recovery_key, server.world.now - timedelta(minutes=1)
    server.within(lambda desk: epochs.recover(desk.authority, key, compromised_at=since, at=desk.clock()))


def test_the_root_is_one_self_signed_certificate_without_a_line_end(server: Served) -> None:
    answer = server.request("GET", ROOT_PEM)
    (root,) = x509.load_pem_x509_certificates(answer.body)
    assert answer.body.endswith(b"-----END CERTIFICATE-----")
    root.verify_directly_issued_by(root)
    assert certificate.key_of(root) == current(server).key
    assert answer.headers["content-type"] == "application/x-pem-file"


def test_keys_go_by_the_id_that_tokens_and_certificates_name(server: Served) -> None:
    (key,) = get(server, f"{WELL_KNOWN}/jwks.json")["keys"]
    pinned = current(server).key
    assert key == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": base64.urlsafe_b64encode(pinned.raw).decode().rstrip("="),
        "kid": pinned.key_id,
        "use": "sig",
        "alg": "EdDSA",
    }


def test_after_a_rotation_the_key_before_is_still_told_and_after_a_compromise_it_is_not(server: Served) -> None:
    first = get(server, f"{WELL_KNOWN}/jwks.json")["keys"]
    rotate(server)
    second = get(server, f"{WELL_KNOWN}/jwks.json")["keys"]
    assert second[1:] == first
    recover(server)
    third = get(server, f"{WELL_KNOWN}/jwks.json")["keys"]
    assert len(third) == 1
    assert third[0] not in (*first, *second)


def test_every_epoch_is_told_with_its_own_key_and_the_last_is_not_retired(server: Served) -> None:
    rotate(server)
    told = get(server, f"{WELL_KNOWN}/epochs.json")["epochs"]
    assert [each["epoch"] for each in told] == [1, 2]
    assert [each["retiredAt"] for each in told] == [int(server.world.now.timestamp()), None]
    raw = {each["kid"]: each["x"] for each in get(server, f"{WELL_KNOWN}/jwks.json")["keys"]}
    for each in told:
        assert base64.b64decode(each["publicRawB64"]) == base64.urlsafe_b64decode(raw[each["keyId"]] + "=")


def test_both_bundles_verify_under_the_pinned_anchor(server: Served) -> None:
    pinned = current(server)
    found = cabundle.verify_ca_bundle(get(server, "/internal/ca-bundle"), (pinned.key,), server.world.now)
    assert found.epoch == 1
    answer = server.request("GET", "/trust-bundle")
    assert trust.verify_bundle(answer.body, [pinned]).anchors == server.world.trust().anchors
    assert answer.headers["content-type"] == "application/octet-stream"


def test_the_documents_lead_to_what_there_is(server: Served) -> None:
    told = get(server, f"{WELL_KNOWN}/signet-authority.json")
    oauth = get(server, f"{WELL_KNOWN}/oauth-authorization-server")
    assert get(server, f"{WELL_KNOWN}/openid-configuration") == oauth
    assert "authorization_endpoint" not in oauth
    ends = {value for document in (told, oauth) for value in document.values() if str(value).startswith(server.url)}
    for url in ends - {server.url}:
        assert server.request("POST", url.removeprefix(server.url)).status != 404  # upstream has no GET /cert


def test_it_says_which_commit_runs_where_the_build_knows(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for commit, told in (("", "unknown"), ("main", "unknown"), ("0" * 40, "0" * 40)):
        monkeypatch.setenv("BUILD_SHA", commit)
        assert get(server, f"{WELL_KNOWN}/version") == {"commit": told, "stamped": told == commit}


def test_health_is_a_word_and_upstreams_signing_calls_are_not_there(server: Served) -> None:
    for path in ("/health", "/healthz"):
        answer = server.request("GET", path)
        assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b"ok", "no-store")
    for path in ("/internal/sign-receipt", "/internal/sign-jwt"):
        answer = server.request("GET", path)
        assert (answer.status, answer.json["error"]) == (404, "not_an_http_endpoint")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (PAGE, PAGE),
        ("http://localhost:5173", "http://localhost:5173"),
        ("https://localhost:5173", ""),
        ("http://localhost.example.org", ""),
        ("https://other.example.org", ""),
        ("null", ""),
        ("http://[", ""),
    ],
)
def test_pages_of_permitted_origins_may_ask_and_none_with_credentials(
    server: Served, origin: str, allowed: str
) -> None:
    answer = server.request("OPTIONS", "/token", headers={"Origin": origin})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (204, allowed)
    assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
    assert "DPoP" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers


def test_every_origin_may_read_what_is_public_and_none_the_rest(server: Served) -> None:
    asked = {"Origin": "https://other.example.org"}
    public = (f"{WELL_KNOWN}/jwks.json", f"{WELL_KNOWN}/epochs.json", "/trust-bundle")
    shared = {
        path: server.request("GET", path, headers=asked).headers.get("access-control-allow-origin")
        for path in (*public, "/me", "/nonce", "/grants")
    }
    assert shared == {**dict.fromkeys(public, "*"), "/me": None, "/nonce": None, "/grants": None}
