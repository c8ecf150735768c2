"""Pinned anchors, the trust bundle, epochs and revocation (design D6).

When an epoch may move:

- A bundle counts when its current key signed it, and either that key or the previous key is pinned.
- A routine retirement at T leaves good what evidence puts before T.
- A compromise retirement counts only with the recovery key's signature, whose SHA-256 the bundle has
  carried from its first issue. Then the epoch's own time-stamps count for nothing: they may be forged. Nor do others'
  over an ECDSA signature (`_unforged`).
- A sequence never goes back for a verifier that remembers the last one (`minimum_sequence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from attest import asn1, canonical, evidence, keys
from attest.certificate import Anchor, BridgeCertificate, Chain
from attest.errors import Error, MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.evidence import SKEW
from attest.foreign.roots import Roots
from attest.gitobject import MAX_SECONDS
from attest.instants import instant, rfc3339
from attest.keys import KeyAlgorithm, PublicKey
from attest.timestamp import ACCURACY
from attest.types import (
    Epoch,
    Evidence,
    Retirement,
    Revocation,
    RevocationKind,
    SignedTrustBundle,
    SignerRole,
    TrustBundle,
    Voucher,
)

if TYPE_CHECKING:
    from attest.foreign.cmstime import Stamper

DOMAIN = b"notme-trust-bundle-v1\n"
"""Separates these signatures from everything else the root key signs (certificates begin with 0x30)."""

RETIREMENT_DOMAIN = b"notme-epoch-retirement-v1\n"
"""Separates the recovery key's signatures, which outlive the bundle they first appear in."""

MAX_BUNDLE_BYTES = 4 * 1024 * 1024
BUNDLE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Trust:
    """What a verifier goes by: the anchors, and a verified bundle where it has one, each epoch with its anchors.

    With several authorities `anchors` are those of all, the rest is of the first, and `others` are the others.
    `foreign` says whose signatures count beside theirs: nobody's, unless the verifier named them.
    """

    anchors: tuple[Anchor, ...]
    bundle: TrustBundle | None = None
    epochs: tuple[tuple[Epoch, tuple[Anchor, ...]], ...] = ()
    others: tuple[Trust, ...] = ()
    foreign: Roots | None = None

    @property
    def witnesses(self) -> tuple[PublicKey, ...]:
        """The keys of servers whose statements of what arrived count."""
        return self.foreign.witnesses if self.foreign is not None else ()

    @property
    def stampers(self) -> tuple[Stamper, ...]:
        """Third parties whose time-stamps count."""
        return self.foreign.stampers if self.foreign is not None else ()

    def of(self, anchor: Anchor) -> Trust:
        """The part that is about the authority of `anchor`: one authority's bundle says nothing of another's keys."""
        return next((other for other in self.others if anchor in other.anchors), self)

    def named(self, root: str) -> Trust:
        """As `of`, for the anchor with this key id."""
        return next((self.of(anchor) for anchor in self.anchors if anchor.key.key_id == root), self)

    def age(self, at: datetime) -> timedelta | None:
        """How old the bundle is at `at`, or None without one."""
        return None if self.bundle is None else at - instant(self.bundle.issued_at)


def join(first: Trust, others: Sequence[Trust]) -> Trust:
    """What a verifier goes by that pinned several authorities.

    `UnavailableError` when two of them claim one key: whose bundle speaks of it could then not be said.
    """
    anchors: dict[Anchor, None] = {}
    for each in (first, *others):
        if any(anchor in anchors for anchor in each.anchors):
            raise UnavailableError(
                "two of the pinned authorities claim the same key", hint="notme-git trust list shows them; remove one"
            )
        anchors.update(dict.fromkeys(each.anchors))
    return replace(first, anchors=tuple(anchors), others=(*first.others, *others))


def bundle_to_be_signed(bundle: TrustBundle) -> bytes:
    """The bytes that every signature of a bundle covers."""
    return DOMAIN + canonical.encode(bundle)


def retirement_to_be_signed(authority_id: str, epoch: Epoch) -> bytes:
    """The bytes that the recovery key signs to retire `epoch` as compromised."""
    return RETIREMENT_DOMAIN + authority_id.encode() + b"\n" + canonical.encode(epoch)


def verify_bundle(data: bytes, pinned: Sequence[Anchor], *, minimum_sequence: int = 0) -> Trust:
    """Check a signed bundle against `pinned` anchors and return them with the bundle's own added.

    Raises `VerificationError` (step 6).
    """
    try:
        if len(data) > MAX_BUNDLE_BYTES:
            raise MalformedError(f"{len(data)} bytes; at most {MAX_BUNDLE_BYTES} are read")
        signed = canonical.decode(SignedTrustBundle, data)
        bundle = canonical.decode(TrustBundle, signed.bundle)
        anchors = _epoch_anchors(bundle)
        _verify_signatures(signed, bundle, anchors, pinned)
    except Error as error:
        raise VerificationError(
            Step.EPOCH,
            Reason.BUNDLE_INVALID,
            f"the trust bundle does not hold: {error.message}",
            hint=error.hint,
        ) from None
    if bundle.sequence < minimum_sequence:
        raise VerificationError(
            Step.EPOCH,
            Reason.BUNDLE_ROLLBACK,
            f"the trust bundle has sequence {bundle.sequence}; {minimum_sequence} was seen before",
            hint="fetch the current bundle: notme-git trust update, or a new export of the authority's for --bundle",
        )
    known = tuple(anchor for _, pair in anchors for anchor in pair)
    return Trust(known + tuple(a for a in pinned if a not in known), bundle, tuple(anchors))


def is_bundle(data: bytes) -> bool:
    """Whether this is a signed trust bundle at all, whatever is in it."""
    try:
        canonical.decode(SignedTrustBundle, data)
    except Error:
        return False
    return True


def verify_epoch(trust: Trust, chain: Chain, found: Sequence[Evidence], at: datetime) -> Epoch:
    """Step 6: the issuing epoch was acceptable when the signature was made, and nothing in it is revoked.

    Raises `UnavailableError` without a bundle, `VerificationError` where the bundle speaks against it.
    """
    trust = trust.of(chain.anchor)
    bundle = trust.bundle
    if bundle is None:
        raise UnavailableError(
            "no trust bundle: retired epochs, revocations and rollback were not checked",
            reason=Reason.BUNDLE_ABSENT,
        )
    if instant(bundle.issued_at) > at + SKEW:
        raise UnavailableError(
            "the trust bundle was issued later than now by this machine's clock",
            hint="set the clock of this machine and try again",
            reason=Reason.CLOCK_BEHIND,
        )
    epoch = _find_epoch(trust, chain)
    found = _unforged(epoch, chain.leaf, found)
    verify_not_retired(epoch, found)
    proven = evidence.latest_proven(found, above=_beyond(epoch))
    for revocation in bundle.revocations:
        if _concerns(revocation, chain.leaf) and not _before(proven, revocation.at):
            raise VerificationError(
                Step.EPOCH,
                Reason.REVOKED,
                f"{revocation.kind} {revocation.id} is revoked since {rfc3339(revocation.at)}"
                + (f": {revocation.reason}" if revocation.reason else ""),
            )
    return epoch


def _find_epoch(trust: Trust, chain: Chain) -> Epoch:
    for epoch, pair in trust.epochs:
        if chain.anchor in pair:
            if chain.leaf.epoch not in (None, epoch.number):
                break
            return epoch
    raise VerificationError(
        Step.EPOCH,
        Reason.EPOCH_UNKNOWN,
        f"the certificate says epoch {chain.leaf.epoch}; the trust bundle knows no such epoch with its issuer's key",
    )


def settled_epoch(trust: Trust, chain: Chain) -> Epoch | None:
    """The issuing epoch, where nothing in the chain is revoked, so that its retirement is all that is left to ask."""
    trust = trust.of(chain.anchor)
    if trust.bundle is None or any(_concerns(revocation, chain.leaf) for revocation in trust.bundle.revocations):
        return None
    return _find_epoch(trust, chain)


def verify_not_retired(epoch: Epoch, found: Sequence[Evidence]) -> None:
    """The part of step 6 that the evidence of time decides; `VerificationError`."""
    if epoch.retirement is Retirement.CURRENT:
        return
    since = epoch.compromised_at if epoch.retirement is Retirement.COMPROMISE else epoch.retired_at
    if not _before(evidence.latest_proven(found, above=_beyond(epoch)), since):
        raise VerificationError(
            Step.EPOCH,
            Reason.EPOCH_RETIRED,
            f"epoch {epoch.number} is retired ({epoch.retirement}) since {rfc3339(since)},"
            " and nothing proves that the signature is older",
        )


def _beyond(epoch: Epoch) -> Voucher:
    """A compromised epoch's own time-stamps may be forged: only receivers and third parties count then."""
    return Voucher.AUTHORITY if epoch.retirement is Retirement.COMPROMISE else Voucher.SIGNER


def _unforged(epoch: Epoch, leaf: BridgeCertificate, found: Sequence[Evidence]) -> Sequence[Evidence]:
    """Without what whoever stole the epoch's keys can use for a signature of today.

    A time-stamp is over a signature's value alone. To any value of ECDSA and any message a key can be computed by which
    it verifies (duplicate-signature key selection: Blake-Wilson and Menezes, 1999), and a stolen root certifies that
    key: the stamp of an honest commit would vouch for a forged one. Ed25519 hashes the key with the message, so there
    is none; and a witness saw the object.
    """
    if epoch.retirement is not Retirement.COMPROMISE or leaf.key.algorithm is KeyAlgorithm.ED25519:
        return found
    return [item for item in found if item.voucher is not Voucher.INDEPENDENT]


def _before(proven: datetime | None, seconds: int) -> bool:
    # Both instants are whole seconds of the authority's clock, and the time-stamp's end includes its
    # accuracy: what was signed in the second of the retirement still counts as before it.
    return proven is not None and proven <= instant(seconds) + ACCURACY


def _concerns(revocation: Revocation, leaf: BridgeCertificate) -> bool:
    """What revokes an issuing CA, its holder, grant or session hits what it minted."""
    if leaf.delegator is not None and _concerns(revocation, leaf.delegator):
        return True
    claims = leaf.claims
    named: tuple[str, ...]
    match revocation.kind:
        case RevocationKind.CERTIFICATE:
            named = (leaf.signed_sha256.hex(),)
        case RevocationKind.GRANT:
            named = (claims.grant_id,) if claims else ()
        case RevocationKind.SESSION:
            named = (claims.session,) if claims else ()
        case RevocationKind.PRINCIPAL:
            named = (leaf.uri, claims.represented.id) if claims and claims.represented else (leaf.uri,)
    return revocation.id in named


def _epoch_anchors(bundle: TrustBundle) -> list[tuple[Epoch, tuple[Anchor, ...]]]:
    """Each epoch with its anchors, epochs numbered upwards and only the last one current."""
    if bundle.version != BUNDLE_VERSION:
        raise MalformedError(f"version {bundle.version}; this program reads version {BUNDLE_VERSION}")
    times = [bundle.issued_at, *(revocation.at for revocation in bundle.revocations)]
    times += [t for epoch in bundle.epochs for t in (epoch.began_at, epoch.retired_at, epoch.compromised_at)]
    if max(times) > MAX_SECONDS:
        raise MalformedError("a time in it is after the year 9999")
    if not bundle.epochs or bundle.epochs[-1].retirement is not Retirement.CURRENT:
        raise MalformedError("its last epoch is not the current one")
    pairs: list[tuple[Epoch, tuple[Anchor, ...]]] = []
    last = 0
    for epoch in bundle.epochs:
        if epoch.number <= last:
            raise MalformedError("epochs are not in ascending order")
        last = epoch.number
        try:
            roots = [asn1.load_certificate(der) for der in (epoch.root, epoch.interop_root) if der]
        except MalformedError as error:
            raise MalformedError(f"the root of epoch {epoch.number} cannot be read: {error}") from None
        pairs.append((epoch, tuple(Anchor.read(root) for root in roots)))
    if any(epoch.retirement is Retirement.CURRENT for epoch in bundle.epochs[:-1]):
        raise MalformedError("two epochs are current")
    return pairs


def _verify_signatures(
    signed: SignedTrustBundle,
    bundle: TrustBundle,
    anchors: list[tuple[Epoch, tuple[Anchor, ...]]],
    pinned: Sequence[Anchor],
) -> None:
    by_role: dict[SignerRole, set[PublicKey]] = {role: set() for role in SignerRole}
    message = bundle_to_be_signed(bundle)
    for item in signed.signatures:
        if item.role is not SignerRole.RECOVERY:
            key = keys.parse_spki(item.spki)
            keys.verify_signature(key, item.signature, message)
            by_role[item.role].add(key)
    current = {a.key for a in anchors[-1][1]} & by_role[SignerRole.CURRENT]
    if not current:
        raise MalformedError("its current key has not signed it")
    previous = {a.key for a in anchors[-2][1]} if len(anchors) > 1 else set()
    previous &= by_role[SignerRole.PREVIOUS]
    for epoch in bundle.epochs:
        if epoch.retirement is Retirement.COMPROMISE:
            _verify_recovery(signed, bundle, epoch)
    if not ({a.key for a in pinned} & (current | previous)):
        raise MalformedError(
            "neither its current nor its previous key is pinned",
            hint="compare the authority's fingerprint out of band and pin its current root "
            "(notme-git trust add URL --spki sha256:HEX, or a new export for --anchor)",
        )


def _verify_recovery(signed: SignedTrustBundle, bundle: TrustBundle, epoch: Epoch) -> None:
    message = retirement_to_be_signed(bundle.authority_id, epoch)
    for item in signed.signatures:
        key = keys.parse_spki(item.spki)
        if item.role is SignerRole.RECOVERY and key.spki_sha256 == bundle.recovery_commitment:
            try:
                keys.verify_signature(key, item.signature, message)
            except VerificationError:
                continue
            return
    raise MalformedError(
        f"it retires epoch {epoch.number} as compromised without the recovery key's signature"
    )
