"""A hostile agent with the user id of the human it acts for: what it can do, and what it cannot.

Each test's docstring is, word for word, one row of a table in SECURITY.md, in the same order (`tests/test_docs.py`
compares them). Where the agent would read a key out of a process's memory, the test enrols in process and keeps it.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from attest import canonical, cms, gitobject, home, verify
from attest.gitobject import ObjectFormat, ObjectKind
from attest.keys import KeyAlgorithm
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.types import Assurance, Grant, Outcome, PrincipalKind, Verdict, Voucher
from notme_git.authority import grants, issue
from notme_git.authority.embedded import opened
from notme_git.daemon import agent_setting, client
from notme_git.daemon.protocol import NOT_OURS, Reply, Request
from notme_git.enroll import keys as keys_of
from notme_git.enroll import local
from tests.compat import humans
from tests.compat.conftest import AGENT, HUMAN, SCRIPTS, SUMMARY, Sandbox, failed, found, machine, without_daemon
from tests.compat.test_broker import run as brokered
from tests.forge import AGENT as CLAIMS
from tests.forge import Forge, Leaf, attach, certify
from tests.peers import peer

GOOD = f"G {SUMMARY}"


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def refused(sandbox: Sandbox, *arguments: str, status: int = 1, says: str, key: str = "") -> None:
    """git makes no commit, and the signing program prints nothing and says why."""
    before = sandbox.rev("HEAD")
    named = ("-c", f"user.signingkey={key}") if key else ()
    sandbox.git(*named, "commit", "-q", "--allow-empty", "-m", "x", *arguments, status=128)
    assert sandbox.rev("HEAD") == before
    done = sandbox.sign(sandbox.payload(), key=key or f"notme:{AGENT}", status=status)
    assert done.out == b""
    assert says in done.err


def stolen(sandbox: Sandbox, at: datetime) -> Leaf:
    """A leaf issued now, with its key, as whoever reads the signing process's memory has them."""
    with opened(sandbox.home) as authority:
        grant = grants.select(authority.store.grants(), AGENT, scope="sign:git", at=at)
        anchors = home.read_trust(sandbox.home).anchors
        credential = local.enroll(authority, grant, Profile.NOTME, "sign:git", anchors, at)
    return Leaf(credential._key, credential.certificate)


def signed(leaf: Leaf, payload: bytes, at: datetime, token: bytes | None = None) -> bytes:
    """The commit that `payload` becomes under the signature of `leaf`, which states `at` as its time."""
    algorithm = KeyAlgorithm.ED25519 if isinstance(leaf.key, Ed25519PrivateKey) else KeyAlgorithm.P256
    pending = cms.to_be_signed(payload, algorithm, signing_time=at)
    message = cms.assemble(pending, leaf.sign(pending.data), signer=leaf.certificate, timestamp=token)
    return attach(payload, cms.ARMOUR.wrap(message))


def judged(sandbox: Sandbox, raw: bytes, at: datetime, *, require: Voucher | None = None) -> Verdict:
    """What the verifier of this machine makes of a commit at `at`."""
    commit_id = gitobject.object_id(ObjectKind.COMMIT, raw, ObjectFormat.SHA1)
    trusted = home.read_trust(sandbox.home)
    examined = verify.examine(raw, ObjectKind.COMMIT, ObjectFormat.SHA1, commit_id, trusted, at=at)
    return verify.judge(examined, Policy(require_time=require), Context(), at=at)


def failures(verdict: Verdict) -> list[tuple[int, str]]:
    return [(f.step, f.reason) for f in verdict.findings.findings if f.status == "failed"]


def in_repository(sandbox: Sandbox, raw: bytes) -> str:
    return sandbox.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).text


def rewrite_grant(sandbox: Sandbox, grant: Grant, *, digest: bool) -> None:
    """Write a grant's record in the database behind the authority's back."""
    with sqlite3.connect(sandbox.home / "authority" / "authority.db") as database:
        record, identity = canonical.encode(grant), grant.id
        database.execute("UPDATE grants SET record = ? WHERE id = ?", (record, identity))
        if digest:
            database.execute("UPDATE grants SET sha256 = ? WHERE id = ?", (canonical.digest(grant), identity))
    database.close()


def own_grant(sandbox: Sandbox) -> Grant:
    with opened(sandbox.home) as authority:
        return next(s.grant for s in authority.store.grants() if s.grant.actor.name == AGENT)


def thief(sandbox: Sandbox) -> Forge:
    """A forge with the authority's own root key and time-stamping key, read from their files."""
    forge = Forge(at=now())
    with opened(sandbox.home) as authority:
        epoch = authority.epoch
    for name in ("root", "tsa"):
        key = load_pem_private_key((sandbox.keys / f"epoch-1-{name}.pem").read_bytes(), None)
        setattr(forge, f"{name}_key", key)
    forge.root = x509.load_der_x509_certificate(epoch.root)
    forge.tsa = x509.load_der_x509_certificate(epoch.timestamp_certificates[0])
    return forge


@contextmanager
def session(sandbox: Sandbox) -> Iterator[dict[str, str]]:
    """Another session of the same agent, running; gives its environment."""
    script = "env -0; echo; read -r _"
    command: list[str | Path] = [SCRIPTS / "notme-git", "run", "--quiet", "--agent", AGENT, "--", "bash", "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=sandbox.repo, env=sandbox.environ, stdin=pipe, stdout=pipe) as running:
        assert running.stdout is not None
        pairs = running.stdout.readline().decode().rstrip("\n").split("\0")
        yield {name: value for name, _, value in (pair.partition("=") for pair in pairs) if name}
        running.communicate(b"\n")


def refused_in(sandbox: Sandbox, environ: dict[str, str], *, says: str) -> None:
    before = sandbox.rev("HEAD")
    assert says in sandbox.commit(environ=environ, status=128).err
    assert sandbox.rev("HEAD") == before


# -- cannot


@pytest.mark.parametrize("name", ["alice", "Alice Example", "human"])
def test_the_humans_name(sandbox: Sandbox, name: str) -> None:
    """It cannot make the signing program sign in the human's own name."""
    refused(sandbox, key=f"notme:{name}", says=f"no agent '{name}' has a grant")


def test_absent_marks(sandbox: Sandbox) -> None:
    """It cannot become the human by taking agents' marks out of the environment, nor another agent by setting them."""
    for environ in ({}, {"CLAUDECODE": "1"}, {"CODEX_SANDBOX": "1", "GEMINI_CLI": "1", "AI_AGENT": "other"}):
        sandbox.commit(environ=environ)
        assert sandbox.shows() == GOOD


def test_no_grant(sandbox: Sandbox) -> None:
    """It cannot make the signing program sign as an agent that nobody granted anything."""
    refused(sandbox, key="notme:codex", says="notme-git grant add codex")


def test_the_verifier(sandbox: Sandbox) -> None:
    """It cannot make the signing program sign a commit as the verifier that signs statements."""
    refused(sandbox, key="notme:verifier", says="holds sign:attestation, not sign:git")


def test_scope(sandbox: Sandbox) -> None:
    """It cannot make the signing program sign a commit under a grant whose scopes leave git out."""
    sandbox.notme("grant", "add", "reader", "--scope", "bridgeCert")
    refused(sandbox, key="notme:reader", says="holds bridgeCert, not sign:git")


def test_expired(sandbox: Sandbox) -> None:
    """It cannot make the signing program sign under a grant that has expired."""
    sandbox.notme("grant", "add", "brief", "--expires", "1s")
    time.sleep(1.1)
    refused(sandbox, key="notme:brief", says="expired on")


def test_revoked(sandbox: Sandbox) -> None:
    """It cannot make the signing program sign under a grant that was revoked."""
    sandbox.notme("grant", "revoke", AGENT)
    refused(sandbox, says="was revoked on")


def test_constrained(sandbox: Sandbox) -> None:
    """It cannot have a commit accepted for a repository or branch that its grant does not name."""
    sandbox.notme("grant", "add", "narrow", "--branch", "topic/*")
    address = sandbox.address.replace(AGENT, "narrow")
    mail = [word for role in ("author", "committer") for word in ("-c", f"{role}.email={address}")]
    sandbox.git("-c", "user.signingkey=notme:narrow", *mail, "commit", "-q", "--allow-empty", "-m", "x")
    assert failed(sandbox.verdict("HEAD", "--ref", "refs/heads/main", status=1)) == [(8, "constraint-mismatch")]
    assert sandbox.verdict("HEAD", "--ref", "refs/heads/topic/1")["outcome"] == "accepted"


def test_no_git_object(sandbox: Sandbox) -> None:
    """It cannot make the signing program sign anything but a commit, a tag or a push certificate."""
    for payload in (b"", b"any text\n", b"From: alice@example.org\n\nHello\n", b"tree \n\n", b"\x30\x03\x02\x01\x00"):
        done = sandbox.sign(payload, status=1)
        assert (done.out, "nothing else is signed" in done.err) == (b"", True)


def test_another_commit(sandbox: Sandbox) -> None:
    """It cannot move a signature to another commit."""
    sandbox.commit()
    raw = sandbox.git("cat-file", "commit", "HEAD").out.replace(b"\n\nx\n", b"\n\ny\n")
    assert failed(sandbox.verdict(in_repository(sandbox, raw), status=1)) == [(3, "digest-mismatch")]


def test_a_stolen_key_later(sandbox: Sandbox) -> None:
    """It cannot use a stolen signing key once its certificate has ended: step 5 refuses the time that is stated."""
    leaf, later = stolen(sandbox, now()), now() + timedelta(minutes=7)
    verdict = judged(sandbox, signed(leaf, sandbox.payload(), later), later)
    assert failures(verdict) == [(5, "time-outside-validity")]


def test_a_stolen_key_and_required_time(sandbox: Sandbox) -> None:
    """It cannot pass off a stolen signing key's later work as earlier where the verifier requires a time-stamp."""
    leaf, issued = stolen(sandbox, now()), now()
    raw = signed(leaf, sandbox.payload(), issued)
    verdict = judged(sandbox, raw, issued + timedelta(days=1), require=Voucher.AUTHORITY)
    assert failures(verdict) == [(8, "time-required")]


def test_the_sibling_certificate(sandbox: Sandbox) -> None:
    """It cannot sign a commit with the certificate for mutual TLS that is issued beside the one for signing."""
    at = now()
    tls, signing = generate_private_key(SECP256R1()), Ed25519PrivateKey.generate()
    with opened(sandbox.home) as authority:
        keys = keys_of.spki(tls), keys_of.spki(signing)
        message = issue.binding_preimage(*keys)
        proofs = issue.Proofs(mtls=keys_of.proof(tls, message), signing=keys_of.proof(signing, message))
        request = issue.Request(own_grant(sandbox), Profile.NOTME, ("sign:git",), *keys, proofs)
        pair = issue.issue(authority, request, assurance=Assurance.SAME_USER, auth_method="local", at=at)
    verdict = judged(sandbox, signed(Leaf(tls, pair.mtls), sandbox.payload(), at), at)
    assert [step for step, _ in failures(verdict)] == [4]


def test_its_own_authority(sandbox: Sandbox) -> None:
    """It cannot make its own authority count with a verifier that did not pin it, whatever names it copies."""
    real, fake = thief(sandbox), Forge(at=now())
    for role in ("root", "tsa"):
        copied = getattr(real, role)
        builder = x509.CertificateBuilder(
            issuer_name=copied.issuer,
            subject_name=copied.subject,
            public_key=getattr(fake, f"{role}_key").public_key(),
            serial_number=copied.serial_number,
            not_valid_before=copied.not_valid_before_utc,
            not_valid_after=copied.not_valid_after_utc,
            extensions=list(getattr(fake, role).extensions),
        )
        setattr(fake, role, certify(builder, fake.root_key))
    payload = sandbox.payload()
    verdict = judged(sandbox, attach(payload, fake.armour(fake.leaf(), payload)), now())
    assert failures(verdict) == [(4, "anchor-unknown")]


def test_an_older_bundle(sandbox: Sandbox) -> None:
    """It cannot give a verifier that kept its memory an older trust bundle, to undo a revocation."""
    sandbox.commit()
    bundle = sandbox.home / "authority" / "bundle"
    old = bundle.read_bytes()
    sandbox.notme("grant", "revoke", AGENT)
    sandbox.attest("verify", "HEAD", status=None)
    bundle.write_bytes(old)
    done = sandbox.attest("verify", "HEAD", status=None)
    assert done.status != 0
    assert "sequence" in done.err


def test_a_widened_record(sandbox: Sandbox) -> None:
    """It cannot widen a grant by changing its record alone: the database counts as damaged then."""
    sandbox.notme("grant", "revoke", AGENT)
    sandbox.notme("grant", "add", AGENT, "--scope", "bridgeCert")
    with opened(sandbox.home) as authority:
        newest = authority.store.grants()[-1].grant
    rewrite_grant(sandbox, replace(newest, scopes=("sign:git",)), digest=False)
    refused(sandbox, status=2, says="is damaged")


def test_recovery(sandbox: Sandbox, tmp_path: Path) -> None:
    """It cannot retire an epoch as compromised without the recovery key, which is not on this machine."""
    pem = tmp_path / "key.pem"
    key = Ed25519PrivateKey.generate()
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    sandbox.notme("epoch", "recover", "--recovery-key", pem, status=1)
    assert [e["state"] for e in sandbox.notme("epoch", "list", "--json").json] == ["current"]


def test_no_key_no_commit(sandbox: Sandbox) -> None:
    """It cannot turn a broken authority into unsigned commits that look intended: git makes no commit."""
    shutil.rmtree(sandbox.keys)
    refused(sandbox, status=2, says="restore it from a backup")


AS_NOBODY = """
import os, socket, sys
folder = os.open(sys.argv[1], os.O_PATH)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
own = socket.socket(socket.AF_UNIX)
"""
LISTEN = f"""{AS_NOBODY}
own.bind(sys.argv[1] + "/sock")
os.chmod(sys.argv[1] + "/sock", 0o777)
own.listen()
print("ready", flush=True)
while True:
    caller, _ = own.accept()
    print(len(caller.recv(65536)), flush=True)
"""
CALL = f"""{AS_NOBODY}
own.connect(f"/proc/self/fd/{{folder}}/sock")
print("connected")
try:
    own.sendall(bytes.fromhex(sys.argv[2]))
    print(len(own.recv(65536)))
except (BrokenPipeError, ConnectionResetError):
    print(0)
"""
only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")


@only_root
def test_another_users_socket(sandbox: Sandbox) -> None:
    """It cannot have another user's process answer as the daemon: nothing is sent to it, and we sign without it."""
    sandbox.notme("daemon", "stop")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        (sandbox.home / "daemon").mkdir(exist_ok=True)
        (sandbox.home / "daemon" / "address").write_text(f"{folder}/sock")
        command = (sys.executable, "-c", LISTEN, folder)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as squatter:
            assert squatter.stdout is not None
            assert squatter.stdout.readline() == "ready\n"
            for environ in ({}, {"NOTME_SOCKET": f"{folder}/sock"}):
                sandbox.commit(environ=environ)
                assert sandbox.shows() == GOOD
            sandbox.sign(sandbox.payload())
            squatter.terminate()
            heard = squatter.stdout.read().split()
    assert heard
    assert set(heard) == {"0"}


@only_root
def test_another_users_call(sandbox: Sandbox) -> None:
    """It cannot lend the daemon to another user, whatever it makes of the socket's mode: that one gets no answer."""
    sandbox.commit()
    address = Path((sandbox.home / "daemon" / "address").read_text())
    for path, mode in ((address.parent, 0o711), (address, 0o666)):
        path.chmod(mode)
    asked = Request("control", ("status",)).encode()
    done = sandbox.run(sys.executable, "-c", CALL, address.parent, asked.hex())
    assert done.text == "connected\n0"
    assert client.exchange(str(address), Request("control", ("status",))).status == 0


def test_a_copied_session(sandbox: Sandbox) -> None:
    """It cannot act in somebody else's session by copying its environment: the kernel says whose child it is."""
    with session(sandbox) as environ:
        refused_in(sandbox, environ, says="does not belong to the session")
    refused_in(sandbox, environ, says="has ended")


def test_another_agent_in_a_session(sandbox: Sandbox) -> None:
    """It cannot sign as another agent from inside its session, not even by forgetting the session's environment."""
    sandbox.notme("grant", "add", "codex")
    nothing = 'exec setsid --wait env -i PATH="$PATH" HOME="$HOME" NOTME_HOME="$NOTME_HOME"'
    for forget in ("", "unset NOTME_SESSION NOTME_AGENT NOTME_SOCKET;", nothing):
        script = f"{forget} git -c user.signingkey=notme:codex commit -q --allow-empty -m x"
        done = sandbox.notme("run", "--agent", AGENT, "--", "bash", "-c", script, status=128)
        assert f"acts as {AGENT}, and was asked to sign as codex" in done.err
    assert sandbox.rev("HEAD") == ""


LENT = """
import os, socket, sys
path, request = sys.argv[1], bytes.fromhex(sys.argv[2])
ours, theirs = socket.socketpair()
if (child := os.fork()) == 0:
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(path)
    socket.send_fds(theirs, [b"x"], [caller.fileno()])
    os._exit(0)
_, [descriptor], _, _ = socket.recv_fds(ours, 1, 1)
os.waitpid(child, 0)
with socket.socket(fileno=descriptor) as caller:
    caller.sendall(request)
    sys.stdout.buffer.write(caller.recv(65536))
"""


def test_a_lent_connection(sandbox: Sandbox) -> None:
    """It cannot leave its session by lending a connection: who asked is gone then, and nothing is signed for nobody."""
    sandbox.notme("grant", "add", "codex", "--email", "codex@example.org")
    sandbox.notme("daemon", "start")
    address = (sandbox.home / "daemon" / "address").read_text()
    payload = sandbox.payload(author="codex <codex@example.org>", committer="codex <codex@example.org>")
    asked = Request("gpgsm", ("--status-fd=2", "-bsau", "notme:codex"), stdin=payload).encode().hex()
    lend = (sys.executable, "-c", LENT, address, asked)
    assert b"SIG_CREATED" in sandbox.run(*lend).out  # where there is no session, there is none to leave
    done = sandbox.notme("run", "--agent", AGENT, "--quiet", "--", *lend)
    assert b"SIG_CREATED" not in done.out
    assert b"ancestors can be seen" in done.out


def test_another_grant_than_the_sessions(sandbox: Sandbox) -> None:
    """It cannot sign under another grant than the one its session began under, not even when that is revoked."""
    wide = own_grant(sandbox)
    sandbox.notme("grant", "add", AGENT, "--email", wide.actor.email, "--branch", "refs/heads/agent/*")
    commit = "git commit -q --allow-empty -m x"
    script = f'{commit}; read -r id; notme-git grant revoke "$id" >/dev/null; {commit}'
    with opened(sandbox.home) as authority:
        narrow = grants.select(authority.store.grants(), AGENT, scope="sign:git", at=now()).id
    assert narrow != wide.id
    done = sandbox.notme(
        "run", "--agent", AGENT, "--", "bash", "-c", script, stdin=f"{narrow}\n".encode(), status=128
    )
    assert f"grant {narrow} for {AGENT} was revoked" in done.err
    assert "begin a new session" in done.err
    assert sandbox.git("rev-list", "--count", "HEAD").text == "1"


def test_no_marks_at_all(sandbox: Sandbox) -> None:
    """It cannot get the human's signature from us by taking all marks away under `setup --auto`: we make none then."""
    humans.configured(sandbox, {})
    sandbox.notme("setup", "--auto")
    sandbox.commit()
    assert failed(sandbox.verdict(status=1)) == [(2, "signature-missing")]
    sandbox.commit(environ={"CLAUDECODE": "1"})
    assert sandbox.verdict()["identity"]["actor"]["kind"] == "agent"
    address = (sandbox.home / "daemon" / "address").read_text()
    for key in ("", "alice@example.org", "Alice Example", "NOTME:alice"):
        asked = Request("auto-gpg", ("--status-fd=2", "-bsau", key), stdin=humans.payload(sandbox))
        assert client.exchange(address, asked) == NOT_OURS


def test_behind_a_broker(sandbox: Sandbox) -> None:
    """It cannot sign as the human, or as another agent that holds a grant, from a sandbox behind a broker."""
    sandbox.notme("grant", "add", "codex")
    before = sandbox.rev("HEAD")
    for key, says in (
        ("notme:codex", "asked to sign as codex"),
        ("notme:alice", "asked to sign as alice"),
        ("alice@example.org", "failed to sign"),
    ):
        done = brokered(sandbox, f"git -c user.signingkey={key} commit -q --allow-empty -m x", status=128)
        assert says in done.err
    for role in ("AUTHOR", "COMMITTER"):
        done = brokered(sandbox, f"GIT_{role}_EMAIL=bob@example.org git commit -q --allow-empty -m x", status=128)
        assert "<bob@example.org>" in done.err
    assert sandbox.rev("HEAD") == before
    brokered(sandbox, "git commit -q --allow-empty -m x")
    assert sandbox.verdict()["identity"]["assurance"] == "sandboxed-broker"


def test_out_of_a_sandbox(sandbox: Sandbox) -> None:
    """It cannot read a key, have us verify, or reach the daemon or its controls, from a sandbox behind a broker."""
    sandbox.notme("daemon", "start", environ={"NOTME_DAEMON_IDLE": "600"})  # however long the sandboxes take
    address = (sandbox.home / "daemon" / "address").read_text()
    places = shlex.join([str(sandbox.home), address])
    script = f"ls {places} 2>&1; find / -name sock -type s 2>/dev/null; true"
    seen = brokered(sandbox, script).text.splitlines()
    assert [line.endswith("No such file or directory") for line in seen[:2]] == [True, True]
    assert ["/broker-" in line for line in seen[2:]] == [True]
    ask = (
        "import os, socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(os.environ['NOTME_SOCKET']); "
        "s.sendall(bytes.fromhex(sys.argv[1])); print(s.recv(65536))"
    )
    verify = Request("gpgsm", ("--status-fd=1", "--verify", "signature", "-"), files={"signature": b"x"})
    for request in (verify, Request("control", ("status",)), Request("control", ("stop",))):
        script = shlex.join(["python3", "-c", ask, request.encode().hex()])
        assert "the broker only signs" in brokered(sandbox, script).text
    assert client.exchange(address, Request("control", ("status",))).status == 0


def test_the_daemon_beside_a_broker(sandbox: Sandbox) -> None:
    """It cannot have the daemon sign in a session with a broker, even where the daemon's socket is within reach."""
    sandbox.notme("daemon", "start")
    address = (sandbox.home / "daemon" / "address").read_text()
    script = (
        'cp "${NOTME_SOCKET%/*}/notme-x509" program; unset NOTME_BROKER NOTME_SESSION; '
        f"export NOTME_SOCKET={shlex.quote(address)}; "
        'git -c gpg.x509.program="$PWD/program" commit -q --allow-empty -m x'
    )
    folder = str(Path(address).parent)
    done = brokered(sandbox, script, more=("--bind", folder, folder), status=128)
    assert "signs through its broker" in done.err
    assert sandbox.rev("HEAD") == ""


def upon(sandbox: Sandbox, *parents: str) -> str:
    """A script that asks the broker to sign a commit on top of each, and prints what it says without the id."""
    for parent in parents:
        payload = sandbox.payload().replace(b"\nauthor", f"\nparent {parent}\nauthor".encode(), 1)
        (sandbox.repo / parent).write_bytes(payload)
    ask = f'"${{NOTME_SOCKET%/*}}/notme-x509" --status-fd=1 -bsau notme:{AGENT} <"$parent" 2>&1'
    return f'for parent in {" ".join(parents)}; do {ask} | sed "s/$parent/ID/"; done'


def test_a_program_outside(sandbox: Sandbox) -> None:
    """It cannot run a program outside of its sandbox through the broker, whatever it makes of repository and `/tmp`."""
    shared, trap, sprung = (sandbox.root.parent / name for name in ("shared", "trap", "sprung"))
    shared.mkdir()
    sandbox.environ["TMPDIR"] = str(shared)
    trap.write_text(f"#!/bin/sh\ntouch {sprung}\n")
    trap.chmod(0o755)
    (sandbox.repo / "evil").write_text(
        f"[core]\n\trepositoryFormatVersion = 1\n\tfsmonitor = {trap}\n[extensions]\n\tpartialClone = origin\n"
        f'[remote "origin"]\n\tpromisor = true\n\turl = ext::{trap}\n[protocol "ext"]\n\tallow = always\n'
    )
    script = f"""for config in .git/config $(find {shared} /tmp -name config); do cat evil >>"$config"; done
        mkdir -p .git/objects/info; ln -s /dev/zero .git/objects/info/alternates; {upon(sandbox, "1" * 40)}"""
    done = brokered(sandbox, script, more=("--bind", str(shared), str(shared)))
    assert "its parent ID is no commit" in done.text
    assert (sprung.exists(), list(shared.iterdir())) == (False, [])
    (sandbox.repo / ".git" / "objects" / "info" / "alternates").unlink()
    sandbox.git("status")
    assert sprung.exists(), "it is a trap"


def test_other_repositories(sandbox: Sandbox) -> None:
    """It cannot learn through a broker whether a repository that its sandbox does not see has a commit."""
    secret = sandbox.root / "secret"
    sandbox.git("init", "-q", secret)
    commit = sandbox.unsigned("secret", who=HUMAN, cwd=secret)
    (sandbox.repo / "named").write_text(f"{secret}/.git/objects\n")
    script = f"cp named .git/objects/info/alternates; {upon(sandbox, commit, '1' * 40)}"
    lines = brokered(sandbox, script).text.splitlines()
    half = len(lines) // 2
    assert "its parent ID is no commit" in lines[0]
    assert lines[:half] == lines[half:]
    assert sandbox.git("cat-file", "-t", commit).text == "commit", "there it is"


def test_the_word_sandbox(sandbox: Sandbox) -> None:
    """It cannot have a certificate say sandboxed-broker by a broker alone: without a sandbox it says same-user."""
    sandbox.notme("run", "--agent", AGENT, "--broker", "--", "git", "commit", "-q", "--allow-empty", "-m", "x")
    assert sandbox.verdict()["identity"]["assurance"] == "same-user"


# -- can


def test_unsigned(sandbox: Sandbox) -> None:
    """It can make a commit without a signature; a verifier rejects it in step 2."""
    sandbox.git("-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "x")
    assert failed(sandbox.verdict(status=1)) == [(2, "signature-missing")]


def test_the_humans_other_keys(sandbox: Sandbox) -> None:
    """It can sign with any other key of the human's that it can read; the verdict says it is not this authority's."""
    key = sandbox.user / "id"
    sandbox.run(peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key)
    sandbox.git("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}", "commit", "-q", "--allow-empty", "-m", "x")
    assert failed(sandbox.verdict(status=1)) == [(4, "signature-foreign")]


def test_lines_of_the_human(sandbox: Sandbox) -> None:
    """It can write the human into author and committer; signature and verdict still name the agent."""
    alice = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in
             (("NAME", "Alice Example"), ("EMAIL", "alice@example.org"))}  # fmt: skip
    sandbox.commit(environ=alice)
    assert sandbox.shows() == GOOD
    assert sandbox.verdict()["identity"]["actor"]["name"] == AGENT


def test_another_author(sandbox: Sandbox) -> None:
    """It can name any author by posing as a rebase; the verdict carries the remark authored-by-other."""
    author = "Mallory <mallory@example.net>"
    sandbox.commit("x", "--author", author, environ={"GIT_REFLOG_ACTION": "rebase"})
    assert sandbox.verdict()["remarks"] == ["authored-by-other"]


def test_another_agent(sandbox: Sandbox) -> None:
    """It can sign as every other agent that holds a grant on this machine."""
    sandbox.notme("grant", "add", "codex", "--email", "codex@example.org")
    mail = [word for role in ("author", "committer") for word in ("-c", f"{role}.email=codex@example.org")]
    sandbox.git("-c", "user.signingkey=notme:codex", *mail, "commit", "-q", "--allow-empty", "-m", "x")
    assert sandbox.shows() == f"G codex for {HUMAN} (same-user, self-asserted)"


def test_grants_itself(sandbox: Sandbox) -> None:
    """It can grant itself, or an agent of any name, to act for the human."""
    sandbox.notme("grant", "revoke", AGENT)
    sandbox.notme("grant", "add", AGENT)
    sandbox.commit()
    assert sandbox.shows() == GOOD


def test_widens_with_digest(sandbox: Sandbox) -> None:
    """It can widen a grant in the database if it changes the grant's digest as well."""
    sandbox.notme("grant", "add", "reader", "--scope", "bridgeCert", "--email", "alice@example.org")
    with opened(sandbox.home) as authority:
        reader = authority.store.grants()[-1].grant
    rewrite_grant(sandbox, replace(reader, scopes=("sign:git",)), digest=True)
    lines = "Alice Example <alice@example.org>"
    assert sandbox.sign(sandbox.payload(author=lines, committer=lines), key="notme:reader").out


def test_the_authoritys_key(sandbox: Sandbox) -> None:
    """It can read the authority's keys where they lie in files, and issue itself certificates as anybody."""
    forge, at = thief(sandbox), now()
    alice = replace(
        CLAIMS,
        actor_kind=PrincipalKind.HUMAN,
        actor_name="alice",
        actor_email="alice@example.org",
        assurance=Assurance.REMOTE_AUTHORITY,
        represented=None,
    )
    line = "Alice Example <alice@example.org>"
    payload = sandbox.payload(author=line, committer=line)
    verdict = judged(sandbox, attach(payload, forge.armour(forge.leaf(alice), payload)), at)
    identity = verdict.findings.identity
    assert identity is not None
    assert verdict.outcome is Outcome.ACCEPTED
    assert (identity.actor.kind, identity.assurance) == (PrincipalKind.HUMAN, Assurance.REMOTE_AUTHORITY)


def test_back_dates(sandbox: Sandbox) -> None:
    """It can back-date what it signs with a stolen key, without a time-stamp: "accepted, time unproven"."""
    leaf, issued = stolen(sandbox, now()), now()
    raw = signed(leaf, sandbox.payload(), issued)
    verdict = judged(sandbox, raw, issued + timedelta(days=1))
    assert verdict.outcome is Outcome.ACCEPTED_TIME_UNPROVEN
    assert any("time unproven" in warning for warning in verdict.warnings)
    object_id = in_repository(sandbox, raw)
    assert sandbox.git("log", "-1", "--format=%G? %GT", object_id).text == "G marginal"
    sandbox.git("-c", "gpg.minTrustLevel=fully", "verify-commit", object_id, status=1)


def test_forgets(sandbox: Sandbox) -> None:
    """It can make the verifier on this machine forget which trust bundle it saw; a verifier elsewhere remembers."""
    sandbox.commit()
    bundle = sandbox.home / "authority" / "bundle"
    old = bundle.read_bytes()
    sandbox.notme("grant", "revoke", AGENT)
    sandbox.attest("verify", "HEAD", status=None)
    bundle.write_bytes(old)
    shutil.rmtree(sandbox.home / "verifier")
    assert sandbox.verdict()["bundle"]["sequence"] == 1


def test_a_lying_program(sandbox: Sandbox, tmp_path: Path) -> None:
    """It can make git here call a program that finds every signature good; a verifier elsewhere is not fooled."""
    sandbox.commit()
    raw = sandbox.git("cat-file", "commit", "HEAD").out.replace(b"\n\nx\n", b"\n\ny\n")
    object_id = in_repository(sandbox, raw)
    liar = tmp_path / "liar"
    good = "[GNUPG:] NEWSIG\\n[GNUPG:] GOODSIG 0 Alice\\n[GNUPG:] TRUST_ULTIMATE 0 x509\\n"
    liar.write_text(f"#!/bin/sh\ncat >/dev/null\nprintf '{good}'\n")
    liar.chmod(0o755)
    sandbox.git("-c", f"gpg.x509.program={liar}", "verify-commit", object_id)
    assert failed(sandbox.verdict(object_id, status=1)) == [(3, "digest-mismatch")]


def test_replaces_the_anchor(sandbox: Sandbox, tmp_path: Path) -> None:
    """It can put its own anchor in the place of the one that this machine's verifier goes by."""
    fake = found(machine(tmp_path / "fake"))
    fake.commit()
    shutil.rmtree(sandbox.home / "authority")
    shutil.copytree(fake.home / "authority", sandbox.home / "authority")
    assert sandbox.verdict("HEAD", "--repo", fake.repo)["outcome"] == "accepted"


def test_destroys(sandbox: Sandbox) -> None:
    """It can destroy the authority's home; what others pinned and what was signed before stays good."""
    sandbox.commit()
    anchor = sandbox.root / "anchor.pem"
    anchor.write_bytes((sandbox.home / "authority" / "anchors.pem").read_bytes())
    shutil.rmtree(sandbox.home)
    assert sandbox.verdict("HEAD", "--anchor", anchor)["outcome"] == "accepted"


def test_its_own_socket(sandbox: Sandbox) -> None:
    """It can listen in the daemon's place and answer git as it likes; a verifier finds nothing of the authority's."""
    sandbox.notme("daemon", "stop")
    fake = Reply(0, (("1", b"-----BEGIN SIGNED MESSAGE-----\nAAAA\n-----END SIGNED MESSAGE-----\n"),
                     ("2", b"[GNUPG:] BEGIN_SIGNING\n[GNUPG:] SIG_CREATED D 0 0 00 0 0\n")))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as squatter:
        squatter.bind(f"{folder}/sock")
        squatter.listen()
        answering = threading.Thread(target=answer_once, args=(squatter, fake))
        answering.start()
        sandbox.commit(environ={"NOTME_SOCKET": f"{folder}/sock"})
        answering.join()
    assert failed(sandbox.verdict(status=1))[0][0] <= 3


def answer_once(listener: socket.socket, reply: Reply) -> None:
    caller, _ = listener.accept()
    with caller:
        caller.recv(1 << 20)
        caller.sendall(reply.encode())


def test_out_of_its_session(sandbox: Sandbox) -> None:
    """It can leave its session with the help of a process outside it, and sign there as any agent with a grant."""
    sandbox.notme("grant", "add", "codex", "--email", "codex@example.org")
    mail = " ".join(f"-c {role}.email=codex@example.org" for role in ("author", "committer"))
    work = f"git {mail} -c user.signingkey=notme:codex commit -q --allow-empty -m x"
    with subprocess.Popen(["bash"], cwd=sandbox.repo, env=sandbox.environ, stdin=subprocess.PIPE) as outside:
        script = f"printf %s\\\\n {shlex.quote(work)} >/proc/{outside.pid}/fd/0"
        sandbox.notme("run", "--agent", AGENT, "--", "bash", "-c", script)
        outside.communicate()
    verdict = sandbox.verdict()
    assert (verdict["outcome"], verdict["identity"]["actor"]["name"]) == ("accepted", "codex")


def test_a_sandbox_to_ask_from(sandbox: Sandbox) -> None:
    """It can make a sandbox to ask a broker from, and run outside itself; the certificate says sandboxed-broker."""
    jail = ("bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--unshare-user", "--proc", "/proc")
    sandbox.notme("run", "--agent", AGENT, "--broker", "--", *jail, "git", "commit", "-q", "--allow-empty", "-m", "x")
    assert sandbox.verdict()["identity"]["assurance"] == "sandboxed-broker"


def test_records_of_sessions(sandbox: Sandbox) -> None:
    """It can change or erase the records of its sessions; certificates keep session and task."""
    sandbox.notme("run", "--agent", AGENT, "--task", "t", "--", "git", "commit", "-q", "--allow-empty", "-m", "x")
    (one,) = sandbox.notme("sessions", "--json").json
    shutil.rmtree(sandbox.home / "sessions")
    assert sandbox.notme("sessions", "--json").json == []
    content = humans.signature(sandbox)
    assert one["id"].encode() in content
    assert hashlib.sha256(b"t").digest() in content
    assert sandbox.verdict()["outcome"] == "accepted"


def test_an_unseen_commit(sandbox: Sandbox) -> None:
    """It can have any bytes signed through the ssh-agent, where that is set up; the verdict says payload-unchecked."""
    sandbox.notme("grant", "add", "blind", "--scope", "sign:git-blind")
    told = sandbox.notme("setup", "--agent", "blind", "--ssh-agent", "--json").json
    environ = {"SSH_AUTH_SOCK": told["sshAuthSock"]}
    anything = sandbox.root / "anything"
    anything.write_bytes(b"no commit at all")
    key = agent_setting.certificate_file(sandbox.home, "blind")
    sandbox.run(peer("ssh-keygen"), "-Y", "sign", "-n", "git", "-f", key, anything, environ=environ)
    found = sandbox.attest("verify-signature", f"{anything}.sig", anything, "--json", status=None).json
    assert found["identity"]["payloadChecked"] is False
    assert "payload-unchecked" in found["remarks"]


def test_ends_the_daemon(sandbox: Sandbox) -> None:
    """It can end the daemon whenever it likes; signing goes on, by another one or without."""
    for end in (("daemon", "stop"), ("daemon", "stop")):
        sandbox.commit()
        sandbox.notme(*end)
        assert sandbox.shows() == GOOD
    without_daemon(sandbox).commit()
    assert sandbox.shows() == GOOD
