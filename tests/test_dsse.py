from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import canonical, dsse, keys, timestamp, trust
from attest.dsse import Bundle, Envelope, EnvelopeSignature
from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.profile import Profile
from attest.trust import Trust
from attest.types import (
    BundleSignature,
    Epoch,
    PrincipalKind,
    Retirement,
    Revocation,
    RevocationKind,
    SignedTrustBundle,
    SignerRole,
    TrustBundle,
)
from tests.forge import AGENT, ALICE, NOW, VERIFIER, Forge, Leaf, named, sign

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


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge()


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


@given(data=st.data())
@settings(derandomize=True, max_examples=300, deadline=None)
def test_a_bundle_with_a_changed_byte_is_refused_or_encodes_to_what_it_says(forge_bundle: Bundle, data: Any) -> None:
    written = bytearray(forge_bundle.encode())
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] = data.draw(st.integers(0, 255))
    try:
        bundle = dsse.parse_bundle(bytes(written))
    except MalformedError:
        return
    assert dsse.parse_bundle(bundle.encode()) == bundle


@pytest.fixture(scope="module")
def forge_bundle(forge: Forge) -> Bundle:
    return forge.bundle(STATEMENT)


def test_a_bundle_is_one_line_of_the_fields_in_their_order(forge: Forge) -> None:
    leaf = forge.verifier()
    response = timestamp.response(forge.token(b"signature"))
    bundle = dsse.assemble(STATEMENT, b"signature", certificate=leaf.der, timestamp_response=response, keyid="hint")
    expected = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": base64.b64encode(leaf.der).decode()},
            "tlogEntries": [],
            "timestampVerificationData": {
                "rfc3161Timestamps": [{"signedTimestamp": base64.b64encode(response).decode()}]
            },
        },
        "dsseEnvelope": {
            "payload": base64.b64encode(STATEMENT).decode(),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": base64.b64encode(b"signature").decode(), "keyid": "hint"}],
        },
    }
    assert bundle.encode() == json.dumps(expected, separators=(",", ":")).encode()
    assert dsse.parse_bundle(bundle.encode()) == bundle


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_a_chain_of_an_older_bundle_gives_its_leaf(forge_bundle: Bundle, version: str) -> None:
    document = json.loads(forge_bundle.encode())
    material = document["verificationMaterial"]
    document["mediaType"] = f"application/vnd.dev.sigstore.bundle+json;version={version}"
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate"), {"rawBytes": "AAAA"}]}
    assert dsse.parse_bundle(json.dumps(document).encode()) == forge_bundle


def test_log_entries_and_unknown_fields_of_a_bundle_are_passed_over(forge_bundle: Bundle) -> None:
    document = json.loads(forge_bundle.encode())
    document["verificationMaterial"]["tlogEntries"] = [{"logIndex": "1"}]
    document["more"] = 1
    assert dsse.parse_bundle(json.dumps(document).encode()) == forge_bundle


def change(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    """A change of one field of a bundle's JSON; `...` removes it."""

    def apply(document: dict[str, Any]) -> None:
        at: Any = document
        *above, last = path.split(".")
        for name in above:
            at = at[int(name)] if isinstance(at, list) else at[name]
        if value is ...:
            del at[last]
        else:
            at[last] = value

    return apply


MATERIAL = "verificationMaterial"
STAMPS = f"{MATERIAL}.timestampVerificationData"


@pytest.mark.parametrize(
    "defect",
    [
        pytest.param(change("mediaType", "application/json"), id="another media type"),
        pytest.param(change("mediaType", ...), id="no media type"),
        pytest.param(change(f"{MATERIAL}.certificate", ...), id="no certificate"),
        pytest.param(change(f"{MATERIAL}.certificate", {}), id="an empty certificate"),
        pytest.param(change(f"{MATERIAL}.certificate.rawBytes", ""), id="no bytes in the certificate"),
        pytest.param(change(MATERIAL, {"publicKey": {"hint": "a"}}), id="a bare public key"),
        pytest.param(
            change(MATERIAL, {"x509CertificateChain": {"certificates": [{"rawBytes": "AAAA"}]}}), id="a chain in v0.3"
        ),
        pytest.param(change("dsseEnvelope", ...), id="no envelope"),
        pytest.param(change("dsseEnvelope.signatures", []), id="no signature"),
        pytest.param(change("dsseEnvelope.signatures", [{"sig": "AA"}, {"sig": "AA"}]), id="two signatures"),
        pytest.param(change(STAMPS, None), id="time-stamp data null"),
        pytest.param(change(f"{STAMPS}.rfc3161Timestamps", [{}]), id="a time-stamp without bytes"),
        pytest.param(
            change(f"{STAMPS}.rfc3161Timestamps", [{"signedTimestamp": "AA"}] * 5), id="more time-stamps than are read"
        ),
    ],
)
def test_a_bundle_with_a_defect_is_refused(forge_bundle: Bundle, defect: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(forge_bundle.encode())
    defect(document)
    with pytest.raises(MalformedError):
        dsse.parse_bundle(json.dumps(document).encode())


def test_a_verifiers_bundle_verifies_years_later(forge: Forge) -> None:
    proven = dsse.verify_bundle(forge.bundle(STATEMENT), forge.trusted, NOW + timedelta(days=1000))
    assert proven.payload == STATEMENT
    assert proven.signer.uri == "wimse://authority.example/verifier/verifier"
    assert proven.actor_kind is PrincipalKind.VERIFIER
    assert proven.issuer == "https://authority.example"
    assert proven.time == NOW + timestamp.ACCURACY
    assert not proven.self_attested


def test_an_agents_statement_about_its_own_work_verifies_and_is_flagged(forge: Forge) -> None:
    bundle = forge.bundle(SELF_ATTESTED, forge.leaf())
    proven = dsse.verify_bundle(bundle, forge.trusted, NOW)
    assert proven.self_attested
    assert proven.actor_kind is PrincipalKind.AGENT
    assert proven.issuer == ""


def other_signature(forge: Forge, bundle: Bundle) -> Bundle:
    """The same bundle with a good signature by another leaf of the same authority."""
    signature = forge.leaf().sign(dsse.pae(dsse.PAYLOAD_TYPE, bundle.envelope.payload))
    return replace(bundle, envelope=replace(bundle.envelope, signatures=(EnvelopeSignature(signature),)))


def signed_over_base64(forge: Forge, bundle: Bundle) -> Bundle:
    """The defect of an old emitter: the encoding over the payload's base64 text (formats.md 1.6)."""
    leaf = forge.verifier()
    signature = leaf.sign(dsse.pae(dsse.PAYLOAD_TYPE, base64.b64encode(bundle.envelope.payload)))
    response = timestamp.response(forge.token(signature))
    return dsse.assemble(STATEMENT, signature, certificate=leaf.der, timestamp_response=response)


def over_type(forge: Forge, payload_type: str) -> Bundle:
    leaf = forge.verifier()
    signature = leaf.sign(dsse.pae(payload_type, STATEMENT))
    response = timestamp.response(forge.token(signature))
    return dsse.assemble(
        STATEMENT, signature, certificate=leaf.der, timestamp_response=response, payload_type=payload_type
    )


def by(claims: Any, *scopes: str, payload: bytes = STATEMENT) -> Callable[[Forge, Bundle], Bundle]:
    def make(forge: Forge, _: Bundle) -> Bundle:
        return forge.bundle(payload, forge.leaf(claims, scopes=scopes))

    return make


HUMAN = named(AGENT, actor_kind=PrincipalKind.HUMAN, actor_name="alice", actor_email=ALICE.email, represented=None)
Defect = Callable[[Forge, Bundle], Bundle]

REFUSED: dict[str, tuple[Defect, Step, Reason]] = {
    "another payload under the same signature": (
        lambda _, b: replace(b, envelope=replace(b.envelope, payload=STATEMENT + b" ")),
        Step.INTEGRITY,
        Reason.SIGNATURE_INVALID,
    ),
    "another payload type under the same signature": (
        lambda _, b: replace(b, envelope=replace(b.envelope, payload_type="application/json")),
        Step.INTEGRITY,
        Reason.SIGNATURE_INVALID,
    ),
    "another leaf's signature": (other_signature, Step.INTEGRITY, Reason.SIGNATURE_INVALID),
    "a signature over base64 text": (signed_over_base64, Step.INTEGRITY, Reason.SIGNATURE_INVALID),
    "a certificate that is none": (
        lambda _, b: replace(b, certificate=b"0\x00"),
        Step.CHAIN,
        Reason.CERTIFICATE_INVALID,
    ),
    "a certificate of another authority with the same names": (
        lambda _, b: Forge().bundle(b.envelope.payload),
        Step.CHAIN,
        Reason.ANCHOR_UNKNOWN,
    ),
    "a time-stamp over another signature": (
        lambda f, b: replace(b, timestamps=(timestamp.response(f.token(b"other")),)),
        Step.TIME,
        Reason.TIMESTAMP_INVALID,
    ),
    "a time-stamp of another authority": (
        lambda _, b: replace(b, timestamps=(timestamp.response(Forge().token(b.envelope.signatures[0].sig)),)),
        Step.TIME,
        Reason.TIMESTAMP_INVALID,
    ),
    "a good time-stamp beside a bad one": (
        lambda f, b: replace(b, timestamps=(*b.timestamps, timestamp.response(f.token(b"other")))),
        Step.TIME,
        Reason.TIMESTAMP_INVALID,
    ),
    "a bare token where an answer belongs": (
        lambda f, b: replace(b, timestamps=(f.token(b.envelope.signatures[0].sig),)),
        Step.TIME,
        Reason.TIMESTAMP_INVALID,
    ),
    "a time-stamp after the certificate's end": (
        lambda f, b: f.bundle(b.envelope.payload, f.verifier(), at=NOW + timedelta(minutes=7)),
        Step.TIME,
        Reason.TIME_OUTSIDE_VALIDITY,
    ),
    "a payload that is no in-toto Statement": (
        lambda f, _: over_type(f, "application/json"),
        Step.OBJECT,
        Reason.OBJECT_MALFORMED,
    ),
    "a payload that is no JSON": (lambda f, _: f.bundle(b"{"), Step.OBJECT, Reason.OBJECT_MALFORMED),
    "a verifier without the scope": (by(VERIFIER, "sign:git"), Step.IDENTITY, Reason.SCOPE_MISSING),
    "an agent that marks nothing": (by(AGENT, "sign:git"), Step.IDENTITY, Reason.SCOPE_MISSING),
    "an agent with the verifier's scope that marks nothing": (
        by(AGENT, "sign:attestation"),
        Step.IDENTITY,
        Reason.SCOPE_MISSING,
    ),
    "an agent that may sign nothing": (by(AGENT, "other", payload=SELF_ATTESTED), Step.IDENTITY, Reason.SCOPE_MISSING),
    "a human's certificate": (by(HUMAN, "sign:attestation"), Step.IDENTITY, Reason.SCOPE_MISSING),
}


@pytest.mark.parametrize(("defect", "step", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_a_bundle_that_proves_nothing_is_refused(
    forge: Forge, forge_bundle: Bundle, defect: Defect, step: Step, reason: Reason
) -> None:
    with pytest.raises(VerificationError) as caught:
        dsse.verify_bundle(defect(forge, forge_bundle), forge.trusted, NOW + timedelta(hours=1))
    assert (caught.value.step, caught.value.reason) == (step, reason)


def test_a_bundle_without_a_time_stamp_could_not_be_checked(forge: Forge, forge_bundle: Bundle) -> None:
    with pytest.raises(UnavailableError) as caught:
        dsse.verify_bundle(replace(forge_bundle, timestamps=()), forge.trusted, NOW)
    assert caught.value.reason is Reason.TIME_UNPROVEN


def test_a_bundle_from_the_future_is_blamed_on_the_clock_here(forge: Forge, forge_bundle: Bundle) -> None:
    with pytest.raises(UnavailableError) as caught:
        dsse.verify_bundle(forge_bundle, forge.trusted, NOW - timedelta(hours=1))
    assert caught.value.reason is Reason.CLOCK_BEHIND


def test_a_revoked_verifier_no_longer_counts(forge: Forge, forge_bundle: Bundle) -> None:
    epoch = Epoch(
        number=1,
        root=forge.root.public_bytes(Encoding.DER),
        interop_root=b"",
        timestamp_certificates=(),
        began_at=0,
        retired_at=0,
        retirement=Retirement.CURRENT,
        compromised_at=0,
    )
    before = int((NOW - timedelta(days=1)).timestamp())
    uri = "wimse://authority.example/verifier/verifier"
    revoked = Revocation(kind=RevocationKind.PRINCIPAL, id=uri, at=before, reason="")

    def trusting(*revocations: Revocation) -> Trust:
        bundle = TrustBundle(
            version=1,
            authority_id="authority.example",
            sequence=1,
            issued_at=before,
            recovery_commitment=bytes(32),
            epochs=(epoch,),
            revocations=revocations,
        )
        signature = BundleSignature(
            role=SignerRole.CURRENT,
            spki=forge.trusted.anchors[0].key.spki,
            signature=sign(forge.root_key, trust.bundle_to_be_signed(bundle)),
        )
        signed = SignedTrustBundle(bundle=canonical.encode(bundle), signatures=(signature,))
        return trust.verify_bundle(canonical.encode(signed), forge.trusted.anchors)

    assert dsse.verify_bundle(forge_bundle, trusting(), NOW).payload == STATEMENT
    with pytest.raises(VerificationError) as caught:
        dsse.verify_bundle(forge_bundle, trusting(revoked), NOW)
    assert (caught.value.step, caught.value.reason) == (Step.EPOCH, Reason.REVOKED)


def test_without_an_anchor_no_bundle_verifies(forge_bundle: Bundle) -> None:
    with pytest.raises(VerificationError) as caught:
        dsse.verify_bundle(forge_bundle, Trust(anchors=()), NOW)
    assert caught.value.reason is Reason.ANCHOR_UNKNOWN


def test_an_interop_agent_can_attest_its_own_work_too() -> None:
    forge = Forge(Profile.INTEROP)
    leaf: Leaf = forge.leaf(AGENT, scopes=("sign:git",))
    assert dsse.verify_bundle(forge.bundle(SELF_ATTESTED, leaf), forge.trusted, NOW).self_attested


def envelope_json(**fields: object) -> bytes:
    signature = {"sig": "AA", **fields}
    payload = base64.b64encode(hashlib.sha256(b"").digest()).decode()
    return json.dumps({"payload": payload, "payloadType": "t", "signatures": [signature]}).encode()
