"""`notme-git run`, `broker`, `sessions`."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from attest.cli import json_option
from attest.errors import ACCEPTED, RefusedError, UnavailableError, UsageError
from attest.instants import rfc3339
from attest.report.text import printable
from attest.types import Grant
from notme_git import agents, shimfile, sshfiles, wanted
from notme_git.authority import epochs, grants
from notme_git.authority.embedded import opened
from notme_git.config import Config
from notme_git.daemon import client
from notme_git.reading.completion import complete_agent
from notme_git.remote import ambient, place
from notme_git.remote import cli as remote_cli
from notme_git.session import broker_process, launch, record, report
from notme_git.session.broker_process import Offer
from notme_git.session.record import Session
from notme_git.sign import SCOPE

MAX_TASK_BYTES = 16 * 1024 * 1024
FORMATS = click.Choice(("x509", "ssh"))

_agent = click.option(
    "--agent", shell_complete=complete_agent, help="Who acts (default: the agent whose marks the environment has)."
)
_task = click.option("--task", metavar="TEXT", help="What it is to do; its SHA-256 goes into every certificate.")
_task_file = click.option("--task-file", type=click.Path(path_type=Path), help="The same, from a file.")
_format = click.option("--format", "form", type=FORMATS, default="x509", show_default=True)


@click.command(name="run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@_agent
@_task
@_task_file
@_format
@click.option("--broker", is_flag=True, help="Sign through a broker, for a COMMAND that starts a sandbox.")
@click.option("--at", type=click.Path(path_type=Path), help="Where the sandbox sees the broker's folder.")
@click.option("--repo", "directory", type=click.Path(path_type=Path), default=".", help="The repository to work in.")
@click.option("--quiet", is_flag=True, help="Print no report at the end.")
@json_option
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run_command(
    agent: str | None,
    task: str | None,
    task_file: Path | None,
    form: str,
    broker: bool,
    at: Path | None,
    directory: Path,
    quiet: bool,
    as_json: bool,
    command: tuple[str, ...],
) -> int:
    """Run COMMAND, and all it starts, as an agent.

    Its commits carry the agent's name and signature, whatever is configured where it works. No configuration file
    changes. The report on stderr names what was signed, and warns of commits without the session's signature. Exits
    like COMMAND.
    """
    config = Config.read()
    if at is not None and not broker:
        raise UsageError("--at is for --broker", hint="leave it away, or add --broker")
    grant = _grant(config, agent)
    before = report.look(directory, config.environ)
    launch.adopt_orphans()
    with contextlib.ExitStack() as stack:
        began = _session(config, grant, _task_bytes(task, task_file), shlex.join(command), broker)
        session = stack.enter_context(began)
        if broker:
            offer = broker_process.prepare(config.home, session, session.agent, config.environ, at)
            serving = broker_process.running(config, session, offer, directory.absolute(), (os.getuid(),))
            stack.enter_context(serving)
            values, reach = offer.values(session.agent, _identity(grant), form), launch.Reach(offer.socket)
        else:
            values, reach = _direct(config, grant, form)
        inherited = ambient.without(config.environ) if place.exists(config.home) else config.environ
        environ = launch.environment(inherited, session, values, _identity(grant), reach)
        status = launch.run(command, environ)
    found = report.report(config.home, session, before, config.environ)
    if as_json:
        click.echo(json.dumps(_data(config, session, found, status), indent=2), err=True)
    elif not quiet:
        for line in report.lines(session, found):
            click.echo(f"notme-git: {printable(line)}", err=True)
    return status


@click.command(name="broker")
@_agent
@_task
@_task_file
@_format
@click.option("--repo", "directory", type=click.Path(path_type=Path), default=".", help="The repository to build on.")
@click.option("--at", type=click.Path(path_type=Path), help="Where the sandbox sees the broker's folder.")
@click.option("--allow-uid", "uids", type=int, multiple=True, help="A user of the container that may call, too.")
@json_option
def broker_command(
    agent: str | None,
    task: str | None,
    task_file: Path | None,
    form: str,
    directory: Path,
    at: Path | None,
    uids: tuple[int, ...],
    as_json: bool,
) -> int:
    """Sign for a sandbox that somebody else starts.

    Prints the folder to mount and the environment to set, and signs until Ctrl-C.

    Whoever reaches the socket can have commits signed as the agent, and nothing else; no key enters the sandbox.
    """
    _end_in_order()
    config = Config.read()
    grant = _grant(config, agent)
    before = report.look(directory, config.environ)
    with _session(config, grant, _task_bytes(task, task_file), "broker", True) as session:
        offer = broker_process.prepare(config.home, session, session.agent, config.environ, at)
        values = offer.values(session.agent, _identity(grant), form)
        environ = launch.environment({}, session, values, _identity(grant), launch.Reach(offer.socket))
        text = "".join(f"{name}={value}\n" for name, value in environ.items())
        (offer.folder / "env").write_text(text, "utf-8")
        allowed = (os.getuid(), *uids)
        serving = broker_process.running(config, session, offer, directory.absolute(), allowed)
        with serving as process, contextlib.suppress(KeyboardInterrupt):
            if as_json:
                told = {"session": session.id, "folder": str(offer.folder), "at": str(offer.inside), "env": environ}
                click.echo(json.dumps(told, indent=2))
            else:
                _say(session, offer)
            sys.stdout.flush()
            process.wait()
    for line in report.lines(session, report.report(config.home, session, before, config.environ)):
        click.echo(f"notme-git: {printable(line)}", err=True)
    return ACCEPTED


def _end_in_order() -> None:
    """Have SIGTERM, and the SIGHUP of a terminal that is closed, end this process as Ctrl-C does, but once."""
    numbers = (signal.SIGTERM, signal.SIGHUP)

    def end(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup(1) leaves it
            signal.signal(number, end)


@click.group(name="sessions", invoke_without_command=True)
@json_option
@click.pass_context
def sessions(context: click.Context, as_json: bool) -> int | None:
    """What was run as which agent, and what was signed.

    The newest comes last.
    """
    if context.invoked_subcommand is not None:
        return None
    config = Config.read()
    every = record.every(config.home)
    if as_json:
        click.echo(json.dumps([record.data(config.home, s) for s in every], indent=2, ensure_ascii=False))
        return ACCEPTED
    if every:
        click.echo(f"{'session':<32}  {'state':<7}  {'began':<20}  {'agent':<16}  signed  command")
    for session in every:
        count = sum(1 for _ in record.entries(config.home, session))
        line = f"{session.id}  {record.state(session):<7}  {rfc3339(session.began_at)}  {session.agent:<16}  {count:>6}"
        click.echo(printable(f"{line}  {_one_line(session.command)}"))
    if not every:
        click.echo("no session yet (notme-git run -- COMMAND begins one)", err=True)
    return ACCEPTED


@sessions.command(name="show")
@click.argument("session_id")
@json_option
def sessions_show(session_id: str, as_json: bool) -> int:
    """One session, and every object that was signed in it."""
    config = Config.read()
    session = _find(config, session_id)
    if as_json:
        click.echo(json.dumps(record.data(config.home, session), indent=2, ensure_ascii=False))
        return ACCEPTED
    ended = rfc3339(session.ended_at) if session.ended_at else record.state(session)
    click.echo(f"session {session.id}: {session.agent}, {rfc3339(session.began_at)} to {ended}")
    click.echo(printable(f"  command {_one_line(session.command)}"))
    click.echo(f"  grant   {session.grant_id}")
    click.echo(f"  task    {'SHA-256 ' + session.task_digest if session.task_digest else 'none given'}")
    for entry in record.entries(config.home, session):
        click.echo(printable(f"  {entry.at}  {entry.kind} {entry.object_id or '-'}  {entry.format}  {entry.folder}"))
    return ACCEPTED


@sessions.command(name="revoke")
@click.argument("session_id")
@click.option("--reason", default="", help="Told to verifiers.")
@json_option
def sessions_revoke(session_id: str, reason: str, as_json: bool) -> int:
    """Revoke what is signed in it from now on.

    What was signed before stays good.
    """
    config = Config.read()
    session = _find(config, session_id)
    with opened(config.home) as authority:
        epochs.revoke_session(authority, session.id, reason=reason, at=config.at)
        sshfiles.refresh(config.home, authority)
    click.echo(json.dumps({"revoked": session.id}) if as_json else f"revoked session {session.id}")
    return ACCEPTED


@contextlib.contextmanager
def _session(config: Config, grant: Grant, task: bytes, command: str, broker: bool) -> Iterator[Session]:
    session = record.begin(config.home, grant, task=task, command=command, broker=broker, at=config.at)
    try:
        yield session
    finally:
        record.end(config.home, session, datetime.now(UTC))


def _grant(config: Config, agent: str | None) -> Grant:
    named = agent or agents.choose(config.environ)
    if place.exists(config.home):
        return remote_cli.granted(config, named)
    with opened(config.home) as authority:
        stored = authority.store.grants()
    if named is None:
        held = sorted({s.grant.actor.name for s in stored if SCOPE in s.grant.scopes and s.revoked_at is None})
        if len(held) != 1:
            raise UsageError("which agent?", hint=f"name it with --agent; granted are {', '.join(held) or 'none'}")
        named = held[0]
    holder, slash, _ = named.partition("/")
    if slash:
        raise UsageError(
            "a session is an agent's that has a grant of its own",
            hint=f"notme-git run --agent {holder} -- COMMAND; in it user.signingkey may be notme:{named}",
        )
    return grants.select(stored, named, scope=SCOPE, at=config.at)


def _direct(config: Config, grant: Grant, form: str) -> tuple[dict[str, str], launch.Reach]:
    """Through the daemon; where none can be had, git's program signs in its own process."""
    shimfile.refresh(config.home, config.python)
    key = ""
    if form == "ssh":
        if place.exists(config.home):
            root = place.read_trust(config.home).epochs[-1][1][0].key
            file, allowed = sshfiles.write_key(config.home, grant.actor.name, root), sshfiles.without_stock(config.home)
        else:
            with opened(config.home) as authority:
                file, allowed = sshfiles.write(config.home, authority, grant.actor.name)
        key = str(file)
    with contextlib.suppress(UnavailableError):
        client.ensure(config.home, environ=config.environ, python=config.python)
    values = wanted.for_agent(config.home, grant.actor.name, _identity(grant), form=form, key=key)
    if form == "ssh":
        values["gpg.ssh.allowedSignersFile"] = str(allowed)
    try:
        socket = client.address(config.home, {})
    except UnavailableError:
        socket = ""
    return values, launch.Reach(socket, str(config.home))


def _identity(grant: Grant) -> tuple[str, str]:
    return grant.actor.display, grant.actor.email


def _task_bytes(text: str | None, file: Path | None) -> bytes:
    if text is not None and file is not None:
        raise UsageError("--task and --task-file exclude each other")
    if file is None:
        return (text or "").encode()
    try:
        with open(file, "rb") as opened_file:
            content = opened_file.read(MAX_TASK_BYTES + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {file}: {error.strerror}") from None
    if len(content) > MAX_TASK_BYTES:
        raise UsageError(f"{file} is larger than {MAX_TASK_BYTES} bytes")
    return content


def _find(config: Config, session_id: str) -> Session:
    """By its id or by a beginning of it that no other has."""
    found = [s for s in record.every(config.home) if s.id.startswith(session_id)]
    if len(found) != 1:
        what = "several sessions begin" if found else "no session begins"
        raise RefusedError(f"{what} with {session_id[:64]!r}", hint="notme-git sessions lists them")
    return found[0]


def _data(config: Config, session: Session, found: report.Report, status: int) -> dict[str, object]:
    session = record.load(config.home, session.id)
    more = {"exitStatus": status, "unsigned": list(found.unsigned), "otherwiseSigned": list(found.others)}
    more["problem"] = found.problem or None
    return {**record.data(config.home, session), **more}


def _one_line(command: str) -> str:
    """The lines of a script behind one another."""
    return "; ".join(stripped for line in command.splitlines() if (stripped := line.strip()))


def _say(session: Session, offer: Offer) -> None:
    click.echo(f"session {session.id}: signing as {session.agent} for whoever reaches {offer.folder / 'sock'}")
    click.echo(f"mount    {offer.folder}  at  {offer.inside}")
    click.echo(f"docker   -v {offer.folder}:{offer.inside} --env-file {offer.folder / 'env'}")
    click.echo(f"bwrap    --bind {offer.folder} {offer.inside}, with the lines of {offer.folder / 'env'} as --setenv")
    click.echo("Ctrl-C ends the session and takes the socket away")
