"""Whether a rule speaks of an object.

All conditions of a rule have to hold. One that does not hold ends the question; one that cannot be answered
(`UnavailableError`: no ref is known, a tree is missing) leaves it open, unless another does not hold.

Paths are what a commit changes against its first parent; all paths, for a root commit. So a merge commit answers
for everything that it brings in, and for what it leaves out of its other parents (`attest.merges`). A tag changes
no path: no condition on paths ever holds for one.

=========  ===========  ==========================================================
condition  rule         holds where
=========  ===========  ==========================================================
`paths`    allows       every changed path matches; so also where none is changed
`paths`    denies       any changed path matches
`touches`  either       any changed path matches
=========  ===========  ==========================================================

What allows has to know everything that is changed; what forbids, or asks for more, has to notice anything. So a path
that no pattern can be held against (longer than a system can open) is a match for *any* and none for *every*.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from attest import patterns, policy
from attest.errors import Reason, UnavailableError
from attest.instants import rfc3339
from attest.patterns import MAX_VALUE_BYTES
from attest.rules.ancestry import Ancestry
from attest.rules.facts import Facts
from attest.rules.model import ANYONE, Class, Effect, Followed, Kind, Match, Rule
from attest.through import Original, Through

KEPT = 1 << 14
"""Answers that are remembered, some five megabytes: a history changes the same paths again and again."""

SHOWN = 3
"""Paths that a sentence names."""


@dataclass(frozen=True, slots=True)
class Miss:
    """The condition that keeps a rule from speaking, and why; `unknown` where nobody can say whether it holds."""

    condition: str
    detail: str
    unknown: UnavailableError | None = None


def miss(rule: Rule, facts: Facts, ancestry: Ancestry) -> Miss | None:
    """The first condition that does not hold, else the first that cannot be answered, else None."""
    unanswered = None
    for name, ask in _questions(rule, facts, ancestry):
        try:
            why = ask()
        except UnavailableError as error:
            unanswered = unanswered or Miss(name, error.message, error)
            continue
        if why:
            return Miss(name, why)
    return unanswered


def _questions(rule: Rule, facts: Facts, ancestry: Ancestry) -> Iterator[tuple[str, Callable[[], str]]]:
    """Each condition that is given, cheapest first: a sentence why it does not hold, empty where it does."""
    match = rule.match
    if match.through is not None:
        yield "through", lambda: "" if followed(rule, facts) else _unfollowed(rule, facts)
    else:
        if rule.effect is Effect.ALLOW:
            yield "signature", lambda: _signature(facts)
        yield "classes", lambda: _classes(match, facts)
    if match.kinds is not None:
        yield "kinds", lambda: _kinds(match, facts)
    if match.refs is not None:
        yield "refs", lambda: _refs(match, facts)
    if match.actors is not None and match.through is None:
        yield "actors", lambda: _actors(match, facts)
    if match.before is not None or match.after is not None:
        yield "dates", lambda: _dates(match, facts)
    if match.ancestors_of is not None:
        yield "ancestors_of", lambda: _ancestors(match, facts, ancestry)
    if match.touches is not None:
        yield "touches", lambda: _any(match.touches or (), facts)
    if match.paths is not None:
        ask = _every if rule.effect is Effect.ALLOW else _any
        yield "paths", lambda: ask(match.paths or (), facts)


def followed(rule: Rule, facts: Facts) -> Through | None:
    """The record by which a rule speaks of a commit: one that leads to accepted commits of those whom it names."""
    return next((each for each in facts.case.through if not _strays(rule, facts, each)), None)


def _unfollowed(rule: Rule, facts: Facts) -> str:
    records = facts.case.through
    return _strays(rule, facts, records[0]) if records else "no rewrite record leads on from it"


def _strays(rule: Rule, facts: Facts, record: Through) -> str:
    """Why a record does not do for a rule, empty where it does.

    What the rule requires counts as well: that a record is there must never deny what would be let in without it.
    """
    if not record.follows:
        return f"a record is not followed: {record.refused or f'what it was made from is {record.outcome}'}"
    if rule.match.through is Followed.REWRITE and not record.seen:
        return "what it was made from is not here, and the rule takes no record's word"
    behind, wanted = facts.behind(record), rule.match.actors
    if not all(rule.match.classes is None or class_ in rule.match.classes for _, _, class_ in behind):
        return "it was made from commits of signers of another class"
    for names in (wanted, rule.require.actors):
        if names is not None and not all(actors & names for actors, _, _ in behind):
            return "it was made from commits that others signed"
    on_behalf = rule.require.represented
    both = zip(behind, record.signed, strict=True)
    if on_behalf is not None and not all(_on_behalf(on_behalf, names, each) for (_, names, _), each in both):
        return "it was made from commits on behalf of others"
    return ""


def _on_behalf(wanted: frozenset[str], names: frozenset[str], original: Original) -> bool:
    return bool(names & wanted) or (ANYONE in wanted and original.represented is not None)


def _signature(facts: Facts) -> str:
    return f"its signature counts for nothing here ({facts.unproven})" if facts.unproven else ""


def _classes(match: Match, facts: Facts) -> str:
    if match.classes is None:
        return "it is not signed, and the rule does not list unsigned-legacy" if facts.unsigned else ""
    if facts.class_ in match.classes:
        return ""
    what = facts.class_ or "of none that a policy knows"
    return f"its signer's class is {what}" if facts.class_ is not Class.UNSIGNED_LEGACY else "it is not signed"


def _kinds(match: Match, facts: Facts) -> str:
    return "" if facts.kind in (match.kinds or ()) else f"it is a {facts.kind or 'content of another kind'}"


def _refs(match: Match, facts: Facts) -> str:
    ref = facts.case.context.ref
    if ref is None:
        raise UnavailableError(
            "it is not known for which ref it is offered", hint="say it with --ref REF", reason=Reason.CONTEXT_UNKNOWN
        )
    return "" if any(policy.matches_ref(pattern, ref) for pattern in match.refs or ()) else f"the ref is {ref}"


def _actors(match: Match, facts: Facts) -> str:
    if facts.actors & (match.actors or frozenset()):
        return ""
    return f"it is signed by {' or '.join(sorted(facts.actors)) or 'nobody that the policy names'}"


def _dates(match: Match, facts: Facts) -> str:
    instant = facts.instant
    if instant is None:
        return "it has no date"
    if match.before is not None and instant >= match.before:
        return f"it is of {rfc3339(instant)}, not before {rfc3339(match.before)}"
    if match.after is not None and instant < match.after:
        return f"it is of {rfc3339(instant)}, before {rfc3339(match.after)}"
    return ""


def _ancestors(match: Match, facts: Facts, ancestry: Ancestry) -> str:
    named = match.ancestors_of or ()
    if any(ancestry.has(tip, facts.case.examination.object_id) for tip in named):
        return ""
    return f"it is not in the history of {' or '.join(tip[:12] for tip in named)}"


def _every(allowed: Sequence[str], facts: Facts) -> str:
    if facts.kind is not Kind.COMMIT:
        return f"a {facts.kind or 'content'} changes no paths"
    others = [path for path in facts.case.paths() if not any(_matches(pattern, path) for pattern in allowed)]
    return f"it also changes {_names(others)}" if others else ""


def _any(watched: Sequence[str], facts: Facts) -> str:
    if facts.kind is not Kind.COMMIT:
        return f"a {facts.kind or 'content'} changes no paths"
    for path in facts.case.paths():
        if _unmatchable(path) or any(_matches(pattern, path) for pattern in watched):
            return ""
    return "it changes none of these paths"


@functools.lru_cache(maxsize=KEPT)
def _matches(pattern: str, path: str) -> bool:
    return patterns.matches(pattern, _text(path))


def _text(path: str) -> str:
    """A path with bytes that are no UTF-8 shown as U+FFFD, for a pattern to be held against it at all."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return path


def _unmatchable(path: str) -> bool:
    return len(path) > MAX_VALUE_BYTES // 4 and len(_text(path).encode()) > MAX_VALUE_BYTES


def _names(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return ", ".join(_text(path)[:200] for path in paths[:SHOWN]) + more
