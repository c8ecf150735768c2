"""Rows: what reports are made from, also of objects that step 1 refuses, and their form as a line of JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from attest import certfacts, verify
from attest.errors import Reason, Step, UnavailableError
from attest.policy import Context, Policy
from attest.report import jsonl
from attest.row import Row, SignerKind
from attest.rows import MAX_SUBJECT, first_line, row_of, unread
from attest.types import Outcome, StepStatus
from tests.forge import NOW, attach, plain_ssh
from tests.world import World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"))
    made.grant()
    return made


def row(world: World, raw: bytes) -> Row:
    found, trusted = world.examine(raw), world.trust()
    return row_of(found, verify.decide(found, Policy(), Context(), at=world.now), trusted)


def twice(raw: bytes) -> bytes:
    """With a header that nobody signed: git still says that the signature is good."""
    return raw.replace(b"\ngpgsig ", b"\ngpgsig-evil hidden\ngpgsig ", 1)


def by_somebody(world: World) -> bytes:
    payload = world.commit()
    return attach(payload, plain_ssh(payload))


CASES: dict[str, tuple[Callable[[World], bytes], str | None, bool | None, Outcome]] = {
    "a good commit": (lambda w: w.signed_commit(), "x509", True, Outcome.ACCEPTED),
    "an unsigned one": (lambda w: w.commit(), None, None, Outcome.REJECTED),
    "somebody's SSH key": (by_somebody, "ssh", True, Outcome.REJECTED),
    "a message that was changed": (lambda w: w.signed_commit() + b"x\n", "x509", False, Outcome.REJECTED),
    "a header that nobody signed": (lambda w: twice(w.signed_commit()), "x509", True, Outcome.REJECTED),
    "the same of somebody's SSH key": (lambda w: twice(by_somebody(w)), "ssh", True, Outcome.REJECTED),
    "the same, and the message changed": (lambda w: twice(w.signed_commit()) + b"x\n", "x509", False, Outcome.REJECTED),
    "an armour that nobody knows": (
        lambda w: w.signed_commit().replace(b"SIGNED MESSAGE", b"NEW THING"), "unknown", None, Outcome.REJECTED
    ),
    "the same in a malformed commit": (
        lambda w: twice(w.signed_commit().replace(b"SIGNED MESSAGE", b"NEW THING")), "unknown", None, Outcome.REJECTED
    ),
    "a malformed commit without a signature": (
        lambda w: w.commit().replace(b"tree ", b"tree  ", 1), None, None, Outcome.REJECTED
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_row_says_format_and_integrity_of_every_object(world: World, name: str) -> None:
    make, fmt, integrity, outcome = CASES[name]
    made = row(world, make(world))
    assert (made.format, made.integrity, made.outcome) == (fmt, integrity, outcome)
    line = json.loads(jsonl.line(made))
    assert (line["format"], line["integrity"], line["outcome"]) == (fmt, integrity, outcome.value)
    assert [finding["step"] for finding in line["findings"]] == list(range(1, 9))
    assert (line["signer"] is None) == (made.signer is None)


def test_a_line_says_of_the_certificate_what_is_in_it(world: World) -> None:
    made = row(world, world.signed_commit())
    assert made.signer is not None
    assert made.signer.kind is SignerKind.BRIDGE
    [examined] = [world.examine(world.signed_commit())]
    assert examined.message is not None
    signer = examined.message.signer
    line = json.loads(jsonl.line(row(world, world.signed_commit())))
    assert line["issuer"] == signer.issuer.rfc4514_string()
    assert line["subject"] == signer.subject.rfc4514_string()
    assert line["committer_date"] == line["signing_time"] == f"{world.now:%Y-%m-%dT%H:%M:%SZ}"
    assert line["identity"]["actor"]["name"] == "claude-code"
    assert len(line["evidence"]) == 2
    proven, alone = made.signer, certfacts.read(signer)
    assert (proven.issuer, proven.subject) == (alone.issuer, alone.subject)
    assert [n.rpartition("/")[2] for n in alone.subject_alternative_names] == ["claude-code"]


def test_an_object_that_cannot_be_read_is_could_not_check() -> None:
    made = unread("1" * 40, UnavailableError("object 1 is not here", hint="fetch it"), judged=True)
    assert made.outcome is Outcome.COULD_NOT_CHECK
    assert made.decisive is not None
    assert (made.decisive.reason, made.decisive.detail) == (Reason.OBJECT_UNREADABLE, "object 1 is not here; fetch it")
    assert {made.finding(step).status for step in Step} == {StepStatus.UNAVAILABLE}
    assert made.identity is None
    assert unread("1" * 40, UnavailableError("x"), judged=False).outcome is None
    assert json.loads(jsonl.line(made))["commit"] == "1" * 40


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (b"subject\n\nbody\n", "subject"),
        (b"\n\n  late\nmore", "  late"),
        (b"no end", "no end"),
        (b"", ""),
        (b"\xff\n", "\ufffd"),
        (b"x" * 10_000, "x" * MAX_SUBJECT),
        ("ü".encode() * 10_000, "ü" * MAX_SUBJECT),
    ],
)
def test_the_first_line_is_short_whatever_the_message(message: bytes, line: str) -> None:
    assert first_line(message) == line


def test_of_a_certificate_that_spells_something_badly_the_rest_is_said() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "odd")])
    builder = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(0x1F).not_valid_before(NOW).not_valid_after(NOW + timedelta(minutes=5))
    )  # fmt: skip
    names: list[x509.GeneralName] = [
        x509.RFC822Name("a@example.org"),
        x509.DirectoryName(name),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), b"\x0c\x05alice"),
        x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
    ]
    made = builder.add_extension(x509.SubjectAlternativeName(names), critical=True).sign(key, SHA256())
    found = certfacts.read(made)
    assert (found.serial, found.subject, found.not_before) == ("1f", "CN=odd", int(NOW.timestamp()))
    assert found.subject_alternative_names == ("a@example.org", "CN=odd", "alice", "1.2.3")
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\x30\x03\x82\x05x")
    bad = certfacts.read(builder.add_extension(broken, critical=False).sign(key, SHA256()))
    assert (bad.subject, bad.subject_alternative_names) == ("CN=odd", ())


def test_hostile_text_is_one_line_of_json_all_the_same(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.grant()
    hostile = 'Eve "\u2028\x1b[31m\\ <eve@example.org>'
    made = row(world, world.commit(committer=hostile, author=hostile))
    line = jsonl.line(made)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["committer"] == hostile
