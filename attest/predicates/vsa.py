"""SLSA verification summary v1 for source (slsa.dev, verification_summary; source track: verifying-source).

One of a range: that every commit of it was judged, by which statements, and what that amounts to for its tip. The
levels that are claimed here follow from the findings. A level of SLSA's own does not: whoever runs this as part of a
source control system, with what the source track demands of one, says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from attest import statement, store
from attest.dsse import MAX_JSON_BYTES
from attest.errors import Step, UnavailableError, UsageError
from attest.gitobject import ObjectKind
from attest.instants import text
from attest.predicates.facts import Facts, JsonObject, policy
from attest.shards import path_of

PREDICATE_TYPE = "https://slsa.dev/verification_summary/v1"

AGENT_COMMITS = "ORG_SOURCE_AGENT_COMMITS_ATTESTED"
HUMAN_BOUND = "ORG_SOURCE_HUMAN_PRINCIPAL_BOUND"

MAX_COMMITS = 3000
"""Each is an input attestation of some 280 bytes, and readers take one MiB."""

_LEVEL = re.compile(r"SLSA_SOURCE_LEVEL_[0-4]|SLSA_SOURCE_TWO_PARTY_REVIEWED|ORG_SOURCE_[A-Z0-9_]{1,80}")
_STRUCTURE = (Step.OBJECT, Step.SIGNATURE, Step.INTEGRITY, Step.CHAIN, Step.TIME, Step.IDENTITY)


@dataclass(frozen=True, slots=True)
class Part:
    """What one commit of the range adds. `stated` is SHA-256 of the bytes of the commit/v0.1 Statement about it."""

    object_id: str
    kind: str
    stated: bytes
    accepted: bool
    agent_attested: bool
    human_bound: bool
    policy: JsonObject = field(hash=False)

    @classmethod
    def of(cls, facts: Facts, stated: bytes) -> Part:
        """Of one judged commit; `stated` is the Statement. Raises as `statement.check`."""
        statement.check(facts.examination, facts.verdict)
        whole = facts.accepted and facts.examination.chain is not None and facts.proven(*_STRUCTURE)
        return cls(
            object_id=facts.examination.object_id,
            kind=facts.examination.kind,
            stated=hashlib.sha256(stated).digest(),
            accepted=facts.accepted,
            agent_attested=whole,
            human_bound=whole and facts.owner_bound,
            policy=policy(facts.verdict),
        )


def check_levels(levels: Sequence[str]) -> tuple[str, ...]:
    """Levels that the caller vouches for. Raises `UsageError` for what no source VSA may hold."""
    for level in levels:
        if not _LEVEL.fullmatch(level) or level in (AGENT_COMMITS, HUMAN_BOUND):
            raise UsageError(
                f"{level!r} is no level to claim",
                hint="SLSA_SOURCE_LEVEL_0 to _4, SLSA_SOURCE_TWO_PARTY_REVIEWED, or ORG_SOURCE_ and a name of your own",
            )
    if sum(level.startswith("SLSA_SOURCE_LEVEL_") for level in levels) > 1:
        raise UsageError("a summary names the highest level of SLSA alone")
    return tuple(dict.fromkeys(levels))


def build(
    parts: Sequence[Part],
    tip: str,
    *,
    verifier_id: str,
    repository: str | None,
    ref: str | None,
    at: datetime,
    levels: Sequence[str] = (),
) -> bytes:
    """The Statement about `tip`, the last of a range of judged commits.

    `levels` are the caller's (`check_levels`), claimed where all passed. Raises `UsageError` where the repository
    has no URI, which a summary must name, for too many commits, several policies, or a tip that is none of them.
    """
    repository = statement.check_uri(repository)
    if len(parts) > MAX_COMMITS:
        raise UsageError(f"a summary of {len(parts)} commits; at most {MAX_COMMITS}", hint="name a shorter range")
    kind = next((part.kind for part in parts if part.object_id == tip), "")
    if kind != ObjectKind.COMMIT:
        raise UsageError("a verification summary is about a commit, the last of a range", hint="name one tip, or A..B")
    passed = all(part.accepted for part in parts)
    about: JsonObject = {"digest": {"gitCommit": tip}}
    if ref is not None:
        # The specification has the first, source-tool reads and writes the second.
        about["annotations"] = {"sourceRefs": [ref], "source_refs": [ref]}
    payload = statement.encode(
        [about],
        PREDICATE_TYPE,
        {
            "verifier": {"id": verifier_id},
            "timeVerified": text(at),
            "resourceUri": statement.address(repository),
            "policy": _policy(parts),
            "inputAttestations": [_input(part, repository) for part in parts],
            "verificationResult": "PASSED" if passed else "FAILED",
            "verifiedLevels": [*levels, *_levels(parts)] if passed else ["FAILED"],
        },
    )
    if len(payload) > MAX_JSON_BYTES:
        raise UnavailableError(f"a summary of {len(payload)} bytes; at most {MAX_JSON_BYTES} are read")
    return payload


def _levels(parts: Sequence[Part]) -> list[str]:
    attested = [AGENT_COMMITS] if all(part.agent_attested for part in parts) else []
    return [*attested, *([HUMAN_BOUND] if all(part.human_bound for part in parts) else [])]


def _policy(parts: Sequence[Part]) -> JsonObject:
    first = parts[0].policy
    if any(part.policy != first for part in parts):
        raise UsageError(
            "the commits were judged by several policies, and a summary names one",
            hint="name a range within which the policy does not change, or one policy with --policy FILE",
        )
    return first


def _input(part: Part, repository: str) -> JsonObject:
    """Where the statement is kept, as a SPDX locator. The digest is of its bytes, the same in whatever envelope."""
    place = f"{statement.address(repository)}@{store.REF}#{path_of(part.object_id)}"
    return {"uri": place, "digest": {"sha256": part.stated.hex()}}
