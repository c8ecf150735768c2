"""How many commit statements a second two processes make, each with a credential of its own.

Signed: the statement's bytes and its DSSE signature. Stored form: the same with the authority's time-stamp over the
signature, as one line of JSON.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

from attest import dsse, gitobject, home, statement, verify
from attest.gitobject import ObjectFormat, ObjectKind, SignatureFormat
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.trust import Trust
from attest.types import Grant, Verdict
from attest.verify import Examination
from notme_git import attesting
from notme_git import sign as sign_git
from notme_git.authority import founding, grants
from notme_git.authority.embedded import Authority, opened
from notme_git.enroll import local

AGENT = "claude-code"
PROCESSES = 2
COMMITS = 50
"""Distinct commits a process goes round, each with a certificate of its own."""


def rates(count: int) -> tuple[float, float]:
    """Statements a second over all processes, signed and in stored form; the slowest process ends the clock."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="notme-bench-") as directory:
        place = Path(directory)
        founding.found(place, "Alice Example", "alice@example.org", "file", datetime.now(UTC))
        with opened(place) as authority:
            authority.store.add_grant(_grant(authority, datetime.now(UTC)))
        barrier, results = context.Barrier(PROCESSES), context.Queue()
        workers = [context.Process(target=_work, args=(directory, count, barrier, results)) for _ in range(PROCESSES)]
        for worker in workers:
            worker.start()
        spans = [results.get(timeout=300) for _ in workers]
        for worker in workers:
            worker.join()
    seconds = [max(s[i][1] for s in spans) - min(s[i][0] for s in spans) for i in (0, 1)]
    return PROCESSES * count / seconds[0], PROCESSES * count / seconds[1]


def lines(count: int) -> Iterator[tuple[str, bytes]]:
    """So many lines in stored form, as one credential makes them, each with the id that it is about."""
    at = datetime.now(UTC)
    with tempfile.TemporaryDirectory(prefix="notme-bench-") as directory:
        place = Path(directory)
        founding.found(place, "Alice Example", "alice@example.org", "file", at)
        with opened(place) as authority:
            authority.store.add_grant(_grant(authority, at))
        trusted = home.read_trust(place)
        with opened(place) as authority:
            judged = [_judged(authority, trusted, number, at) for number in range(COMMITS)]
            attester = attesting.HomeAttester.enroll(authority, trusted, at)
            for number in range(count):
                examination, verdict = judged[number % COMMITS]
                about = replace(examination, object_id=hashlib.sha1(b"%d" % number).hexdigest())
                yield about.object_id, attester.sign(_built(about, verdict, attester.id, at), at)


Span = tuple[float, float]


def _work(place: str, count: int, barrier: Barrier, results: multiprocessing.Queue[tuple[Span, Span]]) -> None:
    at = datetime.now(UTC)
    trusted = home.read_trust(Path(place))
    with opened(Path(place)) as authority:
        judged = [_judged(authority, trusted, number, at) for number in range(COMMITS)]
        attester = attesting.HomeAttester.enroll(authority, trusted, at)

    def sign(examination: Examination, verdict: Verdict) -> None:
        attester.credential.sign(dsse.pae(dsse.PAYLOAD_TYPE, _built(examination, verdict, attester.id, at)))

    def store(examination: Examination, verdict: Verdict) -> None:
        attester.sign(_built(examination, verdict, attester.id, at), at)

    spans = []
    for make in (sign, store):
        barrier.wait()
        start = time.monotonic()
        for number in range(count):
            make(*judged[number % COMMITS])
        spans.append((start, time.monotonic()))
    results.put((spans[0], spans[1]))


def _built(examination: Examination, verdict: Verdict, verifier: str, at: datetime) -> bytes:
    return statement.build(examination, verdict, verifier_id=verifier, repository=None, ref=None, at=at)


def _judged(authority: Authority, trusted: Trust, number: int, at: datetime) -> tuple[Examination, Verdict]:
    grant = grants.select(authority.store.grants(), AGENT, scope=sign_git.SCOPE, at=at)
    raw = _commit(authority, trusted, grant.actor.email, number, at)
    object_id = gitobject.object_id(ObjectKind.COMMIT, raw, ObjectFormat.SHA1)
    examined = verify.examine(raw, ObjectKind.COMMIT, ObjectFormat.SHA1, object_id, trusted, at=at)
    return examined, verify.judge(examined, Policy(), Context(), at=at)


def _grant(authority: Authority, at: datetime) -> Grant:
    return grants.new_grant(
        authority.id,
        AGENT,
        authority.human,
        email=None,
        scopes=[sign_git.SCOPE],
        expires=timedelta(days=1),
        repositories=[],
        branches=[],
        at=at,
        grant_id=str(uuid.uuid4()),
    )


def _commit(authority: Authority, trusted: Trust, email: str, number: int, at: datetime) -> bytes:
    """The raw bytes of a commit by the agent, signed with a certificate of its own."""
    who = f"{AGENT} <{email}> {int(at.timestamp())} +0000"
    head = f"tree {'4b825dc642cb6eb9a060e54bf8d69288fbee4904'}\nauthor {who}\ncommitter {who}\n"
    message = f"\nchange {number}\n"
    grant = grants.select(authority.store.grants(), AGENT, scope=sign_git.SCOPE, at=at)
    signed = sign_git.sign_payload(
        local.enroll(authority, grant, Profile.NOTME, sign_git.SCOPE, trusted.anchors, at),
        trusted,
        sign_git.parse((head + message).encode()),
        form=SignatureFormat.X509,
        replaying=False,
        at=at,
    )
    folded = signed.armour.rstrip(b"\n").replace(b"\n", b"\n ")
    return head.encode() + b"gpgsig " + folded + b"\n" + message.encode()
