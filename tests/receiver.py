"""A real HTTP server that receives webhooks, and certificates for it."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes


@dataclass
class Receiver:
    """What has come, and how it is answered."""

    answer: Callable[[BaseHTTPRequestHandler], None]
    scheme: str = "http"
    port: int = 0
    received: list[Received] = field(default_factory=list)

    def url(self, host: str = "127.0.0.1", path: str = "/hook?a=1") -> str:
        """Where it listens."""
        return f"{self.scheme}://{host}:{self.port}{path}"


def status(*codes: int) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answers with these, one after the other, and with the last one for ever."""
    left = list(codes)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(left.pop(0) if len(left) > 1 else left[0])
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    return answer


@contextmanager
def receiving(
    answer: Callable[[BaseHTTPRequestHandler], None], *, tls: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """A server on a free port of loopback that answers so."""
    receiver = Receiver(answer, "http" if tls is None else "https")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(self.path, headers, body))
            receiver.answer(self)

        def do_GET(self) -> None:
            receiver.received.append(Received(self.path, {}, b""))
            receiver.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Not to standard error."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A sender that hangs up is what some tests want."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certified(folder: Path, host: str) -> tuple[ssl.SSLContext, Path]:
    """What a server named `host` shows, and the file of the authority that vouches for it."""
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name, name = (_name(text) for text in ("an authority of tests", host))
    is_authority = x509.BasicConstraints(ca=True, path_length=0)
    authority = _certificate(authority_name, authority_key.public_key(), authority_name, authority_key, is_authority)
    leaf = _certificate(
        name, key.public_key(), authority_name, authority_key, x509.SubjectAlternativeName([x509.DNSName(host)])
    )
    pem = serialization.Encoding.PEM
    trusted, chain, secret = (folder / each for each in ("authority.pem", "chain.pem", "key.pem"))
    trusted.write_bytes(authority.public_bytes(pem))
    chain.write_bytes(leaf.public_bytes(pem))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    return context, trusted


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return made.add_extension(extension, critical=True).sign(signer, hashes.SHA256())
