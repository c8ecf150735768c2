"""A time-stamping authority for tests: `openssl ts` behind a small HTTP server, as `dependencies.md` 8 has it.

It is not ours: what we ask and what we keep is held against a program of others. What no honest authority answers is
made from its answers, or with keys of its own.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.peers import peer

SECONDS = 20
REPLY = "application/timestamp-reply"

CONFIG = """
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
[tsa_cert]
basicConstraints = critical,CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = {usage}
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
digests = sha256, sha384, sha512
signer_digest = sha256
ess_cert_id_alg = sha256
default_policy = 1.3.6.1.4.1.99999.7
accuracy = secs:1
ordering = no
tsa_name = no
"""


class Openssl:
    """One authority with a root and a key for time-stamps, P-256, made by openssl in `folder`."""

    def __init__(self, folder: Path, name: str = "tsa", *, usage: str = "critical,timeStamping") -> None:
        self.folder, self.name = folder, name
        folder.mkdir(parents=True)
        (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder, usage=usage))
        (folder / "serial").write_text("01\n")
        ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        self.run("req", "-x509", *ec, "-keyout", "root.key", "-out", "root.pem", "-subj", f"/CN={name} root",
                 "-days", "3650", "-config", "tsa.cnf", "-extensions", "ca")  # fmt: skip
        self.run("req", "-new", *ec, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", f"/CN={name}",
                 "-config", "tsa.cnf")  # fmt: skip
        self.run("x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
                 "-days", "3650", "-extfile", "tsa.cnf", "-extensions", "tsa_cert", "-out", "tsa.pem")  # fmt: skip

    @property
    def root(self) -> Path:
        """PEM of the root."""
        return self.folder / "root.pem"

    def answer(self, query: bytes, *, chain: bool = False) -> bytes:
        """TimeStampResp for a TimeStampReq; with `chain` the root's certificate goes along, in openssl's order."""
        (self.folder / "query").write_bytes(query)
        more = ("-chain", "root.pem") if chain else ()
        self.run("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-signer", "tsa.pem", "-inkey", "tsa.key",
                 *more, "-out", "reply")  # fmt: skip
        return (self.folder / "reply").read_bytes()

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [peer("openssl"), *words], cwd=self.folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


@dataclass
class Served:
    """A running authority. `respond` makes (status, type, body) from the query; it can be replaced."""

    url: str
    openssl: Openssl
    respond: Callable[[bytes], tuple[int, str, bytes]]
    queries: list[bytes] = field(default_factory=list)
    delay: float = 0.0
    location: str = ""

    def honest(self, query: bytes) -> tuple[int, str, bytes]:
        """What openssl says."""
        return 200, REPLY, self.openssl.answer(query)


@contextmanager
def serving(openssl: Openssl) -> Iterator[Served]:
    """Serve it on loopback, one request after the other."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            with lock:
                served.queries.append(query)
                status, kind, body = served.respond(query)
            time.sleep(served.delay)
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                if served.location:
                    self.send_header("Location", served.location)
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                pass  # whoever asked has gone

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = Served(f"http://127.0.0.1:{server.server_address[1]}/tsr?key=secret", openssl, lambda _: (500, "", b""))
    served.respond = served.honest
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
