"""`python -m bench [--quick]`: each number of the design that this version has to reach, with what it reached.

Ratios are medians over pairs run in turn on this machine; absolute times are this machine's and say little elsewhere.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench import signing, statements
from bench.harness import Command, Home, row

IMPORTS = """\
import os, sys
from notme_git import gpg, sign
from notme_git.authority.embedded import opened
from notme_git.config import Config
from notme_git.daemon.credential import Signer
from notme_git.daemon.protocol import Request
from notme_git.daemon.serving import answer
from attest import policy, verify
"""
IN_PROCESS = IMPORTS + """
config = Config.read()
request = Request("gpgsm", ("-bsau", "notme:claude-code"), stdin=sys.stdin.buffer.read())
with opened(config.home) as authority:
    reply = answer(request, Signer.of(config.home, authority), os.getpid(), config.at)
sys.exit(reply.status)
"""
"""What `dialect` does where no daemon can be had."""


def main() -> None:
    """Run all of them and print a table."""
    quick = "--quick" in sys.argv[1:]
    runs = 3 if quick else 21
    row("what", "reached", "to reach")
    with tempfile.TemporaryDirectory(prefix="notme-bench-") as directory:
        root = Path(directory).resolve()
        first = [first_use(root / f"first-{n}") for n in range(1 if quick else 5)]
        row("first use: init, grant, setup, commit", f"{statistics.median(first):.2f} s", "<= 1.5 s")
        home = Home(root / "home")
        home.first_use()
        in_process(home, runs)
        verifying(home, runs)
        signing.report(home, quick=quick)
        home.stop()
    signed, stored = statements.rates(200 if quick else 4000)
    row("commit statements signed, two processes", f"{signed:,.0f} /s", ">= 10,000 /s")
    row("the same, time-stamped and as stored", f"{stored:,.0f} /s", "")


def first_use(root: Path) -> float:
    """Seconds for a newcomer's four commands, the repository made before."""
    home = Home(root)
    start = time.perf_counter()
    home.first_use()
    seconds = time.perf_counter() - start
    home.stop()
    return seconds


def in_process(home: Home, runs: int) -> None:
    """A whole signing process against one that only imports the same modules."""
    payload = home.run("git", "cat-file", "commit", "HEAD").split(b"\ngpgsig ")[0]
    payload += b"\n\nx\n"
    sign = Command((sys.executable, "-I", "-c", IN_PROCESS), payload)
    imports = Command((sys.executable, "-I", "-c", IMPORTS))
    signed, importing, ratio = home.compare(sign, imports, runs)
    what = f"in-process signature ({signed * 1000:.0f} ms) / its imports ({importing * 1000:.0f} ms)"
    row(what, f"{ratio:.2f}", "<= 1.6")


def verifying(home: Home, runs: int) -> None:
    """The whole process of `notme-attest verify HEAD`, beside git's own verification with ours as its program."""
    ours = Command(("notme-attest", "verify", "HEAD"))
    git = Command(("git", "verify-commit", "HEAD"))
    verify, _, ratio = home.compare(ours, git, runs)
    row("notme-attest verify HEAD, whole process", f"{verify * 1000:.0f} ms", "<= 350 ms")
    row("the same / git verify-commit through the shim", f"{ratio:.2f}", "")


if __name__ == "__main__":
    main()
