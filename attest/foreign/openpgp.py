"""OpenPGP signatures, by gpg: its owner's keyring says whose keys count.

Nothing here reads OpenPGP. gpg is asked once for each signature, without the network, and what it says on its status
channel (GnuPG's doc/DETAILS) is what is known. It is asked only where the verifier named OpenPGP: a process for each
signature is what makes `git log --show-signature` slow.

A person is called `openpgp:FINGERPRINT`, that of the primary key, in lower-case hex.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign.vouched import Vouched
from attest.gitobject import Commit, PushCertificate, Tag
from attest.row import Signer, SignerKind
from attest.types import Authentication, Principal, PrincipalKind

MAX_ARMOUR_BYTES = 64 * 1024
"""A signature with an RSA key of 16384 bits has 4 KiB."""

MAX_STATUS_BYTES = 64 * 1024
"""One signature gives under a dozen lines."""

SECONDS = 10
"""gpg needs some 10 ms; a keyring that is locked, or a trust database that is rebuilt, some seconds."""

_PREFIX = "[GNUPG:] "
_ALGORITHMS = {
    "1": "rsa",
    "3": "rsa",
    "17": "dsa",
    "19": "ecdsa",
    "22": "eddsa",
    "27": "ed25519",
    "28": "ed448",
}
"""RFC 9580 section 9.1."""

_HASHES = {"8": "sha256", "9": "sha384", "10": "sha512", "11": "sha224", "12": "sha3-256", "14": "sha3-512"}
"""RFC 9580 section 9.5, without MD5, SHA-1 and RIPEMD-160, which are refused."""

UNKNOWN = Signer(SignerKind.OPENPGP, "", "")
"""Before gpg was asked."""

_VERDICTS = ("GOODSIG", "BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")
_ADDRESS = re.compile(r"<([^<>\s]+@[^<>\s]+)>\s*\Z|\A([^<>\s]+@[^<>\s]+)\Z")


@dataclass(frozen=True, slots=True)
class Gpg:
    """gpg's absolute path, the environment it gets, and the folder of a keyring made for this, where there is one.

    In the user's own keyring are keys that came by themselves (`auto-key-retrieve`): of these only those count whose
    owner the user is sure of, in gpg's words fully or ultimately trusted. In a keyring made for this, every key counts.
    """

    program: str
    environ: Mapping[str, str] = field(repr=False)
    home: Path | None = None

    @classmethod
    def find(cls, environ: Mapping[str, str], home: Path | None = None) -> Gpg:
        """The gpg on the search path of `environ`, absolute folders alone; `UnavailableError` without one.

        Raises it too for a `home` that is no folder: gpg would make one, and find no key in it.
        """
        if home is not None and not home.is_dir():
            raise UnavailableError(f"{home} is no folder with a keyring of gpg's")
        for place in environ.get("PATH", os.defpath).split(os.pathsep):
            program = os.path.join(place, "gpg")
            if os.path.isabs(place) and os.access(program, os.X_OK) and os.path.isfile(program):
                return cls(program, environ, home)
        raise UnavailableError(
            "gpg is not installed, and it alone reads OpenPGP signatures",
            hint="apt install gpg, or ask for no OpenPGP signatures",
            reason=Reason.TOOL_ABSENT,
        )

    @property
    def sha256(self) -> bytes:
        """For the digest of all that was named: the keyring's name, and not what is in it, which gpg alone knows."""
        home = str(self.home) if self.home is not None else self.environ.get("GNUPGHOME", "")
        return hashlib.sha256(f"openpgp {home}".encode()).digest()

    def status(self, armour: bytes, content: bytes, *, at: int | None = None) -> tuple[tuple[str, ...], ...]:
        """The status lines on a detached signature over `content`, in words, as of `at` (unix seconds) or of now.

        Raises `UnavailableError` if gpg cannot run.
        """
        with tempfile.TemporaryDirectory(prefix="attest-") as folder:
            file = Path(folder) / "signature.asc"
            file.write_bytes(armour)
            arguments = [self.program]
            if self.home is not None:
                arguments += ["--homedir", str(self.home.absolute()), "--trust-model=always"]
            if at is not None:
                arguments += [f"--faked-system-time={at}!"]
            arguments += ["--batch", "--no-tty", "--status-fd=1", "--no-auto-key-retrieve", "--disable-dirmngr"]
            arguments += ["--no-auto-key-import", "--verify", "--", str(file), "-"]
            try:
                ended = subprocess.run(
                    arguments,
                    input=content,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={**self.environ, "LC_ALL": "C"},
                    cwd=folder,
                    timeout=SECONDS,
                    check=False,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                why = f"did not answer within {SECONDS} seconds"
                if isinstance(error, OSError):
                    why = f"cannot be run: {error.strerror}"
                raise UnavailableError(f"{self.program} {why}", reason=Reason.TOOL_ABSENT) from None
        return read_status(ended.stdout)


def read_status(output: bytes) -> tuple[tuple[str, ...], ...]:
    """The status lines in gpg's output, split at blanks; other lines are passed over."""
    if len(output) > MAX_STATUS_BYTES:
        raise UnavailableError(f"gpg said {len(output)} bytes of one signature; at most {MAX_STATUS_BYTES} are read")
    lines = output.decode("utf-8", "replace").split("\n")
    return tuple(tuple(line[len(_PREFIX) :].split(" ")) for line in lines if line.startswith(_PREFIX))


@dataclass(slots=True)
class ForeignOpenPgp:
    """One armoured signature, and from step 3 on what gpg says of it."""

    armour: bytes
    gpg: Gpg
    remarks: tuple[str, ...] = ()
    signer: Signer = field(default=UNKNOWN)
    said: Said | None = None

    @property
    def detail(self) -> str:
        """For the finding of step 2."""
        return "one OpenPGP signature"

    @property
    def value(self) -> bytes:
        """What time-stamps are over: the armour as it stands in the object, which nothing here takes apart."""
        return self.armour

    def verify_content(self, content: bytes) -> str:
        """Step 3: returns the fingerprint of the key that signed."""
        said = Said.read(self.gpg.status(self.armour, content))
        if said.verdict == "EXPKEYSIG" and self.gpg.home is None:
            # Of a key that has expired since, gpg says its owner only when asked as of then.
            then = Said.read(self.gpg.status(self.armour, content, at=said.time))
            said = replace(said, trust=then.trust)
        self.said, self.signer = said, said.signer
        if said.verdict == "BADSIG":
            raise VerificationError(
                Step.INTEGRITY, Reason.SIGNATURE_INVALID, "gpg: the OpenPGP signature is not over this content"
            )
        if said.verdict == "ERRSIG" and said.error == _NO_KEY:
            raise UnavailableError(
                f"gpg has no key {said.key or 'of that id'}, so that it cannot check the signature",
                hint="import the key, and check whose it is",
                reason=Reason.KEY_UNKNOWN,
            )
        if said.verdict == "ERRSIG":
            raise UnavailableError(f"gpg cannot check the signature (error {said.error or 'unknown'})")
        if said.hash not in _HASHES:
            raise VerificationError(
                Step.INTEGRITY, Reason.KEY_REFUSED, f"signed with a digest that is refused (number {said.hash})"
            )
        if said.kind != _BINARY:
            raise VerificationError(
                Step.INTEGRITY,
                Reason.SIGNATURE_INVALID,
                f"the OpenPGP signature is of class {said.kind or 'unknown'}: not over these bytes alone",
            )
        return said.key

    def verify_signer(self, parsed: Commit | Tag | PushCertificate | None) -> Vouched:
        """Step 4: the key is in the keyring, not revoked, and it is known whose it is."""
        del parsed
        said = self.said
        if said is None:
            raise UnavailableError("gpg was not asked about the content")
        if said.verdict == "REVKEYSIG":
            raise VerificationError(Step.CHAIN, Reason.KEY_REVOKED, f"key {said.key} is revoked, says gpg")
        if said.verdict == "EXPSIG":
            raise VerificationError(
                Step.CHAIN, Reason.TIME_OUTSIDE_VALIDITY, "the signature itself has an end, which is past, says gpg"
            )
        if self.gpg.home is None and said.trust not in ("TRUST_ULTIMATE", "TRUST_FULLY"):
            level = (said.trust.removeprefix("TRUST_") or "undefined").lower()
            raise VerificationError(
                Step.CHAIN,
                Reason.KEY_UNKNOWN,
                f"key {said.key} is in gpg's keyring, and nobody says whose it is (trust {level})",
                hint=f"if you know the owner: gpg --lsign-key {said.key}",
            )
        address = _ADDRESS.search(said.user)
        email = (address[1] or address[2]) if address is not None else ""
        return Vouched(
            principal=Principal(
                id=f"openpgp:{said.primary.lower()}",
                kind=PrincipalKind.HUMAN,
                name="",
                display=said.user,
                email=email,
                authentication=Authentication.OWN_KEY,
            ),
            addresses=frozenset((email,)) if email else frozenset(),
            root="gpg's keyring",
            not_after=said.key_ended,
        )

    def signing_time(self, parsed: Commit | Tag | PushCertificate | None) -> tuple[int, str] | None:
        """The signer's word on the time, unix seconds, and where it stands: known once gpg was asked."""
        del parsed
        return (self.said.time, "openpgp-signature") if self.said is not None and self.said.time else None


_BINARY = "00"
"""RFC 9580 section 5.2.1. Over a text (class 01) CR LF and LF are the same, so that it holds for other objects too."""

_NO_KEY = "9"
"""GPG_ERR_NO_PUBKEY, in the last field but one of ERRSIG."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the status lines say of the one signature."""

    verdict: str
    key: str
    primary: str
    user: str
    trust: str
    time: int
    algorithm: str
    hash: str
    error: str
    key_ended: int | None = None
    kind: str = ""

    @classmethod
    def read(cls, status: tuple[tuple[str, ...], ...]) -> Said:
        verdicts = [words for words in status if words[0] in _VERDICTS]
        valid = [words for words in status if words[0] == "VALIDSIG"]
        trust = [words[0] for words in status if words[0].startswith("TRUST_")]
        if sum(words[0] == "NEWSIG" for words in status) > 1 or len(verdicts) > 1 or len(valid) > 1:
            raise VerificationError(
                Step.SIGNATURE, Reason.SIGNATURE_SEVERAL, "there are several OpenPGP signatures in one armour"
            )
        if not verdicts:
            raise MalformedError("gpg finds no OpenPGP signature in it")
        word, *rest = verdicts[0]
        if word == "ERRSIG":
            fields = [*rest, *[""] * 7]
            fingerprint = fields[6] if fields[6] not in ("", "-") else fields[0]
            return cls(word, fingerprint, "", "", "", _number(fields[4]), fields[1], fields[2], fields[5])
        if word != "BADSIG" and not (valid and _FINGERPRINT.fullmatch(valid[0][1] if len(valid[0]) > 1 else "")):
            raise UnavailableError("gpg says that a signature is good, and not by which key")
        fields = [*(valid[0][1:] if valid else rest[:1]), *[""] * 10]
        return cls(
            verdict=word,
            key=fields[0],
            primary=fields[9] or fields[0],
            user=" ".join(rest[1:]),
            trust=trust[0] if len(trust) == 1 else "",
            time=_number(fields[2]),
            algorithm=fields[6],
            hash=fields[7],
            error="",
            key_ended=min(_ends(status), default=0) if word == "EXPKEYSIG" else None,
            kind=fields[8],
        )

    @property
    def signer(self) -> Signer:
        """One and the same value for one key: the primary one, by which a person is known."""
        return _signer(self.primary or self.key, _ALGORITHMS.get(self.algorithm, ""))


@functools.lru_cache(maxsize=256)
def _signer(key: str, algorithm: str) -> Signer:
    return Signer(SignerKind.OPENPGP, key, algorithm)


def _ends(status: tuple[tuple[str, ...], ...]) -> list[int]:
    """When the key expired, and the keys above it."""
    return [_number(words[1]) for words in status if words[0] == "KEYEXPIRED" and len(words) > 1]


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= 12 else 0


def read(armour: bytes, gpg: Gpg) -> ForeignOpenPgp:
    """Step 2: one armour block, which gpg is asked about when its content is known."""
    if len(armour) > MAX_ARMOUR_BYTES:
        raise MalformedError(f"{len(armour)} bytes of armour; an OpenPGP signature has at most {MAX_ARMOUR_BYTES}")
    return ForeignOpenPgp(armour, gpg)
