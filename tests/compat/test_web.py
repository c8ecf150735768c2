"""The pages in a real browser: headless Chromium, with a virtual authenticator for the passkeys.

The server's clock is the world's, which stands still. What a page must not do (load from elsewhere, run a script in
itself, overflow a phone) is asked of the browser, too.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from notme_git.authority.settings import Limits, Rate, Settings
from notme_git.remote import login
from tests.peers import peer
from tests.served import Served, served
from tests.world import World

FREE = Limits(passkey=Rate(0, 0), code=Rate(0, 0))
SECONDS = 20
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
CHALLENGE = "A" * 43


class Browser:
    """Chromium with a profile of its own and one passkey device, looking at one server."""

    def __init__(self, driver: Any, server: Served) -> None:
        self.driver, self.server = driver, server
        driver.execute_cdp_cmd("WebAuthn.enable", {})
        driver.execute_cdp_cmd("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})

    def open(self, path: str) -> None:
        """Go to a page of the server, or to a whole address."""
        self.driver.get(path if "://" in path else self.server.url + path)

    def fill(self, **fields: str) -> None:
        """Type into fields by their names."""
        for name, text in fields.items():
            self.find(f'[name="{name}"]').send_keys(text)

    def press(self, text: str) -> None:
        """Press the button with that text."""
        self.driver.find_element("xpath", f"//main//button[normalize-space()='{text}']").click()

    def find(self, css: str) -> Any:
        """The one element."""
        return self.driver.find_element("css selector", css)

    def texts(self, css: str) -> list[str]:
        """What the elements say."""
        return [each.text for each in self.driver.find_elements("css selector", css)]

    def at(self, path: str) -> None:
        """Wait for a page."""
        self.until(lambda: urlsplit(self.driver.current_url).path == path, f"page {path}")

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for something; what the page says is the failure's text."""
        try:
            WebDriverWait(self.driver, SECONDS, poll_frequency=0.05, ignored_exceptions=(Exception,)).until(
                lambda _: condition()
            )
        except Exception:
            pytest.fail(f"no {what}: {self.driver.current_url}: {self.find('body').text[:800]}")

    def complaints(self) -> list[str]:
        """What the browser has to complain of, since the last call."""
        return [each["message"] for each in self.driver.get_log("browser")]


@contextmanager
def chromium(profile: Path, server: Served) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(peer("chromium"))
    for argument in (*QUIET, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=Service(str(peer("chromedriver"))))
    try:
        yield Browser(driver, server)
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    peer("chromium")
    with served(World(tmp_path_factory.mktemp("world")), Settings(limits=FREE)) as running:
        yield running


@pytest.fixture(scope="module")
def alice(server: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The first administrator, by the operator's code."""
    with chromium(tmp_path_factory.mktemp("alice"), server) as browser:
        browser.open("/")
        browser.driver.find_element("link text", "Set it up").click()
        browser.fill(bootstrapCode=server.code(), display="Alice Example", email="alice@example.org")
        browser.press("Register a passkey")
        browser.at("/me")
        yield browser


@pytest.fixture(scope="module")
def bob(server: Served, alice: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Joins by an invite of Alice's, in another browser."""
    alice.open("/admin")
    alice.press("Make an invite")
    alice.at("/invites")
    link = alice.find("#url").get_attribute("value")
    with chromium(tmp_path_factory.mktemp("bob"), server) as browser:
        browser.open(link)
        browser.fill(display="Bob <script>", email="bob@example.org")
        browser.press("Join")
        browser.until(lambda: browser.texts("h1") == ["That did not work"], "refusal of a name with brackets")
        browser.open(link)
        browser.fill(display="Bob & Söhne", email="bob@example.org")
        browser.press("Join")
        browser.at("/passkey")
        browser.press("Register a passkey")
        browser.at("/me")
        yield browser


def test_a_passkey_registered_here_signs_in_again(alice: Browser) -> None:
    alice.open("/me")
    alice.driver.find_element("xpath", "//button[normalize-space()='Sign out']").click()
    alice.at("/")
    alice.open("/me")
    alice.at("/login")
    alice.press("Sign in with a passkey")
    alice.at("/me")
    assert "Alice Example <alice@example.org>" in alice.find("main").text


def test_an_agent_is_granted_seen_at_work_and_revoked(alice: Browser, server: Served) -> None:
    alice.open("/me")
    alice.fill(agent="claude-code")
    alice.press("Grant")
    alice.until(lambda: alice.texts("#grants h3") == ["claude-code"], "grant")
    cookie = alice.driver.get_cookie("notme_session")["value"]
    assert server.cert({"type": "session"}, cookie=cookie, agent="claude-code").status == 200
    alice.driver.refresh()
    assert "claude-code" in alice.texts("#live + .rows h3")
    alice.find("#grants button").click()
    alice.until(lambda: alice.texts("#grants .ended h3") == ["claude-code"], "revocation")
    assert server.cert({"type": "session"}, cookie=cookie, agent="claude-code").status == 403


def test_who_is_invited_joins_in_another_browser_and_lets_an_agent_act(bob: Browser, alice: Browser) -> None:
    bob.open("/me")
    bob.fill(agent="codex")
    bob.press("Grant")
    bob.until(lambda: bob.texts("#grants h3") == ["codex"], "grant")
    assert bob.texts("nav a") == ["Agents", "Account"]
    bob.open("/admin")
    assert bob.texts("h1") == ["That did not work"]
    alice.open("/admin")
    assert alice.texts("#people + .rows h3")[1] == "Bob & Söhne"


def test_a_further_passkey_of_the_same_device_is_refused_in_words(alice: Browser) -> None:
    alice.open("/passkey")
    alice.press("Register a passkey")
    alice.until(lambda: "has a passkey for this account already" in alice.find("[role=status]").text, "refusal")


def test_an_administrator_rotates_the_key(alice: Browser, server: Served) -> None:
    before = server.within(lambda desk: desk.authority.epoch.number)
    alice.open("/admin")
    alice.driver.find_element("xpath", "//summary[normalize-space()='Rotate now']").click()
    alice.press("Rotate the key")
    alice.until(lambda: alice.texts("#keys + .rows h3")[:1] == [f"Epoch {before + 1}"], "next epoch")


def test_a_program_is_allowed_by_a_page_that_goes_back_to_its_listener(alice: Browser, server: Served) -> None:
    """The program is `notme-git login` itself, as far as it has to do with the browser."""
    attempt, pages = login.Attempt(server.url, ("a", "b"), "laptop <b>"), queue.Queue[str]()
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(login.through_browser, attempt, pages.put, SECONDS)
        alice.open(pages.get(timeout=SECONDS))
        assert alice.texts("h1") == ["laptop <b> asks to act for you"]
        alice.press("Allow")
        sent = {"code": code.result(SECONDS), "verifier": attempt.verifier}
    assert alice.texts("h1") == ["You are signed in"]
    assert [each["agent"] for each in server.request("POST", "/login/redeem", sent).json["agents"]] == ["a", "b"]


def test_a_session_of_another_browser_is_ended_from_this_one(bob: Browser) -> None:
    bob.open("/account")
    assert bob.texts("#sessions + .rows h3")[0].startswith("Chromium on Linux")
    many = len(bob.texts("#sessions + .rows li"))
    bob.find("#sessions + .rows li:first-child button").click()
    bob.until(lambda: len(bob.texts("#sessions + .rows li")) == many - 1, "end of a session")


def test_what_a_page_may_not_do_the_browser_refuses(alice: Browser) -> None:
    alice.open("/me")
    alice.complaints()
    ran = alice.driver.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.ran = true';"
        "document.body.append(s); return window.ran === true"
    )
    assert not ran
    assert any("Content Security Policy" in each for each in alice.complaints())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1100])
def test_every_page_fits_can_be_read_and_has_nothing_to_complain_of(alice: Browser, width: int, scheme: str) -> None:
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    alice.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    alice.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    alice.complaints()
    program = f"/login/program?{urlencode({'challenge': CHALLENGE, 'agents': 'a', 'label': 'laptop'})}"
    for path in ("/", "/login", "/me", "/account", "/admin", "/passkey", "/join?t=over", program):
        alice.open(path)
        assert alice.driver.execute_script("return document.documentElement.scrollWidth") <= width, path
        assert alice.driver.execute_script(UNLABELLED) == [], path
        assert alice.driver.execute_script(CONTRAST) >= 4.5, path
        assert len(alice.texts("h1")) == 1, path
    assert alice.complaints() == []


UNLABELLED = """
return [...document.querySelectorAll('input:not([type=hidden]), select, textarea, button, a')].filter(
  (each) => !(each.labels?.length || each.textContent.trim() || each.ariaLabel)).map((each) => each.outerHTML)
"""
CONTRAST = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = (text) => { const [r, g, b] = parse(text).map((v) => { v /= 255;
  return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const behind = (each) => { for (; each; each = each.parentElement) {
  const color = getComputedStyle(each).backgroundColor; if (parse(color)[3] !== 0) return color; } };
return Math.min(...[...document.querySelectorAll('main *, header *')].filter(
  (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) && each.offsetParent
).map((each) => { const pair = [light(getComputedStyle(each).color), light(behind(each))].sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05); }));
"""
