"""Where the authority's keys lie, and that none is ever replaced or taken from the wrong place."""

from __future__ import annotations

import base64
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import RefusedError, UnavailableError, UsageError
from notme_git.authority import keystore
from notme_git.authority.keystore import Choice, FileKeys, KeyringKeys, KeyStoreKind, desktop, private
from tests.peers import ROOT

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).private_bytes(
    Encoding.DER, PrivateFormat.PKCS8, NoEncryption()
)
OTHER_KEY = KEY[:-1] + b"\0"


class Memory:
    """A backend that works, as `keyring` has them: a class with `priority`."""

    priority: ClassVar[float] = 5
    entries: ClassVar[dict[tuple[str, str], str]] = {}

    def get_password(self, service: str, username: str, /) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str, /) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str, /) -> None:
        del self.entries[service, username]


class Unable:
    """`priority` of a backend of `keyring` that cannot work here: reading it from the class raises."""

    def __get__(self, instance: object, owner: type) -> float:
        raise RuntimeError("no such desktop")


class NotViable(Memory):
    """A backend whose desktop is not running."""

    priority = Unable()


class Forgetful(Memory):
    """A backend that says yes and keeps nothing."""

    def set_password(self, service: str, username: str, password: str, /) -> None:
        pass


class Clinging(Memory):
    """A backend that deletes nothing."""

    def delete_password(self, service: str, username: str, /) -> None:
        pass


class Locked(Memory):
    """A backend whose user dismissed the prompt."""

    def get_password(self, _service: str, _username: str, /) -> str | None:
        raise OSError("the prompt was dismissed")


class Hanging(Memory):
    """A backend that waits for a prompt nobody sees."""

    released: ClassVar[threading.Event] = threading.Event()

    def get_password(self, _service: str, _username: str, /) -> str | None:
        self.released.wait(30)
        return None


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(desktop, "KEYRING_TIMEOUT_S", 0.1)
    Hanging.released.clear()
    yield
    Hanging.released.set()
    Memory.entries.clear()


def named(backend: type[Memory]) -> str:
    return f"{backend.__module__}.{backend.__qualname__}"


def allow(monkeypatch: pytest.MonkeyPatch, *backends: type[Memory]) -> None:
    monkeypatch.setattr(desktop, "ALLOWED_BACKENDS", tuple(named(backend) for backend in backends))


def open_keyring(monkeypatch: pytest.MonkeyPatch, backend: type[Memory] = Memory) -> KeyringKeys:
    allow(monkeypatch, backend)
    opened = keystore.open_store(KeyStoreKind.KEYRING, named(backend), Path("/nowhere"), "a1b2")
    assert isinstance(opened, KeyringKeys)
    return opened


@pytest.fixture
def files(tmp_path: Path) -> FileKeys:
    opened = keystore.open_store(KeyStoreKind.FILE, "", tmp_path / "keys", "a1b2")
    assert isinstance(opened, FileKeys)
    return opened


FILE = Choice(KeyStoreKind.FILE, "", keystore.FILE_WARNING)


def test_a_keyring_that_works_is_chosen_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, NotViable, Memory)
    for preference in ("auto", "keyring"):
        assert keystore.choose(preference) == Choice(KeyStoreKind.KEYRING, named(Memory), None)
    assert Memory.entries == {}


@pytest.mark.parametrize(
    ("backend", "said"),
    [
        pytest.param(NotViable, "no such desktop", id="its desktop is not running"),
        pytest.param(Forgetful, "does not keep", id="it forgets"),
        pytest.param(Clinging, "keeps what was deleted", id="it deletes nothing"),
        pytest.param(Locked, "was dismissed", id="it stays locked"),
        pytest.param(Hanging, "did not answer", id="it hangs"),
    ],
)
def test_a_keyring_that_does_not_work_is_not_chosen(
    monkeypatch: pytest.MonkeyPatch, backend: type[Memory], said: str
) -> None:
    allow(monkeypatch, backend)
    assert keystore.choose("auto") == FILE
    with pytest.raises(UnavailableError, match=said) as unavailable:
        keystore.choose("keyring")
    assert unavailable.value.hint


def test_files_are_chosen_on_request_with_the_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, Memory)
    assert keystore.choose("file") == FILE
    assert "can read the keys" in keystore.FILE_WARNING
    assert keystore.FILE_WARNING.endswith(".")


def test_an_unknown_preference_is_refused() -> None:
    with pytest.raises(UsageError):
        keystore.choose("cloud")


def test_a_backend_of_the_environment_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """keyring itself would take this one, and hand our keys to it."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", named(Memory))
    assert keystore.choose("auto") == FILE
    assert Memory.entries == {}


def test_every_allowed_backend_is_one_of_keyring() -> None:
    for name in desktop.ALLOWED_BACKENDS:
        module, _, kind = name.rpartition(".")
        assert module.startswith("keyring.backends.")
        command = [sys.executable, "-c", f"import {module} as m; print(m.{kind}.__qualname__)"]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        assert told.stdout.strip() == kind


def test_the_module_does_not_import_keyring_before_it_is_used() -> None:
    code = "import sys, notme_git.authority.keystore; sys.exit('keyring' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=False, timeout=30).returncode == 0
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"{__name__}.Memory", id="one that is not on the list"),
        pytest.param("keyring.backends.null.Keyring", id="one of keyring's that keeps nothing"),
        pytest.param("keyrings.alt.file.PlaintextKeyring", id="one that writes plain files"),
        pytest.param("", id="none"),
        pytest.param("os.system", id="no backend at all"),
    ],
)
def test_a_recorded_backend_that_is_not_allowed_is_unavailable(name: str) -> None:
    with pytest.raises(UnavailableError, match="none that keys are entrusted to") as unavailable:
        keystore.open_store(KeyStoreKind.KEYRING, name, Path("/nowhere"), "a1b2")
    assert unavailable.value.hint


def test_another_backend_is_never_opened_in_place_of_the_recorded_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, NotViable, Memory)
    with pytest.raises(UnavailableError, match="no such desktop"):
        keystore.open_store(KeyStoreKind.KEYRING, named(NotViable), Path("/nowhere"), "a1b2")


def test_a_backend_that_is_gone_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{__name__}.Uninstalled"
    monkeypatch.setattr(desktop, "ALLOWED_BACKENDS", (name, "no.such.module.Keyring"))
    for backend in desktop.ALLOWED_BACKENDS:
        with pytest.raises(UnavailableError, match="could not open the keyring"):
            keystore.open_store(KeyStoreKind.KEYRING, backend, Path("/nowhere"), "a1b2")
    assert keystore.choose("auto") == FILE


def test_a_key_in_the_keyring_is_found_by_authority_and_name(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = open_keyring(monkeypatch)
    keys.save("epoch-1-root", KEY)
    assert keys.load("epoch-1-root") == KEY
    assert list(Memory.entries) == [("notme-git", "a1b2/epoch-1-root")]


def test_a_key_in_the_keyring_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = open_keyring(monkeypatch)
    keys.save("epoch-1-root", KEY)
    with pytest.raises(RefusedError, match="already"):
        keys.save("epoch-1-root", OTHER_KEY)
    assert keys.load("epoch-1-root") == KEY


def test_a_keyring_that_lost_the_key_is_unavailable_and_gets_no_new_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keys = open_keyring(monkeypatch)
    keys.save("epoch-1-root", KEY)
    Memory.entries.clear()
    with pytest.raises(UnavailableError, match="has no key epoch-1-root") as unavailable:
        keys.load("epoch-1-root")
    assert "epoch" in unavailable.value.hint
    assert Memory.entries == {}


def test_a_keyring_that_forgets_at_once_is_noticed_when_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="did not give back"):
        open_keyring(monkeypatch, Forgetful).save("epoch-1-root", KEY)


@pytest.mark.parametrize("backend", [Locked, Hanging], ids=["locked", "hanging"])
def test_a_keyring_that_does_not_answer_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, backend: type[Memory]
) -> None:
    keys = open_keyring(monkeypatch, backend)
    for call in (lambda: keys.load("epoch-1-root"), lambda: keys.save("epoch-1-root", KEY)):
        with pytest.raises(UnavailableError) as unavailable:
            call()
        assert "unlock" in unavailable.value.hint


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("not base64!", id="no base64"),
        pytest.param("MC4\n", id="a line end"),
        pytest.param("MC5=", id="bits left over"),
        pytest.param("M" * 100_000, id="too much"),
        pytest.param("\udc80", id="no Unicode"),
    ],
)
def test_what_another_program_put_into_the_keyring_is_no_key(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    keys = open_keyring(monkeypatch)
    # A name of its own: the thread of a keyring that hung in another test may still write the first epoch's.
    Memory.entries["notme-git", "a1b2/epoch-7-root"] = text
    with pytest.raises(UnavailableError, match="is no key"):
        keys.load("epoch-7-root")


def test_a_deleted_key_is_gone_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = open_keyring(monkeypatch)
    keys.save("epoch-1-root", KEY)
    keys.delete("epoch-1-root")
    for call in (keys.load, keys.delete):
        with pytest.raises(UnavailableError):
            call("epoch-1-root")


def test_a_key_file_is_pkcs8_pem_that_other_tools_read(files: FileKeys) -> None:
    files.save("epoch-1-root", KEY)
    text = (files.directory / "epoch-1-root.pem").read_bytes()
    key = load_pem_private_key(text, None)
    assert isinstance(key, Ed25519PrivateKey)
    assert key.private_bytes_raw() == bytes(range(32))
    assert text == key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert files.load("epoch-1-root") == KEY


def test_only_the_owner_can_read_key_files(files: FileKeys) -> None:
    before = os.umask(0)
    try:
        files.save("epoch-1-root", KEY)
    finally:
        os.umask(before)
    assert stat.S_IMODE(files.directory.stat().st_mode) == 0o700
    assert [(file.name, stat.S_IMODE(file.stat().st_mode)) for file in files.directory.iterdir()] == [
        ("epoch-1-root.pem", 0o600)
    ]


def test_a_key_file_is_never_replaced(files: FileKeys) -> None:
    files.save("epoch-1-root", KEY)
    with pytest.raises(RefusedError, match="already"):
        files.save("epoch-1-root", OTHER_KEY)
    assert files.load("epoch-1-root") == KEY
    assert len(list(files.directory.iterdir())) == 1


def test_a_dangling_link_in_place_of_a_new_key_is_not_followed(files: FileKeys, tmp_path: Path) -> None:
    files.directory.mkdir(mode=0o700)
    (files.directory / "epoch-1-root.pem").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="already"):
        files.save("epoch-1-root", KEY)
    assert not (tmp_path / "elsewhere").exists()


def test_a_process_killed_while_saving_leaves_no_key_of_that_name(files: FileKeys) -> None:
    code = (
        "import os, sys; from pathlib import Path; from notme_git.authority.keystore import FileKeys\n"
        "os.link = lambda *_, **__: os._exit(9)\n"
        "FileKeys(Path(sys.argv[1])).save('epoch-1-root', bytes.fromhex(sys.argv[2]))"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code, str(files.directory), KEY.hex()],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=30,
    )
    assert killed.returncode == 9
    with pytest.raises(UnavailableError, match="No such file"):
        files.load("epoch-1-root")
    files.save("epoch-1-root", KEY)
    assert files.load("epoch-1-root") == KEY


def saved(files: FileKeys) -> Path:
    files.save("epoch-1-root", KEY)
    return files.directory / "epoch-1-root.pem"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644], ids=oct)
def test_a_key_file_that_others_may_touch_is_refused(files: FileKeys, mode: int) -> None:
    saved(files).chmod(mode)
    with pytest.raises(UnavailableError, match="others may have read") as unavailable:
        files.load("epoch-1-root")
    assert "chmod" in unavailable.value.hint


@pytest.mark.parametrize("mode", [0o750, 0o701, 0o722], ids=oct)
def test_a_key_directory_that_others_may_enter_is_refused(files: FileKeys, mode: int) -> None:
    saved(files)
    files.directory.chmod(mode)
    for call in (lambda: files.load("epoch-1-root"), lambda: files.save("epoch-2-root", KEY)):
        with pytest.raises(UnavailableError, match="others may have read"):
            call()


def test_a_key_file_of_another_user_is_refused(files: FileKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(files)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(UnavailableError, match="belongs to user"):
        files.load("epoch-1-root")


def replace_by_link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def replace_by_socket(path: Path) -> None:
    path.unlink()
    os.chdir(path.parent)  # the address of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)
    path.chmod(0o600)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.unlink(), id="missing"),
        pytest.param(replace_by_link, id="a symbolic link"),
        pytest.param(replace_by_directory, id="a directory"),
        pytest.param(replace_by_pipe, id="a pipe that nobody writes to"),
        pytest.param(replace_by_socket, id="a socket"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1]), id="cut by one byte"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes() * 2), id="two keys"),
        pytest.param(lambda path: path.write_bytes(b"\n" + path.read_bytes()), id="a line in front"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n")), id="other line ends"
        ),
        pytest.param(lambda path: path.write_bytes(KEY), id="DER"),
        pytest.param(lambda path: path.write_bytes(base64.b64encode(KEY)), id="no boundaries"),
        pytest.param(
            lambda path: path.write_bytes(path.read_bytes().replace(b"C", b"\nC", 1)), id="a short line"
        ),
        pytest.param(lambda path: path.write_bytes(b"x" * 1_000_000), id="too long"),
    ],
)
def test_a_key_file_that_is_none_is_unavailable(
    files: FileKeys, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]
) -> None:
    monkeypatch.chdir(files.directory.parent)
    change(saved(files))
    with pytest.raises(UnavailableError) as unavailable:
        files.load("epoch-1-root")
    assert unavailable.value.hint


def test_a_link_in_place_of_the_directory_is_refused(files: FileKeys) -> None:
    saved(files)
    replace_by_link(files.directory)
    with pytest.raises(UnavailableError, match="cannot use"):
        files.load("epoch-1-root")


def test_a_missing_directory_is_unavailable_and_not_made(files: FileKeys) -> None:
    for call in (files.load, files.delete):
        with pytest.raises(UnavailableError):
            call("epoch-1-root")
    assert not files.directory.exists()


def test_a_deleted_key_file_is_gone(files: FileKeys) -> None:
    path = saved(files)
    files.delete("epoch-1-root")
    assert not path.exists()
    with pytest.raises(UnavailableError):
        files.delete("epoch-1-root")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/b", "/etc/passwd", "A", "a b", "a\n", "a\0", ".hidden", "-x", "a" * 64, "ä"],
)
def test_a_name_that_could_leave_its_place_is_refused(
    files: FileKeys, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for keys in (files, open_keyring(monkeypatch)):
        for call in (keys.load, keys.delete):
            with pytest.raises(UsageError):
                call(name)
        with pytest.raises(UsageError):
            keys.save(name, KEY)
    with pytest.raises(UsageError):
        keystore.open_store(KeyStoreKind.KEYRING, named(Memory), Path("/nowhere"), name)


@pytest.mark.parametrize("size", [0, private.MAX_KEY_BYTES + 1])
def test_a_key_of_no_sensible_size_is_refused(
    files: FileKeys, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    for keys in (files, open_keyring(monkeypatch)):
        with pytest.raises(UsageError):
            keys.save("epoch-1-root", b"k" * size)


def test_a_key_of_the_greatest_size_is_kept(files: FileKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    key = bytes(range(256)) * (private.MAX_KEY_BYTES // 256)
    for keys in (files, open_keyring(monkeypatch)):
        keys.save("epoch-1-root", key)
        assert keys.load("epoch-1-root") == key


def test_a_directory_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="cannot use the key file"):
        FileKeys(tmp_path / "file" / "keys").save("epoch-1-root", KEY)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    st.one_of(st.binary(max_size=200), st.binary(max_size=90).map(lambda body: private.to_pem(body + b"x")))
)
def test_any_bytes_are_no_key_or_the_file_of_one(text: bytes) -> None:
    der = private.parse_pem(text)
    assert der is None or private.to_pem(der) == text


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.integers(0, len(private.to_pem(KEY)) * 8 - 1))
def test_any_flipped_bit_gives_no_key_or_another_key_in_the_same_form(bit: int) -> None:
    text = bytearray(private.to_pem(KEY))
    text[bit // 8] ^= 1 << bit % 8
    der = private.parse_pem(bytes(text))
    assert der is None or (der != KEY and private.to_pem(der) == bytes(text))
