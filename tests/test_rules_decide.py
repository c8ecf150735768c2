"""Each condition and each demand of a rule, over objects of a real authority."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from attest import trust, verify
from attest.errors import Reason, Step
from attest.gitobject import ObjectKind
from attest.policy import Context, no_paths
from attest.rules.ancestry import Ancestry
from attest.rules.ruleset import Ruleset
from attest.types import Contradiction, Outcome, Severity, Verdict
from attest.verify import Examination
from tests.forge import attach
from tests.world import World

OID = "0123456789abcdef0123456789abcdef01234567"
MAIN = Context("refs/heads/main", "https://git.example/app")
LONG = "d/" * 2500 + "file"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("rules"))
    made.grant()
    made.grant("bound", branches=("agents/*",))
    return made


@pytest.fixture(scope="module")
def objects(world: World) -> dict[str, Examination]:
    """Examinations by name, made once: nothing changes them."""
    trailers = world.commit(message=b"subject\n\nbody\n\nSigned-off-by: Bob <bob@example.org>\n")
    squashed = world.commit(message=b"subject\n\nCo-authored-by: Bob <bob@example.org>\n\nand words\n")
    by_bob = world.commit(author="Bob <Bob@Example.org>", authored=world.now - timedelta(days=1))
    bound = world.commit(committer=world.who("bound"))
    plain = world.commit()
    tag = world.tag()
    found = {
        "agent": world.examine(world.signed_commit()),
        "trailers": world.examine(world.signed_commit(trailers)),
        "squashed": world.examine(world.signed_commit(squashed)),
        "by bob": world.examine(attach(by_bob, world.sign(by_bob, replaying=True))),
        "bound": world.examine(world.signed_commit(bound, agent="bound")),
        "unsigned": world.examine(plain),
        "tag": world.examine(tag + world.sign(tag), kind=ObjectKind.TAG),
    }
    said = [Contradiction("claims-human", Severity.WARNING, "said so")]
    found["contradicted"] = replace(found["agent"], contradictions=tuple(said))
    found["unread signature"] = world.examine(attach(plain, b"-----BEGIN X-----\nAA==\n-----END X-----\n"))
    return found


def people(world: World) -> str:
    return f"""
[[principals]]
name = "claude"
class = "agent"
certificates = ["wimse://{world.id}.invalid/agent/claude-*"]
[[principals]]
name = "alice"
class = "human"
certificates = ["{world.human.id}"]
[[principals]]
name = "bob"
class = "human"
emails = ["bob@example.org"]
[groups]
team = ["claude", "bob"]
owners = ["alice"]
empty = []
"""


@dataclass(frozen=True)
class Asked:
    """One rule about one object, and what is to come of it: the rule's acceptance, or a reason."""

    about: str
    rule: str
    gives: Reason | None
    said: str = ""
    paths: tuple[str, ...] | None = ("src/a.py", "docs/b.md")
    context: Context = MAIN


def condition(text: str) -> str:
    return f"match = {{ {text} }}"


def demand(text: str) -> str:
    return f"require = {{ {text} }}"


LEGACY = f"classes = ['unsigned-legacy'], ancestors_of = ['{OID}']"
NO, NOT_MET, UNKNOWN = Reason.NO_RULE, Reason.RULE_NOT_MET, Reason.CONTEXT_UNKNOWN
CASES = {
    "a rule without conditions speaks of everything that is signed": Asked("agent", "", None),
    "a rule that denies": Asked("agent", "effect = 'deny'", Reason.RULE_DENIES, "rule r denies it"),
    "a rule that denies something else": Asked("agent", "effect = 'deny'\n" + condition("kinds = ['tag']"), NO),
    "the branch by its short name": Asked("agent", condition("refs = ['main']"), None),
    "the branch by its full name": Asked("agent", condition("refs = ['refs/heads/ma*']"), None),
    "another branch": Asked("agent", condition("refs = ['release/*']"), NO),
    "a tag named as the branch": Asked(
        "agent", condition("refs = ['main']"), NO, context=Context("refs/tags/main", None)
    ),
    "a ref that nobody said": Asked("agent", condition("refs = ['main']"), UNKNOWN, context=Context()),
    "a ref that nobody said, and another kind": Asked(
        "agent", condition("refs = ['main'], kinds = ['tag']"), NO, context=Context()
    ),
    "an agent": Asked("agent", condition("classes = ['agent']"), None),
    "an agent where humans are meant": Asked("agent", condition("classes = ['human', 'workload']"), NO),
    "a commit": Asked("agent", condition("kinds = ['commit']"), None),
    "a tag": Asked("tag", condition("kinds = ['tag']"), None),
    "every path is among the allowed": Asked("agent", condition("paths = ['src/**', 'docs/*']"), None),
    "one path is not among the allowed": Asked("agent", condition("paths = ['src/**']"), NO),
    "a star that does not cross folders": Asked("agent", condition("paths = ['*']"), NO),
    "no path is changed, and all of them are allowed": Asked("agent", condition("paths = ['x']"), None, paths=()),
    "a tag changes no path": Asked("tag", condition("paths = ['**']"), NO),
    "a denying rule looks for any path": Asked(
        "agent", "effect = 'deny'\n" + condition("paths = ['src/**']"), Reason.RULE_DENIES
    ),
    "a denying rule, and no path is changed": Asked(
        "agent", "effect = 'deny'\n" + condition("paths = ['**']"), NO, paths=()
    ),
    "one path is touched": Asked("agent", condition("touches = ['docs/**']"), None),
    "no path is touched": Asked("agent", condition("touches = ['lib/**']"), NO),
    "a path without UTF-8 is touched": Asked("agent", condition("touches = ['lib/**']"), None, paths=("lib/\udcff",)),
    "a path without UTF-8 is among the allowed": Asked(
        "agent", condition("paths = ['lib/*']"), None, paths=("lib/\udcff",)
    ),
    "a path too long to match is touched whatever is watched": Asked(
        "agent", condition("touches = ['lib/**']"), None, paths=(LONG,)
    ),
    "a path too long to match is never among the allowed": Asked(
        "agent", condition("paths = ['**']"), NO, paths=(LONG,)
    ),
    "paths that nobody knows": Asked("agent", condition("paths = ['**']"), UNKNOWN, paths=None),
    "signed by a principal": Asked("agent", condition("actors = ['claude']"), None),
    "signed by a member of a group": Asked("agent", condition("actors = ['team']"), None),
    "signed by another": Asked("agent", condition("actors = ['bob']"), NO),
    "signed on behalf of, which is not signed by": Asked("agent", condition("actors = ['alice']"), NO),
    "before a date": Asked("agent", condition("before = 2026-11-24"), None),
    "not before its own date": Asked("agent", condition("before = 2026-11-23T13:58:10Z"), NO),
    "from a date on": Asked("agent", condition("after = 2026-11-23T13:58:09Z"), None),
    "before the date from which on": Asked("agent", condition("after = 2026-11-24"), NO),
    "in a history that nobody knows": Asked("agent", condition(f"ancestors_of = ['{OID}']"), UNKNOWN),
    "unsigned is not meant where it is not said": Asked("unsigned", "", NO),
    "unsigned is not an agent's": Asked("unsigned", condition("classes = ['agent']"), NO),
    "unsigned in a history that nobody knows": Asked("unsigned", condition(LEGACY), UNKNOWN),
    "signed where unsigned is meant": Asked("agent", condition(LEGACY), NO),
    "actor is who is demanded": Asked("agent", demand("actors = ['claude']"), None),
    "actor is another": Asked("agent", demand("actors = ['bob', 'alice']"), NOT_MET, "not by alice or bob"),
    "actor is none of an empty group": Asked("agent", demand("actors = ['empty']"), NOT_MET, "requires actors"),
    "somebody is represented": Asked("agent", demand("represented = ['*']"), None),
    "the right one is represented": Asked("agent", demand("represented = ['owners']"), None),
    "another is represented": Asked("agent", demand("represented = ['bob']"), NOT_MET, "alice, not of bob"),
    "proved by itself": Asked("agent", demand("represented_authentication = ['self-asserted', 'oidc']"), None),
    "proved less than is demanded": Asked(
        "agent", demand("represented_authentication = ['passkey']"), NOT_MET, "proved it by self-asserted"
    ),
    "scope held": Asked("agent", demand("scopes = ['sign:git']"), None),
    "scope lacking": Asked("agent", demand("scopes = ['sign:git', 'attest']"), NOT_MET, "do not include attest"),
    "assurance enough": Asked("agent", demand("assurance = 'same-user'"), None),
    "assurance too low": Asked("agent", demand("assurance = 'other-user'"), NOT_MET, "the assurance is same-user"),
    "evidence enough": Asked("agent", demand("evidence = 'authority'"), None),
    "evidence too weak": Asked("agent", demand("evidence = 'receiver'"), NOT_MET, "authority vouches for the time"),
    "algorithm allowed": Asked("agent", demand("algorithms = ['ed25519']"), None),
    "algorithm not allowed": Asked("agent", demand("algorithms = ['ecdsa-p256']"), NOT_MET, "the key is ed25519"),
    "trailer there": Asked("trailers", demand("trailers = ['signed-off-by']"), None),
    "trailer lacking": Asked("agent", demand("trailers = ['Signed-off-by']"), NOT_MET, "has no trailer Signed-off-by"),
    "trailer amid the message is none at its end": Asked("squashed", demand("trailers = ['Co-authored-by']"), NOT_MET),
    "trailer forbidden": Asked("trailers", demand("forbidden_trailers = ['signed-off-by']"), NOT_MET, "has a line"),
    "trailer forbidden amid the message": Asked("squashed", demand("forbidden_trailers = ['Co-authored-by']"), NOT_MET),
    "trailer forbidden and not there": Asked("agent", demand("forbidden_trailers = ['Co-authored-by']"), None),
    "bundle young enough": Asked("agent", demand("max_bundle_age = '1h'"), None),
    "contradictions as grave as is tolerated": Asked("contradicted", demand("contradictions = 'warning'"), None),
    "contradictions graver than is tolerated": Asked(
        "contradicted", demand("contradictions = 'info'"), NOT_MET, "is contradicted: claims-human"
    ),
    "no contradictions at all": Asked("contradicted", demand("contradictions = 'none'"), NOT_MET),
    "a contradiction by its code": Asked(
        "contradicted", demand("forbidden_contradictions = ['claims-human']"), NOT_MET
    ),
    "a contradiction of another code": Asked("contradicted", demand("forbidden_contradictions = ['other']"), None),
    "authored by anyone": Asked("by bob", demand("authored_by = 'anyone'"), None),
    "authored by another": Asked("by bob", demand("authored_by = 'self'"), NOT_MET, "<Bob@Example.org> is neither"),
    "authored by one of the group": Asked("by bob", demand("authored_by = 'group'"), None),
    "authored by the signer": Asked("agent", demand("authored_by = 'self'"), None),
    "a tag has no author": Asked("tag", demand("authored_by = 'self'"), None),
    "the certificate's branches hold whatever the rule says": Asked("bound", "", Reason.CONSTRAINT_MISMATCH),
    "the certificate's branches match": Asked("bound", "", None, context=Context("refs/heads/agents/1", None)),
}  # fmt: skip


def ruleset(world: World, *rules: str, head: str = "") -> Ruleset:
    made = "".join(f'[[rules]]\nname = "{"rstuvw"[n]}"\n{rule}\n' for n, rule in enumerate(rules))
    return Ruleset.read(f"version = 1\n{head}\n{people(world)}\n{made}".encode(), "test")


def judged(rules: Ruleset, world: World, found: Examination, asked: Asked) -> Verdict:
    def listed() -> tuple[str, ...]:
        assert asked.paths is not None
        return asked.paths

    ask: Callable[[], tuple[str, ...]] = listed if asked.paths is not None else no_paths
    return verify.judge(found, rules, asked.context, at=world.now, paths=ask)


@pytest.mark.parametrize("asked", CASES.values(), ids=CASES)
def test_a_rule_speaks_and_demands_as_it_says(world: World, objects: dict[str, Examination], asked: Asked) -> None:
    verdict = judged(ruleset(world, asked.rule), world, objects[asked.about], asked)
    last = verdict.findings.findings[Step.POLICY - 1]
    if asked.gives is None:
        assert (verdict.outcome, verdict.rule, last.reason) == (Outcome.ACCEPTED, "r", "")
        return
    if objects[asked.about].finding(Step.SIGNATURE).reason and not ruleset(world, asked.rule).excuses:
        assert (verdict.outcome, last.reason) == (Outcome.REJECTED, Reason.EARLIER_STEP)
        return
    unknown = asked.gives is UNKNOWN and asked.about != "unsigned"
    assert verdict.outcome is (Outcome.COULD_NOT_CHECK if unknown else Outcome.REJECTED)
    assert (last.reason, verdict.rule) == (asked.gives, "r" if asked.gives in (NOT_MET, Reason.RULE_DENIES) else "")
    assert asked.said in last.detail


def test_the_first_rule_that_speaks_decides_and_no_later_one_saves(
    world: World, objects: dict[str, Examination]
) -> None:
    strict, lax = condition("touches = ['docs/**']") + "\n" + demand("evidence = 'independent'"), ""
    asked = Asked("agent", "", None)
    assert judged(ruleset(world, strict, lax), world, objects["agent"], asked).outcome is Outcome.REJECTED
    assert judged(ruleset(world, lax, strict), world, objects["agent"], asked).rule == "r"
    elsewhere = replace(asked, paths=("src/a.py",))
    assert judged(ruleset(world, strict, lax), world, objects["agent"], elsewhere).rule == "s"


def test_where_git_shows_no_branch_the_demands_of_a_rule_are_asked_all_the_same(
    world: World, objects: dict[str, Examination]
) -> None:
    for rule, outcome in (("", Outcome.ACCEPTED), (demand("evidence = 'independent'"), Outcome.REJECTED)):
        asked = Asked("bound", rule, None, context=Context(git=True))
        assert judged(ruleset(world, rule), world, objects["bound"], asked).outcome is outcome


def test_a_rule_that_cannot_be_answered_hides_the_rules_after_it(world: World, objects: dict[str, Examination]) -> None:
    verdict = judged(
        ruleset(world, "effect = 'deny'\n" + condition("refs = ['main']"), ""),
        world,
        objects["agent"],
        Asked("agent", "", None, context=Context()),
    )
    assert verdict.outcome is Outcome.COULD_NOT_CHECK
    assert "rule r asks for refs" in verdict.findings.findings[Step.POLICY - 1].detail


class _Walked(Ancestry):
    def __init__(self, *ids: str) -> None:
        super().__init__()
        self._ids = ids

    def has(self, tip: str, object_id: str) -> bool:
        return tip == OID and object_id in self._ids


@pytest.mark.parametrize(
    ("about", "where", "extra", "accepted"),
    [
        ("unsigned", "inside", "", True),
        ("unsigned", "outside", "", False),
        ("unsigned", "inside", ", before = 2026-11-23", False),
        ("unsigned", "inside", ", before = 2026-11-24", True),
        ("unread signature", "inside", "", False),
    ],
)
def test_unsigned_is_accepted_in_a_named_history_and_nowhere_else(
    world: World, objects: dict[str, Examination], about: str, where: str, extra: str, accepted: bool
) -> None:
    found = objects[about]
    rules = replace(
        ruleset(world, condition(LEGACY + extra)), ancestry=_Walked(found.object_id if where == "inside" else OID)
    )
    verdict = judged(rules, world, found, Asked(about, "", None))
    assert (verdict.outcome is Outcome.ACCEPTED) == accepted
    assert rules.excuses == {Reason.SIGNATURE_MISSING}


@pytest.mark.parametrize(
    ("head", "gives"),
    [
        ("[trust]\nformats = ['notme']", None),
        ("[trust]\nformats = ['ssh', 'openpgp']", Reason.FORMAT_REFUSED),
        ("[trust]\nanchors = ['sha256:PINNED']", None),
        ("[trust]\nanchors = ['sha256:" + "00" * 32 + "']", Reason.ANCHOR_UNKNOWN),
    ],
)
def test_a_policy_counts_fewer_formats_and_anchors_than_the_verifier(
    world: World, objects: dict[str, Examination], head: str, gives: Reason | None
) -> None:
    pinned = world.trust().anchors[0].key.spki_sha256.hex()
    rules = ruleset(world, "", head=head.replace("PINNED", pinned)).bound(world.trust())
    verdict = judged(rules, world, objects["agent"], Asked("agent", "", None))
    assert verdict.findings.findings[Step.POLICY - 1].reason == (gives or "")


def test_an_authority_counts_with_the_keys_of_its_later_epochs_and_another_does_not(tmp_path: Path) -> None:
    made = World(tmp_path)
    made.grant()
    first = made.trust().anchors[0].key.spki_sha256.hex()
    made.tick(days=1)
    made.rotate()
    rules = ruleset(made, "", head=f"[trust]\nanchors = ['sha256:{first}']")
    found = made.examine(made.signed_commit(made.commit()))
    asked = Asked("agent", "", None)
    assert judged(rules, made, found, asked).outcome is Outcome.REJECTED
    assert judged(rules.bound(made.trust()), made, found, asked).outcome is Outcome.ACCEPTED
    both = trust.join(made.trust(), [made.other.trust()])
    theirs = {anchor.key.spki_sha256 for anchor in made.other.trust().anchors}
    assert not (rules.bound(both).anchors or frozenset()) & theirs
    named = ruleset(made, "", head=f"[trust]\nanchors = ['sha256:{sorted(theirs)[0].hex()}']").bound(both)
    assert named.anchors == frozenset(theirs)


def test_a_bundle_is_as_old_as_a_rule_lets_it_be(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = World(tmp_path_factory.mktemp("old"))
    made.grant()
    raw = made.signed_commit()
    made.tick(hours=2)
    rules = ruleset(made, demand("max_bundle_age = '1h'"))
    verdict = judged(rules, made, made.examine(raw), Asked("agent", "", None))
    assert verdict.outcome is Outcome.COULD_NOT_CHECK
    assert verdict.findings.findings[Step.POLICY - 1].reason == Reason.BUNDLE_STALE
