"""What is done to an authority that exists: the operator's code, its state, a backup, another key-encryption key."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from attest import certificate
from attest.cli import json_option
from attest.errors import UsageError
from attest.instants import rfc3339
from notme_git.authority import embedded, grants, kek, settings
from notme_git.authority.keystore import EncryptedKeys, KeyStoreKind
from notme_git.config import Config

MAX_CODE_LIFE = timedelta(days=1)


@click.command(name="code")
@click.option("--expires", default="15m", show_default=True, help="90s, 15m or 12h from now; a day at most.")
@click.option("--recovery", is_flag=True, help="Also lets somebody in where there are administrators already.")
@json_option
def code(expires: str, recovery: bool, as_json: bool) -> None:
    """Make the operator's code that lets the first administrator in. It works once."""
    from notme_git.authority.http.applicants import BOOTSTRAP
    from notme_git.authority.records import Records

    config = Config.read()
    life = grants.parse_duration(expires)
    if life > MAX_CODE_LIFE:
        raise UsageError(f"a code lives at most {MAX_CODE_LIFE}", hint="make it when it is wanted")
    ends, made = config.at + life, secrets.token_urlsafe(24)
    with embedded.opened(config.home) as opened:
        records = Records(opened.store)
        with opened.store.transaction(durable=True):
            records.keep(BOOTSTRAP, made, json.dumps({"recovery": recovery}), int(ends.timestamp()))
    if as_json:
        _print_json({"code": made, "expiresAt": rfc3339(int(ends.timestamp())), "recovery": recovery})
        return
    click.echo(made)
    who = "" if recovery else ", while there is no administrator"
    click.echo(
        f"good once, until {rfc3339(int(ends.timestamp()))}{who}: open the authority's page and register", err=True
    )


@click.command(name="status")
@json_option
def status(as_json: bool) -> None:
    """What this home's authority is: its epoch, its bundle's sequence and age, its settings."""
    config = Config.read()
    found = settings.read(config.home / "authority")
    with embedded.opened(config.home) as opened:
        told: dict[str, Any] = {
            "authority": opened.id,
            "url": found.url,
            "anchorSha256": certificate.key_of(certificate.read(opened.epoch.root)).spki_sha256.hex(),
            "epoch": opened.epoch.number,
            "bundleSequence": opened.store.latest_sequence(),
            "keyStore": opened.store.setting("key_store"),
            "lastIssuedAt": _instant(opened.store.last_issued_at()),
            "assurance": str(found.assurance),
        }
    if as_json:
        _print_json(told)
        return
    for name, value in told.items():
        click.echo(f"{name:<15} {value if value is not None else '-'}")


@click.command(name="backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> None:
    """Copy the authority into a new FILE (tar), also while it serves.

    FILE holds the key files as they are: plain ones are readable in it. docs/authority.md says how to restore it.
    """
    from notme_git.authority import backup as copying

    with embedded.opened(Config.read().home) as opened:
        names = copying.write(opened, file)
        kind = opened.store.setting("key_store")
    click.echo(f"{file}: {', '.join(names)}")
    if kind == KeyStoreKind.KEYRING:
        click.echo("warning: the keys are in this desktop's keyring and not in the backup", err=True)
    elif kind == KeyStoreKind.FILE:
        click.echo("warning: the keys are in the backup, and not encrypted: keep it as you would keep them", err=True)


@click.command(name="rewrap")
@click.option(
    "--kek-file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    help="The file with the new key-encryption key, 32 bytes or more.",
)
def rewrap(kek_file: Path) -> None:
    """Encrypt the authority's keys under another key-encryption key; the present one is found as always.

    Each key is replaced whole. Cut short, the same command goes on where it stopped, with the present key-encryption
    key still in its place.
    """
    with embedded.opened(Config.read().home) as opened:
        if not isinstance(opened.keys, EncryptedKeys):
            raise UsageError("this authority's keys are not encrypted under a key-encryption key")
        changed = opened.keys.rewrap(kek.read(kek_file))
    click.echo(f"{changed} keys are now under the key in {kek_file}")
    click.echo(
        f'next: kek_file = "{kek_file}" in the authority\'s settings.toml, or NOTME_KEK_FILE; then restart serve'
    )


def _instant(seconds: int | None) -> str | None:
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))
