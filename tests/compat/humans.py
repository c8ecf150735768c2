"""A human who has a life of their own in git: a key, a configuration, commits from before."""

from __future__ import annotations

import base64
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.compat.conftest import HUMAN, Sandbox
from tests.compat.test_own_gpg import PGP_KEY
from tests.compat.twin import made
from tests.peers import peer

NAME, EMAIL = HUMAN.removesuffix(">").split(" <")
FIXED = {"GIT_AUTHOR_DATE": "1700000000 +0100", "GIT_COMMITTER_DATE": "1700000000 +0100"}
"""With these a commit's bytes are decided by content, author and signature alone."""


def configured(sandbox: Sandbox, values: Mapping[str, str]) -> Sandbox:
    """Make the repository one that the human alone has configured, with these values."""
    shutil.rmtree(sandbox.repo)
    sandbox.repo.mkdir()
    sandbox.git("init", "-q", "-b", "main", ".")
    for key, value in {"user.name": NAME, "user.email": EMAIL, **values}.items():
        sandbox.git("config", key, value)
    return sandbox


def signing_with_ssh(sandbox: Sandbox) -> Sandbox:
    """A human whose every commit is signed with an Ed25519 key without a passphrase."""
    key = sandbox.user / "id"
    sandbox.run(peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key)
    line = (sandbox.user / "id.pub").read_text("ascii")
    (sandbox.user / "signers").write_text(f"{EMAIL} {line}", "ascii")
    values = {
        "gpg.format": "ssh",
        "user.signingkey": str(key),
        "commit.gpgsign": "true",
        "gpg.ssh.allowedSignersFile": str(sandbox.user / "signers"),
    }
    return configured(sandbox, values)


@contextmanager
def gnupg() -> Iterator[str]:
    """A GNUPGHOME with a PGP key of the human's, on a short path: sockets of agents lie in it."""
    gpg = peer("gpg")
    with tempfile.TemporaryDirectory(prefix="g", ignore_cleanup_errors=True) as folder:
        environ = {"GNUPGHOME": folder}
        try:
            made(Path(folder), gpg, "--batch", "--gen-key", stdin=PGP_KEY.encode(), environ=environ)
            made(Path(folder), gpg, "--check-trustdb", environ=environ)  # else the first call does, and says so
            yield folder
        finally:
            made(Path("/"), gpg.with_name("gpgconf"), "--kill", "all", environ=environ)


def configuration(sandbox: Sandbox) -> dict[str, bytes]:
    """Every file of the user and of the repository but git's records of commits: what a session leaves alone."""
    left_out = {"objects", "refs", "logs", "index", "HEAD", "COMMIT_EDITMSG", "ORIG_HEAD"}
    found = {}
    for root in (sandbox.user, sandbox.repo / ".git"):
        for file in sorted(root.rglob("*")):
            if file.is_file() and file.relative_to(root).parts[0] not in left_out:
                found[str(file)] = file.read_bytes()
    return found


def signature(sandbox: Sandbox, rev: str = "HEAD") -> bytes:
    """The bytes inside the armour of a commit's signature: certificates lie in them as they are."""
    raw = sandbox.git("cat-file", "commit", rev).out
    armour = re.search(rb"-----BEGIN [A-Z ]+-----\n(.*?)-----END", raw, re.DOTALL)
    assert armour is not None, raw
    return base64.b64decode(armour[1])


def payload(sandbox: Sandbox, rev: str = "HEAD") -> bytes:
    """A signed commit's bytes without the signature: gpgsig and its continuation lines (gitformat-signature(5))."""
    raw = sandbox.git("cat-file", "commit", rev).out
    return re.sub(rb"\ngpgsig [^\n]*(\n [^\n]*)*", b"", raw, count=1)


def with_another_agent(sandbox: Sandbox, name: str = "codex") -> Sandbox:
    """The same machine, where the human has granted a second agent, too."""
    sandbox.notme("grant", "add", name)
    return sandbox
