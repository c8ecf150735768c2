"""What orchestrators say of a dispatch, in each shape that is read."""

from __future__ import annotations

import json
from typing import Any

ITEM_HASH = "sha256:" + "ab" * 32
SESSION = "1d0f4c1c-9d77-4b3c-9d0e-0a4a35b0a1f5"

DEFINITION: dict[str, Any] = {
    "workItemRef": {"repo": "acme/app", "workItemId": "acme-17", "contentHash": ITEM_HASH},
    "pipeline": {"phases": ["plan", "generate"], "currentPhase": 1, "pipelineId": SESSION},
    "agent": {
        "name": "dev-agent",
        "provider": "claude",
        "model": "opus",
        "definition": "sha256:" + "cd" * 32,
        "permissionProfile": "implement",
    },
}
RUN: dict[str, Any] = {
    "orchestrator": {"name": "rosary", "version": "0.9.1", "identity": {"identityToken": "SIG1.a.b"}},
    "execution": {
        "workDir": "/home/build/acme",
        "startedAt": "2026-11-23T13:50:00Z",
        "completedAt": "2026-11-23T13:58:10.5+01:00",
        "durationMs": 0,
        "sessionId": SESSION,
        "isolationLevel": "git-worktree",
    },
    "work": {"commits": [], "filesChanged": ["src/verify.py"], "linesAdded": 47, "linesRemoved": 0},
    "verification": {"passed": False, "highestTier": 0, "tiers": [{"name": "compile", "passed": False}]},
    "outcome": {"success": True, "stopReason": "end_turn", "workItemClosed": False},
    "handoffChain": {
        "phaseHash": "sha256:ebd610045bb751d7979ad5d6198439ba26c622d2a0d36714118729357276d504",
        "previousPhaseHash": "sha256:e75bee95e11c905e5dfea2fcf8c1b000b1a16a1a8892668196042b8823c8ca4b",
        "chainRoot": "sha256:e75bee95e11c905e5dfea2fcf8c1b000b1a16a1a8892668196042b8823c8ca4b",
    },
    "contentOrigins": [
        {"uri": "https://docs.acme.example/api/v2", "vouchedBy": "substrate/lease-gate"},
        {"uri": "context://repo/acme/app#pkg/x", "vouchedBy": ""},
        {"uri": "https://docs.acme.example/api/v2", "vouchedBy": ""},
    ],
}
SERVED: dict[str, Any] = {"dispatchDefinition": DEFINITION, "runDetails": RUN}
CAPNP: dict[str, Any] = {
    "beadRef": {"repo": "acme/app", "beadId": "acme-17", "contentHash": ITEM_HASH},
    "agent": {name: DEFINITION["agent"][name] for name in ("name", "provider", "model", "definition")},
    "pipeline": DEFINITION["pipeline"],
    "signingCert": "-----BEGIN CERTIFICATE-----",
    "certPair": {"identity": "wimse://auth.acme.example/x"},
}
MANIFEST: dict[str, Any] = {
    "schema_version": "1",
    "identity": {
        "dispatch_id": "d-2026-11-23-0042",
        "bead_id": "acme-17",
        "repo": "acme/app",
        "agent": "dev-agent",
        "provider": "claude",
        "model": "opus",
        "pipeline_phase": 1,
        "issue_type": "bug",
        "permission_profile": "implement",
    },
    "session": {
        "session_id": SESSION,
        "workspace_path": "/home/build/acme",
        "work_dir": "/home/build/acme",
        "repo_path": "/home/build/acme",
        "vcs_kind": "git",
        "started_at": "2026-11-23T13:50:00.123456789Z",
        "completed_at": None,
        "duration_ms": None,
        "pid": 42,
    },
    "work": {
        "commits": [],
        "files_changed": ["src/verify.py"],
        "lines_added": 47,
        "lines_removed": 12,
        "diff_stat": None,
    },
    "quality": {
        "verification_passed": True,
        "highest_passing_tier": 1,
        "tiers": [
            {"name": "commit", "result": "pass"},
            {"name": "compile", "result": "fail", "detail": "one"},
            {"name": "lint", "result": "skipped"},
        ],
    },
    "cost": {"total_cost_usd": 0.042, "input_tokens": 18500},
    "vcs": {"git_branch": "fix/acme-17"},
    "outcome": {"success": True, "bead_closed": False, "stop_reason": "end_turn", "retries": 0},
}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()
