"""Keys in an ssh-agent: its signature is used once it is verified, and whatever else it answers is a sentence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from attest import bundles, dsse, keys, sshagent
from attest.attester import KeyAttester
from attest.errors import UnavailableError
from attest.sshagent import AgentKey
from attest.sshwire import Reader, ed25519_key, ed25519_signature, string, uint32
from tests.forge import NOW
from tests.sockets import PATIENCE_S, short_folder

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC = keys.from_cryptography(PRIVATE.public_key())
BLOB = ed25519_key(PUBLIC.raw)
OTHERS = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)
RSA = string("ssh-rsa") + string(b"\x01\x00\x01") + string(b"\x7f" * 257)
PAYLOAD = b'{"_type":"https://in-toto.io/Statement/v1"}'

Answer = Callable[[bytes], bytes]


@contextmanager
def agent(answer: Answer) -> Iterator[Path]:
    """A socket at which each request gets `answer(body)`, as it is, and is hung up on."""
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "agent"))
        listener.listen()
        thread = threading.Thread(target=_serve, args=(listener, answer))
        thread.start()
        try:
            yield folder / "agent"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_S)


def _serve(listener: socket.socket, answer: Answer) -> None:
    with suppress(OSError):
        while True:
            caller, _ = listener.accept()
            with caller, suppress(OSError), caller.makefile("rb") as stream:
                caller.settimeout(PATIENCE_S)
                caller.sendall(answer(stream.read(int.from_bytes(stream.read(4), "big"))))


def holding(*blobs: bytes, signer: Ed25519PrivateKey = PRIVATE) -> Answer:
    """An agent with these keys, that signs whatever it is asked to."""

    def answer(body: bytes) -> bytes:
        reader = Reader(body[1:])
        if body == b"\x0b":
            return string(b"\x0c" + uint32(len(blobs)) + b"".join(string(blob) + string("me") for blob in blobs))
        assert (body[0], reader.string()) == (13, BLOB)
        data, flags = reader.string(), reader.uint32()
        reader.end()
        assert flags == 0
        return string(b"\x0e" + string(ed25519_signature(signer.sign(data))))

    return answer


def saying(data: bytes) -> Answer:
    return lambda _: data


def test_the_ed25519_keys_of_an_agent_are_found_among_others_each_once() -> None:
    broken = ed25519_key(b"short")
    with agent(holding(RSA, BLOB, broken, ed25519_key(b"\0" * 32), b"", BLOB)) as path:
        assert sshagent.public_keys(path) == (PUBLIC,)
    with agent(holding()) as path:
        assert sshagent.public_keys(path) == ()


def test_a_key_in_an_agent_signs_as_one_in_a_file() -> None:
    with agent(holding(BLOB)) as path:
        line = KeyAttester(AgentKey(path, PUBLIC), "https://ci.example/verifier").sign(PAYLOAD, NOW)
    envelope = bundles.parse_key_bundle(line).envelope
    assert envelope.signatures[0].sig == PRIVATE.sign(dsse.pae(dsse.PAYLOAD_TYPE, PAYLOAD))
    assert dsse.verify_envelope(envelope, [PUBLIC]) == (PUBLIC,)


def test_a_signature_by_another_key_is_never_passed_on() -> None:
    with agent(holding(BLOB, signer=OTHERS)) as path, pytest.raises(UnavailableError, match="signed wrongly"):
        AgentKey(path, PUBLIC).sign(b"data")


SIGNATURE = ed25519_signature(PRIVATE.sign(b"data"))
WRONG = {
    "a failure": (string(b"\x05"), "refused"),
    "another message": (string(b"\x0c" + uint32(0)), "answers with message 12"),
    "nothing": (b"", "hung up"),
    "half a length": (b"\0\0", "hung up"),
    "half an answer": (string(b"\x0e" + string(SIGNATURE))[:-1], "hung up"),
    "an empty answer": (string(b""), "announces 0"),
    "too long an answer": (uint32(sshagent.MAX_MESSAGE_BYTES + 1), "announces"),
    "something behind the signature": (string(b"\x0e" + string(SIGNATURE) + b"x"), "signed wrongly"),
    "something in the signature": (string(b"\x0e" + string(SIGNATURE + b"x")), "signed wrongly"),
    "another kind": (string(b"\x0e" + string(string("ssh-rsa") + string(bytes(64)))), "ssh-rsa"),
    "a short signature": (string(b"\x0e" + string(ed25519_signature(bytes(63)))), "64 bytes"),
    "zeroes": (string(b"\x0e" + string(ed25519_signature(bytes(64)))), "signed wrongly"),
}


@pytest.mark.parametrize(("answer", "said"), WRONG.values(), ids=WRONG)
def test_whatever_else_it_answers_is_no_signature(answer: bytes, said: str) -> None:
    with agent(saying(answer)) as path, pytest.raises(UnavailableError, match=said):
        AgentKey(path, PUBLIC).sign(b"data")


def test_an_agent_that_keeps_silent_is_given_up() -> None:
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "agent"))
        listener.listen()
        with pytest.raises(UnavailableError, match="did not answer"):
            AgentKey(folder / "agent", PUBLIC, patience=0.05).sign(b"data")


def test_where_nobody_listens_there_is_no_agent(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", Path("/" + "x" * 200), tmp_path):
        with pytest.raises(UnavailableError, match="no ssh-agent answers at"):
            sshagent.public_keys(path)


def test_more_than_an_agent_takes_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="more than an ssh-agent takes"):
        AgentKey(tmp_path / "absent", PUBLIC).sign(bytes(sshagent.MAX_MESSAGE_BYTES))


def test_too_many_keys_are_not_read() -> None:
    with agent(saying(string(b"\x0c" + uint32(1 << 31)))) as path, pytest.raises(UnavailableError, match="announced"):
        sshagent.public_keys(path)


@given(st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda b: b"\x0c" + b)))
def test_any_answer_is_a_sentence_or_keys(body: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "socket", lambda _: _Scripted(string(body)))
        with suppress(UnavailableError):
            assert isinstance(sshagent.public_keys(Path("agent")), tuple)
        with suppress(UnavailableError):
            keys.verify_signature(PUBLIC, AgentKey(Path("agent"), PUBLIC).sign(b"data"), b"data")


class _Scripted:
    """A socket that has been answered already."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def __enter__(self) -> _Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def settimeout(self, seconds: float) -> None:
        pass

    def connect(self, path: str) -> None:
        pass

    def sendall(self, data: bytes) -> None:
        pass

    def recv(self, size: int) -> bytes:
        taken, self._answer = self._answer[:size], self._answer[size:]
        return taken
