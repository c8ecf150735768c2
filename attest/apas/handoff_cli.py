"""`handoff`: handing an agent's work from one phase to the next, and checking how it was handed on."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from attest import dsse, signing_key
from attest.apas import handoff_chain, handoff_files, handoff_statement, leyline
from attest.apas.fields import PREFIX, is_hex
from attest.apas.handoff import Handoff
from attest.apas.handoff_chain import Asked, Checked, Phase
from attest.attester import Attester, KeyAttester, uri_of
from attest.cli import json_option, open_repository
from attest.errors import ACCEPTED, REJECTED, UNCHECKED, UnavailableError, UsageError
from attest.keys import PublicKey
from attest.report.text import printable

_FILE = click.Path(path_type=Path)
_WORDS = {ACCEPTED: "holds", REJECTED: "DOES NOT HOLD", UNCHECKED: "COULD NOT CHECK"}
_KEY_IDS = 12


@click.group()
def handoff() -> None:
    """What one phase of an agent's work hands to the next (APAS handoff/v1): sign it, check it, show it."""


@handoff.command()
@click.option("--from-phase", required=True, metavar="NAME", help="The phase that ends.")
@click.option("--to-phase", required=True, metavar="NAME", help="The phase that begins.")
@click.option("--document", "path", required=True, type=_FILE, help="What is handed on, for example plan.md.")
@click.option("--previous", type=_FILE, help="The handoff before this one; phase 0 has none.")
@click.option("--agent", default="", metavar="NAME", help="Who did the phase that ends.")
@click.option("--work-item", default="", metavar="ID", help="What it is all for (default: as in --previous).")
@click.option("--changed", "files", multiple=True, metavar="PATH", help="A file that the phase changed. Repeatable.")
@click.option("--commit", "commits", multiple=True, metavar="ID", help="A commit that it made, in full. Repeatable.")
@click.option("--key", type=_FILE, required=True, help="Ed25519 private key of the orchestrator, PEM.")
@click.option(
    "--attester-key",
    "trusted",
    multiple=True,
    type=_FILE,
    help="Whose signature on --previous counts beside that of --key; PEM public key. Repeatable.",
)
@click.option(
    "--b64",
    type=click.Choice(["standard", "url-nopad"]),
    default="standard",
    show_default=True,
    help="url-nopad: a plain envelope as ley-line reads it, instead of a Sigstore bundle.",
)
@click.option("--output", "-o", type=_FILE, help="Write it to this file (default: stdout).")
def build(
    from_phase: str,
    to_phase: str,
    path: Path,
    previous: Path | None,
    agent: str,
    work_item: str,
    files: tuple[str, ...],
    commits: tuple[str, ...],
    key: Path,
    trusted: tuple[Path, ...],
    b64: str,
    output: Path | None,
) -> int:
    """Sign the handoff of a phase.

    Rosary's .rsry-handoff-N.json says itself whose work it is, which files changed and by which commits. For any other
    document the options say so. --previous is the file of the handoff before: rosary's, or one that was signed here.
    """
    secret = signing_key.load(key)
    known = (secret.public, *(signing_key.load_public(each) for each in trusted))
    document = handoff_files.document(path)
    before = None if previous is None else _verified(previous, known)
    link = handoff_statement.link(document, before, agent=agent, work_item=work_item, files=files, commits=commits)
    payload = handoff_statement.build(document, link, from_phase=from_phase, to_phase=to_phase)
    attester: Attester = KeyAttester(secret, uri_of(secret.public))
    line = attester.sign(payload, datetime.now(UTC))
    if b64 == "url-nopad":
        line = leyline.encode(dsse.parse_envelope(json.dumps(dsse.read_json(line)["dsseEnvelope"]).encode()))
    _write(line, output)
    return ACCEPTED


@handoff.command()
@click.argument("paths", nargs=-1, required=True, type=_FILE, metavar="FILE|DIR...")
@click.option(
    "--attester-key", "trusted", multiple=True, type=_FILE, help="PEM public key of who may hand on. Repeatable."
)
@click.option("--unsigned", is_flag=True, help="Check the links alone; anybody could have written them (APAS level 1).")
@click.option("--no-documents", is_flag=True, help="Do without the documents that were handed on.")
@click.option("--repo", "directory", type=_FILE, help="Look for the commits that are named in this repository.")
@click.option("--work-item", default="", metavar="ID", help="What all of it is to be for.")
@click.option("--ends-with", default="", metavar="HASH", help="The chain hash that the last phase is to have.")
@json_option
def check(
    paths: tuple[Path, ...],
    trusted: tuple[Path, ...],
    unsigned: bool,
    no_documents: bool,
    directory: Path | None,
    work_item: str,
    ends_with: str,
    as_json: bool,
) -> int:
    """Check a chain of handoffs: signatures, documents, order and hashes.

    Of a folder .rsry-handoff-N.json, .rsry-handoff-N.dsse.json and *.intoto.jsonl are read. A document that was handed
    on is looked for beside its handoff.

    Another whole chain of the same orchestrator holds as well: --work-item and --ends-with say which one is meant. The
    latter takes handoffChain.phaseHash of the dispatch, and shows whether phases were cut off at the end.

    Exits 0 where the chain holds, 1 where it does not, and 2 where something is missing to tell.
    """
    last = ends_with.removeprefix(PREFIX)
    if last and not is_hex(last):
        raise UsageError("--ends-with is 64 lower-case hex digits, with or without sha256:")
    if unsigned and trusted:
        raise UsageError("--unsigned and --attester-key exclude each other")
    keys = tuple(signing_key.load_public(each) for each in trusted)
    files = handoff_files.collect(paths)
    with nullcontext() if directory is None else open_repository(directory, os.environ) as repo:
        made = handoff_chain.check(files, Asked(keys, unsigned, not no_documents, repo, last, work_item))
    if as_json:
        click.echo(json.dumps(_document(made), indent=2, ensure_ascii=False))
    else:
        _print(made)
    if unsigned:
        click.echo("warning: the links say nothing of who made them (--unsigned)", err=True)
    return made.status


@handoff.command()
@click.argument("paths", nargs=-1, required=True, type=_FILE, metavar="FILE|DIR...")
@json_option
def show(paths: tuple[Path, ...], as_json: bool) -> int:
    """Show what handoffs say, in whichever shape. Nothing is verified."""
    files = handoff_files.collect(paths)
    if as_json:
        items = [{"source": each.source, **_said(each.handoff)} for each in files.found]
        click.echo(json.dumps(items, indent=2, ensure_ascii=False))
    for each in () if as_json else files.found:
        signed = "not verified" if each.envelope is not None else "unsigned"
        click.echo(f"{printable(each.source)} ({each.handoff.shape}, {signed})")
        for name, value in _said(each.handoff).items():
            for item in value if isinstance(value, list) else [value]:
                if item not in (None, "") and name != "shape":
                    click.echo(f"  {name} {printable(str(item))}")
    for name, message in files.broken:
        click.echo(f"{printable(name)}: {printable(message)}", err=True)
    return REJECTED if files.broken else ACCEPTED if files.found else UNCHECKED


def _verified(path: Path, known: tuple[PublicKey, ...]) -> Handoff:
    """The handoff before. Where it was signed, one of these keys has to have signed it."""
    found = handoff_files.read_one(path)
    if found.envelope is not None:
        leyline.verify(found.envelope, known)
    elif found.document is None:
        raise UsageError(f"nobody signed {path}", hint="name the signed handoff, or rosary's own file")
    return found.handoff


def _write(line: bytes, output: Path | None) -> None:
    if output is None:
        click.echo(line.decode("ascii"))
        return
    temporary = output.with_name(f".{output.name}-{os.getpid()}")
    try:
        temporary.write_bytes(line + b"\n")
        os.replace(temporary, output)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UnavailableError(f"cannot write {output}: {error.strerror}") from None


def _print(made: Checked) -> None:
    for phase in made.phases:
        found = phase.handoff
        number = "-" if found.phase is None else str(found.phase)
        way = f"{found.from_phase} -> {found.to_phase or '(end)'}"
        signers = ", ".join(key.key_id[:_KEY_IDS] for key in phase.signers)
        click.echo(
            f"{_WORDS[phase.status]:<15} {printable(found.work_item or '-')} phase {number}, {printable(way)}: "
            f"{f'signed by {signers}' if signers else 'signer not proven'}, "
            f"hash {found.chain_hash[:_KEY_IDS] or '-'}, {len(found.commits)} commit(s)"
        )
        for sentence in (*phase.failed, *phase.open):
            click.echo(f"  {printable(sentence)}")
    for sentence in (*made.failed, *made.open):
        click.echo(printable(sentence), err=True)
    for sentence in made.remarks:
        click.echo(f"warning: {printable(sentence)}", err=True)


def _document(made: Checked) -> dict[str, Any]:
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
        "signers": [key.key_id for key in phase.signers],
        "failed": phase.failed,
        "open": phase.open,
        **_said(phase.handoff),
    }


def _said(found: Handoff) -> dict[str, Any]:
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
