"""Keys in a desktop's keyring.

Backends are taken from the list below by module and class. `keyring.get_keyring()` is not asked: it follows
PYTHON_KEYRING_BACKEND and a configuration file, with which any process of this user could hand us a backend of its
own.
"""

from __future__ import annotations

import base64
import importlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from attest.errors import RefusedError, UnavailableError
from notme_git.authority.keystore.private import (
    MAX_FILE_BYTES,
    RESTORE_HINT,
    PrivateKey,
    checked_name,
    checked_size,
    decode,
    parse_private_key,
    taken,
)

SERVICE = "notme-git"

ALLOWED_BACKENDS = (
    "keyring.backends.macOS.Keyring",
    "keyring.backends.SecretService.Keyring",
    "keyring.backends.kwallet.DBusKeyring",
)
"""They ask the desktop's own keeper, which encrypts; other backends write plain files or go to a network."""

KEYRING_TIMEOUT_S = 5.0
"""For one call. A keeper that waits for a person at a prompt looks like one that hangs; git waits for us."""

_UNLOCK_HINT = "unlock the keyring of this desktop and try again"
T = TypeVar("T")


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
        user, text = self._user(name), base64.b64encode(checked_size(pkcs8_der)).decode()

        def store() -> bool:
            if self.backend.get_password(SERVICE, user) is not None:
                raise taken(name)
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
        der = decode(text) if len(text) <= MAX_FILE_BYTES else None
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
        return f"{self.authority_id}/{checked_name(name)}"


def find_backend() -> str:
    """The first backend allowed that stores, returns and deletes a probe in time; `UnavailableError` says why none."""
    failures: list[str] = []
    for name in ALLOWED_BACKENDS:
        try:
            _bounded("try the keyring", lambda name=name: _probe(_load_backend(name)))  # type: ignore[misc]
        except UnavailableError as error:
            failures.append(f"{name}: {error.message}")
        else:
            return name
    raise UnavailableError(
        f"no usable keyring ({'; '.join(failures)})",
        hint="unlock the keyring of this desktop, or keep the keys in files",
    )


def open_keyring(backend_name: str, authority_id: str) -> KeyringKeys:
    """The keys of an authority in the backend that was recorded (`UnavailableError` where it is none of ours)."""
    if backend_name not in ALLOWED_BACKENDS:
        raise UnavailableError(
            f"the recorded keyring backend {backend_name!r} is none that keys are entrusted to",
            hint="restore the authority's settings from a backup",
        )
    backend = _bounded("open the keyring", lambda: _load_backend(backend_name))
    return KeyringKeys(backend, checked_name(authority_id))


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
