"""Files that git and ssh-keygen want for SSH signatures, in `<home>/ssh`.

    AGENT.pub          user.signingkey: the authority's root key with `notme:AGENT` for a comment. The agent's own keys
                       live for minutes; this one has a fingerprint that `ssh-keygen -lf` can show before each push.
    allowed_signers    gpg.ssh.allowedSignersFile, where none was configured: the authority as `cert-authority`
"""

from __future__ import annotations

from pathlib import Path

from attest import asn1, sshwire
from attest.certificate import Anchor
from attest.keys import PublicKey
from notme_git import gitconfig, sshtrust, wanted
from notme_git.authority.embedded import Authority

FOLDER = "ssh"


def key_file(home: Path, agent: str) -> Path:
    """The public key file of an agent."""
    return home / FOLDER / f"{agent}.pub"


def allowed_signers_file(home: Path) -> Path:
    """The allowed-signers file of this home."""
    return home / FOLDER / "allowed_signers"


def write(home: Path, authority: Authority, agent: str) -> tuple[Path, Path]:
    """Write both for `agent`, and return them."""
    allowed = allowed_signers_file(home)
    key = write_key(home, agent, Anchor.read(asn1.load_certificate(authority.epoch.root)).key)
    gitconfig.replace_file(allowed, sshtrust.allowed_signers(authority).encode(), mode=0o644)
    return key, allowed


def write_key(home: Path, agent: str, root: PublicKey) -> Path:
    """Write the public key file of `agent` under an authority whose root key is `root`, and return it."""
    key = key_file(home, agent)
    with gitconfig.file_errors(key.parent):
        key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = sshwire.line(sshwire.ED25519, sshwire.ed25519_key(root.raw), wanted.key_name(agent, "notme"))
    gitconfig.replace_file(key, line, mode=0o644)
    return key


def without_stock(home: Path) -> Path:
    """The allowed-signers file where the authority is elsewhere: git wants one, and ours lets stock ssh-keygen accept
    nobody. What our own program accepts is what was pinned (`notme-git trust add`)."""
    allowed = allowed_signers_file(home)
    if not allowed.exists():
        gitconfig.replace_file(allowed, b"# stock ssh-keygen goes by this file; notme-git by notme-git trust list\n",
                               mode=0o644)  # fmt: skip
    return allowed


def refresh(home: Path, authority: Authority) -> None:
    """Write again what is there, after grants or epochs have changed."""
    folder = home / FOLDER
    for file in sorted(folder.glob("*.pub")) if folder.is_dir() else ():
        write(home, authority, file.stem)
