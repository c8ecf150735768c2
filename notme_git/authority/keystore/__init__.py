"""Where the authority's private keys lie: in a desktop's keyring, in files, in encrypted files, or in memory alone.

* The place is chosen once, when the authority is made, and recorded; later runs open exactly that one.
  Another one that happens to be available is never used in its stead.
* A key is never silently replaced: `save` refuses a name that exists, and a key that is missing or cannot be
  read is an error. A new key is a new epoch, and that is somebody's decision (design D6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from attest.errors import UnavailableError, UsageError
from notme_git.authority import kek
from notme_git.authority.keystore import desktop
from notme_git.authority.keystore.desktop import KeyringKeys
from notme_git.authority.keystore.encrypted import EncryptedKeys
from notme_git.authority.keystore.files import FileKeys
from notme_git.authority.keystore.held import CachedKeys, MemoryKeys
from notme_git.authority.keystore.private import RESTORE_HINT, PrivateKey, checked_name, parse_private_key

__all__ = [
    "RESTORE_HINT",
    "CachedKeys",
    "Choice",
    "EncryptedKeys",
    "FileKeys",
    "KeyStore",
    "KeyStoreKind",
    "KeyringKeys",
    "MemoryKeys",
    "PrivateKey",
    "choose",
    "open_store",
    "parse_private_key",
]

FILE_WARNING = (
    "The authority's keys are kept in files: anybody who runs programs with this user id can read the keys,"
    " and so can the agents that run as this user."
)

MEMORY_WARNING = "The authority's keys are in the memory of its daemon alone: when that ends, nothing more is signed."

PREFERENCES = ("auto", "keyring", "file", "encrypted", "memory")

KeyStore = FileKeys | EncryptedKeys | KeyringKeys | MemoryKeys | CachedKeys

_memory: dict[str, MemoryKeys] = {}
"""By authority: what this process made with `KeyStoreKind.MEMORY`."""


class KeyStoreKind(StrEnum):
    """The places a key can lie: files, plain or encrypted, a keyring, or the memory of the process that made it."""

    FILE = "file"
    ENCRYPTED = "encrypted"
    KEYRING = "keyring"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Choice:
    """What to record when an authority is made. `backend_name`: module and class, empty for all but a keyring.

    `warning` is a sentence to show, None where there is nothing to warn of.
    """

    kind: KeyStoreKind
    backend_name: str
    warning: str | None


def choose(preference: str) -> Choice:
    """Decide where a new authority's keys shall lie: one of `PREFERENCES`, else `UsageError`.

    `auto` takes a keyring that stores, returns and deletes a probe in time, and files where there is none;
    `keyring` raises `UnavailableError` there.
    """
    match preference:
        case "file":
            return Choice(KeyStoreKind.FILE, "", FILE_WARNING)
        case "encrypted":
            return Choice(KeyStoreKind.ENCRYPTED, "", None)
        case "memory":
            return Choice(KeyStoreKind.MEMORY, "", MEMORY_WARNING)
        case "auto" | "keyring":
            return _choose_keyring(preference)
    hint = f"choose one of {', '.join(PREFERENCES)}"
    raise UsageError(f"{preference[:32]!r} is no place for keys", hint=hint)


def _choose_keyring(preference: str) -> Choice:
    try:
        return Choice(KeyStoreKind.KEYRING, desktop.find_backend(), None)
    except UnavailableError:
        if preference == "keyring":
            raise
        return Choice(KeyStoreKind.FILE, "", FILE_WARNING)


def open_store(
    kind: KeyStoreKind,
    backend_name: str,
    directory: Path,
    authority_id: str,
    find_kek: Callable[[], bytes] = lambda: kek.current(""),
) -> KeyStore:
    """Open the store that was recorded when the authority was made, never another (`UnavailableError`).

    `directory` is used for files only, `backend_name` for the keyring only; `find_kek` is called whenever an
    encrypted key is read or written.
    """
    match kind:
        case KeyStoreKind.FILE:
            return FileKeys(directory)
        case KeyStoreKind.ENCRYPTED:
            return EncryptedKeys(directory, checked_name(authority_id), find_kek)
        case KeyStoreKind.MEMORY:
            return _memory.setdefault(checked_name(authority_id), MemoryKeys(authority_id))
        case KeyStoreKind.KEYRING:
            return desktop.open_keyring(backend_name, authority_id)
