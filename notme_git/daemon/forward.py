"""Command lines that need the keys of an ephemeral authority, sent to the daemon that holds them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from attest.command import complain
from attest.errors import Error, RefusedError, exit_status
from notme_git.config import Config
from notme_git.daemon import client, ephemeral
from notme_git.daemon.protocol import CONTROL, Request


def forwarded(words: Sequence[str]) -> int | None:
    """The exit status of a command line that ran in the daemon; None for every other one."""
    try:
        config = Config.find()
    except Error:
        return None  # the command line itself says what is wrong, if it needs a home at all
    if config is None or not ephemeral.forwards(config.home, words):
        return None
    request = Request(CONTROL, ("command", *words), environ=config.environ, cwd=os.getcwd())
    try:
        begun = client.exchange(client.address(config.home, {}), request)
        if begun.status:
            raise RefusedError("the daemon does not run that command")
        reply = client.exchange(os.fsdecode(begun.events[0][1]), request, patience=ephemeral.PATIENCE_S)
    except Error as error:
        complain("notme-git", error)
        return exit_status(error)
    for where, data in reply.events:
        stream = sys.stdout if where == "1" else sys.stderr
        stream.buffer.write(data)
        stream.flush()
    return int(reply.status or 0)
