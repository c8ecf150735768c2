"""What the daemon replies to a call by git, as events; `tests/compat` asks git what it makes of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from attest import cms, sshsig
from attest.errors import MalformedError, UnavailableError, UsageError
from notme_git import shim
from notme_git.daemon import serving
from notme_git.daemon.credential import Signer
from notme_git.daemon.protocol import NOT_OURS, SIGNATURE_FILE, Reply, Request
from notme_git.dialect import DIALECTS
from tests.world import AGENT, World

KEY = f"notme:{AGENT}"
BOB = "Bob <bob@example.org>"
SIGN = ("--status-fd=2", "-bsau", KEY)
VERIFY = ("--status-fd=1", "--verify", "signature", "-")
BY_SSH = ("-Y", "sign", "-n", "git", "-f", "key", "payload")
NOTHING: Mapping[str, Any] = MappingProxyType({})
FOREIGN = b"-----BEGIN SIGNED MESSAGE-----\nMAA=\n-----END SIGNED MESSAGE-----\n"


@dataclass
class Served:
    """A signer of a world, asked as git asks through the shim."""

    world: World
    signer: Signer

    def ask(
        self, dialect: str, words: tuple[str, ...], stdin: bytes = b"",
        files: Mapping[str, bytes] = NOTHING, environ: Mapping[str, str] = NOTHING,
    ) -> Reply:  # fmt: skip
        request = Request(dialect, words, environ, "/", stdin, files)
        return serving.answer(request, self.signer, os.getpid(), self.world.now)

    def sign(self, payload: bytes | None = None, words: tuple[str, ...] = SIGN, dialect: str = "gpgsm") -> Reply:
        return self.ask(dialect, words, self.world.commit() if payload is None else payload)

    def by_ssh(self, key: bytes = f"ssh-ed25519 AAAA {KEY}\n".encode(), **files: bytes) -> Reply:
        return self.ask("ssh-keygen", BY_SSH, files={"key": key, "payload": self.world.commit(), **files})


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    world = World(tmp_path)
    world.grant()
    with world.opened() as authority:
        yield Served(world, Signer.of(world.home, authority))


def said(reply: Reply, where: str) -> bytes:
    return b"".join(data for place, data in reply.events if place == where)


def status_words(reply: Reply, where: str) -> list[bytes]:
    lines = said(reply, where).splitlines()
    return [line.split()[1] for line in lines if line.startswith(b"[GNUPG:] ")]


# -- signing


@pytest.mark.parametrize("dialect", ["gpgsm", "gpg", "auto-gpgsm", "auto-gpg"])
def test_a_signature_comes_between_the_two_status_lines(served: Served, dialect: str) -> None:
    reply = served.sign(dialect=dialect)
    assert [where for where, _ in reply.events] == ["2", "1", "2"]
    assert (reply.status, status_words(reply, "2")) == (0, [b"BEGIN_SIGNING", b"SIG_CREATED"])
    assert cms.parse(cms.ARMOUR.open(said(reply, "1"))).signing_time == served.world.now


def test_without_a_status_descriptor_there_is_the_signature_alone(served: Served) -> None:
    assert [where for where, _ in served.sign(words=("-bsau", KEY)).events] == ["1"]


@pytest.mark.parametrize(
    ("words", "payload", "status"),
    [
        (SIGN, b"no commit", 1),
        (SIGN, b"", 1),
        (("--status-fd=2", "-bsau", "notme:other"), None, 1),
        (("--status-fd=2", "-bsau", "notme:"), None, 64),
        (("--status-fd=1", "-bsau", "notme:other"), None, 1),
    ],
    ids=["no commit", "nothing", "no grant", "half a key", "a status on stdout"],
)
def test_a_refusal_is_a_sentence_on_stderr_and_nothing_that_git_takes_for_a_signature(
    served: Served, words: tuple[str, ...], payload: bytes | None, status: int
) -> None:
    reply = served.sign(payload, words)
    assert reply.status == status
    assert [where for where, _ in reply.events] == ["2"]
    assert said(reply, "2").startswith(b"notme-git: ")
    assert b"[GNUPG:]" not in said(reply, "2")


def test_a_signature_by_ssh_is_a_file_and_nothing_else(served: Served) -> None:
    reply = served.by_ssh()
    assert (reply.status, [where for where, _ in reply.events]) == (0, [SIGNATURE_FILE])
    assert sshsig.parse(sshsig.ARMOUR.open(reply.events[0][1])).namespace == "git"


@pytest.mark.parametrize("files", [{"payload": b"no commit"}, {"payload": b""}], ids=["no commit", "nothing"])
def test_what_is_no_commit_is_not_signed_by_ssh_either(served: Served, files: dict[str, bytes]) -> None:
    reply = served.by_ssh(**files)
    assert (reply.status, [where for where, _ in reply.events]) == (1, ["2"])


def test_a_payload_that_the_client_could_not_read_is_named(served: Served) -> None:
    reply = served.ask("ssh-keygen", BY_SSH, files={"key": f"ssh-ed25519 AAAA {KEY}\n".encode()})
    assert (reply.status, b"cannot read payload" in said(reply, "2")) == (2, True)


def test_what_is_replayed_keeps_its_author(served: Served) -> None:
    payload = served.world.commit(author=BOB)
    assert served.sign(payload).status == 1
    assert served.ask("gpgsm", SIGN, payload, environ={"GIT_REFLOG_ACTION": "cherry-pick"}).status == 0


# -- what is not ours


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        ("gpgsm", ("--status-fd=2", "-bsau", "0xBEEF")),
        ("gpg", ("-bsau", "")),
        ("auto-gpg", ("-bsau", "0xBEEF")),
        ("gpgsm", ("--export",)),
        ("gpgsm", ("--verify", "signature", "file")),
        ("ssh-keygen", ("-lf", "key")),
        ("ssh-keygen", ("-Y", "sign", "-n", "file", "-f", KEY, "payload")),
        ("ssh-keygen", ("-Y", "sign", "-n", "git", "-f", "/home/alice/.ssh/id", "payload")),
        ("control", ("stop",)),
        ("cosign", SIGN),
        ("", ()),
    ],
)
def test_what_is_not_ours_is_left_to_another_program(served: Served, dialect: str, words: tuple[str, ...]) -> None:
    assert served.ask(dialect, words, served.world.commit(), {"payload": served.world.commit()}) == NOT_OURS
    assert served.signer.signatures == 0


@pytest.mark.parametrize("signature", [FOREIGN, b"", b"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n"], ids=repr)
def test_a_signature_of_anothers_is_left_to_another_program(served: Served, signature: bytes) -> None:
    assert served.ask("gpgsm", VERIFY, b"payload", {"signature": signature}) == NOT_OURS


def test_an_ordinary_ssh_key_is_left_to_another_program(served: Served) -> None:
    assert served.by_ssh(b"ssh-ed25519 AAAA alice@example.org\n") == NOT_OURS


# -- verifying


def test_a_good_signature_is_good_and_trusted(served: Served) -> None:
    payload = served.world.commit()
    reply = served.ask("gpgsm", VERIFY, payload, {"signature": served.world.sign(payload)})
    assert (reply.status, status_words(reply, "1")) == (0, [b"NEWSIG", b"GOODSIG", b"VALIDSIG", b"TRUST_FULLY"])


@pytest.mark.parametrize("what", ["another payload", "another authority"])
def test_a_bad_one_of_ours_is_bad_and_never_left_to_another_program(served: Served, what: str) -> None:
    payload = served.world.commit()
    armour = served.world.sign(payload)
    if what == "another authority":
        served.world.other.grant()
        armour = served.world.other.sign(served.world.other.commit())
    reply = served.ask("gpgsm", VERIFY, payload + b"x", {"signature": armour})
    assert reply.status == 1
    assert status_words(reply, "1")[0] == b"NEWSIG"
    assert status_words(reply, "1")[1] in (b"BADSIG", b"ERRSIG")
    assert status_words(reply, "1")[2:] == [b"TRUST_NEVER"]


def test_a_signature_that_the_client_could_not_read_is_an_error_that_git_takes_for_nothing_good(
    served: Served,
) -> None:
    reply = served.ask("gpgsm", VERIFY, b"payload")
    assert (reply.status, status_words(reply, "1")) == (2, [b"NEWSIG", b"ERRSIG", b"TRUST_NEVER"])


# -- what cannot be read at all


@pytest.mark.parametrize(
    ("error", "status"), [(MalformedError("why"), 1), (UnavailableError("why"), 2), (UsageError("why"), 64)]
)
def test_a_request_that_could_not_be_read_is_answered_with_a_sentence(error: Exception, status: int) -> None:
    assert serving.refusal(error) == Reply(status, (("2", b"notme-git: why\n"),))


# -- shim, daemon and fallback take the same calls for theirs

VECTORS = [
    ("gpgsm", SIGN), ("gpgsm", VERIFY), ("gpgsm", ("-bsau", "x")), ("gpgsm", ("--export",)), ("gpgsm", ()),
    ("gpgsm", ("--verify", "a", "b")), ("gpg", ("--verify", "a")), ("ssh-keygen", BY_SSH), ("ssh-keygen", ("-Y",)),
    ("ssh-keygen", ("-Y", "sign", "-n", "git", "-f", KEY, "-U", "payload")), ("ssh-keygen", ("-lf", "key")),
    ("ssh-keygen", ("-Y", "verify", "-n", "git", "-f", "a", "-I", "p", "-Overify-time=1", "-s", "s", "-r", "r")),
    ("ssh-keygen", ("-Y", "find-principals", "-f", "a", "-s", "s", "")), ("ssh-keygen", ()),
    ("ssh-keygen", ("-Y", "check-novalidate", "-n", "git", "-s", "s")), ("ssh-keygen", ("-Y", "match-principals")),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "words"), VECTORS)
def test_the_shim_sends_the_files_and_stdin_that_the_answer_needs(dialect: str, words: tuple[str, ...]) -> None:
    call = DIALECTS[dialect].Call(words)
    sent = shim._call(dialect, list(words))
    if call.mode:
        assert sent is not None
        paths, piped = sent
        assert set(call.paths) <= set(paths)
        assert piped == call.piped


def test_requests_are_values(served: Served) -> None:
    """Nothing of one call stays for the next."""
    refused = served.sign(b"no commit")
    assert served.sign().status == 0
    assert served.sign(b"no commit") == refused
