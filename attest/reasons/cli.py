"""`notme-attest reasons`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from attest.cli import json_option
from attest.errors import ACCEPTED
from attest.reasons import ENTRIES, Entry, entry_of


@click.command(name="reasons")
@click.argument("code", required=False)
@json_option
def command(code: str | None, as_json: bool) -> int:
    """Explain CODE, or list every code that verdicts have.

    Reasons, contradictions and remarks: what each means, a sentence as it is printed, and what to do.
    """
    if as_json:
        found: object = data(entry_of(code)) if code else [data(entry) for entry in ENTRIES.values()]
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return ACCEPTED
    for line in _entry(entry_of(code)) if code else _table():
        click.echo(line)
    return ACCEPTED


def data(entry: Entry) -> dict[str, Any]:
    """For programs."""
    return {
        "code": entry.code,
        "kind": entry.kind.value,
        "severity": entry.severity.value if entry.severity is not None else None,
        "steps": [int(step) for step in entry.steps],
        "meaning": entry.meaning,
        "example": entry.example or None,
        "remedy": entry.remedy,
    }


def _table() -> Iterator[str]:
    width = max(map(len, ENTRIES))
    for entry in ENTRIES.values():
        yield f"{entry.code:<{width}}  {entry.severity or entry.kind}"


def _entry(entry: Entry) -> Iterator[str]:
    steps = ", ".join(f"{int(step)} {step.name.lower()}" for step in entry.steps)
    weight = f", {entry.severity}" if entry.severity is not None else ""
    yield f"{entry.code}: {entry.kind}{weight} (step {steps})"
    yield f"  means    {entry.meaning}"
    if entry.example:
        yield f"  example  {entry.example}"
    yield f"  remedy   {entry.remedy}"
