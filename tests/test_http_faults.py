"""What fails under the authority: a status of 503 that says to try again, nothing issued, and then it works again."""

from __future__ import annotations

import hashlib
import os
import resource
import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from attest.errors import UnavailableError
from notme_git.authority import store as stores
from notme_git.authority.http import desk as desks
from tests.served import Answer, Keys, Served, served
from tests.world import World


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path)) as running:
        yield running


@pytest.fixture
def cookie(server: Served) -> str:
    return server.cookie(server.account())


def pair(server: Served, cookie: str) -> Answer:
    return server.cert({"type": "session"}, cookie=cookie)


def issued(server: Served) -> int:
    """How many certificates are on record in the file that is there now."""
    with closing(sqlite3.connect(database(server))) as connection:
        return int(connection.execute("SELECT count(*) FROM issued").fetchone()[0])


def database(server: Served) -> Path:
    return server.world.home / "authority" / "authority.db"


def unavailable(answer: Answer) -> bool:
    """Whether it is the one answer that there is to what the client cannot help."""
    told = {"error": "authority unavailable: try again"}
    return (answer.status, answer.json, answer.headers.get("retry-after")) == (503, told, "1")


@contextmanager
def locked(server: Served) -> Iterator[None]:
    """Another process's transaction that does not end."""
    with closing(sqlite3.connect(database(server), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def test_while_the_database_is_locked_the_client_is_told_to_try_again(
    server: Served, cookie: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.within(lambda desk: desk.authority.store.wait_for_lock(50))
    with locked(server):
        assert unavailable(pair(server, cookie))
        assert server.request("GET", "/sessions", headers={"Cookie": f"notme_session={cookie}"}).status == 200
        assert issued(server) == 0
    assert "another process holds its lock" in caplog.text
    assert (pair(server, cookie).status, issued(server)) == (200, 2)


def test_a_lock_that_is_held_is_waited_for_once_and_not_by_each_request(server: Served, cookie: str) -> None:
    def patience() -> int:
        return int(server.within(lambda desk: desk.authority.store.patience_ms))

    assert patience() == desks.LOCK_TIMEOUT_MS
    server.within(lambda desk: desk.authority.store.wait_for_lock(60))
    with locked(server):
        pair(server, cookie)
        assert patience() == stores.HURRIED_MS
        pair(server, cookie)
        assert patience() == stores.HURRIED_MS
    assert (pair(server, cookie).status, patience()) == (200, 60)


def test_a_database_that_is_gone_gives_no_certificates_and_serves_again_when_it_is_back(
    server: Served, cookie: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = database(server)
    away = path.with_name("away")
    path.rename(away)
    assert unavailable(pair(server, cookie))
    assert not path.exists()
    assert server.request("GET", "/health").status == 200
    assert "removed or replaced" in caplog.text
    away.rename(path)
    assert (pair(server, cookie).status, issued(server)) == (200, 2)


def test_a_database_in_the_place_of_ours_is_not_taken_for_it(server: Served, cookie: str) -> None:
    path = database(server)
    path.rename(path.with_name("away"))
    shutil.copy(path.with_name("away"), path)
    assert unavailable(pair(server, cookie))
    assert "start the authority again" in server.within(why)


def why(desk: desks.Desk) -> str:
    """What the operator is told."""
    with pytest.raises(UnavailableError) as told, desk.authority.store.transaction(durable=True):
        raise AssertionError
    return str(told.value.hint)


def test_on_a_full_disk_nothing_is_issued_until_there_is_room(
    server: Served, cookie: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert pair(server, cookie).status == 200
    log, limits = Path(f"{database(server)}-wal"), resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 100, limits[1]))
        refused = pair(server, cookie)
        health = server.request("GET", "/health")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert unavailable(refused)
    assert health.status == 200
    assert "check the disk and the free space" in caplog.text
    assert issued(server) == 2
    assert (pair(server, cookie).status, issued(server)) == (200, 4)


def test_a_database_overwritten_with_noise_is_no_crash_and_no_certificate(server: Served, cookie: str) -> None:
    pair(server, cookie)
    for path in database(server).parent.glob("authority.db*"):
        with open(path, "r+b") as file:
            file.write(os.urandom(path.stat().st_size))
    assert unavailable(pair(server, cookie))
    assert server.request("GET", "/health").status == 200


def test_keys_that_are_gone_are_unavailable_until_they_are_back(server: Served, cookie: str) -> None:
    keys = server.world.home / "authority" / "keys"
    keys.rename(keys.with_name("away"))
    assert unavailable(pair(server, cookie))
    assert issued(server) == 0
    keys.with_name("away").rename(keys)
    assert (pair(server, cookie).status, issued(server)) == (200, 2)


@pytest.mark.parametrize(
    ("jump", "status", "reason"),
    [
        ({"seconds": -4}, 200, "certificates"),
        ({"days": -1}, 403, "this authority was already at"),
        ({"minutes": 6}, 403, "the nonce is too old"),
        ({"days": 2}, 401, "invalid session"),
        ({"days": 40_000}, 401, "invalid session"),
    ],
)
def test_a_clock_that_jumps_gives_nothing_for_longer_or_earlier(
    server: Served, cookie: str, jump: dict[str, float], status: int, reason: str
) -> None:
    nonce = server.nonce()
    server.world.tick(**jump)
    ready = Keys().body(hashlib.sha256(nonce.encode()).digest())
    body = {"proof": {"type": "session"}, "nonce": nonce, **ready}
    got = server.request("POST", "/cert", body, {"Cookie": f"notme_session={cookie}"})
    assert (got.status, reason in got.body.decode()) == (status, True), got.body
    assert issued(server) == (2 if status == 200 else 0)


def test_many_at_once_while_the_lock_is_held_are_all_answered(server: Served, cookie: str) -> None:
    server.within(lambda desk: desk.authority.store.wait_for_lock(50))
    said: list[bool] = []
    with locked(server):
        asking = [threading.Thread(target=lambda: said.append(unavailable(pair(server, cookie)))) for _ in range(8)]
        for each in asking:
            each.start()
        for each in asking:
            each.join()
    assert said == [True] * 8
    assert (pair(server, cookie).status, issued(server)) == (200, 2)
