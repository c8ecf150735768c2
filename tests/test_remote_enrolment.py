"""Enrolling over HTTP: an answer is held against what was asked, and nothing in it is believed."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key

from attest import certificate, timestamp
from attest.certificate import Anchor
from attest.errors import Error, RefusedError, UnavailableError
from attest.profile import Profile
from attest.types import Assurance
from notme_git.authority.agents import Wish
from notme_git.authority.issue import binding_preimage
from notme_git.enroll.keys import spki
from notme_git.enroll.local import Credential
from notme_git.remote import enrolment, place
from notme_git.remote.ambient import GitHub, Token, TokenFile, find, keep
from notme_git.remote.client import AuthorityError, Client
from notme_git.remote.enrolment import BySession, Keys
from tests.elsewhere import Elsewhere, elsewhere
from tests.served import served
from tests.world import AGENT, World

SCOPE = "sign:git"


@pytest.fixture(scope="module")
def away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    with elsewhere(tmp_path_factory.mktemp("away")) as made:
        yield made


@dataclass(slots=True)
class Between(Client):
    """Somebody between client and authority, who changes answers."""

    change: Callable[[str, dict[str, Any]], Any] = field(default=lambda _path, answer: answer)

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        answer = Client.post(self, path, body, headers)
        changed = self.change(path, answer)
        return answer if changed is None else changed


def enroll(away: Elsewhere, client: Client | None = None, **changes: Any) -> Credential:
    asked: dict[str, Any] = {"agent": AGENT, "profile": Profile.NOTME, "scope": SCOPE}
    anchors = place.read_trust(away.home).anchors
    return enrolment.enroll(
        client or away.client, BySession(away.session), **{**asked, "anchors": anchors, **changes}
    )


@pytest.mark.parametrize("profile", [Profile.NOTME, Profile.INTEROP])
def test_a_session_enrols_an_agent(away: Elsewhere, profile: Profile) -> None:
    made = enroll(away, profile=profile, session="ab" * 16, task_digest=bytes(32))
    claims = made.chain.leaf.claims
    assert claims is not None
    assert claims.represented is not None
    assert (claims.actor_name, claims.represented.display) == (AGENT, "Alice Example")
    assert (claims.assurance, claims.session) == (Assurance.SAME_USER, "ab" * 16)
    assert made.chain.anchor.profile is profile
    assert bool(made.ssh_certificate) == (profile is Profile.NOTME)


@pytest.mark.parametrize("profile", [Profile.NOTME, Profile.INTEROP])
def test_a_time_stamp_is_asked_for_and_verified(away: Elsewhere, profile: Profile) -> None:
    made = enroll(away, profile=profile)
    token = made.stamp(b"what was signed", away.world.now)
    anchors = place.read_trust(away.home).anchors
    assert timestamp.verify_timestamp(token, b"what was signed", anchors).time == away.world.now


def another(away: Elsewhere, **changes: Any) -> dict[str, Any]:
    """The honest answer to another request of the same client."""
    keys = Keys.new(changes.get("profile", Profile.NOTME))
    body = {"scopes": [SCOPE], "profile": "notme", "agent": AGENT, **changes}
    return BySession(away.session).send(away.client, body, keys)


def flip(text: str) -> str:
    """PEM of a certificate with another signature."""
    lines = text.strip().split("\n")
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    der[-1] ^= 1
    return "\n".join([lines[0], base64.b64encode(der).decode(), lines[-1], ""])


def put(answer: dict[str, Any], which: str, value: Any) -> None:
    answer["certificates"][which] = value


LIES: Mapping[str, Callable[[Elsewhere, dict[str, Any]], Any]] = {
    "signing certificate of another": lambda a, got: put(got, "signing", another(a)["certificates"]["signing"]),
    "mtls certificate of another": lambda a, got: put(got, "mtls", another(a)["certificates"]["mtls"]),
    "ssh certificate of another": lambda a, got: got.update(ssh_certificate=another(a)["ssh_certificate"]),
    "all of another": lambda a, _: another(a),
    "another signature": lambda _, got: put(got, "signing", flip(got["certificates"]["signing"])),
    "another mtls signature": lambda _, got: put(got, "mtls", flip(got["certificates"]["mtls"])),
    "two certificates": lambda _, got: put(got, "signing", got["certificates"]["signing"] * 2),
    "no certificate": lambda _, got: put(got, "signing", ""),
    "a number": lambda _, got: put(got, "signing", 7),
    "no text": lambda _, got: put(got, "mtls", None),
    "a long text": lambda _, got: put(got, "signing", "x" * 100_000),
    "another identity": lambda _, got: got.update(identity=got["identity"] + "x"),
    "another end": lambda _, got: got.update(expires_at=got["expires_at"] + 1),
    "another binding": lambda _, got: got.update(binding="00" * 32),
    "more scopes": lambda _, got: got.update(scopes=[*got["scopes"], "authorityManage"]),
    "scopes that are none": lambda _, got: got.update(scopes=7),
    "an ssh certificate that is none": lambda _, got: got.update(ssh_certificate="ssh-ed25519-cert AAAA"),
    "an ssh certificate in no base64": lambda _, got: got.update(ssh_certificate="ssh-ed25519-cert ???"),
    "an ssh certificate without a type": lambda _, got: got.update(ssh_certificate="AAAA"),
    "an ssh certificate that is a list": lambda _, got: got.update(ssh_certificate=[]),
    "nothing": lambda _, got: got.clear(),
    "no pair": lambda _, got: got.update(certificates=[]),
    "the root": lambda a, got: put(
        got, "signing", a.world.trust().anchors[0].certificate.public_bytes(Encoding.PEM).decode()
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_to_another_question_is_refused(away: Elsewhere, lie: str) -> None:
    between = Between(away.server.url, change=lambda path, got: LIES[lie](away, got) if path == "/cert" else None)
    with contextlib.closing(between), pytest.raises(RefusedError, match="answered what was not asked for"):
        enroll(away, between)


def test_every_lie_is_told_of_an_answer_that_holds(away: Elsewhere) -> None:
    with contextlib.closing(Between(away.server.url)) as between:
        assert enroll(away, between).chain.leaf.scopes == (SCOPE,)


def test_more_than_was_asked_for_is_no_answer(away: Elsewhere) -> None:
    between = Between(away.server.url, change=lambda _, got: got.update(scopes=[*got["scopes"], "sign:git-blind"]))
    with contextlib.closing(between), pytest.raises(RefusedError, match="answered what was not asked for"):
        enroll(away, between)


class Swaps(Client):
    """Somebody who asks the authority for another agent than the client did."""

    def post(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        return Client.post(self, path, {**body, "agent": "other"}, headers)


def test_the_certificate_of_another_agent_is_no_answer(away: Elsewhere) -> None:
    away.grant(Wish("other"))
    with contextlib.closing(Swaps(away.server.url)) as swaps, pytest.raises(RefusedError, match="is of other, not of"):
        enroll(away, swaps)


def test_an_authority_that_is_not_pinned_is_not_believed(away: Elsewhere) -> None:
    with pytest.raises(RefusedError, match="answered what was not asked for"):
        enroll(away, anchors=away.world.other.trust().anchors)


@pytest.mark.parametrize(
    ("asked", "status"), [({"agent": "nobody"}, 403), ({"scope": "certMint"}, 403)], ids=["agent", "scope"]
)
def test_what_is_not_granted_is_refused_with_a_status(away: Elsewhere, asked: dict[str, Any], status: int) -> None:
    with pytest.raises(AuthorityError) as caught:
        enroll(away, **asked)
    assert caught.value.status == status


def test_a_time_stamp_over_something_else_is_not_taken(away: Elsewhere) -> None:
    made = enroll(away)
    stamper = made._stamper
    assert isinstance(stamper, enrolment.RemoteStamper)
    wrong = replace(stamper, client=Stamps(away.server.url, of=b"something else"))
    with contextlib.closing(wrong.client), pytest.raises(Error):
        wrong.stamp(b"what was signed", away.world.now)


@dataclass(slots=True)
class Stamps(Client):
    """Has something else stamped."""

    of: bytes = b""

    def fetch(self, path: str, _data: bytes | None = None, content_type: str = "") -> bytes:
        return Client.fetch(self, path, timestamp.query(self.of, 1), content_type)


class Upstream(Client):
    """An authority without nonces, time-stamps and fields of ours, as the public one is."""

    sent: Mapping[str, Any] = {}

    def get(self, *_: Any) -> dict[str, Any]:
        raise AuthorityError(404, {"error": "not found"})

    def post(self, _path: str, body: Mapping[str, Any], *_: Any) -> dict[str, Any]:
        self.sent = body
        raise AuthorityError(403, {"error": "enough was seen"})


def test_an_authority_without_nonces_gets_upstreams_request(away: Elsewhere) -> None:
    client = Upstream(away.server.url)
    with pytest.raises(AuthorityError, match="enough was seen"):
        enroll(away, client)
    assert set(client.sent) == {"proof", "scopes", "public_keys", "proofs"}


def test_proofs_cover_both_keys_and_what_makes_them_fresh() -> None:
    keys, suffix = Keys.new(Profile.NOTME), hashlib.sha256(b"nonce").digest()
    said = keys.proven(suffix)["proofs"]["signing"]
    message = binding_preimage(spki(keys.mtls), spki(keys.signing)) + suffix
    keys.signing.public_key().verify(base64.urlsafe_b64decode(said + "=="), message)  # type: ignore[call-arg]


def test_no_secret_is_in_what_a_log_would_show() -> None:
    shown = repr((BySession("cookie-secret"), GitHub("https://x/secret-url", "secret", "a"), Token("secret")))
    assert "secret" not in shown


def test_what_a_proof_needs_is_taken_out_of_the_environment() -> None:
    environ = {"PATH": "/bin", "NOTME_ID_TOKEN": "x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "y"}
    keep(environ)
    assert environ == {"PATH": "/bin"}
    assert isinstance(find(), Token)


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({}, None),
        ({"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x"}, None),
        ({"ACTIONS_ID_TOKEN_REQUEST_URL": "https://x", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t"}, GitHub),
        ({"NOTME_ID_TOKEN": "t"}, Token),
        ({"NOTME_TOKEN_FILE": "/somewhere"}, TokenFile),
    ],
    ids=["none", "half", "github", "gitlab", "kubernetes"],
)
def test_the_surroundings_say_which_proof_there_is(environ: dict[str, str], kind: type | None) -> None:
    assert isinstance(find(environ), kind or type(None))


@pytest.mark.parametrize("content", [None, b"\xff", b""], ids=["missing", "no-text", "empty"])
def test_a_token_file_that_cannot_be_used_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(Error):
        TokenFile(tmp_path / "token").send(Upstream("http://127.0.0.1:1"), {}, Keys.new(Profile.NOTME))


def test_a_runner_that_gives_no_token_is_told_with_what_it_takes() -> None:
    with pytest.raises(UnavailableError, match="gave no ID token") as caught:
        GitHub("http://127.0.0.1:1/token?x=1", "secret", "a").send(
            Upstream("http://127.0.0.1:1"), {}, Keys.new(Profile.NOTME)
        )
    assert "id-token: write" in caught.value.hint
    assert "secret" not in caught.value.message


def test_a_foreign_anchor_is_not_adopted_for_a_url_that_was_pinned(tmp_path: Path) -> None:
    world = World(tmp_path)
    with served(world) as server, served(world.other) as thief:
        spki = world.trust().anchors[0].key.spki_sha256.hex()
        with contextlib.closing(Client(server.url)) as client:
            place.pin(tmp_path / "away", client, spki)
        record = next((tmp_path / "away" / "verifier" / "authorities").glob("*/authority.json"))
        record.write_text(record.read_text().replace(server.url, thief.url))
        with contextlib.closing(Client(thief.url)) as client, pytest.raises(Error, match="bundle does not hold"):
            place.adopt(tmp_path / "away", thief.url, client)


def test_only_the_key_that_was_compared_is_pinned(tmp_path: Path) -> None:
    world = World(tmp_path)
    with served(world) as server, contextlib.closing(Client(server.url)) as client, pytest.raises(Error) as caught:
        place.pin(tmp_path / "away", client, "00" * 32)
    assert caught.value.message.endswith(f"shows no key with the SHA-256 {'00' * 32}")
    assert not (tmp_path / "away").exists()


class Recorded:
    """A key that somebody else holds; only its public half is known."""

    def __init__(self, pem: str) -> None:
        self.public = load_pem_public_key(pem.encode())

    def public_key(self) -> object:
        return self.public


def test_what_the_public_authority_answered_is_taken_for_the_keys_it_was_asked_with(shared_vectors: Path) -> None:
    folder = shared_vectors / "notme"
    (root,) = certificate.load_pem((folder / "ca-epoch1.pem").read_bytes())
    anchors, client, taken = (Anchor.read(root, Profile.UPSTREAM),), Client("http://localhost:8788"), 0
    for item in json.loads((folder / "B-full-flow.json").read_text("utf-8"))["items"]:
        answer, asked = item["response"].get("body"), item["request"].get("body")
        if not isinstance(answer, dict) or "certificates" not in answer:
            continue
        if not asked["public_keys"]["signing"].startswith("-----BEGIN PUBLIC KEY-----\n"):
            continue  # upstream takes keys that are no PEM; we send none
        if item["name"] == "gha-sub-comma":
            continue  # a name as it came (`authority-protocol.md` 15), in a certificate that X.509 parsers refuse
        keys = Keys(*(Recorded(asked["public_keys"][name]) for name in ("mtls", "signing")))  # type: ignore[arg-type]
        made = enrolment._checked(answer, keys, client, Profile.NOTME, SCOPE, anchors)
        assert (made.chain.anchor.profile, made.ssh_chain) == (Profile.UPSTREAM, None)
        with pytest.raises(Error):
            enrolment._checked({**answer, "identity": "another"}, keys, client, Profile.NOTME, SCOPE, anchors)
        taken += 1
    assert taken >= 15
