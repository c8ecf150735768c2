"""`notme-git login`, `logout` and `enroll`: this home's agents and an authority elsewhere."""

from __future__ import annotations

import contextlib
import json
import sys
import webbrowser
from typing import Any

import click

from attest.cli import json_option
from attest.errors import RefusedError, UnavailableError, UsageError
from attest.instants import rfc3339
from attest.profile import Profile
from attest.report.text import printable
from attest.types import Authentication, Constraints, Grant, Principal, PrincipalKind
from notme_git.acting import Acting
from notme_git.authority import grants
from notme_git.config import Config
from notme_git.reading.completion import complete_agent
from notme_git.remote import ambient, enrolment, login, place, source
from notme_git.remote.client import Client, parse_url
from notme_git.remote.login import Attempt
from notme_git.sign import SCOPE

WORKLOAD = "ci"
"""How `user.signingkey` calls a workload; its own name is what the authority certifies."""

PROOFS = ("auto", "session", "github", "gitlab", "kubernetes")


@click.command(name="login")
@click.argument("url", required=False)
@click.option("--code", "headless", is_flag=True, help="There is no browser here: show the address, ask for the code.")
@click.option(
    "--agent",
    "agents",
    multiple=True,
    shell_complete=complete_agent,
    help="An agent that shall sign for you; may be repeated.",
)
@json_option
def login_command(url: str | None, headless: bool, agents: tuple[str, ...], as_json: bool) -> None:
    """Sign in at an authority, so that your agents here can sign for you.

    URL is needed once (or notme-git setup --authority URL). The session can enrol agents and nothing else.
    """
    config = Config.read()
    if url is not None or not place.exists(config.home):
        if url is None:
            raise UsageError("login at which authority?", hint="notme-git login https://authority.example.com")
        adopt(config, url)
    told = sign_in(config, tuple(grants.parse_agent(each) for each in agents), headless=headless)
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    click.echo(printable(f"signed in at {told['authority']} as {told['display']} <{told['email']}>"))
    click.echo(f"agents: {', '.join(told['agents']) or 'none yet; grant one on the authority page'}")
    click.echo(f"until {told['until']}; next: in a repository, notme-git setup --agent AGENT")


@click.command(name="logout")
def logout_command() -> None:
    """Forget who signed in here, and end the session at the authority."""
    config = Config.read()
    known = place.read_login(config.home)
    place.forget_login(config.home)
    if known is None:
        click.echo("nobody was signed in")
        return
    remote = place.read(config.home)
    headers = {"Cookie": enrolment.cookie(known.session), "Origin": remote.url}
    try:
        with contextlib.closing(Client(remote.url)) as client:
            client.post("/logout", {}, headers)
    except (UnavailableError, RefusedError) as error:
        click.echo(f"warning: the session lives on there: {error.message}", err=True)
    click.echo("signed out")


@click.command(name="enroll")
@click.option("--with", "proof", type=click.Choice(PROOFS), default="auto", show_default=True, help="Which proof.")
@click.option("--agent", shell_complete=complete_agent, help="Which agent of yours, with a session.")
@json_option
def enroll_command(proof: str, agent: str | None, as_json: bool) -> None:
    """Try whether this place can enrol: get a certificate, show what it says, and forget its keys."""
    config = Config.read()
    if not place.exists(config.home):
        raise UnavailableError("no authority is set up here", hint="notme-git setup --authority URL")
    if agent is None and proof in ("auto", "session") and place.read_login(config.home) is not None:
        raise UsageError("which of your agents shall be enrolled?", hint="notme-git enroll --agent AGENT")
    leaf = trial(config, agent or "", proof).chain.leaf
    claims = leaf.claims
    told: dict[str, Any] = {
        "identity": leaf.uri,
        "profile": str(leaf.profile),
        "scopes": list(leaf.scopes),
        "authentication": leaf.auth_method,
        "assurance": str(claims.assurance) if claims else None,
        "actor": claims.actor_name if claims else leaf.subject,
        "email": claims.actor_email if claims else "",
        "represented": claims.represented.display if claims and claims.represented else None,
        "notAfter": rfc3339(int(leaf.not_after.timestamp())),
        "sha256": leaf.sha256.hex(),
    }
    if as_json:
        click.echo(json.dumps(told, indent=2))
        return
    for name, value in told.items():
        shown = ", ".join(value) if isinstance(value, list) else value
        click.echo(printable(f"{name:<15} {shown if shown is not None else '-'}"))


def adopt(config: Config, url: str) -> place.Remote:
    """Let this home's agents enrol with the authority at `url`, and say how its key was pinned."""
    client = Client(parse_url(url))
    try:
        found = place.adopt(config.home, client.url, client)
    finally:
        client.close()
    click.echo(f"authority {found.authority} at {found.url}, SPKI sha256:{found.spki[0]} ({found.pinned})", err=True)
    if found.pinned == place.FIRST_USE:
        click.echo(
            "pinned on first use, for signing alone. Compare it with the operator's (there: notme-git trust export"
            f" --format spki), then verifiers here can go by it: notme-git trust add {found.url} --spki sha256:HEX",
            err=True,
        )
    return found


def sign_in(config: Config, agents: tuple[str, ...], *, headless: bool) -> dict[str, Any]:
    """Sign in at the authority of this home, and remember the session."""
    remote = place.read(config.home)
    attempt = Attempt(remote.url, agents, login.machine())
    client = Client(remote.url)
    try:
        code = _ask_for_code(attempt) if headless else login.through_browser(attempt, _open)
        who, known = attempt.redeem(client, code)
    finally:
        client.close()
    place.write_login(config.home, who)
    return {
        "authority": remote.url,
        "display": who.display,
        "email": who.email,
        "agents": list(login.named(known)),
        "until": rfc3339(who.expires_at),
    }


def trial(config: Config, agent: str, proof: str = "auto") -> Any:
    """A credential that is got for what its certificate says."""
    found = _ambient(proof, config)
    with source.opened(config.home) as opening:
        if not isinstance(opening, source.RemoteSource):
            raise UnavailableError("no authority is set up here", hint="notme-git setup --authority URL")
        if proof not in ("auto", "session"):
            opening.login = False
        opening.ambient = lambda: found
        return opening.enroll(Acting(agent, Profile.NOTME), SCOPE, config.at)


def granted(config: Config, agent: str | None) -> Grant:
    """The grant that an agent has there, as far as a certificate of now tells; a workload is called `WORKLOAD` here."""
    workload = ambient.find(config.environ) is not None and place.read_login(config.home) is None
    if agent is None and not workload:
        raise UsageError("which agent?", hint="name it with --agent")
    claims = trial(config, agent or "").chain.leaf.claims
    if claims is None:
        raise RefusedError("its certificates name no agent, so none can be run")
    actor = Principal(
        id="",
        kind=PrincipalKind.WORKLOAD if workload else PrincipalKind.AGENT,
        name=WORKLOAD if workload else claims.actor_name,
        display=claims.actor_name,
        email=claims.actor_email,
        authentication=Authentication.OIDC if workload else Authentication.PASSKEY,
    )
    nothing = Constraints(repositories=(), branches=())
    return Grant(grants.GRANT_VERSION, claims.grant_id, actor, claims.represented, (SCOPE,), 0, 0, nothing, 0, "")


def _ambient(proof: str, config: Config) -> Any:
    found = ambient.find(config.environ)
    kinds = {"github": ambient.GitHub, "gitlab": ambient.Token, "kubernetes": ambient.TokenFile}
    if proof in kinds and not isinstance(found, kinds[proof]):
        raise UnavailableError(f"there is no proof of {proof} in these surroundings", hint="docs/login.md lists them")
    return None if proof == "session" else found


def _open(page: str) -> None:
    click.echo("sign in in the browser; if none opens, go to:", err=True)
    click.echo(page, err=True)
    webbrowser.open(page)


def _ask_for_code(attempt: Attempt) -> str:
    click.echo("open this address in any browser, sign in, and copy the code that it shows:", err=True)
    click.echo(attempt.page(), err=True)
    if not sys.stdin.isatty():
        return sys.stdin.readline(login.MAX_CODE + 2).strip()
    return str(click.prompt("code", hide_input=True, err=True)).strip()
