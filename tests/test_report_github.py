"""Workflow commands and check runs: hostile words stay words."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.pull import Note
from attest.report import github
from attest.types import Severity
from tests.forge import NOW
from tests.offered import ALICE, Offered, offered

COMMAND = re.compile(r"::(?P<name>[a-z]+) (?P<properties>[^:]*)::(?P<data>.*)")


def parsed(line: str) -> tuple[str, dict[str, str], str]:
    """What a runner takes the line for (actions/runner, ActionCommand.cs)."""
    found = COMMAND.fullmatch(line)
    assert found is not None, line
    pairs = [pair.split("=", 1) for pair in found["properties"].split(",")]
    values = {}
    for name, value in pairs:
        for token, plain in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            value = value.replace(token, plain)
        values[name] = value
    return found["name"], values, found["data"].replace("%25", "%")


@given(st.text(), st.text(), st.text(), st.sampled_from(Severity))
def test_any_words_make_one_line_with_one_command_of_ours(
    title: str, message: str, path: str, weight: Severity
) -> None:
    line = github.command(Note(weight, "key-unknown", title, message, "1" * 40, path))
    assert len(line.splitlines()) == 1
    name, values, data = parsed(line)
    assert name in ("error", "warning", "notice")
    assert set(values) == ({"title", "file", "line"} if path else {"title"})
    assert "##[" not in line
    assert data.isprintable()


def test_what_a_runner_reads_is_what_was_said() -> None:
    note = Note(Severity.ERROR, "?", "a: b, 100%", "so: 5%, ::set-env::x\n::error::y", "1" * 40, "src/b,c:d%41")
    name, values, data = parsed(github.command(note))
    assert (name, values) == ("error", {"title": "a: b, 100%", "file": "src/b,c:d%41", "line": "1"})
    assert data == "so: 5%, ::set-env::x?::error::y"


def made_by_many(found: Offered, count: int) -> str:
    parent = found.base
    for number in range(count):
        parent = found.clone.commit({"README": f"{number}\n"}, parent, who=ALICE, message=str(number), signed=False)
    return parent


def test_a_pull_request_of_many_commits_stays_within_what_github_takes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    found = offered(tmp_path_factory.mktemp("github"), NOW)
    check = found.check(head=made_by_many(found, 60))
    lines = list(github.commands(check))
    assert len(lines) == github.SHOWN + 1
    assert lines[-1] == "60 commits: 60 rejected"
    first, second = json.loads(github.check_runs(check, failed=True))
    assert (first["head_sha"], first["conclusion"], first["status"]) == (check.head, "failure", "completed")
    assert [len(body["output"]["annotations"]) for body in (first, second)] == [50, 10]
    assert len(first["output"]["summary"]) <= github.MAX_SUMMARY
    assert {a["annotation_level"] for a in first["output"]["annotations"]} == {"failure"}
    assert {a["path"] for a in first["output"]["annotations"]} == {"README"}


def test_what_was_not_checked_and_is_no_failure_is_neutral(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = offered(tmp_path_factory.mktemp("neutral"), NOW)
    check = found.check(head=found.agent)
    [body] = json.loads(github.check_runs(check, failed=False))
    assert body["conclusion"] == "success"
    [body] = json.loads(github.check_runs(found.check(), failed=False))
    assert body["conclusion"] == "neutral"
