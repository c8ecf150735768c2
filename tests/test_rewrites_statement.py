"""Rewrite records as bytes: one spelling, a checked-in example, the schema, and whatever else somebody sends."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import dsse
from attest.errors import MalformedError
from attest.rewrites.model import (
    Compared,
    Made,
    New,
    Old,
    Relation,
    Rewrite,
    Rewriter,
    RewriterKind,
    Signed,
)
from attest.rewrites.statement import PREDICATE_TYPE, build, read
from attest.through import Who
from attest.types import Outcome, PrincipalKind, Voucher
from tests.peers import ROOT

GOLDEN = ROOT / "tests" / "golden" / "rewrite-v0.1.json"
AGENT = Who("wimse://a.invalid/agent/claude-code", PrincipalKind.AGENT, "claude-code", "claude-code@a.invalid")
ALICE = Who("wimse://a.invalid/human/1", PrincipalKind.HUMAN, "Zoë Example", "zoe@example.org")
FIRST = Old(
    "a" * 40,
    "1" * 64,
    "2" * 64,
    Outcome.ACCEPTED,
    actor=AGENT,
    represented=ALICE,
    certificate_sha256="3" * 64,
    time=Signed("2026-11-27T10:00:00Z", "2026-11-27T10:00:01Z", Voucher.AUTHORITY),
    statements=("4" * 64,),
)
SECOND = Old("b" * 40, "5" * 64, "6" * 64, Outcome.REJECTED, "signature-missing")
RECORD = Rewrite(
    made=Made.SQUASH,
    new=New("c" * 40, "sha1", "7" * 64, "d" * 40, ("e" * 40,)),
    old=(FIRST, SECOND),
    compared=Compared(Relation.SAME_TREE, "e" * 40),
    rewriter=Rewriter(RewriterKind.FORGE, False, "GitHub"),
    policy="builtin:default",
    policy_sha256="8" * 64,
    verifier="wimse://a.invalid/verifier/notme",
    recorded_at="2026-11-27T11:00:00Z",
)
PATCH = Compared(Relation.PATCH_ID, "e" * 40, "9" * 40, "0" * 64)
ROOTLESS = replace(
    RECORD,
    made=Made.AMEND,
    new=New("c" * 64, "sha256", "7" * 64, "d" * 64, ()),
    old=(SECOND,),
    compared=Compared(Relation.NONE, note="they do not change the same lines"),
    rewriter=Rewriter(RewriterKind.SIGNER, True, "claude-code", AGENT.id),
)
EXAMPLES = (RECORD, replace(RECORD, compared=PATCH), ROOTLESS)


def schema() -> dict[str, Any]:
    made = json.loads((ROOT / "schema/gen/json/rewrite.schema.json").read_text())
    return {**made, "$ref": "#/$defs/Rewrite"}


@pytest.mark.parametrize("record", EXAMPLES)
def test_what_is_written_is_read_again_and_is_what_the_schema_describes(record: Rewrite) -> None:
    payload = build(record)
    assert read(payload) == record
    said = json.loads(payload)
    assert said["predicateType"] == PREDICATE_TYPE
    jsonschema.validate(said["predicate"], schema())
    assert payload.isascii()


def test_the_checked_in_example_is_what_is_written() -> None:
    assert build(RECORD) == GOLDEN.read_bytes().removesuffix(b"\n")
    assert json.loads(GOLDEN.read_bytes())["subject"] == [{"digest": {"gitCommit": "c" * 40}}]


@pytest.mark.parametrize(
    "old",
    [
        b'"made":"squash"',
        b'"relation":"same-tree"',
        b'"outcome":"rejected"',
        b'"proven":false',
        b'"recordedAt":"2026-11-27T11:00:00Z"',
        b'"gitCommit":"' + b"b" * 40,
        b'"patchId":null',
    ],
)
def test_a_record_with_anything_else_in_a_place_is_refused(old: bytes) -> None:
    payload = build(RECORD)
    assert payload.count(old) == 1
    name = old.partition(b":")[0]
    for value in (b'""', b"7", b"[]", b"{}", b'"x"', b"1.5"):
        with pytest.raises(MalformedError):
            read(payload.replace(old, name + b":" + value + (b',"x":"' if b"gitCommit" in old else b"")))


@pytest.mark.parametrize(
    "changed",
    [
        replace(RECORD, old=(FIRST, FIRST)),
        replace(RECORD, old=(replace(FIRST, object_id=RECORD.new.object_id),)),
        replace(RECORD, old=()),
        replace(RECORD, old=tuple(replace(FIRST, object_id=f"{n:040x}") for n in range(501))),
        replace(RECORD, compared=replace(PATCH, patch_id="")),
        replace(RECORD, compared=Compared(Relation.NONE)),
        replace(RECORD, compared=Compared(Relation.SAME_TREE, note="x")),
        replace(RECORD, rewriter=Rewriter(RewriterKind.FORGE, False, "GitHub", "x:y")),
        replace(RECORD, new=replace(RECORD.new, object_format="sha256")),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(changed: Rewrite) -> None:
    with pytest.raises(MalformedError):
        read(build(changed))


def test_another_spelling_of_the_same_record_is_refused() -> None:
    payload = build(RECORD)
    for other in (payload + b"\n", json.dumps(json.loads(payload)).encode(), payload[:-1] + b',"more":1}'):
        with pytest.raises(MalformedError):
            read(other)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.text(max_size=5), st.lists).map(repr))
def test_any_bytes_are_a_documented_error(data: bytes | str) -> None:
    with pytest.raises(MalformedError):
        read(data if isinstance(data, bytes) else data.encode("utf-8", "replace"))


@given(st.data())
def test_a_damaged_record_is_a_documented_error_or_another_record_in_its_one_spelling(data: st.DataObject) -> None:
    payload = bytearray(build(data.draw(st.sampled_from(EXAMPLES))))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(payload) - 1))
        payload[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        found = read(bytes(payload))
    except MalformedError:
        return
    assert build(found) == bytes(payload)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=4), st.lists, max_leaves=4), st.data())
def test_any_value_in_any_place_is_a_documented_error_or_reads_back(value: Any, data: st.DataObject) -> None:
    top: Any = json.loads(build(RECORD))
    place, names = top, ["predicate"]
    while isinstance(place[names[-1]], dict | list) and place[names[-1]] and data.draw(st.booleans()):
        place = place[names[-1]]
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        names.append(data.draw(st.sampled_from(keys)))
    place[names[-1]] = value
    payload = json.dumps(top, separators=(",", ":")).encode()
    try:
        found = read(payload)
    except MalformedError:
        return
    assert build(found) == payload
    assert dsse.read_json(payload)
