"""The broker: a sign-only capability for one session, on a socket that alone enters a sandbox.

Outside the sandbox are the keys, the grants and the broker's view of the repository; inside are a socket and a
program that speaks to it. Whoever holds the socket can have signed what the session's grant allows and nothing else:

* commits, tags and push certificates only, parsed here;
* by the session's agent, committer and author as design D14 says, within the grant's scope and expiry;
* commits whose every parent, and tags whose target, exist in the broker's view of the repository;
* so many signatures and no more: each leaves a line, and in SSH format a file, on the human's disk;
* nothing that is no signature: it neither verifies nor hands out keys, and there is no ssh-agent behind it.

It listens on a unix socket, never on TCP or vsock: there the kernel would not say who calls.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from attest.errors import RefusedError
from attest.gitobject import Commit, PushCertificate, SignatureFormat
from attest.identity import KEY_PREFIX
from attest.signed import GitObject
from attest.trust import Trust
from attest.types import Assurance
from notme_git.acting import Acting, parse_key
from notme_git.daemon import protocol, serving
from notme_git.daemon.credential import Signer
from notme_git.daemon.protocol import Reply, Request
from notme_git.daemon.server import Peer
from notme_git.dialect import DIALECTS
from notme_git.session import record, separation
from notme_git.session.record import Session
from notme_git.session.view import View
from notme_git.sign import Signed

MAX_SIGNATURES = 10_000
"""For one session. A rebase of a thousand commits fits ten times; in SSH format they take 40 MB of the human's disk."""


@dataclass(frozen=True, slots=True)
class BrokeredSigner:
    """What the dialects sign with here: the session's agent, whoever calls, and only on top of what is there.

    `assurance` is what separates the caller of this one request from the human.
    """

    signer: Signer
    session: Session
    view: View
    assurance: Assurance = Assurance.SAME_USER

    @property
    def home(self) -> Path:
        return self.signer.home

    def trust(self) -> Trust:
        """See `Signer`."""
        return self.signer.trust()

    def decide(self, key: str, request: Request, pid: int) -> Acting | None:
        """The session's agent, and no other; a key that is not ours is for the sandbox's own programs."""
        del request, pid
        if not key.startswith(KEY_PREFIX):
            return None
        if record.state(self.session) != "running":
            raise RefusedError(f"the session {self.session.id} has ended", hint="begin a new one")
        agent, profile = parse_key(key)
        if agent != self.session.agent:
            raise RefusedError(
                f"this broker signs as {self.session.agent}, and was asked to sign as {agent}",
                hint=f"use user.signingkey notme:{self.session.agent}",
            )
        return Acting(agent, profile, self.session, self.assurance)

    def sign(
        self, who: Acting, parsed: GitObject, *, form: SignatureFormat, replaying: bool, folder: str, at: datetime
    ) -> Signed:
        """See `Signer`. Whether git replays is seen in the folder that the broker knows, whatever the caller's say."""
        del replaying
        if self.signer.signatures >= MAX_SIGNATURES:
            raise RefusedError(
                f"this broker has made {MAX_SIGNATURES} signatures and makes no more", hint="begin a new session"
            )
        self._check_ground(parsed)
        replays = isinstance(parsed, Commit) and self.view.replaying()
        return self.signer.sign(who, parsed, form=form, replaying=replays, folder=folder, at=at)

    def _check_ground(self, parsed: GitObject) -> None:
        """What a signature would build on has to exist where the human can see it."""
        if isinstance(parsed, PushCertificate):
            return
        wanted = (
            [(parent, "commit") for parent in parsed.parents]
            if isinstance(parsed, Commit)
            else [(parsed.object, parsed.object_type)]
        )
        for object_id, kind in wanted:
            if self.view.kind(object_id) != kind:
                raise RefusedError(
                    f"not signed: its {'parent' if isinstance(parsed, Commit) else 'target'} {object_id} is no {kind}"
                    f" in {self.view.objects.parent}, where the broker looks",
                    hint="work in the repository that the broker was started for",
                )


@dataclass(frozen=True, slots=True)
class Broker:
    """The wire of a broker's socket. `uids`: users that may call, this one and those of a container."""

    signer: BrokeredSigner
    repository: Path
    uids: frozenset[int]
    head: int = protocol.HEAD_BYTES
    keep: bool = False

    def body_length(self, head: bytes) -> int:
        """See `server.Wire`."""
        return protocol.body_length(head)

    def admits(self, peer: Peer) -> bool:
        """The capability is the socket; the user id only says that it was not lent to a stranger."""
        return peer.uid in self.uids

    def answer(self, body: bytes, peer: Peer) -> bytes:
        """See `server.Wire`. A refusal reaches the agent's stderr with its reason."""
        try:
            reply = self._answer(Request.decode(body), peer)
        except Exception as exception:
            reply = serving.refusal(exception)
        return reply.encode()

    def _answer(self, request: Request, peer: Peer) -> Reply:
        dialect = DIALECTS.get(request.dialect)
        if dialect is None or dialect.Call(request.argv).mode != "sign":
            raise RefusedError("the broker only signs", hint="verify outside the sandbox")
        # What the sandbox says of its folders and its environment counts for nothing here, nor is a git folder of
        # its own looked for.
        here = replace(request, cwd=str(self.repository), environ={"GIT_DIR": os.devnull})
        signer = replace(self.signer, assurance=separation.assurance(peer))
        return serving.answer(here, signer, peer.pid, datetime.now(UTC))
