"""Every code that the program prints is documented, and nothing is documented that it does not print."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import click
import pytest

from attest import contradictions, notes, verify
from attest.cli import cli as attest_cli
from attest.errors import Reason, Step
from attest.reasons import ENTRIES, Entry, Kind
from notme_git.cli import cli as notme_cli
from tests.peers import ROOT
from tests.test_contradictions import CASES, found, human, proven
from tests.test_notes import CASES as NOTE_CASES
from tests.test_notes import ID, commit
from tests.world import World

PACKAGE = ROOT / "attest"


@cache
def modules() -> dict[Path, ast.Module]:
    own = PACKAGE / "reasons"
    return {
        path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py")) if own not in path.parents
    }


def of_kind(kind: Kind) -> dict[str, Entry]:
    return {code: entry for code, entry in ENTRIES.items() if entry.kind is kind}


def named(node: ast.AST, owner: str) -> str | None:
    """`Reason.X` -> `X`."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == owner:
        return node.attr
    return None


def words(node: ast.AST) -> Iterator[str]:
    """The literal strings below a node that look like codes."""
    for part in ast.walk(node):
        if (
            isinstance(part, ast.Constant)
            and isinstance(part.value, str)
            and re.fullmatch(r"[a-z]+(-[a-z]+)+", part.value)
        ):
            yield part.value


def remark_codes(module: ast.Module) -> Iterator[str]:
    """What a module makes remarks of: constants that are documented as such, and literals that it collects."""
    for node, after in pairwise(module.body):
        documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(node, ast.Assign) and documented and ast.unparse(after).strip("'\"").startswith("Remark"):
            yield from words(node.value)
    for part in ast.walk(module):
        if isinstance(part, ast.Call) and ast.unparse(part.func) in ("remarks.append", "remarks.add"):
            yield from words(part)
        if isinstance(part, ast.FunctionDef) and part.name == "remarks":
            for statement in filter(lambda s: isinstance(s, ast.Return), ast.walk(part)):
                yield from words(statement)


def test_every_reason_is_documented_in_the_order_of_its_table() -> None:
    assert list(of_kind(Kind.REASON)) == [reason.value for reason in Reason]


def test_every_contradiction_is_documented_with_its_severity() -> None:
    severities = contradictions.SEVERITIES | notes.SEVERITIES
    assert {code: entry.severity for code, entry in of_kind(Kind.CONTRADICTION).items()} == severities
    assert list(of_kind(Kind.CONTRADICTION)) == list(severities)


def test_every_remark_is_documented_and_none_besides() -> None:
    made = {code for module in modules().values() for code in remark_codes(module)}
    assert len(made) > 15
    assert set(of_kind(Kind.REMARK)) == made


def test_no_code_stands_for_two_things() -> None:
    assert len(ENTRIES) == len(Reason) + len(contradictions.SEVERITIES) + len(notes.SEVERITIES) + len(
        of_kind(Kind.REMARK)
    )


def test_a_step_that_fails_for_a_reason_is_among_those_of_the_entry() -> None:
    seen = 0
    for path, module in modules().items():
        for node in ast.walk(module):
            if not isinstance(node, ast.Call):
                continue
            reasons = [name for argument in node.args if (name := named(argument, "Reason"))]
            steps = [name for argument in node.args if (name := named(argument, "Step"))]
            for reason, step in zip(reasons, steps, strict=False):
                seen += 1
                assert Step[step] in ENTRIES[Reason[reason].value].steps, f"{path}: {reason} at {step}"
    assert seen > 50


@cache
def templates() -> list[re.Pattern[str]]:
    """Every string of the package that is long enough to be a sentence; what is filled in matches anything."""
    made = []
    for module in modules().values():
        for node in ast.walk(module):
            if isinstance(node, ast.JoinedStr):
                parts = [re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".*?" for p in node.values]
                fixed = sum(len(str(p.value)) for p in node.values if isinstance(p, ast.Constant))
                text = "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                text, fixed = re.escape(node.value), len(node.value)
            else:
                continue
            if fixed >= 12:
                made.append(re.compile(text, re.DOTALL))
    return made


@pytest.mark.parametrize("entry", of_kind(Kind.REASON).values(), ids=lambda entry: entry.code)
def test_the_example_of_a_reason_is_a_sentence_of_the_program(entry: Entry) -> None:
    sentence = re.sub(r"^rule \S+ (asks for|requires) \S+: ", "", entry.example)
    # A sentence and its hint are two strings of the program, and either may have a semicolon in it.
    parts = sentence.split("; ")
    splits = [("; ".join(parts[:cut]), "; ".join(parts[cut:])) for cut in range(1, len(parts) + 1)]
    assert any(all(not text or any(t.fullmatch(text) for t in templates()) for text in pair) for pair in splits)


def test_the_example_of_a_contradiction_is_what_is_printed(tmp_path: Path) -> None:
    world = World(tmp_path)
    for agent in ("claude-code", "codex", "reviewer"):
        world.grant(agent)
    said = {
        (item.code, item.detail.replace(world.id, "0123456789abcdef")) for case in CASES for item in found(world, case)
    }
    signers = {"agent": proven(world, "claude-code"), "human": human(), "nobody": None}
    for _, signer, note, _ in NOTE_CASES:
        said |= {(item.code, item.detail) for item in notes.find_in_note(note, ID, commit(), signers[signer])}
    examples = {(code, entry.example) for code, entry in of_kind(Kind.CONTRADICTION).items() if code != "date-skew"}
    assert examples <= said
    assert contradictions.DATE_SKEW in ENTRIES


def leaves(group: click.Group, words: str) -> dict[str, click.Command]:
    found = dict[str, click.Command]()
    for name, command in group.commands.items():
        found[f"{words} {name}"] = command
        if isinstance(command, click.Group):
            found |= leaves(command, f"{words} {name}")
    return found


def test_a_command_that_a_remedy_names_is_there_with_its_options() -> None:
    known = leaves(notme_cli, "notme-git") | leaves(attest_cli, "notme-attest")
    quoted = [text for entry in ENTRIES.values() for text in re.findall(r"`(notme-[^`]+)`", entry.remedy)]
    assert len(quoted) > 15
    for text in quoted:
        parts = text.split()
        name = next((" ".join(parts[:n]) for n in (3, 2) if " ".join(parts[:n]) in known), None)
        assert name is not None, text
        options = {option for parameter in known[name].params for option in parameter.opts}
        assert {part for part in parts if part.startswith("--")} <= options, text


def test_every_entry_says_what_it_is_and_what_to_do() -> None:
    for code, entry in ENTRIES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert entry.meaning.endswith(".")
        assert entry.remedy.endswith(".")
        assert bool(entry.example) is (entry.kind is not Kind.REMARK), code
        assert (entry.severity is not None) is (entry.kind is Kind.CONTRADICTION)
        assert list(entry.steps) == sorted(entry.steps)


def test_what_the_built_in_policy_tolerates_says_so() -> None:
    for reason in verify.TOLERATED - {Reason.UNSEEN}:
        assert "built-in policy lets it pass" in ENTRIES[reason.value].remedy


def test_the_page_is_what_the_table_makes() -> None:
    rendered = runpy.run_path(str(ROOT / "docs" / "reasons.py"))["render"]()
    assert (ROOT / "docs" / "reasons.md").read_text("utf-8") == rendered, "python docs/reasons.py > docs/reasons.md"
