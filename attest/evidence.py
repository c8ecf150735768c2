"""Time is evidence: an interval and who vouches for it (design D5).

Ranked by voucher: the signer's own word < our authority's time-stamp < the receiving side < an
independent third party. *Signed while valid* is proven only by a voucher other than the signer, and
only if the interval ends before the certificate does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from attest import timestamp
from attest.certificate import BridgeCertificate, Chain
from attest.errors import Reason, Step, UnavailableError, VerificationError
from attest.gitobject import MAX_SECONDS
from attest.instants import instant, rfc3339
from attest.signed import GitObject, Signed
from attest.sshsig import COMMITTER_DATE_SOURCE
from attest.types import Evidence, Voucher

SKEW = timedelta(seconds=60)
"""How far two honest clocks may lie apart; the same minute that certificates are backdated by."""

RANK = {Voucher.SIGNER: 0, Voucher.AUTHORITY: 1, Voucher.RECEIVER: 2, Voucher.INDEPENDENT: 3}


EMBEDDED, DETACHED = "rfc3161", "detached-rfc3161"
"""A time-stamp that travels inside the signature, and one that was kept beside the object."""

MAX_DETACHED = 64
"""One is made. Whoever may write to the ref can add more, and each costs up to three signature checks."""

BAD_STAMP = "detached-timestamp-ignored"
"""Remark: a time-stamp kept beside the object does not hold. Anybody can add one, so it speaks against nothing."""


def collect(signed: Signed, chain: Chain, parsed: GitObject | None = None) -> tuple[Evidence, ...]:
    """Everything that signature and object carry about the time; each time-stamp inside must hold (step 5).

    A time-stamp counts under the anchor that issued the leaf and no other: the key of another authority, or of
    an epoch that was compromised, says nothing about this one's signatures. The lower bound of its interval is the
    certificate's issue: the signature covers nothing older, and the same authority vouches for that instant.
    """
    found = []
    if (word := signed.signing_time(parsed)) is not None:
        found.append(said(*word))
    found += [stamped(token, signed.value, chain, EMBEDDED) for token in signed.timestamps]
    return tuple(found)


def collect_detached(
    tokens: Sequence[bytes], signed: Signed, chain: Chain
) -> tuple[tuple[Evidence, ...], list[str]]:
    """What time-stamps kept beside the object prove, and a remark when one does not hold."""
    found, remarks = [], list[str]()
    for token in dict.fromkeys(tokens[:MAX_DETACHED]):
        try:
            found.append(stamped(token, signed.value, chain, DETACHED))
        except VerificationError:
            remarks = [BAD_STAMP]
    return tuple(found), remarks


def said(seconds: int, source: str) -> Evidence:
    """The signer's own word."""
    return Evidence(seconds, seconds, Voucher.SIGNER, source)


def verify_within(evidence: Sequence[Evidence], not_before: int | None, not_after: int | None) -> Evidence:
    """Step 5 for a foreign signature: the best evidence that it was made within what vouches for its key.

    Raises `VerificationError` where even the signer's word is outside, `UnavailableError` (`time-unproven`) where
    that word is all there is.
    """
    ranked = sorted(evidence, key=lambda e: RANK[e.voucher], reverse=True)
    skew = int(SKEW.total_seconds())
    for item in ranked:
        inside = (not_before or 0) - skew <= item.not_after <= (MAX_SECONDS if not_after is None else not_after) + skew
        if inside and item.voucher is not Voucher.SIGNER:
            return item
        if not inside and item.voucher is Voucher.SIGNER:
            raise VerificationError(
                Step.TIME,
                Reason.TIME_OUTSIDE_VALIDITY,
                f"signed at {rfc3339(item.not_after)} (signer), outside of what vouches for the key",
            )
    raise UnavailableError(
        "time unproven: only the signer says that it was signed while the key was vouched for",
        reason=Reason.TIME_UNPROVEN,
    )


def within_detail(item: Evidence) -> str:
    """For the finding of step 5 where `item` proved it."""
    return f"signed while valid, by {rfc3339(item.not_after)}, says {item.voucher}"


def stamped(token: bytes, value: bytes, chain: Chain, how: str) -> Evidence:
    """What a time-stamp over a signature's value proves under the anchor that issued the leaf; `VerificationError`."""
    stamp = timestamp.verify_timestamp(token, value, (chain.anchor,))
    end = int((stamp.time + stamp.accuracy).timestamp())
    return Evidence(
        not_before=min(int(chain.leaf.issued_at.timestamp()), end),
        not_after=end,
        voucher=Voucher.AUTHORITY,
        source=f"{how}:{stamp.anchor.key.key_id}",
    )


def verify_time(evidence: Sequence[Evidence], leaf: BridgeCertificate, at: datetime) -> Evidence:
    """Step 5: returns the best evidence that the signature was made while `leaf` was valid.

    Raises `VerificationError` where evidence contradicts, `UnavailableError` (`time-unproven`) where
    only the signer's word stands for it.
    """
    _verify_committer_date(evidence, leaf)
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
        # certificate's life it is a contradiction. A later observation by whoever else is merely late.
        late = item.voucher is Voucher.AUTHORITY and item.source.startswith(DETACHED)
        if not inside and item.voucher in (Voucher.SIGNER, Voucher.AUTHORITY) and not late:
            raise _outside(item, leaf)
    raise UnavailableError(
        "time unproven: only the signer says that it was signed while the certificate was valid",
        reason=Reason.TIME_UNPROVEN,
    )


def _verify_committer_date(evidence: Sequence[Evidence], leaf: BridgeCertificate) -> None:
    """ssh-keygen holds the committer date against the certificate to the second, and so is it done here.

    Before anything is said of clocks: a date that was chosen outside the window is a lie whatever time it is.
    """
    for item in evidence:
        if item.source == COMMITTER_DATE_SOURCE and not leaf.not_before <= instant(item.not_after) < leaf.not_after:
            raise _outside(item, leaf)


def _outside(item: Evidence, leaf: BridgeCertificate) -> VerificationError:
    return VerificationError(
        Step.TIME,
        Reason.TIME_OUTSIDE_VALIDITY,
        f"signed at {rfc3339(item.not_after)} ({item.voucher}), outside the certificate's validity"
        f" ({leaf.not_before:%Y-%m-%dT%H:%M:%SZ} to {leaf.not_after:%Y-%m-%dT%H:%M:%SZ})",
    )


def latest_proven(evidence: Sequence[Evidence], *, above: Voucher = Voucher.SIGNER) -> datetime | None:
    """The earliest instant by which, say vouchers ranked above `above`, the signature existed; else None."""
    ends = [item.not_after for item in evidence if RANK[item.voucher] > RANK[above]]
    return instant(min(ends)) if ends else None
