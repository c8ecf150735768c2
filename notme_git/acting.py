"""Who acts: the agent that signs a call, from its key, its session and, where that was asked for, its marks.

`notme:AGENT` or `notme:AGENT:PROFILE` names it; git copies that from `user.signingkey`. An agent that acts under an
orchestrator's grant is ORCHESTRATOR/CHILD there. In the `auto-` dialects any other key is the human's: the marks in
the environment say whether an agent calls. They are claims that choose among grants. Without a mark the call is not
ours at all, and the human's own program runs.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from attest.errors import RefusedError, UsageError
from attest.gitobject import Commit, SignatureFormat
from attest.identity import KEY_PREFIX
from attest.profile import Profile
from attest.signed import GitObject
from attest.trust import Trust
from attest.types import Assurance
from notme_git import agents, sign
from notme_git.daemon.protocol import AUTO, SAID, Request
from notme_git.session import record
from notme_git.session.record import Session
from notme_git.sign import Signed

MAX_PATH_BYTES = 4096
"""PATH_MAX of Linux; a longer path could not be opened."""

REPLAY_STATE = ("CHERRY_PICK_HEAD", "rebase-merge", "rebase-apply", "sequencer")
"""What git keeps in its folder while it replays commits."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who signs: the agent, its profile, the session it belongs to, if any, and what separates it from the human."""

    agent: str
    profile: Profile = Profile.NOTME
    session: Session | None = None
    assurance: Assurance = Assurance.SAME_USER


class Signs(Protocol):
    """What a dialect needs of whoever signs."""

    @property
    def home(self) -> Path: ...

    def trust(self) -> Trust:
        """What the verifier goes by."""

    def decide(self, key: str, request: Request, pid: int) -> Acting | None:
        """Who signs for the process `pid`; None where the call is for another program."""

    def sign(
        self, who: Acting, parsed: GitObject, *, form: SignatureFormat, replaying: bool, folder: str, at: datetime
    ) -> Signed:
        """Sign for git."""


def parse_key(key: str) -> tuple[str, Profile]:
    """`notme:AGENT` or `notme:AGENT:PROFILE` (`user.signingkey`), where AGENT may be ORCHESTRATOR/CHILD."""
    _, agent, *rest = key.split(":")
    profile = rest[0] if rest else "notme"
    if not agent or len(rest) > 1 or profile not in ("notme", "interop"):
        raise UsageError(
            f"user.signingkey {key!r} is not notme:AGENT or notme:AGENT:interop",
            hint="run notme-git setup again",
        )
    return agent, Profile(profile)


def decide(home: Path, key: str, request: Request, pid: int) -> Acting | None:
    """The agent that the process `pid` signs as, None where the call is the human's or another program's own.

    Raises `RefusedError` where marks name several agents, where a session is claimed that the process does not
    belong to, and where a session's process asks for another agent than the session's or an agent of its own.
    """
    if key.startswith(KEY_PREFIX):
        agent, profile = parse_key(key)
    elif request.dialect.startswith(AUTO):
        chosen = agents.choose(request.environ)
        if chosen is None:
            return None
        agent, profile = chosen, Profile.NOTME
    else:
        return None
    session = record.find(home, request.environ.get("NOTME_SESSION", ""), pid)
    if session is not None and session.agent != agent.partition("/")[0]:
        raise RefusedError(
            f"the session {session.id} acts as {session.agent}, and was asked to sign as {agent}",
            hint=f"use user.signingkey notme:{session.agent}, or end the session",
        )
    return Acting(agent, profile, session)


def sign_for(
    request: Request, signer: Signs, who: Acting, payload: bytes, *, form: SignatureFormat, at: datetime
) -> Signed:
    """Have `payload` signed as `request` asks, whose dialect took it out of its call."""
    parsed = sign.parse(payload)
    replays = replaying(request, parsed)
    return signer.sign(who, parsed, form=form, replaying=replays, folder=request.cwd, at=at)


def warned(signed: Signed) -> list[tuple[str, bytes]]:
    """What the person should know of a signature that was made, as events of a reply."""
    return [(SAID, f"notme-git: warning: {signed.warning}\n".encode())] if signed.warning else []


def replaying(request: Request, parsed: GitObject) -> bool:
    """Whether git replays an existing commit (rebase, cherry-pick, am) that keeps another's name as its author.

    git tells its signing program so in no way of its own, but it stands in the working tree and git keeps the
    state of a replay in its folder (gitrepository-layout(5), sequencer.c, builtin/am.c). GIT_REFLOG_ACTION, which
    rebase exports up to 2.39 and only for `--apply` after it, says the same without a folder.
    """
    if not isinstance(parsed, Commit) or parsed.author.email == parsed.committer.email:
        return False
    action = request.environ.get("GIT_REFLOG_ACTION", "")
    if action.startswith(("cherry-pick", "rebase", "am", "pull", "revert")):
        return True
    folder = os.path.join(request.cwd, request.environ.get("GIT_DIR") or _git_folder(request.cwd))
    return any(os.path.exists(f"{folder}/{name}") for name in REPLAY_STATE)


def _git_folder(cwd: str) -> str:
    """The `.git` of the working tree git stands in; a worktree's is a file that names its folder."""
    if os.path.isdir(f"{cwd}/.git"):
        return ".git"
    try:
        # O_NONBLOCK: a sandbox can put a FIFO there, and opening one would wait for its writer.
        descriptor = os.open(f"{cwd}/.git", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            return os.fsdecode(file.read(MAX_PATH_BYTES).removeprefix(b"gitdir: ").rstrip(b"\n"))
    except OSError:
        return ".git"
