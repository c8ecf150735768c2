"""The words that all of an audit's reports for people share."""

from __future__ import annotations

from dataclasses import dataclass

from attest.audit import watch
from attest.audit.facts import Pair
from attest.audit.run import Audit
from attest.audit.standing import ACCEPTED, Standing
from attest.instants import rfc3339


@dataclass(frozen=True, slots=True)
class Words:
    """What a standing is called, in a legend and in a sentence, and whether it counts as accepted."""

    name: str
    means: str
    good: bool


def _words(standing: Standing, name: str, means: str) -> tuple[Standing, Words]:
    return standing, Words(name, means, standing in ACCEPTED)


STANDINGS: dict[Standing, Words] = dict(
    (
        _words(Standing.AGENT, "agents, accepted", "signed by an AI agent, and accepted"),
        _words(Standing.HUMAN, "people, accepted", "signed by a person, and accepted"),
        _words(Standing.PROGRAM, "programs, accepted", "signed by a CI job or another program, and accepted"),
        _words(Standing.EXCUSED, "excused by the policy", "no proven signature, but a rule of the policy lets it pass"),
        _words(Standing.STRANGER, "unknown signer", "signed, by somebody whom nothing that was named vouches for"),
        _words(Standing.UNCHECKED, "could not be checked", "something that was needed to check it was not there"),
        _words(Standing.REJECTED, "rejected", "signed, but a check failed or the policy says no"),
        _words(Standing.UNSIGNED, "unsigned", "no signature at all"),
    )
)

_TITLES = {
    watch.SEVERAL_PEOPLE: "One key signs for several people",
    watch.SEVERAL_REPOSITORIES: "One certificate signed in several repositories",
    watch.BUSY_CERTIFICATE: f"One short-lived certificate signed more than {watch.BUSY} objects",
    watch.BEFORE_PARENT: "Dated before its own parent",
    watch.IN_FUTURE: "Dated in the future",
}


def title(code: str) -> str:
    """What an anomaly is called: the reason's or contradiction's own words where it is one of those."""
    if code in _TITLES:
        return _TITLES[code]
    area, _, word = code.partition(":")
    said = word.replace("-", " ")
    areas = {"claims": "Claim against proof", "remark": "Odd, but allowed"}
    return f"{areas.get(area, f'Step {area}')}: {said}"


def behalf(pair: Pair) -> str:
    """`for Alice <...>`, or what there is instead."""
    if pair.represented:
        return f"for {pair.represented}"
    return "by own key" if pair.actor_kind == "human" else "for nobody that is named"


def share(part: int, whole: int) -> str:
    """`12.3 %`, never rounded to nothing or to all."""
    if not whole:
        return "-"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %" if 0 < percent < 100 else f"{percent:.0f} %"


def count(number: int, what: str) -> str:
    """`1 object`, `1,200 repositories`."""
    if number == 1:
        return f"1 {what}"
    return f"{number:,} {what[:-1]}ies" if what.endswith("y") else f"{number:,} {what}s"


def date(seconds: int | None) -> str:
    """The day in UTC."""
    return "no date" if seconds is None else rfc3339(seconds)[:10]


def period(audit: Audit) -> str:
    """` since 2026-01-01 until 2026-03-31`, or nothing; the last day is the last one that is in it."""
    since, until = audit.wanted.since, audit.wanted.until
    return (f" since {date(since)}" if since is not None else "") + (
        f" until {date(until - 1)}" if until is not None else ""
    )
