"""A web server with TLS on this machine, believed by whoever is given its context."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class QuietHandler(BaseHTTPRequestHandler):
    """A handler that logs nothing; ``say`` sends a whole answer."""

    def say(self, status: int, data: bytes, **headers: str) -> None:
        """Answer."""
        self.send_response(status)
        for name, value in {"Content_Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that hangs up is what is tested."""


@contextmanager
def web(root: Path, handler: type[BaseHTTPRequestHandler]) -> Iterator[tuple[str, ssl.SSLContext]]:
    """Yield the address of a server and who believes it; ``root`` keeps its certificate."""
    certificate(root)
    with _Quiet(("127.0.0.1", 0), handler) as server:
        theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        theirs.load_cert_chain(root / "cert.pem", root / "key.pem")
        # The handshake is the handler's: one that fails is then closed with its request, and leaves no socket behind.
        server.socket = theirs.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            address = f"https://127.0.0.1:{server.server_address[1]}"
            yield address, ssl.create_default_context(cafile=str(root / "cert.pem"))
        finally:
            server.shutdown()
            thread.join()


def certificate(root: Path) -> None:
    """Write ``cert.pem`` and ``key.pem`` of 127.0.0.1."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (root / "cert.pem").write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    (root / "key.pem").write_bytes(private)
