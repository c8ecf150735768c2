"""What the server alone keeps: good once at any concurrency, forgotten in time, and no secret in clear."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from attest.errors import RefusedError
from notme_git.authority.records import Records, digest
from notme_git.authority.settings import Rate
from notme_git.authority.store import Store
from tests.disk import unsynced

AT = 1_800_000_000
SECRET = "a-code-that-nobody-else-has"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "authority.db"


@pytest.fixture(autouse=True)
def records(path: Path) -> Iterator[Records]:
    with unsynced(), Store.create(path) as store:
        yield Records(store)


def test_a_value_is_taken_once(records: Records) -> None:
    assert not records.taken("nonce", "a")
    records.take("nonce", "a", AT)
    assert records.taken("nonce", "a")
    with pytest.raises(RefusedError, match="nonce already used"):
        records.take("nonce", "a", AT)


def test_a_value_of_one_kind_is_another_of_the_next(records: Records) -> None:
    records.take("nonce", "a", AT)
    records.take("jti", "a", AT)
    records.take("non", "ce\0a", AT)
    assert len({digest("a", "b"), digest("ab", ""), digest("", "ab"), digest("b", "a")}) == 4


def test_what_a_failed_transaction_took_is_not_taken(records: Records) -> None:
    def both() -> None:
        with records.store.transaction(durable=True):
            records.take("nonce", "a", AT)
            records.take("nonce", "used", AT)

    records.take("nonce", "used", AT)
    with pytest.raises(RefusedError, match="already used"):
        both()
    records.take("nonce", "a", AT)


def test_what_was_begun_is_finished_once_in_time_and_by_who_has_the_secret(records: Records) -> None:
    for kind in ("bootstrap", "login"):
        records.keep(kind, SECRET, kind, AT + 10)
    for kind, secret in (("bootstrap", "other"), ("register", SECRET)):
        with pytest.raises(RefusedError, match="no such"):
            records.claim(kind, secret, AT)
    assert records.claim("bootstrap", SECRET, AT) == "bootstrap"
    with pytest.raises(RefusedError, match="no such bootstrap"):
        records.claim("bootstrap", SECRET, AT)
    with pytest.raises(RefusedError, match="too old"):
        records.claim("login", SECRET, AT + 10)


def test_no_secret_is_in_the_files(records: Records, path: Path) -> None:
    records.keep("bootstrap", SECRET, "{}", AT)
    records.take("nonce", SECRET, AT)
    files = list(path.parent.iterdir())
    assert len(files) > 1
    assert not any(SECRET.encode() in each.read_bytes() for each in files)


def test_a_rate_is_counted_in_windows_that_a_clock_set_back_begins_anew(records: Records) -> None:
    rate = Rate(2, 60)
    assert [records.count("a", rate, AT + second) for second in (0, 30, 59)] == [True, True, False]
    assert records.count("b", rate, AT + 59)
    assert [records.count("a", rate, AT + second) for second in (60, 61, 119)] == [True, True, False]
    assert records.count("a", rate, AT - 1000)


def test_no_limit_counts_nothing(records: Records) -> None:
    assert all(records.count("a", Rate(0, 0), AT) for _ in range(3))
    assert not records.store.fetch("SELECT * FROM windows", {})


def test_what_is_over_is_forgotten_and_the_rest_is_not(records: Records) -> None:
    records.take("nonce", "old", AT)
    records.take("nonce", "new", AT + 1)
    records.keep("login", "old", "", AT)
    records.keep("login", "new", "", AT + 1)
    records.count("old", Rate(1, 60), AT - 86_401)
    records.count("new", Rate(1, 60), AT - 1)
    records.purge(AT)
    assert (records.taken("nonce", "old"), records.taken("nonce", "new")) == (False, True)
    assert records.claim("login", "new", AT) == ""
    assert not records.count("new", Rate(1, 60), AT)
    assert [row["name"] for row in records.store.fetch("SELECT name FROM windows", {})] == ["new"]


def test_opening_twice_changes_nothing(records: Records, path: Path) -> None:
    records.take("nonce", "a", AT)
    with unsynced(), Store.open(path) as store:
        assert Records(store).taken("nonce", "a")


def test_of_many_that_take_the_same_at_once_one_has_it(records: Records, path: Path) -> None:
    """Connections of their own, as workers have them; each value is offered to all."""

    def take(_: int) -> int:
        with Store.open(path) as store:
            own, had = Records(store), 0
            for value in range(10):
                try:
                    with store.transaction(durable=False):
                        own.take("nonce", str(value), AT)
                        had += 1
                except RefusedError:
                    continue
            return had

    with unsynced(), ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(6))) == 10
    assert len(records.store.fetch("SELECT * FROM once", {})) == 10


def test_of_many_that_count_at_once_as_many_are_within_as_the_rate_says(path: Path) -> None:
    def count(_: int) -> int:
        with Store.open(path) as store:
            own = Records(store)
            return sum(own.count("a", Rate(7, 60), AT) for _ in range(5))

    with unsynced(), ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(count, range(6))) == 7


def test_a_process_killed_after_taking_and_before_its_end_has_taken_nothing(records: Records, path: Path) -> None:
    if not (child := os.fork()):
        with Store.open(path) as store:
            own = Records(store)
            with store.transaction(durable=True):
                own.take("nonce", "a", AT)
                os.kill(os.getpid(), 9)
    assert os.waitpid(child, 0)[1] == 9
    records.take("nonce", "a", AT)
