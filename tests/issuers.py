"""Issuers of tokens that are really there: an HTTPS server with a private CA, and keys of each kind.

`Server` is one process-wide server; each `Issuer` is a path on it, with keys, documents and tokens of its
own, so that no test finds what another left in a cache.
"""

import json
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "https://vault.example.com"
PRIVATE, PUBLIC = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM


@cache
def key(kind: str) -> Any:
    """A private key by its name, the same all along: `rsa`, `rsa-2`, `ec`, `p384`, `ed25519`, …"""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(65537, 1024 if kind == "rsa-1024" else 2048)
    if kind.startswith("ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if kind == "p384" else ec.SECP256R1())


def jwk(kind: str, **members: Any) -> dict[str, Any]:
    """The public half, with `kid`; a member that is None is left out."""
    public = key(kind).public_key()
    maker: Any = RSAAlgorithm if kind.startswith("rsa") else ECAlgorithm
    maker = OKPAlgorithm if kind.startswith("ed25519") else maker
    made = json.loads(maker.to_jwk(public)) | {"kid": kind, "use": "sig"} | members
    made.pop("key_ops", None)
    return {name: value for name, value in made.items() if value is not None}


def algorithm_of(kind: str) -> str:
    return {"rsa": "RS256", "ec": "ES256", "ed25519": "EdDSA"}[kind.partition("-")[0]]


def sign(kind: str, claims: Any, algorithm: str = "", **header: Any) -> str:
    """A token; a member of the header that is None is left out."""
    header = {"kid": kind} | header
    given = {name: value for name, value in header.items() if value is not None}
    algorithm = algorithm or algorithm_of(kind)
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jwt.PyJWS().encode(payload, key(kind), algorithm, headers={"typ": "JWT"} | given)


def claims_of(issuer: str, **claims: Any) -> dict[str, Any]:
    """Of a token that was just issued; one that is None is left out."""
    now = int(time.time())
    whole = {"iss": issuer, "aud": AUDIENCE, "sub": "w", "iat": now, "nbf": now, "exp": now + 300}
    return {name: value for name, value in (whole | claims).items() if value is not None}


def github(
    issuer: str, repository: str = "acme/api", ref: str = "refs/heads/main"
) -> dict[str, Any]:
    """What a job of GitHub Actions gets (GitHub's OpenID Connect reference)."""
    owner = repository.partition("/")[0]
    return claims_of(
        issuer,
        jti=str(uuid4()),
        sub=f"repo:{repository}:ref:{ref}",
        ref=ref,
        sha="6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        repository=repository,
        repository_id="74",
        repository_owner=owner,
        repository_owner_id="65",
        repository_visibility="private",
        actor="octocat",
        actor_id="12",
        workflow="deploy",
        job_workflow_ref=f"{repository}/.github/workflows/deploy.yml@{ref}",
        event_name="push",
        ref_type="branch",
        run_id="30433642",
        run_number="10",
        run_attempt="2",
        runner_environment="github-hosted",
    )


def gitlab(issuer: str, project: str = "acme/api", ref: str = "main") -> dict[str, Any]:
    """What `id_tokens` of a GitLab job holds."""
    return claims_of(
        issuer,
        jti=str(uuid4()),
        sub=f"project_path:{project}:ref_type:branch:ref:{ref}",
        namespace_id="72",
        namespace_path=project.partition("/")[0],
        project_id="20",
        project_path=project,
        user_id="1",
        user_login="sample",
        pipeline_id="574",
        pipeline_source="push",
        job_id="302",
        ref=ref,
        ref_type="branch",
        ref_protected="true",
        environment_protected="false",
    )


def kubernetes(issuer: str, namespace: str = "prod", account: str = "api") -> dict[str, Any]:
    """A projected token of a service account: its audiences are a list."""
    return claims_of(
        issuer,
        aud=[AUDIENCE],
        jti=str(uuid4()),
        exp=int(time.time()) + 3600,
        sub=f"system:serviceaccount:{namespace}:{account}",
        **{
            "kubernetes.io": {
                "namespace": namespace,
                "node": {"name": "n1", "uid": str(uuid4())},
                "pod": {"name": "api-0", "uid": str(uuid4())},
                "serviceaccount": {"name": account, "uid": str(uuid4())},
            }
        },
    )


def spiffe(issuer: str, path: str = "/ns/prod/sa/api") -> dict[str, Any]:
    """A JWT-SVID as SPIRE makes it."""
    return claims_of(issuer, aud=[AUDIENCE], nbf=None, sub=f"spiffe://example.org{path}")


Page = Callable[[BaseHTTPRequestHandler], None]


def page(document: Any, status: int = 200, **headers: str) -> Page:
    """A page with a document, or with bytes as they are."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        handler.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in ({"Content-Length": str(len(raw))} | named).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(raw)

    return answer


class Server:
    """HTTPS at a free port of the loopback interface. `asked` holds the paths of all requests."""

    def __init__(self, folder: Path) -> None:
        self.ca_file = folder / "ca.pem"
        chain = _certificates(self.ca_file, folder / "server.pem")
        self.pages: dict[str, Page] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.pages.get(self.path, page({}, 404))(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                """Clients that hang up are what is tested."""

        self.http = Quiet(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self.http.socket = context.wrap_socket(
            self.http.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self.http.server_address[1]
        Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def issuer(self, *kinds: str) -> "Issuer":
        return Issuer(self, f"/{uuid4().hex[:8]}", kinds or ("rsa", "ec", "ed25519"))

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class Issuer:
    def __init__(self, server: Server, path: str, kinds: tuple[str, ...]) -> None:
        self.server, self.path = server, path
        self.url = f"https://localhost:{server.port}{path}"
        self.discovery, self.jwks = f"{path}/.well-known/openid-configuration", f"{path}/keys"
        self.publish(*kinds)

    @property
    def setting(self) -> list[str]:
        """FEDERATION_ISSUERS for this issuer alone."""
        return [f"{self.url}|{self.server.ca_file}"]

    @property
    def asked(self) -> list[str]:
        """The requests for its keys so far."""
        return [each for each in self.server.asked if each == self.jwks]

    def publish(self, *kinds: str, keys: Any = None, **discovery: Any) -> None:
        found = {"issuer": self.url, "jwks_uri": f"https://localhost:{self.server.port}{self.jwks}"}
        self.server.pages[self.discovery] = page(found | discovery)
        self.server.pages[self.jwks] = page({"keys": keys or [jwk(kind) for kind in kinds]})

    def go_away(self) -> None:
        for path in (self.discovery, self.jwks):
            self.server.pages[path] = page({}, 503)


def _certificates(ca_file: Path, server_file: Path) -> Path:
    """A CA for nothing but this, and what it says of `localhost`."""
    now, ca_key, own_key = datetime.now(UTC), key("ec-ca"), key("ec-server")
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "CA of the tests")])

    def begin(subject: x509.Name, public: Any) -> x509.CertificateBuilder:
        begun = x509.CertificateBuilder().subject_name(subject).issuer_name(name).public_key(public)
        begun = begun.serial_number(x509.random_serial_number())
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
        begun = begun.add_extension(identifier, critical=False)
        return begun.not_valid_before(now - timedelta(days=400)).not_valid_after(
            now + timedelta(days=4000)
        )

    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    ca = (
        begin(name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False)
        .add_extension(usage, critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    ca_file.write_bytes(ca.public_bytes(PUBLIC))
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    own = (
        begin(x509.Name([]), own_key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    private = own_key.private_bytes(PUBLIC, PRIVATE, serialization.NoEncryption())
    server_file.write_bytes(private + own.public_bytes(PUBLIC))
    return server_file
