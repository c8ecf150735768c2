"""The one word that an audit has for each object: by whom it was signed so that it counts, or why it does not count."""

from __future__ import annotations

import enum

from attest.errors import Reason, Step
from attest.row import Row
from attest.types import Outcome, PrincipalKind, StepStatus


class Standing(enum.StrEnum):
    """Every object has exactly one; the order is the one in which charts stack them."""

    AGENT = "agent"
    """Accepted, signed by an AI agent."""
    HUMAN = "human"
    """Accepted, signed by a person."""
    PROGRAM = "program"
    """Accepted, signed by a workload, an organization or a verifier."""
    EXCUSED = "excused"
    """Accepted by a rule of the policy though nobody is proven to have signed it, such as unsigned history."""
    STRANGER = "stranger"
    """Signed by somebody whom nothing that was named vouches for."""
    UNCHECKED = "unchecked"
    """Something that was needed to check it was not there."""
    REJECTED = "rejected"
    """Signed, and a step failed or the policy says no."""
    UNSIGNED = "unsigned"
    """No signature, and no rule that excuses it."""


ACCEPTED = (Standing.AGENT, Standing.HUMAN, Standing.PROGRAM, Standing.EXCUSED)

STRANGE = frozenset(
    {Reason.ANCHOR_UNKNOWN, Reason.SIGNATURE_FOREIGN, Reason.SIGNATURE_UNKNOWN, Reason.KEY_UNKNOWN, Reason.TOOL_ABSENT}
)
"""Reasons that say nothing against a signature but that this verifier does not know who made it."""

_KINDS = {PrincipalKind.AGENT: Standing.AGENT, PrincipalKind.HUMAN: Standing.HUMAN}


def standing(row: Row) -> Standing:
    """Of a judged row."""
    if row.outcome in (Outcome.ACCEPTED, Outcome.ACCEPTED_TIME_UNPROVEN):
        who = row.identity
        return _KINDS.get(who.actor.kind, Standing.PROGRAM) if who is not None else Standing.EXCUSED
    if row.finding(Step.OBJECT).status is StepStatus.UNAVAILABLE:
        return Standing.UNCHECKED
    if row.format is None:
        return Standing.UNSIGNED if row.finding(Step.OBJECT).status is StepStatus.PROVEN else Standing.REJECTED
    if row.outcome is Outcome.COULD_NOT_CHECK:
        return Standing.UNCHECKED
    first = row.decisive
    return Standing.STRANGER if first is not None and first.reason in STRANGE else Standing.REJECTED
