"""DSSE envelopes and the strict JSON they are read as: published vectors, every spelling, and any bytes."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import dsse, keys
from attest.dsse import Envelope, EnvelopeSignature
from attest.errors import MalformedError, VerificationError

# formats.md 10, vectors 1 and 5: seed, payload, signature as its emitter wrote it.
VECTORS = {
    "ley-line, base64url without padding": (
        bytes(range(1, 33)),
        "646d6be49d9f0048f94f67749eca3515",
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":".rsry-handoff-0.json","digest":{"sha256":'
        b'"eefc8488445e147de86d582c8f61504ce9ed3971a75c2595b0c2d8ff8c8b30b7"}}],"predicateType":'
        b'"https://rosary.dev/Handoff/v1","predicate":{"bead_id":"rosary-test","from_agent":"dev-agent","phase":0,'
        b'"summary":"Fixed the thing."}}',
        "GyM3MI_KILb9e9O-ySSYa1SWrtFulVlLwigwCLTZJz6P9P8jHHTSj7Ljk3wYzOriHyc-IOqdJ0e9h3oW9M98Cg",
    ),
    "ours, standard base64 with padding": (
        b"\x07" * 32,
        "324be2dea8bc44461b0233e51fa48902",
        b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"git+https://git.acme.example/app@refs/heads/'
        b'main","digest":{"gitCommit":"3a886afdf74a87318a0cd269fd8993bc933097cc"}}],"predicateType":'
        b'"https://example.invalid/commit-verification/v0.1","predicate":{}}',
        "z5uuUllgqcXXPH6FCDAm9aIz6g1/nT4+5Gw705GXQe3j43Ruei70InCqTuDYWeMkZZv7BBDeoVW3xkLeCTNBDw==",
    ),
}

STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"verification":{"verifier":{"id":"x"}}}}'
SELF_ATTESTED = STATEMENT.replace(b'"id":"x"', b'"id":"x","selfAttested":true')


def test_the_pre_authentication_encoding_is_the_one_of_the_specification() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_envelope_of_the_specification_is_read_and_its_signature_is_over_our_encoding() -> None:
    """DSSE 1.0.2, protocol.md, "Test Vectors". r and s are raw there; Sigstore, and so our envelopes, have DER."""
    key = EllipticCurvePublicNumbers(
        46950820868899156662930047687818585632848591499744589407958293238635476079160,
        5640078356564379163099075877009565129882514886557779369047442380624545832820,
        SECP256R1(),
    ).public_key()
    found = dsse.parse_envelope(
        b'{"payload":"aGVsbG8gd29ybGQ=","payloadType":"http://example.com/HelloWorld","signatures":[{"sig":'
        b'"A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}'
    )
    (signature,) = found.signatures
    public = keys.from_cryptography(key)
    keys.verify_p1363(public, signature.sig, dsse.pae(found.payload_type, found.payload))
    half = len(signature.sig) // 2
    r, s = (int.from_bytes(part) for part in (signature.sig[:half], signature.sig[half:]))
    der = replace(found, signatures=(EnvelopeSignature(encode_dss_signature(r, s)),))
    assert dsse.verify_envelope(der, [public]) == (public,)
    with pytest.raises(VerificationError):
        dsse.verify_envelope(replace(der, payload=b"hello World"), [public])


def test_the_pre_authentication_encoding_counts_bytes_of_utf8() -> None:
    assert dsse.pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


@pytest.mark.parametrize(("seed", "kid", "payload", "text"), VECTORS.values(), ids=list(VECTORS))
def test_a_published_signature_is_reproduced_and_read(seed: bytes, kid: str, payload: bytes, text: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    signature = key.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))
    url = "-" in text or "_" in text
    encode = base64.urlsafe_b64encode if url else base64.b64encode
    assert encode(signature).decode().rstrip("=") == text.rstrip("=")
    assert keys.from_cryptography(key.public_key()).key_id == kid
    body = encode(payload).decode()
    written = {
        "payload": body.rstrip("=") if url else body,
        "payloadType": dsse.PAYLOAD_TYPE,
        "signatures": [{"keyid": kid, "sig": text}],
    }
    envelope = dsse.parse_envelope(json.dumps(written).encode())
    assert envelope == Envelope(payload, dsse.PAYLOAD_TYPE, (EnvelopeSignature(signature, kid),))


def test_an_encoded_envelope_is_what_a_plain_json_writer_makes_of_it() -> None:
    envelope = Envelope(b"\xfb\xff\x00", 'type "é"', (EnvelopeSignature(b"\xff" * 64, "k\n"), EnvelopeSignature(b"1")))
    assert json.loads(envelope.encode()) == {
        "payload": "+/8A",
        "payloadType": 'type "é"',
        "signatures": [
            {"sig": base64.b64encode(b"\xff" * 64).decode(), "keyid": "k\n"},
            {"sig": "MQ==", "keyid": ""},
        ],
    }
    assert b"\n" not in envelope.encode()
    assert dsse.parse_envelope(envelope.encode()) == envelope


def test_no_key_id_an_empty_one_and_null_are_the_same() -> None:
    spelled = ('"keyid":"",', '"keyid":null,', "")
    found = {dsse.parse_envelope(b'{"payload":"","payloadType":"t","signatures":[{%b"sig":"AA"}]}' % each.encode())
             for each in spelled}  # fmt: skip
    assert found == {Envelope(b"", "t", (EnvelopeSignature(b"\0"),))}


def test_a_statement_may_name_its_predicate_in_the_type_of_the_payload() -> None:
    kinds = ("", ".vsa", ".test-result", ".spdx3.0")
    assert all(dsse.is_statement(f"application/vnd.in-toto{kind}+json") for kind in kinds)
    others = ("vnd.in-toto.vsa+dsse", "vnd.in-toto.+json", "vnd.in-toto.a/b+json", "vnd.in-totox+json", "json")
    assert not any(dsse.is_statement(f"application/{other}") for other in others)
    assert not dsse.is_statement("application/vnd.in-toto+json\n")


@pytest.mark.parametrize("text", ["-_8", "-_8=", "+/8", "+/8="])
def test_each_of_the_four_plain_spellings_of_base64_is_read(text: str) -> None:
    assert dsse.parse_envelope(envelope_json(sig=text)).signatures[0].sig == b"\xfb\xff"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("+_8=", id="both alphabets in one field"),
        pytest.param("-_9", id="trailing bits that are not zero"),
        pytest.param("-_ 8", id="a blank inside"),
        pytest.param("-_8\n", id="a line feed at the end"),
        pytest.param("-_8==", id="one padding sign too many"),
        pytest.param("A", id="a single sign"),
        pytest.param("AA=A", id="padding inside"),
        pytest.param("AAAA====", id="padding where none is due"),
        pytest.param("", id="nothing at all"),
        pytest.param("é123", id="a letter outside ASCII"),
        pytest.param(7, id="a number"),
        pytest.param(None, id="null"),
    ],
)
def test_any_other_base64_is_refused(text: object) -> None:
    with pytest.raises(MalformedError):
        dsse.parse_envelope(envelope_json(sig=text))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b'{"payload":"","payload":"","payloadType":"t","signatures":[{"sig":"AA"}]}', id="a key twice"),
        pytest.param(
            b'{"payload":"","payloadType":"t","signatures":[{"sig":"AA","keyid":"a","keyid":"b"}]}',
            id="a key twice, further in",
        ),
        pytest.param(b'{"payload":"","payloadType":"t","signatures":[{"sig":"AA"}],"x":NaN}', id="NaN"),
        pytest.param(b'{"payload":"","payloadType":"t","signatures":[{"sig":"AA"}],"x":-Infinity}', id="Infinity"),
        pytest.param(
            b'{"payload":"","payloadType":"t","signatures":[{"sig":"AA"}],"x":1e999}', id="a number too large"
        ),
        pytest.param(
            b'{"payload":"","payloadType":"t","signatures":[{"sig":"AA"}],"x":%b}' % (b"9" * 5000),
            id="an integer of 5000 digits",
        ),
        pytest.param(
            b'{"payload":"","payloadType":"t","signatures":[{"sig":"AA"}],"x":"\\ud800"}', id="half a surrogate pair"
        ),
        pytest.param(
            b'{"payload":"","payloadType":"t","signatures":[{"sig":"AA"}],"\\ud800":1}', id="half a pair as a key"
        ),
        pytest.param(b'{"payload":"","payloadType":"\xff","signatures":[{"sig":"AA"}]}', id="not UTF-8"),
        pytest.param('{"payload":"","payloadType":"t","signatures":[{"sig":"AA"}]}'.encode("utf-16"), id="UTF-16"),
        pytest.param(
            b'\xef\xbb\xbf{"payload":"","payloadType":"t","signatures":[{"sig":"AA"}]}', id="a byte order mark"
        ),
        pytest.param(b'{"payload":"","payloadType":"t","signatures":[{"sig":"AA"}]}{}', id="something after it"),
        pytest.param(b'{"payload":"","payloadType":"t","signatures":[]}', id="no signature"),
        pytest.param(b'{"payload":"","payloadType":"t"}', id="no list of signatures"),
        pytest.param(b'{"payload":"","payloadType":"t","signatures":{"sig":"AA"}}', id="signatures not a list"),
        pytest.param(b'{"payload":"","payloadType":"t","signatures":["AA"]}', id="a signature not an object"),
        pytest.param(b'{"payload":"","payloadType":"t","signatures":[{"keyid":"a"}]}', id="a signature without sig"),
        pytest.param(b'{"payload":"","payloadType":"t","signatures":[{"sig":"AA","keyid":1}]}', id="keyid a number"),
        pytest.param(b'{"payload":"","signatures":[{"sig":"AA"}]}', id="no payload type"),
        pytest.param(b'{"payloadType":"t","signatures":[{"sig":"AA"}]}', id="no payload"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"x":' * 65 + b"1" + b"}" * 65, id="65 objects deep"),
        pytest.param(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="a hundred thousand lists deep"),
        pytest.param(b'{"x":"' + b" " * dsse.MAX_JSON_BYTES + b'"}', id="more than a mebibyte"),
    ],
)
def test_json_that_two_readers_could_take_for_two_things_is_refused(document: bytes) -> None:
    with pytest.raises(MalformedError):
        dsse.parse_envelope(document)


def test_json_as_deep_as_the_bound_is_read() -> None:
    assert dsse.read_json(b'{"x":' * 63 + b'"y"' + b"}" * 63)


def test_unknown_fields_of_an_envelope_are_passed_over() -> None:
    document = json.loads(envelope_json())
    document["extension"] = {"kind": "x"}
    document["signatures"][0]["extension"] = {"kind": "x"}
    assert dsse.parse_envelope(json.dumps(document).encode()) == dsse.parse_envelope(envelope_json())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["AA==", "-_8"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["payload", "payloadType", "signatures", "sig", "keyid"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_any_bytes_give_the_documented_error_or_an_envelope_that_encodes_to_itself(data: bytes) -> None:
    try:
        envelope = dsse.parse_envelope(data)
    except MalformedError:
        return
    assert dsse.parse_envelope(envelope.encode()) == envelope


@given(
    st.builds(
        Envelope,
        st.binary(max_size=80),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.lists(
            st.builds(
                EnvelopeSignature,
                st.binary(min_size=1, max_size=70),
                st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
            ),
            min_size=1,
            max_size=4,
        ).map(tuple),
    )
)
@settings(derandomize=True, max_examples=200, deadline=None)
def test_every_envelope_is_read_back_as_it_was_written(envelope: Envelope) -> None:
    assert dsse.parse_envelope(envelope.encode()) == envelope


def envelope_json(**fields: object) -> bytes:
    signature = {"sig": "AA", **fields}
    payload = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    return json.dumps({"payload": payload, "payloadType": "t", "signatures": [signature]}).encode()
