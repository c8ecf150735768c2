"""`origins`: the canonical hash of a set of content origins, and what it is good for."""

from __future__ import annotations

import json
from pathlib import Path

import click

from attest.apas import origins
from attest.apas.origins import Confidence
from attest.cli import json_option, read_file
from attest.command import FILE
from attest.dsse import MAX_JSON_BYTES
from attest.errors import ACCEPTED, REJECTED, MalformedError
from attest.report.text import printable


@click.command(name="origins")
@click.argument("file", type=FILE)
@click.option(
    "--vouched-by", "trusted", multiple=True, metavar="ID", help="Whose word on sources counts to you. Repeatable."
)
@click.option("--actor", "actors", multiple=True, metavar="URI", help="Refuse sources that are this actor. Repeatable.")
@click.option("--require-attested", is_flag=True, help="Exit 1 unless the sources are origin-attested.")
@json_option
def command(
    file: Path, trusted: tuple[str, ...], actors: tuple[str, ...], require_attested: bool, as_json: bool
) -> int:
    """Show the canonical hash of the content origins in FILE, and how far they are vouched for.

    FILE holds the JSON array [{"uri": ..., "vouchedBy": ...}, ...], or an object with contentOrigins or originsHash.
    They are origin-attested where one of --vouched-by vouches for every source, origin-asserted where not, and
    origin-unknown where FILE names none.
    """
    try:
        found = origins.parse(read_file(file, MAX_JSON_BYTES))
    except MalformedError as error:
        raise MalformedError(f"{file}: {error.message}", hint=error.hint) from None
    origins.refuse_actors(found.origins or (), actors)
    confidence = origins.confidence(found.origins, trusted)
    if as_json:
        click.echo(json.dumps(_document(found, confidence), indent=2))
    else:
        click.echo(f"originsHash {found.digest or '- (there is none of an empty set)'}")
        click.echo(f"confidence {confidence}")
        for one in found.origins or ():
            mark = "+" if one.vouched_by and one.vouched_by in trusted else "-"
            click.echo(f"  {mark} {printable(one.uri)} ({printable(one.vouched_by) or 'nobody vouches'})")
    return REJECTED if require_attested and confidence is not Confidence.ATTESTED else ACCEPTED


def _document(found: origins.Declared, confidence: Confidence) -> dict[str, object]:
    entries = [{"uri": one.uri, "vouchedBy": one.vouched_by} for one in found.origins or ()]
    return {
        "originsHash": found.digest or None,
        "contentOrigins": None if found.origins is None else entries,
        "confidence": str(confidence),
    }
