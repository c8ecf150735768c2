"""The ssh-keygen dialect: what git says to `gpg.ssh.program`, and what it wants to hear.

git's contract (gpg-interface.c, ssh-keygen(1)):

sign     `-Y sign -n git -f KEY [-U] FILE`; the signature is read from FILE.sig. KEY is a path, for a literal
         key a temporary file. Ours is `notme:AGENT`, or a public key whose comment says that: setup writes one,
         because git also asks the real `ssh-keygen -lf` for the fingerprint of KEY before a signed push.
verify   `-Y find-principals -f ALLOWED -s SIG`, then for each principal found `-Y verify -n git -f ALLOWED
         -I PRINCIPAL -s SIG [-r REVOKED]`, payload on stdin; where none is found, `-Y check-novalidate -n git -s
         SIG`. All with `-Overify-time=TIME`, which for a push certificate is an empty argument. git reads one line:
         `Good "git" signature for PRINCIPAL with TYPE key FINGERPRINT`.

What is not ours, every ordinary key among it, goes to the real ssh-keygen with the same arguments.

Imports stay inside the functions: this module is on the path of every signature that no daemon makes.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from attest.errors import Error
    from attest.sshcert import UserCertificate
    from attest.trust import Trust
    from attest.verify import Examination
    from notme_git.acting import Signs
    from notme_git.daemon.protocol import Reply, Request

    Events = list[tuple[str, bytes]]

NAMESPACE = "git"
CLAIMS = b"claims@notme.bot"
"""The name of our certificate extension (`sshcert.CLAIMS`)."""

MAX_KEY_BYTES = 64 * 1024
REVOCATION_TIMEOUT_S = 10.0
_WITH_VALUE = "nfsIrOY"
_MODES = ("sign", "verify", "find-principals", "check-novalidate")


class Call:
    """One parsed argument vector. `mode` is the operation after -Y where it can be ours, else empty."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.options: dict[str, str] = {}
        self.files: list[str] = []
        rest = list(argv)
        while rest:
            word = rest.pop(0)
            if word.startswith("-") and len(word) > 1:
                self._flags(word[1:], rest)
            else:
                self.files.append(word)
        # git writes the time of a push certificate as an empty argument, which is no file.
        self.files = [name for name in self.files if name]
        mode = self.options.get("Y", "")
        wanted = self.options.get("n", NAMESPACE) == NAMESPACE and mode in _MODES
        self.mode = mode if wanted and len(self.files) == (mode == "sign") else ""
        self.key = self.options.get("f", "")

    @property
    def paths(self) -> list[str]:
        """The files whose content the answer needs."""
        if self.mode == "sign":
            return [self.key, *self.files]
        return [self.options[o] for o in "sr" if o in self.options] if self.mode else []

    @property
    def piped(self) -> bool:
        """Whether stdin belongs to the call."""
        return self.mode in ("verify", "check-novalidate")

    def _flags(self, flags: str, rest: list[str]) -> None:
        while flags:
            flag, flags = flags[0], flags[1:]
            if flag in _WITH_VALUE:
                value, flags = flags or (rest.pop(0) if rest else ""), ""
                self.options[flag] = value


def answer(request: Request, signer: Signs, pid: int, at: datetime) -> Reply:
    """What git's program does with this call, made by the process `pid`. Never raises what is one of ours."""
    from attest.errors import as_error, exit_status
    from notme_git.daemon.protocol import NOT_OURS, Reply

    call = Call(request.argv)
    try:
        if call.mode == "sign":
            return _sign(call, request, signer, pid, at)
        return _check(call, request, signer, at) if call.mode else NOT_OURS
    except Exception as exception:
        error = as_error(exception)
        return Reply(exit_status(error), tuple(failure(call, error)))


def failure(call: Call, error: Error) -> Events:
    """The error's sentence and hint, where git shows them; `call` has no part in it."""
    from attest.report.text import printable

    del call
    said = "".join(f"notme-git: {printable(line)}\n" for line in (error.message, error.hint) if line)
    return [("2", said.encode())]


def carries_claims(armour: bytes) -> bool:
    """Whether this is an agent's signature, of whatever authority: told without one, and without cryptography."""
    from attest.gitobject import loose

    return CLAIMS in loose(armour)


def key_name(name: str, content: bytes | None) -> str:
    """What a key says of whom to sign as: itself, or the comment of a public key file that says `notme:`."""
    from attest.identity import KEY_PREFIX

    if name.startswith(KEY_PREFIX) or content is None or len(content) > MAX_KEY_BYTES:
        return name
    words = content.decode("utf-8", "replace").strip().split()
    named = len(words) == 3 and words[0].startswith("ssh-") and words[2].startswith(KEY_PREFIX)
    return words[2] if named else name


def _sign(call: Call, request: Request, signer: Signs, pid: int, at: datetime) -> Reply:
    from attest.errors import UnavailableError
    from attest.gitobject import SignatureFormat
    from notme_git import acting
    from notme_git.daemon.protocol import NOT_OURS, SIGNATURE_FILE, Reply

    who = signer.decide(key_name(call.key, request.files.get(call.key)), request, pid)
    if who is None:
        return NOT_OURS
    payload = request.files.get(call.files[0])
    if payload is None:
        raise UnavailableError(f"cannot read {call.files[0]}, which is to be signed")
    signed = acting.sign_for(request, signer, who, payload, form=SignatureFormat.SSH, at=at)
    return Reply(0, (*acting.warned(signed), (SIGNATURE_FILE, signed.armour)))


def _check(call: Call, request: Request, signer: Signs, at: datetime) -> Reply:
    """A signature in which a pinned anchor's key stands is never handed to another program, tampered with or not."""
    from attest import signed, sshcert, sshsig
    from notme_git.daemon.protocol import NOT_OURS

    armour = request.files.get(call.options.get("s", ""))
    trusted = signer.trust()
    if armour is None or not signed.is_ours(armour, trusted.anchors):
        return NOT_OURS
    certificate = sshcert.parse(sshsig.parse(sshsig.ARMOUR.open(armour)).public_key)
    if call.mode == "find-principals":
        return _found(certificate, trusted)
    examination = _examine(armour, request.stdin, trusted, signer, at)
    return _report(call, request, certificate, examination, at)


def _found(certificate: UserCertificate, trusted: Trust) -> Reply:
    """The one principal of a certificate that holds; nobody for another, which git then shows as unknown."""
    from attest import sshcert
    from notme_git.daemon.protocol import Reply

    sshcert.verify_chain(certificate, trusted.anchors)
    return Reply(0, (("1", f"{certificate.principals[0]}\n".encode()),))


def _examine(armour: bytes, payload: bytes, trusted: Trust, signer: Signs, at: datetime) -> Examination:
    """With the time-stamp that this machine kept, if the object is one that was signed here."""
    from attest import stamps, verify
    from attest.errors import Error
    from attest.gitobject import Signature, SignatureFormat
    from notme_git import sign

    tokens: tuple[bytes, ...] = ()
    try:
        _, object_id = sign.become(sign.parse(payload), Signature(SignatureFormat.SSH, armour))
        token = stamps.read_spool(signer.home, object_id) if object_id else None
        tokens = (token,) if token is not None else ()
    except Error:
        pass  # what is no git payload has no object id; the examination says so
    return verify.examine_signature(armour, payload, trusted, at=at, git=True, timestamps=tokens)


def _report(call: Call, request: Request, certificate: UserCertificate, found: Examination, at: datetime) -> Reply:
    from attest import identity, sshwire, verify
    from attest.policy import Context, Policy
    from attest.report import text
    from attest.types import Outcome
    from notme_git.daemon.protocol import Reply

    verdict = verify.judge(found, Policy(), Context(git=True), at=at)
    said = "".join(f"notme-git: {line}\n" for line in text.git_lines(verdict))
    bad = verdict.outcome in (Outcome.REJECTED, Outcome.COULD_NOT_CHECK) or found.chain is None
    if not bad and call.mode == "verify":
        said += (refusal := _refusal(call, request, certificate))
        bad = bool(refusal)
    if bad or found.chain is None:
        return Reply(2 if verdict.outcome is Outcome.COULD_NOT_CHECK else 1, (("2", said.encode()),))
    who = f" for {identity.summary(found.chain.leaf)}" if call.mode == "verify" else ""
    fingerprint = sshwire.fingerprint(sshwire.ed25519_key(certificate.public_key))
    line = f'Good "{NAMESPACE}" signature{who} with ED25519-CERT key {fingerprint}\n'
    return Reply(0, (("1", line.encode()), ("2", said.encode())))


def _refusal(call: Call, request: Request, certificate: UserCertificate) -> str:
    """Why the arguments of `-Y verify` do not let a good signature pass; empty where they do."""
    from attest.report.text import printable

    asked, named = printable(call.options.get("I", "")), printable(certificate.principals[0])
    if asked != named:
        return f"notme-git: the certificate is for {named}, not for {asked}\n"
    revoked = call.options.get("r", "")
    if not revoked:
        return ""
    content = request.files.get(revoked)
    return _revocation(content, certificate) if content is not None else f"notme-git: cannot read {revoked!r}\n"


_REVOKED = "notme-git: the certificate or its authority's key is in the revocation file\n"


def _revocation(revoked: bytes, certificate: UserCertificate) -> str:
    """Why the certificate does not count by this file (ssh-keygen(1), -r): a KRL, or a list of public keys."""
    if revoked.startswith(b"SSHKRL\n"):
        return _krl(revoked, certificate)
    from attest import sshwire

    keys = {_base64(sshwire.ed25519_key(raw)) for raw in (certificate.public_key, certificate.ca_key)}
    return _REVOKED if any(word in keys for line in revoked.splitlines() for word in line.split()[1:2]) else ""


def _base64(blob: bytes) -> bytes:
    """A key as it stands in a line of a public key file."""
    from base64 import b64encode

    return b64encode(blob)


def _krl(revoked: bytes, certificate: UserCertificate) -> str:
    """What the real `ssh-keygen -Q` says: KRLs have a format of their own."""
    import os
    import subprocess
    import tempfile
    from pathlib import Path

    from attest import sshcert, sshwire
    from notme_git import gitconfig

    program = next(gitconfig.find_programs("ssh-keygen", {"PATH": f"/usr/bin:/usr/local/bin:{os.defpath}"}), None)
    if program is None:
        return "notme-git: there is no ssh-keygen to read the revocation file with\n"
    with tempfile.TemporaryDirectory(prefix="notme-") as folder:
        krl, key, authority = (Path(folder, name) for name in ("revoked", "cert.pub", "ca.pub"))
        krl.write_bytes(revoked)
        key.write_bytes(sshwire.line(sshcert.TYPE, certificate.blob))
        authority.write_bytes(sshwire.line(sshwire.ED25519, sshwire.ed25519_key(certificate.ca_key)))
        for file in (key, authority):
            command = [program, "-Q", "-f", str(krl), str(file)]
            done = subprocess.run(command, capture_output=True, timeout=REVOCATION_TIMEOUT_S, check=False)
            if done.returncode:
                return _REVOKED
    return ""
