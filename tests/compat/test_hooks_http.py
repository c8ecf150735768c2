"""Real pushes over HTTP and the local transport, to a server with our hooks: what goes through, and what the pusher
reads of what does not.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from attest.types import Grant
from tests.compat import warm
from tests.disk import unsynced
from tests.githttp import serving
from tests.peers import SEARCH, peer
from tests.pushes import Clone, Ended, now
from tests.world import World

REVOKED = "codex"
MANY = 5_000
FILES = {"src/app": "1\n", "README": "read me\n"}
SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True)
class Server:
    """A bare repository behind HTTP, and a clone of it. `main` is the first commit there, `revocable` a grant."""

    path: Path
    address: str
    clone: Clone
    main: str
    revocable: Grant

    @property
    def world(self) -> World:
        return self.clone.world

    def push(self, *refspecs: str, to: str | None = None, options: tuple[str, ...] = ()) -> Ended:
        return self.clone.git("push", *options, to or self.address, *refspecs, status=None)

    def config(self, *words: str) -> None:
        self.clone.git("-C", self.path, "config", *words)

    def ref(self, name: str) -> str:
        return self.clone.git("-C", self.path, "rev-parse", "--verify", "-q", name, status=None).out.strip()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("server")
    with unsynced():
        world = World(root / "w", at=now())
    world.grant()
    revocable = world.grant(REVOKED)
    clone, path = Clone.make(root / "clone", world), root / "srv" / "app.git"
    clone.git("init", "-q", "--bare", "-b", "main", path)
    key = root / "witness.pem"
    subprocess.run([peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
    key.chmod(0o600)
    subprocess.run([peer("openssl"), "pkey", "-in", key, "-pubout", "-out", root / "witness.pub"], check=True)
    settings = {
        "notme.anchor": world.home / "authority" / "anchors.pem",
        "notme.bundle": world.home / "authority" / "bundle",
        "notme.protect": "refs/heads/main",
        "notme.witnessKey": key,
        "notme.witness": "https://git.example/witness",
        "receive.certNonceSeed": "seed",
        "receive.certNonceSlop": "60",
    }
    for name, value in settings.items():
        clone.git("-C", path, "config", name, str(value))
    install(clone, path, "--hook", "pre-receive")
    # As bare as the environment that CGI programs are often given: not even HOME is in it.
    environ = {"PATH": SEARCH, "GIT_CONFIG_NOSYSTEM": "1"}
    with serving(peer("git"), root / "srv", environ) as address:
        made = Server(path, f"{address}/app.git", clone, clone.commit(FILES, message="first"), revocable)
        first = made.push(f"{made.main}:refs/heads/main")
        assert first.status == 0, first
        yield made


def install(clone: Clone, path: Path, *options: str) -> None:
    command: list[str | Path] = [SCRIPTS / "notme-attest", "hook", "install", "--server", path, *options]
    done = warm.run_text(command, env=clone.environ)
    assert (done.returncode, done.stderr) == (0, "")


def refused(done: Ended, *words: str) -> str:
    """What the pusher read of a push that was refused; all of `words` are in it."""
    assert done.status == 1, done
    read = "\n".join(line.removeprefix("remote: ").rstrip() for line in done.err.splitlines())
    for word in words:
        assert word in read, read
    assert "Traceback" not in read
    return read


def test_a_good_push_of_an_agent_goes_through_over_http_and_by_path(server: Server) -> None:
    oid = server.clone.commit({**FILES, "src/app": "2\n"}, server.main)
    for number, to in enumerate((server.address, str(server.path))):
        done = server.push(f"{oid}:refs/heads/good-{number}", to=to)
        assert done.status == 0, done
        assert server.ref(f"refs/heads/good-{number}") == oid
        assert "notme" not in done.err


def test_an_unsigned_commit_is_refused_and_the_pusher_reads_which(server: Server) -> None:
    good = server.clone.commit(FILES, server.main, message="fine")
    bad = server.clone.commit(FILES, good, message="forgot \x1b[31mred", signed=False)
    read = refused(server.push(f"{bad}:refs/heads/unsigned"), bad[:12], "signature-missing", "git rebase")
    assert good[:12] not in read
    assert "\x1b" not in read
    assert server.ref("refs/heads/unsigned") == ""


def test_a_commit_in_the_name_of_somebody_else_is_refused(server: Server) -> None:
    with unsynced():
        leaf = server.world.stolen()
    bad = server.clone.commit_by(leaf, FILES, server.main, who="Mallory <mallory@example.net>")
    done = server.push(f"{bad}:refs/heads/wrong", to=str(server.path))
    refused(done, bad[:12], "committer-mismatch", "mallory@example.net")


def test_a_time_that_nobody_vouches_for_is_refused_on_a_protected_ref_alone(server: Server) -> None:
    with unsynced():
        leaf = server.world.stolen()
    oid = server.clone.commit_by(leaf, FILES, server.main, timestamped=False)
    elsewhere = server.push(f"{oid}:refs/heads/unproven")
    assert elsewhere.status == 0, elsewhere
    assert "1 accepted, but when they were signed is unproven" in elsewhere.err
    remedy = f"notme-git timestamp {oid[:12]}, then notme-attest sync"
    refused(server.push(f"{oid}:refs/heads/main"), oid[:12], "time-required", "protected", remedy)
    assert server.ref("refs/heads/main") == server.main


def test_a_commit_under_a_revoked_grant_is_refused(server: Server) -> None:
    world = server.world
    with unsynced():
        leaf = world.stolen(REVOKED)
        world.revoke(server.revocable, "laptop lost")
    oid = server.clone.commit_by(leaf, FILES, server.main, who=world.who(REVOKED), timestamped=False)
    refused(server.push(f"{oid}:refs/heads/revoked"), oid[:12], "revoked", "new grant")


def test_five_thousand_commits_are_judged_and_one_bad_one_among_them_is_found(server: Server) -> None:
    with unsynced():
        leaf = server.world.stolen()
    good = server.clone.chain(leaf, MANY - 1, server.main)
    bad = server.clone.commit(FILES, good, message="the last one", signed=False)
    refused(server.push(f"{bad}:refs/heads/many"), f"of {MANY} new, 1 rejected", bad[:12], "signature-missing")
    assert server.ref("refs/heads/many") == ""


RULES = """version = 1

[[principals]]
name = "agent"
class = "agent"
certificates = ["**"]

[[rules]]
name = "policy-is-the-operators"
effect = "deny"
match = { touches = [".notme/**"] }

[[rules]]
name = "agents-in-src"
match = { classes = ["agent"], paths = ["src/**"] }

[[rules]]
name = "tags"
match = { kinds = ["tag"] }
"""


@pytest.fixture(scope="module")
def ruled(server: Server) -> Server:
    """A second repository there, in which the tip of main has a policy in its tree, and its parent has none."""
    path = server.path.with_name("ruled.git")
    shutil.copytree(server.path, path)
    install(server.clone, path)
    tip = server.clone.commit({**FILES, ".notme/policy.toml": RULES}, server.main, message="a policy")
    made = replace(server, path=path, address=server.address.replace("app.git", "ruled.git"), main=tip)
    before = made.push(f"{server.main}:refs/heads/stale", f"{tip}:refs/heads/main")
    assert before.status == 0, before
    return made


def test_a_commit_outside_of_the_paths_that_the_rules_allow_is_refused(ruled: Server) -> None:
    files = {**FILES, ".notme/policy.toml": RULES}
    inside = ruled.clone.commit({**files, "src/app": "inside\n"}, ruled.main)
    outside = ruled.clone.commit({**files, "src/app": "inside\n", "README": "changed\n"}, inside)
    read = refused(ruled.push(f"{outside}:refs/heads/paths"), outside[:12], "no-rule", "notme-attest policy explain")
    assert inside[:12] not in read


def test_a_policy_that_is_pushed_does_not_judge_its_own_push(ruled: Server) -> None:
    lax = 'version = 1\n\n[[rules]]\nname = "anything"\n'
    oid = ruled.clone.commit({**FILES, ".notme/policy.toml": lax}, ruled.main, message="let me")
    pushed = ruled.push(f"{oid}:refs/heads/main", f"{oid}:refs/heads/new")
    read = refused(pushed, oid[:12], "rule-denies", "policy-is-the-operators", "leave out")
    assert read.count("1 rejected") == 2
    assert ruled.ref("refs/heads/main") == ruled.main


def test_a_branch_from_before_the_policy_is_judged_by_the_policy_of_the_default_branch(
    server: Server, ruled: Server
) -> None:
    oid = ruled.clone.commit({**FILES, "README": "from before\n"}, server.main, message="from before")
    # Also where the branch itself was there before the policy was.
    read = refused(ruled.push(f"{oid}:refs/heads/before", f"{oid}:refs/heads/stale"), oid[:12], "no-rule")
    assert read.count("1 rejected") == 2
    inside = ruled.clone.commit({**FILES, "src/app": "from before\n"}, server.main)
    assert ruled.push(f"{inside}:refs/heads/before").status == 0


def test_what_one_branch_let_in_is_judged_again_for_another(ruled: Server) -> None:
    """Without that, whoever may push to any branch could carry anything to every branch."""
    ruled.config("notme.ignore", "refs/heads/scratch/**")
    bad = ruled.clone.commit({**FILES, "src/app": "smuggled\n"}, ruled.main, signed=False)
    assert ruled.push(f"{bad}:refs/heads/scratch/1").status == 0
    refused(ruled.push(f"{bad}:refs/heads/main"), bad[:12], "signature-missing")
    ruled.config("--unset", "notme.ignore")


def test_a_file_of_the_operator_wins_over_the_tree(ruled: Server, tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text('version = 1\n\n[[rules]]\nname = "frozen"\neffect = "deny"\n')
    oid = ruled.clone.commit({**FILES, ".notme/policy.toml": RULES, "src/app": "frozen\n"}, ruled.main)
    ruled.config("notme.policyFile", str(file))
    refused(ruled.push(f"{oid}:refs/heads/frozen"), oid[:12], "rule frozen denies it")
    file.write_text("version = 2\n")
    done = ruled.push(f"{oid}:refs/heads/frozen")
    refused(done, "version 2")
    ruled.config("--unset", "notme.policyFile")


def test_the_server_states_what_arrived_and_a_clone_verifies_it_with_the_servers_key(
    server: Server, ruled: Server, tmp_path: Path
) -> None:
    clone, public = ruled.clone, ruled.path.parent.parent / "witness.pub"
    anchors = ruled.world.home / "authority" / "anchors.pem"

    def show(*options: str | Path) -> subprocess.CompletedProcess[str]:
        command = [SCRIPTS / "notme-attest", "show", ruled.main, "--anchor", anchors, *options]
        return warm.run_text(command, cwd=clone.path, env=clone.environ)

    known = ssh_key(tmp_path, "known")
    (tmp_path / "allowed").write_text(f"alice@example.org {known.with_suffix('.pub').read_text()}")
    ruled.config("notme.allowedSigners", str(tmp_path / "allowed"))
    pushed = clone.git(*signing(known), "push", "--signed", ruled.address, f"{ruled.main}:refs/heads/seen", status=None)
    ruled.config("--unset", "notme.allowedSigners")
    assert pushed.status == 0, pushed
    clone.git("fetch", "-q", ruled.address, "+refs/attestations/notme:refs/attestations/notme")
    shown = show("--witness-key", public, "--json")
    assert (shown.returncode, shown.stderr) == (0, ""), shown
    seen = {each["result"]: each for each in json.loads(shown.stdout)}
    main, again = (seen[f"refs/heads/{name} came to {ruled.main}"] for name in ("main", "seen"))
    assert main["signer"]["identity"] == "https://git.example/witness"
    assert main["statement"]["predicate"]["old"] == {"gitCommit": server.main}
    assert main["statement"]["predicate"]["pushCertificate"] is None
    assert b"refs/heads/seen" in b64decode(again["statement"]["predicate"]["pushCertificate"]["content"])
    silent = show()
    assert "--witness-key" in silent.stderr
    stranger = tmp_path / "stranger.pem"
    subprocess.run([peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", stranger], check=True)
    other = tmp_path / "stranger.pub"
    subprocess.run([peer("openssl"), "pkey", "-in", stranger, "-pubout", "-out", other], check=True)
    assert "NOT verified" in show("--witness-key", other).stdout


def test_what_the_server_saw_is_evidence_for_every_commit_of_the_push(ruled: Server) -> None:
    clone, witness = ruled.clone, ruled.path.parent.parent / "witness.pub"
    first = clone.commit({**FILES, "src/app": "seen 1\n", ".notme/policy.toml": RULES}, ruled.main)
    with unsynced():
        leaf = ruled.world.stolen()
    files = {**FILES, "src/app": "seen 2\n", ".notme/policy.toml": RULES}
    second = clone.commit_by(leaf, files, first, at=now(), timestamped=False)
    assert ruled.push(f"{second}:refs/heads/witnessed").status == 0
    clone.git("fetch", "-q", ruled.address, "+refs/attestations/notme:refs/attestations/notme")
    anchors = ruled.world.home / "authority" / "anchors.pem"

    def verify(*options: str | Path) -> list[tuple[str, list[str]]]:
        words = ("verify", f"{ruled.main}..{second}", "--anchor", anchors, "--json", *options)
        command = [SCRIPTS / "notme-attest", *words]
        done = warm.run_text(command, cwd=clone.path, env=clone.environ)
        found = json.loads(done.stdout)
        return [(each["outcome"], [item["voucher"] for item in each["evidence"]]) for each in found]

    assert verify() == [("accepted-time-unproven", ["signer"]), ("accepted", ["signer", "authority"])]
    assert verify("--witness-key", witness, "--require-time", "receiver") == [
        ("accepted", ["signer", "receiver"]),
        ("accepted", ["signer", "authority", "receiver"]),
    ]
    policy = ruled.path.parent.parent / "witnessed.toml"
    said = "".join(witness.read_text().splitlines()[1:-1])
    rule = '[[rules]]\nname = "r"\nrequire = { evidence = "receiver" }\n'
    policy.write_text(f'version = 1\n[trust]\nwitnesses = ["{said}"]\n{rule}')
    assert [outcome for outcome, _ in verify("--policy", policy)] == ["accepted", "accepted"]
    policy.write_text(f"version = 1\n{rule}")
    assert [outcome for outcome, _ in verify("--policy", policy)] == ["rejected", "rejected"]


def ssh_key(folder: Path, name: str) -> Path:
    path = folder / name
    subprocess.run([peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def signing(key: Path) -> tuple[str, ...]:
    return ("-c", "gpg.format=ssh", "-c", f"user.signingKey={key}")


def test_a_push_signed_with_a_key_that_nobody_knows_is_refused_where_pushes_must_be_signed(
    server: Server, tmp_path: Path
) -> None:
    """git itself calls such a signature good: GIT_PUSH_CERT_STATUS is G."""
    known, stranger = ssh_key(tmp_path, "known"), ssh_key(tmp_path, "stranger")
    allowed = tmp_path / "allowed"
    allowed.write_text(f"alice@example.org {known.with_suffix('.pub').read_text()}")
    oid = server.clone.commit(FILES, server.main, message="pushed with a signature")
    clone, target = server.clone, f"{oid}:refs/heads/signed"
    server.config("notme.allowedSigners", str(allowed))
    server.config("notme.requireSignedPush", "true")
    try:
        unsigned = server.push(target)
        refused(unsigned, "pushes to this repository must be signed", "git push --signed")
        done = clone.git(*signing(stranger), "push", "--signed", server.address, target, status=None)
        refused(done, "key-unknown")
        assert server.ref("refs/heads/signed") == ""
        done = clone.git(*signing(known), "push", "--signed", server.address, target, status=None)
        assert done.status == 0, done
    finally:
        server.config("--unset", "notme.requireSignedPush")
        server.config("--unset", "notme.allowedSigners")
    assert server.ref("refs/heads/signed") == oid
    done = clone.git(*signing(stranger), "push", "--signed", server.address, f"{oid}:refs/heads/voluntary", status=None)
    assert done.status == 0, done
    assert "the push certificate counts for nothing here" in done.err


def test_deletion_and_rewinding_are_refused_on_a_protected_ref_alone(server: Server) -> None:
    other = server.clone.commit({"README": "another beginning\n"}, message="unrelated")
    server.clone.git("update-ref", "refs/heads/other", other)
    server.clone.git("-C", server.path, "fetch", "-q", server.clone.path, "other:refs/heads/old")
    rewound = server.clone.commit({"README": "yet another\n"}, message="unrelated too")
    assert server.push(f"+{rewound}:refs/heads/old").status == 0
    assert server.push(":refs/heads/old").status == 0
    server.config("receive.denyDeleteCurrent", "ignore")
    refused(server.push(":refs/heads/main"), "refs/heads/main: it is protected and cannot be deleted")
    refused(server.push(f"+{other}:refs/heads/main"), "refs/heads/main: it is protected and cannot be rewound")
    assert server.ref("refs/heads/main") == server.main
