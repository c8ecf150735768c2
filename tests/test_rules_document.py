from __future__ import annotations

import contextlib
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.errors import MalformedError
from attest.rules import document, reading
from attest.rules.model import Class, Document, Effect, Followed, Format, Kind, OpenIdSubject, Tolerated
from attest.types import Assurance, Authentication, Voucher

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP00Jnkh6JFmDdu4hvKMWu5eQeyGMvm0s14sNWQT2w7C"
FINGERPRINT = "SHA256:HAxt1aZct9ysZiwjTNRPFJ1tdr9Ou2mek+QKU/ikfBc"
"""As `ssh-keygen -lf` prints it of `KEY`."""
OID = "0123456789abcdef0123456789abcdef01234567"

SPKI = "MCowBQYDK2VwAyEAiojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w="
FULL = f"""
version = 1
name = "example"

[trust]
anchors = ["sha256:{"ab" * 32}"]
formats = ["notme", "ssh"]
tsa_roots = ["MAA="]
witnesses = ["{SPKI}"]

[[principals]]
name = "alice"
class = "human"
emails = ["Alice@example.org"]
certificates = ["https://authority.example/principals/alice"]
ssh_keys = ["{KEY} alice@laptop", "SHA256:{"A" * 43}"]
openpgp = ["{"AB" * 20}"]
sigstore = [{{ issuer = "https://accounts.example", identity = "alice@example.org" }}]

[[principals]]
name = "claude"
class = "agent"
certificates = ["wimse://authority.example/agent/claude-*"]

[groups]
maintainers = ["alice"]
nobody = []

[[rules]]
name = "ci-files"
match = {{ touches = [".github/**"], paths = ["**"], refs = ["main"], kinds = ["commit"] }}
[rules.require]
actors = ["maintainers", "claude"]
represented = ["*"]
represented_authentication = ["passkey"]
scopes = ["sign:git"]
assurance = "other-user"
evidence = "authority"
algorithms = ["ed25519"]
trailers = ["Signed-off-by"]
forbidden_trailers = ["Co-authored-by"]
max_bundle_age = "24h"
contradictions = "info"
forbidden_contradictions = ["tool-claims-human"]
authored_by = "group"

[[rules]]
name = "no-tags"
effect = "deny"
match = {{ kinds = ["tag"] }}

[[rules]]
name = "squashes"
match = {{ through = "record", classes = ["agent"], refs = ["main"] }}
require = {{ actors = ["claude"], represented = ["*"] }}

[[rules]]
name = "legacy"
[rules.match]
classes = ["unsigned-legacy"]
before = 2026-01-01
after = 2020-01-01T02:00:00+02:00
ancestors_of = ["{OID}"]

[[attesters]]
name = "ci"
keys = ["{SPKI}"]
certificates = ["wimse://authority.example/verifier/*"]
sigstore = [{{ issuer = "https://accounts.example", identity = "ci@example.org" }}]
ids = ["https://ci.example/**"]
predicates = ["https://slsa.dev/verification_summary/v1"]
refs = ["main"]
repositories = ["https://git.example/**"]
threshold = 2
"""


def test_everything_that_a_policy_can_say_is_read() -> None:
    made = document.parse(FULL.encode())
    alice, claude = made.principals
    assert (made.name, made.anchors) == ("example", frozenset({b"\xab" * 32}))
    assert made.formats == frozenset({Format.NOTME, Format.SSH})
    assert (made.tsa_roots, made.witnesses) == (("MAA=",), (SPKI,))
    assert alice.ssh_keys == {FINGERPRINT: KEY, f"SHA256:{'A' * 43}": ""}
    assert (alice.openpgp, alice.sigstore) == (
        ("ab" * 20,),
        (OpenIdSubject("https://accounts.example", "alice@example.org"),),
    )
    assert (claude.kind, claude.emails) == (Class.AGENT, ())
    [attester] = made.attesters
    assert (attester.keys, attester.threshold, attester.refs) == ((SPKI,), 2, ("main",))
    assert attester.sigstore == (OpenIdSubject("https://accounts.example", "ci@example.org"),)
    assert made.groups == {"maintainers": frozenset({"alice"}), "nobody": frozenset()}
    first, second, followed, third = made.rules
    assert followed.match.through is Followed.RECORD
    assert first.match.touches == (".github/**",)
    assert first.match.kinds == frozenset({Kind.COMMIT})
    assert first.require.actors == frozenset({"alice", "claude"})
    assert first.require.represented_authentication == frozenset({Authentication.PASSKEY})
    assert (first.require.assurance, first.require.evidence) == (Assurance.OTHER_USER, Voucher.AUTHORITY)
    assert (first.require.max_bundle_age, first.require.contradictions) == (86400, Tolerated.INFO)
    assert second.effect is Effect.DENY
    assert (third.match.after, third.match.before) == (1577836800, 1767225600)
    assert third.takes_unsigned
    assert not second.takes_unsigned


def minimal(rule: str = "", extra: str = "") -> str:
    return f'version = 1\n{extra}\n[[rules]]\nname = "r"\n{rule}\n'


BAD = [
    ("no TOML", "version = ", "not TOML"),
    ("no version", 'name = "x"', "version None"),
    ("a later version", "version = 2", "version 2"),
    ("a version that is true", "version = true", "true or false, not a whole number"),
    ("a root in PEM", minimal(extra='[trust]\ntsa_roots = ["-----BEGIN"]'), "is no base64 of DER"),
    ("a witness with blanks", minimal(extra='[trust]\nwitnesses = ["MC ow"]'), "is no base64 of DER"),
    ("an unknown key", minimal(extra="rule = 1"), "'rule' is not known; did you mean 'rules'?"),
    (
        "a mistyped condition",
        minimal("match = { ref = ['main'] }"),
        "rules[1].match.ref' is not known; did you mean 'refs'?",
    ),
    ("a mistyped demand", minimal("require = { evidense = 'authority' }"), "did you mean 'evidence'?"),
    ("a pattern of another language", minimal("match = { paths = ['src/[ab]'] }"), "does not know; use *"),
    ("a text for a list", minimal("match = { refs = 'main' }"), "rules[1].match.refs is a text, not a list"),
    ("a number in a list", minimal("match = { refs = [1] }"), "is a number, not a text"),
    ("an empty list", minimal("match = { refs = [] }"), "is empty: leave it out"),
    ("a value twice", minimal("match = { refs = ['a', 'a'] }"), "stands there twice"),
    ("an unknown class", minimal("match = { classes = ['agents'] }"), "did you mean 'agent'?"),
    ("a principal nobody knows", minimal("require = { actors = ['bob'] }"), "'bob' is nobody's name"),
    ("anyone as actor", minimal("require = { actors = ['*'] }"), "'*' is nobody's name"),
    (
        "a date without offset",
        minimal("match = { before = 2026-01-01T00:00:00 }"),
        "not a date, or a date with time and offset",
    ),
    ("a date as text", minimal("match = { before = '2026-01-01' }"), "is a text, not a date"),
    ("a date before all dates", minimal("match = { before = 1969-12-31 }"), "is before 1970"),
    (
        "dates with nothing between",
        minimal("match = { before = 2025-01-01, after = 2026-01-01 }"),
        "nothing is between",
    ),
    ("a duration without unit", minimal("require = { max_bundle_age = '24' }"), "is no duration"),
    ("a short object id", minimal("match = { ancestors_of = ['abc123'] }"), "is no object id in full"),
    ("a denying rule that requires", minimal("effect = 'deny'\nrequire = { evidence = 'signer' }"), "denies, and so"),
    (
        "unsigned by date alone",
        minimal("match = { classes = ['unsigned-legacy'], before = 2026-01-01 }"),
        "without ancestors_of",
    ),
    ("a record that denies", minimal("effect = 'deny'\nmatch = { through = 'record' }"), "denies through a rewrite"),
    (
        "a record of the unsigned",
        minimal(f"match = {{ through = 'rewrite', classes = ['unsigned-legacy'], ancestors_of = ['{OID}'] }}"),
        "unsigned-legacy is none",
    ),
    ("a record of tags", minimal("match = { through = 'rewrite', kinds = ['commit'] }"), "takes no kinds"),
    (
        "a record and more demands",
        minimal("match = { through = 'record' }\nrequire = { evidence = 'signer' }"),
        "requires actors and represented alone",
    ),
    ("a record of another kind", minimal("match = { through = 'squash' }"), "none of rewrite, record"),
    ("two rules of one name", minimal('[[rules]]\nname = "r"'), "'r' stands there twice"),
    ("a rule without name", "version = 1\n[[rules]]\neffect = 'deny'", "rules[1] has no 'name'"),
    ("a name with a line end", 'version = 1\nname = "a\\nb"', "cannot be printed"),
    ("a name with blanks", 'version = 1\nname = "a b"', "is no name"),
    ("rules as table", "version = 1\nrules = {}", "is a table, not a list of tables"),
    ("an anchor in upper case", "version = 1\ntrust = { anchors = ['sha256:" + "AB" * 32 + "'] }", "is no sha256:HEX"),
    ("a principal without class", "version = 1\n[[principals]]\nname = 'a'", "has no class"),
    ("an unsigned principal", "version = 1\n[[principals]]\nname = 'a'\nclass = 'unsigned-legacy'", "has no class"),
    (
        "a key that is none",
        "version = 1\n[[principals]]\nname = 'a'\nclass = 'human'\nssh_keys = ['ssh-rsa AAAA']",
        "is neither SHA256",
    ),
    (
        "a key of another kind than it says",
        f"version = 1\n[[principals]]\nname = 'a'\nclass = 'human'\nssh_keys = ['ssh-rsa {KEY.split()[1]}']",
        "is neither SHA256",
    ),
    (
        "a short OpenPGP id",
        "version = 1\n[[principals]]\nname = 'a'\nclass = 'human'\nopenpgp = ['DEADBEEF']",
        "is no fingerprint in full",
    ),
    (
        "an address that is a pattern",
        "version = 1\n[[principals]]\nname = 'a'\nclass = 'human'\nemails = ['*@example.org']",
        "is no e-mail address",
    ),
    (
        "one key for two",
        "version = 1\n"
        + "".join(f"[[principals]]\nname = '{n}'\nclass = 'human'\nssh_keys = ['{FINGERPRINT}']\n" for n in "ab"),
        "stands there twice",
    ),
    (
        "a group named as a principal",
        "version = 1\n[[principals]]\nname = 'a'\nclass = 'human'\n[groups]\na = ['a']",
        "is the name of a principal too",
    ),
    ("a group of strangers", "version = 1\n[groups]\ng = ['a']", "'a' is nobody's name"),
    ("nesting without end", "version = " + "[" * 20000, "nested that deep"),
    ("a key of more parts than anybody can hold", "a" + ".a" * 100_000 + " = 1", "line 1 has more than 256 dots"),
    ("more bytes than are read", "#" * (reading.MAX_BYTES + 1), "at most 262144 are read"),
]


@pytest.mark.parametrize(("text", "said"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_is_no_policy_is_refused_in_a_sentence_that_names_the_place(text: str, said: str) -> None:
    with pytest.raises(MalformedError) as caught:
        document.parse(text.encode())
    assert said in f"{caught.value.message}; {caught.value.hint}"


def test_bytes_that_are_no_utf8_are_refused() -> None:
    with pytest.raises(MalformedError):
        document.parse(b"version = 1\nname = '\xff'")


def parsed(data: bytes) -> Document | None:
    """The policy, or None where it is refused."""
    with contextlib.suppress(MalformedError):
        return document.parse(data)
    return None


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_any_bytes_are_a_policy_or_a_malformed_error(data: bytes) -> None:
    if (made := parsed(data)) is not None:
        assert tomllib.loads(data.decode())["version"] == 1
        assert len(made.digest) == 32


LINES = FULL.strip().splitlines()


LINE = st.integers(0, len(LINES) - 1)


@given(LINE, st.sampled_from(["drop", "twice", "cut", "swap"]), LINE)
def test_a_policy_with_a_spoiled_line_is_read_or_refused(line: int, how: str, other: int) -> None:
    lines = list(LINES)
    match how:
        case "drop":
            del lines[line]
        case "twice":
            lines.insert(other, lines[line])
        case "cut":
            lines[line] = lines[line][: len(lines[line]) // 2]
        case "swap":
            lines[line], lines[other] = lines[other], lines[line]
    made = parsed("\n".join(lines).encode())
    assert made is None or {rule.name for rule in made.rules} <= {"ci-files", "no-tags", "squashes", "legacy"}


def test_the_digest_is_of_what_a_policy_says_and_not_of_how_it_is_written() -> None:
    spaced = FULL.replace(" = ", "   =   ") + "\n# a remark\n"
    reordered = FULL.replace('formats = ["notme", "ssh"]', 'formats = ["ssh", "notme"]')
    assert len({document.parse(text.encode()).digest for text in (FULL, spaced, reordered)}) == 1
    other = FULL.replace('"24h"', '"25h"')
    rules = FULL.replace('name = "no-tags"', 'name = "other-tags"')
    assert len({document.parse(text.encode()).digest for text in (FULL, other, rules)}) == 3
