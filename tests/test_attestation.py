"""One attestation of every kind: who signed it is told, and nobody counts who was not named."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import attestation, bundles, dsse, keys
from attest.attestation import Accepting, Credential
from attest.attester import KeyAttester, name_of, uri_of
from attest.dsse import Envelope, EnvelopeSignature
from attest.errors import Error, MalformedError, Reason, UnavailableError, VerificationError
from attest.foreign.roots import Roots
from attest.keyless.verify import Identity
from attest.keys import PublicKey
from attest.signing_key import SigningKey
from attest.trust import Trust
from attest.types import Voucher
from tests.forge import NOW, Forge
from tests.sigstoreforge import LATER, ROOT, Signing

OID = "1" * 40
STATEMENT = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"gitCommit": OID}}],
        "predicateType": "https://example.com/x",
        "predicate": {"verification": {"verifier": {"id": "https://ci.example/verifier"}}},
    }
).encode()
SELF_ATTESTED = STATEMENT.replace(b'"https://ci.example/verifier"', b'"x", "selfAttested": true')
PRIVATE = [Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3)]
KEYS: list[PublicKey] = [keys.from_cryptography(key.public_key()) for key in PRIVATE]


@pytest.fixture(scope="module")
def forge() -> Forge:
    return Forge()


def envelope(*signers: int, payload: bytes = STATEMENT, kind: str = dsse.PAYLOAD_TYPE) -> Envelope:
    message = dsse.pae(kind, payload)
    return Envelope(payload, kind, tuple(EnvelopeSignature(PRIVATE[n].sign(message), KEYS[n].key_id) for n in signers))


def of_key(number: int = 0, payload: bytes = STATEMENT) -> bytes:
    return KeyAttester(SigningKey(KEYS[number], PRIVATE[number]), "https://ci.example/verifier").sign(payload, NOW)


def test_a_verifier_under_a_pinned_anchor_counts_by_default(forge: Forge) -> None:
    found = attestation.verify(forge.bundle(STATEMENT).encode(), Accepting(forge.trusted), NOW)
    (by,) = found.by
    assert (by.credential, by.kind, found.voucher) == (Credential.CERTIFICATE, "verifier", Voucher.AUTHORITY)
    assert by.uri == "wimse://authority.example/verifier/verifier"
    assert found.time is not None
    assert found.said.about(OID) is not None


def test_a_bare_key_counts_where_it_is_named(forge: Forge) -> None:
    found = attestation.verify(of_key(), Accepting(forge.trusted, keys=(KEYS[1], KEYS[0])), NOW)
    assert [(by.credential, by.uri, by.key) for by in found.by] == [
        (Credential.KEY, uri_of(KEYS[0]), KEYS[0])
    ]
    assert found.time is None


def test_all_keys_that_were_named_and_signed_are_told() -> None:
    line = envelope(0, 1, 2).encode()
    found = attestation.verify(line, Accepting(Trust(()), keys=tuple(KEYS[:2])), NOW)
    assert {by.uri for by in found.by} == {uri_of(KEYS[0]), uri_of(KEYS[1])}


def test_a_key_that_signed_twice_is_one_attester() -> None:
    found = attestation.verify(envelope(0, 0).encode(), Accepting(Trust(()), keys=tuple(KEYS)), NOW)
    assert [by.uri for by in found.by] == [uri_of(KEYS[0])]


REFUSED: dict[str, tuple[Callable[[Forge], bytes], type[Error], str]] = {
    "a key that nobody named": (lambda _: of_key(2), VerificationError, "no key that was named"),
    "an envelope of something else": (
        lambda _: envelope(0, 1, kind="text/plain").encode(),
        MalformedError,
        "not an in-toto Statement",
    ),
    "a hint of another key": (
        lambda _: of_key().replace(name_of(KEYS[0]).encode(), name_of(KEYS[1]).encode(), 1),
        MalformedError,
        "not the key id",
    ),
    "a verifier of another authority": (
        lambda _: Forge(seed="other").bundle(STATEMENT).encode(),
        VerificationError,
        "anchor",
    ),
    "an agent about its own work": (
        lambda forge: forge.bundle(SELF_ATTESTED, forge.leaf(scopes=("sign:git", bundles.SCOPE))).encode(),
        VerificationError,
        "self-attested",
    ),
    "what a key's owner says is self-attested": (
        lambda _: envelope(0, 1, payload=SELF_ATTESTED).encode(),
        VerificationError,
        "self-attested",
    ),
    "without a time-stamp": (
        lambda forge: replace(forge.bundle(STATEMENT), timestamps=()).encode(),
        UnavailableError,
        "time unproven",
    ),
    "nothing": (lambda _: b"{}", MalformedError, "signatures is missing"),
}


@pytest.mark.parametrize(("make", "error", "said"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_count(
    forge: Forge, make: Callable[[Forge], bytes], error: type[Error], said: str
) -> None:
    accepting = Accepting(forge.trusted, keys=tuple(KEYS[:2]))
    with pytest.raises(error, match=said):
        attestation.verify(make(forge), accepting, NOW)


def test_an_agents_own_statement_is_read_where_that_was_asked_for(forge: Forge) -> None:
    line = forge.bundle(SELF_ATTESTED, forge.leaf(scopes=("sign:git", bundles.SCOPE))).encode()
    found = attestation.verify(line, Accepting(forge.trusted, agents=True), NOW)
    assert found.said.self_attested
    assert found.by[0].kind == "agent"


def test_an_identity_of_a_sigstore_instance_counts_where_it_is_named_under_the_root_named() -> None:
    line = Signing().line()
    trusted = Trust((), foreign=Roots(sigstore=ROOT))
    who = Identity("alice@example.com", "https://accounts.example.com")
    found = attestation.verify(line, Accepting(trusted, identities=(who,)), LATER)
    assert (found.by[0].credential, found.by[0].uri) == (Credential.SIGSTORE, who.uri)
    assert found.voucher is Voucher.INDEPENDENT
    with pytest.raises(VerificationError) as refused:
        attestation.verify(line, Accepting(trusted), LATER)
    assert refused.value.reason is Reason.ANCHOR_UNKNOWN
    with pytest.raises(VerificationError) as refused:
        attestation.verify(line, Accepting(trusted, identities=(replace(who, subject="x"),)), LATER)
    assert refused.value.reason is Reason.IDENTITY_UNEXPECTED
    with pytest.raises(VerificationError, match="no root of Sigstore"):
        attestation.verify(line, Accepting(Trust(()), identities=(who,)), LATER)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 1200), st.integers(0, 60))
def test_changed_lines_are_refused_or_say_the_same(new: bytes, at: int, cut: int) -> None:
    line = of_key()
    changed = line[:at] + new + line[at + cut :]
    try:
        found = attestation.verify(changed, Accepting(Trust(()), keys=(KEYS[0],)), NOW)
    except Error:
        return
    assert found.said.payload == STATEMENT


def test_the_payload_is_read_from_the_very_bytes_that_were_verified() -> None:
    top = json.loads(of_key())
    top["dsseEnvelope"]["payload"] = base64.b64encode(STATEMENT.replace(b"x", b"y")).decode()
    with pytest.raises(VerificationError):
        attestation.verify(json.dumps(top).encode(), Accepting(Trust(()), keys=tuple(KEYS)), NOW + timedelta(1))
