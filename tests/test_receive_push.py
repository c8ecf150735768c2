"""Whole pushes judged in process, and what a pusher reads of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from attest.errors import ACCEPTED, REJECTED, UNCHECKED, Reason
from attest.receive import push, refusal
from attest.receive.policies import Policies
from attest.receive.push import SHOWN, Report
from attest.receive.settings import Settings
from attest.receive.updates import Before, Update
from attest.repository import Repository, open_repository
from attest.store import REF
from tests.disk import unsynced
from tests.pushes import Clone
from tests.world import World

AGENTS_ONLY = 'version = 1\n\n[[rules]]\nname = "agents"\nmatch = {classes = ["agent"], paths = ["src/*"]}\n'


@dataclass(frozen=True)
class Desk:
    """A repository that receives: main is at `main`."""

    clone: Clone
    repo: Repository
    main: str

    @property
    def world(self) -> World:
        return self.clone.world

    def judge(self, *wanted: Update, settings: Settings | None = None) -> list[Report]:
        asked = settings or Settings()
        rules = Policies(self.repo, self.world.trust(), self.main, asked.policy)
        return push.judge_push(self.repo, wanted, asked, rules.of, Before(self.repo, asked), self.world.now)

    def read(self, *wanted: Update, settings: Settings | None = None) -> tuple[int, str]:
        """The exit status, and what the pusher reads."""
        reports = self.judge(*wanted, settings=settings)
        return push.status_of(reports), "\n".join([*refusal.lines(reports), *refusal.remarks(reports)])

    def new(self, oid: str, ref: str = "refs/heads/x") -> Update:
        return Update(ref, None, oid)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    with unsynced():
        world = World(folder / "world")
    world.grant()
    world.grant("constrained", branches=("feature/*",), repositories=("https://git.example/app",))
    clone = Clone.make(folder / "clone", world)
    main = clone.commit({"src/a": "1"})
    clone.git("update-ref", "refs/heads/main", main)
    with open_repository(clone.path, clone.environ) as repo:
        yield Desk(clone, repo, main)


def test_a_push_of_nothing_goes_on(desk: Desk) -> None:
    assert desk.read() == (ACCEPTED, "")


def test_a_good_push_says_nothing(desk: Desk) -> None:
    oid = desk.clone.commit({"src/a": "2"}, desk.main)
    assert desk.read(desk.new(oid), Update("refs/heads/main", desk.main, oid)) == (ACCEPTED, "")


def test_one_bad_commit_is_named_with_its_step_and_remedy_and_the_good_ones_are_not(desk: Desk) -> None:
    good = desk.clone.commit({"src/a": "2"}, desk.main)
    bad = desk.clone.commit({"src/a": "3"}, good, message="forgot to sign", signed=False)
    status, read = desk.read(desk.new(bad), Update("refs/heads/main", desk.main, good))
    assert status == REJECTED
    assert f'  commit {bad[:12]} "forgot to sign" by claude-code <' in read
    assert "step 2 signature, signature-missing" in read
    assert "git rebase --no-ff -S --root" in read
    assert "refs/heads/x: of 2 new, 1 rejected, by policy builtin:default" in read
    assert good[:12] not in read
    assert "the other refs may be pushed without these" in read
    _, read = desk.read(Update("refs/heads/main", desk.main, bad))
    assert f"git rebase --no-ff -S {desk.main[:12]}" in read


def test_what_a_commit_says_cannot_write_to_the_pushers_terminal(desk: Desk) -> None:
    bad = desk.clone.commit({"src/a": "2"}, desk.main, message="\x1b[2J\u202e" + "long " * 100, signed=False)
    _, read = desk.read(desk.new(bad, "refs/heads/\u202egnp"))
    assert "\x1b" not in read
    assert "\u202e" not in read
    assert max(map(len, read.splitlines())) < 600


def test_of_many_refs_and_commits_so_many_are_shown_and_the_rest_is_counted(desk: Desk) -> None:
    tip = desk.main
    for number in range(SHOWN + 5):
        tip = desk.clone.commit({"src/a": "2"}, tip, message=str(number), signed=False)
    wanted = [desk.new(tip, f"refs/heads/{number}") for number in range(SHOWN + 2)]
    _, read = desk.read(*wanted)
    assert read.count("step 2 signature") == SHOWN
    assert "  and 5 more (25 signature-missing)" in read
    assert "and 2 more refs" in read
    assert "the other refs" not in read


def test_what_cannot_be_read_is_refused_as_such(desk: Desk) -> None:
    status, read = desk.read(desk.new("e" * 40))
    assert status == UNCHECKED
    assert "it could not be checked" in read
    assert "e" * 40 in read


def test_rejected_beats_could_not_check(desk: Desk) -> None:
    bad = desk.clone.commit({"src/a": "2"}, desk.main, signed=False)
    assert desk.read(desk.new("e" * 40), desk.new(bad))[0] == REJECTED


def test_a_certificate_is_held_against_ref_and_repository(desk: Desk) -> None:
    oid = desk.clone.commit({"src/a": "2"}, desk.main, agent="constrained")
    here = Settings(repository="https://git.example/app")
    assert desk.read(desk.new(oid, "refs/heads/feature/1"), settings=here) == (ACCEPTED, "")
    status, read = desk.read(desk.new(oid, "refs/heads/release"), settings=here)
    assert (status, "constraint-mismatch" in read) == (REJECTED, True)
    status, read = desk.read(desk.new(oid, "refs/heads/feature/1"))
    assert (status, "notme.repository" in read) == (UNCHECKED, True)


def test_time_that_is_unproven_is_a_remark_and_on_a_protected_ref_a_reason(desk: Desk) -> None:
    with unsynced():
        leaf = desk.world.stolen()
    oid = desk.clone.commit_by(leaf, {"src/a": "2"}, desk.main, timestamped=False)
    status, read = desk.read(desk.new(oid))
    assert (status, "1 accepted, but when they were signed is unproven" in read) == (ACCEPTED, True)
    status, read = desk.read(desk.new(oid), settings=Settings(protect=("refs/heads/*",)))
    assert status == REJECTED
    assert Reason.TIME_REQUIRED in read
    assert "by policy builtin:default, protected" in read


def test_protected_refs_neither_rewind_nor_go_and_statements_only_grow(desk: Desk) -> None:
    oid = desk.clone.commit({"src/a": "2"}, desk.main)
    protected = Settings(protect=("refs/heads/main", "refs/tags/**"), ignore=("refs/**",))
    for ref in ("refs/heads/main", REF, "refs/tags/v1"):
        for update in (Update(ref, oid, desk.main), Update(ref, oid, None)):
            status, read = desk.read(update, settings=protected)
            assert (status, "and cannot be" in read) == (REJECTED, True), update
    for update in (Update("refs/heads/x", oid, desk.main), Update("refs/heads/x", oid, None)):
        assert desk.read(update, settings=protected)[0] == ACCEPTED


def test_what_is_ignored_and_statements_are_not_judged(desk: Desk) -> None:
    bad = desk.clone.commit({"src/a": "2"}, desk.main, signed=False)
    assert desk.read(desk.new(bad, REF)) == (ACCEPTED, "")
    assert desk.read(desk.new(bad, "refs/notes/ai"), settings=Settings(ignore=("refs/notes/*",))) == (ACCEPTED, "")


def test_rules_are_those_of_the_old_tip_else_of_the_default_branch(desk: Desk) -> None:
    ruled = desk.clone.commit({"src/a": "1", ".notme/policy.toml": AGENTS_ONLY}, desk.main)
    lax = desk.clone.commit({"src/a": "1", ".notme/policy.toml": 'version = 1\n\n[[rules]]\nname = "all"\n'}, desk.main)
    desk.clone.git("update-ref", "refs/heads/main", ruled)
    at = Desk(desk.clone, desk.repo, ruled)
    try:
        (report,) = at.judge(Update("refs/heads/x", lax, desk.clone.commit({"src/a": "1", "b": "2"}, lax)))
        assert (report.status, lax[:12] in report.policy) == (ACCEPTED, True)
        outside = desk.clone.commit({"src/a": "1", "b": "2"}, desk.main)
        for old in (None, desk.main):
            (report,) = at.judge(Update("refs/heads/x", old, outside))
            assert (report.status, dict(report.reasons)) == (REJECTED, {"no-rule": 1})
    finally:
        desk.clone.git("update-ref", "refs/heads/main", desk.main)


def test_rules_that_nobody_can_read_accept_nothing(desk: Desk) -> None:
    broken = desk.clone.commit({"src/a": "1", ".notme/policy.toml": "version = 9\n"}, desk.main)
    oid = desk.clone.commit({"src/a": "2", ".notme/policy.toml": "version = 9\n"}, broken)
    status, read = desk.read(Update("refs/heads/x", broken, oid))
    assert (status, "cannot be read" in read) == (UNCHECKED, True)


@pytest.mark.parametrize("reason", list(Reason))
def test_for_every_reason_a_pusher_reads_what_to_do(reason: Reason) -> None:
    text = refusal.remedy_of(reason, "a" * 40, "b" * 40)
    assert len(text) > 10
    assert "{" not in text


def test_an_unknown_reason_has_no_remedy() -> None:
    assert refusal.remedy_of("no such word", None, "b" * 40) == ""


def test_what_an_accepted_commit_claims_against_its_signature_is_a_remark(desk: Desk) -> None:
    oid = desk.clone.commit({"src/a": "2"}, desk.main, message=f"work\n\nSigned-off-by: {desk.world.who()}")
    status, read = desk.read(desk.new(oid))
    assert (status, "claims and signatures do not agree: 1 agent-signed-off" in read) == (ACCEPTED, True)
