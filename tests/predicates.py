"""One statement of each type, from fixed keys and a fixed clock; `python -m tests.predicates` writes them anew.

They are the files `tests/golden/NAME.json` and the examples in `docs/statements/`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import cache

from attest import gitobject, statement, verify
from attest.gitobject import ObjectFormat, ObjectKind
from attest.policy import Context, Policy, PolicyLike
from attest.predicates import gitsign, provenance, reference, svr, testresult, vsa
from attest.predicates.facts import Facts
from attest.predicates.provenance import Control, Push
from attest.predicates.reference import Document
from attest.predicates.vsa import Part
from attest.receive import witness
from attest.receive.signedpush import Received
from attest.receive.updates import Update
from tests.forge import NOW, Forge, attach, push_payload
from tests.peers import ROOT

GOLDEN = ROOT / "tests/golden"
PAGES = ROOT / "docs/statements"
ID = "https://ci.example.org/verifier"
REPOSITORY = "https://git.example.org/app"
MAIN = "refs/heads/main"
MESSAGE = b"Refuse empty certificates\n\nThe body says more.\n\nCo-Authored-By: Claude <noreply@anthropic.com>\n"
PARENT = "63c47214f0a63ff1d0a8d7a8ebc2d9affbafb9c9"


@cache
def forge() -> Forge:
    """The one authority."""
    return Forge(seed="predicates")


def facts_of(
    raw: bytes,
    *,
    kind: ObjectKind = ObjectKind.COMMIT,
    fmt: ObjectFormat = ObjectFormat.SHA1,
    policy: PolicyLike | None = None,
    ref: str | None = MAIN,
    repository: str | None = REPOSITORY,
) -> Facts:
    """What is found of an object, and concluded."""
    oid = gitobject.object_id(kind, raw, fmt)
    found = verify.examine(raw, kind, fmt, oid, forge().trusted, at=NOW)
    verdict = verify.judge(found, policy or Policy(), Context(ref, repository), at=NOW)
    return Facts(found, verdict, ID, repository, ref, NOW)


@cache
def facts() -> Facts:
    """Of the one commit: signed by an agent on behalf of Alice, time-stamped."""
    return facts_of(forge().commit(forge().leaf(), message=MESSAGE, parents=(PARENT,)))


@cache
def commit() -> bytes:
    """commit/v0.1 of it."""
    one = facts()
    return statement.build(
        one.examination, one.verdict, verifier_id=ID, repository=REPOSITORY, ref=MAIN, at=NOW
    )


def summary() -> bytes:
    """A range that is this commit alone."""
    one = facts()
    tip = one.examination.object_id
    return vsa.build([Part.of(one, commit())], tip, verifier_id=ID, repository=REPOSITORY, ref=MAIN, at=NOW)


def referring() -> bytes | None:
    """To the log of a test run, and a note of git-ai."""
    log = Document.of_file("https://ci.example.org/runs/17/log.txt", "log.txt", b"all passed\n")
    blob, place = "8123a1eae881da8ee9b977f89a592b1cd4368cc3", f"git+{REPOSITORY}@refs/notes/ai"
    note = Document(place, "text/plain", "gitBlob", blob, "refs/notes/ai")
    return reference.build(facts(), [log, note])


def pushed() -> bytes | None:
    """By an agent, under one control."""
    control = Control.parse("SLSA_SOURCE_SCS_CONTINUITY=2026-10-01T00:00:00Z")
    return provenance.build(facts(), Push(PARENT, "agent-7", (control,)))


def seen() -> bytes:
    """The same commit as it arrived, under a push certificate."""
    oid = facts().examination.object_id
    payload = push_payload()
    raw = attach(payload, forge().armour(forge().leaf(), payload))
    received = Received(
        gitobject.object_id(ObjectKind.PUSH_CERTIFICATE, raw, ObjectFormat.SHA1),
        gitobject.parse_push_certificate(raw),
        NOW - timedelta(seconds=2),
        NOW,
    )
    kinds = {PARENT: "commit", oid: "commit"}
    return witness.build(Update(MAIN, PARENT, oid), kinds, "https://git.example.org/", REPOSITORY, received, NOW)


EXAMPLES: dict[str, tuple[str, str, Callable[[], bytes | None]]] = {
    "commit-v0.1": ("commit.md", "CommitPredicate", commit),
    "vsa-v1": ("vsa.md", "SourceSummary", summary),
    "svr-v0.2": ("svr.md", "SimpleResult", lambda: svr.build(facts())),
    "test-result-v0.1": ("test-result.md", "TestResult", lambda: testresult.build(facts())),
    "reference-v0.1": ("reference.md", "Reference", referring),
    "source-provenance-v1-draft": ("source-provenance.md", "SourceProvenance", pushed),
    "gitsign-git-v0.1": ("gitsign.md", "GitsignGit", lambda: gitsign.build(facts())),
    "witness-v0.1": ("witness.md", "Witness", seen),
}
"""By the name of the golden file: the page that shows it, the struct of its predicate, and how it is made."""


def shown(payload: bytes) -> str:
    """As a page shows it."""
    return "```json\n" + json.dumps(json.loads(payload), indent=1) + "\n```\n"


def with_example(page: str, payload: bytes) -> str:
    """The page with this example in place of the one it has."""
    head, mark, _ = page.partition("## Example\n")
    return f"{head}{mark}\n{shown(payload)}" if mark else page


def write() -> None:
    """Golden files and pages."""
    for name, (page, _, make) in EXAMPLES.items():
        payload = make()
        assert payload is not None
        (GOLDEN / f"{name}.json").write_bytes(payload + b"\n")
        path = PAGES / page
        path.write_text(with_example(path.read_text("utf-8"), payload), "utf-8")


if __name__ == "__main__":
    write()
