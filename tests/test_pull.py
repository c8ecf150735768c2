"""Pull requests: whose policy counts, what a forge made, and the commits behind a squash."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from attest import forges
from attest.errors import ACCEPTED, REJECTED, UNCHECKED, Step, UnavailableError
from attest.forges import Made
from attest.pull import Change
from attest.repository import open_repository
from attest.row import Signer, SignerKind
from attest.rules import pins
from attest.types import Outcome, StepStatus
from tests.forge import NOW
from tests.offered import BASE, GITHUB, Offered, offered

WEB_FLOW = "968479A1AFF927E37D1A566BB5690EEEBB952194"  # https://github.com/web-flow.gpg
STRICT = """version = 1
name = "strict"

[[rules]]
name = "no-docs"
effect = "deny"
match = { touches = ["docs/**"] }

[[rules]]
name = "agents"
match = { classes = ["agent"] }
"""
LENIENT = """version = 1
name = "lenient"

[[rules]]
name = "agents"
match = { classes = ["agent"] }
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Offered:
    return offered(tmp_path_factory.mktemp("pull"), NOW)


def by_id(found: Offered) -> dict[str, Change]:
    return {change.row.object_id: change for change in found.check().changes}


def test_each_commit_is_judged_oldest_first_and_the_base_is_not(made: Offered) -> None:
    check = made.check()
    ids = [change.row.object_id for change in check.changes]
    assert made.base not in ids
    assert ids[-1] == made.head
    assert ids.index(made.agent) < ids.index(made.unsigned) < ids.index(made.squash)
    assert check.counts[Outcome.REJECTED] == 3
    assert check.status() == REJECTED


def test_a_squash_by_the_forge_is_shown_with_the_verdict_of_what_it_was_made_from(made: Offered) -> None:
    change = by_id(made)[made.squash]
    assert (change.made, change.row.outcome) == (Made.FORGE_SQUASH, Outcome.REJECTED)
    assert change.twin is not None
    assert (change.twin.object_id, len(change.twin.rows)) == (made.feature, 2)
    assert change.twin.outcome is Outcome.ACCEPTED
    assert change.origin() == (
        f"forge-squash of GitHub (not proven), same tree as {made.feature[:12]} (2 commits, accepted)"
    )


def test_a_merge_by_the_forge_that_adds_nothing_is_told_from_one_that_does(made: Offered) -> None:
    clone, change = made.clone, by_id(made)[made.merge]
    assert (change.made, change.automatic) == (Made.FORGE_MERGE, True)
    parents = change.row.parents
    evil = clone.commit({**BASE, "docs/g": "6\n", "backdoor": "x\n"}, *parents, who=GITHUB, signed=False)
    found = {each.row.object_id: each for each in made.check(head=evil).changes}[evil]
    assert (found.made, found.automatic) == (Made.FORGE_MERGE, False)
    assert "not what git alone makes of it" in found.origin()


def test_a_merge_with_conflicts_was_solved_by_hand(made: Offered) -> None:
    clone = made.clone
    one = clone.commit({"README": "one\n"}, made.base)
    two = clone.commit({"README": "two\n"}, made.base)
    merge = clone.commit({"README": "three\n"}, one, two)
    found = {each.row.object_id: each for each in made.check(head=merge).changes}[merge]
    assert (found.made, found.automatic, found.forge) == (Made.MERGE, False, None)


@pytest.mark.parametrize(
    ("key", "status", "proven"),
    [
        (WEB_FLOW, StepStatus.PROVEN, True),
        (WEB_FLOW.lower(), StepStatus.PROVEN, True),
        (WEB_FLOW, StepStatus.FAILED, False),
        ("0" * 40, StepStatus.PROVEN, False),
    ],
    ids=["its key", "in lower case", "a keyring that does not vouch", "another key"],
)
def test_a_forge_is_proven_by_its_key_and_a_keyring_that_vouches_for_it(
    made: Offered, key: str, status: StepStatus, proven: bool
) -> None:
    row = by_id(made)[made.squash].row
    chain = replace(row.finding(Step.CHAIN), status=status)
    findings = (*row.findings[:3], chain, *row.findings[4:])
    signed = replace(row, signer=Signer(SignerKind.OPENPGP, key, "rsa"), findings=findings)
    forge = forges.forge_of(signed)
    assert forge is not None
    assert forges.is_proven(signed, forge) is proven


def test_a_ref_to_nothing_ends_no_check(made: Offered) -> None:
    broken = made.clone.path / ".git" / "refs" / "pull" / "3"
    broken.mkdir(parents=True)
    (broken / "head").write_text(f"{'1' * 40}\n")
    try:
        assert made.check().counts[Outcome.REJECTED] == 3
    finally:
        shutil.rmtree(broken)


def test_to_merge_again_writes_nothing_into_the_repository(made: Offered) -> None:
    def objects() -> set[Path]:
        return set((made.clone.path / ".git" / "objects").rglob("*"))

    before = objects()
    made.check()
    assert objects() == before


def test_a_commit_moved_by_the_forge_with_its_words_is_a_rebase(made: Offered) -> None:
    clone = made.clone
    work = {**BASE, "src/h": "7\n"}
    original = clone.commit(work, made.base, message="Add h")
    clone.git("update-ref", "refs/pull/2/head", original)
    moved = clone.commit(work, made.base, who=GITHUB, author=clone.world.who(), message="Add h", signed=False)
    [change] = made.check(head=moved).changes
    assert change.made is Made.FORGE_REBASE
    assert change.twin is not None
    assert change.twin.object_id == original


def test_what_the_forge_made_of_nothing_known_is_its_own_class(made: Offered) -> None:
    edit = made.clone.commit({**BASE, "README": "web\n"}, made.base, who=GITHUB, message="Update README", signed=False)
    [change] = made.check(head=edit).changes
    assert (change.made, change.twin) == (Made.FORGE_COMMIT, None)


@pytest.mark.parametrize(
    "who", ["GitHub <noreply@example.com", "GitHub <me@github.com>", "Git Hub <noreply@github.com>"]
)
def test_who_only_resembles_a_forge_is_none(made: Offered, who: str) -> None:
    if not who.endswith(">"):
        who += ".attacker>"
        who = who.replace("GitHub", "GitHub Inc")
    commit = made.clone.commit({**BASE, "x": who}, made.base, who=who, message="x", signed=False)
    [change] = made.check(head=commit).changes
    assert (change.made, change.forge) == (Made.COMMIT, None)


def under(made: Offered, text: str) -> tuple[str, dict[str, str]]:
    """A base with this policy in its tree, and its files."""
    files = {**BASE, ".notme/policy.toml": text}
    return made.clone.commit(files, made.base, message="Add the policy"), files


def test_the_policy_at_the_base_decides_and_names_its_rule(made: Offered) -> None:
    base, files = under(made, STRICT)
    good = made.clone.commit({**files, "src/x": "x"}, base)
    bad = made.clone.commit({**files, "src/x": "x", "docs/x": "x"}, good)
    first, second = made.check(base=base, head=bad).changes
    assert (first.row.outcome, first.row.rule) == (Outcome.ACCEPTED, "agents")
    assert (second.row.outcome, second.row.rule) == (Outcome.REJECTED, "no-docs")


def test_a_policy_that_the_head_brings_along_has_no_say(made: Offered) -> None:
    base, files = under(made, STRICT)
    files = {**files, ".notme/policy.toml": LENIENT}
    lenient = made.clone.commit(files, base, message="Be lenient")
    head = made.clone.commit({**files, "docs/x": "x"}, lenient)
    check = made.check(base=base, head=head)
    assert check.policy == f"strict (.notme/policy.toml at {base[:12]})"
    assert [change.row.outcome for change in check.changes] == [Outcome.ACCEPTED, Outcome.REJECTED]


def test_a_base_that_does_not_descend_from_the_pinned_start_is_refused(made: Offered) -> None:
    start, files = under(made, STRICT)
    head = made.clone.commit({**files, "src/x": "x"}, start)
    home = made.clone.world.home
    with open_repository(made.clone.path, made.clone.environ) as repo:
        pin = pins.Pin(pins.place_of(repo), start)
        pins.write(home, pin)
        try:
            assert made.check(base=start, head=head).status() == ACCEPTED
            with pytest.raises(UnavailableError, match="not among the first parents"):
                made.check(base=made.base, head=head)
        finally:
            pins.remove(home, pin.place)


def test_a_policy_in_the_base_that_nobody_can_read_accepts_nothing(made: Offered) -> None:
    clone = made.clone
    base = clone.commit({**BASE, ".notme/policy.toml": "no policy\n"}, made.base, message="Break it")
    head = clone.commit({**BASE, ".notme/policy.toml": "no policy\n", "y": "y"}, base, message="Work")
    check = made.check(base=base, head=head)
    assert check.status() == UNCHECKED
    assert check.status("rejected") == ACCEPTED


def test_doubts_about_claims_fail_where_it_was_asked_for(made: Offered) -> None:
    clone = made.clone
    said = clone.commit({**BASE, "z": "z"}, made.base, message=f"z\n\nSigned-off-by: {clone.world.who()}")
    check = made.check(head=said)
    assert [note.code for note in check.notes()] == ["agent-signed-off"]
    assert (check.status(), check.status("warning")) == (ACCEPTED, REJECTED)


def test_nothing_beyond_the_base_is_not_checked(made: Offered) -> None:
    with pytest.raises(UnavailableError, match="no commit beyond"):
        made.check(head=made.base)
