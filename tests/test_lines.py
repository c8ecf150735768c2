"""What a line is about, whoever made it."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from attest import dsse, lines
from attest.errors import MalformedError
from tests.statements import bare, bundle, envelope, payload, stamp, witness

OID = "ab12" + "0" * 36
LONG = "cd34" + "1" * 60
SOURCETOOL = Path(__file__).parent / "sourcetool" / "003aebff4ea3deee48675505e0d5302386a46081.jsonl"
"""A line that SLSA's source-tool wrote to `refs/notes/commits` of its own repository on 2025-06-21; the log's entries,
which nothing here looks at, are left out."""


@pytest.mark.parametrize("line", [bundle(OID), bare(OID), witness(OID), stamp(OID)], ids=["bundle", "bare", "w", "s"])
def test_every_kind_of_line_that_is_stored_says_what_it_is_about(line: bytes) -> None:
    assert lines.parse(line).about == (OID,)


def test_a_line_of_source_tool_is_read_as_it_was_signed() -> None:
    content = SOURCETOOL.read_bytes().rstrip(b"\n")
    line = lines.parse(content)
    assert line.about == (SOURCETOOL.stem,)
    assert line.said is not None
    assert line.said.predicate_type == "https://github.com/slsa-framework/slsa-source-poc/source-provenance/v1-draft"
    assert line.envelope is not None
    der = b64decode(json.loads(content)["verificationMaterial"]["certificate"]["rawBytes"])
    key = x509.load_der_x509_certificate(der).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    signed = dsse.pae(line.envelope.payload_type, line.envelope.payload)
    key.verify(line.envelope.signatures[0].sig, signed, ec.ECDSA(SHA256()))


@pytest.mark.parametrize(
    ("digest", "about"),
    [
        ({"gitCommit": OID}, OID),
        ({"gitTag": LONG}, LONG),
        ({"sha1": OID}, OID),
        ({"sha256": LONG, "gitCommit": OID, "gitTree": "0" * 40}, OID),
        ({"gitTree": OID}, OID),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_subject_is_named_by_the_object_that_is_meant(digest: dict[str, str], about: str) -> None:
    """`sha1` is how `gitsign show` names a commit; a tree beside a commit is one that others have as well."""
    assert lines.parse(envelope(payload(digest)).encode()).about == (about,)


def test_the_fixtures_of_gitsign_write_type_without_an_underscore() -> None:
    content = json.loads(payload({"sha1": OID}))
    content["type"] = content.pop("_type")
    assert lines.parse(envelope(json.dumps(content).encode()).encode()).about == (OID,)


def test_of_several_subjects_each_counts_once() -> None:
    subjects = [{"digest": {"gitCommit": oid}} for oid in (OID, LONG, OID)] + [{"digest": {"sha256": LONG}}]
    assert lines.parse(envelope(payload({}, subject=subjects)).encode()).about == (OID, LONG)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello", id="no JSON"),
        pytest.param(b"{}", id="no envelope"),
        pytest.param(bundle(OID) + b"\n", id="a line feed"),
        pytest.param(bundle(OID) * 2, id="two of them"),
        pytest.param(payload({"gitCommit": OID}), id="a statement that nobody signed"),
        pytest.param(b'{"dsseEnvelope":[]}', id="an envelope that is a list"),
        pytest.param(b'{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}', id="unsigned"),
        pytest.param(dsse.Envelope(payload({"gitCommit": OID}), "text/plain", envelope(b"").signatures).encode(),
                     id="another type of payload"),
        pytest.param(envelope(b"[]").encode(), id="a payload that is a list"),
        pytest.param(bundle(OID, _type="https://example.org/Statement"), id="another statement"),
        pytest.param(bundle(OID, subject=[]), id="no subject"),
        pytest.param(bundle(OID, subject=[{"digest": {"gitCommit": OID}}] * 1001), id="too many subjects"),
        pytest.param(bundle(OID.upper()), id="an id in capitals"),
        pytest.param(bundle(OID[:39]), id="an id that is cut short"),
        pytest.param(bundle(OID, subject=[{"digest": {"gitCommit": 1}}]), id="a number for an id"),
        pytest.param(bundle(OID, subject=["x", {"digest": []}, {}]), id="subjects of no form"),
        pytest.param(stamp(OID)[:-1], id="a broken time-stamp"),
        pytest.param(stamp(OID) + b" ", id="a time-stamp in another form"),
        pytest.param(b"x" * (lines.MAX_LINE_BYTES + 1), id="too long"),
    ],
)  # fmt: skip
def test_what_is_no_attestation_about_an_object_is_malformed(line: bytes) -> None:
    with pytest.raises(MalformedError):
        lines.parse(line)


@given(st.one_of(st.binary(max_size=300), st.builds(lambda at, new: bundle(OID)[:at] + new + bundle(OID)[at:],
                                                    st.integers(0, 400), st.binary(max_size=3))))  # fmt: skip
def test_any_bytes_are_malformed_or_a_line_that_is_kept_as_it_is(data: bytes) -> None:
    try:
        line = lines.parse(data)
    except MalformedError:
        return
    assert line.content == data
    assert line.about


def test_a_document_over_several_lines_becomes_one_with_the_same_signed_bytes() -> None:
    pretty = json.dumps(json.loads(bare(OID)), indent=2).encode() + b"\n"
    assert lines.parse(lines.one_line(pretty)).envelope == lines.parse(bare(OID)).envelope
    assert lines.one_line(bare(OID) + b"\n") == bare(OID)
