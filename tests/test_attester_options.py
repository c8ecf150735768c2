"""Who signs statements, as options and command line have it: never anybody by default."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from attest import attester_options
from attest.attester import Attester, uri_of
from attest.attester_options import Named, chosen
from attest.attester_options import attester_options as options
from attest.errors import Error, UnavailableError, UsageError
from attest.keys import PublicKey
from tests.forge import NOW
from tests.test_attester import key


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
