"""What a time-stamping authority answers: TimeStampResp (RFC 3161 section 2.4.2), from anybody, before it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from attest import asn1
from attest.errors import Error, MalformedError
from attest.foreign import ber, cmscerts, cmsdata, cmstime
from attest.foreign.ber import Value
from attest.foreign.cmstime import Stamper
from attest.stamps import MAX_TOKEN_BYTES

MAX_TEXT = 200
"""Characters that are repeated of what it says of itself."""

_GRANTED, _GRANTED_WITH_MODS = 0, 1
_STATUS = ("granted", "granted with modifications", "rejection", "waiting", "revocation warning", "revocation")
_FAILURES = {
    0: "it does not take this digest",
    2: "it does not take such requests",
    5: "it cannot read the request",
    14: "its clock is not available",
    15: "it does not take this policy",
    16: "it does not take an extension of the request",
    17: "it does not give what was asked for beside the time",
    25: "it cannot do it at the moment",
}
_UTF8, _BITS = b"\x0c", b"\x03"


def open_answer(data: bytes) -> bytes:
    """The token (DER) in a granted answer; `MalformedError` says why there is none.

    One that is granted with modifications is none: nothing but what was asked for is kept.
    """
    fields = ber.read(data).children
    if not fields or fields[0].tag != asn1.SEQUENCE or not fields[0].children:
        raise MalformedError("the answer is no answer to a request for a time-stamp")
    status = cmsdata.read_integer(fields[0].children[0])
    if status != _GRANTED:
        raise MalformedError(f"no time-stamp was given: {_reason(status, fields[0].children[1:])}")
    if len(fields) != 2:
        raise MalformedError("the answer is granted, and holds no time-stamp")
    token = fields[1].der
    if len(token) > MAX_TOKEN_BYTES:
        raise MalformedError(f"the time-stamp has {len(token)} bytes; at most {MAX_TOKEN_BYTES} are kept")
    return token


def verify_answer(data: bytes, stamped: bytes, nonce: int, stampers: Sequence[Stamper]) -> tuple[bytes, datetime]:
    """The token and its time, once it is over `stamped`, fresh by its nonce, and signed by a key for time-stamps.

    With `stampers` that key has to lead to one of them; with none, whose it is nobody asked. Raises `MalformedError`.
    """
    token = open_answer(data)
    try:
        return token, cmstime.verify_answer(token, stamped, nonce, stampers)
    except Error as error:
        raise MalformedError(error.message) from None
    except (*cmscerts.UNREADABLE, OverflowError) as error:
        raise MalformedError(f"the time-stamp cannot be read ({type(error).__name__})") from None


def _reason(status: int, rest: Sequence[Value]) -> str:
    """The status in words, and what the authority says to it, without characters that a terminal obeys."""
    said = [_STATUS[status] if 0 <= status < len(_STATUS) else f"status {status}"]
    for value in rest:
        if value.tag == _BITS:
            said += [_FAILURES.get(bit, f"failure {bit}") for bit in _bits(value.content)]
        texts = [child.content for child in value.children if child.tag == _UTF8]
        said += ["".join(c if c.isprintable() else "?" for c in text.decode("utf-8", "replace")) for text in texts]
    return ", ".join(said)[:MAX_TEXT]


def _bits(content: bytes) -> list[int]:
    """The numbers of the bits that are set in a BIT STRING (X.690 section 8.6); at most the first 64 are looked at."""
    return [at for at in range(8 * len(content[1:9])) if content[1 + at // 8] & 0x80 >> at % 8]
