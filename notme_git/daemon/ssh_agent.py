"""The ssh-agent protocol (draft-ietf-sshm-ssh-agent), for signatures that stock ssh-keygen makes.

The protocol shows an agent what is signed (SSHSIG's preamble: namespace and a digest) and never the content, so this
signs without having seen the commit. That needs a scope of its own, `sign:git-blind`, and both certificate and verdict
say that the payload was not checked. Namespace `git` only: nothing signed here logs in anywhere. There is no
adding, removing or locking of keys.

ssh-keygen finds a key by the file it is told, so the current certificate is written to
`<home>/ssh/current/AGENT-cert.pub` before the old one ends, and the old one's key stays until it has ended.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from attest import sshcert, sshsig, sshwire
from attest.errors import Error, MalformedError, RefusedError
from attest.profile import PAYLOAD_UNCHECKED
from attest.sshwire import Reader, string, uint32
from notme_git import gitconfig
from notme_git.acting import Acting
from notme_git.daemon import agent_setting
from notme_git.daemon.credential import Signer
from notme_git.daemon.server import Peer
from notme_git.enroll.local import Credential
from notme_git.session import record

REQUEST_IDENTITIES, IDENTITIES_ANSWER = 11, 12
SIGN_REQUEST, SIGN_RESPONSE = 13, 14
FAILURE = b"\x05"

MAX_MESSAGE_BYTES = 256 * 1024
"""As OpenSSH's own agent (AGENT_MAX_LEN)."""

FRESH = timedelta(seconds=90)
"""A certificate that ends sooner is replaced: git may be at work with the file it has read."""


@dataclass(slots=True)
class SshAgent:
    """The wire of the ssh-agent's socket, and the certificates it offers."""

    signer: Signer
    clock: Callable[[], datetime]
    signatures: int = 0
    head: int = 4
    keep: bool = True
    _offered: dict[bytes, tuple[str, Credential]] = field(default_factory=dict)

    def body_length(self, head: bytes) -> int:
        """See `server.Wire`."""
        length = int.from_bytes(head, "big")
        if not 0 < length <= MAX_MESSAGE_BYTES:
            raise MalformedError(f"an ssh-agent message of {length} bytes")
        return length

    def admits(self, peer: Peer) -> bool:
        """This user alone, as OpenSSH's own agent."""
        return peer.uid == os.getuid()

    def answer(self, body: bytes, peer: Peer) -> bytes:
        """See `server.Wire`. The protocol has no place for a reason: what is refused is a failure."""
        try:
            reply = self._answer(body, peer)
        except Error:
            reply = FAILURE
        return string(reply)

    def refresh(self) -> None:
        """Offer every enabled agent a certificate with some life left, and none to those without a grant."""
        now = self.clock()
        granted = [agent for agent in agent_setting.enabled(self.signer.home) if self._granted(agent, now)]
        self._offered = {
            blob: kept
            for blob, kept in self._offered.items()
            if kept[0] in granted and kept[1].chain.leaf.not_after > now
        }
        for agent in granted:
            if not any(a == agent and c.chain.leaf.not_after > now + FRESH for a, c in self._offered.values()):
                self._offer(agent, now)

    def _granted(self, agent: str, now: datetime) -> bool:
        """Whether a grant lets the agent do this now; where none does, its certificate goes away."""
        try:
            self.signer.check(Acting(agent), PAYLOAD_UNCHECKED, now)
        except RefusedError:
            with contextlib.suppress(OSError):
                agent_setting.certificate_file(self.signer.home, agent).unlink()
            return False
        return True

    def _offer(self, agent: str, now: datetime) -> None:
        file = agent_setting.certificate_file(self.signer.home, agent)
        credential = self.signer.enroll_anew(Acting(agent), PAYLOAD_UNCHECKED, now)
        blob = credential.ssh_certificate
        self._offered[blob] = (agent, credential)
        with gitconfig.file_errors(file):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        gitconfig.replace_file(file, sshwire.line(sshcert.TYPE, blob, f"notme:{agent}"), mode=0o644)

    def _answer(self, body: bytes, peer: Peer) -> bytes:
        kind, reader = body[0], Reader(body[1:])
        if kind == REQUEST_IDENTITIES:
            reader.end()
            self.refresh()
            keys = b"".join(string(blob) + string(f"notme:{agent}") for blob, (agent, _) in self._offered.items())
            return bytes([IDENTITIES_ANSWER]) + uint32(len(self._offered)) + keys
        if kind != SIGN_REQUEST:
            return FAILURE
        blob, data, _ = reader.string(), reader.string(), reader.uint32()
        reader.end()
        return bytes([SIGN_RESPONSE]) + string(sshwire.ed25519_signature(self._sign(blob, data, peer)))

    def _sign(self, blob: bytes, data: bytes, peer: Peer) -> bytes:
        now = self.clock()
        agent, credential = self._offered.get(blob, ("", None))
        if credential is None or credential.chain.leaf.not_after <= now:
            raise MalformedError("no such key is offered")
        if sshsig.parse_preamble(data).namespace != sshsig.NAMESPACE:
            raise MalformedError("only namespace git is signed")
        session = record.find(self.signer.home, "", peer.pid)
        claims = credential.chain.leaf.claims
        if session is not None and (session.agent != agent or not claims or session.grant_id != claims.grant_id):
            raise MalformedError("the caller acts as another agent, or under another grant")
        self.signer.check(Acting(agent, session=session), PAYLOAD_UNCHECKED, now)
        self.signatures += 1
        return credential.sign(data)
