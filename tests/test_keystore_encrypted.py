"""Keys encrypted under a key-encryption key: what opens them, what does not, and how that key is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import RefusedError, UnavailableError, UsageError
from notme_git.authority import kek, keystore
from notme_git.authority.keystore import CachedKeys, EncryptedKeys, KeyStoreKind, encrypted
from notme_git.config import Config
from tests.disk import count, kill_at

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).private_bytes(
    Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
)
OLD, NEW = b"o" * 32, b"n" * 32
NAMES = ("epoch-1-interop", "epoch-1-root", "epoch-1-tsa")


@pytest.fixture(autouse=True)
def _no_kek(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kek, "_held", [])
    monkeypatch.delenv(kek.VARIABLE, raising=False)
    monkeypatch.delenv(kek.FILE_VARIABLE, raising=False)


def keys(directory: Path, under: bytes = OLD, authority_id: str = "a1b2") -> EncryptedKeys:
    opened = keystore.open_store(KeyStoreKind.ENCRYPTED, "", directory, authority_id, lambda: under)
    assert isinstance(opened, EncryptedKeys)
    return opened


def test_a_key_comes_back_and_its_file_holds_nothing_of_it(tmp_path: Path) -> None:
    store = keys(tmp_path / "keys")
    store.save("epoch-1-root", KEY)
    path = tmp_path / "keys" / "epoch-1-root.key"
    assert store.load("epoch-1-root") == KEY
    assert KEY[-16:] not in path.read_bytes()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with pytest.raises(RefusedError, match="already"):
        store.save("epoch-1-root", KEY)
    store.delete("epoch-1-root")
    with pytest.raises(UnavailableError, match="cannot use the key file"):
        store.load("epoch-1-root")


def test_the_same_key_is_never_written_as_the_same_bytes() -> None:
    assert len({encrypted.seal(KEY, OLD, b"") for _ in range(3)}) == 3


def _other_name(directory: Path) -> EncryptedKeys:
    os.rename(directory / "epoch-1-root.key", directory / "epoch-1-tsa.key")
    os.link(directory / "epoch-1-tsa.key", directory / "epoch-1-root.key")
    keys(directory).delete("epoch-1-root")
    os.rename(directory / "epoch-1-interop.key", directory / "epoch-1-root.key")
    return keys(directory)


def _cut(directory: Path) -> EncryptedKeys:
    path = directory / "epoch-1-root.key"
    path.write_bytes(path.read_bytes()[:70])
    return keys(directory)


def _opened_to_others(directory: Path) -> EncryptedKeys:
    (directory / "epoch-1-root.key").chmod(0o644)
    return keys(directory)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda d: keys(d, NEW), "another key-encryption key", id="another KEK"),
        pytest.param(lambda d: keys(d, authority_id="c3d4"), "another key's file", id="another authority"),
        pytest.param(_other_name, "another key's file", id="another key's file"),
        pytest.param(_cut, "no key file", id="cut short"),
        pytest.param(_opened_to_others, "mode 0644", id="open to others"),
    ],
)
def test_what_does_not_open_a_key_says_why(tmp_path: Path, change: Callable[[Path], EncryptedKeys], said: str) -> None:
    store = keys(tmp_path / "keys")
    for name in NAMES:
        store.save(name, KEY)
    with pytest.raises(UnavailableError, match=said):
        change(tmp_path / "keys").load("epoch-1-root")


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda rest: encrypted.FORMAT + rest)))
def test_any_bytes_in_a_key_file_are_an_error(data: bytes) -> None:
    with pytest.raises(UnavailableError):
        encrypted.unseal(data, OLD, b"a1b2\0epoch-1-root", Path("epoch-1-root.key"))


@given(st.data())
def test_no_bit_of_a_key_file_can_be_turned(data: st.DataObject) -> None:
    sealed = bytearray(encrypted.seal(KEY, OLD, b"context"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(UnavailableError):
        encrypted.unseal(bytes(sealed), OLD, b"context", Path("epoch-1-root.key"))


def test_rewrapped_keys_open_under_the_new_key_alone(tmp_path: Path) -> None:
    store = keys(tmp_path / "keys")
    for name in NAMES:
        store.save(name, KEY)
    assert store.rewrap(NEW) == len(NAMES)
    assert store.rewrap(NEW) == 0
    for name in NAMES:
        assert keys(tmp_path / "keys", NEW).load(name) == KEY
        with pytest.raises(UnavailableError, match="another key-encryption key"):
            store.load(name)


def test_a_rewrap_killed_anywhere_leaves_every_key_under_one_of_the_two_and_goes_on(tmp_path: Path) -> None:
    def fresh(name: str) -> EncryptedKeys:
        store = keys(tmp_path / name)
        for each in NAMES:
            store.save(each, KEY)
        return store

    steps = count(lambda: fresh("counted").rewrap(NEW))
    made = count(lambda: fresh("made"))
    for step in range(steps - made):
        store = fresh(f"killed-{step}")
        kill_at(step, lambda store=store: store.rewrap(NEW))  # type: ignore[misc]
        opened = [_opens(store, name) for name in NAMES]
        assert opened == sorted(opened, key=[NEW, OLD].index)
        store.rewrap(NEW)
        assert [_opens(store, name) for name in NAMES] == [NEW] * len(NAMES)


def _opens(store: EncryptedKeys, name: str) -> bytes:
    """The one key-encryption key that opens a key."""
    found = []
    for under in (OLD, NEW):
        try:
            assert keys(store.directory, under).load(name) == KEY
            found.append(under)
        except UnavailableError:
            continue
    (only,) = found
    return only


def test_a_server_reads_a_key_once(tmp_path: Path) -> None:
    store = keys(tmp_path / "keys")
    store.save("epoch-1-root", KEY)
    cached = CachedKeys(store)
    first = cached.private_key("epoch-1-root")
    (tmp_path / "keys" / "epoch-1-root.key").unlink()
    assert cached.private_key("epoch-1-root") is first
    with pytest.raises(UnavailableError):
        cached.private_key("epoch-1-tsa")


def _file(tmp_path: Path, data: bytes, mode: int = 0o400) -> Path:
    path = tmp_path / "kek"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_key_encryption_key_is_what_stands_between_white_space(tmp_path: Path) -> None:
    assert kek.read(_file(tmp_path, b" \t" + OLD + b"\r\n")) == OLD


@pytest.mark.parametrize(
    ("data", "mode", "error", "said"),
    [
        pytest.param(b" " * 32 + b"k" * 31 + b"\n", 0o400, UsageError, "32 to 4096 bytes", id="31 bytes and blanks"),
        pytest.param(b"", 0o400, UsageError, "32 to 4096 bytes", id="empty"),
        pytest.param(b"k" * 4097, 0o400, UsageError, "32 to 4096 bytes", id="too long"),
        pytest.param(OLD, 0o444, UnavailableError, "mode 0444", id="readable by all"),
        pytest.param(OLD, 0o460, UnavailableError, "mode 0460", id="writable by a group"),
    ],
)
def test_what_is_no_key_encryption_key_is_refused(
    tmp_path: Path, data: bytes, mode: int, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        kek.read(_file(tmp_path, data, mode))


def test_a_fifo_or_nothing_in_its_place_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(UnavailableError, match="no regular file"):
        kek.read(tmp_path / "fifo")
    with pytest.raises(UnavailableError, match="No such file"):
        kek.read(tmp_path / "none")


def test_the_environment_comes_before_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="no key-encryption key is named"):
        kek.current("")
    settings = str(_file(tmp_path, b"s" * 32))
    assert kek.current(settings) == b"s" * 32
    (tmp_path / "environment").mkdir()
    monkeypatch.setenv(kek.FILE_VARIABLE, str(_file(tmp_path / "environment", b"f" * 32)))
    assert kek.current(settings) == b"f" * 32
    monkeypatch.setenv(kek.VARIABLE, "v" * 32)
    assert kek.current(settings) == b"v" * 32


def test_the_environment_loses_it_before_anybody_copies_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTME_HOME", str(tmp_path))
    monkeypatch.setenv(kek.VARIABLE, "v" * 32)
    assert kek.VARIABLE not in Config.read().environ
    told = subprocess.run([sys.executable, "-c", "import os; print(os.environ)"], capture_output=True, check=True)
    assert b"v" * 32 not in told.stdout
    assert kek.current("") == b"v" * 32


def test_nothing_shown_of_a_store_has_the_key_in_it(tmp_path: Path) -> None:
    assert "oooo" not in repr(keys(tmp_path))
