"""A Sigstore instance of others on 127.0.0.1 (`node/sigstore.cjs`), and a broken one in front of it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import jwt

from attest.foreign.sigstore import SigstoreRoot
from tests.peers import NODE_MODULES, peer

SCRIPT = Path(__file__).parent / "node" / "sigstore.cjs"
ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "https://github.com/example/app/.github/workflows/attest.yml@refs/heads/main"
FULCIO, REKOR, TSA = "/api/v2/signingCert", "/api/v1/log/entries", "/api/v1/timestamp"

Answer = tuple[int, bytes]


def identity_token(*, seconds: int = 300, subject: str = SUBJECT, audience: str = "sigstore") -> str:
    """What a CI provider gives a job; the mock, as any client, leaves its signature to Fulcio."""
    now = int(time.time())
    claims = {"iss": ISSUER, "sub": subject, "aud": audience, "iat": now - 600, "exp": now + seconds}
    return jwt.encode(claims, "k" * 32, algorithm="HS256")


@dataclass(frozen=True)
class Instance:
    """One that runs. `folder` has trust_config.json, for signing, and trusted_root.json, for verifying."""

    folder: Path
    url: str

    @property
    def config(self) -> Path:
        return self.folder / "trust_config.json"

    @property
    def root_file(self) -> Path:
        return self.folder / "trusted_root.json"

    @property
    def root(self) -> SigstoreRoot:
        return SigstoreRoot.parse(self.root_file.read_bytes())

    def moved(self, url: str, to: Path) -> Path:
        """The same configuration with its services elsewhere."""
        made = json.loads(self.config.read_text())
        made["signingConfig"] = json.loads(json.dumps(made["signingConfig"]).replace(self.url, url))
        to.write_text(json.dumps(made))
        return to


@contextmanager
def running(folder: Path, rekor: int = 1) -> Iterator[Instance]:
    """An instance, until the end of the block."""
    node = peer("sigstore-mock")
    (folder / "node_modules").symlink_to(NODE_MODULES)  # where Node looks from there
    script = folder / SCRIPT.name
    script.write_bytes(SCRIPT.read_bytes())
    command = [str(node), str(script), str(folder), str(rekor)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        port = process.stdout.readline().strip()
        assert port.isdigit(), "the instance did not start"
        try:
            yield Instance(folder, f"http://127.0.0.1:{port}")
        finally:
            process.stdin.close()
            process.wait(timeout=20)


def forwarded(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    kept = {k: v for k, v in headers.items() if k.lower() in {"authorization", "content-type", "accept"}}
    try:
        with urlopen(Request(url, body, kept), timeout=20) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


@contextmanager
def broken(instance: Instance, path: str, spoil: Callable[[Answer], Answer | None]) -> Iterator[str]:
    """The URL of a server that forwards to the instance and gives what `spoil` makes of its answers at `path`.

    None: it says nothing and hangs up. Of a redirect (307) the body is where to.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            answer: Answer | None = forwarded(instance.url + self.path, body, dict(self.headers))
            if self.path == path and answer is not None:
                answer = spoil(answer)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer[0])
            if answer[0] == 307:
                self.send_header("location", answer[1].decode())
            self.send_header("content-length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
