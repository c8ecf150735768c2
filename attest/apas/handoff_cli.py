"""`handoff`: handing an agent's work from one phase to the next, and checking how it was handed on."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from attest import dsse, lines
from attest.apas import handoff_chain, handoff_files, handoff_report, handoff_statement, leyline
from attest.apas.fields import PREFIX, commit_id, is_hex
from attest.apas.handoff import Handoff
from attest.apas.handoff_chain import Asked
from attest.apas.handoff_signers import Signers
from attest.apas.signer_options import signer_options
from attest.attester import KeyAttester
from attest.attester_options import Named, attester_options, chosen
from attest.cli import json_option, open_repository, write_line
from attest.command import FILE
from attest.errors import ACCEPTED, REJECTED, UNCHECKED, MalformedError, UsageError, VerificationError
from attest.report.text import printable


@click.group()
def handoff() -> None:
    """What one phase of an agent's work hands to the next (APAS handoff/v1): sign it, check it, show it."""


@handoff.command()
@click.option("--from-phase", required=True, metavar="NAME", help="The phase that ends.")
@click.option("--to-phase", required=True, metavar="NAME", help="The phase that begins.")
@click.option("--document", "path", required=True, type=FILE, help="What is handed on, for example plan.md.")
@click.option("--previous", type=FILE, help="The handoff before this one; phase 0 has none.")
@click.option("--from-agent", "agent", default="", metavar="NAME", help="Who did the phase that ends.")
@click.option("--work-item", default="", metavar="ID", help="What it is all for (default: as in --previous).")
@click.option("--changed", "files", multiple=True, metavar="PATH", help="A file that the phase changed. Repeatable.")
@click.option("--commit", "commits", multiple=True, metavar="ID", help="A commit that it made, in full. Repeatable.")
@partial(attester_options, with_id=False)
@signer_options
@click.option(
    "--b64",
    type=click.Choice(["standard", "url-nopad"]),
    default="standard",
    show_default=True,
    help="url-nopad: a plain envelope as ley-line reads it, instead of a Sigstore bundle.",
)
@click.option("--out", "--output", "-o", "output", type=FILE, help="Write it to this file (default: stdout).")
def build(
    from_phase: str,
    to_phase: str,
    path: Path,
    previous: Path | None,
    agent: str,
    work_item: str,
    files: tuple[str, ...],
    commits: tuple[str, ...],
    signer: Named,
    who: Signers,
    b64: str,
    output: Path | None,
) -> int:
    """Sign the handoff of a phase.

    Rosary's .rsry-handoff-N.json says itself whose work it is, which files changed and by which commits. For any other
    document the options say so. --previous is the file of the handoff before: rosary's, or one that was signed, by
    --key itself or by an attester that was named.
    """
    at = datetime.now(UTC)
    for option, given in (("--from-phase", from_phase), ("--to-phase", to_phase)):
        if not given:
            raise UsageError(f"{option} names nothing")
    for commit in commits:
        _check_commit(commit)
    attester = chosen(signer, at)
    own = attester.key.public if isinstance(attester, KeyAttester) else None
    if b64 != "standard" and own is None:
        raise UsageError("--b64 url-nopad writes no certificate, so it goes with --key")
    document = handoff_files.document(path)
    before = None if previous is None else _verified(previous, who if own is None else who.and_key(own))
    link = handoff_statement.link(document, before, agent=agent, work_item=work_item, files=files, commits=commits)
    payload = handoff_statement.build(document, link, from_phase=from_phase, to_phase=to_phase)
    line = attester.sign(payload, at)
    if b64 == "url-nopad":
        line = leyline.encode(lines.envelope_of(dsse.read_json(line)), own)
    write_line(line, output)
    return ACCEPTED


@handoff.command()
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="FILE|DIR...")
@signer_options
@click.option("--unsigned", is_flag=True, help="Check the links alone; anybody could have written them (APAS level 1).")
@click.option("--no-documents", is_flag=True, help="Do without the documents that were handed on.")
@click.option("--repo", "directory", type=FILE, help="Look for the commits that are named in this repository.")
@click.option("--work-item", metavar="ID", help="The work item that all of it has to be for.")
@click.option("--ends-with", metavar="HASH", help="The chain hash that the last phase is to have.")
@json_option
def check(
    paths: tuple[Path, ...],
    who: Signers,
    unsigned: bool,
    no_documents: bool,
    directory: Path | None,
    work_item: str | None,
    ends_with: str | None,
    as_json: bool,
) -> int:
    """Check a chain of handoffs: signatures, documents, order and hashes.

    Of a folder .rsry-handoff-N.json, .rsry-handoff-N.dsse.json and *.intoto.jsonl are read. A document that was handed
    on is looked for beside its handoff.

    Another whole chain of the same orchestrator holds as well: --work-item and --ends-with say which one is meant. The
    latter takes handoffChain.phaseHash of the dispatch, and shows whether phases were cut off at the end.

    Exits 0 where the chain holds, 1 where it does not, and 2 where something is missing to tell.
    """
    last = "" if ends_with is None else ends_with.removeprefix(PREFIX)
    if ends_with is not None and not is_hex(last):
        raise UsageError("--ends-with is 64 lower-case hex digits, with or without sha256:")
    if work_item == "":  # a variable that is not set would leave the check out
        raise UsageError("--work-item names nothing")
    if unsigned and who:
        raise UsageError("--unsigned excludes --attester-key, --attester and --certificate-identity")
    files = handoff_files.collect(paths)
    with nullcontext() if directory is None else open_repository(directory, os.environ) as repo:
        made = handoff_chain.check(files, Asked(who, unsigned, not no_documents, repo, last, work_item or ""))
    if as_json:
        click.echo(json.dumps(handoff_report.document(made), indent=2, ensure_ascii=False))
    else:
        handoff_report.print_lines(made)
    if unsigned:
        click.echo("warning: the links say nothing of who made them (--unsigned)", err=True)
    return made.status


@handoff.command()
@click.argument("paths", nargs=-1, required=True, type=FILE, metavar="FILE|DIR...")
@json_option
def show(paths: tuple[Path, ...], as_json: bool) -> int:
    """Show what handoffs say, in whichever shape. Nothing is verified."""
    files = handoff_files.collect(paths)
    if as_json:
        items = [{"source": each.source, **handoff_report.said(each.handoff)} for each in files.found]
        click.echo(json.dumps(items, indent=2, ensure_ascii=False))
    for each in () if as_json else files.found:
        signed = "not verified" if each.envelope is not None else "unsigned"
        click.echo(f"{printable(each.source)} ({each.handoff.shape}, {signed})")
        for name, value in handoff_report.said(each.handoff).items():
            for item in value if isinstance(value, list) else [value]:
                if item not in (None, "") and name != "shape":
                    click.echo(f"  {name} {printable(str(item))}")
    for name, message in files.broken:
        click.echo(f"{printable(name)}: {printable(message)}", err=True)
    return REJECTED if files.broken else ACCEPTED if files.found else UNCHECKED


def _check_commit(text: str) -> None:
    try:
        commit_id(text, "--commit")
    except MalformedError as error:
        raise UsageError(error.message, hint="git rev-parse HEAD prints the last one's") from None


def _verified(path: Path, who: Signers) -> Handoff:
    """The handoff before. Where it was signed, one of these has to have signed it."""
    found = handoff_files.read_one(path)
    if found.envelope is not None:
        try:
            who.of(found)
        except VerificationError as error:
            raise VerificationError(error.step, error.reason, f"{path}: {error.message}", hint=error.hint) from None
    elif found.document is None:
        raise UsageError(f"nobody signed {path}", hint="name the signed handoff, or rosary's own file")
    return found.handoff
