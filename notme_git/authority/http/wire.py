"""Connections that are bounded where uvicorn does not: a head in bytes, and a whole request in time.

Without it whoever reaches the port keeps connections open for nothing until no more are taken, or has heads of any
size kept in memory. A front proxy bounds both, too; loopback has none.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 * 1024
"""Bytes of a request line and its header fields; the largest of ours, two tokens of 16 KiB, is half of it."""

REQUEST_S = 15.0
"""From a connection's begin, or a request's first byte, to the request's last; a handler waits less for a body."""


class Bounded(HttpToolsProtocol):
    """uvicorn's protocol, which hangs up on what is too slow and answers 400 to a head that is too large."""

    _timer: asyncio.TimerHandle | None = None
    _size = 0
    _in_head = True
    _under_way = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(REQUEST_S, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._size += len(data)
        self._under_way = True
        super().data_received(data)
        if not self._under_way or self.transport.is_closing():
            return
        if self._in_head and self._size > MAX_HEAD:
            self.send_400_response(f"The head of a request has at most {MAX_HEAD} bytes.")
        elif self._timer is None:
            self._timer = self.loop.call_later(REQUEST_S, self.transport.close)

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """See httptools."""
        self._in_head, self._under_way, self._size = True, False, 0
        if self._timer is not None:
            self._stop()
        super().on_message_complete()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
