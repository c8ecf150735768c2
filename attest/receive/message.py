"""What a commit message claims, held against who is configured to sign the commit: before the commit is made.

Nothing is proven at that point. Who signs is read from git's configuration (`user.signingkey`, `commit.gpgsign`), and
what comes of it is what `contradictions` will say of the finished commit.
"""

from __future__ import annotations

import re
from pathlib import Path

from attest import contradictions, gitobject
from attest.errors import UnavailableError, UsageError
from attest.gitobject import Commit, Ident
from attest.repository import Repository
from attest.types import Assurance, Authentication, Contradiction, Identity, Principal, PrincipalKind

MAX_MESSAGE_BYTES = 1024 * 1024
"""Of a message with the diff below the scissors (`commit -v`); what is cut there by this limit is no message."""

_AGENT, _AUTO = "notme:", "notme.auto"
_OF_THE_REPRESENTED = frozenset({contradictions.FOR_OTHER})
_SCISSORS = re.compile(rb"^\S{1,8} -{24} >8 -{24}$", re.MULTILINE)


def check(repo: Repository, path: Path) -> tuple[Contradiction, ...]:
    """What the message in `path`, as git hands it to its commit-msg hook, says against who will sign."""
    key, gpgsign = _setting(repo, "user.signingkey"), _setting(repo, "commit.gpgsign", "--bool") == "true"
    author, committer = _ident(repo, "GIT_AUTHOR_IDENT"), _ident(repo, "GIT_COMMITTER_IDENT")
    tree = b"0" * repo.object_format.hex_length
    head = b"tree %b\nauthor %b\ncommitter %b\n\n" % (tree, author, committer)
    parsed = gitobject.parse_commit(head + _message(repo, path), repo.object_format)
    if key.startswith(_AGENT):
        found = contradictions.find(parsed, _agent(key, parsed), signed=True)
        return tuple(each for each in found if each.code not in _OF_THE_REPRESENTED)
    # With `setup --auto` it shows in the process that signs, whether that is an agent.
    auto = _setting(repo, _AUTO, "--bool") == "true"
    return contradictions.find(parsed, None if auto else _human(parsed.committer), signed=auto or gpgsign)


def _message(repo: Repository, path: Path) -> bytes:
    """The message as git will keep it, without comments and what is below the scissors."""
    try:
        with open(path, "rb") as file:
            text = file.read(MAX_MESSAGE_BYTES)
    except OSError as error:
        raise UnavailableError(f"cannot read the message {path}: {error.strerror}") from None
    cut = _SCISSORS.search(text)
    done = repo.git("stripspace", "--strip-comments", stdin=text[: cut.start()] if cut else text)
    return done.stdout


def _setting(repo: Repository, name: str, *how: str) -> str:
    done = repo.git("config", *how, "--get", name)
    if done.returncode > 1:
        raise UsageError(f"git's configuration of {name} makes no sense", hint=f"git config --show-origin {name}")
    return done.stdout.decode("utf-8", "replace").strip()


def _ident(repo: Repository, which: str) -> bytes:
    done = repo.git("var", which)
    if done.returncode:
        raise UnavailableError("git does not know who commits", hint="git config user.name and user.email say it")
    return done.stdout.strip()


def _agent(key: str, parsed: Commit) -> Identity:
    """The agent that `notme:AGENT[:PROFILE]` names; AGENT may be ORCHESTRATOR/CHILD."""
    names = key.removeprefix(_AGENT).partition(":")[0].split("/")
    actor = _principal(PrincipalKind.AGENT, names[-1], names[-1], parsed.committer.email)
    delegator = _principal(PrincipalKind.AGENT, names[0], names[0], "") if len(names) > 1 else None
    return _identity(actor, delegator)


def _human(committer: Ident) -> Identity:
    return _identity(_principal(PrincipalKind.HUMAN, "", committer.name, committer.email), None)


def _principal(kind: PrincipalKind, name: str, display: str, email: str) -> Principal:
    return Principal("", kind, name, display, email, Authentication.SELF_ASSERTED)


def _identity(actor: Principal, delegator: Principal | None) -> Identity:
    """As a certificate would name them. Whom an agent represents, no configuration says."""
    return Identity(
        actor=actor,
        represented=None,
        grant_id="",
        grant_sha256=b"",
        scopes=(),
        epoch=0,
        assurance=Assurance.SAME_USER,
        certificate_sha256=b"",
        payload_unchecked=False,
        delegator=delegator,
        ci=(),
    )
