"""What is said about rules agrees with what they do, for policies and cases that nobody chose."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attest.errors import Error, Reason, UnavailableError, VerificationError
from attest.policy import Case, Context, no_paths
from attest.rules import explain as explaining
from attest.rules import lint
from attest.rules.ancestry import Ancestry
from attest.rules.explain import Part
from attest.rules.ruleset import Ruleset
from attest.types import Severity
from attest.verify import Examination
from tests.test_rules_decide import OID, objects, people, world
from tests.world import World

__all__ = ["objects", "world"]  # fixtures

FEW = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
OTHER = "89abcdef0123456789abcdef0123456789abcdef"


def some(*values: str) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


CONDITIONS = {
    "refs": some("main", "**", "refs/heads/main", "refs/heads/**", "refs/tags/*", "refs/**", "ma*"),
    "paths": some("**", "src/**", "src/*", "src/a", "docs/**", "*", "s**"),
    "touches": some("**", "src/**", "src/*", "src/a", "docs/**", "lib/*"),
    "classes": some("human", "agent", "workload", "unsigned-legacy"),
    "kinds": some("commit", "tag"),
    "actors": some("claude", "team", "owners", "bob", "empty"),
    "before": st.sampled_from(["2026-11-23", "2026-11-24", "2027-01-01"]),
    "after": st.sampled_from(["2026-11-22", "2026-11-24"]),
    "ancestors_of": some(OID, OTHER),
}
DEMANDS = {
    "actors": some("claude", "bob"),
    "evidence": st.sampled_from(["signer", "authority", "independent"]),
    "represented": some("*", "owners"),
    "trailers": some("Signed-off-by"),
    "authored_by": st.sampled_from(["self", "group"]),
}
DATES = ("before", "after")


def table(choices: dict[str, st.SearchStrategy[object]], most: int) -> st.SearchStrategy[dict[str, object]]:
    keys = st.lists(st.sampled_from(sorted(choices)), max_size=most, unique=True)
    return keys.flatmap(lambda names: st.fixed_dictionaries({name: choices[name] for name in names}))


def written(values: dict[str, object]) -> str:
    return ", ".join(f"{key} = {value if key in DATES else json.dumps(value)}" for key, value in values.items())


@st.composite
def rule(draw: st.DrawFn) -> str:
    match = draw(table(CONDITIONS, 3))  # type: ignore[arg-type]  # strategies of texts and of lists of them
    deny = draw(st.booleans())
    if "unsigned-legacy" in str(match.get("classes", "")) and not deny:
        match.setdefault("ancestors_of", [OID])
    if {"before", "after"} <= match.keys():
        del match["after"]
    require = {} if deny else draw(table(DEMANDS, 2))  # type: ignore[arg-type]
    effect = 'effect = "deny"\n' if deny else ""
    return f"{effect}match = {{ {written(match)} }}\n" + (f"require = {{ {written(require)} }}" if require else "")


class _Walked(Ancestry):
    def has(self, tip: str, object_id: str) -> bool:
        return (tip == OID) == (object_id[0] in "01234567")


RULES = st.lists(rule(), min_size=1, max_size=4)
ABOUT = st.sampled_from(["agent", "trailers", "by bob", "bound", "unsigned", "tag", "unread signature"])
CONTEXTS = st.sampled_from(
    [
        Context(),
        Context("refs/heads/main"),
        Context("refs/heads/agents/1"),
        Context("refs/tags/v1"),
        Context("main"),
        Context("refs/notes/x"),
    ]
)
SOME_PATHS = st.sampled_from(["src/a", "src/b/c", "docs/d", "README", "lib/x"])
PATHS = st.none() | st.lists(SOME_PATHS, max_size=3, unique=True)


def built(world: World, rules: list[str]) -> Ruleset:
    text = "".join(f'[[rules]]\nname = "r{n}"\n{rule}\n' for n, rule in enumerate(rules))
    made = Ruleset.read(f"version = 1\n{people(world)}\n{text}".encode(), "test")
    return replace(made, ancestry=_Walked())


def case(world: World, found: Examination, context: Context, paths: list[str] | None) -> Case:
    return Case(found, context, world.now, no_paths if paths is None else lambda: tuple(paths))


def decided(rules: Ruleset, asked: Case) -> tuple[str, Error | None]:
    try:
        return rules.decide(asked), None
    except (VerificationError, UnavailableError) as error:
        return "", error


@FEW
@given(rules=RULES, about=ABOUT, context=CONTEXTS, paths=PATHS)
def test_an_explanation_is_what_the_policy_decides(
    world: World,
    objects: dict[str, Examination],
    rules: list[str],
    about: str,
    context: Context,
    paths: list[str] | None,
) -> None:
    made, asked = built(world, rules), case(world, objects[about], context, paths)
    name, error = decided(made, asked)
    said = explaining.explain(made, asked)
    assert said.rule == name
    assert (said.error is None) == (error is None)
    if error is not None and said.error is not None:
        assert (type(said.error), said.error.message) == (type(error), error.message)
        assert said.error.hint == error.hint
    parts = [line.part for line in said.lines]
    assert [line.rule for line in said.lines] == [f"r{n}" for n in range(len(rules))]
    speaking = [n for n, part in enumerate(parts) if part not in (Part.SILENT, Part.AFTER)]
    assert len(speaking) <= 1
    first = speaking[0] if speaking else len(parts)
    assert set(parts[:first]) <= {Part.SILENT}
    assert set(parts[first + 1 :]) <= {Part.AFTER}
    assert all(line.condition and line.detail for line in said.lines[:first])
    assert json.dumps(explaining.data(said))
    assert all(line.isprintable() for line in explaining.text_lines(said))


@FEW
@given(rules=RULES, about=ABOUT, context=CONTEXTS, paths=PATHS)
def test_a_rule_that_lint_calls_unreachable_never_decides(
    world: World,
    objects: dict[str, Examination],
    rules: list[str],
    about: str,
    context: Context,
    paths: list[str] | None,
) -> None:
    made, asked = built(world, rules), case(world, objects[about], context, paths)
    notes = lint.lint(made.document, None, world.now)
    unreachable = {note.place.removeprefix("rules ") for note in notes if note.code == "rule-unreachable"}
    said = explaining.explain(made, asked)
    speaking = {line.rule for line in said.lines if line.part not in (Part.SILENT, Part.AFTER)}
    assert not speaking & unreachable


EVERYTHING, SRC = "match = { paths = ['src/**'] }", "match = { paths = ['src/a', 'src/b/**'] }"
LEGACY = f"match = {{ classes = ['unsigned-legacy'], ancestors_of = ['{OID}'] }}"
ZEROS = f"trust = {{ anchors = ['sha256:{'0' * 64}'] }}"
SHADOWS = [
    ("the same rule again", EVERYTHING, EVERYTHING, True),
    ("fewer paths, all of them", EVERYTHING, SRC, True),
    ("more paths, all of them", SRC, EVERYTHING, False),
    ("any path, after all paths", EVERYTHING, "match = { touches = ['src/a'] }", False),
    ("a rule without conditions", "", SRC, True),
    ("a rule without conditions, and unsigned", "", LEGACY, False),
    ("a rule without conditions, and denying all", "", "effect = 'deny'", False),
    ("a rule without conditions, and denying agents", "", "effect = 'deny'\nmatch = { classes = ['agent'] }", True),
    ("a denying rule on any path, after all paths", EVERYTHING, "effect = 'deny'\n" + SRC, False),
    ("all paths, after a denying rule on any", "effect = 'deny'\n" + EVERYTHING, SRC, False),
    ("a denying rule on any path, twice", "effect = 'deny'\n" + EVERYTHING, "effect = 'deny'\n" + SRC, True),
    ("touched, after a denying rule on any", "effect = 'deny'\n" + EVERYTHING, "match = { touches = ['src/a'] }", True),
    ("a branch by both of its names", "match = { refs = ['refs/heads/main'] }", "match = { refs = ['main'] }", False),
    ("a tag, after all branches", "match = { refs = ['**'] }", "match = { refs = ['refs/tags/v1'] }", False),
    ("an earlier date", "match = { before = 2026-01-01 }", "match = { before = 2025-01-01 }", True),
    ("a later date", "match = { before = 2025-01-01 }", "match = { before = 2026-01-01 }", False),
    ("one of a group", "match = { actors = ['team'] }", "match = { actors = ['bob'] }", True),
    ("all of a group", "match = { actors = ['bob'] }", "match = { actors = ['team'] }", False),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "shadowed"), [s[1:] for s in SHADOWS], ids=[s[0] for s in SHADOWS])
def test_what_lint_proves_of_two_rules(world: World, first: str, second: str, shadowed: bool) -> None:
    earlier, later = built(world, [first, second]).document.rules
    assert lint.shadows(earlier, later) is shadowed


def test_an_explanation_names_every_rule_with_its_reason(world: World, objects: dict[str, Examination]) -> None:
    rules = [
        "match = { kinds = ['tag'] }",
        "match = { refs = ['release/*'] }",
        "match = { paths = ['docs/**'] }",
        "match = { classes = ['agent'] }\nrequire = { evidence = 'receiver' }",
        "",
    ]
    asked = case(world, objects["agent"], Context("refs/heads/main"), ["src/a", "docs/d"])
    said = explaining.explain(built(world, rules), asked)
    assert list(explaining.text_lines(said)) == [
        "policy test",
        "signer agent claude for alice",
        "  rule r0 does not speak (kinds: it is a commit)",
        "  rule r1 does not speak (refs: the ref is refs/heads/main)",
        "  rule r2 does not speak (paths: it also changes src/a)",
        "  rule r3 rejects",
        "  rule r4 comes after",
        "  so: rule r3 requires evidence: authority vouches for the time of signing, not receiver or better",
    ]
    data = explaining.data(said)
    assert (data["rule"], data["rulesAccept"], data["reason"]) == ("r3", False, Reason.RULE_NOT_MET)


def test_a_path_without_utf8_can_be_printed(world: World, objects: dict[str, Examination]) -> None:
    asked = case(world, objects["agent"], Context(), ["lib/\udcff\n"])
    said = explaining.explain(built(world, ["match = { paths = ['src/**'] }"]), asked)
    assert said.lines[0].detail == "it also changes lib/\ufffd\n"
    assert [line for line in explaining.text_lines(said) if "lib" in line] == [
        "  rule r0 does not speak (paths: it also changes lib/\ufffd?)"
    ]


def codes(world: World, text: str, *, people_too: bool = True) -> dict[str, Severity]:
    made = Ruleset.read(f"version = 1\n{people(world) if people_too else ''}\n{text}".encode(), "test")
    return {note.code: note.severity for note in lint.lint(made.document, world.trust(), world.now)}


def one(rule: str) -> str:
    return f"[[rules]]\nname = 'r'\n{rule}\n"


LINT = [
    ("a policy without rules", "", "no-rules", Severity.ERROR),
    ("a group of nobody", one(""), "group-empty", Severity.ERROR),
    ("a rule for nobody", one("require = { actors = ['empty'] }"), "actors-nobody", Severity.ERROR),
    ("a path that begins at the root", one("match = { paths = ['/src/**'] }"), "pattern-never-matches", Severity.ERROR),
    ("a path that ends as a folder", one("match = { touches = ['src/'] }"), "pattern-never-matches", Severity.ERROR),
    ("a path that climbs", one("match = { paths = ['src/../lib'] }"), "pattern-never-matches", Severity.ERROR),
    ("half a name of a ref", one("match = { refs = ['heads/main'] }"), "pattern-never-matches", Severity.ERROR),
    ("a ref that git refuses", one("match = { refs = ['a..b'] }"), "pattern-never-matches", Severity.ERROR),
    ("a cutoff in the future", one("match = { before = 2027-01-01 }"), "cutoff-to-come", Severity.ERROR),
    ("a rule of the future", one("match = { after = 2027-01-01 }"), "not-yet", Severity.WARNING),
    ("a date without proof", one("match = { before = 2026-01-01 }"), "date-alone", Severity.WARNING),
    ("the same rule again", one("") + "[[rules]]\nname = 's'", "rule-unreachable", Severity.ERROR),
    (
        "mixed changes pass by",
        one("match = { paths = ['ci/**'] }") + "[[rules]]\nname = 's'",
        "paths-pass-by",
        Severity.INFO,
    ),
    (
        "an actor of what is unsigned",
        one(LEGACY + "\nrequire = { actors = ['bob'] }"),
        "unsigned-with-actors",
        Severity.ERROR,
    ),
    ("an address alone", one("require = { actors = ['bob'] }"), "principal-by-address", Severity.INFO),
    ("an anchor that is not pinned", ZEROS, "anchors-none", Severity.ERROR),
    (
        "nothing to recognise one by",
        "[[principals]]\nname = 'x'\nclass = 'human'",
        "principal-unrecognisable",
        Severity.ERROR,
    ),
    (
        "a key that is no key",
        "[[principals]]\nname = 'x'\nclass = 'human'\nssh_keys = ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAA==']",
        "key-unreadable",
        Severity.ERROR,
    ),
]


@pytest.mark.parametrize(("text", "code", "severity"), [case[1:] for case in LINT], ids=[case[0] for case in LINT])
def test_lint_finds(world: World, text: str, code: str, severity: Severity) -> None:
    alone = text.startswith(("trust", "[[principals]]"))
    assert codes(world, text, people_too=not alone).get(code) is severity


def test_lint_says_nothing_against_a_sound_policy(world: World) -> None:
    anchor = world.trust().anchors[0].key.spki_sha256.hex()
    text = f"""
[trust]
anchors = ["sha256:{anchor}"]
[[principals]]
name = "claude"
class = "agent"
certificates = ["wimse://{world.id}.invalid/agent/claude-*"]
[[rules]]
name = "ci"
match = {{ touches = [".github/**"] }}
require = {{ evidence = "authority", represented = ["*"] }}
[[rules]]
name = "agents"
match = {{ refs = ["agents/*", "refs/heads/main"], actors = ["claude"] }}
"""
    assert codes(world, text, people_too=False) == {}
