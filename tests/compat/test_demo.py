"""`make demo`, once: it ends well, in an order that a person can follow, and leaves nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.compat.conftest import SECONDS
from tests.peers import ROOT, SEARCH, peer

HEADINGS = [
    "authority on this machine",
    "lets an agent sign",
    "git is told to sign",
    "Plain git",
    "by the human",
    "What git shows",
    "What our verifier finds",
    "The verdict",
    "signed statement",
    "tools that are not ours",
    "tampered commit is refused",
    "a command and all it starts",
    "stock git and ssh-keygen check",
]


def test_the_demo_goes_the_whole_way_and_cleans_up(tmp_path: Path) -> None:
    for tool in ("git", "ssh-keygen", "certtool", "openssl"):
        peer(tool)
    ended = subprocess.run(
        [sys.executable, ROOT / "docs" / "demo.py"],
        env={**os.environ, "PATH": SEARCH, "TMPDIR": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=2 * SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    said = re.findall(r"^# (.*)$", ended.stdout, re.MULTILINE)
    assert len(said) == len(HEADINGS)
    assert all(part in heading for part, heading in zip(HEADINGS, said, strict=True)), said
    assert "skipped" not in ended.stdout
    assert "PRIVATE KEY" not in ended.stdout
    assert "refused by step 3, integrity" in ended.stdout
    assert list(tmp_path.iterdir()) == []
