"""How an operator runs the authority: `<home>/authority/settings.toml`, parsed once into one frozen value.

What is not written has the default given here; a key that is not known is an error, because a misspelt limit would be
no limit. No secret stands in this file: codes are made with `notme-git authority code`, and a key-encryption key is
named by its file or comes from the environment.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attest.errors import UnavailableError, UsageError
from attest.types import Assurance
from notme_git.authority import grants
from notme_git.authority.proofs import configured
from notme_git.authority.proofs.configured import Proofs
from notme_git.loopback import LOCALHOST, is_loopback

NAME = "settings.toml"
MAX_BYTES = 256 * 1024
DEFAULT_URL = "http://localhost:8788"
"""A name, because no browser takes an address for a passkey's relying party."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` in `seconds`; a count of 0 is no limit."""

    count: int
    seconds: int

    @classmethod
    def parse(cls, value: object) -> Rate:
        """`20/60` is twenty in sixty seconds, `0` is no limit."""
        count, _, seconds = str(value).partition("/")
        if not (count.isascii() and count.isdecimal()) or (seconds and not seconds.isascii()):
            raise ValueError("write it like 20/60, or 0 for no limit")
        if int(count) and not (seconds.isdecimal() and int(seconds)):
            raise ValueError("write it like 20/60, or 0 for no limit")
        return cls(int(count), int(seconds or 0))


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates (`authority-protocol.md` 12), each by who asks: account, repository, or client address."""

    token: Rate = Rate(20, 60)
    cert_gha: Rate = Rate(10, 60)
    passkey: Rate = Rate(5, 60)
    cert: Rate = Rate(300, 60)
    code: Rate = Rate(5, 60)
    timestamp: Rate = Rate(600, 60)
    revoke: Rate = Rate(100, 86400)


@dataclass(frozen=True, slots=True)
class Compat:
    """What upstream's clients need and ours do not. Each use is counted and named in the certificate."""

    no_nonce: bool = False
    legacy_digest: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """One authority over HTTP. `url` is its public origin: issuer of tokens, passkey origin, trust domain."""

    url: str = DEFAULT_URL
    audiences: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    kek_file: str = ""
    open_registration: bool = False
    dpop_nonce: bool = True
    session_lifetime: timedelta = timedelta(hours=24)
    invite_lifetime: timedelta = timedelta(days=7)
    limits: Limits = Limits()
    compat: Compat = Compat()
    proofs: Proofs = field(default_factory=Proofs)

    @property
    def trust_domain(self) -> str:
        """Host and port of the URL, as identities name this authority."""
        return urlsplit(self.url).netloc

    @property
    def origin(self) -> str:
        """Where people's browsers come. A passkey belongs to a name, so for a loopback address it is `localhost`."""
        parts = urlsplit(self.url)
        if not self.loopback or parts.hostname == LOCALHOST:
            return self.url
        return f"{parts.scheme}://{LOCALHOST}" + (f":{parts.port}" if parts.port else "")

    @property
    def relying_party(self) -> str:
        """The passkey's relying party: the origin's host."""
        return urlsplit(self.origin).hostname or ""

    @property
    def loopback(self) -> bool:
        """Whether only this machine can be meant."""
        return is_loopback(urlsplit(self.url).hostname or "")

    @property
    def assurance(self) -> Assurance:
        """On one's own machine, asking over loopback separates nothing (design 2)."""
        return Assurance.SAME_USER if self.loopback else Assurance.REMOTE_AUTHORITY


def read(directory: Path) -> Settings:
    """The settings in an authority's folder, all default where there is no file."""
    path = directory / NAME
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}", hint="mend its permissions") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path} is larger than {MAX_BYTES} bytes", hint="it is no settings file")
    try:
        document = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is no TOML: {error}", hint="mend it; docs/authority.md shows one") from None
    try:
        return parse(document)
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from None


def parse(document: Mapping[str, Any]) -> Settings:
    """Settings from a TOML document; `UsageError` names the key that is wrong."""
    rest = dict(document)
    own = {key: rest.pop(key) for key in configured.KEYS if key in rest}
    values: dict[str, Any] = {key: _value(key, _READERS[key], rest.pop(key)) for key in list(rest) if key in _READERS}
    if rest:
        known = ", ".join((*_READERS, *configured.KEYS))
        raise UsageError(f"unknown setting {next(iter(rest))!r}", hint=f"known are {known}")
    return Settings(**values, proofs=configured.parse_proofs(own))


def parse_url(value: object) -> str:
    """An origin: https, or http on loopback, with no path (`ValueError`)."""
    text = str(value).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or text != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("write an origin like https://authority.example.com, without a path")
    if "@" in parts.netloc or (parts.scheme == "http" and not is_loopback(parts.hostname)):
        raise ValueError("only loopback may be without TLS; put a front proxy before it and write https://")
    return text


def _value(key: str, reader: Callable[[Any], T], value: object) -> T:
    try:
        return reader(value)
    except (ValueError, TypeError, UsageError) as error:
        raise UsageError(f"setting {key!r}: {error}", hint="docs/authority.md lists the settings") from None


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("write a text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("write a list of texts")
    return tuple(_text(each) for each in value)


def _addresses(value: object) -> tuple[str, ...]:
    """Addresses and networks. Who believes everybody believes what a client writes of itself, and limits nobody."""
    found = _texts(value)
    for each in found:
        if not ip_network(each, strict=False).prefixlen:
            raise ValueError(f"{each} is everybody; name the front proxy's address")
    return found


def _duration(longest: timedelta) -> Callable[[object], timedelta]:
    def read(value: object) -> timedelta:
        found = grants.parse_duration(_text(value))
        if found > longest:
            raise ValueError(f"at most {longest.days} days")
        return found

    return read


def _table(kind: Callable[..., T], reader: Callable[[Any], Any], names: tuple[str, ...]) -> Callable[[object], T]:
    """A table of settings of one sort, each under its own name."""

    def read(value: object) -> T:
        if not isinstance(value, dict) or (unknown := [name for name in value if name not in names]):
            raise ValueError(f"unknown {unknown[0]!r}" if isinstance(value, dict) else "write a table")
        return kind(**{name: reader(each) for name, each in value.items()})

    return read


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "url": parse_url,
    "audiences": _texts,
    "origins": _texts,
    "proxies": _addresses,
    "kek_file": _text,
    "open_registration": _flag,
    "dpop_nonce": _flag,
    "session_lifetime": _duration(timedelta(days=7)),
    "invite_lifetime": _duration(timedelta(days=30)),
    "limits": _table(Limits, Rate.parse, Limits.__slots__),
    "compat": _table(Compat, _flag, Compat.__slots__),
}
