"""Whatever is sent to whichever operation, the authority answers, with what the document has, and never with a 500."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notme_git.authority import accounts
from notme_git.authority.http import openapi
from notme_git.authority.http.operations import OPERATIONS, Operation
from notme_git.authority.settings import Limits, Rate, Settings
from tests.served import Served, served
from tests.world import World

UNLIMITED = Limits(*(Rate(0, 0) for _ in Limits.__slots__))
HEADERS = ("Accept", "Authorization", "Content-Type", "Cookie", "DPoP", "Origin", "Sec-Fetch-Site", "User-Agent")
PIECES = ("http://[", "Bearer ", "notme_session=", "e30.e30.", ".", ";", '"', "text/html", "application/json", "é")

visible = st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f")
"""What the server itself lets through (RFC 9110 section 5.5)."""

values = st.lists(st.sampled_from(PIECES) | st.text(visible, max_size=8))
headers = st.dictionaries(st.sampled_from(HEADERS), values.map("".join), max_size=4)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
documents = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
OPERATIONAL = [each for each in OPERATIONS if each.path not in ("/logout", "/admin/rotate")]
"""What would end what the others need is left out."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(World(tmp_path_factory.mktemp("hostile")), Settings(limits=UNLIMITED)) as running:
        yield running


@pytest.fixture(scope="module")
def cookie(server: Served) -> str:
    return server.cookie(server.account(*accounts.ADMIN))


def bodies(each: Operation) -> st.SearchStrategy[bytes]:
    """Anything; JSON; or an object of the fields that there are, of any values."""
    fields = sorted(openapi.structs().get(each.asks, {}).get("properties", {}))
    known = st.dictionaries(st.sampled_from(fields), documents) if fields else documents
    return st.binary(max_size=64) | (documents | known).map(lambda value: json.dumps(value).encode())


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_comes_gets_an_answer_that_the_document_has(server: Served, cookie: str, data: st.DataObject) -> None:
    each = data.draw(st.sampled_from(OPERATIONAL))
    sent = {"Cookie": f"notme_session={cookie}", "Content-Type": "application/json", **data.draw(headers)}
    body = data.draw(bodies(each)) if each.asks else None
    query = f"?{quote(data.draw(st.sampled_from(('all', 't', 'then', 'port', 'state'))))}={quote(data.draw(st.text()))}"
    path = re.sub(r"\{\w+\}", quote(data.draw(st.text(min_size=1)), safe="") or "x", each.path) + query
    got = server.request(each.method, path, headers=sent, raw=body)
    documented = {200, 302, 303, *each.refuses} - {503}
    assert got.status in documented or (got.status == 404 and "{" in each.path), got.body
