"""`notme-attest reasons`: what a code means, for people and for programs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from attest.cli import cli
from attest.errors import UsageError
from attest.reasons import ENTRIES, entry_of


def run(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["reasons", *arguments], standalone_mode=False)
    assert done.return_value == 0, done.exception
    return done.output


def test_one_code_is_explained() -> None:
    assert run("time-unproven").splitlines()[0] == "time-unproven: reason (step 5 time)"
    lines = run("agent-signed-off").splitlines()
    assert lines[0] == "agent-signed-off: contradiction, error (step 7 identity)"
    assert [line.split()[0] for line in lines[1:]] == ["means", "example", "remedy"]
    assert "example" not in run("payload-unchecked")


def test_all_are_listed_by_kind() -> None:
    lines = run().splitlines()
    assert [line.split()[0] for line in lines] == list(ENTRIES)
    assert {line.split()[1] for line in lines} == {"reason", "remark", "info", "warning", "error"}


def test_the_same_for_programs() -> None:
    one = json.loads(run("--json", "key-refused"))
    assert (one["code"], one["kind"], one["severity"], one["steps"]) == ("key-refused", "reason", None, [3, 4])
    everything = json.loads(run("--json"))
    assert [entry["code"] for entry in everything] == list(ENTRIES)
    assert one in everything


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("time-unprovn", "Did you mean time-unproven"),
        ("Revoked", "Did you mean"),
        ("\x1b", "lists all"),
        ("", "lists all"),
    ],
)
def test_a_code_that_is_none_is_told_from_its_neighbours(code: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        entry_of(code)
    assert hint in caught.value.hint
    assert caught.value.message.isprintable()
