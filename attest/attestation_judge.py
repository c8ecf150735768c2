"""Attestations judged together: which of them count, and whether that is enough.

Each line is judged by itself: whose it is, what it is about, what it says, and whether its attester may say so. Each
type that is wanted needs as many different attesters as are asked for. Nothing that is there speaks against another
line, so leaving one out never makes anything acceptable: the set of what is accepted grows with the lines, and without
any it is empty. To take back what was attested is for epochs, revocations and the policy.

It is the same with what stands in a statement (in-toto's monotonic principle): a digest, a ref or a subject more hides
no other, what is required has to be there, and what a type has no place for is not looked at. The one field that speaks
against its statement is the mark that it is self-attested, which its own attester makes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from attest import attestation, attestation_types, keys, patterns
from attest.attestation import Accepting, Attestation, By, Credential
from attest.attestation_types import Place, Wanted
from attest.errors import Error, Reason, Step, UnavailableError, VerificationError
from attest.keyless.verify import Identity
from attest.policy import matches_ref
from attest.rules.model import Attesting
from attest.said import Said
from attest.types import Outcome

MAX_LINES = 100_000
"""That are looked at in one call; each costs a signature check or three."""

BUILT_IN = "built-in"


@dataclass(frozen=True, slots=True)
class Attesters:
    """Who may attest what. `rules` None is the built-in rule: whoever `accepting` names may attest everything.

    `anchors` are the SPKIs (SHA-256) of the authorities that the policy counts, None for all that are pinned.
    `threshold` is how many of them have to, by the built-in rule; the others say it themselves.
    """

    accepting: Accepting
    rules: tuple[Attesting, ...] | None = None
    threshold: int = 1
    anchors: frozenset[bytes] | None = None

    @classmethod
    def of_policy(
        cls, rules: Sequence[Attesting], accepting: Accepting, anchors: frozenset[bytes] | None = None
    ) -> Attesters:
        """Whom the policy names, and nobody else; `accepting` says under which anchors and roots.

        `anchors` are those that the policy counts (`Ruleset.anchors`).
        """
        spkis = dict.fromkeys(key for rule in rules for key in rule.keys)
        named = tuple(keys.parse_spki(base64.b64decode(key)) for key in spkis)
        people = dict.fromkeys(Identity(who.identity, who.issuer) for rule in rules for who in rule.sigstore)
        who = Accepting(accepting.trusted, named, named, tuple(people), accepting.agents, accepting.profile)
        return cls(who, tuple(rules), anchors=anchors)


@dataclass(frozen=True, slots=True)
class Item:
    """One line: the attestation, or why it does not count. `allowed` are its attesters under each rule, by URI."""

    found: Attestation | None
    error: Error | None
    allowed: tuple[tuple[str, frozenset[str]], ...] = ()

    @property
    def counts(self) -> bool:
        """Whether it counts for anything."""
        return self.error is None


@dataclass(frozen=True, slots=True)
class Judgement:
    """All lines, in their order, and the outcome. `missing` says what was wanted and is not there."""

    items: tuple[Item, ...]
    missing: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        """Accepted, rejected, or could not check: something is missing, and a line could not be told."""
        if not self.missing:
            return Outcome.ACCEPTED
        unknown = any(isinstance(item.error, UnavailableError) for item in self.items)
        return Outcome.COULD_NOT_CHECK if unknown else Outcome.REJECTED


def judge(
    lines: Iterable[bytes],
    attesters: Attesters,
    at: datetime,
    *,
    digest: str | None = None,
    types: Sequence[str] = (),
    wanted: Wanted = Wanted(),  # noqa: B008  # a frozen value
) -> Judgement:
    """Judge `lines` about what has `digest` (None: anything). One of each of `types` has to count.

    Without any, one of a type that states a result, or that a rule names.
    """
    items = tuple(_item(line, attesters, at, digest, types, wanted) for line in lines)
    asked: Sequence[str | None] = types or (None,)
    return Judgement(items, tuple(said for kind in asked if (said := _missing(items, attesters, kind))))


def _item(
    line: bytes, attesters: Attesters, at: datetime, digest: str | None, types: Sequence[str], wanted: Wanted
) -> Item:
    found: Attestation | None = None
    try:
        found = attestation.verify(line, attesters.accepting, at)
        places = attestation_types.places(found.said, digest, wanted)
        if types and found.said.predicate_type not in types:
            raise _refused("its type was not asked for", Reason.STATEMENT_INSUFFICIENT)
        attestation_types.verify(found.said, wanted)
        allowed = _allowed(found, attesters, places)
        return Item(found, None, allowed if types else _telling(found.said, allowed, attesters))
    except Error as error:
        return Item(found, error)


def _allowed(
    found: Attestation, attesters: Attesters, places: Sequence[Place]
) -> tuple[tuple[str, frozenset[str]], ...]:
    """The rules by which it counts, each with who of its attesters may say so; `VerificationError` without any."""
    if attesters.rules is None:
        rules: dict[str, frozenset[str]] = {BUILT_IN: frozenset(by.uri for by in found.by if _may_call(by, found.said))}
    else:
        rules = {rule.name: _by_rule(rule, found, places, attesters.anchors) for rule in attesters.rules}
    allowed = tuple((name, uris) for name, uris in rules.items() if uris)
    if not allowed:
        who = ", ".join(by.uri for by in found.by)
        raise _refused(f"{who} signed it, who may not attest this", Reason.ATTESTER_REFUSED)
    return allowed


def _telling(
    said: Said, allowed: tuple[tuple[str, frozenset[str]], ...], attesters: Attesters
) -> tuple[tuple[str, frozenset[str]], ...]:
    """The same where nobody asked for a type: one that states no result is no answer, unless a rule names it."""
    if said.predicate_type in attestation_types.WITH_RESULT:
        return allowed
    named = {rule.name for rule in attesters.rules or () if rule.predicates is not None}
    kept = tuple(each for each in allowed if each[0] in named)
    if not kept:
        hint = f"--type {said.predicate_type} asks for it"
        raise _refused("its type states no result, and was not asked for", Reason.STATEMENT_INSUFFICIENT, hint)
    return kept


def _may_call(by: By, said: Said) -> bool:
    """Whether a statement may name the verifier that it names. Whoever named a bare key vouches for its names, too."""
    return not said.verifier or said.verifier == by.uri or by.credential in (Credential.KEY, Credential.WITNESS)


def _by_rule(
    rule: Attesting, found: Attestation, places: Sequence[Place], anchors: frozenset[bytes] | None
) -> frozenset[str]:
    said = found.said
    if rule.predicates is not None and said.predicate_type not in rule.predicates:
        return frozenset()
    if not any(_within(rule, place) for place in places):
        return frozenset()
    return frozenset(by.uri for by in found.by if _is_of(rule, by, anchors) and _may_call_by(rule, by, said))


def _within(rule: Attesting, place: Place) -> bool:
    """Whether the rule reaches there. A place that is not named is nowhere: to leave it out opens nothing."""
    if rule.refs is not None and not any(matches_ref(pattern, ref) for pattern in rule.refs for ref in place.refs):
        return False
    if rule.repositories is None:
        return True
    return bool(place.repository) and any(patterns.matches(each, place.repository) for each in rule.repositories)


def _is_of(rule: Attesting, by: By, anchors: frozenset[bytes] | None) -> bool:
    if by.credential is Credential.CERTIFICATE:
        counts = anchors is None or by.anchor in anchors
        return counts and any(patterns.matches(pattern, by.uri) for pattern in rule.certificates)
    if by.credential is Credential.SIGSTORE:
        return by.uri in {Identity(who.identity, who.issuer).uri for who in rule.sigstore}
    return by.spki in rule.keys


def _may_call_by(rule: Attesting, by: By, said: Said) -> bool:
    if not said.verifier or said.verifier == by.uri:
        return True
    return any(patterns.matches(pattern, said.verifier) for pattern in rule.ids)


def _missing(items: Iterable[Item], attesters: Attesters, kind: str | None) -> str:
    """What is wanted and not there, in words; empty where there is enough."""
    thresholds = {rule.name: rule.threshold for rule in attesters.rules or ()} or {BUILT_IN: attesters.threshold}
    signed: dict[tuple[str, str], frozenset[str]] = {}
    for item in items:
        if item.found is None or not item.counts or kind not in (None, item.found.said.predicate_type):
            continue
        for name, uris in item.allowed:
            key = (name, item.found.said.predicate_type)
            signed[key] = signed.get(key, frozenset()) | uris
    if any(len(uris) >= thresholds[name] for (name, _), uris in signed.items()):
        return ""
    what = f" of type {kind}" if kind is not None else ""
    if not signed:
        return f"no attestation{what} counts"
    lacking, there = min((thresholds[name] - len(uris), len(uris)) for (name, _), uris in signed.items())
    return f"only {there} of {there + lacking} different attesters{what} that are wanted"


def _refused(message: str, reason: Reason, hint: str = "") -> VerificationError:
    return VerificationError(Step.POLICY, reason, message, hint=hint)
