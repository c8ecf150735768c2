"""source-tool's source provenance, v1-draft (slsa-framework/source-tool): that a ref was moved to a commit, by whom.

A push is seen by the server alone. What this says of one comes from a witness statement of that server, or from the
operator who runs it; from the history it cannot be told, and what nobody said is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from attest import statement
from attest.errors import UsageError
from attest.gitobject import ObjectKind
from attest.instants import text
from attest.predicates.facts import Facts, JsonObject

PREDICATE_TYPE = "https://github.com/slsa-framework/slsa-source-poc/source-provenance/v1-draft"

_CONTROL = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z")


@dataclass(frozen=True, slots=True)
class Control:
    """A control of the source track that is in force, by the operator's word, since an instant (RFC 3339)."""

    name: str
    since: str

    @classmethod
    def parse(cls, word: str) -> Control:
        """Read `NAME=SINCE`; `UsageError`."""
        name, _, since = word.partition("=")
        if not _CONTROL.fullmatch(name) or not _INSTANT.fullmatch(since):
            raise UsageError(
                f"{word!r} is no control", hint="for example SLSA_SOURCE_SCS_CONTINUITY=2026-10-01T00:00:00Z"
            )
        return cls(name, since)


@dataclass(frozen=True, slots=True)
class Push:
    """What is known of the push: the commit that the ref pointed to before, and who moved it; empty where not known."""

    previous: str = ""
    actor: str = ""
    controls: tuple[Control, ...] = ()


def build(facts: Facts, push: Push) -> bytes | None:
    """The Statement; None for a commit that was not accepted.

    Raises as `statement.check`, and `UsageError` where there is no ref, or no URI of the repository, or for anything
    but a commit.
    """
    statement.check(facts.examination, facts.verdict)
    repository = statement.check_uri(facts.repository)
    if facts.ref is None:
        raise UsageError("source provenance names the ref", hint="say it with --ref")
    if facts.examination.kind != ObjectKind.COMMIT:
        raise UsageError("source provenance is about the commit that a branch was moved to")
    if not facts.accepted:
        return None
    about = {"digest": {"gitCommit": facts.examination.object_id}, "annotations": {"source_refs": [facts.ref]}}
    return statement.encode(
        [about],
        PREDICATE_TYPE,
        {
            **({"prev_commit": push.previous} if push.previous else {}),
            "repo_uri": repository,
            "activity_type": "push",
            **({"actor": push.actor} if push.actor else {}),
            "branch": facts.ref,
            "created_on": text(facts.at),
            "controls": _controls(push.controls),
        },
    )


def _controls(controls: Sequence[Control]) -> list[JsonObject]:
    return [{"name": control.name, "since": control.since} for control in controls]
