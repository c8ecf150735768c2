"""JSON that two readers cannot read in two ways."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notme_git import strictjson

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_what_is_json_is_read_as_by_everybody(value: object) -> None:
    assert strictjson.loads(json.dumps(value)) == value


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":1}', '{"b":{"a":1,"a":2}}', "NaN", "[Infinity]", "-Infinity", "", "{} {}", "{'a':1}"]
)
def test_what_can_be_read_in_two_ways_or_not_at_all_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        strictjson.loads(text)


@given(st.text())
def test_any_text_is_a_value_or_a_value_error(text: str) -> None:
    try:
        found = strictjson.loads(text)
    except (ValueError, RecursionError):
        return
    assert strictjson.loads(json.dumps(found)) == found
