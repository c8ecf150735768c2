"""The TypeScript that is generated from the schemas: it compiles, strictly, and its Zod types take what goes over HTTP.

That is every request and answer of a live authority, and those recorded from the upstream one.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from notme_git.authority.http.operations import OPERATIONS
from tests.peers import NODE_MODULES, ROOT, peer, shared_vectors
from tests.predicates import EXAMPLES
from tests.spoken import ERROR, operation, speak, speaking

SCRIPT = Path(__file__).parent / "node" / "schema.mjs"
STRICT = ("--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--module", "nodenext")
UPSTREAM_ALONE = ("message",)
"""Fields of an error that only the recorded authority has."""

REFUSED_HERE = ("invite-neg-ttl",)
"""Exchanges that ours answers with 400 for what is sent."""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the compiled modules, from which Node finds Zod."""
    node, folder = peer("typescript"), tmp_path_factory.mktemp("typescript")
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "package.json").write_text('{"type": "module"}')
    for source in (ROOT / "schema/gen/typescript").iterdir():
        (folder / source.name).write_bytes(source.read_bytes())
    sources = [path.name for path in sorted(folder.glob("*.ts"))]
    command = [str(node), "node_modules/typescript/bin/tsc", *STRICT, "--outDir", "out", *sources]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def check(compiled: Path, noted: Sequence[tuple[tuple[str, ...], Any]], module: str = "protocol") -> None:
    """Each body is one of its structs by Zod's word."""
    script = compiled / SCRIPT.name
    script.write_bytes(SCRIPT.read_bytes())
    said = json.dumps([{"structs": names, "body": body} for names, body in noted])
    done = subprocess.run(
        [peer("node"), script, compiled / f"out/{module}.js"],
        input=said, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_zod_takes_every_request_and_answer_of_a_live_authority(compiled: Path, tmp_path: Path) -> None:
    with speaking(tmp_path / "world") as talk:
        speak(talk)
    assert talk.done >= {(each.method, each.path) for each in OPERATIONS if any("/" not in name for name in each.tells)}
    check(compiled, talk.noted)


def test_zod_takes_what_was_recorded_from_upstream(compiled: Path) -> None:
    noted = [
        each
        for file in ("B-full-flow.json", "C-kv-nonce.json")
        for item in json.loads((shared_vectors() / "notme" / file).read_text("utf-8"))["items"]
        for each in recorded(item)
    ]
    assert len(noted) > 100
    check(compiled, noted)


def recorded(item: Any) -> list[tuple[tuple[str, ...], Any]]:
    """The request and answer of an exchange, where this authority has the operation."""
    asked, told = item["request"], item["response"]
    if told["body_kind"] != "json" or item["name"] in REFUSED_HERE:
        return []
    try:
        known = operation(asked["method"], urlsplit(asked["url"]).path)
    except LookupError:
        return []
    if told["status"] != 200:
        return [((ERROR,), {name: each for name, each in told["body"].items() if name not in UPSTREAM_ALONE})]
    answer = (tuple(name for name in known.tells if "/" not in name), told["body"])
    request = [((known.asks,), asked["body"])] if isinstance(asked["body"], dict) else []
    return [*request, answer]


def test_zod_takes_the_golden_dispatch_and_handoff(compiled: Path) -> None:
    golden = {name: ROOT / f"tests/golden/{name.lower()}-v1.json" for name in ("Dispatch", "Handoff")}
    check(
        compiled,
        [((name,), json.loads(path.read_text("utf-8"))["predicate"]) for name, path in golden.items()],
        module="apas",
    )


def test_zod_takes_every_golden_predicate(compiled: Path) -> None:
    noted = [
        ((struct,), json.loads((ROOT / f"tests/golden/{name}.json").read_text("utf-8"))["predicate"])
        for name, (_, struct, _) in EXAMPLES.items()
    ]
    check(compiled, noted, module="predicates")
