"""What a protected ref demands beyond the policy: evidence of when a commit was signed (design D5)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from attest import policy
from attest.errors import Reason, Step
from attest.policy import Case, Policy, PolicyLike
from attest.types import StepStatus, Voucher

TIMED = Policy(require_time=Voucher.AUTHORITY)
"""The lowest evidence that whoever stole an agent's key cannot make once its certificate has ended."""


@dataclass(frozen=True, slots=True)
class Protected:
    """`inner`, and evidence of time from an authority or better wherever step 5 applies.

    It does not to a key without an end, such as a human's own: whether such keys count is `inner`'s to say.
    """

    inner: PolicyLike

    @property
    def name(self) -> str:
        """The policy's own, marked."""
        return f"{self.inner.name}, protected"

    @property
    def digest(self) -> bytes:
        """SHA-256 of what both say."""
        return hashlib.sha256(b"notme-protected-v1\n" + self.inner.digest).digest()

    @property
    def excuses(self) -> frozenset[Reason]:
        """What `inner` excuses."""
        return self.inner.excuses

    @property
    def follows(self) -> bool:
        """Whether `inner` does."""
        return self.inner.follows

    @property
    def anchors(self) -> frozenset[bytes] | None:
        """Those that `inner` counts."""
        return self.inner.anchors

    def decide(self, case: Case) -> str:
        """`inner`'s decision; `VerificationError` (step 8, `time-required`) without such evidence.

        Of a rewrite record's commits the evidence is seen where they are here, and only then is it followed.
        """
        rule = self.inner.decide(replace(case, through=tuple(each for each in case.through if each.seen)))
        found = case.examination.finding(Step.TIME)
        if found.status is not StepStatus.NOT_APPLICABLE:
            policy.check_time(TIMED, case.examination.timed)
        return rule
