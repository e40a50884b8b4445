"""What people have besides a password, in tests: an authenticator app, and an authenticator in software."""

import base64
import hashlib
import hmac
import json
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.utils import timezone
from fido2 import cbor

from tests.cast import PASSWORD, Api

HOST = "testserver"
ORIGIN = f"http://{HOST}"
USER_PRESENT, USER_VERIFIED, HAS_CREDENTIAL = 0x01, 0x04, 0x40


def code_of(secret: str, *, steps: int = 0) -> str:
    """The code of now, or of so many steps later (RFC 6238, RFC 4226 5.3)."""
    counter = int(timezone.now().timestamp()) // 30 + steps
    key = base64.b32decode(secret)
    digest = hmac.digest(key, struct.pack(">Q", counter), hashlib.sha1)
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def wrong_code_of(secret: str) -> str:
    """A code that is none of now, whatever the clock does meanwhile."""
    near = {code_of(secret, steps=n) for n in range(-4, 5)}
    return next(f"{n:06}" for n in range(100_000, 1_000_000) if f"{n:06}" not in near)


def with_password(name: str = "alice", password: str = PASSWORD, **extra: Any) -> Any:
    sent = {"email": f"{name}@example.com", "password": password}
    return Api().post("/v1/auth/token", sent, **extra)


def signed_in(name: str = "alice") -> Api:
    """A person in a session that began with a password."""
    return Api(with_password(name).json()["access_token"])


def asked(name: str = "alice") -> str:
    """The token of a right password, for who has a second factor."""
    token: str = with_password(name).json()["mfa_token"]
    return token


def verify(mfa_token: str, code: str, **extra: Any) -> Any:
    return Api().post("/v1/auth/mfa/verify", {"mfa_token": mfa_token, "code": code}, **extra)


@dataclass
class App:
    """An authenticator app that is set up, and the recovery codes that came with it."""

    secret: str
    recovery_codes: list[str]
    api: Api

    def code(self, steps: int = 0) -> str:
        return code_of(self.secret, steps=steps)


def set_up(name: str = "alice") -> App:
    """Set an app up over the API. Its code of now is used up."""
    api = signed_in(name)
    secret = api.post("/v1/auth/mfa/setup").json()["secret"]
    answer = api.post("/v1/auth/mfa/verify-setup", {"code": code_of(secret)})
    assert answer.status_code == 200, answer.content
    return App(secret, answer.json()["recovery_codes"], api)


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Authenticator:
    """Makes and uses one passkey (WebAuthn Level 3, 6), honestly unless told otherwise."""

    origin: str = ORIGIN
    rp_id: str = HOST
    flags: int = USER_PRESENT | USER_VERIFIED
    counter: int = 0
    credential_id: bytes = field(default_factory=lambda: hashlib.sha256(b"a passkey").digest())
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def register(self, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """What a browser sends after `navigator.credentials.create`. `changes` are lies."""
        attested = b"\0" * 16 + struct.pack(">H", len(self.credential_id)) + self.credential_id
        attested += changes.pop("public_key", None) or cbor.encode(self.public_key())
        data = self._data(HAS_CREDENTIAL) + attested
        attestation = {"fmt": changes.pop("fmt", "none"), "attStmt": {}, "authData": data}
        return {
            "credential_id": encode(self.credential_id),
            "attestation_object": encode(cbor.encode(attestation)),
            "client_data_json": self._client_data("webauthn.create", options),
        } | changes

    def sign(self, options: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """What a browser sends after `navigator.credentials.get`."""
        self.counter += changes.pop("count", 1)
        data, client_data = self._data(), self._client_data("webauthn.get", options)
        signed = data + hashlib.sha256(decode(client_data)).digest()
        return {
            "credential_id": encode(self.credential_id),
            "authenticator_data": encode(data),
            "client_data_json": client_data,
            "signature": encode(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
        } | changes

    def public_key(self) -> dict[int, Any]:
        """As COSE has it (RFC 9053, 7.1)."""
        point = self.key.public_key().public_numbers()
        x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
        return {1: 2, 3: -7, -1: 1, -2: x, -3: y}

    def _data(self, flags: int = 0) -> bytes:
        rp = hashlib.sha256(self.rp_id.encode()).digest()
        return rp + struct.pack(">BI", self.flags | flags, self.counter)

    def _client_data(self, kind: str, options: dict[str, Any]) -> str:
        told = {"type": kind, "challenge": options["challenge"], "origin": self.origin}
        return encode(json.dumps(told).encode())


def begin(api: Api) -> dict[str, Any]:
    answer = api.post("/v1/auth/passkeys/register/begin")
    assert answer.status_code == 200, answer.content
    options: dict[str, Any] = answer.json()
    return options


def complete(api: Api, response: dict[str, Any]) -> Any:
    return api.post("/v1/auth/passkeys/register/complete", response)


def register(api: Api, authenticator: Authenticator, **more: Any) -> Any:
    return complete(api, authenticator.register(begin(api)) | more)


def challenge() -> dict[str, Any]:
    options: dict[str, Any] = Api().post("/v1/auth/passkeys/assert/begin", {}).json()
    return options


def assert_with(response: dict[str, Any]) -> Any:
    return Api().post("/v1/auth/passkeys/assert/complete", response)


def sign_in_with(authenticator: Authenticator, **changes: Any) -> Any:
    return assert_with(authenticator.sign(challenge(), **changes))
