"""`notme-git authority`: make, serve and tend an authority for a team."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import click

from attest.cli import json_option
from attest.errors import RefusedError, UnavailableError, UsageError
from notme_git.authority import embedded, epochs, founding, grants, settings, upkeep
from notme_git.authority.embedded import Preference
from notme_git.authority.founding import Founded
from notme_git.authority.settings import Settings
from notme_git.config import Config
from notme_git.loopback import is_loopback
from notme_git.remote import place

ORGANIZATION = "organization"

_TEMPLATE = """\
# How this authority is run; docs/authority.md says what each setting means. `notme-git authority serve` reads it once.
url = {url}
{kek}
# Whose GitHub Actions jobs get certificates, and what they may do (docs/proofs.md):
# [github]
# owners = ["example"]
# [[workloads]]
# issuer = "https://token.actions.githubusercontent.com"
# match = {{ repository = "example/*" }}
# scopes = ["sign:git"]
"""

KEY_STORES = ("auto", "keyring", "file", "encrypted")
KEY_STORE_HELP = "Where a new authority's keys are kept; auto takes the desktop's keyring if there is one, else files."
KEK_FILE = click.option(
    "--kek-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    help="The file with the key-encryption key of encrypted keys, 32 bytes or more; else NOTME_KEK or NOTME_KEK_FILE.",
)


@click.group(name="authority")
def authority() -> None:
    """An authority over HTTP, for a team or for this machine."""


@authority.command(name="init")
@click.option("--url", default=settings.DEFAULT_URL, show_default=True, help="Its public origin.")
@click.option("--organization", "name", default=ORGANIZATION, show_default=True, help="For whom workloads act.")
@click.option("--key-store", type=click.Choice(KEY_STORES), default="auto", show_default=True, help=KEY_STORE_HELP)
@KEK_FILE
@json_option
def init(url: str, name: str, key_store: Preference, kek_file: Path | None, as_json: bool) -> None:
    """Make an authority for a team: people join it by invite, CI jobs by its settings."""
    config = Config.read()
    origin = _origin(url)
    new = _found(config, origin, _organization(name), key_store, kek_file)
    fingerprint, recovery = new.anchor.key.spki_sha256.hex(), new.recovery_key.decode()
    if as_json:
        _print_json(
            {
                "authority": new.authority_id,
                "home": str(config.home),
                "url": origin,
                "organization": {"id": new.represented.id, "name": name},
                "anchorSha256": fingerprint,
                "keyStore": new.key_store,
                "recoveryKey": recovery,
            }
        )
        return
    click.echo(f"authority {new.authority_id} for {name}, at {origin}, in {config.home}")
    click.echo(f"anchor    SHA-256 {fingerprint}")
    click.echo("recovery  the key below is shown once and kept nowhere: store it offline. It retires a stolen epoch.")
    click.echo(recovery.strip())
    click.echo("next      notme-git authority serve, and notme-git authority code for the first administrator")


@authority.command(name="serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default: the port of the URL in the settings; 0: any.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes.")
@click.option("--url", help="Its public origin, in place of the one in the settings.")
@click.option(
    "--key-store",
    type=click.Choice((*KEY_STORES, "memory")),
    default="auto",
    show_default=True,
    help=f"{KEY_STORE_HELP} In memory they end with this process, and one worker serves.",
)
@KEK_FILE
@json_option
def serve(
    host: str,
    port: int | None,
    workers: int,
    url: str | None,
    key_store: Preference,
    kek_file: Path | None,
    as_json: bool,
) -> None:
    """Serve this home's authority over HTTP until SIGTERM; make one first where there is none.

    Loopback without TLS; before anything else goes a front proxy with TLS (docs/authority.md).
    """
    from notme_git.authority import serving
    from notme_git.daemon import hardening

    hardening.harden()
    config = Config.read()
    if key_store == "memory" and workers > 1:
        raise UsageError("keys in memory are one worker's: no other would have those of the next epoch")
    found = settings.read(config.home / "authority")
    if not is_loopback(host) and (found.loopback if url is None else settings.Settings(url=_origin(url)).loopback):
        raise UsageError(
            f"{host} is no loopback address, and the authority's URL is {url or found.url}",
            hint="give its public origin with --url https://..., where a front proxy has the certificate",
        )
    if not embedded.exists(config.home):
        if place.exists(config.home):
            raise RefusedError(
                f"{config.home} has no authority: its agents enrol with {place.read(config.home).url}",
                hint="to serve one of your own, name another home with NOTME_HOME",
            )
        _found_for_serving(config, key_store, kek_file)
        found = settings.read(config.home / "authority")
    with closing(serving.listen(host, _port(found) if port is None else port)) as listening:
        chosen = _served_url(found, url, host, listening.getsockname()[1])
        with embedded.opened(config.home) as opened:
            epochs.catch_up(opened)
            name, keys = opened.id, serving.loaded(opened)
        serving.log_to_stderr()
        told = {"authority": name, "url": chosen.url, "pid": os.getpid(), "workers": workers}
        server = serving.Server(config.home, chosen, keys, listening, workers)
        server.run(lambda: click.echo(json.dumps(told) if as_json else f"authority {name} serves {chosen.url}"))


def _found(config: Config, url: str, name: str, key_store: Preference, kek_file: Path | None) -> Founded:
    if kek_file is not None and key_store not in ("auto", "encrypted"):
        raise UsageError(f"keys in {key_store} are not encrypted under a key of yours", hint="leave out --kek-file")
    where: Preference = "encrypted" if kek_file is not None else key_store
    new = founding.found_team(config.home, name, where, config.at, str(kek_file or ""))
    _write_settings(config.home / "authority" / settings.NAME, url, kek_file)
    if new.warning:
        click.echo(f"warning: {new.warning}", err=True)
    return new


def _found_for_serving(config: Config, key_store: Preference, kek_file: Path | None) -> None:
    """The first `serve` on one's own machine makes the authority, and says so."""
    new = _found(config, settings.DEFAULT_URL, ORGANIZATION, key_store, kek_file)
    click.echo(f"made authority {new.authority_id} in {config.home}", err=True)
    click.echo(f"anchor SHA-256 {new.anchor.key.spki_sha256.hex()}", err=True)
    click.echo("its recovery key, shown once and kept nowhere; store it offline:", err=True)
    click.echo(new.recovery_key.decode().strip(), err=True)


def _served_url(found: Settings, url: str | None, host: str, port: int) -> Settings:
    """The settings with the origin that is served: a loopback URL follows the port that is listened on."""
    from dataclasses import replace

    if url is not None:
        return replace(found, url=_origin(url))
    if found.loopback:
        name = "localhost" if is_loopback(host) and not found.url.startswith("http://127.") else host
        return replace(found, url=f"http://{f'[{name}]' if ':' in name else name}:{port}")
    return found


def _port(found: Settings) -> int:
    from urllib.parse import urlsplit

    return (urlsplit(found.url).port or 8788) if found.loopback else 8788


def _origin(url: str) -> str:
    try:
        return settings.parse_url(url)
    except ValueError as error:
        raise UsageError(f"{url!r}: {error}") from None


def _organization(name: str) -> str:
    if not name.strip() or not name.isprintable() or len(name.encode()) > grants.MAX_DISPLAY_BYTES:
        raise UsageError("an organization's name is printable text of at most 128 bytes")
    return name


def _write_settings(path: Path, url: str, kek_file: Path | None) -> None:
    kek = "" if kek_file is None else f"kek_file = {json.dumps(str(kek_file))}\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(_TEMPLATE.format(url=json.dumps(url), kek=kek))
    except OSError as error:
        raise UnavailableError(f"cannot write {path}: {error.strerror}", hint="make room or mend it") from None


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


for _command in (upkeep.code, upkeep.status, upkeep.backup, upkeep.rewrap):
    authority.add_command(_command)
