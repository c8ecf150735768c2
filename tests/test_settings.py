"""The operator's settings: every key, its default, and what is refused by name."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import UnavailableError, UsageError
from attest.types import Assurance
from notme_git.authority import settings
from notme_git.authority.proofs import configured
from notme_git.authority.settings import Compat, Limits, Rate, Settings

FULL = """
url = "https://authority.example.com/"
audiences = ["https://mcp.example.com"]
origins = ["https://app.example.com"]
proxies = ["127.0.0.1"]
kek_file = "/run/secrets/kek"
open_registration = true
dpop_nonce = false
session_lifetime = "12h"
invite_lifetime = "2w"

[limits]
token = "1/2"
cert_gha = "3/4"
passkey = "5/6"
cert = "7/8"
code = "9/10"
timestamp = "0"

[compat]
no_nonce = true
legacy_digest = false

[github]
owners = ["Example"]
"""
KEYS = [*(each.name for each in fields(Settings) if each.name != "proofs"), *configured.KEYS]

values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.datetimes() | st.dates() | st.times(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def written(folder: Path, text: str | bytes) -> Settings:
    (folder / settings.NAME).write_bytes(text.encode() if isinstance(text, str) else text)
    return settings.read(folder)


def test_without_a_file_all_is_default_and_closed(tmp_path: Path) -> None:
    found = settings.read(tmp_path)
    assert found == Settings()
    assert (found.open_registration, found.compat.no_nonce, found.dpop_nonce) == (False, False, True)
    assert (found.audiences, found.origins, found.proxies, found.proofs.github.owners) == ((), (), (), ())
    assert all(getattr(found.limits, name).count for name in Limits.__slots__)


def test_every_key_is_read(tmp_path: Path) -> None:
    found = written(tmp_path, FULL)
    assert found == Settings(
        url="https://authority.example.com",
        audiences=("https://mcp.example.com",),
        origins=("https://app.example.com",),
        proxies=("127.0.0.1",),
        kek_file="/run/secrets/kek",
        open_registration=True,
        dpop_nonce=False,
        session_lifetime=timedelta(hours=12),
        invite_lifetime=timedelta(days=14),
        limits=Limits(Rate(1, 2), Rate(3, 4), Rate(5, 6), Rate(7, 8), Rate(9, 10), Rate(0, 0)),
        compat=Compat(no_nonce=True, legacy_digest=False),
        proofs=configured.parse_proofs({"github": {"owners": ["Example"]}}),
    )
    assert all(getattr(found, name) != getattr(Settings(), name) for name in KEYS if name not in configured.KEYS)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("urll = 'https://a.example'", "unknown setting 'urll'"),
        ("[limit]", "unknown setting 'limit'"),
        ("[limits]\nlogin = '1/2'", "'limits': unknown 'login'"),
        ("[compat]\nnonce = true", "'compat': unknown 'nonce'"),
        ("[github]\nowner = 'x'", "owner"),
        ("url = 1", "'url'"),
        ("url = 'authority.example.com'", "'url': write an origin"),
        ("url = 'https://a.example/path'", "'url': write an origin"),
        ("url = 'https://a.example?x'", "'url': write an origin"),
        ("url = 'https://u:p@a.example'", "'url'"),
        ("url = 'http://a.example'", "'url': only loopback may be without TLS"),
        ("url = 'http://127.0.0.1.example'", "'url': only loopback may be without TLS"),
        ("url = 'ftp://localhost'", "'url': write an origin"),
        ("url = 'https://['", "'url'"),
        ("audiences = 'https://a.example'", "'audiences': write a list of texts"),
        ("origins = [1]", "'origins': write a text"),
        ("proxies = true", "'proxies': write a list"),
        ("kek_file = 1", "'kek_file': write a text"),
        ("open_registration = 'no'", "'open_registration': write true or false"),
        ("open_registration = 0", "'open_registration': write true or false"),
        ("session_lifetime = 3600", "'session_lifetime': write a text"),
        ("session_lifetime = '8d'", "'session_lifetime': at most 7 days"),
        ("session_lifetime = '0s'", "'session_lifetime'"),
        ("session_lifetime = '-1h'", "'session_lifetime'"),
        ("invite_lifetime = '31d'", "'invite_lifetime': at most 30 days"),
        ("limits = 1", "'limits': write a table"),
        *(
            (f"[limits]\ncode = '{rate}'", "'limits': write it like 20/60")
            for rate in ("", "5", "5/", "5/0", "/60", "-5/60", "5/60/1", "5/1.5", "\u0665/60", "five/60", "5 / 60")
        ),
        ("[compat]\nno_nonce = 1", "'compat': write true or false"),
        ("url = ", "is no TOML"),
        ("a = 1\na = 2", "is no TOML"),
        ("a = " + "[" * 20_000, "is no TOML"),
    ],
    ids=lambda each: each[:40],
)
def test_what_is_wrong_is_named_with_its_file(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(UsageError) as refused:
        written(tmp_path, text)
    assert named in refused.value.message
    assert str(tmp_path / settings.NAME) in refused.value.message
    assert refused.value.hint


def test_a_file_that_is_too_large_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="larger than"):
        written(tmp_path, "#" * (settings.MAX_BYTES + 1))
    with pytest.raises(UsageError, match="is no TOML"):
        written(tmp_path, b"\xff\xfe")
    (tmp_path / settings.NAME).unlink()
    (tmp_path / settings.NAME).mkdir()
    with pytest.raises(UnavailableError, match="cannot read"):
        settings.read(tmp_path)


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), values, max_size=4))
def test_any_document_is_settings_or_refused(document: dict[str, Any]) -> None:
    try:
        found = settings.parse(document)
    except UsageError:
        return
    assert set(document) <= set(KEYS)
    assert hash(found.limits) == hash(found.limits)


@given(st.text(max_size=60) | st.text("htps:/[]@.lo1208calhst?#%", max_size=30).map("http".__add__))
def test_any_text_is_an_origin_that_stays_the_same_or_refused(text: str) -> None:
    try:
        found = settings.parse_url(text)
    except ValueError:
        return
    assert settings.parse_url(found) == found
    assert Settings(url=found).trust_domain in found


@pytest.mark.parametrize(
    ("url", "domain", "origin", "party", "assurance"),
    [
        ("https://a.example", "a.example", "https://a.example", "a.example", Assurance.REMOTE_AUTHORITY),
        ("https://a.example:8443", "a.example:8443", "https://a.example:8443", "a.example", Assurance.REMOTE_AUTHORITY),
        ("http://localhost:8788", "localhost:8788", "http://localhost:8788", "localhost", Assurance.SAME_USER),
        ("http://127.0.0.1:8788", "127.0.0.1:8788", "http://localhost:8788", "localhost", Assurance.SAME_USER),
        ("http://[::1]", "[::1]", "http://localhost", "localhost", Assurance.SAME_USER),
    ],
)
def test_an_origin_says_who_one_is_and_how_far_that_counts(
    url: str, domain: str, origin: str, party: str, assurance: Assurance
) -> None:
    found = settings.parse({"url": url})
    assert (found.trust_domain, found.origin, found.relying_party, found.assurance) == (
        domain, origin, party, assurance
    )  # fmt: skip
