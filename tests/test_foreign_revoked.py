"""Revoked SSH keys: both forms of the file, and what is revoked by each."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import MalformedError, UnavailableError
from attest.foreign import allowed, revoked, sshkeys, usercert
from attest.foreign.revoked import RevokedKeys
from attest.sshwire import string, uint32, uint64
from tests import sshforge
from tests.sshforge import Maker, mpint

ALICE, BOB, CA, OTHER_CA = (sshforge.ed25519(name) for name in ("alice", "bob", "ca", "other ca"))
MADE_BY_OPENSSH = base64.b64decode(  # ssh-keygen -k -s ca.pub of serial numbers, an id, a key and a sha256, OpenSSH 9.2
    "U1NIS1JMCgAAAAABAAAAAAAAAAAAAAAAawmnegAAAAAAAAAAAAAAAAAAAAABAAAAaAAAADMAAAALc3NoLWVkMjU1MTkAAAAgyftX"
    "94OSRE4bohzl/oGDnO7yIUQSHAO+QS4hRqFylsMAAAAAIgAAABIAAAAAAAAAAwAAAAZWoAAAA4EjAAAAEQAAAA1hIGxvc3QgbGFw"
    "dG9wAgAAADcAAAAzAAAAC3NzaC1lZDI1NTE5AAAAINW/Sj/M5xewOIvMJ0nrwUitmWmyP0XuG2Bf1Yd4V2rEBQAAACQAAAAgpOFY"
    "ONeRL07H3T9tf0FhwK1slkJs5kvkcnOnf+vGgXA="
)


def of_key(data: bytes, maker: Maker) -> str:
    return RevokedKeys.parse(data).revokes(sshkeys.parse(maker.blob))


def of_certificate(data: bytes, blob: bytes) -> str:
    read = usercert.parse(blob)
    return RevokedKeys.parse(data).revokes(read.key, read)


def krl(*sections: tuple[int, bytes], version: int = 1) -> bytes:
    head = b"SSHKRL\n\0" + uint32(version) + uint64(3) + uint64(1700000000) + uint64(0) + string(b"") + string("ours")
    return head + b"".join(bytes([kind]) + string(data) for kind, data in sections)


def certificates(authority: bytes, *sections: tuple[int, bytes]) -> tuple[int, bytes]:
    inner = b"".join(bytes([kind]) + string(data) for kind, data in sections)
    return 1, string(authority) + string(b"") + inner


def fingerprint(maker: Maker) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(maker.blob).digest()).decode().rstrip("=")


def dsa() -> str:
    return "ssh-dss " + base64.b64encode(string("ssh-dss") + mpint(3) * 4).decode()


BY_KEY = {
    "a public key": f"{ALICE.line}\n".encode(),
    "with a comment, CRLF and others": f"# lost\r\n\r\n{dsa()} old\r\n{ALICE.line} laptop\r\n".encode(),
    "a fingerprint": f"{fingerprint(ALICE)}\n".encode(),
    "a fingerprint with a comment": f"{fingerprint(ALICE)} laptop\n".encode(),
    "its certificate": f"ssh-ed25519-cert-v01@openssh.com {base64.b64encode(CA.certify(ALICE)).decode()}\n".encode(),
    "a KRL with the key": krl((2, string(ALICE.blob))),
    "a KRL with its SHA-1": krl((3, string(hashlib.sha1(ALICE.blob).digest()))),
    "a KRL with its SHA-256": krl((5, string(hashlib.sha256(ALICE.blob).digest()))),
    "a KRL with more": krl((255, string("x") + b"\0" + string(b"y")), (2, string(CA.blob)), (2, string(ALICE.blob))),
}


@pytest.mark.parametrize("form", BY_KEY)
def test_a_key_is_revoked_with_its_certificates_and_no_other_is(form: str) -> None:
    assert of_key(BY_KEY[form], ALICE) == f"key {fingerprint(ALICE)}"
    assert of_key(BY_KEY[form], BOB) == ""
    assert of_certificate(BY_KEY[form], OTHER_CA.certify(ALICE)) == f"key {fingerprint(ALICE)}"
    assert of_certificate(BY_KEY[form], OTHER_CA.certify(BOB)) == ""
    assert RevokedKeys.parse(BY_KEY[form]).sha256 == hashlib.sha256(BY_KEY[form]).digest()


def test_an_authority_is_revoked_with_all_that_it_certified() -> None:
    for data in (f"{CA.line}\n".encode(), krl((2, string(CA.blob))), f"{fingerprint(CA)}\n".encode()):
        assert "authority" in of_certificate(data, CA.certify(ALICE))
        assert of_certificate(data, OTHER_CA.certify(ALICE)) == ""
        assert of_key(data, ALICE) == ""


SERIALS = {  # what: (section, serial numbers that are revoked, of 0 to 12)
    "a list": ((0x20, uint64(5) + uint64(7)), {5, 7}),
    "a range": ((0x21, uint64(5) + uint64(7)), {5, 6, 7}),
    "a bitmap": ((0x22, uint64(5) + string(b"\5")), {5, 7}),
    "a bitmap with a sign byte": ((0x22, uint64(1) + string(b"\0\x90")), {5, 8}),
    "the number for none": ((0x21, uint64(0) + uint64(3)), {1, 2, 3}),
}


@pytest.mark.parametrize("form", SERIALS)
def test_certificates_are_revoked_by_serial_number(form: str) -> None:
    section, expected = SERIALS[form]
    data = krl(certificates(CA.blob, section))
    found = {serial for serial in range(13) if of_certificate(data, CA.certify(ALICE, serial=serial))}
    assert found == expected
    assert of_certificate(data, OTHER_CA.certify(ALICE, serial=5)) == ""


def test_certificates_are_revoked_by_key_id_of_one_authority_or_of_all() -> None:
    named = (0x23, string("alice's laptop") + string("ü"))
    one, every = krl(certificates(CA.blob, named)), krl(certificates(b"", named))
    assert of_certificate(one, CA.certify(ALICE)) == "the certificate with serial number 1"
    assert of_certificate(one, CA.certify(ALICE, key_id="ü", serial=0))
    assert of_certificate(one, CA.certify(ALICE, key_id="bob's laptop")) == ""
    assert of_certificate(one, OTHER_CA.certify(ALICE)) == ""
    assert of_certificate(every, OTHER_CA.certify(ALICE))
    assert of_key(every, ALICE) == ""


def test_what_openssh_made_revokes_what_it_was_made_to() -> None:
    assert of_key(MADE_BY_OPENSSH, ALICE)
    assert of_key(MADE_BY_OPENSSH, BOB)
    assert not of_key(MADE_BY_OPENSSH, CA)
    found = {serial for serial in range(60) if of_certificate(MADE_BY_OPENSSH, CA.certify(OTHER_CA, serial=serial))}
    assert found == {3, *range(10, 13), 40, 42, 44, 45, 47, 49}
    assert of_certificate(MADE_BY_OPENSSH, CA.certify(OTHER_CA, key_id="a lost laptop"))


NOT_READ = {
    "another version": krl(version=2),
    "a signature": krl((4, string(CA.blob))),
    "a section nobody knows": krl((6, b"")),
    "certificates in a form nobody knows": krl(certificates(CA.blob, (0x24, b""))),
    "an extension that must be known": krl((255, string("x") + b"\1" + string(b""))),
    "an extension of certificates that must be known": krl(
        certificates(CA.blob, (0x39, string("x") + b"\1" + string(b"")))
    ),
}  # fmt: skip


@pytest.mark.parametrize("part", NOT_READ)
def test_a_list_that_is_read_in_part_only_is_not_gone_by(part: str) -> None:
    with pytest.raises(UnavailableError):
        RevokedKeys.parse(NOT_READ[part])


MALFORMED = {
    "no key": b"hello\n",
    "no base64": b"ssh-ed25519 ***\n",
    "another kind than said": ALICE.line.replace("ssh-ed25519 ", "ssh-rsa ").encode(),
    "half a fingerprint": fingerprint(ALICE)[:30].encode(),
    "a fingerprint of another digest": b"MD5:00:11",
    "half a KRL": krl((2, string(ALICE.blob)))[:-1],
    "half a head": b"SSHKRL\n\0",
    "a digest of another size": krl((5, string(bytes(20)))),
    "half a serial number": krl(certificates(CA.blob, (0x20, bytes(7)))),
    "a range with three ends": krl(certificates(CA.blob, (0x21, bytes(24)))),
    "a bitmap with more": krl(certificates(CA.blob, (0x22, uint64(1) + string(b"\1") + b"x"))),
    "a bitmap without end": krl(certificates(CA.blob, (0x22, uint64(1) + string(bytes(revoked.MAX_BITMAP_BYTES + 1))))),
    "too much": b"\n" * (allowed.MAX_BYTES + 1),
    "too much of a KRL": krl() + bytes(allowed.MAX_BYTES),
}  # fmt: skip


@pytest.mark.parametrize("defect", MALFORMED)
def test_what_is_no_list_is_refused(defect: str) -> None:
    with pytest.raises(MalformedError):
        RevokedKeys.parse(MALFORMED[defect])


def test_a_refused_line_is_named() -> None:
    with pytest.raises(MalformedError, match="line 2"):
        RevokedKeys.parse(f"{ALICE.line}\nhello\n".encode())


SEEDS = st.sampled_from([*BY_KEY.values(), *NOT_READ.values(), MADE_BY_OPENSSH])
CHANGED = st.tuples(SEEDS, st.integers(0, 600), st.binary(max_size=4)).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + 1 :]
)


@given(st.one_of(st.binary(max_size=100), st.binary(max_size=100).map(b"SSHKRL\n\0\0\0\0\1".__add__), CHANGED))
def test_any_bytes_are_refused_or_a_list_that_can_be_asked(data: bytes) -> None:
    try:
        read = RevokedKeys.parse(data)
    except (MalformedError, UnavailableError):
        return
    certificate = usercert.parse(CA.certify(ALICE))
    assert isinstance(read.revokes(certificate.key, certificate), str)
    assert bool(read.revokes(certificate.key)) is (
        ALICE.blob in read.keys
        or hashlib.sha256(ALICE.blob).digest() in read.sha256s
        or hashlib.sha1(ALICE.blob).digest() in read.sha1s
    )
