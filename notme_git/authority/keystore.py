"""Where the authority's private keys lie: in a desktop's keyring, or in files.

* The backend is chosen once, when the authority is made, and recorded; later runs open exactly that one.
  Another one that happens to be available is never used in its place.
* A key is never silently replaced: `save` refuses a name that exists, and a key that is missing or cannot be
  read is an error. A new key is a new epoch, and that is somebody's decision (design D6).
* Keyring backends are taken from the list below by module and class. `keyring.get_keyring()` is not asked: it
  follows PYTHON_KEYRING_BACKEND and a configuration file, with which any process of this user could hand us
  a backend of its own.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import os
import re
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from attest.errors import MalformedError, RefusedError, UnavailableError, UsageError

SERVICE = "notme-git"

ALLOWED_BACKENDS = (
    "keyring.backends.macOS.Keyring",
    "keyring.backends.SecretService.Keyring",
    "keyring.backends.kwallet.DBusKeyring",
)
"""They ask the desktop's own keeper, which encrypts; other backends write plain files or go to a network."""

KEYRING_TIMEOUT_S = 5.0
"""For one call. A keeper that waits for a person at a prompt looks like one that hangs; git waits for us."""

MAX_KEY_BYTES = 1024
"""PKCS#8 DER; an Ed25519 key has 48 bytes, a P-256 key with its public half 138."""

_BEGIN, _END = "-----BEGIN PRIVATE KEY-----\n", "-----END PRIVATE KEY-----\n"
MAX_FILE_BYTES = 2 * MAX_KEY_BYTES
"""PEM of `MAX_KEY_BYTES`: base64, line ends and the two boundaries."""

FILE_WARNING = (
    "The authority's keys are kept in files: anybody who runs programs with this user id can read the keys,"
    " and so can the agents that run as this user."
)

RESTORE_HINT = "restore it from a backup, or begin a new epoch with the recovery key: notme-git epoch recover"

MEMORY_WARNING = "The authority's keys are in the memory of its daemon alone: when that ends, nothing more is signed."

PREFERENCES = ("auto", "keyring", "file", "memory")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey
T = TypeVar("T")


class KeyStoreKind(StrEnum):
    """The places a key can lie: files, a keyring, or the memory of the one process that made it."""

    FILE = "file"
    KEYRING = "keyring"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Choice:
    """What to record when an authority is made. `backend_name`: module and class, empty for files.

    `warning` is a sentence to show, None where there is nothing to warn of.
    """

    kind: KeyStoreKind
    backend_name: str
    warning: str | None


class _Backend(Protocol):
    """What is used of a `keyring` backend."""

    def get_password(self, service: str, username: str, /) -> str | None: ...
    def set_password(self, service: str, username: str, password: str, /) -> None: ...
    def delete_password(self, service: str, username: str, /) -> None: ...


@dataclass(frozen=True, slots=True)
class KeyringKeys:
    """Keys in one desktop keyring, base64 of PKCS#8 DER under service `notme-git`, user `AUTHORITY/NAME`."""

    backend: _Backend
    authority_id: str

    def save(self, name: str, pkcs8_der: bytes) -> None:
        """Keep a key. `RefusedError` if the name is taken, `UnavailableError` if it did not stay."""
        user, text = self._user(name), base64.b64encode(_checked_size(pkcs8_der)).decode()

        def store() -> bool:
            if self.backend.get_password(SERVICE, user) is not None:
                raise _taken(name)
            self.backend.set_password(SERVICE, user, text)
            return self.backend.get_password(SERVICE, user) == text

        if not _bounded("keep a key", store):
            raise UnavailableError(
                f"the keyring did not give back the key {name} that was just stored", hint=_UNLOCK_HINT
            )

    def load(self, name: str) -> bytes:
        """The key's PKCS#8 DER. `UnavailableError` if there is none, or not one that `save` wrote."""
        user = self._user(name)
        text = _bounded("read a key", lambda: self.backend.get_password(SERVICE, user))
        if text is None:
            raise UnavailableError(f"the keyring has no key {name} of this authority", hint=RESTORE_HINT)
        der = _decode(text) if len(text) <= MAX_FILE_BYTES else None
        if der is None:
            raise UnavailableError(f"what the keyring has for the key {name} is no key", hint=RESTORE_HINT)
        return der

    def private_key(self, name: str) -> PrivateKey:
        """The key, for one piece of work. `UnavailableError` as `load`, `MalformedError` for what is no key."""
        return parse_private_key(self.load(name))

    def delete(self, name: str) -> None:
        """Remove the key. `UnavailableError` if there is none."""
        user = self._user(name)
        _bounded("delete a key", lambda: self.backend.delete_password(SERVICE, user))

    def _user(self, name: str) -> str:
        return f"{self.authority_id}/{_checked_name(name)}"


@dataclass(frozen=True, slots=True)
class FileKeys:
    """Keys as `NAME.pem` (PKCS#8, RFC 7468 section 10), 0600, in a directory of 0700 that `save` makes."""

    directory: Path

    def save(self, name: str, pkcs8_der: bytes) -> None:
        """Keep a key under `name`, on disk when this returns. `RefusedError` if the name is taken.

        The file appears under its name when it is complete. A hard link, unlike a rename, never replaces.
        """
        final = _file_name(name)
        text = _pem(_checked_size(pkcs8_der))
        unfinished = f".{final}.{secrets.token_hex(8)}"
        with _file_errors(self.directory / final):
            self.directory.mkdir(mode=0o700, exist_ok=True)
            with self._opened_directory() as folder:
                try:
                    _write(unfinished, text, folder)
                    os.link(unfinished, final, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
                except FileExistsError:
                    raise _taken(name) from None
                finally:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(unfinished, dir_fd=folder)
                os.fsync(folder)

    def load(self, name: str) -> bytes:
        """The key's PKCS#8 DER. `UnavailableError` if it is missing, damaged, or open to another user."""
        path = self.directory / _file_name(name)
        with _file_errors(path), self._opened_directory() as folder:
            # O_NONBLOCK: opening a FIFO would wait for its writer. It is refused below.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(path.name, flags, dir_fd=folder)
            with open(descriptor, "rb") as file:
                _check_private(os.fstat(descriptor), path, stat.S_ISREG, "regular file")
                text = file.read(MAX_FILE_BYTES + 1)
        der = _parse_pem(text)
        if der is None:
            raise UnavailableError(f"{path} is no private key that this program wrote", hint=RESTORE_HINT)
        return der

    def private_key(self, name: str) -> PrivateKey:
        """The key, for one piece of work. `UnavailableError` as `load`, `MalformedError` for what is no key."""
        return parse_private_key(self.load(name))

    def delete(self, name: str) -> None:
        """Remove the key. `UnavailableError` if there is none."""
        path = self.directory / _file_name(name)
        with _file_errors(path), self._opened_directory() as folder:
            os.unlink(path.name, dir_fd=folder)
            os.fsync(folder)

    @contextlib.contextmanager
    def _opened_directory(self) -> Iterator[int]:
        """A checked descriptor of the directory; what follows goes by it and not by the path."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        folder = os.open(self.directory, flags)
        try:
            _check_private(os.fstat(folder), self.directory, stat.S_ISDIR, "directory")
            yield folder
        finally:
            os.close(folder)


@dataclass(frozen=True, slots=True)
class MemoryKeys:
    """Keys as library objects in this process, and nowhere else: they end with it. In any other there are none."""

    authority_id: str
    _keys: dict[str, PrivateKey] = field(default_factory=dict, repr=False)

    def save(self, name: str, pkcs8_der: bytes) -> None:
        """Keep a key. `RefusedError` if the name is taken."""
        if _checked_name(name) in self._keys:
            raise _taken(name)
        self._keys[name] = parse_private_key(pkcs8_der)

    def private_key(self, name: str) -> PrivateKey:
        """The key itself. `UnavailableError` in a process that does not hold it."""
        if name not in self._keys:
            raise UnavailableError(
                f"the key {name} of this ephemeral authority is in the memory of its daemon, or ended with it",
                hint="make another: notme-git daemon start --ephemeral --human \"NAME <ADDRESS>\", in another home",
            )
        return self._keys[name]

    def delete(self, name: str) -> None:
        """Forget the key."""
        self._keys.pop(name, None)

    def forget(self) -> None:
        """Forget every key."""
        self._keys.clear()


@dataclass(frozen=True, slots=True)
class CachedKeys:
    """Another store, whose keys a server keeps as library objects from their first use on."""

    store: FileKeys | KeyringKeys | MemoryKeys
    _keys: dict[str, PrivateKey] = field(default_factory=dict, repr=False)

    def save(self, name: str, pkcs8_der: bytes) -> None:
        """See the store."""
        self.store.save(name, pkcs8_der)

    def private_key(self, name: str) -> PrivateKey:
        """The key, read once."""
        if name not in self._keys:
            self._keys[name] = self.store.private_key(name)
        return self._keys[name]

    def delete(self, name: str) -> None:
        """Forget it here and there."""
        self._keys.pop(name, None)
        self.store.delete(name)


KeyStore = FileKeys | KeyringKeys | MemoryKeys | CachedKeys

_memory: dict[str, MemoryKeys] = {}
"""By authority: what this process made with `KeyStoreKind.MEMORY`."""


def parse_private_key(pkcs8_der: bytes) -> PrivateKey:
    """The Ed25519 or elliptic curve key in PKCS #8; `MalformedError` for anything else."""
    try:
        key = load_der_private_key(pkcs8_der, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
        raise MalformedError("what is kept is no private key of ours", hint=RESTORE_HINT)
    return key


def choose(preference: str) -> Choice:
    """Decide where a new authority's keys shall lie: `auto`, `keyring`, `file` or `memory`, else `UsageError`.

    `auto` takes a keyring that stores, returns and deletes a probe in time, and files where there is none;
    `keyring` raises `UnavailableError` there.
    """
    if preference not in PREFERENCES:
        hint = f"choose one of {', '.join(PREFERENCES)}"
        raise UsageError(f"{preference[:32]!r} is no place for keys", hint=hint)
    if preference == "file":
        return Choice(KeyStoreKind.FILE, "", FILE_WARNING)
    if preference == "memory":
        return Choice(KeyStoreKind.MEMORY, "", MEMORY_WARNING)
    failures: list[str] = []
    for name in ALLOWED_BACKENDS:
        try:
            _bounded("try the keyring", lambda name=name: _probe(_load_backend(name)))  # type: ignore[misc]
        except UnavailableError as error:
            failures.append(f"{name}: {error.message}")
        else:
            return Choice(KeyStoreKind.KEYRING, name, None)
    if preference == "auto":
        return Choice(KeyStoreKind.FILE, "", FILE_WARNING)
    raise UnavailableError(
        f"no usable keyring ({'; '.join(failures)})",
        hint="unlock the keyring of this desktop, or keep the keys in files",
    )


def open_store(kind: KeyStoreKind, backend_name: str, directory: Path, authority_id: str) -> KeyStore:
    """Open the store that was recorded when the authority was made, never another (`UnavailableError`).

    `directory` is used for files only; `backend_name` and `authority_id` for the keyring only.
    """
    if kind is KeyStoreKind.FILE:
        return FileKeys(directory)
    if kind is KeyStoreKind.MEMORY:
        return _memory.setdefault(_checked_name(authority_id), MemoryKeys(authority_id))
    if backend_name not in ALLOWED_BACKENDS:
        raise UnavailableError(
            f"the recorded keyring backend {backend_name!r} is none that keys are entrusted to",
            hint="restore the authority's settings from a backup",
        )
    backend = _bounded("open the keyring", lambda: _load_backend(backend_name))
    return KeyringKeys(backend, _checked_name(authority_id))


_UNLOCK_HINT = "unlock the keyring of this desktop and try again"


def _load_backend(name: str) -> _Backend:
    """Import, ask whether it works here, and make the backend. Slow: 60 ms and a round trip on D-Bus."""
    module, _, kind = name.rpartition(".")
    backend_class = getattr(importlib.import_module(module), kind)
    backend_class.priority  # noqa: B018  # a property of the class that raises where the backend cannot work
    backend: _Backend = backend_class()
    return backend


def _probe(backend: _Backend) -> None:
    user, text = f"probe/{secrets.token_hex(8)}", secrets.token_hex(16)
    backend.set_password(SERVICE, user, text)
    if backend.get_password(SERVICE, user) != text:
        raise UnavailableError("it does not keep what it is given", hint=_UNLOCK_HINT)
    backend.delete_password(SERVICE, user)
    if backend.get_password(SERVICE, user) is not None:
        raise UnavailableError("it keeps what was deleted", hint=_UNLOCK_HINT)


def _bounded(action: str, call: Callable[[], T]) -> T:
    """Run `call` for at most `KEYRING_TIMEOUT_S`. What it raises becomes `UnavailableError`; our own stay.

    A call that hangs keeps its daemon thread; nothing can end a thread that waits for D-Bus.
    """
    result: list[T] = []
    failure: list[Exception] = []

    def run() -> None:
        try:
            result.append(call())
        except Exception as error:  # backends raise what their libraries raise, of no common class
            failure.append(error)

    worker = threading.Thread(target=run, name="keyring", daemon=True)
    worker.start()
    worker.join(KEYRING_TIMEOUT_S)
    if failure:
        if isinstance(failure[0], UnavailableError | RefusedError):
            raise failure[0]
        raise UnavailableError(
            f"could not {action}: {type(failure[0]).__name__}: {failure[0]}", hint=_UNLOCK_HINT
        ) from failure[0]
    if not result:
        raise UnavailableError(
            f"could not {action}: the keyring did not answer within {KEYRING_TIMEOUT_S:g} s",
            hint=_UNLOCK_HINT,
        )
    return result[0]


def _write(name: str, text: bytes, folder: int) -> None:
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
    with open(descriptor, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _check_private(found: os.stat_result, path: Path, is_kind: Callable[[int], bool], kind: str) -> None:
    if not is_kind(found.st_mode):
        raise UnavailableError(f"{path} is no {kind}", hint=RESTORE_HINT)
    if found.st_uid != os.geteuid():
        raise UnavailableError(
            f"{path} belongs to user {found.st_uid}, not to the one who runs this", hint=RESTORE_HINT
        )
    if found.st_mode & 0o077:
        raise UnavailableError(
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}, so others may have read the keys",
            hint="find out who could read it; if nobody did, take the rights away with chmod go=",
        )


@contextlib.contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"cannot use the key file {path}: {error.strerror}", hint=RESTORE_HINT
        ) from None


def _pem(der: bytes) -> bytes:
    """RFC 7468 section 3: 64 signs a line, here and always."""
    text = base64.b64encode(der).decode()
    lines = "".join(f"{text[at : at + 64]}\n" for at in range(0, len(text), 64))
    return f"{_BEGIN}{lines}{_END}".encode()


def _parse_pem(text: bytes) -> bytes | None:
    """The DER in exactly the form `_pem` writes, else None."""
    body = text.removeprefix(_BEGIN.encode()).removesuffix(_END.encode()).replace(b"\n", b"")
    der = _decode(body.decode("latin-1"))
    return der if der is not None and _pem(der) == text else None


def _decode(text: str) -> bytes | None:
    """Base64 of 1 to `MAX_KEY_BYTES` bytes that encodes back to itself, else None."""
    try:
        der = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return der if 0 < len(der) <= MAX_KEY_BYTES and base64.b64encode(der).decode() == text else None


def _checked_size(der: bytes) -> bytes:
    if not 0 < len(der) <= MAX_KEY_BYTES:
        raise UsageError(f"a key of {len(der)} bytes; keys have at most {MAX_KEY_BYTES}")
    return der


def _checked_name(name: str) -> str:
    """Names become parts of paths and of keyring entries: no `/`, no dot in front."""
    if not _NAME.fullmatch(name):
        hint = "use lower-case letters, digits, '.', '_' and '-'"
        raise UsageError(f"{name[:64]!r} cannot name a key", hint=hint)
    return name


def _file_name(name: str) -> str:
    return f"{_checked_name(name)}.pem"


def _taken(name: str) -> RefusedError:
    return RefusedError(f"there is a key {name} already", hint="it stays as it is: a new key is a new epoch")
