"""What a rule demands beyond the facts: step 8.

Here stands the built-in policy, which knows no ref of its own: every signature by a pinned authority's
bridge certificate is accepted, the signer's word alone for its time included, with a warning. A caller
may demand better evidence of time, and says for which ref and repository an object is offered, because
git shows neither to the signer and certificates can be constrained to both (design D4).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeAlias

from attest import patterns
from attest.errors import Reason, Step, UnavailableError, VerificationError
from attest.evidence import RANK
from attest.types import Constraints, Evidence, Voucher

if TYPE_CHECKING:
    from attest.through import Through
    from attest.verify import Examination


@dataclass(frozen=True, slots=True)
class Context:
    """Where the judged object is offered: full ref name and repository address, None when not known.

    `git` says that git asks: it tells its verifying program neither, so that constraints are for others to check.
    """

    ref: str | None = None
    repository: str | None = None
    git: bool = False


Paths: TypeAlias = Callable[[], tuple[str, ...]]


def no_paths() -> tuple[str, ...]:
    """Where nobody can say what a commit changes."""
    raise UnavailableError(
        "which paths it changes is not known here", hint="ask over a repository", reason=Reason.CONTEXT_UNKNOWN
    )


@dataclass(frozen=True, slots=True)
class Case:
    """One examined object, offered somewhere, to be decided at one instant.

    `paths` gives what a commit changes against its first parent; it raises `UnavailableError` where nobody can say.
    `through` are the rewrite records about it.
    """

    examination: Examination
    context: Context
    at: datetime
    paths: Paths = no_paths
    through: tuple[Through, ...] = ()


class PolicyLike(Protocol):
    """What decides step 8: the built-in policy, or rules from a file."""

    @property
    def name(self) -> str:
        """What verdicts and statements call it."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of what it says."""

    @property
    def excuses(self) -> frozenset[Reason]:
        """What may have failed in steps 1 to 7 and still be asked about, because a rule may excuse it."""

    @property
    def follows(self) -> bool:
        """Whether a rule may accept a commit by a rewrite record."""

    @property
    def anchors(self) -> frozenset[bytes] | None:
        """The authorities that count, by SHA-256 of their keys (SPKI); None for all that the verifier pinned."""

    def decide(self, case: Case) -> str:
        """The name of the rule that accepts, empty where the policy has no rules.

        Raises `VerificationError` (step 8), or `UnavailableError` where something it needs cannot be known.
        """


@dataclass(frozen=True, slots=True)
class Policy:
    """`require_time`: the lowest voucher whose evidence of time is enough, or None for the signer's word."""

    require_time: Voucher | None = None
    max_bundle_age: timedelta | None = None

    @property
    def name(self) -> str:
        """What verdicts and statements call it."""
        return "builtin:default" if self == Policy() else f"builtin:{_text(self)}"

    @property
    def digest(self) -> bytes:
        """SHA-256 of the policy's text."""
        return hashlib.sha256(_text(self).encode()).digest()

    @property
    def excuses(self) -> frozenset[Reason]:
        """Nothing."""
        return frozenset()

    @property
    def follows(self) -> bool:
        """Never."""
        return False

    @property
    def anchors(self) -> frozenset[bytes] | None:
        """All."""
        return None

    def decide(self, case: Case) -> str:
        """Age of the bundle, evidence of time, and what the certificate itself is constrained to."""
        found = case.examination
        check_bundle_age(self, timedelta(seconds=found.bundle_age) if found.bundle_sequence else None)
        check_time(self, found.timed)
        if found.chain is not None and found.chain.leaf.claims is not None:
            check_constraints(found.chain.leaf.claims.constraints, case.context)
        return ""


@functools.lru_cache(maxsize=16)
def _text(policy: Policy) -> str:
    age = "any" if policy.max_bundle_age is None else f"{int(policy.max_bundle_age.total_seconds())}s"
    return f"require-time={policy.require_time or Voucher.SIGNER},max-bundle-age={age}"


def check_time(policy: Policy, found: Sequence[Evidence]) -> None:
    """`VerificationError` (step 8) when what proves the time (`Examination.timed`) is less than the policy requires."""
    wanted = policy.require_time
    if wanted is None or wanted is Voucher.SIGNER:
        return
    if not any(RANK[item.voucher] >= RANK[wanted] for item in found):
        raise VerificationError(
            Step.POLICY, Reason.TIME_REQUIRED, f"the policy requires evidence of time from {wanted} or better"
        )


def check_bundle_age(policy: Policy, age: timedelta | None) -> None:
    """`UnavailableError` when the trust bundle is older than the policy lets it be, or absent though an age is set."""
    limit = policy.max_bundle_age
    if limit is not None and (age is None or age > limit):
        raise UnavailableError(
            "the trust bundle is absent or older than the policy allows",
            hint="fetch the current bundle from the authority",
            reason=Reason.BUNDLE_STALE,
        )


def check_constraints(constraints: Constraints, context: Context) -> None:
    """The certificate's repository and branch patterns hold for the place the object is offered for."""
    if context.git and (constraints.repositories or constraints.branches):
        raise UnavailableError(
            "the certificate is constrained to a repository or branch, which git does not show",
            reason=Reason.UNSEEN,
        )
    _check(constraints.repositories, context.repository, "repository", "--repository ADDRESS")
    _check(constraints.branches, context.ref, "branch", "--ref REF")


def _check(allowed: Sequence[str], value: str | None, what: str, option: str) -> None:
    if not allowed:
        return
    if value is None:
        raise UnavailableError(
            f"the certificate is good for {what} {' or '.join(allowed)} only; it is not known where this is offered",
            hint=f"say it with {option}",
            reason=Reason.CONTEXT_UNKNOWN,
        )
    if not any(matches_ref(pattern, value) for pattern in allowed):
        raise VerificationError(
            Step.POLICY,
            Reason.CONSTRAINT_MISMATCH,
            f"the certificate is good for {what} {' or '.join(allowed)} only, not for {value}",
        )


def matches_ref(pattern: str, value: str) -> bool:
    """A branch goes by its short name too; a tag or another ref only by a pattern that spells `refs/` out."""
    if value.startswith("refs/") and not pattern.startswith("refs/"):
        return value.startswith("refs/heads/") and patterns.matches(pattern, value.removeprefix("refs/heads/"))
    return patterns.matches(pattern, value)
