"""OpenSSH and stock git as judges of our SSH signatures and certificates."""

from __future__ import annotations

import base64
import os
import subprocess
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from attest import cli as attest_cli
from attest import gitobject, sshcert, sshsig, sshwire, stamps, verify
from attest.errors import Step
from attest.gitobject import ObjectFormat, ObjectKind
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.repository import open_repository
from attest.types import Outcome, Revocation, RevocationKind, Voucher
from notme_git import sshtrust
from notme_git.enroll import local
from notme_git.enroll.local import Credential
from tests.compat import warm
from tests.compat.conftest import SCRIPTS
from tests.compat.signed import now
from tests.forge import attach, commit_payload
from tests.peers import SEARCH, peer
from tests.world import World

SECONDS = 60
PRIVATE = (Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())


@dataclass(frozen=True)
class Stock:
    """A repository with stock git, which goes by an allowed-signers file and perhaps a revocation list."""

    folder: Path
    world: World

    def run(self, *command: str | Path, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
        base = {"PATH": SEARCH, "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**base, **environ},
            input=stdin,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )

    def keygen(self, *arguments: str | Path, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
        return self.run(peer("ssh-keygen"), *arguments, stdin=stdin, **environ)

    def git(self, *arguments: str | Path, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
        return self.run(peer("git"), *arguments, stdin=stdin, **environ)

    def export(self, name: str = "allowed") -> Path:
        with self.world.opened() as authority:
            (self.folder / name).write_text(sshtrust.allowed_signers(authority))
        self.git("config", "gpg.ssh.allowedSignersFile", str(self.folder / name))
        return self.folder / name

    def revoke(self) -> Path:
        with self.world.opened() as authority:
            made = sshtrust.krl(authority, ssh_keygen=str(peer("ssh-keygen")))
        (self.folder / "krl").write_bytes(made)
        self.git("config", "gpg.ssh.revocationFile", str(self.folder / "krl"))
        return self.folder / "krl"

    def store(self, raw: bytes) -> str:
        return self.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).stdout.decode().strip()

    def letter(self, raw: bytes, zone: str = "UTC") -> str:
        """git's `%G?`, and verify-commit agrees."""
        oid = self.store(raw)
        shown = self.git("log", "-1", "--format=%G?", oid, TZ=zone).stdout.decode().strip()
        good = self.git("verify-commit", oid, TZ=zone)
        assert (good.returncode == 0) == (shown == "G"), good.stderr
        return shown


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    """An authority of yesterday with one agent: whatever it certified has long expired."""
    return made(tmp_path, now() - timedelta(days=1))


def made(tmp_path: Path, at: datetime) -> Stock:
    world = World(tmp_path, at=at)
    world.grant()
    folder = tmp_path / "stock"
    folder.mkdir()
    stock = Stock(folder, world)
    stock.git("init", "-q", "-b", "main", ".")
    stock.export()
    return stock


def signed(credential: Credential, payload: bytes) -> bytes:
    value = credential.sign(sshsig.to_be_signed(payload))
    return sshsig.ARMOUR.wrap(sshsig.assemble(credential.ssh_certificate, value))


def token_over(credential: Credential, armour: bytes, at: datetime) -> bytes:
    return credential.stamp(sshsig.parse(sshsig.ARMOUR.open(armour)).signature, at)


def test_ssh_keygen_reads_our_certificate_as_it_is_meant(stock: Stock) -> None:
    leaf = stock.world.credential().ssh_chain.leaf  # type: ignore[union-attr]
    (stock.folder / "a-cert.pub").write_bytes(sshwire.line(sshcert.TYPE, leaf.encoded))
    shown = stock.keygen("-L", "-f", "a-cert.pub").stdout.decode()
    lines = [line.strip() for line in shown.splitlines()]
    assert f"Type: {sshcert.TYPE} user certificate" in lines
    assert f"Public key: ED25519-CERT {leaf.fingerprints[0]}" in lines
    assert f"Signing CA: ED25519 {leaf.fingerprints[1]} (using ssh-ed25519)" in lines
    assert f'Key ID: "{leaf.uri}"' in lines
    assert f"Serial: {leaf.serial}" in lines
    assert f"Valid: from {leaf.not_before:%Y-%m-%dT%H:%M:%S} to {leaf.not_after:%Y-%m-%dT%H:%M:%S}" in lines
    principals, critical, extensions = (
        lines.index(f"{word}:") for word in ("Principals", "Critical Options", "Extensions")
    )
    assert lines[principals + 1 : critical] == [stock.world.address()]
    assert [line.split(" ")[0] for line in lines[critical + 1 : extensions]] == ["git-signing@notme.bot"]
    assert [line.split(" ")[0] for line in lines[extensions + 1 :]] == ["bridge@notme.bot", "claims@notme.bot"]


def test_ssh_keygen_verifies_our_signature_now(tmp_path: Path) -> None:
    stock = made(tmp_path, now())
    (stock.folder / "sig").write_bytes(signed(stock.world.credential(), b"content"))
    command = ("-Y", "verify", "-n", "git", "-f", "allowed", "-I", stock.world.address(), "-s", "sig")
    good = stock.keygen(*command, stdin=b"content")
    assert good.stdout.startswith(b'Good "git" signature for ' + stock.world.address().encode()), good.stderr
    assert stock.keygen(*command, stdin=b"contenT").returncode != 0


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_stock_git_accepts_an_agents_commit_after_its_certificate_expired(stock: Stock, zone: str) -> None:
    payload = stock.world.commit()
    assert stock.letter(attach(payload, signed(stock.world.credential(), payload)), zone) == "G"


def test_a_commit_whose_editor_was_open_for_ten_minutes_is_accepted(stock: Stock) -> None:
    payload = stock.world.commit()
    stock.world.tick(minutes=10)
    assert stock.letter(attach(payload, signed(stock.world.credential(), payload))) == "G"


@pytest.mark.parametrize("seconds", [-901, 301], ids=["before the window", "after the window"])
def test_a_date_outside_the_window_is_refused(stock: Stock, seconds: int) -> None:
    world = stock.world
    payload = commit_payload(committer=world.who(), at=world.now + timedelta(seconds=seconds))
    assert stock.letter(attach(payload, signed(world.credential(), payload))) != "G"


def test_a_foreign_authority_is_refused(stock: Stock) -> None:
    other = stock.world.other
    other.grant(email=stock.world.address())
    payload = stock.world.commit()
    assert stock.letter(attach(payload, signed(other.credential(), payload))) != "G"


def test_a_foreign_principal_is_refused(stock: Stock) -> None:
    leaf = stock.world.forge().ssh_leaf(edit=lambda read: replace(read, principals=("root@example.net",)))
    payload = stock.world.commit()
    assert stock.letter(attach(payload, leaf.armour(payload))) != "G"


def test_a_certificate_of_another_namespace_is_refused(stock: Stock) -> None:
    leaf = stock.world.credential()
    value = leaf.sign(sshsig.to_be_signed(b"content", namespace="file"))
    blob = sshsig.assemble(leaf.ssh_certificate, value, namespace="file")
    (stock.folder / "sig").write_bytes(sshsig.ARMOUR.wrap(blob))
    when = f"-Overify-time={stock.world.now:%Y%m%d%H%M%S}Z"
    command = ("-Y", "verify", "-n", "file", "-f", "allowed", "-I", stock.world.address(), "-s", "sig", when)
    assert stock.keygen(*command, stdin=b"content").returncode != 0


def test_a_retired_epoch_is_accepted_for_what_is_older_and_no_more(stock: Stock) -> None:
    world = stock.world
    before, credential = world.commit(), world.credential()
    world.tick(minutes=2)
    world.rotate()
    world.tick(minutes=1)
    after = world.commit()
    stock.export()
    assert stock.letter(attach(before, signed(credential, before))) == "G"
    assert stock.letter(attach(after, signed(credential, after))) != "G"
    assert stock.letter(attach(after, signed(world.credential(), after))) == "G"


def test_the_revocation_list_refuses_a_compromised_epoch_and_no_other(stock: Stock) -> None:
    world = stock.world
    payload = world.commit()
    old = attach(payload, signed(world.credential(), payload))
    stock.revoke()
    assert stock.letter(old) == "G"
    kept = stock.export("before")
    world.tick(minutes=1)
    world.recover(compromised_at=world.now)
    new = world.commit()
    both = kept.read_text() + stock.export("after").read_text()
    assert stock.letter(old) != "G"
    (stock.folder / "after").write_text(both)
    assert stock.letter(old) == "G"
    stock.revoke()
    assert stock.letter(old) != "G"
    assert stock.letter(attach(new, signed(world.credential(), new))) == "G"


def test_the_revocation_list_refuses_a_revoked_session_and_no_other(stock: Stock) -> None:
    world = stock.world
    payload = world.commit()

    def commit_in(session: str) -> bytes:
        with world.opened() as authority:
            grant = next(s.grant for s in authority.store.grants() if s.grant.actor.name == "claude-code")
            credential = local.enroll(
                *(authority, grant, Profile.NOTME, "sign:git", world.trust().anchors, world.now), session=session
            )
        return attach(payload, signed(credential, payload))

    one, other, none = commit_in("one"), commit_in("other"), commit_in("")
    with world.opened() as authority:
        authority.store.add_revocation(Revocation(RevocationKind.SESSION, "one", int(world.now.timestamp()), ""))
    stock.revoke()
    assert [stock.letter(raw) == "G" for raw in (one, other, none)] == [False, True, True]


KEYS = {"ed25519": ("-t", "ed25519"), "ecdsa": ("-t", "ecdsa"), "rsa": ("-t", "rsa", "-b", "2048")}


@pytest.mark.parametrize("kind", KEYS.values(), ids=KEYS)
def test_a_signature_of_ssh_keygen_is_read_and_written_again_the_same(stock: Stock, kind: tuple[str, ...]) -> None:
    stock.keygen("-q", *kind, "-N", "", "-f", "key")
    (stock.folder / "content").write_bytes(b"content")
    done = stock.keygen("-q", "-Y", "sign", "-n", "git", "-f", "key", "content")
    armour = (stock.folder / "content.sig").read_bytes()
    blob = sshsig.ARMOUR.open(armour)
    read = sshsig.parse(blob)
    assert done.returncode == 0
    assert read.encode() == blob
    assert sshsig.ARMOUR.wrap(read.encode()) == armour
    assert (stock.folder / "key.pub").read_bytes().split()[1] == base64.b64encode(read.public_key)


def test_ssh_keygens_signature_with_our_certificate_is_ours(stock: Stock) -> None:
    """The key is the agent's, the program is OpenSSH's: both sides agree on every byte that is signed."""
    credential = stock.world.credential()
    pem = credential._key.private_bytes(*PRIVATE)
    (stock.folder / "key").write_bytes(pem)
    (stock.folder / "key").chmod(0o600)
    (stock.folder / "key-cert.pub").write_bytes(sshwire.line(sshcert.TYPE, credential.ssh_certificate))
    payload = stock.world.commit()
    (stock.folder / "payload").write_bytes(payload)
    stock.keygen("-q", "-Y", "sign", "-n", "git", "-f", "key-cert.pub", "payload")
    assert (stock.folder / "payload.sig").read_bytes() == signed(credential, payload)


def test_a_certificate_made_by_ssh_keygen_is_written_again_the_same(stock: Stock) -> None:
    for name in ("ca", "key"):
        stock.keygen("-q", "-t", "ed25519", "-N", "", "-f", name)
    options = ("-O", "clear", "-O", "extension:a@b=value", "-O", "critical:git-signing@notme.bot", "-z", "7")
    stock.keygen("-q", "-s", "ca", "-I", "id", "-n", "a@b,c@d", "-V", "20260101:20260102", *options, "key.pub")
    blob = base64.b64decode((stock.folder / "key-cert.pub").read_bytes().split()[1])
    read = sshcert.parse(blob)
    assert (read.serial, read.key_id, read.principals) == (7, "id", ("a@b", "c@d"))
    assert (read.critical, read.extensions) == ((("git-signing@notme.bot", b""),), (("a@b", b"value"),))
    assert sshcert.assemble(read.to_be_signed(), read.signature) == blob


def attested(stock: Stock, *arguments: str | Path, home: Path) -> subprocess.CompletedProcess[bytes]:
    program, *rest = arguments
    environ = {
        **warm.SAME,
        "PATH": f"{SCRIPTS}{os.pathsep}{SEARCH}",
        "HOME": str(stock.folder),
        "NOTME_HOME": str(home),
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    return warm.run([SCRIPTS / program, *rest], cwd=stock.folder, env=environ)


def test_back_dating_within_the_window_is_seen_by_evidence_alone(stock: Stock) -> None:
    """A thief has the key of an expired leaf, and lies about the date: stock git has to believe it."""
    world = stock.world
    credential, payload = world.credential(), world.commit()
    armour = signed(credential, payload)
    stamped = stock.store(attach(payload, armour))
    stamps.write_spool(world.home, stamped, token_over(credential, armour, world.now))
    world.tick(hours=3)
    lie = commit_payload(committer=world.who(), at=world.now - timedelta(hours=3), message=b"back-dated\n")
    raw = attach(lie, signed(credential, lie))
    dated_back = stock.store(raw)
    assert stock.letter(raw) == "G"
    examination = verify.examine(
        *(raw, ObjectKind.COMMIT, ObjectFormat.SHA1, gitobject.object_id(ObjectKind.COMMIT, raw, ObjectFormat.SHA1)),
        world.trust(),
        at=world.now,
    )
    judged = [
        verify.judge(examination, Policy(require_time=voucher), Context(), at=world.now).outcome
        for voucher in (None, Voucher.AUTHORITY)
    ]
    assert judged == [Outcome.ACCEPTED_TIME_UNPROVEN, Outcome.REJECTED]
    for oid, status in ((dated_back, 1), (stamped, 0)):
        done = attested(stock, "notme-attest", "verify", oid, "--require-time", "authority", home=world.home)
        assert done.returncode == status, done


def test_a_stamp_travels_with_the_statement(stock: Stock, tmp_path: Path) -> None:
    world = stock.world
    credential, payload = world.credential(), world.commit()
    armour = signed(credential, payload)
    oid = stock.store(attach(payload, armour))
    stamps.write_spool(world.home, oid, token_over(credential, armour, world.now))
    elsewhere = tmp_path / "elsewhere"
    trust = ("--anchor", world.home / "authority" / "anchors.pem", "--bundle", world.home / "authority" / "bundle")
    strict = ("notme-attest", "verify", oid, *trust, "--require-time", "authority")
    assert attested(stock, *strict, home=elsewhere).returncode == 1
    done = attested(stock, "notme-git", "attest", oid, home=world.home)
    assert done.returncode == 0, done
    assert attested(stock, *strict, home=elsewhere).returncode == 0
    shown = attested(stock, "notme-attest", "show", oid, *trust, home=elsewhere)
    assert (shown.returncode, shown.stdout.count(b"statement https://")) == (0, 1)


def damaged(stock: Stock, oid: str) -> None:
    """The ref of the attestations, which anybody may push, with a folder in the place of the object's file."""
    tree = stock.git("mktree").stdout.decode().strip()
    for name in (f"{oid}.intoto.jsonl", oid[2:4], oid[:2]):
        tree = stock.git("mktree", stdin=f"040000 tree {tree}\t{name}\n".encode()).stdout.decode().strip()
    made = stock.git(
        *("-c", "user.name=x", "-c", "user.email=x@example.net", "commit-tree", "-m", "x", tree)
    ).stdout.decode()
    stock.git("update-ref", "refs/attestations/notme", made.strip())


def test_a_damaged_ref_or_file_hides_no_verdict(stock: Stock) -> None:
    world = stock.world
    credential, payload = world.credential(), world.commit()
    armour = signed(credential, payload)
    oid = stock.store(attach(payload, armour))
    verify_it = ("notme-attest", "verify", oid, "--require-time", "authority")
    damaged(stock, oid)
    stamps.write_spool(world.home, oid, token_over(credential, armour, world.now))
    done = attested(stock, *verify_it, home=world.home)
    assert (done.returncode, b"is not a plain file" in done.stderr) == (0, True)
    spooled = stamps.spool_path(world.home, oid)
    spooled.unlink()
    spooled.mkdir()
    done = attested(stock, *verify_it, home=world.home)
    assert (done.returncode, b"cannot read the time-stamp" in done.stderr) == (1, True)


def test_every_commit_of_a_range_gets_its_own_stamp(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    world = stock.world
    credential, oids = world.credential(), list[str]()
    for number in range(5):
        payload = commit_payload(
            committer=world.who(), at=world.now, message=b"%d\n" % number, parents=tuple(oids[-1:])
        )
        armour = signed(credential, payload)
        oids.append(stock.store(attach(payload, armour)))
        if number != 2:
            stamps.write_spool(world.home, oids[-1], token_over(credential, armour, world.now))
    monkeypatch.setattr(attest_cli, "BATCH", 2)
    monkeypatch.setenv("NOTME_HOME", str(world.home))
    with open_repository(stock.folder, {"PATH": SEARCH}) as repo:
        found = list(attest_cli.examinations(repo, f"{oids[0]}..{oids[-1]}", world.trust(), None, world.now, []))
    assert {e.object_id: str(e.finding(Step.TIME).status) for e in found} == {
        oid: "unavailable" if oid == oids[2] else "proven" for oid in oids[1:]
    }


@pytest.mark.parametrize("form", ["allowed-signers", "krl"])
def test_the_command_prints_what_ssh_keygen_reads(stock: Stock, form: str) -> None:
    done = attested(stock, "notme-git", "trust", "export", "--format", form, home=stock.world.home)
    assert (done.returncode, done.stderr) == (0, b"")
    if form == "allowed-signers":
        assert done.stdout == (stock.folder / "allowed").read_bytes()
        return
    (stock.folder / "out").write_bytes(done.stdout)
    assert b"KRL version 1" in stock.keygen("-Q", "-l", "-f", "out").stdout
