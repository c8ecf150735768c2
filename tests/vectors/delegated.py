"""The vectors of issuing CAs: what an orchestrator may mint, and what it may not. Called by `generate`, last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography import x509

from attest.errors import Reason
from attest.profile import LeafSpec, Profile
from attest.types import Constraints, Revocation, RevocationKind
from tests import family
from tests.family import CHILD, Family
from tests.forge import ALICE, NOW, attach, commit_payload, named

if TYPE_CHECKING:
    from tests.vectors.generate import Vectors

PAYLOAD = commit_payload(committer=f"child <{CHILD.actor_email}>", message=b"A change\n\nWhy it was made.\n")
WHERE = {"ref": "refs/heads/main", "repository": "https://git.example/app"}


def _claim(**changes: object) -> Callable[[LeafSpec], LeafSpec]:
    return lambda spec: replace(spec, claims=named(spec.claims, **changes))


def _longer(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    builder._extensions = [e for e in builder._extensions if e.oid != x509.BasicConstraints.oid]
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)


WIDER: dict[str, Callable[[LeafSpec], LeafSpec]] = {
    "scope": lambda spec: replace(spec, scopes=("sign:git", "bridgeCert")),
    "scope-to-mint": lambda spec: replace(spec, scopes=("sign:git", "certMint")),
    "represented-principal": _claim(represented=replace(ALICE, email="ceo@example.org")),
    "grant": _claim(grant_id="another"),
    "session": _claim(session=""),
    "branches": _claim(constraints=Constraints(CHILD.constraints.repositories, ("**",))),
    "address": _claim(actor_email=ALICE.email),
    "uri": lambda spec: replace(spec, uri="wimse://authority.example/agent/child"),
}


def add(base: Vectors) -> None:
    """Steps 4 and 6."""

    def put(name: str, expect: str, made: Family, **more: object) -> None:
        raw = attach(PAYLOAD, family.signature(made, PAYLOAD))
        base.add(name, expect, raw, **WHERE, **more)  # type: ignore[arg-type]

    good = family.made(base.notme)
    put("4_minted-within-an-issuing-ca", "proven", good)
    other = family.made(base.interop)
    put("4_minted-under-the-interop-root", Reason.PROFILE_MISMATCH, other, of=Profile.INTEROP)
    for name, change in WIDER.items():
        put(f"4_minted-beyond-the-{name}", Reason.DELEGATION_EXCEEDED, family.made(base.notme, child=change))
    put("4_minted-to-mint-further", Reason.PROFILE_MISMATCH, family.made(base.notme, child=_claim(depth=1)))
    put("4_minted-by-a-ca-above-cas", Reason.PROFILE_MISMATCH, family.made(base.notme, ca_edit=_longer))
    swapped = family.signature(good, PAYLOAD, order=lambda both: sorted(both, reverse=True))
    base.add("4_minted-certificates-unsorted", Reason.PROFILE_MISMATCH, attach(PAYLOAD, swapped), **WHERE)  # type: ignore[arg-type]
    for name, kind, revoked in (
        ("orchestrator", RevocationKind.PRINCIPAL, "wimse://authority.example/agent/orchestrator"),
        ("grant", RevocationKind.GRANT, CHILD.grant_id),
    ):
        revocation = Revocation(kind, revoked, int(NOW.timestamp()) - 60, "")
        bundle = base.bundle(revocations=(revocation,))
        put(f"6_minted-under-a-revoked-{name}", Reason.REVOKED, good, bundle=bundle)
