"""Allowed signers files: which keys count, for whom and when, and which files are refused."""

from __future__ import annotations

import base64
import hashlib
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import MalformedError
from attest.foreign import allowed
from attest.foreign.allowed import AllowedSigners, Entry
from attest.foreign.patternlist import PatternList
from attest.sshwire import string
from tests import sshforge
from tests.sshforge import KINDS

MAKERS = sshforge.every_kind()
ALICE, BOB = sshforge.ed25519("alice"), sshforge.ed25519("bob")
BERLIN = timezone(timedelta(hours=1))
NEW_YEAR = 1735689600  # 2025-01-01T00:00:00Z


def only(text: str) -> Entry:
    """The one entry of a file."""
    read = AllowedSigners.parse(text.encode(), BERLIN)
    ((entry,),) = (*read.keys.values(), *read.authorities.values())
    return entry


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_names_a_key_of_every_kind(kind: str) -> None:
    read = AllowedSigners.parse(f"alice@example.org {MAKERS[kind].line}\n".encode())
    assert read.keys == {MAKERS[kind].blob: (Entry(1, PatternList(("alice@example.org",)), MAKERS[kind].blob),)}
    assert read.authorities == {}


def test_a_file_is_known_by_its_digest() -> None:
    data = f"# a comment\n\na@b {ALICE.line}\n".encode()
    assert AllowedSigners.parse(data).sha256 == hashlib.sha256(data).digest()


SPELLINGS = {
    "with a comment": f"a@b {ALICE.line} alice's laptop, the new one",
    "without a last newline": f"a@b {ALICE.line}",
    "with CRLF": f"# x\r\n\r\na@b {ALICE.line}\r\n",
    "with a comment and CRLF": f"a@b {ALICE.line} laptop\r\n",
    "with tabs": f"\ta@b\t{ALICE.line}".replace(" ", "\t"),
    "with many blanks": f"   a@b    {ALICE.line.replace(' ', '   ')}   x",
    "after comments and empty lines": f"# a@b {BOB.line}\n\n  \n   # x\na@b {ALICE.line}\n",
    "with principals in quotes": f'"a@b" {ALICE.line}\n',
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_line_is_read_however_it_is_set(spelling: str) -> None:
    entry = only(SPELLINGS[spelling])
    assert (entry.principals, entry.key) == (PatternList(("a@b",)), ALICE.blob)


OPTIONS: dict[str, tuple[str, Entry]] = {
    "an authority": ("cert-authority", Entry(1, PatternList(("a@b",)), ALICE.blob, authority=True)),
    "in another case": ("Cert-Authority", Entry(1, PatternList(("a@b",)), ALICE.blob, authority=True)),
    "a namespace": (
        'namespaces="git"',
        Entry(1, PatternList(("a@b",)), ALICE.blob, namespaces=PatternList(("git",))),
    ),
    "a namespace with a quote and a comma": (
        r'namespaces="g\"t,*"',
        Entry(1, PatternList(("a@b",)), ALICE.blob, namespaces=PatternList(('g"t', "*"))),
    ),
    "a blank within quotes": (
        'namespaces="g t"',
        Entry(1, PatternList(("a@b",)), ALICE.blob, namespaces=PatternList(("g t",))),
    ),
    "a day in UTC, in full": (
        'valid-after="20250101UTC"',
        Entry(1, PatternList(("a@b",)), ALICE.blob, not_before=NEW_YEAR),
    ),
    "a day in UTC": ('valid-after="20250101Z"', Entry(1, PatternList(("a@b",)), ALICE.blob, not_before=NEW_YEAR)),
    "a local day": ('valid-after="20250101"', Entry(1, PatternList(("a@b",)), ALICE.blob, not_before=NEW_YEAR - 3600)),
    "a minute": (
        'valid-before="202501010102Z"',
        Entry(1, PatternList(("a@b",)), ALICE.blob, not_after=NEW_YEAR + 62 * 60),
    ),
    "a second": (
        'valid-before="20250101010203z"',
        Entry(1, PatternList(("a@b",)), ALICE.blob, not_after=NEW_YEAR + 3723),
    ),
    "a local second": (
        'valid-before="20250101010203"',
        Entry(1, PatternList(("a@b",)), ALICE.blob, not_after=NEW_YEAR + 123),
    ),
    "all of them": (
        'valid-before="20250102Z",namespaces="git",CERT-AUTHORITY,valid-after="20250101Z"',
        Entry(1, PatternList(("a@b",)), ALICE.blob, True, PatternList(("git",)), NEW_YEAR, NEW_YEAR + 86400),
    ),
}  # fmt: skip


@pytest.mark.parametrize("option", OPTIONS)
def test_options_are_read(option: str) -> None:
    text, expected = OPTIONS[option]
    assert only(f"a@b {text} {ALICE.line} laptop") == expected


def test_a_file_says_something_else_where_its_times_are_other_instants() -> None:
    line = f'a@example.org valid-after="20260101" {ALICE.line}\n'.encode()
    here, there = AllowedSigners.parse(line, UTC), AllowedSigners.parse(line, BERLIN)
    assert here.sha256 != there.sha256
    zoned = line.replace(b"20260101", b"20260101Z")
    assert AllowedSigners.parse(zoned, UTC).sha256 == AllowedSigners.parse(zoned, BERLIN).sha256


def test_times_without_a_zone_are_this_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        read = AllowedSigners.parse(f'a@b valid-after="20250701" {ALICE.line}'.encode())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert read.keys[ALICE.blob][0].not_before == 1751320800  # 2025-06-30T22:00:00Z


def test_both_ends_of_a_time_count() -> None:
    entry = only(f'a@b valid-after="20250101Z",valid-before="20250102Z" {ALICE.line}')
    held = {seconds - NEW_YEAR: entry.holds_at(seconds) for seconds in range(NEW_YEAR - 1, NEW_YEAR + 86402, 86401)}
    assert held == {-1: False, 86400: True}
    assert entry.holds_at(NEW_YEAR)
    assert not entry.holds_at(NEW_YEAR + 86401)


def test_lines_of_one_key_stay_in_their_order() -> None:
    expired, authority = f'a@b valid-before="20250101" {ALICE.line}', f"c@d cert-authority {ALICE.line}"
    text = f"{expired}\n{authority}\n\ne@f {ALICE.line}\ng@h {BOB.line}\n"
    read = AllowedSigners.parse(text.encode())
    assert [entry.line for entry in read.keys[ALICE.blob]] == [1, 4]
    assert [entry.line for entry in read.authorities[ALICE.blob]] == [2]
    assert set(read.keys) == {ALICE.blob, BOB.blob}


def test_namespaces_are_patterns() -> None:
    assert only(f"a@b {ALICE.line}").is_for("git")
    assert only(f'a@b namespaces="file,g*" {ALICE.line}').is_for("git")
    assert not only(f'a@b namespaces="file" {ALICE.line}').is_for("git")
    assert not only(f'a@b namespaces="*,!git" {ALICE.line}').is_for("git")


KIND, TEXT = ALICE.line.split()
REFUSED = {
    "no key": ("a@b", "no SSH key"),
    "no principals": (ALICE.line, "neither a key"),
    "nothing but forbidden principals": (f"!a@b {ALICE.line}", "no principals"),
    "quotes without end": (f'"a@b {ALICE.line}', "no SSH key"),
    "an unknown option": (f"a@b no-touch-required {ALICE.line}", "option"),
    "an option without its value": (f"a@b namespaces {ALICE.line}", "option"),
    "a flag with a value": (f'a@b cert-authority="yes" {ALICE.line}', "option"),
    "a value without quotes": (f"a@b valid-after=20250101 {ALICE.line}", "option"),
    "a value without end": (f'a@b namespaces="git {ALICE.line}', "option"),
    "a value with an escaped end": (rf'a@b namespaces="git\" {ALICE.line}', "option"),
    "an option twice": (f'a@b namespaces="git",namespaces="file" {ALICE.line}', "twice"),
    "a comma at the end": (f"a@b cert-authority, {ALICE.line}", "option"),
    "options apart": (f'a@b cert-authority namespaces="git" {ALICE.line}', "no SSH key"),
    "a month 13": (f'a@b valid-after="20251301" {ALICE.line}', "no time"),
    "an hour 24": (f'a@b valid-after="202501012400Z" {ALICE.line}', "no time"),
    "a time of seven digits": (f'a@b valid-after="2025010" {ALICE.line}', "form"),
    "a time in words": (f'a@b valid-after="tomorrow" {ALICE.line}', "form"),
    "an end before its beginning": (f'a@b valid-after="20250102",valid-before="20250101" {ALICE.line}', "not after"),
    "no base64": (f"a@b {KIND} ***", "base64"),
    "base64 without its end": (f"a@b {KIND} {TEXT[:-1]}", "base64"),
    "nothing after the kind": (f"a@b {KIND}", "kind"),
    "another kind than said": (f"a@b ssh-rsa {TEXT}", "kind"),
    "DSA": (f"a@b ssh-dss {base64.b64encode(string('ssh-dss') + sshforge.mpint(3) * 4).decode()}", "ssh-dss"),
    "a short RSA key": (
        "a@b ssh-rsa "
        + base64.b64encode(string("ssh-rsa") + sshforge.mpint(65537) + sshforge.mpint(1 << 1023 | 1)).decode(),
        "1024 bits",
    ),
    "a certificate": (
        "a@b ssh-ed25519-cert-v01@openssh.com " + base64.b64encode(BOB.certify(ALICE)).decode(),
        "a certificate",
    ),
    "a NUL": (f"a@b {ALICE.line}\0", "NUL"),
}  # fmt: skip


@pytest.mark.parametrize("defect", REFUSED)
def test_a_file_with_a_line_that_says_nothing_is_refused_by_the_number_of_the_line(defect: str) -> None:
    line, words = REFUSED[defect]
    with pytest.raises(MalformedError, match=words) as caught:
        AllowedSigners.parse(f"# x\nc@d {BOB.line}\n{line}\n".encode())
    assert "line 3" in caught.value.message


def test_a_file_is_bounded_and_text() -> None:
    for data in (b"#" * (allowed.MAX_LINE_BYTES + 1), b"\n" * (allowed.MAX_BYTES + 1), b"# \xff"):
        with pytest.raises(MalformedError):
            AllowedSigners.parse(data)


LINES = st.lists(
    st.sampled_from(
        [
            *(line for line, _ in REFUSED.values()),
            *SPELLINGS.values(),
            *(f"a@b {o} {BOB.line}" for o, _ in OPTIONS.values()),
        ]
    ),
    max_size=3,
).map(lambda lines: "\n".join(lines).encode())
CHANGED = st.tuples(LINES, st.integers(0, 400), st.binary(max_size=4)).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + 1 :]
)


@given(st.one_of(st.binary(max_size=200), LINES, CHANGED))
def test_any_bytes_are_refused_or_each_key_stands_in_its_line(data: bytes) -> None:
    try:
        read = AllowedSigners.parse(data, BERLIN)
    except MalformedError:
        return
    lines = data.split(b"\n")
    entries = [entry for found in (read.keys, read.authorities) for listed in found.values() for entry in listed]
    for entry in entries:
        assert base64.b64encode(entry.key) in lines[entry.line - 1]
    assert len(entries) == sum(1 for line in lines if line.strip(b" \t\r") and not line.strip(b" \t").startswith(b"#"))


PATTERN = st.text("ab@.*?é", min_size=1, max_size=6)


@given(
    st.lists(PATTERN, min_size=1, max_size=3),
    st.lists(PATTERN, max_size=2),
    st.booleans(),
    st.none() | st.lists(PATTERN, min_size=1, max_size=2),
    st.none() | st.integers(0, 2**31),
    st.none() | st.integers(2**31 + 1, 2**32),
)
def test_an_entry_that_is_written_down_is_read_again(
    wanted: list[str],
    unwanted: list[str],
    authority: bool,
    spaces: list[str] | None,
    after: int | None,
    before: int | None,
) -> None:
    entry = Entry(
        1, PatternList(tuple(wanted), tuple(unwanted)), ALICE.blob, authority,
        PatternList(tuple(spaces)) if spaces is not None else None, after, before,
    )  # fmt: skip
    options = ["cert-authority"] if authority else []
    options += [f'namespaces="{",".join(spaces)}"'] if spaces is not None else []
    for name, when in (("valid-after", after), ("valid-before", before)):
        options += [f'{name}="{datetime.fromtimestamp(when, UTC):%Y%m%d%H%M%S}Z"'] if when is not None else []
    principals = ",".join([*wanted, *(f"!{pattern}" for pattern in unwanted)])
    assert only(" ".join([principals, *([",".join(options)] if options else []), ALICE.line])) == entry
