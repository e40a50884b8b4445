"""A passkey in software: what a browser and its device would answer, right or wrong."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

ORIGIN = "http://testserver"


@dataclass
class Passkey:
    """`origin`, `rp_id`, `is_verified` and `counter` are what it claims."""

    origin: str = ORIGIN
    rp_id: str = "testserver"
    is_verified: bool = True
    counter: int = 0
    handle: bytes = b""
    credential_id: bytes = b"id of a passkey!"
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, options: dict[str, Any]) -> str:
        asked = options["publicKey"]
        self.handle = websafe_decode(asked["user"]["id"])
        public = ES256.from_cryptography_key(self.key.public_key())
        made = AttestedCredentialData.create(Aaguid.NONE, self.credential_id, public)
        data = self._data(AuthenticatorData.FLAG.AT, made)
        attestation = AttestationObject.create("none", data, {})
        client = self._client("webauthn.create", asked["challenge"])
        return self._credential({"attestationObject": attestation}, client)

    def get(self, options: dict[str, Any]) -> str:
        client = self._client("webauthn.get", options["publicKey"]["challenge"])
        data = self._data()
        signature = self.key.sign(data + client.hash, ec.ECDSA(SHA256()))
        answer = {"authenticatorData": data, "signature": signature, "userHandle": self.handle}
        return self._credential(answer, client)

    def _data(self, flags: int = 0, made: Any = b"") -> AuthenticatorData:
        flags |= AuthenticatorData.FLAG.UP
        if self.is_verified:
            flags |= AuthenticatorData.FLAG.UV
        rp_hash = sha256(self.rp_id.encode()).digest()
        return AuthenticatorData.create(rp_hash, flags, self.counter, made)

    def _client(self, kind: str, challenge: str) -> CollectedClientData:
        return CollectedClientData.create(kind, challenge, self.origin)

    def _credential(self, response: dict[str, bytes], client: CollectedClientData) -> str:
        encoded = {name: websafe_encode(each) for name, each in response.items()}
        raw_id = websafe_encode(self.credential_id)
        return json.dumps(
            {
                "id": raw_id,
                "rawId": raw_id,
                "type": "public-key",
                "response": encoded | {"clientDataJSON": websafe_encode(client)},
                "clientExtensionResults": {},
            }
        )
