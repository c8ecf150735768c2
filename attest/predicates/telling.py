"""What is told of a run of `attest`: each statement, what could not be stated, and the exit status."""

from __future__ import annotations

import json
from typing import Any

import click

from attest.attester import Attester
from attest.cli import STATUS, nothing_named
from attest.command import complain
from attest.errors import ACCEPTED, REJECTED, UNCHECKED, UnavailableError
from attest.predicates.maker import COMMIT
from attest.predicates.run import Run, Told
from attest.report.text import printable
from attest.types import Outcome

_SAID = 20
"""Objects that could not be checked of which it is said one by one."""


def say(run: Run, where: str, attester: Attester | None, *, as_json: bool) -> None:
    """What was stated on stdout, what could not be on stderr."""
    by = "" if attester is None else f", signed by {printable(attester.id)}"
    if as_json:
        click.echo(json.dumps([_data(told, attester) for told in run.told], indent=2, ensure_ascii=False))
    else:
        for told in run.told:
            what = told.result if told.type == COMMIT else f"{told.type} {told.result}".rstrip()
            click.echo(f"{told.object_id} {what}: {where}{by}")
    for object_id, why in run.unchecked[:_SAID]:
        click.echo(f"COULD NOT CHECK {object_id}: {printable(why)}", err=True)
    for sentence in run.unread[:_SAID]:
        complain("notme-attest", UnavailableError(sentence))
    silent = run.wanted.types - {told.type for told in run.told}
    rejected = run.counts[Outcome.REJECTED]
    # Where nothing was judged the error says so, and where something could not be checked that was just said.
    if silent and (run.counts[Outcome.ACCEPTED] or rejected):
        why = f"{rejected} rejected, and verify says why" if rejected else "there is nothing of that type to say"
        click.echo(f"nothing was stated as {', '.join(sorted(silent))}: {why}", err=True)


def _data(told: Told, attester: Attester | None) -> dict[str, Any]:
    signer = None if attester is None else {"identity": attester.id}
    return {
        "object": told.object_id,
        "type": told.type,
        "predicateType": told.predicate_type,
        "result": told.result or None,
        "signer": signer,
    }


def status(run: Run) -> int:
    """As verify has it; and 2 where everything was accepted and nothing could be stated."""
    if not sum(run.counts.values()):
        raise nothing_named()
    statuses = {UNCHECKED if outcome is None else STATUS[outcome] for outcome, count in run.counts.items() if count}
    if REJECTED in statuses:
        return REJECTED
    if not run.told and statuses == {ACCEPTED}:
        return UNCHECKED
    return max(statuses)
