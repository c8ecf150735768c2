"""The object parser against real git: what it writes, what it hands to programs, what it lets pass.

A small recording program stands in for gpgsm and gpg. It keeps the bytes git gives it to sign, and the payload
and signature git gives it to verify; ssh-keygen is itself the judge of its signatures.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from attest.errors import MalformedError
from attest.gitobject import (
    Commit,
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
)
from tests.peers import peer
from tests.test_gitobject import GOOD, folded, git_commit_split, lines_of

SHA1, SHA256 = ObjectFormat.SHA1, ObjectFormat.SHA256
COMMIT, TAG = ObjectKind.COMMIT, ObjectKind.TAG
IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Agent 7"), ("EMAIL", "agent-7@example.org"), ("DATE", "1795442263 -0130"))
}
ARMOURS = {
    SignatureFormat.X509: "-----BEGIN SIGNED MESSAGE-----\nMIIB\n-----END SIGNED MESSAGE-----\n",
    SignatureFormat.OPENPGP: "-----BEGIN PGP SIGNATURE-----\n\niQIz\n=ab12\n-----END PGP SIGNATURE-----\n",
}
PROGRAM = {SignatureFormat.X509: "gpg.x509.program", SignatureFormat.OPENPGP: "gpg.program"}

RECORDER = """#!/bin/sh
case " $* " in
*" --verify "*)
    while [ "$1" != --verify ]; do shift; done
    cat "$2" >{folder}/signature
    cat >{folder}/verified
    printf '[GNUPG:] NEWSIG\\n[GNUPG:] GOODSIG 00 x\\n[GNUPG:] TRUST_FULLY 0 x\\n' ;;
*)
    cat >{folder}/signed
    printf '\\n[GNUPG:] SIG_CREATED D 22 10 00 1795442263 00\\n' >&2
    printf %s {armour} ;;
esac
"""


@dataclass(frozen=True)
class Work:
    """A repository of real git, and the folder in which its signing program keeps what it was given."""

    path: Path
    fmt: ObjectFormat
    records: Path

    def run(self, *arguments: str, data: bytes = b"", check: bool = True, env: Mapping[str, str] = IDENTITY) -> bytes:
        done = subprocess.run(
            [str(peer("git")), *arguments],
            cwd=self.path,
            env={**os.environ, **IDENTITY, **env},
            input=data,
            capture_output=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout

    def git(self, *arguments: str, data: bytes = b"", check: bool = True, env: Mapping[str, str] = IDENTITY) -> str:
        return self.run(*arguments, data=data, check=check, env=env).decode().strip()

    def commit(self, *arguments: str, data: bytes = b"", env: Mapping[str, str] = IDENTITY) -> str:
        """A new commit on HEAD without changes; returns its id."""
        self.git("commit", "--quiet", "--allow-empty", *arguments, data=data, env=env)
        return self.git("rev-parse", "HEAD")

    def raw(self, kind: ObjectKind, revision: str) -> bytes:
        return self.run("cat-file", str(kind), revision)

    def write(self, kind: ObjectKind, raw: bytes) -> str:
        """Put any bytes into the repository as an object."""
        return self.git("hash-object", "-t", str(kind), "-w", "--stdin", "--literally", data=raw)

    def record(self, name: str) -> bytes:
        return (self.records / name).read_bytes()

    def sign_with_recorder(self, fmt: SignatureFormat) -> None:
        program = self.records / f"record-{fmt}"
        program.write_text(RECORDER.format(folder=shlex.quote(str(self.records)), armour=shlex.quote(ARMOURS[fmt])))
        program.chmod(0o755)
        self.git("config", "gpg.format", str(fmt))
        self.git("config", PROGRAM[fmt], str(program))
        self.git("config", "user.signingkey", "notme:agent-7")

    def sign_with_ssh(self) -> Path:
        """Sign with a new ssh key; returns it."""
        key = self.records / "key"
        command = [str(peer("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
        subprocess.run(command, check=True, capture_output=True)
        self.git("config", "gpg.format", "ssh")
        self.git("config", "user.signingkey", str(key))
        return key


def new_repository(path: Path, fmt: ObjectFormat, *arguments: str) -> Work:
    records = path.with_name(f"{path.name}-records")
    for folder in (path, records):
        folder.mkdir()
    made = Work(path, fmt, records)
    made.git("init", "--quiet", "--initial-branch=main", f"--object-format={fmt}", *arguments)
    return made


@pytest.fixture(params=list(ObjectFormat))
def work(request: pytest.FixtureRequest, tmp_path: Path) -> Work:
    return new_repository(tmp_path / "work", request.param)


@pytest.fixture
def sha1(tmp_path: Path) -> Work:
    return new_repository(tmp_path / "work", SHA1)


def read(work: Work, kind: ObjectKind, revision: str) -> Commit | Tag | PushCertificate:
    """The object parsed, once id and bytes agree with git's."""
    raw = work.raw(kind, revision)
    assert object_id(kind, raw, work.fmt) == work.git("rev-parse", revision)
    parsed = parse(raw, kind, work.fmt)
    assert parsed.encode() == raw
    return parsed


def read_commit(work: Work, revision: str = "HEAD") -> Commit:
    parsed = read(work, COMMIT, revision)
    assert isinstance(parsed, Commit)
    return parsed


def check_fields(work: Work, revision: str) -> None:
    """What git log says of a commit is what the parser says."""
    parsed = read_commit(work, revision)
    told = work.run(
        *("log", "-1", "--no-show-signature", "--encoding=UTF-8"),
        "--format=%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%e%x00",
        revision,
    )
    author, committer = parsed.author, parsed.committer
    fields = [parsed.tree, " ".join(parsed.parents)]
    fields += [author.name, author.email, str(author.seconds)]
    fields += [committer.name, committer.email, str(committer.seconds), parsed.encoding or ""]
    assert told.decode().split("\0")[:-1] == fields


def test_the_commits_git_makes_are_read(work: Work) -> None:
    made = [work.commit("-m", "root")]
    made.append(work.commit("--allow-empty-message", "-m", ""))
    made.append(work.commit("-m", "names", env={"GIT_AUTHOR_NAME": "Zoë 山田", "GIT_AUTHOR_EMAIL": "zoë@example.org"}))
    made.append(work.commit("-m", "no address", env={"GIT_AUTHOR_EMAIL": ""}))
    made.append(work.commit("-m", "long ago", env={"GIT_AUTHOR_DATE": "@0 -0000", "GIT_COMMITTER_DATE": "@1 +1400"}))
    made.append(work.commit("-m", "zone", env={"GIT_AUTHOR_DATE": "1795442263 -9959"}))
    made.append(work.commit("--cleanup=verbatim", "-F", "-", data=b"\n\nno newline at the end\r\n\n\n tail"))
    tree = work.git("rev-parse", "HEAD^{tree}")
    made.append(work.git("commit-tree", tree, "-p", made[0], "-p", made[1], "-p", made[2], "-m", "octopus"))
    made.append(work.git("commit-tree", tree, data=b"no newline"))
    for oid in made:
        check_fields(work, oid)


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "latin1", "windows-1252", "ISO-8859-15"])
def test_a_commit_in_another_encoding_is_read_as_git_shows_it(work: Work, encoding: str) -> None:
    message, name = "café\n".encode("latin1"), os.fsdecode("Renée".encode("latin1"))
    work.git("config", "i18n.commitEncoding", encoding)
    work.commit("-F", "-", data=message, env={"GIT_AUTHOR_NAME": name})
    check_fields(work, "HEAD")
    parsed = read_commit(work)
    assert (parsed.encoding, parsed.author.name, parsed.message) == (encoding, "Renée", message)


@pytest.mark.parametrize("fmt", ARMOURS)
def test_a_commits_payload_is_what_git_has_signed_and_verified(work: Work, fmt: SignatureFormat) -> None:
    work.sign_with_recorder(fmt)
    work.commit("-m", "root")
    for arguments, data in (
        (["-S", "-m", "subject"], b""),
        (["-S", "--allow-empty-message", "-m", ""], b""),
        (["-S", "--cleanup=verbatim", "-F", "-"], b"\n\nno newline at the end\r\n\n" + ARMOURS[fmt].encode()[:-1]),
        (["-S", "--amend", "-m", "amended"], b""),
    ):
        oid = work.commit(*arguments, data=data)
        check_recorded(work, COMMIT, oid, fmt)


def check_recorded(work: Work, kind: ObjectKind, oid: str, fmt: SignatureFormat) -> None:
    """The parser's payload and signature are what git gave the program, signing and verifying."""
    parsed = read(work, kind, oid)
    assert parsed.payload == work.record("signed")
    assert parsed.signature is not None
    assert parsed.signature.format is fmt
    work.git(f"verify-{kind}", oid)
    assert (parsed.payload, parsed.signature.armour) == (work.record("verified"), work.record("signature"))
    assert parse_payload(parsed.payload) == replace(parsed, signature=None, raw=parsed.payload)


@pytest.mark.parametrize("fmt", ARMOURS)
def test_a_signed_commit_with_encoding_and_merged_tags_is_read(work: Work, fmt: SignatureFormat) -> None:
    work.sign_with_recorder(fmt)
    base = work.commit("-m", "root")
    for name in ("one", "two"):
        work.git("checkout", "--quiet", "-b", name, base)
        work.commit("-m", name)
        work.git("tag", "-s", "-m", f"release {name}\r\n\r\nnotes", f"v-{name}")
    work.git("checkout", "--quiet", "main")
    work.commit("-m", "meanwhile")
    work.git("-c", "i18n.commitEncoding=latin1", "merge", "-S", "--no-ff", "-m", "merge", "v-one", "v-two")
    check_recorded(work, COMMIT, "HEAD", fmt)
    check_fields(work, "HEAD")
    parsed = read_commit(work)
    assert len(parsed.parents) == 3
    assert parsed.encoding == "latin1"
    assert [name for name, _ in parsed.extra] == [b"mergetag", b"mergetag"]
    for (_, value), name in zip(parsed.extra, ("one", "two"), strict=True):
        tag = value + b"\n"
        assert object_id(TAG, tag, work.fmt) == work.git("rev-parse", f"refs/tags/v-{name}")
        assert parse_tag(tag, work.fmt).signature is not None


@pytest.mark.parametrize("fmt", ARMOURS)
@pytest.mark.parametrize("target", ["HEAD", "HEAD^{tree}", "HEAD:file", "refs/tags/v0"])
def test_a_tags_payload_is_what_git_has_signed_and_verified(work: Work, fmt: SignatureFormat, target: str) -> None:
    (work.path / "file").write_bytes(b"content\n")
    work.git("add", "file")
    work.commit("-m", "root")
    work.git("tag", "-a", "-m", "zero", "v0")
    work.sign_with_recorder(fmt)
    work.git("tag", "-s", "-m", "release\n\nnotes", "v1", target)
    check_recorded(work, TAG, "refs/tags/v1", fmt)
    parsed = read(work, TAG, "refs/tags/v1")
    assert isinstance(parsed, Tag)
    assert (parsed.object, parsed.object_type) == (work.git("rev-parse", target), work.git("cat-file", "-t", target))
    assert parsed.tagger is not None
    assert (parsed.tagger.email, parsed.tagger.zone) == ("agent-7@example.org", "-0130")


def test_a_tag_without_a_message_is_read(work: Work) -> None:
    work.commit("-m", "root")
    work.git("tag", "-a", "-m", "", "v1")
    work.sign_with_recorder(SignatureFormat.X509)
    work.git("tag", "-s", "-m", "", "v2")
    for name in ("v1", "v2"):
        parsed = read(work, TAG, f"refs/tags/{name}")
        assert isinstance(parsed, Tag)
        assert parsed.message == b""
    check_recorded(work, TAG, "refs/tags/v2", SignatureFormat.X509)


def check_ssh(work: Work, parsed: Commit | Tag | PushCertificate) -> None:
    """ssh-keygen finds the signature good over the payload, and bad over anything else."""
    assert parsed.signature is not None
    assert parsed.signature.format is SignatureFormat.SSH
    file = work.records / "signature"
    file.write_bytes(parsed.signature.armour)
    command = [str(peer("ssh-keygen")), "-Y", "check-novalidate", "-n", "git", "-s", str(file)]
    for payload, good in ((parsed.payload, True), (parsed.payload + b"\n", False)):
        done = subprocess.run(command, input=payload, capture_output=True, check=False)
        assert (done.returncode == 0) is good


def test_ssh_keygen_verifies_payload_and_signature_of_commits_and_tags(work: Work) -> None:
    work.sign_with_ssh()
    work.commit("-S", "-m", "subject")
    work.git("tag", "-s", "-m", "release", "v1")
    work.git("checkout", "--quiet", "--orphan", "other")
    work.commit("-S", "-m", "root")
    work.git("merge", "-S", "--allow-unrelated-histories", "-m", "merge", "v1")
    assert b"mergetag" in work.raw(COMMIT, "HEAD")
    for revision in ("main", "other", "other^1"):
        check_ssh(work, read(work, COMMIT, revision))
    check_ssh(work, read(work, TAG, "refs/tags/v1"))


def test_a_commit_keeps_headers_of_other_tools_when_it_is_amended_and_signed(work: Work) -> None:
    work.sign_with_recorder(SignatureFormat.X509)
    oid = work.commit("-m", "root")
    head, message = work.raw(COMMIT, oid).split(b"\n\n", 1)
    odd = head + b"\nHG:extra branch:x\nchange-id kxq\n second\n \n last\n\n" + message
    work.git("reset", "--quiet", "--soft", work.write(COMMIT, odd))
    work.git("commit", "--quiet", "--amend", "-S", "--allow-empty", "-m", "amended")
    assert read_commit(work).extra == ((b"HG:extra", b"branch:x"), (b"change-id", b"kxq\nsecond\n\nlast"))
    check_recorded(work, COMMIT, "HEAD", SignatureFormat.X509)


def own_header(fmt: ObjectFormat) -> bytes:
    return b"gpgsig" if fmt is SHA1 else b"gpgsig-sha256"


def insert(raw: bytes, before: bytes, added: bytes) -> bytes:
    at = raw.index(b"\n" + before) + 1
    return raw[:at] + added + raw[at:]


def malleable_commits(raw: bytes, fmt: ObjectFormat) -> dict[str, bytes]:
    """Other objects with the payload of a signed commit (formats.md 7.1)."""
    name = own_header(fmt)
    other = b"gpgsig-sha256" if fmt is SHA1 else b"gpgsig"
    armour = ARMOURS[SignatureFormat.X509].encode()
    header = folded(name, armour)
    unsigned = raw.replace(header, b"")
    return {
        "another gpgsig header": insert(raw, name, b"gpgsig-evil unsigned\n"),
        "another gpgsig header of many lines": insert(raw, name, b"gpgsig-evil unsigned\n and\n more\n"),
        "a name that only begins like it before the author": insert(raw, b"author", b"gpgsigXYZ unsigned\n"),
        "the header of the other object format": insert(raw, name, other + b" unsigned\n"),
        "another gpgsig header behind": raw.replace(header, header + b"gpgsig-evil unsigned\n"),
        "a second signature": raw.replace(header, header * 2),
        "the signature before the author": insert(unsigned, b"author", header),
        "the signature before the committer": insert(unsigned, b"committer", header),
        "text after the END line": raw.replace(header, header + b" unsigned\n"),
        "an empty line after the END line": raw.replace(header, header + b" \n"),
    }


def test_git_takes_objects_with_unsigned_bytes_for_signed_and_the_parser_refuses_them(work: Work) -> None:
    """One signature, many objects: all of these verify in git with the payload of the first."""
    work.sign_with_recorder(SignatureFormat.X509)
    oid = work.commit("-S", "-m", "subject")
    raw, payload = work.raw(COMMIT, oid), work.record("signed")
    for name, other in malleable_commits(raw, work.fmt).items():
        assert other != raw, name
        work.git("verify-commit", work.write(COMMIT, other))
        assert work.record("verified") == payload, name
        with pytest.raises(MalformedError):
            parse_commit(other, work.fmt)


def test_git_takes_tags_with_unsigned_bytes_for_signed_and_the_parser_refuses_them(work: Work) -> None:
    work.sign_with_recorder(SignatureFormat.X509)
    work.commit("-m", "root")
    work.git("tag", "-s", "-m", "release", "v1")
    raw, payload = work.raw(TAG, "refs/tags/v1"), work.record("signed")
    for other in (
        raw + b"unsigned\n",
        raw + b"\n",
        insert(raw, b"\n", b"gpgsig unsigned\n"),
        insert(raw, b"\n", b"gpgsig-sha256 unsigned\n"),
    ):
        work.git("verify-tag", work.write(TAG, other))
        assert work.record("verified") == payload
        with pytest.raises(MalformedError):
            parse_tag(other, work.fmt)


def test_git_splits_odd_commits_as_the_unit_tests_say_it_does(work: Work) -> None:
    """`git_commit_split` judges the property tests; here git judges it, line by line of a commit displaced."""
    work.sign_with_recorder(SignatureFormat.X509)
    raw = work.raw(COMMIT, work.commit("-S", "-m", "subject\n\nbody"))
    lines = lines_of(raw)
    odd = [*malleable_commits(raw, work.fmt).values()]
    pieces = (b"gpgsig-evil x\n", b" goes on\n", lines[4])
    odd += [b"".join([*lines[:at], piece, *lines[at:]]) for at in range(3, len(lines)) for piece in pieces]
    compared = 0
    for other in odd:
        (work.records / "verified").unlink(missing_ok=True)
        work.git("verify-commit", work.write(COMMIT, other), check=False)
        if (work.records / "verified").exists():
            compared += 1
            assert (work.record("verified"), work.record("signature")) == git_commit_split(other, work.fmt)
    assert compared > 20


FSCK_ERROR = re.compile(r"error in (?:commit|tag) ([0-9a-f]+): (\w+)")


def fsck(work: Work) -> dict[str, str]:
    """The objects in which git fsck finds an error, and which. Missing objects are none."""
    command = [str(peer("git")), "fsck", "--no-dangling", "--no-reflogs"]
    done = subprocess.run(command, cwd=work.path, capture_output=True, text=True, check=False)
    return dict(FSCK_ERROR.findall(done.stdout + done.stderr))


@pytest.mark.parametrize("fmt", ObjectFormat)
def test_what_the_unit_tests_call_good_git_fsck_finds_no_error_in(fmt: ObjectFormat, tmp_path: Path) -> None:
    work = new_repository(tmp_path / "work", fmt)
    for kind, of, raw in GOOD.values():
        if of is fmt and kind is not ObjectKind.PUSH_CERTIFICATE:
            assert work.write(kind, raw) == object_id(kind, raw, fmt)
    assert fsck(work) == {}


IDENTS_FSCK_REFUSES = {
    b"<a@b> 1 +0000": "missingNameBeforeEmail",
    b"Alice 1 +0000": "missingEmail",
    b"Ali>ce <a@b> 1 +0000": "badName",
    b"Alice<a@b> 1 +0000": "missingSpaceBeforeEmail",
    b"Alice <a@b 1 +0000": "badEmail",
    b"Alice <<a@b> 1 +0000": "badEmail",
    b"Alice <a@b>> 1 +0000": "missingSpaceBeforeDate",
    b"Alice <a@b>1 +0000": "missingSpaceBeforeDate",
    b"Alice <a@b> <c@d> 1 +0000": "badDate",
    b"Alice <a@b> 01 +0000": "zeroPaddedDate",
    b"Alice <a@b> x +0000": "badDate",
    b"Alice <a@b> 1": "badDate",
    b"Alice <a@b> 18446744073709551615 +0000": "badDateOverflow",
    b"Alice <a@b> 1 0000": "badTimezone",
    b"Alice <a@b> 1 +000": "badTimezone",
    b"Alice <a@b> 1 +00000": "badTimezone",
    b"Alice <a@b> 1 +0000 ": "badTimezone",
}


def test_idents_that_are_refused_are_errors_to_git_fsck(sha1: Work) -> None:
    head = b"tree " + sha1.git("write-tree").encode() + b"\nauthor "
    tail = b"\ncommitter Alice <a@b> 1 +0000\n\nsubject\n"
    expected = {}
    for value, error in IDENTS_FSCK_REFUSES.items():
        raw = head + value + tail
        with pytest.raises(MalformedError):
            parse_commit(raw, SHA1)
        expected[sha1.write(COMMIT, raw)] = error
    assert fsck(sha1) == expected


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"Alice <a@b>  1 +0000", "one spelling for everything; no version of git wrote this"),
        (b"Alice <a@b> 253402300800 +0000", "no date format in use writes a year of five digits"),
        (b"Al\rice <a@b> 1 +0000", "a carriage return moves what is shown after it over what is shown before"),
        (b"Ren\xe9e <a@b> 1 +0000", "an undeclared encoding can only be guessed"),
    ],
)
def test_idents_that_are_refused_though_git_fsck_finds_no_error(sha1: Work, value: bytes, reason: str) -> None:
    assert reason
    head = b"tree " + sha1.git("write-tree").encode() + b"\nauthor "
    raw = head + value + b"\ncommitter Alice <a@b> 1 +0000\n\nsubject\n"
    sha1.write(COMMIT, raw)
    assert fsck(sha1) == {}
    with pytest.raises(MalformedError):
        parse_commit(raw, SHA1)


HOOK = """#!/bin/sh
git cat-file blob "$GIT_PUSH_CERT" >{folder}/certificate
printf %s "$GIT_PUSH_CERT" >{folder}/oid
"""


def served(work: Work) -> Work:
    """A bare repository that asks for push certificates and keeps what it gets."""
    bare = new_repository(work.path.with_name("served.git"), work.fmt, "--bare")
    bare.git("config", "receive.certNonceSeed", "seed")
    bare.git("config", "receive.advertisePushOptions", "true")
    hook = bare.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK.format(folder=shlex.quote(str(bare.records))))
    hook.chmod(0o755)
    return bare


def read_certificate(bare: Work) -> PushCertificate:
    raw = bare.record("certificate")
    parsed = parse_push_certificate(raw)
    assert parsed.encode() == raw
    assert object_id(ObjectKind.PUSH_CERTIFICATE, raw, bare.fmt) == bare.record("oid").decode()
    assert re.fullmatch(r"[0-9]{10}-[0-9a-f]{40,64}", parsed.nonce)
    return parsed


@pytest.mark.parametrize("fmt", ARMOURS)
def test_a_push_certificates_payload_is_what_git_has_signed_and_verified(work: Work, fmt: SignatureFormat) -> None:
    work.sign_with_recorder(fmt)
    bare = served(work)
    bare.sign_with_recorder(fmt)
    first, zero = work.commit("-m", "root"), "0" * work.fmt.hex_length
    push = ("push", "--quiet", "--signed", "-o", "ci.skip", "-o", "", "../served.git")
    work.git(*push, "main", "main:next", "HEAD:refs/heads/fête")
    parsed = read_certificate(bare)
    assert parsed.payload == work.record("signed") == bare.record("verified")
    assert parsed.signature is not None
    assert (parsed.signature.format, parsed.signature.armour) == (fmt, bare.record("signature"))
    assert parse_payload(parsed.payload) == replace(parsed, signature=None, raw=parsed.payload)
    assert (parsed.version, parsed.pusher, parsed.zone) == ("0.1", b"notme:agent-7", "+0000")
    assert (parsed.pushee, parsed.push_options) == ("../served.git", ("ci.skip", ""))
    assert set(parsed.updates) == {(zero, first, f"refs/heads/{name}") for name in ("main", "next", "fête")}
    work.git(*push, "main", ":next")
    assert read_certificate(bare).updates == ((first, zero, "refs/heads/next"),)


def test_ssh_keygen_verifies_payload_and_signature_of_a_push_certificate(work: Work) -> None:
    work.sign_with_ssh()
    bare = served(work)
    work.commit("-m", "root")
    work.git("push", "--quiet", "--signed", "../served.git", "main")
    parsed = read_certificate(bare)
    check_ssh(work, parsed)
    assert re.fullmatch(rb"SHA256:[A-Za-z0-9+/]{43} ", parsed.pusher)
