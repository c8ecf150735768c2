"""One call by git without the shim: `notme-git gpgsm|gpg|ssh-keygen ARGS...`, and what the shim falls back to.

A call of ours goes to the daemon, which is started if need be; no daemon to be had, it is answered in this process,
in the same form and with the same exit status. Every other call becomes the program that git was configured with
before us, with the same arguments, descriptors and environment; no home is needed for that.

This is on the path of everything that is passed on, so what only we need is imported when we need it.
"""

from __future__ import annotations

import os
import sys

from notme_git import gpg, ssh
from notme_git.daemon.protocol import AUTO, SAID, SIGNATURE_FILE, Reply, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from notme_git.config import Config

DIALECTS: dict[str, ModuleType] = {"gpgsm": gpg, "gpg": gpg, "ssh-keygen": ssh}
NAMES = (*DIALECTS, *(AUTO + name for name in DIALECTS))
OWN = "--own"
"""Says that the call was found to be not for us already."""

ALONE = "--alone"
"""Says that there is a daemon, which does not answer."""

MAX_INPUT_BYTES = 20 * 1024 * 1024


def run(name: str, words: Sequence[str], *, how: str = "") -> int:
    """One call in the dialect `name`. Returns the exit status: 0, 1 refused, 2 could not, 64 usage."""
    from attest.errors import INTERRUPTED, as_error, exit_status
    from notme_git.config import Config

    dialect = DIALECTS[name.removeprefix(AUTO)]
    call = dialect.Call(words)
    stdin: bytes | None = None
    try:
        config = Config.find()
        if config is None or how == OWN or not _concerns(name, call, config):
            return _pass_on(name, words, call, config, None)
        stdin = _read_stdin() if call.piped else None
        request = _request(name, words, call, config, stdin or b"")
        reply = _answer_here(request, config) if how == ALONE else _ask(request, config)
        if reply.status is None:
            return _pass_on(name, words, call, config, stdin)
        _apply(reply, words)
        return int(reply.status)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as exception:
        error = as_error(exception)
        _apply(Reply(exit_status(error), tuple(dialect.failure(call, error))), words)
        return exit_status(error)


def _concerns(name: str, call: gpg.Call | ssh.Call, config: Config) -> bool:
    """Whether the call can be ours: it names an agent, an agent makes it, or a home can know the signature."""
    if not call.mode:
        return False
    if call.mode != "sign":
        return _knows(config) or _claimed(name, call)
    if _key(call).startswith("notme:"):
        return True
    if name.startswith(AUTO):
        from notme_git import agents

        return agents.choose(config.environ) is not None
    return False


def _knows(config: Config) -> bool:
    """Whether the home can know a signature: it has an authority, or anchors that were pinned."""
    return any((config.home / name).is_dir() for name in ("authority", "verifier/authorities"))


def _key(call: gpg.Call | ssh.Call) -> str:
    return call.key if isinstance(call, gpg.Call) else ssh.key_name(call.key, _read_file(call.key))


def _claimed(name: str, call: gpg.Call | ssh.Call) -> bool:
    """Whether an agent's signature is to be verified: no other program could say more of it than that it is bad."""
    armour = next((_read_file(path) for path in call.paths), None)
    return armour is not None and bool(DIALECTS[name.removeprefix(AUTO)].carries_claims(armour))


def _request(
    name: str, words: Sequence[str], call: gpg.Call | ssh.Call, config: Config, stdin: bytes
) -> Request:
    from notme_git import agents, shim, shimfile

    sent = (*shimfile.SENT, *agents.MARK_NAMES)
    contents = {path: _read_file(path) for path in call.paths}
    if isinstance(call, ssh.Call) and call.mode == "sign" and shim.MARKED not in (contents[call.key] or b""):
        contents[call.key] = None  # it may be the user's private key, and is none of ours
    return Request(
        dialect=name,
        argv=tuple(words),
        environ={n: config.environ[n] for n in sent if n in config.environ},
        cwd=os.getcwd(),
        stdin=stdin,
        files={path: content for path, content in contents.items() if content is not None},
    )


def _ask(request: Request, config: Config) -> Reply:
    """The daemon's answer, or our own where no daemon can be had."""
    from attest.errors import UnavailableError
    from notme_git.daemon import client

    try:
        return client.ask(config.home, request, environ=config.environ, python=config.python)
    except UnavailableError as error:
        if not client.may_sign_here(config.environ):
            raise
        if error.hint:
            sys.stderr.write(f"notme-git: {error.message}; {error.hint}\n")
            sys.stderr.flush()
        return _answer_here(request, config)


def _answer_here(request: Request, config: Config) -> Reply:
    from notme_git.config import environment
    from notme_git.daemon import hardening
    from notme_git.daemon.credential import Signer
    from notme_git.remote import ambient, source
    from notme_git.tsa.always import Always

    hardening.harden()
    ambient.keep(os.environ)
    dialect = DIALECTS[request.dialect.removeprefix(AUTO)]
    with source.opened(config.home) as opening:
        reply: Reply = dialect.answer(
            request, Signer(config.home, opening, Always.of(config.home, environment())), os.getpid(), config.at
        )
        return reply


def _pass_on(
    name: str, words: Sequence[str], call: gpg.Call | ssh.Call, config: Config | None, stdin: bytes | None
) -> int:
    """Become the program that was there before us, or that PATH has; it gets what was read of `stdin`."""
    from attest.errors import UnavailableError
    from notme_git import previous
    from notme_git.config import environment

    usual = name.removeprefix(AUTO)
    if name.startswith(AUTO) and config is not None and call.mode == "sign":
        from notme_git import auto
        from notme_git.gitconfig import GitConfig

        if not auto.human_signs(GitConfig.find(config.environ)):
            stdin = _read_stdin() if stdin is None and call.piped else stdin
            payload = stdin if call.piped else _read_file(call.files[0])
            if auto.unsigned_as_before(call, _key(call), payload or b""):
                return 0
        if isinstance(call, ssh.Call):
            auto.check_key(_read_file(call.key))
    environ = environment() if config is None else config.environ
    program = previous.program(None if config is None else config.home, usual, environ=environ)
    if program is None:
        raise UnavailableError(
            f"this call is not for notme-git, and there is no {usual} to make it",
            hint=f"notme-git setup remembers the program that was configured; {usual} is the usual one",
        )
    if stdin is not None:
        _give_back(stdin)
    os.execve(program, [program, *words], previous.environment(environ, program))
    return 2  # never: execve does not return


def _give_back(stdin: bytes) -> None:
    """Make stdin what it was before it was read."""
    import tempfile

    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.flush()
        file.seek(0)
        os.dup2(file.fileno(), 0)


def _apply(reply: Reply, words: Sequence[str]) -> None:
    from notme_git import shim

    for where, data in reply.events:
        if where == SIGNATURE_FILE:
            shim.write_beside(words[-1], data)
        elif where == SAID:
            _write(2, shim.past_git(data, list(words), made=True))
        elif where == "2" and reply.status:
            _write(2, shim.past_git(data, list(words)))
        else:
            _write(int(where), data)
    if reply.status:
        shim.end_tag(list(words))


def _read_stdin() -> bytes:
    from attest.errors import MalformedError

    content = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    if len(content) > MAX_INPUT_BYTES:
        raise MalformedError(f"the payload is larger than {MAX_INPUT_BYTES} bytes")
    return content


def _read_file(path: str) -> bytes | None:
    """A bounded read of a file that an argument names; None for what cannot be read, or is larger."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            content = file.read(MAX_INPUT_BYTES + 1)
    except (OSError, ValueError):
        return None
    return content if len(content) <= MAX_INPUT_BYTES else None


def _write(descriptor: int, data: bytes) -> None:
    """All of `data`, past Python's own buffers: what they kept would be written again at exit."""
    while data:
        data = data[os.write(descriptor, data) :]
