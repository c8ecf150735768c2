"""Write the vectors: `python -m tests.vectors.generate`. Keys, serial numbers, clock and nonces are fixed.

One vector, one defect: everything else about it is in order, signed by keys that an authority of ours would have.
The order of this file is the order of the steps; whoever adds a vector adds it at the end of its step, because
leaves draw their keys from one sequence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from attest import asn1, canonical, cms, gitobject, profile, trust
from attest.claims import Claims
from attest.errors import Reason
from attest.evidence import LATE
from attest.gitobject import ObjectFormat, ObjectKind
from attest.profile import Profile
from attest.types import (
    BundleSignature,
    Constraints,
    Epoch,
    Retirement,
    Revocation,
    RevocationKind,
    SignedTrustBundle,
    SignerRole,
    TrustBundle,
)
from tests import der
from tests.der import Cms, algorithm, attribute, octets, oid
from tests.forge import (
    AGENT,
    ALICE,
    NOW,
    Edit,
    Forge,
    Leaf,
    PrivateKey,
    attach,
    commit_payload,
    plain_ssh,
    sign,
    tag_payload,
)
from tests.vectors import delegated, ssh
from tests.vectors.vector import Vector

FOLDER = Path(__file__).parent
PROVEN = "proven"
PLAIN = b"the bundle of one current epoch"
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493  # RFC 8032 section 5.1
RECOVERY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"vectors: recovery").digest())
SSH = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n"
PGP = b"-----BEGIN PGP SIGNATURE-----\n\niQEzBAABCAAdFiEE\n-----END PGP SIGNATURE-----\n"

MALFORMED, ID_MISMATCH = Reason.OBJECT_MALFORMED, Reason.OBJECT_ID_MISMATCH


def without(extension: x509.ObjectIdentifier) -> Edit:
    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder._extensions = [e for e in builder._extensions if e.oid != extension]
        return builder

    return edit


def instead(value: x509.ExtensionType, *, critical: bool) -> Edit:
    return lambda builder: without(value.oid)(builder).add_extension(value, critical=critical)


def raw(extension: x509.ObjectIdentifier, value: bytes) -> Edit:
    return instead(x509.UnrecognizedExtension(extension, value), critical=False)


def living(before: datetime, after: datetime) -> Edit:
    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder._not_valid_before = before.replace(tzinfo=None)
        builder._not_valid_after = after.replace(tzinfo=None)
        return builder

    return edit


class Vectors:
    """The authority `authority.example` with both its roots, and what it says."""

    def __init__(self) -> None:
        self.made: dict[str, Vector] = {}
        self.notme = Forge(Profile.NOTME, seed="vectors: notme")
        self.interop = Forge(Profile.INTEROP, seed="vectors: interop")
        self.next = Forge(Profile.NOTME, seed="vectors: epoch 2")
        self.imposter = Forge(Profile.NOTME, seed="vectors: another root of the same names")
        self.leaf = self.notme.leaf()
        self.payload = commit_payload(message=b"A change\n\nWhy it was made.\n")
        self.cms = Cms(self.leaf, self.payload, NOW)
        self.commit = self.signed(self.payload)

    # What goes into a vector

    def signed(self, payload: bytes, leaf: Leaf | None = None, timestamped: bool = True) -> bytes:
        forge = self.notme if leaf is None or isinstance(leaf.key, Ed25519PrivateKey) else self.interop
        return attach(payload, forge.armour(leaf or self.leaf, payload, timestamped=timestamped))

    def around(self, message: Cms, *, stamped: bool = True) -> bytes:
        """A commit with exactly this CMS, time-stamped unless told otherwise."""
        if stamped and not message.unsigned:
            message = replace(message, unsigned=der.stamped(self.notme, message))
        return attach(message.content, cms.ARMOUR.wrap(message.der()))

    def altered(self, *, stamped: bool = True, **parts: Any) -> bytes:
        """The plain commit with some parts of its CMS replaced."""
        return self.around(replace(self.cms, **parts), stamped=stamped)

    def with_leaf(self, edit: Edit, *, forge: Forge | None = None) -> bytes:
        """The plain commit signed with a leaf that the root signed after `edit`."""
        of = forge or self.notme
        return self.signed(self.payload, of.issue(of.spec(), edit=edit))

    def by(self, claims: Claims = AGENT, *, scopes: tuple[str, ...] = ("sign:git",)) -> bytes:
        return self.signed(self.payload, self.notme.leaf(claims, scopes=scopes))

    def epoch(self, **changes: object) -> Epoch:
        made = Epoch(
            number=1,
            root=_der(self.notme.root),
            interop_root=_der(self.interop.root),
            timestamp_certificates=(_der(self.notme.tsa), _der(self.interop.tsa)),
            began_at=_seconds(NOW - timedelta(days=1)),
            retired_at=0,
            retirement=Retirement.CURRENT,
            compromised_at=0,
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    def bundle(self, **changes: object) -> TrustBundle:
        made = TrustBundle(
            version=1,
            authority_id="authority.example",
            sequence=7,
            issued_at=_seconds(NOW),
            recovery_commitment=hashlib.sha256(_spki(RECOVERY)).digest(),
            epochs=(self.epoch(),),
            revocations=(),
        )
        return replace(made, **changes)  # type: ignore[arg-type]

    def retired(self, at: datetime, *, compromised: bool = False) -> TrustBundle:
        """Epoch 1 retired at `at`, epoch 2 current."""
        how = Retirement.COMPROMISE if compromised else Retirement.ROUTINE
        first = self.epoch(retirement=how, retired_at=_seconds(at), compromised_at=_seconds(at) if compromised else 0)
        second = self.epoch(number=2, root=_der(self.next.root), interop_root=b"", timestamp_certificates=())
        return self.bundle(epochs=(first, second), issued_at=_seconds(at))

    def sealed(self, made: TrustBundle, *, recovery: bool = True) -> bytes:
        """The bundle, signed by whoever has to."""
        message = trust.bundle_to_be_signed(made)
        first = SignerRole.PREVIOUS if len(made.epochs) > 1 else SignerRole.CURRENT
        keys = [(self.notme.root_key, first), (self.interop.root_key, first)]
        if len(made.epochs) > 1:
            keys.append((self.next.root_key, SignerRole.CURRENT))
        signatures = [BundleSignature(role, _spki(key), sign(key, message)) for key, role in keys]
        for epoch in made.epochs:
            if recovery and epoch.retirement is Retirement.COMPROMISE:
                covered = trust.retirement_to_be_signed(made.authority_id, epoch)
                signatures.append(BundleSignature(SignerRole.RECOVERY, _spki(RECOVERY), sign(RECOVERY, covered)))
        return canonical.encode(SignedTrustBundle(bundle=canonical.encode(made), signatures=tuple(signatures)))

    def add(
        self,
        name: str,
        expect: str,
        data: bytes,
        *,
        kind: str = "commit",
        fmt: ObjectFormat = ObjectFormat.SHA1,
        at: datetime = NOW,
        object_id: str = "",
        bundle: bytes | TrustBundle | None = PLAIN,
        signature: bytes = b"",
        stamp: bytes | None = None,
        of: Profile = Profile.NOTME,
        **headers: str,
    ) -> None:
        """One vector; `bundle=None` leaves the trust bundle out, and `stamp` is kept beside the object."""
        fields = {"expect": str(expect), "profile": str(of), "at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "object": kind}
        if kind != "content":
            fields |= {"format": str(fmt), "id": object_id or gitobject.object_id(ObjectKind(kind), data, fmt)}
        fields |= {key.replace("_", "-"): value for key, value in headers.items()}
        root = self.interop.root if of is Profile.INTEROP else self.notme.root
        blocks = {"anchor": root.public_bytes(Encoding.PEM)}
        if bundle is not None:
            given = self.bundle() if bundle is PLAIN else bundle
            blocks["bundle"] = given if isinstance(given, bytes) else self.sealed(given)
        if signature:
            blocks["signature"] = signature
        if stamp is not None:
            blocks["timestamp"] = stamp
        blocks["object"] = data
        if name in self.made:
            raise ValueError(f"two vectors are called {name}")
        self.made[name] = Vector(name, fields, blocks)

    # The vectors

    def objects(self) -> None:
        """Step 1. The first six have a good signature over the same payload: one signature, many objects."""
        commit, line = self.commit, b"\ngpgsig "
        header = commit[commit.index(line) : commit.index(b"\n\n")]
        self.add("1_stray-gpgsig-header", MALFORMED, commit.replace(line, b"\ngpgsig-evil hidden" + line, 1))
        self.add("1_gpgsig-like-header-before-author", MALFORMED, commit.replace(b"\nauthor", b"\ngpgsigXYZ x\nauthor"))
        self.add("1_gpgsig-of-the-other-format", MALFORMED, commit.replace(line, b"\ngpgsig-sha256 x" + line, 1))
        self.add("1_second-signature-header", MALFORMED, commit.replace(header, header + header))
        tag = self.signed(tag_payload("1" * 40))
        self.add("1_tag-text-after-signature", MALFORMED, tag + b"hidden\n", kind="tag")
        self.add("1_tag-gpgsig-header", MALFORMED, tag.replace(b"\n\n", b"\ngpgsig hidden\n\n", 1), kind="tag")
        after = commit.replace(b" -----END SIGNED MESSAGE-----", b" -----END SIGNED MESSAGE-----\n hidden")
        self.add("1_commit-text-after-signature", MALFORMED, after)
        unknown = commit.replace(b"SIGNED MESSAGE", b"NEW SIGNATURE")
        self.add("2_armour-of-unknown-kind", Reason.SIGNATURE_UNKNOWN, unknown)
        for name, old, new in (
            ("tree-twice", b"\nauthor", b"\ntree " + b"1" * 40 + b"\nauthor"),
            ("author-twice", b"\ncommitter", b"\nauthor Eve <eve@example.org> 1 +0000\ncommitter"),
            ("committer-twice", b"\n\n", b"\ncommitter Eve <eve@example.org> 1 +0000\n\n"),
            ("parent-after-author", b"\ncommitter", b"\nparent " + b"1" * 40 + b"\ncommitter"),
            ("nul-in-a-header", b"author agent-7", b"author agent\0-7"),
            ("carriage-return-in-a-header", b"author agent-7", b"author agent-7\r"),
            ("name-not-in-its-encoding", b"author agent-7", b"author agent-\xff"),
            ("upper-case-tree-id", b"tree 4b825dc6", b"tree 4B825DC6"),
            ("time-zone-of-three-digits", b"+0000\ncommitter", b"+000\ncommitter"),
            ("no-author", self.payload[self.payload.index(b"author") : self.payload.index(b"committer")], b""),
        ):
            self.add(f"1_{name}", MALFORMED, self.signed(self.payload.replace(old, new, 1)))
        self.add("1_cut-short", MALFORMED, commit[:200])
        self.add("1_no-bytes", MALFORMED, b"")
        self.add("1_id-of-another-object", ID_MISMATCH, commit, object_id="1" * 40)
        tagged = tag_payload("1" * 40).replace(b"tag v1\n", b"tag v1\ntag v2\n")
        self.add("1_tag-name-twice", MALFORMED, self.signed(tagged), kind="tag")
        self.add("1_sha1-object-in-a-sha256-repository", MALFORMED, commit, fmt=ObjectFormat.SHA256)

    def signatures(self) -> None:
        """Step 2."""
        bad = Reason.SIGNATURE_MALFORMED
        kind, time, digest = self.cms.prescribed
        second = replace(self.cms, leaf=self.notme.leaf())
        self.add("2_no-signature", Reason.SIGNATURE_MISSING, self.payload)
        self.add("2_ssh-signature-without-a-key", bad, attach(self.payload, SSH))
        self.add("4_ssh-key-of-nobody-named", Reason.SIGNATURE_FOREIGN, attach(self.payload, plain_ssh(self.payload)))
        self.add("2_pgp-signature", Reason.SIGNATURE_FOREIGN, attach(self.payload, PGP))
        two = replace(
            self.cms,
            signers=tuple(sorted([self.cms.signer_info(), second.signer_info()])),
            certificates=tuple(sorted([self.cms.leaf.der, second.leaf.der])),
        )
        self.add("2_two-signers", Reason.SIGNATURE_SEVERAL, self.around(two))
        self.add("2_no-signer", Reason.SIGNATURE_SEVERAL, self.altered(signers=()))
        good = replace(self.cms, unsigned=der.stamped(self.notme, self.cms)).der()
        for name, data in (
            ("trailing-byte", good + b"\0"),
            ("indefinite-length", der.indefinite(good)),
            ("length-not-minimal", der.long_length(good)),
            ("cut-short", good[:-1]),
        ):
            self.add(f"2_{name}", bad, attach(self.payload, cms.ARMOUR.wrap(data)))
        wide = rewrapped(cms.ARMOUR.wrap(good), 76)
        self.add("2_armour-of-76-columns", bad, attach(self.payload, wide))
        self.add("2_armour-without-base64", bad, attach(self.payload, cms.ARMOUR.begin + b"????\n" + cms.ARMOUR.end))
        challenge = attribute(der.CHALLENGE_PASSWORD, der.utf8("x"))
        cases: tuple[tuple[str, dict[str, Any]], ...] = (
            ("attributes-unsorted", {"attributes": (digest, kind, time)}),
            ("no-signed-attributes", {"bare": True}),
            ("no-message-digest", {"attributes": (kind, time)}),
            ("no-content-type", {"attributes": (time, digest)}),
            ("message-digest-twice", {"attributes": (kind, time, digest, digest)}),
            (
                "message-digest-of-two-values",
                {"attributes": (kind, time, attribute(der.MESSAGE_DIGEST, octets(bytes(64)), octets(self.cms.digest)))},
            ),
            ("unknown-signed-attribute", {"attributes": (challenge, kind, time, digest)}),
            ("unknown-unsigned-attribute", {"unsigned": (challenge,)}),
            ("time-stamp-attribute-without-value", {"unsigned": (attribute(der.TIMESTAMP),)}),
            ("time-stamp-attribute-twice", {"unsigned": der.stamped(self.notme, self.cms) * 2}),
            (
                "content-type-attribute-of-another-type",
                {"attributes": (attribute(der.CONTENT_TYPE, oid(der.SIGNED_DATA)), time, digest)},
            ),
            (
                "signing-time-as-generalized-time",
                {"attributes": (kind, attribute(der.SIGNING_TIME, der.generalized_time(NOW)), digest)},
            ),
            ("content-carried-inside", {"carried": self.payload}),
            ("signed-data-version-3", {"version": 3}),
            ("signer-info-version-3", {"signer_version": 3}),
            ("no-certificate", {"certificates": ()}),
            ("certificate-of-somebody-else-alone", {"certificates": (second.leaf.der,)}),
            ("crls-included", {"after_certificates": der.tlv(0xA1)}),
            ("digest-parameters-null", {"digest_algorithm": algorithm(der.SHA512, der.NULL)}),
            ("signature-parameters-null", {"signature_algorithm": algorithm(der.ED25519, der.NULL)}),
            ("digest-of-another-algorithm", {"digest_algorithm": algorithm(der.SHA256)}),
            ("signature-algorithm-rsa", {"signature_algorithm": algorithm(der.RSA_SHA256, der.NULL)}),
            ("certificate-serial-negative", {"certificates": (self.negative_serial(),)}),
            ("certificate-version-6", {"certificates": (self.version_6(),)}),
        )
        for name, parts in cases:
            self.add(f"2_{name}", bad, self.altered(**parts))

    def negative_serial(self) -> bytes:
        serial = der.integer(self.leaf.certificate.serial_number)
        return self.leaf.der.replace(serial, serial[:2] + bytes([serial[2] | 0x80]) + serial[3:], 1)

    def version_6(self) -> bytes:
        return self.leaf.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05", 1)

    def integrity(self) -> None:
        """Step 3."""
        differs, invalid = Reason.DIGEST_MISMATCH, Reason.SIGNATURE_INVALID
        self.add("3_message-changed", differs, self.commit.replace(b"A change", b"B change"))
        self.add("3_tree-changed", differs, self.commit.replace(b"tree 4b", b"tree 4c"))
        self.add("3_author-changed", differs, self.commit.replace(b"author agent-7", b"author agent-8"))
        tag = self.signed(tag_payload("1" * 40))
        self.add("3_tag-target-changed", differs, tag.replace(b"object 1", b"object 2"), kind="tag")
        interop = self.signed(self.payload, self.interop.leaf()).replace(b"A change", b"B change")
        self.add("3_interop-message-changed", differs, interop, of=Profile.INTEROP)
        armour = self.notme.armour(self.leaf, b"content\n")
        self.add("3_detached-content-changed", differs, b"Content\n", kind="content", signature=armour)
        kind, time, _ = self.cms.prescribed
        wrong = (kind, time, attribute(der.MESSAGE_DIGEST, octets(bytes(64))))
        self.add("3_digest-of-other-content-signed", differs, self.altered(attributes=wrong))
        flip: Callable[[bytes], bytes] = lambda s: s[:40] + bytes([s[40] ^ 1]) + s[41:]  # noqa: E731
        other = self.notme.leaf()
        for name, alter in (
            ("signature-bit-flipped", flip),
            ("signature-empty", lambda _: b""),
            ("signature-of-65-bytes", lambda s: s + b"\0"),
            ("signature-s-not-below-the-group-order", second_s),
            ("signature-by-another-key", lambda _: other.sign(self.cms.signed_bytes())),
            ("signature-over-the-content", lambda _: self.leaf.sign(self.payload)),
        ):
            self.add(f"3_{name}", invalid, self.altered(alter=alter))
        p256: dict[str, Any] = {
            "signature_algorithm": algorithm(der.ECDSA_SHA256),
            "digest_algorithm": algorithm(der.SHA256),
            "digest_algorithms": (algorithm(der.SHA256),),
        }
        self.add("3_algorithm-of-another-key", Reason.KEY_REFUSED, self.altered(**p256))
        weak = self.small_order_leaf()
        identity = b"\x01" + bytes(63)  # R the neutral element, S zero: holds for every message with a key of order 1
        message = replace(self.cms, leaf=weak, alter=lambda _: identity)
        self.add("3_key-of-small-order", Reason.KEY_REFUSED, self.around(message))

    def small_order_leaf(self) -> Leaf:
        point = Ed25519PublicKey.from_public_bytes(b"\x01" + bytes(31))

        def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
            builder._public_key = point
            return builder

        return self.notme.issue(self.notme.spec(), edit=edit)

    def chains(self) -> None:
        """Step 4."""
        invalid, mismatch = Reason.CERTIFICATE_INVALID, Reason.PROFILE_MISMATCH
        purpose, unknown = Reason.PURPOSE_MISMATCH, Reason.EXTENSION_UNKNOWN
        forged = attach(self.payload, self.imposter.armour(self.imposter.leaf(), self.payload))
        self.add("4_another-root-of-the-same-names", Reason.ANCHOR_UNKNOWN, forged)
        sibling = replace(self.cms, leaf=self.notme.issue(self.notme.spec(), mtls=True))
        self.add("4_tls-sibling-of-the-pair", purpose, self.around(sibling))
        self.add("4_profile-interop-demanded", mismatch, self.commit, demand="interop")
        leaf_then_other = tuple(sorted([self.leaf.der, self.notme.leaf().der]))
        self.add("4_certificate-beside-the-path", mismatch, self.altered(certificates=leaf_then_other))
        with_root = tuple(sorted([self.leaf.der, _der(self.notme.root)]))
        self.add("4_root-included", mismatch, self.altered(certificates=with_root))
        unused = self.leaf_with_unused_bits()
        self.add("4_issuer-signature-with-unused-bits", invalid, self.around(replace(self.cms, leaf=unused)))
        tampered = self.leaf.der.replace(
            b"wimse://authority.example/agent/agent-7", b"wimse://authority.example/agent/agent-8"
        )
        self.add("4_leaf-changed-after-signing", Reason.ANCHOR_UNKNOWN, self.altered(certificates=(tampered,)))
        none = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), der.NULL)
        uri = x509.UniformResourceIdentifier("wimse://authority.example/agent/agent-7")
        san, eku = x509.SubjectAlternativeName, x509.ExtendedKeyUsage
        usage = x509.KeyUsage(True, False, False, False, True, False, False, False, False)
        for name, reason, edit in (
            ("unknown-critical-extension", unknown, instead(none, critical=True)),
            ("unknown-extension", unknown, instead(none, critical=False)),
            ("no-claims", mismatch, without(profile.CLAIMS)),
            ("no-key-binding", mismatch, without(profile.BINDING)),
            ("no-key-identifier", mismatch, without(ExtensionOID.SUBJECT_KEY_IDENTIFIER)),
            ("no-alternative-name", mismatch, without(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)),
            ("alternative-name-not-critical", mismatch, instead(san([uri]), critical=False)),
            ("two-uris", mismatch, instead(san([uri, x509.UniformResourceIdentifier("x:y")]), critical=True)),
            ("e-mail-beside-the-uri", mismatch, instead(san([uri, x509.RFC822Name("a@b.example")]), critical=True)),
            ("ca-certificate", purpose, instead(x509.BasicConstraints(ca=True, path_length=0), critical=True)),
            ("key-agreement", purpose, instead(usage, critical=True)),
            ("client-authentication", purpose, instead(eku([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)),
            ("code-signing-for-an-agent", purpose, instead(eku([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)),
            ("epoch-padded", mismatch, raw(profile.EPOCH, b"\x02\x04\0\0\0\x01")),
            ("epoch-negative", invalid, raw(profile.EPOCH, b"\x02\x01\xff")),
            ("binding-in-an-octet-string", invalid, raw(profile.BINDING, b"\x04\x20" + bytes(32))),
            ("subject-without-its-tag", invalid, raw(profile.SUBJECT, b"agent-7")),
            ("claims-of-another-version", invalid, raw(profile.CLAIMS, self.claims_of_version_2())),
            ("issue-with-an-offset", invalid, raw(profile.ISSUED_AT, asn1.encode("2026-11-23T14:58:10.000+01:00"))),
            ("life-over-five-minutes", mismatch, living(NOW - timedelta(seconds=60), NOW + timedelta(seconds=301))),
            ("begin-over-a-minute-early", mismatch, living(NOW - timedelta(seconds=61), NOW + timedelta(minutes=5))),
            ("begin-at-issue", mismatch, living(NOW, NOW + timedelta(minutes=5))),
            ("another-issuer-name", invalid, self.issuer_named("signet-authority")),
            (
                "authority-key-identifier-of-another",
                invalid,
                instead(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(self.next.root_key.public_key()), critical=False
                ),
            ),
        ):
            self.add(f"4_{name}", reason, self.with_leaf(edit))
        email = instead(san([uri, x509.RFC822Name("alice@example.org")]), critical=False)
        other = self.with_leaf(email, forge=self.interop)
        self.add("4_interop-e-mail-of-another", mismatch, other, of=Profile.INTEROP)
        alone = self.with_leaf(instead(eku([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False), forge=self.interop)
        self.add("4_interop-purposes-incomplete", purpose, alone, of=Profile.INTEROP)
        twice = self.duplicate_extension()
        self.add("4_extension-twice", invalid, self.around(replace(self.cms, leaf=twice)))

    def leaf_with_unused_bits(self) -> Leaf:
        """The issuer's signature must end in a 0 bit to be spelled a second time: about every other leaf does."""
        for _ in range(64):
            leaf = self.notme.leaf()
            signature = leaf.certificate.signature
            if not signature[-1] & 1:
                changed = leaf.der.removesuffix(b"\0" + signature) + b"\1" + signature
                return Leaf(leaf.key, x509.load_der_x509_certificate(changed))
        raise AssertionError("no such leaf among 64")

    def claims_of_version_2(self) -> bytes:
        leaf = self.notme.leaf().certificate
        value = leaf.extensions.get_extension_for_oid(profile.CLAIMS).value.public_bytes()
        return value.replace(b"\x02\x01\x01", b"\x02\x01\x02", 1)

    def issuer_named(self, name: str) -> Edit:
        def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
            builder._issuer_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
            return builder

        return edit

    def duplicate_extension(self) -> Leaf:
        """The library writes no such certificate, so its bytes are put together here and signed by the root."""
        leaf = self.notme.leaf()
        items = [
            der.seq(
                der.oid(e.oid.dotted_string), b"\x01\x01\xff" if e.critical else b"", octets(e.value.public_bytes())
            )
            for e in leaf.certificate.extensions
        ]
        tbs = leaf.certificate.tbs_certificate_bytes
        body = tbs[4 : tbs.rindex(b"\xa3\x82")] + der.tlv(0xA3, der.seq(*items, items[-1]))
        signed = der.seq(body)
        whole = der.seq(signed, algorithm(der.ED25519), der.tlv(0x03, b"\0", sign(self.notme.root_key, signed)))
        return Leaf(leaf.key, x509.load_der_x509_certificate(whole))

    def times(self) -> None:
        """Step 5."""
        outside, stamp = Reason.TIME_OUTSIDE_VALIDITY, Reason.TIMESTAMP_INVALID
        self.add("5_signers-word-alone", Reason.TIME_UNPROVEN, self.signed(self.payload, timestamped=False))
        kind, _, digest = self.cms.prescribed
        self.add("5_no-time-at-all", Reason.TIME_UNPROVEN, self.altered(attributes=(kind, digest), stamped=False))
        late = NOW + timedelta(minutes=6, seconds=1)
        stolen = replace(self.cms, at=late)
        self.add("5_signed-after-five-minutes", outside, self.around(stolen, stamped=False), at=late)
        early = replace(self.cms, at=NOW - timedelta(minutes=2, seconds=1))
        self.add("5_signed-before-the-certificate", outside, self.around(early, stamped=False))
        token = der.stamped(self.notme, self.cms, at=late)
        self.add("5_stamped-after-five-minutes", outside, self.altered(unsigned=token), at=late, remarks=LATE)
        self.add("5_stamp-of-another-authority", stamp, self.altered(unsigned=der.stamped(self.imposter, self.cms)))
        wrong = attribute(der.TIMESTAMP, self.notme.token(b"something else"))
        self.add("5_stamp-over-something-else", stamp, self.altered(unsigned=(wrong,)))
        self.add("5_stamp-that-is-no-token", stamp, self.altered(unsigned=(attribute(der.TIMESTAMP, der.NULL),)))
        ahead = NOW - timedelta(minutes=2)
        self.add("5_clock-behind", Reason.CLOCK_BEHIND, self.commit, at=ahead)
        within = NOW + timedelta(minutes=5)
        message = replace(self.cms, at=within)
        self.add("5_signed-in-the-last-second", PROVEN, self.around(message), at=within + timedelta(days=365))

    def epochs(self) -> None:
        """Step 6."""
        retired, revoked = Reason.EPOCH_RETIRED, Reason.REVOKED
        later, before = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
        self.add("6_no-bundle", Reason.BUNDLE_ABSENT, self.commit, bundle=None)
        self.add("6_retired-afterwards", PROVEN, self.commit, bundle=self.retired(later), at=later)
        self.add("6_retired-before", retired, self.commit, bundle=self.retired(before))
        unproven = self.signed(self.payload, timestamped=False)
        self.add("6_retired-afterwards-and-no-stamp", retired, unproven, bundle=self.retired(later), at=later)
        stolen = self.retired(later, compromised=True)
        self.add("6_compromised-and-its-own-stamp", retired, self.commit, bundle=stolen, at=later)
        no_recovery = self.sealed(stolen, recovery=False)
        invalid = Reason.BUNDLE_INVALID
        self.add("6_compromise-without-recovery-key", invalid, self.commit, bundle=no_recovery, at=later)
        signed = hashlib.sha256(self.leaf.certificate.tbs_certificate_bytes)
        for name, kind, what in (
            ("grant", RevocationKind.GRANT, AGENT.grant_id),
            ("session", RevocationKind.SESSION, AGENT.session),
            ("actor", RevocationKind.PRINCIPAL, "wimse://authority.example/agent/agent-7"),
            ("represented-principal", RevocationKind.PRINCIPAL, ALICE.id),
            ("certificate", RevocationKind.CERTIFICATE, signed.hexdigest()),
        ):
            entry = Revocation(kind=kind, id=what, at=_seconds(before), reason="lost")
            bundle = self.bundle(revocations=(entry,))
            self.add(f"6_{name}-revoked-before", revoked, self.commit, bundle=bundle)
        entry = Revocation(kind=RevocationKind.GRANT, id=AGENT.grant_id, at=_seconds(later), reason="lost")
        bundle = self.bundle(revocations=(entry,), issued_at=_seconds(later))
        self.add("6_grant-revoked-afterwards", PROVEN, self.commit, bundle=bundle, at=later)
        spec = replace(self.notme.spec(), epoch=2)
        other = self.signed(self.payload, self.notme.issue(spec))
        self.add("6_epoch-that-is-not-its-issuers", Reason.EPOCH_UNKNOWN, other)
        changed = self.sealed(self.bundle()).replace(b"authority.example", b"authority.exampl3")
        self.add("6_bundle-changed", invalid, self.commit, bundle=changed)
        self.add("6_bundle-rolled-back", Reason.BUNDLE_ROLLBACK, self.commit, seen="8")
        ahead = self.bundle(issued_at=_seconds(NOW + timedelta(seconds=61)))
        self.add("6_bundle-of-the-future", Reason.CLOCK_BEHIND, self.commit, bundle=ahead)

    def identities(self) -> None:
        """Step 7."""
        mismatch = Reason.COMMITTER_MISMATCH

        def by(who: str, author: str | None = None) -> bytes:
            return self.signed(commit_payload(committer=who, author=author))

        self.add("7_committer-is-neither", mismatch, by("Bob <bob@example.org>"))
        self.add("7_committer-without-address", mismatch, by("agent-7 <>"))
        self.add("7_committer-is-the-human", PROVEN, by("Alice <alice@example.org>"))
        self.add("7_committer-in-other-case", PROVEN, by("Alice <ALICE@example.org>"))
        author = by(f"agent-7 <{AGENT.actor_email}>", "Bob <bob@example.org>")
        self.add("7_author-is-another", PROVEN, author, remarks="authored-by-other")
        tag = tag_payload("1" * 40, tagger="Bob <bob@example.org>")
        self.add("7_tagger-is-neither", mismatch, self.signed(tag), kind="tag")
        untagged = self.signed(tag_payload("1" * 40, tagger=None))
        self.add("7_tag-without-tagger", mismatch, untagged, kind="tag")
        self.add("7_scope-of-a-verifier", Reason.SCOPE_MISSING, self.by(scopes=("sign:attestation",)))
        self.add("7_no-scope", Reason.SCOPE_MISSING, self.by(scopes=()))
        self.add("7_scope-in-other-case", Reason.SCOPE_MISSING, self.by(scopes=("Sign:git",)))
        alone = self.signed(self.payload, self.notme.leaf(replace(AGENT, represented=None)))
        self.add("7_no-represented-principal", PROVEN, alone)

    def policies(self) -> None:
        """Step 8, and whole objects with nothing wrong."""
        self.add("8_commit", PROVEN, self.commit)
        self.add("8_commit-interop", PROVEN, self.signed(self.payload, self.interop.leaf()), of=Profile.INTEROP)
        self.add("8_tag", PROVEN, self.signed(tag_payload("1" * 40)), kind="tag")
        self.add(
            "8_detached", PROVEN, b"content\n", kind="content", signature=self.notme.armour(self.leaf, b"content\n")
        )
        payload = commit_payload(fmt=ObjectFormat.SHA256)
        raw_commit = attach(payload, self.notme.armour(self.leaf, payload), ObjectFormat.SHA256)
        self.add("8_commit-sha256", PROVEN, raw_commit, fmt=ObjectFormat.SHA256)
        unproven = self.signed(self.payload, timestamped=False)
        self.add("8_time-required", Reason.TIME_REQUIRED, unproven, require_time="authority")
        self.add("8_receiver-required", Reason.TIME_REQUIRED, self.commit, require_time="receiver")
        old = NOW + timedelta(days=2)
        self.add("8_bundle-too-old", Reason.BUNDLE_STALE, self.commit, at=old, max_bundle_age="86400")
        limits = Constraints(repositories=("https://git.example/app",), branches=("agents/*",))
        bound = self.by(replace(AGENT, constraints=limits))
        place: dict[str, Any] = {"repository": "https://git.example/app", "ref": "refs/heads/agents/one"}
        self.add("8_right-branch", PROVEN, bound, **place)
        wrong = Reason.CONSTRAINT_MISMATCH
        self.add("8_another-branch", wrong, bound, **{**place, "ref": "refs/heads/main"})
        self.add("8_another-repository", wrong, bound, **{**place, "repository": "https://git.example/other"})
        self.add("8_branch-not-known", Reason.CONTEXT_UNKNOWN, bound)


def rewrapped(armour: bytes, columns: int) -> bytes:
    """Armour with lines of another length."""
    body = b"".join(armour.splitlines()[1:-1])
    lines = [body[at : at + columns] + b"\n" for at in range(0, len(body), columns)]
    return cms.ARMOUR.begin + b"".join(lines) + cms.ARMOUR.end


def second_s(signature: bytes) -> bytes:
    """The same signature with S + L: RFC 8032 section 5.1.7 refuses it, not every library does."""
    s = int.from_bytes(signature[32:], "little") + GROUP_ORDER
    return signature[:32] + s.to_bytes(32, "little")


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _spki(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _seconds(when: datetime) -> int:
    return int(when.astimezone(UTC).timestamp())


def generate() -> dict[str, Vector]:
    """Every vector by name, the same each time."""
    made = Vectors()
    for step in (
        made.objects,
        made.signatures,
        made.integrity,
        made.chains,
        made.times,
        made.epochs,
        made.identities,
        made.policies,
    ):
        step()
    ssh.add(made)
    delegated.add(made)
    return made.made


def files() -> Iterator[Path]:
    """The vectors on disk."""
    return iter(sorted(FOLDER.glob("*.txt")))


def main() -> None:
    """Write every vector, and remove what is no longer one."""
    made = generate()
    for path in files():
        if path.stem not in made:
            path.unlink()
    for name, vector in made.items():
        (FOLDER / f"{name}.txt").write_text(vector.encode(), "ascii")


if __name__ == "__main__":
    main()
