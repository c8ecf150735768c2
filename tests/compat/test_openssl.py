"""openssl on our signatures, certificates and time-stamps, and we on a time-stamp of openssl's.

Where a time matters it is given with `-attime`, so that a day-old signature is as good as a fresh one here.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography.hazmat.asn1 import SetOf
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from attest import asn1, cms, timestamp
from attest.errors import MalformedError
from attest.profile import Profile
from tests import der
from tests.compat.signed import A_DAY, Signed, now, pem, run, sign
from tests.forge import Forge
from tests.peers import peer

BOTH = pytest.mark.parametrize("profile", [Profile.NOTME, Profile.INTEROP])
ALONE = ("-no-CApath", "-no-CAstore")  # the roots of this machine take no part
DATA = b"signature bytes"


@pytest.fixture(scope="module")
def day_old(tmp_path_factory: pytest.TempPathFactory) -> dict[Profile, Signed]:
    """A signature of each profile whose certificate ended yesterday."""
    return {p: sign(tmp_path_factory.mktemp(p.value), p, now() - A_DAY) for p in (Profile.NOTME, Profile.INTEROP)}


def openssl(folder: Path, *arguments: str | Path) -> CompletedProcess[str]:
    return run(peer("openssl"), *arguments, cwd=folder)


def cms_verify(signed: Signed, *arguments: str, content: str = "payload", root: str = "root") -> CompletedProcess[str]:
    given = ("-binary", "-inform", "DER", "-in", "signature.der", "-content", content, "-out", "/dev/null")
    return openssl(signed.folder, "cms", "-verify", *given, "-CAfile", root, *ALONE, *arguments)


@pytest.mark.parametrize(
    "purpose", [(), ("-purpose", "any")], ids=["for its default purpose smimesign", "for any purpose"]
)
def test_a_fresh_interop_signature_is_accepted(tmp_path: Path, purpose: tuple[str, ...]) -> None:
    signed = sign(tmp_path, Profile.INTEROP, now())
    ended = cms_verify(signed, *purpose)
    assert ended.returncode == 0, ended.stderr
    assert "CMS Verification successful" in ended.stderr


def test_an_old_interop_signature_is_accepted_at_its_time_only(day_old: dict[Profile, Signed]) -> None:
    signed = day_old[Profile.INTEROP]
    ended = cms_verify(signed, "-attime", signed.epoch_seconds)
    assert ended.returncode == 0, ended.stderr
    ended = cms_verify(signed)
    assert ended.returncode != 0
    assert "certificate has expired" in ended.stderr


@pytest.mark.parametrize(
    ("content", "root", "says"),
    [
        pytest.param("tampered", "root", "verification failure", id="the content is another"),
        pytest.param("payload", "impostor", "certificate signature failure", id="a root with the same names"),
        pytest.param("payload", "leaf", "unable to get", id="the leaf given for a root"),
    ],
)
def test_an_interop_signature_is_refused_when(
    day_old: dict[Profile, Signed], content: str, root: str, says: str
) -> None:
    signed = day_old[Profile.INTEROP]
    ended = cms_verify(signed, "-attime", signed.epoch_seconds, content=content, root=root)
    assert ended.returncode != 0
    assert says in ended.stderr


def test_an_ed25519_signature_is_accepted_or_beyond_what_this_openssl_can_check(
    day_old: dict[Profile, Signed],
) -> None:
    """openssl 3.0 knows no digest that goes with Ed25519 in CMS; 3.5 does. Neither takes other content."""
    signed = day_old[Profile.NOTME]
    ended = cms_verify(signed, "-purpose", "any", "-attime", signed.epoch_seconds)
    limit = "eddsa_digest_signverify_init:invalid digest"
    assert ended.returncode == 0 or limit in ended.stderr, ended.stderr
    ended = cms_verify(signed, "-purpose", "any", "-attime", signed.epoch_seconds, content="tampered")
    assert ended.returncode != 0


@BOTH
@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("root", "any"),
        ("leaf", "any"),
        ("leaf", "smimesign"),
        ("mtls", "sslclient"),
        ("verifier", "any"),
        ("tsa", "timestampsign"),
    ],
)
def test_a_certificate_passes_the_strict_checks(
    day_old: dict[Profile, Signed], profile: Profile, name: str, purpose: str
) -> None:
    signed = day_old[profile]
    given = ("-x509_strict", "-purpose", purpose, "-attime", signed.epoch_seconds, *ALONE)
    ended = openssl(signed.folder, "verify", *given, "-CAfile", "root", name)
    assert (ended.returncode, ended.stdout) == (0, f"{name}: OK\n"), ended.stderr
    ended = openssl(signed.folder, "verify", *given, "-CAfile", "impostor", name)
    assert ended.returncode != 0


@pytest.mark.parametrize(
    ("profile", "name", "purpose"),
    [
        pytest.param(Profile.INTEROP, "leaf", "sslclient", id="an interop leaf for TLS"),
        pytest.param(Profile.INTEROP, "leaf", "timestampsign", id="an interop leaf for time-stamps"),
        pytest.param(Profile.NOTME, "leaf", "timestampsign", id="a notme leaf for time-stamps"),
        pytest.param(Profile.INTEROP, "mtls", "smimesign", id="the TLS sibling for signatures"),
        pytest.param(Profile.NOTME, "tsa", "smimesign", id="the time-stamping key for signatures"),
    ],
)
def test_a_certificate_is_refused_for_another_purpose(
    day_old: dict[Profile, Signed], profile: Profile, name: str, purpose: str
) -> None:
    signed = day_old[profile]
    given = ("-purpose", purpose, "-attime", signed.epoch_seconds, *ALONE)
    ended = openssl(signed.folder, "verify", *given, "-CAfile", "root", name)
    assert ended.returncode != 0
    assert "unsuitable certificate purpose" in ended.stderr


@BOTH
@pytest.mark.parametrize("name", ["signature.der", "token.der", "response.der"])
def test_what_we_write_is_whole_der(day_old: dict[Profile, Signed], profile: Profile, name: str) -> None:
    ended = openssl(day_old[profile].folder, "asn1parse", "-inform", "DER", "-in", name)
    assert (ended.returncode, ended.stderr) == (0, "")
    # Nothing of indefinite length, which DER does not know (X.690 section 10.1).
    assert "l=inf" not in ended.stdout


@BOTH
@pytest.mark.parametrize("form", [("-in", "response.der"), ("-token_in", "-in", "token.der")], ids=["answer", "token"])
def test_a_timestamp_is_verified_under_the_root_of_its_profile(
    day_old: dict[Profile, Signed], profile: Profile, form: tuple[str, ...]
) -> None:
    signed = day_old[profile]

    def verify(data: str, root: str) -> CompletedProcess[str]:
        given = ("-verify", *form, "-data", data, "-CAfile", root, "-attime", signed.epoch_seconds)
        return openssl(signed.folder, "ts", *given)

    ended = verify("value", "root")
    assert (ended.returncode, ended.stdout) == (0, "Verification: OK\n"), ended.stderr
    ended = verify("payload", "root")
    assert ended.returncode != 0
    assert "message imprint mismatch" in ended.stderr
    ended = verify("value", "impostor")
    assert ended.returncode != 0
    assert "certificate verify error" in ended.stderr


@BOTH
def test_a_timestamp_answer_reads_as_we_meant_it(day_old: dict[Profile, Signed], profile: Profile) -> None:
    signed = day_old[profile]
    ended = openssl(signed.folder, "ts", "-reply", "-in", "response.der", "-text")
    assert ended.returncode == 0, ended.stderr
    lines = [line.strip() for line in ended.stdout.splitlines()]
    when = f"{signed.world.now:%b} {signed.world.now.day:2} {signed.world.now:%H:%M:%S %Y} GMT"
    for line in (
        "Status: Granted.",
        "Version: 1",
        f"Policy OID: {timestamp.POLICY.dotted_string}",
        "Hash Algorithm: sha256",
        f"Time stamp: {when}",
        "Accuracy: 0x01 seconds, unspecified millis, unspecified micros",
        "Ordering: no",
    ):
        assert line in lines
    dump = "".join(re.findall(r"^ +00[0-9a-f]0 - ([0-9a-f -]{47,48})", ended.stdout, re.MULTILINE))
    assert bytes.fromhex(dump.replace("-", " ")) == hashlib.sha256((signed.folder / "value").read_bytes()).digest()


# A time-stamp made by openssl, under a root of ours.

TSA = """
[tsa]
default_tsa = here
[here]
serial = serial
digests = sha256, sha512
signer_digest = sha256
ess_cert_id_alg = sha256
default_policy = 1.3.6.1.4.1.99999.7
accuracy = secs:1, millisecs:500
ordering = no
tsa_name = {named}
"""


def query(*, null: bool) -> bytes:
    """A request for a token over `DATA` with its certificate; openssl's own always writes NULL parameters."""
    algorithm = der.seq(der.oid(der.SHA256), *([der.NULL] if null else []))
    imprint = der.seq(algorithm, der.octets(hashlib.sha256(DATA).digest()))
    return der.seq(der.integer(1), imprint, der.tlv(0x01, b"\xff"))


def answer(folder: Path, forge: Forge, *, null: bool = False, named: bool = False) -> bytes:
    """The TimeStampResp of an openssl that holds the time-stamping key of `forge`."""
    secret = forge.tsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for name, data in {
        "tsa.cnf": TSA.format(named="yes" if named else "no").encode(),
        "serial": b"01\n",
        "query": query(null=null),
        "tsa": pem(forge.tsa),
        "tsa-key": secret,
        "root": pem(forge.root),
        "data": DATA,
    }.items():
        (folder / name).write_bytes(data)
    given = ("-config", "tsa.cnf", "-queryfile", "query", "-signer", "tsa", "-inkey", "tsa-key", "-out", "answer")
    ended = openssl(folder, "ts", "-reply", *given)
    assert ended.returncode == 0, ended.stderr
    ended = openssl(folder, "ts", "-verify", "-in", "answer", "-data", "data", "-CAfile", "root")
    assert ended.returncode == 0, ended.stderr
    return (folder / "answer").read_bytes()


def without_null_parameters(token: bytes) -> bytes:
    """`token` with the parameters of its digest algorithms left out; no signature covers them."""
    outer = asn1.decode(asn1.ContentInfo, token, limit=cms.MAX_CMS_BYTES)
    (info,) = outer.content.signer_infos.as_list()
    info.digest_algorithm.parameters = None
    outer.content.digest_algorithms = SetOf([info.digest_algorithm])
    outer.content.signer_infos = SetOf([info])
    return asn1.encode(outer)


@BOTH
def test_a_timestamp_of_openssl_is_proven_once_its_null_parameters_are_left_out(
    tmp_path: Path, profile: Profile
) -> None:
    before = now()
    forge = Forge(profile, at=before)
    token = without_null_parameters(timestamp.open_response(answer(tmp_path, forge)))
    proven = timestamp.verify_timestamp(token, DATA, forge.trusted.anchors)
    assert before <= proven.time <= now()
    assert proven.accuracy.total_seconds() == 1.5
    assert proven.signer == forge.tsa


@pytest.mark.parametrize(
    ("null", "named", "says"),
    [
        pytest.param(False, False, "algorithm parameters must be absent", id="digest algorithms with NULL"),
        pytest.param(True, False, "neither SHA-256 nor SHA-512", id="NULL in the imprint too"),
        pytest.param(False, True, "not DER of TSTInfo", id="the authority's name in the token"),
    ],
)
def test_what_our_profile_does_not_read_of_openssls_timestamps(
    tmp_path: Path, null: bool, named: bool, says: str
) -> None:
    """Our tokens are in one form (design D2). RFC 5754 section 2 has readers of any token take NULL as well."""
    forge = Forge(Profile.INTEROP, at=now())
    token = timestamp.open_response(answer(tmp_path, forge, null=null, named=named))
    if null or named:
        token = without_null_parameters(token)
    with pytest.raises(MalformedError, match=says):
        timestamp.parse(token)
