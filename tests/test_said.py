"""Statements of anybody: what they are about, in whose spelling ever, and what is no Statement."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import said
from attest.errors import MalformedError

OID, TREE = "1" * 40, "2" * 40
STATEMENT: dict[str, Any] = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"digest": {"gitCommit": OID}}],
    "predicateType": "https://example.com/x",
    "predicate": {},
}


def payload(**changes: object) -> bytes:
    return json.dumps({**STATEMENT, **changes}).encode()


@pytest.mark.parametrize(
    ("digests", "about"),
    [
        pytest.param({"gitCommit": OID}, True, id="a commit"),
        pytest.param({"gitTag": OID}, True, id="a tag"),
        pytest.param({"sha1": OID}, True, id="as gitsign show names it"),
        pytest.param({"sha256": "0" * 64, "gitCommit": OID}, True, id="with the digest that sigstore insists on"),
        pytest.param({"gitCommit": TREE, "gitTree": OID}, False, id="the tree of another commit"),
        pytest.param({"gitCommit": TREE, "sha1": OID}, True, id="by one of two names"),
        pytest.param({"gitTree": OID}, False, id="a tree, which many commits have"),
        pytest.param({"sha256": OID, "x": TREE}, True, id="a file"),
        pytest.param({"gitcommit": OID}, False, id="by an algorithm that is none"),
    ],
)
def test_what_a_statement_is_about(digests: dict[str, str], about: bool) -> None:
    found = said.read(payload(subject=[{"name": "app", "digest": digests}]))
    assert bool(found.about(OID)) is about


def test_a_digest_can_be_asked_for_by_its_algorithm() -> None:
    found = said.read(payload(subject=[{"digest": {"gitCommit": OID, "gitTree": TREE}}, {"digest": {"sha256": OID}}]))
    assert found.about(f"gitTree:{TREE}") == found.about(f"gitCommit:{OID}") == found.subjects[:1]
    assert found.about(f"sha256:{OID}") == found.subjects[1:]
    assert found.about(f"gitTree:{OID}") == found.about(TREE) == ()
    assert found.about(OID) == found.about(None) == found.subjects


def test_the_id_of_an_object_is_no_digest_of_a_file() -> None:
    named = [{"gitCommit": OID}, {"gitTag": OID}, {"sha1": OID}]
    files = [{"sha256": OID}, {"sha512": OID}, {"gitTree": OID}, {"git": OID}]
    found = said.read(payload(subject=[{"digest": digests} for digests in (*named, *files)]))
    assert found.about(f"{said.OBJECT}{OID}") == found.subjects[: len(named)]


def test_refs_are_read_in_the_spellings_of_slsa_and_of_source_tool() -> None:
    notes = {"sourceRefs": ["refs/heads/a"], "source_refs": ["refs/heads/b"], "source_branches": ["refs/heads/c"]}
    subject = {"digest": {"gitCommit": OID}, "annotations": notes}
    assert said.read(payload(subject=[subject])).subjects[0].refs == ("refs/heads/a", "refs/heads/b", "refs/heads/c")


def test_gitsigns_spelling_of_the_type_is_read() -> None:
    changed = {("type" if name == "_type" else name): value for name, value in STATEMENT.items()}
    assert said.read(json.dumps(changed).encode()).predicate_type == "https://example.com/x"


@pytest.mark.parametrize(("kind", "path"), said.VERIFIERS.items())
def test_who_says_so_stands_where_the_type_has_it(kind: str, path: tuple[str, ...]) -> None:
    elsewhere = {"attester": {"id": "https://evil.example"}, "verifier": {"id": "https://evil.example"}}
    predicate: Any = "https://ci.example"
    for name in reversed(path):
        predicate = {**elsewhere, name: predicate}
    assert said.read(payload(predicateType=kind, predicate=predicate)).verifier == "https://ci.example"
    assert said.read(payload(predicateType=kind)).verifier == ""
    assert said.read(payload(predicate=predicate)).verifier == ""


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"_type": "https://in-toto.io/Statement/v2"}, id="another version"),
        pytest.param({"subject": []}, id="about nothing"),
        pytest.param({"subject": [{"digest": {}}]}, id="a subject without a digest"),
        pytest.param({"subject": [{"digest": {"gitCommit": "1" * 39}}]}, id="a short id"),
        pytest.param({"subject": [{"digest": {"gitCommit": "A" * 40}}]}, id="an id in upper case"),
        pytest.param({"subject": [{"digest": {"x": 1}}]}, id="a digest that is a number"),
        pytest.param({"subject": [{"digest": {"x": "1"}}] * 1001}, id="a thousand and one subjects"),
        pytest.param({"subject": {}}, id="a subject that is no list"),
        pytest.param({"subject": ["a"]}, id="a subject that is no object"),
        pytest.param({"subject": [{"digest": {"gitCommit": OID}, "name": 1}]}, id="a name that is a number"),
        pytest.param({"predicateType": ""}, id="without a type"),
        pytest.param({"predicateType": None}, id="a type that is null"),
        pytest.param({"predicate": []}, id="a list for a predicate"),
    ],
)
def test_what_is_no_statement_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        said.read(payload(**changes))


def test_a_key_that_stands_twice_in_a_statement_is_refused() -> None:
    text = payload().replace(b'"predicate": {}', b'"predicate": {"result": 1, "result": 2}')
    with pytest.raises(MalformedError):
        said.read(text)


def test_a_statement_without_a_predicate_and_with_unknown_fields_is_read() -> None:
    subject = {"digest": {"blake9": "Zz"}, "more": 1}
    assert said.read(payload(predicate=None, more={}, subject=[subject])).predicate == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*STATEMENT, "digest", "id"]), inner),
    max_leaves=8,
)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(list(STATEMENT)), JSON))
def test_any_json_is_a_statement_or_refused(changes: dict[str, Any]) -> None:
    data = payload(**changes)
    try:
        found = said.read(data)
    except MalformedError:
        return
    assert found.payload == data
    assert isinstance(found.verifier, str)
    assert all(OID in subject.digests.values() for subject in found.about(OID))
