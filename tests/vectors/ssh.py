"""The vectors of SSH signatures: a second way through the same eight steps. Called by `generate`, last."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attest import sshcert, sshsig, sshwire
from attest.errors import Reason
from attest.evidence import BAD_STAMP, LATE
from attest.identity import UNCHECKED
from attest.profile import PAYLOAD_UNCHECKED
from attest.sshcert import UserCertificate
from attest.types import Revocation, RevocationKind
from tests.forge import NOW, SshEdit, SshLeaf, attach, commit_payload

if TYPE_CHECKING:
    from tests.vectors.generate import Vectors

PROVEN = "proven"
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493  # RFC 8032 section 5.1
SMALL_ORDER = (1).to_bytes(32, "little")


class SshVectors:
    """SSH signatures of the authority that the other vectors are of."""

    def __init__(self, base: Vectors) -> None:
        self.base, self.forge, self.payload = base, base.notme, base.payload
        self.leaf = self.forge.ssh_leaf()
        self.blob = sshsig.ARMOUR.open(self.leaf.armour(self.payload))

    def add(
        self,
        name: str,
        expect: str,
        blob: bytes | None = None,
        *,
        payload: bytes | None = None,
        stamped: datetime | None = NOW,
        stamp: bytes | None = None,
        **more: object,
    ) -> None:
        """A commit with this SSH signature, and a time-stamp over its value beside it unless `stamped` is None."""
        made, content = blob or self.blob, payload or self.payload
        if stamp is None and stamped is not None:
            stamp = self.forge.token(self.value(made), at=stamped)
        raw = attach(content, sshsig.ARMOUR.wrap(made))
        self.base.add(f"{name[:2]}ssh-{name[2:]}", expect, raw, stamp=stamp, **more)  # type: ignore[arg-type]

    @staticmethod
    def value(blob: bytes) -> bytes:
        """The signature proper, which is last in the blob; good enough where the blob is malformed."""
        return blob[-64:]

    def by(self, leaf: SshLeaf, payload: bytes | None = None, **options: str) -> bytes:
        return sshsig.ARMOUR.open(leaf.armour(payload or self.payload, **options))

    def edited(self, edit: SshEdit) -> bytes:
        """The plain commit signed with a certificate that the root signed after `edit`."""
        return self.by(self.forge.ssh_leaf(edit=edit))

    def rewritten(self, change: Callable[[bytes], bytes]) -> bytes:
        """The same for bytes that no parser of ours would read."""
        signed = change(sshcert.parse(self.leaf.blob).signed)
        return self.by(replace(self.leaf, blob=self.forge.ssh_signed(signed)))

    def signatures(self) -> None:
        bad = Reason.SIGNATURE_MALFORMED
        self.add("4_of-another-authority", Reason.SIGNATURE_FOREIGN, self.by(self.base.imposter.ssh_leaf()))
        ca = sshwire.ed25519_key(self.forge.trusted.anchors[0].key.raw)
        self.add("2_by-the-root-itself", bad, self.by(SshLeaf(self.forge.root_key, ca)))
        version = sshsig.MAGIC + sshwire.uint32(1)
        reserved = sshwire.string("git") + sshwire.string("")
        read = sshcert.parse(self.leaf.blob)
        user = sshwire.uint32(sshcert.USER) + sshwire.string(read.key_id)
        bridge, claims = (_option(*option) for option in read.extensions)
        for name, blob in (
            ("trailing-byte", self.blob + b"\0"),
            ("cut-short", self.blob[:-1]),
            ("version-2", self.blob.replace(version, sshsig.MAGIC + sshwire.uint32(2))),
            ("reserved-not-empty", self.blob.replace(reserved, sshwire.string("git") + sshwire.string("x"))),
            ("hash-of-another-name", self.blob.replace(b"sha512", b"sha384")),
            ("certificate-of-a-host", self.rewritten(lambda s: s.replace(user, b"\0\0\0\2" + user[4:]))),
            ("extensions-unsorted", self.rewritten(lambda s: s.replace(bridge + claims, claims + bridge))),
        ):
            self.add(f"2_{name}", bad, blob)

    def integrity(self) -> None:
        invalid, refused = Reason.SIGNATURE_INVALID, Reason.KEY_REFUSED
        self.add("3_over-another-message", invalid, payload=self.payload.replace(b"change", b"charge"))
        self.add("3_in-another-namespace", Reason.PURPOSE_MISMATCH, self.by(self.leaf, namespace="file"))
        s = int.from_bytes(self.blob[-32:], "little") + GROUP_ORDER
        self.add("3_s-not-below-the-group-order", invalid, self.blob[:-32] + s.to_bytes(32, "little"))
        value = sshwire.ed25519_signature(self.value(self.blob))
        renamed = self.blob.replace(value, value.replace(b"ssh-ed25519", b"ssh-ed25518"))
        self.add("3_algorithm-of-another-name", refused, renamed)
        self.add("3_key-of-small-order", refused, self.edited(_fields(public_key=SMALL_ORDER)))
        self.add("3_digest-sha256", PROVEN, self.by(self.leaf, hash_algorithm="sha256"))

    def chains(self) -> None:
        mismatch = Reason.PROFILE_MISMATCH
        read = sshcert.parse(self.leaf.blob)
        forged = sshcert.assemble(read.signed, self.leaf.key.sign(read.signed))  # type: ignore[call-arg]
        self.add(
            "4_certificate-signed-by-its-own-key", Reason.CERTIFICATE_INVALID, self.by(replace(self.leaf, blob=forged))
        )
        self.add("4_good-for-login", Reason.EXTENSION_UNKNOWN, self.edited(_extension("permit-pty", b"")))
        for name, edit in (
            ("no-principal", _fields(principals=())),
            ("two-principals", _fields(principals=(*read.principals, "root"))),
            ("no-critical-option", _fields(critical=())),
            ("lives-a-second-too-long", _fields(valid_before=read.valid_before + 1)),
            ("begins-a-second-too-early", _fields(valid_after=read.valid_after - 1)),
            ("key-id-of-another-session", _fields(key_id=read.key_id + "x")),
            ("payload-unchecked-without-the-scope", _extension(sshcert.PAYLOAD_CHECKED, b"no")),
        ):
            self.add(f"4_{name}", mismatch, self.edited(edit))
        self.add("4_another-profile-demanded", mismatch, demand="interop")

    def times(self) -> None:
        outside, unproven = Reason.TIME_OUTSIDE_VALIDITY, Reason.TIME_UNPROVEN
        self.add("5_stamped", PROVEN, at=NOW + timedelta(days=365))
        self.add("5_committer-date-alone", unproven, stamped=None)
        late = NOW + timedelta(minutes=6, seconds=1)
        self.add("5_stamped-after-five-minutes", unproven, stamped=late, at=late, remarks=LATE)
        wrong = self.forge.token(b"something else")
        self.add("5_stamp-over-something-else", unproven, stamp=wrong, remarks=BAD_STAMP)
        other = self.base.imposter.token(self.value(self.blob))
        self.add("5_stamp-of-another-authority", unproven, stamp=other, remarks=BAD_STAMP)
        for name, seconds in (("before-the-window", -901), ("at-the-end-of-the-window", 300)):
            payload = commit_payload(at=NOW + timedelta(seconds=seconds))
            self.add(f"5_dated-{name}", outside, self.by(self.leaf, payload), payload=payload)
        oldest = commit_payload(at=NOW - timedelta(minutes=15))
        self.add("5_dated-at-the-beginning-of-the-window", PROVEN, self.by(self.leaf, oldest), payload=oldest)

    def rest(self) -> None:
        before = NOW - timedelta(hours=1)
        signed = hashlib.sha256(sshcert.parse(self.leaf.blob).signed).hexdigest()
        entry = Revocation(kind=RevocationKind.CERTIFICATE, id=signed, at=int(before.timestamp()), reason="lost")
        self.add("6_certificate-revoked-before", Reason.REVOKED, bundle=self.base.bundle(revocations=(entry,)))
        self.add("6_retired-before", Reason.EPOCH_RETIRED, bundle=self.base.retired(before))
        blind = self.by(self.forge.ssh_leaf(scopes=(PAYLOAD_UNCHECKED,)))
        self.add("7_payload-unchecked", PROVEN, blind, remarks=UNCHECKED)
        attester = self.by(self.forge.ssh_leaf(scopes=("sign:attestation",)))
        self.add("7_scope-of-statements", Reason.SCOPE_MISSING, attester)
        payload = commit_payload(committer="Mallory <mallory@example.net>")
        self.add(
            "7_committer-is-somebody-else", Reason.COMMITTER_MISMATCH, self.by(self.leaf, payload), payload=payload
        )
        back_dated, a_day = Reason.TIME_REQUIRED, NOW + timedelta(days=1)
        self.add("8_time-required", back_dated, stamped=None, at=a_day, require_time="authority")


def _fields(**changes: object) -> SshEdit:
    return lambda read: replace(read, **changes)  # type: ignore[arg-type]


def _extension(name: str, value: bytes) -> SshEdit:
    def edit(read: UserCertificate) -> UserCertificate:
        return replace(read, extensions=(*read.extensions, (name, value)))

    return edit


def _option(name: str, value: bytes) -> bytes:
    return sshwire.string(name) + sshwire.string(sshwire.string(value))


def add(base: Vectors) -> None:
    """Add every vector of SSH signatures to `base`."""
    made = SshVectors(base)
    for step in (made.signatures, made.integrity, made.chains, made.times, made.rest):
        step()
