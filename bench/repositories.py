"""Repositories as they are found, made in seconds: signed commits with trees, merges and trailers, in one pack.

The signatures are real ones: plain SSH keys that an allowed signers file names, or certificates of an authority made
for the purpose, ten commits a leaf. Objects go straight into a pack: a million calls of git take hours.
"""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import uuid
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import cms, sshsig, sshwire
from attest.home import read_trust
from attest.profile import Profile
from notme_git import sign
from notme_git.authority import founding, grants
from notme_git.authority.embedded import opened
from notme_git.enroll import local

PER_LEAF = 10
"""Commits that one certificate signs: an agent at work makes about two a minute."""

STEP = 20
"""Seconds between two commits."""

AGENT = "claude-code"
PEOPLE = ("Alice Example <alice@example.org>", "Bob Example <bob@example.org>", "Carol Example <carol@example.org>")
_KINDS = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Made:
    """A bare repository, the arguments by which `notme-attest` trusts its signers, and where an authority's home is."""

    folder: Path
    options: tuple[str, ...]
    home: Path
    tip: str


class Pack:
    """A pack that is written object by object, none of them as a delta."""

    def __init__(self, path: Path) -> None:
        self.path, self._count = path, 0
        self._file = open(path, "w+b")  # noqa: SIM115  # closed by `close`
        self._file.write(bytes(12))

    def add(self, kind: str, data: bytes) -> str:
        """Write one object; returns its id."""
        size, head = len(data), bytearray()
        byte, size = _KINDS[kind] << 4 | size & 15, size >> 4
        while size:
            head.append(byte | 0x80)
            byte, size = size & 0x7F, size >> 7
        head.append(byte)
        self._file.write(bytes(head) + zlib.compress(data, 1))
        self._count += 1
        return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(data)) + data, usedforsecurity=False).hexdigest()

    def close(self) -> None:
        """Count and checksum, as gitformat-pack(5) has them."""
        self._file.seek(0)
        self._file.write(b"PACK" + (2).to_bytes(4, "big") + self._count.to_bytes(4, "big"))
        self._file.seek(0)
        digest = hashlib.sha1(usedforsecurity=False)
        while chunk := self._file.read(1 << 20):
            digest.update(chunk)
        self._file.write(digest.digest())
        self._file.close()


def make(folder: Path, kind: str, count: int) -> Made:
    """A repository of `count` commits: kind `ssh`, `interop` (X.509, P-256) or `notme` (X.509, Ed25519, stamped)."""
    folder.mkdir(parents=True)
    repo, home = folder / "repo.git", folder / "home"
    subprocess.run(["git", "init", "-q", "--bare", str(repo)], check=True, env=_environ(folder))
    place = repo / "objects" / "pack"
    pack = Pack(place / "new.pack")
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=STEP * count)
    options: tuple[str, ...] = ()
    if kind == "ssh":
        signers, options = _ssh(folder, count)
    else:
        signers = _x509(home, Profile(kind), count, begin)
    tip = _history(pack, signers, count, begin)
    pack.close()
    name = subprocess.run(
        ["git", "index-pack", str(pack.path)], check=True, capture_output=True, text=True, env=_environ(folder)
    ).stdout.strip()
    for suffix in ("pack", "idx"):
        (place / f"new.{suffix}").rename(place / f"pack-{name}.{suffix}")
    (place / "new.rev").unlink(missing_ok=True)
    (repo / "refs" / "heads" / "main").write_text(tip + "\n")
    (repo / "HEAD").write_text("ref: refs/heads/main\n")
    return Made(repo, options, home, tip)


def _history(pack: Pack, signers: Iterator[tuple[str, Sign]], count: int, begin: datetime) -> str:
    """Mostly a line, every twentieth commit a merge of the two before it; returns the tip."""
    trees = _trees(pack)
    parents: list[str] = []
    tip = ""
    for number in range(count):
        who, signed = next(signers)
        at = int((begin + timedelta(seconds=STEP * number)).timestamp())
        above = parents[-2:] if number % 20 == 19 else parents[-1:]
        head = f"tree {trees[number % len(trees)]}\n" + "".join(f"parent {oid}\n" for oid in above)
        head += f"author {who} {at} +0000\ncommitter {who} {at} +0000\n"
        payload = head.encode() + b"\n" + _message(number)
        folded = signed(payload).rstrip(b"\n").replace(b"\n", b"\n ")
        tip = pack.add("commit", head.encode() + b"gpgsig " + folded + b"\n\n" + _message(number))
        parents = [*parents[-1:], tip]
    return tip


def _message(number: int) -> bytes:
    said = f"module{number % 97}: handle case {number}\n\nThe caller passed {number % 13} items where one was"
    said += " expected,\nso that the loop ended early. Count first, then walk.\n"
    if number % 10 == 0:
        said += f"\nFixes: #{number}\nReviewed-by: {PEOPLE[number % 3]}\n"
    return said.encode()


def _trees(pack: Pack) -> list[str]:
    """A hundred trees that differ in one file of twenty."""
    blobs = [pack.add("blob", f"line {n}\n".encode() * 20) for n in range(120)]
    found = []
    for n in range(100):
        entries = [(f"file{k:02}.py", blobs[k if k != n % 20 else 20 + n]) for k in range(20)]
        data = b"".join(b"100644 " + name.encode() + b"\0" + bytes.fromhex(oid) for name, oid in entries)
        found.append(pack.add("tree", data))
    return found


def _ssh(folder: Path, count: int) -> tuple[Iterator[tuple[str, Sign]], tuple[str, ...]]:
    keys = [Ed25519PrivateKey.generate() for _ in PEOPLE]
    blobs = [sshwire.ed25519_key(k.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)) for k in keys]
    lines = [
        f'{who.partition("<")[2].rstrip(">")} namespaces="git" ssh-ed25519 {base64.b64encode(blob).decode()}\n'
        for who, blob in zip(PEOPLE, blobs, strict=True)
    ]
    allowed = folder / "allowed_signers"
    allowed.write_text("".join(lines))

    def signer(key: Ed25519PrivateKey, blob: bytes) -> Sign:
        return lambda payload: sshsig.ARMOUR.wrap(sshsig.assemble(blob, key.sign(sshsig.to_be_signed(payload))))

    each = [(who, signer(key, blob)) for who, key, blob in zip(PEOPLE, keys, blobs, strict=True)]
    return (each[number % len(each)] for number in range(count)), ("--allowed-signers", str(allowed))


def _x509(home: Path, profile: Profile, count: int, begin: datetime) -> Iterator[tuple[str, Sign]]:
    founding.found(home, "Alice Example", "alice@example.org", "file", begin)
    with opened(home) as authority:
        grant = grants.new_grant(
            authority.id,
            AGENT,
            authority.human,
            email=None,
            scopes=[sign.SCOPE],
            expires=timedelta(days=3650),
            repositories=[],
            branches=[],
            at=begin,
            grant_id=str(uuid.uuid4()),
        )
        authority.store.add_grant(grant)
        anchors, who = read_trust(home).anchors, f"{AGENT} <{grant.actor.email}>"
        for number in range(count):
            at = begin + timedelta(seconds=STEP * number)
            if number % PER_LEAF == 0:
                credential = local.enroll(authority, grant, profile, sign.SCOPE, anchors, at)

            def signed(payload: bytes, at: datetime = at, by: local.Credential = credential) -> bytes:
                pending = cms.to_be_signed(payload, by.algorithm, signing_time=at)
                value = by.sign(pending.data)
                stamp = by.stamp(value, at) if profile is Profile.NOTME else None
                return cms.ARMOUR.wrap(cms.assemble(pending, value, signer=by.certificate, timestamp=stamp))

            yield who, signed


def _environ(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
