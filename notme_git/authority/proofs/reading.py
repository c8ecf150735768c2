"""Values in the settings of proofs: each reader takes what TOML gave and returns it parsed, or raises `ValueError`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from attest import patterns
from attest.errors import UsageError
from notme_git.loopback import is_loopback

MAX_TABLES = 256

T = TypeVar("T")


def fields(
    table: object, where: str, readers: Mapping[str, Callable[[Any], Any]], *, needed: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The values of a table of settings whose keys are those of `readers`, at `where`."""
    if not isinstance(table, dict):
        raise UsageError(f"setting {where!r}: write a table")
    for name in (*table, *needed):
        if name not in readers:
            raise UsageError(f"unknown setting '{where}.{name}'", hint=f"known are {', '.join(readers)}")
        if name not in table:
            raise UsageError(f"setting '{where}.{name}' is missing")
    return {name: _value(f"{where}.{name}", readers[name], value) for name, value in table.items()}


def _value(where: str, reader: Callable[[Any], T], value: object) -> T:
    try:
        return reader(value)
    except (ValueError, TypeError, UsageError) as error:
        raise UsageError(f"setting '{where}': {error}", hint="docs/proofs.md lists the settings") from None


def tables(document: Mapping[str, Any], key: str) -> list[tuple[object, str]]:
    """The tables of an array, each with where it stands."""
    found = document.get(key, [])
    if not isinstance(found, list) or len(found) > MAX_TABLES:
        raise UsageError(f"setting {key!r}: write [[{key}]] before each, at most {MAX_TABLES}")
    return [(each, f"{key}[{index}]") for index, each in enumerate(found)]


def text(value: object) -> str:
    """What can be printed."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError("write a printable text")
    return value


def texts(value: object) -> tuple[str, ...]:
    """A list of texts."""
    if not isinstance(value, list):
        raise ValueError("write a list of texts")
    return tuple(text(each) for each in value)


def some(value: object) -> tuple[str, ...]:
    """A list that is not empty, of texts that are not."""
    found = texts(value)
    if not found or not all(found):
        raise ValueError("write at least one")
    return found


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("write true or false")
    return value


def url(value: object) -> str:
    """An issuer: https, or http on loopback (a stand-in for tests, a provider on this machine)."""
    parts = urlsplit(text(value))
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    if not parts.hostname or parts.scheme not in ("https", "http") or not plain:
        raise ValueError("write the issuer's URL")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("an issuer that is asked without TLS proves nothing; write https://")
    return text(value)


def matching(value: object) -> dict[str, str]:
    """Claims, and a pattern for each."""
    if not isinstance(value, dict) or not value:
        raise ValueError('write claims and patterns, as { repository = "example/*" }')
    for pattern in value.values():
        patterns.check(text(pattern))
    return dict(value)


def texts_of_patterns(value: object) -> tuple[str, ...]:
    """A list of patterns."""
    found = texts(value)
    for pattern in found:
        patterns.check(pattern)
    return found


def one_of(known: tuple[str, ...]) -> Callable[[object], str]:
    """One of the known texts."""

    def read(value: object) -> str:
        if value not in known:
            raise ValueError(f"write one of {', '.join(known)}")
        return str(value)

    return read


def all_of(known: tuple[str, ...]) -> Callable[[object], tuple[str, ...]]:
    """A list of known texts."""

    def read(value: object) -> tuple[str, ...]:
        found = texts(value)
        if unknown := [each for each in found if each not in known]:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return found

    return read
