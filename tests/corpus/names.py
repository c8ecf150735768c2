"""Step 7, names: what committer, tagger and pusher say of themselves, for every signer."""

from __future__ import annotations

from collections.abc import Iterator

from attest.gitobject import ObjectFormat, ObjectKind
from tests.corpus.case import ACCEPT, REJECT, Case
from tests.corpus.objects import parent, signed
from tests.corpus.signers import Cast, Signer
from tests.forge import NOW, commit_payload, push_payload, tag_payload

SHA1 = ObjectFormat.SHA1
MISMATCH = "committer-mismatch"
BOB = "Bob Example <bob@example.org>"
HOMOGLYPHS = {"a": "\u0430", "e": "\u0435", "o": "\u043e"}
CONFUSABLES = "Unicode Technical Standard 39, section 4"
BIDI = "CVE-2021-42574"


def cases(cast: Cast) -> Iterator[Case]:
    for signer in cast.families:
        yield from _liars(signer)
        yield from _hostile(signer)


def _liars(signer: Signer) -> Iterator[Case]:
    """Who is named is not who signed."""
    name, address = signer.who.removesuffix(">").split(" <")
    first = address[0]
    local, _, domain = address.partition("@")
    for defect, who, sentence, *references in (
        ("committer-is-somebody-else", BOB, "The committer is not who signed."),
        ("address-in-the-name", f"{address} <eve@example.org>", "The right address stands in the committer's name."),
        (
            "address-with-a-homoglyph",
            f"{name} <{HOMOGLYPHS[first]}{address[1:]}>",
            "The first letter of the address is Cyrillic.",
            CONFUSABLES,
        ),
        ("address-with-a-blank", f"{name} <{address} >", "The address ends with a blank."),
        ("address-with-a-tag", f"{name} <{local}+x@{domain}>", "The address has a +tag, which is another address."),
        ("address-in-a-longer-one", f"{name} <{address}.evil.example>", "The right address begins a longer one."),
    ):
        raw = signed(signer, commit_payload(committer=who), SHA1)
        yield _case(signer, defect, raw, MISMATCH, sentence, *references)
    tag, push = tag_payload(parent(SHA1), tagger=BOB), push_payload(pusher=BOB)
    raw, sentence = signed(signer, tag, SHA1), "The tagger is not who signed."
    yield _case(signer, "tag-tagger-is-somebody-else", raw, MISMATCH, sentence)
    raw, sentence = push + signer.armour(push), "The pusher is not who signed."
    yield _case(signer, "push-certificate-pusher-is-somebody-else", raw, MISMATCH, sentence)


def _hostile(signer: Signer) -> Iterator[Case]:
    """The right address under a name that is dangerous to print. Nothing is wrong with the signature."""
    name, address = signer.who.removesuffix(">").split(" <")
    for defect, shown, sentence, *references in (
        (
            "escape-sequence-in-the-name",
            f"{name}\x1b[2K\x1b[1A",
            "The name holds an escape sequence: nothing may print it as it is.",
            "CWE-150",
        ),
        (
            "direction-overridden-in-the-name",
            f"{name}\u202e",
            "The name holds a mark that turns the direction of text: nothing may print it as it is.",
            BIDI,
        ),
        ("status-line-in-the-name", f"{name} [GNUPG:] GOODSIG", "The name looks like a status line of gpg."),
    ):
        raw = signed(signer, commit_payload(committer=f"{shown} <{address}>"), SHA1)
        yield _case(signer, defect, raw, "", sentence, *references)
    authored = commit_payload(committer=signer.who, author=BOB)
    sentence = "The author is not who signed, which is shown and allowed."
    yield _case(signer, "author-is-somebody-else", signed(signer, authored, SHA1), "", sentence)


def _case(signer: Signer, defect: str, raw: bytes, reason: str, sentence: str, *references: str) -> Case:
    kind = next((k for k in (ObjectKind.PUSH_CERTIFICATE, ObjectKind.TAG) if defect.startswith(k)), ObjectKind.COMMIT)
    expect = REJECT if reason else ACCEPT
    named = f"7-{signer.infix}{defect}"
    return Case(named, raw, signer.name, expect, reason, sentence, references, NOW, kind)
