"""Content origins: the canonical set and its hash, what is refused, and what they are good for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from attest.apas import origins
from attest.apas.fields import Fields
from attest.apas.origins import Confidence, Origin
from attest.apas.origins_cli import command
from attest.errors import MalformedError
from tests.peers import peer

GATE = "substrate/lease-gate"
# Made by the reference implementation (formats.md 10.4).
VECTOR = [
    ("https://docs.acme.example/api/v2", GATE),
    ("context://repo/acme/app#pkg/x", ""),
    ("https://docs.acme.example/api/v2", ""),
]
CANONICAL = (
    b'[{"uri":"context://repo/acme/app#pkg/x","vouchedBy":""},'
    b'{"uri":"https://docs.acme.example/api/v2","vouchedBy":""},'
    b'{"uri":"https://docs.acme.example/api/v2","vouchedBy":"substrate/lease-gate"}]'
)
HASH = "sha256:d20204e36d2f60719a9bddb2a595639cd60a80e19797e5128acb9a96bede9669"


def entries(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"uri": uri, "vouchedBy": by} for uri, by in pairs]


def parsed(value: object) -> origins.Declared:
    return origins.parse(json.dumps(value).encode())


def test_the_reference_implementations_hash_is_reproduced_byte_for_byte() -> None:
    found = parsed(entries(*VECTOR, VECTOR[0]))
    assert found.origins is not None
    assert origins.encode(found.origins) == CANONICAL
    assert found.digest == HASH
    assert parsed({"contentOrigins": entries(*reversed(VECTOR))}) == found


def test_nothing_said_an_empty_set_and_a_digest_alone_are_three_things_and_none_of_them_is_vouched_for() -> None:
    absent, empty, hidden = parsed({}), parsed([]), parsed({"originsHash": HASH})
    assert (absent.origins, empty.origins, hidden.origins) == (None, (), None)
    assert (absent.digest, empty.digest, hidden.digest) == ("", "", HASH)
    assert {origins.confidence(one.origins, {GATE}) for one in (absent, empty, hidden)} == {Confidence.UNKNOWN}


@pytest.mark.parametrize(
    ("pairs", "trusted", "confidence"),
    [
        pytest.param([("a:1", GATE)], {GATE}, Confidence.ATTESTED, id="all by whom the evaluator trusts"),
        pytest.param([("a:1", GATE)], set(), Confidence.ASSERTED, id="nobody is trusted"),
        pytest.param([("a:1", GATE), ("b:1", "")], {GATE}, Confidence.ASSERTED, id="one by nobody"),
        pytest.param([("a:1", "")], {""}, Confidence.ASSERTED, id="nobody, even where the empty name is trusted"),
        pytest.param([("a:1", GATE), ("a:1", "me")], {GATE}, Confidence.ASSERTED, id="one source, one of two vouchers"),
    ],
)
def test_confidence_is_derived_from_whom_the_evaluator_trusts(
    pairs: list[tuple[str, str]], trusted: set[str], confidence: Confidence
) -> None:
    assert origins.confidence(parsed(entries(*pairs)).origins, trusted) is confidence


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        pytest.param({"contentOrigins": [], "originsHash": HASH}, "exclude each other", id="set and digest"),
        pytest.param({"contentOrigins": None, "originsHash": HASH}, "exclude each other", id="null and digest"),
        pytest.param({"originsHash": ""}, "not a digest", id="no digest"),
        pytest.param({"originsHash": HASH.upper()}, "not a digest", id="a digest in capitals"),
        pytest.param({"originsHash": HASH.removeprefix("sha256:")}, "not a digest", id="a digest of no algorithm"),
        pytest.param({"contentOrigins": {}}, "not a list", id="no list"),
        pytest.param([{"uri": "a:1"}], "vouchedBy is missing", id="nobody said who vouches"),
        pytest.param([{"uri": 1, "vouchedBy": ""}], "uri is not a text", id="a number"),
        pytest.param([{"uri": "a:1", "vouchedBy": ["a", "b"]}], "vouchedBy is not a text", id="two who vouch"),
        pytest.param(["a:1"], "not a list of objects", id="no object"),
        pytest.param(entries(("", "")), "names no source", id="no source"),
        pytest.param(entries(("https://ä.example/", "")), "not printable ASCII", id="beyond ASCII"),
        pytest.param(entries(("a:1", "b\n")), "not printable ASCII", id="a line feed"),
        pytest.param(entries(("a:" + "1" * 2047, "")), "2049 bytes", id="too long a uri"),
        pytest.param(entries(*((f"a:{n}", "") for n in range(65))), "65 content origins", id="too many"),
        pytest.param([*entries(*[("a:1", "")] * 64), 7], "65 content origins", id="too many, one of them malformed"),
    ],
)
def test_what_is_wrong_in_one_place_is_refused_whole(value: object, complaint: str) -> None:
    with pytest.raises(MalformedError, match=complaint):
        parsed(value)


def test_the_bounds_themselves_are_within() -> None:
    longest = "a:" + "1" * 2046
    found = parsed(entries(*((f"a:{n}", "") for n in range(63)), (longest, longest)))
    assert found.origins is not None
    assert len(found.origins) == 64


@pytest.mark.parametrize(
    "text", ['[],"originsHash":"x"', "[]]", "[] []", '[{"uri":"a","uri":"b","vouchedBy":""}]', "[", "\x0b[]"]
)
def test_an_array_is_the_whole_file_or_none(text: str) -> None:
    with pytest.raises(MalformedError):
        origins.parse(text.encode())


@pytest.mark.parametrize(
    "pair",
    [("wimse://auth.acme.example/x", ""), ("mailto:Agent@acme.example", ""), ("https://a.example/", "dispatch/7")],
)
def test_who_acted_is_no_source_and_vouches_for_none(pair: tuple[str, str]) -> None:
    actors = ("wimse://auth.acme.example/x", "agent@acme.example", "dispatch/7", "")
    with pytest.raises(MalformedError, match="is an actor"):
        origins.refuse_actors([Origin(*pair)], actors)
    origins.refuse_actors([Origin("https://a.example/x", "")], actors)


# JSON.parse would move a key that is a number to the front; these objects have none.
NODE = """
const sort = (a, b) => a.uri < b.uri ? -1 : a.uri > b.uri ? 1 : a.vouchedBy < b.vouchedBy ? -1 : 1;
const read = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(read.map(set => JSON.stringify(set.sort(sort)))));
"""


def test_node_writes_the_same_bytes() -> None:
    texts = ['a:"\\', "a:~{}", "b:/<&>'", "b: x", "B:1", "a:1/é".encode().hex()]
    sets = [entries(*((uri, by) for uri in texts for by in ("", *texts[: n % 3]))) for n in range(6)]
    said = subprocess.run(
        [peer("node"), "-e", NODE], input=json.dumps(sets).encode(), capture_output=True, check=True, timeout=60
    )
    ours = [origins.encode(found.origins or ()) for found in map(parsed, sets)]
    assert [one.encode() for one in json.loads(said.stdout)] == ours


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@given(st.lists(st.tuples(printable.filter(bool), printable), max_size=64))
def test_a_set_reads_back_from_its_canonical_bytes(pairs: list[tuple[str, str]]) -> None:
    found = origins.canonical_set(Origin(*pair) for pair in pairs)
    assert origins.parse(origins.encode(found)).origins == found


@given(st.binary(max_size=200) | st.builds(lambda body: b"[" + body + b"]", st.binary(max_size=100)))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    try:
        found = origins.parse(data)
    except MalformedError:
        return
    assert found.origins is None or origins.parse(origins.encode(found.origins)).origins == found.origins


def test_the_command_shows_hash_and_confidence_and_can_insist(tmp_path: Path) -> None:
    file = tmp_path / "origins.json"
    file.write_text(json.dumps(entries(*VECTOR)), "utf-8")
    run = CliRunner().invoke
    shown = run(command, [str(file), "--json", "--vouched-by", GATE], standalone_mode=False)
    said = json.loads(shown.stdout)
    assert (said["originsHash"], said["confidence"], shown.return_value) == (HASH, "origin-asserted", 0)
    assert json.dumps(said["contentOrigins"], separators=(",", ":")).encode() == CANONICAL
    text = run(command, [str(file), "--vouched-by", GATE, "--require-attested"], standalone_mode=False)
    assert text.return_value == 1
    assert text.stdout.splitlines()[:3] == [
        f"originsHash {HASH}", "confidence origin-asserted", "  - context://repo/acme/app#pkg/x (nobody vouches)"
    ]  # fmt: skip
    file.write_text(json.dumps(entries(VECTOR[0])), "utf-8")
    assert run(
        command, [str(file), "--vouched-by", GATE, "--require-attested"], standalone_mode=False
    ).return_value == 0
    refused = run(command, [str(file), "--actor", VECTOR[0][0]], standalone_mode=False)
    assert isinstance(refused.exception, MalformedError)


def test_a_field_is_named_where_it_stands() -> None:
    with pytest.raises(MalformedError, match=r"contentOrigins\[1\]\.uri"):
        origins.declared(Fields({"contentOrigins": [{"uri": "a", "vouchedBy": ""}, {}]}, ""))
