"""What docs/authority offers to run an authority behind: nginx, Caddy and systemd take the files as they are."""

from __future__ import annotations

import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from notme_git.cli import cli
from tests.compat.conftest import SCRIPTS, SECONDS, machine
from tests.compat.test_authority_serve import serving, until
from tests.peers import ROOT, peer

FILES = ROOT / "docs" / "authority"
NAME = "authority.example.com"
EXPOSED_AT_MOST = 15
"""`systemd-analyze security` counts in tenths; a unit without any hardening has 96."""


def _certificate(folder: Path) -> Path:
    """A self-signed certificate for localhost and its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = (
        builder.not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    path = folder / "tls.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


@contextmanager
def _front(folder: Path, upstream: str) -> Iterator[Callable[..., tuple[int, bytes]]]:
    """nginx with the file of the documentation; only names, ports and paths are this machine's. Yields a client."""
    certificate = _certificate(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = (FILES / "nginx.conf").read_text("utf-8")
    changes = {
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        NAME: "localhost",
        "/etc/ssl/localhost.pem": str(certificate),
        "/etc/ssl/private/localhost.key": str(certificate),
        "http://127.0.0.1:8788": upstream,
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}{text}}}\n"
    )
    context = ssl.create_default_context(cafile=certificate)

    def ask(path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(f"https://localhost:{port}{path}", body, dict(headers or {}))
        try:
            with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    process = subprocess.Popen([peer("nginx"), "-c", folder / "nginx.conf", "-p", folder], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port))
        yield ask
    finally:
        process.terminate()
        process.wait(SECONDS)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


def test_nginx_puts_tls_in_front_and_no_client_chooses_the_address_it_is_counted_by(tmp_path: Path) -> None:
    peer("nginx")
    sandbox = machine(tmp_path)
    sandbox.notme("authority", "init", "--url", f"https://{NAME}", "--key-store", "file")
    with (sandbox.home / "authority" / "settings.toml").open("a") as file:
        file.write('proxies = ["127.0.0.1"]\nlimits = { timestamp = "2/60" }\n')
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(sandbox, "--port", str(port)), _front(tmp_path, f"http://127.0.0.1:{port}") as ask:
        assert ask("/health") == (200, b"ok")
        assert f"https://{NAME}/cert".encode() in ask("/.well-known/signet-authority.json")[1]
        assert ask("/metrics")[0] == 404
        assert ask("/timestamp", b"x" * 200_000)[0] == 413
        query = {"Content-Type": "application/timestamp-query"}
        statuses = [ask("/timestamp", b"x", {**query, "X-Forwarded-For": f"192.0.2.{n}"})[0] for n in range(3)]
    assert 429 not in statuses[:2]
    assert statuses[2] == 429


def test_caddy_takes_the_file_of_the_documentation(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    command: list[str | Path] = [peer("caddy"), "validate", "--adapter", "caddyfile", "--config", FILES / "Caddyfile"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    assert "Valid configuration" in done.stdout + done.stderr


def test_systemd_takes_the_unit_and_finds_little_to_attack(tmp_path: Path) -> None:
    program = peer("systemd-analyze")
    unit = tmp_path / "notme-authority.service"
    text = (FILES / "notme-authority.service").read_text("utf-8")
    unit.write_text(text.replace("/opt/notme/bin/notme-git", str(SCRIPTS / "notme-git")))
    for words in (["verify"], ["security", "--offline=true", f"--threshold={EXPOSED_AT_MOST}"]):
        done = subprocess.run([program, *words, unit], capture_output=True, text=True, check=False, timeout=SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_s_command_is_one_that_there_is() -> None:
    text = (FILES / "notme-authority.service").read_text("utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("ExecStart=")]
    group, command, *options = line.split()[1:]
    known = cli.commands[group].commands[command].params  # type: ignore[attr-defined]
    assert {word for word in options if word[:2] == "--"} <= {name for param in known for name in param.opts}
