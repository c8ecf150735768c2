"""`python -m bench.signing [--quick]`: what a signature and a verification cost, beside git's own helpers.

Whole git commands in turn, each against the first of its round, so that whatever else the machine does falls on all of
them. The yardstick is `git commit-tree -S` with ssh-keygen and a key file; for reading, gpgsm on P-256.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding

from bench.harness import Home, row
from notme_git.daemon import client
from notme_git.daemon.protocol import Request

ROUNDS = 51
COMMITS = 300
SLICE = 30
"""So many commits `git log` reads in one go; ten goes are all of them."""

BACK_TO_BACK = 512
TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The empty one, which every repository has."""

AGENT, BLIND = "claude-code", "bot"
STOCK = "ssh-keygen, key file"


@dataclass(frozen=True, slots=True)
class Variant:
    """One git command line, and what it needs in the environment."""

    name: str
    argv: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)


def main() -> None:
    """Run all of them and print a table."""
    row("what", "reached", "to reach")
    with tempfile.TemporaryDirectory(prefix="notme-bench-") as directory:
        home = Home(Path(directory).resolve() / "home")
        home.first_use()
        try:
            report(home, quick="--quick" in sys.argv[1:])
        finally:
            home.stop()


def report(home: Home, *, quick: bool) -> None:
    """All rows of this module, for a home that has signed once."""
    rounds = 3 if quick else ROUNDS
    starting(home, 1 if quick else 11)
    own_time(home, 64 if quick else BACK_TO_BACK)
    signing(home, rounds)
    reading(home, rounds, SLICE if quick else COMMITS)


def starting(home: Home, runs: int) -> None:
    """A signature that finds no daemon, and what the daemon then takes of the memory."""
    took = []
    for _ in range(runs):
        home.stop()
        start = time.perf_counter()
        home.run("git", "commit-tree", "-S", "-m", "x", TREE)
        took.append(time.perf_counter() - start)
    row("first signature, daemon start included", f"{statistics.median(took) * 1000:.0f} ms", "")
    shown = status(home)
    row("idle memory of the daemon, resident", f"{shown['memoryKiB'] / 1024:.1f} MiB", "")
    row("of it in no file (anonymous)", f"{shown['anonymousKiB'] / 1024:.1f} MiB", "")


def own_time(home: Home, count: int) -> None:
    """Processor time inside the daemon, one signature after the other. A core that slept before takes longer."""
    address = client.address(Path(home.environ["NOTME_HOME"]), {})
    email = home.run("git", "config", "author.email").decode().strip()
    who = f"{AGENT} <{email}> {int(time.time())} +0000"
    trips = []
    for number in range(count):
        payload = f"tree {TREE}\nauthor {who}\ncommitter {who}\n\nchange {number}\n".encode()
        argv = ("--status-fd=2", "-bsau", f"notme:{AGENT}")
        request = Request("gpgsm", argv, cwd=str(home.repo), stdin=payload)
        start = time.perf_counter()
        reply = client.exchange(address, request)
        trips.append(time.perf_counter() - start)
        if reply.status:
            sys.exit(f"the daemon refused: {reply.events}")
    row("the daemon's own time a signature, median", f"{status(home)['medianMicroseconds']} us", "<= 400 us")
    row("round trip from Python", f"{statistics.median(trips) * 1e6:.0f} us", "")


def signing(home: Home, rounds: int) -> None:
    """`git commit-tree -S` by every way there is, a warm daemon behind ours.

    Our ssh-agent offers a certificate. ssh-keygen checks the signature of a certificate's CA when it reads the file,
    and again in the agent's list, whoever the agent is: the fair comparison is OpenSSH's agent with a certificate.
    """
    home.run("notme-git", "grant", "add", BLIND, "--scope", "sign:git-blind")
    x509_, ssh = (repository(home, form, "--agent", AGENT, "--format", form) for form in ("x509", "ssh"))
    blind = repository(home, "blind", "--agent", BLIND, "--ssh-agent")
    with openssh_agent(home) as (key, theirs):
        variants = [
            commit_tree(STOCK, with_key(home, "stock", key)),
            commit_tree("x509, warm", x509_),
            commit_tree("ssh through the shim, warm", ssh),
            commit_tree("OpenSSH's ssh-agent, a key", with_key(home, "agent", f"{key}.pub"), theirs),
            commit_tree("OpenSSH's ssh-agent, a certificate", with_key(home, "cert", f"{key}-cert.pub"), theirs),
            commit_tree("our ssh-agent, a certificate", blind, {"SSH_AUTH_SOCK": status(home)["sshAgent"]}),
        ]
        took = table(home, "commit-tree -S: ", [variants] * rounds, ("", "<= 2.0", "<= 2.0", "", "", "<= 1.05"))
    row("our ssh-agent / OpenSSH's, a certificate each", f"{ratio(took[5], took[4]):.2f}", "<= 1.05")


@contextlib.contextmanager
def openssh_agent(home: Home) -> Iterator[tuple[str, dict[str, str]]]:
    """A key file, its certificate beside it, and the environment of OpenSSH's own agent that holds both."""
    key, authority, address = (str(home.root / name) for name in ("key", "ca", "openssh"))
    for file in (key, authority):
        home.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file)
    home.run("ssh-keygen", "-q", "-s", authority, "-I", "alice", "-n", "alice", f"{key}.pub")
    with subprocess.Popen(("ssh-agent", "-D", "-a", address), stdout=subprocess.DEVNULL) as agent:
        try:
            while not os.path.exists(address):
                time.sleep(0.01)
            environ = {"SSH_AUTH_SOCK": address}
            home.run("env", f"SSH_AUTH_SOCK={address}", "ssh-add", "-q", key)
            yield key, environ
        finally:
            agent.terminate()


def with_key(home: Home, name: str, key: str) -> Path:
    """A repository of a human who signs with ssh-keygen."""
    place = repository(home, name)
    named = (("user.name", "Alice Example"), ("user.email", "alice@example.org"))
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", key), *named):
        home.run("git", "config", name, value, cwd=place)
    return place


def reading(home: Home, rounds: int, commits: int) -> None:
    """`git log --format=%G?` over commits of either profile, with gpgsm as its program and with ours."""
    ours = repository(home, "ed25519", "--agent", AGENT)
    interop = repository(home, "p256", "--agent", AGENT, "--profile", "interop")
    for repo in (ours, interop):
        grow(home, repo, commits)
    program = home.run("git", "-C", str(interop), "config", "gpg.x509.program").decode().strip()
    with gpgsm(home) as folder:
        stock = {"GNUPGHOME": folder}
        turns = [
            [
                log("gpgsm, P-256", interop, "gpgsm", skip, stock),
                log("ours, warm", ours, program, skip),
                log("ours on P-256, warm", interop, program, skip),
            ]
            for skip in (SLICE * number % commits for number in range(rounds))
        ]
        for variant in turns[0]:
            check_good(home, variant)
        table(home, f"log %G?, {SLICE} commits: ", turns, ("", "<= 3.0", ""))


def table(home: Home, what: str, turns: Sequence[Sequence[Variant]], goals: Sequence[str]) -> list[list[float]]:
    """Times of each variant and its ratio to the first one of its turn; the order changes every other turn."""
    for variant in turns[0]:
        run(home, variant)
    took: list[list[float]] = [[] for _ in turns[0]]
    for number, variants in enumerate(turns):
        order = range(len(variants)) if number % 2 else reversed(range(len(variants)))
        for which in order:
            took[which].append(run(home, variants[which]))
    for variant, times, goal in zip(turns[0], took, goals, strict=True):
        row(what + variant.name, f"{statistics.median(times) * 1000:.1f} ms, {ratio(times, took[0]):.2f}", goal)
    return took


def ratio(times: Sequence[float], base: Sequence[float]) -> float:
    """The median of the ratios turn by turn."""
    return statistics.median(own / other for own, other in zip(times, base, strict=True))


def run(home: Home, variant: Variant) -> float:
    """Seconds from spawn to exit, with as little of Python between as there can be."""
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1)]
    environ = {**home.environ, **variant.environ}
    start = time.perf_counter()
    process = os.posix_spawnp(variant.argv[0], list(variant.argv), environ, file_actions=null)
    _, status = os.waitpid(process, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{' '.join(variant.argv)} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds


def repository(home: Home, name: str, *setup: str) -> Path:
    """A repository with a name of its own, set up with these options if there are any."""
    place = home.root / name
    home.run("git", "init", "-q", str(place))
    if setup:
        home.run("notme-git", "setup", *setup, cwd=place)
    return place


def commit_tree(name: str, repo: Path, environ: Mapping[str, str] | None = None) -> Variant:
    argv = ("git", "-C", str(repo), "commit-tree", "-S", "-m", "x", TREE)
    return Variant(name, argv, environ or {})


def log(name: str, repo: Path, program: str, skip: int, environ: Mapping[str, str] | None = None) -> Variant:
    options = ("-c", "gpg.format=x509", "-c", f"gpg.x509.program={program}")
    argv = ("git", "-C", str(repo), *options, "log", "--format=%G?", f"--skip={skip}", f"-n{SLICE}")
    return Variant(name, argv, environ or {})


def grow(home: Home, repo: Path, commits: int) -> None:
    """A branch of signed commits."""
    git, parent = ("git", "-C", str(repo)), list[str]()
    for number in range(commits):
        made = home.run(*git, "commit-tree", "-S", "-m", f"change {number}", *parent, TREE)
        parent = ["-p", made.decode().strip()]
    home.run(*git, "update-ref", "HEAD", parent[1])


def check_good(home: Home, variant: Variant) -> None:
    """A program that only fails is fast. `Y` is good, by a certificate that has ended, which gpgsm says of ours."""
    environ = [f"{name}={value}" for name, value in variant.environ.items()]
    shown = home.run("env", *environ, *variant.argv).decode().split()
    if len(shown) != SLICE or not set(shown) <= {"G", "Y"}:
        sys.exit(f"{variant.name} shows {' '.join(shown)}")


@contextlib.contextmanager
def gpgsm(home: Home) -> Iterator[str]:
    """A GNUPGHOME in which the interop root is trusted, as its owner would when gpg-agent asks.

    gpgsm signs nothing here. Its home is not below ours: a socket's path has 107 bytes at most.
    """
    anchors = Path(home.environ["NOTME_HOME"], "authority", "anchors.pem").read_bytes()
    root = x509.load_pem_x509_certificates(anchors)[1]
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        place = Path(folder)
        (place / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
        (place / "trustlist.txt").write_text(f"{root.fingerprint(SHA1()).hex(':').upper()} S relax\n")
        (place / "gpgsm.conf").write_text("disable-crl-checks\n")
        home.run("env", f"GNUPGHOME={folder}", "gpgsm", "--batch", "--import", str(place / "root.pem"))
        try:
            yield folder
        finally:
            home.run("env", f"GNUPGHOME={folder}", "gpgconf", "--kill", "all")


def status(home: Home) -> dict[str, Any]:
    """What the daemon says of itself."""
    shown: dict[str, Any] = json.loads(home.run("notme-git", "daemon", "status", "--json"))
    return shown


if __name__ == "__main__":
    main()
