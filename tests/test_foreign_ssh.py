"""SSH signatures of anybody, through the eight steps: whose count, for whom, when, and what is said of the rest."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import gitobject, sshsig, verify
from attest.errors import MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign import ssh, sshcredential
from attest.foreign.allowed import AllowedSigners
from attest.foreign.revoked import RevokedKeys
from attest.foreign.roots import Roots
from attest.foreign.ssh import ForeignSsh
from attest.gitobject import Commit, ObjectFormat, ObjectKind
from attest.policy import Context, Policy
from attest.row import SignerKind
from attest.sshwire import string
from attest.trust import Trust
from attest.types import Authentication, Outcome, PrincipalKind, StepStatus
from attest.verify import Examination
from tests import sshforge
from tests.forge import attach, commit_id, commit_payload, push_payload, tag_payload
from tests.sshforge import KINDS, mpint

MAKERS = sshforge.every_kind()
ALICE, BOB, CA = (sshforge.ed25519(name) for name in ("alice", "bob", "ca"))
NAME = "Alice Example <alice@example.org>"
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
NOW = int(AT.timestamp())
PAYLOAD = commit_payload(committer=NAME, at=AT)


def allowing(*lines: str) -> AllowedSigners:
    return AllowedSigners.parse("\n".join(lines).encode(), UTC)


def examined(
    blob: bytes, payload: bytes = PAYLOAD, *, allowed: AllowedSigners | None = None, revoked: RevokedKeys | None = None
) -> Examination:
    """The examination of a commit with this signature, under these roots and no authority."""
    return examined_armour(sshsig.ARMOUR.wrap(blob), payload, allowed=allowed, revoked=revoked)


def examined_armour(
    armour: bytes,
    payload: bytes = PAYLOAD,
    *,
    allowed: AllowedSigners | None = None,
    revoked: RevokedKeys | None = None,
) -> Examination:
    raw, roots = attach(payload, armour), Roots(allowed_signers=allowed, revoked=revoked)
    return verify.examine(raw, ObjectKind.COMMIT, ObjectFormat.SHA1, commit_id(raw), Trust((), foreign=roots), at=AT)


def failure(found: Examination) -> tuple[Step, str] | None:
    """The first step that failed, and why."""
    return next(((Step(f.step), f.reason) for f in found.findings if f.status is StepStatus.FAILED), None)


def outcome(found: Examination) -> Outcome:
    return verify.judge(found, Policy(), Context(), at=AT).outcome


@pytest.mark.parametrize("kind", KINDS)
def test_a_listed_key_of_every_kind_is_accepted(kind: str) -> None:
    maker = MAKERS[kind]
    found = examined(maker.sign(PAYLOAD), allowed=allowing(f"alice@example.org {maker.line}"))
    assert (outcome(found), found.remarks) == (Outcome.ACCEPTED, ())
    assert found.identity is not None
    actor = found.identity.actor
    assert (actor.kind, actor.authentication) == (PrincipalKind.HUMAN, Authentication.OWN_KEY)
    assert (actor.email, actor.display) == ("alice@example.org", "alice@example.org")
    assert found.foreign is not None
    signer = found.foreign.signer
    assert (signer.kind, signer.algorithm, actor.id) == (SignerKind.SSH_KEY, kind, f"ssh:{signer.key}")
    assert signer.key.startswith("SHA256:")


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_over_every_kind_of_key_is_accepted_under_a_listed_authority(kind: str) -> None:
    certificate = CA.certify(MAKERS[kind], ("alice@example.org", "alice"), serial=0x2A, valid=(NOW - 60, NOW + 60))
    blob = MAKERS[kind].sign(PAYLOAD, certificate=certificate)
    found = examined(blob, allowed=allowing(f"*@example.org cert-authority {CA.line}"))
    assert outcome(found) is Outcome.ACCEPTED_TIME_UNPROVEN
    assert found.identity is not None
    assert found.foreign is not None
    signer = found.foreign.signer
    assert (signer.kind, signer.serial, signer.subject) == (SignerKind.SSH_CERTIFICATE, "2a", "alice's laptop")
    assert (signer.not_before, signer.not_after) == (NOW - 60, NOW + 60)
    assert found.identity.actor.id == f"ssh:{signer.issuer}/alice@example.org"
    assert found.identity.certificate_sha256.hex() == signer.leaf_sha256


CERTIFIED = CA.certify(ALICE, ("alice@example.org",))
KEY, AUTHORITY = f"alice@example.org {ALICE.line}", f"alice@example.org cert-authority {CA.line}"

# what: (lines of allowed signers, lines of revoked keys, the signature's blob, where it fails and why)
JUDGED: dict[str, tuple[list[str], list[str], bytes, tuple[Step, Reason] | None]] = {
    "a listed key": ([KEY], [], ALICE.sign(PAYLOAD), None),
    "a key among others": ([f"bob@example.org {BOB.line}", KEY], [BOB.line], ALICE.sign(PAYLOAD), None),
    "no list of keys": ([], [], ALICE.sign(PAYLOAD), (Step.CHAIN, Reason.KEY_UNKNOWN)),
    "a key that is not listed": ([KEY], [], BOB.sign(PAYLOAD), (Step.CHAIN, Reason.KEY_UNKNOWN)),
    "a key that is an authority": (
        [f"alice@example.org cert-authority {ALICE.line}"], [], ALICE.sign(PAYLOAD), (Step.CHAIN, Reason.KEY_UNKNOWN),
    ),
    "a key for files": (
        [f'alice@example.org namespaces="file" {ALICE.line}'], [], ALICE.sign(PAYLOAD),
        (Step.CHAIN, Reason.KEY_UNKNOWN),
    ),
    "a key for files and for git": (
        [f'alice@example.org namespaces="file" {ALICE.line}', f'*@example.org namespaces="git" {ALICE.line}'], [],
        ALICE.sign(PAYLOAD), None,
    ),
    "a revoked key": ([KEY], [ALICE.line], ALICE.sign(PAYLOAD), (Step.CHAIN, Reason.KEY_REVOKED)),
    "a key of somebody else": (
        [f"bob@example.org {ALICE.line}"], [], ALICE.sign(PAYLOAD), (Step.IDENTITY, Reason.COMMITTER_MISMATCH),
    ),
    "a key of this and another": (
        [f"bob@example.org {ALICE.line}", f"alice@example.org {ALICE.line}"], [], ALICE.sign(PAYLOAD), None,
    ),
    "a key of everybody at home": ([f"*@example.org {ALICE.line}"], [], ALICE.sign(PAYLOAD), None),
    "a key of everybody elsewhere": (
        [f"*@example.com {ALICE.line}"], [], ALICE.sign(PAYLOAD), (Step.IDENTITY, Reason.COMMITTER_MISMATCH),
    ),
    "a key of everybody but her": (
        [f"*@example.org,!alice@* {ALICE.line}"], [], ALICE.sign(PAYLOAD), (Step.IDENTITY, Reason.COMMITTER_MISMATCH),
    ),
    "a key of everybody but HER": (
        [f"*@example.org,!ALICE@* {ALICE.line}"], [], ALICE.sign(PAYLOAD), (Step.IDENTITY, Reason.COMMITTER_MISMATCH),
    ),
    "a key of nobody": (
        [f"alice@example.org,!* {ALICE.line}"], [], ALICE.sign(PAYLOAD), (Step.CHAIN, Reason.KEY_UNKNOWN),
    ),
    "an address in another case": ([f"Alice@Example.org {ALICE.line}"], [], ALICE.sign(PAYLOAD), None),
    "a signature for files": (
        [KEY], [], ALICE.sign(PAYLOAD, namespace="file"), (Step.INTEGRITY, Reason.PURPOSE_MISMATCH),
    ),
    "a signature over something else": (
        [KEY], [], ALICE.sign(PAYLOAD + b"x"), (Step.INTEGRITY, Reason.SIGNATURE_INVALID),
    ),
    "a key put in another's place": (
        [KEY], [], BOB.sign(PAYLOAD).replace(string(BOB.blob), string(ALICE.blob)),
        (Step.INTEGRITY, Reason.SIGNATURE_INVALID),
    ),
    "DSA": (
        [KEY], [], ALICE.sign(PAYLOAD).replace(string(ALICE.blob), string(string("ssh-dss") + mpint(3) * 4)),
        (Step.INTEGRITY, Reason.KEY_REFUSED),
    ),
    "RSA with SHA-1": (
        [KEY], [], MAKERS["ssh-rsa"].sign(PAYLOAD, algorithm="ssh-rsa"), (Step.INTEGRITY, Reason.KEY_REFUSED),
    ),
    "a key without a kind": (
        [KEY], [], ALICE.sign(PAYLOAD).replace(string(ALICE.blob), string(b"\0\0\0")),
        (Step.SIGNATURE, Reason.SIGNATURE_MALFORMED),
    ),
    "a certificate": ([AUTHORITY], [], ALICE.sign(PAYLOAD, certificate=CERTIFIED), None),
    "a certificate where its key is listed": (
        [KEY], [], ALICE.sign(PAYLOAD, certificate=CERTIFIED), (Step.CHAIN, Reason.KEY_UNKNOWN),
    ),
    "a certificate of an authority that is listed as a key": (
        [f"alice@example.org {CA.line}"], [], ALICE.sign(PAYLOAD, certificate=CERTIFIED),
        (Step.CHAIN, Reason.KEY_UNKNOWN),
    ),
    "a certificate of another authority": (
        [AUTHORITY], [], ALICE.sign(PAYLOAD, certificate=BOB.certify(ALICE)), (Step.CHAIN, Reason.KEY_UNKNOWN),
    ),
    "a certificate with a key put in another's place": (
        [AUTHORITY], [], BOB.sign(PAYLOAD, certificate=CERTIFIED.replace(ALICE.fields, BOB.fields)),
        (Step.CHAIN, Reason.CERTIFICATE_INVALID),
    ),
    "a certificate of a host": (
        [AUTHORITY], [], ALICE.sign(PAYLOAD, certificate=CA.certify(ALICE, type=2)),
        (Step.CHAIN, Reason.CERTIFICATE_INVALID),
    ),
    "a certificate for somebody else": (
        [AUTHORITY], [], ALICE.sign(PAYLOAD, certificate=CA.certify(ALICE, ("bob@example.org",))),
        (Step.CHAIN, Reason.KEY_UNKNOWN),
    ),
    "a certificate for somebody else at home": (
        [f"*@example.org cert-authority {CA.line}"], [],
        ALICE.sign(PAYLOAD, certificate=CA.certify(ALICE, ("bob@example.org",))),
        (Step.IDENTITY, Reason.COMMITTER_MISMATCH),
    ),
    "a certificate for nobody": (
        [f"* cert-authority {CA.line}"], [], ALICE.sign(PAYLOAD, certificate=CA.certify(ALICE, ())),
        (Step.CHAIN, Reason.KEY_UNKNOWN),
    ),
    "a certificate for a pattern": (
        [AUTHORITY], [], ALICE.sign(PAYLOAD, certificate=CA.certify(ALICE, ("*",))), (Step.CHAIN, Reason.KEY_UNKNOWN),
    ),
    "a certificate of a revoked authority": (
        [AUTHORITY], [CA.line], ALICE.sign(PAYLOAD, certificate=CERTIFIED), (Step.CHAIN, Reason.KEY_REVOKED),
    ),
    "a certificate of a revoked key": (
        [AUTHORITY], [ALICE.line], ALICE.sign(PAYLOAD, certificate=CERTIFIED), (Step.CHAIN, Reason.KEY_REVOKED),
    ),
    "a certificate of a bad key": (
        [AUTHORITY], [], ALICE.sign(PAYLOAD, certificate=CERTIFIED.replace(ALICE.fields, string(bytes(32)))),
        (Step.INTEGRITY, Reason.KEY_REFUSED),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", JUDGED)
def test_it_is_judged(case: str) -> None:
    lines, revoked, blob, expected = JUDGED[case]
    found = examined(blob, allowed=allowing(*lines), revoked=RevokedKeys.parse("\n".join(revoked).encode()))
    assert failure(found) == expected
    assert outcome(found) is (Outcome.ACCEPTED if expected is None else Outcome.REJECTED)


def test_without_a_list_integrity_is_checked_and_nobody_counts() -> None:
    found = examined(ALICE.sign(PAYLOAD))
    assert found.finding(Step.INTEGRITY).status is StepStatus.PROVEN
    assert failure(found) == (Step.CHAIN, Reason.SIGNATURE_FOREIGN)
    broken = examined(ALICE.sign(PAYLOAD + b"x"))
    assert failure(broken) == (Step.INTEGRITY, Reason.SIGNATURE_INVALID)


LAST = 'valid-before="20261127115900Z"'
VALID = {  # what: (options of the line, validity of the certificate or None for a key, whether it counts at AT)
    "until later": ('valid-before="20261127120001Z"', None, True),
    "until then": ('valid-before="20261127120000Z"', None, True),
    "until before": ('valid-before="20261127115959Z"', None, False),
    "from then on": ('valid-after="20261127120000Z"', None, True),
    "from later on": ('valid-after="20261127120001Z"', None, False),
    "a certificate until later": ("cert-authority", (0, NOW + 1), True),
    "a certificate until then": ("cert-authority", (0, NOW), False),
    "a certificate from then on": ("cert-authority", (NOW, NOW + 1), True),
    "a certificate from later on": ("cert-authority", (NOW + 1, NOW + 2), False),
    "a certificate that holds, an authority that does not": (f"cert-authority,{LAST}", (0, NOW + 60), False),
    "an authority that holds, a certificate that does not": ('cert-authority,valid-after="20250101Z"', (0, 60), False),
}


@pytest.mark.parametrize("case", VALID)
def test_a_key_counts_at_the_objects_own_date(case: str) -> None:
    options, valid, counts = VALID[case]
    certificate = CA.certify(ALICE, valid=valid) if valid is not None else b""
    listed = allowing(f"alice@example.org {options} {ALICE.line if valid is None else CA.line}")
    found = examined(ALICE.sign(PAYLOAD, certificate=certificate), allowed=listed)
    assert failure(found) == (None if counts else (Step.CHAIN, Reason.KEY_OUTSIDE_VALIDITY))
    assert outcome(found) is (Outcome.ACCEPTED_TIME_UNPROVEN if counts else Outcome.REJECTED)


def test_a_line_that_ended_does_not_hide_one_that_holds() -> None:
    found = examined(ALICE.sign(PAYLOAD), allowed=allowing(f"alice@example.org {LAST} {ALICE.line}", KEY))
    assert outcome(found) is Outcome.ACCEPTED
    assert found.vouched is not None
    assert found.vouched.root == "allowed-signers:2"


LINES = {  # lines for one key: which of them vouches for a commit by alice now, None where it is too late
    "for another, then for her": (["bob@example.org {}", "alice@example.org {}"], 2),
    "for a name, then for her": (["alice {}", "alice@example.org {}"], 2),
    "for her until later, then without an end": (
        ['alice@example.org valid-before="20300101" {}', "*@example.org {}"],
        2,
    ),
    "for her until then, and for another": (
        ['alice@example.org valid-before="20260101" {}', "bob@example.org {}"],
        None,
    ),
    "for her until then, and for a name": (['alice@example.org valid-before="20260101" {}', "alice {}"], 2),
    "for another alone": (["# x", "bob@example.org {}"], 2),
}


@pytest.mark.parametrize("lines", LINES)
def test_of_several_lines_one_for_the_committer_and_without_an_end_vouches(lines: str) -> None:
    written, expected = LINES[lines]
    listed = allowing(*(line.format(ALICE.line) for line in written))
    one, parsed = ssh.read(sshsig.ARMOUR.wrap(ALICE.sign(PAYLOAD)), listed, None), gitobject.parse_payload(PAYLOAD)
    if expected is not None:
        assert one.verify_signer(parsed).root == f"allowed-signers:{expected}"
        return
    with pytest.raises(VerificationError) as caught:
        one.verify_signer(parsed)
    assert caught.value.reason is Reason.KEY_OUTSIDE_VALIDITY


def test_a_refusal_says_when_the_key_counts() -> None:
    found = examined(ALICE.sign(PAYLOAD), allowed=allowing(f"alice@example.org {LAST} {ALICE.line}"))
    detail = found.finding(Step.CHAIN).detail
    assert "alice@example.org counts until 2026-11-27T11:59:00Z" in detail
    assert "signed at 2026-11-27T12:00:00Z (signer)" in detail


def made(payload: bytes, listed: AllowedSigners) -> ForeignSsh:
    return ssh.read(sshsig.ARMOUR.wrap(ALICE.sign(payload)), listed, None)


def test_a_tag_and_a_push_certificate_are_judged_by_their_own_lines() -> None:
    tag = tag_payload("1" * 40, tagger=NAME, at=AT)
    push = push_payload(pusher=NAME, at=AT)
    for payload in (tag, push):
        parsed = gitobject.parse_payload(payload)
        for option, counts in (('valid-before="20261127120000Z"', True), ('valid-after="20261127120001Z"', False)):
            one = made(payload, allowing(f"*@example.org {option} {ALICE.line}"))
            assert one.verify_content(payload) == one.signer.key
            if counts:
                assert one.verify_signer(parsed).principal.email == "alice@example.org"
                assert one.signing_time(parsed) == (NOW, "ssh-committer-date")
                continue
            with pytest.raises(VerificationError) as caught:
                one.verify_signer(parsed)
            assert caught.value.reason is Reason.KEY_OUTSIDE_VALIDITY


def test_of_what_has_no_date_a_key_with_an_end_cannot_be_judged() -> None:
    for parsed in (None, gitobject.parse_payload(tag_payload("1" * 40, tagger=None))):
        one = made(b"content", allowing(f"alice@example.org {LAST} {ALICE.line}"))
        assert one.signing_time(parsed) is None
        with pytest.raises(UnavailableError) as caught:
            one.verify_signer(parsed)
        assert caught.value.reason is Reason.TIME_UNPROVEN
        assert made(b"content", allowing(KEY)).verify_signer(parsed).addresses == {"alice@example.org"}


def test_a_pusher_who_is_a_fingerprint_is_no_address() -> None:
    payload = push_payload(pusher=f"{sshcredential.credential(ALICE.blob).signer.key} ", at=AT)
    vouched = made(payload, allowing(f"*@example.org {ALICE.line}")).verify_signer(gitobject.parse_payload(payload))
    assert (vouched.principal.display, vouched.principal.email) == ("*@example.org", "")


ADDRESSES = {  # principals of the line: addresses that count, for a commit by alice and an author bob, and her name
    "alice@example.org": ({"alice@example.org"}, "alice@example.org"),
    "alice": (set(), "alice"),
    "alice,carol@example.org": ({"carol@example.org"}, "alice"),
    "carol@example.org,*@example.org": (
        {"carol@example.org", "*@example.org", "alice@example.org", "bob@example.org"}, "alice@example.org",
    ),
    "*": ({"*", "alice@example.org", "bob@example.org"}, "alice@example.org"),
    "dev-*": ({"dev-*"}, "dev-*"),
    "!bob@*,*@example.org": ({"*@example.org", "alice@example.org"}, "alice@example.org"),
}  # fmt: skip


@pytest.mark.parametrize("principals", ADDRESSES)
def test_a_line_vouches_for_its_addresses_and_what_its_patterns_take(principals: str) -> None:
    expected, name = ADDRESSES[principals]
    payload = commit_payload(committer=NAME, author="Bob <bob@example.org>", at=AT)
    vouched = made(payload, allowing(f"{principals} {ALICE.line}")).verify_signer(gitobject.parse_payload(payload))
    assert (set(vouched.addresses), vouched.principal.display) == (expected, name)


def test_an_author_whom_the_line_does_not_take_is_remarked() -> None:
    payload = commit_payload(committer=NAME, author="Eve <eve@example.com>", at=AT)
    found = examined(ALICE.sign(payload), payload, allowed=allowing(f"*@example.org {ALICE.line}"))
    assert (outcome(found), found.remarks) == (Outcome.ACCEPTED, ("authored-by-other",))


def test_a_signature_without_a_touch_is_remarked() -> None:
    key = MAKERS["sk-ssh-ed25519@openssh.com"]
    found = examined(key.sign(PAYLOAD, flags=0), allowed=allowing(f"alice@example.org {key.line}"))
    assert (outcome(found), found.remarks) == (Outcome.ACCEPTED, (ssh.NO_PRESENCE,))


def wrapped(blob: bytes, columns: int, tail: str = "") -> bytes:
    text = base64.b64encode(blob).decode() + tail
    lines = [text[i : i + columns] for i in range(0, len(text), columns)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


@pytest.mark.parametrize("columns", [64, 76, 10_000])
def test_lines_of_another_width_are_remarked(columns: int) -> None:
    armour = wrapped(ALICE.sign(PAYLOAD), columns)
    found = examined_armour(armour, allowed=allowing(KEY))
    assert (outcome(found), found.remarks) == (Outcome.ACCEPTED, (ssh.ARMOUR_LOOSE,))


NO_ARMOUR = {
    "another sign": wrapped(ALICE.sign(PAYLOAD), 64).replace(b"\nU1NI", b"\nU1N*I"),
    "a header": wrapped(ALICE.sign(PAYLOAD), 64).replace(b"\nU1NI", b"\nComment: x\n\nU1NI"),
    "base64 that goes on after its end": wrapped(ALICE.sign(PAYLOAD), 64, "AAAA=AAA"),
    "base64 with half a byte at its end": wrapped(ALICE.sign(PAYLOAD), 64, "A"),
    "too much": wrapped(bytes(2 * sshsig.MAX_BLOB_BYTES), 64),
    "nothing": wrapped(b"", 64),
}  # fmt: skip


@pytest.mark.parametrize("defect", NO_ARMOUR)
def test_what_is_no_armour_is_malformed(defect: str) -> None:
    with pytest.raises(MalformedError):
        ssh.read(NO_ARMOUR[defect], None, None)
    assert failure(examined_armour(NO_ARMOUR[defect])) == (Step.SIGNATURE, Reason.SIGNATURE_MALFORMED)


def test_a_certificate_can_demand_a_pin() -> None:
    key = MAKERS["sk-ssh-ed25519@openssh.com"]
    certificate = CA.certify(key, critical=(("verify-required", ""),))
    for flags, expected in (
        (sshforge.PRESENT | sshforge.VERIFIED, None),
        (sshforge.PRESENT, (Step.CHAIN, Reason.CERTIFICATE_INVALID)),
    ):
        blob = key.sign(PAYLOAD, certificate=certificate, flags=flags)
        assert failure(examined(blob, allowed=allowing(AUTHORITY))) == expected


def test_signers_are_shared_and_answers_remembered() -> None:
    listed = allowing(KEY)
    first, second = made(b"one", listed), made(b"two", listed)
    assert first.signer is second.signer
    assert first.verify_signer(None) is second.verify_signer(None)
    assert made(b"one", allowing(f"bob@example.org {ALICE.line}")).verify_signer(None).addresses == {"bob@example.org"}


def test_addresses_that_no_pattern_takes_are_not_remembered() -> None:
    long = commit_payload(committer=f"Alice <{'a' * 5000}@example.org>", at=AT)
    found = examined(ALICE.sign(long), long, allowed=allowing(f"* {ALICE.line}"))
    assert failure(found) == (Step.IDENTITY, Reason.COMMITTER_MISMATCH)


BLOBS = [maker.sign(PAYLOAD) for maker in MAKERS.values()] + [ALICE.sign(PAYLOAD, certificate=CERTIFIED)]
CHANGED = st.tuples(st.sampled_from(BLOBS), st.integers(0, 600), st.binary(max_size=4), st.integers(0, 4)).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + t[3] :]
)
EVERYBODY = allowing(*(f"* {maker.line}" for maker in MAKERS.values()), f"* cert-authority {CA.line}")


@given(st.one_of(st.binary(max_size=200), CHANGED))
def test_any_bytes_are_a_documented_error_or_a_signature_that_was_made(data: bytes) -> None:
    parsed = gitobject.parse_payload(PAYLOAD)
    assert isinstance(parsed, Commit)
    try:
        one = ssh.read(sshsig.ARMOUR.wrap(data), EVERYBODY, None)
        one.verify_content(PAYLOAD)
        one.verify_signer(parsed)
    except (MalformedError, VerificationError):
        return
    assert data in BLOBS


def test_a_line_of_another_kind_of_key_is_no_line_of_this() -> None:
    plain, touched = sshforge.ed25519("x"), sshforge.ed25519("x", application="ssh:")
    found = examined(plain.sign(PAYLOAD), allowed=allowing(f"alice@example.org {touched.line}"))
    assert failure(found) == (Step.CHAIN, Reason.KEY_UNKNOWN)
