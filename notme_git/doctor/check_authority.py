"""The authority in the home: its database and keys, the files that verifiers here go by, and the clock."""

from __future__ import annotations

from collections.abc import Iterator

from attest.evidence import SKEW
from attest.instants import instant, rfc3339
from notme_git.doctor.facts import Facts
from notme_git.doctor.finding import Finding


def check_authority(facts: Facts) -> Iterator[Finding]:
    """That it is there and can be used."""
    if not facts.authority.present and not facts.sandboxed:
        message = f"there is no authority in {facts.home}"
        remedy = 'make one: notme-git init --human "NAME <ADDRESS>"'
        if facts.mode != "none":
            remedy += "; or take out what signs by it: notme-git setup --undo"
        yield Finding("authority-missing", message, remedy)
    for trouble in facts.authority.troubles:
        yield Finding(trouble.code, trouble.message, trouble.remedy, trouble.command)


def check_clock(facts: Facts) -> Iterator[Finding]:
    """That no time went back: nothing is issued before what was issued."""
    latest, issued, now = facts.authority.latest, facts.authority.bundle_issued_at, facts.at + SKEW
    if latest and now < instant(latest):
        message = f"the clock says {facts.at:%Y-%m-%dT%H:%M:%SZ}, and the authority was at {rfc3339(latest)} already"
        yield Finding("clock-behind", message, "set the clock of this machine")
    elif issued and now < instant(issued):
        message = f"the trust bundle was issued {rfc3339(issued)}, which is in the future"
        yield Finding("bundle-future", message, "set the clock of this machine, or wait until then")
