"""Keyless signing through an instance of others, and who takes what came of it: ours, sigstore-python, cosign, npm."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from attest.attester_options import Keyless
from attest.errors import UnavailableError, VerificationError
from attest.keyless.bundle import KeylessBundle
from attest.keyless.verify import Identity, VerifiedKeyless, verify_keyless
from attest.statement import PREDICATE_TYPE
from notme_git.keyless import calls
from notme_git.keyless.attester import KeylessAttester, of_options
from tests.compat.signed import run
from tests.compat.sigstoreinstance import (
    FULCIO,
    ISSUER,
    REKOR,
    SUBJECT,
    TSA,
    Answer,
    Instance,
    broken,
    identity_token,
    running,
)
from tests.compat.terminal import conversation
from tests.peers import NODE_MODULES, ROOT, peer

pytest.importorskip("sigstore", reason="the extra sigstore is not installed")

COMMIT = "1" * 40
PAYLOAD = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"gitCommit": COMMIT}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"n": 2**53 + 1},
    }
).encode()
WHO = Identity(SUBJECT, ISSUER)
JS = Path(__file__).parent / "node" / "bundles.mjs"


def clock() -> datetime:
    return datetime.now(UTC)


def attester(config: Path, folder: Path, **claims: Any) -> KeylessAttester:
    token = folder / "token"
    token.write_text(identity_token(**claims))
    return of_options(Keyless(config, token), False, clock)


@dataclass(frozen=True)
class Made:
    """The bundle of one statement, and others beside it; the instance that made it is gone."""

    folder: Path
    instance: Instance
    line: bytes

    def write(self, name: str, line: bytes) -> Path:
        (self.folder / name).write_bytes(line)
        return self.folder / name

    def proven(self, line: bytes) -> VerifiedKeyless:
        return verify_keyless(KeylessBundle.parse(line), self.instance.root, clock())


@pytest.fixture(scope="module", params=[1, 2], ids=["rekor-1", "rekor-2"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("instance")
    with running(folder, request.param) as instance:
        line = attester(instance.config, folder).sign(PAYLOAD, clock())
    return Made(folder, instance, line)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    with running(tmp_path_factory.mktemp("instance")) as started:
        yield started


def tampered(made: Made) -> bytes:
    found = json.loads(made.line)
    payload = PAYLOAD.replace(COMMIT.encode(), b"2" * 40)
    found["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    return json.dumps(found).encode()


def unlogged(made: Made) -> bytes:
    """With the body of the entry cut short by a letter that means nothing there."""
    found = json.loads(made.line)
    entry = found["verificationMaterial"]["tlogEntries"][0]
    body = base64.b64decode(entry["canonicalizedBody"]).replace(b'{"apiVersion"', b'{ "apiVersion"', 1)
    entry["canonicalizedBody"] = base64.b64encode(body).decode()
    return json.dumps(found).encode()


def test_what_was_signed_holds_with_the_instance_gone(made: Made) -> None:
    found = made.proven(made.line)
    assert (found.payload, found.identity, found.remarks) == (PAYLOAD, WHO, ())
    assert abs(found.time - clock()) < timedelta(minutes=10)
    for altered in (tampered(made), unlogged(made)):
        with pytest.raises(VerificationError):
            made.proven(altered)


def test_sigstore_python_takes_it_and_refuses_what_was_altered(made: Made) -> None:
    from sigstore.errors import Error
    from sigstore.models import Bundle, TrustedRoot
    from sigstore.verify import Verifier, policy

    verifier = Verifier(trusted_root=TrustedRoot.from_file(str(made.instance.root_file)))
    expected = policy.Identity(identity=SUBJECT, issuer=ISSUER)
    kind, payload = verifier.verify_dsse(Bundle.from_json(made.line), expected)
    assert (kind, payload) == ("application/vnd.in-toto+json", PAYLOAD)
    for altered in (tampered(made), unlogged(made)):
        with pytest.raises(Error):
            verifier.verify_dsse(Bundle.from_json(altered), expected)
    with pytest.raises(Error):
        verifier.verify_dsse(Bundle.from_json(made.line), policy.Identity(identity="x", issuer=ISSUER))


def cosign(made: Made, bundle: str, *, identity: str = SUBJECT, digest: str = COMMIT) -> int:
    """As docs/keyless.md has it: nothing is ignored."""
    return run(
        peer("cosign"),
        *("verify-blob-attestation", "--bundle", bundle, "--trusted-root", "trusted_root.json"),
        *("--certificate-identity", identity, "--certificate-oidc-issuer", ISSUER),
        *("--type", PREDICATE_TYPE, "--digest", digest, "--digestAlg", "gitCommit", "--use-signed-timestamps"),
        cwd=made.folder,
    ).returncode


def test_cosign_takes_it_and_refuses_what_was_altered(made: Made) -> None:
    peer("cosign")
    made.write("ours.json", made.line)
    assert cosign(made, "ours.json") == 0
    assert cosign(made, "ours.json", identity="https://example.org/other") != 0
    assert cosign(made, "ours.json", digest="2" * 40) != 0
    for altered in (tampered(made), unlogged(made)):
        made.write("altered.json", altered)
        assert cosign(made, "altered.json") != 0


def sigstore_go(made: Made, line: bytes, *, identity: str = SUBJECT, digest: str = COMMIT) -> int:
    made.write("go.json", line)
    return run(
        peer("sigstore-go"),
        *("-trustedrootJSONpath", "trusted_root.json", "-expectedSAN", identity, "-expectedIssuer", ISSUER),
        *("-artifact-digest", digest, "-artifact-digest-algorithm", "gitCommit", "go.json"),
        cwd=made.folder,
    ).returncode


def test_sigstore_go_takes_it_and_refuses_what_was_altered(made: Made) -> None:
    peer("sigstore-go")
    assert sigstore_go(made, made.line) == 0
    assert sigstore_go(made, made.line, identity="https://example.org/other") != 0
    assert sigstore_go(made, made.line, digest="2" * 40) != 0
    for altered in (tampered(made), unlogged(made)):
        assert sigstore_go(made, altered) != 0


def npm(made: Made, line: bytes, identity: str = SUBJECT) -> str:
    bundle = made.write("npm.json", line)
    script = made.folder / JS.name
    script.write_bytes(JS.read_bytes())
    if not (made.folder / "node_modules").exists():
        (made.folder / "node_modules").symlink_to(NODE_MODULES)
    done = run(peer("sigstore-js"), script, made.instance.root_file, bundle, identity, ISSUER, cwd=made.folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_npms_verifier_takes_it_and_refuses_what_was_altered(made: Made) -> None:
    peer("sigstore-js")
    if b'"hashedrekord"' in made.line:
        # Version 3 of it holds such an entry against the payload, where version 4 has the whole encoding.
        assert npm(made, made.line) == "refused: TLOG_BODY_ERROR"
    else:
        assert npm(made, made.line) == "ok"
    assert npm(made, made.line, "https://example.org/other").startswith("refused")
    for altered in (tampered(made), unlogged(made)):
        assert npm(made, altered).startswith("refused")


def test_one_certificate_serves_a_batch(instance: Instance, tmp_path: Path) -> None:
    signer = attester(instance.config, tmp_path)
    lines = [signer.sign(PAYLOAD.replace(COMMIT.encode(), digit * 40), clock()) for digit in (b"3", b"4")]
    first, second = (json.loads(line)["verificationMaterial"] for line in lines)
    assert first["certificate"] == second["certificate"]
    assert first["tlogEntries"] != second["tlogEntries"]
    assert signer.id == WHO.uri
    assert signer.public is None


def test_a_certificate_that_ends_is_followed_by_another(instance: Instance, tmp_path: Path) -> None:
    signer = attester(instance.config, tmp_path)
    signer.ends = clock() + timedelta(seconds=30)
    before = signer.signer
    signer.sign(PAYLOAD, clock())
    assert signer.signer is not before
    assert signer.ends > clock() + timedelta(minutes=5)


def test_a_token_that_ends_in_a_batch_ends_it(instance: Instance, tmp_path: Path) -> None:
    signer = attester(instance.config, tmp_path)
    signer.ends = clock()
    signer.token._exp = 0
    with pytest.raises(UnavailableError, match="token has ended"):
        signer.sign(PAYLOAD, clock())


def garbled(answer: Answer) -> Answer:
    return answer[0], b"{" + answer[1]


def refusing(status: int) -> Callable[[Answer], Answer]:
    return lambda _: (status, b'{"code": 13, "message": "no: SECRET"}')


def replaying() -> Callable[[Answer], Answer]:
    """Gives the first answer again to whoever asks next."""
    seen: list[Answer] = []

    def spoil(answer: Answer) -> Answer:
        seen.append(answer)
        return seen[0]

    return spoil


def failing_after(first: int) -> Callable[[Answer], Answer]:
    """Answers so often, and then no more."""
    left = iter(range(first))
    return lambda answer: answer if next(left, None) is not None else (503, b"")


def entry_changed(**changes: object) -> Callable[[Answer], Answer]:
    def spoil(answer: Answer) -> Answer:
        made = json.loads(answer[1])
        (found,) = made.values()
        found.update(changes)
        return answer[0], json.dumps(made).encode()

    return spoil


@pytest.mark.parametrize(
    ("path", "spoil", "said"),
    [
        pytest.param(FULCIO, refusing(400), "answered with status 400", id="no certificate"),
        pytest.param(FULCIO, refusing(500), "answered with status 500", id="Fulcio fails"),
        pytest.param(FULCIO, garbled, "certified no key", id="a garbled certificate"),
        pytest.param(FULCIO, lambda _: (200, b"{}"), "certified no key", id="no certificate in the answer"),
        pytest.param(FULCIO, lambda _: None, "cannot be reached or broke off", id="Fulcio hangs up"),
        pytest.param(REKOR, refusing(503), "answered with status 503", id="Rekor fails"),
        pytest.param(REKOR, garbled, "did not sign", id="a garbled entry"),
        pytest.param(REKOR, lambda _: (201, b'"x"'), "did not sign", id="no entry"),
        pytest.param(REKOR, lambda _: None, "cannot be reached or broke off", id="Rekor hangs up"),
        pytest.param(REKOR, entry_changed(integratedTime=1), "does not verify", id="another time"),
        pytest.param(REKOR, entry_changed(logIndex=1), "does not verify", id="another index"),
        pytest.param(TSA, refusing(500), "no time-stamp", id="the time-stamper fails"),
        pytest.param(TSA, garbled, "no time-stamp", id="a garbled time-stamp"),
    ],
)
def test_an_instance_that_fails_is_an_error_and_never_a_statement(
    instance: Instance, tmp_path: Path, path: str, spoil: Callable[[Answer], Answer | None], said: str
) -> None:
    with broken(instance, path, spoil) as url:
        config = instance.moved(url, tmp_path / "config.json")
        with pytest.raises(UnavailableError, match=said) as caught:
            attester(config, tmp_path).sign(PAYLOAD, clock())
    assert "SECRET" not in caught.value.message + caught.value.hint


def test_a_token_is_not_sent_on_to_where_a_redirect_leads(instance: Instance, tmp_path: Path) -> None:
    heard: list[Answer] = []
    with (
        broken(instance, FULCIO, heard.append) as elsewhere,
        broken(instance, FULCIO, lambda _: (307, (elsewhere + FULCIO).encode())) as url,
    ):
        config = instance.moved(url, tmp_path / "config.json")
        with pytest.raises(UnavailableError, match="answered with status 307"):
            attester(config, tmp_path)
    assert heard == []


@pytest.mark.parametrize(("service", "said"), [("caUrls", "certificate authority"), ("oidcUrls", "OpenID provider")])
def test_no_token_goes_to_an_address_without_tls(
    instance: Instance, tmp_path: Path, service: str, said: str
) -> None:
    made = json.loads(instance.config.read_text())
    made["signingConfig"][service][0]["url"] = "http://192.0.2.1"
    (tmp_path / "config.json").write_text(json.dumps(made))
    token = tmp_path / "token"
    token.write_text(identity_token())
    wanted = Keyless(tmp_path / "config.json", token, oauth=service == "oidcUrls")
    with pytest.raises(UnavailableError, match=f"{said} is without TLS"):
        of_options(wanted, True, clock)


def test_an_instance_that_is_gone_is_an_error(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be reached"):
        attester(made.instance.config, tmp_path)


@pytest.mark.parametrize("path", [REKOR, TSA])
def test_an_answer_to_another_question_is_refused(instance: Instance, tmp_path: Path, path: str) -> None:
    with broken(instance, path, replaying()) as url:
        signer = attester(instance.moved(url, tmp_path / "config.json"), tmp_path)
        signer.sign(PAYLOAD, clock())
        with pytest.raises(UnavailableError, match="does not verify under its own trusted root"):
            signer.sign(PAYLOAD.replace(COMMIT.encode(), b"5" * 40), clock())


def test_the_certificate_of_somebody_else_is_refused(instance: Instance, tmp_path: Path) -> None:
    with broken(instance, FULCIO, replaying()) as url:
        config = instance.moved(url, tmp_path / "config.json")
        attester(config, tmp_path)
        with pytest.raises(UnavailableError, match="does not verify under its own trusted root"):
            attester(config, tmp_path).sign(PAYLOAD, clock())


def test_an_instance_that_says_nothing_is_not_waited_for(
    instance: Instance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(calls.bounded, "__kwdefaults__", {"seconds": 0.2, "hint": ""})

    def wait(_: Answer) -> None:
        release.wait(20)

    with broken(instance, FULCIO, wait) as url:
        config = instance.moved(url, tmp_path / "config.json")
        with pytest.raises(UnavailableError, match="no answer within"):
            attester(config, tmp_path)
        release.set()


def test_the_command_stores_what_the_instance_signed_and_nothing_where_it_fails(
    instance: Instance, tmp_path: Path
) -> None:
    environ = {"NOTME_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    repo = tmp_path / "repo"

    def notme(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return run(Path(sys.executable), "-m", "notme_git", *arguments, cwd=repo, environ={**environ, **more})

    def git(*arguments: str) -> str:
        done = run(peer("git"), *arguments, cwd=repo, environ=environ)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    repo.mkdir()
    git("init", "-q", "-b", "main")
    git("config", "user.name", "Alice")
    git("config", "user.email", "alice@example.org")
    assert notme("init", "--human", "Alice <alice@example.org>").returncode == 0
    for message in ("one", "two", "three"):
        git("commit", "-q", "--allow-empty", "--no-gpg-sign", "-m", message)
    refs = git("for-each-ref")
    asked = ("attest", "HEAD", "--sigstore", "--trust-config", str(instance.config))

    token, ended = identity_token(), identity_token(seconds=-60)
    with broken(instance, REKOR, refusing(503)) as url:
        down = instance.moved(url, tmp_path / "down.json")
        failing = ("attest", "HEAD", "--sigstore", "--trust-config", str(down))
        for arguments, given, said in (
            (asked, ended, "the identity token cannot be used"),
            (failing, token, "answered with status 503"),
        ):
            done = notme(*arguments, SIGSTORE_ID_TOKEN=given)
            assert (done.returncode, done.stdout) == (2, ""), done
            assert said in done.stderr
            assert given not in done.stderr
    with broken(instance, REKOR, failing_after(1)) as url:
        down = instance.moved(url, tmp_path / "down.json")
        out = ("--out", str(tmp_path / "out.jsonl"))
        done = notme("attest", "HEAD~2..HEAD", "--sigstore", "--trust-config", str(down), *out, SIGSTORE_ID_TOKEN=token)
        assert done.returncode == 2
        assert not (tmp_path / "out.jsonl").exists()
    assert git("for-each-ref") == refs

    watched = tmp_path / "watched"
    watched.mkdir()
    (watched / "git").write_text(f'#!/bin/sh\nenv >>{tmp_path}/seen\nexec {peer("git")} "$@"\n')
    (watched / "git").chmod(0o755)
    search = f"{watched}{os.pathsep}{os.environ['PATH']}"
    done = notme(*asked, "--json", SIGSTORE_ID_TOKEN=token, PATH=search)
    # The commit is not signed: the verdict is a rejection, and that is what is stated.
    assert done.returncode == 1, done.stderr
    (item,) = json.loads(done.stdout)
    assert (item["result"], item["signer"]["identity"]) == ("FAILED", WHO.uri)
    stored = run(peer("git"), "log", "-p", "refs/attestations/notme", cwd=repo, environ=environ).stdout
    assert "dsseEnvelope" in stored
    assert token not in stored
    root = ("--sigstore-root", str(instance.root_file))
    whom = ("--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER)
    (shown,) = json.loads(notme("show", "HEAD", "--json", *root, *whom).stdout)
    assert (shown["verified"], shown["result"], shown["signer"]["identity"]) == (True, "FAILED", WHO.uri)
    for less in (root, (*root, "--certificate-identity", "x", *whom[2:])):
        done = notme("show", "HEAD", *less)
        assert (done.returncode, done.stdout.splitlines()[0][:22]) == (1, "statement NOT verified")
    said = notme("show", "HEAD", *root).stdout
    assert "newer trust bundle" in said
    assert "if it is keyless" in said
    assert notme("show", "HEAD", *whom).returncode == 64
    done = notme("verify-attestation", "HEAD", "--json", *root, *whom)
    (judged,) = json.loads(done.stdout)[0]["attestations"]
    assert judged["attesters"][0]["uri"] == WHO.uri

    seen = (tmp_path / "seen").read_text()
    assert "NOTME_HOME=" in seen
    assert token not in seen


def test_phases_of_work_are_handed_on_keylessly_and_checked_by_who_signed(instance: Instance, tmp_path: Path) -> None:
    environ = {"NOTME_HOME": str(tmp_path / "home"), "HOME": str(tmp_path), "SIGSTORE_ID_TOKEN": identity_token()}

    def handoff(*arguments: str, status: int = 0) -> str:
        done = run(Path(sys.executable), "-m", "notme_git", "handoff", *arguments, cwd=tmp_path, environ=environ)
        assert done.returncode == status, done
        return done.stdout + done.stderr

    signing = ("--sigstore", "--trust-config", str(instance.config), "--work-item", "w", "--from-agent", "claude")
    root = ("--sigstore-root", str(instance.root_file))
    whom = (*root, "--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER)
    stranger = (*root, "--certificate-identity", f"{SUBJECT}s", "--certificate-oidc-issuer", ISSUER)
    first: tuple[str, ...] = ()
    for number, more in ((0, first), (1, ("--previous", "0.intoto.jsonl", *whom))):
        (tmp_path / f"{number}.md").write_text(f"phase {number}\n")
        phases = ("--from-phase", f"{number}", "--to-phase", f"{number + 1}", "--document", f"{number}.md")
        handoff("build", *phases, *signing, *more, "--out", f"{number}.intoto.jsonl")
    assert WHO.uri in handoff("check", ".", *whom)
    assert WHO.uri not in handoff("check", ".", *stranger, status=1)
    assert "--certificate-identity names somebody" in handoff("check", ".", status=2)
    handoff("check", ".", *root, status=64)
    refused = ("build", *phases, *signing, "--previous", "0.intoto.jsonl", *stranger, "--out", "2.intoto.jsonl")
    handoff(*refused, status=1)
    assert not (tmp_path / "2.intoto.jsonl").exists()


@contextmanager
def provider(code: str, token: str) -> Iterator[str]:
    """The URL of an OpenID provider that gives `token` for `code`."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, made: dict[str, str]) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(made).encode())

        def do_GET(self) -> None:
            url = f"http://{self.headers['host']}"
            self.answer(200, {"authorization_endpoint": f"{url}/auth", "token_endpoint": f"{url}/token"})

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            good = form["code"] == [code] and form["grant_type"] == ["authorization_code"]
            self.answer(200 if good else 400, {"access_token": token} if good else {"error": "invalid_grant"})

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


LOG_IN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from attest.attester_options import Keyless
from attest.errors import Error
from notme_git.keyless.attester import of_options
try:
    print("signs as", of_options(Keyless(Path(sys.argv[1]), oauth=True), True, lambda: datetime.now(UTC)).id)
except Error as error:
    print("refused:", error.message)
"""


@pytest.mark.parametrize(
    ("typed", "said"),
    [("code-1", f"signs as {WHO.uri}"), ("code-2", "refused: the login did not end with a token (IdentityError)")],
)
def test_a_person_logs_in_at_the_instances_provider(
    instance: Instance, tmp_path: Path, typed: str, said: str
) -> None:
    token = identity_token()
    with provider("code-1", token) as url:
        made = json.loads(instance.config.read_text())
        made["signingConfig"]["oidcUrls"][0]["url"] = url
        config = tmp_path / "config.json"
        config.write_text(json.dumps(made))
        # No display and a browser that fails: then the package prints the link and asks for the code.
        environ = {k: v for k, v in os.environ.items() if k not in {"DISPLAY", "WAYLAND_DISPLAY"}}
        environ |= {"BROWSER": "/bin/false", "PATH": str(tmp_path)}
        told = [("verification code:", f"{typed}\n")]
        wrote = conversation(sys.executable, "-c", LOG_IN, config, told=told, cwd=ROOT, environ=environ)
    assert f"{url}/auth?" in wrote
    assert wrote.rstrip().endswith(said)
    assert token not in wrote
