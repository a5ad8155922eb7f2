# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""A receiver of webhooks, over real HTTP, that does what a test wants."""

import datetime
import http.server
import ipaddress
import json
import pathlib
import ssl
import threading
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid
import fixtures

#: It answers nothing until the test ends.
HANG = 'hang'
#: It answers one byte after the other until the test ends.
DRIP = 'drip'
#: It closes the connection in the middle of its answer.
CUT = 'cut'
#: It answers 200, and then without end.
ENDLESS = 'endless'


class Receiver(fixtures.Fixture):
    """A receiver in a thread of this process.

    :param folder: where a certificate is made for it; without it, it has
        none and speaks plain HTTP
    :param port: where it listens; 0 for any port
    :ivar behaviour: what the next requests meet: a status, or one of the
        words of this module
    :ivar asked: headers and body of every request that was read
    """

    def __init__(self, folder: pathlib.Path | None = None,
                 port: int = 0) -> None:
        super().__init__()
        self._folder = folder
        self._port = port
        self.behaviour: int | str = 200
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.over = threading.Event()

    def _setUp(self) -> None:
        self.server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', self._port), _handler(self))
        self.server.daemon_threads = True
        self._port = self.server.server_port
        if self._folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True,
                do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True,
                         kwargs={'poll_interval': .01}).start()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """Accept no connection any more."""
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def certificate(self) -> pathlib.Path:
        """Its certificate with the key, which nobody trusts."""
        assert self._folder is not None
        path = self._folder / 'receiver.pem'
        if not path.exists():
            path.write_bytes(_certificate())
        return path

    @property
    def url(self) -> str:
        """Its address."""
        scheme = 'http' if self._folder is None else 'https'
        return f'{scheme}://127.0.0.1:{self._port}/hook'

    @property
    def events(self) -> list[dict[str, Any]]:
        """The messages that came, whatever was answered."""
        return [json.loads(body) for _, body in list(self.asked)]


def _handler(receiver: Receiver) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers['Content-Length']))
            receiver.paths.append(self.path)
            receiver.asked.append((
                {k.lower(): v for k, v in self.headers.items()}, body))
            what = receiver.behaviour
            if what == HANG:
                receiver.over.wait()
            elif what == DRIP:
                for byte in b'HTTP/1.0 200 OK\r\nX: ' + 10000 * b'x':
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if receiver.over.wait(0.2):
                        return
            elif what == CUT:
                self.wfile.write(b'HTTP/1.0 20')
            elif what == ENDLESS:
                self.send_response(200)
                self.end_headers()
                while not receiver.over.is_set():
                    self.wfile.write(65536 * b'x')
            else:
                assert isinstance(what, int)
                self.send_response(what)
                if 300 <= what < 400:
                    self.send_header('Location', '/elsewhere')
                self.send_header('Content-Length', '0')
                self.end_headers()

        def do_GET(self) -> None:
            receiver.paths.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                # Who asked is gone, which some tests want.
                self.close_connection = True

    return Handler


def _certificate() -> bytes:
    """A certificate of 127.0.0.1 for a day, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME,
                                         'receiver')])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(
        name).public_key(key.public_key()).serial_number(
            x509.random_serial_number()).not_valid_before(
                now - datetime.timedelta(hours=1)).not_valid_after(
                    now + datetime.timedelta(days=1)).add_extension(
                        x509.SubjectAlternativeName([x509.IPAddress(
                            ipaddress.ip_address('127.0.0.1'))]),
                        False).add_extension(
                            x509.BasicConstraints(True, None), True).sign(
                                key, hashes.SHA256())
    return made.public_bytes(
        serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption())
