"""What of Vault Chappe uses, after its API documentation ("KV secrets engine - version 2"), over TLS with a CA of its own."""

import http.server
import json
import ssl
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path


class Vault:
    """`secrets`: by (namespace, mount, path) the entries. Answers `status`, where that is set, instead of what it has."""

    def __init__(self, test: unittest.TestCase, token: str, host: str = "127.0.0.1", name: str = "") -> None:
        directory = tempfile.TemporaryDirectory(prefix="chappe-vault-")
        test.addCleanup(directory.cleanup)
        self.ca_file = Path(directory.name) / "ca.pem"
        key = Path(directory.name) / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-keyout", key, "-out", self.ca_file, "-subj", "/CN=vault", "-addext", f"subjectAltName={f'DNS:{name}' if name else f'IP:{host}'}"],
            check=True, capture_output=True,
        )
        self.token = token
        self.secrets: dict[tuple[str, str, str], dict[str, object]] = {}
        self.status = 0
        self.asked: list[str] = []
        self.server = http.server.ThreadingHTTPServer((host, 0), self._handler())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.address = f"https://{name or host}:{self.port}"
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        test.addCleanup(thread.join)
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)

    def _answer(self, path: str, namespace: str, token: str) -> tuple[int, dict[str, object]]:
        self.asked.append(path)
        if self.status:
            return self.status, {"errors": ["as told"]}
        if token != self.token:
            return 403, {"errors": ["permission denied"]}
        for (where, mount, name), entries in self.secrets.items():
            if where == namespace and path == f"/v1/{mount}/data/{name}":
                return 200, {"data": {"data": entries, "metadata": {"version": 1}}}
        return 404, {"errors": []}

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        vault = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, body = vault._answer(self.path, self.headers.get("X-Vault-Namespace", ""),
                                             self.headers.get("X-Vault-Token", ""))
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
