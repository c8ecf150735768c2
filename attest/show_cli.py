"""`show`: what was stated about an object, by whom, and whether that holds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attest import attestation, noteclaims, signing_key, stamps, statement, store
from attest.attestation import Accepting
from attest.cli import json_option, load_trust, open_repository, print_blocks, repository_option, trust_options
from attest.errors import ACCEPTED, REJECTED, Error, MalformedError, Reason, VerificationError
from attest.instants import rfc3339
from attest.keys import PublicKey
from attest.receive import witness
from attest.report import text
from attest.repository import Repository
from attest.verifier import attester_keys_option, identities_option, load_roots

if TYPE_CHECKING:
    from attest.keyless.verify import Identity

_FILE = click.Path(path_type=Path)
_UNVERIFIED = {"verified": False, "error": None, "predicateType": None, "result": None, "signer": None}
_KEYLESS = "if it is keyless, name --sigstore-root, --certificate-identity and --certificate-oidc-issuer"


@click.command(name="show")
@click.argument("rev")
@repository_option
@trust_options
@attester_keys_option
@click.option("--sigstore-root", type=_FILE, help="Trusted root of the Sigstore instance of keyless statements.")
@identities_option
@click.option(
    "--witness-key",
    "witnesses",
    multiple=True,
    type=_FILE,
    help="PEM public key of a server whose witness statements count. May be repeated.",
)
@click.option(
    "--layout", type=click.Choice(["gitsign", "notes"]), help="Read where that tool keeps them: docs/storage.md."
)
@click.option("--notes", "with_notes", is_flag=True, help="Show also what git-ai and Agent Trace noted, as claims.")
@json_option
def command(
    rev: str,
    directory: Path | None,
    anchors: tuple[Path, ...],
    profile: str | None,
    bundle: Path | None,
    attesters: tuple[PublicKey, ...],
    sigstore_root: Path | None,
    identities: tuple[Identity, ...],
    witnesses: tuple[Path, ...],
    layout: str | None,
    with_notes: bool,
    as_json: bool,
) -> int:
    """Show and verify the statements stored for REV.

    Those of verifiers under the pinned authorities hold, and those of whoever else is named. What servers saw arrive is
    shown where one of their keys is named. Notes are unsigned, and decide nothing.

    Exits 0 when there is at least one and every one verifies, 1 otherwise.
    """
    at = datetime.now(UTC)
    known = tuple(signing_key.load_public(path) for path in witnesses)
    named = bool(attesters or identities)
    trusted = replace(
        load_trust(anchors, profile, bundle, others=named), foreign=load_roots(sigstore_root=sigstore_root)
    )
    accepting = Accepting(trusted, attesters, identities=identities)
    repo = open_repository(directory, os.environ)
    object_id = repo.resolve(rev)
    lines = [line for line in _stored(repo, object_id, layout) if not stamps.is_stamp(line)]
    seen = [line for line in lines if witness.is_witness(line)]
    items = [_statement(line, object_id, accepting, at) for line in lines if line not in seen]
    if known:
        items += [_witnessed(line, object_id, known) for line in seen]
    elif seen:
        hint = "name the server's key with --witness-key"
        click.echo(f"{len(seen)} witness statement(s) are not shown: {hint}", err=True)
    claims = noteclaims.read(repo, object_id) if with_notes else []
    if as_json:
        click.echo(json.dumps([*items, *claims], indent=2, ensure_ascii=False))
    else:
        print_blocks([*map(_lines, items), *(map(text.printable, noteclaims.shown(c)) for c in claims)])
    if not items and not as_json:
        program = click.get_current_context().find_root().info_name
        hint = "notme-git attest makes one, sync fetches them"
        click.echo(f"{program}: no statement is stored for {object_id} ({hint})", err=True)
    return ACCEPTED if items and all(item["verified"] for item in items) else REJECTED


def _stored(repo: Repository, object_id: str, layout: str | None) -> list[bytes]:
    if layout is None:
        return store.read(repo, object_id)
    from attest import layouts

    return layouts.read(repo, layouts.Layout(layout), object_id)


def _statement(line: bytes, object_id: str, accepting: Accepting, at: datetime) -> dict[str, Any]:
    """One stored line: what it says, and whether it verifies for this object."""
    try:
        found = attestation.verify(line, accepting, at)
        if found.said.about(object_id) is None:
            raise MalformedError("the statement is about another object")
        said = statement.read(found.said.payload, object_id)
    except VerificationError as error:
        if error.reason is Reason.ANCHOR_UNKNOWN and not accepting.identities:
            return {**_UNVERIFIED, "error": f"{error.message}; {_KEYLESS}"}
        return {**_UNVERIFIED, "error": error.message}
    except Error as error:
        return {**_UNVERIFIED, "error": error.message}
    first = found.by[0]
    return {
        "verified": True,
        "error": None,
        "predicateType": said.predicate_type,
        "result": said.result,
        "signer": {"identity": first.uri, "issuer": first.issuer, "kind": first.kind},
        "signedAt": rfc3339(int(found.time.timestamp())) if found.time is not None else None,
        "statement": json.loads(found.said.payload),
    }


def _witnessed(line: bytes, object_id: str, known: tuple[PublicKey, ...]) -> dict[str, Any]:
    """The same for what a server says it saw arrive."""
    try:
        said = witness.verify(line, object_id, known)
    except Error as error:
        return {**_UNVERIFIED, "error": error.message}
    return {
        "verified": True,
        "error": None,
        "predicateType": witness.PREDICATE_TYPE,
        "result": f"{said.ref} came to {said.new}" if said.new else f"{said.ref} was deleted",
        "signer": {"identity": said.witness, "issuer": said.key.key_id, "kind": "witness"},
        "signedAt": said.received_at,
        "statement": json.loads(said.payload),
    }


def _lines(item: dict[str, Any]) -> Iterable[str]:
    if not item["verified"]:
        yield f"statement NOT verified: {text.printable(item['error'])}"
        return
    result = f": {text.printable(str(item['result']))}" if item["result"] is not None else ""
    yield f"statement {text.printable(item['predicateType'])}{result}"
    when = f" at {text.printable(item['signedAt'])}" if item["signedAt"] is not None else ""
    yield f"  signed by {text.printable(item['signer']['identity'])}{when}"
    identity = item["statement"].get("predicate", {}).get("identity")
    for role in ("actor", "representedPrincipal"):
        who = identity.get(role) if isinstance(identity, dict) else None
        if isinstance(who, dict):
            yield f"  {role} {text.printable(json.dumps(who, ensure_ascii=False))}"
