"""Step 1, the object: what git leaves out of a signature.

Every signature here is good over the payload that git makes of the object: one signature, many objects. Each is
made for every program that git may call, and for both hash functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attest.gitobject import ObjectFormat, ObjectKind
from tests.corpus.case import REJECT, Case
from tests.corpus.signers import Signer
from tests.forge import NOW, attach, commit_payload, push_payload, tag_payload

MALFORMED = "object-malformed"
STRIPPED = (
    "git commit.c, parse_buffer_signed_by_header: every header that begins with gpgsig is left out of the payload"
)
LAST_ARMOUR = (
    "git gpg-interface.c, parse_signed_buffer: the payload ends at the last BEGIN line, and all after it is signature"
)
MESSAGE = b"A change\n\nWhy it was made.\n"

Change = Callable[[bytes, bytes], bytes]
"""From a signed commit and its signature header."""


def parent(fmt: ObjectFormat, digit: str = "1") -> str:
    return digit * fmt.hex_length


def payload(signer: Signer, fmt: ObjectFormat) -> bytes:
    return commit_payload(committer=signer.who, message=MESSAGE, fmt=fmt)


def tag(signer: Signer, target: str) -> bytes:
    return tag_payload(target, tagger=signer.who)


def push(signer: Signer) -> bytes:
    return push_payload(pusher=signer.who)


def signed(signer: Signer, content: bytes, fmt: ObjectFormat) -> bytes:
    return attach(content, signer.armour(content), fmt)


def malformed(
    signer: Signer, defect: str, raw: bytes, sentence: str, *references: str, fmt: ObjectFormat, kind: str = "commit"
) -> Case:
    """A case of step 1."""
    of_kind = "" if kind == "commit" else f"{kind}-"
    named = f"1-{signer.infix}{of_kind}{defect}"
    return Case(named, raw, signer.name, REJECT, MALFORMED, sentence, references, NOW, ObjectKind(kind), fmt)


def header_of(raw: bytes, fmt: ObjectFormat) -> bytes:
    """The signature header of a signed commit, with its lines and their ends."""
    start = raw.index(b"\n" + fmt.signature_header + b" ") + 1
    return raw[start : raw.index(b"\n\n", start) + 1]


def unsigned_bytes(signer: Signer, fmt: ObjectFormat) -> Iterator[Case]:
    """Commits with the payload and the signature of a good one."""
    raw = signed(signer, payload(signer, fmt), fmt)
    for defect, change, sentence in UNSIGNED:
        changed = change(raw, header_of(raw, fmt))
        if changed == raw:
            raise ValueError(f"{defect} changes nothing")
        yield malformed(signer, defect, changed, sentence, STRIPPED, fmt=fmt)


def _other(header: bytes) -> bytes:
    """The name of the signature header of the other hash function."""
    return b"gpgsig" if header.startswith(b"gpgsig-sha256 ") else b"gpgsig-sha256"


UNSIGNED: tuple[tuple[str, Change, str], ...] = (
    (
        "stray-gpgsig-header",
        lambda raw, header: raw.replace(header, b"gpgsig-evil unsigned\n" + header),
        "A header gpgsig-evil stands before the signature; nobody signed it.",
    ),
    (
        "stray-gpgsig-header-of-many-lines",
        lambda raw, header: raw.replace(header, b"gpgsig-evil unsigned\n and\n more\n" + header),
        "A folded header gpgsig-evil carries as many unsigned lines as anybody likes.",
    ),
    (
        "stray-gpgsig-header-behind",
        lambda raw, header: raw.replace(header, header + b"gpgsig-evil unsigned\n"),
        "A header gpgsig-evil stands behind the signature; nobody signed it.",
    ),
    (
        "gpgsig-like-header-before-author",
        lambda raw, _: raw.replace(b"\nauthor", b"\ngpgsigXYZ unsigned\nauthor", 1),
        "A header that only begins like gpgsig stands before the author; nobody signed it.",
    ),
    (
        "gpgsig-of-the-other-format",
        lambda raw, header: raw.replace(header, _other(header) + b" unsigned\n" + header),
        "The signature header of the other hash function holds junk; nobody signed it.",
    ),
    (
        "second-signature-header",
        lambda raw, header: raw.replace(header, header * 2),
        "The signature header is there twice; git joins what they hold.",
    ),
    (
        "signature-before-author",
        lambda raw, header: raw.replace(header, b"").replace(b"\nauthor", b"\n" + header + b"author", 1),
        "The signature header stands before the author: a second object of the same signature.",
    ),
    (
        "signature-before-committer",
        lambda raw, header: raw.replace(header, b"").replace(b"\ncommitter", b"\n" + header + b"committer", 1),
        "The signature header stands before the committer: a second object of the same signature.",
    ),
    (
        "text-after-signature",
        lambda raw, header: raw.replace(header, header + b" unsigned\n"),
        "The signature header goes on after the END line.",
    ),
    (
        "text-before-signature",
        lambda raw, header: raw.replace(header, header.replace(b" -----BEGIN", b" unsigned\n -----BEGIN", 1)),
        "The signature header holds a line before the BEGIN line.",
    ),
    (
        "carriage-returns-in-the-armour",
        lambda raw, header: raw.replace(header, header.replace(b"\n", b"\r\n")),
        "The lines of the armour end with CR LF: a second spelling of the same signature.",
    ),
    (
        "blank-after-the-begin-line",
        lambda raw, header: raw.replace(header, header.replace(b"-----\n", b"----- \n", 1)),
        "The BEGIN line ends with a blank: git takes a line for one when it only starts like it.",
    ),
)


def tags(signer: Signer, fmt: ObjectFormat, target: str) -> Iterator[Case]:
    """Tags: the first five have the payload and signature of a good one."""
    plain = tag(signer, target)
    raw, armour = signed(signer, plain, fmt), signer.armour(plain)
    quoted = plain + b"A release was signed thus:\n" + armour + b"\n"

    def made(defect: str, changed: bytes, sentence: str, *references: str) -> Case:
        return malformed(signer, defect, changed, sentence, *references, fmt=fmt, kind="tag")

    yield made("text-after-signature", raw + b"unsigned\n", "Text after the END line; nobody signed it.", LAST_ARMOUR)
    yield made("blank-line-after-signature", raw + b"\n", "A blank line after the END line.", LAST_ARMOUR)
    for name in (b"gpgsig", b"gpgsig-sha256"):
        changed = raw.replace(b"\n\n", b"\n" + name + b" unsigned\n\n", 1)
        sentence = f"A header {name.decode()} that is left out of the payload; nobody signed it."
        yield made(f"{name.decode()}-header", changed, sentence, "git gpg-interface.c and tag.c leave both headers out")
    folded = armour.removesuffix(b"\n").replace(b"\n", b"\n ")
    moved = plain.replace(b"\n\n", b"\ngpgsig " + folded + b"\n\n", 1)
    yield made("signature-in-a-header", moved, "The signature stands in a header, as in a commit.", LAST_ARMOUR)
    twice = signed(signer, quoted, fmt)
    yield made(
        "armour-in-the-message",
        twice,
        "The message holds an armour too: readers look for the first or last.",
        LAST_ARMOUR,
    )
    reads = "git tag.c, parse_tag_buffer"
    for defect, changed, sentence, reference in (
        ("name-twice", plain.replace(b"tag v1\n", b"tag v1\ntag v2\n"), "Two names.", f"{reads} reads the first"),
        (
            "type-unknown",
            plain.replace(b"type commit", b"type release"),
            "The tagged object is of no known type.",
            f"{reads}: unknown tag type",
        ),
        (
            "header-of-its-own",
            plain.replace(b"\n\n", b"\nnote x\n\n", 1),
            "A header that tags do not have.",
            f"{reads} passes over what follows the tagger",
        ),
        (
            "nul-in-the-message",
            plain + b"\0hidden\n",
            "A NUL in the message: nothing is shown after it.",
            "git fsck looks for a NUL in commits alone",
        ),
    ):
        yield made(defect, signed(signer, changed, fmt), sentence, reference)


def pushes(signer: Signer, fmt: ObjectFormat) -> Iterator[Case]:
    """Push certificates, which git keeps as blobs."""
    plain = push(signer)
    raw = plain + signer.armour(plain)
    kind, pack = "push-certificate", "gitprotocol-pack(5), push-cert"
    for defect, changed, sentence in (
        ("text-after-signature", raw + b"unsigned\n", "Text after the END line; nobody signed it."),
        (
            "pusher-twice",
            _over(signer, plain.replace(b"\npushee", b"\npusher Eve <e@e> 1 +0000\npushee", 1)),
            "Two pushers.",
        ),
        ("ref-twice", _over(signer, plain + plain[plain.index(b"\n\n") + 2 :]), "One ref is updated twice."),
        ("version-0.2", _over(signer, plain.replace(b"version 0.1", b"version 0.2")), "A version that nobody wrote."),
        (
            "update-of-two-formats",
            _over(signer, plain.replace(b"1" * 40, b"1" * 64)),
            "Old and new id are of two hash functions.",
        ),
    ):
        yield malformed(signer, defect, changed, sentence, pack, fmt=fmt, kind=kind)


def _over(signer: Signer, content: bytes) -> bytes:
    return content + signer.armour(content)
