from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from attest import asn1
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.foreign import ber, cmscerts, cmsdata, cmstime, smime
from attest.foreign.ber import Value
from attest.foreign.roots import Roots
from attest.foreign.vouched import Vouched
from attest.gitobject import Commit, Ident, ObjectFormat, parse_commit
from attest.profile import Profile
from attest.types import Authentication, PrincipalKind
from tests import der
from tests.foreignsigned import A_YEAR, CONTENT, NOW, Authority, Edit, Signed, ec_key, sign
from tests.forge import Forge

ROOT = Authority()
KEY = ec_key(number=10)


def below(above: Authority, name: str = "Example Issuing CA", number: int = 11, **changes: object) -> Authority:
    made = Authority(name, ec_key(number=number), above=above)
    return replace(made, **changes)  # type: ignore[arg-type]  # fields of Authority, by name


def critical(oid: str) -> Edit:
    value = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), der.NULL)
    return lambda builder: builder.add_extension(value, critical=True)


def usage(*, signing: bool = True, issuing: bool = False) -> Edit:
    value = x509.KeyUsage(signing, False, not signing, False, False, issuing, False, False, False)
    return lambda builder: builder.add_extension(value, critical=True)


def for_purpose(purpose: x509.ObjectIdentifier) -> Edit:
    return lambda builder: builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)


def constrained(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    names = x509.NameConstraints([x509.DNSName("example.com")], None)
    return builder.add_extension(names, critical=True)


def commit(when: datetime) -> Commit:
    ident = Ident("Alice", "alice@example.com", int(when.timestamp()), "+0000").encode()
    raw = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor %b\ncommitter %b\n\nx\n" % (ident, ident)
    return parse_commit(raw, ObjectFormat.SHA1)


def verified(
    leaf: x509.Certificate, *others: Authority, roots: tuple[Authority, ...] = (ROOT,), at: datetime = NOW
) -> Vouched:
    included = tuple(ca.certificate.public_bytes(Encoding.DER) for ca in others)
    made = smime.read(Signed(KEY, leaf, others=included).armour(), Roots(smime=tuple(ca.certificate for ca in roots)))
    made.verify_content(CONTENT)
    return made.verify_signer(commit(at))


ISSUING = below(ROOT)


def test_a_leaf_leads_to_the_ca_that_was_named() -> None:
    found = verified(ROOT.issue(KEY))
    key_id = cmscerts.read(ROOT.certificate.public_bytes(Encoding.DER)).facts.key_id
    assert found.principal.id == f"smime:{key_id}/alice@example.com"
    assert (found.principal.kind, found.principal.authentication) == (PrincipalKind.HUMAN, Authentication.OWN_KEY)
    assert (found.root, set(found.addresses)) == ("S/MIME authority CN=Example S/MIME CA", {"alice@example.com"})
    assert found.not_before == int((NOW - timedelta(days=1)).timestamp())
    assert found.not_after == int((NOW - timedelta(days=1) + A_YEAR).timestamp())


LOWER = below(ISSUING, "Example Lower CA", 12)
CROSSED = replace(ISSUING, above=LOWER)
FOR_MAIL = below(ROOT, edit=for_purpose(ExtendedKeyUsageOID.EMAIL_PROTECTION))
NAMED_ITSELF = Authority("Alice alone", KEY, ca=False)


@pytest.mark.parametrize(
    ("leaf", "others"),
    [
        pytest.param(ISSUING.issue(KEY), (ISSUING,), id="through a CA that is included"),
        pytest.param(LOWER.issue(KEY), (LOWER, ISSUING), id="through two"),
        pytest.param(FOR_MAIL.issue(KEY), (FOR_MAIL,), id="through a CA for mail alone"),
        pytest.param(
            LOWER.issue(KEY), (CROSSED, LOWER, ISSUING), id="through two, of which one leads in a circle as well"
        ),
        pytest.param(ISSUING.issue(KEY), (ISSUING, ROOT), id="the root is included too"),
        pytest.param(ROOT.issue(KEY, purposes=()), (), id="for any purpose"),
        pytest.param(ROOT.issue(KEY, edit=usage()), (), id="with a key usage"),
        pytest.param(
            ROOT.issue(KEY, edit=lambda b: b.add_extension(x509.CRLNumber(1), critical=False)),
            (),
            id="with an extension",
        ),
        pytest.param(
            below(ROOT, path_length=0).issue(KEY), (below(ROOT, path_length=0),), id="a CA that may have none below it"
        ),
    ],
)
def test_chains_that_hold(leaf: x509.Certificate, others: tuple[Authority, ...]) -> None:
    assert verified(leaf, *others).root == "S/MIME authority CN=Example S/MIME CA"


def test_a_certificate_that_was_named_itself_needs_nobody() -> None:
    assert verified(NAMED_ITSELF.certificate, roots=(NAMED_ITSELF,)).root == "S/MIME authority CN=Alice alone"


NARROW = replace(ROOT, path_length=0)
IMPOSTOR = replace(ROOT, key=ec_key(number=13))
NO_CA = below(ROOT, ca=False)
NOT_ISSUING = below(ROOT, edit=usage())
EARLY = below(ROOT, ends=NOW - timedelta(days=1))
LATE = below(ROOT, begins=NOW + timedelta(days=1))
FOR_SERVERS = below(ROOT, edit=for_purpose(ExtendedKeyUsageOID.SERVER_AUTH))
STRANGE = below(ROOT, edit=critical("1.2.3.4"))
TIED = below(ROOT, edit=constrained)
MANY = tuple(below(IMPOSTOR, number=number) for number in range(20, 40))


@pytest.mark.parametrize(
    ("leaf", "others", "roots", "reason"),
    [
        pytest.param(ROOT.issue(KEY), (), (), Reason.SIGNATURE_FOREIGN, id="nobody was named"),
        pytest.param(ISSUING.issue(KEY), (), (ROOT,), Reason.CERTIFICATE_INVALID, id="the CA between is not there"),
        pytest.param(
            FOR_SERVERS.issue(KEY), (FOR_SERVERS,), (ROOT,), Reason.PURPOSE_MISMATCH, id="a CA for servers alone"
        ),
        pytest.param(
            IMPOSTOR.issue(KEY), (), (ROOT,), Reason.CERTIFICATE_INVALID, id="another key under the CA's name"
        ),
        pytest.param(
            IMPOSTOR.issue(KEY), (IMPOSTOR,), (ROOT,), Reason.CERTIFICATE_INVALID, id="and its certificate with it"
        ),
        pytest.param(NO_CA.issue(KEY), (NO_CA,), (ROOT,), Reason.CERTIFICATE_INVALID, id="issued by an end entity"),
        pytest.param(
            NOT_ISSUING.issue(KEY), (NOT_ISSUING,), (ROOT,), Reason.CERTIFICATE_INVALID, id="a CA for other ends"
        ),
        pytest.param(
            replace(ISSUING, above=NARROW).issue(KEY),
            (replace(ISSUING, above=NARROW),),
            (NARROW,),
            Reason.CERTIFICATE_INVALID,
            id="a CA too many",
        ),
        pytest.param(EARLY.issue(KEY), (EARLY,), (ROOT,), Reason.CERTIFICATE_INVALID, id="a CA that had ended"),
        pytest.param(LATE.issue(KEY), (LATE,), (ROOT,), Reason.CERTIFICATE_INVALID, id="a CA that had not begun"),
        pytest.param(
            STRANGE.issue(KEY), (STRANGE,), (ROOT,), Reason.EXTENSION_UNKNOWN, id="a CA with an unknown limit"
        ),
        pytest.param(TIED.issue(KEY), (TIED,), (ROOT,), Reason.EXTENSION_UNKNOWN, id="a CA with name constraints"),
        pytest.param(ISSUING.issue(KEY), MANY, (ROOT,), Reason.CERTIFICATE_INVALID, id="twenty CAs of one name"),
        pytest.param(
            ROOT.issue(KEY, edit=critical("1.2.3.4")), (), (ROOT,), Reason.EXTENSION_UNKNOWN, id="an unknown limit"
        ),
        pytest.param(
            ROOT.issue(KEY, purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
            (),
            (ROOT,),
            Reason.PURPOSE_MISMATCH,
            id="for TLS",
        ),
        pytest.param(
            ROOT.issue(KEY, edit=usage(signing=False)), (), (ROOT,), Reason.PURPOSE_MISMATCH, id="for encryption"
        ),
    ],
)
def test_chains_that_do_not_hold(
    leaf: x509.Certificate, others: tuple[Authority, ...], roots: tuple[Authority, ...], reason: Reason
) -> None:
    with pytest.raises(VerificationError) as caught:
        verified(leaf, *others, roots=roots)
    assert (caught.value.step, caught.value.reason) == (Step.CHAIN, reason)


def test_authorities_are_judged_at_the_objects_date() -> None:
    leaf = EARLY.issue(KEY, at=NOW - timedelta(days=9))
    assert verified(leaf, EARLY, at=NOW - timedelta(days=2)).root == "S/MIME authority CN=Example S/MIME CA"
    with pytest.raises(VerificationError):
        verified(leaf, EARLY, at=NOW)


def named(*emails: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.EMAIL_ADDRESS, email) for email in emails]
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Alice"), *attributes])


@pytest.mark.parametrize(
    ("names", "subject", "expected"),
    [
        (("a@example.com", "b@example.com"), named(), ("a@example.com", "b@example.com")),
        (("a@example.com",), named("c@example.com", "a@example.com"), ("a@example.com", "c@example.com")),
        ((), named("c@example.com"), ("c@example.com",)),
        ((), named(), ()),
        ((), named("a\x1b@example.com"), ()),
    ],
    ids=["two names", "a name and subject", "the subject alone", "none", "one that cannot be printed"],
)
def test_addresses(names: tuple[str, ...], subject: x509.Name, expected: tuple[str, ...]) -> None:
    def edit(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder._subject_name = None  # the library lets a subject be set once
        return builder.subject_name(subject)

    leaf = ROOT.issue(KEY, names=tuple(x509.RFC822Name(name) for name in names), edit=edit)
    assert cmscerts.addresses(leaf) == expected
    found = verified(leaf)
    assert found.addresses == set(expected)
    assert found.principal.id.partition("/")[2] == (
        expected[0] if expected else quote(leaf.subject.rfc4514_string(), safe="=,@")
    )


def with_serial(certificate: x509.Certificate, serial: bytes) -> bytes:
    """The certificate with another serial number, of which its signature knows nothing."""
    value = asn1_tree(certificate)
    body = value.children[0].children
    changed = der.seq(body[0].der, serial, *[field.der for field in body[2:]])
    return der.seq(changed, *[field.der for field in value.children[1:]])


def asn1_tree(certificate: x509.Certificate) -> Value:
    return ber.read(certificate.public_bytes(Encoding.DER))


@pytest.mark.parametrize(
    ("serial", "shown"), [(b"\x02\x01\x00", "0"), (b"\x02\x01\xff", "-1"), (b"\x02\x02\x00\x81", "81")]
)
def test_serial_numbers_that_the_library_does_not_take_are_read(serial: bytes, shown: str) -> None:
    found = cmscerts.read(with_serial(ROOT.issue(KEY), serial))
    assert found.facts.serial == shown
    assert (found.facts.subject, found.facts.issuer) == ("CN=Alice Example", "CN=Example S/MIME CA")
    assert found.facts.subject_alternative_names == ("alice@example.com",)


def test_the_key_of_a_certificate_that_the_library_cannot_read_is_read_all_the_same() -> None:
    value = asn1_tree(ROOT.issue(KEY))
    body = [field.der for field in value.children[0].children]
    body[4] = der.seq(der.NULL, der.NULL)
    made = der.seq(der.seq(*body), *[field.der for field in value.children[1:]])
    found = cmscerts.read(made)
    assert (found.library, found.facts.subject) == (None, "")
    signed = Signed(KEY, ROOT.issue(KEY), with_leaf=False, others=(made,))
    read = smime.read(signed.armour(), Roots(smime=(ROOT.certificate,)))
    assert read.verify_content(CONTENT) == read.signer.key
    with pytest.raises(VerificationError) as caught:
        read.verify_signer(None)
    assert caught.value.reason is Reason.CERTIFICATE_INVALID


def test_a_name_alone_is_shown() -> None:
    assert cmscerts.name_text(named("a@example.com").public_bytes()) == "1.2.840.113549.1.9.1=a@example.com,CN=Alice"
    assert cmscerts.name_text(der.NULL) == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_a_certificate_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        cmscerts.read(data)


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_changed_certificate_is_read_or_malformed(at: int, change: int) -> None:
    changed = bytearray(ROOT.issue(KEY, serial=7).public_bytes(Encoding.DER))
    changed[at] ^= change
    try:
        found = cmscerts.read(bytes(changed))
    except Error:
        return
    assert found.der == bytes(changed)


UTC_TIME, GENERALIZED = b"\x17", b"\x18"


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        (UTC_TIME, "260710120000Z", "2026-07-10T12:00:00"),
        (UTC_TIME, "2607101200Z", "2026-07-10T12:00:00"),
        (UTC_TIME, "260710140000+0200", "2026-07-10T12:00:00"),
        (UTC_TIME, "2607101030-0130", "2026-07-10T12:00:00"),
        (UTC_TIME, "500101000000Z", "1950-01-01T00:00:00"),
        (UTC_TIME, "491231235959Z", "2049-12-31T23:59:59"),
        (GENERALIZED, "20260710120000Z", "2026-07-10T12:00:00"),
        (GENERALIZED, "20260710120000.75Z", "2026-07-10T12:00:00"),
        (GENERALIZED, "20260710140000,5+0200", "2026-07-10T12:00:00"),
        (GENERALIZED, "20510101000000Z", "2051-01-01T00:00:00"),
        (UTC_TIME, "260710120000", None),
        (UTC_TIME, "261310120000Z", None),
        (UTC_TIME, "26071012000Z", None),
        (UTC_TIME, "260710120000+9999", None),
        (GENERALIZED, "00010101000000+2359", None),
        (UTC_TIME, "", None),
        (UTC_TIME, "Z", None),
        (b"\x0c", "260710120000Z", None),
    ],
)
def test_times_in_every_form_of_ber(tag: bytes, text: str, expected: str | None) -> None:
    found = cmsdata.read_time(Value(tag, text.encode(), asn1.der(tag, text.encode()), ()))
    assert (None if found is None else found.isoformat()) == (None if expected is None else f"{expected}+00:00")


@pytest.mark.parametrize("dotted", ["1.2.840.113549.1.7.2", "2.16.840.1.101.3.4.2.1", "0.9", "2.999.3"])
def test_object_identifiers(dotted: str) -> None:
    body = der.oid(dotted)[2:] if dotted != "2.999.3" else b"\x88\x37\x03"
    assert cmsdata.read_oid(Value(b"\x06", body, b"", ())) == dotted
    with pytest.raises(MalformedError):
        cmsdata.read_oid(Value(b"\x06", body + b"\x80", b"", ()))


def test_time_stamps_of_an_authority_that_was_named_are_evidence() -> None:
    forge = Forge(Profile.NOTME, at=NOW, seed="time-stamps for mail")
    plain = Signed(KEY, ROOT.issue(KEY))
    signature = sign(KEY, plain.covered())
    token = forge.token(signature, at=NOW)
    stamped = replace(plain, unsigned=(der.attribute(der.TIMESTAMP, token),), signing=lambda _: signature)
    seconds = int(NOW.timestamp())
    for roots, expected in (((ROOT.certificate, forge.root), [seconds + 1]), ((ROOT.certificate,), [])):
        made = smime.read(stamped.armour(), Roots(smime=roots))
        made.verify_content(CONTENT)
        found = made.verify_signer(None)
        assert [item.not_after for item in found.evidence] == expected
        assert found.remarks == (() if expected else (cmstime.IGNORED,))
