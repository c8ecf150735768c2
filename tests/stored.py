"""Values of every stored type, for the tests of their encoding: one rich example each, and any at all."""

from __future__ import annotations

import dataclasses
import enum
import types as builtin
import typing
from typing import Any

from hypothesis import strategies as st

from attest import types
from attest.types import (
    Assurance,
    Authentication,
    BundleSignature,
    CiClaim,
    Constraints,
    Contradiction,
    Epoch,
    Evidence,
    Finding,
    Findings,
    Grant,
    Identity,
    Outcome,
    Principal,
    PrincipalKind,
    Retirement,
    Revocation,
    RevocationKind,
    Severity,
    SignedTrustBundle,
    SignerRole,
    StepStatus,
    TrustBundle,
    Verdict,
    Voucher,
)

CLASSES: tuple[type, ...] = (
    BundleSignature, CiClaim, Constraints, Contradiction, Epoch, Evidence, Finding, Findings, Grant, Identity,
    Principal, Revocation, SignedTrustBundle, TrustBundle, Verdict,
)  # fmt: skip

WIDTHS = {"step": 8, "delegation_depth": 8, "version": 16, "number": 32, "epoch": 32}
"""Bits of the number fields that have fewer than 64."""

AGENT = Principal(
    "wimse://a.invalid/agent/claude-code",
    PrincipalKind.AGENT,
    "claude-code",
    "claude-code",
    "claude-code@a.invalid",
    Authentication.SELF_ASSERTED,
)
HUMAN = Principal(
    "wimse://a.invalid/human/1", PrincipalKind.HUMAN, "", "Zoë Example", "zoe@example.org", Authentication.OWN_KEY
)
LIMITS = Constraints(("https://git.example.org/**",), ("main", "", "release/*"))
GRANT = Grant(1, "g-1", AGENT, HUMAN, ("sign:git",), 1_800_000_000, 1_800_086_400, LIMITS, 2, "nightly work")
RETIRED = Epoch(1, b"root", b"", (b"tsa", b"", b"tsa-interop"), 5, 9, Retirement.COMPROMISE, 8)
CURRENT = Epoch(2**32 - 1, b"root 2", b"interop", (), 9, 0, Retirement.CURRENT, 0)
REVOKED = Revocation(RevocationKind.CERTIFICATE, "ab" * 32, 7, "lost")
BUNDLE = TrustBundle(1, "a", 2**64 - 1, 10, b"\7" * 32, (RETIRED, CURRENT), (REVOKED,))
SIGNED = SignedTrustBundle(
    b"bundle",
    (BundleSignature(SignerRole.CURRENT, b"k" * 44, b"s" * 64), BundleSignature(SignerRole.RECOVERY, b"", b"")),
)
SCOPES = ("sign:git", "bridgeCert")
JOB = (CiClaim("buildTrigger", "push"), CiClaim("sourceRepositoryRef", ""))
IDENTITY = Identity(AGENT, HUMAN, "g-1", b"\1" * 32, SCOPES, 3, Assurance.OTHER_USER, b"\2" * 32, True, AGENT, JOB)
STEPS = tuple(
    Finding(step, status, "time-unproven" if status is not StepStatus.PROVEN else "", "what was found")
    for step, status in zip(range(1, 9), list(StepStatus) * 2, strict=True)
)
TIMES = (Evidence(0, 0, Voucher.SIGNER, ""), Evidence(5, 6, Voucher.INDEPENDENT, "rekor"))
SAYS = (Contradiction("agent-signed-off", Severity.WARNING, "an agent added Signed-off-by"),)
FOUND = Findings(1, "sha1", "0" * 40, "commit", STEPS, TIMES, IDENTITY, "notme", ("one", "two"), SAYS)
VERDICT = Verdict(FOUND, Outcome.COULD_NOT_CHECK, "default", b"\3" * 32, 2**33, 4, 60, ("late",), "main")

EXAMPLES: tuple[Any, ...] = (
    AGENT, LIMITS, GRANT, RETIRED, REVOKED, BUNDLE, SIGNED, SIGNED.signatures[0], IDENTITY, JOB[0], STEPS[1], TIMES[1],
    SAYS[0], FOUND, VERDICT,
)  # fmt: skip

TEXTS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
DATAS = st.binary(max_size=20)


def of_class(cls: type) -> st.SearchStrategy[Any]:
    """Any instance of a generated class, from its annotations alone."""
    hints = typing.get_type_hints(cls, vars(types))
    fields = [field.name for field in dataclasses.fields(cls)]
    return st.builds(cls, **{name: _of_hint(name, hints[name]) for name in fields})


def values() -> st.SearchStrategy[Any]:
    """Any instance of any generated class."""
    return st.sampled_from(CLASSES).flatmap(of_class)


def _of_hint(name: str, hint: Any) -> st.SearchStrategy[Any]:
    if typing.get_origin(hint) is tuple:
        element = typing.get_args(hint)[0]
        lists = st.lists(_of_hint("", element), max_size=3).map(tuple)
        # Elements that hold only defaults cannot be stored where all of them do.
        return lists.filter(lambda found: not found or any(map(_says_something, found)))
    if typing.get_origin(hint) is builtin.UnionType:
        return st.none() | of_class(typing.get_args(hint)[0])
    if dataclasses.is_dataclass(hint):
        return of_class(typing.cast("type", hint))
    if issubclass(hint, enum.Enum):
        return st.sampled_from(list(hint))
    largest = 2 ** WIDTHS.get(name, 64) - 1
    numbers = st.sampled_from([0, largest]) | st.integers(0, largest)
    found: st.SearchStrategy[Any] = {
        bool: st.booleans(),
        int: numbers,
        str: TEXTS,
        bytes: DATAS,
    }[hint]
    return found


def _says_something(value: Any) -> bool:
    """Whether an element is a text or blob, or a struct with a field that is not its default."""
    if not dataclasses.is_dataclass(value):
        return True
    fields = (getattr(value, field.name) for field in dataclasses.fields(value))
    return any(list(type(item)).index(item) if isinstance(item, enum.Enum) else item for item in fields)
