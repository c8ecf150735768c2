"""Which objects a server's statements of what arrived put a bound on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest import history, sightings, store
from attest.errors import MalformedError, Step, UnavailableError
from attest.foreign.roots import Roots
from attest.query import Query
from attest.receive import witness
from attest.receive.updates import Update
from attest.repository import Repository, open_repository
from attest.signing_key import SigningKey
from attest.trust import Trust
from attest.types import Evidence, StepStatus, Voucher
from tests.disk import unsynced
from tests.forge import NOW
from tests.pushes import Clone
from tests.test_receive_witness import KEY, STRANGER
from tests.world import World

MAIN, URI = "refs/heads/main", "https://git.example/witness"


@dataclass(frozen=True)
class Desk:
    """A row of unsigned commits `0` to `5`, where `side` branches off at 2; statements are stored as they are made."""

    repo: Repository
    clone: Clone
    row: Sequence[str]
    side: str

    def state(
        self, new: str | None, minutes: int, *, old: str | None = None, key: SigningKey = KEY, ref: str = MAIN
    ) -> None:
        at = NOW + timedelta(minutes=minutes)
        lines = witness.lines(self.repo, [Update(ref, old, new)], URI, None, None, key, at)
        store.append(self.repo, lines, at)

    def minutes(self, oid: str) -> int | None:
        """By when the object was there, in minutes after NOW."""
        found = sightings.find(self.repo, (KEY.public,)).of(oid)
        return None if found is None else (found.not_after - int(NOW.timestamp())) // 60


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with unsynced():
        world = World(tmp_path / "world")
    clone = Clone.make(tmp_path / "clone", world)
    row: list[str] = []
    for number in range(6):
        row.append(clone.commit({"a": str(number)}, *row[-1:], signed=False))
    side = clone.commit({"b": "side"}, row[2], signed=False)
    with open_repository(clone.path, clone.environ) as repo:
        yield Desk(repo, clone, row, side)


def test_a_statement_covers_the_tip_and_all_that_it_reaches(desk: Desk) -> None:
    desk.state(desk.row[3], 5)
    assert [desk.minutes(oid) for oid in desk.row] == [5, 5, 5, 5, None, None]
    assert desk.minutes(desk.side) is None


def test_the_earliest_statement_counts_for_each_object(desk: Desk) -> None:
    for oid, minutes in ((desk.row[5], 9), (desk.row[1], 3), (desk.side, 6), (desk.row[1], 4)):
        desk.state(oid, minutes)
    assert [desk.minutes(oid) for oid in desk.row] == [3, 3, 6, 9, 9, 9]
    assert desk.minutes(desk.side) == 6


def test_an_earlier_statement_about_a_child_is_the_parents_too(desk: Desk) -> None:
    """A clock that went back: what reaches a commit was there no earlier than the commit."""
    desk.state(desk.row[1], 9)
    desk.state(desk.row[4], 2)
    assert [desk.minutes(oid) for oid in desk.row] == [2, 2, 2, 2, 2, None]


def test_a_merge_covers_both_sides(desk: Desk) -> None:
    merge = desk.clone.commit({"c": "merge"}, desk.row[5], desk.side, signed=False)
    desk.state(merge, 7)
    assert {desk.minutes(oid) for oid in (*desk.row, desk.side, merge)} == {7}


def test_a_tag_covers_itself_and_its_commit(desk: Desk) -> None:
    desk.clone.git("-c", "user.name=T", "-c", "user.email=t@example.org", "tag", "-a", "-m", "x", "v1", desk.row[1])
    tag = desk.clone.git("rev-parse", "v1").out.strip()
    desk.state(tag, 4, ref="refs/tags/v1")
    assert [desk.minutes(oid) for oid in (tag, *desk.row[:3])] == [4, 4, 4, None]


def test_a_deletion_says_that_the_old_tip_was_there(desk: Desk) -> None:
    desk.state(None, 8, old=desk.row[2])
    assert [desk.minutes(oid) for oid in desk.row[:4]] == [8, 8, 8, None]


def test_what_others_signed_counts_for_nothing(desk: Desk) -> None:
    desk.state(desk.row[5], 1, key=STRANGER)
    assert len(sightings.find(desk.repo, (KEY.public,))) == 0
    assert len(sightings.find(desk.repo, (STRANGER.public,))) == 6


def test_what_is_not_here_is_passed_over(desk: Desk) -> None:
    desk.state(desk.row[5], 1)
    [[line]] = store.read_many(desk.repo, [desk.row[5]]).values()
    store.append(desk.repo, {desk.row[0]: [line, line[:-9] + b"}"], "1" * 40: [line]}, NOW)
    desk.state(desk.row[0], 3)
    assert [desk.minutes(oid) for oid in desk.row] == [1] * 6


def test_statements_are_read_again_when_there_are_new_ones_and_not_else(desk: Desk) -> None:
    desk.state(desk.row[1], 5)
    first = sightings.find(desk.repo, (KEY.public,))
    assert sightings.find(desk.repo, (KEY.public,)) is first
    desk.state(desk.row[2], 6)
    assert len(sightings.find(desk.repo, (KEY.public,))) == 3


def test_without_statements_nothing_was_seen(desk: Desk) -> None:
    assert len(sightings.find(desk.repo, (KEY.public,))) == 0


def test_more_statements_or_objects_than_are_read_are_an_error(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.state(desk.row[1], 5)
    desk.state(desk.row[3], 5)
    monkeypatch.setattr(sightings, "MAX_STATEMENTS", 1)
    with pytest.raises(UnavailableError, match="more than 1 witness statements"):
        sightings.find(desk.repo, (KEY.public,))
    monkeypatch.setattr(sightings, "MAX_STATEMENTS", 2)
    monkeypatch.setattr(sightings, "MAX_OBJECTS", 3)
    with pytest.raises(UnavailableError, match="more than 3 objects"):
        sightings.find(desk.repo, (KEY.public,))


@pytest.mark.parametrize(
    "text", ["", "2026-11-23", "2026-11-23T13:58:10+00:00", "2026-02-30T00:00:00Z", "\u0662026-11-23T13:58:10Z"]
)
def test_a_time_is_utc_in_one_form(text: str) -> None:
    assert sightings.read_time("2026-11-23T13:58:10Z") == int(NOW.timestamp())
    with pytest.raises(MalformedError):
        sightings.read_time(text)


def test_over_a_range_each_commit_gets_what_was_seen_of_it(tmp_path: Path) -> None:
    """As the examination of one does, in the fast lane and out of it."""
    with unsynced():
        world = World(tmp_path / "world")
        world.grant()
    clone = Clone.make(tmp_path / "clone", world)
    leaf, row = world.stolen(), list[str]()
    for number in range(4):
        row.append(clone.commit_by(leaf, {"a": str(number)}, *row[-1:], at=world.now + timedelta(seconds=number)))
    with open_repository(clone.path, clone.environ) as repo:
        trusted = _trusting(world.trust())
        desk = Desk(repo, clone, row, "")
        desk.state(row[1], 2)
        desk.state(row[2], 60)
        rows = list(history.rows(repo, row, Query(trusted, NOW + timedelta(days=1))))
    key = f"witness:{KEY.public.key_id}"
    seen = [[e for e in r.evidence if e.voucher is Voucher.RECEIVER] for r in rows]
    end = int(NOW.timestamp())
    begin = rows[0].evidence[1].not_before
    assert seen == [
        [Evidence(begin, end + 120, Voucher.RECEIVER, key)],
        [Evidence(begin, end + 120, Voucher.RECEIVER, key)],
        [Evidence(begin, end + 3600, Voucher.RECEIVER, key)],
        [],
    ]
    assert [r.remarks for r in rows] == [(), (), ("evidence-late",), ()]
    assert f"says authority; by 2026-11-23T14:00:10Z, says receiver ({key})" in rows[0].finding(Step.TIME).detail
    assert {r.finding(Step.TIME).status for r in rows} == {StepStatus.PROVEN}


def _trusting(trusted: Trust) -> Trust:
    return replace(trusted, foreign=Roots(witnesses=(KEY.public,)))
