"""Keys in a real Secret Service: gnome-keyring on a message bus of its own, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.peers import ROOT, SEARCH, peer

SECONDS = 60

SESSION = """
printf secret | gnome-keyring-daemon --components=secrets {unlock} >/dev/null
exec "$0" -c "$1"
"""

SAVE = """
from pathlib import Path
from attest.errors import RefusedError
from notme_git.authority import keystore

choice = keystore.choose("auto")
print(choice.kind, choice.backend_name, choice.warning)
keys = keystore.open_store(choice.kind, choice.backend_name, Path("/nowhere"), "a1b2")
keys.save("epoch-1-root", bytes(range(48)))
try:
    keys.save("epoch-1-root", bytes(48))
except RefusedError:
    print("refused")
print(keys.load("epoch-1-root").hex())
"""

LOAD = """
from pathlib import Path
from attest.errors import UnavailableError
from notme_git.authority import keystore

name = "keyring.backends.SecretService.Keyring"
try:
    keys = keystore.open_store(keystore.KeyStoreKind.KEYRING, name, Path("/nowhere"), "a1b2")
    print(keys.load("epoch-1-root").hex())
except UnavailableError as error:
    print("unavailable:", bool(error.hint))
"""


def session(code: str, *, unlock: bool = True) -> str:
    """Run `code` in a new session with the keyring of this home; returns what it prints."""
    dbus = peer("gnome-keyring")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": SEARCH}
    script = SESSION.format(unlock="--unlock" if unlock else "--start")
    command = [str(dbus), "--", "sh", "-c", script, sys.executable, code]
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_key_outlives_the_session_it_was_made_in_and_is_not_replaced() -> None:
    key = bytes(range(48)).hex()
    assert session(SAVE).splitlines() == [
        "keyring keyring.backends.SecretService.Keyring None",
        "refused",
        key,
    ]
    assert session(LOAD).strip() == key


def test_without_a_secret_service_the_recorded_keyring_is_unavailable_and_files_are_chosen(
    tmp_path: Path,
) -> None:
    """A message bus without a keeper of secrets, as on a server."""
    dbus = peer("gnome-keyring")
    (tmp_path / "session.conf").write_text(
        "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>"
        "<policy context='default'><allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/>"
        "<allow own='*'/></policy></busconfig>"
    )
    code = LOAD + '\nprint(keystore.choose("auto").kind)'
    command = [str(dbus), f"--config-file={tmp_path / 'session.conf'}", "--", sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": SEARCH}
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["unavailable: True", "file"]
