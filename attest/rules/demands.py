"""What an allowing rule demands of an object that it speaks of. The first demand that is not met is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attest.errors import Reason, UnavailableError
from attest.evidence import RANK
from attest.identity import AUTHORED_BY_OTHER
from attest.rules.facts import Facts
from attest.rules.model import ANYONE, AuthoredBy, Require, Tolerated
from attest.types import Assurance, Severity, Voucher

_ASSURANCE = tuple(Assurance)
"""Weakest first, as `schema/grant.capnp` orders them."""

_TOLERATED = {
    Tolerated.NONE: frozenset[Severity](),
    Tolerated.INFO: frozenset({Severity.INFO}),
    Tolerated.WARNING: frozenset({Severity.INFO, Severity.WARNING}),
    Tolerated.ERROR: frozenset(Severity),
}


def unmet(require: Require, facts: Facts) -> tuple[str, str] | None:
    """Name of the first demand that is not met and a sentence on it, or None.

    Raises `UnavailableError` (`bundle-stale`) where the trust bundle is too old to tell.
    """
    for name, ask in _demands(require, facts):
        if why := ask(require, facts):
            return name, why
    return None


_Ask = Callable[[Require, Facts], str]


def _demands(require: Require, facts: Facts) -> Iterator[tuple[str, _Ask]]:
    if require.actors is not None:
        yield "actors", _actors
    if require.represented is not None:
        yield "represented", _represented
    if require.represented_authentication is not None:
        yield "represented_authentication", _authentication
    if require.scopes:
        yield "scopes", _scopes
    if require.assurance is not None:
        yield "assurance", _assurance
    if require.evidence is not None:
        yield "evidence", _evidence
    if require.algorithms is not None:
        yield "algorithms", _algorithms
    if require.trailers:
        yield "trailers", _trailers
    if require.forbidden_trailers:
        yield "forbidden_trailers", _forbidden_trailers
    if require.contradictions is not Tolerated.ERROR:
        yield "contradictions", _contradictions
    if require.forbidden_contradictions:
        yield "forbidden_contradictions", _forbidden_contradictions
    if require.authored_by is not AuthoredBy.ANYONE and facts.author is not None:
        yield "authored_by", _authored_by
    if require.max_bundle_age is not None and facts.case.examination.chain is not None:
        yield "max_bundle_age", _bundle_age


def _actors(require: Require, facts: Facts) -> str:
    if facts.actors & (require.actors or frozenset()):
        return ""
    return f"it is signed by {_people(facts.actors, 'nobody that the policy names')}, not by {_people(require.actors)}"


def _represented(require: Require, facts: Facts) -> str:
    wanted = require.represented or frozenset()
    who = facts.identity.represented if facts.identity is not None else None
    if who is None:
        return "nobody is represented"
    if ANYONE in wanted or facts.represented & wanted:
        return ""
    return f"it is on behalf of {_people(facts.represented, who.id)}, not of {_people(wanted)}"


def _authentication(require: Require, facts: Facts) -> str:
    who = facts.identity.represented if facts.identity is not None else None
    if who is None:
        return "nobody is represented"
    wanted = require.represented_authentication or frozenset()
    return "" if who.authentication in wanted else f"who is represented proved it by {who.authentication}"


def _scopes(require: Require, facts: Facts) -> str:
    held = facts.identity.scopes if facts.identity is not None else ()
    lacking = [scope for scope in require.scopes if scope not in held]
    return f"the certificate's scopes do not include {', '.join(lacking)}" if lacking else ""


def _assurance(require: Require, facts: Facts) -> str:
    if require.assurance is None or facts.identity is None or facts.signer is not None:
        return "no certificate says what separated actor and represented principal"
    held = facts.identity.assurance
    return "" if _ASSURANCE.index(held) >= _ASSURANCE.index(require.assurance) else f"the assurance is {held}"


def _evidence(require: Require, facts: Facts) -> str:
    assert require.evidence is not None
    examination = facts.case.examination
    found = [item.voucher for item in examination.timed]
    if examination.evidence and facts.time_holds:
        found.append(Voucher.SIGNER)
    if any(RANK[voucher] >= RANK[require.evidence] for voucher in found):
        return ""
    best = max(found, key=RANK.__getitem__, default="nobody")
    return f"{best} vouches for the time of signing, not {require.evidence} or better"


def _algorithms(require: Require, facts: Facts) -> str:
    return "" if facts.algorithm in (require.algorithms or ()) else f"the key is {facts.algorithm or 'not known'}"


def _trailers(require: Require, facts: Facts) -> str:
    there = facts.trailers
    lacking = [name for name in require.trailers if name.lower() not in there]
    return f"the message has no trailer {', '.join(lacking)}" if lacking else ""


def _forbidden_trailers(require: Require, facts: Facts) -> str:
    there = facts.like_trailers
    found = [name for name in require.forbidden_trailers if name.lower() in there]
    return f"the message has a line {', '.join(found)}" if found else ""


def _contradictions(require: Require, facts: Facts) -> str:
    tolerated = _TOLERATED[require.contradictions]
    return _codes([c.code for c in facts.case.examination.contradictions if c.severity not in tolerated])


def _forbidden_contradictions(require: Require, facts: Facts) -> str:
    forbidden = require.forbidden_contradictions
    return _codes([c.code for c in facts.case.examination.contradictions if c.code in forbidden])


def _codes(found: list[str]) -> str:
    return f"what it says is contradicted: {', '.join(sorted(set(found)))}" if found else ""


def _authored_by(require: Require, facts: Facts) -> str:
    assert facts.author is not None
    if AUTHORED_BY_OTHER not in facts.case.examination.remarks and facts.identity is not None:
        return ""
    author = facts.directory.of_address(facts.author.email)
    signers = facts.actors | facts.represented
    if require.authored_by is AuthoredBy.GROUP and facts.directory.share_group(author, signers):
        return ""
    within = "" if require.authored_by is AuthoredBy.SELF else ", nor is it somebody of a group of theirs"
    return f"the author <{facts.author.email}> is neither the signer nor represented{within}"


def _bundle_age(require: Require, facts: Facts) -> str:
    found = facts.case.examination
    if not found.bundle_sequence or found.bundle_age > (require.max_bundle_age or 0):
        raise UnavailableError(
            "the trust bundle is absent or older than the policy allows",
            hint="fetch the current bundle from the authority",
            reason=Reason.BUNDLE_STALE,
        )
    return ""


def _people(names: frozenset[str] | None, nobody: str = "nobody") -> str:
    return " or ".join(sorted(names or ())) or nobody
