"""The address of a time-stamping authority. A signature that asks nobody needs to know no more of one."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from attest.errors import UsageError


@dataclass(frozen=True, slots=True)
class Address:
    """Where a time-stamping authority is: the origin, which may be shown, and the path there, which is not."""

    origin: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """An http or https URL without user and password; `UsageError`, which does not repeat it."""
        hint = "write it like http://timestamp.example.com/tsr"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise UsageError("the address of the time-stamping authority is no URL", hint=hint) from None
        if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
            raise UsageError("the address of the time-stamping authority is no http or https URL", hint=hint)
        if "@" in parts.netloc:
            raise UsageError("the address of the time-stamping authority has a user in it, who is not sent", hint=hint)
        if parts.fragment or port == 0 or not text.isascii():
            raise UsageError("the address of the time-stamping authority has a part that is not sent", hint=hint)
        path = parts.path or "/"
        return cls(f"{parts.scheme}://{parts.netloc}", f"{path}?{parts.query}" if parts.query else path)
