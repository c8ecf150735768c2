"""The fast lane says what the whole examination says, or nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509 import Certificate
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import asn1, certificate, cms, gitobject, keys, lanecms, sshsig, sshwire, verify
from attest.certificate import Chain
from attest.errors import Error, Step
from attest.foreign.allowed import AllowedSigners
from attest.foreign.roots import Roots
from attest.gitobject import ObjectFormat, ObjectKind
from attest.lane import Lane
from attest.lanecms import OtherError, Shape
from attest.laneleaf import LeafShape
from attest.policy import Policy, PolicyLike
from attest.profile import LeafSpec, Profile
from attest.query import Query
from attest.row import Row
from attest.rows import row_of
from attest.rules.ruleset import Ruleset
from attest.trust import Trust
from attest.types import Evidence, Outcome, StepStatus, Voucher
from tests.forge import ALICE, attach, plain_ssh
from tests.world import World

SOMEBODY = "Somebody <somebody@example.net>"
MESSAGE = b"fix the loop\n\nIt ended early.\n"
CLAIMED = b"fix the loop\n\nSigned-off-by: Alice Example <alice@example.org>\n"


@dataclass(slots=True)
class Run:
    """One lane, beside the whole examination, under one question."""

    query: Query
    fmt: ObjectFormat = ObjectFormat.SHA1
    lane: Lane | None = None

    def whole(self, raw: bytes, oid: str | None = None, seen: Evidence | None = None) -> Row:
        """What `verify.examine` says; the lane learns from it, unless it is what a witness says."""
        query = self.query
        named = oid or gitobject.object_id(ObjectKind.COMMIT, raw, self.fmt)
        found = verify.examine(raw, ObjectKind.COMMIT, self.fmt, named, query.trusted, at=query.at, seen=seen)
        decided = verify.decide(found, query.policy, query.context, at=query.at) if query.policy else None
        row = row_of(found, decided, query.trusted)
        self.lane = self.lane or Lane(self.fmt)
        if seen is None:
            self.lane.learn(raw, found, row, query)
        return row

    def fast(self, raw: bytes, oid: str | None = None, seen: Evidence | None = None) -> Row | None:
        """What the lane says."""
        assert self.lane is not None
        named = oid or gitobject.object_id(ObjectKind.COMMIT, raw, self.fmt)
        return self.lane.row(named, ObjectKind.COMMIT, raw, self.query, seen=seen)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"))
    made.grant()
    return made


Maker = Callable[[bytes, timedelta], bytes]
"""A commit with this message, made this long after the beginning."""


def x509(world: World, profile: Profile, *, stamped: bool) -> tuple[Trust, Maker]:
    credential, start = world.credential(profile=profile), world.now

    def make(message: bytes, later: timedelta) -> bytes:
        world.now = start + later
        try:
            payload = world.commit(message=message)
            pending = cms.to_be_signed(payload, credential.algorithm, signing_time=world.now)
            value = credential.sign(pending.data)
            stamp = credential.stamp(value, world.now) if stamped else None
        finally:
            world.now = start
        der = cms.assemble(pending, value, signer=credential.certificate, timestamp=stamp)
        return attach(payload, cms.ARMOUR.wrap(der))

    return world.trust(), make


def ssh(world: World, *, listed: bool) -> tuple[Trust, Maker]:
    def make(message: bytes, later: timedelta) -> bytes:
        del later
        payload = world.commit(committer=SOMEBODY, author=SOMEBODY, message=message)
        return attach(payload, plain_ssh(payload))

    blob = sshsig.parse(sshsig.ARMOUR.open(plain_ssh(b""))).public_key
    line = b"somebody@example.net ssh-ed25519 " + base64.b64encode(blob) + b"\n"
    roots = Roots(allowed_signers=AllowedSigners.parse(line)) if listed else None
    return replace(world.trust(), foreign=roots), make


def unsigned(world: World) -> tuple[Trust, Maker]:
    return world.trust(), lambda message, _: world.commit(message=message)


KINDS: dict[str, Callable[[World], tuple[Trust, Maker]]] = {
    "a certificate of ours, time-stamped": lambda w: x509(w, Profile.NOTME, stamped=True),
    "a certificate of ours": lambda w: x509(w, Profile.NOTME, stamped=False),
    "a certificate of profile interop": lambda w: x509(w, Profile.INTEROP, stamped=False),
    "a certificate of profile interop, time-stamped": lambda w: x509(w, Profile.INTEROP, stamped=True),
    "an SSH key that is listed": lambda w: ssh(w, listed=True),
    "an SSH key that nobody named": lambda w: ssh(w, listed=False),
    "no signature": unsigned,
}
RULES = b"""
version = 1

[[rules]]
name = "agents"
match = { classes = ["agent"] }
require = { forbidden_trailers = ["Signed-off-by"], contradictions = "warning" }

[[rules]]
name = "others"
match = { classes = ["human"] }
require = { forbidden_trailers = ["Signed-off-by"] }
"""
POLICIES: dict[str, PolicyLike | None] = {
    "examined alone": None,
    "under the built-in policy": Policy(),
    "where time has to be vouched for": Policy(require_time=Voucher.AUTHORITY),
    "under rules": Ruleset.read(RULES, "rules"),
}


def begun(world: World, kind: str, policy: PolicyLike | None = None) -> tuple[Run, Maker]:
    """A lane that has seen one commit of the kind."""
    trusted, make = KINDS[kind](world)
    run = Run(Query(trusted, world.now + timedelta(days=1), policy))
    run.whole(make(MESSAGE, timedelta(0)))
    return run, make


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_next_commit_of_a_signer_is_told_by_the_lane_and_told_the_same(
    world: World, kind: str, policy: PolicyLike | None
) -> None:
    run, make = begun(world, kind, policy)
    for message in (b"another\n", b"\n\nlate subject\n", "grüße\n".encode(), CLAIMED, b""):
        raw = make(message, timedelta(seconds=20))
        fast = run.fast(raw)
        assert fast is not None
        assert fast == run.whole(raw)


WITNESSED = {
    "before the certificate": -3600,
    "before the time-stamp": -30,
    "while it was valid": 60,
    "an hour later": 3600,
    "a week later, by a clock that is ahead": 7 * 24 * 3600,
}


@pytest.mark.parametrize("policy", [*POLICIES.values(), Policy(require_time=Voucher.RECEIVER)])
@pytest.mark.parametrize("seconds", WITNESSED.values(), ids=WITNESSED)
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_witness_says_is_told_the_same(
    world: World, kind: str, policy: PolicyLike | None, seconds: int
) -> None:
    run, make = begun(world, kind, policy)
    seen = Evidence(0, int(world.now.timestamp()) + seconds, Voucher.RECEIVER, "witness:1234")
    raw = make(CLAIMED, timedelta(seconds=40))
    fast = run.fast(raw, seen=seen)
    whole = run.whole(raw, seen=seen)
    assert fast is None or fast == whole
    if 0 < seconds < 7200:
        assert fast is not None
    assert run.fast(raw) == run.whole(raw)


@pytest.mark.parametrize("libsodium", [False, True], ids=["OpenSSL", "libsodium"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "no signature"])
def test_the_lane_never_accepts_what_was_changed(
    world: World, kind: str, libsodium: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_ed25519", keys._openssl)
    if libsodium:
        keys.use_libsodium()
    run, make = begun(world, kind, Policy())
    raw = make(b"another\n", timedelta(seconds=20))
    good = run.fast(raw)
    assert good is not None
    for at in range(0, len(raw), 7):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        fast = run.fast(changed)
        assert fast is None or fast == run.whole(changed), at


CHANGES = st.lists(
    st.tuples(st.sampled_from(["drop", "double", "set", "cut"]), st.integers(0, 9999), st.integers(0, 255)),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("kind", KINDS)
def test_of_any_bytes_the_lane_says_nothing_or_what_the_examination_says(world: World, kind: str) -> None:
    run, make = begun(world, kind, Policy())
    made = make(MESSAGE, timedelta(seconds=20))

    @settings(derandomize=True, max_examples=25, deadline=None)
    @given(changes=CHANGES)
    def check(changes: list[tuple[str, int, int]]) -> None:
        raw = bytearray(made)
        for change, where, byte in changes:
            at = where * len(raw) // 10000
            if change == "drop":
                del raw[at : at + 1]
            elif change == "double":
                raw[at:at] = raw[at : at + 1]
            elif change == "set":
                raw[at : at + 1] = bytes([byte])
            else:
                del raw[at : at + 64]
        fast = run.fast(bytes(raw))
        assert fast is None or fast == run.whole(bytes(raw))

    check()


SIGNED_BY_US = [kind for kind in KINDS if kind.startswith("a certificate")]


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("kind", SIGNED_BY_US)
def test_the_next_certificate_of_a_grant_is_told_by_the_one_before(
    tmp_path: Path, kind: str, policy: PolicyLike | None
) -> None:
    world = World(tmp_path)
    world.grant()
    first = KINDS[kind](world)[1](MESSAGE, timedelta(seconds=5))
    later = []
    for number in range(3):
        world.tick(minutes=7, seconds=13, milliseconds=number)
        _, make = KINDS[kind](world)
        later += [make(message, timedelta(seconds=20)) for message in (b"one\n", CLAIMED)]
    run = Run(Query(world.trust(), world.now + timedelta(days=1), policy))
    run.whole(first)
    lane = run.lane
    for raw in later:
        fast = run.fast(raw)
        run.lane = None  # what is compared with teaches the lane nothing
        assert fast is not None
        assert fast == run.whole(raw)
        run.lane = lane


@pytest.mark.parametrize("profile", [Profile.NOTME, Profile.INTEROP])
def test_a_changed_certificate_of_a_grant_is_told_the_same_or_left_to_the_examination(
    tmp_path: Path, profile: Profile
) -> None:
    world = World(tmp_path)
    world.grant()
    first, second = (_leaf(world, profile) for _ in range(2))
    shape = LeafShape.of(first[0], first[1])
    assert shape is not None
    der = certificate.der_of(second[0])
    chain, serial = shape.read(der)
    assert chain == second[1]
    assert serial == asn1.encode(second[0].serial_number)
    for at in range(len(der)):
        for bit in (1, 0x80):
            changed = der[:at] + bytes([der[at] ^ bit]) + der[at + 1 :]
            with pytest.raises((OtherError, Error, IndexError)):
                shape.read(changed)
    for other in (der + b"\0", der[:-1], b"", der[:4], b"\x30\x82\xff\xff" + der[4:]):
        with pytest.raises((OtherError, Error, IndexError)):
            shape.read(other)


FORGED: dict[str, Callable[[LeafSpec], LeafSpec]] = {
    "as the authority writes it": lambda spec: spec,
    "another scope": lambda spec: replace(spec, scopes=("sign:attestation",)),
    "another human": lambda spec: replace(
        spec, claims=replace(spec.claims, represented=replace(ALICE, email="eve@example.org"))
    ),
    "another epoch": lambda spec: replace(spec, epoch=spec.epoch + 1),
    "another agent": lambda spec: replace(spec, uri=spec.uri + "x"),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_the_root_signed_and_an_authority_would_not_is_told_the_same(tmp_path: Path, name: str) -> None:
    world = World(tmp_path)
    world.grant()
    forge = world.forge()
    spec = forge.spec()
    leaves = [forge.issue(spec), forge.issue(FORGED[name](spec))]
    run = Run(Query(world.trust(), world.now + timedelta(days=1), Policy()))
    for leaf in leaves:
        payload = world.commit(committer=f"x <{spec.claims.actor_email}>", message=MESSAGE)
        raw = attach(payload, forge.armour(leaf, payload))
        fast = run.fast(raw) if run.lane else None
        assert fast is None or fast == run.whole(raw)
        run.whole(raw)


def _leaf(world: World, profile: Profile) -> tuple[Certificate, Chain]:
    world.tick(minutes=6)
    credential = world.credential(profile=profile)
    return credential.certificate, credential.chain


def test_an_object_under_another_id_is_left_to_the_examination(world: World) -> None:
    run, make = begun(world, "a certificate of ours", Policy())
    raw = make(b"another\n", timedelta(seconds=20))
    assert run.fast(raw, "1" * 40) is None
    assert run.whole(raw, "1" * 40).finding(Step.OBJECT).status is StepStatus.FAILED


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("seconds", [-3600, -90, 290, 400, 3600])
def test_a_time_outside_of_the_certificate_is_told_the_same(world: World, stamped: bool, seconds: int) -> None:
    trusted, make = x509(world, Profile.NOTME, stamped=stamped)
    run = Run(Query(trusted, world.now + timedelta(days=1), Policy()))
    run.whole(make(MESSAGE, timedelta(0)))
    raw = make(b"another\n", timedelta(seconds=seconds))
    fast = run.fast(raw)
    assert fast is None or fast == run.whole(raw)
    if seconds > 300 + 60:
        assert run.whole(raw).outcome is Outcome.REJECTED


def test_after_a_rotation_only_what_is_proven_to_be_older_is_accepted(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.grant()
    _, stamped = x509(world, Profile.NOTME, stamped=True)
    _, unstamped = x509(world, Profile.NOTME, stamped=False)
    made = [make(message, timedelta(seconds=9)) for make in (stamped, unstamped) for message in (b"one\n", b"two\n")]
    world.tick(minutes=10)
    world.rotate()
    run = Run(Query(world.trust(), world.now, Policy()))
    outcomes = []
    for raw in made:
        fast, whole = run.fast(raw) if run.lane else None, run.whole(raw)
        assert fast is None or fast == whole
        outcomes.append((fast is not None, whole.outcome))
    assert outcomes == [
        (False, Outcome.ACCEPTED),
        (True, Outcome.ACCEPTED),
        (False, Outcome.REJECTED),
        (False, Outcome.REJECTED),
    ]


def test_a_revoked_grant_is_never_told_by_the_lane(tmp_path: Path) -> None:
    world = World(tmp_path)
    grant = world.grant()
    _, make = x509(world, Profile.NOTME, stamped=True)
    made = [make(message, timedelta(seconds=9)) for message in (b"one\n", b"two\n")]
    world.revoke(grant)
    run = Run(Query(world.trust(), world.now + timedelta(hours=1), Policy()))
    assert run.whole(made[0]).outcome is Outcome.REJECTED
    assert run.fast(made[1]) is None


def test_a_commit_by_somebody_else_under_the_same_certificate_is_examined_anew(world: World) -> None:
    run, _ = begun(world, "an SSH key that is listed", Policy())
    payload = world.commit(committer="Mallory <mallory@example.net>", author=SOMEBODY, message=MESSAGE)
    raw = attach(payload, plain_ssh(payload))
    assert run.fast(raw) is None
    assert run.whole(raw).outcome is Outcome.REJECTED
    # What was rejected is remembered as well.
    payload = world.commit(committer="Mallory <mallory@example.net>", author=SOMEBODY, message=b"again\n")
    raw = attach(payload, plain_ssh(payload))
    fast = run.fast(raw)
    assert fast is not None
    assert fast == run.whole(raw)


def test_a_key_that_is_listed_for_a_time_is_never_told_by_the_lane(world: World) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    line = b'somebody@example.net valid-before="20300101Z" ssh-ed25519 ' + base64.b64encode(sshwire.ed25519_key(key))
    trusted = replace(world.trust(), foreign=Roots(allowed_signers=AllowedSigners.parse(line + b"\n")))
    run = Run(Query(trusted, world.now, Policy()))
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))

    def make(message: bytes) -> bytes:
        payload = world.commit(committer=SOMEBODY, author=SOMEBODY, message=message)
        blob = sshsig.assemble(sshwire.ed25519_key(key), private.sign(sshsig.to_be_signed(payload)))
        return attach(payload, sshsig.ARMOUR.wrap(blob))

    assert run.whole(make(b"one\n")).outcome is Outcome.ACCEPTED_TIME_UNPROVEN
    assert run.fast(make(b"two\n")) is None


def test_in_a_sha256_repository_it_is_the_same(world: World) -> None:
    run = Run(Query(world.trust(), world.now, Policy()), ObjectFormat.SHA256)
    first, second = (world.commit(message=message, fmt=ObjectFormat.SHA256) for message in (b"one\n", b"two\n"))
    run.whole(first)
    fast = run.fast(second)
    assert fast is not None
    assert fast == run.whole(second)


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("profile", [Profile.NOTME, Profile.INTEROP])
def test_a_shape_reads_what_the_strict_reader_reads(world: World, profile: Profile, stamped: bool) -> None:
    _, make = x509(world, profile, stamped=stamped)
    messages = [cms.parse(_der(make(text, timedelta(seconds=20)))) for text in (b"one\n", b"two\n")]
    shape = Shape.of(messages[0])
    assert shape is not None
    other = messages[1]
    read = shape.read(other.der)
    assert other.signing_time is not None
    assert read.signing_time == int(other.signing_time.timestamp())
    assert (read.digest, read.signature, read.attributes) == (
        other.message_digest, other.signature, other.signed_attributes
    )  # fmt: skip
    assert (read.token,) == (other.timestamps or (None,))
    for at in range(len(other.der)):
        changed = other.der[:at] + bytes([other.der[at] ^ 0x20]) + other.der[at + 1 :]
        try:
            if lanecms.prefix_of(changed) != shape.prefix:
                continue  # another shape, or none
            found = shape.read(changed)
        except (OtherError, IndexError):
            continue
        parsed = cms.parse(changed)
        assert (found.digest, found.signature) == (parsed.message_digest, parsed.signature), at


def _der(raw: bytes) -> bytes:
    signature = gitobject.parse_commit(raw, ObjectFormat.SHA1).signature
    assert signature is not None
    return cms.ARMOUR.open(signature.armour)


def test_an_ssh_signature_in_lines_of_another_width_is_left_to_the_whole_examination(world: World) -> None:
    trusted, _ = ssh(world, listed=True)
    payload = world.commit(committer=SOMEBODY, author=SOMEBODY, message=MESSAGE)
    text = base64.b64encode(sshsig.ARMOUR.open(plain_ssh(payload)))
    narrow = b"\n".join(text[i : i + 64] for i in range(0, len(text), 64))
    run = Run(Query(trusted, world.now, Policy()))
    raw = attach(payload, sshsig.ARMOUR.begin + narrow + b"\n" + sshsig.ARMOUR.end)
    row = run.whole(raw)
    assert (row.integrity, row.outcome, row.remarks) == (True, Outcome.ACCEPTED, ("armour-loose",))
    assert run.fast(raw) is None
