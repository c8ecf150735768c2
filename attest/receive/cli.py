"""`hook`: what git's hooks call, and what puts them there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from attest import history, signing_key, store, verifier
from attest.cli import json_option, load_trust, open_repository
from attest.errors import ACCEPTED, REJECTED, Error, UnavailableError, UsageError, exit_status
from attest.receive import install, push, refusal, settings, signedpush, updates, witness
from attest.receive.policies import Policies
from attest.receive.push import Report
from attest.receive.settings import Settings
from attest.receive.updates import MAX_INPUT_BYTES, Update
from attest.report.text import printable
from attest.repository import Repository
from attest.trust import Trust
from attest.types import Severity

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path)


def _options(command: F) -> F:
    """--policy, --then"""
    for option in (
        click.option("--then", type=_FILE, help="Run this hook after it, if the push is let through."),
        click.option("--policy", "file", type=_FILE, help="The rules, instead of notme.policyFile and the tree's own."),
    ):
        command = option(command)
    return command


_words = click.argument("words", nargs=-1, type=click.UNPROCESSED)


@click.group()
def hook() -> None:
    """What git calls before and after a push.

    notme-attest hook install puts the hooks in place. Settings are notme.* in git's configuration.
    """


@hook.command(name="pre-receive")
@_options
@_words
def pre_receive(file: Path | None, then: Path | None, words: tuple[str, ...]) -> int:
    """Judge a push before any ref moves.

    Reads OLD NEW REF lines from standard input, as git calls it in the receiving repository.
    """
    at, data = datetime.now(UTC), _input()
    with open_repository(None, os.environ) as repo:
        wanted = updates.parse(data, repo.object_format)
        status = _receive(repo, wanted, file, at)
    return status or _chain(then, words, data)


@hook.command(name="update")
@_options
@click.argument("ref")
@click.argument("old")
@click.argument("new")
def update(file: Path | None, then: Path | None, ref: str, old: str, new: str) -> int:
    """Judge one ref of a push, where no pre-receive hook can be had.

    The other refs of the push may be taken though this one is refused.
    """
    at = datetime.now(UTC)
    with open_repository(None, os.environ) as repo:
        status = _receive(repo, (updates.update(ref, old, new, repo.object_format),), file, at, certified=False)
    return status or _chain(then, (ref, old, new), b"")


@hook.command(name="pre-push")
@_options
@click.argument("remote", default="")
@click.argument("url", default="")
def pre_push(file: Path | None, then: Path | None, remote: str, url: str) -> int:
    """Judge what is about to be pushed, so that it is not refused by the other side.

    What this side says is advice, and git push --no-verify goes past it.
    """
    at, data = datetime.now(UTC), b""
    with open_repository(None, os.environ) as repo:
        if remote:
            data = _input()
            wanted = [_seen(repo, update) for update in updates.parse_outgoing(data, repo.object_format)]
        else:
            remote, url, wanted = _of_framework(repo, os.environ)
        status = _send(repo, wanted, file, remote, url, at)
    return status or _chain(then, (remote, url), data)


def _send(repo: Repository, wanted: Sequence[Update], file: Path | None, remote: str, url: str, at: datetime) -> int:
    asked = settings.read(repo)
    default = updates.tip_of(repo, f"refs/remotes/{remote}/HEAD")
    rules = Policies(repo, _trust(asked), default, file or asked.policy)
    there = replace(asked, repository=asked.repository or url)
    known = [oid for oid, _ in updates.refs(repo, f"refs/remotes/{remote}/")][: updates.MAX_KNOWN]
    return _tell(push.judge_push(repo, wanted, there, rules.of, lambda _: known, at, jobs=history.cores()), ())


def _of_framework(repo: Repository, environ: Mapping[str, str]) -> tuple[str, str, list[Update]]:
    """Remote, its address and the update that the framework `pre-commit` runs us for, which reads git's own words."""
    names = ("PRE_COMMIT_REMOTE_NAME", "PRE_COMMIT_REMOTE_URL", "PRE_COMMIT_REMOTE_BRANCH", "PRE_COMMIT_TO_REF")
    remote, url, ref, new = (environ.get(name, "") for name in names)
    if not (remote and ref and new):
        raise UsageError("say REMOTE and URL, as git does", hint="notme-attest hook install --client")
    tip = repo.resolve(new)
    old = updates.tip_of(repo, f"refs/remotes/{remote}/{ref.removeprefix('refs/heads/')}")
    zeros = "0" * len(tip)
    return remote, url, [updates.update(ref, old or zeros, tip, repo.object_format)]


@hook.command(name="commit-msg")
@click.option("--then", type=_FILE, help="Run this hook after it, if the message is let through.")
@click.argument("file", type=_FILE)
def commit_msg(then: Path | None, file: Path) -> int:
    """Hold a commit message against who is going to sign the commit.

    It is refused for what no signer could make true, such as an agent's own Signed-off-by; the rest is a warning.
    """
    from attest.receive import message

    with open_repository(None, os.environ) as repo:
        found = message.check(repo, file)
    for each in found:
        if each.severity is not Severity.INFO:
            _say(f"{each.severity}, {each.code}: {each.detail}")
    if any(each.severity is Severity.ERROR for each in found):
        _say("the commit is not made: mend its message (git keeps it in .git/COMMIT_EDITMSG)")
        return REJECTED
    return _chain(then, (str(file),), b"")


@hook.command(name="post-receive")
@click.option("--key", type=_FILE, help="PEM file of the Ed25519 key to sign with (default: notme.witnessKey).")
@click.option("--then", type=_FILE, help="Run this hook after it.")
@_words
def post_receive(key: Path | None, then: Path | None, words: tuple[str, ...]) -> int:
    """State what arrived when, signed, for those who verify later.

    One statement for each ref that moved, stored under refs/attestations/notme. Without a key nothing is stated.
    """
    at, data, status = datetime.now(UTC), _input(), ACCEPTED
    try:
        with open_repository(None, os.environ) as repo:
            _witness(repo, data, key, at)
    except Error as error:
        # The refs have moved: the hook that was there before has to hear of it all the same.
        _say(f"no witness statement was stored: {refusal.sentence(error)}")
        status = exit_status(error)
    return _chain(then, words, data) or status


@hook.command(name="install")
@click.option("--server", type=_FILE, help="The receiving repository: pre-receive and post-receive.")
@click.option("--client", is_flag=True, help="The repository here: pre-push and commit-msg.")
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
    with open_repository(server, os.environ) as repo:
        hooks = install.folder(repo, shared=shared)
        wanted = names or (install.CLIENT if client else install.SERVER)
        command = (sys.executable, "-I", "-m", "attest")
        placed = [
            install.remove(hooks, name) if uninstall else install.place(hooks, name, command) for name in wanted
        ]
        warning = "" if uninstall else _cannot_yet(repo)
    if as_json:
        items = [{"path": str(p.path), "done": p.done, "then": str(p.then) if p.then else None} for p in placed]
        click.echo(json.dumps({"hooks": items, "warning": warning or None}, indent=2))
    else:
        for item in placed:
            click.echo(printable(f"{item.path}: {item.done}" + (f", then {item.then}" if item.then else "")))
    if warning:
        _say(warning)
    return ACCEPTED


def _cannot_yet(repo: Repository) -> str:
    """What keeps the hooks from judging anything, as a sentence; empty where nothing does."""
    try:
        _trust(settings.read(repo))
    except Error as error:
        return f"every push is refused until this is mended: {refusal.sentence(error)}"
    return ""


def _witness(repo: Repository, data: bytes, key: Path | None, at: datetime) -> None:
    asked = settings.read(repo)
    path = key or asked.witness_key
    if path is None:
        _say("no witness statement: notme.witnessKey names no key")
        return
    loaded = signing_key.load(path)
    moved = [u for u in updates.parse(data, repo.object_format) if not updates.is_attestations(u.ref)]
    received: signedpush.Received | None = None
    try:
        received = signedpush.open_certificate(repo, os.environ, moved, at)
    except Error as error:
        _say(f"the push certificate is left out of the witness statement: {refusal.sentence(error)}")
    # The statements have to say who makes them though nobody gave this server a name.
    name = asked.witness or f"urn:notme:witness:{loaded.public.spki_sha256.hex()}"
    lines = witness.lines(repo, moved, name, asked.repository or repo.remote(), received, loaded, at)
    store.append(repo, lines, at)


def _receive(
    repo: Repository, wanted: Sequence[Update], file: Path | None, at: datetime, *, certified: bool = True
) -> int:
    """The exit status of a push. `certified` says that this hook is given the push's certificate."""
    updates.refuse_namespace("GIT_NAMESPACE" in os.environ)
    asked = settings.read(repo)
    trusted = _trust(asked)
    rules = Policies(repo, trusted, updates.tip_of(repo, "HEAD"), file or asked.policy)
    said = _signed_push(repo, wanted, asked, rules, at, certified=certified)
    before = updates.Before(repo, asked)
    return _tell(push.judge_push(repo, wanted, asked, rules.of, before, at, jobs=history.cores()), said)


def _signed_push(
    repo: Repository, wanted: Sequence[Update], asked: Settings, rules: Policies, at: datetime, *, certified: bool
) -> tuple[str, ...]:
    """What to tell of the push's certificate. Raises where one that holds is required and is not there."""
    if not certified:
        if asked.signed_push:
            raise UnavailableError("git shows no push certificate to an update hook", hint="use the pre-receive hook")
        return ()
    try:
        received = signedpush.open_certificate(repo, os.environ, wanted, at)
        if received is None and asked.signed_push:
            raise signedpush.refused_unsigned()
        if received is not None:
            for update in wanted:
                signedpush.check(received, rules.of(update), update, asked, repo.remote())
    except Error as error:
        if asked.signed_push:
            raise
        return (f"the push certificate counts for nothing here: {refusal.sentence(error)}",)
    return ()


def _tell(reports: Sequence[Report], said: Iterable[str]) -> int:
    """Print what a pusher should know; returns the exit status."""
    for line in (*said, *refusal.lines(reports), *refusal.remarks(reports)):
        _say(line)
    return push.status_of(reports)


def _say(line: str) -> None:
    click.echo(f"notme: {printable(line)}", err=True)


def _trust(asked: Settings) -> Trust:
    """Whom the operator of the repository trusts; without settings of its own, the home's authorities."""
    roots = verifier.load_roots(
        allowed_signers=asked.allowed_signers,
        revoked_keys=asked.revoked_keys,
        sigstore=asked.sigstore,
        sigstore_root=asked.sigstore_root,
        smime_ca=asked.smime_ca,
        openpgp=asked.openpgp,
    )
    try:
        found = load_trust(asked.anchors, None, asked.bundle)
    except UnavailableError as error:
        raise UnavailableError(error.message, hint="name the pinned root certificates: notme.anchor") from None
    return replace(found, foreign=roots)


def _seen(repo: Repository, update: Update) -> Update:
    """The update without its old tip where that was never fetched: nothing can be compared with it then."""
    try:
        if update.old is not None:
            repo.read(update.old)
    except UnavailableError:
        return replace(update, old=None)
    return update


def _input() -> bytes:
    """What git writes to the hook, bounded; one byte too many is refused by who parses it."""
    return sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)


def _chain(then: Path | None, words: Sequence[str], data: bytes) -> int:
    """Run the hook that was there before ours, as git would; returns its exit status."""
    if then is None:
        return ACCEPTED
    path = os.path.abspath(then)
    if not os.access(path, os.X_OK):
        # git passes over a hook that may not be executed, and says so.
        _say(f"the hook {then} was ignored because it is missing or not set as executable")
        return ACCEPTED
    try:
        done = subprocess.run([path, *words], input=data, check=False)
    except OSError as error:
        raise UnavailableError(f"the hook {then} cannot be run: {error.strerror}") from None
    return done.returncode if done.returncode >= 0 else 128 - done.returncode
