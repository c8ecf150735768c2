from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from attest import cms, gitobject, sshcert, sshsig, verify
from attest.errors import Error, MalformedError, RefusedError, UnavailableError, VerificationError
from attest.gitobject import ObjectFormat, ObjectKind, Signature, SignatureFormat
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.types import Outcome
from notme_git import sign
from notme_git.acting import Acting
from notme_git.authority import grants
from notme_git.daemon.credential import Signer
from notme_git.enroll import local
from tests.forge import attach
from tests.world import World

OURS = (Profile.NOTME, Profile.INTEROP)
BOB = "Bob <bob@example.org>"
MAKERS: dict[str, Callable[[World], bytes]] = {
    "a commit": World.commit,
    "a commit of a SHA-256 repository": lambda world: world.commit(fmt=ObjectFormat.SHA256),
    "a tag": World.tag,
    "a push certificate": World.push,
    "a push certificate that names the key": lambda world: world.push(pusher="notme:claude-code"),
}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.grant()
    return made


@pytest.mark.parametrize("profile", OURS)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_what_git_signs_is_signed_and_accepted(world: World, make: Callable[[World], bytes], profile: Profile) -> None:
    payload = make(world)
    if profile is Profile.INTEROP and b"pusher notme:claude-code " in payload:
        payload = world.push(pusher="notme:claude-code:interop")
    armour = world.sign(payload, profile=profile)
    world.tick(days=30)
    examination = verify.examine_signature(armour, payload, world.trust(), at=world.now, git=True)
    assert verify.judge(examination, Policy(), Context(git=True), at=world.now).outcome is Outcome.ACCEPTED


def test_a_signature_has_its_time_a_stamp_and_no_certificate_but_its_own(world: World) -> None:
    message = cms.parse(cms.ARMOUR.open(world.sign(world.commit())))
    assert (message.signing_time, len(message.timestamps), message.others) == (world.now, 1, ())


def test_two_signatures_share_no_key(world: World) -> None:
    armours = [world.sign(world.commit()) for _ in range(2)]
    first, second = (cms.parse(cms.ARMOUR.open(a)).signer.public_key() for a in armours)
    assert first != second


NO_OBJECTS: list[tuple[str, Callable[[World], bytes]]] = [
    ("nothing", lambda _: b""),
    ("text", lambda _: b"please sign this\n"),
    ("another program's document", lambda _: b'{"_type": "https://in-toto.io/Statement/v1"}'),
    ("a trust bundle's signed bytes", lambda _: b"notme-trust-bundle-v1\n" + bytes(64)),
    ("a certificate request", lambda _: b"0\x82\x01\x00" + bytes(256)),
    ("a tree", lambda _: b"100644 a\0" + bytes(20)),
    ("a commit that is signed already", lambda w: w.signed_commit()),
    ("a tag that is signed already", lambda w: attach(w.tag(), w.sign(w.tag()))),
    ("a commit without a committer", lambda w: w.commit().replace(b"committer ", b"committed ")),
    ("a commit with a stray gpgsig header", lambda w: w.commit().replace(b"\n\n", b"\ngpgsig-x y\n\n", 1)),
    ("a commit with a NUL in a header", lambda w: w.commit().replace(b"author ", b"author \0", 1)),
    ("more than an object has", lambda w: w.commit() + bytes(sign.MAX_PAYLOAD_BYTES)),
]


@pytest.mark.parametrize("make", [n[1] for n in NO_OBJECTS], ids=[n[0] for n in NO_OBJECTS])
def test_nothing_but_a_commit_tag_or_push_certificate_is_signed(world: World, make: Callable[[World], bytes]) -> None:
    payload = make(world)
    with world.opened() as authority:
        before = authority.store.last_issued_at()
        with pytest.raises(MalformedError, match="nothing else is signed"):
            world.sign(payload)
        assert authority.store.last_issued_at() == before


@pytest.mark.parametrize("agent", ["claude", "Claude-Code", "", "alice@example.org", "verifier", "../claude-code"])
def test_an_agent_without_a_grant_to_sign_gets_no_signature(world: World, agent: str) -> None:
    with pytest.raises(RefusedError) as caught:
        world.sign(world.commit(), agent=agent)
    assert caught.value.hint


def test_an_expired_grant_signs_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.grant(expires="1h")
    world.tick(hours=1)
    with pytest.raises(RefusedError, match="expired"):
        world.sign(world.commit())


def test_a_revoked_grant_signs_nothing_and_a_new_one_does(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.revoke(world.grant())
    with pytest.raises(RefusedError, match="revoked"):
        world.sign(world.commit())
    world.tick(seconds=10)
    world.grant()
    assert world.judge(world.signed_commit()).outcome is Outcome.ACCEPTED


def test_a_grant_for_something_else_signs_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.grant(scopes=("bridgeCert",))
    with pytest.raises(RefusedError, match="not sign:git"):
        world.sign(world.commit())


CONTRADICTIONS: list[tuple[str, Callable[[World], bytes]]] = [
    ("a committer of neither", lambda w: w.commit(committer=BOB)),
    ("another agent as committer", lambda w: w.commit(committer=w.who("other-agent"))),
    ("a committer without address", lambda w: w.commit(committer="claude-code <>")),
    ("an author of neither in a new commit", lambda w: w.commit(author=BOB)),
    ("a tagger of neither", lambda w: w.tag(tagger=BOB)),
    ("no tagger", lambda w: w.tag(tagger=None)),
    ("a pusher of neither", lambda w: w.push(pusher=BOB)),
]


@pytest.mark.parametrize("make", [c[1] for c in CONTRADICTIONS], ids=[c[0] for c in CONTRADICTIONS])
def test_what_contradicts_the_certificate_is_not_signed(world: World, make: Callable[[World], bytes]) -> None:
    with pytest.raises(RefusedError, match="not signed") as caught:
        world.sign(make(world))
    assert "alice@example.org" in caught.value.hint


def test_the_human_may_be_committer_and_author_of_what_the_agent_signs(world: World) -> None:
    raw = world.signed_commit(world.commit(committer="Alice <alice@example.org>"))
    assert world.judge(raw).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("replaying", "earlier"), [(True, 0), (False, 1), (True, 1)], ids=["git says so", "an older author's time", "both"]
)
def test_anothers_work_is_signed_when_it_is_replayed(world: World, replaying: bool, earlier: int) -> None:
    payload = world.commit(author=BOB, authored=world.now - timedelta(seconds=earlier))
    armour = world.sign(payload, replaying=replaying)
    assert world.judge(attach(payload, armour)).findings.remarks == ("authored-by-other",)


def test_replaying_does_not_excuse_the_committer(world: World) -> None:
    with pytest.raises(RefusedError):
        world.sign(world.commit(committer=BOB), replaying=True)


def test_a_constrained_grant_signs_and_leaves_the_place_to_the_verifier(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.grant(repositories=("https://git.example/app",), branches=("main",))
    raw = world.signed_commit()
    assert world.judge(raw, context=Context("refs/heads/main", "https://git.example/app")).outcome is Outcome.ACCEPTED
    assert world.judge(raw).outcome is Outcome.COULD_NOT_CHECK


def test_a_clock_that_went_back_signs_nothing(world: World) -> None:
    world.tick(days=1)
    world.sign(world.commit())
    world.tick(seconds=-61)
    with pytest.raises(RefusedError, match="clock"):
        world.sign(world.commit())
    world.tick(seconds=61)
    assert world.sign(world.commit())


def test_a_clock_that_jumped_ahead_and_was_set_right_has_to_be_dealt_with(world: World) -> None:
    """What was issued in the future stays on record; the error says which time the authority was at."""
    right = world.now
    world.tick(days=20)
    world.sign(world.commit(), profile=Profile.INTEROP)
    world.now = right
    with pytest.raises(RefusedError, match="already at 2026-12-13"):
        world.sign(world.commit())


def test_the_anchors_of_another_authority_make_no_signature(world: World) -> None:
    with world.opened() as authority:
        grant = grants.select(authority.store.grants(), "claude-code", scope=sign.SCOPE, at=world.now)
        with pytest.raises(VerificationError):
            local.enroll(authority, grant, Profile.NOTME, sign.SCOPE, world.other.trust().anchors, world.now)


def test_a_signer_examines_its_own_product(world: World, tmp_path: Path) -> None:
    """The verifier here knows of a revocation that this database, set back to a backup, has forgotten."""
    backup = shutil.copytree(world.home, tmp_path / "backup")
    with world.opened() as authority:
        grant = next(s.grant for s in authority.store.grants() if s.grant.actor.name == "claude-code")
    world.revoke(grant)
    informed = world.trust()
    world.home = backup
    world.tick(minutes=2)
    credential, parsed = world.credential(), sign.parse(world.commit())
    with pytest.raises(RefusedError, match="its own examination: step 6"):
        sign.sign_payload(
            credential, informed, parsed, form=SignatureFormat.X509, replaying=False, at=world.now
        )


@pytest.mark.parametrize("name", ["anchors.pem", "bundle", "authority.db", "keys"])
def test_without_any_part_of_its_home_nothing_is_signed(world: World, name: str) -> None:
    path = world.home / "authority" / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(UnavailableError):
        world.sign(world.commit())


def test_agents_of_two_homes_are_strangers(world: World) -> None:
    world.other.grant()
    raw = world.other.signed_commit()
    assert world.other.judge(raw).outcome is Outcome.ACCEPTED
    assert world.judge(raw).outcome is Outcome.REJECTED


def test_a_name_of_an_agent_is_good_for_no_second_authority_on_the_same_home(world: World) -> None:
    with pytest.raises(Error):
        World(world.home.parent)


# -- SSH signatures


SSH = SignatureFormat.SSH
SIGNED_DATES: dict[str, Callable[[World], bytes]] = {**MAKERS}
SIGNED_DATES.pop("a push certificate that names the key")


@pytest.mark.parametrize("make", SIGNED_DATES.values(), ids=SIGNED_DATES)
def test_what_git_signs_is_signed_by_ssh_and_accepted_with_its_stamp(
    world: World, make: Callable[[World], bytes]
) -> None:
    payload = make(world)
    with world.opened() as authority:
        signer = Signer.of(world.home, authority)
        signed = signer.sign(
            Acting("claude-code"), sign.parse(payload), form=SSH, replaying=False, folder="/", at=world.now
        )
    world.tick(days=30)
    for stamps, outcome in (((signed.token,), Outcome.ACCEPTED), ((), Outcome.ACCEPTED_TIME_UNPROVEN)):
        examination = verify.examine_signature(
            signed.armour, payload, world.trust(), at=world.now, git=True, timestamps=stamps
        )
        assert verify.judge(examination, Policy(), Context(git=True), at=world.now).outcome is outcome


def test_an_ssh_signature_is_over_the_payload_in_gits_namespace_with_the_certificate(world: World) -> None:
    read = sshsig.parse(sshsig.ARMOUR.open(world.sign(world.commit(), form=SSH)))
    assert (read.namespace, read.hash_algorithm) == ("git", "sha512")
    assert sshcert.parse(read.public_key).principals == (world.address(),)


def test_profile_interop_has_no_ssh_signatures(world: World) -> None:
    with pytest.raises(RefusedError, match="no SSH certificates") as caught:
        world.sign(world.commit(), profile=Profile.INTEROP, form=SSH)
    assert "--format ssh" in caught.value.hint


@pytest.mark.parametrize("make", [World.commit, World.tag, World.push], ids=["commit", "tag", "push certificate"])
@pytest.mark.parametrize(
    ("seconds", "why"),
    [(-900, ""), (-901, "window"), (60, ""), (61, "clock"), (300, "window"), (-86400, "window"), (86400, "window")],
    ids=["as old as the window", "a second older", "a clock's error ahead", "a second more", "as new as its end",
         "a day old", "a day ahead"],
)  # fmt: skip
def test_what_stock_ssh_would_judge_outside_the_certificates_window_is_not_signed(
    world: World, make: Callable[[World], bytes], seconds: int, why: str
) -> None:
    """It takes the date in the object for the time of the signature."""
    right = world.tick(days=3)
    world.now = right + timedelta(seconds=seconds)
    payload = make(world)
    world.now = right
    world.sign(payload)
    if not why:
        assert world.sign(payload, form=SSH)
        return
    with pytest.raises(RefusedError, match=why) as caught:
        world.sign(payload, form=SSH)
    assert ("GIT_COMMITTER_DATE" in caught.value.hint) == (why == "window")


def test_a_tag_without_a_date_has_no_window_to_miss(world: World) -> None:
    with pytest.raises(RefusedError, match="not signed"):
        world.sign(world.tag(tagger=None), form=SSH)


def test_the_authors_date_may_be_any(world: World) -> None:
    payload = world.commit(author=BOB, authored=world.now - timedelta(days=900))
    assert world.sign(payload, form=SSH, replaying=True)


@pytest.mark.parametrize("form", [SignatureFormat.X509, SSH])
@pytest.mark.parametrize("fmt", ObjectFormat)
def test_the_id_of_the_signed_object_is_what_git_will_give_it(
    world: World, form: SignatureFormat, fmt: ObjectFormat
) -> None:
    payload = world.commit(fmt=fmt)
    armour = world.sign(payload, form=form)
    kind, object_id = sign.become(sign.parse(payload), Signature(form, armour))
    raw = attach(payload, armour, fmt)
    assert (kind, object_id) == (ObjectKind.COMMIT, gitobject.object_id(ObjectKind.COMMIT, raw, fmt))


def test_a_push_certificate_becomes_no_object(world: World) -> None:
    assert sign.become(sign.parse(world.push()), Signature(SSH, b"x")) == (ObjectKind.PUSH_CERTIFICATE, "")
