"""SSH keys of every kind and their signatures: what is read, what verifies, and what is refused."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from hypothesis import given
from hypothesis import strategies as st

from attest import sshsig, sshwire
from attest.errors import MalformedError, Reason, Step, VerificationError
from attest.foreign import sshkeys
from attest.sshsig import SshSignature
from attest.sshwire import string
from tests import sshforge
from tests.sshforge import KINDS, Maker, mpint

CONTENT = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\ncontent\n"
MAKERS = sshforge.every_kind()
P256 = MAKERS["ecdsa-sha2-nistp256"]
ALICE = MAKERS["ssh-ed25519"]
RSA = MAKERS["ssh-rsa"]

VECTORS = {  # made by OpenSSH 9.2: ssh-keygen -l, and -Y sign -n git over "hello\n"
    "ssh-ed25519": (
        "AAAAC3NzaC1lZDI1NTE5AAAAIGjdFd1iCzwYVed/P3sB+rAtWX3MCn/AB5lkyfQzSlsl",
        "SHA256:haNBYlq9//vbKUzaCkUFyi98N9xECm7j9KW+/FmqRsw",
        "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgaN0V3WILPBhV538/ewH6sC1ZfcwKf8AHmWTJ9DNKWyUAAAADZ2l0AAAA"
        "AAAAAAZzaGE1MTIAAABTAAAAC3NzaC1lZDI1NTE5AAAAQONm04om8sQ199ZRJtZxU6AEP96yK/dbBWaZces4itEjWZlRy3GnqvL+"
        "sWAVAf2CuWXdKxg4BwgQhGUusOQ5TwQ=",
    ),
    "ecdsa-sha2-nistp256": (
        "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBN75TVq7RNsMI1oeGIqzlFj9Sg+dF9SCrcVOWB6xrIJsD3FT"
        "ZtEDkmmY6QF5RRpSY9pTPUNQ8yKU0ttT98cZlMU=",
        "SHA256:c9wmgMWB7iG337c9o/i/CYazA1bY3JBPm/Po9f7ChjI",
        "U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAEEE3vlNWrtE2wwjWh4YirOUWP1KD50X"
        "1IKtxU5YHrGsgmwPcVNm0QOSaZjpAXlFGlJj2lM9Q1DzIpTS21P3xxmUxQAAAANnaXQAAAAAAAAABnNoYTUxMgAAAGMAAAATZWNk"
        "c2Etc2hhMi1uaXN0cDI1NgAAAEgAAAAgZ1O5zB0RK0M0tfxBDKn6joNtbKqJ8f9xbPPPA29B+xgAAAAgRW+VSoS0yEUaivjaZy+5"
        "KHZVMwrJnmfS9XxVJgwRasc=",
    ),
    "ecdsa-sha2-nistp384": (
        "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBCWBKzEXHNRihQzURXS9XdRVdMGxD2Z6+GA50Yq0l+MW2HHa"
        "2kQhNM9dfiOsKLp9ipvp4vGKofLR4ziO9PcjaItFzayn9xVsk7+1ChYumXnnRYt3cfkVvAzCtHjyqilBEg==",
        "SHA256:cGVwlwrrKxY+ehtWQlI9cVguEG5VpQXYj9ilVVxh5l8",
        "U1NIU0lHAAAAAQAAAIgAAAATZWNkc2Etc2hhMi1uaXN0cDM4NAAAAAhuaXN0cDM4NAAAAGEEJYErMRcc1GKFDNRFdL1d1FV0wbEP"
        "Znr4YDnRirSX4xbYcdraRCE0z11+I6woun2Km+ni8Yqh8tHjOI709yNoi0XNrKf3FWyTv7UKFi6ZeedFi3dx+RW8DMK0ePKqKUES"
        "AAAAA2dpdAAAAAAAAAAGc2hhNTEyAAAAhAAAABNlY2RzYS1zaGEyLW5pc3RwMzg0AAAAaQAAADABQ9N1bF0/fXNCrAf9986Vf24p"
        "ahfB9ENpMuUVfT9DZdC/t7CHeV795M6Wk93vQTAAAAAxAOBcpQBYm74lX+EXSe2ImLmfqUqvRDvURtd/X6G6u8f8x7ur8US1u42I"
        "GA1qzh8hzQ==",
    ),
    "ecdsa-sha2-nistp521": (
        "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBABGVpn4A5FsmivxAgWug2GhJw+QLMnAD6Twv+OEgWwea8LD"
        "5qy4h1sgqICsVHeSU+X2Ju3rNT995frOilFCHl1UGwAXwXY7ANlXDLJ8JgN4NdIE8tfLMXJwdfOb41Jfw19mTP8eg0dei3DqrHQ8"
        "IvHn4CpzlDS0EumPiNRWuwUA9SmjRw==",
        "SHA256:pOBVQvbAl6y+bglNNgdC5asQ0GN9bojnqoNw+PGYFhc",
        "U1NIU0lHAAAAAQAAAKwAAAATZWNkc2Etc2hhMi1uaXN0cDUyMQAAAAhuaXN0cDUyMQAAAIUEAEZWmfgDkWyaK/ECBa6DYaEnD5As"
        "ycAPpPC/44SBbB5rwsPmrLiHWyCogKxUd5JT5fYm7es1P33l+s6KUUIeXVQbABfBdjsA2VcMsnwmA3g10gTy18sxcnB185vjUl/D"
        "X2ZM/x6DR16LcOqsdDwi8efgKnOUNLQS6Y+I1Fa7BQD1KaNHAAAAA2dpdAAAAAAAAAAGc2hhNTEyAAAApwAAABNlY2RzYS1zaGEy"
        "LW5pc3RwNTIxAAAAjAAAAEIAwbWSVONLrSaEfpbkt9GhEGA1hlmmAjdVR21uEEnpgXBQZ/jJK2mvTltsr5lJ9NbOUndGqSKUI7V9"
        "wBKN92A5BDUAAABCANLfJwiWwE72B5ccwgsPMNkJo2DdNZT2WVvIhBOTF1pKtfmtsPgduo6/QE0ajnJPr1bHCcvwCFGKfGs+er1/"
        "9Kfv",
    ),
}  # fmt: skip


def check(read: SshSignature, content: bytes = CONTENT) -> None:
    signed = sshsig.to_be_signed(content, namespace=read.namespace, hash_algorithm=read.hash_algorithm)
    key = sshkeys.parse(read.public_key)
    sshkeys.verify(key, read.signature_algorithm, read.signature, read.extra, signed)


def refusal(read: SshSignature, content: bytes = CONTENT) -> Reason:
    with pytest.raises(VerificationError) as caught:
        check(read, content)
    assert caught.value.step is Step.INTEGRITY
    return caught.value.reason


@pytest.mark.parametrize("kind", VECTORS)
def test_what_openssh_made_is_read_as_openssh_reads_it(kind: str) -> None:
    key, fingerprint, signature = VECTORS[kind]
    read = sshsig.parse(base64.b64decode(signature))
    assert read.public_key == base64.b64decode(key)
    assert (sshkeys.parse(read.public_key).kind, sshkeys.parse(read.public_key).fingerprint) == (kind, fingerprint)
    check(read, b"hello\n")
    assert refusal(read, b"hello") is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("hash_algorithm", ["sha512", "sha256"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_verifies_over_its_content_by_its_key_alone(kind: str, hash_algorithm: str) -> None:
    read = sshsig.parse(MAKERS[kind].sign(CONTENT, hash_algorithm=hash_algorithm))
    check(read)
    assert refusal(read, CONTENT + b"x") is Reason.SIGNATURE_INVALID
    for other in (sshforge.ed25519("bob"), sshforge.ecdsa("nistp256", "bob"), sshforge.ed25519("bob", application="")):
        key = sshkeys.parse(other.blob)
        with pytest.raises(VerificationError):
            sshkeys.verify(key, read.signature_algorithm, read.signature, read.extra, sshsig.to_be_signed(CONTENT))


@pytest.mark.parametrize("algorithm", ["rsa-sha2-512", "rsa-sha2-256"])
def test_rsa_signs_with_sha_2(algorithm: str) -> None:
    check(sshsig.parse(RSA.sign(CONTENT, algorithm=algorithm)))


def test_rsa_with_sha_1_is_refused_by_its_name() -> None:
    assert refusal(sshsig.parse(RSA.sign(CONTENT, algorithm="ssh-rsa"))) is Reason.KEY_REFUSED


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_says_the_algorithm_of_its_key(kind: str) -> None:
    made = sshsig.parse(MAKERS[kind].sign(CONTENT))
    key = sshkeys.parse(made.public_key)
    for name in {*KINDS, "rsa-sha2-256", "ssh-dss", ""} - {made.signature_algorithm}:
        with pytest.raises(VerificationError):
            sshkeys.verify(key, name, made.signature, made.extra, sshsig.to_be_signed(CONTENT))


def test_flags_and_counter_of_a_security_key_are_signed() -> None:
    for kind in ("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"):
        blob = MAKERS[kind].sign(CONTENT, flags=0)
        assert sshkeys.flags(sshsig.parse(blob).extra) == 0
        check(sshsig.parse(blob))
        touched = blob[:-5] + bytes([sshforge.PRESENT]) + blob[-4:]
        counted = blob[:-1] + bytes([blob[-1] + 1])
        assert {refusal(sshsig.parse(changed)) for changed in (touched, counted)} == {Reason.SIGNATURE_INVALID}


def test_another_application_is_another_security_key() -> None:
    here, there = sshforge.ed25519(application="ssh:"), sshforge.ed25519(application="ssh:there")
    moved = here.sign(CONTENT).replace(string(here.blob), string(there.blob))
    assert refusal(sshsig.parse(moved)) is Reason.SIGNATURE_INVALID


def test_what_follows_a_signature_proper_is_refused_where_nothing_does() -> None:
    key = sshkeys.parse(ALICE.blob)
    made = sshsig.parse(ALICE.sign(CONTENT))
    with pytest.raises(VerificationError, match="follows"):
        sshkeys.verify(key, made.signature_algorithm, made.signature, bytes(5), sshsig.to_be_signed(CONTENT))


def ecdsa_value(r: bytes, s: bytes, tail: bytes = b"") -> bytes:
    return string(r) + string(s) + tail


def numbers_of(maker: Maker) -> tuple[bytes, bytes]:
    reader = sshwire.Reader(sshsig.parse(maker.sign(CONTENT)).signature)
    return reader.string(), reader.string()


P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
R, S = numbers_of(P256)
ECDSA = {
    "r with a zero byte more": ecdsa_value(b"\0" + R, S),
    "s with a zero byte more": ecdsa_value(R, b"\0" + S),
    "r of zero": ecdsa_value(b"", S),
    "s of zero, spelt": ecdsa_value(R, b"\0"),
    "a negative s": ecdsa_value(R, b"\xff" + S),
    "s plus n": ecdsa_value(R, mpint(int.from_bytes(S, "big") + P256_ORDER)[4:]),
    "r as the order": ecdsa_value(mpint(P256_ORDER)[4:], S),
    "a byte more": ecdsa_value(R, S, b"\0"),
    "one number": string(R),
    "a very long number": ecdsa_value(R, b"\1" * 68),
    "both swapped": ecdsa_value(S, R),
    "nothing": b"",
}


@pytest.mark.parametrize("defect", ECDSA)
def test_an_ecdsa_signature_has_one_spelling(defect: str) -> None:
    key, signed = sshkeys.parse(P256.blob), sshsig.to_be_signed(CONTENT)
    sshkeys.verify(key, P256.kind, ecdsa_value(R, S), b"", signed)
    with pytest.raises(VerificationError) as caught:
        sshkeys.verify(key, P256.kind, ECDSA[defect], b"", signed)
    assert caught.value.reason is Reason.SIGNATURE_INVALID


def test_an_rsa_signature_is_as_long_as_its_modulus() -> None:
    made, key, signed = sshsig.parse(RSA.sign(CONTENT)), sshkeys.parse(RSA.blob), sshsig.to_be_signed(CONTENT)
    for value in (b"\0" + made.signature, made.signature[1:], made.signature + b"\0", b""):
        with pytest.raises(VerificationError, match="modulus"):
            sshkeys.verify(key, made.signature_algorithm, value, b"", signed)


def rsa_blob(e: int, n: int) -> bytes:
    return string("ssh-rsa") + mpint(e) + mpint(n)


def rsa_numbers() -> RSAPublicNumbers:
    key = sshkeys.parse(RSA.blob).key
    return key.public_numbers()  # type: ignore[union-attr,return-value]


N = rsa_numbers().n
POINT = P256.fields[12 + 4 :]
REFUSED = {
    "DSA": string("ssh-dss") + mpint(3) * 4,
    "a kind nobody knows": string("ssh-ed448") + string(bytes(57)),
    "a name that is no text": string(b"\xff") + string(bytes(32)),
    "a certificate": ALICE.certify(ALICE),
    "RSA with 2047 bits": rsa_blob(65537, N >> 1 | 1),
    "RSA with 16385 bits": rsa_blob(65537, (1 << 16384) | 1),
    "RSA with an exponent of 65 bits": rsa_blob((1 << 64) | 1, N),
    "RSA with an even exponent": rsa_blob(65536, N),
    "RSA with exponent 1": rsa_blob(1, N),
    "RSA with a zero byte more": string("ssh-rsa") + mpint(65537) + string(b"\0" + mpint(N)[4:]),
    "RSA with a negative modulus": string("ssh-rsa") + mpint(65537) + string(mpint(N)[5:]),
    "RSA with a modulus of nothing": string("ssh-rsa") + mpint(65537) + string(b""),
    "a point of small order": string("ssh-ed25519") + string(bytes(32)),
    "a second spelling of a point": string("ssh-ed25519") + string(b"\xed" + b"\xff" * 30 + b"\x7f"),
    "a point of 31 bytes": string("ssh-ed25519") + string(bytes(31)),
    "a security key over a point of small order": string(sshkeys.SK_ED25519) + string(bytes(32)) + string("ssh:"),
    "a byte more": ALICE.blob + b"\0",
    "a byte less": ALICE.blob[:-1],
    "another curve than the name": string("ecdsa-sha2-nistp256") + string("nistp384") + string(POINT),
    "a curve of a prefix of the name": string("ecdsa-sha2-nistp256") + string("nistp25") + string(POINT),
    "a compressed point": string("ecdsa-sha2-nistp256") + string("nistp256") + string(b"\2" + POINT[1:33]),
    "a hybrid point": string("ecdsa-sha2-nistp256") + string("nistp256") + string(b"\6" + POINT[1:]),
    "a point off the curve": string("ecdsa-sha2-nistp256") + string("nistp256") + string(POINT[:-1] + b"\0"),
    "a point at infinity": string("ecdsa-sha2-nistp256") + string("nistp256") + string(b"\0"),
    "an application without end": sshforge.ed25519(application="x" * 1025).blob,
    "too much": string("ssh-ed25519") + bytes(sshkeys.MAX_BLOB_BYTES),
    "nothing": b"",
}


@pytest.mark.parametrize("blob", REFUSED.values(), ids=REFUSED)
def test_what_is_no_key_that_counts_is_refused(blob: bytes) -> None:
    with pytest.raises(MalformedError):
        sshkeys.parse(blob)


def test_rsa_of_the_shortest_and_longest_modulus_is_read() -> None:
    assert sshkeys.parse(rsa_blob(65537, N)).kind == "ssh-rsa"
    assert sshkeys.parse(rsa_blob(3, (1 << 16383) | 1)).kind == "ssh-rsa"


CHANGED = st.sampled_from([maker.blob for maker in MAKERS.values()]).flatmap(
    lambda blob: st.tuples(st.just(blob), st.integers(0, len(blob)), st.binary(max_size=8), st.integers(0, 8)).map(
        lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + t[3] :]
    )
)


@given(st.one_of(st.binary(max_size=200), CHANGED))
def test_any_bytes_are_refused_or_one_key_in_its_one_spelling(data: bytes) -> None:
    try:
        key = sshkeys.parse(data)
    except MalformedError:
        return
    reader = sshwire.Reader(data)
    assert sshkeys.encode(sshkeys.kind_of(reader), sshkeys.read_fields(key.kind, reader)) == key.blob == data


@given(st.sampled_from(KINDS), st.binary(max_size=300), st.binary(max_size=5))
def test_any_bytes_as_a_signature_are_an_error_of_step_3(kind: str, value: bytes, extra: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        sshkeys.verify(sshkeys.parse(MAKERS[kind].blob), kind, value, extra, CONTENT)
    assert caught.value.step is Step.INTEGRITY
