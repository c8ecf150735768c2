"""What a rewrite record adds to a commit: whose content it is, by whose word, and how much of that was seen here."""

from __future__ import annotations

from dataclasses import dataclass

from attest.types import Outcome, Principal, PrincipalKind

ACCEPTING = (Outcome.ACCEPTED, Outcome.ACCEPTED_TIME_UNPROVEN)
"""Outcomes by which an object is accepted."""


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody whom a certificate or a known key names; `id` is a URI."""

    id: str
    kind: PrincipalKind
    name: str
    email: str

    @classmethod
    def of(cls, principal: Principal) -> Who:
        """Whom a certificate or a known key names."""
        return cls(principal.id, principal.kind, principal.display, principal.email)

    @property
    def data(self) -> dict[str, str]:
        """As statements write it."""
        return {"id": self.id, "kind": str(self.kind), "name": self.name, "email": self.email}


@dataclass(frozen=True, slots=True)
class Original:
    """A commit that another was made from.

    Where it is `here`, `outcome` is the verdict on it under the policy in force, else what the record says. `through`
    is the record that leads on from it, where it is not accepted itself.
    """

    object_id: str
    here: bool
    outcome: Outcome
    actor: Who | None = None
    represented: Who | None = None
    through: Through | None = None

    @property
    def leads(self) -> Through | None:
        """The record by which it stands for others: one that is followed, where it is not accepted itself."""
        usable = self.through is not None and not self.through.refused and self.outcome not in ACCEPTING
        return self.through if usable else None

    @property
    def signed(self) -> tuple[Original, ...]:
        """The commits that it stands for: itself, or those that a record leads to."""
        return (self,) if self.leads is None else self.leads.signed


@dataclass(frozen=True, slots=True)
class Through:
    """A rewrite record about a commit.

    `record` is SHA-256 (hex) of its Statement, `by` the URI of the verifier that signed it, `at` when it says that was
    (RFC 3339). `made` and `relation` are as in `attest.rewrites.model`; `compared` is whether the relation was computed
    here too, else it is the record's word. `refused` says why it is not followed, and is empty where it is.
    """

    record: str
    by: str = ""
    at: str = ""
    made: str = ""
    relation: str = ""
    compared: bool = False
    rewriter: str = ""
    originals: tuple[Original, ...] = ()
    refused: str = ""

    @property
    def signed(self) -> tuple[Original, ...]:
        """The signed commits behind it."""
        return tuple(each for original in self.originals for each in original.signed)

    @property
    def seen(self) -> bool:
        """Whether nothing of it rests on a record's word alone: all is here, and was compared and judged here."""
        return self.compared and all(
            each.here and (each.leads is None or each.leads.seen) for each in self.originals
        )

    @property
    def outcome(self) -> Outcome:
        """Of all originals the worst; of an original that a record leads on from, that record's."""
        found = {each.outcome if each.leads is None else each.leads.outcome for each in self.originals}
        for outcome in (Outcome.REJECTED, Outcome.COULD_NOT_CHECK):
            if outcome in found or (not found and outcome is Outcome.COULD_NOT_CHECK):
                return outcome
        return Outcome.ACCEPTED_TIME_UNPROVEN if Outcome.ACCEPTED_TIME_UNPROVEN in found else Outcome.ACCEPTED

    @property
    def follows(self) -> bool:
        """Whether it leads to signed commits that were all accepted."""
        return not self.refused and self.outcome in ACCEPTING and all(each.actor is not None for each in self.signed)

    def people(self) -> tuple[tuple[Who, Who | None], ...]:
        """Who signed and on whose behalf, each pair once, in the order of the commits."""
        return tuple(
            dict.fromkeys((each.actor, each.represented) for each in self.signed if each.actor is not None)
        )
