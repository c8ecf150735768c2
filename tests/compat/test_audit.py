"""Audits of real repositories, and their page in a real browser. git is the peer: it says what there is."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from tests.compat.conftest import AGENT, HUMAN, Sandbox, copy, stop_daemons
from tests.compat.test_web import CONTRAST, QUIET
from tests.peers import peer

MALLORY = "=cmd() &lt;b&gt; x <mallory@example.net>"
MANY = 2000


@pytest.fixture(scope="module")
def team(template: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """`repo` with three signed commits, a signed tag and an unsigned commit on a branch; `other`, cloned from it, has
    one more signed and one unsigned commit."""
    root = tmp_path_factory.mktemp("audit")
    made = copy(template, root / "machine")
    for number in range(3):
        made.commit(f"commit {number}")
    made.git("tag", "-s", "-m", "release", "v1")
    made.git("switch", "-q", "-c", "topic")
    made.unsigned("by hand", who=MALLORY)
    made.git("switch", "-q", "main")
    other = root / "machine" / "other"
    made.git("clone", "-q", "--single-branch", "--no-tags", made.repo, other)
    made.notme("setup", "--agent", AGENT, cwd=other)
    made.commit("elsewhere", cwd=other)
    made.unsigned("by hand", who="Bob <bob@example.org>", cwd=other)
    yield made
    stop_daemons(root)


def audit(team: Sandbox, *arguments: str | Path, **options: Any) -> Any:
    return team.attest("audit", "--json", *arguments, **options).json


def test_figures_are_those_of_git(team: Sandbox) -> None:
    said = audit(team, ".", "../other")
    for each, folder in zip(said["repositories"], (team.repo, team.root / "other"), strict=True):
        # `G` and `U` are git's words for good signatures, which it has from the same signer; `N` for none.
        words = team.git("log", "--branches", "--tags", "--remotes", "--format=%G?", cwd=folder).text.split()
        standings = each["facts"]["standings"]
        tags = each["facts"]["objects"]["tag"]
        assert standings["agent"] - tags == len(words) - words.count("N")
        assert standings["unsigned"] == words.count("N")
        assert each["facts"]["objects"]["commit"] == len(words)
    assert [each["facts"]["objects"]["tag"] for each in said["repositories"]] == [1, 0]
    assert said["total"]["objects"]["total"] == 10
    [pair] = said["total"]["pairs"]
    assert (pair["actor"]["name"], pair["represented"]["name"], pair["count"]) == (AGENT, HUMAN, 8)
    assert said["total"]["assurance"] == {"same-user": 8}
    assert said["total"]["timeVouchers"] == {"authority": 8}
    assert said["repositories"][1]["address"] == str(team.repo)


def test_both_programs_print_the_same_text(team: Sandbox) -> None:
    told = team.attest("audit", ".").text
    assert told == team.notme("audit", ".").text
    assert f"{AGENT} for {HUMAN}" in told
    assert "unsigned                             1  20.0 %" in told


def test_an_address_is_cloned_audited_and_gone(team: Sandbox, tmp_path: Path) -> None:
    [cloned] = audit(team, f"file://{team.repo}", environ={"TMPDIR": str(tmp_path)})["repositories"]
    [read] = audit(team, ".")["repositories"]
    assert cloned["facts"] == read["facts"]
    assert cloned["address"] == f"file://{team.repo}"
    assert list(tmp_path.iterdir()) == []


def test_what_is_attested_at_an_address_comes_along_with_the_clone(sandbox: Sandbox) -> None:
    sandbox.notme("setup", "--agent", AGENT, "--format", "ssh")
    sandbox.commit("in ssh format")
    sandbox.notme("attest", "HEAD")
    elsewhere = {"NOTME_HOME": str(sandbox.root / "elsewhere")}
    anchors = sandbox.root / "anchors.pem"
    anchors.write_bytes(sandbox.notme("trust", "export").out)
    address = f"file://{quote(str(sandbox.repo))}"
    asked = ("audit", "--json", address, "--anchor", anchors, "--require-time", "authority")
    [cloned] = sandbox.attest(*asked, environ=elsewhere).json["repositories"]
    assert cloned["facts"]["timeVouchers"] == {"authority": 1}
    assert cloned["facts"]["standings"]["agent"] == 1
    # Anybody who may push can put anything there: it hides nothing that is signed, and is told.
    blob = sandbox.git("hash-object", "-w", "--stdin", stdin=b"x").text
    sandbox.git("update-ref", "refs/attestations/notme", blob)
    [cloned] = sandbox.attest(*asked, environ=elsewhere, status=2).json["repositories"]
    assert "no commit of attestations" in cloned["error"]["message"]
    assert cloned["facts"]["objects"]["total"] == 1
    assert cloned["facts"]["timeVouchers"] == {}


def test_what_cannot_be_read_hides_no_other_and_no_password_is_printed(team: Sandbox, tmp_path: Path) -> None:
    places = tmp_path / "places.txt"
    address = "https://user:secret@127.0.0.1:9/team/x.git"
    places.write_text(f"# all of ours\n\nnowhere\n{address}\n{team.repo}\n", "utf-8")
    done = team.attest("audit", "--json", "--file", places, status=2)
    names = [each["name"] for each in done.json["repositories"]]
    assert names == ["nowhere", "https://127.0.0.1:9/team/x.git", str(team.repo)]
    assert [each["error"] is None for each in done.json["repositories"]] == [False, False, True]
    assert done.json["total"]["objects"]["total"] == 5
    assert "nowhere: there is no folder" in done.err
    assert "could not be cloned" in done.err
    assert "secret" not in done.err + done.out.decode()


def test_a_history_with_a_hole_is_told_up_to_the_hole(team: Sandbox, tmp_path: Path) -> None:
    holed = tmp_path / "holed"
    team.git("clone", "-q", "--no-local", team.repo, holed)
    pack = next((holed / ".git" / "objects" / "pack").glob("*.pack"))
    loose = tmp_path / "moved.pack"
    pack.rename(loose)
    pack.with_suffix(".idx").unlink()
    team.git("unpack-objects", "-q", cwd=holed, stdin=loose.read_bytes())
    first = team.rev("main~2")
    (holed / ".git" / "objects" / first[:2] / first[2:]).unlink()
    [each] = audit(team, holed, status=2)["repositories"]
    assert "could not walk" in each["error"]["message"]
    assert 0 < each["facts"]["standings"]["agent"] < 4


@pytest.mark.parametrize("ref", ["--output=x", "nothing"])
def test_a_ref_that_is_none_is_said_of_its_repository(team: Sandbox, ref: str) -> None:
    done = team.attest("audit", ".", f"--ref={ref}", status=2)
    assert ref in done.err


def test_one_ref_and_days_limit_what_is_looked_at(team: Sandbox) -> None:
    def total(*arguments: str) -> int:
        return int(audit(team, ".", *arguments)["total"]["objects"]["total"])

    assert total("--ref", "main") == 3
    assert total("--ref", "main", "--ref", "topic") == 4
    assert total("--until", "2020-01-01") == 0
    assert total("--since", "2020-01-01") == 5
    assert total("--since", "2199-01-01") == 0


def test_without_anybody_to_trust_signatures_are_of_strangers(team: Sandbox, tmp_path: Path) -> None:
    said = audit(team, ".", environ={"NOTME_HOME": str(tmp_path / "none")})
    assert (said["trust"], said["total"]["standings"]["stranger"], said["total"]["standings"]["unsigned"]) == ([], 4, 1)
    assert sum(each["count"] for each in said["total"]["unknownSigners"]) == 4


def test_an_empty_repository_and_a_head_on_no_branch_are_no_errors(team: Sandbox, tmp_path: Path) -> None:
    team.git("init", "-q", tmp_path / "empty")
    assert audit(team, tmp_path / "empty")["total"]["objects"]["total"] == 0
    alone = tmp_path / "alone"
    team.git("clone", "-q", "--no-tags", "--single-branch", team.repo, alone)
    for command in (("checkout", "-q", "--detach"), ("branch", "-q", "-D", "main"), ("remote", "remove", "origin")):
        team.git(*command, cwd=alone)
    assert audit(team, alone)["total"]["objects"]["commit"] == 3


def test_statements_and_notes_are_not_taken_for_commits_of_the_history(team: Sandbox, tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    team.git("clone", "-q", "--no-tags", "--single-branch", team.repo, noted)
    team.git("-c", "user.name=n", "-c", "user.email=n@example.org", "notes", "add", "-m", "x", cwd=noted)
    assert audit(team, noted)["total"]["objects"]["total"] == 3


def test_a_table_has_a_line_for_each_object(team: Sandbox) -> None:
    done = team.attest("audit", "--csv", ".")
    read = list(csv.DictReader(io.StringIO(done.out.decode(), newline=""), strict=True))
    ids = team.git("rev-list", "--all").text.split()
    assert {each["object"] for each in read} == {*ids, team.rev("v1")}
    [bare] = [each for each in read if each["standing"] == "unsigned"]
    assert bare["committer"] == f"'{MALLORY}"
    assert {each["represented"] for each in read if each["standing"] == "agent"} == {HUMAN}


def test_a_policy_says_what_its_rules_decided(team: Sandbox, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('version = 1\n[[rules]]\nname = "agents"\nmatch = { classes = ["agent"] }\n', "utf-8")
    said = audit(team, ".", "--policy", policy)
    rules = {(each["rule"], each["outcome"]): each["count"] for each in said["total"]["rulings"]}
    assert rules[("agents", "accepted")] == 4
    assert said["total"]["standings"]["unsigned"] == 1


def test_over_several_processes_the_figures_are_the_same(team: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    team.git("init", "-q", "--bare", folder)
    commits = [
        f"commit refs/heads/main\ncommitter C{n % 7} <c@example.org> {1_700_000_000 + 40_000 * n} +0000\ndata 1\nx\n"
        for n in range(MANY)
    ]
    team.git("fast-import", "--quiet", cwd=folder, stdin="".join(commits).encode())
    one, two = (audit(team, folder, "--jobs", jobs) for jobs in ("1", "2"))
    assert one["total"] == two["total"]
    assert one["total"]["standings"]["unsigned"] == MANY
    assert len(one["total"]["unsignedCommitters"]) == 7


@pytest.fixture(scope="module")
def page(team: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("page") / "audit.html"
    done = team.attest("audit", "--html", written, ".", "../other", "nowhere", status=2)
    assert not done.out
    return written


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(peer("chromium"))
    for argument in (*QUIET, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(peer("chromedriver"))))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_the_page_fits_can_be_read_and_asks_for_nothing(browser: Any, page: Path, width: int, scheme: str) -> None:
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get_log("performance")
    browser.get(page.as_uri())
    for opened in (False, True):
        browser.execute_script(
            f"document.querySelectorAll('details').forEach((each) => each.open = {json.dumps(opened)})"
        )
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert browser.execute_script(CONTRAST) >= 4.5
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert {url.partition(",")[0] for url in asked} <= {page.as_uri(), "data:"}
    assert page.as_uri() in asked
    assert browser.get_log("browser") == []


def test_the_page_says_what_the_audit_found(browser: Any, page: Path) -> None:
    browser.get(page.as_uri())
    said = browser.find_element("css selector", "main").text
    assert "Of 10 objects, 8 (80.0 %) are accepted; 2 (20.0 %) are unsigned, and 0 are signed but rejected." in said
    assert "Of 1 repository not everything could be read" in said
    assert MALLORY in said
    drawn = browser.execute_script(
        "return [...document.querySelectorAll('.strip rect')].map((each) => each.getBoundingClientRect().width)"
    )
    assert drawn[0] == pytest.approx(4 * drawn[1], rel=0.01)
    assert (
        browser.execute_script("return getComputedStyle(document.querySelector('.s-unsigned')).fill") != "rgb(0, 0, 0)"
    )


def test_the_page_lets_no_script_run_that_got_into_it(browser: Any, page: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.html"
    bad = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    changed.write_text(page.read_text("utf-8").replace("<main>", f"<main>{bad}"), "utf-8")
    browser.get(changed.as_uri())
    assert browser.title == "Audit of 3 repositories"
    assert any("Content Security Policy" in each["message"] for each in browser.get_log("browser"))
