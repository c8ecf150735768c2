"""Whose rewrite records count: verifiers under a pinned anchor that the policy counts, and keys that were given.

Of verifiers as of signers the certificates of the profile alone that was asked for, if one was.
"""

from __future__ import annotations

from attest import attestation
from attest.attestation import Accepting, Credential
from attest.errors import MalformedError, Reason, Step, VerificationError
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
    try:
        who = Accepting(query.trusted, query.attesters, profile=query.profile)
        found = attestation.verify(stored.line, who, query.at)
    except VerificationError as error:
        if error.reason is not Reason.KEY_UNKNOWN:
            raise
        hint = "--attester-key FILE, in hooks notme.attesterKey, names the key of a verifier that counts"
        raise VerificationError(error.step, error.reason, error.message, hint=hint) from None
    if found.said.payload != stored.envelope.payload:
        raise MalformedError("the line holds two statements")
    by = found.by[0]
    counted = query.policy.anchors if query.policy is not None else None
    if by.credential is Credential.CERTIFICATE and counted is not None and by.anchor not in counted:
        # As for a commit's own signature: an authority that the policy does not count has no say by a record either.
        raise VerificationError(
            Step.POLICY, Reason.ANCHOR_UNKNOWN, f"the policy does not count the authority of {by.uri}, who signed it"
        )
    if by.credential is not Credential.KEY and by.uri != said.verifier:
        raise MalformedError(f"it names {said.verifier} as its verifier, and {by.uri} signed it")
    return said.verifier
