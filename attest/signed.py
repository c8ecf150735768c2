"""What steps 2 to 5 ask of a signature, in one form for CMS and for SSH signatures, and which signatures are ours.

Beyond this module only the report of a signature still asks which of the two it was. What is not ours is read by
`foreign`, and has fewer steps to take.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from attest import asn1, certificate, cms, fulcio, gitobject, keys, sshcert, sshsig, sshwire
from attest.armour import Armour
from attest.certificate import Anchor, Chain
from attest.cms import SignedMessage
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.foreign import roots as foreign
from attest.foreign.roots import Roots
from attest.foreign.vouched import ARMOUR_CMS, ForeignSigned
from attest.gitobject import Commit, PushCertificate, Signature, SignatureFormat, Tag
from attest.keys import KeyAlgorithm, PublicKey
from attest.profile import CLAIMS, RULES, Profile
from attest.sshcert import UserCertificate
from attest.sshsig import SshSignature

GitObject: TypeAlias = Commit | Tag | PushCertificate

_CLAIMS = asn1.encode(CLAIMS)
_FULCIO = asn1.encode(fulcio.OIDS[fulcio.ISSUER])[2:-1]
"""How the identifiers of all of Fulcio's extensions begin; with our claims beside them, the certificate is ours."""

UNORDERED = "certificates-unordered"
"""Remark: the certificates do not stand in the order of DER. Nothing signs that order."""

_CMS_ARMOUR = Armour("CMS", columns=64, limit=cms.MAX_CMS_BYTES)


@dataclass(frozen=True, slots=True)
class CmsSigned:
    """A CMS signature with the X.509 certificates it carries.

    `labelled` is false where its armour is not the one that git knows, but the one that signet-git wrote at first.
    """

    message: SignedMessage
    labelled: bool = True

    @property
    def detail(self) -> str:
        """For the finding of step 2."""
        return f"one CMS signature, {self.message.algorithm}"

    @property
    def algorithm(self) -> KeyAlgorithm:
        return self.message.algorithm

    @property
    def digest_algorithm(self) -> str:
        return "sha512" if self.message.algorithm is KeyAlgorithm.ED25519 else "sha256"

    @property
    def value(self) -> bytes:
        """The signature proper, which time-stamps are over."""
        return self.message.signature

    @property
    def timestamps(self) -> tuple[bytes, ...]:
        """Tokens that travel inside the signature."""
        return self.message.timestamps

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is odd about it in step 2, whoever made it."""
        return () if self.labelled else (ARMOUR_CMS,)

    @property
    def chain_remarks(self) -> tuple[str, ...]:
        """What is odd about it, but allowed, once step 4 held."""
        # go-cms writes the leaf first where DER wants the SET sorted (X.690 section 11.6): only profile signet comes
        # here, see `verify_chain`.
        return () if self.message.certificates_sorted else (UNORDERED,)

    def verify_content(self, content: bytes) -> PublicKey:
        """Step 3."""
        return cms.verify_content(self.message, content)

    def verify_chain(self, anchors: Sequence[Anchor], profile: Profile | None, known: Chain | None) -> Chain:
        """Step 4. What was proven of the very same bytes under a pinned anchor need not be proven again."""
        message, alone = self.message, self.labelled and not self.message.others
        if alone and _is_known(known, anchors, profile, certificate.der_of(message.signer)):
            return known  # type: ignore[return-value]  # not None, says _is_known
        chain = certificate.verify_chain(message.signer, message.others, anchors, profile)
        if RULES[chain.anchor.profile].ours and not message.certificates_sorted:
            # Nothing signs this SET: in another order it is a second object with the same good signature.
            raise VerificationError(Step.CHAIN, Reason.PROFILE_MISMATCH, "the certificates are not in the order of DER")
        if not self.labelled and chain.anchor.profile is not Profile.SIGNET:
            # Nor is the label signed.
            raise VerificationError(Step.CHAIN, Reason.PROFILE_MISMATCH, "its armour is not the one that git knows")
        return chain

    def signing_time(self, _parsed: GitObject | None) -> tuple[int, str] | None:
        """The signer's word on the time (unix seconds), and where it stands."""
        when = self.message.signing_time
        return None if when is None else (int(when.timestamp()), cms.SIGNING_TIME_SOURCE)


@dataclass(frozen=True, slots=True)
class SshSigned:
    """An SSH signature whose key is one of our OpenSSH certificates."""

    signature: SshSignature
    certificate: UserCertificate

    detail: ClassVar[str] = "one SSH signature, ed25519"
    algorithm: ClassVar[KeyAlgorithm] = KeyAlgorithm.ED25519
    timestamps: ClassVar[tuple[bytes, ...]] = ()
    remarks: ClassVar[tuple[str, ...]] = ()
    chain_remarks: ClassVar[tuple[str, ...]] = ()

    @property
    def digest_algorithm(self) -> str:
        return self.signature.hash_algorithm

    @property
    def value(self) -> bytes:
        """The signature proper, which time-stamps are over."""
        return self.signature.signature

    def verify_content(self, content: bytes) -> PublicKey:
        """Step 3."""
        try:
            key = keys.ed25519(self.certificate.public_key)
        except MalformedError as error:
            raise VerificationError(
                Step.INTEGRITY, Reason.KEY_REFUSED, f"the signer's key is refused: {error}"
            ) from None
        sshsig.verify_content(self.signature, content, key)
        return key

    def verify_chain(self, anchors: Sequence[Anchor], profile: Profile | None, known: Chain | None) -> Chain:
        """Step 4. What was proven of the very same bytes under a pinned anchor need not be proven again."""
        if _is_known(known, anchors, profile, self.certificate.blob):
            return known  # type: ignore[return-value]  # not None, says _is_known
        return sshcert.verify_chain(self.certificate, anchors, profile)

    def signing_time(self, parsed: GitObject | None) -> tuple[int, str] | None:
        """The signer's word on the time (unix seconds), and where it stands."""
        match parsed:
            case Commit():
                return parsed.committer.seconds, sshsig.COMMITTER_DATE_SOURCE
            case Tag() if parsed.tagger is not None:
                return parsed.tagger.seconds, sshsig.COMMITTER_DATE_SOURCE
            case PushCertificate():
                return parsed.seconds, sshsig.COMMITTER_DATE_SOURCE
        return None


Signed: TypeAlias = CmsSigned | SshSigned


def read(signature: Signature, anchors: Sequence[Anchor], roots: Roots | None = None) -> Signed | ForeignSigned:
    """Step 2: the signature, strictly decoded.

    Ours is what carries a pinned anchor's mark, looked for in the raw bytes: one of ours that was tampered with is
    malformed, and not somebody else's. Everything else is read as foreign, and `roots` say what counts of it.
    """
    fmt, armour = signature.format, signature.armour
    if fmt is SignatureFormat.UNKNOWN:
        label = armour.partition(b"\n")[0][:80].decode("ascii", "replace")
        raise VerificationError(Step.SIGNATURE, Reason.SIGNATURE_UNKNOWN, f"nobody here reads a signature in {label}")
    if fmt is SignatureFormat.SSH and is_ours(armour, anchors):
        parsed = sshsig.parse(sshsig.ARMOUR.open(armour))
        return SshSigned(parsed, sshcert.parse(parsed.public_key))
    if fmt is SignatureFormat.X509:
        labelled = not armour.startswith(_CMS_ARMOUR.begin)
        try:
            message = cms.parse((cms.ARMOUR if labelled else _CMS_ARMOUR).open(armour))
        except (MalformedError, VerificationError):
            if is_ours_x509(armour, anchors):
                raise
        else:
            # Of an authority of this kind, though not of a pinned one, unless it is gitsign's or roots of others count.
            others = _FULCIO in message.der or (roots is not None and roots.x509)
            if not others or _is_marked(message.der, anchors):
                return CmsSigned(message, labelled)
    return foreign.read(signature, roots)


def is_ours(armour: bytes, anchors: Sequence[Anchor]) -> bool:
    """Whether the key of a pinned anchor that issues SSH certificates stands in an SSH signature's armour."""
    blob = gitobject.loose(armour)
    marks = [sshwire.ed25519_key(a.key.raw) for a in anchors if a.profile is Profile.NOTME]
    return any(mark in blob for mark in marks)


def is_ours_x509(armour: bytes, anchors: Sequence[Anchor]) -> bool:
    """Whether our claims, or the name of a pinned issuer, stand in the armour of a CMS signature."""
    return _is_marked(gitobject.loose(armour), anchors)


def _is_marked(der: bytes, anchors: Sequence[Anchor]) -> bool:
    return _CLAIMS in der or any(a.certificate.subject.public_bytes() in der for a in anchors)


def _is_known(known: Chain | None, anchors: Sequence[Anchor], profile: Profile | None, encoded: bytes) -> bool:
    return (
        known is not None
        and known.leaf.encoded == encoded
        and known.issuing is None
        and known.anchor in anchors
        and profile in (None, known.anchor.profile)
    )
