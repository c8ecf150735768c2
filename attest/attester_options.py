"""The options that say who signs statements, and the `Attester` that they choose.

A command line that brings an attester of its own, as `notme-git` does with the home's verifier, puts a way to make it
into its context (`bring`). A command then signs with what was named, else with that, else not at all.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from attest.attester import Attester, Key, KeyAttester, uri_of
from attest.command import FILE
from attest.errors import UnavailableError, UsageError

F = TypeVar("F", bound=Callable[..., Any])

Make = Callable[[datetime], Attester]
"""Makes an attester that signs from that time on. It may open what is closed when the command ends."""

MAX_ID_BYTES = 2048

_SHOWN = 5
"""Keys of an agent that are named; the others are counted."""

_BROUGHT = "attest.attester"
_KEYLESS = "attest.attester.keyless"
"""Under these names the context's `meta` has the `Make` and the `MakeKeyless` of the command line."""

_URI = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+")
_MAKE = "openssl genpkey -algorithm ed25519 -out FILE makes a key, and --key FILE names it"


_KEY_OPTIONS = (
    click.option(
        "--id", "verifier_id", metavar="URI", help="What statements call the verifier (default: its key's digest)."
    ),
    click.option(
        "--signer",
        "socket",
        metavar="SOCKET",
        type=FILE,
        help="Sign with an Ed25519 key in the ssh-agent at SOCKET; --key then names its public key.",
    ),
    click.option("--key", type=FILE, help="Ed25519 private key (PEM) of the verifier."),
)


@dataclass(frozen=True, slots=True)
class Keyless:
    """How to sign through a Sigstore instance: which one (None: the public one), and where its identity token is."""

    trust_config: Path | None = None
    identity_token: Path | None = None
    oauth: bool = False


MakeKeyless = Callable[[Keyless], Attester]


@dataclass(frozen=True, slots=True)
class Named:
    """Whom the options name: a key and the URI that goes with it, or a Sigstore instance.

    The key is in the file `key`; or in the ssh-agent at `socket`, and its public half in the file, if one is named.
    """

    key: Path | None = None
    id: str | None = None
    keyless: Keyless | None = None
    socket: Path | None = None

    @property
    def of_key(self) -> bool:
        """Whether a key is named, wherever it is."""
        return self.key is not None or self.socket is not None


def attester_options(command: F, *, with_id: bool = True) -> F:
    """--key, --signer and --id, --sigstore and what goes with it; the command gets `signer`, a `Named`.

    Not `with_id`: for statements that do not say who signs them.
    """

    @functools.wraps(command)
    def called(
        *args: Any,
        key: Path | None,
        socket: Path | None,
        verifier_id: str | None = None,
        signs_keylessly: bool,
        trust_config: Path | None,
        identity_token: Path | None,
        oauth: bool,
        **kwargs: Any,
    ) -> Any:
        named = Keyless(trust_config, identity_token, oauth)
        if not signs_keylessly and named != Keyless():
            raise UsageError("--trust-config, --identity-token and --oauth go with --sigstore")
        keyless = named if signs_keylessly else None
        return command(*args, signer=Named(key, verifier_id, keyless, socket), **kwargs)

    wrapped: Any = called
    for option in (
        click.option("--oauth", is_flag=True, help="With --sigstore: log in with a browser."),
        click.option(
            "--identity-token",
            type=FILE,
            help="With --sigstore: file with the OpenID token (default: SIGSTORE_ID_TOKEN, or the CI provider's).",
        ),
        click.option(
            "--trust-config",
            type=FILE,
            help="With --sigstore: the instance's client trust configuration (default: the public instance).",
        ),
        click.option(
            "--sigstore",
            "signs_keylessly",
            is_flag=True,
            help="Sign keylessly, through a Sigstore instance (notme-git alone).",
        ),
        *_KEY_OPTIONS[0 if with_id else 1 :],
    ):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click's decorators return


def key_options(command: F) -> F:
    """--key, --signer and --id alone, for commands that never sign keylessly."""

    @functools.wraps(command)
    def called(*args: Any, key: Path | None, socket: Path | None, verifier_id: str | None, **kwargs: Any) -> Any:
        return command(*args, signer=Named(key, verifier_id, socket=socket), **kwargs)

    wrapped: Any = called
    for option in _KEY_OPTIONS:
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click's decorators return


def bare_key_options(command: F) -> F:
    """--key and --signer alone, for what is stated already and names its verifier."""

    @functools.wraps(command)
    def called(*args: Any, key: Path | None, socket: Path | None, **kwargs: Any) -> Any:
        return command(*args, signer=Named(key, socket=socket), **kwargs)

    wrapped: Any = called
    for option in _KEY_OPTIONS[1:]:
        wrapped = option(wrapped)
    return wrapped  # type: ignore[no-any-return]  # what click's decorators return


def bring(context: click.Context, make: Make) -> None:
    """Let the commands of this command line sign with what `make` makes, where the options name nobody."""
    context.meta[_BROUGHT] = make


def brought(context: click.Context) -> Make | None:
    """What the command line brings."""
    made: Make | None = context.meta.get(_BROUGHT)
    return made


def bring_keyless(context: click.Context, make: MakeKeyless) -> None:
    """Let the commands of this command line sign keylessly, where the options ask for it."""
    context.meta[_KEYLESS] = make


def chosen(signer: Named, at: datetime) -> Attester:
    """Who signs, as the options and the command line have it. Nothing is made before somebody is known who signs.

    Raises `UsageError` where nobody is, and `UnavailableError` for a key that cannot be used.
    """
    if signer.keyless is not None:
        return _keyless(signer)
    if signer.of_key:
        return _of_key(signer)
    if signer.id is not None:
        raise UsageError("--id names the owner of a key, and no key is named", hint=_MAKE)
    make = brought(click.get_current_context())
    if make is None:
        raise UsageError("without a key nothing is signed, and nothing unsigned is made", hint=_MAKE)
    return make(at)


def _keyless(signer: Named) -> Attester:
    if signer.of_key or signer.id is not None:
        raise UsageError("--sigstore signs without a key, and the certificate says in whose name")
    make: MakeKeyless | None = click.get_current_context().meta.get(_KEYLESS)
    if make is None or signer.keyless is None:
        raise UsageError("this command line has no network, so it cannot sign keylessly", hint="notme-git does")
    return make(signer.keyless)


def checked_id(name: str) -> str:
    """What --id says; `UsageError` for what is no URI."""
    if len(name) > MAX_ID_BYTES or not _URI.fullmatch(name):
        raise UsageError(f"--id {name!r} is no URI", hint="for example https://ci.example.org/verifier")
    return name


def _of_key(signer: Named) -> KeyAttester:
    name = None if signer.id is None else checked_id(signer.id)
    key = _in_agent(signer.socket, signer.key) if signer.socket is not None else _in_file(signer.key)
    return KeyAttester(key, name or uri_of(key.public))


def _in_file(path: Path | None) -> Key:
    from attest import signing_key

    assert path is not None
    return signing_key.load(path)


def _in_agent(socket: Path, public: Path | None) -> Key:
    """The key in the ssh-agent whose public half is in the file; without one the only key that it has."""
    from attest import signing_key, sshagent, sshwire

    wanted = None if public is None else signing_key.load_public(public)
    held = sshagent.public_keys(socket)
    if wanted is not None and wanted not in held:
        raise UnavailableError(f"the ssh-agent at {socket} does not have the key {public}", hint="ssh-add adds it")
    if not held:
        raise UnavailableError(f"the ssh-agent at {socket} has no Ed25519 key", hint="ssh-add adds one")
    if wanted is None and len(held) > 1:
        names = ", ".join(sshwire.fingerprint(sshwire.ed25519_key(key.raw)) for key in held[:_SHOWN])
        raise UsageError(
            f"the ssh-agent at {socket} has {len(held)} Ed25519 keys: {names}",
            hint="--key FILE.pub says which of them signs",
        )
    return sshagent.AgentKey(socket, wanted or held[0])
