"""Sigstore bundles: what is read, what a certificate in one proves, and that a bare key's names its key."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import bundles, canonical, dsse, keys, timestamp, trust
from attest.attester import KeyAttester
from attest.bundles import Bundle
from attest.dsse import EnvelopeSignature
from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.profile import Profile
from attest.signing_key import SigningKey
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

BARE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
STATEMENT = b'{"_type":"https://in-toto.io/Statement/v1","predicate":{"verification":{"verifier":{"id":"x"}}}}'
SELF_ATTESTED = STATEMENT.replace(b'"id":"x"', b'"id":"x","selfAttested":true')


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge()


@given(data=st.data())
@settings(derandomize=True, max_examples=300, deadline=None)
def test_a_bundle_with_a_changed_byte_is_refused_or_encodes_to_what_it_says(forge_bundle: Bundle, data: Any) -> None:
    written = bytearray(forge_bundle.encode())
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] = data.draw(st.integers(0, 255))
    try:
        bundle = bundles.parse_bundle(bytes(written))
    except MalformedError:
        return
    assert bundles.parse_bundle(bundle.encode()) == bundle


@pytest.fixture(scope="module")
def forge_bundle(forge: Forge) -> Bundle:
    return forge.bundle(STATEMENT)


def test_a_bundle_is_one_line_of_the_fields_in_their_order(forge: Forge) -> None:
    leaf = forge.verifier()
    response = timestamp.response(forge.token(b"signature"))
    bundle = bundles.assemble(STATEMENT, b"signature", certificate=leaf.der, timestamp_response=response, keyid="hint")
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
    assert bundles.parse_bundle(bundle.encode()) == bundle


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_a_chain_of_an_older_bundle_gives_its_leaf(forge_bundle: Bundle, version: str) -> None:
    document = json.loads(forge_bundle.encode())
    material = document["verificationMaterial"]
    document["mediaType"] = f"application/vnd.dev.sigstore.bundle+json;version={version}"
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate"), {"rawBytes": "AAAA"}]}
    assert bundles.parse_bundle(json.dumps(document).encode()) == forge_bundle


def test_log_entries_and_unknown_fields_of_a_bundle_are_passed_over(forge_bundle: Bundle) -> None:
    document = json.loads(forge_bundle.encode())
    document["verificationMaterial"]["tlogEntries"] = [{"logIndex": "1"}]
    document["more"] = 1
    assert bundles.parse_bundle(json.dumps(document).encode()) == forge_bundle


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
        bundles.parse_bundle(json.dumps(document).encode())


def test_a_verifiers_bundle_verifies_years_later(forge: Forge) -> None:
    proven = bundles.verify_bundle(forge.bundle(STATEMENT), forge.trusted, NOW + timedelta(days=1000))
    assert proven.payload == STATEMENT
    assert proven.signer.uri == "wimse://authority.example/verifier/verifier"
    assert proven.actor_kind is PrincipalKind.VERIFIER
    assert proven.issuer == "https://authority.example"
    assert proven.time == NOW + timestamp.ACCURACY
    assert not proven.self_attested


def test_an_agents_statement_about_its_own_work_verifies_and_is_flagged(forge: Forge) -> None:
    bundle = forge.bundle(SELF_ATTESTED, forge.leaf())
    proven = bundles.verify_bundle(bundle, forge.trusted, NOW)
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
    return bundles.assemble(STATEMENT, signature, certificate=leaf.der, timestamp_response=response)


def over_type(forge: Forge, payload_type: str) -> Bundle:
    leaf = forge.verifier()
    signature = leaf.sign(dsse.pae(payload_type, STATEMENT))
    response = timestamp.response(forge.token(signature))
    return bundles.assemble(
        STATEMENT, signature, certificate=leaf.der, timestamp_response=response, payload_type=payload_type
    )


def by(claims: Any, *scopes: str, payload: bytes = STATEMENT) -> Callable[[Forge, Bundle], Bundle]:
    def make(forge: Forge, _: Bundle) -> Bundle:
        return forge.bundle(payload, forge.leaf(claims, scopes=scopes))

    return make


@pytest.mark.parametrize("kind", ["application/vnd.in-toto.vsa+json", "application/vnd.in-toto+json"])
def test_a_statement_whose_payload_type_names_its_predicate_is_one(forge: Forge, kind: str) -> None:
    assert bundles.verify_bundle(over_type(forge, kind), forge.trusted, NOW).payload == STATEMENT


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
        bundles.verify_bundle(defect(forge, forge_bundle), forge.trusted, NOW + timedelta(hours=1))
    assert (caught.value.step, caught.value.reason) == (step, reason)


def test_a_bundle_without_a_time_stamp_could_not_be_checked(forge: Forge, forge_bundle: Bundle) -> None:
    with pytest.raises(UnavailableError) as caught:
        bundles.verify_bundle(replace(forge_bundle, timestamps=()), forge.trusted, NOW)
    assert caught.value.reason is Reason.TIME_UNPROVEN


def test_a_bundle_from_the_future_is_blamed_on_the_clock_here(forge: Forge, forge_bundle: Bundle) -> None:
    with pytest.raises(UnavailableError) as caught:
        bundles.verify_bundle(forge_bundle, forge.trusted, NOW - timedelta(hours=1))
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

    assert bundles.verify_bundle(forge_bundle, trusting(), NOW).payload == STATEMENT
    with pytest.raises(VerificationError) as caught:
        bundles.verify_bundle(forge_bundle, trusting(revoked), NOW)
    assert (caught.value.step, caught.value.reason) == (Step.EPOCH, Reason.REVOKED)


def test_without_an_anchor_no_bundle_verifies(forge_bundle: Bundle) -> None:
    with pytest.raises(VerificationError) as caught:
        bundles.verify_bundle(forge_bundle, Trust(anchors=()), NOW)
    assert caught.value.reason is Reason.ANCHOR_UNKNOWN


def test_an_interop_agent_can_attest_its_own_work_too() -> None:
    forge = Forge(Profile.INTEROP)
    leaf: Leaf = forge.leaf(AGENT, scopes=("sign:git",))
    assert bundles.verify_bundle(forge.bundle(SELF_ATTESTED, leaf), forge.trusted, NOW).self_attested


KEY = SigningKey(keys.from_cryptography(BARE.public_key()), BARE)


def test_the_bundle_of_a_bare_key_is_read_as_it_was_written() -> None:
    line = KeyAttester(KEY, "x:y", lambda *_: b"stamp").sign(STATEMENT, NOW)
    found = bundles.parse_key_bundle(line)
    assert found.encode() == line
    assert (found.timestamps, found.envelope.payload) == ((b"stamp",), STATEMENT)
    with pytest.raises(MalformedError, match="no certificate"):
        bundles.parse_bundle(line)


HINT = f"{MATERIAL}.publicKey.hint"


@pytest.mark.parametrize(
    "defect",
    [
        pytest.param(change(HINT, "SHA256:another"), id="a hint of another key"),
        pytest.param(change(HINT, ""), id="an empty hint"),
        pytest.param(change(HINT, ...), id="no hint"),
        pytest.param(change(HINT, 1), id="a hint that is a number"),
        pytest.param(change("dsseEnvelope.signatures.0.keyid", ...), id="a signature without a key id"),
        pytest.param(change(f"{MATERIAL}.publicKey", ...), id="no key"),
        pytest.param(change("mediaType", "application/json"), id="another media type"),
        pytest.param(lambda d: d["dsseEnvelope"]["signatures"].append(d["dsseEnvelope"]["signatures"][0]), id="two"),
    ],
)
def test_the_bundle_of_a_bare_key_with_a_defect_is_refused(defect: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(KeyAttester(KEY, "x:y").sign(STATEMENT, NOW))
    defect(document)
    with pytest.raises(MalformedError):
        bundles.parse_key_bundle(json.dumps(document).encode())


@pytest.mark.parametrize("version", [";version=0.1", ";version=0.2", ";version=0.3", ".v0.3"])
def test_the_bundle_of_a_bare_key_is_read_under_every_name_of_the_format(version: str) -> None:
    document = json.loads(KeyAttester(KEY, "x:y").sign(STATEMENT, NOW))
    name = "application/vnd.dev.sigstore.bundle"
    document["mediaType"] = f"{name}{version}+json" if version[0] == "." else f"{name}+json{version}"
    assert bundles.parse_key_bundle(json.dumps(document).encode()).envelope.payload == STATEMENT


@given(at=st.integers(0, 2000), new=st.binary(max_size=3), gone=st.integers(0, 5))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_any_bytes_are_refused_or_the_bundle_of_a_key_that_encodes_to_what_it_says(
    at: int, new: bytes, gone: int
) -> None:
    line = KeyAttester(KEY, "x:y").sign(STATEMENT, NOW)
    at %= len(line)
    try:
        found = bundles.parse_key_bundle(line[:at] + new + line[at + gone :])
    except MalformedError:
        return
    assert bundles.parse_key_bundle(found.encode()) == found
