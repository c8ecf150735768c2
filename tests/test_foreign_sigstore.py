from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.foreign import cmstime, sigstore, smime
from attest.foreign.roots import Roots
from attest.foreign.sigstore import SigstoreRoot
from attest.foreign.vouched import Vouched
from attest.profile import Profile
from attest.types import Authentication, Evidence, PrincipalKind, Voucher
from tests import der
from tests.foreignsigned import CONTENT, NOW, Authority, Edit, Signed, armoured, ec_key, real, sign
from tests.forge import Forge

ISSUED = NOW - timedelta(seconds=2)
MINUTES = timedelta(minutes=10)
SECONDS = int(NOW.timestamp())
GITHUB = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/o/r/.github/workflows/release.yml@refs/heads/main"

TOP = Authority("private sigstore", ec_key(ec.SECP384R1, 1))
FULCIO = Authority("private fulcio", ec_key(ec.SECP384R1, 2), above=TOP)
LOG_KEY = ec_key(number=3)
LOG_ID = hashlib.sha256(b"log").digest()
TSA = Forge(Profile.NOTME, at=NOW, seed="time-stamps of another authority")


def extension(arc: int, value: bytes) -> Callable[[x509.CertificateBuilder], x509.CertificateBuilder]:
    oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{arc}")
    return lambda builder: builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)


def leaf(
    *names: x509.GeneralName,
    issuer: str = "https://accounts.example.com",
    raw: str | None = None,
    purposes: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CODE_SIGNING,),
    above: Authority = FULCIO,
    edit: Edit = lambda builder: builder,
) -> x509.Certificate:
    """As Fulcio writes it; an `issuer` that is empty is left out, `raw` is the older extension beside it."""

    def extended(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        if raw is not None:
            builder = extension(1, raw.encode())(builder)
        return edit(extension(8, der.utf8(issuer))(builder) if issuer else builder)

    named = names or (x509.RFC822Name("alice@example.com"),)
    return above.issue(ec_key(), names=named, at=ISSUED, life=MINUTES, purposes=purposes, edit=extended)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def authority(
    *chain: x509.Certificate, start: str = "2025-01-01T00:00:00Z", end: str | None = None
) -> dict[str, object]:
    window = {"start": start} | ({"end": end} if end else {})
    return {
        "certChain": {"certificates": [{"rawBytes": b64(c.public_bytes(Encoding.DER))} for c in chain]},
        "validFor": window,
    }


def trusted_root(**changes: object) -> bytes:
    spki = LOG_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    window = {"start": "2025-01-01T00:00:00Z"}
    log = {"publicKey": {"rawBytes": b64(spki), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": window}}
    other = {"publicKey": {"rawBytes": "AA==", "keyDetails": "PKCS1_RSA_PKCS1V5", "validFor": window}}
    made = {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "certificateAuthorities": [authority(FULCIO.certificate, TOP.certificate)],
        "timestampAuthorities": [authority(TSA.root)],
        "tlogs": [{**log, "logId": {"keyId": b64(LOG_ID)}}, {**other, "logId": {"keyId": "AA=="}}],
    }
    return json.dumps({**made, **changes}).encode()


ROOT = SigstoreRoot.parse(trusted_root())
PLAIN = Signed(ec_key(), leaf())


def vouched(made: Signed, root: SigstoreRoot = ROOT) -> Vouched:
    signed = smime.read(made.armour(), Roots(sigstore=root))
    signed.verify_content(CONTENT)
    return signed.verify_signer(None)


def refused(made: Signed, root: SigstoreRoot = ROOT) -> Reason:
    with pytest.raises(VerificationError) as caught:
        vouched(made, root)
    assert caught.value.step is Step.CHAIN
    return caught.value.reason


def test_a_client_trust_configuration_has_a_root_in_it() -> None:
    kind = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
    config = {"mediaType": kind, "trustedRoot": json.loads(trusted_root()), "signingConfig": {}}
    found = SigstoreRoot.parse(json.dumps(config).encode())
    assert (found.logs, found.authorities) == (ROOT.logs, ROOT.authorities)
    with pytest.raises(MalformedError):
        SigstoreRoot.parse(json.dumps({**config, "trustedRoot": config}).encode())


@pytest.mark.parametrize(
    ("name", "evidence"),
    [
        (
            "offline.commit",
            (Evidence(1685981479, 1685981480, Voucher.INDEPENDENT, "rekor:c0d23d6ad406973f"),),
        ),
        ("online.commit", ()),
        ("v0.14.0.tag", ()),
    ],
)
def test_public_signatures_hold_under_the_public_root(name: str, evidence: tuple[Evidence, ...]) -> None:
    pytest.importorskip("sigstore", reason="the package with the public trusted root is not installed")
    parsed = real(name)
    assert parsed.signature is not None
    found = smime.read(parsed.signature.armour, Roots(sigstore=SigstoreRoot.public_good())).verify_signer(parsed)
    assert found.principal.id == "sigstore:https://accounts.google.com#billy@chainguard.dev"
    assert (found.principal.kind, found.principal.authentication) == (PrincipalKind.HUMAN, Authentication.OIDC)
    assert found.addresses == {"billy@chainguard.dev"}
    assert found.evidence == evidence
    assert found.remarks == (sigstore.DATED_EARLIER,)


def test_a_public_signature_does_not_hold_under_a_private_root() -> None:
    parsed = real("online.commit")
    assert parsed.signature is not None
    with pytest.raises(VerificationError) as caught:
        smime.read(parsed.signature.armour, Roots(sigstore=ROOT)).verify_signer(parsed)
    assert (caught.value.step, caught.value.reason) == (Step.CHAIN, Reason.CERTIFICATE_INVALID)


USER = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), der.utf8("alice!example"))


@pytest.mark.parametrize(
    ("made", "who", "kind", "addresses"),
    [
        pytest.param(
            leaf(),
            "sigstore:https://accounts.example.com#alice@example.com",
            PrincipalKind.HUMAN,
            {"alice@example.com"},
            id="an e-mail address",
        ),
        pytest.param(
            leaf(issuer="", raw="https://accounts.example.com"),
            "sigstore:https://accounts.example.com#alice@example.com",
            PrincipalKind.HUMAN,
            {"alice@example.com"},
            id="the issuer in the older extension",
        ),
        pytest.param(
            leaf(x509.UniformResourceIdentifier(WORKFLOW), issuer=GITHUB, raw=GITHUB),
            f"sigstore:{GITHUB}#{WORKFLOW}",
            PrincipalKind.WORKLOAD,
            set(),
            id="a workflow",
        ),
        pytest.param(
            leaf(USER), "sigstore:https://accounts.example.com#alice%21example", PrincipalKind.HUMAN, set(), id="a user"
        ),
        pytest.param(
            leaf(issuer="https://a.example/#b"),
            "sigstore:https://a.example/%23b#alice@example.com",
            PrincipalKind.HUMAN,
            {"alice@example.com"},
            id="an issuer with a hash sign cannot be taken for another",
        ),
    ],
)
def test_who_is_vouched_for(made: x509.Certificate, who: str, kind: PrincipalKind, addresses: set[str]) -> None:
    found = vouched(replace(PLAIN, leaf=made))
    assert (found.principal.id, found.principal.kind, set(found.addresses)) == (who, kind, addresses)
    assert found.root == "Sigstore CN=private fulcio"
    assert (found.not_before, found.not_after) == (SECONDS - 2, SECONDS + 598)
    assert (found.evidence, found.remarks) == ((), (sigstore.SCT_UNCHECKED,))


IMPOSTOR = Authority("private fulcio", ec_key(ec.SECP384R1, 4), above=TOP)


@pytest.mark.parametrize(
    ("made", "root", "reason"),
    [
        pytest.param(leaf(above=IMPOSTOR), {}, Reason.CERTIFICATE_INVALID, id="another key under the same name"),
        pytest.param(
            leaf(purposes=(ExtendedKeyUsageOID.EMAIL_PROTECTION,)), {}, Reason.PURPOSE_MISMATCH, id="for mail only"
        ),
        pytest.param(leaf(purposes=()), {}, Reason.PURPOSE_MISMATCH, id="for no purpose"),
        pytest.param(
            leaf(issuer="https://a.example", raw="https://b.example"),
            {},
            Reason.CERTIFICATE_INVALID,
            id="two issuers that differ",
        ),
        pytest.param(leaf(issuer="", raw=""), {}, Reason.CERTIFICATE_INVALID, id="an empty issuer"),
        pytest.param(
            leaf(issuer="https://a\x1b.example"), {}, Reason.CERTIFICATE_INVALID, id="an issuer with an escape"
        ),
        pytest.param(
            leaf(x509.RFC822Name("a@b.example"), x509.RFC822Name("c@d.example")),
            {},
            Reason.CERTIFICATE_INVALID,
            id="two identities",
        ),
        pytest.param(leaf(x509.DNSName("a.example")), {}, Reason.CERTIFICATE_INVALID, id="a host"),
        pytest.param(
            leaf(x509.OtherName(x509.ObjectIdentifier("1.2.3"), der.utf8("x"))),
            {},
            Reason.CERTIFICATE_INVALID,
            id="a name of an unknown kind",
        ),
        pytest.param(
            leaf(),
            {"certificateAuthorities": [authority(FULCIO.certificate, TOP.certificate, start="2026-08-01T00:00:00Z")]},
            Reason.CERTIFICATE_INVALID,
            id="before the authority counted",
        ),
        pytest.param(
            leaf(),
            {"certificateAuthorities": [authority(FULCIO.certificate, TOP.certificate, end="2026-06-01T00:00:00Z")]},
            Reason.CERTIFICATE_INVALID,
            id="after the authority counted",
        ),
        pytest.param(leaf(), {"certificateAuthorities": []}, Reason.CERTIFICATE_INVALID, id="no authority"),
    ],
)
def test_what_is_refused(made: x509.Certificate, root: dict[str, object], reason: Reason) -> None:
    trusted = SigstoreRoot.parse(trusted_root(**root))
    assert refused(replace(PLAIN, leaf=made), trusted) is reason


def field(number: int, value: int | bytes) -> bytes:
    """One protobuf field."""

    def varint(n: int) -> bytes:
        return bytes([n & 0x7F | 0x80]) + varint(n >> 7) if n > 0x7F else bytes([n])

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def promise(body: bytes, when: int, index: int = 7, log_id: bytes = LOG_ID) -> bytes:
    """What a log signs, in the order of its names (RFC 8785)."""
    said = {"body": b64(body), "integratedTime": when, "logID": log_id.hex(), "logIndex": index}
    return sign(LOG_KEY, json.dumps(said, sort_keys=True, separators=(",", ":")).encode())


def body_of(made: Signed, signature: bytes) -> bytes:
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(made.covered()).hexdigest()}},
        "signature": {
            "content": b64(signature),
            "publicKey": {"content": b64(made.leaf.public_bytes(Encoding.PEM))},
        },
    }
    value = {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def logged(
    *,
    when: int = SECONDS + 1,
    said: int | None = None,
    log_id: bytes = LOG_ID,
    body: bytes | None = None,
    cut: int = 0,
    signed: Callable[[bytes], bytes] = lambda body: body,
) -> Signed:
    """A signature with a log entry; each argument is one thing that can be wrong with it."""
    signature = sign(ec_key(), PLAIN.covered())
    entry = field(1, 7) + field(2, field(1, log_id)) + field(3, field(1, b"hashedrekord") + field(2, b"0.0.1"))
    made = promise(signed(body_of(PLAIN, signature)), when if said is None else said)
    entry += field(4, when) + field(5, field(1, made)) + (field(7, body) if body is not None else b"")
    attribute = der.attribute(cmstime.REKOR_ENTRY, der.octets(entry[: len(entry) - cut]))
    return replace(PLAIN, unsigned=(attribute,), signing=lambda _: signature)


def test_a_log_that_took_the_signature_in_proves_its_time() -> None:
    found = vouched(logged())
    assert found.evidence == (Evidence(SECONDS - 2, SECONDS + 1, Voucher.INDEPENDENT, f"rekor:{LOG_ID.hex()[:16]}"),)
    assert found.remarks == (sigstore.SCT_UNCHECKED,)


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(logged(said=SECONDS), id="a promise for another time"),
        pytest.param(logged(log_id=bytes(32)), id="a log that nobody named"),
        pytest.param(logged(when=0), id="before the log counted"),
        pytest.param(logged(body=b"{}"), id="a body of something else"),
        pytest.param(logged(signed=lambda body: body + b" "), id="a promise for another entry"),
        pytest.param(logged(cut=1), id="cut short"),
        pytest.param(logged(cut=80), id="without a promise"),
        pytest.param(replace(PLAIN, unsigned=(der.attribute(cmstime.REKOR_ENTRY, der.NULL),)), id="NULL"),
        pytest.param(
            replace(PLAIN, unsigned=(der.attribute(cmstime.REKOR_ENTRY, der.octets(b"\x80" * 20)),)),
            id="a number without end",
        ),
        pytest.param(
            replace(PLAIN, unsigned=(der.attribute(der.TIMESTAMP, TSA.token(b"something else", at=NOW)),)),
            id="a time-stamp over something else",
        ),
        pytest.param(replace(PLAIN, unsigned=(der.attribute(der.TIMESTAMP, der.NULL),)), id="no time-stamp at all"),
    ],
)
def test_what_does_not_hold_beside_the_signature_proves_nothing(made: Signed) -> None:
    found = vouched(made)
    assert found.evidence == ()
    assert found.remarks == (cmstime.IGNORED, sigstore.SCT_UNCHECKED)


def stamped(forge: Forge) -> Signed:
    signature = sign(ec_key(), PLAIN.covered())
    token = forge.token(signature, at=NOW + timedelta(seconds=1))
    return replace(PLAIN, unsigned=(der.attribute(der.TIMESTAMP, token),), signing=lambda _: signature)


def test_a_time_stamp_by_an_authority_of_the_root_proves_the_time() -> None:
    (evidence,) = vouched(stamped(TSA)).evidence
    assert (evidence.not_before, evidence.not_after) == (SECONDS - 2, SECONDS + 2)
    assert evidence.voucher is Voucher.INDEPENDENT
    assert evidence.source.startswith("rfc3161:")


def test_a_time_stamp_by_somebody_else_proves_nothing() -> None:
    found = vouched(stamped(Forge(Profile.NOTME, at=NOW, seed="time-stamps of nobody")))
    assert (found.evidence, found.remarks) == ((), (cmstime.IGNORED, sigstore.SCT_UNCHECKED))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"[" * 100_000, id="nested deeply"),
        pytest.param(b" " * (sigstore.MAX_ROOT_BYTES + 1), id="too long"),
        pytest.param(trusted_root(mediaType="application/json"), id="another type"),
        pytest.param(trusted_root(certificateAuthorities={}), id="no list"),
        pytest.param(trusted_root(certificateAuthorities=[authority()]), id="an authority without certificates"),
        pytest.param(trusted_root(certificateAuthorities=[{}] * 65), id="too many authorities"),
        pytest.param(trusted_root(timestampAuthorities=[{"certChain": 7}]), id="a chain that is a number"),
        pytest.param(trusted_root(certificateAuthorities=[authority(TOP.certificate, start="soon")]), id="no instant"),
        pytest.param(trusted_root(tlogs=[{"publicKey": {"keyDetails": "PKIX_ECDSA_P256_SHA_256"}}]), id="no key"),
    ],
)
def test_what_is_no_trusted_root_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        SigstoreRoot.parse(data)


@given(st.integers(0, len(trusted_root()) - 1), st.binary(max_size=3))
def test_a_changed_trusted_root_is_read_or_malformed(at: int, put: bytes) -> None:
    whole = trusted_root()
    changed = whole[:at] + put + whole[at + 1 :]
    try:
        found = SigstoreRoot.parse(changed)
    except MalformedError:
        return
    assert found.sha256 == hashlib.sha256(changed).digest()


WHOLE = stamped(TSA).der()


@settings(max_examples=150)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_byte_is_an_error_or_leaves_who_is_vouched_for(at: int, change: int) -> None:
    changed = bytearray(WHOLE)
    changed[at] ^= change
    try:
        made = smime.read(armoured(bytes(changed)), Roots(sigstore=ROOT))
        made.verify_content(CONTENT)
        found = made.verify_signer(None)
    except Error:
        return
    assert found.principal == vouched(PLAIN).principal
