"""What a home holds for the verifier: its own authority's anchors and bundle, and remembered sequences.

Where the home is, `location` says.

Read at the edge and handed on; nothing else in `attest` looks at files of a home.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from attest import trust, wholefile
from attest.certificate import Anchor, load_pem
from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.profile import Profile
from attest.trust import MAX_BUNDLE_BYTES, Trust
from attest.types import TrustBundle

ANCHORS = Path("authority", "anchors.pem")
BUNDLE = Path("authority", "bundle")
SEQUENCES = Path("verifier", "sequences")
PINNED = Path("verifier", "authorities")
ELSEWHERE = Path("remote")
MAX_ANCHOR_BYTES = 1024 * 1024
MAX_SEQUENCE_DIGITS = 20

_MAKE = 'make an authority (notme-git init --human "NAME <ADDRESS>"), or name an anchor with --anchor'
_MEND = "notme-git doctor says how to mend this home (a verifier takes --anchor in its place)"
_PIN = "compare its key with the operator's, then: notme-git trust add URL --spki sha256:HEX"
_PIN_AGAIN = "pin it again: notme-git trust add URL --spki sha256:HEX"
_EXPORT = "make one with notme-git trust export --format bundle > FILE, where the authority is"


def read_trust(home: Path) -> Trust:
    """The anchors and bundles of the authority in `home`, which this user made, and of those that this user pinned.

    Raises `UnavailableError` when there are none or they cannot be read.
    """
    made, pinned = (home / ANCHORS).parent.is_dir(), [read_pinned(folder, home) for folder in pinned_in(home)]
    if not made and pinned:
        return trust.join(pinned[0], pinned[1:])
    if not made and (home / ELSEWHERE).is_dir():
        raise UnavailableError("this home enrols with an authority that no verifier here was told to go by", hint=_PIN)
    anchors = read_anchors(home / ANCHORS, None, hint=_MEND if made else _MAKE)
    own = read_bundle(home / BUNDLE, anchors, home, hint=_MEND)
    return trust.join(own, pinned) if pinned else own


def has_trust(home: Path) -> bool:
    """Whether a home says anything of authorities, usable or not."""
    return (home / ANCHORS).parent.is_dir() or bool(pinned_in(home)) or (home / ELSEWHERE).is_dir()


def pinned_in(home: Path) -> list[Path]:
    """The folders of the authorities that were pinned out of band, each with `anchors.pem` and `bundle`."""
    try:
        return sorted(folder for folder in (home / PINNED).iterdir() if not folder.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UnavailableError(f"cannot read {home / PINNED}: {error.strerror}", hint="mend its permissions") from None


def trust_files(home: Path) -> list[Path]:
    """The files that `read_trust` goes by, for whoever remembers what it said."""
    pinned = [folder / name for folder in pinned_in(home) for name in (ANCHORS.name, BUNDLE.name)]
    return [home / ANCHORS, home / BUNDLE, *pinned]


def read_pinned(folder: Path, home: Path) -> Trust:
    """The anchors and bundle of one authority that was pinned out of band."""
    anchors = read_anchors(folder / ANCHORS.name, None, hint=_PIN_AGAIN)
    return read_bundle(folder / BUNDLE.name, anchors, home, hint=_PIN_AGAIN)


def read_anchors(
    path: Path, profile: Profile | None, *, hint: str = "give a PEM file of root certificates (notme-git trust export)"
) -> tuple[Anchor, ...]:
    """Anchors in a PEM file, each with `profile` or the one its key says."""
    data = _read(path, MAX_ANCHOR_BYTES, "anchor", hint)
    try:
        return tuple(Anchor.read(certificate, profile) for certificate in load_pem(data))
    except MalformedError as error:
        raise UnavailableError(f"{path} holds no usable anchor: {error.message}", hint=hint) from None


def read_bundle(path: Path, anchors: tuple[Anchor, ...], home: Path | None, *, hint: str = _EXPORT) -> Trust:
    """A verified bundle; with a `home` its sequence may not be below the last one seen there, and is remembered.

    Raises `UnavailableError` for what cannot be read or is no bundle, `VerificationError` for one that does not hold.
    """
    data = _read(path, MAX_BUNDLE_BYTES, "trust bundle", hint)
    try:
        trusted = trust.verify_bundle(data, anchors)
    except VerificationError:
        if trust.is_bundle(data):
            raise
        raise UnavailableError(f"{path} is no trust bundle", hint=hint) from None
    if home is not None and trusted.bundle is not None:
        _hold_against_memory(home / SEQUENCES / _safe(trusted.bundle.authority_id), data, anchors, trusted.bundle)
    return trusted


def _hold_against_memory(mark: Path, data: bytes, anchors: tuple[Anchor, ...], bundle: TrustBundle) -> None:
    """Sequences never go back, and the recovery key stays the one of the first bundle seen (design D6)."""
    seen, commitment = _memory(mark)
    if commitment and commitment != bundle.recovery_commitment.hex():
        raise VerificationError(
            Step.EPOCH,
            Reason.BUNDLE_INVALID,
            "the trust bundle names another recovery key than the one seen before: the authority's key may be stolen",
            hint=f"ask its operator; to begin anew after comparing fingerprints, remove {mark}",
        )
    if bundle.sequence < seen:
        trust.verify_bundle(data, anchors, minimum_sequence=seen)
    if bundle.sequence > seen:
        _remember(mark, f"{bundle.sequence} {bundle.recovery_commitment.hex()}\n")


def _memory(mark: Path) -> tuple[int, str]:
    """The last seen sequence and the recovery key's SHA-256 in hex; 0 and empty without a memory."""
    try:
        text = mark.read_text("ascii").strip()
    except FileNotFoundError:
        return 0, ""
    except (OSError, ValueError) as error:
        raise UnavailableError(f"cannot read the last seen bundle sequence in {mark}: {error}") from None
    sequence, _, commitment = text.partition(" ")
    if not sequence.isdecimal() or len(sequence) > MAX_SEQUENCE_DIGITS or len(commitment) not in (0, 64):
        raise UnavailableError(f"{mark} does not hold a bundle sequence", hint="look at it, then remove it")
    return int(sequence), commitment


def _remember(mark: Path, text: str) -> None:
    """Best effort: a verifier that cannot write its home still verifies; it only notices rollback later."""
    with contextlib.suppress(OSError, UnavailableError):
        mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        wholefile.write(mark, text.encode("ascii"))


def _safe(authority_id: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in authority_id)[:64] or "_"


def _read(path: Path, limit: int, what: str, hint: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read the {what} {path}: {error.strerror}", hint=hint) from None
    if len(data) > limit:
        raise UnavailableError(f"{path} is larger than {limit} bytes and is no {what}", hint=hint)
    return data
