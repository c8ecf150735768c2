"""`notme-git`: the authority on this machine, the user's own repository, and everything `notme-attest` can."""

from __future__ import annotations

import json
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from attest import attester_options, home, location
from attest import cli as attest_cli
from attest.attester import Attester
from attest.certificate import Anchor
from attest.cli import json_option
from attest.commands import VERIFYING, Commands
from attest.errors import UnavailableError, UsageError
from attest.instants import rfc3339
from attest.profile import Profile
from attest.receive import stamping
from attest.report import text
from attest.repository import Repository
from attest.types import Grant
from notme_git import sshfiles, sshtrust
from notme_git.authority import epochs, founding, grants
from notme_git.authority.embedded import Authority, opened
from notme_git.config import Config, environment
from notme_git.daemon import client
from notme_git.dialect_cli import DIALECT_COMMANDS
from notme_git.reading.completion import complete_agent

OURS = click.Choice([Profile.NOTME.value, Profile.INTEROP.value])


_ELSEWHERE = {
    **VERIFYING,
    "authority": "notme_git.authority.cli:authority",
    "broker": "notme_git.session.cli:broker_command",
    "completion": "notme_git.reading.cli:completion_command",
    "daemon": "notme_git.daemon.cli:daemon",
    "doctor": "notme_git.doctor.cli:command",
    "enroll": "notme_git.remote.cli:enroll_command",
    "log": "notme_git.reading.cli:log_command",
    "login": "notme_git.remote.cli:login_command",
    "logout": "notme_git.remote.cli:logout_command",
    "man": "notme_git.reading.cli:man_command",
    "proxy": "notme_git.proxy.cli:command",
    "run": "notme_git.session.cli:run_command",
    "sessions": "notme_git.session.cli:sessions",
    "setup": "notme_git.setup_cli:setup_command",
    "timestamp": "notme_git.tsa.cli:command",
    "token": "notme_git.token_cli:command",
    "whoami": "notme_git.whoami_cli:command",
}


@click.group(name="notme-git", commands=Commands(_ELSEWHERE), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="notme-git", prog_name="notme-git")
@click.pass_context
def cli(context: click.Context) -> None:
    """Sign in git as an AI agent, on behalf of a named human, and verify who did.

    Exit status: 0 accepted or done, 1 rejected or refused, 2 could not, 64 usage.
    """
    if not _enrols_elsewhere(environment()):  # which takes secrets out of it, before any program is started
        attester_options.bring(context, _verifier_of_home)
    attester_options.bring_keyless(context, _keyless)
    stamping.bring(context, _stamp_pushed)


def _enrols_elsewhere(environ: Mapping[str, str]) -> bool:
    """Whether the authority of this home is elsewhere: then nothing here is a verifier's, and statements take a key."""
    try:
        folder = location.default(environ)
    except UsageError:
        return False
    return (folder / "remote" / "authority.json").is_file() and not (folder / "authority").is_dir()


def _verifier_of_home(at: datetime) -> Attester:
    from notme_git import attesting  # what only signing statements needs

    return attesting.of_home(at)


def _stamp_pushed(repo: Repository, object_ids: Iterator[str]) -> str:
    from notme_git.tsa import batch  # what only pushing where it is configured needs

    return batch.stamp_pushed(Config.read(), repo, object_ids)


def _keyless(wanted: attester_options.Keyless) -> Attester:
    from notme_git.keyless.attester import of_options

    return of_options(wanted, sys.stdin.isatty() and sys.stderr.isatty(), lambda: datetime.now(UTC))


@cli.command()
@click.option("--human", required=True, metavar='"NAME <ADDRESS>"', help="On whose behalf agents act.")
@click.option(
    "--key-store",
    type=click.Choice(["auto", "keyring", "file"]),
    default="auto",
    help="Where the authority's keys are kept; auto takes the desktop's keyring if there is one.",
)
@click.option(
    "--ephemeral", is_flag=True, help="Keep the keys in the memory of a daemon alone; they end with it (daemon stop)."
)
@json_option
def init(human: str, key_store: Literal["auto", "keyring", "file"], ephemeral: bool, as_json: bool) -> None:
    """Make an authority on this machine.

    With it the human principal on whose behalf agents act, and the anchor that verifiers pin.
    """
    config = Config.read()
    if ephemeral:
        _init_ephemeral(config, human, as_json)
        return
    display, email = grants.parse_human(human)
    new = founding.found(config.home, display, email, key_store, config.at)
    if new.warning:
        click.echo(f"warning: {new.warning}", err=True)
    fingerprint, recovery = new.anchor.key.spki_sha256.hex(), new.recovery_key.decode()
    if as_json:
        _print_json(
            {
                "authority": new.authority_id,
                "home": str(config.home),
                "human": {
                    "id": new.represented.id,
                    "display": display,
                    "email": email,
                    "authentication": "self-asserted",
                },
                "anchorSha256": fingerprint,
                "keyStore": new.key_store,
                "recoveryKey": recovery,
            }
        )
        return
    click.echo(f"authority {new.authority_id} for {display} <{email}> (self-asserted), in {config.home}")
    click.echo(f"anchor    SHA-256 {fingerprint}")
    click.echo("recovery  the key below is shown once and kept nowhere: store it offline. It retires a stolen epoch.")
    click.echo(recovery.strip())
    click.echo("next      notme-git grant add AGENT")


def _init_ephemeral(config: Config, human: str, as_json: bool) -> None:
    from notme_git.daemon.cli import ephemeral_arguments

    arguments = ephemeral_arguments(config, human)
    client.start(config.home, environ=config.environ, python=config.python, arguments=arguments)
    fingerprint = home.read_trust(config.home).anchors[0].key.spki_sha256.hex()
    with opened(config.home) as authority:
        name = authority.id
    if as_json:
        _print_json({"authority": name, "home": str(config.home), "anchorSha256": fingerprint, "keyStore": "memory"})
        return
    click.echo(f"authority {name} for {human} (self-asserted), in {config.home}")
    click.echo(f"anchor    SHA-256 {fingerprint}")
    click.echo("ephemeral its keys are in the daemon's memory; notme-git daemon stop retires them. No recovery key.")
    click.echo("next      notme-git grant add AGENT")


@cli.group()
def grant() -> None:
    """Who may act on the human's behalf."""


@grant.command(name="add")
@click.argument("agent")
@click.option("--email", help="The agent's address (default: AGENT@AUTHORITY.invalid).")
@click.option(
    "--scope", "scopes", multiple=True, default=("sign:git",), show_default=True, help="May be repeated."
)
@click.option("--expires", default="30d", show_default=True, help="90s, 5m, 12h, 30d or 2w from now.")
@click.option(
    "--repo", "repositories", multiple=True, metavar="PATTERN", help="Good for these repositories only."
)
@click.option("--branch", "branches", multiple=True, metavar="PATTERN", help="Good for these branches only.")
@click.option("--delegate", is_flag=True, help="AGENT may pass the grant on to agents of its own: AGENT/CHILD.")
@json_option
def grant_add(
    agent: str,
    email: str | None,
    scopes: tuple[str, ...],
    expires: str,
    repositories: tuple[str, ...],
    branches: tuple[str, ...],
    delegate: bool,
    as_json: bool,
) -> None:
    """Let AGENT sign on the human's behalf."""
    config = Config.read()
    with opened(config.home) as authority:
        new = grants.new_grant(
            authority.id,
            agent,
            authority.human,
            email=email,
            scopes=scopes,
            expires=grants.parse_duration(expires),
            repositories=repositories,
            branches=branches,
            at=config.at,
            grant_id=str(uuid.uuid4()),
            delegation_depth=int(delegate),
        )
        authority.store.add_grant(new)
        sshfiles.refresh(config.home, authority)
    if as_json:
        _print_json(_grant_data(new, None, config.at))
        return
    click.echo(f"grant {new.id}: {_grant_line(new)}")
    child = "/CHILD" if delegate else ""
    click.echo(f"next: in the agent's repository, notme-git setup --agent {agent}{child}")


@grant.command(name="list")
@json_option
def grant_list(as_json: bool) -> None:
    """Every grant, revoked and expired ones included."""
    config = Config.read()
    with opened(config.home) as authority:
        stored = authority.store.grants()
    if as_json:
        _print_json([_grant_data(item.grant, item.revoked_at, config.at) for item in stored])
        return
    for item in stored:
        click.echo(
            f"{_state(item.grant, item.revoked_at, config.at):<8} {item.grant.id}  {_grant_line(item.grant)}"
        )


@grant.command(name="revoke")
@click.argument("grant_or_agent", shell_complete=complete_agent)
@click.option("--reason", default="", help="Told to verifiers.")
@json_option
def grant_revoke(grant_or_agent: str, reason: str, as_json: bool) -> None:
    """Revoke a grant by its id, or every grant of an agent by its name. What was signed before stays good."""
    config = Config.read()
    with opened(config.home) as authority:
        stored = authority.store.grants()
        chosen = [
            s.grant.id
            for s in stored
            if grant_or_agent in (s.grant.id, s.grant.actor.name) and s.revoked_at is None
        ]
        if not chosen:
            raise UsageError(
                f"no grant in force has the id or agent {grant_or_agent!r}",
                hint="notme-git grant list shows them",
            )
        for grant_id in chosen:
            epochs.revoke_grant(authority, grant_id, reason=reason, at=config.at)
    if as_json:
        _print_json({"revoked": chosen, "at": rfc3339(int(config.at.timestamp()))})
        return
    for grant_id in chosen:
        click.echo(f"revoked {grant_id}")


@cli.group(commands=Commands({"repo": "attest.rules.trust_cli:repo_command"}))
def trust() -> None:
    """What others need to verify."""


@trust.command(name="add")
@click.argument("url")
@click.option("--spki", required=True, metavar="sha256:HEX", help="The key's fingerprint, as its operator gave it.")
@json_option
def trust_add(url: str, spki: str, as_json: bool) -> None:
    """Go by the authority at URL when verifying, too: you compared its key's fingerprint with its operator.

    There it is shown by notme-git trust export --format spki, authority init and authority status.
    """
    from notme_git.remote import pinning

    config = Config.read()
    told = pinning.add(config.home, url, spki)
    if as_json:
        _print_json(told)
        return
    click.echo(f"authority {told['authority']} at {told['url']} is pinned: sha256:{told['spki']}")


@trust.command(name="list")
@json_option
def trust_list(as_json: bool) -> None:
    """Which authorities verifiers here go by, which one agents here enrol with, and how old their bundles are."""
    from notme_git.remote import pinning

    config = Config.read()
    items = pinning.listed(config.home, config.at)
    if as_json:
        _print_json(items)
        return
    for item in items:
        click.echo(
            f"{item['use']:<8} {item['authority']}  sha256:{item['spki'][0]}  {item['pinned']}"
            f"  bundle {item['sequence']}, {text.age(item['ageSeconds'])} old  {item['url'] or ''}".rstrip()
        )
    if not items:
        click.echo("nothing is pinned here: notme-git trust add URL --spki sha256:HEX", err=True)


@trust.command(name="update")
@json_option
def trust_update(as_json: bool) -> None:
    """Fetch the bundles of every authority that is pinned here."""
    from notme_git.remote import pinning

    config = Config.read()
    told = pinning.update(config.home)
    if as_json:
        _print_json(told)
        return
    for item in told:
        click.echo(f"{item['use']:<8} {item['url']}: bundle {item['sequence']}")
    if not told:
        click.echo("no authority elsewhere is pinned here: notme-git trust add URL --spki sha256:HEX", err=True)


@trust.command(name="export")
@click.option(
    "--format",
    "form",
    type=click.Choice(["pem", "spki", "sigstore", "bundle", "allowed-signers", "krl"]),
    default="pem",
    show_default=True,
)
@click.option("--profile", type=OURS, help="The anchor of this profile only.")
def trust_export(form: str, profile: str | None) -> None:
    """Print the anchors of the current epoch: Ed25519 root first, interop root second.

    pem: certificates; spki: SHA-256 fingerprints of their keys; sigstore: a trusted root for cosign, time-stamping
    included; bundle: the signed trust bundle (binary) for --bundle; allowed-signers: for gpg.ssh.allowedSignersFile,
    every epoch that still counts; krl: for gpg.ssh.revocationFile (binary), made by ssh-keygen.
    """
    config = Config.read()
    with opened(config.home) as authority:
        epochs.export(authority)
        epoch, latest = authority.epoch, authority.store.latest_bundle()
        if form in ("allowed-signers", "krl"):
            _export_for_ssh(authority, form, config)
            return
    wanted = [
        (root, tsa)
        for root, tsa, kind in zip(
            (epoch.root, epoch.interop_root),
            epoch.timestamp_certificates,
            (Profile.NOTME, Profile.INTEROP),
            strict=True,
        )
        if profile in (None, kind)
    ]
    if form == "bundle" and latest is not None:
        sys.stdout.buffer.write(latest)
    elif form == "sigstore":
        from notme_git.authority import trusted_root

        _print_json(trusted_root.build(wanted))
    else:
        for root, _ in wanted:
            certificate = x509.load_der_x509_certificate(root)
            if form == "pem":
                click.echo(certificate.public_bytes(Encoding.PEM).decode(), nl=False)
            else:
                anchor = Anchor.read(certificate)
                click.echo(f"{anchor.key.spki_sha256.hex()}  {anchor.profile}")


def _export_for_ssh(authority: Authority, form: str, config: Config) -> None:
    if form == "krl":
        program = shutil.which("ssh-keygen", path=config.environ.get("PATH")) or "ssh-keygen"
        sys.stdout.buffer.write(sshtrust.krl(authority, ssh_keygen=program))
        return
    click.echo(sshtrust.allowed_signers(authority), nl=False)
    for address in sshtrust.left_out(authority):
        click.echo(f"warning: {text.printable(address)} cannot stand in a list of principals: left out", err=True)


@cli.group()
def epoch() -> None:
    """Generations of the authority's keys."""


@epoch.command(name="list")
@json_option
def epoch_list(as_json: bool) -> None:
    """Every epoch, the current one last."""
    config = Config.read()
    with opened(config.home) as authority:
        known = authority.store.epochs()
    items = [
        {
            "epoch": e.number,
            "anchorSha256": Anchor.read(x509.load_der_x509_certificate(e.root)).key.spki_sha256.hex(),
            "beganAt": rfc3339(e.began_at),
            "retiredAt": rfc3339(e.retired_at) if e.retired_at else None,
            "state": e.retirement.value,
        }
        for e in known
    ]
    if as_json:
        _print_json(items)
        return
    for item in items:
        until = f" until {item['retiredAt']}" if item["retiredAt"] else ""
        state = f"retired ({item['state']})" if item["retiredAt"] else item["state"]
        click.echo(f"{item['epoch']}  {state:<20} SHA-256 {item['anchorSha256']}  since {item['beganAt']}{until}")


@epoch.command(name="rotate")
@json_option
def epoch_rotate(as_json: bool) -> None:
    """Begin a new epoch with new keys. What the old one signed before stays good."""
    config = Config.read()
    with opened(config.home) as authority:
        new = epochs.rotate(authority, config.at)
        sshfiles.refresh(config.home, authority)
    _print_json({"epoch": new.number}) if as_json else click.echo(f"epoch {new.number} has begun")


@epoch.command(name="recover")
@click.option(
    "--recovery-key",
    type=click.Path(path_type=Path),
    required=True,
    help="File with the PEM text that init showed.",
)
@click.option("--since", help="When the keys were stolen or lost (RFC 3339; default: now).")
@json_option
def epoch_recover(recovery_key: Path, since: str | None, as_json: bool) -> None:
    """Retire the current epoch as compromised, also when its keys are lost, and begin a new one."""
    config = Config.read()
    try:
        compromised = datetime.fromisoformat(since) if since else config.at
        pem = recovery_key.read_bytes()[:4096]
    except ValueError:
        raise UsageError(f"{since!r} is no time", hint="write it like 2026-11-23T12:00:00Z") from None
    except OSError as error:
        raise UnavailableError(f"cannot read {recovery_key}: {error.strerror}") from None
    if compromised.tzinfo is None:
        raise UsageError("the time needs a zone", hint="write it like 2026-11-23T12:00:00Z")
    with opened(config.home) as authority:
        new = epochs.recover(authority, pem, compromised_at=compromised.astimezone(UTC), at=config.at)
        sshfiles.refresh(config.home, authority)
    _print_json({"epoch": new.number}) if as_json else click.echo(
        f"epoch {new.number} has begun; the one before is retired"
    )


cli.add_command(attest_cli.verify_signature)
for added in DIALECT_COMMANDS:
    cli.add_command(added)


def _grant_line(item: Grant) -> str:
    who = f" for {item.represented.display} <{item.represented.email}>" if item.represented else ""
    limits = [*item.constraints.repositories, *item.constraints.branches]
    only = f", only {' '.join(limits)}" if limits else ""
    until = rfc3339(item.expires_at)
    may = ", may be passed on" if item.delegation_depth else ""
    return f"{item.actor.name} <{item.actor.email}>{who}: {', '.join(item.scopes)} until {until}{only}{may}"


def _state(item: Grant, revoked_at: int | None, at: datetime) -> str:
    if revoked_at is not None:
        return "revoked"
    return "expired" if item.expires_at <= at.timestamp() else "active"


def _grant_data(item: Grant, revoked_at: int | None, at: datetime) -> dict[str, Any]:
    return {
        "id": item.id,
        "state": _state(item, revoked_at, at),
        "agent": item.actor.name,
        "kind": item.actor.kind.value,
        "email": item.actor.email,
        "represented": item.represented.email if item.represented else None,
        "scopes": list(item.scopes),
        "createdAt": rfc3339(item.created_at),
        "expiresAt": rfc3339(item.expires_at),
        "revokedAt": rfc3339(revoked_at) if revoked_at is not None else None,
        "repositories": list(item.constraints.repositories),
        "branches": list(item.constraints.branches),
        "delegationDepth": item.delegation_depth,
    }


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))
