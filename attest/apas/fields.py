"""The fields of one JSON object of an APAS document, each read as what it has to be.

What is not asked for is passed over, as in-toto wants of every reader; what is asked for has its type and its bounds,
or the document is refused. Null is as good as absence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest.errors import MalformedError

MAX_TEXT = 64 * 1024
"""Characters of one text; a summary of a phase has some hundreds."""

MAX_ITEMS = 10_000
"""Of one list: the files that a phase changed."""

MAX_NUMBER = 2**53 - 1
"""What every reader of JSON takes for the same number (RFC 8259 section 6)."""

MAX_INDEX = 2**32 - 1
"""Phases and tiers are counted in 32 bits (schema/apas.capnp)."""

PREFIX = "sha256:"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of the JSON object `value`; `where` names it in errors. Every method raises `MalformedError`."""

    value: Mapping[str, Any]
    where: str

    def has(self, name: str) -> bool:
        """Whether the field is there, and not null."""
        return self.value.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str:
        """A text of at most `MAX_TEXT` characters; `default` where there is none, without one it has to be there."""
        value = self.value.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        if len(value) > MAX_TEXT:
            raise MalformedError(f"{self._path(name)} has {len(value)} characters; at most {MAX_TEXT} are read")
        return value

    def number(self, name: str, most: int = MAX_NUMBER) -> int | None:
        """A whole number from 0 to `most`, or None."""
        value = self.value.get(name)
        if value is None:
            return None
        if type(value) is not int or not 0 <= value <= most:
            raise self._wrong(name, f"a whole number from 0 to {most}")
        return value

    def flag(self, name: str) -> bool | None:
        """True, false, or None."""
        value = self.value.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; empty where there is none."""
        found = self._list(name)
        if not all(isinstance(item, str) and len(item) <= MAX_TEXT for item in found):
            raise self._wrong(name, "a list of texts")
        return tuple(found)

    def commits(self, name: str) -> tuple[str, ...]:
        """A list of commit ids, 40 or 64 lower-case hex digits each; empty where there is none."""
        return tuple(commit_id(item, self._path(name)) for item in self.texts(name))

    def commit(self, name: str) -> str:
        """One commit id."""
        return commit_id(self.text(name), self._path(name))

    def sha256(self, name: str) -> str:
        """A digest written `sha256:` and 64 lower-case hex digits; empty where there is none."""
        value = self.text(name, "")
        if value and not is_sha256(value):
            raise self._wrong(name, "a digest: sha256: and 64 lower-case hex digits")
        return value

    def chain_hash(self, name: str) -> str:
        """64 lower-case hex digits, written with or without `sha256:`; empty where there is none."""
        value = self.text(name, "").removeprefix(PREFIX)
        if value and not is_hex(value):
            raise self._wrong(name, "64 lower-case hex digits")
        return value

    def part(self, name: str) -> Fields | None:
        """An object, or None."""
        value = self.value.get(name)
        if value is not None and not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return None if value is None else Fields(value, self._path(name))

    def parts(self, name: str) -> tuple[Fields, ...]:
        """A list of objects; empty where there is none."""
        found = self._list(name)
        if not all(isinstance(item, dict) for item in found):
            raise self._wrong(name, "a list of objects")
        return tuple(Fields(item, f"{self._path(name)}[{number}]") for number, item in enumerate(found))

    def _list(self, name: str) -> list[Any]:
        found = self.value.get(name)
        if found is None:
            return []
        if not isinstance(found, list):
            raise self._wrong(name, "a list")
        if len(found) > MAX_ITEMS:
            raise MalformedError(f"{self._path(name)} has {len(found)} entries; at most {MAX_ITEMS} are read")
        return found

    def _path(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name

    def _wrong(self, name: str, what: str) -> MalformedError:
        found = "not" if self.has(name) else "missing: it is to be"
        return MalformedError(f"{self._path(name)} is {found} {what}")


def is_hex(text: str) -> bool:
    """Whether it is a SHA-256 in lower-case hex."""
    return _SHA256.fullmatch(text) is not None


def is_sha256(text: str) -> bool:
    """The same behind `sha256:`."""
    return text.startswith(PREFIX) and is_hex(text.removeprefix(PREFIX))


def commit_id(text: str, where: str) -> str:
    """`text`, being 40 or 64 lower-case hex digits, or `MalformedError`."""
    if not _COMMIT.fullmatch(text):
        raise MalformedError(f"{where}: {text[:80]!r} is no commit id: 40 or 64 lower-case hex digits")
    return text
