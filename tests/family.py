"""An orchestrator with an issuing CA, and an agent of its own with a leaf under it, each changed as a test wants."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from attest import certificate, cms, keys, profile
from attest.certificate import Chain
from attest.profile import LeafSpec
from attest.types import Assurance, Constraints
from tests import builders, der
from tests.forge import AGENT, NOW, Edit, Forge, Leaf, PrivateKey, certify, named

ORCHESTRATOR = named(
    AGENT,
    actor_name="orchestrator",
    actor_email="orchestrator@authority.example.invalid",
    assurance=Assurance.OTHER_USER,
    constraints=Constraints(("https://git.example/**",), ("main", "agents/*")),
    task_digest=bytes(32),
    depth=1,
)
SCOPES = ("certMint", "sign:git", "sign:attestation")
CI = ((8, "https://ci.example"), (20, "push"))
CHILD = replace(
    ORCHESTRATOR,
    actor_name="child",
    actor_email="orchestrator+child@authority.example.invalid",
    depth=0,
)


def alone(spec: LeafSpec, key: PrivateKey) -> LeafSpec:
    """`spec` bound to a key that has no TLS sibling."""
    return replace(spec, binding=hashlib.sha256(keys.from_cryptography(key.public_key()).spki).digest())


@dataclass(frozen=True)
class Family:
    """An issuing CA under a forge's root, and a leaf under it."""

    forge: Forge
    ca: Leaf
    leaf: Leaf

    def verify(self) -> Chain:
        anchors = self.forge.trusted.anchors
        return certificate.verify_chain(self.leaf.certificate, (self.ca.certificate,), anchors, self.forge.profile)


def parent_spec(forge: Forge) -> LeafSpec:
    uri = "wimse://authority.example/agent/orchestrator"
    return replace(forge.spec(ORCHESTRATOR, scopes=SCOPES), uri=uri, subject=uri, ci=CI)


def child_spec(forge: Forge) -> LeafSpec:
    uri = "wimse://authority.example/agent/orchestrator/child"
    return replace(forge.spec(CHILD), uri=uri, subject=uri, ci=CI[:1])


def made(
    forge: Forge,
    *,
    parent: Callable[[LeafSpec], LeafSpec] = lambda spec: spec,
    child: Callable[[LeafSpec], LeafSpec] = lambda spec: spec,
    ca_edit: Edit = lambda builder: builder,
    leaf_edit: Edit = lambda builder: builder,
    until: datetime = NOW + timedelta(hours=24),
) -> Family:
    """Both certificates, what they say changed by `parent` and `child`, and their builders by the edits."""
    above, below = forge.key(), forge.key()
    spec = parent(alone(parent_spec(forge), above))
    builder = profile.issuing_ca(spec, above.public_key(), forge.root, serial=11, until=until)
    ca = certify(ca_edit(builder), forge.root_key)
    leaf = builders.signing_leaf(child(alone(child_spec(forge), below)), below.public_key(), ca, serial=12)
    return Family(forge, Leaf(above, ca), Leaf(below, certify(leaf_edit(leaf), above)))


def signature(family: Family, payload: bytes, *, order: Callable[[Any], Any] = sorted) -> bytes:
    """The armoured CMS signature of the leaf over `payload`, both certificates in it in that `order`, time-stamped."""
    made = der.Cms(family.leaf, payload, NOW)
    both = tuple(order([family.leaf.der, family.ca.der]))
    return cms.ARMOUR.wrap(replace(made, certificates=both, unsigned=der.stamped(family.forge, made)).der())
