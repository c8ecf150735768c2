"""The published schema and the parser say the same of the same policies, as far as a schema can."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date, datetime
from typing import Any

import pytest

from attest.errors import MalformedError
from attest.rules import document
from attest.types import Assurance, Authentication, Voucher
from tests.peers import ROOT
from tests.test_rules_document import BAD, FULL, LINES

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = json.loads((ROOT / "schema" / "policy.schema.json").read_text("utf-8"))

BEYOND = {
    "a principal nobody knows",
    "a group of strangers",
    "a group named as a principal",
    "two rules of one name",
    "one key for two",
    "a key of another kind than it says",
    "a key that is none",
    "a date as text",
    "a date before all dates",
    "dates with nothing between",
}
"""What a schema cannot see: it knows nothing of the rest of the document, nor of what a value means."""


def plain(value: Any) -> Any:
    """A TOML document as the JSON that the schema is about."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, date | datetime) else value


def fits(text: str) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(plain(tomllib.loads(text))))


def parses(text: str) -> bool:
    try:
        document.parse(text.encode())
    except MalformedError:
        return False
    return True


def is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_everything_that_a_policy_can_say_fits() -> None:
    assert fits(FULL)
    tables = [SCHEMA["$defs"][name]["properties"] for name in ("principal", "rule", "match", "require", "attesters")]
    for key in {key for table in tables for key in table}:
        assert re.search(rf"\b{key}\b", FULL), f"the full example says nothing of {key}"


UNREAD = {"more bytes than are read", "a key of more parts than anybody can hold"}
CASES = [(name, text) for name, text, _ in BAD if name not in UNREAD and is_toml(text)]


@pytest.mark.parametrize(("name", "text"), CASES, ids=[case[0] for case in CASES])
def test_what_the_parser_refuses_does_not_fit(name: str, text: str) -> None:
    assert fits(text) == (name in BEYOND)


@pytest.mark.parametrize("line", range(len(LINES)))
def test_without_a_line_schema_and_parser_agree(line: int) -> None:
    text = "\n".join(each for number, each in enumerate(LINES) if number != line)
    if is_toml(text) and fits(text) != parses(text):
        # A name that nothing explains any more is all that the schema cannot see.
        with pytest.raises(MalformedError, match=r"nobody's name|stands there twice"):
            document.parse(text.encode())


def test_the_words_of_the_schema_are_those_of_the_code() -> None:
    require = SCHEMA["$defs"]["require"]["properties"]
    assert require["assurance"]["enum"] == [str(word) for word in Assurance]
    assert require["evidence"]["enum"] == [str(word) for word in Voucher]
    assert require["represented_authentication"]["items"]["enum"] == [str(word) for word in Authentication]


def test_the_example_of_the_document_is_a_sound_policy() -> None:
    text = (ROOT / "docs" / "policy.md").read_text("utf-8")
    [example] = re.findall(r"```toml\n(# \.notme/policy\.toml\n.*?)```", text, re.DOTALL)
    assert parses(example)
    assert fits(example)
    for key in ("match", "require"):
        for name in SCHEMA["$defs"][key]["properties"]:
            assert f"`{name}`" in text, f"docs/policy.md says nothing of {name}"
