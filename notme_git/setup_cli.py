"""`notme-git setup`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from attest.cli import json_option
from attest.errors import UsageError
from attest.report.text import printable
from notme_git import remains, setup, shimfile, sshfiles, wanted
from notme_git.authority import grants
from notme_git.authority.embedded import opened
from notme_git.auto import human_signs
from notme_git.config import Config
from notme_git.daemon import agent_setting
from notme_git.daemon import cli as daemon_cli
from notme_git.gitconfig import GitConfig
from notme_git.reading.completion import complete_agent
from notme_git.remote import place

SCOPES = {False: "sign:git", True: "sign:git-blind"}


@click.command(name="setup")
@click.option(
    "--agent",
    shell_complete=complete_agent,
    help="The agent that signs in this repository; ORCHESTRATOR/CHILD acts under the orchestrator's grant.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(wanted.FORMATS),
    default="x509",
    show_default=True,
    help="What git's signatures are: CMS (x509), SSH certificates, or CMS through gpg.program (openpgp).",
)
@click.option(
    "--profile",
    type=click.Choice(wanted.PROFILES),
    default="notme",
    show_default=True,
    help="interop: P-256, for openssl, gpgsm, GitLab.",
)
@click.option(
    "--auto",
    is_flag=True,
    help="Whichever agent calls signs as itself, known by its marks; without one your own configuration is in force.",
)
@click.option(
    "--ssh-agent",
    "blind",
    is_flag=True,
    help="Stock ssh-keygen signs, with a key that the daemon offers as an ssh-agent; it sees a hash, not the commit.",
)
@click.option("--global", "everywhere", is_flag=True, help="For every repository of this user, not only this one.")
@click.option("--authority", "authority_url", metavar="URL", help="Enrol there from now on, for all of this home.")
@click.option("--undo", is_flag=True, help="Put back what was configured before, byte for byte.")
@click.option("--list", "listed", is_flag=True, help="Name the files of git's configuration that are set up.")
@json_option
def setup_command(
    agent: str | None,
    form: str,
    profile: str,
    auto: bool,
    blind: bool,
    everywhere: bool,
    authority_url: str | None,
    undo: bool,
    listed: bool,
    as_json: bool,
) -> None:
    """Make git here sign as an agent, and verify with us.

    What was configured before is remembered, for --undo.

    With --auto nothing but the signing program changes: a process that carries the marks of an agent (notme-git
    whoami) signs as that agent, under its grant; every other one as you, as before.
    """
    config = Config.read()
    if listed:
        _list(config, as_json)
        return
    if authority_url is not None:
        agent = _adopted(config, authority_url, agent, auto)
    what = "--undo" if undo else "--auto" if auto else f"--agent {shlex.quote(agent or 'AGENT')}"
    file = _file(config, what, everywhere)
    if undo:
        _undo(config, file, as_json)
        return
    if (agent is None) == (not auto):
        raise UsageError("setup needs --agent AGENT, --auto or --undo", hint="notme-git grant list shows the agents")
    if (profile != "notme" and form == "ssh") or (blind and (auto or profile != "notme")):
        raise UsageError("SSH certificates are of profile notme, and an ssh-agent serves one named agent")
    shimfile.install(config.home, config.python)
    values, about = _detected(config, file) if agent is None else _named(config, file, agent, form, profile, blind)
    applied = setup.apply(config.home, values, config_file=file, environ=config.environ)
    if agent is None:
        about |= _kept(config, file)
    sentence, further = about.pop("sentence"), about.pop("next", ())
    if as_json:
        click.echo(json.dumps({"file": str(file), **about}, indent=2, ensure_ascii=False))
    else:
        click.echo(f"{sentence} (in {file})")
        for line in further:
            click.echo(line)
        click.echo(f"back to what was there before: notme-git setup --undo{' --global' * everywhere}")
    if not everywhere and GitConfig.find(config.environ).has_submodules(Path()):
        click.echo("warning: submodules have configurations of their own: run setup in each, or --global", err=True)
    for key in applied.shadowed:
        click.echo(f"warning: another configuration file sets {key}, which wins over this one", err=True)


def _file(config: Config, what: str, everywhere: bool) -> Path:
    """The file to work on; outside a repository the error says how `what` is done for all of them."""
    try:
        return setup.config_file(config.environ, everywhere=everywhere)
    except UsageError as error:
        if everywhere:
            raise
        hint = f"change to one, or for every repository of yours: notme-git setup {what} --global"
        raise UsageError(error.message, hint=hint) from None


def _list(config: Config, as_json: bool) -> None:
    found = [(file, setup.state(config.home, file, config.environ)) for file in setup.files(config.home)]
    if as_json:
        items = [{"file": str(file), "agent": None if state in ("", remains.AUTO) else state,
                  "auto": state == remains.AUTO, "exists": file.exists()} for file, state in found]  # fmt: skip
        click.echo(json.dumps(items, indent=2))
        return
    for file, state in found:
        said = state or ("changed since" if file.exists() else "gone")
        click.echo(printable(f"{file}  {said}"))
    if not found:
        click.echo(f"notme-git: nothing is set up from {config.home}", err=True)


def _named(
    config: Config, file: Path, agent: str, form: str, profile: str, blind: bool
) -> tuple[dict[str, str], dict[str, Any]]:
    form = "ssh" if blind else form
    if "/" in agent and (form == "ssh" or profile != "notme"):
        raise UsageError(
            "an orchestrator's agents sign in x509 of profile notme alone: OpenSSH has no chains, and stock tools,"
            " for which interop is there, check no claim of an issuing CA's",
            hint=f"notme-git setup --agent {shlex.quote(agent)}",
        )
    if place.exists(config.home):
        identity, key = _named_elsewhere(config, agent, form, blind)
        allowed = sshfiles.without_stock(config.home) if form == "ssh" else None
    else:
        with opened(config.home) as authority:
            usable = grants.select_acting(authority.store.grants(), agent, scope=SCOPES[blind], at=config.at)
            actor = grants.actor_of(usable, agent)
            key, allowed = sshfiles.write(config.home, authority, agent) if form == "ssh" else (None, None)
        identity = (actor.display, actor.email)
    about: dict[str, Any] = {"agent": agent, "format": form, "profile": profile}
    about["sentence"] = f"git signs as {identity[0]} <{identity[1]}> from now on"
    if blind:
        key = agent_setting.enable(config.home, agent)
        socket = daemon_cli.offer_ssh_agent(config)
        about["next"] = [f"export SSH_AUTH_SOCK={socket}", "  in the agent's shell: ssh-keygen asks there for the key"]
        about["sshAuthSock"] = socket
    values = wanted.for_agent(config.home, agent, identity, form=form, profile=profile, key=str(key or ""))
    if blind:
        del values["gpg.ssh.program"]
    about["program"] = values.get(wanted.PROGRAMS[form])
    if allowed is not None:
        values |= _allowed_signers(config, file, allowed)
    return values, about


def _adopted(config: Config, url: str, agent: str | None, auto: bool) -> str | None:
    """Take the authority, sign in where a person is needed, and say which agent was meant where none was named."""
    from notme_git.remote import ambient
    from notme_git.remote import cli as remote_cli

    remote_cli.adopt(config, url)
    if ambient.find(config.environ) is not None:
        return None if auto else agent or remote_cli.WORKLOAD
    if place.read_login(config.home) is None:
        if not sys.stdin.isatty():
            named = f" --agent {shlex.quote(agent)}" if agent else ""
            raise UsageError(
                "nobody is signed in at that authority", hint=f"notme-git login --code{named}, then setup again"
            )
        remote_cli.sign_in(config, (agent,) if agent else (), headless=False)
    return agent


def _named_elsewhere(config: Config, agent: str, form: str, blind: bool) -> tuple[tuple[str, str], Path | None]:
    """Name and address as the authority certifies them, from an enrolment of now."""
    from notme_git.remote import cli as remote_cli

    if blind:
        raise UsageError("the ssh-agent serves agents of this machine's authority alone", hint="leave --ssh-agent away")
    credential = remote_cli.trial(config, agent)
    claims = credential.chain.leaf.claims
    if claims is None:
        return (credential.chain.leaf.subject, f"{agent}@{place.read(config.home).authority}.invalid"), None
    root = credential.chain.anchor.key
    key = sshfiles.write_key(config.home, agent, root) if form == "ssh" else None
    return (claims.actor_name, claims.actor_email), key


def _detected(config: Config, file: Path) -> tuple[dict[str, str], dict[str, Any]]:
    with opened(config.home) as authority:
        keys = ("gpg.format", "user.signingkey", wanted.DEFAULT_KEY)
        now = setup.before(config.home, keys, config_file=file, environ=config.environ)
        form = now["gpg.format"] or "openpgp"
        values = wanted.for_whoever_calls(config.home, form)
        if form == "ssh":
            if not (now["user.signingkey"] or now[wanted.DEFAULT_KEY]):
                values[wanted.DEFAULT_KEY] = wanted.SAYS_NO_KEY
            agents = {s.grant.actor.name for s in authority.store.grants() if s.grant.actor.name != grants.VERIFIER}
            for name in agents:
                _, allowed = sshfiles.write(config.home, authority, name)
                values |= _allowed_signers(config, file, allowed)
    return values, {"auto": True, "format": form}


def _kept(config: Config, file: Path) -> dict[str, Any]:
    """What becomes of the human's own commits, as their program will see it."""
    signs = human_signs(GitConfig.find(config.environ), beside=file)
    kept = "signed with your own key" if signs else "unsigned"
    sentence = f"an agent that git finds by its marks signs as itself; your own commits stay {kept}"
    return {"humanSigns": signs, "sentence": sentence}


def _allowed_signers(config: Config, file: Path, ours: Path) -> dict[str, str]:
    """Ours, unless the user has one: git takes no second."""
    key = setup.ALLOWED_SIGNERS
    now = setup.before(config.home, (key,), config_file=file, environ=config.environ)[key]
    return {} if now else {key: str(ours)}


def _undo(config: Config, file: Path, as_json: bool) -> None:
    undone = setup.undo(config.home, config_file=file, environ=config.environ)
    if as_json:
        click.echo(json.dumps({"file": str(file), "exact": undone.exact, "kept": list(undone.kept)}, indent=2))
    else:
        click.echo(undone.sentence)
