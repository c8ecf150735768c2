"""The allowed signers file: which SSH keys count, for whom and when (ssh-keygen(1), ALLOWED SIGNERS).

    PRINCIPALS [OPTIONS] KIND BASE64 [COMMENT]

git goes by the same file (`gpg.ssh.allowedSignersFile`). What is read here means what it means to ssh-keygen, with
one difference: ssh-keygen passes over a line that it cannot read, and here the file is refused. A verifier has to
learn of a slip when it makes it, and not from a signature that counts no longer.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from attest.errors import MalformedError
from attest.foreign import sshkeys, usercert
from attest.foreign.patternlist import PatternList
from attest.sshwire import string

MAX_BYTES = 8 * 1024 * 1024
"""Some 50,000 keys; each costs a little time to read, and a verifier reads all of them before its first commit."""
MAX_LINE_BYTES = 64 * 1024
"""An RSA key of 16384 bits takes 3 KiB, the rest is principals."""

CERT_AUTHORITY, NAMESPACES = "cert-authority", "namespaces"
VALID_AFTER, VALID_BEFORE = "valid-after", "valid-before"
_OPTIONS = frozenset({CERT_AUTHORITY, NAMESPACES, VALID_AFTER, VALID_BEFORE})

_REFUSED = frozenset({"ssh-dss"})
"""Kinds that OpenSSH knew once: read, to be refused by their name."""

_OPTION = re.compile(r'(?P<flag>[A-Za-z-]+)(?:="(?P<value>(?:\\"|[^"\\]|\\(?!"))*)")?(?:,(?=[^ \t])|(?=[ \t]))')
_TIME = re.compile(r"([0-9]{8})(?:([0-9]{4})([0-9]{2})?)?(Z|z|UTC)?")
_BLANKS = " \t\r"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a key, or with `authority` the key of an authority, and for which principals it counts.

    `namespaces` is None for all of them. `not_before` and `not_after` are unix seconds, both inclusive, None without
    a limit.
    """

    line: int
    principals: PatternList
    key: bytes
    authority: bool = False
    namespaces: PatternList | None = None
    not_before: int | None = None
    not_after: int | None = None

    def holds_at(self, seconds: int) -> bool:
        """Whether the line counts at this time."""
        return (self.not_before is None or seconds >= self.not_before) and (
            self.not_after is None or seconds <= self.not_after
        )

    @property
    def is_limited(self) -> bool:
        """Whether it counts for a time only."""
        return self.not_before is not None or self.not_after is not None

    def is_for(self, namespace: str) -> bool:
        """Whether the line counts for signatures in this namespace."""
        return self.namespaces is None or self.namespaces.matches(namespace)


@dataclass(frozen=True, slots=True, eq=False)
class AllowedSigners:
    """A whole file. `keys` and `authorities` are by key blob, lines in their order.

    `sha256` is of what the file says: of its text and, where it has them, of its times as they were read, because one
    without a zone is another instant on another machine.
    """

    sha256: bytes
    keys: dict[bytes, tuple[Entry, ...]]
    authorities: dict[bytes, tuple[Entry, ...]]

    @classmethod
    def parse(cls, data: bytes, zone: tzinfo | None = None) -> AllowedSigners:
        """Read a file; `MalformedError` names the line. Times without Z are in `zone`, None is this machine's own."""
        keys: dict[bytes, list[Entry]] = {}
        authorities: dict[bytes, list[Entry]] = {}
        for number, line in lines(data):
            try:
                entry = _entry(number, line, zone)
            except MalformedError as error:
                raise MalformedError(f"allowed signers, line {number}: {error.message}", hint=error.hint) from None
            (authorities if entry.authority else keys).setdefault(entry.key, []).append(entry)
        return cls(_digest(data, [*keys.values(), *authorities.values()]), _frozen(keys), _frozen(authorities))


def _digest(data: bytes, found: list[list[Entry]]) -> bytes:
    bounds = sorted(
        (each.line, each.not_before, each.not_after) for entries in found for each in entries if each.is_limited
    )
    text = hashlib.sha256(data).digest()
    return hashlib.sha256(text + repr(bounds).encode()).digest() if bounds else text


def _frozen(found: dict[bytes, list[Entry]]) -> dict[bytes, tuple[Entry, ...]]:
    return {key: tuple(entries) for key, entries in found.items()}


def lines(data: bytes) -> list[tuple[int, str]]:
    """The lines of a list of keys that say something, with their numbers; `MalformedError` for what is no such text."""
    if len(data) > MAX_BYTES:
        raise MalformedError(f"{len(data)} bytes of keys; at most {MAX_BYTES} are read")
    found = []
    for number, raw in enumerate(data.split(b"\n"), start=1):
        if len(raw) > MAX_LINE_BYTES or b"\0" in raw:
            raise MalformedError(f"line {number} has a NUL, or is longer than {MAX_LINE_BYTES} bytes")
        try:
            line = raw.decode().strip(_BLANKS)
        except UnicodeDecodeError:
            raise MalformedError(f"line {number} is not text in UTF-8") from None
        if line and not line.startswith("#"):
            found.append((number, line))
    return found


def read_key(text: str) -> bytes | None:
    """The blob in `KIND BASE64 [COMMENT]`, None where no kind of key stands first; `MalformedError` for no base64.

    The blob is of the kind that stands before it. Whether it is a key that counts is not looked at.
    """
    kind, rest = _word(text)
    if kind not in sshkeys.FIELDS and kind not in _REFUSED and not kind.endswith(usercert.SUFFIX):
        return None
    try:
        blob = binascii.a2b_base64(_word(rest)[0], strict_mode=True)
    except (binascii.Error, ValueError):
        raise MalformedError(f"what follows {kind[:64]} is not base64") from None
    if not blob.startswith(string(kind)):
        raise MalformedError(f"the key is not of the kind {kind[:64]} that stands before it")
    return blob


def _entry(number: int, line: str, zone: tzinfo | None) -> Entry:
    principals, rest = _principals(line)
    options: dict[str, str | None] = {}
    if not rest:
        raise MalformedError("no SSH key follows the principals")
    blob = read_key(rest)
    if blob is None:
        options, rest = _options(rest)
        blob = read_key(rest)
    if blob is None:
        raise MalformedError(f"no SSH key of a kind that is known here, but {rest[:40]!r}")
    if usercert.is_certificate(blob):
        raise MalformedError(
            "a certificate", hint=f"list the key of its authority with {CERT_AUTHORITY}, or the key without certificate"
        )
    sshkeys.parse(blob)
    namespaces = options.get(NAMESPACES)
    after, before = (_time(options.get(name), zone) for name in (VALID_AFTER, VALID_BEFORE))
    if after is not None and before is not None and before <= after:
        raise MalformedError(f"{VALID_BEFORE} is not after {VALID_AFTER}")
    return Entry(
        line=number,
        principals=principals,
        key=blob,
        authority=CERT_AUTHORITY in options,
        namespaces=PatternList.parse(namespaces) if namespaces is not None else None,
        not_before=after,
        not_after=before,
    )


def _word(text: str) -> tuple[str, str]:
    """The first word, and what follows it after blanks."""
    word, *rest = re.split(r"[ \t]+", text, maxsplit=1)
    return word, rest[0] if rest else ""


def _principals(line: str) -> tuple[PatternList, str]:
    """The first word, which may be in quotes, and what follows it."""
    if line.startswith('"'):
        word, _, rest = line[1:].partition('"')
    else:
        word, rest = _word(line)
    found = PatternList.parse(word)
    if not found.wanted:
        raise MalformedError("no principals stand before the key")
    return found, rest.strip(_BLANKS)


def _options(text: str) -> tuple[dict[str, str | None], str]:
    """Options by name, each of which may stand once, and what follows them."""
    found: dict[str, str | None] = {}
    at = 0
    while not found or text[at - 1] == ",":
        match = _OPTION.match(text, at)
        name = match["flag"].lower() if match else ""
        if match is None or name not in _OPTIONS or (match["value"] is None) != (name == CERT_AUTHORITY):
            raise MalformedError(f"neither a key that is known here nor an option: {text[at : at + 40]!r}")
        if name in found:
            raise MalformedError(f"option {name} stands twice")
        value = match["value"]
        found[name] = value.replace('\\"', '"') if value is not None else None
        at = match.end()
    return found, text[at:].strip(_BLANKS)


def _time(text: str | None, zone: tzinfo | None) -> int | None:
    """Unix seconds of `YYYYMMDD[HHMM[SS]][Z]`."""
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise MalformedError(f"{text[:40]!r} is not a time of the form YYYYMMDD[HHMM[SS]][Z]")
    day, minutes, seconds, utc = match.groups()
    try:
        when = datetime.strptime(day + (minutes or "0000") + (seconds or "00"), "%Y%m%d%H%M%S")
        return int(when.replace(tzinfo=UTC if utc else zone).timestamp())
    except (ValueError, OverflowError, OSError):
        raise MalformedError(f"{text[:40]!r} is no time") from None
