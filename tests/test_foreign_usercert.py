"""OpenSSH certificates of other authorities: what is read, what holds, and what is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.foreign import usercert
from attest.gitobject import MAX_SECONDS
from attest.sshwire import string
from tests import sshforge
from tests.sshforge import KINDS

MAKERS = sshforge.every_kind()
CA, ALICE = sshforge.ed25519("ca"), sshforge.ed25519("alice")

OPENSSH = base64.b64decode(  # ssh-keygen -s ca -I id -n a@x,b@y -V 20250101Z:20350101Z -z 7 alice.pub, OpenSSH 9.2
    "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAILFVi5HfSkQOwkIfcQAKw/ger/56+ToElmDu0i1m9skMAAAA"
    "IGjdFd1iCzwYVed/P3sB+rAtWX3MCn/AB5lkyfQzSlslAAAAAAAAAAcAAAABAAAAAmlkAAAADgAAAANhQHgAAAADYkB5AAAAAGd0"
    "hYAAAAAAekMrgAAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZvcndhcmRpbmcA"
    "AAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAA"
    "AAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIKXQUqg4Z6N2R21xO34XG8q09I4BQOU1rCmC/65JeXAZAAAAUwAAAAtzc2gtZWQyNTUx"
    "OQAAAEClWLrqEq9oR5sw5H2QT5Rygu2YLio7FLAJIYJ/chSQN7go0IaV6/c12WEvNsMLWnX1vGSw5+Vj5w7ukRw0qYcO"
)


def test_a_certificate_of_openssh_is_read_field_by_field_and_holds() -> None:
    read = usercert.parse(OPENSSH)
    assert (read.key.kind, read.serial, read.type, read.key_id) == ("ssh-ed25519", 7, 1, "id")
    assert read.principals == ("a@x", "b@y")
    assert (read.valid_after, read.valid_before) == (1735689600, 2051222400)
    assert (read.critical, read.algorithm, len(read.signature), read.extra) == ((), "ssh-ed25519", 64, b"")
    usercert.verify(OPENSSH)


@pytest.mark.parametrize("authority", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_authority_certifies_every_kind_of_key(kind: str, authority: str) -> None:
    blob = MAKERS[authority].certify(MAKERS[kind], ("alice", "bob"))
    read = usercert.parse(blob)
    assert (read.key.blob, read.authority) == (MAKERS[kind].blob, MAKERS[authority].blob)
    assert (read.principals, read.serial, read.key_id) == (("alice", "bob"), 1, "alice's laptop")
    usercert.verify(blob)


def test_times_without_an_end_and_beyond_what_git_can_date_are_no_limits() -> None:
    always = usercert.parse(CA.certify(ALICE))
    assert (always.valid_after, always.valid_before) == (None, None)
    late = usercert.parse(CA.certify(ALICE, valid=(1 << 63, 1 << 63)))
    assert (late.valid_after, late.valid_before) == (MAX_SECONDS, None)
    never = usercert.parse(CA.certify(ALICE, valid=(0, 0)))
    assert (never.valid_after, never.valid_before) == (None, 0)


NOT_HELD = {
    "a host's certificate": (CA.certify(ALICE, type=2), "type 2"),
    "an option nobody knows": (CA.certify(ALICE, critical=(("x@example.org", ""),)), "x@example.org"),
    "a byte changed": (CA.certify(ALICE, serial=1).replace(b"laptop", b"lapdog"), "did not sign"),
    "another authority's signature": (CA.certify(ALICE)[:-64] + sshforge.ed25519("eve").certify(ALICE)[-64:], "sign"),
    "SHA-1 of an RSA authority": (MAKERS["ssh-rsa"].certify(ALICE, algorithm="ssh-rsa"), "kind 'ssh-rsa'"),
}


@pytest.mark.parametrize("defect", NOT_HELD)
def test_a_certificate_that_does_not_hold_is_read_and_refused(defect: str) -> None:
    blob, words = NOT_HELD[defect]
    usercert.parse(blob)
    with pytest.raises(VerificationError, match=words) as caught:
        usercert.verify(blob)
    assert (caught.value.step, caught.value.reason) == (Step.CHAIN, Reason.CERTIFICATE_INVALID)


def test_options_about_logins_and_our_own_are_passed_over() -> None:
    for name, value in (("force-command", "/bin/true"), ("source-address", "192.0.2.0/24"), ("verify-required", "")):
        usercert.verify(CA.certify(ALICE, critical=((name, value),)))
    usercert.verify(CA.certify(ALICE, critical=(("git-signing@notme.bot", ""),)))


GOOD = CA.certify(ALICE)
MALFORMED = {
    "a plain key": ALICE.blob,
    "DSA": GOOD.replace(string("ssh-ed25519-cert-v01@openssh.com"), string("ssh-dss-cert-v01@openssh.com")),
    "a suffix alone": GOOD.replace(string("ssh-ed25519-cert-v01@openssh.com"), string("-cert-v01@openssh.com")),
    "version 0": GOOD.replace(string("ssh-ed25519-cert-v01@openssh.com"), string("ssh-ed25519-cert-v00@openssh.com")),
    "a reserved field": CA.certify(ALICE, reserved=b"x"),
    "a byte more": GOOD + b"\0",
    "a byte less": GOOD[:-1],
    "an option twice": CA.certify(ALICE, critical=(("verify-required", ""), ("verify-required", ""))),
    "65 options": CA.certify(ALICE, critical=[(f"o{n}", "") for n in range(65)]),
    "257 principals": CA.certify(ALICE, [f"p{n}" for n in range(257)]),
    "a key of small order": GOOD.replace(ALICE.fields, string(bytes(32))),
    "too much": CA.certify(ALICE, key_id="x" * usercert.MAX_BYTES),
    "nothing": b"",
}


@pytest.mark.parametrize("defect", MALFORMED)
def test_what_is_no_certificate_is_refused(defect: str) -> None:
    with pytest.raises(MalformedError):
        usercert.parse(MALFORMED[defect])


def test_an_authority_that_is_a_certificate_itself_is_none() -> None:
    nested = GOOD.replace(string(CA.blob), string(GOOD))
    with pytest.raises(VerificationError, match="counts for nothing"):
        usercert.verify(nested)


CHANGED = st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=8), st.integers(0, 8)).map(
    lambda t: GOOD[: t[0]] + t[1] + GOOD[t[0] + t[2] :]
)


@given(st.one_of(st.binary(max_size=300), CHANGED))
def test_any_bytes_are_refused_or_the_certificate_that_was_signed(data: bytes) -> None:
    try:
        read = usercert.parse(data)
    except MalformedError:
        return
    assert read.blob == data == read.signed + string(string(read.algorithm) + string(read.signature) + read.extra)
    if data != GOOD:
        with pytest.raises(VerificationError):
            usercert.verify(data)
