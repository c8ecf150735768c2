"""What may be said of who separates a caller from the human."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attest.types import Assurance
from notme_git.daemon.server import Peer
from notme_git.session import separation

SAME, APART = Assurance.SAME_USER, Assurance.SANDBOXED_BROKER
OTHERS = {"mnt", "pid", "user"}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ((), SAME),
        (("mnt",), SAME),
        (("pid",), SAME),
        (("user",), SAME),
        (("pid", "user"), SAME),
        (("mnt", "pid"), APART),
        (("mnt", "user"), APART),
        (("mnt", "pid", "user"), APART),
    ],
)
def test_it_takes_another_file_system_and_other_processes_or_users(
    monkeypatch: pytest.MonkeyPatch, others: tuple[str, ...], expected: Assurance
) -> None:
    def readlink(path: str) -> str:
        _, _, process, _, kind = path.split("/")
        return f"{kind}:[{2 if process == '77' and kind in others else 1}]"

    monkeypatch.setattr(os, "readlink", readlink)
    assert separation.assurance(Peer(os.getuid(), 77)) is expected


def test_this_process_is_not_separated_from_itself() -> None:
    assert separation.assurance(Peer(os.getuid(), os.getpid())) is SAME


@pytest.mark.parametrize("pid", [0, 2**31 - 1])
def test_a_process_that_is_gone_is_not_separated(pid: int) -> None:
    assert not Path(f"/proc/{pid}").exists()
    assert separation.assurance(Peer(os.getuid(), pid)) is SAME


def test_another_user_is_separated_by_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "readlink", lambda path: pytest.fail(path))
    assert separation.assurance(Peer(os.getuid() + 1, os.getpid())) is APART
