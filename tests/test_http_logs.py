"""What the server logs: one line of JSON for each request and each fault, and no secret in any of them."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from notme_git.authority import accounts, sessions
from notme_git.authority.http import openapi
from notme_git.authority.http.operations import OPERATIONS, Operation
from notme_git.authority.settings import Limits, Rate, Settings
from tests.served import Keys, Served, served
from tests.world import World

MARK = "marked-as-secret"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    unlimited = Limits(*(Rate(0, 0) for _ in Limits.__slots__))
    with served(World(tmp_path), Settings(limits=unlimited)) as running:
        yield running


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that `authority serve` writes: every line of ours, and the warnings of others."""
    caplog.set_level(logging.DEBUG, "notme.authority")
    return caplog


def settle(server: Served) -> None:
    """Wait until the last answer is logged, which it is after it is sent."""
    server.within(lambda _: None)


def marked(each: Operation) -> dict[str, Any]:
    """A body whose every text is the mark."""
    fields = openapi.structs().get(each.asks, {}).get("properties", {})
    proof = {"type": "oidc", "token": MARK}
    pairs = {name: {"mtls": MARK, "signing": MARK} for name in ("public_keys", "proofs")}
    texts = {name: MARK for name, schema in fields.items() if schema.get("type") == "string"}
    return texts | {name: value for name, value in {"proof": proof, **pairs}.items() if name in fields}


def everything(server: Served, cookie: str) -> None:
    """Each operation by a stranger and by somebody signed in, with the mark wherever a client may put something."""
    for each in OPERATIONS:
        path = f"{re.sub(r'{[a-z]+}', 'unknown', each.path)}?t={MARK}&state={MARK}&then={quote('/' + MARK)}"
        headers = {"Authorization": f"Bearer {MARK}.{MARK}.{MARK}", "DPoP": f"{MARK}.{MARK}.{MARK}", "User-Agent": MARK}
        body = marked(each) if each.asks else None
        for value in (MARK, cookie):
            server.request(each.method, path, body, {**headers, "Cookie": f"notme_session={value}"})


def enrolled(server: Served, cookie: str) -> list[str]:
    """A certificate, by everything that is secret; returns all of it."""
    code, nonce = server.code(), server.nonce()
    ready = Keys().body(hashlib.sha256(nonce.encode()).digest())
    body = {"proof": {"type": "bootstrap", "code": code}, "nonce": nonce, **ready}
    assert server.request("POST", "/cert", body).status == 200
    assert server.cert({"type": "session"}, cookie=cookie).status == 200
    return [code, nonce, *ready["proofs"].values()]


def test_no_secret_is_logged_whatever_comes_of_the_request(server: Served, logged: pytest.LogCaptureFixture) -> None:
    cookie = server.cookie(server.account(*accounts.ADMIN, accounts.GIT))
    secrets = [MARK, cookie, *cookie.split("."), *enrolled(server, cookie)]
    everything(server, cookie)
    cookie = server.cookie(server.account(*accounts.ADMIN, email="bob@example.org"))
    server.within(lambda desk: desk.authority.store.wait_for_lock(10))
    with closing(sqlite3.connect(server.world.home / "authority" / "authority.db")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        everything(server, cookie)
    settle(server)
    lines = logged.text.splitlines()
    assert len(lines) > 2 * len(OPERATIONS)
    assert [secret for secret in (*secrets, cookie) if secret in logged.text and len(secret) > 12] == []


def test_an_error_that_nobody_thought_of_is_told_by_its_place_and_not_by_its_text(
    server: Served, logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError(MARK)

    monkeypatch.setattr(sessions, "verify", fail)
    got = server.request("GET", "/sessions", headers={"Cookie": f"notme_session={MARK}"})
    assert (got.status, got.json) == (500, {"error": "internal_error"})
    settle(server)
    told = [json.loads(each.getMessage()) for each in logged.records if each.levelno == logging.ERROR]
    assert [each["error"] for each in told] == ["unexpected ValueError"]
    assert "test_http_logs.py" in told[0]["trace"][-1]
    assert MARK not in logged.text


def test_a_request_is_one_line_of_json_whatever_its_path(server: Served, logged: pytest.LogCaptureFixture) -> None:
    server.request("GET", '/%0a{"at":"1"}%22?t=' + MARK)
    server.request("GET", "/" + "x" * 5000)
    settle(server)
    found = [each.getMessage() for each in logged.records if each.name == "notme.authority"]
    assert [json.loads(each)["status"] for each in found] == [404, 404]
    assert not any("\n" in each or len(each) > 400 for each in found)
    assert json.loads(found[0])["path"] == '/\n{"at":"1"}"'
