"""What the parsers of foreign signatures give to the eight steps, and what they are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from attest.gitobject import Commit, PushCertificate, Tag
from attest.row import Signer
from attest.types import Evidence, Principal

ARMOUR_CMS = "armour-cms"
"""Remark: the armour is labelled CMS, as signet-git's was at first. git ends a walk at such a commit."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """Step 4 for a foreign signature: a root that the verifier named vouches for this signer.

    `addresses` are the e-mail addresses that it vouches for; where there are none, step 7 compares nothing.
    Validity is of what vouches (a certificate, or a line of allowed signers), unix seconds, None where unbounded.
    `evidence` is what time-stamps and logs inside of the signature prove about the time, the signer's word left out.
    """

    principal: Principal
    addresses: frozenset[str]
    root: str
    not_before: int | None = None
    not_after: int | None = None
    evidence: tuple[Evidence, ...] = ()
    remarks: tuple[str, ...] = ()


class ForeignSigned(Protocol):
    """A signature of step 2, strictly decoded, by a key or certificate that is not an authority's of ours."""

    @property
    def detail(self) -> str:
        """For the finding of step 2, e.g. `one SSH signature, ssh-ed25519`."""

    @property
    def value(self) -> bytes:
        """The signature proper, which time-stamps kept beside the object are over."""

    @property
    def signer(self) -> Signer:
        """What it says of itself. One and the same object for one and the same credential (cached)."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is odd about it, but allowed."""

    def verify_content(self, content: bytes) -> str:
        """Step 3: returns the key's name for the finding, or raises `VerificationError(Step.INTEGRITY, ...)`."""

    def verify_signer(self, parsed: Commit | Tag | PushCertificate | None) -> Vouched:
        """Step 4: who vouches for the signer.

        Raises `VerificationError(Step.CHAIN, ...)`: `SIGNATURE_FOREIGN` where no root of this kind was named,
        `KEY_UNKNOWN`, `KEY_REVOKED`, `CERTIFICATE_INVALID`; `UnavailableError(reason=TOOL_ABSENT)` where it cannot be
        asked.
        """

    def signing_time(self, parsed: Commit | Tag | PushCertificate | None) -> tuple[int, str] | None:
        """The signer's word on the time, unix seconds, and where it stands."""
