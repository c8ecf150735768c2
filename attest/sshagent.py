"""An Ed25519 key that an ssh-agent holds, used as a client of it (draft-ietf-sshm-ssh-agent).

The agent may be OpenSSH's, a hardware token's, or a program that asks its user. What it answers is believed in nothing:
reads are bounded in size and time, and a signature counts once it has been verified under the key that was asked for.

An Ed25519 signature of an agent is over the very bytes it was given (RFC 8709 section 6), and so is a DSSE signature
where those are DSSE's pre-authentication encoding. Nothing that SSH signs begins like that: a login's data begins with
the length of a session identifier (RFC 4252 section 7), a file's signature with `SSHSIG`.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path

from attest import keys, sshwire
from attest.errors import MalformedError, UnavailableError, VerificationError
from attest.keys import PublicKey
from attest.sshwire import Reader, string, uint32

MAX_MESSAGE_BYTES = 256 * 1024
"""As OpenSSH's agent has it (AGENT_MAX_LEN); a longer request is refused here, a longer answer is not read."""

MAX_KEYS = 2048
"""As OpenSSH's ssh-add has it (MAX_AGENT_IDENTITIES)."""

PATIENCE_S = 60.0
"""For one answer: somebody may have to touch a token, or to confirm (ssh-add -c)."""

_REQUEST_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN_REQUEST, _SIGN_RESPONSE = 13, 14
_FAILURES = frozenset({5, 28})
"""SSH_AGENT_FAILURE and SSH_AGENT_EXTENSION_FAILURE."""


@dataclass(frozen=True, slots=True)
class AgentKey:
    """The key `public`, held by the agent that listens at `path`; like `signing_key.SigningKey`."""

    path: Path
    public: PublicKey
    patience: float = PATIENCE_S

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`, 64 bytes, verified. Raises `UnavailableError` where there is none."""
        request = string(sshwire.ed25519_key(self.public.raw)) + string(data) + uint32(0)
        answer = _ask(self.path, bytes([_SIGN_REQUEST]) + request, _SIGN_RESPONSE, self.patience)
        try:
            signature = _signature(answer)
            keys.verify_signature(self.public, signature, data)
        except (MalformedError, VerificationError) as error:
            raise UnavailableError(f"the ssh-agent at {self.path} signed wrongly: {error.message}") from None
        return signature


def public_keys(path: Path, patience: float = PATIENCE_S) -> tuple[PublicKey, ...]:
    """The Ed25519 keys in the agent that listens at `path`; others, and certificates, are passed over.

    Raises `UnavailableError` where it cannot be asked or answers otherwise.
    """
    answer = _ask(path, bytes([_REQUEST_IDENTITIES]), _IDENTITIES_ANSWER, patience)
    try:
        blobs = _identities(answer)
    except MalformedError as error:
        raise _spoken(path, error) from None
    return tuple(dict.fromkeys(key for blob in blobs if (key := _ed25519(blob)) is not None))


def _identities(answer: bytes) -> list[bytes]:
    reader = Reader(answer)
    count = reader.uint32()
    if count > MAX_KEYS:
        raise MalformedError(f"{count} keys are announced; at most {MAX_KEYS} are read")
    found = []
    for _ in range(count):
        found.append(reader.string())
        reader.string()  # the comment
    reader.end()
    return found


def _ed25519(blob: bytes) -> PublicKey | None:
    reader = Reader(blob)
    try:
        if reader.string() != sshwire.ED25519.encode():
            return None
        raw = reader.string()
        reader.end()
        return keys.ed25519(raw)
    except MalformedError:
        return None


def _signature(answer: bytes) -> bytes:
    outer = Reader(answer)
    inner = Reader(outer.string())
    outer.end()
    if (kind := inner.string()) != sshwire.ED25519.encode():
        raise MalformedError(f"a signature of kind {kind[:40]!r}, where {sshwire.ED25519} was asked for")
    signature = inner.string()
    inner.end()
    return signature


def _ask(path: Path, message: bytes, wanted: int, patience: float) -> bytes:
    """What follows the answer's type. `UnavailableError`, also for an agent that refuses."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise UnavailableError(f"{len(message)} bytes are more than an ssh-agent takes ({MAX_MESSAGE_BYTES})")
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            end = time.monotonic() + patience
            agent.settimeout(patience)
            agent.connect(str(path))
            agent.sendall(string(message))
            size = int.from_bytes(_take(agent, 4, end), "big")
            if not 0 < size <= MAX_MESSAGE_BYTES:
                raise MalformedError(f"it announces {size} bytes")
            answer = _take(agent, size, end)
    except MalformedError as error:
        raise _spoken(path, error) from None
    except TimeoutError:
        raise UnavailableError(f"the ssh-agent at {path} did not answer in {patience:.0f} seconds") from None
    except OSError as error:
        raise UnavailableError(f"no ssh-agent answers at {path}: {error.strerror or error}", hint=_LIST) from None
    if answer[0] in _FAILURES:
        raise UnavailableError(f"the ssh-agent at {path} refused, or does not have the key", hint=_LIST)
    if answer[0] != wanted:
        raise _spoken(path, MalformedError(f"it answers with message {answer[0]}, not {wanted}"))
    return answer[1:]


def _take(agent: socket.socket, size: int, end: float) -> bytes:
    """Exactly `size` bytes, until `end` on the monotonic clock."""
    found = bytearray()
    while len(found) < size:
        agent.settimeout(max(0.001, end - time.monotonic()))
        if not (piece := agent.recv(size - len(found))):
            raise MalformedError("it hung up in the middle of an answer")
        found += piece
        if time.monotonic() > end:
            raise TimeoutError
    return bytes(found)


def _spoken(path: Path, error: MalformedError) -> UnavailableError:
    return UnavailableError(f"what listens at {path} is no ssh-agent: {error.message}")


_LIST = "SSH_AUTH_SOCK=SOCKET ssh-add -l shows which keys it has"
