"""`hook`: what git's hooks call, and what puts them there."""

from __future__ import annotations

import click

from attest.commands import Commands

_HOOKS = {
    "commit-msg": "attest.receive.client:commit_msg",
    "install": "attest.receive.install_cli:install_command",
    "post-receive": "attest.receive.server:post_receive",
    "post-rewrite": "attest.receive.rewritten:post_rewrite",
    "pre-push": "attest.receive.client:pre_push",
    "pre-receive": "attest.receive.server:pre_receive",
    "update": "attest.receive.server:update",
}


@click.group(commands=Commands(_HOOKS))
def hook() -> None:
    """What git calls before and after a push, and after an amend or a rebase.

    notme-attest hook install puts the hooks in place. Settings are notme.* in git's configuration.
    """
