"""What every predicate is made from: one judged commit or tag, and who speaks of it."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attest.errors import Step
from attest.through import ACCEPTING, Through
from attest.types import Identity, PrincipalKind, StepStatus, Verdict
from attest.verify import Examination

if TYPE_CHECKING:
    from attest.foreign.smime import ForeignCms


JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """One verdict with its examination. `verifier_id` is the URI of who signs, `at` the time of the verdict.

    `repository` and `ref` say where the object was judged, None where that is not known. `records` are rewrite records
    that the acceptance rests on.
    """

    examination: Examination
    verdict: Verdict
    verifier_id: str
    repository: str | None
    ref: str | None
    at: datetime
    records: tuple[Through, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the policy accepts it; most predicates say nothing of anything else."""
        return self.verdict.outcome in ACCEPTING

    @property
    def identity(self) -> Identity | None:
        """Who signed for whom, where step 4 proved it."""
        return self.verdict.findings.identity

    def proven(self, *steps: Step) -> bool:
        """Whether each of these steps was proven: not merely tolerated, and not excused."""
        return all(self.verdict.findings.findings[step - 1].status is StepStatus.PROVEN for step in steps)

    @property
    def owner_bound(self) -> bool:
        """Whether a human stands behind it by the word of an authority: represented, or acting in person."""
        identity = self.identity
        if identity is None or self.examination.chain is None or not self.proven(Step.CHAIN, Step.IDENTITY):
            return False
        who = identity.represented or identity.actor
        return who.kind is PrincipalKind.HUMAN


def foreign_cms(examination: Examination) -> ForeignCms | None:
    """The CMS signature of gitsign or S/MIME, where it is one."""
    if examination.foreign is None:
        return None
    from attest.foreign.smime import ForeignCms

    return examination.foreign if isinstance(examination.foreign, ForeignCms) else None


def policy(verdict: Verdict) -> JsonObject:
    """The policy as a ResourceDescriptor: named by the digest of what it says (RFC 6920 section 3), not by its file."""
    digest = verdict.policy_sha256
    name = urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
    return {"uri": f"ni:///sha-256;{name}", "digest": {"sha256": digest.hex()}}
