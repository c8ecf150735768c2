from __future__ import annotations

from typing import Any

import pytest

from notme_git.daemon import cli

RUNNING: dict[str, Any] = {
    "pid": 7,
    "version": "1",
    "home": "/home/alice/notme",
    "uptimeSeconds": 3,
    "idleSecondsLeft": 897,
    "signatures": 1,
    "medianMicroseconds": 214,
    "credentials": 1,
    "memoryKiB": 37000,
    "anonymousKiB": 17000,
    "hardening": {"memoryLocked": "yes", "coreFiles": "no", "dumpable": "no"},
    "sshAgent": None,
    "ephemeral": False,
    "lastRefusal": None,
}


@pytest.mark.parametrize(
    ("signatures", "spent", "credentials", "line"),
    [
        (0, None, 0, "  0 signatures made, 0 credentials in memory"),
        (1, 999, 1, "  1 signature made (999 us of processor time each), 1 credential in memory"),
        (2, 13839, 2, "  2 signatures made (13.8 ms of processor time each), 2 credentials in memory"),
    ],
)
def test_numbers_go_with_their_nouns_and_units(signatures: int, spent: int | None, credentials: int, line: str) -> None:
    changed = {"signatures": signatures, "medianMicroseconds": spent, "credentials": credentials}
    assert line in cli.lines({**RUNNING, **changed})


def test_a_refusal_of_several_lines_is_one() -> None:
    refusal = {"at": "2026-11-27T06:30:00Z", "reason": "notme-git: no grant\nnotme-git: grant it\n"}
    assert cli.lines({**RUNNING, "lastRefusal": refusal})[-1] == (
        "  last refused at 2026-11-27T06:30:00Z: no grant; grant it"
    )
