"""From a squash to agent and human: by which record, what is refused, and what a policy makes of it."""

from __future__ import annotations

import base64
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from attest import history, keys, sshwire, store, trust
from attest.attester import KeyAttester
from attest.errors import ACCEPTED, REJECTED, Reason, Step
from attest.policy import Policy
from attest.profile import Profile
from attest.receive import push, refusal
from attest.receive.guard import Protected
from attest.receive.policies import Policies
from attest.receive.push import Report
from attest.receive.settings import Settings
from attest.receive.updates import Update
from attest.rewrites import follow, maker, statement
from attest.rewrites.model import Compared, Made, Relation
from attest.rules.ruleset import Ruleset
from attest.signing_key import SigningKey
from attest.through import Through
from attest.types import Outcome, StepStatus
from tests.forge import AGENT, NOW, attach
from tests.rewritten import POLICY, ForgedVerifier, Place, place, policy, uri_of

BUILTIN = Policy()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return place(tmp_path_factory.mktemp("follow"), NOW)


@pytest.fixture
def fresh(made: Place, tmp_path: Path) -> Place:
    """A copy, without anything stored."""
    path = tmp_path / "clone"
    shutil.copytree(made.clone.path, path)
    again = replace(made, clone=replace(made.clone, path=path))
    again.clone.git("update-ref", "-d", "refs/attestations/notme")
    return again


def people(through: Through) -> list[tuple[str, str]]:
    return [(who.name, behalf.name if behalf else "") for who, behalf in through.people()]


def test_a_squash_is_named_after_agent_and_human_and_its_own_verdict_stands(fresh: Place) -> None:
    squash = fresh.squash()
    record = fresh.make(squash)
    assert record.compared == Compared(Relation.SAME_TREE, fresh.base)
    assert [each.outcome for each in record.old] == [Outcome.ACCEPTED] * 2
    fresh.keep(record)
    row = fresh.row(squash, policy=BUILTIN)
    assert (row.outcome, row.finding(Step.SIGNATURE).reason) == (Outcome.REJECTED, Reason.SIGNATURE_MISSING)
    (through,) = row.through
    assert (through.follows, through.seen, through.relation, through.made) == (True, True, "same-tree", "squash")
    assert people(through) == [("claude-code", "Alice Example")]
    assert through.by == record.verifier
    assert through.rewriter == "GitHub (claimed)"
    assert not fresh.row(squash, policy=BUILTIN, rewrites=False).through


def test_a_policy_that_follows_accepts_it_and_names_rule_and_record(fresh: Place) -> None:
    squash = fresh.squash()
    before = fresh.row(squash, policy=policy())
    assert (before.outcome, before.finding(Step.POLICY).reason) == (Outcome.REJECTED, Reason.NO_RULE)
    fresh.keep(fresh.make(squash))
    row = fresh.row(squash, policy=policy(), rewrites=False)
    assert (row.outcome, row.rule) == (Outcome.ACCEPTED, "squashes")
    assert f"sha256:{row.through[0].record}" in row.finding(Step.POLICY).detail
    assert row.identity is None


@pytest.mark.parametrize(
    ("match", "require", "accepted"),
    [
        ('classes = ["agent"], refs = ["main"], paths = ["src/**"]', "", True),
        ('classes = ["human"]', "", False),
        ('refs = ["release"]', "", False),
        ('paths = ["docs/**"]', "", False),
        ("", 'require = { represented = ["*"] }', True),
        ("", 'require = { actors = ["claude"], represented = ["alice"] }', True),
        ('actors = ["claude"]', "", True),
        ('actors = ["alice"]', "", False),
        ("", 'require = { actors = ["other"] }', False),
        ("", 'require = { represented = ["other"] }', False),
    ],
)
def test_a_rule_asks_of_the_commit_where_it_goes_and_of_the_old_ones_whose_they_are(
    made: Place, match: str, require: str, accepted: bool
) -> None:
    squash = made.squash()
    made.keep(made.make(squash))
    found = made.row(made.last)
    assert found.identity is not None
    assert found.identity.represented is not None
    known = {
        "claude": ("agent", found.identity.actor.id),
        "alice": ("human", found.identity.represented.id),
        "other": ("agent", "wimse://x/y"),
    }
    principals = "".join(
        f'[[principals]]\nname = "{name}"\nclass = "{kind}"\ncertificates = ["{uri}"]\n'
        for name, (kind, uri) in known.items()
    )
    row = made.row(squash, policy=policy("record", match, f"{require}\n{principals}"))
    assert row.outcome is (Outcome.ACCEPTED if accepted else Outcome.REJECTED)


def test_what_a_rule_requires_never_denies_what_is_let_in_without_the_record(fresh: Place) -> None:
    squash = fresh.squash()
    text = f'match = {{ classes = ["unsigned-legacy"], ancestors_of = ["{squash}"] }}'
    with fresh.opened() as repo:
        source = 'version = 1\n[[rules]]\nname = "r"\nmatch = { through = "record", classes = ["human"] }\n'
        source += f'[[rules]]\nname = "old"\n{text}\n'
        rules = Ruleset.read(source.encode(), "t").over(repo)
        assert fresh.row(squash, policy=rules).rule == "old"
        fresh.keep(fresh.make(squash))
        assert fresh.row(squash, policy=rules).rule == "old"


def test_the_record_still_names_them_when_the_originals_are_gone_and_says_that_they_are(fresh: Place) -> None:
    squash = fresh.squash()
    fresh.clone.git("update-ref", "refs/heads/main", squash)
    fresh.keep(fresh.make(squash))
    fresh.forget()
    (through,) = fresh.row(squash, policy=BUILTIN).through
    assert (through.follows, through.compared, through.seen) == (True, False, False)
    assert [each.here for each in through.originals] == [False, False]
    assert people(through) == [("claude-code", "Alice Example")]
    assert fresh.row(squash, policy=policy("record")).outcome is Outcome.ACCEPTED
    strict = fresh.row(squash, policy=policy("rewrite"))
    assert strict.outcome is Outcome.REJECTED


def test_content_that_changed_on_the_way_is_not_followed(fresh: Place) -> None:
    solved = fresh.squash({**fresh.files, "src/f": "solved\n"})
    record = fresh.make(solved)
    assert record.compared.relation is Relation.NONE
    fresh.keep(record)
    row = fresh.row(solved, policy=policy("record"))
    assert row.outcome is Outcome.REJECTED
    assert "nothing in common" in row.through[0].refused
    lying = replace(record, compared=Compared(Relation.SAME_TREE, fresh.base))
    fresh.keep(lying)
    found = fresh.row(solved, policy=policy("record"))
    assert found.outcome is Outcome.REJECTED
    assert any("do not bear out" in each.refused for each in found.through)


def test_forged_records_are_refused_each_with_its_reason(fresh: Place) -> None:
    world, squash = fresh.world, fresh.squash()
    record, other = fresh.make(squash), fresh.squash(who="GitLab <noreply@gitlab.com>")
    payload = statement.build(record)
    stranger = SigningKey(keys.from_cryptography((key := Ed25519PrivateKey.generate()).public_key()), key)
    cases = {
        "no verifier": ForgedVerifier(world, leaf=world.stolen()).sign(payload, NOW),
        "no key that counts": KeyAttester(stranger, "x:y").sign(payload, NOW),
        "another commit": ForgedVerifier(world).sign(statement.build(fresh.make(other)), NOW),
        "another authority": ForgedVerifier(world.other).sign(payload, NOW),
        "another verifier": ForgedVerifier(world).sign(statement.build(replace(record, verifier="x:y")), NOW),
    }
    for line in cases.values():
        fresh.store(squash, line)
    fewer = statement.build(replace(record, old=record.old[1:]))
    good = ForgedVerifier(world).sign(payload, NOW)
    changed = good.replace(base64.b64encode(payload), base64.b64encode(fewer))
    assert changed != good
    fresh.store(squash, changed, b"{", b'{"dsseEnvelope":7}')
    row = fresh.row(squash, policy=policy("record"))
    assert row.outcome is Outcome.REJECTED
    said = sorted(each.refused for each in row.through)
    assert len(said) == 6
    wanted = ("it is no verifier", "no key that was named", "another commit", "anchor", "as its verifier", "signature")
    for words in wanted:
        assert any(words in each for each in said), (words, said)
    # Signed by a verifier that counts, and yet not what the commits say.
    fresh.store(squash, ForgedVerifier(world).sign(fewer, NOW))
    refused = [each.refused for each in fresh.row(squash, policy=policy("record")).through]
    assert any("do not bear out" in each for each in refused)
    # A record replayed on a commit with the same tree, parent and all: it is about the other one.
    fresh.store(other, good)
    (replayed,) = fresh.row(other, policy=policy("record")).through
    assert "another commit" in replayed.refused


@pytest.mark.parametrize("through", ["rewrite", "record"])
def test_a_verifier_of_an_authority_that_the_policy_does_not_count_has_no_say_by_a_record(
    fresh: Place, through: str
) -> None:
    world, squash = fresh.world, fresh.squash()
    record = replace(fresh.make(squash), verifier=uri_of(world.other.forge().verifier(at=NOW)))
    fresh.store(squash, ForgedVerifier(world.other).sign(statement.build(record), NOW))
    if through == "record":
        fresh.clone.git("update-ref", "refs/heads/main", squash)
        fresh.forget()
    both = trust.join(world.trust(), [world.other.trust()])
    counted = world.trust().anchors[0].key.spki_sha256.hex()
    every = policy(through)
    own = Ruleset.read(
        POLICY.format(through=through, match="", require=f'[trust]\nanchors = ["sha256:{counted}"]').encode(), "test"
    ).bound(both)
    assert fresh.row(squash, policy=every, trusted=both).outcome is Outcome.ACCEPTED
    row = fresh.row(squash, policy=own, trusted=both)
    assert (row.outcome, [each.follows for each in row.through]) == (Outcome.REJECTED, [False])
    assert "does not count the authority" in row.through[0].refused
    assert Protected(own).anchors == own.anchors


def signed_as(place: Place, uri: str, files: dict[str, str], parent: str) -> str:
    """A commit under a certificate of the world's authority that names this URI, whoever that is."""
    forge, at = place.world.forge(), place.world.now
    who = f"agent-7 <{AGENT.actor_email}>"
    bare = place.clone.commit(files, parent, who=who, author=who, message="Write f", signed=False)
    payload = place.clone.git("cat-file", "commit", bare).out.encode()
    leaf = forge.issue(replace(forge.spec(AGENT, at=at), uri=uri, subject=uri))
    file = place.clone.path / ".git" / "made"
    file.write_bytes(attach(payload, forge.armour(leaf, payload, at=at)))
    return place.clone.git("hash-object", "-t", "commit", "-w", file).out.strip()


@pytest.mark.parametrize("uri", ["ssh:SHA256:{key}", "SSH:SHA256:{key}", "wimse://authority.example/agent/agent-7"])
def test_no_certificate_lends_its_holder_the_name_of_somebody_elses_key(fresh: Place, uri: str) -> None:
    blob = sshwire.ed25519_key(bytes([88]) + bytes([102]) * 31)
    known = f'[[principals]]\nname = "alice"\nclass = "human"\nssh_keys = ["{sshwire.fingerprint(blob)}"]\n'
    name = uri.format(key=sshwire.fingerprint(blob).removeprefix("SHA256:"))
    old = signed_as(fresh, name, fresh.files, fresh.base)
    squash = fresh.squash()
    fresh.keep(fresh.make(squash, old, made=Made.REBASE))
    agents, alices = (policy("rewrite", match, known) for match in ('classes = ["agent"]', 'actors = ["alice"]'))
    assert fresh.row(squash, policy=alices).outcome is Outcome.REJECTED
    good = uri.startswith("wimse:")
    assert (fresh.row(old, policy=agents).outcome is Outcome.ACCEPTED) is good
    assert (fresh.row(squash, policy=agents).outcome is Outcome.ACCEPTED) is good


def test_on_behalf_of_whom_is_a_certificates_word_and_no_key(fresh: Place) -> None:
    blob = sshwire.ed25519_key(bytes([88]) + bytes([102]) * 31)
    known = f'[[principals]]\nname = "alice"\nclass = "human"\nssh_keys = ["{sshwire.fingerprint(blob)}"]\n'
    squash = fresh.squash()
    fresh.clone.git("update-ref", "refs/heads/main", squash)
    record = fresh.make(squash)
    behalf = [replace(each, represented=replace(each.represented, id=f"ssh:{sshwire.fingerprint(blob)}"))
              for each in record.old if each.represented is not None]  # fmt: skip
    fresh.keep(replace(record, old=tuple(behalf)))
    fresh.forget()
    assert fresh.row(squash, policy=policy("record", require=known)).outcome is Outcome.ACCEPTED
    wanted = policy("record", require='require = { represented = ["alice"] }\n' + known)
    assert fresh.row(squash, policy=wanted).outcome is Outcome.REJECTED


def test_a_verifiers_certificate_is_of_the_profile_that_is_asked_for(fresh: Place) -> None:
    squash = fresh.squash()
    fresh.keep(fresh.make(squash))
    for profile, refused in ((None, ""), (Profile.NOTME, ""), (Profile.INTEROP, "is of profile notme, not interop")):
        (record,) = fresh.row(squash, profile=profile).through
        assert refused in record.refused
        assert bool(refused) is bool(record.refused)


def test_what_is_stated_of_an_acceptance_names_the_records_that_its_rule_takes_and_no_others(fresh: Place) -> None:
    squash = fresh.squash()
    record = fresh.make(squash)
    gone = [replace(each, object_id=f"{number:040x}") for number, each in enumerate(record.old, 1)]
    fresh.keep(record, replace(record, old=tuple(gone)))
    here, elsewhere = fresh.row(squash).through
    assert (here.follows, here.seen, elsewhere.follows, elsewhere.seen) == (True, True, True, False)
    for through, wanted in (("rewrite", (here.record,)), ("record", (here.record, elsewhere.record))):
        with fresh.opened() as repo:
            (judged,) = history.Worker(repo, fresh.query(policy=policy(through))).judged([squash])
        assert judged.found is not None
        assert judged.found[1].outcome is Outcome.ACCEPTED
        assert tuple(each.record for each in judged.records) == wanted


def test_a_key_that_was_given_counts_and_its_record_goes_by_the_name_it_gives(fresh: Place) -> None:
    key = Ed25519PrivateKey.generate()
    signing = SigningKey(keys.from_cryptography(key.public_key()), key)
    squash = fresh.squash()
    record = replace(fresh.make(squash), verifier="https://ci.example/rewrites")
    fresh.store(squash, KeyAttester(signing, record.verifier).sign(statement.build(record), NOW))
    assert fresh.row(squash, policy=policy()).outcome is Outcome.REJECTED
    row = fresh.row(squash, policy=policy(), attesters=(signing.public,))
    assert (row.outcome, row.through[0].by) == (Outcome.ACCEPTED, "https://ci.example/rewrites")


def test_a_commit_among_them_that_is_not_accepted_spoils_it(fresh: Place) -> None:
    middle = fresh.clone.commit({**fresh.files, "x": "x\n"}, fresh.last, signed=False)
    files = {**fresh.files, "x": "x\n", "y": "y\n"}
    end = fresh.clone.commit(files, middle)
    squash = fresh.squash(files)
    fresh.keep(fresh.make(squash, fresh.first, fresh.last, middle, end))
    row = fresh.row(squash, policy=policy("record"))
    (through,) = row.through
    assert (row.outcome, through.refused, through.outcome) == (Outcome.REJECTED, "", Outcome.REJECTED)


def test_records_are_followed_one_after_the_other_but_not_without_end(fresh: Place) -> None:
    squash = fresh.squash()
    fresh.keep(fresh.make(squash))
    again = squash
    seen = []
    for n in range(follow.MAX_DEPTH + 1):
        before, again = again, fresh.clone.commit(fresh.files, fresh.base, signed=False, message=f"again {n}")
        fresh.keep(fresh.make(again, before, made=Made.AMEND))
        row = fresh.row(again, policy=policy())
        seen.append((row.outcome is Outcome.ACCEPTED, people(row.through[0])))
    depth = follow.MAX_DEPTH - 1
    assert seen[:depth] == [(True, [("claude-code", "Alice Example")])] * depth
    assert not any(accepted for accepted, _ in seen[depth:])
    assert all(names == [] for _, names in seen[depth:])


def test_a_record_that_leads_back_is_refused(fresh: Place) -> None:
    one, two = fresh.squash(), fresh.squash(who="GitLab <noreply@gitlab.com>")
    fresh.keep(fresh.make(one, two, made=Made.AMEND), fresh.make(two, one, made=Made.AMEND))
    (through,) = fresh.row(one, policy=policy("record")).through
    assert not through.follows
    assert through.people() == ()


def test_a_signature_that_does_not_verify_is_excused_by_no_record(fresh: Place) -> None:
    payload = fresh.clone.payload(fresh.files, fresh.base)
    armour = fresh.world.sign(fresh.clone.payload(fresh.files, fresh.base, message="other"))
    broken = fresh.clone.write(attach(payload, armour))
    fresh.keep(fresh.make(broken))
    row = fresh.row(broken, policy=policy("record"))
    assert (row.outcome, row.finding(Step.INTEGRITY).status) == (Outcome.REJECTED, StepStatus.FAILED)
    assert row.through[0].follows


def test_a_commit_under_an_authority_that_does_not_count_is_let_in_by_a_record_and_by_no_other_rule(
    fresh: Place,
) -> None:
    fresh.world.other.grant()
    payload = fresh.clone.payload(fresh.files, fresh.base, who=fresh.world.other.who())
    strange = fresh.clone.write(attach(payload, fresh.world.other.sign(payload)))
    rules = policy("rewrite", "", '[[rules]]\nname = "any"\n')
    assert fresh.row(strange, policy=rules).outcome is Outcome.REJECTED
    fresh.keep(fresh.make(strange))
    assert fresh.row(strange, policy=rules).rule == "squashes"


def test_what_was_said_before_is_not_said_again(fresh: Place) -> None:
    squash = fresh.squash()
    fresh.keep(fresh.make(squash))
    fresh.world.tick(minutes=5)
    fresh.keep(fresh.make(squash))
    assert len(fresh.row(squash).through) == 1


def test_a_line_in_our_name_that_we_did_not_sign_keeps_us_from_saying_nothing(fresh: Place) -> None:
    squash, ours, theirs = fresh.squash(), signing(), signing()
    record = replace(fresh.make(squash), verifier="https://ci.example/rewrites")
    fresh.store(squash, KeyAttester(theirs, record.verifier).sign(statement.build(record), NOW))
    fresh.world.tick(minutes=5)
    with fresh.opened() as repo:
        by = KeyAttester(ours, record.verifier)
        assert maker.keep(repo, [record], by, fresh.query(), fresh.world.now) == [record]
        assert maker.keep(repo, [record], by, fresh.query(), fresh.world.now) == []
    found = fresh.row(squash, attesters=(ours.public,)).through
    assert [bool(each.refused) for each in found] == [False, True]
    # Nor does such a line keep a verifier with a certificate from it.
    mine = fresh.make(squash)
    fresh.store(squash, KeyAttester(theirs, mine.verifier).sign(statement.build(mine), NOW))
    fresh.world.tick(minutes=5)
    fresh.keep(mine)
    fresh.keep(mine)
    assert [bool(each.refused) for each in fresh.row(squash).through] == [False, True, True, True]


def signing() -> SigningKey:
    key = Ed25519PrivateKey.generate()
    return SigningKey(keys.from_cryptography(key.public_key()), key)


def test_one_asks_for_records_only_where_there_are_any(fresh: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def read_many(_: object, ids: object) -> dict[str, list[bytes]]:
        asked.append(ids)
        return {}

    monkeypatch.setattr(store, "read_many", read_many)
    fresh.rows([fresh.squash(), fresh.last], policy=policy())
    assert asked == []


def reported(place: Place, settings: Settings, oid: str) -> list[Report]:
    """What comes of a push of this commit to main."""
    with place.opened() as repo:
        rules = Policies(repo, place.world.trust(), None, settings.policy)
        update = Update("refs/heads/main", place.base, oid)
        return push.judge_push(repo, [update], settings, rules.of, lambda _: [place.base], place.world.now)


def pushed(place: Place, settings: Settings, oid: str) -> int:
    """How it ends."""
    return push.status_of(reported(place, settings, oid))


@pytest.mark.parametrize("protect", [(), ("refs/heads/main",)])
def test_a_server_that_follows_records_takes_a_squash_where_the_key_of_its_maker_is_named(
    fresh: Place, tmp_path: Path, protect: tuple[str, ...]
) -> None:
    key = Ed25519PrivateKey.generate()
    public = tmp_path / "key.pub"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    file = tmp_path / "policy.toml"
    file.write_text(POLICY.format(through="record", match="", require=""))
    squash = fresh.squash()
    record = replace(fresh.make(squash), verifier="https://ci.example/rewrites")
    signing = SigningKey(keys.from_cryptography(key.public_key()), key)
    fresh.store(squash, KeyAttester(signing, record.verifier).sign(statement.build(record), NOW))
    settings = Settings(policy=file, protect=protect)
    assert pushed(fresh, settings, squash) == REJECTED
    named = replace(settings, attester_keys=(public,))
    assert pushed(fresh, named, squash) == ACCEPTED
    fresh.clone.git("update-ref", "refs/heads/kept", squash)
    fresh.forget()
    # Where evidence of time is demanded, the commits that have it have to be there.
    assert pushed(fresh, named, squash) == (REJECTED if protect else ACCEPTED)


def test_a_pusher_reads_that_a_record_is_wanted_and_why_one_is_not_followed(fresh: Place, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY.format(through="record", match="", require=""))
    squash, settings = fresh.squash(), Settings(policy=file)
    said = list(refusal.lines(reported(fresh, settings, squash)))
    assert [line for line in said if f"rewrite record {squash[:12]} --from" in line]
    key = Ed25519PrivateKey.generate()
    record = replace(fresh.make(squash), verifier="https://ci.example/rewrites")
    signing = SigningKey(keys.from_cryptography(key.public_key()), key)
    fresh.store(squash, KeyAttester(signing, record.verifier).sign(statement.build(record), NOW))
    (why,) = [line for line in refusal.lines(reported(fresh, settings, squash)) if "rewrite record" in line]
    assert "is not followed: no key that was named signed it" in why
    assert "notme.attesterKey" in why
    other = tmp_path / "other.toml"
    other.write_text('version = 1\n[[rules]]\nname = "agents"\nmatch = { classes = ["agent"] }\n')
    assert "rewrite record" not in "\n".join(refusal.lines(reported(fresh, Settings(policy=other), squash)))
