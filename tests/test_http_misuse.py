"""What a stolen cookie, a program's session or another account must not get out of the authority over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from notme_git.authority import accounts
from tests.served import Served, served
from tests.test_http_account import Person
from tests.world import World


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path)) as running:
        yield running


def test_a_cookie_that_is_older_than_a_moment_makes_no_administrators(server: Served) -> None:
    admin = Person(server, *accounts.ADMIN)
    server.world.now += timedelta(minutes=16)
    got = admin.ask("POST", "/invites", {"scopes": ["authorityManage"]})
    assert (got.status, got.json["error"]) == (403, "presence_required")


def test_who_manages_by_an_invite_shows_a_passkey_before_inviting_others(server: Served) -> None:
    got = Person(server, *accounts.ADMIN, method="invite").ask("POST", "/invites", {})
    assert (got.status, got.json["error"]) == (403, "presence_required")


def test_a_cookie_that_is_older_than_a_moment_connects_no_identity(server: Served) -> None:
    alice = Person(server)
    server.world.now += timedelta(minutes=16)
    got = alice.ask("POST", "/connections", {"proof": {"type": "oidc", "token": "x.y.z"}})
    assert (got.status, got.json["error"]) == (403, "presence_required")
