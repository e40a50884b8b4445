"""A provider that says what a test has it say, where a correct one could not misbehave. Over HTTPS."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.oidc.authority import Authority

CLIENT_ID, CLIENT_SECRET = "vaultsite", "the client's secret"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC, ED = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
KEYS = [
    RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True) | {"kid": "rsa"},
    ECAlgorithm.to_jwk(EC.public_key(), as_dict=True) | {"kid": "ec"},
    OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True) | {"kid": "ed"},
]


@dataclass
class Scripted:
    """`codes`: what a code is exchanged for, and the PKCE challenge that it belongs to."""

    authority: Authority
    port: int = 0
    discovery: dict[str, Any] = field(default_factory=dict)
    keys: list[dict[str, Any]] = field(default_factory=list)
    codes: dict[str, tuple[str, str]] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    # Path → raw answer, in the place of the right one.
    raw: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    clock_s: float = 0

    @property
    def issuer(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def reset(self) -> None:
        self.discovery = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=a",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/jwks",
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "PS256"],
            "code_challenge_methods_supported": ["S256"],
        }
        self.keys, self.codes, self.userinfo = list(KEYS), {}, {}
        self.raw, self.asked, self.clock_s = {}, [], 0

    def variables(self, provider_id: str = "corp", **more: str) -> dict[str, str]:
        """The settings of a relying party. The secret is in the environment variable SCRIPTED_SECRET."""
        own = {
            "ISSUER": self.issuer,
            "CLIENT_ID": CLIENT_ID,
            "CLIENT_SECRET": "env:SCRIPTED_SECRET",
            "CA_FILE": str(self.authority.ca_file),
            "TRUSTED_DOMAINS": "example.com",
        } | more
        return {f"OIDC_{provider_id.upper()}_{key}": value for key, value in own.items()}

    def claims(self, nonce: str, /, **more: Any) -> dict[str, Any]:
        """A correct ID token's claims, but for `more`; None takes one away."""
        now = int(time.time())
        given = {
            "iss": self.issuer,
            "sub": "0001",
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
        } | more
        return {name: value for name, value in given.items() if value is not None}


def signed(claims: dict[str, Any], key: Any = RSA, algorithm: str = "RS256", **header: Any) -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "rsa"} | header)


def segment(data: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


@contextmanager
def running(authority: Authority) -> Iterator[Scripted]:
    provider = Scripted(authority)

    class Handler(_Handler):
        scripted = provider

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = authority.server_context().wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    provider.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    provider.reset()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    scripted: Scripted

    def do_GET(self) -> None:
        provider = self.scripted
        pages = {
            "/.well-known/openid-configuration": provider.discovery,
            "/jwks": {"keys": provider.keys},
            "/userinfo": provider.userinfo,
        }
        self._answer(200 if self.path in pages else 404, pages.get(self.path, {}))

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        expected = f"{CLIENT_ID}:the+client%27s+secret".encode()
        if self.headers["Authorization"] != "Basic " + base64.b64encode(expected).decode():
            return self._answer(401, {"error": "invalid_client"})
        token, challenge = self.scripted.codes.pop(form["code"][0], ("", ""))
        digest = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        if not token or base64.urlsafe_b64encode(digest).decode().rstrip("=") != challenge:
            return self._answer(400, {"error": "invalid_grant"})
        return self._answer(200, {"id_token": token, "access_token": "at", "token_type": "Bearer"})

    def _answer(self, status: int, data: Any) -> None:
        self.scripted.asked.append(self.path)
        status, body = self.scripted.raw.get(self.path, (status, json.dumps(data).encode()))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(time.time() + self.scripted.clock_s)

    def log_message(self, *_: Any) -> None:
        pass
