"""Keyless bundles, checked offline (`attest.keyless`): real ones of five kinds, and what a small instance makes."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.errors import Error, MalformedError, Reason, Step, UnavailableError, VerificationError
from attest.foreign.sigstore import SCT_UNCHECKED, SigstoreRoot
from attest.keyless import body, merkle
from attest.keyless.bundle import KeylessBundle
from attest.keyless.note import Checkpoint
from attest.keyless.verify import LOG_UNCHECKED, Identity, VerifiedKeyless, verify_identity, verify_keyless
from attest.types import Evidence, Voucher
from tests.foreignsigned import NOW, ec_key
from tests.sigstoreforge import (
    LATER,
    NEW_LOG,
    OLD_LOG,
    ROOT,
    STATEMENT,
    WHEN,
    Signing,
    encode,
    listed,
    root,
    tree,
)
from tests.test_foreign_sigstore import ISSUED, TOP, authority, b64, leaf
from tests.test_foreign_transparency import KEY, logged, promise

FOLDER = Path(__file__).resolve().parent / "keyless"
OLD_KINDS = [("dsse", "0.0.1"), ("hashedrekord", "0.0.1"), ("intoto", "0.0.2")]
NEW_KINDS = [("dsse", "0.0.2"), ("hashedrekord", "0.0.2")]
ALICE = Identity("alice@example.com", "https://accounts.example.com")


def real(name: str) -> tuple[bytes, SigstoreRoot]:
    """A bundle of others with the trusted root of its instance, from the package `sigstore`."""
    package = pytest.importorskip("sigstore", reason="the package with the trusted roots is not installed")
    instance = "sigstage" if name.startswith("dsse") else "sigstore"
    store = Path(package.__file__).parent / "_store" / f"https%3A%2F%2Ftuf-repo-cdn.{instance}.dev"
    kept = (store / "trusted_root.json").read_bytes()
    return (FOLDER / f"{name}.sigstore.json").read_bytes(), SigstoreRoot.parse(kept)


def proven(line: bytes, under: SigstoreRoot = ROOT, at: datetime = LATER) -> VerifiedKeyless:
    return verify_keyless(KeylessBundle.parse(line), under, at)


def refused(line: bytes, under: SigstoreRoot = ROOT, at: datetime = LATER) -> tuple[Step, Reason]:
    with pytest.raises(VerificationError) as caught:
        proven(line, under, at)
    return caught.value.step, caught.value.reason


BAD_ENTRY = (Step.TIME, Reason.LOG_ENTRY_INVALID)

REAL = [
    ("dsse-0.0.1", "william@yossarian.net", "https://github.com/login/oauth", 1717699145),
    (
        "dsse-0.0.2",
        "insecure-cloudtop-shared-user@cloudtop-prod-us-east.iam.gserviceaccount.com",
        "https://accounts.google.com",
        1749503189,
    ),
    (
        "hashedrekord-0.0.1",
        "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/"
        ".github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main",
        "https://token.actions.githubusercontent.com",
        1778701653,
    ),
    (
        "intoto-0.0.2",
        "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main",
        "https://token.actions.githubusercontent.com",
        1738701347,
    ),
]


@pytest.mark.parametrize(("name", "subject", "issuer", "when"), REAL)
def test_bundles_of_others_hold_under_the_root_of_their_instance(
    name: str, subject: str, issuer: str, when: int
) -> None:
    line, under = real(name)
    found = proven(line, under, NOW)
    assert (found.identity, int(found.time.timestamp())) == (Identity(subject, issuer), when)
    assert {e.voucher for e in found.evidence} == {Voucher.INDEPENDENT}
    assert len(found.logged) == 1
    assert found.remarks == ()


@pytest.mark.parametrize("name", [row[0] for row in REAL])
def test_bundles_of_others_do_not_hold_under_another_root(name: str) -> None:
    line, _ = real(name)
    assert refused(line, ROOT, NOW) == BAD_ENTRY


def strings(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths to every string below a JSON value."""
    if isinstance(value, dict):
        return [p for key, below in value.items() for p in strings(below, (*path, key))]
    if isinstance(value, list):
        return [p for key, below in enumerate(value) for p in strings(below, (*path, key))]
    return [path] if isinstance(value, str) else []


@pytest.mark.parametrize("name", [row[0] for row in REAL])
def test_no_string_of_a_real_bundle_can_be_another(name: str) -> None:
    line, under = real(name)
    whole = json.loads(line)
    for path in strings(whole):
        made = json.loads(line)
        below = made
        for step in path[:-1]:
            below = below[step]
        text = below[path[-1]]
        if path[-1] == "keyid" or (path[-1] == "logIndex" and "inclusionPromise" not in whole_entry(whole)):
            continue  # a hint, and Rekor version 2's index of the whole log: neither is signed
        middle = len(text) // 2
        below[path[-1]] = text[:middle] + ("A" if text[middle : middle + 1] != "A" else "B") + text[middle + 1 :]
        with pytest.raises(Error):
            proven(encode(made), under, NOW)


def whole_entry(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["verificationMaterial"]["tlogEntries"][0]
    return found


@pytest.mark.parametrize("kind", OLD_KINDS)
def test_the_promise_of_a_log_proves_when_it_was_signed(kind: tuple[str, str]) -> None:
    found = proven(Signing(kind).line())
    assert (found.payload, found.identity) == (STATEMENT, ALICE)
    assert found.time == datetime.fromtimestamp(WHEN, UTC)
    source = f"rekor:{found.logged[0].log[:16]}"
    assert found.evidence == (Evidence(int(ISSUED.timestamp()), WHEN, Voucher.INDEPENDENT, source),)
    assert found.remarks == (SCT_UNCHECKED,)


@pytest.mark.parametrize("kind", NEW_KINDS)
def test_a_log_of_version_2_needs_a_time_stamp_beside_it(kind: tuple[str, str]) -> None:
    made = Signing(kind, log=NEW_LOG, promised=False, stamped=NOW)
    found = proven(made.line())
    assert found.time == NOW + timedelta(seconds=1)  # the accuracy of the stamp
    assert found.logged[0].when is None
    with pytest.raises(UnavailableError) as caught:
        proven(Signing(kind, log=NEW_LOG, promised=False).line())
    assert caught.value.reason is Reason.TIME_UNPROVEN


def test_a_log_of_version_2_gives_no_time_even_if_it_signs_one() -> None:
    assert refused(Signing(("dsse", "0.0.2"), log=NEW_LOG, stamped=NOW).line()) == BAD_ENTRY


def test_an_instance_without_logs_is_taken_at_its_word_and_that_is_remarked() -> None:
    made = Signing(stamped=NOW).data()
    made["verificationMaterial"]["tlogEntries"] = []
    assert proven(encode(made), root(tlogs=[])).remarks == (LOG_UNCHECKED, SCT_UNCHECKED)
    assert refused(encode(made)) == BAD_ENTRY


@pytest.mark.parametrize("name", ["tlogs", "ctlogs"])
def test_a_root_that_names_only_logs_with_keys_that_are_not_read_is_no_root_without_logs(name: str) -> None:
    unread = listed(OLD_LOG)
    unread["publicKey"]["keyDetails"] = "PKIX_ECDSA_P384_SHA_384"
    with pytest.raises(MalformedError, match="P-256 or Ed25519"):
        root(**{name: [unread]})
    made = root(**{name: [unread, listed(NEW_LOG)]})
    assert len(made.logs if name == "tlogs" else made.certificate_logs) == 1


Change = Callable[[dict[str, Any]], object]


def entry_of(made: dict[str, Any]) -> dict[str, Any]:
    return whole_entry(made)


def proof_of(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = entry_of(made)["inclusionProof"]
    return found


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda m: entry_of(m).update(logIndex="4712"), id="another index than was promised"),
        pytest.param(lambda m: entry_of(m).update(integratedTime=str(WHEN + 1)), id="another time than was promised"),
        pytest.param(lambda m: entry_of(m).pop("integratedTime"), id="a promise without its time"),
        pytest.param(lambda m: entry_of(m).update(logId={"keyId": b64(b"x" * 32)}), id="a log that nobody named"),
        pytest.param(lambda m: proof_of(m).update(logIndex="5"), id="another leaf of the tree"),
        pytest.param(lambda m: proof_of(m).update(treeSize="8"), id="another tree than the checkpoint's"),
        pytest.param(lambda m: proof_of(m)["hashes"].pop(), id="a path cut short"),
        pytest.param(lambda m: proof_of(m)["hashes"].append(b64(b"x" * 32)), id="a path too long"),
        pytest.param(lambda m: proof_of(m).update(rootHash=b64(b"x" * 32)), id="another root hash"),
        pytest.param(lambda m: entry_of(m)["kindVersion"].update(version="0.0.2"), id="another kind than the body's"),
    ],
)
def test_an_entry_that_does_not_hold_is_refused_for_that(change: Change) -> None:
    made = Signing().data()
    change(made)
    assert refused(encode(made)) == BAD_ENTRY


def test_a_checkpoint_that_another_key_signed_is_refused() -> None:
    made, other = Signing().data(), Signing(log=ec_key(number=32)).data()
    proof_of(made)["checkpoint"] = proof_of(other)["checkpoint"]
    assert refused(encode(made)) == BAD_ENTRY


def test_witnesses_may_sign_a_checkpoint_too() -> None:
    made = Signing().data()
    note = proof_of(made)["checkpoint"]["envelope"]
    proof_of(made)["checkpoint"]["envelope"] = note + f"\N{EM DASH} witness.example {b64(b'w' * 40)}\n"
    assert proven(encode(made)).identity == ALICE


@pytest.mark.parametrize("kind", [*OLD_KINDS, *NEW_KINDS])
def test_the_entry_of_another_envelope_by_the_same_certificate_is_refused(kind: tuple[str, str]) -> None:
    """CVE-2022-36056: the entry holds, and is of something else."""
    stamp, when = {"stamped": NOW, "promised": kind in OLD_KINDS}, WHEN
    log = OLD_LOG if kind in OLD_KINDS else NEW_LOG
    made = Signing(kind, log=log, when=when, **stamp).data()  # type: ignore[arg-type]
    other = Signing(kind, log=log, payload=STATEMENT.replace(b"1" * 40, b"2" * 40), **stamp).data()  # type: ignore[arg-type]
    made["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"]
    assert refused(encode(made)) == BAD_ENTRY


def test_the_entry_of_another_certificate_over_the_same_key_is_refused() -> None:
    made, other = Signing().data(), Signing(certificate=leaf(x509.RFC822Name("mallory@example.com"))).data()
    made["verificationMaterial"]["certificate"] = other["verificationMaterial"]["certificate"]
    assert refused(encode(made)) == BAD_ENTRY


@pytest.mark.parametrize(
    "body",
    [
        {"spec": {}},
        {"spec": 7},
        {"kind": "rekord"},
        {"spec": {"payloadHash": {"algorithm": "md5", "value": "00"}, "signatures": []}},
    ],
)
def test_a_body_that_says_too_little_is_refused(body: dict[str, Any]) -> None:
    assert refused(Signing(body_changes=body).line()) == BAD_ENTRY


def test_kinds_of_entries_that_are_not_read_are_refused() -> None:
    assert refused(Signing(("rekord", "0.0.1"), promised=False, stamped=NOW).line()) == BAD_ENTRY


def test_the_signature_is_over_this_payload_by_this_certificate() -> None:
    made = Signing().data()
    made["dsseEnvelope"]["payload"] = b64(STATEMENT.replace(b"1" * 40, b"2" * 40))
    assert refused(encode(made)) == (Step.INTEGRITY, Reason.SIGNATURE_INVALID)
    assert refused(Signing(key=ec_key(number=9)).line())[0] is Step.INTEGRITY


def test_only_statements_are_taken() -> None:
    assert refused(Signing(payload_type="text/plain").line()) == (Step.OBJECT, Reason.OBJECT_MALFORMED)


def test_a_key_that_is_neither_p256_nor_ed25519_is_refused() -> None:
    other = TOP.issue(rsa.generate_private_key(65537, 2048))
    assert refused(Signing(certificate=other).line()) == (Step.CHAIN, Reason.CERTIFICATE_INVALID)


@pytest.mark.parametrize("seconds", [-5, 601])
def test_every_instant_has_to_lie_within_the_certificate(seconds: int) -> None:
    outside = (Step.TIME, Reason.TIME_OUTSIDE_VALIDITY)
    begins = int(ISSUED.timestamp())
    assert refused(Signing(when=begins + seconds).line()) == outside
    assert refused(Signing(stamped=ISSUED + timedelta(seconds=seconds)).line()) == outside


def test_a_clock_that_is_behind_checks_nothing() -> None:
    with pytest.raises(UnavailableError) as caught:
        proven(Signing().line(), at=NOW - timedelta(minutes=5))
    assert caught.value.reason is Reason.CLOCK_BEHIND


def test_a_time_stamp_by_nobody_who_was_named_is_refused() -> None:
    made = Signing(stamped=NOW).line()
    assert refused(made, root(timestampAuthorities=[])) == (Step.TIME, Reason.TIMESTAMP_INVALID)


def test_authorities_and_logs_count_in_their_time_alone() -> None:
    ended = "2026-01-01T00:00:00Z"
    line = Signing().line()
    assert refused(line, root(tlogs=[listed(OLD_LOG, ended)])) == BAD_ENTRY
    newer = Signing(("dsse", "0.0.2"), log=NEW_LOG, promised=False, stamped=NOW).line()
    assert refused(newer, root(tlogs=[listed(NEW_LOG, ended)])) == BAD_ENTRY
    over = [authority(TOP.certificate, end=ended)]
    assert refused(line, root(certificateAuthorities=over)) == (Step.CHAIN, Reason.CERTIFICATE_INVALID)


def test_a_certificate_has_to_be_promised_to_be_shown_where_the_root_names_logs_of_them() -> None:
    under = root(ctlogs=[listed(KEY)])
    assert refused(Signing().line(), under) == (Step.CHAIN, Reason.CERTIFICATE_INVALID)
    assert proven(Signing(certificate=logged(promise)).line(), under).remarks == ()


def test_who_is_expected_is_compared_whole() -> None:
    found = proven(Signing().line())
    bob = Identity("bob@example.com", ALICE.issuer)
    assert verify_identity(found, bob, ALICE) == ALICE
    assert found.identity.uri == "sigstore:https://accounts.example.com#alice@example.com"
    for other in (bob, Identity(ALICE.subject, "https://accounts.example.org"), Identity("alice", ALICE.issuer)):
        with pytest.raises(VerificationError) as caught:
            verify_identity(found, other)
        assert (caught.value.step, caught.value.reason) == (Step.IDENTITY, Reason.IDENTITY_UNEXPECTED)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda m: entry_of(m).pop("inclusionProof"), id="no proof"),
        pytest.param(lambda m: entry_of(m).update(logIndex=-1), id="negative index"),
        pytest.param(lambda m: entry_of(m).update(logIndex="01"), id="padded index"),
        pytest.param(lambda m: entry_of(m).update(logIndex=True), id="index that is no number"),
        pytest.param(lambda m: entry_of(m).update(canonicalizedBody="AB=="), id="base64 in a second spelling"),
        pytest.param(lambda m: entry_of(m).pop("kindVersion"), id="no kind"),
        pytest.param(lambda m: m["verificationMaterial"].update(tlogEntries=[entry_of(m)] * 5), id="too many"),
        pytest.param(lambda m: m["verificationMaterial"].update(tlogEntries=[7]), id="no object"),
        pytest.param(lambda m: proof_of(m).update(hashes=["AAAA"] * 64), id="a path of 64"),
        pytest.param(lambda m: proof_of(m)["checkpoint"].update(envelope="x\n1\nAAAA\n"), id="an unsigned checkpoint"),
        pytest.param(lambda m: entry_of(m).update(canonicalizedBody=b64(b"x" * 300_000)), id="a body too long"),
    ],
)
def test_what_is_no_bundle_is_malformed(change: Change) -> None:
    made = Signing().data()
    change(made)
    with pytest.raises(MalformedError):
        KeylessBundle.parse(encode(made))


def test_version_0_1_of_bundles_may_go_by_the_promise_alone() -> None:
    made = Signing().data()
    made["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"
    proof_of(made)
    entry_of(made).pop("inclusionProof")
    assert proven(encode(made)).logged[0].when == WHEN
    entry_of(made).pop("inclusionPromise")
    assert refused(encode(made)) == BAD_ENTRY


@given(st.integers(1, 40).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
@settings(max_examples=60, deadline=None)
def test_audit_paths_lead_to_the_root_of_the_recursive_definition(at: tuple[int, int]) -> None:
    size, index = at
    leaves = [b"%d" % number for number in range(size)]
    top, path = tree(leaves, index)
    assert merkle.root_of(leaves[index], index, size, path) == top
    if size > 1:
        for other in (path[:-1], [*path, path[-1]]):
            with pytest.raises(MalformedError):
                merkle.root_of(leaves[index], index, size, other)


LINES = st.sampled_from(["log", "7", "AAAA", "", "\N{EM DASH} log AAAAAAAA"])


@given(st.text(max_size=200) | st.lists(LINES).map("\n".join))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_checkpoint_that_covers_its_own_bytes_or_malformed(text: str) -> None:
    try:
        found = Checkpoint.parse(text)
    except MalformedError:
        return
    assert text.encode().startswith(found.signed)
    assert found.signed.startswith(f"{found.origin}\n{found.size}\n{b64(found.root)}\n".encode())


PIECES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("AAAA"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@given(st.data(), PIECES)
@settings(max_examples=150, deadline=None)
def test_anything_in_a_bundle_is_a_documented_error_or_the_same_proof(data: st.DataObject, piece: object) -> None:
    made = Signing(stamped=NOW).data()
    path = data.draw(st.sampled_from(strings(made)))
    below: Any = made
    for step in path[: data.draw(st.integers(1, len(path))) - 1]:
        below = below[step]
    key = path[0] if below is made else next(iter(below)) if isinstance(below, dict) else 0
    below[key] = piece
    try:
        found = proven(encode(made))
    except Error:
        return
    assert (found.payload, found.identity) == (STATEMENT, ALICE)


@given(st.binary(max_size=200) | PIECES.map(lambda piece: json.dumps(piece).encode()))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_bundle_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        KeylessBundle.parse(data)


@given(st.sampled_from([*OLD_KINDS, *NEW_KINDS]), st.data(), PIECES)
@settings(max_examples=200, deadline=None)
def test_any_body_is_read_as_what_it_says_or_malformed(
    kind: tuple[str, str], data: st.DataObject, piece: object
) -> None:
    made = Signing(kind, promised=False).data()
    found = json.loads(base64.b64decode(entry_of(made)["canonicalizedBody"]))
    path = data.draw(st.sampled_from([p for p in strings(found) if len(p) > 1]))
    below = found
    for step in path[:-1]:
        below = below[step]
    below[path[-1]] = piece
    entry_of(made)["canonicalizedBody"] = b64(json.dumps(found).encode())
    try:
        body.read(KeylessBundle.parse(encode(made)).entries[0])
    except MalformedError:
        return
    # What nobody reads: the digest of the whole envelope, and what sort of key it is.
    assert path[-2] == "envelopeHash" or path[-1] == "keyDetails" or isinstance(piece, str)


def test_the_verifying_side_never_loads_the_package_sigstore() -> None:
    program = (
        "import pkgutil, sys, attest, importlib\n"
        "for found in pkgutil.walk_packages(attest.__path__, 'attest.'):\n"
        "    if not found.name.endswith('__main__'): importlib.import_module(found.name)\n"
        "print(sorted(n for n in sys.modules if n.partition('.')[0] in {'sigstore', 'requests', 'notme_git', 'tuf'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
