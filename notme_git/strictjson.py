"""Strict JSON (RFC 8259): a name stands once in an object, and there is no NaN or Infinity.

Two readers that take another of two equal names would read another message (RFC 8259 section 4).
"""

from __future__ import annotations

import json
from typing import Any


def loads(text: str) -> Any:
    """The value; `ValueError`, or `RecursionError` for what is nested too deep."""
    return _DECODER.decode(text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _constant(name: str) -> Any:
    raise ValueError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant)
