from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import MalformedError
from notme_git import shim
from notme_git.daemon import protocol
from notme_git.daemon.protocol import HEAD_BYTES, MAX_FIELDS, MAX_MESSAGE_BYTES, NOT_OURS, Reply, Request

TEXT = st.binary(max_size=20).map(os.fsdecode)
REQUESTS = st.builds(
    Request,
    dialect=st.text(st.characters(codec="ascii"), max_size=20),
    argv=st.lists(TEXT, max_size=5).map(tuple),
    environ=st.dictionaries(TEXT, TEXT, max_size=4),
    cwd=TEXT,
    stdin=st.binary(max_size=100),
    files=st.dictionaries(TEXT, st.binary(max_size=50), max_size=3),
)
WHERE = st.sampled_from(["1", "2", "7", protocol.SIGNATURE_FILE])
REPLIES = st.builds(
    Reply,
    st.none() | st.integers(0, 255),
    st.lists(st.tuples(WHERE, st.binary(max_size=50)), max_size=4).map(tuple),
)
BODIES = st.binary(max_size=200) | st.recursive(
    st.binary(max_size=8), lambda inner: st.lists(inner, max_size=6).map(protocol.pack), max_leaves=20
)


def body(message: bytes) -> bytes:
    """What follows the head, which must announce exactly that."""
    assert protocol.body_length(message[:HEAD_BYTES]) == len(message) - HEAD_BYTES
    return message[HEAD_BYTES:]


@given(REQUESTS)
def test_a_request_arrives_as_it_was_sent(request_: Request) -> None:
    assert Request.decode(body(request_.encode())) == request_


@given(REPLIES)
def test_a_reply_arrives_as_it_was_sent(reply: Reply) -> None:
    assert Reply.decode(body(reply.encode())) == reply


@given(BODIES)
def test_any_bytes_are_malformed_or_a_request_that_is_read_again_the_same(data: bytes) -> None:
    try:
        found = Request.decode(data)
    except MalformedError:
        return
    assert Request.decode(body(found.encode())) == found


@given(BODIES)
def test_any_bytes_are_malformed_or_a_reply_that_is_read_again_the_same(data: bytes) -> None:
    try:
        found = Reply.decode(data)
    except MalformedError:
        return
    assert Reply.decode(body(found.encode())) == found


@given(BODIES)
def test_any_bytes_are_malformed_or_fields_that_pack_to_the_same_bytes(data: bytes) -> None:
    try:
        items = protocol.unpack(data)
    except MalformedError:
        return
    assert protocol.pack(items) == data


@given(REQUESTS, st.data())
def test_a_request_that_is_cut_off_is_malformed(request_: Request, data: st.DataObject) -> None:
    whole = body(request_.encode())
    with pytest.raises(MalformedError):
        Request.decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", "not a message"),
        (b"\1\0\0\0", "not a message"),
        (b"\1\0\0\0\0\0", "not a message"),
        (b"\0\0\0\0\0", "not a message"),
        (b"\2\0\0\0\0", "not a message"),
        (b"GET /", "not a message"),
        (b"\1" + (MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"), "at most"),
        (b"\1\xff\xff\xff\xff", "at most"),
    ],
    ids=["nothing", "too short", "too long", "version 0", "version 2", "HTTP", "one byte too many", "the most"],
)
def test_a_head_is_of_this_version_and_announces_no_more_than_is_read(head: bytes, why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        protocol.body_length(head)


def test_the_largest_message_that_is_read_may_be_announced() -> None:
    assert protocol.body_length(b"\1" + MAX_MESSAGE_BYTES.to_bytes(4, "big")) == MAX_MESSAGE_BYTES


def test_no_message_has_more_fields_than_are_read() -> None:
    assert len(protocol.unpack(bytes(4) * MAX_FIELDS)) == MAX_FIELDS
    with pytest.raises(MalformedError, match="too many fields"):
        protocol.unpack(bytes(4) * (MAX_FIELDS + 1))


@pytest.mark.parametrize("status", [b"", b"-1", b"1000", b"0x1", b" 1", b"OWN", "\u0661".encode()], ids=repr)
def test_a_status_is_an_exit_status_or_own(status: bytes) -> None:
    with pytest.raises(MalformedError, match="exit status"):
        Reply.decode(protocol.pack([status, b""]))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ([b"0"], "1 fields where 2"),
        ([b"0", b"", b""], "3 fields where 2"),
        ([b"0", protocol.pack([b"1"])], "no value"),
        ([b"0", protocol.pack([b"\xff", b""])], "goes nowhere"),
        ([b"0", b"\0\0\0"], "cut off"),
    ],
    ids=["one field", "three fields", "half an event", "an event for no descriptor", "a cut-off event"],
)
def test_a_reply_of_another_shape_is_malformed(fields: list[bytes], why: str) -> None:
    with pytest.raises(MalformedError, match=why):
        Reply.decode(protocol.pack(fields))


def test_a_dialect_is_ascii() -> None:
    with pytest.raises(MalformedError, match="ASCII"):
        Request.decode(protocol.pack([b"\xff", b"/", b"", b"", b"", b""]))


# -- the shim's own code for the same bytes


def test_the_shim_and_the_daemon_have_the_same_version_and_bounds() -> None:
    assert shim.VERSION == protocol.VERSION
    assert shim.LIMIT <= MAX_MESSAGE_BYTES


@given(st.lists(st.binary(max_size=20), max_size=10))
def test_the_shim_packs_and_unpacks_as_the_daemon_does(items: list[bytes]) -> None:
    assert shim._pack(items) == protocol.pack(items)
    assert shim._unpack(protocol.pack(items)) == items


def test_what_the_daemon_calls_not_ours_the_shim_passes_on() -> None:
    assert shim._unpack(body(NOT_OURS.encode())) == [b"own", b""]
