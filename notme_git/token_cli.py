"""`notme-git token`: a token of the authority that this home goes by, shown as the headers of one request."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attest.cli import json_option
from attest.errors import RefusedError, UnavailableError
from attest.instants import rfc3339
from notme_git.config import Config
from notme_git.daemon import hardening
from notme_git.reading.completion import complete_agent
from notme_git.remote import ambient, place

if TYPE_CHECKING:
    from notme_git.tokens.source import Source


@click.command(name="token")
@click.option("--audience", required=True, metavar="URL", help="The service, as it names itself.")
@click.option("--for", "request", nargs=2, metavar="METHOD URL", help="The one request (default: GET AUDIENCE).")
@click.option(
    "--agent",
    default="",
    shell_complete=complete_agent,
    help="For which agent; without it for whoever signed in (notme-git login).",
)
@click.option("--scope", "scopes", multiple=True, help="What the token may do; may be repeated.")
@click.option("--nonce", default="", help="What the service sent as DPoP-Nonce.")
@json_option
def command(
    audience: str, request: tuple[str, str] | None, agent: str, scopes: tuple[str, ...], nonce: str, as_json: bool
) -> None:
    """Print the headers that let one request in.

    An access token for AUDIENCE and a proof, good for this request, once, within a minute: the key that the token is
    bound to ends with this process. For curl: notme-git token --audience URL | curl -H @- URL
    """
    hardening.hide()
    config = Config.read()
    ambient.keep(os.environ)
    method, url = request or ("GET", audience)
    source = _source(config.home, agent, scopes, config.at)
    token = source.token(audience, config.at)
    proof = source.key.prove(method, url, config.at, token=token.value, nonce=nonce)
    if as_json:
        ends = rfc3339(int(token.expires_at.timestamp()))
        shown = {"accessToken": token.value, "tokenType": "DPoP", "expiresAt": ends, "proof": proof}
        click.echo(json.dumps(shown, indent=2))
        return
    click.echo(f"Authorization: DPoP {token.value}")
    click.echo(f"DPoP: {proof}")


def _source(home: Path, agent: str, scopes: tuple[str, ...], at: datetime) -> Source:
    """By the agent's certificate, else by the session of whoever signed in."""
    try:
        from notme_git.enroll import tls
        from notme_git.tokens.source import Source, by_certificate, by_session
    except ImportError:
        hint = "pip install 'notme-git[tokens]'"
        raise UnavailableError("tokens need packages that are not installed", hint=hint) from None
    if not place.exists(home):
        raise UnavailableError("no authority is set up here", hint="notme-git setup --authority URL")
    remote, login = place.read(home), place.read_login(home)
    if agent or login is None:
        return Source(remote.url, by_certificate(lambda then: tls.enroll(home, agent, then)), scopes)
    if at.timestamp() >= login.expires_at:
        raise RefusedError(f"the session at {remote.url} is over", hint="sign in again: notme-git login")
    return Source(remote.url, by_session(login.session), scopes)
