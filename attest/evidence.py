"""Time is evidence: an interval and who vouches for it (design D5).

Ranked by voucher: the signer's own word < our authority's time-stamp < the receiving side < an
independent third party. *Signed while valid* is proven only by a voucher other than the signer, and
only if the interval ends before the certificate does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from attest import timestamp
from attest.certificate import BridgeCertificate, Chain
from attest.cms import SignedMessage
from attest.errors import Reason, Step, UnavailableError, VerificationError
from attest.types import Evidence, Voucher

SKEW = timedelta(seconds=60)
"""How far two honest clocks may lie apart; the same minute that certificates are backdated by."""

RANK = {Voucher.SIGNER: 0, Voucher.AUTHORITY: 1, Voucher.RECEIVER: 2, Voucher.INDEPENDENT: 3}


def collect(message: SignedMessage, chain: Chain) -> tuple[Evidence, ...]:
    """Everything the signature carries about its time; each time-stamp must hold (step 5).

    A time-stamp counts under the anchor that issued the leaf and no other: the key of another authority, or of
    an epoch that was compromised, says nothing about this one's signatures. The lower bound of its interval is the
    certificate's issue: the signature covers nothing older, and the same authority vouches for that instant.
    """
    leaf = chain.leaf
    found = []
    if message.signing_time is not None:
        seconds = int(message.signing_time.timestamp())
        found.append(
            Evidence(not_before=seconds, not_after=seconds, voucher=Voucher.SIGNER, source="cms-signing-time")
        )
    for token in message.timestamps:
        stamp = timestamp.verify_timestamp(token, message.signature, (chain.anchor,))
        end = stamp.time + stamp.accuracy
        found.append(
            Evidence(
                not_before=min(int(leaf.issued_at.timestamp()), int(end.timestamp())),
                not_after=int(end.timestamp()),
                voucher=Voucher.AUTHORITY,
                source=f"rfc3161:{stamp.anchor.key.key_id}",
            )
        )
    return tuple(found)


def verify_time(evidence: Sequence[Evidence], leaf: BridgeCertificate, at: datetime) -> Evidence:
    """Step 5: returns the best evidence that the signature was made while `leaf` was valid.

    Raises `VerificationError` where evidence contradicts, `UnavailableError` (`time-unproven`) where
    only the signer's word stands for it.
    """
    for item in evidence:
        if instant(item.not_before) > at + SKEW or instant(item.not_after) > at + SKEW + timestamp.ACCURACY:
            raise UnavailableError(
                f"it was signed at {rfc3339(item.not_after)}, and this machine's clock says {at:%Y-%m-%dT%H:%M:%SZ}",
                hint="set the clock of this machine and try again",
                reason=Reason.CLOCK_BEHIND,
            )
    ranked = sorted(evidence, key=lambda e: RANK[e.voucher], reverse=True)
    for item in ranked:
        inside = leaf.not_before - SKEW <= instant(item.not_after) <= leaf.not_after + SKEW
        if inside and item.voucher is not Voucher.SIGNER:
            return item
        # The signer's own word, or the time-stamp that travels inside the signature: outside the
        # certificate's life it is a contradiction. A receiver's later observation is merely late.
        if not inside and item.voucher in (Voucher.SIGNER, Voucher.AUTHORITY):
            raise VerificationError(
                Step.TIME,
                Reason.TIME_OUTSIDE_VALIDITY,
                f"signed at {rfc3339(item.not_after)} ({item.voucher}), outside the certificate's validity"
                f" ({leaf.not_before:%Y-%m-%dT%H:%M:%SZ} to {leaf.not_after:%Y-%m-%dT%H:%M:%SZ})",
            )
    raise UnavailableError(
        "time unproven: only the signer says that it was signed while the certificate was valid",
        reason=Reason.TIME_UNPROVEN,
    )


def latest_proven(evidence: Sequence[Evidence], *, above: Voucher = Voucher.SIGNER) -> datetime | None:
    """The earliest instant by which, say vouchers ranked above `above`, the signature existed; else None."""
    ends = [item.not_after for item in evidence if RANK[item.voucher] > RANK[above]]
    return instant(min(ends)) if ends else None


def instant(seconds: int) -> datetime:
    """Unix seconds, as stored times are, as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def rfc3339(seconds: int) -> str:
    """Unix seconds as RFC 3339 in UTC."""
    return f"{instant(seconds):%Y-%m-%dT%H:%M:%SZ}"
