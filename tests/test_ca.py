from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from attest import certificate, keys, timestamp
from attest.certificate import Anchor
from attest.errors import UnavailableError
from attest.leaf import Use
from attest.profile import Profile
from attest.types import Epoch, Retirement, SignerRole
from notme_git.authority import ca
from notme_git.authority.keystore import FileKeys
from tests.forge import NOW, Forge

OURS = (Profile.NOTME, Profile.INTEROP)


@pytest.fixture
def store(tmp_path: Path) -> FileKeys:
    return FileKeys(tmp_path / "keys")


@pytest.fixture
def epoch(store: FileKeys) -> Epoch:
    return ca.make_epoch(store, "abcd", 1, NOW)


def roots(epoch: Epoch) -> tuple[x509.Certificate, x509.Certificate]:
    return x509.load_der_x509_certificate(epoch.root), x509.load_der_x509_certificate(epoch.interop_root)


def test_an_epoch_has_two_roots_and_one_time_stamping_key_under_both(epoch: Epoch) -> None:
    root, interop = roots(epoch)
    tokens = [x509.load_der_x509_certificate(der) for der in epoch.timestamp_certificates]
    assert isinstance(root.public_key(), ed25519.Ed25519PublicKey)
    assert isinstance(interop.public_key(), ec.EllipticCurvePublicKey)
    assert tokens[0].public_key() == tokens[1].public_key()
    for above, token in ((root, tokens[0]), (interop, tokens[1])):
        token.verify_directly_issued_by(above)
        above.verify_directly_issued_by(above)
    assert (epoch.number, epoch.began_at, epoch.retirement) == (1, int(NOW.timestamp()), Retirement.CURRENT)


def test_roots_are_told_apart_by_name(epoch: Epoch, tmp_path: Path) -> None:
    second = ca.make_epoch(FileKeys(tmp_path / "second"), "abcd", 2, NOW)
    names = {c.subject.rfc4514_string() for e in (epoch, second) for c in roots(e)}
    assert len(names) == 4
    assert all("abcd" in name for name in names)


def test_a_root_lives_ten_years_from_a_minute_ago(epoch: Epoch) -> None:
    for root in roots(epoch):
        assert root.not_valid_before_utc == NOW - timedelta(seconds=60)
        assert root.not_valid_after_utc == NOW + ca.ROOT_LIFETIME


def test_the_keys_are_in_the_store_under_their_epoch_and_role(epoch: Epoch, store: FileKeys) -> None:
    names = sorted(path.name for path in store.directory.iterdir())
    assert names == [f"epoch-{epoch.number}-{role}.pem" for role in ("interop", "root", "tsa")]


def test_serial_numbers_are_positive_and_of_at_most_sixteen_bytes() -> None:
    made = {ca.new_serial(NOW) for _ in range(200)}
    assert len(made) == 200
    assert all(0 < serial < 2**127 for serial in made)


@pytest.mark.parametrize("of", OURS)
def test_a_leaf_is_signed_by_the_root_of_its_profile(epoch: Epoch, store: FileKeys, of: Profile) -> None:
    forge = Forge(of)
    key = keys.from_cryptography(forge.key().public_key())
    leaf = certificate.read(
        ca.sign_leaf(store, epoch, forge.spec(), key, Use.SIGNING, ca.new_serial(NOW))
    )
    anchors = tuple(Anchor.read(root) for root in roots(epoch))
    assert certificate.verify_chain(leaf, (), anchors, of).anchor.certificate == ca.issuer(epoch, of)


@pytest.mark.parametrize("of", OURS)
def test_a_stamp_holds_under_the_root_of_its_profile_alone(epoch: Epoch, store: FileKeys, of: Profile) -> None:
    token = ca.stamper(store, epoch, of).stamp(b"data", NOW)
    anchor = Anchor.read(ca.issuer(epoch, of))
    assert timestamp.verify_timestamp(token, b"data", (anchor,)).time == NOW


def test_a_bundle_is_signed_by_both_roots(epoch: Epoch, store: FileKeys) -> None:
    made = ca.sign_bundle(store, epoch, SignerRole.CURRENT, b"message")
    assert [s.spki for s in made] == [Anchor.read(root).key.spki for root in roots(epoch)]
    for item in made:
        keys.verify_signature(keys.parse_spki(item.spki), item.signature, b"message")


def pkcs8(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "data",
    [
        b"no key at all",
        pkcs8(ed25519.Ed25519PrivateKey.generate()),
        pkcs8(ec.generate_private_key(ec.SECP256R1())),
        pkcs8(ec.generate_private_key(ec.SECP384R1())),
    ],
    ids=["no key", "another Ed25519 key", "a P-256 key", "a P-384 key"],
)
def test_what_is_not_the_key_of_its_certificate_is_an_error_and_stays(
    epoch: Epoch, store: FileKeys, data: bytes
) -> None:
    store.delete("epoch-1-root")
    store.save("epoch-1-root", data)
    with pytest.raises(UnavailableError, match="root key of epoch 1") as caught:
        ca.sign_bundle(store, epoch, SignerRole.CURRENT, b"message")
    assert "restore it" in caught.value.hint
    assert store.load("epoch-1-root") == data


def test_a_missing_key_is_an_error_and_is_not_made_anew(epoch: Epoch, store: FileKeys) -> None:
    store.delete("epoch-1-tsa")
    with pytest.raises(UnavailableError):
        ca.stamper(store, epoch, Profile.NOTME)
    with pytest.raises(UnavailableError):
        store.load("epoch-1-tsa")


def test_the_keys_of_one_epoch_do_not_serve_another(epoch: Epoch, store: FileKeys) -> None:
    ca.make_epoch(store, "abcd", 2, NOW)
    with pytest.raises(UnavailableError):
        ca.sign_bundle(store, replace(epoch, number=2), SignerRole.CURRENT, b"message")


def test_no_private_key_shows_in_what_is_printed(epoch: Epoch, store: FileKeys) -> None:
    assert "PrivateKey" not in repr(ca.stamper(store, epoch, Profile.NOTME))
