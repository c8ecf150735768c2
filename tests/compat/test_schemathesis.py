"""The OpenAPI document against the live authority, by schemathesis: no 5xx, and every answer as the document says it.

What it sends stays within the document and strays from it, methods that are not there among it. `/timestamp` takes DER,
which it cannot make (`test_timestamp_http.py`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notme_git.authority import accounts
from notme_git.authority.settings import Limits, Rate, Settings
from tests.served import Served, served
from tests.world import World

PROGRAM = Path(sys.executable).with_name("schemathesis")
UNLIMITED = Limits(*(Rate(0, 0) for _ in Limits.__slots__))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(World(tmp_path / "world"), Settings(limits=UNLIMITED)) as running:
        yield running


def run(server: Served, folder: Path, *options: str) -> None:
    """A run with a fixed seed, whose report is the test's where it finds something."""
    fixed = ("--seed=1", "--no-shrink", "--generation-database=none", "--warnings=off", "--no-color")
    command = [str(PROGRAM), "run", f"{server.url}/api/openapi.json", *fixed, f"--checks={','.join(CHECKS)}"]
    command += ["--exclude-path=/timestamp", *options]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout[-8000:] + ended.stderr


def test_whoever_asks_gets_what_the_document_says(server: Served, tmp_path: Path) -> None:
    run(server, tmp_path, "--phases=fuzzing", "--max-examples=3")


def test_an_administrator_gets_what_the_document_says(server: Served, tmp_path: Path) -> None:
    """But signing out is left alone, after which there would be none."""
    cookie = server.cookie(server.account(*accounts.ADMIN, accounts.GIT))
    signed_in = ("-H", f"Cookie: notme_session={cookie}", "--exclude-path=/logout")
    run(server, tmp_path, *signed_in, "--phases=coverage")
