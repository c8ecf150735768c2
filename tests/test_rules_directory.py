"""Who a policy takes a signer to be, and whose keys it lets count."""

from __future__ import annotations

from base64 import b64encode

import pytest

from attest import certificate
from attest.errors import MalformedError
from attest.foreign.allowed import AllowedSigners
from attest.foreign.cmstime import Stamper
from attest.foreign.roots import NONE, Roots
from attest.foreign.sigstore import principal_id
from attest.foreign.vouched import Vouched
from attest.profile import Profile
from attest.row import Signer, SignerKind
from attest.rules import directory, document, roots
from attest.rules.model import Class, Document, Named, OpenIdSubject
from attest.types import Authentication, Principal, PrincipalKind
from tests.forge import Forge
from tests.test_rules_document import FINGERPRINT, KEY

OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0kMwQKpXeYCH3HBeOytDqsTb3XUB8RRX5Jry4HMfR2"
POLICY = f"""
version = 1
[trust]
formats = [FORMATS]
[[principals]]
name = "alice"
class = "human"
emails = ["Alice@example.org", "team@example.org"]
ssh_keys = ["{KEY}"]
openpgp = ["{"AB" * 20}"]
certificates = ["https://authority.example/principals/alice"]
[[principals]]
name = "robot"
class = "workload"
emails = ["team@example.org"]
sigstore = [{{ issuer = "https://token.example", identity = "https://git.example/app/.github/ci.yml@refs/heads/main" }}]
[[principals]]
name = "claude"
class = "agent"
certificates = ["wimse://authority.example/agent/*"]
ssh_keys = ["SHA256:{"A" * 43}"]
[groups]
team = ["alice", "robot"]
[[rules]]
name = "r"
"""
EVERY = '"notme", "ssh", "sigstore", "smime", "openpgp"'
MADE = document.parse(POLICY.replace("FORMATS", EVERY).encode())
WHO = directory.build(MADE.principals, MADE.groups)


def principal(identifier: str) -> Principal:
    return Principal(identifier, PrincipalKind.HUMAN, "", "", "", Authentication.OWN_KEY)


CI = "sigstore:https://token.example#https://git.example/app/.github/ci.yml@refs/heads/main"
SIGNERS = [
    ("an SSH key", SignerKind.SSH_KEY, FINGERPRINT, "", (), {"alice"}),
    ("an SSH key by its fingerprint alone", SignerKind.SSH_KEY, f"SHA256:{'A' * 43}", "", (), {"claude"}),
    ("another SSH key of the same address", SignerKind.SSH_KEY, "SHA256:x", "", ("alice@example.org",), set()),
    ("an OpenPGP key in upper case", SignerKind.OPENPGP, "AB" * 20, "", (), {"alice"}),
    ("an OpenPGP key that ends alike", SignerKind.OPENPGP, "CD" + "AB" * 19, "", (), set()),
    ("an identity of an OpenID provider", SignerKind.SIGSTORE, "", CI, (), {"robot"}),
    ("the identity of another provider", SignerKind.SIGSTORE, "", CI.replace("token", "tokens"), (), set()),
    ("an address that Sigstore vouches for", SignerKind.SIGSTORE, "", "", ("alice@example.org",), set()),
    ("an address in S/MIME", SignerKind.SMIME, "", "", ("aLICE@example.org",), {"alice"}),
    ("an address of two", SignerKind.SMIME, "", "", ("team@example.org",), {"alice", "robot"}),
    ("an address in an SSH certificate", SignerKind.SSH_CERTIFICATE, "", "", ("alice@example.org",), {"alice"}),
]


COLUMNS = ("kind", "key", "who", "emails", "names")


@pytest.mark.parametrize(COLUMNS, [s[1:] for s in SIGNERS], ids=[s[0] for s in SIGNERS])
def test_a_signer_is_recognised_by_what_its_signature_proves(
    kind: SignerKind, key: str, who: str, emails: tuple[str, ...], names: set[str]
) -> None:
    vouched = Vouched(principal(who), frozenset(emails), "root")
    assert WHO.of_signer(Signer(kind, key, ""), vouched) == names


@pytest.mark.parametrize(
    ("uri", "names"),
    [
        ("https://authority.example/principals/alice", {"alice"}),
        ("https://authority.example/principals/alice2", set()),
        ("wimse://authority.example/agent/claude", {"claude"}),
        ("wimse://authority.example/agent/claude/child", set()),
        ("", set()),
    ],
)
def test_a_certificate_is_recognised_by_its_uri(uri: str, names: set[str]) -> None:
    assert WHO.of_certificate(principal(uri)) == names


def test_several_names_have_a_class_only_if_it_is_one() -> None:
    assert WHO.class_of({"alice"}) is Class.HUMAN
    assert WHO.class_of({"alice", "robot"}) is None
    assert WHO.class_of(()) is None


@pytest.mark.parametrize(
    ("some", "others", "shared"),
    [("alice", "robot", True), ("alice", "claude", False), ("claude", "claude", True), ("", "alice", False)],
)
def test_who_shares_a_group(some: str, others: str, shared: bool) -> None:
    names = [frozenset({name}) if name else frozenset[str]() for name in (some, others)]
    assert WHO.share_group(*names) is shared


def blob(line: str) -> bytes:
    [found] = AllowedSigners.parse(f"x {line}\n".encode()).keys
    return found


def test_the_keys_of_principals_count_for_their_addresses() -> None:
    made = roots.of_policy(MADE, NONE).allowed_signers
    assert made is not None
    assert set(made.keys) == {blob(KEY)}
    [entry] = made.keys[blob(KEY)]
    assert entry.principals.matches("team@example.org")
    assert not entry.principals.matches("bob@example.org")
    assert entry.is_for("git")
    assert not entry.is_for("file")


def test_who_is_believed_about_the_time_is_added_and_nobody_is_taken_away() -> None:
    forge = Forge(Profile.NOTME)
    root, spki = forge.root, forge.trusted.anchors[0].key
    encoded, key = (b64encode(each).decode() for each in (certificate.der_of(root), spki.spki))
    said = Document((), tsa_roots=(encoded,), witnesses=(key,))
    made = roots.of_policy(said, NONE)
    assert (made.tsa, made.witnesses) == ((Stamper((root,), 0, None),), (spki,))
    again = roots.of_policy(said, made)
    assert (len(again.tsa), again.witnesses) == (2, (spki,))
    assert roots.of_policy(Document(()), made) == made
    for bad in (Document((), tsa_roots=("MAA=",)), Document((), witnesses=("MAA=",))):
        with pytest.raises(MalformedError):
            roots.of_policy(bad, NONE)
    assert len({Document(()).digest, said.digest, Document((), witnesses=said.witnesses).digest}) == 3


def test_they_stand_beside_those_of_the_verifier_and_change_none_of_them() -> None:
    base = AllowedSigners.parse(f"bob@example.org {OTHER}\nbob@example.org {KEY}\n".encode())
    made = roots.of_policy(MADE, Roots(allowed_signers=base)).allowed_signers
    assert made is not None
    assert set(made.keys) == {blob(KEY), blob(OTHER)}
    assert made.keys[blob(OTHER)] == base.keys[blob(OTHER)]
    assert [entry.principals.matches("bob@example.org") for entry in made.keys[blob(KEY)]] == [True, False]
    assert len(base.keys[blob(KEY)]) == 1
    assert made.sha256 not in (base.sha256, AllowedSigners.parse(b"").sha256)


def test_a_policy_takes_formats_away_and_adds_none() -> None:
    narrow = document.parse(POLICY.replace("FORMATS", '"notme"').encode())
    base = Roots(allowed_signers=AllowedSigners.parse(b""), smime=(Forge().root,))
    assert roots.of_policy(narrow, base) == Roots()
    assert roots.of_policy(MADE, base).smime == base.smime
    assert (roots.of_policy(MADE, NONE).sigstore, roots.of_policy(MADE, NONE).openpgp) == (None, None)


def test_whoever_a_verifier_names_by_an_id_is_found_by_key_openid_identity_or_uri() -> None:
    subject = OpenIdSubject("https://accounts.example", "bob@example.org")
    people = (
        Named("alice", Class.HUMAN, ssh_keys={"SHA256:abc": ""}, openpgp=("ab" * 20,)),
        Named("bob", Class.HUMAN, sigstore=(subject,)),
        Named("claude", Class.AGENT, certificates=("wimse://a.example/agent/*", "**")),
    )
    found = directory.build(people, {})
    assert found.of_id("ssh:SHA256:abc") == found.of_id(f"openpgp:{'ab' * 20}") == frozenset({"alice"})
    assert found.of_id(principal_id(subject.issuer, subject.identity)) == frozenset({"bob"})
    assert found.of_id("wimse://a.example/agent/x") == frozenset({"claude"})
    for other in ("ssh:SHA256:abd", "openpgp:", "sigstore:#", "smime:x/alice"):
        assert found.of_id(other) == frozenset()
