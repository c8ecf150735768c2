"""The parser of git objects, held against what git itself takes for payload and signature.

`git_commit_split` and `git_appended_split` follow git's own loops line by line (`parse_buffer_signed_by_header`,
`parse_signed_buffer`); tests/compat/test_git_objects.py shows with real git that they do.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import gitobject
from attest.errors import MalformedError
from attest.gitobject import (
    Commit,
    Ident,
    ObjectFormat,
    ObjectKind,
    PushCertificate,
    SignatureFormat,
    Tag,
    object_id,
    parse,
    parse_commit,
    parse_payload,
    parse_push_certificate,
    parse_tag,
    read_armour,
    split_as_git,
)

SHA1, SHA256 = ObjectFormat.SHA1, ObjectFormat.SHA256
COMMIT, TAG, PUSH = ObjectKind.COMMIT, ObjectKind.TAG, ObjectKind.PUSH_CERTIFICATE

X509 = b"-----BEGIN SIGNED MESSAGE-----\nMIIB\nAAAA\n-----END SIGNED MESSAGE-----\n"
PGP = b"-----BEGIN PGP SIGNATURE-----\n\niQIz\n=ab12\n-----END PGP SIGNATURE-----\n"
PGP_MESSAGE = PGP.replace(b"SIGNATURE", b"MESSAGE")
SSH = b"-----BEGIN SSH SIGNATURE-----\nU1NI\n-----END SSH SIGNATURE-----\n"

TREE = b"tree " + b"4b825dc642cb6eb9a060e54bf8d69288fbee4904" + b"\n"
TREE256 = b"tree " + b"6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321" + b"\n"
AUTHOR = b"author Agent 7 <agent-7@example.org> 1795442263 +0000\n"
COMMITTER = b"committer Alice <alice@example.org> 1795442264 -0130\n"
HEAD = TREE + AUTHOR + COMMITTER
HEAD256 = TREE256 + AUTHOR + COMMITTER
TAG_HEAD = b"object " + b"1" * 40 + b"\ntype commit\ntag v1\n"
TAGGER = b"tagger Agent 7 <agent-7@example.org> 1795442263 +0000\n"
ONE, TWO = b"1" * 40, b"2" * 40
PUSHED = b"certificate version 0.1\npusher Agent 7 <agent-7@example.org> 1795442263 +0000\n"
UPDATE = ONE + b" " + TWO + b" refs/heads/main\n"


def lines_of(raw: bytes) -> list[bytes]:
    """Lines with their newline, which the last one may lack; a carriage return ends none."""
    return re.findall(rb"[^\n]*\n|[^\n]+", raw)


def folded(name: bytes, value: bytes) -> bytes:
    """A header as git writes it (`add_header_signature`, `add_extra_header`)."""
    return name + b" " + b" ".join(lines_of(value))


def parents(*ids: bytes) -> bytes:
    return b"".join(b"parent " + oid + b"\n" for oid in ids)


MERGED_TAG = b"object " + TWO + b"\ntype commit\ntag v1\n" + TAGGER + b"\nrelease\r\n\nnotes\r\n" + PGP
SIGNED = HEAD + folded(b"gpgsig", X509) + b"\nsubject\n"

GOOD: dict[str, tuple[ObjectKind, ObjectFormat, bytes]] = {
    "a root commit": (COMMIT, SHA1, HEAD + b"\nsubject\n"),
    "a commit with a parent": (COMMIT, SHA1, TREE + parents(ONE) + AUTHOR + COMMITTER + b"\nsubject\n"),
    "an octopus merge": (COMMIT, SHA1, TREE + parents(*[ONE] * 66) + AUTHOR + COMMITTER + b"\nsubject\n"),
    "a commit signed with x509": (COMMIT, SHA1, SIGNED),
    "a commit signed with OpenPGP": (COMMIT, SHA1, HEAD + folded(b"gpgsig", PGP) + b"\nsubject\n"),
    "a commit signed with an OpenPGP message": (COMMIT, SHA1, HEAD + folded(b"gpgsig", PGP_MESSAGE) + b"\ns\n"),
    "a commit signed with ssh": (COMMIT, SHA1, HEAD + folded(b"gpgsig", SSH) + b"\nsubject\n"),
    "a commit of GitHub's with its empty last line": (COMMIT, SHA1, HEAD + folded(b"gpgsig", PGP + b"\n") + b"\ns"),
    "a SHA-256 commit": (COMMIT, SHA256, HEAD256 + folded(b"gpgsig-sha256", X509) + b"\nsubject\n"),
    "an unsigned SHA-256 commit": (COMMIT, SHA256, TREE256 + parents(b"3" * 64) + AUTHOR + COMMITTER + b"\n"),
    "no message": (COMMIT, SHA1, HEAD + folded(b"gpgsig", X509) + b"\n"),
    "a message without a final newline": (COMMIT, SHA1, HEAD + b"\nsubject"),
    "a message that begins with empty lines": (COMMIT, SHA1, HEAD + folded(b"gpgsig", X509) + b"\n\n\n\nsubject\n"),
    "a message that looks like headers": (COMMIT, SHA1, HEAD + b"\ngpgsig x\n\n" + folded(b"gpgsig", X509)),
    "a message that holds an armour": (COMMIT, SHA1, HEAD + folded(b"gpgsig", X509) + b"\nsubject\n\n" + PGP),
    "a message with carriage returns": (COMMIT, SHA1, HEAD + b"\nsubject\r\n\r\nbody\r\n"),
    "a merge of a signed tag": (COMMIT, SHA1, HEAD + folded(b"mergetag", MERGED_TAG) + b"\nsubject\n"),
    "a signed merge of two signed tags": (
        COMMIT,
        SHA1,
        HEAD + folded(b"mergetag", MERGED_TAG) * 2 + folded(b"gpgsig", X509) + b"\nsubject\n",
    ),
    "headers of other tools": (COMMIT, SHA1, HEAD + b"HG:extra branch:x\nHG:rename a:b\nempty \n\nsubject\n"),
    "a header of another tool and a signature": (
        COMMIT,
        SHA1,
        HEAD + b"change-id kxq\n" + folded(b"gpgsig", SSH) + b"\nsubject\n",
    ),
    "an encoding": (COMMIT, SHA1, HEAD.replace(b"Alice", b"Ren\xe9e") + b"encoding ISO-8859-1\n\ncaf\xe9\n"),
    "an encoding, a foreign header and a signature": (
        COMMIT,
        SHA1,
        HEAD + b"encoding windows-1251\nHG:extra \xff\n" + folded(b"gpgsig", X509) + b"\n\xef\xf0\n",
    ),
    "a Japanese encoding with escapes": (
        COMMIT,
        SHA1,
        HEAD.replace(b"Alice", "山田".encode("iso2022_jp")) + b"encoding ISO-2022-JP\n\n\x1b$B;3ED\x1b(B\n",
    ),
    "UTF-8 declared all the same": (COMMIT, SHA1, HEAD + b"encoding UTF-8\n\ncaf\xc3\xa9\n"),
    "names in UTF-8": (COMMIT, SHA1, HEAD.replace(b"Alice", "Zoë 山田".encode()) + b"\nsubject\n"),
    "an empty name": (COMMIT, SHA1, HEAD.replace(b"Agent 7 <", b" <") + b"\nsubject\n"),
    "an empty address": (COMMIT, SHA1, HEAD.replace(b"agent-7@example.org", b"") + b"\nsubject\n"),
    "an address that is none": (COMMIT, SHA1, HEAD.replace(b"agent-7@example.org", b"not an address") + b"\n"),
    "a name between blanks": (COMMIT, SHA1, HEAD.replace(b"Agent 7 <", b"  Agent  7  <") + b"\nsubject\n"),
    "time zero in a zone west of Greenwich": (COMMIT, SHA1, HEAD.replace(b"1795442263 +0000", b"0 -0000") + b"\n"),
    "a zone that is none": (COMMIT, SHA1, HEAD.replace(b"-0130", b"-9999") + b"\nsubject\n"),
    "the last second": (COMMIT, SHA1, HEAD.replace(b"1795442263", b"253402300799") + b"\nsubject\n"),
    "a tag": (TAG, SHA1, TAG_HEAD + TAGGER + b"\nrelease\n"),
    "a tag without a message": (TAG, SHA1, TAG_HEAD + TAGGER + b"\n"),
    "a tag of git's first years": (TAG, SHA1, TAG_HEAD + b"\nrelease\n" + PGP),
    "a signed tag": (TAG, SHA1, TAG_HEAD + TAGGER + b"\nrelease\n" + X509),
    "a signed tag without a message": (TAG, SHA1, TAG_HEAD + TAGGER + b"\n" + SSH),
    "a tag signed with an OpenPGP message": (TAG, SHA1, TAG_HEAD + TAGGER + b"\nrelease\n" + PGP_MESSAGE),
    "a tag of a SHA-256 tree": (
        TAG,
        SHA256,
        b"object " + b"3" * 64 + b"\ntype tree\ntag v1\n" + TAGGER + b"\nx\n" + X509,
    ),
    "a tag message that mentions armours": (TAG, SHA1, TAG_HEAD + b"\n -----BEGIN PGP SIGNATURE-----\nx\n" + X509),
    "a tag message with a key": (TAG, SHA1, TAG_HEAD + b"\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + X509),
    "a push certificate": (PUSH, SHA1, PUSHED + b"pushee ../p.git\nnonce 1795442263-055a\n\n" + UPDATE + X509),
    "a push certificate of SHA-256 ids": (PUSH, SHA256, PUSHED + b"\n" + b"3" * 64 + b" " + b"4" * 64 + b" refs/x\n"),
    "a push certificate with options": (
        PUSH,
        SHA1,
        PUSHED + b"nonce 1-2\npush-option ci.skip\npush-option \n\n" + UPDATE + UPDATE.replace(b"main", b"next") + SSH,
    ),
    "a push certificate of an ssh key": (
        PUSH,
        SHA1,
        PUSHED.replace(b"Agent 7 <agent-7@example.org>", b"SHA256:Vr71j+ ") + b"\n" + UPDATE + SSH,
    ),
}
good = pytest.mark.parametrize(("kind", "fmt", "raw"), GOOD.values(), ids=GOOD)


def git_commit_split(raw: bytes, fmt: ObjectFormat) -> tuple[bytes, bytes]:
    """Payload and signature as git reads them out of a commit, however odd."""
    header = {SHA1: b"gpgsig ", SHA256: b"gpgsig-sha256 "}[fmt]
    payload, signature, within, skipped = b"", b"", False, False
    rest = iter(lines_of(raw))
    for line in rest:
        if within and line.startswith(b" "):
            signature += line[1:]
            continue
        within = line.startswith(header)
        if within:
            signature, skipped = signature + line[len(header) :], False
            continue
        skipped = line.startswith(b"gpgsig") or (skipped and line.startswith(b" "))
        if line == b"\n":
            payload += line + b"".join(rest)
        elif not skipped:
            payload += line
    return payload, signature


def git_appended_split(raw: bytes) -> tuple[bytes, bytes]:
    """Payload and signature as git reads them out of a tag or a push certificate; gpgsig headers stay in here."""
    at, match = 0, len(raw)
    for line in lines_of(raw):
        if line.startswith(tuple(armour[: armour.index(b"\n")] for armour in (X509, PGP, PGP_MESSAGE, SSH))):
            match = at
        at += len(line)
    return raw[:match], raw[match:]


def git_split(kind: ObjectKind, fmt: ObjectFormat, raw: bytes) -> tuple[bytes, bytes]:
    return git_commit_split(raw, fmt) if kind is COMMIT else git_appended_split(raw)


def taken(parsed: Commit | Tag | PushCertificate) -> tuple[bytes, bytes]:
    return parsed.payload, parsed.signature.armour if parsed.signature is not None else b""


@good
def test_what_git_writes_is_read_and_encodes_to_the_same_bytes(kind: ObjectKind, fmt: ObjectFormat, raw: bytes) -> None:
    parsed = parse(raw, kind, fmt)
    assert parsed.raw == parsed.encode() == raw


@good
def test_payload_and_signature_are_what_git_takes_for_them(kind: ObjectKind, fmt: ObjectFormat, raw: bytes) -> None:
    assert taken(parse(raw, kind, fmt)) == git_split(kind, fmt, raw)


@good
def test_the_payload_alone_tells_the_same(kind: ObjectKind, fmt: ObjectFormat, raw: bytes) -> None:
    parsed = parse(raw, kind, fmt)
    assert parse_payload(parsed.payload) == replace(parsed, signature=None, raw=parsed.payload)


def test_a_commits_fields_are_what_its_headers_say() -> None:
    raw = TREE + parents(ONE, TWO) + AUTHOR + COMMITTER + b"encoding UTF-8\nx a\n b\nmergetag c\n\nsubject\n\nbody\n"
    parsed = parse_commit(raw, SHA1)
    assert parsed == Commit(
        tree="4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        parents=("1" * 40, "2" * 40),
        author=Ident("Agent 7", "agent-7@example.org", 1795442263, "+0000"),
        committer=Ident("Alice", "alice@example.org", 1795442264, "-0130"),
        encoding="UTF-8",
        extra=((b"x", b"a\nb"), (b"mergetag", b"c")),
        message=b"subject\n\nbody\n",
        signature=None,
        payload=raw,
        raw=raw,
    )


def test_a_tags_fields_are_what_its_headers_say() -> None:
    parsed = parse_tag(TAG_HEAD.replace(b"v1", "fête".encode()) + TAGGER + b"\nrelease\n" + X509, SHA1)
    assert (parsed.object, parsed.object_type, parsed.name) == ("1" * 40, "commit", "fête")
    assert parsed.tagger == Ident("Agent 7", "agent-7@example.org", 1795442263, "+0000")
    assert parsed.message == b"release\n"
    assert parsed.signature is not None
    assert parsed.signature.format is SignatureFormat.X509


def test_a_push_certificates_fields_are_what_it_says() -> None:
    raw = PUSHED + b"pushee ../p.git\nnonce 1-2\npush-option a b\npush-option \n\n" + UPDATE + SSH
    parsed = parse_push_certificate(raw)
    assert parsed.version == "0.1"
    assert (parsed.pusher, parsed.seconds, parsed.zone) == (b"Agent 7 <agent-7@example.org>", 1795442263, "+0000")
    assert (parsed.pushee, parsed.nonce, parsed.push_options) == ("../p.git", "1-2", ("a b", ""))
    assert parsed.updates == (("1" * 40, "2" * 40, "refs/heads/main"),)
    assert parsed.signature == read_armour(SSH)


def test_what_a_push_certificate_leaves_out_is_empty() -> None:
    parsed = parse_push_certificate(PUSHED + b"\n" + UPDATE)
    assert (parsed.pushee, parsed.nonce, parsed.push_options, parsed.signature) == ("", "", (), None)


def test_a_merged_tag_can_be_read_from_its_header() -> None:
    ((name, value),) = parse_commit(GOOD["a merge of a signed tag"][2], SHA1).extra
    assert name == b"mergetag"
    assert parse_tag(value + b"\n", SHA1).encode() == MERGED_TAG


@pytest.mark.parametrize(
    ("armour", "fmt"),
    [
        pytest.param(X509, SignatureFormat.X509, id="x509"),
        pytest.param(PGP, SignatureFormat.OPENPGP, id="OpenPGP"),
        pytest.param(PGP_MESSAGE, SignatureFormat.OPENPGP, id="an OpenPGP message"),
        pytest.param(SSH, SignatureFormat.SSH, id="ssh"),
    ],
)
def test_the_armour_names_the_format(armour: bytes, fmt: SignatureFormat) -> None:
    found = read_armour(armour)
    assert (found.format, found.armour) == (fmt, armour)


ARMOUR_DEFECTS = {
    "nothing": b"",
    "an armour git does not know": X509.replace(b"SIGNED MESSAGE", b"CMS"),
    "only the BEGIN line": X509[:31],
    "only BEGIN and END in one line": X509[:30] + X509[-29:],
    "text before the BEGIN line": b"x\n" + X509,
    "an empty line before the BEGIN line": b"\n" + X509,
    "a blank before the BEGIN line": b" " + X509,
    "more in the BEGIN line": X509.replace(b"MESSAGE-----\nMIIB", b"MESSAGE-----x\nMIIB"),
    "a blank after the BEGIN line": X509.replace(b"MESSAGE-----\nMIIB", b"MESSAGE----- \nMIIB"),
    "no END line": X509[:41],
    "the END line of another format": X509.replace(b"END SIGNED MESSAGE", b"END PGP SIGNATURE"),
    "more in the END line": X509[:-1] + b" \n",
    "no newline after the END line": X509[:-1],
    "text after the END line": X509 + b"x\n",
    "an empty line after the END line": X509 + b"\n",
    "two END lines": X509 + b"-----END SIGNED MESSAGE-----\n",
    "two armours": X509 + X509,
    "two armours of two formats": PGP + X509,
    "an armour inside": X509.replace(b"AAAA\n", PGP),
    "a BEGIN line inside": X509.replace(b"AAAA", b"-----BEGIN SIGNED MESSAGE-----"),
    "CR LF": X509.replace(b"\n", b"\r\n"),
    "one CR": X509.replace(b"MIIB\n", b"MIIB\r\n"),
    "a NUL": X509.replace(b"MIIB", b"MI\0B"),
}


@pytest.mark.parametrize("armour", ARMOUR_DEFECTS.values(), ids=ARMOUR_DEFECTS)
def test_a_signature_that_is_not_exactly_one_armour_is_refused(armour: bytes) -> None:
    with pytest.raises(MalformedError, match="signature"):
        read_armour(armour)


@pytest.mark.parametrize("name", [name for name in ARMOUR_DEFECTS if name != "an armour git does not know"])
def test_a_commit_with_such_a_signature_is_refused(name: str) -> None:
    with pytest.raises(MalformedError):
        parse_commit(HEAD + folded(b"gpgsig", ARMOUR_DEFECTS[name] or b"\n") + b"\nsubject\n", SHA1)


@pytest.mark.parametrize(
    ("label", "fmt"), [(b"CMS", SignatureFormat.X509), (b"NEW SIGNATURE 2", SignatureFormat.UNKNOWN)]
)
def test_a_commit_may_carry_an_armour_that_git_does_not_know(label: bytes, fmt: SignatureFormat) -> None:
    armour = X509.replace(b"SIGNED MESSAGE", label)
    parsed = parse_commit(HEAD + folded(b"gpgsig", armour) + b"\nsubject\n", SHA1)
    assert parsed.signature is not None
    assert (parsed.signature.format, parsed.signature.armour) == (fmt, armour)
    assert parsed.encode() == parsed.raw


@pytest.mark.parametrize(
    "armour",
    [
        X509.replace(b"BEGIN SIGNED MESSAGE", b"BEGIN CMS"),
        X509.replace(b"SIGNED MESSAGE", b"CMS") + b"hidden\n",
        X509.replace(b"SIGNED MESSAGE", b"CMS") + X509,
    ],
    ids=["two labels", "text behind it", "another behind it"],
)
def test_such_an_armour_is_one_block_too(armour: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_commit(HEAD + folded(b"gpgsig", armour) + b"\nsubject\n", SHA1)


def test_of_a_malformed_commit_git_takes_every_header_of_the_name_and_leaves_out_all_that_begin_like_it() -> None:
    raw = HEAD + b"gpgsig one\n two\ngpgsig-evil hidden\n more\ngpgsig three\n\nsubject\n"
    assert split_as_git(raw, COMMIT, SHA1) == (HEAD + b"\nsubject\n", b"one\ntwo\nthree\n")
    assert split_as_git(HEAD + b"\nsubject\n", COMMIT, SHA1) is None


def test_of_a_malformed_tag_git_takes_what_follows_the_last_begin_line() -> None:
    raw = TAG_HEAD + TAGGER + b"\nrelease\n" + PGP + X509
    assert split_as_git(raw, TAG, SHA1) == (TAG_HEAD + TAGGER + b"\nrelease\n" + PGP, X509)
    assert split_as_git(TAG_HEAD + TAGGER + b"\nrelease\n", TAG, SHA1) is None


GPGSIG = folded(b"gpgsig", X509)
COMMIT_DEFECTS: dict[str, tuple[bytes, str]] = {
    # What git leaves out of the payload, so that one signature has many objects (formats.md 7.1).
    "a second signature header": (HEAD + GPGSIG * 2 + b"\ns\n", "second signature header"),
    "a second signature header of another format": (HEAD + GPGSIG + folded(b"gpgsig", SSH) + b"\n", "second signature"),
    "another gpgsig header before the signature": (HEAD + b"gpgsig-evil x\n" + GPGSIG + b"\n", "gpgsig-evil"),
    "another gpgsig header after the signature": (HEAD + GPGSIG + b"gpgsig-evil x\n\n", "second signature header"),
    "a gpgsig header without a value": (HEAD + b"gpgsig\n\ns\n", "is not the signature header"),
    "a gpgsig header and no signature": (HEAD + b"gpgsig-evil x\n\ns\n", "gpgsig-evil"),
    "a name that only begins like it": (HEAD + b"gpgsigXYZ x\n" + GPGSIG + b"\n", "gpgsigXYZ"),
    "such a header before the author": (TREE + b"gpgsigXYZ x\n" + AUTHOR + COMMITTER + GPGSIG + b"\n", "gpgsigXYZ"),
    "such a header before the tree": (b"gpgsigXYZ x\n" + HEAD + GPGSIG + b"\n", "git writes tree"),
    "the signature of the other object format": (HEAD + folded(b"gpgsig-sha256", X509) + b"\n", "gpgsig-sha256"),
    "signatures of both object formats": (HEAD + GPGSIG + folded(b"gpgsig-sha256", X509) + b"\n", "second signature"),
    "the signature before the committer": (TREE + AUTHOR + GPGSIG + COMMITTER + b"\n", "follows the signature"),
    "the signature before the encoding": (HEAD + GPGSIG + b"encoding UTF-8\n\n", "follows the signature header"),
    "the signature before another header": (HEAD + GPGSIG + b"HG:extra x\n\n", "follows the signature header"),
    "the signature before everything": (GPGSIG + HEAD + b"\n", "git writes tree"),
    "an empty signature header": (HEAD + b"gpgsig \n\n", "BEGIN line"),
    "text in front of the armour": (HEAD + b"gpgsig x\n " + GPGSIG[7:] + b"\n", "BEGIN line"),
    "an armour that begins in the second line": (HEAD + b"gpgsig \n " + GPGSIG[7:] + b"\n", "BEGIN line"),
    "text after the END line": (HEAD + GPGSIG + b" x\n\n", "END line"),
    "an empty line after the END line": (HEAD + GPGSIG + b" \n\n", "END line"),
    "two empty lines after an OpenPGP signature": (HEAD + folded(b"gpgsig", PGP + b"\n\n") + b"\n", "END line"),
    "a carriage return in the signature": (HEAD + GPGSIG.replace(b"AAAA", b"AAAA\r") + b"\n", "CR"),
    # Headers.
    "nothing at all": (b"", "no blank line"),
    "only a newline": (b"\n", "no blank line"),
    "only a blank line": (b"\n\n", "git writes tree"),
    "no blank line": (HEAD, "no blank line"),
    "headers that end in the middle of a line": (HEAD[:-1], "no blank line"),
    "a blank line that holds a blank": (HEAD + b" \nsubject\n", "no blank line"),
    "a blank line that ends with CR LF": (HEAD + b"\r\nsubject\n\nbody\n", "is no header"),
    "CR LF everywhere": ((HEAD + b"\nsubject\n").replace(b"\n", b"\r\n"), "no blank line"),
    "a carriage return after the tree": (HEAD.replace(b"4904\n", b"4904\r\n") + b"\n", "no sha1 object id"),
    "a carriage return after the parent": (TREE + parents(ONE + b"\r") + AUTHOR + COMMITTER + b"\n", "no sha1 object"),
    "a carriage return in a name": (HEAD.replace(b"Alice", b"Al\rice") + b"\n", "committer line"),
    "a carriage return after the zone": (HEAD.replace(b"-0130", b"-0130\r") + b"\n", "committer line"),
    "a carriage return after the encoding": (HEAD + b"encoding UTF-8\r\n\n", "encoding"),
    "a carriage return in another header": (HEAD + b"HG:extra x\r\n\n", "carriage return"),
    "a NUL in a header": (HEAD.replace(b"Alice", b"Ali\0ce") + b"\n", "NUL"),
    "a NUL in another header": (HEAD + b"HG:extra x\0y\n\n", "NUL"),
    "a NUL in the message": (HEAD + b"\nsubject\0hidden\n", "NUL"),
    "a byte order mark": (b"\xef\xbb\xbf" + HEAD + b"\n", "git writes tree"),
    "no tree": (AUTHOR + COMMITTER + b"\n", "git writes tree"),
    "two trees": (TREE + HEAD + b"\n", "git writes author"),
    "a second tree at the end": (HEAD + TREE + b"\n", "tree is written twice"),
    "a second tree after the message began": (HEAD + b"x y\n" + TREE + b"\n", "tree is written twice"),
    "a parent before the tree": (parents(ONE) + HEAD + b"\n", "git writes tree"),
    "a parent after the author": (TREE + AUTHOR + parents(ONE) + COMMITTER + b"\n", "git writes committer"),
    "a parent at the end": (HEAD + parents(ONE) + b"\n", "parent is written twice, or not where"),
    "no author": (TREE + COMMITTER + b"\n", "git writes author"),
    "two authors": (TREE + AUTHOR * 2 + COMMITTER + b"\n", "git writes committer"),
    "a second author at the end": (HEAD + AUTHOR + b"\n", "author is written twice"),
    "no committer": (TREE + AUTHOR + b"\n", "git writes committer"),
    "two committers": (HEAD + COMMITTER + b"\n", "committer is written twice"),
    "committer before author": (TREE + COMMITTER + AUTHOR + b"\n", "git writes author"),
    "two encodings": (HEAD + b"encoding UTF-8\nencoding latin1\n\n", "encoding is written twice"),
    "the encoding after another header": (HEAD + b"HG:extra x\nencoding UTF-8\n\n", "not where git writes it"),
    "another header before the author": (TREE + b"HG:extra x\n" + AUTHOR + COMMITTER + b"\n", "git writes author"),
    "a continuation without a header": (b" x\n" + HEAD + b"\n", "git writes tree"),
    "a tree that goes on": (TREE + b" x\n" + AUTHOR + COMMITTER + b"\n", "tree goes on"),
    "a parent that goes on": (TREE + parents(ONE) + b" x\n" + AUTHOR + COMMITTER + b"\n", "parent goes on"),
    "an author that goes on": (TREE + AUTHOR + b" x\n" + COMMITTER + b"\n", "author goes on"),
    "a committer that goes on": (HEAD + b" x\n\n", "committer goes on"),
    "an encoding that goes on": (HEAD + b"encoding UTF-8\n x\n\n", "encoding"),
    "a header without a value": (HEAD + b"HG:extra\n\n", "is no header"),
    "a header without a value that goes on": (HEAD + b"HG:extra\n x y\n\n", "is no header"),
    "a header without a name": (HEAD + b"x y\n\tz a\n\n", "is no header"),
    "a header name with a control character": (HEAD + b"x\x1b[31m y\n\n", "is no header"),
    "a header name beyond ASCII": (HEAD + b"\xc3\xa9 y\n\n", "is no header"),
    "a name in capitals": (HEAD.replace(b"tree", b"Tree") + b"\n", "git writes tree"),
    "two blanks after a name": (HEAD.replace(b"tree ", b"tree  ") + b"\n", "no sha1 object id"),
    "a tab after a name": (HEAD.replace(b"author ", b"author\t") + b"\n", "git writes author"),
    # Ids.
    "an id in capitals": (HEAD.replace(b"4b825dc642cb", b"4B825DC642CB") + b"\n", "no sha1 object id"),
    "an id one digit short": (HEAD.replace(b"4904\n", b"490\n") + b"\n", "no sha1 object id"),
    "an id one digit long": (HEAD.replace(b"4904\n", b"49040\n") + b"\n", "no sha1 object id"),
    "an id that is no hex": (HEAD.replace(b"4904\n", b"490g\n") + b"\n", "no sha1 object id"),
    "an id of the other object format": (HEAD256 + b"\n", "no sha1 object id"),
    "a parent of the other object format": (TREE + parents(b"3" * 64) + AUTHOR + COMMITTER + b"\n", "no sha1 object"),
    "a blank after an id": (HEAD.replace(b"4904\n", b"4904 \n") + b"\n", "no sha1 object id"),
    "an empty parent": (TREE + b"parent \n" + AUTHOR + COMMITTER + b"\n", "no sha1 object id"),
    # Text.
    "a name that is no UTF-8": (HEAD.replace(b"Alice", b"Ren\xe9e") + b"\n", "not text in utf-8"),
    "an address that is no UTF-8": (HEAD.replace(b"alice@", b"ren\xe9e@") + b"\n", "not text in utf-8"),
    "a surrogate in UTF-8": (HEAD.replace(b"Alice", b"\xed\xa0\x80") + b"\n", "not text in utf-8"),
    "an overlong sign in UTF-8": (HEAD.replace(b"alice@", b"alice\xc1\x80") + b"\n", "not text in utf-8"),
    "a message that is no UTF-8": (HEAD + b"\ncaf\xe9\n", "message is not text"),
    "a name not in the declared encoding": (HEAD.replace(b"Alice", b"\xff") + b"encoding EUC-JP\n\n", "not text in"),
    "a message not in the declared encoding": (HEAD + b"encoding EUC-JP\n\n\xff\n", "message is not text"),
    "escapes that say nothing in an address": (
        HEAD.replace(b"alice@", b"alice\x1b(B@") + b"encoding ISO-2022-JP\n\n",
        "not text in iso-2022-jp",
    ),
    "an empty encoding": (HEAD + b"encoding \n\n", "declared encoding"),
}


@pytest.mark.parametrize(("raw", "sentence"), COMMIT_DEFECTS.values(), ids=COMMIT_DEFECTS)
def test_a_commit_is_refused_that_has(raw: bytes, sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        parse_commit(raw, SHA1)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Alice", id="no address"),
        pytest.param(b"<a@b> 1 +0000", id="no blank before the address"),
        pytest.param(b"Alice<a@b> 1 +0000", id="a name that touches the address"),
        pytest.param(b"Alice\t<a@b> 1 +0000", id="a tab before the address"),
        pytest.param(b"Alice a@b> 1 +0000", id="no opening bracket"),
        pytest.param(b"Alice <a@b 1 +0000", id="no closing bracket"),
        pytest.param(b"Alice <a@b>1 +0000", id="no blank after the address"),
        pytest.param(b"Alice <a@b>  1 +0000", id="two blanks after the address"),
        pytest.param(b"Alice <<a@b> 1 +0000", id="two opening brackets"),
        pytest.param(b"Alice <a@b>> 1 +0000", id="two closing brackets"),
        pytest.param(b"Alice <a@b> <c@d> 1 +0000", id="two addresses"),
        pytest.param(b"Ali>ce <a@b> 1 +0000", id="a bracket in the name"),
        pytest.param(b"Alice <a@b>", id="no time"),
        pytest.param(b"Alice <a@b> 1", id="no zone"),
        pytest.param(b"Alice <a@b> +0000", id="a zone and no time"),
        pytest.param(b"Alice <a@b> -1 +0000", id="a time before 1970"),
        pytest.param(b"Alice <a@b> 01 +0000", id="a padded time"),
        pytest.param(b"Alice <a@b> 1.5 +0000", id="a broken time"),
        pytest.param(b"Alice <a@b> 1_0 +0000", id="a time as Python writes it"),
        pytest.param(b"Alice <a@b> \xd9\xa1 +0000", id="a time in Arabic digits"),
        pytest.param(b"Alice <a@b> 253402300800 +0000", id="a time after the year 9999"),
        pytest.param(b"Alice <a@b> 18446744073709551615 +0000", id="a time that overflows"),
        pytest.param(b"Alice <a@b> " + b"9" * 5000 + b" +0000", id="a time of thousands of digits"),
        pytest.param(b"Alice <a@b> 1 0000", id="a zone without a sign"),
        pytest.param(b"Alice <a@b> 1 +000", id="a zone of three digits"),
        pytest.param(b"Alice <a@b> 1 +00000", id="a zone of five digits"),
        pytest.param(b"Alice <a@b> 1 UTC", id="a zone by name"),
        pytest.param(b"Alice <a@b> 1 -+100", id="a zone of two signs"),
        pytest.param(b"Alice <a@b> 1 +0000 ", id="a blank after the zone"),
        pytest.param(b"Ali\nce <a@b> 1 +0000", id="a newline in the name"),
        pytest.param(b"Ali\0ce <a@b> 1 +0000", id="a NUL in the name"),
    ],
)
def test_an_ident_is_refused_that_has(value: bytes) -> None:
    with pytest.raises(MalformedError):
        Ident.parse(value)
    with pytest.raises(MalformedError):
        parse_commit(TREE + b"author " + value + b"\n" + COMMITTER + b"\n", SHA1)
    with pytest.raises(MalformedError):
        parse_commit(TREE + AUTHOR + b"committer " + value + b"\n\n", SHA1)
    with pytest.raises(MalformedError):
        parse_tag(TAG_HEAD + b"tagger " + value + b"\n\n", SHA1)


def test_an_ident_does_not_end_with_a_newline() -> None:
    with pytest.raises(MalformedError):
        Ident.parse(b"Alice <a@b> 1 +0000\n")


def test_an_idents_time_is_in_utc() -> None:
    ident = Ident.parse(b"Alice <alice@example.org> 1795442263 -0130")
    assert ident.when == datetime(2026, 11, 23, 13, 57, 43, tzinfo=UTC)
    assert Ident.parse(b" <> 253402300799 +0000").when.year == 9999


TAG_DEFECTS: dict[str, tuple[bytes, str]] = {
    "text after the END line": (TAG_HEAD + TAGGER + b"\nrelease\n" + X509 + b"more\n", "END line"),
    "an empty line after the END line": (TAG_HEAD + TAGGER + b"\nrelease\n" + X509 + b"\n", "END line"),
    "an empty line after an OpenPGP signature": (TAG_HEAD + TAGGER + b"\nrelease\n" + PGP + b"\n", "END line"),
    "no newline after the END line": (TAG_HEAD + TAGGER + b"\nrelease\n" + X509[:-1], "END line"),
    "two signatures": (TAG_HEAD + TAGGER + b"\nrelease\n" + X509 + X509, "several armour"),
    "two signatures of two formats": (TAG_HEAD + TAGGER + b"\nrelease\n" + PGP + X509, "several armour"),
    "a signature and one that only begins": (
        TAG_HEAD + TAGGER + b"\n" + X509 + b"-----BEGIN PGP SIGNATURE-----junk",
        "several armour",
    ),
    "a line git takes for a BEGIN line": (TAG_HEAD + TAGGER + b"\n-----BEGIN SSH SIGNATURE-----junk\n", "END line"),
    "a BEGIN line in the message": (TAG_HEAD + TAGGER + b"\n-----BEGIN PGP MESSAGE-----\ntext\n", "END line"),
    "a junk gpgsig header": (TAG_HEAD + TAGGER + b"gpgsig x\n\nrelease\n" + X509, "no header"),
    "a junk gpgsig-sha256 header": (TAG_HEAD + TAGGER + b"gpgsig-sha256 x\n\nrelease\n" + X509, "no header"),
    "a gpgsig header in place of the tagger": (TAG_HEAD + b"gpgsig x\n\nrelease\n" + X509, "git writes tagger"),
    "another header": (TAG_HEAD + TAGGER + b"encoding UTF-8\n\nrelease\n", "no header"),
    "two taggers": (TAG_HEAD + TAGGER * 2 + b"\nrelease\n", "no header"),
    "no object": (TAG_HEAD[48:] + TAGGER + b"\nrelease\n", "git writes object"),
    "no type": (TAG_HEAD.replace(b"type commit\n", b"") + TAGGER + b"\nrelease\n", "git writes type"),
    "no name": (TAG_HEAD.replace(b"tag v1\n", b"") + TAGGER + b"\nrelease\n", "git writes tag"),
    "an empty name": (TAG_HEAD.replace(b"v1", b"") + TAGGER + b"\nrelease\n", "name is empty"),
    "a name that is no UTF-8": (TAG_HEAD.replace(b"v1", b"\xff") + TAGGER + b"\nrelease\n", "not text in utf-8"),
    "a carriage return in the name": (TAG_HEAD.replace(b"v1", b"v1\r") + TAGGER + b"\nrelease\n", "carriage"),
    "a name that goes on": (TAG_HEAD + b" x\n" + TAGGER + b"\nrelease\n", "tag goes on"),
    "a tagger that goes on": (TAG_HEAD + TAGGER + b" x\n\nrelease\n", "tagger goes on"),
    "a type git does not know": (TAG_HEAD.replace(b"commit", b"note") + TAGGER + b"\nrelease\n", "no known type"),
    "a type in capitals": (TAG_HEAD.replace(b"commit", b"Commit") + TAGGER + b"\nrelease\n", "no known type"),
    "type before object": (
        b"type commit\nobject " + ONE + b"\ntag v1\n" + TAGGER + b"\nrelease\n",
        "git writes object",
    ),
    "an id of the other object format": (TAG_HEAD.replace(ONE, b"3" * 64) + TAGGER + b"\n", "no sha1 object id"),
    "a NUL in the message": (TAG_HEAD + TAGGER + b"\nrelease\0hidden\n", "NUL"),
    "a message that is no UTF-8": (TAG_HEAD + TAGGER + b"\ncaf\xe9\n", "message is not text"),
    "no blank line": (TAG_HEAD + TAGGER, "no blank line"),
    "a signature in place of the blank line": (TAG_HEAD + TAGGER + X509, "no blank line"),
}


@pytest.mark.parametrize(("raw", "sentence"), TAG_DEFECTS.values(), ids=TAG_DEFECTS)
def test_a_tag_is_refused_that_has(raw: bytes, sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        parse_tag(raw, SHA1)


NOT_THE_HEADERS, NOT_AN_UPDATE = "headers are not those", "is not OLD NEW REF"
PUSH_DEFECTS: dict[str, tuple[bytes, str]] = {
    "another version": (PUSHED.replace(b"0.1", b"0.2") + b"\n" + UPDATE, NOT_THE_HEADERS),
    "no version": (PUSHED[24:] + b"\n" + UPDATE, NOT_THE_HEADERS),
    "no pusher": (PUSHED[:24] + b"\n" + UPDATE, NOT_THE_HEADERS),
    "two pushers": (PUSHED + PUSHED[24:] + b"\n" + UPDATE, NOT_THE_HEADERS),
    "a pusher without a time": (PUSHED.replace(b" 1795442263 +0000", b"") + b"\n" + UPDATE, NOT_THE_HEADERS),
    "a pusher with a padded time": (PUSHED.replace(b" 1795442263", b" 01") + b"\n" + UPDATE, NOT_THE_HEADERS),
    "a time after the year 9999": (PUSHED.replace(b"1795442263", b"9" * 12) + b"\n" + UPDATE, "after the year 9999"),
    "an empty pushee": (PUSHED + b"pushee \n\n" + UPDATE, NOT_THE_HEADERS),
    "two pushees": (PUSHED + b"pushee a\npushee b\n\n" + UPDATE, NOT_THE_HEADERS),
    "two nonces": (PUSHED + b"nonce a\nnonce b\n\n" + UPDATE, NOT_THE_HEADERS),
    "an empty nonce": (PUSHED + b"nonce \n\n" + UPDATE, NOT_THE_HEADERS),
    "the nonce before the pushee": (PUSHED + b"nonce a\npushee b\n\n" + UPDATE, NOT_THE_HEADERS),
    "a header git does not write": (PUSHED + b"note x\n\n" + UPDATE, NOT_THE_HEADERS),
    "a gpgsig header": (PUSHED + b"gpgsig x\n\n" + UPDATE + X509, NOT_THE_HEADERS),
    "a header that goes on": (PUSHED + b"pushee a\n b\n\n" + UPDATE, NOT_THE_HEADERS),
    "a carriage return": (PUSHED + b"pushee a\r\n\n" + UPDATE, NOT_THE_HEADERS),
    "a pushee that is no UTF-8": (PUSHED + b"pushee \xff\n\n" + UPDATE, "not text in utf-8"),
    "an option that is no UTF-8": (PUSHED + b"push-option \xff\n\n" + UPDATE, "not text in utf-8"),
    "no blank line": (PUSHED + UPDATE, "no blank line"),
    "no update": (PUSHED + b"\n", NOT_AN_UPDATE),
    "no update but a signature": (PUSHED + b"\n" + X509, NOT_AN_UPDATE),
    "an empty line between the updates": (PUSHED + b"\n" + UPDATE + b"\n" + UPDATE, NOT_AN_UPDATE),
    "an update without its newline": (PUSHED + b"\n" + UPDATE[:-1], "has no newline"),
    "a ref updated twice": (PUSHED + b"\n" + UPDATE * 2, "updated twice"),
    "an update of two object formats": (PUSHED + b"\n" + ONE + b" " + b"3" * 64 + b" refs/x\n", NOT_AN_UPDATE),
    "an update without a ref": (PUSHED + b"\n" + ONE + b" " + TWO + b"\n", NOT_AN_UPDATE),
    "a ref with a blank": (PUSHED + b"\n" + ONE + b" " + TWO + b" refs/x y\n", NOT_AN_UPDATE),
    "a ref with a control character": (PUSHED + b"\n" + ONE + b" " + TWO + b" refs/\x1b[2J\n", NOT_AN_UPDATE),
    "a ref that is no UTF-8": (PUSHED + b"\n" + ONE + b" " + TWO + b" refs/\xff\n", "not text in utf-8"),
    "a NUL": (PUSHED + b"\n" + UPDATE[:-1] + b"\0report-status\n", "NUL"),
    "text after the END line": (PUSHED + b"\n" + UPDATE + X509 + UPDATE, "END line"),
    "two signatures": (PUSHED + b"\n" + UPDATE + X509 + SSH, "several armour"),
    "an update behind a first signature": (PUSHED + b"\n" + UPDATE + X509 + UPDATE + X509, "several armour"),
}


@pytest.mark.parametrize(("raw", "sentence"), PUSH_DEFECTS.values(), ids=PUSH_DEFECTS)
def test_a_push_certificate_is_refused_that_has(raw: bytes, sentence: str) -> None:
    with pytest.raises(MalformedError, match=sentence):
        parse_push_certificate(raw)


@pytest.mark.parametrize(
    "name", ["ISO-8859-1", "iso8859-1", "ISO_8859-15", "latin1", "CP1252", "windows-1251", "KOI8-R", "Shift_JIS"]
)
def test_an_encoding_is_known_however_it_is_spelt(name: str) -> None:
    raw = HEAD + b"encoding " + name.encode() + b"\n\nsubject\n"
    parsed = parse_commit(raw, SHA1)
    assert parsed.encoding == name
    assert parsed.encode() == raw


@pytest.mark.parametrize(
    "name",
    ["UTF-7", "UTF-16", "UTF-32", "cp037", "cp500", "idna", "punycode", "unicode_escape", "rot13", "hex", "mbcs"],
)
def test_an_encoding_is_refused_in_which_ascii_is_not_ascii_or_that_is_none(name: str) -> None:
    with pytest.raises(MalformedError, match="declared encoding"):
        parse_commit(HEAD + b"encoding " + name.encode() + b"\n\nsubject\n", SHA1)


@pytest.mark.parametrize("codec", sorted(set(gitobject._CODECS.values())))
def test_every_encoding_that_is_read_leaves_ascii_as_it_is(codec: str) -> None:
    printable = bytes(range(0x20, 0x7F))
    assert codecs.lookup(codec)
    assert printable.decode(codec).encode("ascii") == printable


def test_names_are_decoded_as_declared() -> None:
    raw = HEAD.replace(b"Alice", b"Ren\xe9e") + b"encoding latin1\n\ncaf\xe9\n"
    parsed = parse_commit(raw, SHA1)
    assert parsed.committer.name == "Renée"
    assert parsed.message == b"caf\xe9\n"


@pytest.mark.parametrize("name", [name for name, (kind, _, _) in GOOD.items() if kind is not PUSH])
def test_ids_of_the_other_object_format_are_refused(name: str) -> None:
    kind, fmt, raw = GOOD[name]
    with pytest.raises(MalformedError):
        parse(raw, kind, SHA256 if fmt is SHA1 else SHA1)


@pytest.mark.parametrize("other", ObjectKind)
@pytest.mark.parametrize("name", ["a root commit", "a signed tag", "a push certificate"])
def test_an_object_is_of_one_kind_only(name: str, other: ObjectKind) -> None:
    kind, fmt, raw = GOOD[name]
    read = {ObjectKind.COMMIT: parse_commit, ObjectKind.TAG: parse_tag}.get(other)
    if other is kind:
        assert parse(raw, other, fmt) == (read(raw, fmt) if read else parse_push_certificate(raw))
    else:
        with pytest.raises(MalformedError):
            parse(raw, other, fmt)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello\n", id="text"),
        pytest.param(b"tree \n\n", id="a tree line without an id"),
        pytest.param(b"tree " + b"1" * 41, id="a tree line without an end"),
        pytest.param(b"object " + b"1" * 64, id="an object line without an end"),
        pytest.param(b"certificate version 0.1\n", id="the beginning of a push certificate"),
        pytest.param(b"100644 file\0" + b"\1" * 20, id="a tree"),
        pytest.param(b"commit 10\0" + HEAD + b"\n", id="a loose object with its header"),
        pytest.param(b'{"_type":"https://in-toto.io/Statement/v1"}', id="a statement"),
        pytest.param(b"\n" + HEAD + b"\n", id="an empty line before a commit"),
        pytest.param(SIGNED, id="a signed commit"),
        pytest.param(HEAD256 + folded(b"gpgsig-sha256", X509) + b"\n", id="a signed SHA-256 commit"),
        pytest.param(HEAD256 + folded(b"gpgsig", X509) + b"\n", id="a SHA-256 commit signed as SHA-1"),
        pytest.param(TAG_HEAD + TAGGER + b"\nrelease\n" + X509, id="a signed tag"),
        pytest.param(TAG_HEAD + TAGGER + b"\n" + X509 + b"release\n", id="a tag with an armour in its message"),
        pytest.param(PUSHED + b"\n" + UPDATE + X509, id="a signed push certificate"),
    ],
)
def test_a_payload_is_refused_that_is(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_payload(payload)


def test_a_refusal_shows_no_control_characters() -> None:
    with pytest.raises(MalformedError) as caught:
        parse_commit(HEAD.replace(b"4904\n", b"4904\x1b[2J\x07" + b"x" * 1000 + b"\n") + b"\n", SHA1)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 200


def test_an_object_over_the_bound_is_refused() -> None:
    head = HEAD + b"\n"
    largest = head + b"x" * (gitobject.MAX_OBJECT_BYTES - len(head))
    assert parse_commit(largest, SHA1).raw is largest
    for kind in ObjectKind:
        with pytest.raises(MalformedError, match="at most"):
            parse(largest + b"x", kind, SHA1)


def test_the_number_of_parents_is_bounded() -> None:
    most = [b"%040x" % number for number in range(gitobject.MAX_PARENTS)]
    assert len(parse_commit(TREE + parents(*most) + AUTHOR + COMMITTER + b"\n", SHA1).parents) == len(most)
    with pytest.raises(MalformedError, match="513 parents"):
        parse_commit(TREE + parents(*most, ONE) + AUTHOR + COMMITTER + b"\n", SHA1)


def test_the_number_of_headers_is_bounded() -> None:
    room = gitobject.MAX_HEADERS - 3
    assert len(parse_commit(HEAD + b"x y\n" * room + b"\n", SHA1).extra) == room
    with pytest.raises(MalformedError, match="headers"):
        parse_commit(HEAD + b"x y\n" * (room + 1) + b"\n", SHA1)
    with pytest.raises(MalformedError, match="options"):
        parse_push_certificate(PUSHED + b"push-option \n" * (gitobject.MAX_HEADERS + 1) + b"\n" + UPDATE)


@pytest.mark.parametrize(
    "line",
    [b" \n", b" x\n", b"gpgsig x\n", b"parent \n", b"-----BEGIN PGP SIGNATURE-----\n", b" -----BEGIN \n"],
    ids=repr,
)
def test_an_object_of_nothing_but_one_line_is_soon_done_with(line: bytes) -> None:
    """What took quadratic time would not end here: 4 MiB are up to two million lines."""
    many = line * ((gitobject.MAX_OBJECT_BYTES // 4) // len(line))
    assert parse_commit(HEAD + b"\n" + many, SHA1).message == many
    for kind, raw in (
        (COMMIT, HEAD + many + b"\n"),
        (COMMIT, HEAD + b"gpgsig -----BEGIN SSH SIGNATURE-----\n" + many + b"\n"),
        (TAG, TAG_HEAD + TAGGER + many + b"\n"),
        (TAG, TAG_HEAD + TAGGER + b"\n-----BEGIN SSH SIGNATURE-----\n" + many),
        (PUSH, PUSHED + b"\n" + many),
    ):
        with pytest.raises(MalformedError):
            parse(raw, kind, SHA1)


@pytest.mark.parametrize(
    ("fmt", "expected"),
    [
        (SHA1, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        (SHA256, "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"),
    ],
)
def test_a_push_certificate_has_the_id_of_a_blob(fmt: ObjectFormat, expected: str) -> None:
    """The ids of git's empty blob, as git prints them."""
    assert object_id(PUSH, b"", fmt) == expected


@pytest.mark.parametrize("kind", ObjectKind)
@given(raw=st.binary(max_size=300))
@settings(derandomize=True, max_examples=100, deadline=None)
def test_any_bytes_are_refused_or_encode_to_themselves(kind: ObjectKind, raw: bytes) -> None:
    for fmt in ObjectFormat:
        try:
            parsed = parse(raw, kind, fmt)
        except MalformedError:
            continue
        assert parsed.encode() == raw


LINES = sorted({line for _, _, raw in GOOD.values() for line in lines_of(raw)})
PIECES = st.one_of(
    st.sampled_from(LINES),
    st.sampled_from([X509, SSH, PGP, GPGSIG, folded(b"gpgsig-sha256", X509), folded(b"gpgsig-evil", SSH), b""]),
    st.sampled_from([b"\n", b" ", b"\n ", b"\n\n", b"\0", b"\r", b"\r\n", b"<", b">", b"0", b"\xe9", b"\x1b(B", b"-"]),
    st.binary(min_size=1, max_size=3),
)
EDITS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 60), st.booleans(), PIECES), min_size=1, max_size=3)


def edited(raw: bytes, edits: list[tuple[int, int, bool, bytes]]) -> bytes:
    """Each edit replaces some bytes, or some whole lines, by a piece."""
    for place, length, whole_lines, piece in edits:
        if whole_lines:
            lines = lines_of(raw)
            at = place % (len(lines) + 1)
            lines[at : at + length // 20] = [piece]
            raw = b"".join(lines)
        else:
            at = place % (len(raw) + 1)
            raw = raw[:at] + piece + raw[at + length % 4 :]
    return raw


@good
@given(edits=EDITS)
@settings(derandomize=True, max_examples=60, deadline=None)
def test_an_edited_object_is_refused_or_read_as_git_reads_it(
    kind: ObjectKind, fmt: ObjectFormat, raw: bytes, edits: list[tuple[int, int, bool, bytes]]
) -> None:
    """No edit leaves payload and signature alone: for one signature there is one object."""
    other = edited(raw, edits)
    try:
        parsed = parse(other, kind, fmt)
    except MalformedError:
        return
    assert parsed.encode() == other
    assert taken(parsed) == git_split(kind, fmt, other)
    assert other == raw or taken(parsed) != taken(parse(raw, kind, fmt))
