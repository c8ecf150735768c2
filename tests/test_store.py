"""The authority's database: what it keeps, and what it says when it cannot."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from attest.errors import Error, RefusedError, UnavailableError
from attest.types import (
    Authentication,
    Epoch,
    Grant,
    Principal,
    PrincipalKind,
    Retirement,
    Revocation,
    RevocationKind,
)
from notme_git.authority import grants
from notme_git.authority import store as module
from notme_git.authority.store import Issued, Store, StoredGrant
from tests.peers import ROOT

NOW = 1_772_366_400
NOBODY = 65534

ALICE = Principal(
    id="wimse://a1b2.invalid/human/0b7c",
    kind=PrincipalKind.HUMAN,
    name="alice",
    display="Alice '\" Example; DROP TABLE principals",
    email="alice@example.org",
    authentication=Authentication.SELF_ASSERTED,
)
EPOCH = Epoch(
    number=1,
    root=b"root",
    interop_root=b"interop",
    timestamp_certificates=(b"one", b"two"),
    began_at=NOW,
    retired_at=0,
    retirement=Retirement.CURRENT,
    compromised_at=0,
)
ISSUED = Issued(
    serial="7f",
    issued_at=NOW,
    actor_id="wimse://a1b2.invalid/agent/claude-code",
    represented_id=ALICE.id,
    grant_id="g1",
    epoch=1,
    profile="notme",
    spki_sha256=b"s" * 32,
    certificate_sha256=b"c" * 32,
)


def make_grant(grant_id: str = "g1", agent: str = "claude-code") -> Grant:
    return grants.new_grant(
        "a1b2",
        agent,
        ALICE,
        email=None,
        scopes=["sign:git"],
        expires=timedelta(days=30),
        repositories=[],
        branches=["main"],
        at=datetime.fromtimestamp(NOW, UTC),
        grant_id=grant_id,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "authority.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.create(path) as opened:
        yield opened


def raw(path: Path, sql: str, *values: object) -> None:
    """Change the file behind the store's back."""
    connection = sqlite3.connect(path)
    connection.execute(sql, values)
    connection.commit()
    connection.close()


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        f"import os, sys, urllib.parse\nfrom pathlib import Path\n{code}",
        *map(str, arguments),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_stored_is_read_back_by_the_next_process(path: Path) -> None:
    with Store.create(path) as store, store.transaction(durable=True):
        store.add_principal(ALICE)
        store.add_grant(make_grant())
        store.add_epoch(EPOCH)
        store.add_revocation(Revocation(RevocationKind.SESSION, "s1", NOW, "lost"))
        store.record_issued(ISSUED)
        store.put_bundle(1, b"signed")
        store.set_setting("human", ALICE.id)
    with Store.open(path) as store:
        assert store.principal(ALICE.id) == ALICE
        assert store.grants() == [StoredGrant(make_grant(), None)]
        assert store.grant("g1") == StoredGrant(make_grant(), None)
        assert store.epochs() == [EPOCH]
        assert store.revocations() == [Revocation(RevocationKind.SESSION, "s1", NOW, "lost")]
        assert store.last_issued_at() == NOW
        assert (store.latest_bundle(), store.latest_sequence()) == (b"signed", 1)
        assert store.setting("human") == ALICE.id


def test_an_empty_store_has_nothing(store: Store) -> None:
    assert store.grants() == []
    assert store.epochs() == []
    assert store.revocations() == []
    assert store.last_issued_at() is None
    assert (store.latest_bundle(), store.latest_sequence()) == (None, 0)
    assert store.setting("human") is None
    assert store.principal("nobody") is None
    with pytest.raises(RefusedError, match="no grant g9"):
        store.grant("g9")
    with pytest.raises(RefusedError, match="no grant g9"):
        store.revoked_at("g9")


def test_only_the_owner_can_read_the_database(path: Path) -> None:
    with Store.create(path) as store:
        store.set_setting("a", "b")
        modes = {
            file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir() if file.is_file()
        }
    assert modes.keys() >= {"authority.db", "authority.db-wal"}
    assert set(modes.values()) == {0o600}


def test_a_closed_database_is_one_file(path: Path) -> None:
    with Store.create(path) as store:
        store.set_setting("a", "b")
    assert [file.name for file in path.parent.iterdir() if file.is_file()] == ["authority.db"]


def test_a_path_with_signs_of_an_address_is_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=ro#b%20c d.db"
    Store.create(path).close()
    assert path.is_file()
    Store.open(path).close()


def test_create_never_replaces_what_is_there(path: Path) -> None:
    path.write_bytes(b"precious")
    with pytest.raises(RefusedError):
        Store.create(path)
    assert path.read_bytes() == b"precious"
    assert list(path.parent.glob(".authority*")) == []


def test_create_killed_before_its_end_leaves_no_database(path: Path) -> None:
    killed = run(
        "from notme_git.authority.store import Store\n"
        "os.link = lambda *_: os._exit(9)\n"
        "Store.create(Path(sys.argv[1]))",
        path,
    )
    assert killed.returncode == 9, killed.stderr
    assert not path.exists()
    Store.create(path).close()


def test_a_failed_transaction_leaves_nothing(store: Store) -> None:
    def fail() -> None:
        with store.transaction(durable=True):
            store.add_principal(ALICE)
            store.set_setting("a", "b")
            raise KeyError("something else")

    with pytest.raises(KeyError):
        fail()
    assert store.principal(ALICE.id) is None
    assert store.setting("a") is None
    store.set_setting("a", "c")
    assert store.setting("a") == "c"


@pytest.mark.parametrize("durable", [True, False], ids=["durable", "log"])
def test_a_process_killed_in_a_transaction_leaves_nothing_of_it(path: Path, durable: bool) -> None:
    Store.create(path).close()
    killed = run(
        "from notme_git.authority.store import Store\n"
        "store = Store.open(Path(sys.argv[1]))\n"
        f"with store.transaction(durable={durable}):\n"
        "    store.set_setting('kept', 'yes')\n"
        f"with store.transaction(durable={durable}):\n"
        "    for n in range(2000): store.set_setting(f'k{n}', 'x' * 500)\n"
        "    os._exit(9)",
        path,
    )
    assert killed.returncode == 9, killed.stderr
    with Store.open(path) as store:
        assert store.setting("kept") == "yes"
        assert store.setting("k0") is None
        assert store.setting("k1999") is None
        store.set_setting("after", "works")


def test_transactions_do_not_nest(store: Store) -> None:
    with store.transaction(durable=False), pytest.raises(RuntimeError), store.transaction(durable=True):
        pass


@pytest.mark.parametrize(
    ("durable", "level"), [(True, 2), (False, 1)], ids=["durable is FULL", "else NORMAL"]
)
def test_a_durable_transaction_waits_for_the_disk(store: Store, durable: bool, level: int) -> None:
    for kind in (not durable, durable):
        with store.transaction(durable=kind):
            store.set_setting("a", "b")
    assert store._connection.execute("PRAGMA synchronous").fetchone()[0] == level


def test_a_write_outside_a_transaction_is_durable_after_the_log_was_written(store: Store) -> None:
    with store.transaction(durable=False):
        store.record_issued(ISSUED)
    store.add_grant(make_grant())
    assert store._connection.execute("PRAGMA synchronous").fetchone()[0] == 2


def test_grants_are_listed_in_the_order_of_adding(store: Store) -> None:
    for name in ("z", "a", "m"):
        store.add_grant(make_grant(name))
    assert [item.grant.id for item in store.grants()] == ["z", "a", "m"]


def test_a_revoked_grant_stays_listed_with_its_time(store: Store) -> None:
    store.add_grant(make_grant("g1"))
    store.add_grant(make_grant("g2"))
    store.revoke_grant("g1", NOW + 5, "laptop stolen")
    assert (store.revoked_at("g1"), store.revoked_at("g2")) == (NOW + 5, None)
    assert [item.revoked_at for item in store.grants()] == [NOW + 5, None]
    assert store.revocations() == [Revocation(RevocationKind.GRANT, "g1", NOW + 5, "laptop stolen")]


def test_revoking_twice_keeps_the_first_time(store: Store) -> None:
    store.add_grant(make_grant())
    store.revoke_grant("g1", NOW + 5, "first")
    store.revoke_grant("g1", NOW + 9, "second")
    store.add_revocation(Revocation(RevocationKind.GRANT, "g1", NOW + 9, "third"))
    assert store.revoked_at("g1") == NOW + 5
    assert [item.reason for item in store.revocations()] == ["first"]


def test_a_revocation_joins_an_open_transaction(store: Store) -> None:
    store.add_grant(make_grant())

    def fail() -> None:
        with store.transaction(durable=True):
            store.revoke_grant("g1", NOW + 5)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert store.revoked_at("g1") is None
    assert store.revocations() == []


def test_revoking_an_unknown_grant_is_refused(store: Store) -> None:
    with pytest.raises(RefusedError, match="no grant g9"):
        store.revoke_grant("g9", NOW)
    assert store.revocations() == []


def test_an_epoch_is_updated_in_place(store: Store) -> None:
    second = replace(EPOCH, number=2)
    store.add_epoch(second)
    store.add_epoch(EPOCH)
    retired = replace(EPOCH, retirement=Retirement.ROUTINE, retired_at=NOW + 9)
    store.update_epoch(retired)
    assert store.epochs() == [retired, second]
    with pytest.raises(UnavailableError, match="no epoch 7"):
        store.update_epoch(replace(EPOCH, number=7))


def test_nothing_is_added_twice(store: Store) -> None:
    def fill() -> None:
        store.add_principal(ALICE)
        store.add_grant(make_grant())
        store.add_epoch(EPOCH)
        store.record_issued(ISSUED)

    fill()
    with pytest.raises(RefusedError, match="already"):
        store.add_principal(replace(ALICE, name="mallory"))
    with pytest.raises(RefusedError, match="already"):
        store.add_grant(make_grant("g1", "codex"))
    with pytest.raises(RefusedError, match="already"):
        store.add_epoch(replace(EPOCH, root=b"another"))
    with pytest.raises(RefusedError, match="already"):
        store.record_issued(replace(ISSUED, grant_id="g2"))
    assert store.principal(ALICE.id) == ALICE
    assert [item.grant.actor.name for item in store.grants()] == ["claude-code"]
    assert store.epochs() == [EPOCH]


def test_the_last_time_of_issue_is_the_latest_not_the_newest_entry(store: Store) -> None:
    for serial, at in (("1", NOW), ("2", NOW + 60), ("3", NOW - 60)):
        store.record_issued(replace(ISSUED, serial=serial, issued_at=at))
    assert store.last_issued_at() == NOW + 60


@pytest.mark.parametrize("sequence", [0, 4, 5], ids=["zero", "an earlier one", "the same"])
def test_the_sequence_of_bundles_never_goes_back(store: Store, sequence: int) -> None:
    store.put_bundle(5, b"five")
    with pytest.raises(RefusedError):
        store.put_bundle(sequence, b"another")
    assert (store.latest_bundle(), store.latest_sequence()) == (b"five", 5)
    store.put_bundle(7, b"seven")
    assert (store.latest_bundle(), store.latest_sequence()) == (b"seven", 7)


def test_a_missing_database_is_never_made_by_opening(path: Path) -> None:
    with pytest.raises(UnavailableError, match="no database") as unavailable:
        Store.open(path)
    assert "notme-git init" in unavailable.value.hint
    assert not path.exists()


GARBAGE = random.Random(2).randbytes(8192)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="an empty file"),
        pytest.param(b"hello\n", id="a short text"),
        pytest.param(GARBAGE, id="noise"),
        pytest.param(b"SQLite format 3\0" + GARBAGE, id="noise after SQLite's first words"),
    ],
)
def test_a_file_that_is_no_database_is_unavailable_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(UnavailableError) as unavailable:
        Store.open(path)
    assert unavailable.value.hint
    assert path.read_bytes() == content


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="no file"):
        Store.open(tmp_path)
    with pytest.raises(UnavailableError, match="no database"):
        Store.open(tmp_path / "x" / "y.db")


@pytest.mark.parametrize("version", [0, 2, 2**31 - 1], ids=["none", "the next", "the last"])
def test_another_schema_version_is_unavailable(path: Path, version: int) -> None:
    Store.create(path).close()
    raw(path, f"PRAGMA user_version = {version}")
    with pytest.raises(UnavailableError, match=f"schema version {version}"):
        Store.open(path)


def test_another_programs_database_is_unavailable(path: Path) -> None:
    raw(path, "CREATE TABLE settings (wrong)")
    with pytest.raises(UnavailableError, match="schema version 0"):
        Store.open(path)
    raw(path, "PRAGMA user_version = 1")
    with pytest.raises(UnavailableError, match="lacks the tables"):
        Store.open(path)


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        pytest.param("UPDATE grants SET record = ?", b"", id="an emptied record"),
        pytest.param(
            "UPDATE grants SET record = CAST(substr(record, 1, 20) || ? AS BLOB)", b"", id="a cut record"
        ),
        pytest.param("UPDATE grants SET record = ?", "text", id="text for a record"),
        pytest.param("UPDATE grants SET sha256 = ?", b"\0" * 32, id="another digest"),
        pytest.param(
            "UPDATE grants SET record = (SELECT record FROM principals)", None, id="another kind of record"
        ),
    ],
)
def test_a_damaged_grant_is_an_error_and_never_a_missing_grant(path: Path, sql: str, value: object) -> None:
    with Store.create(path) as store:
        store.add_principal(ALICE)
        store.add_grant(make_grant())
    raw(path, sql, *([] if value is None else [value]))
    with Store.open(path) as store:
        for read in (store.grants, lambda: store.grant("g1"), lambda: store.revoked_at("g1")):
            with pytest.raises(UnavailableError, match="damaged"):
                read()


def test_a_damaged_bundle_is_an_error(path: Path) -> None:
    with Store.create(path) as store:
        store.put_bundle(1, b"signed")
    raw(path, "UPDATE bundles SET signed = 'text'")
    with Store.open(path) as store, pytest.raises(UnavailableError, match="damaged"):
        store.latest_bundle()


def test_a_page_overwritten_with_noise_is_unavailable(path: Path) -> None:
    with Store.create(path) as store:
        for number in range(40):
            store.add_grant(make_grant(f"g{number}"))
    content = path.read_bytes()
    page = int.from_bytes(content[16:18], "big")
    seen: set[int | str] = set()
    for at in range(page, len(content), page):
        path.write_bytes(content[:at] + GARBAGE[:page] + content[at + page :])
        try:
            with Store.open(path) as store:
                seen.add(len(store.grants()))
        except UnavailableError as error:
            seen.add(error.hint)
    # A page that `grants` does not read cannot be noticed by it; what it reads is whole or an error.
    assert seen == {40, module._RESTORE}


def test_a_database_cut_short_is_unavailable(path: Path) -> None:
    with Store.create(path) as store:
        for number in range(40):
            store.add_grant(make_grant(f"g{number}"))
    os.truncate(path, path.stat().st_size // 2)

    def read() -> None:
        with Store.open(path) as store:
            store.grants()

    with pytest.raises(UnavailableError):
        read()


def test_a_full_disk_is_unavailable_and_changes_nothing(store: Store) -> None:
    store.add_grant(make_grant())
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        with store.transaction(durable=True):
            store.revoke_grant("g1", NOW)
            for number in range(1000):
                store.set_setting(str(number), "x" * 1000)

    with pytest.raises(UnavailableError, match="the disk is full"):
        fill()
    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert store.setting("0") is None
    assert store.revoked_at("g1") is None
    store.revoke_grant("g1", NOW)


def test_a_file_system_that_refuses_to_write_more_is_unavailable_and_changes_nothing(path: Path) -> None:
    with Store.create(path) as store:
        store.set_setting("kept", "yes")
    ended = run(
        "import resource\n"
        "from attest.errors import UnavailableError\n"
        "from notme_git.authority.store import Store\n"
        "store = Store.open(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "try:\n"
        "    with store.transaction(durable=True):\n"
        "        for n in range(1000): store.set_setting(str(n), 'x' * 1000)\n"
        "except UnavailableError as error:\n"
        "    print(error.message, error.hint)\n"
        "    sys.exit(7)\n",
        path,
    )
    assert ended.returncode == 7, ended.stderr
    assert "free space" in ended.stdout
    assert ended.stderr == ""
    with Store.open(path) as store:
        assert (store.setting("kept"), store.setting("0")) == ("yes", None)


def test_making_a_database_on_a_full_disk_leaves_nothing(path: Path) -> None:
    ended = run(
        "import resource\n"
        "from attest.errors import UnavailableError\n"
        "from notme_git.authority.store import Store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: Store.create(Path(sys.argv[1]))\n"
        "except UnavailableError: sys.exit(7)\n",
        path,
    )
    assert ended.returncode == 7, ended.stderr
    assert [file for file in path.parent.iterdir() if "authority" in file.name] == []


AS_NOBODY = f"""
from attest.errors import UnavailableError
from notme_git.authority.store import Store
if os.geteuid() == 0:
    os.setgroups([])
    os.setuid({NOBODY})
try:
    with Store.open(Path(sys.argv[1])) as store:
        store.set_setting("a", "b")
except UnavailableError as error:
    print(error.message, error.hint)
    sys.exit(7)
"""


@pytest.fixture
def public_path() -> Iterator[Path]:
    """A database below a folder that another user can enter; pytest's own folders are private."""
    with tempfile.TemporaryDirectory() as folder:
        inner = Path(folder) / "home"
        inner.mkdir()
        os.chmod(folder, 0o755)
        Store.create(inner / "authority.db").close()
        yield inner / "authority.db"
        inner.chmod(0o755)


@pytest.mark.parametrize(
    ("folder_mode", "file_mode"),
    [
        pytest.param(0o555, 0o444, id="a folder and a file that may only be read"),
        pytest.param(0o555, 0o000, id="a file that may not be read"),
        pytest.param(0o000, 0o444, id="a folder that may not be entered"),
    ],
)
def test_a_database_without_the_rights_to_it_is_unavailable(
    public_path: Path, folder_mode: int, file_mode: int
) -> None:
    public_path.chmod(file_mode)
    public_path.parent.chmod(folder_mode)
    ended = run(AS_NOBODY, public_path)
    assert ended.returncode == 7, ended.stderr
    assert "check who owns it" in ended.stdout
    assert ended.stderr == ""


def test_a_lock_that_is_held_too_long_is_unavailable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOCK_TIMEOUT_S", 0.05)
    with Store.create(path) as holder, Store.open(path) as other, holder.transaction(durable=False):
        holder.set_setting("a", "b")
        with pytest.raises(UnavailableError, match="another process holds its lock"):
            other.set_setting("a", "c")
        assert other.setting("a") is None
    with Store.open(path) as store:
        assert store.setting("a") == "b"


def test_a_value_over_the_limit_is_an_error_of_ours(store: Store) -> None:
    with pytest.raises(Error):
        store.put_bundle(1, b"x" * (module.MAX_RECORD_BYTES + 1))
    assert store.latest_bundle() is None


def test_a_moved_home_opens_where_it_is(path: Path, tmp_path: Path) -> None:
    with Store.create(path) as store:
        store.set_setting("a", "b")
    (tmp_path / "elsewhere").mkdir()
    moved = shutil.move(path, tmp_path / "elsewhere")
    with Store.open(Path(moved)) as store:
        assert store.setting("a") == "b"
