"""Where the identity token comes from, and that it goes nowhere else (`notme_git.keyless`)."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import click
import jwt
import pytest
from click.testing import CliRunner, Result

from attest import attester_options
from attest.attester_options import Keyless, Named
from attest.attester_options import attester_options as options
from attest.errors import MalformedError, UnavailableError, UsageError
from notme_git.keyless import calls, secret, token
from notme_git.keyless.attester import of_options

TOKEN = "header.payload.signature"


@pytest.fixture(autouse=True)
def _nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret, "_held", [])
    for name in ("GITHUB_ACTIONS", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITLAB_CI", "BUILDKITE", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)


def claims(**changes: object) -> str:
    now = int(time.time())
    made = {"iss": "https://accounts.example.com", "sub": "alice", "aud": "sigstore", "iat": now - 9, "exp": now + 60}
    return jwt.encode({**made, **changes}, "k" * 32, algorithm="HS256")


def test_the_variable_is_taken_out_of_the_environment() -> None:
    environ = {secret.VARIABLE: f" {TOKEN}\n", "PATH": "/bin"}
    secret.take(environ)
    secret.take(environ)
    assert environ == {"PATH": "/bin"}
    assert token.find(None) == TOKEN


def test_a_file_that_was_named_wins(tmp_path: Path) -> None:
    secret.take({secret.VARIABLE: "other"})
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert token.find(tmp_path / "token") == TOKEN


@pytest.mark.parametrize("content", [b"", b" \n", b"a b\0c", b"\xff", b"a" * (token.MAX_BYTES + 1)])
def test_what_can_be_no_token_is_refused_unseen(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(UnavailableError, match="holds no identity token") as caught:
        token.find(file)
    assert "--identity-token" in caught.value.hint


def test_without_any_token_it_is_said_where_one_is_looked_for(tmp_path: Path) -> None:
    pytest.importorskip("sigstore")
    with pytest.raises(UnavailableError, match="no identity token") as caught:
        token.find(None)
    assert secret.VARIABLE in caught.value.hint
    with pytest.raises(UnavailableError, match="cannot read"):
        token.find(tmp_path / "absent")


@pytest.fixture
def provider() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The URL at which a job of GitHub's asks for its token, and what was asked there with which right to ask."""
    asked: list[tuple[str, str]] = []
    given = claims()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            right = self.headers["authorization"] == "bearer right"
            body = json.dumps({"value": given} if right else {"message": "SECRET"}).encode()
            self.send_response(200 if right else 403)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/token?job=1", asked
        server.shutdown()
        thread.join()


def test_a_job_of_github_asks_for_its_own_token(
    monkeypatch: pytest.MonkeyPatch, provider: tuple[str, list[tuple[str, str]]]
) -> None:
    pytest.importorskip("sigstore")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with pytest.raises(UnavailableError, match="gives no identity token") as caught:
        token.find(None)
    assert "id-token: write" in caught.value.hint
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", provider[0])
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong")
    with pytest.raises(UnavailableError) as caught:
        token.find(None)
    assert "SECRET" not in caught.value.message
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "right")
    assert token.parse(token.find(None)).identity == "alice"
    assert provider[1][-1] == ("/token?job=1&audience=sigstore", "bearer right")


@pytest.mark.parametrize("text", ["garbled", claims(exp=1), claims(aud="other"), claims(sub=None)])
def test_a_token_that_cannot_be_used_is_not_shown(text: str) -> None:
    pytest.importorskip("sigstore")
    with pytest.raises(UnavailableError) as caught:
        token.parse(text)
    assert text not in caught.value.message + caught.value.hint
    assert caught.value.__suppress_context__


def test_without_the_extra_its_installation_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "sigstore.oidc", None)
    (tmp_path / "token").write_text(TOKEN)
    with pytest.raises(UnavailableError) as caught:
        of_options(Keyless(tmp_path / "config.json", tmp_path / "token"), False, lambda: pytest.fail("clock"))
    assert caught.value.hint == "pip install 'notme-git[sigstore]'"


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 5000, json.dumps({"mediaType": "x"}).encode()])
def test_a_file_that_is_no_trust_configuration_is_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("sigstore")
    (tmp_path / "config.json").write_bytes(content)
    (tmp_path / "token").write_text(claims())
    with pytest.raises(UnavailableError, match="is no client trust configuration"):
        of_options(Keyless(tmp_path / "config.json", tmp_path / "token"), False, lambda: pytest.fail("clock"))


def test_nobody_is_asked_to_log_in_where_nobody_is() -> None:
    with pytest.raises(UsageError, match="terminal"):
        of_options(Keyless(oauth=True), False, lambda: pytest.fail("clock"))


def raising(error: BaseException) -> None:
    raise error


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


class Failed(Exception):
    """As of the package `requests`: with what was asked, and what came back."""

    def __init__(self, status: int | None) -> None:
        super().__init__("https://user:SECRET@fulcio.example/x?SECRET: SECRET")
        self.request = SimpleNamespace(url="https://user:SECRET@fulcio.example/x?SECRET")
        answer = SimpleNamespace(url=self.request.url, status_code=status)
        self.response = None if status is None else answer


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (caused(ValueError("SECRET"), Failed(403)), "fulcio.example answered with status 403"),
        (Failed(None), "fulcio.example cannot be reached or broke off (Failed)"),
        (KeyError("SECRET"), "the answer is of no use (KeyError)"),
        (caused(ValueError("SECRET"), caused(KeyError("SECRET"), Failed(500))), "answered with status 500"),
    ],
)
def test_errors_of_the_package_say_what_is_certain_and_nothing_that_was_answered(error: Exception, said: str) -> None:
    with pytest.raises(UnavailableError, match=r"^it failed: ") as caught:
        calls.bounded("it failed", lambda: raising(error))
    assert said in caught.value.message
    assert "SECRET" not in caught.value.message
    assert caught.value.__suppress_context__


def test_errors_of_ours_stay_what_they_are() -> None:
    with pytest.raises(MalformedError, match=r"^mine$"):
        calls.bounded("it failed", lambda: raising(MalformedError("mine")))


@click.command()
@options
def signing(signer: Named) -> None:
    attester_options.chosen(signer, None)  # type: ignore[arg-type]  # nothing here asks the time


def called(*arguments: str) -> Result:
    return CliRunner().invoke(signing, arguments)


def test_a_command_line_without_network_signs_nothing_keylessly() -> None:
    error = called("--sigstore").exception
    assert isinstance(error, UsageError)
    assert error.hint == "notme-git does"


@pytest.mark.parametrize(
    "arguments",
    [("--trust-config", "x"), ("--identity-token", "x"), ("--oauth",), ("--sigstore", "--key", "x")],
)
def test_options_that_do_not_go_together_are_refused(arguments: tuple[str, ...]) -> None:
    assert isinstance(called(*arguments).exception, UsageError)
