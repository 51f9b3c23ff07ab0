"""A server whose certificate a private authority has signed: trusted by `ca_file`, and by nothing else."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connectors.errors import ConfigError, RetryError
from connectors.http import HttpSession, UnlimitedLimiter

pytestmark = pytest.mark.anyio


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "13")
        self.end_headers()
        self.wfile.write(b'{"error": 0} ')

    def log_message(self, *_: object) -> None:
        """Quiet."""


def write_certificate(path: Path) -> None:
    """A certificate that has signed itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clinic.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    content = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(content + certificate.public_bytes(serialization.Encoding.PEM))


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "clinic.pem"
    write_certificate(path)
    return path


@pytest.fixture
def url(certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def session(url: str, ca_file: Path | None) -> HttpSession:
    return HttpSession(
        base_url=url,
        account_key="a",
        limit=(60, 60.0),
        limiter=UnlimitedLimiter(),
        retry_attempts=0,
        ca_file=None if ca_file is None else str(ca_file),
    )


async def test_the_server_is_trusted_with_its_authority(url: str, certificate: Path) -> None:
    async with session(url, certificate) as http:
        assert await http.request_json("GET", "/") == {"error": 0}


async def test_without_it_or_with_another_it_is_not(url: str, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    write_certificate(other)
    for ca_file in (None, other):
        async with session(url, ca_file) as http:
            with pytest.raises(RetryError, match="CERTIFICATE_VERIFY_FAILED"):
                await http.request_json("GET", "/")


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_file_without_certificates_is_a_config_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match="ca_file"):
        session("https://127.0.0.1:1", path)
