"""Time-stamps by third parties."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from attest.instants import rfc3339
from attest.report.text import printable
from notme_git.doctor.facts import Facts
from notme_git.doctor.finding import Finding


def check_tsa(facts: Facts) -> Iterator[Finding]:
    """That who is to be asked can be asked, and was."""
    tsa = facts.tsa
    if tsa.problem:
        yield Finding("tsa-setting", tsa.problem, tsa.remedy)
    if tsa.hook_missing:
        command = "notme-git hook install --client"
        yield Finding("tsa-hook", "notme.timestamp is push, and no hook asks before a push", "put it in", command)
    if tsa.missed is not None:
        found = tsa.missed
        since, last = rfc3339(found.since), rfc3339(found.last)
        many = f"{found.count} signature{'' if found.count == 1 else 's'}"
        message = f"{many} without a time-stamp by others, {since} to {last}: {printable(found.reason)}"
        remedy = "name the commits that lack one, for example all of a branch (and --tsa URL where notme.tsa is gone)"
        command = f"notme-git timestamp --repo {shlex.quote(found.folder)} HEAD"
        yield Finding("tsa-missed", message, remedy, command)
