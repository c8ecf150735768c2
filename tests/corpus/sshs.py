"""Steps 2 to 5 for SSH: what plain keys sign, and what a list of allowed signers says of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from attest import sshsig
from attest.gitobject import ObjectFormat
from attest.sshwire import string, uint32
from tests.corpus import sshkeys
from tests.corpus.case import ACCEPT, REJECT, Case
from tests.corpus.objects import payload
from tests.corpus.signers import Cast, rsa_private, secret
from tests.corpus.sshkeys import SshKey
from tests.forge import NOW, attach, commit_payload

SHA1 = ObjectFormat.SHA1
BAD, INVALID, REFUSED, UNKNOWN = "signature-malformed", "signature-invalid", "key-refused", "key-unknown"
SSHSIG, U2F, ALLOWED = "OpenSSH PROTOCOL.sshsig", "OpenSSH PROTOCOL.u2f", "ssh-keygen(1), ALLOWED SIGNERS"


def cases(cast: Cast) -> Iterator[Case]:
    yield from _blobs(cast)
    yield from _keys(cast)
    yield from _lists(cast)


def _blobs(cast: Cast) -> Iterator[Case]:
    plain = payload(cast.key, SHA1)
    blob = cast.ssh.blob_over(plain)
    head = string("git") + string("")
    other = sshkeys.ed25519(secret("other")).blob
    magic = sshsig.MAGIC
    for defect, reason, changed, sentence in (
        ("trailing-byte", BAD, blob + b"\0", "A byte after the signature."),
        ("cut-short", BAD, blob[:-1], "The signature lacks its last byte."),
        ("version-2", BAD, blob.replace(magic + uint32(1), magic + uint32(2)), "A version that there is not."),
        ("magic-changed", BAD, blob.replace(magic, b"SSHSIH"), "Does not begin with SSHSIG."),
        (
            "reserved-not-empty",
            BAD,
            blob.replace(head, string("git") + string("x")),
            "The reserved field holds something.",
        ),
        ("namespace-empty", BAD, cast.ssh.blob_over(plain, namespace=""), "Signed for no namespace."),
        ("hash-of-another-name", BAD, blob.replace(b"sha512", b"sha384"), "Hash algorithm sha384."),
    ):
        yield _case(f"2-ssh-key-{defect}", plain, sshsig.ARMOUR.wrap(changed), sentence, reason, SSHSIG)
    value = string("ssh-ed25519") + string(blob[-64:])
    renamed = blob.replace(value, value.replace(b"ssh-ed25519", b"ssh-ed25518"))
    for defect, reason, changed, sentence in (
        (
            "in-another-namespace",
            "purpose-mismatch",
            cast.ssh.blob_over(plain, namespace="file"),
            "Signed for namespace file, not for git.",
        ),
        (
            "namespace-renamed",
            INVALID,
            cast.ssh.blob_over(plain, namespace="fil").replace(string("fil"), string("git")),
            "Signed for namespace fil, and says git.",
        ),
        ("hash-renamed", INVALID, blob.replace(b"sha512", b"sha256"), "Hashed with SHA-512, and says SHA-256."),
        ("algorithm-of-another-name", REFUSED, renamed, "The signature's algorithm has a name that is not the key's."),
        (
            "key-of-another",
            INVALID,
            blob.replace(cast.ssh.blob, other),
            "The key was put in place of the one that signed.",
        ),
    ):
        yield _case(f"3-ssh-key-{defect}", plain, sshsig.ARMOUR.wrap(changed), sentence, reason, SSHSIG)
    good = cast.ssh.armour(plain, hash_algorithm="sha256")
    yield _case("3-ssh-key-digest-sha256", plain, good, "Hashed with SHA-256, which is allowed.", "", SSHSIG)


def _keys(cast: Cast) -> Iterator[Case]:
    """Other kinds of keys, all of them allowed to sign."""
    plain = payload(cast.key, SHA1)
    untouched = sshkeys.security_key(secret("security key"), flags=0)
    sha1 = sshkeys.rsa_key(rsa_private(), "ssh-rsa")
    good: tuple[tuple[str, SshKey, str, str], ...] = (
        ("security-key", cast.touched, "A security key that was touched.", U2F),
        ("security-key-untouched", untouched, "A security key that nobody touched, and that says so.", U2F),
        ("rsa", cast.rsa, "RSA with SHA-512.", "RFC 8332"),
        ("ecdsa", cast.p256, "ECDSA on P-256.", "RFC 5656"),
    )
    for name, key, sentence, reference in good:
        yield _case(f"3-ssh-key-{name}", plain, key.armour(plain), sentence, "", reference)
    yield _case(
        *("3-ssh-key-rsa-with-sha1", plain, sha1.armour(plain)),
        "RSA with SHA-1, for which collisions can be had.",
        *(REFUSED, "RFC 8332; SHAttered, 2017"),
    )
    changed = untouched.blob_over(plain)
    touched_now = changed[:-5] + b"\x01" + changed[-4:]
    yield _case(
        *("3-ssh-key-security-key-flag-set-afterwards", plain, sshsig.ARMOUR.wrap(touched_now)),
        "Not touched, and says that it was: the flags are signed.",
        *(INVALID, U2F),
    )


def _lists(cast: Cast) -> Iterator[Case]:
    """Step 4 and 5: what allowed_signers and revoked_keys say."""
    plain = payload(cast.key, SHA1)
    other = sshkeys.ed25519(secret("other"))
    for defect, reason, key, sentence in (
        ("unknown", UNKNOWN, other, "A key that is in no list."),
        ("revoked", "key-revoked", cast.withdrawn, "A key that is allowed and revoked."),
        ("for-another-namespace", UNKNOWN, cast.for_files, "A key that is allowed for namespace file alone."),
    ):
        yield _case(f"4-ssh-key-{defect}", plain, key.armour(plain), sentence, reason, ALLOWED)
    sentence = "Dated after the last day that the key is allowed for."
    yield _case("4-ssh-key-expired", plain, cast.expired.armour(plain), sentence, "key-outside-validity", ALLOWED)
    content = commit_payload(committer=cast.key.who, at=datetime(2025, 12, 1, tzinfo=UTC))
    sentence = "Dated before the last day that the key is allowed for; when it was made, nobody knows."
    armour = cast.expired.armour(content)
    yield _case("5-ssh-key-expired-and-back-dated", content, armour, sentence, "time-unproven", ALLOWED)


def _case(name: str, content: bytes, armour: bytes, sentence: str, reason: str, reference: str) -> Case:
    expect = ACCEPT if reason in ("", "time-unproven") else REJECT
    references = (reference,) if reference else ()
    return Case(name, attach(content, armour), "ssh-key", expect, reason, sentence, references, NOW)
