"""What the daemon keeps between two signatures, and what it decides anew for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from attest import home as homes
from attest import stamps, verify
from attest.certificate import Chain
from attest.claims import Claims
from attest.errors import RefusedError
from attest.gitobject import ObjectKind, Signature, SignatureFormat
from attest.policy import Context, Policy
from attest.profile import Profile
from attest.types import Assurance, Outcome
from notme_git import sign
from notme_git.acting import Acting
from notme_git.authority import epochs
from notme_git.authority.embedded import Authority
from notme_git.daemon import credential
from notme_git.daemon.credential import MARGIN, Signer
from notme_git.enroll.local import Credential
from notme_git.session import record
from notme_git.sign import Signed
from tests.world import AGENT, World

WHO = Acting(AGENT)
X509, SSH = SignatureFormat.X509, SignatureFormat.SSH
MAX_AGE = timedelta(minutes=5) - MARGIN


@dataclass
class Running:
    """A signer over a world's authority, which it opened once."""

    world: World
    authority: Authority
    signer: Signer

    def credential(self, who: Acting = WHO, scope: str = sign.SCOPE) -> Credential:
        return self.signer.credential(who, scope, self.world.now)

    def sign(self, who: Acting = WHO, form: SignatureFormat = X509, payload: bytes | None = None) -> Signed:
        made = self.world.commit() if payload is None else payload
        return self.signer.sign(
            who, sign.parse(made), form=form, replaying=False, folder="/somewhere", at=self.world.now
        )


def claims_of(chain: Chain | None) -> Claims:
    assert chain is not None
    assert chain.leaf.claims is not None
    return chain.leaf.claims


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    world = World(tmp_path)
    world.grant()
    with world.opened() as authority:
        yield Running(world, authority, Signer.of(world.home, authority))


# -- what is kept


def test_one_credential_signs_until_shortly_before_its_end(running: Running) -> None:
    first = running.credential()
    running.world.tick(seconds=MAX_AGE.total_seconds() - 1)
    assert running.credential() is first
    running.world.tick(seconds=1)
    second = running.credential()
    assert second is not first
    assert second.certificate.public_key() != first.certificate.public_key()


def test_what_was_signed_at_the_last_moment_is_stamped_within_the_certificates_life(running: Running) -> None:
    running.sign()
    running.world.tick(seconds=MAX_AGE.total_seconds() - 1)
    payload = running.world.commit()
    signed = running.sign(payload=payload)
    running.world.tick(days=365)
    examination = verify.examine_signature(
        signed.armour, payload, running.world.trust(), at=running.world.now, git=True
    )
    assert verify.judge(examination, Policy(), Context(git=True), at=running.world.now).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    "other",
    [
        Acting("other"),
        Acting(AGENT, Profile.INTEROP),
        Acting(AGENT, assurance=Assurance.OTHER_USER),
    ],
    ids=["another agent", "another profile", "another assurance"],
)
def test_a_credential_is_for_one_agent_profile_and_assurance(running: Running, other: Acting) -> None:
    running.world.grant("other")
    first, second = running.credential(), running.credential(other)
    assert first.certificate != second.certificate
    assert (running.credential(), running.credential(other)) == (first, second)
    assert running.signer.held == 2


def test_a_credential_for_one_scope_does_not_serve_another(running: Running) -> None:
    running.world.revoke(running.authority.store.grants()[-1].grant)
    running.world.grant(scopes=("sign:git", "sign:git-blind"))
    first, second = running.credential(), running.credential(scope="sign:git-blind")
    assert first.chain.leaf.scopes != second.chain.leaf.scopes


def test_no_more_credentials_are_kept_than_the_bound(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credential, "MAX_CREDENTIALS", 3)
    agents = [f"agent-{n}" for n in range(5)]
    for agent in agents:
        running.world.grant(agent)
    made = {agent: running.credential(Acting(agent)) for agent in agents}
    assert running.signer.held == 3
    assert running.credential(Acting(agents[-1])) is made[agents[-1]]
    assert running.credential(Acting(agents[0])) is not made[agents[0]]


# -- what is forgotten


def test_keys_that_have_ended_are_dropped(running: Running) -> None:
    running.credential()
    running.signer.drop_expired(running.world.now + MAX_AGE - timedelta(seconds=1))
    assert running.signer.held == 1
    running.signer.drop_expired(running.world.now + MAX_AGE)
    assert running.signer.held == 0


def test_keys_that_a_clock_set_back_would_keep_alive_are_dropped(running: Running) -> None:
    running.credential()
    running.signer.drop_expired(running.world.now - timedelta(minutes=5))
    assert running.signer.held == 0


def test_all_keys_can_be_dropped(running: Running) -> None:
    first = running.credential()
    running.signer.drop_all()
    assert running.signer.held == 0
    assert running.credential() is not first


def test_no_key_is_in_what_a_signer_says_of_itself(running: Running) -> None:
    running.sign()
    assert "Credential" not in repr(running.signer)
    assert "rivateKey" not in repr(running.credential())


# -- what is decided anew


def test_a_clock_that_was_set_back_a_little_is_tolerated(running: Running) -> None:
    first = running.credential()
    running.world.tick(seconds=-MARGIN.total_seconds())
    assert running.credential() is first


def test_a_clock_that_was_set_back_further_is_for_the_authority_to_judge(running: Running) -> None:
    running.world.tick(hours=1)
    first = running.credential()
    running.world.tick(seconds=-MARGIN.total_seconds() - 1)
    assert running.credential() is not first
    running.world.tick(seconds=-60)
    with pytest.raises(RefusedError, match="clock"):
        running.sign()


def test_a_grant_revoked_by_another_process_counts_at_once(running: Running) -> None:
    running.sign()
    running.world.revoke(running.authority.store.grants()[-1].grant)
    with pytest.raises(RefusedError, match="revoked"):
        running.sign()


def test_a_new_grant_counts_at_once(running: Running) -> None:
    with pytest.raises(RefusedError):
        running.credential(Acting("new"))
    running.world.grant("new")
    assert claims_of(running.credential(Acting("new")).chain).actor_name == "new"


def test_a_grant_that_expires_counts_at_once(running: Running) -> None:
    running.world.grant("brief", expires="1m")
    running.credential(Acting("brief"))
    running.world.tick(seconds=60)
    with pytest.raises(RefusedError, match="expired"):
        running.credential(Acting("brief"))


def test_an_epoch_rotated_by_another_process_counts_at_once(running: Running) -> None:
    first = running.credential()
    running.world.tick(seconds=1)
    running.world.rotate()
    payload = running.world.commit()
    signed = running.sign(payload=payload)
    assert signed.examination.chain is not None
    assert signed.examination.chain.leaf.epoch == 2
    assert running.credential().chain.anchor != first.chain.anchor


def test_an_epoch_rotated_by_this_process_counts_at_once(running: Running) -> None:
    running.credential()
    running.world.tick(seconds=1)
    epochs.rotate(running.authority, running.world.now)
    assert running.credential().chain.leaf.epoch == 2


def test_without_a_change_the_records_are_not_decoded_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.sign()
    before = running.authority.store.last_issued_at()
    monkeypatch.setattr(type(running.authority.store), "grants", lambda _: pytest.fail("decoded again"))
    for _ in range(3):
        running.world.tick(seconds=1)
        running.sign()
    assert running.authority.store.last_issued_at() == before


@pytest.mark.parametrize("name", [homes.ANCHORS, homes.BUNDLE])
def test_trust_is_read_again_when_a_file_of_it_is_another(running: Running, name: str) -> None:
    first = running.signer.trust()
    assert running.signer.trust() is first
    file = running.world.home / name
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    assert running.signer.trust() is not first


# -- what is written down


def test_an_ssh_signature_leaves_its_time_stamp_beside_the_object(running: Running) -> None:
    payload = running.world.commit()
    signed = running.sign(form=SSH, payload=payload)
    kind, object_id = sign.become(sign.parse(payload), Signature(SSH, signed.armour))
    assert (signed.kind, signed.object_id) == (kind, object_id) == (ObjectKind.COMMIT, object_id)
    assert stamps.read_spool(running.world.home, object_id) == signed.token


def test_a_cms_signature_and_a_push_certificate_leave_none(running: Running) -> None:
    signed = running.sign()
    running.sign(form=SSH, payload=running.world.push())
    assert stamps.read_spool(running.world.home, signed.object_id) is None
    assert not [p for p in running.world.home.rglob("*") if "stamp" in p.name and p.is_file()]


def test_signatures_are_counted(running: Running) -> None:
    for number in range(3):
        assert running.signer.signatures == number
        running.sign()


def test_a_session_and_its_task_are_in_the_claims_and_the_signature_in_its_list(running: Running) -> None:
    grant = running.authority.store.grants()[-1].grant
    session = record.begin(
        running.world.home, grant, task=b"fix it", command="x", broker=False, at=running.world.now
    )
    who = replace(WHO, session=session)
    payload = running.world.commit()
    signed = running.sign(who, payload=payload)
    claims = claims_of(signed.examination.chain)
    assert (claims.session, claims.task_digest) == (session.id, sha256(b"fix it").digest())
    [entry] = record.entries(running.world.home, session)
    assert (entry.object_id, entry.kind) == (signed.object_id, "commit")
    assert (entry.format, entry.folder) == ("x509", "/somewhere")
    assert entry.payload_sha256 == sha256(payload).hexdigest()
    assert running.credential().certificate != running.credential(who).certificate


@pytest.fixture
def in_session(running: Running) -> Acting:
    """Acting in a session that began under the world's first grant, beside which there is a newer one by now."""
    grant = running.authority.store.grants()[-1].grant
    session = record.begin(running.world.home, grant, task=b"", command="x", broker=False, at=running.world.now)
    running.world.tick(seconds=1)
    running.world.grant()
    return replace(WHO, session=session)


def test_a_session_signs_under_the_grant_that_it_began_under(running: Running, in_session: Acting) -> None:
    assert in_session.session is not None
    assert claims_of(running.sign(in_session).examination.chain).grant_id == in_session.session.grant_id
    assert claims_of(running.sign().examination.chain).grant_id != in_session.session.grant_id


@pytest.mark.parametrize("how", ["revoked", "expired"])
def test_a_session_whose_grant_has_ended_goes_on_under_no_other(
    running: Running, in_session: Acting, how: str
) -> None:
    assert in_session.session is not None
    running.sign(in_session)
    if how == "revoked":
        own = in_session.session.grant_id
        running.world.revoke(next(s.grant for s in running.authority.store.grants() if s.grant.id == own))
    else:
        running.world.tick(days=29, hours=24, seconds=-1)
        running.sign(Acting(AGENT))
    with pytest.raises(RefusedError, match=how) as caught:
        running.sign(in_session)
    assert "begin a new session" in caught.value.hint
    with pytest.raises(RefusedError, match=how):
        running.signer.check(in_session, sign.SCOPE, running.world.now)
    with pytest.raises(RefusedError, match=how):
        running.signer.enroll_anew(in_session, sign.SCOPE, running.world.now)
    running.sign()


def test_a_session_of_one_agent_gives_another_agent_nothing(running: Running, in_session: Acting) -> None:
    running.world.grant("other")
    with pytest.raises(RefusedError):
        running.sign(replace(in_session, agent="other"))


def test_outside_a_session_nothing_is_written_of_one(running: Running) -> None:
    signed = running.sign()
    claims = claims_of(signed.examination.chain)
    assert (claims.session, claims.task_digest) == ("", b"")
    assert not (running.world.home / "sessions").exists()
