"""What an orchestrator says of one dispatch: for which work item, of which agent, how it went (APAS section 3).

All of it are claims of the orchestrator. A verifier knows none of it first-hand and never fills in what is not said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from attest.apas import origins
from attest.apas.origins import Declared
from attest.said import Said

PREDICATE_TYPE = "https://notme.bot/provenance/dispatch/v1"

CLAIM = "orchestrator-claim"
"""The source of what stands in a verifier's statement by the orchestrator's word."""


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Why: the item in a tracker. `content_hash` is `sha256:` and hex; texts are empty where nothing is said."""

    repo: str = ""
    id: str = ""
    content_hash: str = ""

    def data(self) -> dict[str, str]:
        """As `workItemRef`."""
        return {"repo": self.repo, "workItemId": self.id, "contentHash": self.content_hash}


@dataclass(frozen=True, slots=True)
class Agent:
    """Who, in the orchestrator's words. `definition` is `sha256:` and hex of the agent's definition."""

    name: str = ""
    provider: str = ""
    model: str = ""
    definition: str = ""
    permission_profile: str = ""

    def data(self) -> dict[str, str]:
        """As `dispatchDefinition.agent`."""
        named = {"definition": self.definition, "permissionProfile": self.permission_profile}
        required = {"name": self.name, "provider": self.provider, "model": self.model}
        return required | {name: value for name, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Where among several phases; `current` counts from 0, None where it is not said."""

    phases: tuple[str, ...] = ()
    current: int | None = None
    id: str = ""

    def data(self) -> dict[str, Any]:
        """As `dispatchDefinition.pipeline`."""
        return said(phases=list(self.phases), currentPhase=self.current, pipelineId=self.id)


@dataclass(frozen=True, slots=True)
class Execution:
    """How it ran. Times are RFC 3339; `work_dir` is a path on the orchestrator's machine."""

    work_dir: str = ""
    started_at: str = ""
    completed_at: str = ""
    duration_ms: int | None = None
    session_id: str = ""
    isolation: str = ""

    def data(self, *, scoped: bool) -> dict[str, Any]:
        """As `runDetails.execution`; the path only where not everyone reads it."""
        return said(
            workDir=self.work_dir if scoped else "",
            startedAt=self.started_at,
            completedAt=self.completed_at,
            durationMs=self.duration_ms,
            sessionId=self.session_id,
            isolationLevel=self.isolation,
        )


@dataclass(frozen=True, slots=True)
class Work:
    """What came of it, as the orchestrator counted; `commits` are ids with the first line of their messages."""

    commits: tuple[tuple[str, str], ...] = ()
    files: tuple[str, ...] = ()
    added: int | None = None
    removed: int | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What the orchestrator checked. Each tier with whether it passed, None where the word for it is unknown."""

    passed: bool | None = None
    highest: int | None = None
    tiers: tuple[tuple[str, bool | None], ...] = ()

    def data(self) -> dict[str, Any]:
        """As `runDetails.verification`."""
        tiers = [said(name=name, passed=passed) for name, passed in self.tiers]
        return said(passed=self.passed, highestTier=self.highest, tiers=tiers)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended."""

    success: bool | None = None
    stop_reason: str = ""
    closed: bool | None = None

    def data(self) -> dict[str, Any]:
        """As `runDetails.outcome`."""
        return said(success=self.success, stopReason=self.stop_reason, workItemClosed=self.closed)


@dataclass(frozen=True, slots=True)
class HandoffChain:
    """Which phase of which chain of handoffs: `sha256:` and hex each, `previous` empty for the first phase."""

    phase: str
    previous: str
    root: str

    def data(self) -> dict[str, str]:
        """As `runDetails.handoffChain`."""
        return said(phaseHash=self.phase, previousPhaseHash=self.previous, chainRoot=self.root)


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One dispatch. `certificate` is what stands in the place of the orchestrator's own, DER; `id` the dispatch's.

    Both are empty where nothing is said.
    """

    work_item: WorkItem = WorkItem()
    agent: Agent = Agent()
    pipeline: Pipeline = Pipeline()
    orchestrator: tuple[str, str] = ("", "")
    certificate: bytes = b""
    execution: Execution = Execution()
    work: Work = Work()
    verification: Verification = Verification()
    outcome: Outcome = Outcome()
    handoffs: HandoffChain | None = None
    origins: Declared = field(default=Declared(None, ""))
    id: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The facts without which no `dispatch/v1` may be made, by their names in it."""
        facts = {
            "workItemRef.repo": self.work_item.repo,
            "workItemRef.workItemId": self.work_item.id,
            "workItemRef.contentHash": self.work_item.content_hash,
            "agent.name": self.agent.name,
            "agent.provider": self.agent.provider,
            "agent.model": self.agent.model,
        }
        return tuple(name for name, value in facts.items() if not value)


def sections(dispatch: Dispatch) -> dict[str, Any]:
    """What a verifier's `commit/v0.1` repeats of a dispatch that it was given, under the same paths.

    Only a work item that is said in full, and of content origins the digest alone: a git ref is read by everyone.
    The agent is marked as a claim, because who signed is proven elsewhere in that statement.
    """
    item, agent = dispatch.work_item, dispatch.agent
    whole = bool(item.repo and item.id and item.content_hash)
    definition = said(
        workItemRef=item.data() if whole else {},
        agent={**said(**agent.data()), "source": CLAIM} if agent.name else {},
    )
    made: dict[str, Any] = said(dispatchDefinition=definition)
    chain = dispatch.handoffs.data() if dispatch.handoffs is not None else {}
    run = said(handoffChain=chain, originsHash=dispatch.origins.digest)
    return {**made, "runDetails": run} if run else made


def discloses(statement: Said) -> bool:
    """Whether a Statement names the sources of content, which do not belong where everyone reads (APAS section 2.5)."""
    return statement.predicate_type == PREDICATE_TYPE and bool(statement.at("runDetails", "contentOrigins"))


def said(**facts: Any) -> dict[str, Any]:
    """Those facts that are said: neither None nor empty."""
    return {name: value for name, value in facts.items() if value is not None and value not in ("", [], {})}


def origins_data(declared: Declared, *, scoped: bool) -> Mapping[str, Any]:
    """`contentOrigins` for those who may see the sources, `originsHash` for everyone; never both (APAS section 2.5).

    An empty set has no hash, and says that one looked; that is said where the array may stand.
    """
    if scoped and declared.origins is not None:
        entries = [{"uri": one.uri, "vouchedBy": one.vouched_by} for one in origins.canonical_set(declared.origins)]
        return {"contentOrigins": entries}
    return said(originsHash=declared.digest)
