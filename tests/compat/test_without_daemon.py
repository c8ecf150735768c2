"""A machine on which no daemon can be started answers git in its own process: the same words, form and status.

Every call is made twice on one machine: answered by a daemon, then where the daemon's folder is a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compat.conftest import AGENT, Done, Sandbox, copy, stop_daemons, without_daemon
from tests.peers import peer

STRANGER = "Mallory <mallory@example.net>"
Call = Callable[["Machine"], Done]


def ssh(sandbox: Sandbox, *words: str | Path, payload: bytes = b"") -> Done:
    return sandbox.run(sandbox.home / "bin" / "notme-ssh", "-Y", *words, stdin=payload, status=None)


def sign_by_ssh(sandbox: Machine, key: str = f"notme:{AGENT}", payload: bytes | None = None) -> Done:
    """The signature is what the program wrote beside its input."""
    file, written = sandbox.root / "payload", sandbox.root / "payload.sig"
    file.write_bytes(sandbox.now() if payload is None else payload)
    written.unlink(missing_ok=True)
    done = ssh(sandbox, "sign", "-n", "git", "-f", key, file)
    return Done(done.status, done.out + (written.read_bytes() if written.exists() else b""), done.err)


class Machine(Sandbox):
    """A sandbox with a commit signed in each format, whose signatures and payloads lie in `root`."""

    def now(self, **changes: str) -> bytes:
        """A payload of this moment."""
        seconds = self.run("date", "+%s").out.strip()
        return self.payload(**changes).replace(b"1795442172", seconds)

    def ask(self, *words: str | Path, name: str = "notme-x509", payload: bytes | None = None) -> Done:
        return self.run(
            self.home / "bin" / name, *words, stdin=self.now() if payload is None else payload, status=None
        )

    def verify(self, payload: bytes | None = None, *, signature: str = "cms") -> Done:
        given = (self.root / "signed").read_bytes() if payload is None else payload
        return self.ask("--status-fd=1", "--verify", self.root / signature, "-", payload=given)

    def check(self, *words: str | Path, payload: bytes | None = None) -> Done:
        given = (self.root / "signed").read_bytes() if payload is None else payload
        return ssh(self, *words, "-s", self.root / "sshsig", "-Overify-time=20261127000000", payload=given)


def prepared(sandbox: Sandbox) -> Machine:
    made = Machine(sandbox.root, sandbox.environ)
    made.notme("setup", "--agent", AGENT, "--format", "ssh")
    payload = made.now()
    (made.root / "signed").write_bytes(payload)
    (made.root / "cms").write_bytes(made.ask("--status-fd=2", "-bsau", f"notme:{AGENT}", payload=payload).out)
    (made.root / "sshsig").write_bytes(sign_by_ssh(made, payload=payload).out)
    (made.root / "broken").write_bytes(b"-----BEGIN SIGNED MESSAGE-----\nAAAA\n-----END SIGNED MESSAGE-----\n")
    return made


@pytest.fixture
def machine(sandbox: Sandbox) -> Machine:
    return prepared(sandbox)


KEY = f"notme:{AGENT}"
CALLS: dict[str, tuple[Call, int]] = {
    "a signature in CMS": (lambda m: m.ask("--status-fd=2", "-bsau", KEY), 0),
    "one that openssl can read": (lambda m: m.ask("--status-fd=2", "-bsau", f"{KEY}:interop"), 0),
    "one through gpg.program": (lambda m: m.ask("--status-fd=2", "-bsau", KEY, name="notme-openpgp"), 0),
    "one without a status": (lambda m: m.ask("-bsau", KEY), 0),
    "an agent without a grant": (lambda m: m.ask("--status-fd=2", "-bsau", "notme:other"), 1),
    "a key that is half ours": (lambda m: m.ask("--status-fd=2", "-bsau", "notme:"), 64),
    "another's commit": (lambda m: m.ask("--status-fd=2", "-bsau", KEY, payload=m.now(committer=STRANGER)), 1),
    "no commit": (lambda m: m.ask("--status-fd=2", "-bsau", KEY, payload=b"please sign this\n"), 1),
    "a good signature": (lambda m: m.verify(), 0),
    "one over another payload": (lambda m: m.verify(b"another payload\n"), 1),
    "one that is not there": (lambda m: m.verify(signature="gone"), 2),
    "a signature by SSH": (lambda m: sign_by_ssh(m), 0),
    "one for an agent without a grant": (lambda m: sign_by_ssh(m, "notme:other"), 1),
    "one of an old commit": (lambda m: sign_by_ssh(m, payload=m.payload()), 1),
    "who signed by SSH": (lambda m: m.check("find-principals", "-f", "/dev/null"), 0),
    "a good signature by SSH": (lambda m: m.check("check-novalidate", "-n", "git"), 0),
    "a good one of the principal": (lambda m: m.check("verify", "-n", "git", "-f", "/dev/null", "-I", m.address), 0),
    "a good one of another": (lambda m: m.check("verify", "-n", "git", "-f", "/dev/null", "-I", "a@b.c"), 1),
    "one by SSH over another payload": (lambda m: m.check("check-novalidate", "-n", "git", payload=b"x"), 1),
}


def form(done: Done) -> tuple[int, str, str]:
    """What does not differ from one signature to the next: the status, and the words without numbers and base64."""
    out = done.out.decode()
    armour = re.compile(r"(-----BEGIN [A-Z ]+-----\n)[A-Za-z0-9+/=\n]+(-----END [A-Z ]+-----\n)")
    assert "-----BEGIN" not in out or armour.search(out)

    def words(text: str) -> str:
        return re.sub(r"\b(?:\d{10}|[0-9A-F]{40}|\d{4}-\d\d-\d\d[T0-9:Z]*|\d\d:\d\d:\d\dZ)\b", "#", text)

    return done.status, words(armour.sub(r"\1\2", out)), words(done.err)


@pytest.fixture(scope="module")
def answers(template: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Done], ...]]:
    """What each call was answered by a daemon, and what in process."""
    machine = prepared(copy(template, tmp_path_factory.mktemp("twice") / "Alice's machine"))
    by_a_daemon = {name: call(machine) for name, (call, _) in CALLS.items()}
    running = machine.notme("daemon", "status", "--json").json
    assert (running["home"], running["signatures"] > 3) == (str(machine.home), True)
    without_daemon(machine)
    in_process = {name: call(machine) for name, (call, _) in CALLS.items()}
    assert machine.notme("daemon", "status", status=1).out
    yield by_a_daemon, in_process
    stop_daemons(machine.root)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_answered_alike_with_and_without_a_daemon(answers: tuple[dict[str, Done], ...], name: str) -> None:
    by_a_daemon, in_process = (form(answer[name]) for answer in answers)
    assert by_a_daemon == in_process
    assert in_process[0] == CALLS[name][1]


def test_what_was_signed_without_a_daemon_is_verified_by_git(sandbox: Sandbox) -> None:
    without_daemon(sandbox)
    sandbox.commit()
    assert sandbox.shows().startswith("G ")
    assert sandbox.verdict()["outcome"] == "accepted"


@pytest.mark.parametrize("words", [("--status-fd=2", "-bsau", "0xBEEF"), ("--verify", "broken", "-"), ("--export",)])
def test_a_call_of_anothers_arrives_there_alike(machine: Machine, words: tuple[str, ...]) -> None:
    program = machine.root / "other"
    program.write_text("#!/bin/sh\necho other \"$@\"\ncat\nexit 3\n")
    program.chmod(0o755)
    machine.git("config", "notme.previousX509Program", program)
    given = [str(machine.root / word) if word == "broken" else word for word in words]
    payload = bytes(range(256)) * 1000
    answers = [machine.ask(*given, payload=payload)]
    without_daemon(machine)
    answers.append(machine.ask(*given, payload=payload))
    assert answers[0] == answers[1] == Done(3, f"other {' '.join(given)}\n".encode() + payload, "")


def test_an_ssh_signature_made_without_a_daemon_is_one_for_the_real_ssh_keygen(machine: Machine) -> None:
    without_daemon(machine)
    payload = machine.now()
    signature = machine.root / "own.sig"
    signature.write_bytes(sign_by_ssh(machine, payload=payload).out)
    checked = machine.run(
        peer("ssh-keygen"), "-Y", "verify", "-n", "git", "-f", machine.home / "ssh" / "allowed_signers",
        "-I", machine.address, "-s", signature, stdin=payload,
    )  # fmt: skip
    assert checked.text.startswith(f'Good "git" signature for {machine.address} with ED25519-CERT key')
