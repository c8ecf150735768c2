"""`show`: what is stored about an object, and whose word it is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from attest import attestation, attestation_types, noteclaims, stamps, store, witnessed
from attest.accepting import accepting_options
from attest.attestation import Accepting, Attestation, By, Credential
from attest.certificate import NOT_PINNED
from attest.cli import json_option, open_repository, repository_option
from attest.errors import ACCEPTED, REJECTED, Error, MalformedError, Reason, VerificationError
from attest.instants import rfc3339
from attest.layouts import Layout
from attest.layouts import read as read_layout
from attest.predicates import gist
from attest.report.text import printable
from attest.repository import Repository
from attest.said import OBJECT

_KEYLESS = "if it is keyless, name --sigstore-root, --certificate-identity and --certificate-oidc-issuer"
BY_KEY = "--attester-key FILE names the key of a verifier that counts"
LAYOUTS = [layout.value for layout in Layout]
_UNVERIFIED = {"verified": False, "error": None, "predicateType": None, "result": None, "signer": None}


@click.command(name="show")
@click.argument("rev")
@repository_option
@accepting_options
@click.option("--layout", type=click.Choice(LAYOUTS), help="Read where that tool keeps them: docs/storage.md.")
@click.option("--notes", "with_notes", is_flag=True, help="Show also what git-ai and Agent Trace noted, as claims.")
@json_option
def command(
    rev: str, directory: Path | None, accepting: Accepting, layout: str | None, with_notes: bool, as_json: bool
) -> int:
    """Show and verify the statements stored for REV.

    What servers saw arrive is shown where one of their keys is named. Notes are unsigned, and decide nothing.

    Exits 0 when there is at least one and every one verifies, 1 otherwise. Whether they are enough, verify-attestation
    tells.
    """
    at = datetime.now(UTC)
    repo = open_repository(directory, os.environ)
    object_id = repo.resolve(rev)
    lines = [line for line in stored(repo, object_id, layout) if not stamps.is_stamp(line)]
    seen = [line for line in lines if witnessed.is_witness(line)]
    if seen and not accepting.witnesses:
        lines = [line for line in lines if line not in seen]
        hint = "name the server's key with --witness-key"
        click.echo(f"{len(seen)} witness statement(s) are not shown: {hint}", err=True)
    items = [_shown(line, object_id, accepting, at) for line in lines]
    claims = noteclaims.read(repo, object_id) if with_notes else []
    if as_json:
        click.echo(json.dumps([*items, *claims], indent=2, ensure_ascii=False))
    else:
        blocks = [*map(_text, items), *(map(printable, noteclaims.shown(claim)) for claim in claims)]
        click.echo("\n\n".join("\n".join(block) for block in blocks), nl=bool(blocks))
    if not items and not as_json:
        program = click.get_current_context().find_root().info_name
        hint = "notme-git attest makes one, sync fetches them"
        click.echo(f"{program}: no statement is stored for {object_id} ({hint})", err=True)
    return ACCEPTED if items and all(item["verified"] for item in items) else REJECTED


def stored(repo: Repository, object_id: str, layout: str | None) -> list[bytes]:
    """The lines about an object, of our own ref or where another tool keeps them."""
    return store.read(repo, object_id) if layout is None else read_layout(repo, Layout(layout), object_id)


def _shown(line: bytes, object_id: str, accepting: Accepting, at: datetime) -> dict[str, Any]:
    """One stored line: what it says, and whether it verifies for this object."""
    try:
        found = attestation.verify(line, accepting, at)
        if not any(found.said.about(f"{name}{object_id}") for name in (OBJECT, "gitTree:", "gitBlob:")):
            raise MalformedError("the statement is about another object")
    except Error as error:
        reason = error.reason if isinstance(error, VerificationError) else None
        unknown = reason is Reason.ANCHOR_UNKNOWN and not accepting.identities
        hint = f"; {NOT_PINNED}; {_KEYLESS}" if unknown else f"; {BY_KEY}" if reason is Reason.KEY_UNKNOWN else ""
        return {**_UNVERIFIED, "error": f"{error.message}{hint}"}
    signers = [_signer(by, found) for by in found.by]
    return {
        "verified": True,
        "error": None,
        "predicateType": found.said.predicate_type,
        "result": attestation_types.result(found.said),
        "signer": signers[0],
        "signers": signers,
        "signedAt": _signed_at(found),
        "statement": json.loads(found.said.payload),
    }


def _signer(by: By, found: Attestation) -> dict[str, str]:
    """Whoever named a bare key takes its owner's word for what he is called."""
    who = {"kind": by.kind, "credential": str(by.credential)}
    if by.key is None:
        return {"identity": by.uri, "issuer": by.issuer, **who}
    return {"identity": found.said.verifier or by.uri, "issuer": by.key.key_id, **who}


def _signed_at(found: Attestation) -> str | None:
    if found.time is not None:
        return rfc3339(int(found.time.timestamp()))
    # A witness says itself when it saw what it states.
    received = found.said.at("receivedAt") if found.by[0].credential is Credential.WITNESS else None
    return received if isinstance(received, str) else None


def _text(item: dict[str, Any]) -> Iterator[str]:
    if not item["verified"]:
        yield f"statement NOT verified: {printable(item['error'])}"
        return
    result = f": {item['result']}" if item["result"] is not None else ""
    yield f"statement {printable(item['predicateType'] + result)}"
    for signer in item["signers"]:
        at = f" at {item['signedAt']}" if item["signedAt"] is not None else ""
        # What a key's owner is called is his own word: which key it was tells two of them apart.
        bare = signer["credential"] in (Credential.KEY, Credential.WITNESS)
        key = f" with the key {signer['issuer']}" if bare else ""
        yield f"  signed by {printable(signer['identity'] + key + at)}"
    predicate = item["statement"].get("predicate") or {}
    for line in gist.lines(item["predicateType"], predicate):
        yield f"  {printable(line)}"
    identity = predicate.get("identity")
    for role in ("actor", "representedPrincipal"):
        who = identity.get(role) if isinstance(identity, dict) else None
        if isinstance(who, dict):
            yield f"  {role} {printable(json.dumps(who, ensure_ascii=False))}"
