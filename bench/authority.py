"""`python -m bench.authority [--quick]`: pairs a second over HTTP, what each step costs, a full store, an enrolment.

wrk sends POST /cert over kept connections; every request has a nonce of its own and proofs over it, made beforehand.
The upstream authority gave 234 pairs/s with one connection and 279/s with eight, on a machine whose arithmetic alone
allowed about 2,500/s a core: figures are set against these, once as they are and once per what this machine's
arithmetic allows in the same run.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256

from attest.profile import Profile
from attest.types import Authentication
from bench.harness import TOOLS
from notme_git.authority import accounts, embedded, enrolment, issue, sessions
from notme_git.authority.http.cert import read_ask
from notme_git.authority.issue import Draft
from notme_git.authority.records import Records
from notme_git.authority.serving import cached
from notme_git.authority.settings import Settings
from notme_git.remote import enrolment as remote
from notme_git.remote.client import Client
from notme_git.remote.enrolment import BySession, Keys

UPSTREAM = {1: 234.0, 8: 279.0}
UPSTREAM_ARITHMETIC = 2500.0
QUICK = "--quick" in sys.argv
SECONDS = 3 if QUICK else 8
ROUNDS = 2 if QUICK else 5
FULL = 100_000 if QUICK else 1_000_000
PER_SECOND = 2_000
"""More requests than this a second are not made ready; the run ends when there are none left."""

_LUA = """
local bodies, n = {}, 0
function init(args) for line in io.lines(args[1]) do bodies[#bodies + 1] = line end; cookie = args[2] end
function request()
  n = n + 1
  if n > #bodies then wrk.thread:stop(); n = #bodies end
  return wrk.format("POST", "/cert", {["Content-Type"] = "application/json", ["Cookie"] = cookie}, bodies[n])
end
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), summary.errors.status + summary.errors.read + summary.errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw: pairs a second, median and 99th percentile in ms."""

    rate: float
    p50: float
    p99: float


def main() -> None:
    """Everything, in turn."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed (Debian: apt install wrk)")
    with tempfile.TemporaryDirectory(prefix="notme-bench-") as folder:
        root = Path(folder)
        home, cookie = make_home(root / "home")
        print(f"load average before: {os.getloadavg()[0]:.2f}")
        for workers, goal in ((1, 3), (2, 5)):
            with serving(home, workers) as url:
                for connections in (1, 8):
                    report(workers, connections, goal, url, cookie, root)
        steps(home)
        enrolling(home, cookie)
        flat(root, home, cookie)


def report(workers: int, connections: int, goal: int, url: str, cookie: str, root: Path) -> None:
    """One load, set against upstream's."""
    rates, found = [], []
    for _ in range(ROUNDS):
        alone = arithmetic()
        load = attack(url, cookie, connections, root)
        rates.append(load.rate / alone)
        found.append(load)
    rate = statistics.median(load.rate for load in found)
    once = rate / UPSTREAM[connections]
    scaled = statistics.median(rates) / (UPSTREAM[connections] / UPSTREAM_ARITHMETIC)
    print(
        f"{workers} worker(s), {connections} connection(s): {rate:,.0f} pairs/s,"
        f" p50 {statistics.median(load.p50 for load in found):.2f} ms,"
        f" p99 {statistics.median(load.p99 for load in found):.2f} ms;"
        f" {once:.1f} x upstream, {scaled:.1f} x per arithmetic (goal {goal})"
    )


def arithmetic() -> float:
    """Pairs a second that one core's arithmetic allows: two verifications, two signatures; half a second of it."""
    signing, mtls = ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    message = os.urandom(167)
    first, second = signing.sign(message), mtls.sign(message, ec.ECDSA(SHA256()))
    public, other = signing.public_key(), mtls.public_key()
    done, end = 0, time.perf_counter() + 0.5
    while time.perf_counter() < end:
        public.verify(first, message)
        other.verify(second, message, ec.ECDSA(SHA256()))
        signing.sign(message)
        signing.sign(message)
        done += 1
    return done / 0.5


def attack(url: str, cookie: str, connections: int, root: Path) -> Load:
    """One run of wrk."""
    script, bodies = root / "load.lua", root / "bodies"
    script.write_text(_LUA)
    bodies.write_text("".join(f"{json.dumps(each)}\n" for each in requests(url, SECONDS * PER_SECOND)))
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(script), url, "--", str(bodies), cookie],
        capture_output=True, text=True, check=True, timeout=SECONDS + 60,
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULT ")), "")
    made, micros, p50, p99, errors = map(int, line.split()[1:])
    if errors:
        sys.exit(f"{errors} of {made} requests failed:\n{done.stdout}")
    return Load(made / micros * 1e6, p50 / 1000, p99 / 1000)


def requests(url: str, many: int) -> Iterator[dict[str, object]]:
    """Bodies of POST /cert, each with a nonce and keys of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for _ in range(many):
        keys = Keys.new(Profile.NOTME)
        connection.request("GET", "/nonce")
        nonce = json.loads(connection.getresponse().read())["nonce"]
        suffix = hashlib.sha256(nonce.encode()).digest()
        yield {"proof": {"type": "session"}, "nonce": nonce, **keys.proven(suffix)}
    connection.close()


def steps(home: Path) -> None:
    """What a pair costs, step by step, in multiples of one Ed25519 verification."""
    key = ed25519.Ed25519PrivateKey.generate()
    message = os.urandom(167)
    signature, public = key.sign(message), key.public_key()
    one = timed(lambda: public.verify(signature, message))
    with embedded.opened(home) as opened:
        authority = embedded.Authority(opened.directory, opened.id, opened.store, cached(opened.keys))
        records = Records(authority.store)
        account = accounts.everybody(records)[0]
        ask = read_ask(Keys.new(Profile.NOTME).proven(b""))
        at = datetime.now(UTC)
        applicant = enrolment.Applicant(
            account.id, "passkey", account.scopes, "", authority.store.grant(account.grant_id).grant, account.id
        )

        def prepared() -> Draft:
            settings = Settings(url="http://localhost:1")
            return enrolment.prepare(authority, settings, applicant, ask, suffix=b"", marks=(), at=at)

        request = issue.Request(
            grant=applicant.own, profile=Profile.NOTME, scopes=("bridgeCert",), mtls_key=ask.mtls_key,
            signing_key=ask.signing_key, proofs=ask.proofs,
        )  # fmt: skip
        possession = timed(lambda: issue._verify_possession(request))
        whole = timed(prepared)
        drafts = iter([prepared() for _ in range(400)])
        store = timed(lambda: next(drafts).record(authority.store), 400)
    for name, spent in (("proof of possession", possession), ("sign", whole - possession), ("store", store)):
        print(f"{name}: {spent * 1e6:.0f} us, {spent / one:.1f} x one Ed25519 verification ({one * 1e6:.0f} us)")


def timed(work: Callable[[], object], times: int = 400) -> float:
    """The median of what `work` takes, in seconds."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent)


def enrolling(home: Path, cookie: str) -> None:
    """An enrolment as a warm daemon makes one, over a connection that is kept."""
    from attest import home as homes

    anchors = homes.read_trust(home).anchors
    with serving(home, 1) as url:
        client = Client(url)
        shown = BySession(cookie.partition("=")[2])

        def enroll() -> None:
            remote.enroll(client, shown, agent="", profile=Profile.NOTME, scope="bridgeCert", anchors=anchors)

        enroll()
        print(f"enrolment by a warm client: {timed(enroll, 50) * 1000:.1f} ms (goal 30)")


def flat(root: Path, home: Path, cookie: str) -> None:
    """The same load on a full store and on this one, in turn."""
    full = root / "full"
    shutil.copytree(home, full)
    fill(full / "authority" / "authority.db", FULL)
    rates: dict[Path, list[float]] = {home: [], full: []}
    with serving(home, 1) as one, serving(full, 1) as other:
        for _ in range(ROUNDS + 1):
            for where, url in ((home, one), (full, other)):
                rates[where].append(attack(url, cookie, 1, root).rate)
    ratio = statistics.median(b / a for a, b in zip(rates[home], rates[full], strict=True))
    print(f"with {FULL:,} issued certificates: {ratio:.2f} x the rate of an empty store (goal 0.90 to 1.10)")


def fill(database: Path, many: int) -> None:
    """An issuance log of that length, as years of use leave it."""
    began = int(time.time()) - many
    rows = (
        (
            f"{(began + n) << 88 | int.from_bytes(os.urandom(11), 'big'):x}", began + n, f"wimse://a/agent/{n % 97}",
            "wimse://a/human/1", "grant", 1, "notme", os.urandom(32), os.urandom(32),
        )
        for n in range(many)
    )  # fmt: skip
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany("INSERT INTO issued VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def make_home(home: Path) -> tuple[Path, str]:
    """An authority with an account, and the cookie of a session of it."""
    run(home, "authority", "init", "--key-store", "file")
    settings = home / "authority" / "settings.toml"
    settings.write_text(settings.read_text() + "\n[limits]\ncert = 0\n")
    at = datetime.now(UTC)
    with embedded.opened(home) as authority:
        records = Records(authority.store)
        sessions.prepare(records)
        with authority.store.transaction(durable=True):
            account = accounts.create(
                records, "localhost:8788", display="Alice", email="alice@example.org", scopes=accounts.MEMBER,
                authentication=Authentication.PASSKEY, at=at,
            )  # fmt: skip
            session = sessions.begin(
                records, account, "passkey", scopes=accounts.MEMBER, label="bench", lifetime=timedelta(hours=6), at=at
            )
    return home, f"{sessions.COOKIE}={session.value}"


@contextlib.contextmanager
def serving(home: Path, workers: int) -> Iterator[str]:
    """`notme-git authority serve` in a process of its own."""
    command = [str(TOOLS / "notme-git"), "authority", "serve", "--port", "0", "--workers", str(workers), "--json"]
    with subprocess.Popen(
        command, env=environ(home), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        time.sleep(2.0)  # the workers import
        try:
            yield url
        finally:
            server.terminate()


def run(home: Path, *words: str) -> None:
    subprocess.run([TOOLS / "notme-git", *words], env=environ(home), check=True, capture_output=True)


def environ(home: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "NOTME_HOME": str(home), "LANG": "C.UTF-8"}


if __name__ == "__main__":
    main()
