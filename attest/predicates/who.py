"""Who acted and for whom, as the certificate proves it. Names in headers and trailers never come here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attest import fulcio, identity
from attest.certificate import BridgeCertificate
from attest.instants import text
from attest.types import Identity, Principal
from attest.verify import Examination

_CERTIFICATE = "certificate"
_CLAIMS = "certificate-claims"
_ISSUING = "issuing-certificate-claims"
_KNOWN_KEY = "known-key"
_NO_ID = {"id": None, "source": "none"}
_NO_VALUE = {"value": None, "source": "none"}
_NOBODY: Mapping[str, Any] = {
    "actor": _NO_ID,
    "representedPrincipal": _NO_ID,
    "grant": _NO_ID,
    "assurance": _NO_VALUE,
    "session": _NO_ID,
}

JsonObject = dict[str, Any]


def certificate_section(leaf: BridgeCertificate, sha256: bytes) -> JsonObject:
    """The leaf as its profile reads it; the profile, not the certificate, says what each extension means.

    `sha256` is its digest, which the verdict has: encoding the certificate again takes longer than the rest.
    """
    section: JsonObject = {
        "sha256": sha256.hex(),
        "spkiSha256": leaf.key.spki_sha256.hex(),
        "kid": leaf.key.key_id,
        "serial": f"{leaf.serial:x}",
        "issuer": leaf.issuer,
        "notBefore": text(leaf.not_before),
        "notAfter": text(leaf.not_after),
        "issuedAt": text(leaf.issued_at),
        "subject": leaf.subject,
        "sanUris": [leaf.uri] if leaf.uri else [],
        "profile": str(leaf.profile),
        "epoch": leaf.epoch,
        "scopes": list(leaf.scopes),
        "authMethod": leaf.auth_method,
        "keyBinding": f"sha256:{leaf.binding.hex()}" if leaf.binding else None,
    }
    if leaf.claims is not None:
        limits = leaf.claims.constraints
        section["claims"] = {
            "constraints": {"repositories": list(limits.repositories), "branches": list(limits.branches)},
            "taskDigest": leaf.claims.task_digest.hex() or None,
        }
    if leaf.ci:
        section["ci"] = fulcio.named(leaf.ci)
    if leaf.payload_unchecked:
        section["payloadChecked"] = False
    if leaf.remarks:
        section["remarks"] = list(leaf.remarks)
    return section


def identity_section(examination: Examination) -> JsonObject:
    """Who acted and for whom, from the certificate alone; names in headers never come here."""
    if examination.chain is None:
        return {**_NOBODY, **_known(examination.identity)}
    leaf = examination.chain.leaf
    claims = leaf.claims
    if claims is None:
        actor = identity.describe(leaf).actor
        found = {"id": actor.id, "name": actor.name, "email": actor.email or None, "source": _CERTIFICATE}
        return {**_NOBODY, "actor": found}
    section: JsonObject = {
        **_NOBODY,
        "actor": {
            "id": leaf.uri,
            "kind": str(claims.actor_kind),
            "name": claims.actor_name,
            "email": claims.actor_email,
            "source": _CLAIMS,
        },
        "assurance": {"value": str(claims.assurance), "source": _CLAIMS},
    }
    if leaf.delegator is not None:
        section["delegator"] = _delegator(leaf.delegator)
    if claims.represented is not None:
        section["representedPrincipal"] = _principal(claims.represented)
    if claims.grant_id:
        section["grant"] = {"id": claims.grant_id, "sha256": claims.grant_sha256.hex(), "source": _CLAIMS}
    if claims.session:
        section["session"] = {"id": claims.session, "source": _CLAIMS}
    return section


def _known(known: Identity | None) -> JsonObject:
    """Who stands behind a key or certificate for which a root vouches that the verifier named."""
    if known is None:
        return {}
    who = known.actor
    found = {"id": who.id, "kind": str(who.kind), "display": who.display, "email": who.email or None}
    return {"actor": {**found, "source": _KNOWN_KEY}}


def _delegator(above: BridgeCertificate) -> JsonObject:
    """Who passed its grant on, and the issuing CA it did that with."""
    who = identity.describe(above).actor
    found = {"id": who.id, "kind": str(who.kind), "name": who.name, "email": who.email}
    return {**found, "certificateSha256": above.sha256.hex(), "source": _ISSUING}


def _principal(who: Principal) -> JsonObject:
    return {
        "id": who.id,
        "kind": str(who.kind),
        "display": who.display,
        "email": who.email,
        "authentication": str(who.authentication),
        "source": _CLAIMS,
    }
