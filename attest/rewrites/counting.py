"""Whose rewrite records count: verifiers under a pinned anchor, and keys that the verifier was given."""

from __future__ import annotations

from attest import dsse, keys
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.query import Query
from attest.rewrites.reader import Stored


def verify(stored: Stored, object_id: str, query: Query) -> str:
    """The URI of the verifier that signed the record about the commit `object_id`, and whose word counts.

    Raises `VerificationError` or `UnavailableError`, and `MalformedError` for a record about another commit.
    """
    said = stored.rewrite
    if said.new.object_id != object_id:
        raise MalformedError(f"it is about {said.new.object_id}, another commit")
    top = dsse.read_json(stored.line)
    if isinstance(material := top.get("verificationMaterial"), dict) and "publicKey" in material:
        _verify_key(stored, query)
        return said.verifier
    bundle = dsse.parse_bundle(stored.line)
    verified = dsse.verify_bundle(bundle, query.trusted, query.at)
    if verified.payload != stored.envelope.payload:
        raise MalformedError("the line holds two statements")
    if verified.self_attested:
        raise MalformedError("it is self-attested: signed by an agent, not by a verifier")
    if verified.signer.uri != said.verifier:
        raise MalformedError(f"it names {said.verifier} as its verifier, and {verified.signer.uri} signed it")
    return said.verifier


def _verify_key(stored: Stored, query: Query) -> None:
    envelope = stored.envelope
    message = dsse.pae(envelope.payload_type, envelope.payload)
    for key in query.attesters:
        for made in envelope.signatures:
            try:
                keys.verify_signature(key, made.sig, message)
            except VerificationError:
                continue
            return
    raise VerificationError(Step.INTEGRITY, Reason.KEY_UNKNOWN, "no key that counts as a verifier's signed it")
