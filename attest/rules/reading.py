"""Typed reading of a TOML table: every value has its type, every key is known, every error says where."""

from __future__ import annotations

import difflib
import enum
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from typing import TypeVar

from attest import patterns
from attest.errors import MalformedError, UsageError

E = TypeVar("E", bound=enum.StrEnum)

MAX_BYTES = 256 * 1024
"""A thousand rules fit; whoever pushes a policy chooses its size, and every verifier reads it."""

MAX_DOTS = 256
"""In one line: tomllib keeps every beginning of a dotted key, so that one of 256 KiB would take it 60 GB."""

MAX_TEXT = 4096
"""Characters of one value: the line of an RSA key of 16,384 bits takes 2,800."""

_SHOWN = 80
_DURATION = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
"""Names of principals, groups and rules: they stand in verdicts, terminals and JSON."""


class Table:
    """One table; `where` names it in errors. Whoever has read all it knows calls `done`."""

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, dict):
            raise MalformedError(f"{where} is {_type(values)}, not a table")
        self._values, self.where, self._asked = values, where, list[str]()

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def place(self, key: str) -> str:
        """The key as errors name it."""
        return f"{self.where}.{key}" if self.where else key

    def done(self) -> None:
        """`MalformedError` for a key that nobody asked for: a mistyped condition must not be one that is absent."""
        for key in self._values:
            if key not in self._asked:
                near = difflib.get_close_matches(key[:_SHOWN], self._asked, 1, 0.0)
                raise MalformedError(
                    f"{self.place(key[:_SHOWN])!r} is not known", hint=f"did you mean {near[0]!r}?" if near else ""
                )

    def take(self, key: str) -> object | None:
        """The value as it stands, None without one."""
        self._asked.append(key)
        return self._values.get(key)

    def number(self, key: str) -> int | None:
        value = self.take(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise self._wrong(key, value, "a whole number")
        return value

    def text(self, key: str) -> str | None:
        value = self.take(key)
        return None if value is None else self._text(key, value)

    def name(self, key: str) -> str:
        """A name, which has to be there."""
        return self.as_name(key, self.needed(key))

    def needed(self, key: str) -> str:
        """A text that has to be there."""
        value = self.text(key)
        if value is None:
            raise MalformedError(f"{self.where} has no {key!r}")
        return value

    def as_name(self, key: str, value: str) -> str:
        if not NAME.fullmatch(value):
            raise self.bad(key, value, "is no name: letters, digits and . _ @ + - only, at most 100")
        return value

    def texts(self, key: str) -> tuple[str, ...] | None:
        """A list of texts, each once, at least one."""
        if key not in self:
            self._asked.append(key)
            return None
        found = self.listed(key)
        if not found:
            raise MalformedError(f"{self.place(key)} is empty: leave it out, or say what it holds")
        return found

    def listed(self, key: str) -> tuple[str, ...]:
        """As `texts`, of a list that is there and may be empty."""
        value = self.take(key)
        if not isinstance(value, list):
            raise self._wrong(key, value, "a list")
        found = tuple(self._text(key, item) for item in value)
        if (again := twice(found)) is not None:
            raise self.bad(key, again, "stands there twice")
        return found

    def parsed(self, key: str, parse: Callable[[str, str], str]) -> tuple[str, ...] | None:
        """A list of texts, each as `parse(key, text)` gives it."""
        found = self.texts(key)
        return None if found is None else tuple(parse(key, item) for item in found)

    def patterns(self, key: str) -> tuple[str, ...] | None:
        return self.parsed(key, self._pattern)

    def choice(self, key: str, kind: type[E]) -> E | None:
        value = self.text(key)
        return None if value is None else self._member(key, value, kind)

    def choices(self, key: str, kind: type[E]) -> frozenset[E] | None:
        found = self.texts(key)
        return None if found is None else frozenset(self._member(key, item, kind) for item in found)

    def instant(self, key: str) -> int | None:
        """A date (its first instant in UTC), or a date with time and offset, as unix seconds."""
        value = self.take(key)
        if value is None:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day, tzinfo=UTC)
        if not isinstance(value, datetime) or value.tzinfo is None:
            raise self._wrong(key, value, "a date, or a date with time and offset such as 2026-11-27T16:00:00Z")
        seconds = int(value.timestamp())
        if seconds < 0:
            raise self.bad(key, str(value), "is before 1970")
        return seconds

    def duration(self, key: str) -> int | None:
        """Such as `24h`, in seconds."""
        value = self.text(key)
        if value is None:
            return None
        found = _DURATION.fullmatch(value)
        if found is None:
            raise self.bad(key, value, "is no duration: write 30m, 24h or 7d")
        return int(found[1]) * _SECONDS[found[2]]

    def tables(self, key: str) -> Iterator[Table]:
        """The tables of a list of tables."""
        value = self.take(key)
        if value is None:
            return
        if not isinstance(value, list):
            raise self._wrong(key, value, f"a list of tables, written [[{key}]]")
        for number, item in enumerate(value, 1):
            yield Table(item, f"{self.place(key)}[{number}]")

    def table(self, key: str) -> Table:
        """A table; an empty one where there is none."""
        value = self.take(key)
        return Table({} if value is None else value, self.place(key))

    def unknown(self, key: str, value: str, known: Iterable[str]) -> MalformedError:
        """The error that a name stands for nobody."""
        near = difflib.get_close_matches(value[:_SHOWN], list(known), 1)
        hint = f"did you mean {near[0]!r}?" if near else "name a [[principals]] or one of [groups]"
        return MalformedError(f"{self.place(key)}: {value[:_SHOWN]!r} is nobody's name", hint=hint)

    def bad(self, key: str, value: str, what: str) -> MalformedError:
        """The error that a value is not as it should be."""
        return MalformedError(f"{self.place(key)}: {value[:_SHOWN]!r} {what}")

    def _pattern(self, key: str, value: str) -> str:
        try:
            patterns.check(value)
        except UsageError as error:
            raise MalformedError(f"{self.place(key)}: {error.message}", hint=error.hint) from None
        return value

    def _text(self, key: str, value: object) -> str:
        if not isinstance(value, str):
            raise self._wrong(key, value, "a text")
        if not value or len(value) > MAX_TEXT or not value.isprintable():
            raise self.bad(key, value, f"is empty, longer than {MAX_TEXT} characters, or cannot be printed")
        return value

    def _member(self, key: str, value: str, kind: type[E]) -> E:
        try:
            return kind(value)
        except ValueError:
            names = [str(member) for member in kind]
            near = difflib.get_close_matches(value[:_SHOWN], names, 1)
            hint = f"did you mean {near[0]!r}?" if near else ""
            raise MalformedError(
                f"{self.place(key)}: {value[:_SHOWN]!r} is none of {', '.join(names)}", hint=hint
            ) from None

    def _wrong(self, key: str, value: object, wanted: str) -> MalformedError:
        return MalformedError(f"{self.place(key)} is {_type(value)}, not {wanted}")


def twice(items: Iterable[str]) -> str | None:
    """The first that stands there a second time."""
    seen = set[str]()
    for item in items:
        if item in seen:
            return item
        seen.add(item)
    return None


def read(data: bytes) -> Table:
    """The outermost table. `MalformedError` for what is no TOML, or too large."""
    if len(data) > MAX_BYTES:
        raise MalformedError(f"a policy of {len(data)} bytes; at most {MAX_BYTES} are read")
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.count(b".") > MAX_DOTS:
            raise MalformedError(
                f"line {number} has more than {MAX_DOTS} dots", hint="write a long list in several lines"
            )
    try:
        return Table(tomllib.loads(data.decode()), "")
    except RecursionError:
        raise MalformedError("no policy is nested that deep") from None
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"not TOML: {error}") from None


def _type(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a table"}
    return names.get(type(value), "a date or time")
