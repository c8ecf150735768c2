"""One case of the corpus: an object with one defect, or none, and what a verifier has to make of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from attest import gitobject
from attest.gitobject import ObjectFormat, ObjectKind

VERSION = 1
"""Of `index.json`. It grows by fields that may be absent; a field that changes its meaning makes a new version."""

ACCEPT, REJECT, UNCHECKED = "accept", "reject", "could-not-check"
EXPECTED = (ACCEPT, REJECT, UNCHECKED)

SIGNERS = {
    "notme": "x509",
    "interop": "x509",
    "ssh-certificate": "ssh",
    "ssh-key": "ssh",
    "smime": "x509",
    "openpgp": "openpgp",
    "unknown": "unknown",
    "none": "none",
}
"""Who signed, and the format by armour: what a verifier must be able to read before a case says anything about it."""

ZULU = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Case:
    """`name` is `<step>-<defect>`; the step is the one that has to end otherwise than proven, or the one that a good
    object is about. `reason` is a stable word of `attest/errors.py`, empty where nothing stands against the object.

    `stored_as` is the id under which the bytes lie where that is not their own. `replaced_by` is the raw commit that
    `refs/replace` of the repository offers in its place. `stamp` is an RFC 3161 token (DER) kept beside the object.
    `anchor` names one of our roots, `bundle` one of the corpus's trust bundles. `offered` is where the object is said
    to be offered: ref and repository, None where it is not known.
    """

    name: str
    raw: bytes
    signer: str
    expect: str
    reason: str
    sentence: str
    references: tuple[str, ...]
    at: datetime
    kind: ObjectKind = ObjectKind.COMMIT
    object_format: ObjectFormat = ObjectFormat.SHA1
    anchor: str = "notme"
    bundle: str = "bundle"
    stored_as: str = ""
    replaced_by: bytes = b""
    stamp: bytes = b""
    offered: tuple[str | None, str | None] = (None, None)

    @property
    def step(self) -> int:
        return int(self.name.partition("-")[0])

    @property
    def ref(self) -> str:
        return f"refs/corpus/{self.name}"

    @property
    def object_id(self) -> str:
        return self.stored_as or gitobject.object_id(self.kind, self.raw, self.object_format)

    @property
    def repository(self) -> str:
        """The folder of the repository that the case is in."""
        return f"{self.object_format}.git"

    def entry(self) -> dict[str, object]:
        """The case as `index.json` lists it."""
        return {
            "name": self.name,
            "repository": self.repository,
            "ref": self.ref,
            "object_id": self.object_id,
            "kind": str(self.kind),
            "format": SIGNERS[self.signer],
            "signer": self.signer,
            "expect": self.expect,
            "step": self.step,
            "reason": self.reason,
            "sentence": self.sentence,
            "references": list(self.references),
            "at": self.at.strftime(ZULU),
            "anchor": f"trust/{self.anchor}.pem",
            "bundle": f"trust/{self.bundle}",
            "timestamp": f"timestamps/{self.name}.der" if self.stamp else None,
            "offered_ref": self.offered[0],
            "offered_repository": self.offered[1],
        }


def instant(text: str) -> datetime:
    """The time of the decision of an entry."""
    return datetime.strptime(text, ZULU).replace(tzinfo=UTC)
