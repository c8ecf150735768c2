"""Records among whatever else is stored about a commit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from attest import bundles, dsse, stamps
from attest.rewrites import reader
from attest.rewrites.statement import build
from tests.test_rewrites_statement import RECORD


def line(payload: bytes) -> bytes:
    envelope = dsse.Envelope(payload, dsse.PAYLOAD_TYPE, (dsse.EnvelopeSignature(b"s"),))
    return bundles.KeyBundle((), envelope).encode()


def test_only_records_are_found_and_each_goes_by_the_digest_of_its_statement() -> None:
    stamp = stamps.encode("a" * 40, b"token")
    lines = [b"{", stamp, line(b"{}"), line(build(RECORD)), line(build(RECORD) + b" ")]
    (found,) = reader.of_lines(lines)
    assert found.rewrite == RECORD
    assert len(found.sha256) == 64


def test_no_more_than_so_many_are_looked_at() -> None:
    assert len(list(reader.of_lines([line(build(RECORD))] * (reader.MAX_RECORDS + 5)))) == reader.MAX_RECORDS


@given(st.lists(st.binary(max_size=60) | st.text(max_size=30).map(lambda text: line(text.encode("utf-8", "replace")))))
def test_any_lines_are_passed_over(lines: list[bytes]) -> None:
    assert list(reader.of_lines(lines)) == []
