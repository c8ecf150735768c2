"""What all hooks do alike: options, whom to trust, what a pusher is told, and the hook that was there before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from attest import verifier
from attest.cli import load_trust
from attest.command import FILE
from attest.errors import ACCEPTED, UnavailableError, UsageError
from attest.receive import push, refusal
from attest.receive.push import Report
from attest.receive.settings import Settings
from attest.receive.updates import MAX_INPUT_BYTES
from attest.report.text import printable
from attest.trust import Trust

F = TypeVar("F", bound=Callable[..., Any])

words_argument = click.argument("words", nargs=-1, type=click.UNPROCESSED)
then_option = click.option("--then", type=FILE, help="Run this hook after it, if nothing is refused.")


def hook_options(command: F) -> F:
    """--policy, --then"""
    option = click.option(
        "--policy", "file", type=FILE, help="The rules, instead of notme.policyFile and the tree's own."
    )
    return option(then_option(command))


def tell(reports: Sequence[Report], said: Iterable[str]) -> int:
    """Print what a pusher should know; returns the exit status."""
    for line in (*said, *refusal.lines(reports), *refusal.remarks(reports)):
        say(line)
    return push.status_of(reports)


def say(line: str) -> None:
    """One line on stderr, which git shows the pusher."""
    click.echo(f"notme: {printable(line)}", err=True)


def trust_of(asked: Settings) -> Trust:
    """Whom the operator of the repository trusts; without settings of its own, the home's authorities."""
    roots = verifier.load_roots(
        allowed_signers=asked.allowed_signers,
        revoked_keys=asked.revoked_keys,
        sigstore=asked.sigstore,
        sigstore_root=asked.sigstore_root,
        smime_ca=asked.smime_ca,
        openpgp=asked.openpgp,
        tsa_roots=asked.tsa_roots,
        witness_keys=asked.witness_trust,
    )
    try:
        found = load_trust(asked.anchors, None, asked.bundle, others=roots.counts)
    except (UnavailableError, UsageError) as error:
        hint = error.hint if asked.anchors else "name the pinned root certificates: notme.anchor"
        raise UnavailableError(error.message, hint=hint) from None
    return replace(found, foreign=roots)


def read_input() -> bytes:
    """What git writes to the hook, bounded; one byte too many is refused by who parses it."""
    return sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)


def chain(then: Path | None, words: Sequence[str], data: bytes) -> int:
    """Run the hook that was there before ours, as git would; returns its exit status."""
    if then is None:
        return ACCEPTED
    path = os.path.abspath(then)
    if not os.access(path, os.X_OK):
        # git passes over a hook that may not be executed, and says so.
        say(f"the hook {then} was ignored because it is missing or not set as executable")
        return ACCEPTED
    try:
        done = subprocess.run([path, *words], input=data, check=False)
    except OSError as error:
        raise UnavailableError(f"the hook {then} cannot be run: {error.strerror}") from None
    return done.returncode if done.returncode >= 0 else 128 - done.returncode
