"""One object of a history as a row: what reports, hooks and audits are made from.

A row says everything that was found and decided in values that are cheap to make, to send between processes and to
print. Whatever all objects under one certificate or key have in common stands in one `Signer` that their rows share.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from attest.errors import Step
from attest.through import Through
from attest.types import Contradiction, Evidence, Finding, Identity, Outcome, StepStatus


class SignerKind(enum.StrEnum):
    """What kind of credential stands behind a signature."""

    BRIDGE = "bridge"
    """A certificate of one of our profiles, X.509 or OpenSSH; also profiles upstream and signet."""
    SSH_KEY = "ssh-key"
    SSH_CERTIFICATE = "ssh-certificate"
    """An OpenSSH certificate of somebody else's authority."""
    SIGSTORE = "sigstore"
    """X.509 in CMS, issued by Fulcio for an identity of an OpenID provider (gitsign)."""
    SMIME = "smime"
    """X.509 in CMS of any other authority."""
    OPENPGP = "openpgp"


@dataclass(frozen=True, slots=True)
class Signer:
    """What a signature says of who made it; proven only as far as the findings of the row say so.

    `key` is a fingerprint as the format's own tools print it (`SHA256:...` of an SSH key, OpenPGP's hex) or the key
    id of `keys.PublicKey`. Certificates: `leaf_sha256` of the encoded leaf and `serial` in lower-case hex, names as in
    RFC 4514, `subject_alternative_names` as bare values, validity in unix seconds; empty and None for bare keys.
    `root` names the trust root that vouches for it, empty where none does.
    """

    kind: SignerKind
    key: str
    algorithm: str
    leaf_sha256: str = ""
    serial: str = ""
    issuer: str = ""
    subject: str = ""
    subject_alternative_names: tuple[str, ...] = ()
    not_before: int | None = None
    not_after: int | None = None
    profile: str = ""
    identity: Identity | None = None
    root: str = ""


@dataclass(slots=True)
class Row:
    """One commit or tag, examined and, with an `outcome`, judged. Never changed; not frozen, because a frozen value of
    twenty fields takes four times as long to make, and a history has a million.

    `format` is `x509`, `ssh`, `openpgp`, `unknown`, or None without a signature. `integrity` is whether the signature
    verifies over the object's bytes by the key in it, None where that was not or cannot be asked. `author` and
    `committer` (a tag's tagger) are `NAME <ADDRESS>` as the object claims, dates unix seconds; all empty or None
    where the object cannot be read. `findings` are the eight steps in order. `through` are the rewrite records about
    it, where they were asked for and it is not accepted as an agent's own.
    """

    object_id: str
    kind: str
    format: str | None
    integrity: bool | None
    signer: Signer | None
    signing_time: int | None
    author: str
    author_date: int | None
    committer: str
    committer_date: int | None
    tree: str
    parents: tuple[str, ...]
    subject: str
    findings: tuple[Finding, ...]
    evidence: tuple[Evidence, ...] = ()
    remarks: tuple[str, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    outcome: Outcome | None = None
    rule: str = ""
    warnings: tuple[str, ...] = ()
    through: tuple[Through, ...] = ()

    def finding(self, step: Step) -> Finding:
        """The finding of one step."""
        return self.findings[step - 1]

    @property
    def identity(self) -> Identity | None:
        """Who signed for whom, where step 4 proved it."""
        if self.signer is None or self.finding(Step.CHAIN).status is not StepStatus.PROVEN:
            return None
        return self.signer.identity

    @property
    def decisive(self) -> Finding | None:
        """What stands against it first: a step that failed, else one that could not be checked; None if neither."""
        found = [f for f in self.findings if f.status is StepStatus.FAILED]
        return next(iter(found or [f for f in self.findings if f.status is StepStatus.UNAVAILABLE]), None)
