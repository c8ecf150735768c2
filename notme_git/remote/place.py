"""What a home remembers of an authority elsewhere: `<home>/remote/`.

    authority.json   its URL, its id, the pinned keys and how they were pinned
    anchors.pem      the roots that are pinned, for signing
    bundle           its latest trust bundle, never an older one
    session          who signed in (notme-git login), 0600; the only secret here

First use pins for the signing client alone. What a verifier goes by is pinned by a person who compared the fingerprint:
`notme-git trust add URL --spki`, under `<home>/verifier/`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from attest import home as homes
from attest import trust
from attest.certificate import Anchor, load_pem
from attest.errors import Reason, Step, UnavailableError, VerificationError
from attest.home import ANCHORS, BUNDLE
from attest.trust import Trust
from notme_git import gitconfig
from notme_git.remote.client import Client, parse_url

FOLDER = "remote"
SETTINGS, SESSION = "authority.json", "session"
MAX_SETTINGS_BYTES = 16 * 1024
FIRST_USE, OUT_OF_BAND = "first-use", "out-of-band"


@dataclass(frozen=True, slots=True)
class Remote:
    """An authority that this home's agents enrol with. `spki` are SHA-256 fingerprints in hex of the pinned keys."""

    url: str
    authority: str
    spki: tuple[str, ...]
    pinned: str


@dataclass(frozen=True, slots=True)
class Login:
    """Who signed in on this machine: the session's value, until when (unix seconds), and for whom."""

    session: str = field(repr=False)
    expires_at: int
    display: str
    email: str


def exists(home: Path) -> bool:
    """Whether this home's agents enrol elsewhere."""
    return (home / FOLDER / SETTINGS).is_file()


def read(home: Path) -> Remote:
    """The authority that is remembered; `UnavailableError` for none, or one that cannot be read."""
    return read_record(home / FOLDER)


def read_record(folder: Path) -> Remote:
    """What a folder says whose keys lie in it."""
    data = _read_json(folder / SETTINGS, "notme-git setup --authority URL")
    try:
        return Remote(parse_url(data["url"]), str(data["authority"]), tuple(data["spki"]), str(data["pinned"]))
    except (KeyError, TypeError, ValueError):
        raise UnavailableError(
            f"{folder / SETTINGS} is no record of an authority", hint="notme-git setup --authority URL"
        ) from None


def read_login(home: Path) -> Login | None:
    """Who signed in, None for nobody."""
    path = home / FOLDER / SESSION
    if not path.exists():
        return None
    data = _read_json(path, "sign in again: notme-git login")
    try:
        return Login(str(data["session"]), int(data["expires_at"]), str(data["display"]), str(data["email"]))
    except (KeyError, TypeError, ValueError):
        raise UnavailableError(f"{path} is no session", hint="sign in again: notme-git login") from None


def write_login(home: Path, login: Login) -> None:
    """Remember who signed in."""
    _write(home / FOLDER / SESSION, json.dumps(asdict(login)).encode())


def forget_login(home: Path) -> None:
    """Sign out on this machine."""
    with contextlib.suppress(FileNotFoundError):
        (home / FOLDER / SESSION).unlink()


def read_trust(home: Path) -> Trust:
    """What the signing client holds the authority's answers against."""
    folder = home / FOLDER
    anchors = homes.read_anchors(folder / ANCHORS.name, None, hint="notme-git setup --authority URL")
    return homes.read_bundle(folder / BUNDLE.name, anchors, home, hint="notme-git trust update")


def trust_files(home: Path) -> list[Path]:
    """What `read_trust` reads."""
    return [home / FOLDER / ANCHORS.name, home / FOLDER / BUNDLE.name]


def adopt(home: Path, url: str, client: Client) -> Remote:
    """Enrol this home's agents with the authority at `url` from now on.

    Its keys are those that a person pinned out of band, if one did; else those that it shows now (first use). An
    authority that is remembered already keeps the keys that were pinned then.
    """
    pinned, how = _known(home, url)
    data, bundle = fetch(client, pinned)
    anchors = pinned or bundle.epochs[-1][1]
    assert bundle.bundle is not None
    fingerprints = tuple(anchor.key.spki_sha256.hex() for anchor in anchors)
    found = Remote(url, bundle.bundle.authority_id, fingerprints, how)
    write_trust(home / FOLDER, anchors, data)
    _write(home / FOLDER / SETTINGS, json.dumps(asdict(found), indent=2).encode() + b"\n")
    _share(data, found.authority, home, home / FOLDER)
    return found


def pin(home: Path, client: Client, spki: str) -> Trust:
    """Pin the authority's current key out of band: `spki` is the SHA-256 in hex that a person was given.

    Agents that enrol there go by it, too, where their own pin leads nowhere: so it is after a theft of its keys.
    Raises `VerificationError` where the authority shows another.
    """
    pem = client.fetch("/.well-known/ca-bundle.pem")
    shown = next((a for a in map(Anchor.read, load_pem(pem)) if a.key.spki_sha256.hex() == spki), None)
    if shown is None:
        raise VerificationError(
            Step.CHAIN,
            Reason.ANCHOR_UNKNOWN,
            f"the authority at {client.url} shows no key with the SHA-256 {spki}",
            hint="compare the fingerprint with its operator again (there: notme-git trust export --format spki)",
        )
    data, bundle = fetch(client, (shown,))
    assert bundle.bundle is not None
    anchors, folder = bundle.epochs[-1][1], home / homes.PINNED / bundle.bundle.authority_id
    found = Remote(client.url, bundle.bundle.authority_id, (spki,), OUT_OF_BAND)
    _write(folder / SETTINGS, json.dumps(asdict(found), indent=2).encode() + b"\n")
    write_trust(folder, anchors, data)
    _share(data, found.authority, home, folder)
    if exists(home) and read(home).url == client.url and _bundle_of(home) != data:
        adopt(home, client.url, client)
    return bundle


def _bundle_of(home: Path) -> bytes:
    """What the signing client has, empty where that cannot be read."""
    with contextlib.suppress(OSError), open(home / FOLDER / BUNDLE.name, "rb") as file:
        return file.read()
    return b""


def update(folder: Path, home: Path, client: Client) -> Trust:
    """Fetch the bundle of the authority whose keys lie in `folder`; an older or foreign one changes nothing.

    A new epoch's keys, which the keys before vouch for, are written beside them.
    """
    data, _ = fetch(client, homes.read_anchors(folder / ANCHORS.name, None, hint="notme-git setup --authority URL"))
    found = _take(folder, home, data)
    assert found.bundle is not None
    _share(data, found.bundle.authority_id, home, folder)
    return found


def _take(folder: Path, home: Path, data: bytes) -> Trust:
    anchors = homes.read_anchors(folder / ANCHORS.name, None, hint="notme-git setup --authority URL")
    draft = folder / f"{BUNDLE.name}.{os.getpid()}.new"
    _write(draft, data)
    try:
        found = homes.read_bundle(draft, anchors, home)  # never back: the sequences that were seen before
        write_trust(folder, tuple(dict.fromkeys((*anchors, *found.epochs[-1][1]))), data)
    finally:
        draft.unlink(missing_ok=True)
    return found


def _share(data: bytes, authority: str, home: Path, taken: Path) -> None:
    """Signer and verifiers have keys each and one memory of sequences, by which the others' bundle is an old one now.

    One whose own keys do not vouch for it stays as it is, and says so when it is used.
    """
    for folder in (*homes.pinned_in(home), home / FOLDER):
        with contextlib.suppress(UnavailableError, VerificationError):
            if folder != taken and read_record(folder).authority == authority:
                _take(folder, home, data)


def fetch(client: Client, anchors: Sequence[Anchor]) -> tuple[bytes, Trust]:
    """The authority's current bundle, which these anchors vouch for; without any, its own current key does."""
    data = client.fetch("/trust-bundle")
    if anchors:
        return data, trust.verify_bundle(data, anchors)
    shown = tuple(map(Anchor.read, load_pem(client.fetch("/.well-known/ca-bundle.pem"))))
    return data, trust.verify_bundle(data, shown)


def write_trust(folder: Path, anchors: Sequence[Anchor], bundle: bytes) -> None:
    """Anchors and bundle, each whole or not at all."""
    pem = b"".join(anchor.certificate.public_bytes(Encoding.PEM) for anchor in anchors)
    _write(folder / ANCHORS.name, pem)
    _write(folder / BUNDLE.name, bundle)


def _known(home: Path, url: str) -> tuple[tuple[Anchor, ...], str]:
    """Keys that are pinned for `url` already, and how."""
    for folder in homes.pinned_in(home):
        with contextlib.suppress(UnavailableError):
            if _read_json(folder / SETTINGS, "").get("url") == url:
                return homes.read_anchors(folder / ANCHORS.name, None), OUT_OF_BAND
    if exists(home) and (known := read(home)).url == url:
        return homes.read_anchors(home / FOLDER / ANCHORS.name, None), known.pinned
    return (), FIRST_USE


def _read_json(path: Path, hint: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = json.loads(file.read(MAX_SETTINGS_BYTES))
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}", hint=hint) from None
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise UnavailableError(f"{path} is damaged", hint=hint)
    return data


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        gitconfig.replace_file(path, data, mode=0o600)
    except OSError as error:
        raise UnavailableError(f"cannot write {path}: {error.strerror}", hint="make room or mend it") from None
