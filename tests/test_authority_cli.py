"""`notme-git authority` without a server: the settings it writes, what it refuses, and what is written about them."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner

from attest.errors import Error, RefusedError
from notme_git.authority import cli, embedded, kek, settings
from notme_git.authority.keystore import EncryptedKeys
from notme_git.authority.proofs import configured
from notme_git.authority.settings import Compat, Limits, Settings
from tests.disk import unsynced
from tests.peers import ROOT


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NOTME_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(kek, "_held", [])
    return tmp_path / "home"


def run(*words: str) -> str:
    """What the command prints; what it raises goes on."""
    with unsynced():
        return CliRunner().invoke(cli.authority, words, catch_exceptions=False, standalone_mode=False).output


def kek_file(folder: Path) -> Path:
    path = folder / 'a "kek"'
    path.write_text("k" * 32)
    path.chmod(0o400)
    return path


def test_what_init_writes_is_read_as_it_was_said(home: Path, tmp_path: Path) -> None:
    path = kek_file(tmp_path)
    run("init", "--url", "https://a.example/", "--kek-file", str(path))
    found = settings.read(home / "authority")
    assert found == Settings(url="https://a.example", kek_file=str(path))
    with embedded.opened(home) as authority:
        assert isinstance(authority.keys, EncryptedKeys)
        authority.keys.private_key("epoch-1-root")


def test_the_commented_settings_are_settings() -> None:
    text = cli._TEMPLATE.format(url='"https://a.example"', kek="")
    commented = "\n".join(line.removeprefix("# ") for line in text.splitlines()[3:])
    example = commented[commented.index("[github]") :]
    (rule,) = settings.parse(tomllib.loads(example)).proofs.workloads
    assert rule.match == {"repository": "example/*"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("init", "--url", "http://a.example"), "only loopback may be without TLS"),
        (("init", "--url", "https://a.example/path"), "without a path"),
        (("init", "--organization", " "), "printable text"),
        (("init", "--key-store", "file", "--kek-file", "KEK"), "not encrypted under a key of yours"),
        (("serve", "--host", "192.0.2.1", "--port", "0"), "no loopback address"),
        (("serve", "--host", "192.0.2.1", "--url", "http://localhost"), "no loopback address"),
        (("serve", "--key-store", "memory", "--workers", "2"), "one worker's"),
        (("code", "--expires", "25h"), "at most 1 day"),
        (("status",), "there is no authority"),
    ],
)
def test_what_is_refused_makes_nothing(home: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(Error, match=said):
        run(*(str(kek_file(tmp_path)) if word == "KEK" else word for word in words))
    assert not (home / "authority").exists()


def test_the_operator_reads_the_fingerprint_that_others_pin() -> None:
    made = run("init", "--key-store", "file")
    fingerprint = json.loads(run("status", "--json"))["anchorSha256"]
    assert re.search(rf"^anchor +SHA-256 {fingerprint}$", made, re.MULTILINE)


def test_a_teams_authority_has_no_human_and_is_not_damaged(home: Path) -> None:
    run("init", "--key-store", "file")
    with embedded.opened(home) as opened, pytest.raises(RefusedError, match="is a team's"):
        _ = opened.human


def test_keys_that_are_not_encrypted_cannot_be_wrapped_again(tmp_path: Path) -> None:
    run("init", "--key-store", "file")
    with pytest.raises(Error, match="not encrypted"):
        run("rewrap", "--kek-file", str(kek_file(tmp_path)))


def test_every_setting_is_in_the_document_with_its_default() -> None:
    text = (ROOT / "docs" / "authority.md").read_text("utf-8")
    section = text[text.index("## Settings") : text.index("`/metrics` has")]
    written = dict(re.findall(r"^\| `([a-z_.]+)` \| (\S+) \|", section, re.MULTILINE))
    tables = {"limits": Limits, "compat": Compat}
    plain = [field.name for field in fields(Settings) if field.name not in (*tables, "proofs")]
    nested = [f"{table}.{field.name}" for table, kind in tables.items() for field in fields(kind)]
    assert sorted(written) == sorted([*plain, *nested])
    assert not set(configured.KEYS) & set(written)
    for name in nested:
        table, _, key = name.partition(".")
        default = getattr(tables[table](), key)
        said = str(default).lower() if isinstance(default, bool) else f"{default.count}/{default.seconds}"
        assert written[name] == f"`{said}`"
    assert written["url"] == f"`{settings.DEFAULT_URL}`"
