"""`python -m bench.history [--quick]`: whole histories against git's own verification, and what they take.

Each ratio is between a run of ours over a whole repository and `git log --format=%G?` on its first 1,000 commits, in
turn in one run on one machine: commits a second against commits a second. The repositories are those of
`bench.repositories`. `--quick` leaves the million out and takes fewer rounds.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA1
from nacl.signing import SigningKey

from attest import certificate, history, home
from attest.policy import Policy
from attest.profile import Profile
from attest.query import Query
from attest.repository import open_repository
from attest.trust import Trust
from attest.verifier import load_roots
from bench import repositories
from bench.harness import TOOLS, row
from bench.repositories import Made

QUICK = "--quick" in sys.argv
ROUNDS = 3 if QUICK else 5
SIZE = 20_000 if QUICK else 100_000
FIRST = 300 if QUICK else 1_000
FLAT = (10_000, 100_000) if QUICK else (10_000, 100_000, 1_000_000)
HOOKED = 1_000
SAMPLE = 0.1
"""Seconds between two looks at the memory of all processes."""


def main() -> None:
    """All of them, as a table."""
    row("what", "reached", "to reach")
    with tempfile.TemporaryDirectory(prefix="notme-history-") as directory:
        place = Path(directory).resolve()
        ssh = repositories.make(place / "ssh", "ssh", SIZE)
        compare(ssh, "SSHSIG, ssh-keygen", ssh_git(ssh), ">= 100 x")
        one_core(ssh)
        interop = repositories.make(place / "interop", "interop", SIZE)
        with gpgsm(interop, place) as git:
            compare(interop, "CMS, profile interop, gpgsm", git, ">= 75 x")
        shutil.rmtree(place / "interop")
        stamped = repositories.make(place / "notme", "notme", SIZE // 2)
        seconds = ours(stamped)
        row("CMS, profile notme, each with a time-stamp", f"{SIZE // 2 / seconds:,.0f} /s", "")
        shutil.rmtree(place / "notme")
        checkpoint(ssh if SIZE >= 100_000 else repositories.make(place / "checkpoint", "ssh", 100_000), place)
        hook(place)
        shutil.rmtree(place / "ssh")
        flat(place)


def ours(made: Made, *options: str) -> float:
    """Seconds of `notme-attest verify --all` on all cores, start to end."""
    command = [str(TOOLS / "notme-attest"), "verify", "--all", "--quiet", "--repo", str(made.folder), *made.options]
    start = time.perf_counter()
    done = subprocess.run([*command, *options], env=_environ(made), capture_output=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"verify ended with {done.returncode}: {done.stderr.decode()}")
    return seconds


def compare(made: Made, what: str, git: tuple[list[str], dict[str, str]], goal: str) -> None:
    """Ours over everything, and git over the first commits, in turn."""
    count = SIZE
    ratios, rates, theirs = [], [], []
    for _ in range(ROUNDS):
        seconds = ours(made)
        start = time.perf_counter()
        subprocess.run(git[0], cwd=made.folder, env=git[1], capture_output=True, check=True)
        one = (time.perf_counter() - start) / FIRST
        ratios.append(one / (seconds / count))
        rates.append(count / seconds)
        theirs.append(1 / one)
    row(f"{what}: {statistics.median(theirs):,.0f} /s by git", f"{statistics.median(rates):,.0f} /s", "")
    row(f"{what}: ratio, {history.cores()} cores", f"{statistics.median(ratios):.0f} x", goal)


def ssh_git(made: Made) -> tuple[list[str], dict[str, str]]:
    """git's own verification with ssh-keygen."""
    allowed = made.options[made.options.index("--allowed-signers") + 1]
    command = ["git", "-c", f"gpg.ssh.allowedSignersFile={allowed}", "log", f"-{FIRST}", "--format=%G?"]
    return command, _environ(made)


@contextlib.contextmanager
def gpgsm(made: Made, place: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """git's own verification with gpgsm, which trusts the interop root."""
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        own = Path(folder)
        (own / "gpgsm.conf").write_text("disable-crl-checks\n")
        (own / "gpg-agent.conf").write_text("no-allow-mark-trusted\n")
        anchors = home.read_trust(made.home).anchors
        root = next(anchor.certificate for anchor in anchors if anchor.profile is Profile.INTEROP)
        (place / "root.der").write_bytes(certificate.der_of(root))
        (own / "trustlist.txt").write_text(f"{root.fingerprint(SHA1()).hex(':').upper()} S relax\n")
        environ = {**_environ(made), "GNUPGHOME": folder}
        load = ["gpgsm", "--batch", "--import", str(place / "root.der")]
        subprocess.run(load, env=environ, capture_output=True, check=True)
        try:
            yield ["git", "log", f"-{FIRST}", "--format=%G?"], environ
        finally:
            subprocess.run(["gpgconf", "--kill", "all"], env=environ, check=False)


def one_core(made: Made) -> None:
    """Plain SSH keys on one core: reading, checking and judging, against PyNaCl's verify and nothing else."""
    allowed = Path(made.options[made.options.index("--allowed-signers") + 1])
    query = Query(
        replace(Trust(anchors=()), foreign=load_roots(allowed_signers=allowed)), datetime.now(UTC), Policy()
    )
    key = SigningKey.generate()
    messages = [os.urandom(93) for _ in range(64)]
    signed = [(message, key.sign(message).signature) for message in messages]
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})  # git's rev-list shares the core
    try:
        shares = []
        for _ in range(ROUNDS):
            repo = open_repository(made.folder, _environ(made))
            start = time.perf_counter()
            count = sum(1 for _ in history.rows(repo, repo.walk(["--all", "-20000"]), query))
            each = (time.perf_counter() - start) / count
            start = time.perf_counter()
            for _ in range(50):
                for message, signature in signed:
                    key.verify_key.verify(message, signature)
            shares.append((time.perf_counter() - start) / (50 * len(signed)) / each)
    finally:
        os.sched_setaffinity(0, before)
    row("plain SSH keys, one core: of what PyNaCl's verify allows", f"{statistics.median(shares):.0%}", ">= 70%")


def checkpoint(made: Made, place: Path) -> None:
    """A second run over a history that nothing was added to."""
    key, file = place / "key.pem", place / "checkpoint.json"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, capture_output=True)
    key.chmod(0o600)
    options = ("--checkpoint", str(file), "--key", str(key))
    ours(made, *options)
    again = [ours(made, *options) for _ in range(ROUNDS)]
    row("again after a checkpoint, 100,000 commits", f"{statistics.median(again):.2f} s", "<= 2 s")


def hook(place: Path) -> None:
    """The whole of `pre-receive` for a push of 1,000 new commits by an agent."""
    made = repositories.make(place / "hook", "notme", HOOKED)
    (made.folder / "refs" / "heads" / "main").unlink()
    pushed = f"{'0' * 40} {made.tip} refs/heads/main\n".encode()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = subprocess.run(
            [TOOLS / "notme-attest", "hook", "pre-receive"],
            cwd=made.folder,
            env={**_environ(made), "GIT_DIR": str(made.folder)},
            input=pushed,
            capture_output=True,
            check=False,
        )
        times.append(time.perf_counter() - start)
        if done.returncode:
            sys.exit(f"the hook ended with {done.returncode}: {done.stderr.decode()}")
    row("pre-receive, 1,000 new commits, whole hook", f"{statistics.median(times):.2f} s", "<= 1.5 s")


def flat(place: Path) -> None:
    """Time a commit and anonymous memory of all processes, from ten thousand commits to a million."""
    for size in FLAT:
        made = repositories.make(place / f"flat-{size}", "ssh", size)
        with peak() as found:
            seconds = ours(made)
        shutil.rmtree(place / f"flat-{size}")
        each = f"{seconds / size * 1e6:.1f} us"
        goal = "<= 300 MiB" if size == FLAT[-1] else ""
        row(f"{size:,} commits: {each} a commit; anonymous memory", f"{max(found) / 1024:,.0f} MiB", goal)


@contextlib.contextmanager
def peak() -> Iterator[list[int]]:
    """Anonymous kibibytes of all descendants together, looked at again and again."""
    found, ended = [0], threading.Event()

    def look() -> None:
        while not ended.wait(SAMPLE):
            found.append(sum(_anonymous(pid) for pid in _descendants(os.getpid())))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield found
    finally:
        ended.set()
        looking.join()


def _descendants(pid: int) -> list[int]:
    found = list[int]()
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _anonymous(pid: int) -> int:
    """Of the pages that only this process has, and its share of the others: forks share most of theirs."""
    with contextlib.suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        if said := re.search(r"^Pss_Anon:\s+(\d+) kB", rollup, re.MULTILINE):
            return int(said[1])
    return 0


def _environ(made: Made) -> dict[str, str]:
    return {
        "PATH": f"{TOOLS}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(made.folder.parent),
        "NOTME_HOME": str(made.home),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LANG": "C.UTF-8",
    }


if __name__ == "__main__":
    main()
