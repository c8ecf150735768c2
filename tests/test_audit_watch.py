"""What no single object shows: keys, certificates and dates over a history."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from attest.audit import watch
from attest.audit.watch import (
    BEFORE_PARENT,
    BUSY,
    BUSY_CERTIFICATE,
    IN_FUTURE,
    SEVERAL_PEOPLE,
    SEVERAL_REPOSITORIES,
    Watch,
)
from attest.errors import Reason, Step
from attest.row import Row
from tests.auditrows import AT, NOW, acting, agent, failed, human, row, signer

HOUR = 3600
BOB = acting(agent(), human("Bob", "bob@example.org"))


def odd(*repositories: Iterable[Row]) -> list[tuple[str, str]]:
    """Codes with the last digits of the objects' ids."""
    watching, found = Watch(AT), []
    for rows in repositories:
        watching.begin()
        for each in rows:
            found += [(code, example.object_id[-3:]) for code, example in watching.look(watch.sighting(each))]
    return found


def line(*dates: int | None) -> list[Row]:
    """Commits one after the other, the newest first."""
    return [row(n, date=date, parents=(f"{n + 1:040x}",)) for n, date in enumerate(dates)]


CASES: dict[str, tuple[list[list[Row]], list[tuple[str, str]]]] = {
    "dates that grow": ([line(NOW, NOW - 9, NOW - 9)], []),
    "a commit two hours before its parent": ([line(NOW, NOW - 2 * HOUR - 1, NOW, NOW)], [(BEFORE_PARENT, "001")]),
    "a commit within an hour before its parent": ([line(NOW - HOUR, NOW)], []),
    "a commit without a date": ([line(NOW, None, NOW)], []),
    "of two children the one that is early": (
        [
            [
                row(1, date=NOW, parents=("3" * 40,)),
                row(2, date=NOW - 9 * HOUR, parents=("3" * 40,)),
                row(0, object_id="3" * 40),
            ]
        ],
        [(BEFORE_PARENT, "002")],
    ),
    "a date a week ahead": ([[row(5, date=NOW + 7 * 24 * HOUR)]], [(IN_FUTURE, "005")]),
    "a date an hour ahead": ([[row(5, date=NOW + HOUR)]], []),
    "one key for Alice and Bob": (
        [[row(1), row(2, who=BOB), row(3), row(4, who=BOB)]],
        [(SEVERAL_PEOPLE, "002")],
    ),
    "one key for Alice through two agents": ([[row(1), row(2, who=acting(agent("codex")))]], []),
    "two keys for two people": ([[row(1), row(2, signer=signer(BOB, key="SHA256:other"))]], []),
    "a key that only claims to be Bob's": (
        [[row(1), failed(row(2, who=BOB), Step.CHAIN, Reason.ANCHOR_UNKNOWN)]],
        [],
    ),
    "as many objects as one certificate may sign": ([[row(n) for n in range(BUSY)]], []),
    "more objects than that": ([[row(n) for n in range(BUSY + 50)]], [(BUSY_CERTIFICATE, f"{BUSY:03x}")]),
    "more objects under a certificate of years": (
        [[row(n, signer=signer(acting(), not_after=NOW + 10**8)) for n in range(BUSY + 50)]],
        [],
    ),
    "one certificate in two repositories": ([[row(1)], [row(2), row(3)]], [(SEVERAL_REPOSITORIES, "002")]),
    "one certificate of years in two repositories": (
        [[row(n, signer=signer(acting(), not_after=NOW + 10**8))] for n in range(2)],
        [],
    ),
    "a fork with the same commits": ([[row(1), row(2)], [row(1), row(2)]], []),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_odd_is_told_once(name: str) -> None:
    repositories, wanted = CASES[name]
    assert odd(*repositories) == wanted
    assert all(code in watch.SEVERITIES for code, _ in wanted)


def test_a_parent_in_another_repository_is_no_parent() -> None:
    [child, _] = line(NOW - 9 * HOUR, NOW)
    bare = signer(acting(), leaf="")
    assert odd([child], [row(1, date=NOW, signer=bare)]) == []


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "MAX_REMEMBERED", 3)
    many = [row(n, signer=signer(acting(), leaf=f"{n:064x}", key=str(n)), parents=(f"{n:040x}9",)) for n in range(20)]
    watching = Watch(AT)
    watching.begin()
    assert [found for each in many for found in watching.look(watch.sighting(each))] == []
    assert [len(m) for m in (watching._ends, watching._certificates, watching._people)] == [3, 3, 3]
