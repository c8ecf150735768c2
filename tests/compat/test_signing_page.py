"""docs/signing.md as a user follows it: openssl and OpenSSH's agent sign, in a repository that an agent signs in."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.compat.attested import blocks
from tests.compat.conftest import Sandbox, copy, stop_daemons
from tests.peers import ROOT, peer
from tests.sockets import short_folder

PAGE = blocks(ROOT / "docs" / "signing.md")


@pytest.fixture(scope="module")
def desk(template: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A signed commit, and keys under the names of the page."""
    openssl = peer("openssl")
    sandbox = copy(template, tmp_path_factory.mktemp("signing") / "machine")
    sandbox.commit("one")
    for name, kind in {"one": "ed25519", "two": "ed25519", "elsewhere": "ed25519"}.items():
        sandbox.run(openssl, "genpkey", "-algorithm", kind, "-out", f"{name}.pem")
        (sandbox.repo / f"{name}.pem").chmod(0o600)
        sandbox.run(openssl, "pkey", "-in", f"{name}.pem", "-pubout", "-out", f"{name}.pub")
    yield sandbox
    stop_daemons(sandbox.root)


@pytest.fixture
def agent(desk: Sandbox) -> Iterator[Path]:
    """OpenSSH's agent with the user's key, and one that is not for this."""
    keygen, folder = peer("ssh-keygen"), Path(desk.environ["HOME"]) / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    for kind in ("ed25519", "rsa"):
        desk.run(keygen, "-q", "-t", kind, "-N", "", "-f", folder / f"id_{kind}")
    with short_folder() as place:
        socket = place / "agent"
        command: list[str | Path] = [keygen.with_name("ssh-agent"), "-D", "-a", socket]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
            while not socket.exists():
                assert running.poll() is None
            add = (keygen.with_name("ssh-add"), "-q", folder / "id_ed25519", folder / "id_rsa")
            desk.run(*add, environ={"SSH_AUTH_SOCK": str(socket)})
            yield socket
            running.terminate()


def follow(desk: Sandbox, name: str, **environ: str) -> str:
    return desk.run(peer("bash"), "-euc", PAGE[name], environ=environ).out.decode()


def test_every_block_of_the_page_is_run_here() -> None:
    assert list(PAGE) == ["agent", "elsewhere", "several"]


def test_an_ssh_agent_signs_as_the_page_has_it(desk: Sandbox, agent: Path) -> None:
    assert ": ACCEPTED" in follow(desk, "agent", SSH_AUTH_SOCK=str(agent))


def test_a_key_elsewhere_signs_as_the_page_has_it(desk: Sandbox) -> None:
    assert ": ACCEPTED" in follow(desk, "elsewhere")


def test_several_sign_as_the_page_has_it(desk: Sandbox) -> None:
    assert ": ACCEPTED" in follow(desk, "several")
    keys = ("--attester-key", "one.pub", "--attester-key", "elsewhere.pub", "--threshold", "2")
    done = desk.notme("verify-attestation", "review.json", "--subject", "HEAD", *keys, status=1)
    assert "only 1 of 2 different attesters" in done.text
