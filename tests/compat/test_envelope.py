"""Keys elsewhere and several signers, on the command line: openssl signs, OpenSSH's agent signs, openssl verifies."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from attest import dsse, signing_key
from tests.compat import warm
from tests.compat.conftest import SCRIPTS, SECONDS
from tests.peers import peer
from tests.sockets import short_folder
from tests.statements import payload

OID = "ab" * 20
TYPE = "https://example.org/review/v1"
STATEMENT = payload({"gitCommit": OID}, predicateType=TYPE)


@dataclass(frozen=True)
class Desk:
    """A folder with two keys of Ed25519 and one of P-256 in it, and a statement to sign. Nobody is trusted."""

    folder: Path

    def run(self, *words: str | Path, status: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(word) for word in words],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done

    @property
    def environ(self) -> dict[str, str]:
        return {"HOME": str(self.folder), "PATH": os.environ["PATH"], **warm.SAME}

    def notme(self, *words: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = warm.run_text([SCRIPTS / "notme-attest", *words], cwd=self.folder, env=self.environ)
        assert done.returncode == status, done.stderr + done.stdout
        return done

    def openssl(self, *words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        return self.run(peer("openssl"), *words, status=status)

    def signature(self, key: str, ending: str = "pae") -> str:
        """Has openssl sign, and returns the name of the file."""
        self.openssl("pkeyutl", "-sign", "-rawin", "-inkey", f"{key}.pem", "-in", f"s.{ending}", "-out", f"{key}.sig")
        return f"{key}.sig"

    def assemble(self, name: str) -> None:
        """An envelope that `a` signed."""
        given = ("--signature", self.signature("a"), "--public", "a.pub", "-o", name)
        self.notme("envelope", "assemble", "s.json", *given)

    def signatures(self, name: str) -> list[bytes]:
        found = json.loads((self.folder / name).read_bytes())
        return [base64.b64decode(each["sig"]) for each in found["signatures"]]

    def verify(self, name: str, signers: Sequence[str], threshold: int, status: int = 0) -> str:
        named = [word for signer in signers for word in ("--attester-key", f"{signer}.pub")]
        asked = ("--subject", OID, "--type", TYPE, "--threshold", str(threshold))
        return self.notme("verify-attestation", name, *asked, *named, status=status).stdout


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    p256 = ("EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    for name, kind in {"a": ("ed25519",), "b": ("ed25519",), "p": p256}.items():
        made.openssl("genpkey", "-algorithm", *kind, "-out", f"{name}.pem")
        made.openssl("pkey", "-in", f"{name}.pem", "-pubout", "-out", f"{name}.pub")
    (tmp_path / "s.json").write_bytes(STATEMENT)
    (tmp_path / "s.pae").write_bytes(dsse.pae(dsse.PAYLOAD_TYPE, STATEMENT))
    return made


@pytest.fixture
def agent(desk: Desk) -> Iterator[Path]:
    """OpenSSH's agent, with an Ed25519 key (`ssh`) and an RSA key."""
    keygen = peer("ssh-keygen")
    for name, kind in {"ssh": "ed25519", "rsa": "rsa"}.items():
        desk.run(keygen, "-q", "-t", kind, "-N", "", "-f", name)
    with short_folder() as folder:
        socket = folder / "agent"
        command: list[str | Path] = [keygen.with_name("ssh-agent"), "-D", "-a", socket]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
            while not socket.exists():
                assert running.poll() is None
            desk.run(keygen.with_name("ssh-add"), "-q", "ssh", "rsa", SSH_AUTH_SOCK=str(socket))
            yield socket
            running.terminate()


def test_signatures_of_openssl_are_put_in_an_envelope_one_by_one_and_all_count(desk: Desk) -> None:
    given = ("envelope", "assemble", "s.json", "--signature")
    desk.notme(*given, desk.signature("a"), "--public", "a.pub", "-o", "e.json")
    for name, count in (("p", 2), ("b", 3), ("p", 3)):
        said = desk.notme(
            *given, desk.signature(name), "--public", f"{name}.pub", "--add-to", "e.json", "-o", "e.json"
        ).stderr
        assert f"signatures: {count}" in said
        assert f"https://example.org/review/v1 about {OID}" in said
    assert ": ACCEPTED" in desk.verify("e.json", "abp", 3)
    assert "only 2 of 3 different attesters" in desk.verify("e.json", "ab", 3, status=1)
    assert "only 2 of 3 different attesters" in desk.verify("e.json", "aab", 3, status=1)


def test_openssl_verifies_what_is_in_an_envelope(desk: Desk) -> None:
    desk.assemble("a.json")
    desk.notme("envelope", "sign", "a.json", "--key", "b.pem", "-o", "e.json")
    for number, name in enumerate("ab"):
        (desk.folder / "sig").write_bytes(desk.signatures("e.json")[number])
        verify = ("pkeyutl", "-verify", "-rawin", "-pubin", "-sigfile", "sig", "-in", "s.pae", "-inkey")
        desk.openssl(*verify, f"{name}.pub")
        desk.openssl(*verify, "ba"[number] + ".pub", status=1)


def test_a_signature_that_does_not_hold_leaves_no_file(desk: Desk) -> None:
    given = ("envelope", "assemble", "s.json", "-o", "e.json", "--signature", desk.signature("a"), "--public")
    assert "nothing was written" in desk.notme(*given, "b.pub", status=1).stderr
    desk.signature("a", "json")
    assert "not over its DSSE encoding" in desk.notme(*given, "a.pub", status=1).stderr
    assert not (desk.folder / "e.json").exists()


def test_of_one_signature_there_can_be_a_bundle(desk: Desk) -> None:
    named = ("--signature", desk.signature("p"), "--public", "p.pub")
    given = ("envelope", "assemble", "s.json", *named, "--sigstore-bundle")
    desk.notme(*given, "-o", "e.json")
    assert ": ACCEPTED" in desk.verify("e.json", "p", 1)
    assert "REJECTED" in desk.verify("e.json", "a", 1, status=1)
    assert "exclude each other" in desk.notme(*given, "--add-to", "e.json", status=64).stderr


@pytest.mark.parametrize("name", ["a", "p"])
def test_cosign_takes_the_bundle_of_either_kind_of_key_and_no_other(desk: Desk, name: str) -> None:
    cosign = peer("cosign")
    given = ("envelope", "assemble", "s.json", "--signature", desk.signature(name), "--public", f"{name}.pub")
    desk.notme(*given, "--sigstore-bundle", "-o", "e.json")
    about = ("--type", TYPE, "--digestAlg", "gitCommit", "--insecure-ignore-tlog=true")
    verify = (cosign, "verify-blob-attestation", "--bundle", "e.json", *about)
    assert "Verified OK" in desk.run(*verify, "--key", f"{name}.pub", "--digest", OID).stderr
    desk.run(*verify, "--key", "b.pub", "--digest", OID, status=1)
    desk.run(*verify, "--key", f"{name}.pub", "--digest", "cd" * 20, status=1)


def test_what_is_not_signed_by_a_key_is_no_envelope(desk: Desk) -> None:
    (desk.folder / "e.json").write_bytes(b'{"payload":"","payloadType":"x","signatures":[]}')
    assert "a key signs it" in desk.notme("envelope", "sign", "e.json", status=64).stderr
    assert "e.json: " in desk.notme("envelope", "sign", "e.json", "--key", "a.pem", status=2).stderr


def test_openssh_s_agent_signs_beside_a_key_file(desk: Desk, agent: Path) -> None:
    desk.assemble("e.json")
    desk.notme("envelope", "sign", "e.json", "--signer", agent, "--key", "ssh.pub", "-o", "e.json")
    assert ": ACCEPTED" in desk.verify("e.json", ["a", "ssh"], 2)
    (desk.folder / "sig").write_bytes(desk.signatures("e.json")[1])
    (desk.folder / "ssh.der").write_bytes(signing_key.load_public(desk.folder / "ssh.pub").spki)
    verify = ("pkeyutl", "-verify", "-rawin", "-pubin", "-keyform", "DER", "-sigfile", "sig", "-in", "s.pae")
    desk.openssl(*verify, "-inkey", "ssh.der")


def test_an_agent_that_has_locked_its_keys_or_is_gone_signs_nothing(desk: Desk, agent: Path) -> None:
    desk.assemble("e.json")
    desk.run(peer("ssh-keygen").with_name("ssh-add"), "-q", "-D", SSH_AUTH_SOCK=str(agent))
    sign = ("envelope", "sign", "e.json", "--key", "ssh.pub", "-o", "two.json", "--signer")
    assert "does not have the key" in desk.notme(*sign, agent, status=2).stderr
    assert "no ssh-agent answers" in desk.notme(*sign, agent.with_name("gone"), status=2).stderr
    assert not (desk.folder / "two.json").exists()


def test_without_anybody_named_nothing_could_count(desk: Desk) -> None:
    desk.assemble("e.json")
    said = desk.notme("verify-attestation", "e.json", "--subject", OID, status=2).stderr
    assert said.startswith("notme-attest: nobody is named whose attestations would count")
    assert "Warning" not in said
