"""Other spellings of an agent's signature, and revocation files: nothing that stock tools forgive gets past us."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from attest import asn1, gitobject, sshcert
from attest.profile import CLAIMS
from notme_git import gpg, ssh
from tests.compat.conftest import AGENT, SUMMARY, Sandbox
from tests.peers import peer


@pytest.fixture
def with_ssh(sandbox: Sandbox) -> Sandbox:
    peer("ssh-keygen")
    sandbox.notme("setup", "--agent", AGENT, "--format", "ssh")
    sandbox.commit()
    assert sandbox.shows() == f"G {SUMMARY}"
    return sandbox


def respelled(sandbox: Sandbox, old: bytes, new: bytes) -> str:
    """The commit again, with its signature's armour written otherwise."""
    raw = sandbox.git("cat-file", "commit", "HEAD").out
    assert old in raw
    return sandbox.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw.replace(old, new, 1)).text


BEGIN_SSH = b"-----BEGIN SSH SIGNATURE-----\n "
SSH_SPELLINGS = {
    "blanks up to the size that is read": (BEGIN_SSH, BEGIN_SSH + b" " * 200_000),
    "an empty line": (BEGIN_SSH, BEGIN_SSH + b"\n "),
    "a tab": (BEGIN_SSH, BEGIN_SSH + b"\t"),
    "the text behind the BEGIN line": (BEGIN_SSH, BEGIN_SSH[:-2]),
}


@pytest.mark.parametrize(("old", "new"), SSH_SPELLINGS.values(), ids=SSH_SPELLINGS)
def test_an_ssh_signature_in_another_spelling_is_never_good(with_ssh: Sandbox, old: bytes, new: bytes) -> None:
    changed = respelled(with_ssh, old, new)
    assert not with_ssh.shows(changed).startswith("G")
    with_ssh.git("verify-commit", changed, status=1)
    with_ssh.verdict(changed, status=1)


BEGIN_CMS = b"-----BEGIN SIGNED MESSAGE-----\n "
CMS_SPELLINGS = {
    "a header before it": (BEGIN_CMS, BEGIN_CMS + b"Version: 1\n \n "),
    "an empty line": (BEGIN_CMS, BEGIN_CMS + b"\n "),
    "a sign that is no base64": (BEGIN_CMS, BEGIN_CMS + b"#"),
}


@pytest.mark.parametrize(("old", "new"), CMS_SPELLINGS.values(), ids=CMS_SPELLINGS)
def test_a_cms_signature_in_another_spelling_is_never_good(sandbox: Sandbox, old: bytes, new: bytes) -> None:
    sandbox.commit()
    changed = respelled(sandbox, old, new)
    assert sandbox.shows(changed)[0] in "BE"
    assert "notme-git: " in sandbox.git("verify-commit", changed, status=1).err


@pytest.mark.parametrize("padding", [b"", b"=", b"=="])
@pytest.mark.parametrize("lead", [b"", b"x", b"xy", b"xyz"])
def test_marks_are_found_however_the_text_around_them_shifts(padding: bytes, lead: bytes) -> None:
    text = base64.b64encode(b"0123456789" + gpg.CLAIMS + b"tail").rstrip(b"=")
    armour = BEGIN_CMS + lead + b"\n".join([text[:7], b"", text[7:]]) + padding + b"\n-----END SIGNED MESSAGE-----\n"
    assert gpg.carries_claims(armour)


def test_the_marks_are_those_of_the_formats() -> None:
    assert asn1.encode(CLAIMS) == gpg.CLAIMS
    assert sshcert.CLAIMS.encode() == ssh.CLAIMS
    assert gitobject.loose(b"") == b""


# -- revocation files


def revoking(sandbox: Sandbox, content: bytes) -> str:
    file = sandbox.root / "revoked"
    file.write_bytes(content)
    return sandbox.git("-c", f"gpg.ssh.revocationFile={file}", "log", "-1", "--format=%G?").text


def keys(sandbox: Sandbox) -> dict[str, bytes]:
    """Public key lines: of the authority, and of somebody else."""
    own = sandbox.root / "own"
    sandbox.run(peer("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", own)
    return {"authority": (sandbox.home / "ssh" / f"{AGENT}.pub").read_bytes(), "other": Path(f"{own}.pub").read_bytes()}


def test_a_list_of_keys_is_read_as_stock_ssh_keygen_reads_it(with_ssh: Sandbox) -> None:
    named = keys(with_ssh)
    assert revoking(with_ssh, b"") == "G"
    assert revoking(with_ssh, b"# nobody\n\n" + named["other"]) == "G"
    assert revoking(with_ssh, named["other"] + named["authority"]) == "B"


def test_a_krl_is_read_by_the_real_ssh_keygen(with_ssh: Sandbox) -> None:
    named = keys(with_ssh)
    for which, letter in (("other", "G"), ("authority", "B")):
        (with_ssh.root / "key.pub").write_bytes(named[which])
        krl = with_ssh.root / "krl"
        with_ssh.run(peer("ssh-keygen"), "-q", "-k", "-f", krl, with_ssh.root / "key.pub")
        assert revoking(with_ssh, krl.read_bytes()) == letter
