"""Who signs statements, as options and command line have it: never anybody by default."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from attest import attester_options
from attest.attester import Attester, KeyAttester, uri_of
from attest.attester_options import Named, chosen
from attest.attester_options import attester_options as options
from attest.errors import Error, UnavailableError, UsageError
from attest.keys import PublicKey
from attest.sshagent import AgentKey
from attest.sshwire import ed25519_key, line
from tests.forge import NOW
from tests.test_attester import key
from tests.test_sshagent import BLOB, PUBLIC, RSA, agent, holding


class OfHome:
    """What a command line brings."""

    id = "wimse://home/verifier"
    public: PublicKey | None = None

    def __init__(self, at: datetime) -> None:
        self.at = at

    def sign(self, payload: bytes, at: datetime) -> bytes:
        """Nothing here signs."""
        raise NotImplementedError


def choose(*words: str, brings: bool = False) -> Attester:
    """What a command of a group chooses that got these words."""
    found: list[Attester | Error] = []

    @click.group()
    @click.pass_context
    def group(context: click.Context) -> None:
        if brings:
            attester_options.bring(context, OfHome)

    @group.command()
    @options
    def command(signer: Named) -> None:
        try:
            found.append(chosen(signer, NOW))
        except Error as error:
            found.append(error)

    done = CliRunner().invoke(group, ["command", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (one,) = found
    if isinstance(one, Error):
        raise one
    return one


@pytest.fixture
def pem(tmp_path: Path) -> str:
    """The path of a key."""
    key(tmp_path)
    return str(tmp_path / "key.pem")


def test_a_key_is_called_by_its_digest_or_as_one_says(pem: str, tmp_path: Path) -> None:
    public = key(tmp_path).public
    assert choose("--key", pem).id == uri_of(public)
    named = choose("--key", pem, "--id", "https://ci.example/verifier")
    assert (named.id, named.public) == ("https://ci.example/verifier", public)


def test_without_a_key_nobody_signs_and_the_way_to_one_is_shown() -> None:
    with pytest.raises(UsageError, match="nothing is signed") as caught:
        choose()
    assert "openssl genpkey" in (caught.value.hint or "")


def test_the_command_lines_own_attester_signs_where_no_key_is_named(pem: str) -> None:
    brought = choose(brings=True)
    assert isinstance(brought, OfHome)
    assert brought.at == NOW
    assert not isinstance(choose("--key", pem, brings=True), OfHome)


def test_a_key_that_cannot_be_used_is_not_replaced_by_another(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        choose("--key", str(tmp_path / "absent"), brings=True)


@pytest.mark.parametrize("name", ["", "no uri", "HTTPS://x", "https://x y", "https://é", "x:" + "y" * 3000])
def test_what_is_no_uri_is_no_name(pem: str, name: str) -> None:
    with pytest.raises(UsageError, match="no URI"):
        choose("--key", pem, "--id", name)


def test_a_name_without_a_key_is_refused() -> None:
    with pytest.raises(UsageError, match="no key is named"):
        choose("--id", "https://x", brings=True)


def test_a_key_in_an_ssh_agent_signs_and_is_called_by_its_digest_or_as_one_says() -> None:
    with agent(holding(RSA, BLOB)) as path:
        chose = choose("--signer", str(path), brings=True)
        named = choose("--signer", str(path), "--id", "https://ci.example/verifier")
    assert isinstance(chose, KeyAttester)
    assert (chose.id, chose.key) == (uri_of(PUBLIC), AgentKey(path, PUBLIC))
    assert named.id == "https://ci.example/verifier"


def test_of_several_keys_in_an_agent_the_one_signs_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_bytes(line("ssh-ed25519", BLOB, "me@here"))
    other = ed25519_key(b"\x09" * 32)
    with agent(holding(other, BLOB)) as path:
        assert choose("--signer", str(path), "--key", str(tmp_path / "key.pub")).public == PUBLIC
        with pytest.raises(UsageError, match="2 Ed25519 keys: SHA256:") as caught:
            choose("--signer", str(path))
        assert "--key" in (caught.value.hint or "")
    with agent(holding(other)) as path, pytest.raises(UnavailableError, match="does not have the key"):
        choose("--signer", str(path), "--key", str(tmp_path / "key.pub"))


def test_an_agent_without_a_key_for_this_signs_nothing(pem: str) -> None:
    with agent(holding(RSA)) as path, pytest.raises(UnavailableError, match="no Ed25519 key"):
        choose("--signer", str(path), brings=True)
    with agent(holding(BLOB)) as path, pytest.raises(UnavailableError, match="holds no public key"):
        choose("--signer", str(path), "--key", pem)
    with pytest.raises(UnavailableError, match="no ssh-agent answers"):
        choose("--signer", "/nowhere", brings=True)
    with pytest.raises(UsageError, match="without a key"):
        choose("--signer", "/nowhere", "--sigstore")
