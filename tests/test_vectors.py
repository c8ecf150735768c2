from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attest import certificate, trust, verify
from attest.certificate import Anchor
from attest.errors import Reason, VerificationError
from attest.gitobject import ObjectFormat, ObjectKind
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.trust import Trust
from attest.types import Finding, Outcome, StepStatus, Verdict, Voucher
from tests.vectors import generate
from tests.vectors.vector import Vector, parse

FILES = list(generate.files())
REFUSING = (
    {*Reason}
    - {Reason.TIME_UNPROVEN, Reason.BUNDLE_ABSENT, Reason.CLOCK_BEHIND}
    - {
        Reason.CONTEXT_UNKNOWN,
        Reason.BUNDLE_STALE,
    }
)

TIMELESS = ("8_time-required", "8_ssh-time-required", "6_retired-afterwards-and-no-stamp")
"""A policy that demands better evidence of time, and an epoch without evidence, speak of step 5 as well."""


@pytest.fixture(scope="module")
def made() -> dict[str, Vector]:
    return generate.generate()


def read(path: Path) -> Vector:
    return parse(path.stem, path.read_text("ascii"))


def trusted_by(vector: Vector) -> Trust:
    """The pinned anchor, and the bundle checked against it."""
    root = certificate.load_pem(vector.blocks["anchor"])[0]
    pinned = (Anchor.read(root, Profile(vector.headers["profile"])),)
    if "bundle" not in vector.blocks:
        return Trust(pinned)
    seen = int(vector.headers.get("seen", "0"))
    return trust.verify_bundle(vector.blocks["bundle"], pinned, minimum_sequence=seen)


def verdict_on(vector: Vector) -> Verdict:
    headers, trusted = vector.headers, trusted_by(vector)
    at = datetime.strptime(headers["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    demanded = Profile(headers["demand"]) if "demand" in headers else None
    if headers["object"] == "content":
        signature, content = vector.blocks["signature"], vector.blocks["object"]
        examination = verify.examine_signature(signature, content, trusted, at=at, profile=demanded)
    else:
        kind, fmt = ObjectKind(headers["object"]), ObjectFormat(headers["format"])
        examination = verify.examine(
            *(vector.blocks["object"], kind, fmt, headers["id"], trusted),
            at=at,
            profile=demanded,
            timestamps=[vector.blocks["timestamp"]] if "timestamp" in vector.blocks else [],
        )
    age = headers.get("max-bundle-age")
    policy = Policy(
        require_time=Voucher(headers["require-time"]) if "require-time" in headers else None,
        max_bundle_age=timedelta(seconds=int(age)) if age else None,
    )
    context = Context(ref=headers.get("ref"), repository=headers.get("repository"))
    return verify.judge(examination, policy, context, at=at)


def finding(vector: Vector) -> tuple[Finding, Verdict | None]:
    """The finding of the step that the vector is named after; a bundle that does not hold is one of step 6."""
    try:
        verdict = verdict_on(vector)
    except VerificationError as error:
        return Finding(
            step=int(error.step), status=StepStatus.FAILED, reason=str(error.reason), detail=error.message
        ), None
    return verdict.findings.findings[vector.step - 1], verdict


def test_there_are_vectors_for_every_step() -> None:
    assert {int(path.stem[0]) for path in FILES} == set(range(1, 9))
    assert len(FILES) >= 100


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_vector_ends_as_it_says(path: Path) -> None:
    vector = read(path)
    found, verdict = finding(vector)
    assert found.step == vector.step
    if vector.expect == "proven":
        assert (found.status, found.reason) == (StepStatus.PROVEN, "")
    else:
        assert found.status in (StepStatus.FAILED, StepStatus.UNAVAILABLE)
        assert found.reason == vector.expect
    if verdict is None:
        return
    earlier = verdict.findings.findings[: vector.step - 1]
    unproven = {f.step for f in earlier if f.status not in (StepStatus.PROVEN, StepStatus.NOT_APPLICABLE)}
    assert unproven <= ({5} if vector.name in TIMELESS else set())
    assert set(vector.headers.get("remarks", "").split()) == set(verdict.findings.remarks)
    refused = vector.expect in REFUSING
    assert (verdict.outcome is Outcome.REJECTED) == refused
    if vector.expect == "proven":
        assert verdict.outcome is Outcome.ACCEPTED


def test_the_vectors_on_disk_are_those_that_the_generator_writes(made: dict[str, Vector]) -> None:
    """Byte for byte, on any machine: keys and clock are fixed, and both signature schemes are deterministic."""
    assert {path.stem for path in FILES} == set(made)
    for path in FILES:
        assert path.read_text("ascii") == made[path.stem].encode(), path.stem


def test_a_vector_is_read_back_as_it_was_written(made: dict[str, Vector]) -> None:
    for vector in made.values():
        again = parse(vector.name, vector.encode())
        assert (dict(again.headers), dict(again.blocks)) == (dict(vector.headers), dict(vector.blocks))
