"""What is done with one request: the dialect it speaks, and the control of the daemon itself."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

from attest.errors import Error, exit_status
from attest.gitobject import SignatureFormat
from attest.signed import GitObject
from attest.trust import Trust
from notme_git import gpg, ssh
from notme_git.acting import Acting
from notme_git.daemon.protocol import NOT_OURS, Reply, Request
from notme_git.dialect import AUTO
from notme_git.sign import Signed

DIALECTS = {"gpgsm": gpg, "gpg": gpg, "ssh-keygen": ssh}


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


def answer(request: Request, signer: Signs, pid: int, at: datetime) -> Reply:
    """The reply to one call by git, made by the process `pid` at the time `at`."""
    dialect = DIALECTS.get(request.dialect.removeprefix(AUTO))
    return NOT_OURS if dialect is None else dialect.answer(request, signer, pid, at)


def refusal(error: Error) -> Reply:
    """What a client is told whose request could not be read."""
    return Reply(exit_status(error), (("2", f"notme-git: {error.message}\n".encode()),))
