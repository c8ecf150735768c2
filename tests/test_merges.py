"""What a merge leaves out of its other parents, and that whoever leaves it out has to be allowed to change it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from attest import forges, history, merges
from attest.errors import REJECTED, UnavailableError
from attest.query import Query
from attest.receive import push
from attest.receive.policies import Policies
from attest.receive.settings import Settings
from attest.receive.updates import Before, Update
from attest.repository import Repository, open_repository
from tests.disk import unsynced
from tests.pushes import Clone
from tests.world import World

DOCS_ONLY = 'version = 1\n\n[[rules]]\nname = "docs"\nmatch = {classes = ["agent"], paths = ["docs/*"]}\n'
MAIN = "refs/heads/main"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("merges")
    with unsynced():
        world = World(folder / "world")
    world.grant()
    return Clone.make(folder / "clone", world)


@pytest.fixture
def repo(clone: Clone) -> Iterator[Repository]:
    with open_repository(clone.path, clone.environ) as opened:
        yield opened


@dataclass(frozen=True)
class Merged:
    """Files of the common past (None: there is none), of either parent, of the merge; and the paths it leaves out."""

    first: dict[str, str]
    second: dict[str, str]
    merge: dict[str, str]
    left_out: tuple[str, ...] = ()
    past: dict[str, str] | None = field(default_factory=lambda: {"a": "0", "b": "0"})


CASES = {
    "both changes are taken": Merged({"a": "1", "b": "0"}, {"a": "0", "b": "2"}, {"a": "1", "b": "2"}),
    "a change is put back": Merged({"a": "1", "b": "0"}, {"a": "0", "b": "2"}, {"a": "1", "b": "0"}, ("b",)),
    "a new file is dropped": Merged({"a": "1", "b": "0"}, {"a": "0", "b": "0", "c": "2"}, {"a": "1", "b": "0"}, ("c",)),
    "a removed file is back": Merged({"a": "1", "b": "0"}, {"a": "0"}, {"a": "1", "b": "0"}, ("b",)),
    "one side of a conflict": Merged({"a": "1", "b": "0"}, {"a": "2", "b": "0"}, {"a": "1", "b": "0"}, ("a",)),
    "the same change twice": Merged({"a": "1", "b": "0"}, {"a": "1", "b": "0"}, {"a": "1", "b": "0"}),
    "a strange history is taken": Merged({"a": "1"}, {"b": "2"}, {"a": "1", "b": "2"}, past=None),
    "a strange history is left out": Merged({"a": "1"}, {"b": "2"}, {"a": "1"}, ("b",), past=None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_merge_leaves_out(case: Merged, clone: Clone, repo: Repository) -> None:
    past = [clone.commit(case.past, signed=False)] if case.past is not None else []
    first = clone.commit(case.first, *past, message="first", signed=False)
    second = clone.commit(case.second, *past, message="second", signed=False)
    merge = clone.commit(case.merge, first, second, signed=False)
    found = merges.left_out(repo, [first, merge, second])
    assert found == ({merge: case.left_out} if case.left_out else {})


def test_every_parent_of_an_octopus_is_asked(clone: Clone, repo: Repository) -> None:
    past = clone.commit({"a": "0", "b": "0", "c": "0"}, signed=False)
    first, second, third = (
        clone.commit({"a": "0", "b": "0", "c": "0", name: "1"}, past, signed=False) for name in "abc"
    )
    merge = clone.commit({"a": "1", "b": "1", "c": "0"}, first, second, third, signed=False)
    assert merges.answered_for(repo, [merge]) == {merge: ("b", "c")}


def test_lines_that_merged_each_other_are_asked_where_they_parted_each_time(clone: Clone, repo: Repository) -> None:
    past = clone.commit({"a": "0", "b": "0"}, signed=False)
    one = clone.commit({"a": "1", "b": "0"}, past, signed=False)
    two = clone.commit({"a": "0", "b": "1"}, past, signed=False)
    left = clone.commit({"a": "1", "b": "1"}, one, two, message="left", signed=False)
    right = clone.commit({"a": "1", "b": "1"}, two, one, message="right", signed=False)
    fixed = clone.commit({"a": "1", "b": "2"}, right, signed=False)
    merge = clone.commit({"a": "1", "b": "1"}, left, fixed, signed=False)
    assert merges.answered_for(repo, [merge]) == {merge: ("b",)}


def test_too_many_places_where_lines_parted_cannot_be_checked(
    clone: Clone, repo: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = clone.commit({"a": "0"}, signed=False)
    first, second = (clone.commit({"a": name}, past, signed=False) for name in "12")
    merge = clone.commit({"a": "1"}, first, second, signed=False)
    monkeypatch.setattr(merges, "MAX_BASES", 0)
    with pytest.raises(UnavailableError, match="parted in more than 0 places"):
        merges.left_out(repo, [merge])
    monkeypatch.setattr(merges, "MAX_SIDES", 0)
    with pytest.raises(UnavailableError, match="more than 0 parents"):
        merges.left_out(repo, [merge])


def test_what_an_agent_may_not_change_it_cannot_put_back_by_a_merge_from_its_own_side(
    clone: Clone, repo: Repository, tmp_path: Path
) -> None:
    (tmp_path / "policy.toml").write_text(DOCS_ONLY)
    asked = Settings(policy=tmp_path / "policy.toml", protect=(MAIN,))
    old = clone.commit({"src/a": "flawed"})
    fixed = clone.commit({"src/a": "mended"}, old)
    clone.git("update-ref", MAIN, fixed)
    side = clone.commit({"src/a": "flawed", "docs/x": "x"}, old)
    ours = clone.commit({"src/a": "flawed", "docs/x": "x"}, side, fixed)
    rules = Policies(repo, clone.world.trust(), fixed, asked.policy)
    update = Update(MAIN, fixed, ours)
    [report] = push.judge_push(repo, [update], asked, rules.of, Before(repo, asked), clone.world.now)
    assert (report.status, [row.object_id for row in report.against]) == (REJECTED, [ours])


def test_no_merge_driver_of_the_judged_repository_is_started(clone: Clone, repo: Repository, tmp_path: Path) -> None:
    program, trace = tmp_path / "driver", tmp_path / "started"
    program.write_text(f"#!/bin/sh\necho >{trace}\n")
    program.chmod(0o755)
    asked = {".gitattributes": "a merge=theirs"}
    past = clone.commit({**asked, "a": "0"}, signed=False)
    first, second = (clone.commit({**asked, "a": name}, past, signed=False) for name in "12")
    merge = clone.commit({**asked, "a": "1", "b": "1"}, first, second, signed=False)
    rows = list(history.rows(repo, [merge], Query(clone.world.trust(), clone.world.now)))
    assert forges.automatic(repo, rows) == {merge: False}
    clone.git("config", "merge.theirs.driver", str(program))
    (clone.path / ".gitattributes").write_text("a merge=theirs")
    clone.git("merge-tree", "--write-tree", first, second, status=None)
    assert trace.exists()
    trace.unlink()
    assert forges.automatic(repo, rows) == {}
    assert not trace.exists()
    (clone.path / ".gitattributes").unlink()
    clone.git("config", "--unset", "merge.theirs.driver")
