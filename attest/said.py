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
        """Whether it is what has this digest, an object of git by its id.

        Where a commit or tag is named, nothing beside it counts: other commits have the same tree. Any one digest is
        enough, as in-toto matches them.
        """
        named = [self.digests[name] for name in ("gitCommit", "gitTag") if name in self.digests]
        return digest in (named or self.digests.values())


@dataclass(frozen=True, slots=True)
class Said:
    """A Statement. `payload` are its bytes."""

    payload: bytes
    predicate_type: str
    predicate: Mapping[str, Any]
    subjects: tuple[Subject, ...]

    def about(self, digest: str) -> Subject | None:
        """The subject that has this digest."""
        return next((subject for subject in self.subjects if subject.has(digest)), None)

    def at(self, *path: str) -> object | None:
        """What stands at a path of names in the predicate; None where there is nothing."""
        value: object = self.predicate
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    @property
    def verifier(self) -> str:
        """The URI of who says so, as the statement has it; empty where it names nobody."""
        for path in (("verification", "verifier", "id"), ("verifier", "id"), ("attester", "id"), ("witness", "id")):
            if isinstance(value := self.at(*path), str):
                return value
        return ""

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
    return Subject(name if isinstance(name, str) else "", digests, _refs(value.get("annotations")))


def _refs(annotations: object) -> tuple[str, ...]:
    found = dict[str, None]()
    for name in _REFS:
        value = annotations.get(name) if isinstance(annotations, dict) else None
        if isinstance(value, list):
            found |= dict.fromkeys(ref for ref in value[:MAX_REFS] if isinstance(ref, str))
    return tuple(found)
