"""Which dialect one request speaks, and what a client is told whose request could not be read."""

from __future__ import annotations

from datetime import datetime

from attest.errors import as_error, exit_status
from notme_git.acting import Signs
from notme_git.daemon.protocol import AUTO, NOT_OURS, Reply, Request
from notme_git.dialect import DIALECTS


def answer(request: Request, signer: Signs, pid: int, at: datetime) -> Reply:
    """The reply to one call by git, made by the process `pid` at the time `at`."""
    dialect = DIALECTS.get(request.dialect.removeprefix(AUTO))
    return NOT_OURS if dialect is None else dialect.answer(request, signer, pid, at)


def refusal(exception: Exception) -> Reply:
    """What a client is told whose request could not be read or answered."""
    error = as_error(exception)
    return Reply(exit_status(error), (("2", f"notme-git: {error.message}\n".encode()),))
