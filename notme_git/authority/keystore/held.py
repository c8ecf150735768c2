"""Keys in the memory of this process: those that lie nowhere else, and those that a server read once."""

from __future__ import annotations

from dataclasses import dataclass, field

from attest.errors import UnavailableError
from notme_git.authority.keystore.desktop import KeyringKeys
from notme_git.authority.keystore.encrypted import EncryptedKeys
from notme_git.authority.keystore.files import FileKeys
from notme_git.authority.keystore.private import PrivateKey, checked_name, parse_private_key, taken


@dataclass(frozen=True, slots=True)
class MemoryKeys:
    """Keys as library objects in this process, and nowhere else: they end with it. In any other there are none."""

    authority_id: str
    _keys: dict[str, PrivateKey] = field(default_factory=dict, repr=False)

    def save(self, name: str, pkcs8_der: bytes) -> None:
        """Keep a key. `RefusedError` if the name is taken."""
        if checked_name(name) in self._keys:
            raise taken(name)
        self._keys[name] = parse_private_key(pkcs8_der)

    def private_key(self, name: str) -> PrivateKey:
        """The key itself. `UnavailableError` in a process that does not hold it."""
        if name not in self._keys:
            raise UnavailableError(
                f"the key {name} of this ephemeral authority is in the memory of its daemon, or ended with it",
                hint='make another: notme-git daemon start --ephemeral --human "NAME <ADDRESS>", in another home',
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

    store: FileKeys | EncryptedKeys | KeyringKeys | MemoryKeys
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
