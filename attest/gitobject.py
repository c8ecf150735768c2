"""Raw bytes of git objects -> payload and signature, strictly, and back.

A signature covers the payload, not the object: git leaves out every header that begins with `gpgsig`, and
in a tag everything from the armour on. One signature can so be carried by many objects, each with bytes
nobody signed. This parser accepts one spelling only (CVE-2026-44309 is what comes of two parsers that
read one object differently), and works on the bytes themselves; nothing is decoded and encoded again.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from attest.errors import MalformedError

MAX_OBJECT_BYTES = 16 * 1024 * 1024
"""A commit or tag this long is no commit: the longest messages in public histories are under 1 MiB."""

MAX_HEADERS = 1024
MAX_PARENTS = 512
"""git's own octopus merges stay far below; the Linux kernel's largest has 66."""

MAX_SECONDS = 253402300799
"""9999-12-31T23:59:59Z, the last instant RFC 3339 can write."""

_HEX = frozenset(b"0123456789abcdef")


class ObjectFormat(enum.StrEnum):
    """A repository's hash function (`extensions.objectFormat`)."""

    SHA1 = "sha1"
    SHA256 = "sha256"

    @property
    def hex_length(self) -> int:
        """Hex digits of an object id."""
        return 40 if self is ObjectFormat.SHA1 else 64

    @property
    def signature_header(self) -> bytes:
        """The commit header that holds a signature in such a repository."""
        return b"gpgsig" if self is ObjectFormat.SHA1 else b"gpgsig-sha256"


class ObjectKind(enum.StrEnum):
    """What can be signed."""

    COMMIT = "commit"
    TAG = "tag"
    PUSH_CERTIFICATE = "push-certificate"


class SignatureFormat(enum.StrEnum):
    """By armour, which alone decides what git calls (`gpg.format` does not)."""

    X509 = "x509"
    OPENPGP = "openpgp"
    SSH = "ssh"


_ARMOURS = {
    b"-----BEGIN SIGNED MESSAGE-----": (SignatureFormat.X509, b"-----END SIGNED MESSAGE-----"),
    b"-----BEGIN PGP SIGNATURE-----": (SignatureFormat.OPENPGP, b"-----END PGP SIGNATURE-----"),
    b"-----BEGIN PGP MESSAGE-----": (SignatureFormat.OPENPGP, b"-----END PGP MESSAGE-----"),
    b"-----BEGIN SSH SIGNATURE-----": (SignatureFormat.SSH, b"-----END SSH SIGNATURE-----"),
}


@dataclass(frozen=True, slots=True)
class Signature:
    """The armour block as git hands it to a verifying program, final newline included."""

    format: SignatureFormat
    armour: bytes


@dataclass(frozen=True, slots=True)
class Ident:
    """Name, address and claimed time of an author, committer or tagger. `zone` is `+hhmm` or `-hhmm`."""

    name: str
    email: str
    seconds: int
    zone: str

    @property
    def when(self) -> datetime:
        """The claimed instant, in UTC."""
        return datetime.fromtimestamp(self.seconds, UTC)


@dataclass(frozen=True, slots=True)
class Commit:
    """One well-formed commit. `payload` is what its signature covers."""

    tree: str
    parents: tuple[str, ...]
    author: Ident
    committer: Ident
    encoding: str | None
    extra: tuple[tuple[bytes, bytes], ...]
    message: bytes
    signature: Signature | None
    payload: bytes
    raw: bytes

    def encode(self) -> bytes:
        """The object's bytes."""
        return self.raw


@dataclass(frozen=True, slots=True)
class Tag:
    """One well-formed annotated tag."""

    object: str
    object_type: str
    name: str
    tagger: Ident | None
    message: bytes
    signature: Signature | None
    payload: bytes
    raw: bytes

    def encode(self) -> bytes:
        """The object's bytes."""
        return self.raw


@dataclass(frozen=True, slots=True)
class PushCertificate:
    """One well-formed push certificate (git's `pack-protocol`, push-cert)."""

    pusher: bytes
    pushee: str
    nonce: str
    push_options: tuple[str, ...]
    updates: tuple[tuple[str, str, str], ...]
    signature: Signature | None
    payload: bytes
    raw: bytes

    def encode(self) -> bytes:
        """The certificate's bytes."""
        return self.raw


def object_id(kind: ObjectKind, raw: bytes, fmt: ObjectFormat) -> str:
    """Hex id of an object: the hash over `<kind> <size> NUL <bytes>`."""
    header = f"{kind} {len(raw)}\0".encode()
    hasher = hashlib.sha1(header, usedforsecurity=False) if fmt is ObjectFormat.SHA1 else hashlib.sha256(header)
    hasher.update(raw)
    return hasher.hexdigest()


def read_armour(armour: bytes) -> Signature:
    """One armour block of a known format, from first to last byte."""
    first, _, _ = armour.partition(b"\n")
    known = _ARMOURS.get(first)
    if known is None:
        raise MalformedError("the signature is not an armour block of a format git knows")
    body, end = armour.removesuffix(b"\n"), known[1]
    if not body.endswith(b"\n" + end) or body.count(b"-----BEGIN ") != 1 or body.count(b"-----END ") != 1:
        raise MalformedError("the signature is not exactly one armour block")
    return Signature(known[0], armour)


def parse(raw: bytes, kind: ObjectKind, fmt: ObjectFormat) -> Commit | Tag | PushCertificate:
    """The object of `kind` that `raw` is, or `MalformedError`."""
    if kind is ObjectKind.COMMIT:
        return parse_commit(raw, fmt)
    if kind is ObjectKind.TAG:
        return parse_tag(raw, fmt)
    return parse_push_certificate(raw)


def parse_payload(payload: bytes) -> Commit | Tag | PushCertificate:
    """What git hands to a signing program: an object without its signature, its kind told by its first header."""
    if payload.startswith(b"tree "):
        fmt = ObjectFormat.SHA256 if payload[45:46] not in (b"\n", b"") else ObjectFormat.SHA1
        parsed: Commit | Tag | PushCertificate = parse_commit(payload, fmt)
    elif payload.startswith(b"object "):
        fmt = ObjectFormat.SHA256 if payload[47:48] not in (b"\n", b"") else ObjectFormat.SHA1
        parsed = parse_tag(payload, fmt)
    elif payload.startswith(b"certificate version "):
        parsed = parse_push_certificate(payload)
    else:
        raise MalformedError("the bytes are no commit, tag or push certificate")
    if parsed.signature is not None:
        raise MalformedError("the payload carries a signature already")
    return parsed


def parse_commit(raw: bytes, fmt: ObjectFormat) -> Commit:
    """Headers in git's order, the signature header (at most one, of this format) last before the blank line."""
    headers, message, spans = _headers(raw)
    rest = iter(range(len(headers)))
    names = [name for name, _ in headers]
    if not names or names[0] != b"tree":
        raise MalformedError("the first header is not tree")
    tree = _oid(headers[next(rest)][1], fmt)
    at, parents = 1, []
    while at < len(names) and names[at] == b"parent":
        parents.append(_oid(headers[at][1], fmt))
        at += 1
    if len(parents) > MAX_PARENTS:
        raise MalformedError(f"{len(parents)} parents; at most {MAX_PARENTS} are read")
    if names[at : at + 2] != [b"author", b"committer"]:
        raise MalformedError("author and committer do not follow tree and parents")
    encoding = None
    after = at + 2
    if after < len(names) and names[after] == b"encoding":
        encoding = headers[after][1].decode("ascii", "replace")
        after += 1
    extra = headers[after:]
    signature, payload = None, raw
    if extra and extra[-1][0] == fmt.signature_header:
        signature = read_armour(extra[-1][1] + b"\n")
        start, end = spans[-1]
        payload = raw[:start] + raw[end:]
        extra = extra[:-1]
    for name, _ in extra:
        if name.startswith(b"gpgsig") or name in (b"tree", b"parent", b"author", b"committer", b"encoding"):
            raise MalformedError(f"header {name.decode('ascii', 'replace')} stands where git does not write it")
    return Commit(
        tree=tree,
        parents=tuple(parents),
        author=_ident(headers[at][1], encoding),
        committer=_ident(headers[at + 1][1], encoding),
        encoding=encoding,
        extra=tuple(extra),
        message=message,
        signature=signature,
        payload=payload,
        raw=raw,
    )


def parse_tag(raw: bytes, fmt: ObjectFormat) -> Tag:
    """object, type, tag, tagger; the signature is the last armour block and ends the object."""
    headers, message, _ = _headers(raw)
    names = [name for name, _ in headers]
    if names not in ([b"object", b"type", b"tag", b"tagger"], [b"object", b"type", b"tag"]):
        raise MalformedError("the headers are not object, type, tag and tagger in this order")
    values = [value for _, value in headers]
    if values[1] not in (b"commit", b"tree", b"blob", b"tag"):
        raise MalformedError("the tagged object is of no known type")
    signature, payload = None, raw
    start = max((raw.rfind(b"\n" + begin + b"\n") for begin in _ARMOURS), default=-1)
    if start >= len(raw) - len(message) - 1:
        signature = read_armour(raw[start + 1 :])
        payload = raw[: start + 1]
        message = message[: len(message) - len(signature.armour)]
    return Tag(
        object=_oid(values[0], fmt),
        object_type=values[1].decode(),
        name=_text(values[2], None),
        tagger=_ident(values[3], None) if len(values) == 4 else None,
        message=message,
        signature=signature,
        payload=payload,
        raw=raw,
    )


def parse_push_certificate(raw: bytes) -> PushCertificate:
    """certificate version 0.1, pusher, optional pushee, nonce and push options; then one update a line."""
    _check_size(raw)
    start = max(raw.rfind(b"\n" + begin + b"\n") for begin in _ARMOURS)
    signature, payload = None, raw
    if start >= 0:
        signature, payload = read_armour(raw[start + 1 :]), raw[: start + 1]
    head, blank, body = payload.partition(b"\n\n")
    lines = head.split(b"\n")
    if not blank or lines[0] != b"certificate version 0.1" or not payload.endswith(b"\n") or b"\0" in payload:
        raise MalformedError("the bytes are no push certificate of version 0.1")
    values: dict[bytes, list[bytes]] = {}
    order = [b"pusher", b"pushee", b"nonce", b"push-option"]
    position = 0
    for line in lines[1:]:
        name, space, value = line.partition(b" ")
        if not space or name not in order[position:] or (name in values and name != b"push-option"):
            raise MalformedError("a push certificate header is unknown, repeated or out of order")
        position = order.index(name)
        values.setdefault(name, []).append(value)
    if b"pusher" not in values:
        raise MalformedError("the push certificate names no pusher")
    pusher = values[b"pusher"][0].rsplit(b" ", 2)
    if len(pusher) != 3:
        raise MalformedError("the pusher line has no time")
    return PushCertificate(
        pusher=pusher[0].strip(),
        pushee=_text(values.get(b"pushee", [b""])[0], None),
        nonce=_text(values.get(b"nonce", [b""])[0], None),
        push_options=tuple(_text(v, None) for v in values.get(b"push-option", [])),
        updates=tuple(_update(line) for line in body.removesuffix(b"\n").split(b"\n")),
        signature=signature,
        payload=payload,
        raw=raw,
    )


def _headers(raw: bytes) -> tuple[list[tuple[bytes, bytes]], bytes, list[tuple[int, int]]]:
    """Headers unfolded, the message, and each header's place in `raw`."""
    _check_size(raw)
    end = raw.find(b"\n\n")
    if end < 0:
        # A commit without a message ends with the blank line, which git writes all the same.
        raise MalformedError("no blank line ends the headers")
    head = raw[: end + 1]
    if b"\0" in head:
        raise MalformedError("a header holds a NUL")
    headers: list[tuple[bytes, bytes]] = []
    spans: list[tuple[int, int]] = []
    at = 0
    for line in head.split(b"\n")[:-1]:
        size = len(line) + 1
        if line.startswith(b" "):
            if not headers or headers[-1][0] in (b"tree", b"parent", b"author", b"committer", b"encoding"):
                raise MalformedError("a header is continued that has one line only")
            headers[-1] = (headers[-1][0], headers[-1][1] + b"\n" + line[1:])
            spans[-1] = (spans[-1][0], at + size)
        else:
            name, space, value = line.partition(b" ")
            if not space or not name or b"\r" in line:
                raise MalformedError("a header line has no name and value, or a carriage return")
            headers.append((name, value))
            spans.append((at, at + size))
        at += size
    if len(headers) > MAX_HEADERS:
        raise MalformedError(f"{len(headers)} headers; at most {MAX_HEADERS} are read")
    return headers, raw[end + 2 :], spans


def _check_size(raw: bytes) -> None:
    if len(raw) > MAX_OBJECT_BYTES:
        raise MalformedError(f"{len(raw)} bytes; an object has at most {MAX_OBJECT_BYTES}")


def _oid(value: bytes, fmt: ObjectFormat) -> str:
    if len(value) != fmt.hex_length or not _HEX.issuperset(value):
        raise MalformedError(f"{value[:80]!r} is no {fmt} object id")
    return value.decode("ascii")


def _ident(value: bytes, encoding: str | None) -> Ident:
    name, opened, rest = value.partition(b"<")
    email, closed, time = rest.partition(b"> ")
    seconds, space, zone = time.partition(b" ")
    if not opened or not closed or not space or b">" in name + email or b"<" in email:
        raise MalformedError("an author, committer or tagger line is not NAME <ADDRESS> SECONDS ZONE")
    if not seconds.isdigit() or int(seconds) > MAX_SECONDS or (len(seconds) > 1 and seconds.startswith(b"0")):
        raise MalformedError("a time is no number of seconds before the year 10000")
    if len(zone) != 5 or zone[:1] not in b"+-" or not zone[1:].isdigit():
        raise MalformedError("a time zone is not +hhmm or -hhmm")
    return Ident(_text(name.removesuffix(b" "), encoding), _text(email, encoding), int(seconds), zone.decode("ascii"))


def _text(value: bytes, encoding: str | None) -> str:
    try:
        return value.decode(encoding or "utf-8")
    except (UnicodeDecodeError, LookupError):
        raise MalformedError(f"text is not in its declared encoding ({encoding or 'utf-8'})") from None


def _update(line: bytes) -> tuple[str, str, str]:
    parts = line.split(b" ", 2)
    if len(parts) != 3 or any(len(p) not in (40, 64) or not _HEX.issuperset(p) for p in parts[:2]) or not parts[2]:
        raise MalformedError("a push certificate line is not OLD NEW REF")
    return parts[0].decode(), parts[1].decode(), _text(parts[2], None)
