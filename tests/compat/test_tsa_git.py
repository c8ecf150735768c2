"""Time-stamps by others through git itself: at each commit, before a push, afterwards; and what comes of them."""

from __future__ import annotations

import base64
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from attest import cms, gitobject
from attest.gitobject import ObjectFormat, ObjectKind
from attest.stampable import value_in
from tests.compat.conftest import AGENT, Sandbox
from tests.githttp import serving as serving_git
from tests.peers import SEARCH, peer
from tests.tsaserver import Openssl, Served, serving

STORE = "refs/attestations/notme"


@pytest.fixture(scope="module")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> Openssl:
    return Openssl(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture
def tsa(openssl: Openssl) -> Iterator[Served]:
    with serving(openssl) as running:
        yield running


def commit(sandbox: Sandbox, message: str = "work") -> str:
    sandbox.git("commit", "-q", "--allow-empty", "-m", message)
    return sandbox.git("rev-parse", "HEAD").text


def verdict(sandbox: Sandbox, tsa: Served, *words: str) -> dict[str, Any]:
    done = sandbox.attest("verify", "HEAD", "--json", "--tsa-root", str(tsa.openssl.root), *words, status=None)
    found: dict[str, Any] = done.json
    return found


def vouchers(found: dict[str, Any]) -> list[str]:
    return [item["voucher"] for item in found["evidence"]]


@pytest.mark.parametrize("form", ["x509", "ssh"])
def test_with_always_each_commit_has_a_third_partys_time_stamp(sandbox: Sandbox, tsa: Served, form: str) -> None:
    sandbox.notme("setup", "--agent", "claude-code", "--format", form)
    sandbox.git("config", "notme.timestamp", "always")
    sandbox.git("config", "notme.tsa", tsa.url)
    sandbox.git("config", "notme.tsaRoot", str(tsa.openssl.root))
    oid = commit(sandbox)
    found = verdict(sandbox, tsa, "--require-time", "independent")
    assert (found["outcome"], vouchers(found)[-1]) == ("accepted", "independent")
    assert "says independent (detached-rfc3161:" in found["findings"][4]["detail"]
    # Beside the object it goes with the statements, and from there to others.
    assert sandbox.git("rev-parse", "-q", "--verify", STORE, status=None).status == 1
    sandbox.notme("attest", oid)
    lines = sandbox.git("cat-file", "blob", f"{STORE}:{oid[:2]}/{oid[2:4]}/{oid}.intoto.jsonl").out.splitlines()
    assert sum(b"notme.timestamp" in line for line in lines) == (1 if form == "x509" else 2)
    bundle = next(json.loads(line) for line in lines if b"dsseEnvelope" in line)
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert len(statement["predicate"]["time"]["evidence"]) >= 2
    (sandbox.home / "timestamps").rename(sandbox.home / "gone")
    assert verdict(sandbox, tsa, "--require-time", "independent")["outcome"] == "accepted"
    assert verdict(sandbox, tsa, "--anchor", str(sandbox.home / "authority" / "anchors.pem"))["outcome"] == "accepted"


def test_a_commit_waits_for_nobody_who_does_not_answer(sandbox: Sandbox, tsa: Served) -> None:
    tsa.delay = 30.0
    sandbox.git("config", "notme.timestamp", "always")
    sandbox.git("config", "notme.tsa", tsa.url)
    began = time.monotonic()
    said = [sandbox.git("commit", "-q", "--allow-empty", "-m", "work").err for _ in range(3)]
    assert time.monotonic() - began < 20
    assert "warning: no time-stamp by others: http://127.0.0.1:" in said[0]
    assert "did not answer a moment ago" in said[1]
    assert "secret" not in "".join(said)
    assert len(tsa.queries) <= 1
    assert verdict(sandbox, tsa)["outcome"] == "accepted"
    doctor = sandbox.notme("doctor", "--json", status=None).json
    (missed,) = [each for each in doctor["findings"] if each["code"] == "tsa-missed"]
    assert missed["message"].startswith("3 signatures without a time-stamp by others, ")
    tsa.delay = 0.0
    done = sandbox.notme("timestamp", "-3", "HEAD", "--tsa-root", str(tsa.openssl.root))
    assert done.text == f"3 time-stamped by {tsa.url.partition('/tsr')[0]}"
    assert "tsa-missed" not in sandbox.notme("doctor", status=None).out.decode()
    assert vouchers(verdict(sandbox, tsa))[-1] == "independent"


def test_a_setting_that_makes_no_sense_is_said_and_fails_no_commit(sandbox: Sandbox) -> None:
    sandbox.git("config", "notme.timestamp", "sometimes")
    assert "notme.timestamp is none of always, push and never" in sandbox.git("commit", "--allow-empty", "-m", "x").err
    sandbox.git("config", "notme.timestamp", "always optional")
    assert "notme.tsa names nobody to ask" in sandbox.git("commit", "--allow-empty", "-m", "x").err
    codes = [each["code"] for each in sandbox.notme("doctor", "--json", status=None).json["findings"]]
    assert {"tsa-setting", "tsa-missed"} <= set(codes)
    sandbox.git("config", "notme.timestamp", "never")
    assert "time-stamp" not in sandbox.git("commit", "--allow-empty", "-m", "x").err


def test_what_is_there_already_is_stamped_whoever_signed_it(sandbox: Sandbox, tsa: Served, tmp_path: Path) -> None:
    first = commit(sandbox)
    key = tmp_path / "id"
    sandbox.run(peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key)
    own = ("-c", "gpg.format=ssh", "-c", f"user.signingkey={key}.pub", "-c", "gpg.ssh.program=ssh-keygen")
    sandbox.git(*own, "commit", "-q", "--allow-empty", "-m", "own key")
    sandbox.git("-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "unsigned")
    words = ("timestamp", "--topo-order", "HEAD", "--tsa", tsa.url, "--tsa-root", str(tsa.openssl.root))
    assert sandbox.notme(*words, "--json").json == {
        "authorities": [tsa.url.partition("/tsr")[0]],
        "stamped": 2, "already": 0, "unsigned": 1, "unreadable": 0, "left": 0, "error": None,
    }  # fmt: skip
    assert sandbox.notme(*words, "--json").json["already"] == 2
    assert len(tsa.queries) == 2
    allowed = tmp_path / "allowed"
    allowed.write_text(f"{sandbox.git('log', '-1', '--format=%ce', 'HEAD~1').text} {Path(f'{key}.pub').read_text()}")
    root = ("--tsa-root", str(tsa.openssl.root), "--allowed-signers", str(allowed), "--jsonl")
    verified = sandbox.attest("verify", "--topo-order", "HEAD", *root, status=None)
    rows = [json.loads(line) for line in verified.out.splitlines()]
    assert [vouchers(row)[-1:] for row in rows] == [[], ["independent"], ["independent"]]
    # Of a range and of one alone the same is said.
    alone = verdict(sandbox, tsa, "--allowed-signers", str(allowed))
    assert rows[0]["findings"] == alone["findings"]
    one = sandbox.attest("verify", first, "--json", *root[:-1]).json
    assert (one["findings"], one["evidence"], one["remarks"]) == tuple(
        rows[2][name] for name in ("findings", "evidence", "remarks")
    )


def test_without_anybody_named_what_the_home_has_kept_is_stored(sandbox: Sandbox) -> None:
    sandbox.commit("in a format that has room for it")
    assert "none were kept here" in sandbox.notme("timestamp", "HEAD", status=64).err
    sandbox.notme("setup", "--agent", AGENT, "--format", "ssh")
    sandbox.commit("in ssh format")
    assert "of 1 object are stored" in sandbox.notme("timestamp", "HEAD~1..HEAD").text
    assert sandbox.notme("timestamp", "HEAD", "--json").json["kept"] == 1
    # Whoever has the ref and not the home sees when it was signed.
    shutil.rmtree(sandbox.home / "timestamps")
    sandbox.attest("verify", "HEAD", "--require-time", "authority")


def test_openssl_verifies_what_is_in_a_commit_and_what_lies_beside_it(
    sandbox: Sandbox, tsa: Served, tmp_path: Path
) -> None:
    """The commands are those of docs/time.md."""
    oid = commit(sandbox)
    raw = sandbox.git("cat-file", "commit", oid).out
    parsed = gitobject.parse(raw, ObjectKind.COMMIT, ObjectFormat.SHA1)
    assert parsed.signature is not None
    message = cms.parse(cms.ARMOUR.open(parsed.signature.armour))
    (tmp_path / "value").write_bytes(message.signature)
    (tmp_path / "own.der").write_bytes(message.timestamps[0])
    (tmp_path / "root.pem").write_bytes(sandbox.notme("trust", "export", "--profile", "notme").out)
    assert value_in(raw, ObjectKind.COMMIT, ObjectFormat.SHA1) == message.signature
    folder = ("-data", tmp_path / "value", "-token_in", "-in")
    own = tmp_path / "root.pem"
    said = sandbox.run(peer("openssl"), "ts", "-verify", *folder, tmp_path / "own.der", "-CAfile", own)
    assert b"Verification: OK" in said.out
    sandbox.notme("timestamp", oid, "--tsa", tsa.url)
    shown = sandbox.attest("extract", oid, "--to", tmp_path / "shown").text.splitlines()
    assert shown == [f"{tmp_path}/shown/{oid}.{name}" for name in ("signature", "0.tst", "1.tst")]
    for name, root, other in (("0", own, tsa.openssl.root), ("1", tsa.openssl.root, own)):
        token = f"{tmp_path}/shown/{oid}.{name}.tst"
        words = ["ts", "-verify", "-data", shown[0], "-token_in", "-in", token, "-CAfile"]
        assert b"Verification: OK" in sandbox.run(peer("openssl"), *words, root).out
        assert sandbox.run(peer("openssl"), *words, other, status=None).status != 0


@pytest.fixture
def remote(sandbox: Sandbox) -> Iterator[Path]:
    """A bare repository behind HTTP, the sandbox's origin, whose hooks believe the sandbox's authority."""
    path = sandbox.root / "srv" / "app.git"
    sandbox.git("init", "-q", "--bare", "-b", "main", path)
    for name, value in {
        "notme.anchor": sandbox.home / "authority" / "anchors.pem",
        "notme.bundle": sandbox.home / "authority" / "bundle",
    }.items():
        sandbox.git("-C", path, "config", name, str(value))
    sandbox.attest("hook", "install", "--server", str(path), "--hook", "pre-receive")
    with serving_git(peer("git"), sandbox.root / "srv", {"PATH": SEARCH, "GIT_CONFIG_NOSYSTEM": "1"}) as address:
        sandbox.git("remote", "add", "origin", f"{address}/app.git")
        yield path


def test_with_push_all_that_is_pushed_is_stamped_at_once(sandbox: Sandbox, tsa: Served, remote: Path) -> None:
    sandbox.git("config", "notme.timestamp", "push")
    sandbox.git("config", "notme.tsa", tsa.url)
    for number in range(3):
        commit(sandbox, str(number))
    assert tsa.queries == []
    codes = [each["code"] for each in sandbox.notme("doctor", "--json", status=None).json["findings"]]
    assert "tsa-hook" in codes
    sandbox.notme("hook", "install", "--client")
    codes = [each["code"] for each in sandbox.notme("doctor", "--json", status=None).json["findings"]]
    assert "tsa-hook" not in codes
    said = sandbox.git("push", "-q", "origin", "HEAD:refs/heads/main").err
    assert f"notme: 3 time-stamped by {tsa.url.partition('/tsr')[0]}; notme-attest sync brings that to the" in said
    assert vouchers(verdict(sandbox, tsa))[-1] == "independent"
    commit(sandbox, "one more")
    assert "notme: 1 time-stamped by" in sandbox.git("push", "-q", "origin", "HEAD:refs/heads/main").err
    assert len(tsa.queries) == 4
    # The server's rules may ask for it, once the time-stamps are there.
    sandbox.git("-C", remote, "config", "notme.tsaRoot", str(tsa.openssl.root))
    policy = sandbox.root / "policy.toml"
    policy.write_text('version = 1\n[[rules]]\nname = "timed"\nrequire = { evidence = "independent" }\n')
    sandbox.git("-C", remote, "config", "notme.policyFile", str(policy))
    commit(sandbox, "to another branch")
    refused = sandbox.git("push", "-q", "origin", "HEAD:refs/heads/other", status=1).err
    assert "rule-not-met" in refused
    sandbox.attest("sync", "origin")
    sandbox.git("push", "-q", "origin", "HEAD:refs/heads/other")


def test_a_push_goes_on_where_nobody_answers(sandbox: Sandbox, tsa: Served, remote: Path) -> None:
    sandbox.git("config", "notme.timestamp", "push")
    sandbox.git("config", "notme.tsa", tsa.url)
    sandbox.notme("hook", "install", "--client")
    commit(sandbox)
    tsa.respond = lambda _: (503, "text/plain", b"")
    said = sandbox.git("push", "-q", "origin", "HEAD:refs/heads/main").err
    assert "notme: no time-stamps by others: " in said
    assert "answered with status 503; the push goes on without" in said
    assert sandbox.git("-C", remote, "rev-parse", "main").text == sandbox.git("rev-parse", "HEAD").text
    doctor = sandbox.notme("doctor", status=None).out.decode()
    assert "tsa-missed: 1 signature without a time-stamp by others" in doctor
    sandbox.attest("hook", "install", "--client")
    commit(sandbox)
    assert "this hook has no network" in sandbox.git("push", "-q", "origin", "HEAD:refs/heads/main").err
