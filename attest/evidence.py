"""Time is evidence: an interval and who vouches for it (design D5).

Ranked by voucher: the signer's own word < our authority's time-stamp < the receiving side < an
independent third party. *Signed while valid* is proven only by a voucher other than the signer, and
only if the interval ends before the certificate does. Of several that prove it the earliest counts, and a rule
that asks for a better voucher is met only by one of these. A later end proves that the signature existed by then,
which is what revocations and retired epochs ask (`latest_proven`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509

from attest import timestamp
from attest.certificate import UNREADABLE, Anchor, BridgeCertificate, Chain, find_anchor
from attest.errors import Error, Reason, Step, UnavailableError, VerificationError
from attest.instants import instant, rfc3339
from attest.signed import GitObject, Signed
from attest.sshsig import COMMITTER_DATE_SOURCE
from attest.types import Evidence, Voucher

if TYPE_CHECKING:
    from attest.foreign.cmstime import Stamper

SKEW = timedelta(seconds=60)
"""How far two honest clocks may lie apart; the same minute that certificates are backdated by."""

_SKEW = int(SKEW.total_seconds())

RANK = {Voucher.SIGNER: 0, Voucher.AUTHORITY: 1, Voucher.RECEIVER: 2, Voucher.INDEPENDENT: 3}


EMBEDDED, DETACHED = "rfc3161", "detached-rfc3161"
"""A time-stamp that travels inside the signature, and one that was kept beside the object."""

MAX_DETACHED = 64
"""One is made. Whoever may write to the ref can add more, and each costs up to three signature checks."""

BAD_STAMP = "detached-timestamp-ignored"
"""Remark: a time-stamp kept beside the object does not hold, or is by nobody who was named. Anybody can add one, so it
speaks against nothing."""

LATE = "evidence-late"
"""Remark: something proves that the signature existed by a time, and that is after the certificate's end."""

WITNESS = "witness"
"""Source of evidence: a receiving server's signed statement that the object was there."""


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
    tokens: Sequence[bytes],
    value: bytes,
    anchor: Anchor | None,
    stampers: Sequence[Stamper],
    begins: int,
) -> tuple[tuple[Evidence, ...], list[str]]:
    """What time-stamps kept beside the object prove of the signature `value`, and a remark when one does not hold.

    They count under `anchor`, that of the leaf, where there is one, and as independent under those of `stampers`.
    `begins` is when the signature can have been made at the earliest (unix seconds).
    """
    found, remarks = [], list[str]()
    for token in dict.fromkeys(tokens[:MAX_DETACHED]):
        try:
            found.append(_detached(token, value, anchor, stampers, begins))
        except VerificationError:
            remarks = [BAD_STAMP]
    return tuple(found), remarks


def _detached(
    token: bytes, value: bytes, anchor: Anchor | None, stampers: Sequence[Stamper], begins: int
) -> Evidence:
    if anchor is not None:
        try:
            return _stamped(token, value, anchor, begins, DETACHED)
        except VerificationError:
            if not stampers:
                raise
    from attest.foreign import cmscerts, cmstime

    try:
        end, source = cmstime.verify_token(token, value, stampers)
    except (Error, *cmscerts.UNREADABLE, OverflowError) as error:
        raise VerificationError(Step.TIME, Reason.TIMESTAMP_INVALID, f"the time-stamp does not hold: {error}") from None
    return Evidence(min(begins, end), end, Voucher.INDEPENDENT, f"detached-{source}")


def independent(stampers: Sequence[Stamper], anchors: Sequence[Anchor]) -> tuple[Stamper, ...]:
    """Those of `stampers` that are not of the authority with these anchors: it is no third party to itself.

    Naming its root as one's of a time-stamping authority would else let a stolen root vouch for its own past; and so
    would naming a root above it, of a company's whole tree.
    """
    barred = frozenset(anchor.key.spki for anchor in anchors)
    found = (stamper for stamper in stampers if not any(_is_of(c, anchors) for c in stamper.chain))
    return tuple(replace(stamper, barred=barred) for stamper in found)


def _is_of(certificate: x509.Certificate, anchors: Sequence[Anchor]) -> bool:
    if any(certificate.public_key() == anchor.certificate.public_key() for anchor in anchors):
        return True
    try:
        find_anchor(certificate, anchors)
    except (Error, *UNREADABLE):
        return False
    return True


def observed(seen: Evidence, begins: int) -> Evidence:
    """A witness's observation of an object, as evidence of its signature, which was made `begins` at the earliest."""
    return replace(seen, not_before=min(begins, seen.not_after))


def said(seconds: int, source: str) -> Evidence:
    """The signer's own word."""
    return Evidence(seconds, seconds, Voucher.SIGNER, source)


def holding(evidence: Sequence[Evidence], not_before: int | None, not_after: int | None) -> tuple[Evidence, ...]:
    """What proves that it was signed within this validity (unix seconds, None for no bound), the earliest end first."""
    begin = None if not_before is None else not_before - _SKEW
    end = None if not_after is None else not_after + _SKEW
    found = [
        item
        for item in evidence
        if item.voucher is not Voucher.SIGNER
        and (begin is None or begin <= item.not_after)
        and (end is None or item.not_after <= end)
    ]
    return tuple(sorted(found, key=lambda e: (e.not_after, -RANK[e.voucher])))


def validity(leaf: BridgeCertificate) -> tuple[int, int]:
    """From when until when a certificate holds, in unix seconds."""
    return int(leaf.not_before.timestamp()), int(leaf.not_after.timestamp())


def remarks(evidence: Sequence[Evidence], not_after: int | None) -> list[str]:
    """What was looked at and proves less than that it was signed while valid."""
    end = float("inf") if not_after is None else not_after + _SKEW
    return [LATE] if any(e.voucher is not Voucher.SIGNER and e.not_after > end for e in evidence) else []


def verify_within(
    evidence: Sequence[Evidence], not_before: int | None, not_after: int | None
) -> tuple[Evidence, ...]:
    """Step 5 for a foreign signature: the evidence that it was made within what vouches for its key, earliest first.

    Raises `VerificationError` where even the signer's word is outside, or where somebody saw it before that began;
    `UnavailableError` (`time-unproven`) where the signer's word is all there is.
    """
    for item in evidence:
        _verify_not_earlier(item, not_before or 0)
    if found := holding(evidence, not_before, not_after):
        return found
    for item in evidence:
        if item.voucher is Voucher.SIGNER and not _inside(item, not_before, not_after):
            raise VerificationError(
                Step.TIME,
                Reason.TIME_OUTSIDE_VALIDITY,
                f"signed at {rfc3339(item.not_after)} (signer), outside of what vouches for the key",
            )
    raise UnavailableError(
        "time unproven: only the signer says that it was signed while the key was vouched for",
        reason=Reason.TIME_UNPROVEN,
    )


def _inside(item: Evidence, not_before: int | None, not_after: int | None) -> bool:
    return bool(holding((replace(item, voucher=Voucher.AUTHORITY),), not_before, not_after))


def within_detail(found: Sequence[Evidence]) -> str:
    """For the finding of step 5 where `found` (as `holding` gives it) proved it: what counted, then what else holds."""
    return "signed while valid, " + "; ".join(_each(found))


def bounded_detail(evidence: Sequence[Evidence]) -> str:
    """For the finding of step 5 of a key without an end: by when it was signed, where others say so."""
    found = holding(evidence, None, None)
    return "the key has no end of validity" + (f"; signed {'; '.join(_each(found))}" if found else "")


def _each(found: Sequence[Evidence]) -> list[str]:
    """The earliest, and of each better voucher its earliest."""
    said, best = list[str](), -1
    for item in found:
        if RANK[item.voucher] > best:
            best = RANK[item.voucher]
            # Of the authority it is known whose key that is: step 4 says it.
            where = f" ({item.source})" if item.voucher is not Voucher.AUTHORITY else ""
            said.append(f"by {rfc3339(item.not_after)}, says {item.voucher}{where}")
    return said


def stamped(token: bytes, value: bytes, chain: Chain, how: str) -> Evidence:
    """What a time-stamp over a signature's value proves under the anchor that issued the leaf; `VerificationError`."""
    return _stamped(token, value, chain.anchor, int(chain.leaf.issued_at.timestamp()), how)


def _stamped(token: bytes, value: bytes, anchor: Anchor, begins: int, how: str) -> Evidence:
    stamp = timestamp.verify_timestamp(token, value, (anchor,))
    end = int((stamp.time + stamp.accuracy).timestamp())
    return Evidence(min(begins, end), end, Voucher.AUTHORITY, f"{how}:{stamp.anchor.key.key_id}")


def verify_time(evidence: Sequence[Evidence], leaf: BridgeCertificate, at: datetime) -> tuple[Evidence, ...]:
    """Step 5: returns what proves that the signature was made while `leaf` was valid, the earliest first.

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
    begin, end = validity(leaf)
    found = holding(evidence, begin, end)
    for item in evidence:
        _verify_not_earlier(item, begin)
        # The time-stamp that travels inside the signature, and the signer's own word where nobody knows better:
        # outside the certificate's life they are a contradiction. A later observation by whoever else is merely late.
        embedded = item.voucher is Voucher.AUTHORITY and not item.source.startswith(DETACHED)
        alone = item.voucher is Voucher.SIGNER and not found
        if (embedded or alone) and not _inside(item, begin, end):
            raise _outside(item, leaf)
    _verify_agree(evidence)
    if found:
        return found
    raise UnavailableError(
        "time unproven: only the signer says that it was signed while the certificate was valid",
        reason=Reason.TIME_UNPROVEN,
    )


def _verify_not_earlier(item: Evidence, begins: int) -> None:
    """Nobody but the signer can have made it before there was a certificate, and then for a key of no standing."""
    if item.voucher in (Voucher.RECEIVER, Voucher.INDEPENDENT) and item.not_after < begins - _SKEW:
        raise VerificationError(
            Step.TIME,
            Reason.TIME_CONTRADICTED,
            f"it existed at {rfc3339(item.not_after)}, says {item.voucher} ({item.source}), before what vouches for its"
            " key began",
        )


def _verify_agree(evidence: Sequence[Evidence]) -> None:
    """A witness saw the whole object: whatever time-stamp is in it was made by then."""
    made = [item for item in evidence if item.voucher is Voucher.AUTHORITY and not item.source.startswith(DETACHED)]
    for item in evidence if made else ():
        if item.source.startswith(WITNESS) and item.not_after + _SKEW < made[0].not_after:
            raise VerificationError(
                Step.TIME,
                Reason.TIME_CONTRADICTED,
                f"it was there at {rfc3339(item.not_after)}, says {item.voucher} ({item.source}), and the time-stamp"
                f" in it is of {rfc3339(made[0].not_after)}",
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
