"""A history as they are found: signatures of everybody's tools over objects that no textbook has.

Beside us an oracle that shares no code with us takes every object apart as git does (gpg-interface.c, commit.c, tag.c)
and asks ssh-keygen and openssl whether its signature holds. What each line of `examine --jsonl` says has to be that.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests import der
from tests.compat.conftest import SCRIPTS
from tests.foreignsigned import FOLDER, Authority, Key, Signed, armoured, ec_key, rsa_key
from tests.peers import peer

NOW = datetime(2026, 7, 10, 12, tzinfo=UTC)
WHEN = int(NOW.timestamp())
TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
AUTHOR = f"Ada Example <ada@example.com> {WHEN} +0100".encode()
CA = Authority()
MAIL = x509.RFC822Name("ada@example.com")
Signer = Callable[[bytes], bytes]


def environ(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "NOTME_HOME": str(home)}


def examine(repo: Path, home: Path) -> subprocess.CompletedProcess[bytes]:
    command = (SCRIPTS / "notme-attest", "examine", "--all", "--jsonl", "--repo", repo)
    return subprocess.run(command, capture_output=True, env=environ(home), check=False)


def fulcio(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    provider = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
    return builder.add_extension(x509.UnrecognizedExtension(provider, b"https://accounts.example.com"), critical=False)


def gitsign(*others: bytes) -> Signer:
    """Ten minutes, from after the commit's own date on."""
    key, begin, life = ec_key(), NOW + timedelta(seconds=8), timedelta(minutes=10)
    leaf = CA.issue(key, at=begin, life=life, purposes=(ExtendedKeyUsageOID.CODE_SIGNING,), edit=fulcio)
    entry = der.attribute("1.3.6.1.4.1.57264.3.1", der.octets(b"an entry of a log"))
    return lambda content: Signed(key, leaf, content, others=others, unsigned=(entry,), at=begin).armour()


@dataclass
class Wild:
    """A repository that grows by one object at a time, whatever git would say of it."""

    path: Path
    home: Path
    names: dict[str, str] = field(default_factory=dict)
    last: str = ""

    def git(self, *arguments: str, given: bytes = b"") -> bytes:
        command = ("git", "-C", str(self.path), *arguments)
        return subprocess.run(command, input=given, capture_output=True, env=environ(self.home), check=True).stdout

    def put(self, name: str, kind: str, raw: bytes) -> None:
        written = self.git("hash-object", "-t", kind, "-w", "--stdin", "--literally", given=raw).decode().strip()
        self.git("update-ref", f"refs/{kind}s/{name}", written)
        self.names[written] = name
        self.last = written if kind == "commit" else self.last

    def commit(
        self,
        name: str,
        signer: Signer | None,
        *,
        author: bytes = AUTHOR,
        headers: bytes = b"",
        after: bytes = b"",
        message: bytes = b"subject\n\nbody\n",
        change: Callable[[bytes], bytes] = bytes,
    ) -> None:
        parent = f"parent {self.last}\n".encode() if self.last else b""
        head = f"tree {TREE}\n".encode() + parent + b"author " + author + b"\ncommitter " + AUTHOR + b"\n" + headers
        made = signer(head + after + b"\n" + message) if signer is not None else b""
        folded = b"gpgsig " + made.removesuffix(b"\n").replace(b"\n", b"\n ") + b"\n" if made else b""
        self.put(name, "commit", change(head + folded + after + b"\n" + message))

    def tag(self, name: str, signer: Signer, *, message: bytes = b"v1\n", after: bytes = b"") -> None:
        payload = f"object {self.last}\ntype commit\ntag {name}\n".encode() + b"tagger " + AUTHOR + b"\n\n" + message
        self.put(name, "tag", payload + signer(payload) + after)

    def ssh(self, *arguments: str, namespace: str = "git", width: int = 70) -> Signer:
        """A signer whose key ssh-keygen makes."""
        keygen, key = peer("ssh-keygen"), self.home / f"key{''.join(arguments)}"
        if not key.exists():
            subprocess.run([keygen, "-q", "-N", "", "-f", key, *arguments], check=True)

        def sign(content: bytes) -> bytes:
            command = (keygen, "-q", "-Y", "sign", "-n", namespace, "-f", key)
            made = subprocess.run(command, input=content, capture_output=True, check=True).stdout
            packed = b"".join(made.splitlines()[1:-1])
            lines = [packed[i : i + width] for i in range(0, len(packed), width)]
            return b"\n".join([made.splitlines()[0], *lines, made.splitlines()[-1], b""])

        return sign

    def openssl(self, key: Key, *arguments: str) -> Signer:
        """A signer in CMS as openssl writes it, with the certificate of its CA."""
        pem, other = self.home / "signer.pem", self.home / "ca.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        leaf = CA.issue(key, names=(MAIL, x509.RFC822Name("lady@example.com"))).public_bytes(Encoding.PEM)
        pem.write_bytes(private + leaf)
        other.write_bytes(CA.certificate.public_bytes(Encoding.PEM))

        def sign(content: bytes) -> bytes:
            command = (
                str(peer("openssl")),
                "cms",
                "-sign",
                "-binary",
                "-outform",
                "DER",
                "-signer",
                str(pem),
                *arguments,
            )
            return armoured(subprocess.run(command, input=content, capture_output=True, check=True).stdout)

        return sign


def build(wild: Wild) -> None:
    ssh, cms = wild.ssh("-t", "ed25519"), gitsign()
    for kind in (("-t", "ecdsa", "-b", "384"), ("-t", "rsa", "-b", "2048")):
        wild.commit("ssh" + "".join(kind), wild.ssh(*kind))
    wild.commit("ssh-file", wild.ssh("-t", "ed25519", namespace="file"))
    for width in (64, 76, 10000):
        wild.commit(f"ssh-{width}", wild.ssh("-t", "ed25519", width=width))
    wild.commit("gitsign-chain", gitsign(CA.certificate.public_bytes(Encoding.DER)))
    for name, arguments in {
        "openssl": ("-certfile", str(wild.home / "ca.pem")),
        "openssl-keyid": ("-keyid",),
        "openssl-pss": ("-keyopt", "rsa_padding_mode:pss"),
        "openssl-bare": ("-noattr", "-md", "sha512"),
    }.items():
        wild.commit(name, wild.openssl(rsa_key(), *arguments))
    wild.tag("openssl-tag", wild.openssl(rsa_key()))
    zone = AUTHOR.replace(b"+0100", b"+051800")
    for name, signer in {"ssh": ssh, "cms": cms}.items():
        wild.commit(f"{name}-plain", signer)
        wild.commit(f"{name}-tampered", signer, change=lambda raw: raw.replace(b"body", b"b0dy"))
        wild.commit(f"{name}-latin1", signer, message=b"caf\xe9\n", headers=b"encoding ISO-8859-1\n")
        wild.commit(f"{name}-undeclared", signer, message=b"caf\xe9\n")
        wild.commit(f"{name}-klingon", signer, headers=b"encoding x-klingon\n")
        wild.commit(f"{name}-zone", signer, author=zone)
        wild.commit(f"{name}-nameless", signer, author=b"<> 5 +0000")
        wild.commit(f"{name}-nul", signer, message=b"one\0two\n")
        wild.commit(f"{name}-hg", signer, headers=b"HG:extra rebase_source:12\n")
        wild.commit(f"{name}-early", signer, after=b"encoding UTF-8\n")
        wild.commit(f"{name}-evil", signer, change=lambda raw: raw.replace(b"gpgsig ", b"gpgsig-evil x\ngpgsig ", 1))
        wild.commit(f"{name}-trailing", signer, change=lambda raw: raw.replace(b"-----\n\n", b"-----\n more\n\n", 1))
        wild.commit(f"{name}-blank", signer, change=lambda raw: raw.replace(b"-----\n\n", b"-----\n \n\n", 1))
        wild.commit(f"{name}-bare", signer, message=b"", change=lambda raw: raw.removesuffix(b"\n"))
        wild.tag(f"{name}-tag", signer)
        wild.tag(f"{name}-tag-after", signer, after=b"after\n")
        wild.tag(f"{name}-tag-quotes", signer, message=b"v1\n\n-----BEGIN PGP SIGNATURE-----\nx\n")
    pgp = b"-----BEGIN PGP SIGNATURE-----\n\nabcd\n-----END PGP SIGNATURE-----\n"
    wild.commit("web-flow", lambda _: pgp + b"\n")
    wild.commit("web-flow-undeclared", lambda _: pgp + b"\n", message=b"caf\xe9\n")
    wild.commit("pgp-crlf", lambda _: pgp.replace(b"\n", b"\r\n"))
    wild.commit("minisign", lambda _: b"untrusted comment: x\nRWQ=\n")
    wild.commit("unsigned", None, message=b"caf\xe9\n")
    for file in sorted(FOLDER.glob("*.commit")):
        wild.put(file.stem, "commit", re.sub(rb"\nparent [0-9a-f]+", b"", file.read_bytes()))


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Wild:
    folder = tmp_path_factory.mktemp("wild")
    (folder / "home").mkdir()
    made = Wild(folder / "wild.git", folder / "home")
    subprocess.run(["git", "init", "-q", "--bare", made.path], env=environ(made.home), check=True)
    made.git("hash-object", "-t", "tree", "-w", "--stdin")
    build(made)
    return made


@pytest.fixture(scope="module")
def lines(wild: Wild) -> dict[str, dict[str, Any]]:
    """By name, what is said of each object."""
    done = examine(wild.path, wild.home)
    assert (done.returncode, done.stderr) == (0, b"")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(wild.names)
    assert {len(line) for line in found} == {len(found[0])}
    return {wild.names[line["commit"]]: line for line in found}


BEGINS = {
    b"-----BEGIN PGP SIGNATURE-----": "openpgp",
    b"-----BEGIN SSH SIGNATURE-----": "ssh",
    b"-----BEGIN SIGNED MESSAGE-----": "x509",
}


def taken_apart(raw: bytes) -> tuple[bytes, bytes]:
    """Payload and signature: `parse_buffer_signed_by_header` of commit.c, `parse_signature` of tag.c."""
    if raw.startswith(b"object "):
        starts = [found.start() for found in re.finditer(rb"^-----BEGIN [A-Z ]+-----", raw, re.MULTILINE)]
        return raw[: starts[-1]], raw[starts[-1] :]
    head, blank, message = raw.partition(b"\n\n")
    payload, signature, inside = b"", b"", ""
    for line in head.removesuffix(b"\n").split(b"\n"):
        if not line.startswith(b" "):
            inside = "signature" if line.startswith(b"gpgsig ") else "other" if line.startswith(b"gpgsig") else ""
            line = line.removeprefix(b"gpgsig") if inside else line
        if inside == "signature":
            signature += line[1:] + b"\n"
        elif not inside:
            payload += line + b"\n"
    return payload + blank[1:] + message, signature


def judged(wild: Wild, payload: bytes, signature: bytes, named: str | None) -> bool | None:
    """By ssh-keygen or openssl, whoever the signer is."""
    made, content = wild.home / "made", wild.home / "content"
    content.write_bytes(payload)
    if named == "ssh":
        made.write_bytes(signature)
        command: tuple[str | Path, ...] = (peer("ssh-keygen"), "-Y", "check-novalidate", "-n", "git", "-s", made)
        return subprocess.run(command, input=payload, capture_output=True, check=False).returncode == 0
    if named == "x509":
        made.write_bytes(inside(signature))
        command = (peer("openssl"), "cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-in", made)
        return (
            subprocess.run(
                (*command, "-content", content, "-out", "/dev/null"), capture_output=True, check=False
            ).returncode
            == 0
        )
    return None


def inside(signature: bytes) -> bytes:
    return base64.b64decode(signature.partition(b"-----\n")[2].partition(b"-----END")[0])


def test_format_integrity_and_date_are_what_the_oracle_says(wild: Wild, lines: dict[str, dict[str, Any]]) -> None:
    said, expected = {}, {}
    for oid, name in wild.names.items():
        kind = wild.git("cat-file", "-t", oid).decode().strip()
        raw = wild.git("cat-file", kind, oid)
        payload, signature = taken_apart(raw)
        named = next((form for begin, form in BEGINS.items() if signature.startswith(begin)), None)
        named = named or ("unknown" if signature else None)
        date = re.search(rb"^(?:committer|tagger) .*> (\d+)", raw, re.MULTILINE)
        assert date is not None
        expected[name] = (named, judged(wild, payload, signature, named), int(date[1]))
        line = lines[name]
        when = int(datetime.fromisoformat(line["committer_date"]).timestamp())
        said[name] = (line["format"], line["integrity"], when)
    assert said == expected
    assert {integrity for _, integrity, _ in said.values()} == {True, False, None}


def test_the_certificate_is_the_one_that_the_library_reads(wild: Wild, lines: dict[str, dict[str, Any]]) -> None:
    seen = 0
    for oid, name in wild.names.items():
        line = lines[name]
        if line["format"] != "x509" or name == "openssl-keyid":
            continue  # PKCS #7, which openssl lists certificates of, knows no signer by his key
        kind = "tag" if "tag" in name else "commit"
        made = inside(taken_apart(wild.git("cat-file", kind, oid))[1])
        printing = (peer("openssl"), "pkcs7", "-inform", "DER", "-print_certs")
        printed = subprocess.run(printing, input=made, capture_output=True, check=True).stdout
        [leaf] = [
            c for c in x509.load_pem_x509_certificates(printed) if c.fingerprint(SHA256()).hex() == line["leaf_sha256"]
        ]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert line["serial"] == f"{leaf.serial_number:x}"
        assert (line["issuer"], line["subject"]) == (leaf.issuer.rfc4514_string(), leaf.subject.rfc4514_string())
        assert line["subject_alternative_names"] == [str(entry.value) for entry in names]
        assert datetime.fromisoformat(line["not_before"]) == leaf.not_valid_before_utc
        assert datetime.fromisoformat(line["not_after"]) == leaf.not_valid_after_utc
        assert (line["signing_time"] is None) == (name == "openssl-bare")
        seen += 1
    assert seen > 15


def test_a_ref_to_nothing_is_a_fault_of_the_repository(wild: Wild, tmp_path: Path) -> None:
    copy = tmp_path / "copy.git"
    wild.git("clone", "-q", "--bare", str(wild.path), str(copy))
    (copy / "refs" / "heads").mkdir(parents=True, exist_ok=True)
    (copy / "refs" / "heads" / "gone").write_text("1" * 40 + "\n")
    done = examine(copy, wild.home)
    assert done.returncode == 2
    assert b"git fsck" in done.stderr
