"""git itself: what its version cannot do, or does in a way that lets more pass than it says (`docs/doctor.md`)."""

from __future__ import annotations

from collections.abc import Iterator

from notme_git.doctor.facts import Facts, is_on
from notme_git.doctor.finding import Finding

SINCE = {"x509": (2, 19), "ssh": (2, 34)}
TRUST_FIXED = (2, 41)
"""7891e46585: up to 2.40 a signature without any word on trust passed every gpg.minTrustLevel."""
EXPIRED_GOOD = (2, 54)
"""90695bbdae: since then a good signature by an expired key makes verify-commit succeed."""


def check_version(facts: Facts) -> Iterator[Finding]:
    """Whether it has the format."""
    since, have = SINCE.get(facts.form, (0,)), facts.git.version
    if facts.mode != "none" and have < since:
        message = f"git {_text(have)} knows no {facts.form} signatures, which came with {_text(since)}"
        yield Finding("git-too-old", message, "install a newer git")


def check_trust(facts: Facts) -> Iterator[Finding]:
    """`gpg.minTrustLevel`, and who goes by git's own verdict at all."""
    level, version = facts.git.value("gpg.minTrustLevel").lower(), facts.git.version
    if facts.mode == "none":
        return
    if level and version < TRUST_FIXED:
        message = f"in git {_text(version)} a program's silence passes gpg.minTrustLevel={level} (ours is not silent)"
        yield Finding("git-trust-bug", message, "install git 2.41 or newer, or judge with notme-attest verify")
    if (level or is_on(facts.git.value("merge.verifySignatures"))) and version >= EXPIRED_GOOD:
        message = f"git {_text(version)} takes signatures by expired keys for good, other programs' among them"
        yield Finding("git-expired-good", message, "judge with notme-attest verify, which does not")
    if level in ("fully", "ultimate") and facts.form != "ssh":
        word = "FULLY only with a proven time" if level == "fully" else "FULLY at best"
        message = f"gpg.minTrustLevel is {level}, and git is told {word}"
        yield Finding("min-trust-level", message, "set it to marginal, and demand evidence with notme-attest verify",
                      "git config gpg.minTrustLevel marginal")  # fmt: skip


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
