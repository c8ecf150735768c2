"""What is wrong with a policy that can be read: rules that never decide, names that never match, dates to come.

An error is what cannot be meant. A warning is what is often not meant. `shadowed` claims no more than it can prove: a
rule that it names is never reached by any object.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from attest import patterns
from attest.errors import MalformedError
from attest.foreign.roots import Roots
from attest.instants import rfc3339
from attest.rules import roots
from attest.rules.model import Class, Document, Effect, Followed, Match, Named, Rule
from attest.trust import Trust
from attest.types import Severity

_FORBIDDEN_IN_REFS = ("..", "//", "@{", "~", "^", ":")
"""What git allows in no name of a ref (git-check-ref-format)."""


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that is wrong. `code` is a stable word for programs."""

    code: str
    severity: Severity
    place: str
    detail: str


def lint(document: Document, trusted: Trust | None, at: datetime) -> list[Note]:
    """Everything that is wrong, in the order of the file. `trusted` is what the verifier goes by, None if nothing."""
    notes = [*_keys(document), *_anchors(document, trusted)]
    for each in document.principals:
        notes += _principal(each, document)
    for name, members in document.groups.items():
        if not members:
            notes.append(Note("group-empty", Severity.ERROR, f"groups.{name}", "nobody is in it"))
    if not document.rules:
        notes.append(Note("no-rules", Severity.ERROR, "rules", "without a rule nothing is ever accepted"))
    for number, rule in enumerate(document.rules):
        notes += _rule(rule, document.rules[:number], document.rules[number + 1 :], int(at.timestamp()))
    return notes


def _keys(document: Document) -> Iterator[Note]:
    try:
        roots.of_policy(document, Roots())
    except MalformedError as error:
        yield Note("key-unreadable", Severity.ERROR, "principals", error.message)


def _anchors(document: Document, trusted: Trust | None) -> Iterator[Note]:
    if document.anchors is None or trusted is None:
        return
    pinned = {anchor.key.spki_sha256 for anchor in trusted.anchors}
    for anchor in sorted(document.anchors - pinned):
        yield Note(
            "anchor-not-pinned",
            Severity.WARNING,
            "trust.anchors",
            f"sha256:{anchor.hex()} is not pinned by this verifier",
        )
    if not document.anchors & pinned:
        yield Note("anchors-none", Severity.ERROR, "trust.anchors", "no authority that is pinned here counts")


def _principal(each: Named, document: Document) -> Iterator[Note]:
    place = f"principals {each.name}"
    if not (each.certificates or each.ssh_keys or each.openpgp or each.sigstore or each.emails):
        yield Note("principal-unrecognisable", Severity.ERROR, place, "it has no certificate, key or address")
    elif not (each.certificates or each.ssh_keys or each.openpgp or each.sigstore):
        yield Note(
            "principal-by-address",
            Severity.INFO,
            place,
            "only certificates of S/MIME and SSH authorities prove an address",
        )
    used = {name for rule in document.rules for name in (rule.match.actors or frozenset())}
    for rule in document.rules:
        used |= (rule.require.actors or frozenset()) | (rule.require.represented or frozenset())
    grouped = any(each.name in members for members in document.groups.values())
    if each.name not in used and not grouped and not any(each.ssh_keys.values()):
        yield Note("principal-unused", Severity.INFO, place, "no rule and no group names it")


def _rule(rule: Rule, before: Sequence[Rule], after: Sequence[Rule], now: int) -> Iterator[Note]:
    place, match = f"rules {rule.name}", rule.match
    if (earlier := next((each for each in before if shadows(each, rule)), None)) is not None:
        yield Note(
            "rule-unreachable", Severity.ERROR, place, f"rule {earlier.name} before it decides all that it speaks of"
        )
    for key, wanted in (("refs", match.refs), ("paths", match.paths), ("touches", match.touches)):
        for pattern in wanted or ():
            if why := _dead_ref(pattern) if key == "refs" else _dead_path(pattern):
                yield Note("pattern-never-matches", Severity.ERROR, f"{place}, {key}", f"{pattern} {why}")
    for key, names in (("match.actors", match.actors), ("require.actors", rule.require.actors)):
        if names is not None and not names:
            yield Note("actors-nobody", Severity.ERROR, f"{place}, {key}", "all the groups that it names are empty")
    if rule.effect is Effect.ALLOW and rule.takes_unsigned and rule.require.actors is not None:
        yield Note("unsigned-with-actors", Severity.ERROR, place, "what is not signed has no actor to require")
    if match.before is not None and match.before > now:
        yield Note(
            "cutoff-to-come", Severity.ERROR, place, f"{rfc3339(match.before)} is still to come: it ends nothing yet"
        )
    if match.after is not None and match.after > now:
        yield Note("not-yet", Severity.WARNING, place, f"it speaks of nothing before {rfc3339(match.after)}")
    if match.before is not None and match.ancestors_of is None and rule.effect is Effect.ALLOW and not _timed(rule):
        yield Note(
            "date-alone", Severity.WARNING, place, "a signer writes any date: add ancestors_of, or require evidence"
        )
    if match.through is Followed.RECORD:
        told = "where the old commits are gone, whoever records rewrites decides whose the content is"
        yield Note("record-alone", Severity.INFO, place, told)
    yield from _passed_by(rule, after)


def _timed(rule: Rule) -> bool:
    return rule.require.evidence is not None and rule.require.evidence != "signer"


def _passed_by(rule: Rule, after: Sequence[Rule]) -> Iterator[Note]:
    """An allowing rule on `paths` leaves a commit that changes other paths as well to the rules after it."""
    if rule.effect is not Effect.ALLOW or rule.match.paths is None:
        return
    if "**" in rule.match.paths:
        return
    for other in after:
        wider = other.match.paths is None or set(rule.match.paths) < set(other.match.paths)
        if other.effect is Effect.ALLOW and not other.takes_unsigned and wider:
            yield Note(
                "paths-pass-by",
                Severity.INFO,
                f"rules {rule.name}",
                f"a commit that changes other paths too is left to rule {other.name}; touches notices any of them",
            )
            return


def _dead_ref(pattern: str) -> str:
    found = [sign for sign in _FORBIDDEN_IN_REFS if sign in pattern]
    if found:
        return f"has {found[0]}, which no name of a ref has"
    if pattern.startswith(("/", "heads/", "tags/")) or pattern.endswith(("/", ".", ".lock")):
        return "is no name of a ref: write main, or refs/tags/v1"
    return ""


def _dead_path(pattern: str) -> str:
    parts = pattern.split("/")
    if pattern.startswith("/") or pattern.endswith("/"):
        return "begins or ends with /: paths are those of a tree, and a folder is written folder/**"
    if any(part in ("", ".", "..", ".git") for part in parts):
        return "has an empty part, . or .., which no path in a tree has"
    return ""


def shadows(earlier: Rule, later: Rule) -> bool:
    """Whether every object that `later` speaks of is one that `earlier` speaks of: proven, never guessed."""
    one, two = earlier.match, later.match
    return (
        one.through is None
        and two.through is None
        # A denying rule speaks of what bears a signature that counts for nothing, too; an allowing one never does.
        and (earlier.effect is Effect.DENY or later.effect is Effect.ALLOW or two.classes is not None)
        and _classes(one, two)
        and _within(one.kinds, two.kinds)
        and _within(one.actors, two.actors)
        and _refs(one.refs, two.refs)
        and (one.before is None or (two.before is not None and two.before <= one.before))
        and (one.after is None or (two.after is not None and two.after >= one.after))
        and (
            one.ancestors_of is None
            or (two.ancestors_of is not None and set(two.ancestors_of) <= set(one.ancestors_of))
        )
        and _every(earlier, later)
        and _any(earlier, later)
    )


def _classes(one: Match, two: Match) -> bool:
    """Without classes a rule speaks of all that is signed, whatever its signer is."""
    if one.classes is None:
        return two.classes is None or Class.UNSIGNED_LEGACY not in two.classes
    return two.classes is not None and two.classes <= one.classes


def _within(wide: frozenset[object] | None, narrow: frozenset[object] | None) -> bool:
    return wide is None or (narrow is not None and narrow <= wide)


def _refs(wide: Sequence[str] | None, narrow: Sequence[str] | None) -> bool:
    """Names in full and names of branches are two languages (`policy.matches_ref`), each compared with its own."""
    if wide is None or narrow is None:
        return wide is None
    return all(_patterns(one, two) for one, two in zip(_apart(wide), _apart(narrow), strict=True))


def _apart(names: Sequence[str]) -> tuple[list[str], list[str]]:
    return [n for n in names if n.startswith("refs/")], [n for n in names if not n.startswith("refs/")]


def _every(earlier: Rule, later: Rule) -> bool:
    """What `earlier` asks of every path."""
    if earlier.effect is Effect.DENY or earlier.match.paths is None:
        return True
    return later.effect is Effect.ALLOW and _patterns(earlier.match.paths, later.match.paths)


def _any(earlier: Rule, later: Rule) -> bool:
    """What `earlier` asks of any path: one of its lists has to hold a list of `later` that asks the same."""
    return all(any(_patterns(wide, narrow) for narrow in _watched(later)) for wide in _watched(earlier))


def _watched(rule: Rule) -> list[tuple[str, ...]]:
    lists = [rule.match.touches, rule.match.paths if rule.effect is Effect.DENY else None]
    return [each for each in lists if each is not None]


def _patterns(wide: Sequence[str] | None, narrow: Sequence[str] | None) -> bool:
    return wide is None or (narrow is not None and all(any(_covers(w, n) for w in wide) for n in narrow))


def _covers(wide: str, narrow: str) -> bool:
    """Whether `wide` takes whatever `narrow` takes; False where that is not plain."""
    if wide == narrow:
        return True
    if "*" not in narrow:
        return patterns.matches(wide, narrow)
    head = wide.removesuffix("**")
    return wide.endswith("**") and "*" not in head and narrow.startswith(head)
