"""The JSON form of protobuf messages, field by field (the ProtoJSON format): bytes in base64, 64-bit integers as
decimal strings. Unknown fields are passed over, null is as good as absence, and whatever is asked for has its type.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest.errors import MalformedError

MAX_NUMBER = 2**63 - 1
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Fields:
    """The message `value`; `where` names it in errors. Every method raises `MalformedError`."""

    value: Mapping[str, Any]
    where: str

    def has(self, name: str) -> bool:
        """Whether the field is there, and not null."""
        return self.value.get(name) is not None

    def text(self, name: str) -> str:
        """A string; it has to be there."""
        value = self.value.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a string")
        return value

    def number(self, name: str) -> int:
        """A whole number from 0 to 2^63 - 1, as a decimal string or a JSON number."""
        value = self.value.get(name)
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            value = int(value)
        if type(value) is not int or not 0 <= value <= MAX_NUMBER:
            raise self._wrong(name, "a whole number of 63 bits")
        return value

    def data(self, name: str) -> bytes:
        """Standard base64 with its padding, of at least one byte."""
        return self._decode(name, self.text(name))

    def pieces(self, name: str, *, most: int) -> tuple[bytes, ...]:
        """A list of such base64; empty where there is none."""
        found = self._list(name, most)
        if not all(isinstance(item, str) for item in found):
            raise self._wrong(name, "a list of strings")
        return tuple(self._decode(name, item) for item in found)

    def message(self, name: str) -> Fields:
        """Another message; it has to be there."""
        value = self.value.get(name)
        if not isinstance(value, dict):
            raise self._wrong(name, "an object")
        return Fields(value, self._path(name))

    def messages(self, name: str, *, most: int) -> tuple[Fields, ...]:
        """A list of messages; empty where there is none."""
        found = self._list(name, most)
        if not all(isinstance(item, dict) for item in found):
            raise self._wrong(name, "a list of objects")
        return tuple(Fields(item, f"{self._path(name)}[{number}]") for number, item in enumerate(found))

    def one(self, name: str) -> Fields:
        """The one message in a list of messages."""
        found = self.messages(name, most=1)
        if not found:
            raise self._wrong(name, "a list of one object")
        return found[0]

    def _list(self, name: str, most: int) -> list[Any]:
        value = self.value.get(name)
        found = [] if value is None else value
        if not isinstance(found, list) or len(found) > most:
            raise self._wrong(name, f"a list of at most {most} items")
        return found

    def _decode(self, name: str, text: str) -> bytes:
        try:
            data = b64decode(text, validate=True)
        except ValueError:
            raise self._wrong(name, "base64") from None
        # Set trailing bits and stray padding decode as well, and would be a second spelling.
        if not data or b64encode(data).decode("ascii") != text:
            raise self._wrong(name, "base64 of at least one byte, in its one spelling")
        return data

    def _path(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name

    def _wrong(self, name: str, wanted: str) -> MalformedError:
        return MalformedError(f"{self._path(name)} is not {wanted}")
