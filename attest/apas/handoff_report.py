"""Chains of handoffs as they were found: lines for a person, and a document."""

from __future__ import annotations

from typing import Any

import click

from attest.apas.fields import PREFIX
from attest.apas.handoff import Handoff
from attest.apas.handoff_chain import Checked, Phase
from attest.errors import ACCEPTED, REJECTED, UNCHECKED
from attest.report.text import printable

_WORDS = {ACCEPTED: "holds", REJECTED: "DOES NOT HOLD", UNCHECKED: "COULD NOT CHECK"}
_KEY_IDS = 12
"""Digits of a key's id in a line."""


def print_lines(made: Checked) -> None:
    """A line for each phase and one for each thing that is wrong with it; what is wrong with none of them on stderr."""
    for phase in made.phases:
        found = phase.handoff
        number = "-" if found.phase is None else str(found.phase)
        way = f"{found.from_phase} -> {found.to_phase or '(end)'}"
        signers = ", ".join(one if ":" in one else one[:_KEY_IDS] for one in phase.signers)
        click.echo(
            f"{_WORDS[phase.status]:<15} {printable(found.work_item or '-')} phase {number}, {printable(way)}: "
            f"{f'signed by {printable(signers)}' if signers else 'signer not proven'}, "
            f"hash {found.chain_hash[:_KEY_IDS] or '-'}, {len(found.commits)} commit(s)"
        )
        for sentence in (*phase.failed, *phase.open):
            click.echo(f"  {printable(sentence)}")
    for sentence in (*made.failed, *made.open):
        click.echo(printable(sentence), err=True)
    for sentence in made.remarks:
        click.echo(f"warning: {printable(sentence)}", err=True)


def document(made: Checked) -> dict[str, Any]:
    """For `--json`; `handoffChain` only of a chain that holds."""
    return {
        "status": _WORDS[made.status].lower(),
        "handoffChain": _chain(made) if made.status == ACCEPTED else None,
        "failed": list(made.failed),
        "open": list(made.open),
        "remarks": list(made.remarks),
        "phases": [_phase(phase) for phase in made.phases],
    }


def _chain(made: Checked) -> dict[str, str]:
    """As `runDetails.handoffChain` of a dispatch has it."""
    hashes = [PREFIX + phase.handoff.chain_hash for phase in made.phases]
    before = {"previousPhaseHash": hashes[-2]} if len(hashes) > 1 else {}
    return {"phaseHash": hashes[-1], **before, "chainRoot": hashes[0]}


def _phase(phase: Phase) -> dict[str, Any]:
    return {
        "status": _WORDS[phase.status].lower(),
        "sources": list(phase.sources),
        "signers": list(phase.signers),
        "failed": phase.failed,
        "open": phase.open,
        **said(phase.handoff),
    }


def said(found: Handoff) -> dict[str, Any]:
    """What one handoff says, with its hashes in bare hex."""
    return {
        "shape": str(found.shape),
        "phase": found.phase,
        "fromPhase": found.from_phase,
        "toPhase": found.to_phase or None,
        "workItemId": found.work_item or None,
        "summary": found.summary or None,
        "filesChanged": list(found.files),
        "commitShas": list(found.commits),
        "handoffDocument": found.document or None,
        "documentHash": found.document_hash or None,
        "previousChainHash": found.previous or None,
        "chainHash": found.chain_hash or None,
    }
