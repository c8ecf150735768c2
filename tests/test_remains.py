"""Objects that step 1 refuses: what their rows still say of them, and that nothing is proven by it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import gitobject, remains, verify
from attest.errors import Step
from attest.foreign.roots import NONE
from attest.gitobject import ObjectFormat, ObjectKind, SignatureFormat
from attest.policy import Context, Policy
from attest.remains import Said
from attest.row import Row
from attest.rows import row_of
from attest.trust import Trust
from attest.types import Outcome, StepStatus
from tests.foreignsigned import FOLDER

COMMIT, SHA1 = ObjectKind.COMMIT, ObjectFormat.SHA1
GITSIGN = (FOLDER / "offline.commit").read_bytes()
TRUST = Trust(anchors=(), foreign=NONE)
AT = datetime(2026, 7, 10, tzinfo=UTC)
PGP = b"gpgsig -----BEGIN PGP SIGNATURE-----\n \n abcd\n -----END PGP SIGNATURE-----\n"
TREE, PARENT = "4" * 40, "5" * 40
HEAD = f"tree {TREE}\nparent {PARENT}\n".encode()
WHO = b"author Ada <ada@example.com> 1700000000 +0100\ncommitter Bo <bo@example.com> 1700000001 +0100\n"


def row(raw: bytes, kind: ObjectKind = COMMIT) -> Row:
    found = verify.examine(raw, kind, SHA1, gitobject.object_id(kind, raw, SHA1), TRUST, at=AT)
    return row_of(found, verify.decide(found, Policy(), Context(), at=AT), TRUST)


def after_signature(text: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: raw.replace(b"-----\n\n", b"-----\n" + text + b"\n", 1)


def crlf(raw: bytes) -> bytes:
    start, end = raw.index(b"gpgsig"), raw.index(b"\n\n")
    return raw[:start] + raw[start:end].replace(b"\n", b"\r\n") + b"\r" + raw[end:]


def early(raw: bytes) -> bytes:
    start, end, author = raw.index(b"gpgsig"), raw.index(b"\n\n") + 1, raw.index(b"author ")
    return raw[:author] + raw[start:end] + raw[author:start] + raw[end:]


UNSIGNED_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "text after the signature": after_signature(b" more\n"),
    "an empty line after the signature": after_signature(b" \n"),
    "a header of another algorithm": after_signature(b"gpgsig-sha256 x\n"),
    "lines that end in CR LF": crlf,
    "the signature before the author": early,
}


@pytest.mark.parametrize("change", UNSIGNED_BYTES.values(), ids=UNSIGNED_BYTES)
def test_the_signature_holds_for_what_git_would_check_and_the_object_is_refused(
    change: Callable[[bytes], bytes],
) -> None:
    good, odd = row(GITSIGN), row(change(GITSIGN))
    assert good.finding(Step.OBJECT).status is StepStatus.PROVEN
    assert odd.finding(Step.OBJECT).status is StepStatus.FAILED
    assert odd.outcome is Outcome.REJECTED
    assert (odd.format, odd.integrity, odd.signer) == ("x509", True, good.signer)
    assert (odd.signing_time, odd.committer_date) == (good.signing_time, good.committer_date)
    assert (odd.tree, odd.parents, odd.subject) == (good.tree, good.parents, good.subject)


SIGNED_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "a second author": lambda raw: raw.replace(b"\ncommitter", b"\nauthor X <x@example.com> 1 +0000\ncommitter", 1),
    "a NUL in the message": lambda raw: raw + b"\0",
    "no blank line": lambda raw: raw.partition(b"\n\n")[0] + b"\n",
}


@pytest.mark.parametrize("change", SIGNED_BYTES.values(), ids=SIGNED_BYTES)
def test_the_signature_does_not_hold_where_signed_bytes_changed(change: Callable[[bytes], bytes]) -> None:
    odd = row(change(GITSIGN))
    assert (odd.format, odd.integrity, odd.outcome) == ("x509", False, Outcome.REJECTED)
    assert odd.signer == row(GITSIGN).signer


FORMATS = {
    "GitHub's empty line after OpenPGP": (PGP + b" \n", SignatureFormat.OPENPGP, None),
    "OpenPGP with CR LF": (PGP.replace(b"\n", b"\r\n"), SignatureFormat.OPENPGP, None),
    "OpenPGP without an end": (PGP.partition(b" -----END")[0], SignatureFormat.OPENPGP, None),
    "minisign": (b"gpgsig untrusted comment: x\n RWQ=\n", SignatureFormat.UNKNOWN, None),
    "not base64": (b"gpgsig -----BEGIN SSH SIGNATURE-----\n !\n", SignatureFormat.SSH, False),
    "the header of another algorithm": (PGP.replace(b"gpgsig", b"gpgsig-sha256"), None, None),
}


@pytest.mark.parametrize(("header", "named", "integrity"), FORMATS.values(), ids=FORMATS)
def test_the_format_is_that_of_the_armour_however_it_goes_on(
    header: bytes, named: SignatureFormat | None, integrity: bool | None
) -> None:
    odd = row(HEAD + WHO + header + b"\ncaf\xe9\n")
    assert odd.finding(Step.OBJECT).status is StepStatus.FAILED
    assert (odd.format, odd.integrity, odd.signer) == (named, integrity, None)
    assert odd.committer_date == 1700000001


IDENTS = {
    "as git writes it": (b"Bo <bo@example.com> 1700000001 +0100", "Bo <bo@example.com>", 1700000001),
    "a zone of six digits": (b"Bo <bo@example.com> 1700000001 +051800", "Bo <bo@example.com>", 1700000001),
    "no name": (b"<bo@example.com> 7 +0000", "<bo@example.com>", 7),
    "brackets inside": (b"Bo <bo <x>> 7 +0000", "Bo <bo <x>>", 7),
    "no date": (b"Bo <bo@example.com>", "Bo <bo@example.com>", None),
    "before 1970": (b"Bo <bo@example.com> -1 +0000", "Bo <bo@example.com>", None),
    "after the year 9999": (b"Bo <bo@example.com> 18446744073709551615 +0000", "Bo <bo@example.com>", None),
    "not UTF-8": (b"B\xf6 <bo@example.com> 7 +0000", "B\ufffd <bo@example.com>", 7),
    "nothing": (b"", "", None),
}


@pytest.mark.parametrize(("line", "who", "when"), IDENTS.values(), ids=IDENTS)
def test_names_and_dates_are_what_the_lines_say(line: bytes, who: str, when: int | None) -> None:
    raw = HEAD + b"author A <a@example.com> 5 +0000\ncommitter " + line + b"\n\nsubject\n\nbody"
    said = remains.said(raw, COMMIT, SHA1)
    assert said == Said("A <a@example.com>", 5, who, when, TREE, (PARENT,), b"subject\n\nbody")


def test_of_a_tag_the_tagger_counts() -> None:
    raw = b"object 1\ntype commit\ntag v1\ntagger Bo <bo@example.com> 7 +051800\n\nv1\n"
    assert remains.said(raw, ObjectKind.TAG, SHA1) == Said("", None, "Bo <bo@example.com>", 7, "", (), b"v1\n")


@given(st.binary(max_size=200), st.integers(0, len(GITSIGN)), st.integers(0, 300))
def test_whatever_the_bytes_there_is_a_row(junk: bytes, at: int, gone: int) -> None:
    changed = GITSIGN[:at] + junk + GITSIGN[at + gone :]
    for kind in (COMMIT, ObjectKind.TAG):
        found = row(changed, kind)
        assert found.outcome is not Outcome.ACCEPTED
        remains.said(junk, kind, SHA1)
        remains.signature(junk, kind, SHA1, TRUST)
