"""What stock git and ssh-keygen need to judge agents' SSH signatures: who is allowed, and what is revoked.

allowed signers   ssh-keygen(1), ALLOWED SIGNERS: one line an epoch, its Ed25519 root as certificate authority
KRL               ssh-keygen(1), KEY REVOCATION LISTS: the keys of compromised epochs, and revoked sessions

Stock ssh-keygen goes by the committer date, which the signer chooses: back-dating within a certificate's life is
seen by `notme-attest` alone. A grant that was revoked is in neither, because what was signed before stays good, and
afterwards nothing is signed under it. A single certificate cannot be in a KRL: bundles name it by a digest.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from attest import asn1, sshcert, sshwire
from attest.certificate import Anchor
from attest.errors import UnavailableError
from attest.instants import instant
from attest.types import Epoch, Principal, PrincipalKind, Retirement, RevocationKind
from notme_git.authority.embedded import Authority

TIMEOUT = 30.0
"""Seconds for one ssh-keygen, which writes a file of a few hundred bytes."""

_UNSAFE = re.compile(r"""[*?!,"'#\\\s]""")
"""Signs that mean something in a list of principals (PATTERNS in ssh_config(5)) or in the file around it."""


def allowed_signers(authority: Authority) -> str:
    """One line for each epoch whose keys still count, for every agent that was ever granted something."""
    principals = ",".join(a for a in _addresses(authority) if _can_stand(a))
    lines = [_line(principals, e) for e in authority.store.epochs() if e.retirement is not Retirement.COMPROMISE]
    return "".join(lines) if principals else ""


def left_out(authority: Authority) -> list[str]:
    """The agents' addresses that would mean something else in a list of principals."""
    return [a for a in _addresses(authority) if not _can_stand(a)]


def krl(authority: Authority, *, ssh_keygen: str) -> bytes:
    """A key revocation list, made by the program `ssh_keygen`; its number is the trust bundle's.

    A session is revoked by key id under each epoch's key. The bundle names the session alone, so there is one key
    id for each agent that may have had it.
    """
    epochs, sequence = authority.store.epochs(), str(authority.store.latest_sequence())
    ids = "".join(f"id: {name}\n" for name in _revoked_key_ids(authority))
    with tempfile.TemporaryDirectory(prefix="notme-krl-") as folder:
        made, spec = Path(folder, "krl"), Path(folder, "spec")
        keys = {e.number: Path(folder, f"epoch-{e.number}.pub") for e in epochs}
        for epoch in epochs:
            keys[epoch.number].write_bytes(_key(epoch))
        spec.write_text(ids, "utf-8")
        bad = [keys[e.number] for e in epochs if e.retirement is Retirement.COMPROMISE]
        _run([ssh_keygen, "-q", "-k", "-f", made, "-z", sequence, *bad])
        for epoch in epochs if ids else ():
            if epoch.retirement is not Retirement.COMPROMISE:
                _run([ssh_keygen, "-q", "-k", "-u", "-f", made, "-z", sequence, "-s", keys[epoch.number], spec])
        return made.read_bytes()


def _agents(authority: Authority) -> list[Principal]:
    actors = (item.grant.actor for item in authority.store.grants())
    return [actor for actor in actors if actor.kind is PrincipalKind.AGENT]


def _addresses(authority: Authority) -> list[str]:
    return sorted({agent.email for agent in _agents(authority)})


def _can_stand(address: str) -> bool:
    return address.isprintable() and not _UNSAFE.search(address)


def _revoked_key_ids(authority: Authority) -> list[str]:
    sessions = {r.id for r in authority.store.revocations() if r.kind is RevocationKind.SESSION}
    if bad := [session for session in sessions if not session.isprintable()]:
        # One line of the specification is one revocation, and none is left out in silence.
        raise UnavailableError(f"the revoked session {bad[0][:64]!r} cannot stand in a revocation list")
    actors = {agent.id for agent in _agents(authority)}
    return sorted(sshcert.key_id(actor, session) for actor in actors for session in sessions)


def _line(principals: str, epoch: Epoch) -> str:
    options = ["cert-authority", 'namespaces="git"']
    if epoch.retirement is Retirement.ROUTINE:
        # The Z, for UTC, is understood from OpenSSH 9.1 on; without it the reader's time zone would decide.
        options.append(f'valid-before="{instant(epoch.retired_at):%Y%m%d%H%M%SZ}"')
    return f"{principals} {','.join(options)} {_key(epoch).decode()}"


def _key(epoch: Epoch) -> bytes:
    """The epoch's Ed25519 root as a line of a public key file."""
    root = Anchor.read(asn1.load_certificate(epoch.root)).key
    return sshwire.line(sshwire.ED25519, sshwire.ed25519_key(root.raw), f"epoch-{epoch.number}")


def _run(command: Sequence[str | Path]) -> None:
    hint = "OpenSSH makes key revocation lists: install it, and see that ssh-keygen is on PATH"
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False, env={"LC_ALL": "C"}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"ssh-keygen could not be run: {error}", hint=hint) from None
    if done.returncode != 0:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UnavailableError(f"ssh-keygen made no revocation list: {reason[-1] if reason else 'no reason given'}")
