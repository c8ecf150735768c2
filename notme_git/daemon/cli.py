"""`notme-git daemon start|stop|status|unit`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from attest.cli import json_option
from attest.errors import ACCEPTED, REJECTED, RefusedError, UnavailableError, UsageError
from attest.report.text import printable
from notme_git.authority import embedded, grants
from notme_git.config import Config
from notme_git.daemon import client, service
from notme_git.daemon.protocol import CONTROL, Reply, Request

STOP_PATIENCE_S = 10.0


@click.group()
def daemon() -> None:
    """The process that signs for this home's agents.

    There is one for each NOTME_HOME, started when git first needs it.
    """


@daemon.command(name="start")
@click.option("--idle", metavar="SECONDS", type=click.IntRange(1, 86400), help="End after so long without a call.")
@click.option(
    "--foreground", is_flag=True, help="Stay in this terminal, or with the service manager that started it."
)
@click.option("--ephemeral", is_flag=True, help="Make an authority whose keys live in its memory alone.")
@click.option("--human", metavar='"NAME <ADDRESS>"', help="With --ephemeral: on whose behalf agents act.")
@json_option
def start(idle: int | None, foreground: bool, ephemeral: bool, human: str | None, as_json: bool) -> int:
    """Start the daemon, if it is not running."""
    config = Config.read()
    if ephemeral != (human is not None):
        raise UsageError("--ephemeral and --human go together", hint='--ephemeral --human "NAME <ADDRESS>"')
    arguments = ephemeral_arguments(config, human) if human is not None else ()
    environ = dict(config.environ) | ({"NOTME_DAEMON_IDLE": str(idle)} if idle else {})
    if foreground:
        command = [config.python, "-I", "-m", "notme_git", "daemon-serve", "--foreground", *arguments]
        os.execve(config.python, command, {**environ, "NOTME_HOME": str(config.home)})
    running = _status(config)
    if running is None:
        client.start(config.home, environ=environ, python=config.python, arguments=arguments)
        running = _status(config)
    if running is None:
        raise UnavailableError("the daemon was started and does not answer", hint="see notme-git doctor")
    click.echo(json.dumps(running, indent=2) if as_json else f"daemon {running['pid']} signs for {config.home}")
    return ACCEPTED


@daemon.command(name="stop")
@json_option
def stop(as_json: bool) -> int:
    """Stop the daemon.

    The keys in its memory are gone then. git starts another when it needs one.
    """
    config = Config.read()
    running = _status(config)
    if running is not None:
        control(config, "stop")
        _wait_for_end(config)
    if as_json:
        click.echo(json.dumps({"stopped": running["pid"] if running else None}))
    else:
        click.echo(f"stopped {running['pid']}" if running else "no daemon was running")
    return ACCEPTED


@daemon.command(name="status")
@json_option
def status(as_json: bool) -> int:
    """Say whether it runs, and what it holds.

    Also what the kernel keeps away from it. Exit status 1 if it does not run.
    """
    config = Config.read()
    running = _status(config)
    if as_json:
        click.echo(json.dumps(running or {"pid": None, "home": str(config.home)}, indent=2))
    elif running is None:
        click.echo(f"no daemon of {config.home} is running")
    else:
        for line in lines(running):
            click.echo(printable(line))
    return ACCEPTED if running else REJECTED


@daemon.command(name="unit")
@click.option(
    "--for", "manager", type=click.Choice(["systemd", "launchd"]), default=None, help="Default: this system's own."
)
@click.option("--install", is_flag=True, help="Write it where that manager looks, and say how to switch it on.")
def unit(manager: str | None, install: bool) -> int:
    """Print a unit for systemd or launchd.

    It keeps the daemon of this home running, from login on.
    """
    config = Config.read()
    kind = manager or service.usual()
    text = service.render(kind, config.home, config.python)
    if not install:
        click.echo(text, nl=False)
        return ACCEPTED
    place = service.install(kind, text, config.environ)
    click.echo(f"written to {place}")
    click.echo(f"next: {service.switch_on(kind, place)}")
    return ACCEPTED


def ephemeral_arguments(config: Config, human: str) -> tuple[str, ...]:
    """For a daemon that makes its own authority; `RefusedError` where the home has one."""
    grants.parse_human(human)
    if embedded.exists(config.home):
        raise RefusedError(f"there is an authority in {config.home} already", hint="choose another NOTME_HOME")
    return "--ephemeral", human


def control(config: Config, *words: str) -> Reply:
    """Ask the running daemon; `UnavailableError` where there is none, `RefusedError` with what it says otherwise."""
    reply = client.exchange(client.address(config.home, {}), Request(CONTROL, words))
    if reply.status:
        said = b"".join(data for where, data in reply.events if where == "2").decode("utf-8", "replace")
        raise RefusedError(said.strip().removeprefix("notme-git: ") or "the daemon refused")
    return reply


def offer_ssh_agent(config: Config) -> str:
    """Have the daemon serve the ssh-agent protocol, started if need be; returns the socket's path."""
    if _status(config) is None:
        client.start(config.home, environ=config.environ, python=config.python)
    return control(config, "ssh-agent").events[0][1].decode()


def _status(config: Config) -> dict[str, Any] | None:
    try:
        reply = control(config, "status")
    except UnavailableError as error:
        if error.hint:
            raise
        return None
    found: dict[str, Any] = json.loads(reply.events[0][1])
    return found


def lines(running: Mapping[str, Any]) -> list[str]:
    """What the daemon says of itself, for people."""
    hardening, left, memory = running["hardening"], running["idleSecondsLeft"], running["memoryKiB"]
    ends = "stays until it is stopped" if left is None else f"ends after {left} s more without a call"
    spent = running["medianMicroseconds"]
    took = f" ({_short(spent)} of processor time each)" if spent else ""
    refusal = running["lastRefusal"]
    refused = [f"  last refused at {refusal['at']}: {one_line(refusal['reason'])}"] if refusal else []
    made, held = _counted(running["signatures"], "signature"), _counted(running["credentials"], "credential")
    return [
        f"daemon {running['pid']}, version {running['version']}, for {running['home']}",
        f"  up {running['uptimeSeconds']} s; {ends}",
        f"  {made} made{took}, {held} in memory",
        f"  memory {memory} KiB, {running['anonymousKiB']} of it its own; locked: {hardening['memoryLocked']}",
        f"  core files: {hardening['coreFiles']}; readable by debuggers of this user: {hardening['dumpable']}",
        f"  ssh-agent: {running['sshAgent'] or 'off'}",
        *(["  the authority is ephemeral: its keys end with this process"] if running["ephemeral"] else []),
        *refused,
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _short(microseconds: int) -> str:
    return f"{microseconds} us" if microseconds < 1000 else f"{microseconds / 1000:.1f} ms"


def one_line(reason: str) -> str:
    """A refusal as its caller saw it has a line for each sentence, with the program's name in front."""
    return "; ".join(line.removeprefix("notme-git: ") for line in reason.splitlines() if line)


def _wait_for_end(config: Config) -> None:
    end = time.monotonic() + STOP_PATIENCE_S
    while (Path(config.home) / "daemon" / "address").exists() and time.monotonic() < end:
        time.sleep(0.01)
