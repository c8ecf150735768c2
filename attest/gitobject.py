"""Raw bytes of git objects -> payload and signature, strictly, and back.

A signature covers the payload, not the object. git leaves out of it every commit header that begins with
`gpgsig`, and everything in a tag from the last armour on; what stands there nobody signed, and one signature
can be carried by many objects. Two parsers that read one object differently do the rest: CVE-2026-44309
was a `tree` header written twice. So there is one spelling here for everything:

* headers in the order git writes them, none twice, the signature header last before the blank line;
* one signature, and nothing after its END line;
* text in UTF-8 or in the encoding the commit declares, no NUL anywhere: git shows nothing after it.

The parsers work on the bytes as they are. What they return encodes to the same bytes again, so that no byte
of an object is outside its fields. What is odd but signed as it stands (an empty name, a header of another
tool, a message without a final newline) is left to the signature.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from attest.errors import MalformedError

MAX_OBJECT_BYTES = 16 * 1024 * 1024
"""Read into memory and hashed whole. No known commit or tag comes near; a push of 100,000 refs has 12 MiB."""

MAX_HEADERS = 1024
"""Above `MAX_PARENTS`, with room for one mergetag a parent."""

MAX_PARENTS = 512
"""The Linux kernel's largest octopus merge has 66."""

MAX_SECONDS = 253402300799
"""9999-12-31T23:59:59Z, the last instant RFC 3339 can write (section 5.6)."""


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


SIGNED_KINDS = {kind.value: kind for kind in (ObjectKind.COMMIT, ObjectKind.TAG)}
"""What carries its signature in itself, by git's word for it."""

EMPTY_TREES = {
    ObjectFormat.SHA1: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    ObjectFormat.SHA256: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}
"""The id of the tree with nothing in it."""


class SignatureFormat(enum.StrEnum):
    """By armour, which alone decides what git calls (`gpg.format` does not)."""

    X509 = "x509"
    OPENPGP = "openpgp"
    SSH = "ssh"
    UNKNOWN = "unknown"
    """One that git does not know either: `git log --format=%G?` ends at such a commit."""


_ARMOURS = {
    b"SIGNED MESSAGE": SignatureFormat.X509,
    b"PGP SIGNATURE": SignatureFormat.OPENPGP,
    b"PGP MESSAGE": SignatureFormat.OPENPGP,
    b"SSH SIGNATURE": SignatureFormat.SSH,
}

# What else stands in the headers of commits. signet-git's first armour was CMS under a name of its own.
_OTHER_ARMOUR = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 ]{0,63})-----\n")
_CMS = b"CMS"

# git takes a line for the beginning of a signature when it only starts like one (`get_format_by_sig`).
_BEGIN = re.compile(rb"^-----BEGIN (%s)-----" % b"|".join(_ARMOURS), re.MULTILINE)

_DASHED = re.compile(rb"-----[A-Z ]*-----")
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")

_NUL, _CR = 0, 13
_HEX_DIGITS = b"0123456789abcdef"

# What git fsck calls an error is none of these: a missing blank, <> inside, a padded time, a zone not of five signs.
_IDENT = re.compile(rb"([^<>\0\r\n]*) <([^<>\0\r\n]*)> (0|[1-9][0-9]*) ([+-][0-9]{4})")

_HEADER_NAME = re.compile(rb"[!-~]+")
_STANDARD = frozenset((b"tree", b"parent", b"author", b"committer", b"encoding"))
_TARGETS = frozenset((b"commit", b"tree", b"blob", b"tag"))

# gitprotocol-pack(5), "push-cert"; the order is that of `generate_push_cert`. Options may be empty.
_PUSH_HEAD = re.compile(
    rb"certificate version (0\.1)\n"
    rb"pusher ([^\0\r\n]+) (0|[1-9][0-9]*) ([+-][0-9]{4})\n"
    rb"(?:pushee ([^\0\r\n]+)\n)?"
    rb"(?:nonce ([!-~]+)\n)?"
    rb"((?:push-option [^\0\r\n]*\n)*)"
)
_UPDATE = re.compile(rb"([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ([^\0-\x20\x7f]+)")

# What `i18n.commitEncoding` may name. A list of our own: among the codecs that Python knows are some that are
# no character sets, some in which ASCII means something else (UTF-7, EBCDIC), and some that take quadratic time.
_CODECS = {
    codec.replace("-", ""): codec
    for codec in (
        *("utf-8", "us-ascii", "ascii", "koi8-r", "koi8-u", "koi8-t", "tis-620", "latin1", "latin2", "latin9"),
        *(f"iso-8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
        *(f"{maker}{page}" for maker in ("cp", "windows-") for page in range(1250, 1259)),
        *(f"cp{page}" for page in (437, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 865, 866, 874)),
        *("euc-jp", "shift-jis", "sjis", "cp932", "iso-2022-jp", "euc-kr", "cp949"),
        *("gb2312", "gbk", "gb18030", "cp936", "big5", "big5-hkscs", "cp950"),
    )
}


@dataclass(frozen=True, slots=True)
class Signature:
    """One armour block as git hands it to a verifying program, final newline included."""

    format: SignatureFormat
    armour: bytes


@dataclass(frozen=True, slots=True)
class Ident:
    """Name, address and claimed time of an author, committer or tagger.

    `seconds` are since 1970, at most `MAX_SECONDS`; `zone` is `+hhmm` or `-hhmm`, its digits unchecked, as in git.
    """

    name: str
    email: str
    seconds: int
    zone: str

    @classmethod
    def parse(cls, value: bytes, codec: str = "utf-8") -> Ident:
        """Read `NAME <ADDRESS> SECONDS ZONE`, its text in the Python codec `codec`; `MalformedError` for anything else.

        Strict where git fsck reports an error (`fsck_ident`); name and address may be empty.
        """
        found = _IDENT.fullmatch(value)
        if found is None:
            raise MalformedError(f"{_shown(value)} is not NAME <ADDRESS> SECONDS ZONE")
        name, email, seconds, zone = found.groups()
        return cls(_text(name, codec), _text(email, codec), _seconds(seconds), zone.decode("ascii"))

    def encode(self, codec: str = "utf-8") -> bytes:
        """The bytes that `parse` reads as this."""
        return f"{self.name} <{self.email}> {self.seconds} {self.zone}".encode(codec)

    @property
    def when(self) -> datetime:
        """The claimed instant, in UTC."""
        return datetime.fromtimestamp(self.seconds, UTC)


@dataclass(frozen=True, slots=True)
class Commit:
    """One well-formed commit. `payload` is what its signature covers.

    `extra` are the headers git has no field for, e.g. `mergetag`, in order: name, and value without the leading
    blank of its further lines and without the final newline. `encoding` is None where UTF-8 goes without saying.
    """

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
        """The object's bytes, made anew from the fields."""
        codec = _codec(self.encoding)
        lines = [b"tree " + self.tree.encode()]
        lines += [b"parent " + parent.encode() for parent in self.parents]
        lines += [b"author " + self.author.encode(codec), b"committer " + self.committer.encode(codec)]
        if self.encoding is not None:
            lines.append(b"encoding " + self.encoding.encode())
        headers = list(self.extra)
        if self.signature is not None:
            headers.append((_format_of(self.tree).signature_header, self.signature.armour[:-1]))
        lines += [name + b" " + value.replace(b"\n", b"\n ") for name, value in headers]
        return b"\n".join(lines) + b"\n\n" + self.message


@dataclass(frozen=True, slots=True)
class Tag:
    """One well-formed annotated tag; very old ones have no tagger. `payload` is what its signature covers."""

    object: str
    object_type: str
    name: str
    tagger: Ident | None
    message: bytes
    signature: Signature | None
    payload: bytes
    raw: bytes

    def encode(self) -> bytes:
        """The object's bytes, made anew from the fields."""
        head = f"object {self.object}\ntype {self.object_type}\ntag {self.name}\n".encode()
        tagger = b"tagger " + self.tagger.encode() + b"\n" if self.tagger is not None else b""
        return head + tagger + b"\n" + self.message + (self.signature.armour if self.signature is not None else b"")


@dataclass(frozen=True, slots=True)
class PushCertificate:
    """One well-formed push certificate. `payload` is what its signature covers.

    `pusher` is what git wrote before the time: `NAME <ADDRESS>`, a key's name, or an SSH fingerprint, which git
    ends with a blank. `pushee` and `nonce` are empty where the certificate names none. `updates` are old id, new
    id and ref.
    """

    version: str
    pusher: bytes
    seconds: int
    zone: str
    pushee: str
    nonce: str
    push_options: tuple[str, ...]
    updates: tuple[tuple[str, str, str], ...]
    signature: Signature | None
    payload: bytes
    raw: bytes

    def encode(self) -> bytes:
        """The certificate's bytes, made anew from the fields."""
        lines = [f"pushee {self.pushee}"] if self.pushee else []
        lines += [f"nonce {self.nonce}"] if self.nonce else []
        lines += [f"push-option {option}" for option in self.push_options]
        lines += ["", *(" ".join(update) for update in self.updates), ""]
        pusher = b"pusher " + self.pusher + f" {self.seconds} {self.zone}\n".encode()
        head = f"certificate version {self.version}\n".encode() + pusher + "\n".join(lines).encode()
        return head + (self.signature.armour if self.signature is not None else b"")


def object_id(kind: ObjectKind, raw: bytes, fmt: ObjectFormat) -> str:
    """Hex id of an object: the hash over `<kind> <size> NUL <bytes>`. git keeps a push certificate as a blob."""
    named = "blob" if kind is ObjectKind.PUSH_CERTIFICATE else kind
    header = f"{named} {len(raw)}\0".encode()
    hasher = hashlib.sha1(header, usedforsecurity=False) if fmt is ObjectFormat.SHA1 else hashlib.sha256(header)
    hasher.update(raw)
    return hasher.hexdigest()


def read_armour(armour: bytes) -> Signature:
    """The signature that `armour` is: one block of a format git knows, from first to last byte.

    What is between the two lines is left to the format. Raises `MalformedError`.
    """
    begin = _BEGIN.match(armour)
    if begin is None:
        raise MalformedError("the signature does not begin with the BEGIN line of a format git knows")
    label = begin[1]
    if not armour.startswith(b"\n", begin.end()) or not armour.endswith(b"\n-----END " + label + b"-----\n"):
        raise MalformedError("the signature does not end with the END line of its one armour block")
    if armour.count(b"\n-----") != 1 or _NUL in armour or _CR in armour:
        raise MalformedError("the signature is not one armour block: there are other dashed lines, NUL or CR in it")
    return Signature(_ARMOURS[label], armour)


def loose(armour: bytes) -> bytes:
    """All that a forgiving reader might decode from `armour`, to look for marks in; never to be parsed.

    Readers of others skip blanks, headers and unknown signs, and do without padding. So every sign of the alphabet
    counts, and since what was skipped shifts the rest, all four ways to begin are decoded, one after the other.
    """
    signs = _NO_BASE64.sub(b"", _DASHED.sub(b"", armour))
    streams = [signs[start:] for start in range(4)]
    return b"".join(base64.b64decode(stream[: len(stream) & ~3]) for stream in streams)


def parse(raw: bytes, kind: ObjectKind, fmt: ObjectFormat) -> Commit | Tag | PushCertificate:
    """The object of `kind` that `raw` is, or `MalformedError`."""
    if kind is ObjectKind.COMMIT:
        return parse_commit(raw, fmt)
    if kind is ObjectKind.TAG:
        return parse_tag(raw, fmt)
    return parse_push_certificate(raw)


def parse_payload(payload: bytes) -> Commit | Tag | PushCertificate:
    """What git hands to a signing or verifying program: an object without its signature.

    git says neither kind nor object format: the first header tells both. `MalformedError` for anything else.
    """
    parsed: Commit | Tag | PushCertificate
    if payload.startswith(b"tree "):
        parsed = parse_commit(payload, _format_of(payload[5 : payload.find(b"\n")]))
    elif payload.startswith(b"object "):
        parsed = parse_tag(payload, _format_of(payload[7 : payload.find(b"\n")]))
    elif payload.startswith(b"certificate version "):
        parsed = parse_push_certificate(payload)
    else:
        raise MalformedError("the bytes are no commit, tag or push certificate")
    if parsed.signature is not None:
        raise MalformedError("the payload carries a signature already")
    return parsed


def parse_commit(raw: bytes, fmt: ObjectFormat) -> Commit:
    """The commit that `raw` is in a repository of `fmt`, or `MalformedError`.

    Headers are tree, parents, author, committer, perhaps encoding, others (`commit_tree_extended`), signature.
    """
    end = _blank_line(raw)
    head, message = raw[:end], raw[end + 1 :]
    fields, signature = _split_signature_header(head, fmt)
    lines = _header_lines(fields)
    at = 1
    while at < len(lines) and lines[at].startswith(b"parent "):
        at += 1
    if at - 1 > MAX_PARENTS:
        raise MalformedError(f"{at - 1} parents; at most {MAX_PARENTS} are read")
    after = at + 2
    declared = None
    if after < len(lines) and lines[after].startswith(b"encoding "):
        declared = lines[after][9:].decode("ascii", "replace")
        after += 1
    codec = _codec(declared)
    _check_message(message, codec)
    return Commit(
        tree=_id(_value(lines, 0, b"tree "), fmt),
        parents=tuple([_id(_value(lines, index, b"parent "), fmt) for index in range(1, at)]),
        author=_ident(lines, at, b"author ", codec),
        committer=_ident(lines, at + 1, b"committer ", codec),
        encoding=declared,
        extra=tuple([_extra_header(line) for line in lines[after:]]),
        message=message,
        signature=signature,
        payload=raw if signature is None else fields + raw[end:],
        raw=raw,
    )


def parse_tag(raw: bytes, fmt: ObjectFormat) -> Tag:
    """The annotated tag that `raw` is in a repository of `fmt`, or `MalformedError`.

    Headers are object, type, tag and, but for very old ones, tagger; a signature ends the object.
    """
    end = _blank_line(raw)
    signature, payload = _split_appended_signature(raw, end)
    lines = _header_lines(raw[:end])
    if len(lines) > 4:
        raise MalformedError(f"a tag has no header {_shown(lines[4])}")
    target = _id(_value(lines, 0, b"object "), fmt)
    kind, name = _value(lines, 1, b"type "), _value(lines, 2, b"tag ")
    if kind not in _TARGETS:
        raise MalformedError(f"the tagged object is of no known type: {_shown(kind)}")
    if not name or _CR in name:
        raise MalformedError(f"the tag's name is empty or holds a carriage return: {_shown(name)}")
    message = payload[end + 1 :]
    _check_message(message, "utf-8")
    return Tag(
        object=target,
        object_type=kind.decode("ascii"),
        name=_text(name, "utf-8"),
        tagger=_ident(lines, 3, b"tagger ", "utf-8") if len(lines) == 4 else None,
        message=message,
        signature=signature,
        payload=payload,
        raw=raw,
    )


def parse_push_certificate(raw: bytes) -> PushCertificate:
    """The push certificate of version 0.1 that `raw` is (gitprotocol-pack(5)), or `MalformedError`."""
    end = _blank_line(raw)
    signature, payload = _split_appended_signature(raw, end)
    head = _PUSH_HEAD.fullmatch(raw[:end])
    if head is None:
        raise MalformedError(
            "the headers are not those of a push certificate: version 0.1, pusher and time, pushee, nonce, options"
        )
    version, pusher, seconds, zone, pushee, nonce, options = head.groups(b"")
    if options.count(b"\n") > MAX_HEADERS:
        raise MalformedError(f"more than {MAX_HEADERS} push options")
    return PushCertificate(
        version=version.decode("ascii"),
        pusher=pusher,
        seconds=_seconds(seconds),
        zone=zone.decode("ascii"),
        pushee=_text(pushee, "utf-8"),
        nonce=nonce.decode("ascii"),
        push_options=tuple(_text(line[12:], "utf-8") for line in options.split(b"\n")[:-1]),
        updates=_updates(payload[end + 1 :]),
        signature=signature,
        payload=payload,
        raw=raw,
    )


def split_as_git(raw: bytes, kind: ObjectKind, fmt: ObjectFormat) -> tuple[bytes, bytes] | None:
    """Payload and signature text that git would hand to a verifying program for an object that is malformed.

    git takes the signature from every header of its name, joined, and leaves every `gpgsig*` header out of the payload
    (`parse_buffer_signed_by_header`); of a tag it takes what follows the last BEGIN line. None without a signature.
    What such a pair proves is nothing about the object; it says whether somebody signed at least these bytes.
    """
    if kind is not ObjectKind.COMMIT:
        begins = [found.start() for found in _BEGIN.finditer(raw)]
        return (raw[: begins[-1]], raw[begins[-1] :]) if begins else None
    end = raw.find(b"\n\n") + 1 or len(raw)
    kept, text, inside = list[bytes](), list[bytes](), b""
    name = fmt.signature_header + b" "
    for line in raw[:end].splitlines(keepends=True):
        if not line.startswith(b" "):
            inside = b"gpgsig" if line.startswith(b"gpgsig") else b""
            inside = name if line.startswith(name) else inside
        if not inside:
            kept.append(line)
        elif inside == name:
            text.append(line[1:] if line.startswith(b" ") else line[len(name) :])
    return (b"".join(kept) + raw[end:], b"".join(text)) if text else None


def _blank_line(raw: bytes) -> int:
    """Where the blank line is that ends the headers. git fsck lets it be absent; git never leaves it out."""
    if len(raw) > MAX_OBJECT_BYTES:
        raise MalformedError(f"{len(raw)} bytes; an object has at most {MAX_OBJECT_BYTES}")
    if _NUL in raw:
        raise MalformedError("there is a NUL in it, and git shows nothing after one")
    end = raw.find(b"\n\n")
    if end < 0:
        raise MalformedError("no blank line ends the headers")
    return end + 1


def _split_signature_header(head: bytes, fmt: ObjectFormat) -> tuple[bytes, Signature | None]:
    """The headers that are signed, and the signature of the one that is not.

    git leaves *every* header out whose line begins with `gpgsig`, wherever it stands: any but the one that
    git itself writes would carry bytes that nobody signed.
    """
    start = head.find(b"\ngpgsig") + 1
    if not start:
        return head, None
    name, header = fmt.signature_header + b" ", head[start:]
    if not header.startswith(name):
        raise MalformedError(f"{_shown(header.split(None, 1)[0])} is not the signature header of a {fmt} repository")
    armour = header[len(name) :].replace(b"\n ", b"\n")
    folds = len(header) - len(name) - len(armour)
    if armour.count(b"\n") != folds + 1:
        if b"\ngpgsig" in header:
            raise MalformedError("there is a second signature header")
        raise MalformedError("a header follows the signature header, which git writes last")
    # GitHub ends the signatures of its own OpenPGP key with an empty line. None that we accept is OpenPGP.
    block = armour[:-1] if armour.endswith(b"-----END PGP SIGNATURE-----\n\n") else armour
    return head[:start], Signature(_armour_format(block), armour)


def _armour_format(block: bytes) -> SignatureFormat:
    """Of a commit's armour, which may be one that git does not know."""
    begin = _OTHER_ARMOUR.match(block)
    if begin is None or begin[1] in _ARMOURS:
        return read_armour(block).format
    if not block.endswith(b"\n-----END " + begin[1] + b"-----\n") or block.count(b"\n-----") != 1 or _CR in block:
        raise MalformedError("the signature is not one armour block")
    return SignatureFormat.X509 if begin[1] == _CMS else SignatureFormat.UNKNOWN


def _split_appended_signature(raw: bytes, start: int) -> tuple[Signature | None, bytes]:
    """The signature that ends `raw`, and what is before it. git looks for the last BEGIN line, others for the first."""
    begin = _BEGIN.search(raw, start)
    if begin is None:
        return None, raw
    if _BEGIN.search(raw, begin.end()):
        raise MalformedError("there are several armour blocks in it", hint="indent the other BEGIN lines")
    return read_armour(raw[begin.start() :]), raw[: begin.start()]


def _header_lines(fields: bytes) -> list[bytes]:
    """One item a header, the lines of a folded one joined with NUL, of which an object has none."""
    folded = fields[:-1].replace(b"\n ", b"\0")
    if folded.count(b"\n") >= MAX_HEADERS:
        raise MalformedError(f"more than {MAX_HEADERS} headers")
    return folded.split(b"\n")


def _value(lines: list[bytes], at: int, name: bytes) -> bytes:
    """The value of the header that must be at this place. `name` ends with a blank."""
    line = lines[at] if at < len(lines) else b""
    if not line.startswith(name):
        raise MalformedError(f"header {at + 1} is {_shown(line)} where git writes {name.decode().rstrip()}")
    if _NUL in line:
        raise MalformedError(f"header {name.decode().rstrip()} goes on in a second line")
    return line[len(name) :]


def _extra_header(line: bytes) -> tuple[bytes, bytes]:
    name, blank, value = line.partition(b" ")
    if not blank or not _HEADER_NAME.fullmatch(name):
        raise MalformedError(f"{_shown(line)} is no header: NAME VALUE")
    if name in _STANDARD:
        raise MalformedError(f"header {name.decode()} is written twice, or not where git writes it")
    # A merge carries the whole tag it merged, whose message may well have been written with CR LF.
    if _CR in value and name != b"mergetag":
        raise MalformedError(f"header {name.decode()} holds a carriage return")
    return name, value.replace(b"\0", b"\n")


def _id(value: bytes, fmt: ObjectFormat) -> str:
    if len(value) != fmt.hex_length or value.translate(None, _HEX_DIGITS):
        raise MalformedError(f"{_shown(value)} is no {fmt} object id")
    return value.decode("ascii")


def _format_of(identifier: str | bytes) -> ObjectFormat:
    return ObjectFormat.SHA256 if len(identifier) == ObjectFormat.SHA256.hex_length else ObjectFormat.SHA1


def _ident(lines: list[bytes], at: int, name: bytes, codec: str) -> Ident:
    try:
        return Ident.parse(_value(lines, at, name), codec)
    except MalformedError as error:
        raise MalformedError(f"{name.decode()}line: {error.message}") from None


def _seconds(digits: bytes) -> int:
    # Python refuses to convert thousands of digits (CVE-2020-10735); the bound on the length comes first.
    if len(digits) > len(str(MAX_SECONDS)) or int(digits) > MAX_SECONDS:
        raise MalformedError(f"time {_shown(digits)} is after the year 9999")
    return int(digits)


def _codec(declared: str | None) -> str:
    if declared is None:
        return "utf-8"
    codec = _CODECS.get(declared.lower().replace("-", "").replace("_", ""))
    if codec is None:
        raise MalformedError(f"the declared encoding is none that is read here: {declared[:60]!r}")
    return codec


def _text(value: bytes, codec: str) -> str:
    """Decoded, and by no other bytes: ISO-2022-JP could else hide an address behind escapes that say nothing."""
    try:
        text = value.decode(codec)
        if codec == "utf-8" or text.encode(codec) == value:
            return text
    except UnicodeError:
        pass
    raise MalformedError(f"{_shown(value)} is not text in {codec}")


def _check_message(message: bytes, codec: str) -> None:
    if message.isascii():
        return
    try:
        message.decode(codec)
    except UnicodeError:
        raise MalformedError(
            f"the message is not text in {codec}", hint="set i18n.commitEncoding to the encoding it is written in"
        ) from None


def _updates(body: bytes) -> tuple[tuple[str, str, str], ...]:
    updates = []
    for line in body.removesuffix(b"\n").split(b"\n"):
        found = _UPDATE.fullmatch(line)
        if found is None or len(found[1]) != len(found[2]):
            raise MalformedError(f"{_shown(line)} is not OLD NEW REF")
        updates.append((found[1].decode("ascii"), found[2].decode("ascii"), _text(found[3], "utf-8")))
    if not body.endswith(b"\n") or len({ref for _, _, ref in updates}) != len(updates):
        raise MalformedError("the last update has no newline, or a ref is updated twice")
    return tuple(updates)


def _shown(value: bytes) -> str:
    """For a sentence: short, and without control characters."""
    return repr(value[:60])[1:]
