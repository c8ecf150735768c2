"""What is left to say of an object that is refused as malformed (step 1): for reports, and proven of nothing.

Histories hold commits that no strict reader takes: messages in an encoding that nobody declared, time zones of six
digits, signatures with CR LF. Their rows say what git would show of them, and whether git's payload is what somebody
signed. Nothing is judged by it: step 1 has failed, and no policy excuses that.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

from attest import cms, gitobject, signed, sshsig
from attest.errors import Error
from attest.foreign.vouched import ForeignSigned
from attest.gitobject import MAX_PARENTS, MAX_SECONDS, ObjectFormat, ObjectKind, Signature, SignatureFormat
from attest.signed import Signed
from attest.trust import Trust

MAX_IDENT_BYTES = 1024
"""Of a name and address; one line may be as long as the object."""

_BASE64 = rb"([A-Za-z0-9+/=\s]*)"
_ARMOURS = {
    SignatureFormat.X509: re.compile(
        rb"-----BEGIN (SIGNED MESSAGE|CMS)-----[ \t\r]*\n" + _BASE64 + rb"-----END \1-----"
    ),
    # ssh-keygen takes nothing between the first line and its end.
    SignatureFormat.SSH: re.compile(rb"-----BEGIN (SSH SIGNATURE)-----\n" + _BASE64 + rb"\n-----END \1-----"),
}
_BEGINS = (
    (b"-----BEGIN PGP SIGNATURE-----", SignatureFormat.OPENPGP),
    (b"-----BEGIN PGP MESSAGE-----", SignatureFormat.OPENPGP),
    (b"-----BEGIN SSH SIGNATURE-----", SignatureFormat.SSH),
    (b"-----BEGIN SIGNED MESSAGE-----", SignatureFormat.X509),
    (b"-----BEGIN CMS-----", SignatureFormat.X509),
)
_READ = (Error, ValueError, TypeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Said:
    """Who an object says made it, `NAME <ADDRESS>`, and when (unix seconds); empty and None where it says nothing."""

    author: str
    author_date: int | None
    committer: str
    committer_date: int | None
    tree: str
    parents: tuple[str, ...]
    message: bytes


@dataclass(frozen=True, slots=True)
class Remains:
    """The signature that git would find in the object. `made` is None where nobody can read it."""

    format: SignatureFormat | None
    integrity: bool | None
    made: Signed | ForeignSigned | None


def said(raw: bytes, kind: ObjectKind, fmt: ObjectFormat) -> Said:
    """What the headers say, each by the first line of its name, as git reads them."""
    head, _, message = raw.partition(b"\n\n")
    committer = b"tagger" if kind is ObjectKind.TAG else b"committer"
    author, author_date = _ident(head, b"author")
    by, date = _ident(head, committer)
    oid = b"[0-9a-f]{%d}" % fmt.hex_length
    found = re.match(rb"tree (%s)\n((?:parent %s\n){0,%d})" % (oid, oid, MAX_PARENTS), head + b"\n")
    parents = tuple(found[2].decode().split()[1::2]) if found is not None else ()
    tree = found[1].decode() if found is not None else ""
    return Said(author, author_date, by, date, tree, parents, message)


def signature(raw: bytes, kind: ObjectKind, fmt: ObjectFormat, trusted: Trust) -> Remains:
    """The signature that git would find, and whether it is over what git would have checked."""
    found = gitobject.split_as_git(raw, kind, fmt)
    if found is None:
        return Remains(None, None, None)
    payload, text = found
    named = next((form for begin, form in _BEGINS if text.startswith(begin)), SignatureFormat.UNKNOWN)
    if named not in _ARMOURS:
        return Remains(named, None, None)
    made = None
    try:
        made = signed.read(Signature(named, _usual(text, named)), trusted.anchors, trusted.foreign)
        made.verify_content(payload)
    except _READ:
        return Remains(named, False, made)
    return Remains(named, True, made)


def _usual(text: bytes, named: SignatureFormat) -> bytes:
    """The first armour block in the form in which it is usually written; `ValueError` where there is none."""
    found = _ARMOURS[named].match(text)
    if found is None or len(text) > 2 * cms.MAX_CMS_BYTES:
        raise ValueError("no block of base64")
    blob = binascii.a2b_base64(b"".join(found[2].split()), strict_mode=True)
    if named is SignatureFormat.SSH:
        return sshsig.ARMOUR.wrap(blob)
    return cms.ARMOUR.wrap(blob).replace(b" SIGNED MESSAGE-", b" %s-" % found[1])


def _ident(head: bytes, name: bytes) -> tuple[str, int | None]:
    """Name and address, and the number after the last bracket (git's `split_ident_line`)."""
    found = re.search(rb"^%s ([^\n]*)" % name, head, re.MULTILINE)
    if found is None:
        return "", None
    who, _, rest = found[1].rpartition(b">")
    digits = (rest.split() or [b""])[0]
    number = int(digits) if digits.isdigit() and len(digits) <= len(str(MAX_SECONDS)) else MAX_SECONDS + 1
    text = (who + b">" if who else b"")[:MAX_IDENT_BYTES].decode("utf-8", "replace")
    return text, number if number <= MAX_SECONDS else None
