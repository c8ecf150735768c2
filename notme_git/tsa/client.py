"""RFC 3161 over HTTP (section 3.4): a digest there, a time-stamp back, and nothing kept that was not asked for.

The authority sees the digest of a signature, and from where it is asked. What it answers is checked before it is kept
(`tsresponse`), so that the connection need not be trusted: `http` will do. Redirects are not followed: who is asked
stands in the configuration. Of its address errors show scheme, host and port alone, because the rest can be a secret.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from attest import timestamp
from attest.errors import MalformedError, UnavailableError
from attest.foreign import tsresponse
from attest.foreign.cmstime import Stamper
from attest.report.text import printable
from notme_git.remote.transport import Transport
from notme_git.tsa.address import Address

TIMEOUT_S = 10.0
"""For one answer, however slowly it drips, where somebody waits for a command."""

MAX_ANSWER_BYTES = 64 * 1024
"""A token with a chain of RSA certificates has under 8 KiB."""

NONCE_BITS = 64
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"


@dataclass(frozen=True, slots=True)
class Stamped:
    """A token (DER) over what was asked for, its time, and the origin that gave it."""

    token: bytes
    time: datetime
    origin: str


class Client:
    """Asks one authority. Not for several threads."""

    def __init__(self, address: Address, *, timeout_s: float = TIMEOUT_S) -> None:
        self.address = address
        self._transport = Transport(address.origin, timeout_s)

    def stamp(self, value: bytes, stampers: Sequence[Stamper] = ()) -> Stamped:
        """A time-stamp over SHA-256 of `value`.

        Raises `UnavailableError` where none could be had, `MalformedError` for an answer that is none; with `stampers`
        also for one by somebody else.
        """
        nonce = secrets.randbits(NONCE_BITS)
        headers = {"Content-Type": QUERY, "Accept": REPLY}
        asked = timestamp.query(value, nonce)
        status, kind, body = self._transport.ask("POST", self.address.path, asked, headers, MAX_ANSWER_BYTES)
        if 300 <= status < 400:
            hint = "name the address that it redirects to, if you trust that"
            raise UnavailableError(f"{self.address.origin} redirects ({status}), which is not followed", hint=hint)
        if status != 200 or kind != REPLY:
            what = f"status {status}" if status != 200 else f"{printable(kind[:80]) or 'no type'}, no time-stamp"
            raise UnavailableError(f"{self.address.origin} answered with {what}")
        try:
            token, time = tsresponse.verify_answer(body, value, nonce, stampers)
        except MalformedError as error:
            raise MalformedError(f"{self.address.origin}: {error.message}") from None
        return Stamped(token, time, self.address.origin)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()
