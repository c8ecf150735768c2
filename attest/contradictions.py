"""Where what a commit or tag says of itself and what its signature proves do not agree (design D14).

Author, committer, tagger and trailers are claims. Here they are held against the identity that step 4 proved; they
can contradict it and never add to it. A contradiction is no failed step: what it weighs, a policy says. Severities are
chosen so that what agents and people do every day stays below *warning*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from attest import agentmarks, trailers
from attest.gitobject import Commit, Ident, PushCertificate, Tag
from attest.trailers import GENERATED, Claim
from attest.types import Contradiction, Evidence, Identity, Principal, PrincipalKind, Severity

SKEW = 3600
"""Seconds that the dates of an object may be away from its signing. git takes them from one clock within a second;
whoever sets them by hand, or lets a rebase keep them, is off by more than an hour."""

MAX_SHOWN = 80
"""Characters of a line that a sentence repeats."""

AGENT_SIGNED_OFF = "agent-signed-off"
SIGNED_OFF_FOR = "agent-signed-off-for-human"
AGENT_REVIEWED = "agent-reviewed"
REVIEWED_FOR = "agent-reviewed-for-human"
BY_HUMAN_KEY = "says-agent-signed-by-human-key"
AUTHOR_BY_HUMAN_KEY = "agent-author-signed-by-human-key"
COMMITTER_BY_HUMAN_KEY = "agent-committer-signed-by-human-key"
OTHER_AGENT = "says-other-agent"
OTHER_AUTHOR = "author-is-other-agent"
OTHER_COMMITTER = "committer-is-other-agent"
HUMAN_AUTHOR = "human-author-agent-signed"
AUTHOR_UNSIGNED = "agent-author-unsigned"
UNSIGNED = "says-agent-unsigned"
REPRESENTED = "coauthor-is-represented"
UNDISCLOSED = "assisted-by-missing"
STRANGER = "coauthor-address-of-stranger"
FOR_OTHER = "on-behalf-of-other"
DATE_SKEW = "date-skew"

SEVERITIES = {
    AGENT_SIGNED_OFF: Severity.ERROR,
    SIGNED_OFF_FOR: Severity.WARNING,
    AGENT_REVIEWED: Severity.WARNING,
    REVIEWED_FOR: Severity.WARNING,
    BY_HUMAN_KEY: Severity.WARNING,
    AUTHOR_BY_HUMAN_KEY: Severity.WARNING,
    COMMITTER_BY_HUMAN_KEY: Severity.ERROR,
    OTHER_AGENT: Severity.WARNING,
    OTHER_AUTHOR: Severity.INFO,
    OTHER_COMMITTER: Severity.ERROR,
    HUMAN_AUTHOR: Severity.INFO,
    AUTHOR_UNSIGNED: Severity.WARNING,
    UNSIGNED: Severity.INFO,
    REPRESENTED: Severity.INFO,
    UNDISCLOSED: Severity.INFO,
    STRANGER: Severity.WARNING,
    FOR_OTHER: Severity.WARNING,
    DATE_SKEW: Severity.INFO,
}

_SIGN_OFF = "signed-off-by"
_COAUTHORS = ("co-authored-by", "co-developed-by")
_REVIEWS = ("reviewed-by", "acked-by", "approved-by")
# What discloses that an agent took part, and leaves the commit a person's: the Linux kernel asks for it of the human
# who submits (Documentation/process/coding-assistants.rst), so under a human's key it is as it should be.
_ASSISTED = "assisted-by"
_TOOLS = (GENERATED, "generated-by", _ASSISTED)
_FOR = "on-behalf-of"


@dataclass(frozen=True, slots=True)
class _Said:
    """What an object says: who stands in its headers, which of them are agents, and the lines of its message."""

    author: Ident | None
    committer: Ident | None
    author_agent: str
    committer_agent: str
    claims: tuple[Claim, ...]

    def named(self, *, without: str = "") -> Iterator[tuple[Claim, str]]:
        """The lines that name an agent as having taken part in the work, and which."""
        for claim in self.claims:
            part = claim.key not in (_SIGN_OFF, _FOR, without) and claim.key not in _REVIEWS
            if part and (agent := agent_of(claim)):
                yield claim, agent


@dataclass(frozen=True, slots=True)
class Held:
    """Commits of one author, one committer and one signer, for whoever looks at a thousand of them.

    `quiet` is what is found of one whose message claims nothing and whose dates agree; the dates of the two are any.
    """

    author: Ident
    committer: Ident
    identity: Identity | None
    signed: bool
    quiet: tuple[Contradiction, ...]

    @classmethod
    def of(cls, parsed: Commit, identity: Identity | None, *, signed: bool) -> Held:
        """Like this commit."""
        author, committer = parsed.author, parsed.committer
        return cls(author, committer, identity, signed, _found(_said(author, committer, ()), identity, signed, ()))

    def find(
        self, message: bytes, authored: int, committed: int, evidence: Sequence[Evidence]
    ) -> tuple[Contradiction, ...]:
        """As the function of this name; the message is in UTF-8, dates in unix seconds."""
        if _agree(authored, committed, evidence) and not trailers.may_claim(message):
            return self.quiet
        author, committer = replace(self.author, seconds=authored), replace(self.committer, seconds=committed)
        return _found(_said(author, committer, trailers.claims(message)), self.identity, self.signed, evidence)


def find(
    parsed: Commit | Tag | PushCertificate | None,
    identity: Identity | None,
    *,
    signed: bool,
    evidence: Sequence[Evidence] = (),
) -> tuple[Contradiction, ...]:
    """Everything that does not agree, one for each code, in the order of `SEVERITIES`.

    `identity` is what step 4 proved, None where it proved nothing; `signed` whether there is a signature at all, by
    whomever; `evidence` what step 5 found of the time. What one of them is needed for is left out without it. Never
    raises.
    """
    if isinstance(parsed, Commit):
        said = _said(parsed.author, parsed.committer, trailers.claims(parsed.message, parsed.encoding))
    elif isinstance(parsed, Tag):
        said = _said(None, parsed.tagger, trailers.claims(parsed.message))
    else:
        return ()
    return _found(said, identity, signed, evidence)


def _found(
    said: _Said, identity: Identity | None, signed: bool, evidence: Sequence[Evidence]
) -> tuple[Contradiction, ...]:
    found = dict[str, str]()
    for code, detail in _all(said, identity, signed, evidence):
        found.setdefault(code, detail)
    if not found:
        return ()
    return tuple(Contradiction(code, SEVERITIES[code], found[code]) for code in SEVERITIES if code in found)


def _said(author: Ident | None, committer: Ident | None, claims: tuple[Claim, ...]) -> _Said:
    return _Said(
        author,
        committer,
        agentmarks.agent_of(author.name, author.email) if author is not None else "",
        agentmarks.agent_of(committer.name, committer.email) if committer is not None else "",
        claims,
    )


def agent_of(claim: Claim) -> str:
    """The agent that a line of a message names, as grants call it; empty for none."""
    if own := agentmarks.by_key(claim.key):
        return own
    if claim.key in _TOOLS:
        # The kernel's form is AGENT_NAME:MODEL_VERSION [TOOL]...
        return agentmarks.by_address(claim.address) or agentmarks.by_word(claim.name.partition(":")[0])
    return agentmarks.agent_of(claim.name, claim.address)


def _all(
    said: _Said, identity: Identity | None, signed: bool, evidence: Sequence[Evidence]
) -> Iterator[tuple[str, str]]:
    if said.committer is not None:
        authored = said.author.seconds if said.author is not None else 0
        if not _agree(authored, said.committer.seconds, evidence):
            yield from _dates(said, evidence)
    if said.claims:
        yield from _by_themselves(said)
    if not signed:
        yield from _unsigned(said)
    elif is_agent(identity):
        assert identity is not None
        yield from _by_agent(said, identity)
    elif is_human(identity):
        assert identity is not None
        yield from _by_human(said, identity.actor)


def is_agent(identity: Identity | None) -> bool:
    """Whether an agent's certificate signed."""
    return identity is not None and identity.actor.kind is PrincipalKind.AGENT


def is_human(identity: Identity | None) -> bool:
    """Whether a person's own key signed. Lists of plain keys say so of agents too: those go by their address."""
    if identity is None or identity.actor.kind is not PrincipalKind.HUMAN:
        return False
    return not agentmarks.agent_of(identity.actor.display, identity.actor.email)


def _by_themselves(said: _Said) -> Iterator[tuple[str, str]]:
    """What is wrong whoever signed."""
    for claim in said.claims:
        agent = agent_of(claim)
        if not agent:
            continue
        if claim.key == _SIGN_OFF:
            yield AGENT_SIGNED_OFF, _signed_off(claim)
        elif claim.key in _COAUTHORS and claim.address and agentmarks.is_strange(agent, claim.address):
            yield STRANGER, f"{_shown(claim)} names {agent}, whose address this is not: somebody else is credited"


def _unsigned(said: _Said) -> Iterator[tuple[str, str]]:
    """Claims that nothing stands behind."""
    if agent := said.committer_agent or said.author_agent:
        who = said.committer if said.committer_agent else said.author
        assert who is not None
        yield AUTHOR_UNSIGNED, f"{_ident(who)} says that {agent} made it, and it is not signed"
    for claim, _ in said.named():
        yield UNSIGNED, f"{_shown(claim)} stands in it, and it is not signed"


def _by_human(said: _Said, human: Principal) -> Iterator[tuple[str, str]]:
    """Signed by a person's own key."""
    key = f"the key that signed it is a human's, {_principal(human)}"
    if said.committer is not None and said.committer_agent:
        yield COMMITTER_BY_HUMAN_KEY, f"the committer is {_ident(said.committer)}, and {key}"
    elif said.author is not None and said.author_agent:
        yield AUTHOR_BY_HUMAN_KEY, f"the author is {_ident(said.author)}, and {key}"
    for claim, _ in said.named(without=_ASSISTED):
        yield BY_HUMAN_KEY, f"it says {_shown(claim)}, and {key}"


def _by_agent(said: _Said, identity: Identity) -> Iterator[tuple[str, str]]:
    """Signed under an agent's certificate."""
    actor, own = identity.actor, {_fold(identity.actor.email)} - {""}
    human = identity.represented
    theirs = {_fold(human.email)} - {""} if human is not None else set[str]()
    committer = said.committer
    if committer is not None and is_other_agent(said.committer_agent, identity) and _fold(committer.email) not in own:
        yield OTHER_COMMITTER, f"the committer is {_ident(committer)}, and the certificate is {actor.name}'s"
    elif said.author is not None:
        address = _fold(said.author.email)
        if address in theirs:
            yield HUMAN_AUTHOR, f"the author is {_ident(said.author)}, whom {actor.name} represents"
        elif is_other_agent(said.author_agent, identity) and address not in own:
            yield OTHER_AUTHOR, f"the author is {_ident(said.author)}, and {actor.name} signed it"
    named = list(said.named())
    itself = any(_fold(claim.address) in own for claim in said.claims)
    if named and not itself and all(is_other_agent(agent, identity) for _, agent in named):
        yield OTHER_AGENT, f"it says {_shown(named[0][0])}, and the certificate is {actor.name}'s"
    if not named and not itself and not any(_is_agents(ident, agent, own) for ident, agent in _headers(said)):
        yield UNDISCLOSED, f"{actor.name} signed it, and neither headers nor trailers say that an agent took part"
    for claim in said.claims:
        yield from _of_agents_claim(claim, actor, own, theirs)


def _of_agents_claim(claim: Claim, actor: Principal, own: set[str], theirs: set[str]) -> Iterator[tuple[str, str]]:
    """One line of a message that an agent signed."""
    address = _fold(claim.address)
    itself = address in own or bool(agent_of(claim))
    if claim.key == _SIGN_OFF and address in own:
        yield AGENT_SIGNED_OFF, _signed_off(claim)
    elif claim.key == _SIGN_OFF and address in theirs:
        yield SIGNED_OFF_FOR, f"{_shown(claim)} is a human's to give, and {actor.name} signed it"
    elif claim.key in _REVIEWS and itself:
        yield AGENT_REVIEWED, f"{_shown(claim)} is vouched for by an agent's certificate alone, {actor.name}'s"
    elif claim.key in _REVIEWS and address in theirs:
        yield REVIEWED_FOR, f"{_shown(claim)} is a human's to give, and {actor.name} signed it"
    elif claim.key in _COAUTHORS and address in theirs:
        yield REPRESENTED, f"{_shown(claim)} is whom {actor.name} represents"
    elif claim.key == _FOR and address and address not in theirs and not claim.name.startswith("@"):
        # GitHub's trailer of this name is for organizations, and they begin with @.
        yield FOR_OTHER, f"{_shown(claim)} is not whom the certificate says that {actor.name} represents"


def _agree(authored: int, committed: int, evidence: Sequence[Evidence]) -> bool:
    """Whether dates lie where the evidence has the signing; the author's may lie before it."""
    for item in evidence:
        late = item.not_after + SKEW
        if committed > late or authored > late or committed < item.not_before - SKEW:
            return False
    return True


def _dates(said: _Said, evidence: Sequence[Evidence]) -> Iterator[tuple[str, str]]:
    """Dates of headers against what is known of the time of signing."""
    first, last = max(item.not_before for item in evidence), min(item.not_after for item in evidence)
    for role, ident in (("committer", said.committer), ("author", said.author)):
        if ident is not None and ident.seconds > last + SKEW:
            yield DATE_SKEW, f"the {role}'s date is {_span(ident.seconds - last)} after it was signed"
    if said.committer is not None and said.committer.seconds < first - SKEW:
        yield DATE_SKEW, f"the committer's date is {_span(first - said.committer.seconds)} before it was signed"


def is_other_agent(agent: str, identity: Identity) -> bool:
    """Whether this is certainly another agent than the one that signed, or that passed its grant on to it.

    A grant may be given to `reviewer`, and any agent can be that: of such a name nothing is certain.
    """
    if not agent or agent == identity.actor.name:
        return False
    names = [who.name for who in (identity.actor, identity.delegator) if who is not None]
    return agent not in names and any(map(agentmarks.by_word, names))


def _headers(said: _Said) -> Iterator[tuple[Ident, str]]:
    if said.author is not None:
        yield said.author, said.author_agent
    if said.committer is not None:
        yield said.committer, said.committer_agent


def _is_agents(ident: Ident, agent: str, own: set[str]) -> bool:
    return bool(agent) or _fold(ident.email) in own


def _signed_off(claim: Claim) -> str:
    return f"{_shown(claim)} is an agent's, and only a human can certify where a change comes from"


def _shown(claim: Claim) -> str:
    """The line as it stands in the message, in short."""
    text = f"Generated with {claim.name}" if claim.key == GENERATED else f"{claim.key.capitalize()}: {claim.value}"
    return repr(text[:MAX_SHOWN])


def _ident(ident: Ident) -> str:
    return f"{ident.name} <{ident.email}>"[:MAX_SHOWN]


def _principal(who: Principal) -> str:
    return f"{who.display} <{who.email}>"[:MAX_SHOWN] if who.email else who.display[:MAX_SHOWN]


def _span(seconds: int) -> str:
    """In days or hours, whichever is at least two."""
    return f"{seconds // 86400} days" if seconds >= 2 * 86400 else f"{seconds // 3600} h"


def _fold(address: str) -> str:
    return address.lower()
