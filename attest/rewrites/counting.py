"""Whose rewrite records count: verifiers under a pinned anchor, and keys that the verifier was given."""

from __future__ import annotations

from attest import attestation
from attest.attestation import Accepting, Credential
from attest.errors import MalformedError
from attest.query import Query
from attest.rewrites.reader import Stored


def verify(stored: Stored, object_id: str, query: Query) -> str:
    """The URI of the verifier that signed the record about the commit `object_id`, and whose word counts.

    A bare key goes by the name that its record gives; a certificate has to have it. Raises `VerificationError` or
    `UnavailableError`, and `MalformedError` for a record about another commit.
    """
    said = stored.rewrite
    if said.new.object_id != object_id:
        raise MalformedError(f"it is about {said.new.object_id}, another commit")
    found = attestation.verify(stored.line, Accepting(query.trusted, query.attesters), query.at)
    if found.said.payload != stored.envelope.payload:
        raise MalformedError("the line holds two statements")
    by = found.by[0]
    if by.credential is not Credential.KEY and by.uri != said.verifier:
        raise MalformedError(f"it names {said.verifier} as its verifier, and {by.uri} signed it")
    return said.verifier
