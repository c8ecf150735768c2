from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization.ssh import load_ssh_public_identity
from hypothesis import given
from hypothesis import strategies as st

from attest import asn1, claims, keys, sshcert, sshwire
from attest.errors import Error, MalformedError, Reason, Step, VerificationError
from attest.profile import PAYLOAD_UNCHECKED, Profile
from attest.sshcert import UserCertificate
from attest.sshwire import string
from tests.forge import AGENT, NOW, Forge, SshEdit, named

FORGE = Forge(Profile.NOTME, seed="sshcert")
ANCHORS = FORGE.trusted.anchors
LEAF = FORGE.ssh_leaf()
READ = sshcert.parse(LEAF.blob)


def reason_of(blob: bytes) -> Reason:
    with pytest.raises(VerificationError) as caught:
        sshcert.verify_chain(sshcert.parse(blob), ANCHORS)
    assert caught.value.step is Step.CHAIN
    return caught.value.reason


def test_a_certificate_of_ours_is_read_as_it_was_issued() -> None:
    at = NOW + timedelta(milliseconds=549, microseconds=1)
    issued = FORGE.ssh_leaf(at=at)
    chain = sshcert.verify_chain(sshcert.parse(issued.blob), ANCHORS, Profile.NOTME)
    leaf = chain.leaf
    assert (chain.anchor, chain.issuing, chain.remarks, leaf.remarks) == (ANCHORS[0], None, (), ())
    assert (leaf.claims, leaf.emails, leaf.subject) == (AGENT, (AGENT.actor_email,), "agent-7")
    assert leaf.uri == "wimse://authority.example/agent/agent-7"
    assert (leaf.scopes, leaf.epoch, leaf.auth_method) == (("sign:git",), 1, "embedded")
    assert leaf.issued_at == NOW + timedelta(milliseconds=549)
    assert (leaf.not_before, leaf.not_after) == (NOW - timedelta(minutes=15), NOW + timedelta(minutes=5))
    assert leaf.key == keys.from_cryptography(issued.key.public_key())
    assert (leaf.encoded, leaf.payload_unchecked) == (issued.blob, False)
    assert issued.blob.startswith(leaf.signed)
    assert leaf.fingerprints == tuple(
        sshwire.fingerprint(sshwire.ed25519_key(key.raw)) for key in (leaf.key, ANCHORS[0].key)
    )


def test_what_was_proven_of_a_certificate_is_not_proven_again_for_the_next_commit_under_it() -> None:
    proven = sshcert.verify_chain(sshcert.parse(LEAF.blob), ANCHORS)
    assert sshcert.verify_chain(sshcert.parse(LEAF.blob), ANCHORS) is proven
    forged = replace(READ, signature=bytes(64))
    for read, anchors, profile in ((READ, ANCHORS, Profile.INTEROP), (READ, (), None), (forged, ANCHORS, None)):
        with pytest.raises(VerificationError):
            sshcert.verify_chain(read, anchors, profile)


def test_another_reader_of_certificates_sees_the_same() -> None:
    other = load_ssh_public_identity(sshcert.TYPE.encode() + b" " + base64.b64encode(LEAF.blob))
    other.verify_cert_signature()  # type: ignore[union-attr]  # a certificate, or the next line fails
    assert other.key_id == READ.key_id.encode()  # type: ignore[union-attr]
    assert other.valid_principals == [AGENT.actor_email.encode()]  # type: ignore[union-attr]
    assert other.critical_options == {b"git-signing@notme.bot": b""}  # type: ignore[union-attr]
    assert other.extensions[b"claims@notme.bot"] == claims.encode(AGENT)  # type: ignore[union-attr]
    assert set(other.extensions) == {b"claims@notme.bot", b"bridge@notme.bot"}  # type: ignore[union-attr]


def test_no_login_is_permitted() -> None:
    assert not [name for name, _ in READ.extensions if name.startswith("permit-")]
    assert READ.critical == (("git-signing@notme.bot", b""),)


def test_the_key_id_names_the_session_if_there_is_one() -> None:
    without = sshcert.parse(FORGE.ssh_leaf(named(AGENT, session="")).blob)
    assert READ.key_id == "wimse://authority.example/agent/agent-7 session session-42"
    assert without.key_id == "wimse://authority.example/agent/agent-7"


def test_a_blind_scope_is_said_in_two_places() -> None:
    blob = FORGE.ssh_leaf(scopes=(PAYLOAD_UNCHECKED,)).blob
    assert dict(sshcert.parse(blob).extensions)["payload-checked@notme.bot"] == b"no"
    assert sshcert.verify_chain(sshcert.parse(blob), ANCHORS).leaf.payload_unchecked


def changed(**fields: object) -> SshEdit:
    return lambda read: replace(read, **fields)  # type: ignore[arg-type]


def with_extension(name: str, value: bytes) -> SshEdit:
    return lambda read: replace(read, extensions=(*read.extensions, (name, value)))


def without_extension(name: str) -> SshEdit:
    return lambda read: replace(read, extensions=tuple(e for e in read.extensions if e[0] != name))


def shifted(**seconds: int) -> SshEdit:
    return lambda read: replace(read, **{name: getattr(read, name) + by for name, by in seconds.items()})


def bridge(**fields: object) -> SshEdit:
    """The bridge extension with some fields changed."""

    def edit(read: UserCertificate) -> UserCertificate:
        old = asn1.decode(asn1.Bridge, dict(read.extensions)[sshcert.BRIDGE], limit=4096)
        names = ("subject", "issued_at", "scopes", "epoch", "auth_method", "binding")
        new = asn1.Bridge(**{name: fields.get(name, getattr(old, name)) for name in names})  # type: ignore[arg-type]
        return with_extension(sshcert.BRIDGE, asn1.encode(new))(without_extension(sshcert.BRIDGE)(read))

    return edit


SMALL_ORDER = (1).to_bytes(32, "little")
SIGNED_BY_THE_ROOT_YET_REFUSED: dict[str, tuple[SshEdit, Reason]] = {
    "two principals": (changed(principals=(AGENT.actor_email, "root")), Reason.PROFILE_MISMATCH),
    "no principal, which is every principal": (changed(principals=()), Reason.PROFILE_MISMATCH),
    "another principal": (changed(principals=("alice@example.org",)), Reason.PROFILE_MISMATCH),
    "good for login": (with_extension("permit-pty", b""), Reason.EXTENSION_UNKNOWN),
    "without the critical option": (changed(critical=()), Reason.PROFILE_MISMATCH),
    "another critical option": (
        changed(critical=(("force-command", b"true"), ("git-signing@notme.bot", b""))),
        Reason.PROFILE_MISMATCH,
    ),
    "a value in the critical option": (changed(critical=(("git-signing@notme.bot", b"x"),)), Reason.PROFILE_MISMATCH),
    "without claims": (without_extension(sshcert.CLAIMS), Reason.PROFILE_MISMATCH),
    "without bridge": (without_extension(sshcert.BRIDGE), Reason.PROFILE_MISMATCH),
    "claims that are none": (
        lambda r: with_extension(sshcert.CLAIMS, b"x")(without_extension(sshcert.CLAIMS)(r)),
        Reason.CERTIFICATE_INVALID,
    ),
    "payload unchecked without the scope": (
        with_extension(sshcert.PAYLOAD_CHECKED, b"no"),
        Reason.PROFILE_MISMATCH,
    ),
    "payload checked, it says": (with_extension(sshcert.PAYLOAD_CHECKED, b"yes"), Reason.PROFILE_MISMATCH),
    "the blind scope without the extension": (bridge(scopes=[PAYLOAD_UNCHECKED]), Reason.PROFILE_MISMATCH),
    "a key id of another session": (
        changed(key_id="wimse://authority.example/agent/agent-7 session session-43"),
        Reason.PROFILE_MISMATCH,
    ),
    "a key id without the session": (
        changed(key_id="wimse://authority.example/agent/agent-7"),
        Reason.PROFILE_MISMATCH,
    ),
    "a key id that names somebody's key": (changed(key_id="ssh:SHA256:x session session-42"), Reason.PROFILE_MISMATCH),
    "a key id that is empty": (changed(key_id=""), Reason.PROFILE_MISMATCH),
    "a life of a second more": (shifted(valid_before=1), Reason.PROFILE_MISMATCH),
    "a beginning of a second earlier": (shifted(valid_after=-1), Reason.PROFILE_MISMATCH),
    "a life without end": (changed(valid_before=2**64 - 1), Reason.CERTIFICATE_INVALID),
    "over before its issue": (shifted(valid_before=-301), Reason.PROFILE_MISMATCH),
    "begun after its issue": (shifted(valid_after=901), Reason.PROFILE_MISMATCH),
    "an issue in microseconds": (bridge(issued_at="2026-11-23T13:58:10.000000Z"), Reason.CERTIFICATE_INVALID),
    "an issue that is no time": (bridge(issued_at="yesterday"), Reason.CERTIFICATE_INVALID),
    "an epoch below zero": (bridge(epoch=-1), Reason.CERTIFICATE_INVALID),
    "a subject of small order": (changed(public_key=SMALL_ORDER), Reason.CERTIFICATE_INVALID),
}


@pytest.mark.parametrize(
    ("edit", "reason"), SIGNED_BY_THE_ROOT_YET_REFUSED.values(), ids=SIGNED_BY_THE_ROOT_YET_REFUSED
)
def test_a_certificate_beyond_our_profile_is_refused(edit: SshEdit, reason: Reason) -> None:
    assert reason_of(FORGE.ssh_leaf(edit=edit).blob) is reason


def test_an_issue_before_the_anchors_validity_is_refused() -> None:
    early = FORGE.at - timedelta(days=1, seconds=61)
    assert reason_of(FORGE.ssh_leaf(at=early).blob) is Reason.CERTIFICATE_INVALID
    # The minutes for hooks and editor may reach back before a new authority's root.
    sshcert.verify_chain(sshcert.parse(FORGE.ssh_leaf(at=early + timedelta(seconds=1)).blob), ANCHORS)


def test_another_authoritys_certificate_has_no_anchor_here() -> None:
    other = Forge(Profile.NOTME, seed="other").ssh_leaf().blob
    assert reason_of(other) is Reason.ANCHOR_UNKNOWN


def test_a_demand_for_another_profile_is_not_met() -> None:
    with pytest.raises(VerificationError, match="not interop"):
        sshcert.verify_chain(READ, ANCHORS, Profile.INTEROP)


BODIES: dict[str, Callable[[bytes], bytes]] = {
    "a host's": lambda s: s.replace(sshwire.uint32(1) + string(READ.key_id), sshwire.uint32(2) + string(READ.key_id)),
    "of an RSA key": lambda s: s.replace(b"ssh-ed25519-cert", b"rsa-sha2256-cert"),
    "by an RSA key": lambda s: s.replace(
        string("ssh-ed25519") + string(READ.ca_key), string("ssh-rsa-256") + string(READ.ca_key)
    ),
    "extensions unsorted": lambda s: s.replace(
        _options(READ.extensions), b"".join(_options((e,)) for e in reversed(READ.extensions))
    ),
    "an extension twice": lambda s: s.replace(
        string(_options(READ.extensions)), string(_options(READ.extensions) + _options(READ.extensions[-1:]))
    ),
    "an option whose value is an empty string in a string": lambda s: s.replace(
        string(string(sshcert.SIGNING_OPTION) + string(b"")),
        string(string(sshcert.SIGNING_OPTION) + string(string(b""))),
    ),
    "a reserved field": lambda s: s.replace(
        string(b"") + string(sshwire.ed25519_key(READ.ca_key)), string(b"x") + string(sshwire.ed25519_key(READ.ca_key))
    ),
    "a nonce of 31 bytes": lambda s: s.replace(string(READ.nonce), string(READ.nonce[1:])),
    "a byte more": lambda s: s + b"\0",
}  # fmt: skip


def _options(options: tuple[tuple[str, bytes], ...]) -> bytes:
    return b"".join(string(name) + string(string(value) if value else b"") for name, value in options)


@pytest.mark.parametrize("change", BODIES.values(), ids=BODIES)
def test_a_certificate_has_one_form(change: Callable[[bytes], bytes]) -> None:
    signed = change(READ.signed)
    assert signed != READ.signed
    with pytest.raises(MalformedError):
        sshcert.parse(FORGE.ssh_signed(signed))


def test_no_changed_byte_leaves_a_certificate_good() -> None:
    for at in range(len(LEAF.blob)):
        blob = bytearray(LEAF.blob)
        blob[at] ^= 1
        with pytest.raises(Error):
            sshcert.verify_chain(sshcert.parse(bytes(blob)), ANCHORS)


def test_a_certificate_cut_short_anywhere_is_refused() -> None:
    for size in range(len(LEAF.blob)):
        with pytest.raises(MalformedError):
            sshcert.parse(LEAF.blob[:size])


@given(st.binary(max_size=200) | st.integers(0, len(LEAF.blob)).map(lambda n: LEAF.blob[:n] + LEAF.blob[n + 1 :]))
def test_any_bytes_are_refused_or_encode_back_to_themselves(data: bytes) -> None:
    try:
        read = sshcert.parse(data)
    except MalformedError:
        return
    assert sshcert.assemble(read.to_be_signed(), read.signature) == data


@given(st.integers(0, 8 * len(READ.signed) - 1))
def test_one_flipped_bit_that_the_root_signed_is_refused_or_read_as_it_stands(bit: int) -> None:
    flipped = bytearray(READ.signed)
    flipped[bit // 8] ^= 1 << bit % 8
    blob = FORGE.ssh_signed(bytes(flipped))
    try:
        leaf = sshcert.verify_chain(sshcert.parse(blob), ANCHORS).leaf
    except Error:
        return
    assert leaf.encoded == blob
    assert leaf.claims is not None
    assert claims.encode(leaf.claims) == dict(sshcert.parse(blob).extensions)[sshcert.CLAIMS]
