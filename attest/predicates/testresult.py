"""Test result v0.1 (in-toto, spec/predicates/test-result.md): the verification as one run of eight checks.

A step that is unavailable (time by the signer's word alone, design D5; epochs without a bundle) stands in no list: it
did not pass, not even with a warning, and who requires it finds it missing.
"""

from __future__ import annotations

from attest import statement
from attest.predicates.commit import STEP_NAMES
from attest.predicates.facts import Facts, policy
from attest.types import StepStatus

PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"


def build(facts: Facts) -> bytes:
    """The Statement, of what was rejected too. Raises as `statement.check`."""
    statement.check(facts.examination, facts.verdict)
    passed, failed = _named(facts, StepStatus.PROVEN), _named(facts, StepStatus.FAILED)
    return statement.encode(
        [statement.subject(facts.examination, facts.repository, facts.ref)],
        PREDICATE_TYPE,
        {
            "result": result_of(facts),
            "configuration": [policy(facts.verdict)],
            **({"passedTests": passed} if passed else {}),
            **({"failedTests": failed} if failed else {}),
        },
    )


def result_of(facts: Facts) -> str:
    """`PASSED`, `WARNED` or `FAILED`. A rule may excuse a step that failed; that is acceptance, and no pass."""
    if not facts.accepted:
        return "FAILED"
    passed = {StepStatus.PROVEN, StepStatus.NOT_APPLICABLE}
    return "PASSED" if all(f.status in passed for f in facts.verdict.findings.findings) else "WARNED"


def _named(facts: Facts, status: StepStatus) -> list[str]:
    return [STEP_NAMES[f.step - 1] for f in facts.verdict.findings.findings if f.status is status]
