"""CMS signatures that openssl, gpgsm and certtool made, read by us; openssl is the judge beside us."""

from __future__ import annotations

import base64
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import PBES, serialize_key_and_certificates
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest import verify
from attest.errors import Error, MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign import cmsdata, cmstime, smime, vouched
from attest.foreign.roots import NONE, Roots
from attest.gitobject import ObjectFormat, ObjectKind
from attest.trust import Trust
from attest.types import StepStatus
from tests.compat.signed import now, run
from tests.foreignsigned import A_YEAR, CONTENT, Authority, Key, armoured, ec_key, real, rsa_key
from tests.peers import SHARED_VECTORS, peer

NOW = now()
VECTORS = SHARED_VECTORS / "notme"


def usable(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    """gpgsm demands a key usage of a CA."""
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    return builder.add_extension(usage, critical=True)


CA = Authority(begins=NOW - A_YEAR, ends=NOW + A_YEAR, edit=usable)
KEYS: dict[str, Key] = {
    "rsa": rsa_key(),
    "p256": ec_key(),
    "p384": ec_key(ec.SECP384R1),
    "p521": ec_key(ec.SECP521R1),
    "brainpool": ec_key(ec.BrainpoolP256R1),
    "short": rsa_key(1024),
}
SERIAL = 0xA0B1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """content, changed, and for every key its PEM with its certificate."""
    made = tmp_path_factory.mktemp("cms")
    (made / "content").write_bytes(CONTENT)
    (made / "changed").write_bytes(CONTENT + b"x")
    (made / "ca").write_bytes(CA.certificate.public_bytes(Encoding.PEM))
    for name, key in KEYS.items():
        leaf = CA.issue(key, at=NOW - timedelta(days=1), serial=SERIAL)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (made / name).write_bytes(pem + leaf.public_bytes(Encoding.PEM))
    return made


def openssl_cms(folder: Path, key: str, *arguments: str) -> bytes:
    given = ("-sign", "-binary", "-in", "content", "-signer", key, "-outform", "DER", "-out", "made")
    ended = run(peer("openssl"), "cms", *given, *arguments, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return (folder / "made").read_bytes()


def openssl_takes(folder: Path, made: bytes, content: str) -> bool:
    (folder / "judged").write_bytes(made)
    given = ("-verify", "-binary", "-noverify", "-inform", "DER", "-in", "judged", "-content", content)
    return run(peer("openssl"), "cms", *given, "-out", "/dev/null", cwd=folder).returncode == 0


def we_take(folder: Path, made: bytes, content: str) -> bool:
    try:
        smime.read(armoured(made), NONE).verify_content((folder / content).read_bytes())
    except Error:
        return False
    return True


PSS = ("-keyopt", "rsa_padding_mode:pss")


@pytest.mark.parametrize(
    ("key", "arguments"),
    [
        pytest.param("rsa", ("-md", "sha256"), id="RSA with SHA-256"),
        pytest.param("rsa", ("-md", "sha384"), id="RSA with SHA-384"),
        pytest.param("rsa", ("-md", "sha512"), id="RSA with SHA-512"),
        pytest.param("rsa", ("-md", "sha256", *PSS), id="RSA-PSS with SHA-256"),
        pytest.param("rsa", ("-md", "sha512", *PSS, "-keyopt", "rsa_pss_saltlen:20"), id="RSA-PSS, a shorter salt"),
        pytest.param("rsa", ("-md", "sha256", *PSS, "-keyopt", "rsa_mgf1_md:sha512"), id="RSA-PSS, another mask"),
        pytest.param("p256", ("-md", "sha256"), id="P-256 with SHA-256"),
        pytest.param("p256", ("-md", "sha512"), id="P-256 with SHA-512"),
        pytest.param("p384", ("-md", "sha384"), id="P-384 with SHA-384"),
        pytest.param("p521", ("-md", "sha512"), id="P-521 with SHA-512"),
        pytest.param("brainpool", ("-md", "sha256"), id="brainpool P-256 with SHA-256"),
        pytest.param("rsa", ("-noattr",), id="RSA without attributes"),
        pytest.param("p384", ("-noattr", "-md", "sha384"), id="P-384 without attributes"),
        pytest.param("rsa", ("-keyid",), id="named by its key identifier"),
        pytest.param("rsa", ("-certfile", "ca"), id="with the CA"),
        pytest.param("rsa", ("-nosmimecap",), id="without capabilities"),
        pytest.param("p256", ("-cades",), id="CAdES"),
    ],
)
def test_we_and_openssl_agree_on_what_openssl_signed(folder: Path, key: str, arguments: tuple[str, ...]) -> None:
    made = openssl_cms(folder, key, *arguments)
    flipped = made[:-1] + bytes([made[-1] ^ 1])
    for what, content, holds in ((made, "content", True), (made, "changed", False), (flipped, "content", False)):
        assert (we_take(folder, what, content), openssl_takes(folder, what, content)) == (holds, holds)
    signer = smime.read(armoured(made), NONE).signer
    leaf = x509.load_pem_x509_certificate((folder / key).read_bytes().partition(b"-----END PRIVATE KEY-----\n")[2])
    assert signer.leaf_sha256 == leaf.fingerprint(hashes.SHA256()).hex()
    assert (signer.serial, signer.issuer) == (f"{leaf.serial_number:x}", leaf.issuer.rfc4514_string())


@pytest.mark.parametrize("name", ["offline.commit", "online.commit", "v0.14.0.tag"])
def test_openssl_says_of_gitsigns_own_objects_what_we_say(folder: Path, name: str) -> None:
    parsed = real(name)
    assert parsed.signature is not None
    raw, _ = smime.open_armour(parsed.signature.armour)
    (folder / "real").write_bytes(parsed.payload)
    (folder / "tampered").write_bytes(parsed.payload[:-1])
    for content, holds in (("real", True), ("tampered", False)):
        assert (we_take(folder, raw, content), openssl_takes(folder, raw, content)) == (holds, holds)
    made = smime.read(parsed.signature.armour, NONE)
    (folder / "leaf").write_bytes(made.message.certificates[0])
    asked = ("-serial", "-issuer", "-nameopt", "RFC2253", "-fingerprint", "-sha256", "-dateopt", "iso_8601", "-dates")
    ended = run(peer("openssl"), "x509", "-inform", "DER", "-in", "leaf", "-noout", *asked, cwd=folder)
    said = dict(line.split("=", 1) for line in ended.stdout.splitlines())
    signer = made.signer
    assert said["serial"].lower().lstrip("0") == signer.serial
    assert said["issuer"] == signer.issuer
    assert said["sha256 Fingerprint"].replace(":", "").lower() == signer.leaf_sha256
    for label, seconds in (("notBefore", signer.not_before), ("notAfter", signer.not_after)):
        assert int(datetime.fromisoformat(said[label]).timestamp()) == seconds


@pytest.mark.parametrize(
    ("key", "arguments"),
    [
        pytest.param("rsa", ("-md", "sha1"), id="SHA-1"),
        pytest.param("rsa", ("-md", "md5"), id="MD5"),
        pytest.param("p256", ("-md", "sha1"), id="ECDSA with SHA-1"),
        pytest.param("rsa", ("-md", "sha1", *PSS), id="RSA-PSS with SHA-1"),
        pytest.param("short", ("-md", "sha256"), id="RSA with 1024 bits"),
    ],
)
def test_what_openssl_takes_and_we_refuse(folder: Path, key: str, arguments: tuple[str, ...]) -> None:
    made = openssl_cms(folder, key, *arguments)
    assert openssl_takes(folder, made, "content")
    with pytest.raises(VerificationError) as caught:
        smime.read(armoured(made), NONE).verify_content(CONTENT)
    assert (caught.value.step, caught.value.reason) == (Step.INTEGRITY, Reason.KEY_REFUSED)


def test_content_inside_of_the_signature_is_malformed(folder: Path) -> None:
    with pytest.raises(MalformedError):
        smime.read(armoured(openssl_cms(folder, "rsa", "-nodetach")), NONE)


def test_two_signers_are_one_too_many(folder: Path) -> None:
    with pytest.raises(VerificationError) as caught:
        smime.read(armoured(openssl_cms(folder, "rsa", "-signer", "p256")), NONE)
    assert (caught.value.step, caught.value.reason) == (Step.SIGNATURE, Reason.SIGNATURE_SEVERAL)


def test_without_the_certificate_nobody_can_check(folder: Path) -> None:
    made = openssl_cms(folder, "rsa", "-nocerts")
    assert not openssl_takes(folder, made, "content")
    signed = smime.read(armoured(made), NONE)
    assert (signed.signer.serial, signed.signer.issuer) == (f"{SERIAL:x}", "CN=Example S/MIME CA")
    with pytest.raises(UnavailableError):
        signed.verify_content(CONTENT)


def test_certtool_signs_as_well(folder: Path) -> None:
    key, certificate = (folder / "p256").read_bytes().partition(b"-----BEGIN CERTIFICATE-----")[::2]
    (folder / "key").write_bytes(key)
    (folder / "certificate").write_bytes(b"-----BEGIN CERTIFICATE-----" + certificate)
    given = ("--p7-detached-sign", "--p7-time", "--load-privkey", "key", "--load-certificate", "certificate")
    ended = run(peer("certtool"), *given, "--infile", "content", "--outfile", "p7", "--outder", cwd=folder)
    assert ended.returncode == 0, ended.stderr
    made = (folder / "p7").read_bytes()
    assert we_take(folder, made, "content")
    assert not we_take(folder, made, "changed")
    assert smime.read(armoured(made), NONE).signing_time(None) is not None


@dataclass(frozen=True)
class Gpgsm:
    """A gpgsm that holds Alice's key under the CA; it writes BER."""

    home: Path

    def run(self, *arguments: str | Path, stdin: bytes = b"x\n", cwd: Path) -> subprocess.CompletedProcess[bytes]:
        given = (peer("gpgsm"), "--batch", "--pinentry-mode", "loopback", "--passphrase-fd", "0", *arguments)
        environ = {"GNUPGHOME": str(self.home), "PATH": "/usr/bin:/bin"}
        ended = subprocess.run(given, input=stdin, env=environ, cwd=cwd, capture_output=True, timeout=30, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended


@pytest.fixture(scope="module")
def gpgsm(folder: Path) -> Iterator[Gpgsm]:
    program = peer("gpgsm")
    with tempfile.TemporaryDirectory(prefix="g") as home:
        made = Gpgsm(Path(home))
        (made.home / "gpgsm.conf").write_text("disable-crl-checks\n")
        fingerprint = CA.certificate.fingerprint(hashes.SHA1()).hex(":").upper()
        (made.home / "trustlist.txt").write_text(f"{fingerprint} S relax\n")
        builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
        old = builder.key_cert_algorithm(PBES.PBESv1SHA1And3KeyTripleDESCBC).hmac_hash(hashes.SHA1()).build(b"x")
        leaf = CA.issue(KEYS["rsa"], at=NOW - timedelta(days=1))
        bag = serialize_key_and_certificates(b"alice", rsa_key(), leaf, [CA.certificate], old)
        (folder / "alice.p12").write_bytes(bag)
        try:
            made.run("--import", "ca", cwd=folder)
            made.run("--import", "alice.p12", cwd=folder)
            yield made
        finally:
            run(program.with_name("gpgconf"), "--kill", "all", cwd=folder, environ={"GNUPGHOME": home})


def test_what_gpgsm_signs_is_ber_and_holds(gpgsm: Gpgsm, folder: Path) -> None:
    given = ("--yes", "-u", "alice@example.com", "--armor", "--detach-sign", "-o", "made.asc", "content")
    gpgsm.run(*given, cwd=folder)
    armour = (folder / "made.asc").read_bytes()
    signed = smime.read(armour, Roots(smime=(CA.certificate,)))
    raw, remarks = smime.open_armour(armour)
    assert (raw[:2], remarks, signed.remarks) == (b"\x30\x80", (), ())
    assert signed.verify_content(CONTENT) == signed.signer.key
    assert openssl_takes(folder, raw, "content")
    found = signed.verify_signer(None)
    assert (set(found.addresses), found.principal.email) == ({"alice@example.com"}, "alice@example.com")
    assert found.root == "S/MIME authority CN=Example S/MIME CA"
    with pytest.raises(VerificationError):
        signed.verify_content(CONTENT + b"x")


def test_a_commit_that_git_had_gpgsm_sign_is_examined_to_the_end(gpgsm: Gpgsm, tmp_path: Path) -> None:
    (tmp_path / "sign").write_text(
        f'#!/bin/sh\nexec {peer("gpgsm")} --batch --pinentry-mode loopback --passphrase-fd 3 "$@" 3<{tmp_path}/pass\n'
    )
    (tmp_path / "sign").chmod(0o700)
    (tmp_path / "pass").write_text("x\n")
    environ = {
        "GNUPGHOME": str(gpgsm.home),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **{f"GIT_{who}_NAME": "Alice Example" for who in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{who}_EMAIL": "alice@example.com" for who in ("AUTHOR", "COMMITTER")},
    }
    git = peer("git")
    program = ("-c", "gpg.format=x509", "-c", f"gpg.x509.program={tmp_path}/sign")
    settings = (*program, "-c", "user.signingkey=alice@example.com")
    assert run(git, "init", "-q", "repo", cwd=tmp_path, environ=environ).returncode == 0
    repo = tmp_path / "repo"
    ended = run(git, *settings, "commit", "-q", "-S", "--allow-empty", "-m", "x", cwd=repo, environ=environ)
    assert ended.returncode == 0, ended.stderr
    oid = run(git, "rev-parse", "HEAD", cwd=repo, environ=environ).stdout.strip()
    raw = run(git, "cat-file", "commit", "HEAD", cwd=repo, environ=environ).stdout.encode()
    trusted = Trust((), foreign=Roots(smime=(CA.certificate,)))
    found = verify.examine(raw, ObjectKind.COMMIT, ObjectFormat.SHA1, oid, trusted, at=now() + timedelta(minutes=1))
    states = [finding.status for finding in found.findings]
    assert states[:4] == [StepStatus.PROVEN] * 4
    assert found.finding(Step.TIME).reason == Reason.TIME_UNPROVEN
    assert found.finding(Step.IDENTITY).status is StepStatus.PROVEN
    assert found.identity is not None
    assert found.identity.actor.email == "alice@example.com"


TSA_CONFIG = """
[tsa]
default_tsa = here
[here]
serial = serial
default_policy = 1.2.3.4
digests = sha256, sha512
signer_digest = sha256
ess_cert_id_chain = no
ess_cert_id_alg = {essential}
accuracy = secs:1, millisecs:500
"""


@pytest.mark.parametrize("essential", ["sha1", "sha256", "sha512"])
def test_a_time_stamp_by_openssl_is_evidence(folder: Path, essential: str) -> None:
    """As smimesign and gitsign put it into a signature: over the signature's bytes (RFC 3161 appendix A)."""
    stamping = rsa_key(number=9)

    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        return builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)

    tsa = CA.issue(stamping, names=(), at=NOW - timedelta(days=1), purposes=(), edit=edit, serial=99)
    pem = stamping.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "tsa").write_bytes(pem + tsa.public_bytes(Encoding.PEM))
    (folder / "tsa.cnf").write_text(TSA_CONFIG.format(essential=essential))
    (folder / "serial").write_text("01\n")
    message = cmsdata.parse(openssl_cms(folder, "rsa"))
    (folder / "value").write_bytes(message.signature)
    asked = now().timestamp()
    for given in (
        ("-query", "-data", "value", "-sha512", "-cert", "-out", "query"),
        ("-reply", "-queryfile", "query", "-config", "tsa.cnf", "-signer", "tsa", "-inkey", "tsa", "-out", "reply"),
        ("-reply", "-in", "reply", "-token_out", "-out", "token"),
    ):
        ended = run(peer("openssl"), "ts", *given, cwd=folder)
        assert ended.returncode == 0, ended.stderr
    token = (folder / "token").read_bytes()
    counting = (cmstime.Stamper((CA.certificate,), 0, None),)
    when, source = cmstime.verify_token(token, message.signature, counting)
    assert int(asked) <= when <= now().timestamp() + 2  # its accuracy, rounded up
    assert source.startswith("rfc3161:")
    for stamped, stampers in ((message.signature + b"x", counting), (message.signature, ())):
        with pytest.raises(Error):
            cmstime.verify_token(token, stamped, stampers)


@pytest.mark.skipif(not VECTORS.is_dir(), reason="shared-vectors: signatures by go-cms")
@pytest.mark.parametrize("level", ["level0", "level1"])
def test_what_go_cms_signed_for_signet(level: str) -> None:
    pem = (VECTORS / f"gocms-{level}.sig.pem").read_bytes()
    body = base64.b64decode(b"".join(line for line in pem.split(b"\n") if not line.startswith(b"-")))
    content = (VECTORS / "gocms-data.txt").read_bytes()
    for label in (b"SIGNED MESSAGE", b"CMS"):
        signed = smime.read(armoured(body).replace(b"SIGNED MESSAGE", label), NONE)
        assert signed.verify_content(content) == signed.signer.key
        assert signed.remarks == ((vouched.ARMOUR_CMS,) if label == b"CMS" else ())
        assert signed.signer.algorithm == "ed25519"
        with pytest.raises(VerificationError):
            signed.verify_content(content + b"x")
