from __future__ import annotations

from pathlib import Path

import pytest

from attest.errors import UsageError
from attest.profile import Profile
from notme_git import acting, setup, shimfile, wanted

HOME = Path("/home of/notme")
IDENTITY = ("Claude Code", "claude-code@authority.invalid")
SIGNS = {"commit.gpgsign": "true", "tag.gpgsign": "true"}
WHO = {
    "author.name": IDENTITY[0],
    "author.email": IDENTITY[1],
    "committer.name": IDENTITY[0],
    "committer.email": IDENTITY[1],
}


def program(name: str) -> str:
    return f"{HOME}/bin/{name}"


@pytest.mark.parametrize(
    ("form", "programs"),
    [
        ("x509", {"gpg.x509.program": program("notme-x509")}),
        ("ssh", {"gpg.ssh.program": program("notme-ssh"), "gpg.x509.program": program("notme-x509")}),
        ("openpgp", {"gpg.program": program("notme-openpgp"), "gpg.x509.program": program("notme-x509")}),
    ],
)
def test_an_agent_signs_in_the_format_and_what_it_signed_in_cms_is_verified(
    form: str, programs: dict[str, str]
) -> None:
    values = wanted.for_agent(HOME, "claude-code", IDENTITY, form=form)
    key = {"user.signingkey": "notme:claude-code", "gpg.format": form}
    assert values == programs | SIGNS | WHO | key


def test_a_key_may_be_a_file() -> None:
    values = wanted.for_agent(HOME, "claude-code", IDENTITY, form="ssh", key="/k.pub")
    assert values["user.signingkey"] == "/k.pub"


def test_the_humans_own_identity_is_left_alone() -> None:
    assert not {"user.name", "user.email"} & set(wanted.for_agent(HOME, "a", IDENTITY))


@pytest.mark.parametrize("form", wanted.FORMATS)
def test_whoever_calls_keeps_key_format_and_identity(form: str) -> None:
    values = wanted.for_whoever_calls(HOME, form)
    assert values.pop(wanted.AUTO) == "true"
    assert values.pop("commit.gpgsign") == "1"  # not what a human writes
    assert values.pop(wanted.PROGRAMS[form]) == program(f"notme-auto-{form}")
    assert values == ({} if form == "x509" else {"gpg.x509.program": program("notme-x509")})


@pytest.mark.parametrize("profile", wanted.PROFILES)
@pytest.mark.parametrize("agent", ["claude-code", "a", "größe"])
def test_a_keys_name_is_taken_apart_as_it_was_put_together(agent: str, profile: str) -> None:
    assert acting.parse_key(wanted.key_name(agent, profile)) == (agent, Profile(profile))


@pytest.mark.parametrize("agent", ["", "a:b", ":", "a\nb", "\x1b[1m", "a\u202eb"])
def test_what_is_no_agents_name_has_no_key(agent: str) -> None:
    with pytest.raises(UsageError, match="no agent's name"):
        wanted.key_name(agent, "notme")


@pytest.mark.parametrize("profile", ["", "signet", "NOTME"])
def test_a_profile_that_signs_nothing_has_no_key(profile: str) -> None:
    with pytest.raises(UsageError, match="no profile") as caught:
        wanted.key_name("a", profile)
    assert "notme, interop" in caught.value.hint


def test_setup_knows_every_key_that_is_wanted_and_undo_takes_it_back() -> None:
    everything = {key for form in wanted.FORMATS for key in wanted.for_agent(HOME, "a", IDENTITY, form=form)}
    everything |= {key for form in wanted.FORMATS for key in wanted.for_whoever_calls(HOME, form)}
    assert everything | {wanted.HUMAN_SIGNS, *wanted.PREVIOUS.values()} <= set(setup.KEYS)


def test_every_program_is_one_that_is_installed_and_has_a_place_to_be_remembered() -> None:
    assert set(wanted.PROGRAMS) == set(wanted.FORMATS)
    assert set(wanted.PREVIOUS) == set(wanted.PROGRAMS.values())
    for form in wanted.FORMATS:
        either = (wanted.for_agent(HOME, "a", IDENTITY, form=form),
                  wanted.for_whoever_calls(HOME, form))  # fmt: skip
        for values in either:
            names = {Path(value).name for key, value in values.items() if key in wanted.PREVIOUS}
            assert names
            assert names <= set(shimfile.NAMES)
