"""One code that the verifier prints, and what it takes to understand it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from attest.errors import Step
from attest.types import Severity


class Kind(enum.StrEnum):
    """What kind of word a code is."""

    REASON = "reason"
    """Why a step did not end *proven*. A policy decides on it."""
    CONTRADICTION = "contradiction"
    """Claim and proof do not agree. It has a severity, and fails no step."""
    REMARK = "remark"
    """Odd, but allowed."""


@dataclass(frozen=True, slots=True)
class Entry:
    """`steps` are where the code is found; contradictions and remarks are beside the steps that they name.

    `example` is a sentence as the program prints it, its hint behind `; ` where there is one; a remark is printed as
    its code alone and has none. `remedy` says what whoever meets it can do.
    """

    code: str
    kind: Kind
    steps: tuple[Step, ...]
    meaning: str
    remedy: str
    example: str = ""
    severity: Severity | None = None
