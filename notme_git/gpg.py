"""The gpgsm dialect: what git says to `gpg.x509.program`, and what it wants to hear.

git's contract (Documentation/config/gpg.txt, gpg-interface.c; GnuPG's doc/DETAILS for the words):

sign     `--status-fd=2 -bsau KEY`, payload on stdin. stdout carries the armour and nothing else, the
         status line SIG_CREATED goes to the status descriptor. On any failure stdout is empty and the
         exit status is not 0: git then makes no commit, never an unsigned one.
verify   `--status-fd=1 --verify FILE -`, payload on stdin. NEWSIG first, because git finds GOODSIG only
         after a newline; exactly one of GOODSIG, BADSIG, ERRSIG; always a TRUST_ line (git up to 2.40
         takes its absence for the highest trust); never EXPKEYSIG (git from 2.54 takes it for success).
         For people: stderr.

A key that does not begin with `notme:`, and a signature that names none of our issuers, belong to
the program that git was configured with before; it is executed in our place.

Imports stay inside the functions: this module is on the path of every signature.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from attest.errors import Error
    from attest.profile import Profile
    from attest.trust import Trust
    from attest.types import Verdict
    from attest.verify import Examination
    from notme_git.config import Config

PREFIX = "[GNUPG:] "
MAX_SIGNATURE_BYTES = 1024 * 1024
NO_KEY = "0" * 40

REPLAY_STATE = ("CHERRY_PICK_HEAD", "rebase-merge", "rebase-apply", "sequencer")
"""What git keeps in its folder while it replays commits."""

MAX_PATH_BYTES = 4096
"""PATH_MAX of Linux; a longer path could not be opened."""


class Call:
    """One parsed argument vector. `mode` is `sign`, `verify` or empty for everything else."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.mode, self.key, self.status_fd, self.files = "", "", -1, list[str]()
        rest = list(argv)
        while rest:
            word = rest.pop(0)
            if word.startswith("--"):
                self._long(word, rest)
            elif word.startswith("-") and len(word) > 1:
                self._short(word[1:], rest)
            else:
                self.files.append(word)

    def _long(self, word: str, rest: list[str]) -> None:
        name, equals, value = word.partition("=")
        if name in ("--status-fd", "--local-user"):
            value = value if equals else (rest.pop(0) if rest else "")
            if name == "--local-user":
                self.key = value
            elif value.isdecimal():
                self.status_fd = int(value)
        elif name == "--verify":
            self.mode = "verify"
        elif name in ("--sign", "--detach-sign"):
            self.mode = "sign"

    def _short(self, flags: str, rest: list[str]) -> None:
        while flags:
            flag, flags = flags[0], flags[1:]
            if flag in "sb":
                self.mode = "sign"
            elif flag == "u":
                self.key, flags = flags or (rest.pop(0) if rest else ""), ""


def run(argv: Sequence[str]) -> int:
    """One call by git. Returns the exit status: 0, 1 refused, 2 could not, 64 usage."""
    from attest.errors import INTERRUPTED, as_error, exit_status
    from notme_git.config import Config

    call = Call(argv)
    try:
        config = Config.read()
        if call.mode == "sign":
            return _sign(call, argv, config)
        if call.mode == "verify" and len(call.files) == 2 and call.files[1] == "-":
            return _verify(call, argv, config)
        return _hand_over(argv, config, "this call is neither git's way to sign nor to verify")
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as exception:
        error = as_error(exception)
        _complain(error)
        if call.mode == "verify":
            _status(call, [f"ERRSIG {NO_KEY} 0 0 00 0 9", "TRUST_NEVER 0 x509"])
        return exit_status(error)


def parse_key(key: str) -> tuple[str, Profile]:
    """`notme:AGENT` or `notme:AGENT:PROFILE` (`user.signingkey`)."""
    from attest.errors import UsageError
    from attest.profile import Profile

    _, agent, *rest = key.split(":")
    profile = rest[0] if rest else "notme"
    if not agent or len(rest) > 1 or profile not in ("notme", "interop"):
        raise UsageError(
            f"user.signingkey {key!r} is not notme:AGENT or notme:AGENT:interop",
            hint="run notme-git setup again",
        )
    return agent, Profile(profile)


def _sign(call: Call, argv: Sequence[str], config: Config) -> int:
    if not call.key.startswith("notme:"):
        return _hand_over(argv, config, f"the key {call.key!r} is not one of ours (notme:AGENT)")
    from attest.home import read_trust
    from notme_git import sign
    from notme_git.authority import epochs
    from notme_git.authority.embedded import opened

    agent, profile = parse_key(call.key)
    payload = _read_payload(sign.MAX_PAYLOAD_BYTES)
    with opened(config.home) as authority:
        epochs.catch_up(authority)
        signed = sign.sign_payload(
            authority,
            read_trust(config.home),
            payload,
            agent=agent,
            profile=profile,
            replaying=_replaying(config),
            at=config.at,
        )
    fingerprint = _fingerprint(signed.examination)
    algorithms = _algorithms(signed.examination)
    _status(call, ["BEGIN_SIGNING"])  # tells whether anybody listens, before there is anything on stdout
    _write(1, signed.armour)
    _status(call, [f"SIG_CREATED D {algorithms} 00 {int(config.at.timestamp())} {fingerprint}"])
    return 0


def _verify(call: Call, argv: Sequence[str], config: Config) -> int:
    from attest import gitobject, verify
    from attest.home import read_trust
    from attest.policy import Context, Policy

    armour = _read_signature(call.files[0])
    trusted = read_trust(config.home)
    if not _is_ours(armour, trusted):
        return _hand_over(argv, config, "the signature names no authority that is pinned here")
    payload = _read_payload(gitobject.MAX_OBJECT_BYTES)
    examination = verify.examine_signature(armour, payload, trusted, at=config.at, git=True)
    verdict = verify.judge(examination, Policy(), Context(git=True), at=config.at)
    return _report(call, examination, verdict)


def _report(call: Call, examination: Examination, verdict: Verdict) -> int:
    """The status lines of `formats.md` 7.4, and sentences for a person on stderr."""
    from attest import identity
    from attest.report import text
    from attest.types import Outcome

    sys.stderr.write("".join(f"notme-git: {line}\n" for line in text.git_lines(verdict)))
    fingerprint = _fingerprint(examination)
    if verdict.outcome in (Outcome.REJECTED, Outcome.COULD_NOT_CHECK) or examination.chain is None:
        broken = any(f.step == 3 and f.status == "failed" for f in verdict.findings.findings)
        line = f"BADSIG {fingerprint} -" if broken else f"ERRSIG {fingerprint} 0 0 00 0 9"
        _status(call, [line, "TRUST_NEVER 0 x509"])
        return 2 if verdict.outcome is Outcome.COULD_NOT_CHECK else 1
    leaf = examination.chain.leaf
    when = min((e.not_after for e in examination.evidence), default=0)
    proven = verdict.outcome is Outcome.ACCEPTED
    _status(
        call,
        [
            f"GOODSIG {fingerprint} {identity.summary(leaf)}",
            f"VALIDSIG {fingerprint} {_day(when)} {when} 0 4 0 {_algorithms(examination)} 00 {fingerprint}",
            f"TRUST_{'FULLY' if proven else 'MARGINAL'} 0 x509",
        ],
    )
    return 0


def _is_ours(armour: bytes, trusted: Trust) -> bool:
    """A signature that carries our claims, or names a pinned issuer, is never handed to another program.

    The test is on the raw bytes, so that one of ours which was tampered with is refused here.
    """
    from base64 import b64decode

    from attest import asn1
    from attest.profile import CLAIMS

    body = b"".join(line for line in armour.splitlines() if not line.startswith(b"-----"))
    try:
        der = b64decode(body)
    except ValueError:
        return False
    marks = [asn1.encode(CLAIMS), *(a.certificate.subject.public_bytes() for a in trusted.anchors)]
    return any(mark in der for mark in marks)


def _hand_over(argv: Sequence[str], config: Config, why: str) -> int:
    """Become the program that git used before us, with the same arguments, descriptors and environment."""
    from attest.errors import UnavailableError
    from notme_git.setup import previous_program

    program = previous_program(config.home, environ=config.environ)
    if program is None:
        raise UnavailableError(
            f"{why}, and there is no other program to ask",
            hint="notme-git setup remembers the gpg.x509.program that was configured; gpgsm is the usual one",
        )
    os.execve(program, [program, *argv], dict(config.environ))


def _replaying(config: Config) -> bool:
    """Whether git replays existing commits (rebase, cherry-pick, am), which keep their authors.

    git tells its signing program so in no way of its own, but it stands in the working tree and git keeps the
    state of a replay in its folder (gitrepository-layout(5), sequencer.c, builtin/am.c). GIT_REFLOG_ACTION, which
    rebase exports up to 2.39 and only for `--apply` after it, says the same without a folder.
    """
    action = config.environ.get("GIT_REFLOG_ACTION", "")
    if action.startswith(("cherry-pick", "rebase", "am", "pull", "revert")):
        return True
    folder = config.environ.get("GIT_DIR") or _git_folder()
    return any(os.path.exists(os.path.join(folder, name)) for name in REPLAY_STATE)


def _git_folder() -> str:
    """The `.git` of the working tree git stands in; a worktree's is a file that names its folder."""
    try:
        with open(".git", "rb") as file:
            return os.fsdecode(file.read(MAX_PATH_BYTES).removeprefix(b"gitdir: ").rstrip(b"\n"))
    except OSError:
        return ".git"


def _read_payload(limit: int) -> bytes:
    from attest.errors import MalformedError

    payload = sys.stdin.buffer.read(limit + 1)
    if len(payload) > limit:
        raise MalformedError(f"the payload is larger than {limit} bytes")
    return payload


def _read_signature(path: str) -> bytes:
    from attest.errors import MalformedError, UnavailableError

    try:
        with open(path, "rb") as file:
            armour = file.read(MAX_SIGNATURE_BYTES + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read the signature {path}: {error.strerror}") from None
    if len(armour) > MAX_SIGNATURE_BYTES:
        raise MalformedError(f"the signature is larger than {MAX_SIGNATURE_BYTES} bytes")
    return armour


def _fingerprint(examination: Examination) -> str:
    """SHA-1 over the signer's certificate, upper-case hex: what gpgsm shows for the same signature."""
    from cryptography.hazmat.primitives.hashes import SHA1

    return examination.message.signer.fingerprint(SHA1()).hex().upper() if examination.message else NO_KEY


def _algorithms(examination: Examination) -> str:
    """GnuPG's numbers for key and digest: EdDSA with SHA-512, or ECDSA with SHA-256."""
    message = examination.message
    return "22 10" if message is not None and message.algorithm == "ed25519" else "19 8"


def _status(call: Call, lines: Sequence[str]) -> None:
    """Status lines, NEWSIG before a verdict; without a descriptor git is not listening."""
    if call.status_fd < 0:
        return
    first = ["NEWSIG"] if call.mode == "verify" else []
    _write(call.status_fd, "".join(f"{PREFIX}{line}\n" for line in (*first, *lines)).encode())


def _write(descriptor: int, data: bytes) -> None:
    """All of `data`, past Python's own buffers: what they kept would be written again at exit."""
    while data:
        data = data[os.write(descriptor, data) :]


def _complain(error: Error) -> None:
    """The error's sentence and hint on stderr, if there is one, without control characters."""
    from attest.report.text import printable

    for line in (error.message, error.hint):
        if line and sys.stderr is not None:
            sys.stderr.write(f"notme-git: {printable(line)}\n")
            sys.stderr.flush()


def _day(seconds: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
