from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from attest import keys, sshsig, sshwire
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.sshwire import string, uint32

KEY = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"sshsig").digest())
PUBLIC = keys.ed25519(KEY.public_key().public_bytes_raw())
BLOB_OF_KEY = sshwire.ed25519_key(PUBLIC.raw)
CONTENT = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
VALUE = KEY.sign(sshsig.to_be_signed(CONTENT))
BLOB = sshsig.assemble(BLOB_OF_KEY, VALUE)


def blob(
    *,
    magic: bytes = b"SSHSIG",
    version: int = 1,
    namespace: bytes = b"git",
    reserved: bytes = b"",
    algorithm: bytes = b"sha512",
    value: bytes = sshwire.ed25519_signature(VALUE),
    tail: bytes = b"",
) -> bytes:
    head = magic + uint32(version) + string(BLOB_OF_KEY) + string(namespace) + string(reserved)
    return head + string(algorithm) + string(value) + tail


def test_a_signature_is_read_back_field_by_field() -> None:
    read = sshsig.parse(BLOB)
    assert (read.public_key, read.namespace, read.hash_algorithm) == (BLOB_OF_KEY, "git", "sha512")
    assert (read.signature_algorithm, read.signature, read.extra) == ("ssh-ed25519", VALUE, b"")
    assert read.encode() == read.blob == BLOB == blob()


@pytest.mark.parametrize("hash_algorithm", ["sha512", "sha256"])
def test_a_signature_verifies_over_its_content_and_no_other(hash_algorithm: str) -> None:
    value = KEY.sign(sshsig.to_be_signed(CONTENT, hash_algorithm=hash_algorithm))
    read = sshsig.parse(sshsig.assemble(BLOB_OF_KEY, value, hash_algorithm=hash_algorithm))
    sshsig.verify_content(read, CONTENT, PUBLIC)
    with pytest.raises(VerificationError) as caught:
        sshsig.verify_content(read, CONTENT + b"x", PUBLIC)
    assert (caught.value.step, caught.value.reason) == (Step.INTEGRITY, Reason.SIGNATURE_INVALID)


def test_a_good_signature_of_another_namespace_is_refused() -> None:
    value = KEY.sign(sshsig.to_be_signed(CONTENT, namespace="file"))
    with pytest.raises(VerificationError, match="namespace 'file'") as caught:
        sshsig.verify_content(sshsig.parse(sshsig.assemble(BLOB_OF_KEY, value, namespace="file")), CONTENT, PUBLIC)
    assert caught.value.reason is Reason.PURPOSE_MISMATCH


REFUSED = {
    "another magic": blob(magic=b"SSHSIX"),
    "version 2": blob(version=2),
    "no namespace": blob(namespace=b""),
    "a reserved field": blob(reserved=b"x"),
    "sha1": blob(algorithm=b"sha1"),
    "a byte more": blob(tail=b"\0"),
    "a byte more in the signature": blob(value=sshwire.ed25519_signature(VALUE) + b"\0"),
    "a signature of 63 bytes": blob(value=sshwire.ed25519_signature(VALUE[1:])),
    "a security key without its counter": blob(value=string("sk-ssh-ed25519@openssh.com") + string(VALUE)),
    "nothing": b"",
    "too much": bytes(sshsig.MAX_BLOB_BYTES + 1),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_no_signature_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        sshsig.parse(data)


def test_a_security_keys_flags_and_counter_are_kept() -> None:
    name = "sk-ssh-ed25519@openssh.com"
    made = blob(value=string(name) + string(VALUE) + b"\1\0\0\0\7")
    assert sshsig.parse(made).extra == b"\1\0\0\0\7"
    assert sshsig.parse(made).encode() == made


def test_a_signature_cut_short_anywhere_is_refused() -> None:
    for size in range(len(BLOB)):
        with pytest.raises(MalformedError):
            sshsig.parse(BLOB[:size])


def verified(blob: bytes) -> None:
    read = sshsig.parse(blob)
    if read.public_key != BLOB_OF_KEY:
        raise MalformedError("it names another key")
    sshsig.verify_content(read, CONTENT, PUBLIC)


def test_no_changed_byte_leaves_a_signature_by_the_same_key_good() -> None:
    verified(BLOB)
    for at in range(len(BLOB)):
        changed = bytearray(BLOB)
        changed[at] ^= 1
        with pytest.raises(Error):
            verified(bytes(changed))


@given(st.binary(max_size=200) | st.binary(max_size=40).map(lambda tail: BLOB[:80] + tail))
def test_any_bytes_are_refused_or_encode_back_to_themselves(data: bytes) -> None:
    try:
        read = sshsig.parse(data)
    except MalformedError:
        return
    assert read.encode() == data


def test_armour_is_seventy_columns_and_ends_with_a_newline() -> None:
    lines = sshsig.ARMOUR.wrap(BLOB).split(b"\n")
    assert lines[0] == b"-----BEGIN SSH SIGNATURE-----"
    assert lines[-2:] == [b"-----END SSH SIGNATURE-----", b""]
    assert {len(line) for line in lines[1:-3]} == {70}
    assert sshsig.ARMOUR.open(sshsig.ARMOUR.wrap(BLOB)) == BLOB


TEXT = sshsig.ARMOUR.wrap(BLOB)
ARMOURS = {
    "no newline at the end": TEXT[:-1],
    "CR LF": TEXT.replace(b"\n", b"\r\n"),
    "76 columns": TEXT.replace(b"\n", b"", 2).replace(b"-----BEGIN SSH SIGNATURE-----", sshsig.ARMOUR.begin),
    "text before": b"x" + TEXT,
    "a blank line inside": TEXT.replace(b"\n", b"\n\n", 1),
    "no base64": TEXT.replace(b"U1NIU0", b"*1NIU0"),
    "another label": TEXT.replace(b"SSH", b"PGP"),
    "too much": sshsig.ARMOUR.begin + b"A" * (2 * sshsig.MAX_BLOB_BYTES) + b"\n" + sshsig.ARMOUR.end,
}


@pytest.mark.parametrize("text", ARMOURS.values(), ids=ARMOURS)
def test_armour_has_one_form(text: bytes) -> None:
    with pytest.raises(MalformedError):
        sshsig.ARMOUR.open(text)


def test_an_agent_reads_what_it_is_asked_to_sign() -> None:
    read = sshsig.parse_preamble(sshsig.to_be_signed(CONTENT))
    assert (read.namespace, read.hash_algorithm) == ("git", "sha512")
    assert read.digest == hashlib.sha512(CONTENT).digest()
    assert read.encode() == sshsig.to_be_signed(CONTENT)


PREAMBLES = {
    "a login": b"\0\0\0\x20" + bytes(32) + b"\x32",
    "a byte more": sshsig.to_be_signed(CONTENT) + b"\0",
    "a digest of another size": sshsig.MAGIC + string("git") + string("") + string("sha512") + string(bytes(32)),
    "a whole signature": BLOB,
    "sha1": sshsig.MAGIC + string("git") + string("") + string("sha1") + string(bytes(20)),
    "a reserved field": sshsig.MAGIC + string("git") + string("x") + string("sha512") + string(bytes(64)),
}


@pytest.mark.parametrize("data", PREAMBLES.values(), ids=PREAMBLES)
def test_an_agent_refuses_everything_else(data: bytes) -> None:
    with pytest.raises(MalformedError):
        sshsig.parse_preamble(data)


@given(st.binary(max_size=120) | st.binary(max_size=70).map(lambda tail: sshsig.to_be_signed(CONTENT)[:24] + tail))
def test_any_bytes_are_no_preamble_or_encode_back_to_themselves(data: bytes) -> None:
    try:
        read = sshsig.parse_preamble(data)
    except MalformedError:
        return
    assert read.encode() == data
