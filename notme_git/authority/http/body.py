"""What comes in: bounded in bytes, depth and time, strict JSON, known fields of known types; else status 400."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request

from notme_git import strictjson
from notme_git.authority.http.answers import HttpError

MAX_BYTES = 64 * 1024
TIMEOUT_S = 10.0
MAX_DEPTH = 8
MAX_ITEMS = 256
MAX_SIGNATURE = 256

Fields = Mapping[str, type]
"""Names and types of the fields that an object may have; `list` means a list of texts."""

_NAMES = {str: "a text", int: "an integer", bool: "true or false", list: "a list of texts", dict: "an object"}


async def read(request: Request) -> bytes:
    """The body, at most `MAX_BYTES` within `TIMEOUT_S`."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            parts, size = [], 0
            async for part in request.stream():
                size += len(part)
                if size > MAX_BYTES:
                    raise HttpError(400, f"body larger than {MAX_BYTES} bytes")
                parts.append(part)
            return b"".join(parts)
    except TimeoutError:
        raise HttpError(400, f"body did not arrive within {TIMEOUT_S:g} seconds") from None
    except ClientDisconnect:
        raise HttpError(400, "body ended early") from None


async def read_json(request: Request, fields: Fields) -> dict[str, Any]:
    """The JSON object in the body, with none but these fields."""
    return take(parse(await read(request)), fields)


def parse(data: bytes) -> Any:
    """Strict JSON (RFC 8259): UTF-8, no duplicate names, no NaN, a bounded depth."""
    try:
        value = strictjson.loads(data.decode())
        if b"\\u" in data or data.count(b"{") + data.count(b"[") > MAX_DEPTH:
            _check(value, MAX_DEPTH)
    except (ValueError, RecursionError):
        raise HttpError(400, "invalid JSON body") from None
    return value


def take(value: object, fields: Fields, where: str = "") -> dict[str, Any]:
    """`value` as an object of these fields; null counts as absent."""
    if not isinstance(value, dict):
        raise HttpError(400, f"{where or 'body'} must be an object")
    found = {name: each for name, each in value.items() if each is not None}
    for name, each in found.items():
        path = f"{where}.{name}" if where else name
        if name not in fields:
            raise HttpError(400, f"unknown field: {path[:128]}")
        kind = fields[name]
        if not isinstance(each, kind) or (kind is int and isinstance(each, bool)):
            raise HttpError(400, f"{path} must be {_NAMES[kind]}")
        if isinstance(each, list) and (len(each) > MAX_ITEMS or not all(isinstance(item, str) for item in each)):
            raise HttpError(400, f"{path} must be {_NAMES[list]}, at most {MAX_ITEMS}")
    return found


def printable(found: Mapping[str, Any], name: str, limit: int) -> str:
    """The text under `name`, empty without one, that certificates, bundles and terminals can repeat as it stands."""
    text = str(found.get(name, ""))
    if len(text) > limit or not text.isprintable():
        raise HttpError(400, f"{name} is longer than {limit} characters, or has some that cannot be printed")
    return text


def unbase64(text: str) -> bytes:
    """base64url or base64 of a signature, padded or not; what is neither is no signature, and fails as one."""
    if len(text) > MAX_SIGNATURE:
        return b""
    bare = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""


def _check(value: object, depth: int) -> None:
    """Not too deep, and no lone surrogate, which no UTF-8 can answer."""
    if isinstance(value, str):
        value.encode()
    if not isinstance(value, dict | list):
        return
    if not depth:
        raise ValueError("too deep")
    for each in value if isinstance(value, list) else (*value.keys(), *value.values()):
        _check(each, depth - 1)
