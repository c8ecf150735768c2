"""Instants as they are stored, unix seconds, and as they are shown."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from time import gmtime


def instant(seconds: int) -> datetime:
    """Unix seconds, as stored times are, as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def rfc3339(seconds: int) -> str:
    """Unix seconds as RFC 3339 in UTC."""
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % gmtime(seconds)[:6]  # noqa: UP031  # three times as fast as strftime


again = functools.lru_cache(maxsize=4096)(rfc3339)
"""The same, remembered: the dates of one commit, and of a batch, mostly fall together."""


def text(when: datetime) -> str:
    """An aware datetime as RFC 3339 in UTC, whole seconds."""
    return again(int(when.timestamp()))
