"""The proxy's TLS context, whose client certificate is renewed before it ends."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from notme_git.enroll.tls import TlsIdentity

MARGIN = timedelta(seconds=60)
"""A connection is begun with a certificate that has a minute left at least."""


@dataclass(slots=True)
class Holder:
    """`enroll` gives a new identity; it is called in a thread, by one request at a time."""

    enroll: Callable[[datetime], TlsIdentity]
    authorities: str | None = None
    _context: ssl.SSLContext | None = field(default=None, repr=False)
    _held: TlsIdentity | None = field(default=None, repr=False)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def context(self) -> ssl.SSLContext:
        """One whose certificate is in force. Raises what `enroll` raises; the one before is not used any more."""
        async with self._lock:
            at = datetime.now(UTC)
            if self._context is None or self._held is None or not self._in_force(self._held, at):
                self._held = await asyncio.to_thread(self.enroll, at)
                self._context = self._new(self._held)
            return self._context

    def _in_force(self, held: TlsIdentity, at: datetime) -> bool:
        return held.not_before <= at < held.not_after - MARGIN

    def _new(self, held: TlsIdentity) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authorities)
        context.set_alpn_protocols(["http/1.1"])
        held.load_into(context)
        return context
