"""Which dialect one request speaks, and what a client is told whose request could not be read."""

from __future__ import annotations

from datetime import datetime

from attest.errors import Error, exit_status
from notme_git import gpg, ssh
from notme_git.acting import AUTO
from notme_git.daemon.protocol import NOT_OURS, Reply, Request
from notme_git.sign import Signs

DIALECTS = {"gpgsm": gpg, "gpg": gpg, "ssh-keygen": ssh}


def answer(request: Request, signer: Signs, pid: int, at: datetime) -> Reply:
    """The reply to one call by git, made by the process `pid` at the time `at`."""
    dialect = DIALECTS.get(request.dialect.removeprefix(AUTO))
    return NOT_OURS if dialect is None else dialect.answer(request, signer, pid, at)


def refusal(error: Error) -> Reply:
    """What a client is told whose request could not be read."""
    return Reply(exit_status(error), (("2", f"notme-git: {error.message}\n".encode()),))
