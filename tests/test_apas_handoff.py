"""Handoffs read in their three shapes, and stated in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.apas import handoff, handoff_statement
from attest.apas.chain import Link
from attest.apas.handoff import PREDICATE_TYPE, ROSARY_TYPE, Shape
from attest.apas.handoff_statement import Document
from attest.errors import MalformedError, UsageError
from tests.handoffs import HASHES, document, statement

GOLDEN = Path(__file__).parent / "golden"
COMMIT = "2a1d" * 10
SERVED = {
    "fromPhase": "plan",
    "toPhase": "generate",
    "handoffDocument": "plan.md",
    "documentHash": "sha256:" + "ab" * 32,
    "previousChainHash": "",
    "chainHash": "cd" * 32,
}
CAPNP = {
    "fromPhase": "plan",
    "toPhase": "generate",
    "summary": "scoped",
    "filesChanged": ["plan.md"],
    "commitShas": [COMMIT],
    "previousChainHash": "ab" * 32,
    "chainHash": "sha256:" + "cd" * 32,
    "signingCert": "-----BEGIN CERTIFICATE-----",
    "certPair": {"identity": "wimse://auth.acme.example/x"},
}


def test_rosarys_documents_chain_as_the_reference_implementation_hashed_them() -> None:
    first, second = (handoff.parse_document(document(n), f".rsry-handoff-{n}.json") for n in range(2))
    assert (first.chain_hash, second.chain_hash, second.previous) == (*HASHES, HASHES[0])
    assert (second.shape, second.phase, second.from_phase, second.to_phase) == (Shape.ROSARY, 1, "dev-agent", "")
    assert (first.work_item, first.summary, first.to_phase) == ("acme-17", "scope the fix", "dev-agent")


def test_a_statement_of_rosarys_says_the_same_as_the_document() -> None:
    data = document(0)
    said = handoff_statement.read(statement(".rsry-handoff-0.json", data))
    assert said.handoff == handoff.parse_document(data)
    assert (said.name, said.sha256) == (".rsry-handoff-0.json", Document("x", data).sha256)


def test_what_notme_serves_is_read_with_its_hashes_in_either_spelling() -> None:
    found = handoff.parse(PREDICATE_TYPE, {**SERVED, "previousChainHash": "sha256:" + "ef" * 32})
    assert (found.shape, found.document, found.document_hash) == (Shape.SERVED, "plan.md", "ab" * 32)
    assert (found.previous, found.chain_hash, found.link, found.phase) == ("ef" * 32, "cd" * 32, None, None)


def test_notmes_own_types_are_read() -> None:
    found = handoff.parse(PREDICATE_TYPE, CAPNP)
    assert (found.shape, found.summary, found.files, found.commits) == (
        Shape.CAPNP, "scoped", ("plan.md",), (COMMIT,)
    )  # fmt: skip
    assert (found.previous, found.chain_hash, found.link) == ("ab" * 32, "cd" * 32, None)


def test_types_are_compared_literally() -> None:
    for name in (PREDICATE_TYPE + "/", PREDICATE_TYPE.replace("https", "http"), ROSARY_TYPE.lower(), ""):
        with pytest.raises(MalformedError, match="no type of a handoff"):
            handoff.parse(name, SERVED)


@pytest.mark.parametrize(
    ("predicate_type", "predicate", "complaint"),
    [
        pytest.param(PREDICATE_TYPE, {}, "fromPhase is missing", id="nothing"),
        pytest.param(PREDICATE_TYPE, {**SERVED, "documentHash": "ab" * 32}, "sha256:", id="a hash of no algorithm"),
        pytest.param(PREDICATE_TYPE, {**SERVED, "chainHash": "ab"}, "64 lower-case", id="a short hash"),
        pytest.param(PREDICATE_TYPE, {**SERVED, "chainHash": "sha512:" + "ab" * 32}, "64 lower", id="sha512"),
        pytest.param(PREDICATE_TYPE, {**CAPNP, "commitShas": ["abc123"]}, "no commit id", id="a short commit"),
        pytest.param(PREDICATE_TYPE, {**SERVED, "fromAgent": "a"}, "which phase it ends", id="ours, and no phase"),
        pytest.param(PREDICATE_TYPE, {**SERVED, "fromAgent": "a", "phase": True}, "whole number", id="true"),
        pytest.param(ROSARY_TYPE, json.loads(document(1, previous_chain_hash=None)), "which phase", id="no hash"),
        pytest.param(ROSARY_TYPE, json.loads(document(1, schema_version="3")), "no known version", id="a new version"),
        pytest.param(ROSARY_TYPE, json.loads(document(0, files_changed=[COMMIT])), "ambiguous", id="file or commit"),
        pytest.param(ROSARY_TYPE, json.loads(document(0, summary="a\0b")), "NUL", id="a NUL"),
        pytest.param(
            ROSARY_TYPE, json.loads(document(0, files_changed=["a"] * 10_001)), "at most 10000", id="too many files"
        ),
        pytest.param(ROSARY_TYPE, json.loads(document(0, summary="a" * 65_537)), "at most 65536", id="too long a text"),
    ],
)
def test_what_is_not_in_its_form_is_refused(predicate_type: str, predicate: dict[str, Any], complaint: str) -> None:
    with pytest.raises(MalformedError, match=complaint):
        handoff.parse(predicate_type, predicate)


def test_a_documents_number_is_its_phase() -> None:
    with pytest.raises(MalformedError, match="holds phase 0"):
        handoff.parse_document(document(0), ".rsry-handoff-1.json")


def test_version_1_is_read_with_the_name_of_the_file_before() -> None:
    found = handoff.parse_document(document(1, schema_version="1"))
    assert found.link is not None
    assert (found.link.version, found.previous) == ("1", ".rsry-handoff-0.json")


def plan() -> tuple[Document, Link]:
    made = Document("plan.md", b"# Plan\n")
    return made, handoff_statement.link(
        made, None, agent="scoping-agent", work_item="acme-17", files=["docs/plan.md"], commits=["1f0c" * 10]
    )


def test_what_is_stated_is_what_the_golden_file_holds_and_reads_back() -> None:
    made, link = plan()
    payload = handoff_statement.build(made, link, from_phase="planning", to_phase="generating")
    assert payload == (GOLDEN / "handoff-v1.json").read_bytes().rstrip(b"\n")
    said = handoff_statement.read(payload)
    assert said.handoff.link == link
    assert (said.handoff.shape, said.handoff.stated, said.sha256) == (Shape.SERVED, link.hash(), made.sha256)


def test_a_document_that_says_nothing_is_hashed_into_the_chain_in_the_summarys_place() -> None:
    made, link = plan()
    assert link.summary == f"sha256:{made.sha256}"
    other = Document("plan.md", b"# Another plan\n")
    changed = handoff_statement.link(
        other, None, agent="scoping-agent", work_item="acme-17", files=link.files, commits=link.commits
    )
    assert changed.hash() != link.hash()


def test_the_next_handoff_counts_on_from_the_one_before_and_is_of_its_work_item() -> None:
    before = handoff.parse_document(document(0))
    nothing: dict[str, Any] = {"files": [], "commits": []}
    link = handoff_statement.link(plan()[0], before, agent="dev-agent", work_item="", **nothing)
    assert (link.phase, link.previous, link.work_item) == (1, HASHES[0], "acme-17")
    with pytest.raises(UsageError, match="of work item acme-17"):
        handoff_statement.link(plan()[0], before, agent="dev-agent", work_item="acme-18", **nothing)
    served = handoff.parse(PREDICATE_TYPE, SERVED)
    with pytest.raises(UsageError, match="does not say which phase"):
        handoff_statement.link(plan()[0], served, agent="dev-agent", work_item="acme-17", **nothing)
    with pytest.raises(UsageError, match="--from-agent and --work-item not given"):
        handoff_statement.link(plan()[0], None, agent="", work_item="", **nothing)
    for option in ({"files": ["ab" * 20]}, {"commits": ["abc"]}, {"files": ["a\0b"]}):
        with pytest.raises(UsageError, match="phase 0"):
            handoff_statement.link(plan()[0], None, agent="x", work_item="y", **{**nothing, **option})


def test_a_document_of_rosarys_speaks_for_itself_and_has_to_follow_the_one_before() -> None:
    nothing: dict[str, Any] = {"agent": "", "work_item": "", "files": [], "commits": []}
    first, second = (Document(f".rsry-handoff-{n}.json", document(n)) for n in range(2))
    before = handoff.parse_document(first.data)
    assert handoff_statement.link(second, before, **nothing).hash() == HASHES[1]
    with pytest.raises(UsageError, match="--previous"):
        handoff_statement.link(second, None, **nothing)
    with pytest.raises(UsageError, match="itself says"):
        handoff_statement.link(first, None, **{**nothing, "agent": "me"})
    changed = handoff.parse_document(document(0, summary="another"))
    with pytest.raises(MalformedError, match="does not follow"):
        handoff_statement.link(second, changed, **nothing)
    old = Document(second.name, document(1, schema_version="1"))
    with pytest.raises(MalformedError, match="of version 1"):
        handoff_statement.link(old, before, **nothing)


def test_a_statement_about_another_document_than_it_names_the_hash_of_is_refused() -> None:
    made, link = plan()
    said = json.loads(handoff_statement.build(made, link, from_phase="a", to_phase="b"))
    said["predicate"]["documentHash"] = "sha256:" + "0" * 64
    with pytest.raises(MalformedError, match="documentHash"):
        handoff_statement.read(json.dumps(said).encode())


scalars = st.none() | st.booleans() | st.integers(-2, 2**64) | st.text(max_size=5) | st.just(COMMIT)
values = scalars | st.lists(scalars, max_size=2) | st.dictionaries(st.text(max_size=3), scalars, max_size=1)


@given(st.sampled_from([SERVED, CAPNP, json.loads(document(1))]), st.data())
def test_any_predicate_is_refused_or_read(whole: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted({*whole, "fromAgent", "phase"})))
    changed = {**whole, name: data.draw(values)}
    for predicate_type in (PREDICATE_TYPE, ROSARY_TYPE):
        try:
            found = handoff.parse(predicate_type, changed)
        except MalformedError:
            continue
        assert len(found.chain_hash) in (0, 64)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_as_a_document(data: bytes) -> None:
    with pytest.raises(MalformedError):
        handoff.parse_document(data)
    with pytest.raises(MalformedError):
        handoff_statement.read(data)
