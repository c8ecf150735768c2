"""What git executes in place of gpgsm, gpg or ssh-keygen: hands one call to the daemon and relays the answer.

`notme-git setup` writes this file's text, with the settings below filled in, to `<home>/bin` (`shimfile`). It is
on the path of every signature and costs more than the signature does, so it imports nothing that Python has to
read from disk: no `os`, no `socket`; and it is a module, because compiling it takes a fifth of its time and Python
keeps compiled modules. What it keeps to:

* stdout is the signature's, the status descriptor git's; it says nothing on its own but why there is no signature.
* A server that runs as another user is never spoken to.
* It writes only when it has the whole answer. Whatever fails before, the call goes to `python -m notme_git`, which
  starts a daemon or signs in its own process; inside a sandbox it ends there, because nothing else may sign.
* Whatever fails, the exit status is not 0, and git makes no commit.
* With `setup --auto` a call without an agent's marks is the human's own, but for one that names an agent's key.
"""

import _socket
import posix
import sys

# BEGIN SETTINGS
PYTHON = ""
HOME = ""
NAMES: tuple[str, ...] = ()
MARKS: tuple[str, ...] = ()
SANDBOXED = False
# END SETTINGS

VERSION = 1
MARKED = b" notme:"
LIMIT = 20 * 1024 * 1024
PATIENCE = 20  # seconds; a keyring may be asked twice, and has five for each
_CODEC = sys.getfilesystemencoding()


def main(name: str, words: list[str]) -> int:
    """One call by git, `name` being what git called; returns the exit status."""
    dialect, automatic = _dialect(name)
    environ = {_text(k): _text(v) for k, v in posix.environ.items()}
    call = _call(dialect, words)
    marked = any(mark in environ for mark in MARKS)
    if call is None or (automatic and _signs(words) and not marked and not _names_agent(words)):
        return _elsewhere(name, dialect, automatic, words, environ, None, "--own" if automatic else "")
    paths, piped = call
    stdin = None
    try:
        server = _connect(environ, name)
        stdin = _read(0) if piped else None
        spoken = "auto-" + dialect if automatic else dialect
        server.sendall(_request(spoken, words, environ, stdin or b"", paths))
        status, events = _answer(server)
    except (OSError, ValueError) as error:
        if SANDBOXED:
            reason = f"notme-git: the broker outside this sandbox does not answer: {error}\n".encode()
            _put(2, past_git(reason, words))
            return 2
        # One that takes calls and does not answer is not asked a second time: git has waited long enough.
        hangs = isinstance(error, BlockingIOError)
        return _elsewhere(name, dialect, automatic, words, environ, stdin, "--alone" if hangs else "")
    if status == b"own":
        return _elsewhere(name, dialect, automatic, words, environ, stdin, "--own")
    for where, data in zip(events[::2], events[1::2], strict=True):
        if where == b"said":
            where, data = b"2", past_git(data, words, made=True)
        elif where == b"2" and status != b"0":
            data = past_git(data, words)
        _write(words, where, data)
    return int(status)


def _dialect(name: str) -> tuple[str, bool]:
    base = name.rsplit("/", 1)[-1]
    dialect = "ssh-keygen" if "ssh" in base else "gpgsm" if "x509" in base or "gpgsm" in base else "gpg"
    return dialect, "auto" in base


def _call(dialect: str, words: list[str]) -> tuple[list[str], bool] | None:
    """The files to send along and whether stdin belongs to the call; None for what the daemon does not answer."""
    if dialect != "ssh-keygen":
        if "-bsau" in words:
            return [], True
        return (words[-2:-1], True) if "--verify" in words and words[-1] == "-" and not SANDBOXED else None
    operation = words[1] if words[:1] == ["-Y"] and len(words) > 1 else ""
    if operation == "sign":
        return [*_after("-f", words), *words[-1:]], False
    if operation in ("verify", "check-novalidate", "find-principals") and not SANDBOXED:
        return [*_after("-s", words), *_after("-r", words)], operation != "find-principals"
    return None


def _names_agent(words: list[str]) -> bool:
    """Whether a call to sign is with the key of one of our agents, or with a file that says so."""
    for key in (*_after("-bsau", words), *_after("-f", words)):
        try:
            if key[:6] == "notme:" or ("-bsau" not in words and MARKED in _content(key)):
                return True
        except (OSError, ValueError):
            continue
    return False


def _signs(words: list[str]) -> bool:
    return "-bsau" in words or words[:2] == ["-Y", "sign"]


def _after(option: str, words: list[str]) -> list[str]:
    return [words[i + 1] for i in range(len(words) - 1) if words[i] == option]


def _connect(environ: dict[str, str], name: str) -> "_socket.socket":
    path = environ.get("NOTME_SOCKET", "")
    if not path and SANDBOXED:
        path = name.rpartition("/")[0] + "/sock"
    if not path:
        descriptor = posix.open(environ.get("NOTME_HOME", HOME) + "/daemon/address", posix.O_RDONLY | posix.O_CLOEXEC)
        path = _text(_read(descriptor))
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    wait = PATIENCE.to_bytes(8, sys.byteorder) + bytes(8)
    server.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, wait)
    server.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, wait)
    server.connect(path)
    if not SANDBOXED and _peer(server) != posix.getuid():
        raise ValueError("it runs as another user")
    return server


def _peer(server: "_socket.socket") -> int:
    if sys.platform == "darwin":
        return int.from_bytes(server.getsockopt(0, 1, 76)[4:8], sys.byteorder)  # LOCAL_PEERCRED, struct xucred
    return int.from_bytes(server.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 12)[4:8], sys.byteorder)


def _request(dialect: str, words: list[str], environ: dict[str, str], stdin: bytes, paths: list[str]) -> bytes:
    files: list[bytes] = []
    for path in paths:
        try:
            files += [_bytes(path), _content(path)]
        except OSError:
            continue
        # A key file may hold the user's private key: of it nothing is sent but what names one of our agents.
        if path in _after("-f", words) and MARKED not in files[-1]:
            del files[-2:]
    sent = [_bytes(part) for n in NAMES if n in environ for part in (n, environ[n])]
    argv = [_bytes(word) for word in words]
    body = _pack([dialect.encode(), posix.getcwdb(), stdin, _pack(argv), _pack(sent), _pack(files)])
    return bytes([VERSION]) + len(body).to_bytes(4, "big") + body


def _answer(server: "_socket.socket") -> tuple[bytes, list[bytes]]:
    head = _receive(server, 5)
    if head[0] != VERSION:
        raise ValueError("it speaks another version")
    status, events = _unpack(_receive(server, int.from_bytes(head[1:], "big")))
    return status, _unpack(events)


def _receive(server: "_socket.socket", count: int) -> bytes:
    if count > LIMIT:
        raise ValueError("its answer is too long")
    parts = []
    while count:
        part = server.recv(count)
        if not part:
            raise ValueError("it hung up")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def past_git(reason: bytes, words: list[str], made: bool = False) -> bytes:
    """Tell git's own stderr why there is no signature, or what is odd about the one that was `made`.

    Returns what is left to say on ours. git up to 2.42 reads the stderr of its signing program and shows none of it,
    and no git does of one that succeeded (gpg-interface.c, sign_buffer_gpg).
    """
    if not _signs(words):
        return reason
    try:
        parent = _git()
        told = posix.open(f"/proc/{parent}/fd/2", posix.O_WRONLY | posix.O_APPEND | posix.O_NOCTTY | posix.O_CLOEXEC)
        ours, theirs = posix.fstat(2), posix.fstat(told)
        # git would write over what stands in a file: the offset is its own. One that is ended writes no more.
        # With a signature made it has nothing more to say.
        regular = theirs.st_mode & 0o170000 == 0o100000 and not made and not _is_tag(words)
        if regular or (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino):
            return reason
        _put(told, reason)
    except OSError:
        return reason
    return b"" if made else b"notme-git: not signed, for the reason above\n"


def end_tag(words: list[str]) -> None:
    """After a failure: end the git that would make its tag without the signature that was asked for.

    git up to 2.43.0 takes only a negative number for a failure there, and gets ssh-keygen's exit status
    (builtin/tag.c, do_sign; gpg-interface.c, sign_buffer_ssh). SIGTERM makes it remove what it began.
    """
    try:
        if _is_tag(words):
            posix.kill(_git(), 15)
    except OSError:
        pass


def _is_tag(words: list[str]) -> bool:
    return words[:2] == ["-Y", "sign"] and posix.read(_open(words[-1]), 7) == b"object "


def _git() -> int:
    """The process that called us, where it is git; `OSError` where it is not, or nobody can tell."""
    parent = posix.getppid()
    if _content(f"/proc/{parent}/comm") != b"git\n":
        raise OSError("the caller is not git")
    return parent


def _elsewhere(
    name: str, dialect: str, automatic: bool, words: list[str], environ: dict[str, str], stdin: bytes | None, how: str
) -> int:
    """Become the program that answers without a daemon, with stdin as git gave it."""
    if stdin is not None:
        reader, writer = posix.pipe()
        if not posix.fork():
            posix.close(reader)
            for descriptor in (0, 1, 2):
                posix.close(descriptor)  # git waits for the end of these
            _put(writer, stdin)
            posix._exit(0)
        posix.close(writer)
        posix.dup2(reader, 0)
    if SANDBOXED:
        return _real(name, dialect, words)
    environ.setdefault("NOTME_HOME", HOME)
    spoken = "auto-" + dialect if automatic else dialect
    options = [how] if how else []
    posix.execve(PYTHON, [PYTHON, "-I", "-m", "notme_git", *options, spoken, *words], environ)
    return 2  # never: execve does not return


def _real(name: str, dialect: str, words: list[str]) -> int:
    """In a sandbox: the first program of the dialect's own name on PATH that is not this one."""
    this = posix.stat(name)
    for folder in _text(posix.environ.get(b"PATH", b"")).split(":"):
        path = f"{folder}/{dialect}"
        try:
            found = posix.stat(path)
            if folder[:1] == "/" and (found.st_dev, found.st_ino) != (this.st_dev, this.st_ino):
                posix.execv(path, [path, *words])
        except OSError:
            continue
    reason = f"notme-git: there is no {dialect} in this sandbox, and the broker only signs\n".encode()
    _put(2, past_git(reason, words))
    return 2


def _content(path: str) -> bytes:
    return _read(_open(path))


def _open(path: str) -> int:
    return posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK | posix.O_CLOEXEC)


def _read(descriptor: int) -> bytes:
    parts, left = [], LIMIT
    while left > 0 and (part := posix.read(descriptor, 65536)):
        parts.append(part)
        left -= len(part)
    if left <= 0 and not descriptor:
        raise OverflowError(f"the payload is larger than {LIMIT} bytes")  # what was read cannot be put back
    if left <= 0:
        raise ValueError("its input is too long")
    if descriptor:
        posix.close(descriptor)
    return b"".join(parts)


def _write(words: list[str], where: bytes, data: bytes) -> None:
    if where == b"sig":
        write_beside(words[-1], data)
    else:
        _put(int(where), data)


def write_beside(path: str, signature: bytes) -> None:
    """The file that git reads (gpg-interface.c, sign_buffer_ssh). What another put there is never written through."""
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
    path += ".sig"
    try:
        descriptor = posix.open(path, flags, 0o666)
    except FileExistsError:  # it is not git's, which makes the name up for this call
        posix.unlink(path)
        descriptor = posix.open(path, flags, 0o666)
    _put(descriptor, signature)
    posix.close(descriptor)


def _put(descriptor: int, data: bytes) -> None:
    while data:
        data = data[posix.write(descriptor, data) :]


def _pack(items: list[bytes]) -> bytes:
    return b"".join([len(item).to_bytes(4, "big") + item for item in items])


def _unpack(data: bytes) -> list[bytes]:
    items, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise ValueError("its answer is cut off")
        items.append(data[at + 4 : end])
        at = end
    return items


def _text(data: bytes) -> str:
    return data.decode(_CODEC, "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(_CODEC, "surrogateescape")


def hold_standard_descriptors() -> None:
    """Leave none of them closed: a socket or file of ours would take its number, and then what is written there."""
    for descriptor in (0, 1, 2):
        try:
            posix.fstat(descriptor)
        except OSError:
            posix.open("/dev/null", posix.O_RDONLY)


def run(name: str, words: list[str]) -> None:
    """The process: one call, then the end without what Python does at exit, since nothing is buffered."""
    hold_standard_descriptors()
    try:
        status = main(name, words)
    except OverflowError as refusal:
        posix.write(2, f"notme-git: {refusal}\n".encode())
        status = 1
    except OSError as failure:
        posix.write(2, f"notme-git: {failure}\n".encode())
        status = 2
    if status:
        end_tag(words)
    posix._exit(status)


if __name__ == "__main__":
    run(sys.argv[0], sys.argv[1:])
