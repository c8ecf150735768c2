"""`notme-git login`: through the browser and loopback, or by a code that is copied."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from click.testing import CliRunner, Result

from attest.errors import Error, MalformedError, RefusedError, UnavailableError
from notme_git.authority import sessions
from notme_git.cli import cli
from notme_git.remote import login, place
from notme_git.remote.client import Client
from notme_git.remote.login import Attempt
from tests.elsewhere import Today
from tests.served import Answer, Served, served
from tests.world import AGENT

PATIENCE_S = 10.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(Today(tmp_path)) as made:
        yield made


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query))


def allow(server: Served, page: str, decision: str = "allow") -> Answer:
    """What a person does who is signed in with a passkey: looks at the page, and decides."""
    cookie = {"Cookie": f"{sessions.COOKIE}={server.cookie(server.account())}"}
    path = page.removeprefix(server.url)
    shown = server.request("GET", path, headers={**cookie, "Accept": "text/html"})
    assert (shown.status, AGENT.encode() in shown.body) == (200, True)
    return server.request("POST", "/login/program", {**query(page), "decision": decision}, cookie)


def follow(url: str) -> int:
    """A browser that is sent to `url` on this machine; the status of what it gets."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().status


@dataclass
class Browser:
    """A browser in its own thread that does `act` with the page it is sent to."""

    act: Callable[[str], object]
    thread: threading.Thread | None = None

    def __call__(self, page: str) -> None:
        self.thread = threading.Thread(target=self.act, args=(page,))
        self.thread.start()

    def close(self) -> None:
        """Wait until it has done everything."""
        assert self.thread is not None
        self.thread.join(PATIENCE_S)


def notme(home: Path, *words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, list(words), env={"NOTME_HOME": str(home)}, input=stdin)


def test_a_person_allows_it_in_the_browser(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, statuses = tmp_path / "away", []
    browser = Browser(lambda page: statuses.append(follow(allow(server, page).headers["location"])))
    monkeypatch.setattr(webbrowser, "open", browser)
    done = notme(home, "login", server.url, "--agent", AGENT, "--json")
    browser.close()
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["display"], told["agents"]) == ("Alice Example", [AGENT])
    assert statuses == [200]
    kept = place.read_login(home)
    assert kept is not None
    assert kept.session not in done.output
    assert server.request("GET", "/me", headers={"Cookie": f"{sessions.COOKIE}={kept.session}"}).status == 200


def test_a_code_is_copied_where_no_browser_is_near(server: Served) -> None:
    attempt = Attempt(server.url, (AGENT,), "laptop")
    page = attempt.page()
    assert "port" not in query(page)
    got = allow(server, page)
    code = next(word for word in got.body.decode().replace("<", " ").replace(">", " ").split() if len(word) == 43)
    with contextlib.closing(Client(server.url)) as client:
        who, agents = attempt.redeem(client, code)
        assert (who.email, login.named(agents)) == ("alice@example.org", (AGENT,))
        with pytest.raises(Error, match="invalid or used code"):
            attempt.redeem(client, code)


def test_a_code_is_worth_nothing_to_another_attempt(server: Served) -> None:
    attempt, thief = (Attempt(server.url, (AGENT,), "laptop") for _ in range(2))
    code = query(allow(server, attempt.page(5000)).headers["location"])["code"]
    with contextlib.closing(Client(server.url)) as client, pytest.raises(Error, match="invalid or used code"):
        thief.redeem(client, code)


def test_a_person_who_refuses_is_told_so_here(server: Served) -> None:
    attempt = Attempt(server.url, (AGENT,), "laptop")
    browser = Browser(lambda page: follow(allow(server, page, "refuse").headers["location"]))
    with contextlib.closing(browser), pytest.raises(RefusedError, match="refused in the browser"):
        login.through_browser(attempt, browser, PATIENCE_S)


@pytest.mark.parametrize(
    "forged",
    [
        {"code": "stolen"},
        {"code": "stolen", "state": "x" * 32},
        {"code": "stolen", "state": ""},
        {"error": "access_denied", "state": "ä"},
        {},
    ],
    ids=["no-state", "another-state", "empty-state", "refusal-without-state", "nothing"],
)
def test_what_comes_with_another_state_changes_nothing(forged: Mapping[str, str]) -> None:
    attempt, statuses = Attempt("https://authority.example.com", (), "laptop"), []

    def act(page: str) -> None:
        back = f"http://127.0.0.1:{query(page)['port']}/?"
        statuses.append(follow(back + urlencode(forged)))
        statuses.append(follow(back + urlencode({"code": "right", "state": attempt.state})))

    with contextlib.closing(Browser(act)) as browser:
        assert login.through_browser(attempt, browser, PATIENCE_S) == "right"
    assert statuses == [400, 200]


def test_nobody_who_comes_is_not_waited_for_forever() -> None:
    with pytest.raises(UnavailableError, match="nobody signed in"):
        login.through_browser(Attempt("https://authority.example.com", (), "laptop"), lambda _: None, 0.05)


def test_the_address_shows_neither_verifier_nor_more_of_the_machine_than_its_name() -> None:
    attempt = Attempt("https://authority.example.com", ("a", "b"), login.machine())
    page = attempt.page(4711)
    assert set(query(page)) == {"port", "state", "challenge", "agents", "label"}
    assert attempt.verifier not in page
    assert attempt.verifier not in repr(attempt)


@pytest.mark.parametrize("code", ["", "x" * 300, "ä"])
def test_what_is_no_code_is_not_sent(code: str) -> None:
    with pytest.raises(RefusedError, match="no code"):
        Attempt("http://localhost:1", (), "laptop").redeem(Client("http://localhost:1"), code)


class Says(Client):
    """Answers with what a test chose."""

    def __init__(self, answer: dict[str, object]) -> None:
        super().__init__("http://localhost:1")
        self.answer = answer

    def post(self, *_: object) -> dict[str, object]:
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [{}, {"session": "x"}, {"session": "x", "expires_at": "soon", "display": "", "email": "", "agents": []},
     {"session": "x", "expires_at": 1, "display": "", "email": "", "agents": [7]}],
)  # fmt: skip
def test_an_answer_that_is_no_session_is_an_error(answer: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        Attempt("http://localhost:1", (), "laptop").redeem(Says(answer), "code")


def test_who_signs_out_is_signed_out_there_too(server: Served, tmp_path: Path) -> None:
    home = tmp_path / "away"
    with contextlib.closing(Client(server.url)) as client:
        place.adopt(home, server.url, client)
    value = server.cookie(server.account())
    ends = int(server.world.now.timestamp()) + 3600
    place.write_login(home, place.Login(value, ends, "Alice Example", "alice@example.org"))
    assert notme(home, "logout").output == "signed out\n"
    assert place.read_login(home) is None
    assert server.request("GET", "/me", headers={"Cookie": f"{sessions.COOKIE}={value}"}).status == 302
    assert notme(home, "logout").output == "nobody was signed in\n"


def test_who_signs_out_of_an_authority_that_is_gone_is_warned(tmp_path: Path) -> None:
    home = tmp_path / "away"
    with served(Today(tmp_path)) as server, contextlib.closing(Client(server.url)) as client:
        place.adopt(home, server.url, client)
    place.write_login(home, place.Login("x", 2**31, "Alice", "alice@example.org"))
    done = notme(home, "logout")
    assert done.exit_code == 0
    assert "warning: the session lives on there" in done.output


def test_login_needs_to_know_where(tmp_path: Path) -> None:
    done = notme(tmp_path / "away", "login")
    assert isinstance(done.exception, Error)
    assert "which authority" in done.exception.message
