"""Every exchange that was recorded from the upstream authority has its twin here: the same status and field names.

`../shared/vectors/notme` holds them; `tests/twins.py` makes each request again. What differs stands in `DIFFERENT`,
with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from notme_git.authority import epochs
from tests.issuer import Issuer
from tests.peers import SHARED, SHARED_VECTORS
from tests.served import Answer, served
from tests.twins import CODE, ONE, UNLIMITED, Exchange, Twin, settings_for
from tests.world import World

B, B2, C, D = "B-full-flow.json", "B2-bundle-rotation-receipts.json", "C-kv-nonce.json", "D-production-named.json"
COUNTS = {B: 126, B2: 12, C: 25, D: 17}
SERVERS = ((B, B2), (C,), (D,))
"""Which recordings are of one server, in their order."""

BEARER, ERROR = "bootstrap-token-default-scope", "bootstrap-hex-proof"
"""Exchanges whose answers have the shape of a token that nothing is bound to, and of an error."""

OURS = {
    "certificates": {"profile", "ssh_certificate"},
    "error": {"error_description"},
    "cert_endpoint": {"nonce_endpoint", "trust_bundle_endpoint", "timestamp_endpoint"},
}
"""What our answers say beside upstream's fields, to answers that have a certain field."""

VALUES = ("scopes", "token_type", "expires_in", "auth_method", "isAdmin", "isFirstUser", "requested", "granted")
"""Names whose values are the same, too, like an `error` that is one word."""

HEADERS = (
    "set-cookie",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "dpop-nonce",
    "vary",
    "location",
    "referrer-policy",
)
"""Those that a client may need. Ours has some in more answers than upstream."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Our status, the reason, and an exchange whose answer has the shape of ours."""

    status: int
    reason: str
    like: str = ERROR


NOT_HERE = "issue 4 leaves /authorize with PKCE for later"
NO_ALARM = "there is no alarm that republishes bundles: they are made when they are asked for"
ONCE = "a token is good once (upstream defect 5)"
CASE = "repository and repository_owner have to agree (upstream defect 4), which is looked at before the owner"
STRICT = "what is malformed is refused with 400 and a text, never 500 (upstream defect 10)"

DIFFERENT: Mapping[str, Difference] = {
    "bootstrap-keys-no-proofs (falls to token)": Difference(400, "keys without proofs get no bearer token (defect 7)"),
    "reg-verify-replay": Difference(400, STRICT),
    "reg-verify-bad-origin": Difference(400, STRICT),
    **dict.fromkeys(
        ("alarm-health", "alarm-health-user", "alarm-health-post", "alarm-reset"), Difference(404, NO_ALARM)
    ),
    "invite-neg-ttl": Difference(400, "an invite lives between a second and the setting invite_lifetime"),
    "oidc-login-replayed-token (no jti check)": Difference(401, ONCE),
    "cert-oidc-valid-501": Difference(200, "OpenID tokens are taken at /cert", BEARER),
    "gha-same-token-replay (no KV: MemoryCache per request)": Difference(401, ONCE),
    "gha-exp-now+0": Difference(401, "at the second of exp a token is over (RFC 7519 section 4.1.4)"),
    "gha-pull-request-target (should be rejected per contract)": Difference(403, "upstream's contract says so"),
    "gha-nbf-future": Difference(401, "nbf is looked at (upstream defect 4)"),
    "gha-repo-owner-mismatch": Difference(401, CASE),
    **dict.fromkeys(
        (
            "authorize-page",
            "authorize-token-ok",
            "authorize-token-noaud",
            "authorize-code-ok",
            "authorize-code-evil-uri",
            "authorize-code-nochal",
            "redeem-ok",
            "redeem-replay",
        ),
        Difference(404, NOT_HERE),
    ),
    "gha-after-burn": Difference(
        200, "a token is used up by the pair it pays for, not by a request that gets nothing", "gha-first"
    ),
    "invite-long-ttl": Difference(400, "an invite lives no longer than the setting invite_lifetime"),
    "invite-scopes-notarray": Difference(400, STRICT),
    "invite-ttl-string": Difference(400, STRICT),
    "body-null": Difference(400, STRICT),
    "scopes-string": Difference(400, STRICT),
}
"""Also, for every exchange: an operator's code is good once (defect 8), so that each twin has one of its own; and
`/cert` takes proofs without a nonce only under `compat.no_nonce`, a second user without an invite only under
`open_registration`, which the twins set."""


if not SHARED_VECTORS.is_dir():
    pytest.skip(f"{SHARED}: no folder ../shared/vectors beside the repository", allow_module_level=True)


def recorded(file: str) -> list[dict[str, Any]]:
    """The exchanges of a file, in their order."""
    items: list[dict[str, Any]] = json.loads((SHARED_VECTORS / "notme" / file).read_text("utf-8"))["items"]
    return [item for item in items if "request" in item]


EXCHANGES = {(file, item["name"]): item for file in COUNTS for item in recorded(file)}


def test_every_exchange_is_there() -> None:
    assert {file: sum(of == file for of, _ in EXCHANGES) for file in COUNTS} == COUNTS
    assert set(DIFFERENT) <= {name for _, name in EXCHANGES}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Answer]:
    """Ours to every exchange."""
    found: dict[tuple[str, str], Answer] = {}
    for files in SERVERS:
        world = World(tmp_path_factory.mktemp("twins") / "world")
        with (
            Issuer(lambda world=world: world.now) as issuer,  # type: ignore[misc]
            served(world, settings_for(issuer, dpop_nonce=C in files)) as server,
        ):
            twin = Twin(server, issuer)
            found |= {(file, item["name"]): replay(twin, item) for file in files for item in recorded(file)}
    return found


def replay(twin: Twin, item: Exchange) -> Answer:
    """The twin of one exchange, with what was set up for it on upstream's side."""
    name, body = item["name"], json.dumps(item["request"]["body"])
    if name == "reg-options-second-user-open":
        twin.set(open_registration=True)
    if name in ("bundle-2", "bundle-3"):
        twin.server.within(lambda desk: epochs.rotate(desk.authority, desk.clock()))
    if name == "join-expired":
        let_expire(twin, item["request"]["body"]["token"])
    if name.endswith("ratelimited"):
        twin.set(limits=ONE)
        twin.send(item)
        twin.forget_token(item)
        answer = twin.send(item)
        twin.set(limits=UNLIMITED)
        return answer
    if name == "reset-operator-secret":
        return twin.send(item, code=twin.server.code(recovery=True))
    return twin.send(item, code=twin.server.code() if CODE in body else CODE)


def let_expire(twin: Twin, invite: str) -> None:
    """Have an invite of ours, in place of the recorded one, end."""
    admin = twin.server.cookie(twin.server.account("authorityManage", "bridgeCert", email="admin@example.org"))
    made = twin.server.request("POST", "/invites", {"ttl": 1}, {"Cookie": f"notme_session={admin}"})
    twin.held[invite] = made.json["token"]
    twin.server.world.tick(seconds=2)


def shape(value: Any) -> Any:
    """The names in an answer, all the way down; what a key's id names is one name, and elements of a list are one."""
    if isinstance(value, dict):
        return {("*" if re.fullmatch("[0-9a-f]{32}", name) else name): shape(each) for name, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else None


def beside(ours: Any, theirs: Any) -> Any:
    """The shape of our answer without what we say beside upstream."""
    more = {name for mark, names in OURS.items() if mark in theirs for name in names} - set(theirs)
    return {name: each for name, each in ours.items() if name not in more}


@pytest.mark.parametrize(
    ("file", "name"), EXCHANGES, ids=lambda each: re.sub(r"[^A-Za-z0-9.]+", "-", each).strip("-")[:60]
)
def test_an_exchange_has_its_twin(answers: Mapping[tuple[str, str], Answer], file: str, name: str) -> None:
    ours, theirs = answers[file, name], EXCHANGES[file, name]["response"]
    different = DIFFERENT.get(name)
    if different is None:
        assert ours.status == theirs["status"], ours.body
        said = lower(theirs["headers"])
        assert {each for each in HEADERS if each in said} <= set(ours.headers)
        assert ours.headers.get("cache-control") == said.get("cache-control", ours.headers.get("cache-control"))
    else:
        assert ours.status == different.status, ours.body
        theirs = next(each["response"] for (_, other), each in EXCHANGES.items() if other == different.like)
    if theirs["body_kind"] != "json":
        assert ours.body[:9].decode() == theirs["body"][:9].replace("\n", "")
        return
    assert ours.headers["content-type"] == "application/json"
    assert beside(shape(ours.json), shape(theirs["body"])) == shape(theirs["body"])
    if different is None:
        assert values(ours.json) == values(theirs["body"])


def values(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is the same in both; a method that names a provider names the stand-in."""
    found = {name: body[name] for name in VALUES if name in body and not str(body[name]).startswith("oidc:")}
    return found | ({"error": body["error"]} if " " not in body.get("error", " ") else {})


def lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_a_difference_that_is_none_any_more_has_no_row(answers: Mapping[tuple[str, str], Answer]) -> None:
    rows = [(at, item) for at, item in EXCHANGES.items() if at[1] in DIFFERENT]
    assert [name for (file, name), item in rows if answers[file, name].status == item["response"]["status"]] == []
