"""The keys that a policy names, as what counts beside the authorities: a policy in force vouches for its principals."""

from __future__ import annotations

import hashlib
from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING

from attest import keys
from attest.foreign.roots import Roots
from attest.rules.model import Document, Format

if TYPE_CHECKING:
    from attest.foreign.allowed import AllowedSigners


def of_policy(document: Document, base: Roots) -> Roots:
    """`base` with the SSH keys of the policy's principals added, and without the formats that it does not count.

    A principal's key is good for the principal's addresses. Fingerprints add nothing: they name keys that `base`
    holds. Who is believed about the time is added, too. Raises `MalformedError` for a key or certificate that is none,
    `UnavailableError` never.
    """
    counts = document.formats or frozenset(Format)
    text = "".join(
        f'{",".join(each.emails) or each.name} namespaces="git" {key}\n'
        for each in document.principals
        for key in each.ssh_keys.values()
        if key
    )
    allowed = base.allowed_signers if Format.SSH in counts else None
    if text and Format.SSH in counts:
        allowed = _with_keys(text.encode(), allowed)
    return replace(
        _believing(document, base),
        allowed_signers=allowed,
        sigstore=base.sigstore if Format.SIGSTORE in counts else None,
        smime=base.smime if Format.SMIME in counts else (),
        openpgp=base.openpgp if Format.OPENPGP in counts else None,
    )


def _believing(document: Document, base: Roots) -> Roots:
    """`base` with those whom the policy believes about the time."""
    if document.tsa_roots:
        from attest.asn1 import load_certificate
        from attest.foreign.cmstime import Stamper

        found = [load_certificate(b64decode(each)) for each in document.tsa_roots]
        base = replace(base, tsa=(*base.tsa, *(Stamper((each,), 0, None) for each in found)))
    witnesses = tuple(keys.parse_spki(b64decode(each)) for each in document.witnesses)
    return replace(base, witnesses=tuple(dict.fromkeys((*base.witnesses, *witnesses))))


def _with_keys(text: bytes, base: AllowedSigners | None) -> AllowedSigners:
    from attest.foreign.allowed import AllowedSigners

    own = AllowedSigners.parse(text)
    if base is None:
        return own
    # What the verifier's own file says of a key is said first, as in one file with the policy's keys behind it.
    keys = dict(base.keys)
    for blob, entries in own.keys.items():
        keys[blob] = (*keys.get(blob, ()), *entries)
    return replace(base, keys=keys, sha256=hashlib.sha256(base.sha256 + own.sha256).digest())
