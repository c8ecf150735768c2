"""Why a policy decides as it does: every rule in turn, and the first condition that keeps it from speaking."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attest.errors import Error, UnavailableError, VerificationError
from attest.policy import Case
from attest.report.text import printable
from attest.rules import conditions
from attest.rules.ancestry import Ancestry
from attest.rules.facts import Facts
from attest.rules.model import Rule
from attest.rules.ruleset import Ruleset, no_rule, unanswered, verify_rule


class Part(enum.StrEnum):
    """What a rule had to do with it."""

    SILENT = "does-not-speak"
    UNKNOWN = "cannot-be-answered"
    ACCEPTS = "accepts"
    REJECTS = "rejects"
    UNCHECKED = "could-not-check"
    AFTER = "comes-after"


@dataclass(frozen=True, slots=True)
class Line:
    """One rule. `condition` names what keeps it from speaking, `detail` says why it does what it does."""

    rule: str
    part: Part
    condition: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a policy makes of one case, were it asked. `error` is what `decide` raises, `rule` what it returns."""

    policy: str
    signer: str
    lines: tuple[Line, ...]
    rule: str = ""
    error: Error | None = None


def explain(rules: Ruleset, case: Case) -> Explanation:
    """Never raises what `decide` does: it is in the explanation."""
    facts = rules.facts(case)
    try:
        rules.verify_counts(facts)
    except VerificationError as error:
        return Explanation(rules.name, signer(facts), (), error=error)
    made = iter(rules.document.rules)
    lines: list[Line] = []
    for each in made:
        line, failure = _line(each, facts, rules.ancestry)
        lines.append(line)
        if line.part is not Part.SILENT:
            lines += [Line(later.name, Part.AFTER) for later in made]
            accepted = each.name if failure is None else ""
            return Explanation(rules.name, signer(facts), tuple(lines), accepted, failure)
    return Explanation(rules.name, signer(facts), tuple(lines), error=no_rule())


def _line(rule: Rule, facts: Facts, ancestry: Ancestry) -> tuple[Line, Error | None]:
    missed = conditions.miss(rule, facts, ancestry)
    if missed is not None:
        part, failure = (Part.SILENT, None) if missed.unknown is None else (Part.UNKNOWN, unanswered(rule, missed))
        return Line(rule.name, part, missed.condition, missed.detail), failure
    try:
        return Line(verify_rule(rule, facts), Part.ACCEPTS), None
    except VerificationError as error:
        return Line(rule.name, Part.REJECTS, "", error.message), error
    except UnavailableError as error:
        return Line(rule.name, Part.UNCHECKED, "", error.message), error


def signer(facts: Facts) -> str:
    """Who the policy takes it to be signed by, in a few words."""
    if facts.unsigned:
        return "nobody: it is not signed"
    who = facts.identity
    if who is None:
        return "nobody that is proven"
    named = ", ".join(sorted(facts.actors)) or f"{who.actor.id}, whom the policy does not name"
    behalf = ""
    if who.represented is not None:
        behalf = f" for {', '.join(sorted(facts.represented)) or who.represented.id}"
    return f"{facts.class_ or 'a signer of no class'} {named}{behalf}"


def text_lines(explained: Explanation) -> Iterator[str]:
    """For people."""
    yield f"policy {printable(explained.policy)}"
    yield f"signer {printable(explained.signer)}"
    for line in explained.lines:
        why = f"{line.condition}: {line.detail}" if line.condition else ""
        yield f"  rule {line.rule} {line.part.replace('-', ' ')}{f' ({printable(why)})' if why else ''}"
    if explained.error is not None:
        hint = f"; {explained.error.hint}" if explained.error.hint else ""
        yield f"  so: {printable(explained.error.message + hint)}"


def data(explained: Explanation) -> dict[str, Any]:
    """For programs."""
    error = explained.error
    return {
        "policy": explained.policy,
        "signer": explained.signer,
        "rule": explained.rule or getattr(error, "rule", "") or None,
        "rulesAccept": error is None,
        "reason": str(getattr(error, "reason", "") or "") or None,
        "detail": error.message if error is not None else None,
        "rules": [
            {
                "rule": line.rule,
                "part": str(line.part),
                "condition": line.condition or None,
                "detail": line.detail or None,
            }
            for line in explained.lines
        ],
    }
