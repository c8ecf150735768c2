"""What we take for trailers, git takes for trailers too (git interpret-trailers)."""

from __future__ import annotations

import subprocess

import pytest

from attest import trailers
from tests.peers import peer

MESSAGES = (
    b"subject\n\nKey: value\n",
    b"subject\n\nbody\n\nSigned-off-by: A <a@example.org>\nCo-authored-by: Claude Opus 4.5 <noreply@anthropic.com>\n",
    b"subject\n\nbody: with a colon\nand more\n\nAssisted-by: Claude:claude-opus-4.6 coccinelle\n",
    "subject\n\n\U0001f916 Generated with [Claude Code](https://claude.com/claude-code)\n\n"
    "Co-Authored-By: Claude <noreply@anthropic.com>\n".encode(),
    b"subject\n\nAmp-Thread-ID: https://ampcode.com/threads/T-019cb6d7\nCo-authored-by: Amp <amp@ampcode.com>\n",
    "subject\n\nReviewed-by: J\u00f6rg <j@example.org>\n".encode(),
    b"subject\n\nbody\n\nA: 1\nB: two  blanks inside\nC-d: 3   \n\n\n",
)
NONE = (b"subject\n", b"Key: value\n", b"subject\n\nbody\n", b"subject\n\nfirst\nKey: value\nlast\n")


def parsed_by_git(message: bytes) -> list[str]:
    command = [str(peer("git")), "interpret-trailers", "--parse", "--no-divider"]
    done = subprocess.run(command, input=message, capture_output=True, check=True, timeout=10)
    return done.stdout.decode().splitlines()


@pytest.mark.parametrize("message", MESSAGES, ids=range(len(MESSAGES)))
def test_the_last_paragraph_is_what_git_reads_too(message: bytes) -> None:
    found = [f"{trailer.key}: {trailer.value}" for trailer in trailers.last_paragraph(message, None)]
    assert found
    assert found == parsed_by_git(message)


@pytest.mark.parametrize("message", NONE, ids=range(len(NONE)))
def test_where_git_reads_none_there_is_none(message: bytes) -> None:
    assert parsed_by_git(message) == []
    assert trailers.last_paragraph(message, None) == []


@pytest.mark.parametrize("message", MESSAGES, ids=range(len(MESSAGES)))
def test_a_known_key_among_them_is_a_claim(message: bytes) -> None:
    said = {(claim.key, claim.value) for claim in trailers.claims(message)}
    for line in parsed_by_git(message):
        key, _, value = line.partition(": ")
        if key.lower().endswith("-by") or key.lower() == "amp-thread-id":
            assert (key.lower(), value) in said
