"""Stock git and ssh-keygen as judges of whose SSH signatures count: keys and certificates are made by ssh-keygen.

One repository has a commit by every credential. For every list of allowed signers, git's `%G?` has to be G for the
very commits whose signer we find in the list. What git does not do is left out of the comparison: it holds no
committer against the list (step 7).
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from attest import sshsig, verify
from attest.errors import MalformedError, Reason, Step
from attest.foreign import sshkeys, usercert
from attest.foreign.allowed import AllowedSigners
from attest.foreign.revoked import RevokedKeys
from attest.foreign.roots import Roots
from attest.gitobject import ObjectFormat, ObjectKind
from attest.trust import Trust
from attest.types import StepStatus
from tests import sshforge
from tests.forge import attach, commit_payload
from tests.peers import SEARCH, peer

SECONDS = 60
ZONE = "Europe/Berlin"
AT = datetime(2026, 2, 1, 12, tzinfo=UTC)  # in summer ssh-keygen takes local times for those of winter
PAYLOAD = commit_payload(committer="Alice Example <alice@example.org>", at=AT)

KEYS = {
    "ed25519": ("-t", "ed25519"),
    "p256": ("-t", "ecdsa", "-b", "256"),
    "p384": ("-t", "ecdsa", "-b", "384"),
    "p521": ("-t", "ecdsa", "-b", "521"),
    "rsa": ("-t", "rsa", "-b", "2048"),
}
TOUCHED = {  # no token is at hand: ssh-keygen judges signatures made here by PROTOCOL.u2f
    "sk-ed25519": sshforge.ed25519(application="ssh:"),
    "sk-p256": sshforge.ecdsa("nistp256", application="ssh:work"),
}
CERTIFICATES = {  # name: arguments of ssh-keygen -s
    "cert": ("-n", "alice@example.org,alice", "-V", "20260201000000Z:20260202000000Z", "-z", "7"),
    "cert-ended": ("-n", "alice@example.org", "-V", "20260101000000Z:20260201120000Z", "-z", "8"),
    "cert-to-come": ("-n", "alice@example.org", "-V", "20260201120001Z:20260301000000Z", "-z", "9"),
    "cert-of-nobody": (),
    "cert-of-host": ("-h", "-n", "alice@example.org"),
    "cert-of-bob": ("-n", "bob@example.org", "-z", "12"),
    "cert-with-option": ("-n", "alice@example.org", "-O", "critical:x@example.org"),
    "cert-forced": ("-n", "alice@example.org", "-O", "force-command=/bin/true"),
}


@dataclass(frozen=True)
class Folder:
    """Keys by name in files, and a repository with a commit for each credential by its name."""

    path: Path
    commits: Mapping[str, str]
    raw: Mapping[str, bytes]

    def run(self, *command: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environ = {"PATH": SEARCH, "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8", "TZ": ZONE}
        return subprocess.run(
            command, cwd=self.path, env=environ, input=stdin, capture_output=True, timeout=SECONDS, check=False
        )

    def made(self, *command: str | Path, stdin: bytes = b"") -> bytes:
        done = self.run(*command, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def public(self, name: str) -> str:
        return " ".join((self.path / f"{name}.pub").read_text().split()[:2])

    def counted_by_git(self, asked: Collection[str], *, revoked: bool = False) -> set[str]:
        """The credentials, of those that are asked about, of the commits that git finds good."""
        options = ["-c", f"gpg.ssh.allowedSignersFile={self.path / 'allowed'}"]
        options += ["-c", f"gpg.ssh.revocationFile={self.path / 'revoked'}"] if revoked else []
        shown = self.made(
            peer("git"), *options, "log", "--no-walk", "--format=%H %G?", *(self.commits[name] for name in asked)
        )
        good = {line.split()[0] for line in shown.decode().splitlines() if line.split()[1] == "G"}
        return {name for name in asked if self.commits[name] in good}

    def counted_by_us(self, asked: Collection[str], *, revoked: bool = False) -> set[str]:
        """The credentials, of those that are asked about, of the commits whose first four steps are proven."""
        allowed = AllowedSigners.parse((self.path / "allowed").read_bytes(), ZoneInfo(ZONE))
        listed = RevokedKeys.parse((self.path / "revoked").read_bytes()) if revoked else None
        trusted = Trust((), foreign=Roots(allowed_signers=allowed, revoked=listed))
        return {name for name in asked if is_counted(self.raw[name], self.commits[name], trusted)}


def is_counted(raw: bytes, oid: str, trusted: Trust) -> bool:
    found = verify.examine(raw, ObjectKind.COMMIT, ObjectFormat.SHA1, oid, trusted, at=AT)
    return all(found.finding(step).status is StepStatus.PROVEN for step in list(Step)[: Step.CHAIN])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    keygen, git = peer("ssh-keygen"), peer("git")
    here = Folder(tmp_path_factory.mktemp("signers"), {}, {})
    for name, arguments in {**KEYS, "ca": KEYS["ed25519"], "ca-rsa": KEYS["rsa"]}.items():
        here.made(keygen, "-q", *arguments, "-N", "", "-C", "", "-f", name)
    made: dict[str, tuple[str, tuple[str, ...]]] = {name: (name, ()) for name in KEYS}
    made |= {name: ("ed25519", ("-s", "ca", *arguments)) for name, arguments in CERTIFICATES.items()}
    made["cert-by-sha1"] = ("ed25519", ("-s", "ca-rsa", "-t", "ssh-rsa", *CERTIFICATES["cert"]))
    made |= {f"cert-{name}": (name, ("-s", "ca-rsa", *CERTIFICATES["cert"])) for name in KEYS}
    blobs = {name: signed(here, *how) for name, how in made.items()}
    for name, maker in TOUCHED.items():
        (here.path / f"{name}.pub").write_text(f"{maker.line}\n")
        blobs[name] = maker.sign(PAYLOAD, flags=0)
        blobs[f"cert-{name}"] = maker.sign(PAYLOAD, certificate=certified(here, name))
    demanding = certified(here, "sk-ed25519", "-O", "verify-required")
    blobs["cert-for-pin"] = TOUCHED["sk-ed25519"].sign(PAYLOAD, certificate=demanding)
    here.made(git, "init", "-q", ".")
    raw = {name: attach(PAYLOAD, sshsig.ARMOUR.wrap(blob)) for name, blob in blobs.items()}
    store = (git, "hash-object", "-t", "commit", "-w", "--stdin")
    commits = {name: here.made(*store, stdin=data).decode().strip() for name, data in raw.items()}
    return Folder(here.path, commits, raw)


def certified(here: Folder, key: str, *options: str) -> bytes:
    here.made(peer("ssh-keygen"), "-q", "-s", "ca", "-I", "x", *CERTIFICATES["cert"], *options, f"{key}.pub")
    return base64.b64decode((here.path / f"{key}-cert.pub").read_text().split()[1])


def signed(here: Folder, key: str, certify: tuple[str, ...]) -> bytes:
    """The blob of a signature over the payload by ssh-keygen, with a key or with a certificate made for it."""
    keygen, certificate = peer("ssh-keygen"), here.path / f"{key}-cert.pub"
    if certify:
        here.made(keygen, "-q", "-I", "alice's laptop", *certify, f"{key}.pub")
    armour = here.made(keygen, "-q", "-Y", "sign", "-n", "git", "-f", certificate if certify else key, stdin=PAYLOAD)
    certificate.unlink(missing_ok=True)
    return sshsig.ARMOUR.open(armour)


ALL_KEYS = (*KEYS, *TOUCHED)
KEY_ASKED = ("ed25519", "p384", "p521", "rsa", "cert")
STRICTER = {  # where git says good, and we do not
    "cert-with-option": Reason.CERTIFICATE_INVALID,
    "cert-by-sha1": Reason.CERTIFICATE_INVALID,
    "cert-for-pin": Reason.CERTIFICATE_INVALID,
}
AUTHORITY_ASKED = (*(name for name in CERTIFICATES if name not in STRICTER), "ed25519", "cert-rsa")
REVOKED_ASKED = ("ed25519", "p256", "rsa", "sk-p256", "cert", "cert-forced", "cert-rsa", "cert-sk-p256")
PRINCIPALS = "alice@example.org"

# what: lines, with the names of keys in braces
ALLOWED = {
    "every key": [f"{PRINCIPALS} {{{name}}}" for name in ALL_KEYS],
    "every key, of patterns": [f"*@example.org,!root@* {{{name}}}" for name in ALL_KEYS],
    "every key, of a name": [f"alice {{{name}}} a comment" for name in ALL_KEYS],
    "one key": [f"{PRINCIPALS} {{ed25519}}"],
    "one key and others": ["# a comment", "", "bob@example.org {p256}", f"{PRINCIPALS} {{rsa}}\r"],
    "a key for git": [f'{PRINCIPALS} namespaces="file,git" {{ed25519}}'],
    "a key for files": [f'{PRINCIPALS} namespaces="file" {{ed25519}}'],
    "a key for all but git": [f'{PRINCIPALS} namespaces="*,!git" {{ed25519}}'],
    "a key that began": [f'{PRINCIPALS} valid-after="20260201120000Z" {{ed25519}}'],
    "a key to begin": [f'{PRINCIPALS} valid-after="20260201120001Z" {{ed25519}}'],
    "a key to end": [f'{PRINCIPALS} valid-before="20260201120000Z" {{ed25519}}'],
    "a key that ended": [f'{PRINCIPALS} valid-before="20260201115959Z" {{ed25519}}'],
    "a key to begin, here": [f'{PRINCIPALS} valid-after="20260201130001" {{ed25519}}'],
    "a key that began, here": [f'{PRINCIPALS} valid-after="202602011300" {{ed25519}}'],
    "a key for a day": [f'{PRINCIPALS} valid-after="20260201",VALID-BEFORE="20260202" {{p384}}'],
    "a key that ended, and again": [
        f'{PRINCIPALS} valid-before="20260101" {{ed25519}}', f'{PRINCIPALS} valid-after="20260101" {{ed25519}}',
    ],
    "a key of nobody": [f"{PRINCIPALS},!alice* {{ed25519}}"],
    "an authority": [f"{PRINCIPALS} cert-authority {{ca}}"],
    "an authority in RSA": [f"{PRINCIPALS} cert-authority {{ca-rsa}}"],
    "an authority for everybody": ["* cert-authority {ca}"],
    "an authority for a name": ["alice cert-authority {ca}"],
    "an authority for all but one": ["!bob@*,*@example.org cert-authority {ca}"],
    "an authority for files": [f'{PRINCIPALS} cert-authority,namespaces="file" {{ca}}'],
    "an authority that ended": [f'{PRINCIPALS} cert-authority,valid-before="20260201115959Z" {{ca}}'],
    "an authority as a key": [f"{PRINCIPALS} {{ca}}"],
    "a key as an authority": [f"{PRINCIPALS} cert-authority {{ed25519}}"],
    "principals in quotes": [f'"{PRINCIPALS},bob" {{p521}}'],
    "nobody": ["# nobody yet"],
}  # fmt: skip


def write(folder: Folder, name: str, lines: list[str]) -> None:
    names = {name: folder.public(name) for name in (*ALL_KEYS, "ca", "ca-rsa")}
    (folder.path / name).write_text("".join(line.format_map(names) + "\n" for line in lines))


@pytest.mark.parametrize("variant", ALLOWED)
def test_the_same_signers_count_as_for_git(folder: Folder, variant: str) -> None:
    write(folder, "allowed", ALLOWED[variant])
    asked = AUTHORITY_ASKED if "authority" in variant else ALL_KEYS if "every key" in variant else KEY_ASKED
    assert folder.counted_by_us(asked) == folder.counted_by_git(asked)


def test_each_kind_of_credential_counts_somewhere(folder: Folder) -> None:
    write(folder, "allowed", EVERYBODY)
    expected = {*KEYS, *TOUCHED, "cert", "cert-forced", *(f"cert-{name}" for name in ALL_KEYS)}
    assert folder.counted_by_us(folder.commits) == expected
    assert folder.counted_by_git(folder.commits) == expected | set(STRICTER)


def test_an_unknown_option_sha_1_and_a_missing_pin_are_passed_over_by_ssh_keygen_and_not_by_us(folder: Folder) -> None:
    write(folder, "allowed", EVERYBODY)
    assert folder.counted_by_git(STRICTER) == set(STRICTER)
    roots = Roots(allowed_signers=AllowedSigners.parse((folder.path / "allowed").read_bytes()))
    for name, reason in STRICTER.items():
        trusted, oid = Trust((), foreign=roots), folder.commits[name]
        found = verify.examine(folder.raw[name], ObjectKind.COMMIT, ObjectFormat.SHA1, oid, trusted, at=AT)
        assert found.finding(Step.CHAIN).reason == reason


def test_a_list_with_a_line_that_ssh_keygen_passes_over_is_refused(folder: Folder) -> None:
    folder.made(peer("ssh-keygen"), "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", "short")
    for line in (f"bob@example.org {folder.public('short')}", "bob@example.org agent {p256}", "nonsense"):
        write(folder, "allowed", [line, *ALLOWED["one key"]])
        assert folder.counted_by_git(["ed25519"]) == {"ed25519"}
        with pytest.raises(MalformedError, match="line 1"):
            folder.counted_by_us(["ed25519"])
    (folder.path / "short").unlink()


EVERYBODY = [*ALLOWED["every key"], *ALLOWED["an authority"], *ALLOWED["an authority in RSA"]]
LISTS = {"keys": ["{ed25519}", "{sk-p256} lost"], "an authority": ["{ca}"], "others": ["# none", "", "{ca-rsa}"]}
SPECIFICATIONS = {
    "keys": "key: {ed25519}\nkey: {rsa}\n",
    "SHA-1 of a key": "sha1: {p256}\n",
    "SHA-256 of a key": "sha256: {p256}\n",
    "an authority's key": "key: {ca-rsa}\n",
    "serial numbers": "serial: 7\nserial: 100\n",
    "a range of serial numbers": "serial: 7-8\n",
    "many serial numbers": "".join(f"serial: {n}\n" for n in range(1, 200, 2)),
    "a key id": "id: alice's laptop\n",
    "another key id": "id: bob's laptop\n",
}


@pytest.mark.parametrize(
    "form", [*(f"list of {name}" for name in LISTS), *(f"KRL of {name}" for name in SPECIFICATIONS)]
)
def test_the_same_keys_are_revoked_as_for_git(folder: Folder, form: str) -> None:
    write(folder, "allowed", EVERYBODY)
    kind, _, name = form.partition(" of ")
    if kind == "list":
        write(folder, "revoked", LISTS[name])
    else:
        write(folder, "specification", [SPECIFICATIONS[name]])
        folder.made(peer("ssh-keygen"), "-q", "-k", "-f", "revoked", "-s", "ca.pub", "specification")
    found = folder.counted_by_us(REVOKED_ASKED, revoked=True)
    assert found == folder.counted_by_git(REVOKED_ASKED, revoked=True)
    assert (found == set(REVOKED_ASKED)) is (name == "another key id")


@pytest.mark.parametrize("name", ALL_KEYS)
def test_a_key_has_the_fingerprint_that_ssh_keygen_prints(folder: Folder, name: str) -> None:
    shown = folder.made(peer("ssh-keygen"), "-l", "-f", f"{name}.pub").decode().split()[1]
    assert sshkeys.parse(base64.b64decode(folder.public(name).split()[1])).fingerprint == shown


FIRST_LINE = [f'{PRINCIPALS} namespaces="file" {{ed25519}}', 'alice@home.example namespaces="git" {ed25519}']


def test_a_line_for_files_does_not_hide_one_for_git(folder: Folder) -> None:
    """git asks for the principals of the first line alone; ssh-keygen, asked for the second, says yes as we do."""
    write(folder, "allowed", FIRST_LINE)
    signature = folder.path / "signature"
    _, _, rest = folder.raw["ed25519"].partition(b"gpgsig ")
    signature.write_bytes(rest.partition(b"\n\n")[0].replace(b"\n ", b"\n") + b"\n")
    asked = ("-Y", "verify", "-n", "git", "-f", "allowed", "-s", signature)
    keygen = peer("ssh-keygen")
    assert folder.run(keygen, *asked, "-I", PRINCIPALS, stdin=PAYLOAD).returncode != 0
    assert folder.run(keygen, *asked, "-I", "alice@home.example", stdin=PAYLOAD).returncode == 0
    assert folder.counted_by_us(["ed25519"]) == {"ed25519"}


def test_what_ssh_keygen_certifies_is_read_as_ssh_keygen_prints_it(folder: Folder) -> None:
    keygen = peer("ssh-keygen")
    folder.made(keygen, "-q", "-s", "ca-rsa", "-I", "an id", *CERTIFICATES["cert"], "-O", "force-command=x", "p384.pub")
    certificate = folder.path / "p384-cert.pub"
    shown = folder.made(keygen, "-L", "-f", certificate).decode()
    read = usercert.parse(base64.b64decode(certificate.read_text().split()[1]))
    certificate.unlink()
    usercert.verify(read.blob)
    assert f'Key ID: "{read.key_id}"' in shown
    assert f"Serial: {read.serial}" in shown
    assert f"Public key: ECDSA-CERT {read.key.fingerprint}" in shown
    assert f"Signing CA: RSA {sshkeys.parse(read.authority).fingerprint} (using {read.algorithm})" in shown
    assert all(f"                {name}" in shown.splitlines() for name in (*read.principals, "force-command x"))
    assert read.critical == ("force-command",)


@pytest.mark.parametrize("columns", [64, 76, 5000])
def test_lines_of_another_width_than_ssh_keygen_writes_are_read_as_git_reads_them(folder: Folder, columns: int) -> None:
    write(folder, "allowed", ALLOWED["one key"])
    found = folder.raw["ed25519"].partition(b"-----BEGIN SSH SIGNATURE-----\n ")[2].partition(b"\n -----END")[0]
    text = found.replace(b"\n ", b"")
    wrapped = b"\n ".join(text[i : i + columns] for i in range(0, len(text), columns))
    raw = folder.raw["ed25519"].replace(found, wrapped)
    assert raw != folder.raw["ed25519"]
    oid = folder.made(peer("git"), "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).decode().strip()
    other = Folder(folder.path, {"wrapped": oid}, {"wrapped": raw})
    assert other.counted_by_git(["wrapped"]) == other.counted_by_us(["wrapped"]) == {"wrapped"}
