"""What a statement of each type has to say before it counts for anything (the predicates' own specifications).

Only what says yes counts: a statement that says no, or nothing, is no ground to accept, and dropping one never makes
another count (in-toto's monotonic principle). Types without a result of their own are records: they count as made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from attest.errors import Reason, Step, VerificationError
from attest.predicates.provenance import PREDICATE_TYPE as PROVENANCE
from attest.predicates.svr import PREDICATE_TYPE as SVR
from attest.predicates.testresult import PREDICATE_TYPE as TEST_RESULT
from attest.predicates.vsa import PREDICATE_TYPE as VSA
from attest.repository import without_credentials
from attest.rewrites.model import Relation
from attest.rewrites.statement import PREDICATE_TYPE as REWRITE
from attest.said import VERIFIERS, Said, Subject
from attest.statement import PREDICATE_TYPE as COMMIT
from attest.types import Outcome
from attest.witnessed import PREDICATE_TYPE as WITNESS

PASSED = "PASSED"
STEPS = 8

_ACCEPTED = {Outcome.ACCEPTED.value: (PASSED,), Outcome.ACCEPTED_TIME_UNPROVEN.value: (PASSED, "UNKNOWN")}
"""Results that step 5 may have beside each outcome."""

_TRACK_LEVEL = re.compile(r"(SLSA_[A-Z]+_LEVEL_)([0-9])")
_REPOSITORIES = {VSA: "resourceUri", PROVENANCE: "repo_uri", WITNESS: "repository"}
"""Where in the predicate a type says of which repository it is."""

_PUSHED = {PROVENANCE: "branch", WITNESS: "ref"}
"""Where it says of which ref."""

_BEFORE_REVISION = re.compile(r"(?:[^/@]*://[^/]*/|[^/@]*@[^/:]*:)?[^@]*")
"""Of a SPDX locator: the user in a URL's authority, or of an address as scp has it, is part of the place."""
_RELATED = frozenset({Relation.SAME_TREE.value, Relation.PATCH_ID.value})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a statement is to show beside its type: levels or properties, for which repository and ref.

    The repository is named without credentials (`repository.without_credentials`).
    """

    levels: tuple[str, ...] = ()
    repository: str | None = None
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a subject was when it was stated: the repository's address, or empty, and refs."""

    repository: str
    refs: tuple[str, ...]


def verify(said: Said, wanted: Wanted) -> None:
    """`VerificationError` (step 8) where the statement says less than its type has to say, or than is wanted."""
    if said.predicate_type in VERIFIERS and not said.verifier:
        raise _less("it does not name its verifier")
    if (check := _CHECKS.get(said.predicate_type)) is not None:
        check(said, wanted)
    elif wanted.levels:
        raise _less(f"{said.predicate_type} states no levels")


def places(said: Said, digest: str | None, wanted: Wanted) -> tuple[Place, ...]:
    """Where it says that its subject with this digest was, narrowed to what is wanted.

    Of several subjects none lends another its refs. `VerificationError` where it is about something else (step 1), or
    about another place than is wanted (step 8).
    """
    subjects = said.about(digest)
    if not subjects:
        raise VerificationError(Step.OBJECT, Reason.OBJECT_ID_MISMATCH, "it is about something else")
    found = [Place(_repository(said, subject), _refs(said, subject)) for subject in subjects]
    if wanted.repository is not None:
        found = [place for place in found if place.repository == wanted.repository]
        if not found:
            raise _less(f"it is not about the repository {wanted.repository}")
    if wanted.ref is not None:
        found = [Place(place.repository, (wanted.ref,)) for place in found if wanted.ref in place.refs]
        if not found:
            raise _less(f"it is not about {wanted.ref}")
    return tuple(found)


def _repository(said: Said, subject: Subject) -> str:
    """Where the type says it, else of the subject; empty where it names none.

    Without `git+`, `@REVISION` and credentials, as `Wanted` has it.
    """
    field = _REPOSITORIES.get(said.predicate_type)
    name = said.at(field) if field is not None else subject.name
    found = _BEFORE_REVISION.match(name.removeprefix("git+")) if isinstance(name, str) else None
    return without_credentials(found[0]) if found else ""


def _refs(said: Said, subject: Subject) -> tuple[str, ...]:
    """Beside the subject, and where the type itself says it: source-tool did so alone at first."""
    field = _PUSHED.get(said.predicate_type)
    ref = said.at(field) if field is not None else None
    return (*subject.refs, ref) if isinstance(ref, str) and ref not in subject.refs else subject.refs


def result(said: Said) -> str | None:
    """What it says in a word or two, None of types that have no result."""
    if said.predicate_type == WITNESS:
        ref, new = said.at("ref"), said.at("new")
        oid = next(iter(new.values()), "") if isinstance(new, dict) else ""
        return f"{ref} came to {oid}" if oid else f"{ref} was deleted"
    path = {COMMIT: ("verification", "result"), VSA: ("verificationResult",), TEST_RESULT: ("result",)}
    value = said.at(*path[said.predicate_type]) if said.predicate_type in path else None
    return value if isinstance(value, str) else None


def _commit(said: Said, wanted: Wanted) -> None:
    """Result, outcome and the eight steps have to agree: a reader may look at any of them."""
    if wanted.levels:
        raise _less("a statement about one commit states no levels")
    outcome, steps = said.at("verification", "outcome"), said.at("verification", "steps")
    if said.at("verification", "result") != PASSED:
        raise _less("its result is not PASSED")
    if not isinstance(outcome, str) or outcome not in _ACCEPTED:
        raise _less("its outcome is not accepted")
    shown = [step if isinstance(step, dict) else {} for step in steps] if isinstance(steps, list) else []
    results = [step.get("result") for step in shown]
    if [step.get("number") for step in shown] != list(range(1, STEPS + 1)) or results[-1] != PASSED:
        raise _less("it does not show that all eight steps were taken and the policy was met")
    if results[Step.TIME - 1] not in (*_ACCEPTED[outcome], "NOT_APPLICABLE"):
        raise _less(f"its outcome is {outcome}, and step 5 is {results[Step.TIME - 1]}")


def _summary(said: Said, wanted: Wanted) -> None:
    """SLSA, `verification_summary.md`, "How to verify": result, then levels; who signed is known by now."""
    if said.at("verificationResult") != PASSED:
        raise _less("its result is not PASSED")
    if not isinstance(said.at("resourceUri"), str) or not isinstance(said.at("policy"), dict):
        raise _less("it does not say of which resource, or by which policy")
    _verify_listed(said.at("verifiedLevels"), wanted.levels, "level")


def _properties(said: Said, wanted: Wanted) -> None:
    if not said.at("properties"):
        raise _less("it states no property")
    _verify_listed(said.at("properties"), wanted.levels, "property")


def _test_result(said: Said, wanted: Wanted) -> None:
    if said.at("result") != PASSED:
        raise _less("its result is not PASSED")
    _verify_listed(said.at("passedTests"), wanted.levels, "passed test")


def _rewrite(said: Said, wanted: Wanted) -> None:
    """`docs/rewrites.md`: what has nothing in common, or was made of what was not accepted, leads nowhere."""
    if wanted.levels:
        raise _less("a rewrite record states no levels")
    relation = said.at("relation")
    if not isinstance(relation, str) or relation not in _RELATED:
        raise _less("by itself the commits have nothing in common")
    found = said.at("old")
    old = found if isinstance(found, list) else []
    outcomes = [each.get("outcome") if isinstance(each, dict) else None for each in old]
    if not outcomes or not all(isinstance(each, str) and each in _ACCEPTED for each in outcomes):
        raise _less("by itself not all of the commits were accepted that it was made from")


def _witness(said: Said, wanted: Wanted) -> None:
    """That a ref came to what it is about; where it went away from that, the statement is about what was left."""
    if wanted.levels:
        raise _less("a witness states no levels")
    new = said.at("new")
    came = new.items() if isinstance(new, dict) else ()
    if not any(isinstance(value, str) and said.about(f"{name}:{value}") for name, value in came):
        raise _less("it says that the ref went away from it")


_CHECKS: dict[str, Callable[[Said, Wanted], None]] = {
    COMMIT: _commit,
    VSA: _summary,
    SVR: _properties,
    TEST_RESULT: _test_result,
    REWRITE: _rewrite,
    WITNESS: _witness,
}


WITH_RESULT = frozenset({COMMIT, VSA, SVR, TEST_RESULT})
"""Types that say of an object whether it passed. Others tell what it is or what came of it, whatever that is worth."""


def _verify_listed(found: object, wanted: Sequence[str], what: str) -> None:
    held = [item for item in found if isinstance(item, str)] if isinstance(found, list) else []
    missing = [each for each in wanted if not any(_implies(one, each) for one in held)]
    if missing:
        raise _less(f"it states no {what} {missing[0]}")


def _implies(held: str, wanted: str) -> bool:
    """Whether it is that, or a higher level of the same track: a summary names the highest alone (SLSA 1.0)."""
    high, low = _TRACK_LEVEL.fullmatch(held), _TRACK_LEVEL.fullmatch(wanted)
    return held == wanted or bool(high and low and high[1] == low[1] and high[2] >= low[2])


def _less(message: str) -> VerificationError:
    return VerificationError(Step.POLICY, Reason.STATEMENT_INSUFFICIENT, message)
