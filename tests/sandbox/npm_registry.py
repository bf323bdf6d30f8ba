"""A registry of one package on this machine, with a certificate of its own: what a set-up reaches through the proxy."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import ipaddress
import json
import ssl
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PACKAGE = "twice"
_FILES = {
    "package/package.json": json.dumps({"name": PACKAGE, "version": "1.0.0", "bin": {"twice": "cli.js"}}),
    "package/index.js": "module.exports = (n) => 2 * n;\n",
    "package/cli.js": "#!/usr/bin/env node\nconsole.log(require('./index.js')(Number(process.argv[2])));\n",
}


@dataclass(frozen=True, kw_only=True)
class Registry:
    """Where it listens, the certificate to trust, and what a lock file says of its package."""

    port: int
    certificate: Path
    integrity: str

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/"

    @property
    def archive_url(self) -> str:
        return f"{self.url}{PACKAGE}/-/{PACKAGE}-1.0.0.tgz"


@contextmanager
def npm_registry(folder: Path) -> Iterator[Registry]:
    archive = _archive()
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    certificate, key = _certificate(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            registry: Registry = made
            if self.path == f"/{PACKAGE}":
                dist = {"tarball": registry.archive_url, "integrity": integrity}
                version = {**json.loads(_FILES["package/package.json"]), "dist": dist}
                told = {
                    "name": PACKAGE,
                    "dist-tags": {"latest": "1.0.0"},
                    "versions": {"1.0.0": version},
                    # Long enough ago for those that distrust what is new.
                    "time": {"1.0.0": "2020-01-01T00:00:00.000Z"},
                }
                self._answer(200, "application/json", json.dumps(told).encode())
            elif self.path == f"/{PACKAGE}/-/{PACKAGE}-1.0.0.tgz":
                self._answer(200, "application/octet-stream", archive)
            else:
                self._answer(404, "application/json", b"{}")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name for it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        made = Registry(port=int(server.server_address[1]), certificate=certificate, integrity=integrity)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as bundle:
        for name, text in _FILES.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            entry.mode = 0o755 if name.endswith("cli.js") else 0o644
            bundle.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "registry.pem", folder / "registry.key"
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, secret
