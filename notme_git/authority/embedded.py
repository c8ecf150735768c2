"""The authority on one's own machine: its files, and how it comes into being.

Everything lies in `<home>/authority`, which appears in one rename: killed before it, `init` leaves a folder
`.authority-*` that nothing reads; after it, all is there. `anchors.pem` and `bundle` in it are what the verifier on
this machine goes by; both are copies of what the database holds and are written again when they are behind.
"""

from __future__ import annotations

import os
import secrets
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attest.errors import RefusedError, UnavailableError
from attest.types import Authentication, Epoch, Principal, PrincipalKind, Retirement
from notme_git.authority import kek, keystore
from notme_git.authority.keystore import KeyStore, KeyStoreKind
from notme_git.authority.store import Store

Preference = Literal["auto", "keyring", "file", "encrypted", "memory"]
"""Where the keys of a new authority shall lie (`keystore.choose`)."""

ID_BYTES = 8
"""The authority's id names it in URIs and mail addresses; sixteen hex digits collide by no accident."""


@dataclass(frozen=True, slots=True)
class Authority:
    """An opened authority: its database, its key store, and the epoch in force."""

    directory: Path
    id: str
    store: Store
    keys: KeyStore

    @property
    def epoch(self) -> Epoch:
        """The current epoch."""
        return next(e for e in reversed(self.store.epochs()) if e.retirement is Retirement.CURRENT)

    @property
    def human(self) -> Principal:
        """The human on whose behalf this authority's agents act."""
        human = self.store.principal(self.store.setting("human") or "")
        if human is None and self.store.setting("organization"):
            raise RefusedError(
                "this home's authority is a team's: each of its people lets agents act on its page",
                hint="sign in there from another home: notme-git setup --authority URL --agent AGENT",
            )
        if human is None:
            raise UnavailableError("the authority's database names no human", hint="restore it from a backup")
        return human

    @property
    def url(self) -> str:
        """How statements and certificates name this authority; `.invalid` because nobody answers there (RFC 2606)."""
        return f"https://{self.id}.invalid"


def exists(home: Path) -> bool:
    """Whether `home` holds an authority."""
    return (home / "authority").is_dir()


@contextmanager
def creating(home: Path, preference: Preference, kek_file: str = "") -> Iterator[tuple[Authority, str]]:
    """A new authority being built beside its place, and the key store's warning; moved into place on success.

    `kek_file` holds the key-encryption key of `encrypted` keys, where the environment names none.
    """
    if exists(home):
        raise RefusedError(
            f"there is an authority in {home} already",
            hint="use it as it is (notme-git grant list), or choose another home with NOTME_HOME",
        )
    authority_id = secrets.token_hex(ID_BYTES)
    choice = keystore.choose(preference)
    staging = home / f".authority-{uuid.uuid4().hex}"
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        staging.mkdir(mode=0o700)
    except OSError as error:
        raise UnavailableError(f"cannot write to {home}: {error.strerror}", hint="check NOTME_HOME") from None
    try:
        with Store.create(staging / "authority.db") as store:
            store.set_setting("authority_id", authority_id)
            store.set_setting("key_store", str(choice.kind))
            store.set_setting("key_backend", choice.backend_name)
            keys = keystore.open_store(
                choice.kind, choice.backend_name, staging / "keys", authority_id, lambda: kek.current(kek_file)
            )
            yield Authority(staging, authority_id, store, keys), choice.warning or ""
        _move_into_place(staging, home / "authority")
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def opened(home: Path) -> Iterator[Authority]:
    """The authority in `home`; `UnavailableError` when there is none or it cannot be read."""
    directory = home / "authority"
    if not exists(home):
        raise UnavailableError(
            f"there is no authority in {home}",
            hint=(
                "its agents enrol with one elsewhere, whose page is the place for that (notme-git whoami names it)"
                if (home / "remote" / "authority.json").is_file()
                else 'make one: notme-git init --human "NAME <ADDRESS>", or for a team: notme-git authority init'
            ),
        )
    with Store.open(directory / "authority.db") as store:
        authority_id = store.setting("authority_id")
        kind, backend = store.setting("key_store"), store.setting("key_backend")
        if not authority_id or kind not in tuple(KeyStoreKind):
            raise UnavailableError("the authority's database lacks its settings", hint="restore it from a backup")
        keys = keystore.open_store(
            KeyStoreKind(kind), backend or "", directory / "keys", authority_id, lambda: _kek(directory)
        )
        yield Authority(directory, authority_id, store, keys)


def _kek(directory: Path) -> bytes:
    from notme_git.authority import settings  # what only encrypted keys need is not loaded for others

    return kek.current(settings.read(directory).kek_file)


def principal(authority_id: str, kind: PrincipalKind, name: str, display: str, email: str) -> Principal:
    """A principal of this authority. A human's id holds no name: it is a random UUID."""
    local = str(uuid.uuid4()) if kind is PrincipalKind.HUMAN else name
    return Principal(
        id=f"wimse://{authority_id}.invalid/{kind}/{local}",
        kind=kind,
        name=name,
        display=display,
        email=email,
        authentication=Authentication.SELF_ASSERTED,
    )


def _move_into_place(staging: Path, place: Path) -> None:
    for path in (*staging.iterdir(), staging):
        _sync(path)
    try:
        os.rename(staging, place)
    except OSError as error:
        raise RefusedError(
            f"another authority appeared in {place} meanwhile: {error.strerror}", hint="use that one"
        ) from None
    _sync(place.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
