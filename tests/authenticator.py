"""An authenticator in software: what a browser and its device answer (WebAuthn Level 3), right or wrong."""

import base64
import hashlib
import json
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2 import cbor

HOST = "testserver"
ORIGIN = f"http://{HOST}"
USER_PRESENT, USER_VERIFIED, HAS_CREDENTIAL = 0x01, 0x04, 0x40


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
    # Whom it was made for, as a page tells it.
    handle: str = ""

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

    def create(self, options: dict[str, Any]) -> str:
        """Register in a page: the JSON that its form sends."""
        asked = options["publicKey"]
        self.handle = asked["user"]["id"]
        made = self.register(asked)
        return self._credential(
            clientDataJSON=made["client_data_json"], attestationObject=made["attestation_object"]
        )

    def get(self, options: dict[str, Any]) -> str:
        """Sign in a page: the JSON that its form sends. It does not count."""
        made = self.sign(options["publicKey"], count=0)
        return self._credential(
            clientDataJSON=made["client_data_json"],
            authenticatorData=made["authenticator_data"],
            signature=made["signature"],
            userHandle=self.handle,
        )

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

    def _credential(self, **response: str) -> str:
        raw_id = encode(self.credential_id)
        return json.dumps(
            {
                "id": raw_id,
                "rawId": raw_id,
                "type": "public-key",
                "response": response,
                "clientExtensionResults": {},
            }
        )
