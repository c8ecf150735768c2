"""Reading what orchestrators say of a dispatch, in the shapes that are about.

- a Statement of type `dispatch/v1`, or its predicate alone, as notme's served schema has it
- the flat form of notme's own Cap'n Proto types
- `.rsry-dispatch.json`, rosary's manifest, version 1: in snake_case, and without a hash of the work item

The work item was called a bead once: `beadRef` and `beadId` are read, and nobody writes them any more.
"""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace

from attest.apas import origins
from attest.apas.dispatch import (
    PREDICATE_TYPE,
    Agent,
    Dispatch,
    Execution,
    HandoffChain,
    Outcome,
    Pipeline,
    Verification,
    Work,
    WorkItem,
)
from attest.apas.fields import MAX_INDEX, Fields, commit_id
from attest.dsse import read_json
from attest.errors import MalformedError
from attest.statement import STATEMENT_TYPE

MAX_COMMITS = 1000
ISOLATION = ("git-worktree", "container", "vm", "none")

_TIME = re.compile(
    r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_RESULTS = {"pass": True, "passed": True, "fail": False, "failed": False}


def parse(data: bytes) -> Dispatch:
    """The dispatch in `data`, in whichever shape it is. Raises `MalformedError`."""
    top = Fields(read_json(data), "")
    if top.has("schema_version"):
        return _manifest(top)
    if top.has("_type"):
        if top.text("_type") != STATEMENT_TYPE or top.text("predicateType") != PREDICATE_TYPE:
            raise MalformedError(f"not a Statement of type {PREDICATE_TYPE}")
        return _nested(_part(top, "predicate"))
    if top.has("dispatchDefinition") or top.has("runDetails"):
        return _nested(top)
    if top.has("agent") and (top.has("workItemRef") or top.has("beadRef")):
        return _definition(top)
    raise MalformedError(
        "this says nothing of a dispatch", hint="it is a dispatch/v1 predicate or Statement, or rosary's manifest"
    )


def _nested(predicate: Fields) -> Dispatch:
    definition, run = predicate.part("dispatchDefinition"), predicate.part("runDetails")
    made = _definition(definition) if definition is not None else Dispatch()
    if run is None:
        return made
    orchestrator = run.part("orchestrator")
    return replace(
        made,
        orchestrator=_orchestrator(orchestrator),
        certificate=_certificate(orchestrator),
        execution=_execution(run.part("execution")),
        work=_work(run.part("work"), "filesChanged", "linesAdded", "linesRemoved"),
        verification=_verification(run.part("verification"), "passed", "highestTier"),
        outcome=_outcome(run.part("outcome"), "stopReason", "workItemClosed"),
        handoffs=_handoffs(run.part("handoffChain")),
        origins=origins.declared(run),
    )


def _definition(top: Fields) -> Dispatch:
    """What stands in `dispatchDefinition`, or in the flat form at the top."""
    return Dispatch(
        work_item=_work_item(top), agent=_agent(top.part("agent")), pipeline=_pipeline(top.part("pipeline"))
    )


def _pipeline(found: Fields | None) -> Pipeline:
    if found is None:
        return Pipeline()
    return Pipeline(found.texts("phases"), found.number("currentPhase", MAX_INDEX), found.text("pipelineId", ""))


def _work_item(top: Fields) -> WorkItem:
    if top.has("workItemRef") and top.has("beadRef"):
        raise MalformedError("workItemRef and beadRef are two names of one thing, and both are there")
    old = top.has("beadRef")
    item = top.part("beadRef" if old else "workItemRef")
    if item is None:
        return WorkItem()
    name = "beadId" if item.has("beadId") and not item.has("workItemId") else "workItemId"
    return WorkItem(item.text("repo", ""), item.text(name, ""), item.sha256("contentHash"))


def _agent(found: Fields | None) -> Agent:
    if found is None:
        return Agent()
    return Agent(
        name=found.text("name", ""),
        provider=found.text("provider", ""),
        model=found.text("model", ""),
        definition=found.sha256("definition"),
        permission_profile=found.text("permissionProfile", ""),
    )


def _orchestrator(found: Fields | None) -> tuple[str, str]:
    return ("", "") if found is None else (found.text("name", ""), found.text("version", ""))


def _certificate(orchestrator: Fields | None) -> bytes:
    identity = orchestrator.part("identity") if orchestrator is not None else None
    text = identity.text("bridgeCert", "") if identity is not None else ""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise MalformedError("identity.bridgeCert of the orchestrator is not base64") from None


def _execution(found: Fields | None) -> Execution:
    if found is None:
        return Execution()
    isolation = found.text("isolationLevel", "")
    if isolation and isolation not in ISOLATION:
        raise MalformedError(f"isolationLevel {isolation[:40]!r} is none of {', '.join(ISOLATION)}")
    return Execution(
        work_dir=found.text("workDir", ""),
        started_at=_time(found, "startedAt"),
        completed_at=_time(found, "completedAt"),
        duration_ms=found.number("durationMs"),
        session_id=found.text("sessionId", ""),
        isolation=isolation,
    )


def _work(found: Fields | None, files: str, added: str, removed: str) -> Work:
    if found is None:
        return Work()
    commits = found.parts("commits")
    if len(commits) > MAX_COMMITS:
        raise MalformedError(f"{len(commits)} commits of one dispatch; at most {MAX_COMMITS} are read")
    named = tuple((commit_id(one.text("sha"), f"{one.where}.sha"), _first_line(one)) for one in commits)
    if len({sha for sha, _ in named}) != len(named):
        raise MalformedError("a commit of the dispatch is named twice")
    return Work(named, found.texts(files), found.number(added), found.number(removed))


def _first_line(commit: Fields) -> str:
    """The rest of a message is for those who have the commit: what is stated everyone reads."""
    return commit.text("message", "").partition("\n")[0]


def _verification(found: Fields | None, passed: str, highest: str) -> Verification:
    if found is None:
        return Verification()
    tiers = tuple((tier.text("name"), _passed(tier)) for tier in found.parts("tiers"))
    return Verification(found.flag(passed), found.number(highest, MAX_INDEX), tiers)


def _passed(tier: Fields) -> bool | None:
    return tier.flag("passed") if tier.has("passed") else _RESULTS.get(tier.text("result", "").lower())


def _outcome(found: Fields | None, reason: str, closed: str) -> Outcome:
    return Outcome() if found is None else Outcome(found.flag("success"), found.text(reason, ""), found.flag(closed))


def _handoffs(found: Fields | None) -> HandoffChain | None:
    if found is None:
        return None
    made = HandoffChain(found.sha256("phaseHash"), found.sha256("previousPhaseHash"), found.sha256("chainRoot"))
    if not made.phase or not made.root:
        raise MalformedError("handoffChain is without phaseHash or chainRoot")
    return made


def _manifest(top: Fields) -> Dispatch:
    version = top.text("schema_version")
    if version != "1":
        raise MalformedError(f"a manifest of version {version[:40]!r}; version 1 is read")
    who, session = _part(top, "identity"), _part(top, "session")
    return Dispatch(
        work_item=WorkItem(who.text("repo"), who.text("bead_id")),
        agent=Agent(
            name=who.text("agent"),
            provider=who.text("provider"),
            model=who.text("model", ""),
            permission_profile=who.text("permission_profile", ""),
        ),
        pipeline=Pipeline(current=who.number("pipeline_phase", MAX_INDEX)),
        execution=Execution(
            work_dir=session.text("work_dir", ""),
            started_at=_time(session, "started_at"),
            completed_at=_time(session, "completed_at"),
            duration_ms=session.number("duration_ms"),
            session_id=session.text("session_id", ""),
        ),
        work=_work(top.part("work"), "files_changed", "lines_added", "lines_removed"),
        verification=_verification(top.part("quality"), "verification_passed", "highest_passing_tier"),
        outcome=_outcome(top.part("outcome"), "stop_reason", "bead_closed"),
        id=who.text("dispatch_id", ""),
    )


def _part(top: Fields, name: str) -> Fields:
    found = top.part(name)
    if found is None:
        raise MalformedError(f"{name} is missing")
    return found


def _time(found: Fields, name: str) -> str:
    text = found.text(name, "")
    if text and not _TIME.fullmatch(text):
        raise MalformedError(f"{found.where}.{name} is no time as RFC 3339 has it: {text[:40]!r}")
    return text
