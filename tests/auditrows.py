"""Rows of histories that nobody made, for the tests of what is counted over them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from attest.errors import Reason, Step
from attest.row import Row, Signer, SignerKind
from attest.types import (
    Assurance,
    Authentication,
    Contradiction,
    Evidence,
    Finding,
    Identity,
    Outcome,
    Principal,
    PrincipalKind,
    Severity,
    StepStatus,
    Voucher,
)

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW = int(AT.timestamp())
MINUTES = 300

PROVEN = tuple(Finding(step, StepStatus.PROVEN, "", "as it should be") for step in Step)


def human(name: str = "Alice Example", email: str = "alice@example.org") -> Principal:
    """A person who used a passkey."""
    return Principal(f"wimse://a.invalid/human/{email}", PrincipalKind.HUMAN, "", name, email, Authentication.PASSKEY)


def agent(name: str = "claude-code") -> Principal:
    """An agent of the same authority."""
    uri = f"wimse://a.invalid/agent/{name}"
    return Principal(uri, PrincipalKind.AGENT, name, name, f"{name}@a.invalid", Authentication.SELF_ASSERTED)


def acting(actor: Principal | None = None, represented: Principal | None = None) -> Identity:
    """Who signed, by default an agent for Alice."""
    by = actor or agent()
    behalf = represented or (human() if by.kind is PrincipalKind.AGENT else None)
    scopes, digest = ("sign:git",), b"\2" * 32
    return Identity(by, behalf, "g", digest, scopes, 1, Assurance.OTHER_USER, digest, False, None, ())


def signer(who: Identity | None, *, leaf: str = "ab" * 32, key: str = "SHA256:key", **changed: Any) -> Signer:
    """Of a certificate that lives for five minutes."""
    made = Signer(
        kind=SignerKind.BRIDGE,
        key=key,
        algorithm="ed25519",
        leaf_sha256=leaf,
        not_before=NOW,
        not_after=NOW + MINUTES,
        profile="notme",
        identity=who,
        root="root",
    )
    return replace(made, **changed)


def row(number: int = 0, *, date: int | None = NOW, who: Identity | None = None, **changed: Any) -> Row:
    """An accepted commit of an agent."""
    identity = who or acting()
    made = Row(
        object_id=f"{number:040x}",
        kind="commit",
        format="x509",
        integrity=True,
        signer=signer(identity),
        signing_time=date,
        author="claude-code <claude-code@a.invalid>",
        author_date=date,
        committer="claude-code <claude-code@a.invalid>",
        committer_date=date,
        tree="1" * 40,
        parents=(),
        subject="subject",
        findings=PROVEN,
        evidence=(Evidence(NOW, NOW + 1, Voucher.SIGNER, "s"), Evidence(NOW, NOW + 1, Voucher.AUTHORITY, "rfc3161")),
        outcome=Outcome.ACCEPTED,
    )
    return replace(made, **changed)


def failed(made: Row, step: Step, reason: Reason, *, status: StepStatus = StepStatus.FAILED) -> Row:
    """The same, but that one step did not end well."""
    bad = Finding(step, status, reason.value, f"step {int(step)} did not end well")
    findings = tuple(bad if each.step == step else each for each in made.findings)
    outcome = Outcome.REJECTED if status is StepStatus.FAILED else Outcome.COULD_NOT_CHECK
    return replace(made, findings=findings, outcome=outcome)


def unsigned(number: int = 0, **changed: Any) -> Row:
    """A commit without a signature."""
    bare = row(number, format=None, integrity=None, signer=None, signing_time=None, evidence=())
    later = [Finding(step, StepStatus.UNAVAILABLE, Reason.EARLIER_STEP, "not looked at") for step in list(Step)[2:]]
    missing = Finding(Step.SIGNATURE, StepStatus.FAILED, Reason.SIGNATURE_MISSING, "it has no signature")
    return replace(bare, findings=(PROVEN[0], missing, *later), outcome=Outcome.REJECTED, **changed)


def history(count: int, seed: str) -> Iterator[Row]:
    """Two years of some team, newest first: agents, people, an old key, what is unsigned, what is wrong."""
    dice = random.Random(seed)
    people = [human(), human("Bob & Söhne", "bob@example.org"), human("Chen Wei", "chen@example.org")]
    pairs = [acting(agent(name), each) for name in ("claude-code", "codex") for each in people]
    pairs += [acting(each) for each in people]
    job = Principal("wimse://a.invalid/job/1", PrincipalKind.WORKLOAD, "", "release job", "", Authentication.OIDC)
    pairs.append(acting(job))
    for number in range(count):
        date = NOW - number * (730 * 86_400 // count)
        who = dice.choices(pairs, [9, 4, 3, 3, 1, 2, 3, 2, 1, 2])[0]
        leaf = f"{number // 60 * 10 + pairs.index(who):064x}"
        made = row(number, date=date, who=who, parents=(f"{number + 1:040x}",))
        made = replace(made, signer=signer(who, leaf=leaf, key=f"SHA256:{leaf[-8:]}"))
        roll = dice.random() - 0.25 * (number / count)
        if roll < 0.1:
            names = ("Dana <dana@example.org>", "Eve <eve@example.net>", "Old Script <script@build.example>")
            made = unsigned(number, committer=dice.choice(names), committer_date=date, parents=made.parents)
        elif roll < 0.13:
            key = Signer(SignerKind.OPENPGP, f"B5690EEEBB95219{dice.randrange(3)}", "rsa4096", subject="GitHub")
            made = failed(replace(made, format="openpgp", signer=key), Step.CHAIN, Reason.SIGNATURE_FOREIGN)
        elif roll < 0.14:
            made = failed(made, Step.INTEGRITY, Reason.DIGEST_MISMATCH)
        elif roll < 0.15:
            made = failed(made, Step.EPOCH, Reason.BUNDLE_ABSENT, status=StepStatus.UNAVAILABLE)
        elif roll < 0.2:
            said = Contradiction("agent-signed-off", Severity.WARNING, "an agent added Signed-off-by: <b>Alice</b>")
            made = replace(made, contradictions=(said,))
        yield made
