"""Reference v0.1 (in-toto, spec/predicates/reference.md): documents that belong to an object and are kept elsewhere.

A reference says that a document is there and which bytes it has. It does not say that what stands in it is true.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from attest import statement
from attest.errors import UsageError
from attest.predicates.facts import Facts, JsonObject

PREDICATE_TYPE = "https://in-toto.io/attestation/reference/v0.1"

MAX_LOCATION_BYTES = 2048

_MEDIA_TYPES = {
    ".intoto.jsonl": "application/vnd.in-toto.bundle",
    ".sigstore.json": "application/vnd.dev.sigstore.bundle.v0.3+json",
    ".dsse.json": "application/vnd.in-toto+dsse",
    ".spdx.json": "application/spdx+json",
    ".cdx.json": "application/vnd.cyclonedx+json",
    ".json": "application/json",
    ".md": "text/markdown",
    ".txt": "text/plain",
}
UNKNOWN_MEDIA_TYPE = "application/octet-stream"
_LOCATION = re.compile(r"[a-z][a-z0-9+.-]*:[!-~]+")


@dataclass(frozen=True, slots=True)
class Document:
    """Where a document can be had, its media type, and one digest: `algorithm` as in-toto names it, lower-case hex."""

    location: str
    media_type: str
    algorithm: str
    digest: str
    name: str = ""

    @classmethod
    def of_file(cls, location: str, name: str, data: bytes) -> Document:
        """A file of which `data` is the content; `name` chooses the media type. Raises `UsageError`."""
        if len(location) > MAX_LOCATION_BYTES or not _LOCATION.fullmatch(location):
            raise UsageError(f"{location!r} is no URI of a document", hint="for example https://ci.example.org/log.txt")
        kind = next((kind for end, kind in _MEDIA_TYPES.items() if name.endswith(end)), UNKNOWN_MEDIA_TYPE)
        return cls(location, kind, "sha256", hashlib.sha256(data).hexdigest(), name)

    def data(self) -> JsonObject:
        """As a ResourceDescriptor."""
        return {
            **({"name": self.name} if self.name else {}),
            "downloadLocation": self.location,
            "mediaType": self.media_type,
            "digest": {self.algorithm: self.digest},
        }


def build(facts: Facts, documents: Sequence[Document]) -> bytes | None:
    """The Statement; None where there is no document, or the object was not accepted. Raises as `statement.check`."""
    statement.check(facts.examination, facts.verdict)
    if not documents or not facts.accepted:
        return None
    return statement.encode(
        [statement.subject(facts.examination, facts.repository, facts.ref)],
        PREDICATE_TYPE,
        {"attester": {"id": facts.verifier_id}, "references": [one.data() for one in documents]},
    )
