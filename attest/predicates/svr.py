"""Simple Verification Result v0.2 (in-toto, spec/predicates/svr.md): the properties of an object that were proven.

Only passing properties are listed, and an object that was not accepted gets no statement: who asks for a property and
finds it missing, denies. The names are proposed by this project.
"""

from __future__ import annotations

from collections.abc import Iterator

from attest import statement
from attest.errors import Step
from attest.instants import text
from attest.predicates.facts import Facts, policy

PREDICATE_TYPE = "https://in-toto.io/attestation/svr/v0.2"

BRIDGE = "SIGNED_BY_BRIDGE_CERT"
KNOWN_KEY = "SIGNED_BY_KNOWN_KEY"
WHILE_VALID = "SIGNED_WHILE_VALID"
EPOCH = "EPOCH_CURRENT"
IDENTITY = "IDENTITY_MATCHES"
OWNER = "OWNER_BOUND"
POLICY = "POLICY_MET"


def build(facts: Facts) -> bytes | None:
    """The Statement; None for an object that was not accepted. Raises as `statement.check`."""
    statement.check(facts.examination, facts.verdict)
    if not facts.accepted:
        return None
    prefix = f"APAS_{facts.examination.kind.upper()}_"
    return statement.encode(
        [statement.subject(facts.examination, facts.repository, facts.ref)],
        PREDICATE_TYPE,
        {
            "verifier": {"id": facts.verifier_id, "policies": [policy(facts.verdict)]},
            "timeCreated": text(facts.at),
            "properties": [prefix + name for name in _properties(facts)],
        },
    )


def _properties(facts: Facts) -> Iterator[str]:
    if facts.proven(Step.OBJECT, Step.SIGNATURE, Step.INTEGRITY, Step.CHAIN):
        yield BRIDGE if facts.examination.chain is not None else KNOWN_KEY
        if facts.proven(Step.TIME):
            yield WHILE_VALID
        if facts.proven(Step.EPOCH):
            yield EPOCH
        if facts.proven(Step.IDENTITY):
            yield IDENTITY
        if facts.owner_bound:
            yield OWNER
    if facts.proven(Step.POLICY):
        yield POLICY
