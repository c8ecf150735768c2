"""Step 1, odd payloads: commits that were signed as they stand and are not one well-formed commit.

Nothing was changed after signing. The signer wants readers to disagree about what was signed, or to show less than
there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attest.gitobject import ObjectFormat
from tests.corpus.case import Case
from tests.corpus.objects import malformed, payload
from tests.corpus.signers import Signer

Change = Callable[[bytes], bytes]

EVE = b"Eve <eve@example.org> 1 +0000\n"
TWICE = "CVE-2026-44309: the first tree header counts for git, the last one counted for another reader"
FSCK = "git fsck"
"""Followed by what it says: tests/compat/test_corpus.py asks it."""


def cases(signer: Signer, fmt: ObjectFormat) -> Iterator[Case]:
    """Every odd payload, signed by `signer`."""
    plain = payload(signer, fmt)
    for defect, change, sentence, reference in CHANGES:
        changed = change(plain)
        if changed == plain:
            raise ValueError(f"{defect} changes nothing")
        raw = _spliced(changed, signer.armour(changed), fmt)
        yield malformed(signer, defect, raw, sentence, reference, fmt=fmt)


def _spliced(content: bytes, armour: bytes, fmt: ObjectFormat) -> bytes:
    """As `forge.attach`, also for a commit that does not begin with its tree or has no blank line."""
    head, blank, message = content.removesuffix(b"\n").partition(b"\n\n")
    folded = fmt.signature_header + b" " + armour.removesuffix(b"\n").replace(b"\n", b"\n ")
    return head + b"\n" + folded + (blank + message if blank else b"") + b"\n"


def _tree(plain: bytes) -> bytes:
    return plain[: plain.index(b"\n") + 1]


def _author(plain: bytes) -> bytes:
    return plain[plain.index(b"author ") : plain.index(b"committer ")]


def _id(plain: bytes) -> bytes:
    """An id of the right size."""
    return b"1" * (len(_tree(plain)) - len("tree \n"))


def _wrong_id(plain: bytes) -> bytes:
    """An id of the size of the other hash function."""
    return b"1" * (40 + 64 - len(_id(plain)))


CHANGES: tuple[tuple[str, Change, str, str], ...] = (
    (
        "tree-twice",
        lambda p: p.replace(_author(p), b"tree " + _id(p) + b"\n" + _author(p)),
        "Two trees: which one was signed depends on the reader.",
        TWICE,
    ),
    (
        "author-twice",
        lambda p: p.replace(b"\ncommitter", b"\nauthor " + EVE + b"committer", 1),
        "Two authors.",
        f"{FSCK}: multipleAuthors",
    ),
    (
        "committer-twice",
        lambda p: p.replace(b"\n\n", b"\ncommitter " + EVE + b"\n", 1),
        "Two committers.",
        "git fsck.c, fsck_commit looks for a second author and for no second committer",
    ),
    (
        "encoding-twice",
        lambda p: p.replace(b"\n\n", b"\nencoding latin1\nencoding UTF-8\n\n", 1),
        "Two encodings: what the names are depends on the reader.",
        "git commit.c, find_commit_header takes the first",
    ),
    (
        "parent-after-author",
        lambda p: p.replace(b"\ncommitter", b"\nparent " + _id(p) + b"\ncommitter", 1),
        "A parent after the author, where git reads none.",
        "git commit.c, parse_commit_buffer reads parents behind the tree alone",
    ),
    (
        "author-after-committer",
        lambda p: p.replace(_author(p), b"").replace(b"\n\n", b"\n" + _author(p) + b"\n", 1),
        "Author and committer have changed places.",
        f"{FSCK}: missingAuthor",
    ),
    ("no-author", lambda p: p.replace(_author(p), b""), "No author.", f"{FSCK}: missingAuthor"),
    (
        "tree-not-first",
        lambda p: p.replace(_tree(p), b"", 1).replace(b"\ncommitter", b"\n" + _tree(p) + b"committer", 1),
        "The tree is not the first header.",
        "git commit.c, parse_commit_buffer: bogus commit object",
    ),
    (
        "upper-case-tree-id",
        lambda p: p.replace(_tree(p), _tree(p).upper().replace(b"TREE", b"tree"), 1),
        "A tree id in upper case: a second spelling of the same id.",
        "git hex.c, get_oid_hex takes upper case",
    ),
    (
        "id-of-the-other-format",
        lambda p: p.replace(b"author", b"parent " + _wrong_id(p) + b"\nauthor", 1),
        "A parent id of the size of the other hash function.",
        "git commit.c, parse_commit_buffer: bad parents in commit",
    ),
    ("nul-in-a-header", lambda p: p.replace(b" <", b"\0 <", 1), "A NUL in the author's name.", f"{FSCK}: nulInHeader"),
    (
        "nul-in-the-message",
        lambda p: p + b"\0hidden\n",
        "A NUL in the message: git log shows nothing after it.",
        f"{FSCK}: nulInCommit",
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
        "git fsck.c, verify_headers: an object may end with its headers",
    ),
)
