"""The authority in the home and the files made from it, read without writing anything.

Private keys are loaded to see that they can be, compared with what the epoch's certificates name, and dropped.
"""

from __future__ import annotations

import base64
import contextlib
import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from attest import asn1, canonical, sshcert, sshwire
from attest import home as homes
from attest.certificate import Anchor
from attest.errors import Error, MalformedError, UnavailableError
from attest.types import Epoch, SignedTrustBundle, TrustBundle
from notme_git import setup, sshfiles, sshtrust, wanted
from notme_git.authority import embedded, keystore
from notme_git.authority.embedded import Authority
from notme_git.authority.keystore import FileKeys
from notme_git.daemon import agent_setting
from notme_git.doctor import facts
from notme_git.doctor.facts import CERTIFICATE, Git, Key, Ssh, Trouble, agent_of

EXPORT = "notme-git trust export > /dev/null"
"""It writes anchors and bundle anew from the database."""

RESTORE = "restore the home from a backup"

MAX_FILE_BYTES = 4 * 1024 * 1024


def look(home: Path, git: Git, key: Key, environ: Mapping[str, str], directory: Path) -> tuple[facts.Authority, Ssh]:
    """The authority, and the files for SSH signatures beside it."""
    if not embedded.exists(home):
        return facts.Authority(present=False), Ssh()
    database = home / "authority" / "authority.db"
    if not database.exists():
        trouble = Trouble("database-missing", f"there is no database {database}", RESTORE)
        return facts.Authority(troubles=(trouble,)), Ssh()
    try:
        with embedded.opened(home) as opened:
            return _read(opened), _ssh(home, opened, git, key, environ, directory)
    except Error as error:
        return facts.Authority(troubles=(_unusable(error),)), Ssh()


def _unusable(error: Error) -> Trouble:
    keyring = "keyring" in error.message
    code = "key-store-unreachable" if keyring else "database-damaged"
    return Trouble(code, error.message, error.hint or RESTORE)


def _read(authority: Authority) -> facts.Authority:
    epoch, latest = authority.epoch, authority.store.latest_bundle()
    issued = 0
    if latest is not None:
        signed = canonical.decode(SignedTrustBundle, latest)
        issued = canonical.decode(TrustBundle, signed.bundle).issued_at
    return facts.Authority(
        troubles=(*_keys(authority, epoch), *_published(authority, epoch, latest)),
        human_email=authority.human.email,
        grants=tuple(authority.store.grants()),
        bundle_issued_at=issued,
        latest=max(authority.store.last_issued_at() or 0, epoch.began_at),
    )


def _keys(authority: Authority, epoch: Epoch) -> Iterator[Trouble]:
    """The three keys of the epoch; trouble with the store itself is told once."""
    certificates = {"root": epoch.root, "interop": epoch.interop_root, "tsa": epoch.timestamp_certificates[0]}
    if isinstance(authority.keys, FileKeys) and (bad := _permissions(authority.keys.directory, 0o700)):
        yield bad
        return
    for role, certificate in certificates.items():
        name = f"epoch-{epoch.number}-{role}"
        try:
            key = authority.keys.private_key(name)
        except MalformedError:
            key = None
        except UnavailableError as error:
            yield _key_trouble(authority, name, error)
            if not isinstance(authority.keys, FileKeys):
                return
            continue
        if key is None or key.public_key() != x509.load_der_x509_certificate(certificate).public_key():
            message = f"what is kept as the {role} key of epoch {epoch.number} is not that key"
            yield Trouble("authority-key-damaged", message, keystore.RESTORE_HINT)


def _key_trouble(authority: Authority, name: str, error: UnavailableError) -> Trouble:
    if not isinstance(authority.keys, FileKeys):
        return Trouble("key-store-unreachable", error.message, error.hint)
    path = authority.keys.directory / f"{name}.pem"
    if bad := _permissions(path, 0o600):
        return bad
    if not os.path.lexists(path):
        return Trouble("authority-key-missing", f"the key file {path} is missing", keystore.RESTORE_HINT)
    if path.is_file() and path.stat().st_size == 0:
        return Trouble("authority-key-empty", f"the key file {path} has 0 bytes", keystore.RESTORE_HINT)
    if not os.access(path, os.R_OK):
        remedy = "give yourself the right to read it"
        return Trouble("authority-key-unreadable", error.message, remedy, f"chmod u+r {shlex.quote(str(path))}")
    return Trouble("authority-key-damaged", error.message, error.hint)


def _permissions(path: Path, mode: int) -> Trouble | None:
    """Owner and mode as `keystore` demands them; None also for what is not there."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    quoted = shlex.quote(str(path))
    if found.st_uid != os.geteuid():
        remedy = "find out how that came; then give it back"
        return Trouble("authority-key-owner", f"{path} belongs to user {found.st_uid}", remedy)
    if found.st_mode & 0o077:
        remedy = "if nobody else read it, take the rights away; else begin a new epoch"
        message = f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, so others may have read the keys"
        return Trouble("authority-key-open", message, remedy, f"chmod {mode:04o} {quoted}")
    return None


def _published(authority: Authority, epoch: Epoch, latest: bytes | None) -> Iterator[Trouble]:
    """The two files beside the database, which the verifier goes by."""
    anchors = b"".join(
        x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in (epoch.root, epoch.interop_root)
    )
    for file, content in ((homes.ANCHORS, anchors), (homes.BUNDLE, latest)):
        path = authority.directory / file.name
        word = "anchors" if file == homes.ANCHORS else "bundle"
        data = _content(path)
        if data is None:
            yield Trouble(f"{word}-missing", f"{path} is missing or cannot be read", "write it anew", EXPORT)
        elif data != content:
            yield Trouble(f"{word}-behind", f"{path} is not what the database holds", "write it anew", EXPORT)


def _ssh(home: Path, authority: Authority, git: Git, key: Key, environ: Mapping[str, str], directory: Path) -> Ssh:
    if git.value("gpg.format").lower() != "ssh":
        return Ssh()
    named = git.value(setup.ALLOWED_SIGNERS)
    path = Path(environ.get("HOME", "") + named[1:] if named.startswith("~/") else directory / named)
    content = _content(path) if named else None
    root = sshwire.line(sshwire.ED25519, _root(authority)).decode().split()[1]
    state = "unset" if not named else "missing" if content is None else "foreign"
    if content is not None and any(_names(line, root) for line in content.decode("utf-8", "replace").splitlines()):
        state = "named"
    offered: tuple[str, ...] = ()
    with contextlib.suppress(UnavailableError):
        offered = tuple(agent_setting.enabled(home))
    stale = tuple(_stale(home, authority, git, named))
    return Ssh(stale, state, _ends(key.path), offered)  # type: ignore[arg-type]  # one of the four words


def _names(line: str, root: str) -> bool:
    """Whether a line of an allowed-signers file has our key as a certificate authority (ssh-keygen(1))."""
    return root in line.split() and "cert-authority" in line and not line.lstrip().startswith("#")


def _stale(home: Path, authority: Authority, git: Git, named: str) -> Iterator[str]:
    """Files in `<home>/ssh` that are in use and are not what `sshfiles` would write."""
    allowed = sshfiles.allowed_signers_file(home)
    if named == str(allowed) and _content(allowed) != sshtrust.allowed_signers(authority).encode():
        yield str(allowed)
    value = git.value("user.signingkey")
    agent = agent_of(value, home)
    if agent and value == str(sshfiles.key_file(home, agent)) and not value.endswith(CERTIFICATE):
        line = sshwire.line(sshwire.ED25519, _root(authority), wanted.key_name(agent, "notme"))
        if _content(Path(value)) != line:
            yield value


def _root(authority: Authority) -> bytes:
    return sshwire.ed25519_key(Anchor.read(asn1.load_certificate(authority.epoch.root)).key.raw)


def _ends(path: str) -> int | None:
    """When the certificate in this file ends; None for no file or no certificate."""
    content = (_content(Path(path)) or b"") if path.endswith(CERTIFICATE) else b""
    try:
        return sshcert.parse(base64.b64decode(content.split()[1], validate=True)).valid_before
    except (IndexError, ValueError, MalformedError):
        return None


def _content(path: Path) -> bytes | None:
    """What a regular file holds, up to the most that any of these files has; None where it cannot be read."""
    try:
        # O_NONBLOCK: opening a FIFO would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            return file.read(MAX_FILE_BYTES + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError):
        return None
