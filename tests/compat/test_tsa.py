"""Time-stamps by an authority that is none of ours: `openssl ts` over HTTP, honest and not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import asn1, gitobject, stampable, timestamp, verifier
from attest.errors import MalformedError, UnavailableError, UsageError
from attest.foreign import cmstime, tsresponse
from attest.gitobject import ObjectFormat, ObjectKind, SignatureFormat
from attest.profile import Profile
from notme_git.tsa.address import Address
from notme_git.tsa.client import Client, Stamped
from tests import der
from tests.forge import Forge, attach, plain_ssh, sign
from tests.tsaserver import REPLY, Openssl, Served, serving

VALUE = b"the value of a signature"


@pytest.fixture(scope="module")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> Openssl:
    return Openssl(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Openssl:
    """An authority whose key is not for time-stamps: openssl refuses to use it, so its answers are made by hand."""
    return Openssl(tmp_path_factory.mktemp("tsa") / "wrong")


@pytest.fixture
def served(openssl: Openssl) -> Iterator[Served]:
    with serving(openssl) as running:
        yield running


def ask(served: Served, *roots: Path, value: bytes = VALUE, timeout_s: float = 10.0) -> Stamped:
    client = Client(Address.parse(served.url), timeout_s=timeout_s)
    try:
        return client.stamp(value, verifier.load_roots(tsa_roots=roots).tsa)
    finally:
        client.close()


@pytest.mark.parametrize("named", [True, False], ids=["with its root named", "with nobody named"])
def test_an_honest_answer_is_kept_and_openssl_verifies_it(served: Served, named: bool, tmp_path: Path) -> None:
    roots = (served.openssl.root,) if named else ()
    made = ask(served, *roots)
    (tmp_path / "token.der").write_bytes(made.token)
    (tmp_path / "value").write_bytes(VALUE)
    said = served.openssl.run("ts", "-verify", "-data", str(tmp_path / "value"), "-token_in", "-in",
                              str(tmp_path / "token.der"), "-CAfile", "root.pem")  # fmt: skip
    assert "Verification: OK" in said
    stampers = verifier.load_roots(tsa_roots=(served.openssl.root,)).tsa
    when, source = cmstime.verify_token(made.token, VALUE, stampers)
    assert int(made.time.timestamp()) <= when <= int(made.time.timestamp()) + 1
    assert source.startswith("rfc3161:")


def test_each_question_has_a_nonce_of_its_own_and_asks_for_the_certificate(served: Served) -> None:
    for _ in range(2):
        ask(served)
    first, second = (timestamp.parse_query(query) for query in served.queries)
    assert first.digest == second.digest
    assert first.nonce != second.nonce
    assert first.certificate


def test_one_connection_serves_several_questions(served: Served) -> None:
    client = Client(Address.parse(served.url))
    made = {client.stamp(b"%d" % number).token for number in range(3)}
    client.close()
    assert len(made) == 3


def test_certificates_in_openssls_order_are_read(served: Served) -> None:
    """dependencies.md 8: with two of them openssl's SET is not sorted, which stricter readers refuse."""
    served.respond = lambda query: (200, REPLY, served.openssl.answer(query, chain=True))
    made = ask(served, served.openssl.root)
    assert len(made.token) > 900


def other_digest(served: Served, query: bytes) -> bytes:
    asked = asn1.decode(asn1.TimeStampReq, query, limit=4096)
    return served.openssl.answer(timestamp.query(b"another", asked.nonce or 0))


def other_nonce(served: Served, _query: bytes) -> bytes:
    return served.openssl.answer(timestamp.query(VALUE, 12345))


def no_nonce(served: Served, query: bytes) -> bytes:
    asked = asn1.decode(asn1.TimeStampReq, query, limit=4096)
    asked.nonce = None
    return served.openssl.answer(asn1.encode(asked))


def no_certificate(served: Served, query: bytes) -> bytes:
    asked = asn1.decode(asn1.TimeStampReq, query, limit=4096)
    asked.certificates = False
    return served.openssl.answer(asn1.encode(asked))


def with_mods(served: Served, query: bytes) -> bytes:
    answer = served.openssl.answer(query)
    assert answer.count(b"\x30\x03\x02\x01\x00") >= 1
    return answer.replace(b"\x30\x03\x02\x01\x00", b"\x30\x03\x02\x01\x01", 1)


def changed(served: Served, query: bytes) -> bytes:
    answer = bytearray(served.openssl.answer(query))
    answer[-5] ^= 1
    return bytes(answer)


HOSTILE: dict[str, tuple[Callable[[Served, bytes], bytes], str]] = {
    "over another digest": (other_digest, "over something else"),
    "with another nonce": (other_nonce, "nonce is not the one"),
    "without the nonce": (no_nonce, "nonce is not the one"),
    "without the certificate": (no_certificate, "signer is not there"),
    "granted with modifications": (with_mods, "granted with modifications"),
    "refused": (lambda _s, _q: timestamp.rejection(timestamp.BAD_ALGORITHM), "rejection, it does not take this digest"),
    "waiting": (lambda _s, _q: der.seq(der.seq(der.integer(3))), "no time-stamp was given: waiting"),
    "of no known status": (lambda _s, _q: der.seq(der.seq(der.integer(99))), "status 99"),
    "with a signature that was changed": (changed, "not over this content"),
    "granted, and nothing in it": (lambda _s, _q: der.seq(der.seq(der.integer(0))), "holds no time-stamp"),
    "no DER": (lambda _s, _q: b"<html>", "longer than what it stands in"),
    "empty": (lambda _s, _q: b"", "ends in the middle"),
    "words for a terminal": (
        lambda _s, _q: der.seq(der.seq(der.integer(2), der.seq(der.utf8("no\x1b[31m")))),
        r"rejection, no\?\[31m",
    ),
}


@pytest.mark.parametrize(("answer", "says"), HOSTILE.values(), ids=HOSTILE)
def test_an_answer_that_is_not_what_was_asked_for_is_not_kept(
    served: Served, answer: Callable[[Served, bytes], bytes], says: str
) -> None:
    served.respond = lambda query: (200, REPLY, answer(served, query))
    with pytest.raises(MalformedError, match=says) as caught:
        ask(served, served.openssl.root)
    assert "secret" not in caught.value.message
    assert caught.value.message.startswith("http://127.0.0.1:")


def test_a_key_that_is_not_for_time_stamps_is_refused() -> None:
    """openssl itself does not sign with such a certificate."""
    forge, nonce = Forge(Profile.INTEROP, seed="no purpose"), 5
    leaf = forge.leaf()
    pending = timestamp.to_be_signed(VALUE, at=forge.at, serial=7, tsa=leaf.certificate, nonce=nonce)
    token = timestamp.assemble(pending, sign(leaf.key, pending.attributes.data), tsa=leaf.certificate)
    with pytest.raises(MalformedError, match="not for time-stamping alone"):
        tsresponse.verify_answer(timestamp.response(token), VALUE, nonce, ())


def test_somebody_elses_time_stamp_is_refused_where_a_root_is_named(served: Served, wrong: Openssl) -> None:
    with pytest.raises(MalformedError, match="by nobody who was named"):
        ask(served, wrong.root)
    ask(served, wrong.root, served.openssl.root)


@pytest.mark.parametrize(
    ("answered", "says"),
    [
        ((302, REPLY, b""), r"redirects \(302\), which is not followed"),
        ((500, REPLY, b""), "answered with status 500"),
        ((200, "text/html; charset=utf-8", b"<html>"), "answered with text/html, no time-stamp"),
        ((200, "", b""), "answered with no type, no time-stamp"),
    ],
)
def test_what_is_no_answer_is_unavailable(served: Served, answered: tuple[int, str, bytes], says: str) -> None:
    served.location = "file:///etc/passwd"
    served.respond = lambda _: answered
    with pytest.raises(UnavailableError, match=says) as caught:
        ask(served)
    assert "secret" not in caught.value.message


def test_an_answer_may_be_neither_large_nor_slow(served: Served) -> None:
    served.respond = lambda _: (200, REPLY, bytes(70_000))
    with pytest.raises(MalformedError, match="larger than 65536 bytes"):
        ask(served)
    served.respond, served.delay = served.honest, 3.0
    with pytest.raises(UnavailableError, match="no answer in time"):
        ask(served, timeout_s=0.3)


def test_where_nobody_listens_it_is_said_without_what_is_secret() -> None:
    client = Client(Address.parse("http://127.0.0.1:1/path?key=secret"))
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:1 cannot be reached") as caught:
        client.stamp(VALUE)
    assert "secret" not in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["", "ftp://tsa.example", "file:///etc/passwd", "https://", "http://user:pw@tsa.example", "http://tsa.example:0",
     "http://tsa.example:99999", "http://tsa.example/#x", "http://tsa.example/a b", "http://tsa.example/\nX: y", "tsa"],
)  # fmt: skip
def test_an_address_is_http_or_https_and_is_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Address.parse(text)
    assert "pw" not in caught.value.message
    assert Address.parse("https://tsa.example/tsr?a=b") == Address("https://tsa.example", "/tsr?a=b")


def test_of_any_bytes_an_answer_is_refused_or_its_token_is_what_stood_there(openssl: Openssl) -> None:
    good = openssl.answer(timestamp.query(VALUE, 7))
    token = tsresponse.open_answer(good)
    assert good.endswith(token)

    @settings(derandomize=True, max_examples=150, deadline=None)
    @given(st.binary(max_size=80) | st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)).map(
        lambda change: good[: change[0]] + bytes([change[1]]) + good[change[0] + 1 :]))  # fmt: skip
    def check(data: bytes) -> None:
        try:
            found, _ = tsresponse.verify_answer(data, VALUE, 7, ())
        except MalformedError:
            return
        assert found in data

    check()


def test_the_value_of_a_signature_is_what_the_examination_holds_tokens_against() -> None:
    payload = b"tree " + b"4" * 40 + b"\nauthor A <a@x> 1 +0000\ncommitter A <a@x> 1 +0000\n\nm\n"
    raw = attach(payload, plain_ssh(payload))
    value = stampable.value_in(raw, ObjectKind.COMMIT, ObjectFormat.SHA1)
    assert value is not None
    assert len(value) == 64
    assert stampable.value_in(payload, ObjectKind.COMMIT, ObjectFormat.SHA1) is None
    with pytest.raises(MalformedError):
        stampable.value_of(gitobject.Signature(SignatureFormat.UNKNOWN, b"x"))
