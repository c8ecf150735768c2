"""`extract`: a signature's value and the time-stamps over it as files, for others' programs (`openssl ts -verify`)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from attest import gitobject, stampable, stamps, store, verifier
from attest.cli import json_option, open_repository, repository_option
from attest.command import FILE
from attest.errors import ACCEPTED, UnavailableError, UsageError
from attest.gitobject import SIGNED_KINDS, PushCertificate, SignatureFormat
from attest.report.text import printable
from attest.repository import Repository


@click.command(name="extract")
@click.argument("rev")
@click.option("--to", "folder", type=FILE, default=Path(), help="The folder (default: here).")
@repository_option
@json_option
def command(rev: str, folder: Path, directory: Path | None, as_json: bool) -> int:
    """Write out the signature of REV, and each time-stamp over it.

    ID.signature is what the time-stamps are over. ID.0.tst and so on are RFC 3161 tokens in DER: first those inside of
    a CMS signature, then those kept beside the object. Nothing of them is checked here; openssl does that:
    openssl ts -verify -data ID.signature -token_in -in ID.0.tst -CAfile ROOT.pem
    """
    with open_repository(directory, os.environ) as repo:
        oid = repo.resolve(rev)
        value, inside = _signature(repo, oid)
        beside = [*stamps.spooled(verifier.home(), oid), *stamps.of_lines(store.read(repo, oid), oid)]
    tokens = tuple(dict.fromkeys((*inside, *beside)))
    files = {f"{oid}.signature": value, **{f"{oid}.{number}.tst": token for number, token in enumerate(tokens)}}
    paths = [_write(folder / name, content) for name, content in files.items()]
    if as_json:
        click.echo(json.dumps({"signature": str(paths[0]), "timestamps": [str(path) for path in paths[1:]]}, indent=2))
    else:
        for path in paths:
            click.echo(printable(str(path)))
    return ACCEPTED


def _signature(repo: Repository, oid: str) -> tuple[bytes, tuple[bytes, ...]]:
    """The value of an object's signature, and the time-stamps that travel inside."""
    name, raw = repo.read(oid)
    if name not in SIGNED_KINDS:
        raise UsageError(f"{oid} is a {name}; only commits and tags carry signatures")
    parsed = gitobject.parse(raw, SIGNED_KINDS[name], repo.object_format)
    if isinstance(parsed, PushCertificate) or parsed.signature is None:
        raise UnavailableError(f"{oid} carries no signature")
    inside: tuple[bytes, ...] = ()
    if parsed.signature.format is SignatureFormat.X509:
        from attest.foreign import cmsdata, cmstime, smime

        message = cmsdata.parse(smime.open_armour(parsed.signature.armour)[0])
        inside = tuple(each.der for each in message.unsigned.get(cmstime.TIMESTAMP_TOKEN, ()))
    return stampable.value_of(parsed.signature), inside


def _write(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise UnavailableError(f"cannot write {path}: {error.strerror}") from None
    return path
