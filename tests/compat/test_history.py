"""Histories as rows: in order, whatever processes make them, and nothing lost where a walk breaks off."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from attest import history
from attest.errors import Reason, Step, UnavailableError
from attest.history import BATCH, FEW
from attest.policy import Policy
from attest.query import Query
from attest.repository import Repository, open_repository
from attest.trust import Trust
from attest.types import Outcome
from bench import repositories

COUNT = FEW + BATCH


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    made = repositories.make(tmp_path_factory.mktemp("history") / "ssh", "ssh", COUNT)
    environ = {"PATH": os.environ["PATH"], "HOME": str(made.folder.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    with open_repository(made.folder, environ) as opened:
        yield opened


@pytest.fixture(scope="module")
def ids(repo: Repository) -> list[str]:
    return list(repo.walk(["--all"]))


def query(policy: Policy | None = None) -> Query:
    return Query(Trust(anchors=()), datetime.now(UTC), policy)


@pytest.mark.parametrize("jobs", [1, 3])
def test_rows_come_in_the_order_of_the_ids(repo: Repository, ids: list[str], jobs: int) -> None:
    assert len(ids) == COUNT
    found = list(history.rows(repo, iter(ids), query(), jobs=jobs))
    assert [row.object_id for row in found] == ids
    assert {row.integrity for row in found} == {True}
    assert {row.outcome for row in found} == {None}


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_came_before_a_walk_broke_off_is_there_before_the_error(
    repo: Repository, ids: list[str], jobs: int
) -> None:
    def broken() -> Iterator[str]:
        yield from ids[:-7]
        raise UnavailableError("a hole")

    found = history.rows(repo, broken(), query(), jobs=jobs)
    seen = [next(found).object_id for _ in range(COUNT - 7)]
    assert seen == ids[:-7]
    with pytest.raises(UnavailableError, match="a hole"):
        next(found)


def test_what_is_not_there_and_what_carries_no_signature_are_rows_too(repo: Repository, ids: list[str]) -> None:
    tree = repo.resolve("HEAD^{tree}")
    absent, other, good = history.rows(repo, ["1" * 40, tree, ids[0]], query(Policy()))
    assert [row.finding(Step.OBJECT).reason for row in (absent, other)] == [Reason.OBJECT_UNREADABLE] * 2
    assert [row.outcome for row in (absent, other)] == [Outcome.COULD_NOT_CHECK] * 2
    assert good.outcome is Outcome.REJECTED
    assert good.decisive is not None
    assert good.decisive.reason == Reason.SIGNATURE_FOREIGN


def test_there_is_at_least_one_core() -> None:
    assert history.cores() >= 1
