"""Signature vectors of others: Wycheproof, C2SP CCTV, and a proof of possession seen on the wire.

For Ed25519 two libraries are asked after our rule, OpenSSL and libsodium, and must agree on every vector:
that is what the rule is for.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from attest import keys
from attest.errors import MalformedError, VerificationError
from attest.keys import PublicKey

# The flags of CCTV under which we refuse; README of its ed25519 folder. `low_order_residue` is a signature
# that only the equation with the cofactor accepts, which OpenSSL and libsodium do not use.
REFUSED_FLAGS = frozenset(
    {"low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R", "low_order_residue"}
)
# A component of small order in a point that is not itself of small order: not seen by the rule, and both
# libraries accept it, as RFC 8032 does.
ACCEPTED_FLAGS = frozenset({"low_order_component_A", "low_order_component_R"})


@dataclass(frozen=True)
class Vector:
    """One Ed25519 vector: 32 byte key, signature, message, and the flags its makers gave it."""

    number: int
    key: bytes
    signature: bytes
    message: bytes
    flags: frozenset[str]
    result: str = ""


@functools.cache
def _read(file: Path) -> Any:
    return json.loads(file.read_bytes())


def _wycheproof(file: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each test with the group it stands in, and all that the file says it has."""
    data = _read(file)
    tests = [(group, test) for group in data["testGroups"] for test in group["tests"]]
    assert len(tests) == data["numberOfTests"]
    yield from tests


def _wycheproof_ed25519(vectors: Path) -> list[Vector]:
    return [
        Vector(
            test["tcId"],
            bytes.fromhex(group["publicKey"]["pk"]),
            bytes.fromhex(test["sig"]),
            bytes.fromhex(test["msg"]),
            frozenset(test["flags"]),
            test["result"],
        )
        for group, test in _wycheproof(vectors / "wycheproof" / "ed25519_test.json")
    ]


def _cctv(vectors: Path) -> list[Vector]:
    return [
        Vector(
            case["number"],
            bytes.fromhex(case["key"]),
            bytes.fromhex(case["sig"]),
            case["msg"].encode(),
            frozenset(case["flags"] or ()),
        )
        for case in _read(vectors / "cctv" / "ed25519vectors.json")
    ]


def _ours(vector: Vector) -> bool:
    try:
        keys.verify_signature(keys.ed25519(vector.key), vector.signature, vector.message)
    except (MalformedError, VerificationError):
        return False
    return True


def _rule(vector: Vector) -> bool:
    """Whether our rule lets the vector through to a library."""
    try:
        keys.ed25519(vector.key)
        keys._check_ed25519_signature(vector.signature)
    except (MalformedError, VerificationError):
        return False
    return True


def _openssl(vector: Vector) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(vector.key).verify(vector.signature, vector.message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _libsodium(vector: Vector) -> bool:
    try:
        VerifyKey(vector.key).verify(vector.message, vector.signature)
    except (BadSignatureError, ValueError):
        return False
    return True


Source = Callable[[Path], list[Vector]]
sources = pytest.mark.parametrize("source", [_wycheproof_ed25519, _cctv], ids=["Wycheproof", "CCTV"])


@sources
def test_openssl_and_libsodium_agree_on_every_vector_behind_the_rule(
    shared_vectors: Path, source: Source
) -> None:
    for vector in source(shared_vectors):
        behind_the_rule = {judge(vector) for judge in (_openssl, _libsodium)} if _rule(vector) else {False}
        assert behind_the_rule == {_ours(vector)}, vector


def test_openssl_alone_accepts_cctv_vectors_that_libsodium_refuses(shared_vectors: Path) -> None:
    """Why there is a rule; should this fail, a library has become stricter and the rule may be shorter."""
    differing = [v for v in _cctv(shared_vectors) if _openssl(v) != _libsodium(v)]
    assert len(differing) > 100
    assert all(_openssl(v) and not _rule(v) for v in differing)


def test_every_ed25519_verdict_of_wycheproof_is_ours(shared_vectors: Path) -> None:
    vectors = _wycheproof_ed25519(shared_vectors)
    assert Counter(v.result for v in vectors) == {"valid": 88, "invalid": 63}
    assert [v for v in vectors if _ours(v) is not (v.result == "valid")] == []


def test_the_flags_of_cctv_decide_what_is_refused(shared_vectors: Path) -> None:
    vectors = _cctv(shared_vectors)
    assert len(vectors) == 914
    for vector in vectors:
        assert _ours(vector) is not bool(vector.flags & REFUSED_FLAGS), vector
    accepted = [v for v in vectors if _ours(v)]
    assert len(accepted) == 43
    assert frozenset().union(*(v.flags for v in accepted)) == ACCEPTED_FLAGS


def test_every_flag_of_cctv_is_decided(shared_vectors: Path) -> None:
    flags = frozenset().union(*(v.flags for v in _cctv(shared_vectors)))
    # `reencoded_k` never stands alone: what it adds is how k was computed over a non-canonical point.
    assert flags == REFUSED_FLAGS | ACCEPTED_FLAGS | {"reencoded_k"}


@pytest.mark.parametrize(
    ("file", "verify", "results"),
    [
        ("ecdsa_secp256r1_sha256_test.json", keys.verify_signature, {"valid": 174, "invalid": 310}),
        ("ecdsa_secp256r1_sha256_p1363_test.json", keys.verify_p1363, {"valid": 173, "invalid": 89}),
    ],
    ids=["DER", "P1363"],
)
def test_every_ecdsa_verdict_of_wycheproof_is_ours(
    shared_vectors: Path,
    file: str,
    verify: Callable[[PublicKey, bytes, bytes], None],
    results: dict[str, int],
) -> None:
    seen: Counter[str] = Counter()
    for group, test in _wycheproof(shared_vectors / "wycheproof" / file):
        key = keys.parse_spki(bytes.fromhex(group["publicKeyDer"]))
        seen[test["result"]] += 1
        try:
            verify(key, bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"]))
        except VerificationError:
            assert test["result"] == "invalid", test
        else:
            assert test["result"] == "valid", test
    assert seen == results


def _unpadded_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("form", ["proofs_preimage", "proofs_legacy_digest"])
def test_a_proof_of_possession_that_the_notme_authority_accepted_verifies(
    shared_vectors: Path, form: str
) -> None:
    seen = _read(shared_vectors / "notme" / "pop-observed.json")
    preimage = bytes.fromhex(seen["preimage_hex"])
    message = preimage if form == "proofs_preimage" else hashlib.sha256(preimage).digest()
    mtls, signing = (
        keys.from_cryptography(load_pem_public_key(seen["public_keys"][name].encode()))
        for name in ("mtls", "signing")
    )
    assert preimage == mtls.spki + signing.spki
    assert signing.key_id == seen["kid_signing"]
    keys.verify_p1363(mtls, _unpadded_base64url(seen[form]["mtls"]), message)
    keys.verify_signature(signing, _unpadded_base64url(seen[form]["signing"]), message)


def test_a_proof_over_the_pre_image_is_none_over_its_digest(shared_vectors: Path) -> None:
    seen = _read(shared_vectors / "notme" / "pop-observed.json")
    digest = hashlib.sha256(bytes.fromhex(seen["preimage_hex"])).digest()
    mtls = keys.from_cryptography(load_pem_public_key(seen["public_keys"]["mtls"].encode()))
    with pytest.raises(VerificationError):
        keys.verify_p1363(mtls, _unpadded_base64url(seen["proofs_preimage"]["mtls"]), digest)
