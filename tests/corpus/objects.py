"""Step 1, the object: what git leaves out of a signature, and what two readers of one object read differently.

Every signature here is good over the payload that git makes of the object. `unsigned_bytes` puts more into an object
than was signed: one signature, many objects. `odd_payloads` are signed as they stand, by a signer who wants readers to
disagree. Each is made for every program that git may call, and for both hash functions.
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
TWICE = "CVE-2026-44309: the first tree header counts for git, the last one counted for another reader"
FSCK = "git fsck.c reports an error"
NUL = "git fsck.c, nulInHeader and nulInCommit: what is printed ends at the NUL"
UNSIGNED = b"unsigned"
MESSAGE = b"A change\n\nWhy it was made.\n"

Change = Callable[[bytes], bytes]


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
    header, other = header_of(raw, fmt), b"gpgsig-sha256" if fmt is ObjectFormat.SHA1 else b"gpgsig"
    bare = raw.replace(header, b"")
    folded = header.replace(b"\n", b"\r\n")
    changes: tuple[tuple[str, bytes, str], ...] = (
        (
            "stray-gpgsig-header",
            raw.replace(header, b"gpgsig-evil unsigned\n" + header),
            "A header gpgsig-evil stands before the signature; nobody signed it.",
        ),
        (
            "stray-gpgsig-header-of-many-lines",
            raw.replace(header, b"gpgsig-evil unsigned\n and\n more\n" + header),
            "A folded header gpgsig-evil carries as many unsigned lines as anybody likes.",
        ),
        (
            "stray-gpgsig-header-behind",
            raw.replace(header, header + b"gpgsig-evil unsigned\n"),
            "A header gpgsig-evil stands behind the signature; nobody signed it.",
        ),
        (
            "gpgsig-like-header-before-author",
            raw.replace(b"\nauthor", b"\ngpgsigXYZ unsigned\nauthor", 1),
            "A header that only begins like gpgsig stands before the author; nobody signed it.",
        ),
        (
            "gpgsig-of-the-other-format",
            raw.replace(header, other + b" unsigned\n" + header),
            "The signature header of the other hash function holds junk; nobody signed it.",
        ),
        (
            "second-signature-header",
            raw.replace(header, header * 2),
            "The signature header is there twice; git joins what they hold.",
        ),
        (
            "signature-before-author",
            bare.replace(b"\nauthor", b"\n" + header + b"author", 1),
            "The signature header stands before the author: a second object of the same signature.",
        ),
        (
            "signature-before-committer",
            bare.replace(b"\ncommitter", b"\n" + header + b"committer", 1),
            "The signature header stands before the committer: a second object of the same signature.",
        ),
        (
            "text-after-signature",
            raw.replace(header, header + b" unsigned\n"),
            "The signature header goes on after the END line.",
        ),
        (
            "text-before-signature",
            raw.replace(header, header.replace(b" -----BEGIN", b" unsigned\n -----BEGIN", 1)),
            "The signature header holds a line before the BEGIN line.",
        ),
        (
            "carriage-returns-in-the-armour",
            raw.replace(header, folded),
            "The lines of the armour end with CR LF: a second spelling of the same signature.",
        ),
        (
            "blank-after-the-begin-line",
            raw.replace(header, header.replace(b"-----\n", b"----- \n", 1)),
            "The BEGIN line ends with a blank: git takes a line for one when it only starts like it.",
        ),
    )
    for defect, changed, sentence in changes:
        if changed == raw:
            raise ValueError(f"{defect} changes nothing")
        yield malformed(signer, defect, changed, sentence, STRIPPED, fmt=fmt)


def odd_payloads(signer: Signer, fmt: ObjectFormat) -> Iterator[Case]:
    """Commits that were signed as they stand and are not one well-formed commit."""
    plain, own = payload(signer, fmt), parent(fmt).encode()
    author = plain[plain.index(b"author ") : plain.index(b"committer ")]
    tree = plain[: plain.index(b"\n") + 1]
    eve = b"Eve <eve@example.org> 1 +0000\n"
    wrong_size = b"1" * (104 - len(own))
    changes: tuple[tuple[str, Change, str, str], ...] = (
        (
            "tree-twice",
            lambda p: p.replace(author, b"tree " + own + b"\n" + author),
            "Two trees: which one was signed depends on the reader.",
            TWICE,
        ),
        (
            "author-twice",
            lambda p: p.replace(b"\ncommitter", b"\nauthor " + eve + b"committer", 1),
            "Two authors.",
            f"{FSCK}: multipleAuthors",
        ),
        (
            "committer-twice",
            lambda p: p.replace(b"\n\n", b"\ncommitter " + eve + b"\n", 1),
            "Two committers.",
            "git fsck.c does not look for a second committer",
        ),
        (
            "encoding-twice",
            lambda p: p.replace(b"\n\n", b"\nencoding latin1\nencoding UTF-8\n\n", 1),
            "Two encodings: what the names are depends on the reader.",
            "git commit.c, find_commit_header takes the first",
        ),
        (
            "parent-after-author",
            lambda p: p.replace(b"\ncommitter", b"\nparent " + own + b"\ncommitter", 1),
            "A parent after the author, where git reads none.",
            "git commit.c, parse_commit_buffer reads parents behind the tree alone",
        ),
        (
            "author-after-committer",
            lambda p: p.replace(author, b"").replace(b"\n\n", b"\n" + author + b"\n", 1),
            "Author and committer have changed places.",
            f"{FSCK}: missingAuthor",
        ),
        ("no-author", lambda p: p.replace(author, b""), "No author.", f"{FSCK}: missingAuthor"),
        (
            "tree-not-first",
            lambda p: p.replace(tree, b"", 1).replace(b"\ncommitter", b"\n" + tree + b"committer", 1),
            "The tree is not the first header.",
            f"{FSCK}: missingTree",
        ),
        (
            "upper-case-tree-id",
            lambda p: p.replace(tree, tree.upper().replace(b"TREE", b"tree"), 1),
            "A tree id in upper case: a second spelling of the same id.",
            f"{FSCK}: badTreeSha1",
        ),
        (
            "id-of-the-other-format",
            lambda p: p.replace(b"author", b"parent " + wrong_size + b"\nauthor", 1),
            "A parent id of the size of the other hash function.",
            f"{FSCK}: badParentSha1",
        ),
        ("nul-in-a-header", lambda p: p.replace(b" <", b"\0 <", 1), "A NUL in the author's name.", NUL),
        (
            "nul-in-the-message",
            lambda p: p + b"\0hidden\n",
            "A NUL in the message: git log shows nothing after it.",
            NUL,
        ),
        (
            "carriage-return-in-a-header",
            lambda p: p.replace(b" <", b"\r <", 1),
            "A carriage return in the author's name moves what is shown.",
            "go-git#871: a trailing CR read as part of a header or not",
        ),
        (
            "name-not-in-its-encoding",
            lambda p: p.replace(b" <", b"\xff <", 1),
            "A name that is not UTF-8 and declares no encoding.",
            "gitformat: encoding header, i18n.commitEncoding",
        ),
        (
            "encoding-unknown",
            lambda p: p.replace(b"\n\n", b"\nencoding utf-7\n\n", 1),
            "Declared UTF-7, in which +ADw- is a bracket.",
            "RFC 2152",
        ),
        (
            "name-on-two-lines",
            lambda p: p.replace(b" <", b"\n <", 1),
            "The author's name goes on in a second line.",
            f"{FSCK}: missingEmail",
        ),
        (
            "bracket-in-the-name",
            lambda p: p.replace(b" <", b" <eve@example.org> <", 1),
            "Two addresses in one author: which counts depends on the reader.",
            f"{FSCK}: badDate",
        ),
        (
            "date-padded",
            lambda p: p.replace(b"> 1", b"> 01", 1),
            "A padded date: a second spelling of the same time.",
            f"{FSCK}: zeroPaddedDate",
        ),
        (
            "date-beyond-64-bits",
            lambda p: p.replace(b"> 1", b"> 99999999999999999991", 1),
            "A date that overflows.",
            f"{FSCK}: badDateOverflow",
        ),
        (
            "time-zone-of-three-digits",
            lambda p: p.replace(b"+0000\n", b"+000\n", 1),
            "A time zone of three digits.",
            f"{FSCK}: badTimezone",
        ),
        (
            "header-without-a-value",
            lambda p: p.replace(b"\n\n", b"\nhidden\n\n", 1),
            "A header that is a name and nothing else.",
            "git commit.c, read_commit_extra_header_lines",
        ),
        (
            "no-blank-line",
            lambda p: p[: p.index(b"\n\n") + 1],
            "The headers end without the blank line.",
            f"{FSCK}: unterminatedHeader",
        ),
    )
    for defect, change, sentence, reference in changes:
        changed = change(plain)
        if changed == plain:
            raise ValueError(f"{defect} changes nothing")
        armour = signer.armour(changed)
        if b"\n\n" in changed:
            raw = _spliced(changed, armour, fmt)
        else:
            raw = changed + fmt.signature_header + b" " + armour.removesuffix(b"\n").replace(b"\n", b"\n ") + b"\n"
        yield malformed(signer, defect, raw, sentence, reference, fmt=fmt)


def _spliced(content: bytes, armour: bytes, fmt: ObjectFormat) -> bytes:
    """As `attach`, also for a commit that does not begin with its tree."""
    head, message = content.split(b"\n\n", 1)
    folded = armour.removesuffix(b"\n").replace(b"\n", b"\n ")
    return head + b"\n" + fmt.signature_header + b" " + folded + b"\n\n" + message


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
    for defect, changed, sentence in (
        ("name-twice", plain.replace(b"tag v1\n", b"tag v1\ntag v2\n"), "Two names."),
        ("type-unknown", plain.replace(b"type commit", b"type release"), "The tagged object is of no known type."),
        ("header-of-its-own", plain.replace(b"\n\n", b"\nnote x\n\n", 1), "A tag has no further headers."),
        ("nul-in-the-message", plain + b"\0hidden\n", "A NUL in the message: nothing is shown after it."),
    ):
        yield made(defect, signed(signer, changed, fmt), sentence, "git fsck.c, fsck_tag_standalone")


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
