"""What an in-toto Statement says, of any type and of whoever made it; nothing here is verified.

Read as in-toto v1 has it, with the quirks of those who write it: gitsign's fixtures say `type` for `_type` and name a
commit `sha1`; source-tool names refs `source_refs`, earlier `source_branches`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attest.dsse import read_json
from attest.errors import MalformedError

STATEMENT_TYPES = frozenset({"https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"})

MAX_SUBJECTS = 1000
"""Of one statement: a summary may be about all commits of a pull request."""

MAX_REFS = 1000

ALGORITHMS = ("gitCommit", "gitTag", "sha1", "sha256", "sha384", "sha512")
"""Of digests that name a subject. in-toto has others ignored; `sha1` is how older tools name a commit."""

VERIFIERS = {
    "https://notme.bot/provenance/commit/v0.1": ("verification", "verifier", "id"),
    "https://notme.bot/provenance/rewrite/v0.1": ("verification", "verifier", "id"),
    "https://notme.bot/provenance/witness/v0.1": ("witness", "id"),
    "https://slsa.dev/verification_summary/v1": ("verifier", "id"),
    "https://in-toto.io/attestation/svr/v0.2": ("verifier", "id"),
    "https://in-toto.io/attestation/reference/v0.1": ("attester", "id"),
}
"""Where a type says who states it. Other types name nobody, whatever stands in them."""

OBJECT = "git:"
"""Before the id of a commit or tag: by the digests alone that name such objects. The SHA-256 of a file is none, though
a file can be made that has it: the bytes that git hashes."""

_OBJECT = ("gitCommit", "gitTag", "sha1")
_GIT = ("gitCommit", "gitTag", "gitTree", "gitBlob")
_REFS = ("sourceRefs", "source_refs", "source_branches")
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Subject:
    """One subject: `digests` by algorithm, values as they stand; `refs` are full names of refs."""

    name: str
    digests: Mapping[str, str]
    refs: tuple[str, ...] = ()

    def has(self, digest: str) -> bool:
        """Whether it is what has this digest: in hex by any of `ALGORITHMS`, or as `ALGORITHM:HEX` by that one; after
        `OBJECT` the id of a commit or tag.

        One digest that is the same is enough, as in-toto matches them, and so one more never hides another. `gitTree`
        and `gitBlob` have to be asked for by name: other commits have the same tree.
        """
        name, _, value = digest.rpartition(":")
        names = _OBJECT if name == OBJECT[:-1] else (name,) if name else ALGORITHMS
        return any(self.digests.get(algorithm) == value for algorithm in names)


@dataclass(frozen=True, slots=True)
class Said:
    """A Statement. `payload` are its bytes."""

    payload: bytes
    predicate_type: str
    predicate: Mapping[str, Any]
    subjects: tuple[Subject, ...]

    def about(self, digest: str | None) -> tuple[Subject, ...]:
        """The subjects that have this digest; without one, all."""
        return tuple(subject for subject in self.subjects if digest is None or subject.has(digest))

    def at(self, *path: str) -> object | None:
        """What stands at a path of names in the predicate; None where there is nothing."""
        value: object = self.predicate
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    @property
    def verifier(self) -> str:
        """The URI of who says so, where its type has a place for it; empty where nobody is named."""
        path = VERIFIERS.get(self.predicate_type)
        value = self.at(*path) if path is not None else None
        return value if isinstance(value, str) else ""

    @property
    def self_attested(self) -> bool:
        """Whether it is marked as made by the actor that it is about (design D10)."""
        return self.at("verification", "verifier", "selfAttested") is True


def read(payload: bytes) -> Said:
    """Read a Statement: strict JSON (`dsse.read_json`), unknown fields ignored. Raises `MalformedError`."""
    top = read_json(payload)
    kind = top.get("_type", top.get("type"))
    if not isinstance(kind, str) or kind not in STATEMENT_TYPES:
        raise MalformedError(f"{str(kind)[:80]!r} is not an in-toto Statement")
    predicate_type, predicate, subjects = top.get("predicateType"), top.get("predicate"), top.get("subject")
    if not isinstance(predicate_type, str) or not predicate_type:
        raise MalformedError("predicateType is missing or not a string")
    if predicate is not None and not isinstance(predicate, dict):
        raise MalformedError("predicate is not an object")
    if not isinstance(subjects, list) or not 0 < len(subjects) <= MAX_SUBJECTS:
        raise MalformedError(f"the statement has no list of 1 to {MAX_SUBJECTS} subjects")
    return Said(payload, predicate_type, predicate or {}, tuple(map(_subject, subjects)))


def _subject(value: object) -> Subject:
    digests = value.get("digest") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(digests, dict) or not digests:
        raise MalformedError("a subject has no digest")
    for name, digest in digests.items():
        if not isinstance(digest, str) or not digest:
            raise MalformedError(f"subject digest {name[:40]!r} is not a string")
        if name in _GIT and (len(digest) not in (40, 64) or not _HEX.issuperset(digest)):
            raise MalformedError(f"subject digest {name} is not 40 or 64 lower-case hex digits")
    name = value.get("name")
    if name is not None and not isinstance(name, str):
        raise MalformedError("a subject's name is not a string")
    return Subject(name or "", digests, _refs(value.get("annotations")))


def _refs(annotations: object) -> tuple[str, ...]:
    found = dict[str, None]()
    for name in _REFS:
        value = annotations.get(name) if isinstance(annotations, dict) else None
        if isinstance(value, list):
            found |= dict.fromkeys(ref for ref in value[:MAX_REFS] if isinstance(ref, str))
    return tuple(found)
