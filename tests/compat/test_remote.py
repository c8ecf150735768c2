"""A repository whose commits are signed by an authority over HTTP, with the real git and the real daemon."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from attest.types import Grant
from notme_git.authority import accounts, agents
from notme_git.authority.agents import Wish
from notme_git.authority.http.desk import Desk
from notme_git.remote import place
from notme_git.remote.place import Login
from tests.compat.conftest import Sandbox, machine, stop_daemons
from tests.elsewhere import Today
from tests.peers import peer
from tests.served import Served, served
from tests.world import AGENT

DEADLINE_S = 5.0


@dataclass
class Laptop:
    """Alice's machine, signed in, and her team's authority, which a test can stop and hang."""

    sandbox: Sandbox
    server: Served
    stack: contextlib.ExitStack

    @property
    def spki(self) -> str:
        return "sha256:" + self.server.world.trust().anchors[0].key.spki_sha256.hex()

    def setup(self, *words: str) -> str:
        return self.sandbox.notme("setup", "--authority", self.server.url, "--agent", AGENT, *words).err

    def trust(self) -> None:
        self.sandbox.notme("trust", "add", self.server.url, "--spki", self.spki)

    def stop(self) -> None:
        """The authority's process ends; nobody listens at its port."""
        self.stack.close()


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    peer("git")
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(served(Today(tmp_path / "authority")))
        sandbox = machine(tmp_path / "machine")
        account = server.account(*accounts.ADMIN)
        session = server.cookie(account)

        def grant(desk: Desk) -> Grant:
            with desk.authority.store.transaction(durable=True):
                domain, at = desk.settings.trust_domain, server.world.now
                return agents.add(desk.records, domain, desk.authority.id, account, Wish(AGENT), at)

        server.within(grant)
        ends = int(server.world.now.timestamp()) + 3600
        place.write_login(sandbox.home, Login(session, ends, "Alice Example", "alice@example.org"))
        sandbox.git("init", "-q", "-b", "main", ".")
        yield Laptop(sandbox, server, stack)
        stop_daemons(tmp_path)


def test_nothing_here_signs_statements_and_the_way_to_a_key_is_said(laptop: Laptop) -> None:
    laptop.setup()
    laptop.trust()
    laptop.sandbox.commit("by the agent")
    refused = laptop.sandbox.notme("attest", "HEAD", status=64)
    assert "--key FILE names it" in refused.err
    said = laptop.sandbox.notme("hook", "install", "--client", "--json")
    assert [Path(each["path"]).name for each in said.json["hooks"]] == ["pre-push", "commit-msg"]
    assert "notme.verifierKey" in said.json["warning"]
    assert laptop.sandbox.git("commit", "-q", "--amend", "--allow-empty", "-m", "amended").err == ""
    laptop.sandbox.notme("hook", "install", "--client", "--hook", "post-rewrite")
    assert "records-keyless" in codes(laptop)
    key = laptop.sandbox.user / "key.pem"
    laptop.sandbox.git("config", "notme.verifierKey", key)
    assert "hook-setting" in codes(laptop)
    laptop.sandbox.run(peer("openssl"), "genpkey", "-algorithm", "ed25519", "-out", key)
    assert codes(laptop) == set()
    laptop.sandbox.git("commit", "-q", "--amend", "--allow-empty", "-m", "again")
    assert "amend of 1 commit" in laptop.sandbox.attest("rewrite", "show", "HEAD", "--attester-key", public(key)).text


def codes(laptop: Laptop) -> set[str]:
    """What the doctor finds, notes left out."""
    said = laptop.sandbox.notme("doctor", "--json", status=None).json
    return {each["code"] for each in said["findings"] if each["severity"] != "note"}


def public(key: Path) -> Path:
    """The public half, in a file beside it."""
    made = key.with_suffix(".pub")
    subprocess.run([peer("openssl"), "pkey", "-in", key, "-pubout", "-out", made], check=True)
    return made


@pytest.mark.parametrize("form", ["x509", "ssh"])
def test_git_commit_is_signed_by_a_certificate_that_was_fetched_for_it(laptop: Laptop, form: str) -> None:
    told = laptop.setup("--format", form)
    assert f"SPKI {laptop.spki} (first-use)" in told
    assert "notme-git trust add" in told
    laptop.sandbox.commit("by the agent")
    laptop.trust()
    assert laptop.sandbox.shows() == f"G {AGENT} for Alice Example <alice@example.org> (same-user, passkey)"
    verdict = laptop.sandbox.verdict()
    assert verdict["outcome"] == "accepted"
    assert verdict["identity"]["actor"]["id"].startswith(f"wimse://{laptop.server.url.removeprefix('http://')}/agent/")


def test_a_key_that_was_pinned_on_first_use_is_no_verifiers(laptop: Laptop) -> None:
    laptop.setup()
    laptop.sandbox.commit()
    done = laptop.sandbox.attest("verify", "HEAD", status=2)
    assert "notme-git trust add URL --spki sha256:HEX" in done.err


def test_a_stopped_authority_fails_the_commit_within_five_seconds_in_one_line(laptop: Laptop) -> None:
    laptop.setup()
    laptop.sandbox.commit()
    laptop.stop()
    for _ in range(2):  # with the credential in memory, and without a daemon that has one
        began = time.monotonic()
        done = laptop.sandbox.commit(status=128)
        assert time.monotonic() - began < DEADLINE_S
        said = [line for line in done.err.splitlines() if line.startswith("notme-git")]
        assert said == [f"notme-git: the authority {laptop.server.url} cannot be reached: Connection refused"]
        laptop.sandbox.notme("daemon", "stop", status=None)


def test_an_authority_that_hangs_fails_the_commit(laptop: Laptop) -> None:
    laptop.setup()
    hanging = subprocess.Popen(
        ["python3", "-c", "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], "
         "flush=True); time.sleep(60)"], stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert hanging.stdout is not None
        record = laptop.sandbox.home / "remote" / "authority.json"
        known = json.loads(record.read_text())
        record.write_text(json.dumps({**known, "url": f"http://127.0.0.1:{hanging.stdout.readline().strip()}"}))
        laptop.sandbox.notme("daemon", "start")
        done = laptop.sandbox.commit(status=128)
        assert "cannot be reached: no answer in time" in done.err
    finally:
        hanging.kill()
        hanging.communicate()


def test_where_time_is_optional_the_credential_at_hand_signs_and_one_line_says_so(laptop: Laptop) -> None:
    laptop.setup()
    laptop.trust()
    laptop.sandbox.commit()
    laptop.stop()
    laptop.sandbox.git("config", "notme.timestamp", "optional")
    done = laptop.sandbox.commit("unproven")
    assert done.err == "notme-git: warning: time unproven: the signature has no time-stamp\n"
    assert laptop.sandbox.verdict("HEAD")["outcome"] == "accepted-time-unproven"
    laptop.sandbox.notme("daemon", "stop")
    assert "cannot be reached" in laptop.sandbox.commit(status=128).err  # no credential at hand, no signature


def test_a_jobs_proof_is_in_no_argument_and_no_file(laptop: Laptop) -> None:
    laptop.setup()
    secrets = {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "job-secret", "NOTME_ID_TOKEN": "job-secret"}
    laptop.sandbox.notme("daemon", "start", environ=secrets)
    pid = laptop.sandbox.notme("daemon", "status", "--json").json["pid"]
    assert b"job-secret" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    laptop.sandbox.commit()
    files = [path for path in laptop.sandbox.root.rglob("*") if path.is_file()]
    assert [path for path in files if b"job-secret" in path.read_bytes()] == []


def test_doctor_and_whoami_say_where_agents_here_enrol(laptop: Laptop) -> None:
    laptop.setup()
    said = laptop.sandbox.notme("whoami", "--json", environ={"CLAUDECODE": "1"}).json
    assert (said["authorityUrl"], said["pinned"]) == (laptop.server.url, "first-use")
    assert f"at {laptop.server.url} (first-use)" in laptop.sandbox.notme("whoami").text
    found = laptop.sandbox.notme("doctor", "--json", status=None).json["findings"]
    assert "authority-unpinned" in [each["code"] for each in found]
    assert [each for each in found if each["severity"] != "note"] == []
    laptop.trust()
    (laptop.sandbox.home / "remote" / "session").unlink()
    found = laptop.sandbox.notme("doctor", "--json", status=1).json["findings"]
    assert [each["code"] for each in found if each["severity"] == "error"] == ["login-missing"]
    assert "authority-unpinned" not in [each["code"] for each in found]


def test_a_daemon_of_another_authority_gives_way(laptop: Laptop) -> None:
    laptop.setup()
    laptop.sandbox.commit()
    first = laptop.sandbox.notme("daemon", "status", "--json").json["pid"]
    laptop.setup()
    laptop.sandbox.commit()
    assert laptop.sandbox.notme("daemon", "status", "--json").json["pid"] != first


def test_a_command_runs_as_an_agent_of_an_authority_elsewhere(laptop: Laptop) -> None:
    laptop.setup()
    laptop.trust()
    seen = laptop.sandbox.root / "seen"
    script = f"env > '{seen}'; git commit -q --allow-empty -m one && git commit -q --allow-empty -m two"
    words = ("run", "--agent", AGENT, "--task", "two commits", "--json", "--", "sh", "-c", script)
    done = laptop.sandbox.notme(*words, environ={"NOTME_ID_TOKEN": "job-secret"})
    told = json.loads(done.err)
    assert [each["kind"] for each in told["signed"]] == ["commit", "commit"]
    assert "job-secret" not in seen.read_text()
    assert laptop.sandbox.verdict()["outcome"] == "accepted"


def test_a_broker_signs_by_an_authority_elsewhere(laptop: Laptop) -> None:
    laptop.setup()
    laptop.trust()
    commit = ("sh", "-c", "git commit -q --allow-empty -m inside")
    laptop.sandbox.notme("run", "--broker", "--agent", AGENT, "--quiet", "--", *commit)
    assert laptop.sandbox.verdict()["outcome"] == "accepted"
