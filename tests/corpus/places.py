"""Steps 2 and 3 for every signer: objects that nobody signed though they carry a signature, and signatures of others.

A verifier that looks for a signature anywhere in an object, or that lets the repository say which object it looks
at, takes the first half of these for signed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attest.gitobject import ObjectFormat, ObjectKind
from tests.corpus.case import ACCEPT, REJECT, Case
from tests.corpus.objects import LAST_ARMOUR, MALFORMED, header_of, parent, payload, push, signed, tag
from tests.corpus.signers import Signer
from tests.forge import NOW, attach, commit_payload

MISSING = "signature-missing"
REPLACED = "git-replace(1): what refs/replace names is shown in its place, unless GIT_NO_REPLACE_OBJECTS is set"
HASHED = "git object-file.c, check_object_signature: the id is the hash of the bytes"
MERGETAG = "git commit.c, show_mergetag: the header mergetag holds a whole tag, which is signed data of the merge"


def unsigned(signer: Signer, fmt: ObjectFormat, target: str) -> Iterator[Case]:
    """Commits without a signature, however much looks like one."""
    plain, name = payload(signer, fmt), fmt.signature_header
    raw = signed(signer, plain, fmt)
    header = header_of(raw, fmt)

    def made(defect: str, changed: bytes, sentence: str, *references: str, **more: bytes) -> Case:
        named = f"2-{signer.infix}{defect}"
        return Case(named, changed, "none", REJECT, MISSING, sentence, references, NOW, object_format=fmt, **more)  # type: ignore[arg-type]

    in_message = plain + b"\n" + signer.armour(plain)
    yield made("signature-in-the-message", in_message, "The signature ends the message, as in a tag.", LAST_ARMOUR)
    other = raw.replace(header, header.replace(name + b" ", b"signature ", 1))
    yield made("signature-in-another-header", other, "A good signature stands in a header of another name.")
    merged = signed(signer, tag(signer, target), fmt)
    folded = merged.removesuffix(b"\n").replace(b"\n", b"\n ")
    unsigned_merge = commit_payload(committer=signer.who, fmt=fmt, parents=(parent(fmt), target))
    with_tag = unsigned_merge.replace(b"\n\n", b"\nmergetag " + folded + b"\n\n", 1)
    yield made("signed-tag-merged", with_tag, "An unsigned merge of a well signed tag.", MERGETAG)
    changed = plain.replace(b"A change", b"A change beside one by " + signer.name.encode())
    sentence = "An unsigned commit that refs/replace shows as a signed one."
    yield made("replaced-by-a-signed-commit", changed, sentence, REPLACED, replaced_by=raw)


def placed(signer: Signer, fmt: ObjectFormat) -> Iterator[Case]:
    """Step 1 again: what a repository can do to bytes that are well signed."""
    plain = payload(signer, fmt)
    raw = signed(signer, plain, fmt)
    own = b"\n" + fmt.signature_header + b" "
    other = b"\ngpgsig-sha256 " if fmt is ObjectFormat.SHA1 else b"\ngpgsig "
    alone = raw.replace(own, other, 1)
    yield Case(
        f"1-{signer.infix}signature-of-the-other-format-alone",
        *(alone, signer.name, REJECT, MALFORMED),
        "The signature stands in the header of the other hash function, where nobody looks for it.",
        ("git hash-function-transition: gpgsig and gpgsig-sha256",),
        NOW,
        object_format=fmt,
    )
    named = commit_payload(committer=signer.who, message=b"Another\n", fmt=fmt)
    lying = signed(signer, named, fmt)
    stored = signed(signer, plain.replace(b"A change", b"Any change"), fmt)
    unsigned_id = Case("1-x", stored, "none", REJECT, "", "", (), NOW, object_format=fmt).object_id
    yield Case(
        f"1-{signer.infix}bytes-of-another-object",
        *(lying, signer.name, REJECT, "object-id-mismatch"),
        "A well signed commit lies under the id of another object.",
        (HASHED,),
        NOW,
        object_format=fmt,
        stored_as=unsigned_id,
    )


def unreadable(signer: Signer, fmt: ObjectFormat) -> Case:
    """A signature under a name that nobody knows; git's own log ends at it."""
    raw = signed(signer, payload(signer, fmt), fmt)
    changed = re.sub(rb"-----(BEGIN|END) [A-Z ]+-----", rb"-----\1 NEW SIGNATURE-----", raw)
    sentence = "The armour has a name that nobody knows; git log --format=%G? ends at it."
    named, reference = "2-armour-of-unknown-kind", "git gpg-interface.c, get_format_by_sig"
    return Case(named, changed, "unknown", REJECT, "signature-unknown", sentence, (reference,), NOW, object_format=fmt)


def replayed(signer: Signer, fmt: ObjectFormat, target: str) -> Iterator[Case]:
    """Signatures that are good over something else."""
    plain, second = payload(signer, fmt), parent(fmt, "2").encode()
    armour = signer.armour(plain)
    head = plain.index(b"\nauthor ")
    eve = plain.replace(b"author ", b"author Eve ", 1)
    changes = (
        ("message-changed", plain.replace(b"A change", b"B change"), "The message was changed after signing."),
        ("line-added", plain + b"\n", "An empty line was added to the message."),
        ("author-changed", eve, "The author was changed after signing."),
        (
            "date-changed",
            plain.replace(b"> 1795442290", b"> 1795442291", 1),
            "The author's date was changed by a second.",
        ),
        (
            "parent-added",
            plain[:head] + b"\nparent " + second + plain[head:],
            "A parent was added: the commit was moved.",
        ),
        (
            "encoding-added",
            plain.replace(b"\n\n", b"\nencoding latin1\n\n", 1),
            "An encoding was added: the text reads differently.",
        ),
        ("header-added", plain.replace(b"\n\n", b"\nchange-id unsigned\n\n", 1), "A header of another tool was added."),
    )
    for defect, content, sentence in changes:
        yield _replayed(signer, defect, attach(content, armour, fmt), sentence, fmt)
    own = tag(signer, target)
    signed_tag, moved = signer.armour(own), tag(signer, parent(fmt, "3"))
    of_commit = own + armour
    for defect, raw, sentence in (
        ("target-changed", moved + signed_tag, "The tag was moved to another commit."),
        ("name-changed", own.replace(b"tag v1", b"tag v2") + signed_tag, "The tag was given another name."),
        ("signature-of-a-commit", of_commit, "The signature is good over a commit."),
    ):
        yield _replayed(signer, defect, raw, sentence, fmt, "tag")
    pushed = push(signer)
    for defect, old, new in (
        ("ref-changed", b"refs/heads/main", b"refs/heads/next"),
        ("nonce-changed", b"nonce 1795442172", b"nonce 1795442999"),
    ):
        raw = pushed.replace(old, new) + signer.armour(pushed)
        yield _replayed(signer, defect, raw, f"The {defect[:-8]} was changed after signing.", fmt, "push-certificate")


def _replayed(signer: Signer, defect: str, raw: bytes, sentence: str, fmt: ObjectFormat, kind: str = "commit") -> Case:
    of_kind = "" if kind == "commit" else f"{kind}-"
    named = f"3-{signer.infix}{of_kind}{defect}"
    return Case(named, raw, signer.name, REJECT, signer.tampered, sentence, (), NOW, ObjectKind(kind), fmt)


def controls(signer: Signer, fmt: ObjectFormat, target: str) -> Iterator[Case]:
    """Objects with nothing wrong, so that a verifier which refuses everything learns nothing here."""
    plain, odd = payload(signer, fmt), commit_payload(committer=signer.who, message=b"", fmt=fmt)
    latin = plain.replace(b"A change", b"caf\xe9").replace(b"\n\n", b"\nencoding ISO-8859-1\n\n", 1)
    merged = signed(signer, tag(signer, target), fmt).removesuffix(b"\n").replace(b"\n", b"\n ")
    merge = commit_payload(committer=signer.who, fmt=fmt, parents=(parent(fmt), target))
    with_tag = merge.replace(b"\n\n", b"\nmergetag " + merged + b"\n\n", 1)
    changed = with_tag.replace(b"tag v1", b"tag v2")
    octopus = commit_payload(committer=signer.who, fmt=fmt, parents=tuple(parent(fmt, d) for d in "12345"))
    named = plain.replace(b"\n\n", b"\nHG:extra branch:x\nchange-id k\n second\n \n last\n\n", 1)
    everything = (
        ("good-commit", plain, "A good commit."),
        ("good-commit-without-a-message", odd, "A good commit without a message."),
        ("good-commit-of-five-parents", octopus, "A good octopus merge."),
        ("good-commit-in-another-encoding", latin, "A good commit in ISO-8859-1."),
        ("good-commit-with-foreign-headers", named, "A good commit with headers of other tools, one of them folded."),
        ("good-merge-of-a-signed-tag", with_tag, "A good merge of a signed tag."),
        (
            "good-merge-of-a-tag-that-is-not",
            changed,
            "A good merge whose mergetag was forged by the merging signer: the "
            "merge is good, and the tag in it proves nothing.",
        ),
    )
    for name, content, sentence in everything:
        yield _control(signer, name, signed(signer, content, fmt), sentence, fmt)
    for kind, content in (("tag", tag(signer, target)), ("push-certificate", push(signer))):
        raw = content + signer.armour(content)
        yield _control(signer, f"good-{kind}", raw, f"A good {kind.replace('-', ' ')}.", fmt, kind)


def _control(signer: Signer, name: str, raw: bytes, sentence: str, fmt: ObjectFormat, kind: str = "commit") -> Case:
    named = f"8-{signer.infix}{name}"
    of = "interop" if signer.name == "interop" else "notme"
    return Case(named, raw, signer.name, ACCEPT, "", sentence, (), NOW, ObjectKind(kind), fmt, anchor=of)
