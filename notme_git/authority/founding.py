"""How an authority comes into being: its human or organization, its verifier principal, epoch 1, the first bundle."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from attest.certificate import Anchor
from attest.types import Constraints, Grant, Principal, PrincipalKind
from notme_git.authority import embedded, epochs, grants
from notme_git.authority.embedded import Authority, Preference


@dataclass(frozen=True, slots=True)
class Founded:
    """A new authority, and for whom its agents or workloads act: a human, or a team's organization.

    `recovery_key` (PKCS #8 PEM) is shown to the operator and kept nowhere.
    """

    authority_id: str
    represented: Principal
    anchor: Anchor
    key_store: str
    warning: str
    recovery_key: bytes = field(repr=False)


def found(home: Path, display: str, email: str, key_store: Preference, at: datetime) -> Founded:
    """Make the authority of `home`, all of it or nothing; `RefusedError` when there is one already."""
    with embedded.creating(home, key_store) as (authority, warning):
        human = embedded.principal(authority.id, PrincipalKind.HUMAN, "", display, email)
        return _begin(authority, human, "human", warning, at)


def found_team(home: Path, organization: str, key_store: Preference, at: datetime, kek_file: str = "") -> Founded:
    """Make an authority without a human of its own: people join it, and workloads act for the organization.

    `kek_file` names the key-encryption key of `encrypted` keys, where the environment names none.
    """
    with embedded.creating(home, key_store, kek_file) as (authority, warning):
        email = f"organization@{authority.id}.invalid"
        team = embedded.principal(authority.id, PrincipalKind.ORGANIZATION, organization, organization, email)
        return _begin(authority, team, "organization", warning, at)


def _begin(authority: Authority, represented: Principal, setting: str, warning: str, at: datetime) -> Founded:
    authority.store.add_principal(represented)
    authority.store.set_setting(setting, represented.id)
    authority.store.add_grant(_verifier_grant(authority.id, represented, at))
    recovery = epochs.begin(authority, at)
    return Founded(
        authority_id=authority.id,
        represented=represented,
        anchor=Anchor.read(x509.load_der_x509_certificate(authority.epoch.root)),
        key_store=authority.store.setting("key_store") or "",
        warning=warning,
        recovery_key=recovery,
    )


def _verifier_grant(authority_id: str, represented: Principal, at: datetime) -> Grant:
    """The verifier principal signs statements and nothing else, for as long as a root lives."""
    name = grants.VERIFIER
    return Grant(
        version=grants.GRANT_VERSION,
        id=str(uuid.uuid4()),
        actor=embedded.principal(authority_id, PrincipalKind.VERIFIER, name, name, f"{name}@{authority_id}.invalid"),
        represented=represented,
        scopes=("sign:attestation",),
        created_at=int(at.timestamp()),
        expires_at=int((at + grants.MAX_LIFETIME).timestamp()),
        constraints=Constraints(repositories=(), branches=()),
        delegation_depth=0,
        purpose="sign statements of what was verified on this machine",
    )
