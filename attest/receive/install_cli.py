"""`hook install`: put the hooks into a repository, and take them out again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from attest import attester_options, signing_key
from attest.cli import json_option, open_repository
from attest.command import FILE
from attest.errors import ACCEPTED, Error, UnavailableError, UsageError
from attest.receive import install, refusal, settings, stamping
from attest.receive.calling import say, trust_of
from attest.report.text import printable
from attest.repository import Repository


@click.command(name="install")
@click.option("--server", type=FILE, help="The receiving repository: pre-receive and post-receive.")
@click.option("--client", is_flag=True, help="The repository here: pre-push, commit-msg and, with a key, post-rewrite.")
@click.option("--hook", "names", multiple=True, type=click.Choice(install.ALL), help="These instead. May be repeated.")
@click.option("--shared", is_flag=True, help="Also where core.hooksPath names a directory of several repositories.")
@click.option("--uninstall", is_flag=True, help="Take them out; the hooks that were there before come back.")
@json_option
def install_command(
    server: Path | None, client: bool, names: tuple[str, ...], shared: bool, uninstall: bool, as_json: bool
) -> int:
    """Put the hooks in place.

    A hook that is there already goes on running, after ours.
    """
    if client == (server is not None):
        raise UsageError("say --server DIRECTORY or --client", hint="one of the two")
    with _repository(server) as repo:
        hooks = install.folder(repo, shared=shared)
        wanted = names or ((*install.CLIENT, *_rewrite(repo, uninstall)) if client else install.SERVER)
        networked = _networked(repo, uninstall)
        placed = [
            install.remove(hooks, name) if uninstall else install.place(hooks, name, _command(name, networked))
            for name in wanted
        ]
        warning = "" if uninstall else _lacking(repo, wanted, names) if client else _cannot_yet(repo)
    if as_json:
        items = [{"path": str(p.path), "done": p.done, "then": str(p.then) if p.then else None} for p in placed]
        click.echo(json.dumps({"hooks": items, "warning": warning or None}, indent=2))
    else:
        for item in placed:
            click.echo(printable(f"{item.path}: {item.done}" + (f", then {item.then}" if item.then else "")))
    if warning:
        say(warning)
    return ACCEPTED


def _repository(server: Path | None) -> Repository:
    try:
        return open_repository(server, os.environ)
    except UnavailableError as error:
        hint = "name the receiving repository: --server DIRECTORY" if server else "run it in the repository"
        raise UnavailableError(error.message, hint=hint) from None


def _rewrite(repo: Repository, uninstall: bool) -> tuple[str, ...]:
    """The hook that records rewrites, where it can sign records."""
    brought = attester_options.brought(click.get_current_context()) is not None
    return (install.REWRITE,) if uninstall or brought or settings.read(repo).verifier_key else ()


def _networked(repo: Repository, uninstall: bool) -> tuple[str, ...]:
    """The hook that has what is pushed time-stamped by others, where that is configured."""
    if uninstall or stamping.brought(click.get_current_context()) is None:
        return ()
    return (install.PUSH,) if settings.read(repo).stamps_pushes else ()


def _command(name: str, networked: tuple[str, ...]) -> tuple[str, ...]:
    """Neither the judged tree, in which hooks run, nor PYTHONPATH may say what `attest` is."""
    brought = attester_options.brought(click.get_current_context()) is not None
    # Only the other command line has the home's verifier, who signs, and a network; the rest is quicker without them.
    package = "notme_git" if (brought and name == install.REWRITE) or name in networked else "attest"
    return (sys.executable, "-E", "-P", "-m", package)


def _lacking(repo: Repository, wanted: Sequence[str], names: Sequence[str]) -> str:
    """What a client does without, as a sentence; empty where all is there."""
    if install.REWRITE in wanted:
        said = "post-rewrite records nothing until a key is named to sign with: git config notme.verifierKey FILE"
        return "" if _rewrite(repo, uninstall=False) else said
    hint = "git config notme.verifierKey FILE names a key for it; then install again"
    return "" if names else f"post-rewrite is not put in, because nothing is here to sign its records with ({hint})"


def _cannot_yet(repo: Repository) -> str:
    """What keeps the hooks of a server from their work, as a sentence; empty where nothing does."""
    what = "every push is refused"
    try:
        asked = settings.read(repo)
        trust_of(asked)
        what = "where a policy follows rewrite records, every push is refused"
        for path in asked.attester_keys:
            signing_key.load_public(path)
        what = "nothing is stated of what arrives"
        if asked.witness_key is None:
            return f"{what} until notme.witnessKey names a key"
        signing_key.load(asked.witness_key)
    except Error as error:
        return f"{what} until this is mended: {refusal.sentence(error)}"
    return ""
