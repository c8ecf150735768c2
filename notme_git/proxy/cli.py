"""`notme-git proxy`."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from attest.errors import UnavailableError, UsageError
from notme_git.config import Config
from notme_git.daemon import hardening
from notme_git.enroll import tls
from notme_git.loopback import is_loopback
from notme_git.reading.completion import complete_agent
from notme_git.remote import ambient

if TYPE_CHECKING:
    from notme_git.proxy.forward import Forward


@click.command(name="proxy")
@click.option("--to", required=True, metavar="https://HOST[:PORT]", help="The one server that requests go to.")
@click.option("--listen", default="127.0.0.1:0", show_default=True, metavar="ADDRESS:PORT", help="On loopback.")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="Whom the server's certificate is from (PEM).")
@click.option(
    "--agent",
    default="",
    shell_complete=complete_agent,
    help="As which agent; without it as whoever signed in (notme-git login).",
)
def command(to: str, listen: str, ca: str | None, agent: str) -> None:
    """Add a TLS client certificate to requests.

    Programs ask the address that is printed; its secret keeps other users of this machine out. The key stays in the
    memory of this process, and the certificate is renewed before it ends.
    """
    try:
        from notme_git.proxy.forward import Forward
        from notme_git.proxy.holder import Holder
    except ImportError:
        raise UnavailableError(
            "the proxy needs packages that are not installed", hint="pip install 'notme-git[tokens]'"
        ) from None
    hardening.harden()
    config, origin, where = Config.read(), parse_origin(to), parse_listen(listen)
    ambient.keep(os.environ)
    holder = Holder(lambda at: tls.enroll(config.home, agent, at), ca)
    forward = Forward(origin, secrets.token_urlsafe(24), holder)
    asyncio.run(_serve(forward, where, click.echo))


async def _serve(forward: Forward, where: tuple[str, int], say: Callable[[str], None]) -> None:
    """Until SIGTERM or SIGINT. The first certificate is fetched at once: what is wrong is said now."""
    await forward.holder.context()
    try:
        server = await asyncio.start_server(forward.serve, *where)
    except OSError as error:
        raise UnavailableError(f"cannot listen on {where[0]}:{where[1]}: {error.strerror}") from None
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, ended.set)
    port = server.sockets[0].getsockname()[1]
    host = f"[{where[0]}]" if ":" in where[0] else where[0]
    async with server:
        say(f"http://{host}:{port}/{forward.token}/")
        await ended.wait()


def parse_origin(text: str) -> str:
    """`https://HOST[:PORT]`, or `UsageError`."""
    try:
        parts = urlsplit(text.rstrip("/"))
        named = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        named = False
    if not named or "@" in text or text.rstrip("/") != f"https://{parts.netloc}":
        raise UsageError(f"{text[:200]!r} is no origin", hint="write it like --to https://server.example.com:8443")
    return f"https://{parts.netloc}"


def parse_listen(text: str) -> tuple[str, int]:
    """An address of loopback and a port, or `UsageError`."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not is_loopback(host) or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise UsageError(f"{text[:200]!r} is no address of loopback", hint="write it like --listen 127.0.0.1:8443")
    return host, int(port)
