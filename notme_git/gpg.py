"""The gpgsm and gpg dialects: what git says to `gpg.x509.program` and `gpg.program`, and what it wants to hear.

git's contract (Documentation/config/gpg.txt, gpg-interface.c; GnuPG's doc/DETAILS for the words):

sign     `--status-fd=2 -bsau KEY`, payload on stdin. stdout carries the armour and nothing else, the
         status line SIG_CREATED goes to the status descriptor. On any failure stdout is empty and the
         exit status is not 0: git then makes no commit, never an unsigned one.
verify   `--status-fd=1 --verify FILE -`, payload on stdin. NEWSIG first, because git finds GOODSIG only
         after a newline; exactly one of GOODSIG, BADSIG, ERRSIG; always a TRUST_ line (git up to 2.40
         takes its absence for the highest trust); never EXPKEYSIG (git from 2.54 takes it for success).
         For people: stderr.

Both dialects sign in CMS: git goes by the armour in the object, so what `gpg.program` signed is verified by
`gpg.x509.program`. A key that does not begin with `notme:`, and a signature that names none of our issuers, belong to
the program that git was configured with before.

Imports stay inside the functions: this module is on the path of every signature that no daemon makes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from attest.errors import Error
    from attest.trust import Trust
    from attest.types import Verdict
    from attest.verify import Examination
    from notme_git.acting import Signs
    from notme_git.daemon.protocol import Reply, Request
    from notme_git.sign import Signed

    Events = list[tuple[str, bytes]]

PREFIX = "[GNUPG:] "
MAX_SIGNATURE_BYTES = 1024 * 1024
NO_KEY = "0" * 40

CLAIMS = bytes.fromhex("060a2b06010401868d1f0201")
"""DER of `profile.CLAIMS`, the identifier of our extension."""


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
        if self.mode == "verify" and (len(self.files) != 2 or self.files[1] != "-"):
            self.mode = ""

    @property
    def paths(self) -> list[str]:
        """The files whose content the answer needs."""
        return self.files[:1] if self.mode == "verify" else []

    @property
    def piped(self) -> bool:
        """Whether stdin belongs to the call."""
        return bool(self.mode)

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


def answer(request: Request, signer: Signs, pid: int, at: datetime) -> Reply:
    """What git's program does with this call, made by the process `pid`. Never raises what is one of ours."""
    from attest.errors import as_error, exit_status
    from notme_git.daemon.protocol import NOT_OURS, Reply

    call = Call(request.argv)
    try:
        if call.mode == "sign":
            return _sign(call, request, signer, pid, at)
        return _verify(call, request, signer, at) if call.mode == "verify" else NOT_OURS
    except Exception as exception:
        error = as_error(exception)
        return Reply(exit_status(error), tuple(failure(call, error)))


def failure(call: Call, error: Error) -> Events:
    """The error's sentence and hint, and to whom verifies a status that git can take for nothing good."""
    from attest.report.text import printable

    said = "".join(f"notme-git: {printable(line)}\n" for line in (error.message, error.hint) if line)
    events = [("2", said.encode())]
    if call.mode == "verify":
        events += _status(call, [f"ERRSIG {NO_KEY} 0 0 00 0 9", "TRUST_NEVER 0 x509"])
    return events


def _sign(call: Call, request: Request, signer: Signs, pid: int, at: datetime) -> Reply:
    from attest.gitobject import SignatureFormat
    from notme_git import acting
    from notme_git.daemon.protocol import NOT_OURS, Reply

    who = signer.decide(call.key, request, pid)
    if who is None:
        return NOT_OURS
    signed = acting.sign_for(request, signer, who, request.stdin, form=SignatureFormat.X509, at=at)
    return Reply(0, tuple(_created(call, signed, at)))


def _created(call: Call, signed: Signed, at: datetime) -> Events:
    from notme_git import acting

    fingerprint, seconds = _fingerprint(signed.examination), int(at.timestamp())
    line = f"SIG_CREATED D {_algorithms(signed.examination)} 00 {seconds} {fingerprint}"
    # BEGIN_SIGNING tells whether anybody listens, before there is anything on stdout.
    return [*_status(call, ["BEGIN_SIGNING"]), *acting.warned(signed), ("1", signed.armour), *_status(call, [line])]


def _verify(call: Call, request: Request, signer: Signs, at: datetime) -> Reply:
    from attest import verify
    from attest.errors import MalformedError, UnavailableError
    from attest.policy import Context, Policy
    from notme_git.daemon.protocol import NOT_OURS

    armour = request.files.get(call.files[0])
    if armour is None:
        raise UnavailableError(f"cannot read the signature {call.files[0]}")
    if len(armour) > MAX_SIGNATURE_BYTES:
        raise MalformedError(f"the signature is larger than {MAX_SIGNATURE_BYTES} bytes")
    trusted = signer.trust()
    if not is_ours(armour, trusted):
        return NOT_OURS
    examination = verify.examine_signature(armour, request.stdin, trusted, at=at, git=True)
    verdict = verify.judge(examination, Policy(), Context(git=True), at=at)
    return _report(call, examination, verdict)


def _report(call: Call, examination: Examination, verdict: Verdict) -> Reply:
    """The status lines of `formats.md` 7.4, and sentences for a person on stderr."""
    from attest import identity
    from attest.report import text
    from attest.types import Outcome
    from notme_git.daemon.protocol import Reply

    said = ("2", "".join(f"notme-git: {line}\n" for line in text.git_lines(verdict)).encode())
    fingerprint = _fingerprint(examination)
    if verdict.outcome in (Outcome.REJECTED, Outcome.COULD_NOT_CHECK) or examination.chain is None:
        broken = any(f.step == 3 and f.status == "failed" for f in verdict.findings.findings)
        line = f"BADSIG {fingerprint} -" if broken else f"ERRSIG {fingerprint} 0 0 00 0 9"
        status = 2 if verdict.outcome is Outcome.COULD_NOT_CHECK else 1
        return Reply(status, (said, *_status(call, [line, "TRUST_NEVER 0 x509"])))
    when = min((e.not_after for e in examination.evidence), default=0)
    proven = verdict.outcome is Outcome.ACCEPTED
    lines = [
        f"GOODSIG {fingerprint} {identity.summary(examination.chain.leaf)}",
        f"VALIDSIG {fingerprint} {_day(when)} {when} 0 4 0 {_algorithms(examination)} 00 {fingerprint}",
        f"TRUST_{'FULLY' if proven else 'MARGINAL'} 0 x509",
    ]
    return Reply(0, (said, *_status(call, lines)))


def is_ours(armour: bytes, trusted: Trust) -> bool:
    """A signature that carries our claims, or names a pinned issuer, is never handed to another program.

    The test is on the raw bytes, so that one of ours which was tampered with is refused here.
    """
    from attest.gitobject import loose

    der = loose(armour)
    return CLAIMS in der or any(a.certificate.subject.public_bytes() in der for a in trusted.anchors)


def carries_claims(armour: bytes) -> bool:
    """Whether this is an agent's signature, of whatever authority: told without one, and without cryptography."""
    from attest.gitobject import loose

    return CLAIMS in loose(armour)


def _fingerprint(examination: Examination) -> str:
    """SHA-1 over the signer's certificate, upper-case hex: what gpgsm shows for the same signature."""
    import hashlib

    from attest import certificate

    if examination.message is None:
        return NO_KEY
    der = certificate.der_of(examination.message.signer)
    return hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()


def _algorithms(examination: Examination) -> str:
    """GnuPG's numbers for key and digest: EdDSA with SHA-512, or ECDSA with SHA-256."""
    message = examination.message
    return "22 10" if message is not None and message.algorithm == "ed25519" else "19 8"


def _status(call: Call, lines: Sequence[str]) -> Events:
    """Status lines, NEWSIG before a verdict; without a descriptor git is not listening."""
    if call.status_fd < 0:
        return []
    first = ["NEWSIG"] if call.mode == "verify" else []
    return [(str(call.status_fd), "".join(f"{PREFIX}{line}\n" for line in (*first, *lines)).encode())]


def _day(seconds: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
