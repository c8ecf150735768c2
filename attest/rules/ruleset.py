"""A policy in force: the first rule whose conditions hold decides (step 8).

Whatever the rules say, these come first: formats and anchors that the policy does not count are refused, and what
the certificate itself is constrained to is held against the place the object is offered for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from attest import policy
from attest.errors import Reason, Step, UnavailableError, VerificationError
from attest.policy import Case
from attest.repository import Repository
from attest.rules import conditions, demands, directory
from attest.rules.ancestry import Ancestry
from attest.rules.directory import Directory
from attest.rules.document import parse
from attest.rules.facts import Facts
from attest.rules.model import Document, Effect, Rule
from attest.trust import Trust

NOWHERE = Ancestry()

UNCOUNTED = frozenset(
    {Reason.SIGNATURE_MISSING, Reason.SIGNATURE_FOREIGN, Reason.ANCHOR_UNKNOWN, Reason.KEY_UNKNOWN}
)
"""A signature that says nothing here, such as a forge's: by these a commit is as good as unsigned."""


@dataclass(frozen=True)
class Ruleset:
    """A policy that `attest.verify.judge` can be given (`policy.PolicyLike`).

    `title` says where it came from. `anchors` are the SPKIs that count, where the policy names some: with those of
    later epochs once it is bound to what the verifier goes by.
    """

    document: Document
    title: str = "policy.toml"
    ancestry: Ancestry = NOWHERE
    anchors: frozenset[bytes] | None = None

    @classmethod
    def read(cls, data: bytes, title: str) -> Ruleset:
        """From the bytes of a policy file. Raises `MalformedError`."""
        document = parse(data)
        named = f"{document.name} ({title})" if document.name else title
        return cls(document, named, NOWHERE, document.anchors)

    @property
    def name(self) -> str:
        """What verdicts call it."""
        return self.title

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of what it says."""
        return self.document.digest

    @cached_property
    def excuses(self) -> frozenset[Reason]:
        """A missing signature, where a rule speaks of unsigned objects.

        Where one follows rewrite records, a signature that counts for nothing. What does not verify is never excused.
        """
        if self.follows:
            return UNCOUNTED
        return frozenset({Reason.SIGNATURE_MISSING} if any(r.takes_unsigned for r in self.document.rules) else ())

    @cached_property
    def follows(self) -> bool:
        """Whether a rule follows rewrite records."""
        return any(rule.match.through is not None for rule in self.document.rules)

    @cached_property
    def directory(self) -> Directory:
        """Who is who in it."""
        return directory.build(self.document.principals, self.document.groups)

    def over(self, repo: Repository) -> Ruleset:
        """The same, asking `repo` what is in the history of the commits that it names."""
        return replace(self, ancestry=Ancestry(repo))

    def bound(self, trusted: Trust) -> Ruleset:
        """The same, for a verifier that goes by `trusted`: an authority counts with the keys of all its epochs.

        It only ever narrows: an anchor that the verifier did not pin itself is not added.
        """
        named = self.document.anchors
        if named is None:
            return self
        anchors = set(named)
        for anchor in trusted.anchors:
            if anchor.key.spki_sha256 in named:
                own = trusted.of(anchor)
                others = {a for other in own.others for a in other.anchors}
                anchors |= {a.key.spki_sha256 for a in own.anchors if a not in others}
        return replace(self, anchors=frozenset(anchors))

    def decide(self, case: Case) -> str:
        """The name of the rule that accepts.

        Raises `VerificationError` (step 8), or `UnavailableError` where a condition cannot be answered.
        """
        facts = self.facts(case)
        self.verify_counts(facts)
        for rule in self.document.rules:
            missed = conditions.miss(rule, facts, self.ancestry)
            if missed is None:
                return verify_rule(rule, facts)
            if missed.unknown is not None:
                raise unanswered(rule, missed)
        raise no_rule()

    def facts(self, case: Case) -> Facts:
        """What its rules ask about a case."""
        return Facts(case, self.directory)

    def verify_counts(self, facts: Facts) -> None:
        """`VerificationError` where the policy does not count this format or this authority at all."""
        formats, chain = self.document.formats, facts.case.examination.chain
        if formats is not None and facts.format is not None and facts.format not in formats:
            raise VerificationError(
                Step.POLICY,
                Reason.FORMAT_REFUSED,
                f"the policy counts {', '.join(sorted(formats))} only, not {facts.format}",
            )
        if self.anchors is not None and chain is not None and chain.anchor.key.spki_sha256 not in self.anchors:
            raise VerificationError(
                Step.POLICY, Reason.ANCHOR_UNKNOWN, f"the policy does not count the authority {chain.anchor.key.key_id}"
            )


def verify_rule(rule: Rule, facts: Facts) -> str:
    """The name of a rule that speaks of the object and accepts it, or `VerificationError` with the rule's name."""
    if rule.effect is Effect.DENY:
        raise VerificationError(Step.POLICY, Reason.RULE_DENIES, f"rule {rule.name} denies it", rule=rule.name)
    if rule.match.through is not None:
        return rule.name  # what it requires is a condition of its own (`conditions.followed`)
    if (found := demands.unmet(rule.require, facts)) is not None:
        demand, why = found
        raise VerificationError(
            Step.POLICY, Reason.RULE_NOT_MET, f"rule {rule.name} requires {demand}: {why}", rule=rule.name
        )
    # Last, because what git does not show of them may be passed over (`verify.TOLERATED`), and a demand never.
    chain = facts.case.examination.chain
    if chain is not None and chain.leaf.claims is not None:
        policy.check_constraints(chain.leaf.claims.constraints, facts.case.context)
    return rule.name


def unanswered(rule: Rule, missed: conditions.Miss) -> UnavailableError:
    """The error that a rule's condition cannot be answered: what comes after the rule is then not asked."""
    assert missed.unknown is not None
    return UnavailableError(
        f"rule {rule.name} asks for {missed.condition}: {missed.detail}",
        hint=missed.unknown.hint,
        reason=missed.unknown.reason or Reason.CONTEXT_UNKNOWN,
    )


def no_rule() -> VerificationError:
    """The error that no rule speaks of an object."""
    return VerificationError(
        Step.POLICY,
        Reason.NO_RULE,
        "no rule of the policy speaks of it",
        hint="notme-attest policy explain says why each does not",
    )
