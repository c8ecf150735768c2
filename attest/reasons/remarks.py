"""The remarks: what is odd about an object or its signature, but allowed."""

from __future__ import annotations

from attest.errors import Step
from attest.reasons.entry import Entry, Kind

_THEIR = "Nothing: it is how the public notme authority issues them, and only profile upstream lets it pass."


def _remark(code: str, step: Step, meaning: str, remedy: str = "Nothing.") -> Entry:
    return Entry(code, Kind.REMARK, (step,), meaning, remedy)


REMARKS = (
    _remark(
        "armour-cms", Step.SIGNATURE,
        "The armour's label is `CMS`, as signet-git wrote it first. git does not know it, and finds no signature.",
        "Sign anew with a version that writes `SIGNED MESSAGE`.",
    ),
    _remark(
        "armour-loose", Step.SIGNATURE,
        "The base64 of the armour has lines of another width than usual. Who rewraps them makes a second object.",
    ),
    _remark(
        "no-signed-attributes", Step.SIGNATURE,
        "The CMS signature is over the content itself and has no attributes: it says nothing of a time.",
    ),
    _remark(
        "signed-attributes-unordered", Step.SIGNATURE,
        "The attributes were signed in the order they were written in, where RFC 5652 section 5.4 has them sorted.",
    ),
    _remark(
        "certificates-unordered", Step.SIGNATURE,
        "The certificates in the CMS signature are not sorted as DER has them; profile signet alone lets it pass.",
    ),
    _remark(
        "no-user-presence", Step.SIGNATURE,
        "A security key signed without a touch (ssh-keygen's `no-touch-required`): malware on the machine can do that.",
        "Make the key anew without that option.",
    ),
    _remark("issuer-name-mismatch", Step.CHAIN, "The issuer's name in the certificate is not its CA's name.", _THEIR),
    _remark("epoch-not-minimal", Step.CHAIN, "The epoch in the certificate is padded with zeros.", _THEIR),
    _remark("subject-key-identifier-missing", Step.CHAIN, "The certificate has no subject key identifier.", _THEIR),
    _remark("authority-key-identifier-missing", Step.CHAIN, "The certificate does not identify its CA's key.", _THEIR),
    _remark("not-backdated", Step.CHAIN, "The certificate is valid from its issue on, with nothing for slow clocks.",
            _THEIR),
    _remark("common-name-too-long", Step.CHAIN, "The common name has more than RFC 5280's 64 characters.", _THEIR),
    _remark(
        "sct-unchecked", Step.CHAIN,
        "Whether Sigstore logged the certificate was not checked: that takes its log's keys, and the log.",
    ),
    _remark(
        "log-unchecked", Step.TIME,
        "The trusted root names no transparency log, so that nobody else knows of the keyless statement.",
    ),
    _remark(
        "detached-timestamp-ignored", Step.TIME,
        "A time-stamp kept beside the object does not hold, or is by nobody who was named. Anybody can add one, so it "
        "speaks against nothing.",
        "Name whose time-stamps count (`--tsa-root`), if the time must be proven.",
    ),
    _remark(
        "evidence-late", Step.TIME,
        "Somebody vouches that the signature existed by a time that lies after the end of its certificate. That proves "
        "nothing of when it was signed, and speaks for it where a grant was revoked or an epoch retired since.",
        "Nothing. To prove the time of signing, time-stamp at once (`notme.timestamp = always`).",
    ),
    _remark(
        "timestamp-ignored", Step.TIME,
        "A time-stamp or log entry inside of a foreign signature does not hold, or is nobody's who was named.",
        "Name whose time-stamps count, if the time must be proven.",
    ),
    _remark(
        "dated-before-certificate", Step.TIME,
        "The commit's date is a little before its certificate begins: git takes the date first, gitsign the "
        "certificate "
        "afterwards.",
    ),
    _remark(
        "authored-by-other", Step.IDENTITY,
        "The author is neither the signer nor whom it represents: rebase, cherry-pick and am keep the author of what "
        "they replay.",
        "Nothing, where replaying is meant. A policy can refuse it.",
    ),
    _remark(
        "no-address-in-certificate", Step.IDENTITY,
        "The certificate names no e-mail address, so that committer and author could not be held against it.",
        "Let the authority issue certificates with an address.",
    ),
    _remark(
        "payload-unchecked", Step.IDENTITY,
        "The signer saw a digest alone (ssh-agent): that it was one of git's objects is the agent's word.",
        "Sign through git's gpg.program (`notme-git setup`) instead of an SSH agent.",
    ),
)  # fmt: skip
"""In the order of the steps."""
