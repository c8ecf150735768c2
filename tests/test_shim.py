"""The shim as git runs it, against a server that says what a test wants said.

The interpreter is a stand-in: asked for `-IS` it is Python, and else it prints how it was called and its stdin.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from notme_git import shim, shimfile
from notme_git.daemon import protocol
from notme_git.daemon.protocol import NOT_OURS, Reply
from tests.compat import conftest
from tests.sockets import AS_ROOT, answering, of_another_user, short_folder

STAND_IN = f"""#!/bin/sh
if [ "$1" = -IS ]; then exec '{sys.executable}' "$@"; fi
printf '%s\\0' "${{NOTME_HOME-none}}" "$@"
exec cat
"""
SIGN = ("--status-fd=2", "-bsau", "notme:claude-code")
VERIFY = ("--status-fd=1", "--verify", "signature", "-")
PAYLOAD = bytes(range(256)) * 4096
"""A megabyte: more than pipes and sockets hold, so that nobody can write it before it is read."""

SIGNED = Reply(0, (("2", b"[GNUPG:] BEGIN_SIGNING\n"), ("1", b"the armour\n"), ("2", b"[GNUPG:] SIG_CREATED\n")))


class Done(conftest.Done):
    """How a shim ended. `fell_back`: how the stand-in was called, home first; None where it was not."""

    @property
    def fell_back(self) -> list[str] | None:
        head, separator, rest = self.out.partition(b"\0-I\0-m\0notme_git\0")
        if not separator:
            return None
        words = rest[: len(rest) - len(self.stdin)].split(b"\0")[:-1]
        return [os.fsdecode(word) for word in (head, *words)]

    @property
    def stdin(self) -> bytes:
        """What the stand-in read."""
        return self.out.rpartition(b"\0" + PAYLOAD)[1][1:] or b""


OURS = b"ssh-ed25519 AAAA notme:claude-code\n"
"""A key file as setup writes it: whatever is in another is the user's own business."""


@dataclass(frozen=True)
class Place:
    """A short folder with a home whose shims are installed."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def socket(self) -> Path:
        return self.root / "sock"

    def run(
        self,
        *words: str,
        name: str = "notme-x509",
        stdin: bytes = PAYLOAD,
        environ: Mapping[str, str] | None = None,
    ) -> Done:
        ended = subprocess.run(
            [self.home / "bin" / name, *words],
            cwd=self.root,
            env={"PATH": os.defpath, **(environ or {})},
            input=stdin,
            capture_output=True,
            timeout=20,
            check=False,
        )
        return Done(ended.returncode, ended.stdout, ended.stderr.decode())


@pytest.fixture
def place() -> Iterator[Place]:
    with short_folder() as root:
        python = root / "python"
        python.write_text(STAND_IN)
        python.chmod(0o755)
        made = Place(root)
        shimfile.install(made.home, str(python))
        (made.home / "daemon").mkdir()
        (made.home / "daemon" / "address").write_text(str(made.socket))
        yield made


# -- what it is made of


def test_it_imports_nothing_that_python_reads_from_disk() -> None:
    tree = ast.parse(Path(shim.__file__).read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"_socket", "posix", "sys"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


def test_a_call_loads_no_module_but_its_own_and_sockets(place: Place) -> None:
    code = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1]); import notme_shim\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-IS", "-c", code, str(place.home / "bin")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.split() == ["_socket", "notme_shim"]


# -- an answer


def test_what_the_daemon_says_is_written_where_it_says(place: Place) -> None:
    with answering(place.socket, SIGNED.encode()):
        done = place.run(*SIGN)
    assert done == Done(0, b"the armour\n", "[GNUPG:] BEGIN_SIGNING\n[GNUPG:] SIG_CREATED\n")


def test_it_is_written_in_the_order_of_the_answer(place: Place) -> None:
    with answering(place.socket, SIGNED.encode()):
        done = subprocess.run(
            ["sh", "-c", '"$0" "$@" 2>&1', place.home / "bin" / "notme-x509", *SIGN],
            env={"PATH": os.defpath}, input=PAYLOAD, capture_output=True, timeout=20, check=True,
        )  # fmt: skip
    assert done.stdout == b"[GNUPG:] BEGIN_SIGNING\nthe armour\n[GNUPG:] SIG_CREATED\n"


@pytest.mark.parametrize("status", [0, 1, 2, 64, 255])
def test_the_exit_status_is_the_daemons(place: Place, status: int) -> None:
    with answering(place.socket, Reply(status, (("2", b"why\n"),)).encode()):
        done = place.run(*SIGN)
    assert done == Done(status, b"", "why\n")


def test_any_other_descriptor_may_be_gits(place: Place) -> None:
    with answering(place.socket, Reply(0, (("7", b"status\n"),)).encode()):
        done = subprocess.run(
            ["sh", "-c", '"$0" "$@" 7>&1 >/dev/null', place.home / "bin" / "notme-x509", *SIGN],
            env={"PATH": os.defpath}, input=b"", capture_output=True, timeout=20, check=True,
        )  # fmt: skip
    assert done.stdout == b"status\n"


@pytest.mark.parametrize("closed", [">&-", ">/dev/full"])
def test_a_signature_that_cannot_be_written_is_a_failure(place: Place, closed: str) -> None:
    with answering(place.socket, SIGNED.encode()):
        done = subprocess.run(
            ["sh", "-c", f'"$0" "$@" {closed}', place.home / "bin" / "notme-x509", *SIGN],
            env={"PATH": os.defpath}, input=b"", capture_output=True, timeout=20, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert b"SIG_CREATED" not in done.stderr
    assert b"notme-git: " in done.stderr


def test_why_there_is_no_signature_reaches_the_stderr_of_a_git_that_shows_none_of_ours(place: Place) -> None:
    git, kept = place.root / "git", place.root / "kept"
    git.write_text(
        f"#!{sys.executable}\nimport subprocess, sys\n"
        f"command = [{str(place.home / 'bin' / 'notme-x509')!r}, *sys.argv[1:]]\n"
        f"with open({str(kept)!r}, 'wb') as kept:\n"
        "    sys.exit(subprocess.run(command, stderr=kept, check=False).returncode)\n"
    )
    git.chmod(0o755)
    with answering(place.socket, Reply(1, (("2", b"notme-git: the reason\n"),)).encode()):
        done = subprocess.run([git, *SIGN], input=b"", capture_output=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    if sys.platform == "linux":
        assert done.stderr == b"notme-git: the reason\n"
        assert kept.read_bytes() == b"notme-git: not signed, for the reason above\n"
    else:
        assert kept.read_bytes() == b"notme-git: the reason\n"


# -- the request


def test_a_request_to_sign_has_what_git_gave_and_nothing_else_of_the_environment(place: Place) -> None:
    secret = {"AWS_SECRET_ACCESS_KEY": "x", "HOME": "/h", "GIT_DIR": "/g", "NOTME_SESSION": "s", "CLAUDECODE": "1"}
    with answering(place.socket, SIGNED.encode()) as came:
        place.run(*SIGN, environ=secret)
    [request] = came
    assert (request.dialect, request.argv, request.stdin, request.files) == ("gpgsm", SIGN, PAYLOAD, {})
    assert request.cwd == str(place.root)
    assert request.environ == {"GIT_DIR": "/g", "NOTME_SESSION": "s", "CLAUDECODE": "1"}


def test_a_request_to_verify_has_the_signature_along(place: Place) -> None:
    (place.root / "signature").write_bytes(b"armour")
    with answering(place.socket, SIGNED.encode()) as came:
        place.run(*VERIFY)
    assert (came[0].stdin, came[0].files) == (PAYLOAD, {"signature": b"armour"})


def test_a_file_that_cannot_be_read_is_left_out(place: Place) -> None:
    os.mkfifo(place.root / "signature")
    with answering(place.socket, SIGNED.encode()) as came:
        place.run("--verify", "gone", "-")
        place.run(*VERIFY)
    assert [request.files.get("gone") for request in came] == [None, None]


def test_a_signature_by_ssh_is_written_beside_its_input(place: Place) -> None:
    (place.root / "key").write_bytes(OURS)
    (place.root / "payload").write_text("payload")
    reply = Reply(0, ((protocol.SIGNATURE_FILE, b"armour"),))
    with answering(place.socket, reply.encode()) as came:
        done = place.run("-Y", "sign", "-n", "git", "-f", "key", "payload", name="notme-ssh")
    assert done == Done(0, b"", "")
    assert (place.root / "payload.sig").read_bytes() == b"armour"
    assert (came[0].dialect, came[0].stdin) == ("ssh-keygen", b"")
    assert came[0].files == {"key": OURS, "payload": b"payload"}


def test_a_signature_by_ssh_is_not_written_through_what_lies_in_its_place(place: Place) -> None:
    (place.root / "key").write_bytes(OURS)
    (place.root / "payload").write_text("payload")
    (place.root / "precious").write_text("kept")
    (place.root / "payload.sig").symlink_to(place.root / "precious")
    with answering(place.socket, Reply(0, ((protocol.SIGNATURE_FILE, b"armour"),)).encode()):
        done = place.run("-Y", "sign", "-n", "git", "-f", "key", "payload", name="notme-ssh")
    assert done == Done(0, b"", "")
    assert (place.root / "precious").read_text() == "kept"
    assert not (place.root / "payload.sig").is_symlink()
    assert (place.root / "payload.sig").read_bytes() == b"armour"


@pytest.mark.parametrize("auto", ["", "auto-"])
def test_of_a_key_file_that_is_the_users_own_nothing_is_sent(place: Place, auto: str) -> None:
    (place.root / "id").write_bytes(b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n")
    (place.root / "payload").write_text("payload")
    with answering(place.socket, SIGNED.encode()) as came:
        words = ("-Y", "sign", "-n", "git", "-f", "id", "payload")
        place.run(*words, name=f"notme-{auto}ssh", environ={"CLAUDECODE": "1"})
    assert came[0].files == {"payload": b"payload"}


@pytest.mark.parametrize("piped", [True, False])
def test_a_check_by_ssh_has_signature_and_revocations_along_and_stdin_where_git_pipes_it(
    place: Place, piped: bool
) -> None:
    for name in ("s", "r"):
        (place.root / name).write_text(name)
    operation = ("verify", "-I", "a", "-r", "r") if piped else ("find-principals",)
    with answering(place.socket, SIGNED.encode()) as came:
        place.run("-Y", *operation, "-n", "git", "-f", "allowed", "-s", "s", name="notme-ssh")
    assert came[0].stdin == (PAYLOAD if piped else b"")
    assert came[0].files == ({"s": b"s", "r": b"r"} if piped else {"s": b"s"})


def test_the_marks_of_an_agent_make_an_automatic_call_a_request(place: Place) -> None:
    with answering(place.socket, SIGNED.encode()) as came:
        place.run(*SIGN, name="notme-auto-openpgp", environ={"CLAUDECODE": "1"})
    assert came[0].dialect == "auto-gpg"


SSH_SIGN = ("-Y", "sign", "-n", "git", "-f")
NAMED = {
    "a key": (SIGN, "notme-auto-openpgp"),
    "a key by ssh": ((*SSH_SIGN, "notme:claude-code", "payload"), "notme-auto-ssh"),
    "a key file": ((*SSH_SIGN, "key", "payload"), "notme-auto-ssh"),
}


@pytest.mark.parametrize("case", NAMED)
def test_an_agents_key_makes_an_automatic_call_a_request_without_any_mark(place: Place, case: str) -> None:
    words, name = NAMED[case]
    (place.root / "key").write_bytes(OURS)
    (place.root / "payload").write_text("payload")
    with answering(place.socket, SIGNED.encode()) as came:
        done = place.run(*words, name=name)
    assert (done.status, [request.argv for request in came]) == (0, [words])
    without = place.run(*words, name=name)
    assert without.fell_back is not None
    assert "--own" not in without.fell_back


OWN = {
    "a key": (("--status-fd=2", "-bsau", "alice@example.org"), "notme-auto-openpgp", "auto-gpg"),
    "a key file": ((*SSH_SIGN, "id", "payload"), "notme-auto-ssh", "auto-ssh-keygen"),
    "no key file": ((*SSH_SIGN, "gone", "payload"), "notme-auto-ssh", "auto-ssh-keygen"),
}


@pytest.mark.parametrize("case", OWN)
def test_an_automatic_call_without_any_mark_is_the_humans_own(place: Place, case: str) -> None:
    words, name, told = OWN[case]
    (place.root / "id").write_bytes(b"ssh-ed25519 AAAA alice@example.org\n")
    with answering(place.socket, SIGNED.encode()) as came:
        done = place.run(*words, name=name)
    assert came == []
    assert done.fell_back == [str(place.home), "--own", told, *words]
    assert done.stdin == PAYLOAD


# -- where it asks


def test_a_socket_in_the_environment_is_meant_and_no_other(place: Place) -> None:
    with answering(place.socket, SIGNED.encode()) as wrong, answering(place.root / "other", SIGNED.encode()) as right:
        place.run(*SIGN, environ={"NOTME_SOCKET": str(place.root / "other")})
    assert (len(wrong), len(right)) == (0, 1)


def test_a_home_in_the_environment_names_the_daemon(place: Place) -> None:
    other = place.root / "other home"
    (other / "daemon").mkdir(parents=True)
    (other / "daemon" / "address").write_text(str(place.root / "other"))
    with answering(place.socket, SIGNED.encode()) as wrong, answering(place.root / "other", SIGNED.encode()) as right:
        place.run(*SIGN, environ={"NOTME_HOME": str(other)})
    assert (len(wrong), len(right)) == (0, 1)


# -- what it leaves to another program

BROKEN = {
    "nothing": b"",
    "half a head": b"\1\0\0",
    "half an answer": SIGNED.encode()[:-10],
    "all but the last byte": SIGNED.encode()[:-1],
    "another version": b"\2" + SIGNED.encode()[1:],
    "another program's answer": b"SSH-2.0-OpenSSH_9.2\r\n",
    "more than an answer has": b"\1\xff\xff\xff\xff",
    "an event that is cut off": b"\1\0\0\0\x0d" + protocol.pack([b"0", b"\0\0\0\x09"]),
    "no fields": b"\1\0\0\0\0",
    "one field": b"\1\0\0\0\5" + protocol.pack([b"0"]),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_answer_is_as_good_as_none(place: Place, answer: bytes) -> None:
    with answering(place.socket, answer):
        done = place.run(*SIGN)
    assert (done.status, done.err) == (0, "")
    assert done.fell_back == [str(place.home), "gpgsm", *SIGN]
    assert done.stdin == PAYLOAD


@pytest.mark.parametrize("kind", ["nobody listens", "no socket", "no address", "an address that is none", "no folder"])
def test_without_a_daemon_the_call_goes_to_python_with_its_stdin(place: Place, kind: str) -> None:
    address = place.home / "daemon" / "address"
    if kind == "nobody listens":
        with answering(place.socket, b""):
            pass
    elif kind == "no address":
        address.unlink()
    elif kind == "an address that is none":
        address.write_bytes(b"\0/" + bytes(200))
    elif kind == "no folder":
        address.write_text("/gone/sock")
    done = place.run(*SIGN)
    assert (done.status, done.fell_back) == (0, [str(place.home), "gpgsm", *SIGN])
    assert done.stdin == PAYLOAD


@AS_ROOT
def test_a_server_of_another_user_is_not_spoken_to(place: Place) -> None:
    (place.root / "open").mkdir()
    place.root.chmod(0o755)
    theirs = place.root / "open" / "sock"
    (place.home / "daemon" / "address").write_text(str(theirs))
    with of_another_user(theirs, SIGNED.encode()) as heard:
        done = place.run(*SIGN)
        assert heard.read_bytes() == b""
    assert done.fell_back == [str(place.home), "gpgsm", *SIGN]
    assert done.stdin == PAYLOAD


@pytest.mark.parametrize("words", [SIGN, VERIFY], ids=["sign", "verify"])
def test_what_the_daemon_says_is_not_ours_goes_on_with_its_stdin(place: Place, words: tuple[str, ...]) -> None:
    with answering(place.socket, NOT_OURS.encode()):
        done = place.run(*words)
    assert done.fell_back == [str(place.home), "--own", "gpgsm", *words]
    assert done.stdin == PAYLOAD


@pytest.mark.parametrize(
    ("name", "words", "told"),
    [
        ("notme-x509", ("--export",), ("gpgsm",)),
        ("notme-openpgp", ("--verify", "a"), ("gpg",)),
        ("notme-ssh", ("-lf", "key"), ("ssh-keygen",)),
        ("notme-ssh", ("-Y",), ("ssh-keygen",)),
    ],
    ids=["another operation", "no payload", "a fingerprint", "half a call"],
)
def test_what_the_daemon_does_not_answer_is_not_asked_of_it(
    place: Place, name: str, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    with answering(place.socket, SIGNED.encode()) as came:
        done = place.run(*words, name=name)
    assert came == []
    assert done.fell_back == [str(place.home), *told, *words]
    assert done.stdin == PAYLOAD


@pytest.mark.parametrize("words", [SIGN, VERIFY], ids=["sign", "verify"])
def test_of_a_payload_beyond_the_limit_no_part_is_signed(place: Place, words: tuple[str, ...]) -> None:
    """Its end may look like a whole commit, and must not be all that another program gets to see."""
    with answering(place.socket, SIGNED.encode()) as came:
        done = place.run(*words, stdin=bytes(shim.LIMIT) + b"tree ...")
    assert (came, done.status, done.out) == ([], 1, b"")
    assert "larger than" in done.err


def test_a_file_beyond_the_limit_is_another_programs_to_read(place: Place) -> None:
    (place.root / "payload").write_bytes(bytes(shim.LIMIT))
    words = ("-Y", "sign", "-n", "file", "-f", "key", "payload")
    with answering(place.socket, SIGNED.encode()) as came:
        done = place.run(*words, name="notme-ssh")
    assert (came, done.fell_back) == ([], [str(place.home), "ssh-keygen", *words])


def test_whoever_waits_for_the_end_of_our_output_is_not_kept_waiting_by_the_process_that_feeds_stdin(
    place: Place,
) -> None:
    """The program that takes the call over may end without having read it."""
    (place.root / "python").write_text(STAND_IN.replace("exec cat", "exit 3"))
    with answering(place.socket, NOT_OURS.encode()):
        assert place.run(*SIGN).status == 3


# -- in a sandbox


@pytest.fixture
def sandboxed(place: Place) -> Place:
    """The program for a sandbox in the place of a shim, with the broker's socket beside it."""
    program = place.home / "bin" / "notme-x509"
    program.write_bytes(shimfile.sandbox_program().replace(b"/usr/bin/env -S python3", sys.executable.encode(), 1))
    return place


def test_in_a_sandbox_the_socket_beside_the_program_is_asked(sandboxed: Place) -> None:
    with answering(sandboxed.home / "bin" / "sock", SIGNED.encode()) as came:
        done = sandboxed.run(*SIGN)
    assert (done.status, done.out, came[0].argv) == (0, b"the armour\n", SIGN)


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
def test_in_a_sandbox_nothing_else_signs(sandboxed: Place, answer: bytes) -> None:
    with answering(sandboxed.home / "bin" / "sock", answer):
        done = sandboxed.run(*SIGN)
    assert (done.status, done.out) == (2, b"")
    assert "the broker outside this sandbox does not answer" in done.err


def test_in_a_sandbox_without_a_broker_nothing_signs(sandboxed: Place) -> None:
    done = sandboxed.run(*SIGN)
    assert (done.status, done.out) == (2, b"")
    assert "does not answer" in done.err


@pytest.mark.parametrize("words", [VERIFY, ("--export",)], ids=["verify", "another call"])
def test_in_a_sandbox_what_is_no_signature_is_the_real_programs(sandboxed: Place, words: tuple[str, ...]) -> None:
    tools = sandboxed.root / "tools"
    tools.mkdir()
    (tools / "gpgsm").write_text("#!/bin/sh\necho real \"$@\"\nexec cat\n")
    (tools / "gpgsm").chmod(0o755)
    ours = sandboxed.root / "ours"
    ours.mkdir()
    (ours / "gpgsm").symlink_to(sandboxed.home / "bin" / "notme-x509")
    done = sandboxed.run(*words, environ={"PATH": f"{ours}:tools:{tools}:{os.defpath}"})
    assert (done.status, done.out) == (0, b"real " + " ".join(words).encode() + b"\n" + PAYLOAD)
    without = sandboxed.run(*words, environ={"PATH": str(ours)})
    assert (without.status, without.out) == (2, b"")
    assert "there is no gpgsm in this sandbox" in without.err
