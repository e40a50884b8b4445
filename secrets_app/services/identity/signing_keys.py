"""Load the Ed25519 keys that sign and verify tokens, from JWT_KEY_FILE."""

import hashlib
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import jwt
from django.core.signals import setting_changed
from jwt.algorithms import OKPAlgorithm
from jwt.utils import base64url_encode
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenBackendError

from secrets_app.conf import app_settings
from secrets_app.crypto.signing import public_key_pem
from secrets_app.errors import ConfigurationError
from secrets_app.reload import ReloadOnChange

MAX_FILE_BYTES = 1024 * 1024
_PEM_BLOCK = re.compile(rb"-----BEGIN (PRIVATE|PUBLIC) KEY-----.+?-----END \1 KEY-----", re.DOTALL)


class KeySet(TokenBackend):
    """Signs with the first key, and verifies with the one that the `kid` header names (RFC 7515, 4.1.4).

    A retired key stays in the file, so that a rotation signs nobody out.
    """

    def __init__(self, blocks: list[bytes], *, issuer: str) -> None:
        super().__init__("EdDSA", signing_key="", issuer=issuer)
        okp: Any = OKPAlgorithm()
        keys = [okp.prepare_key(block) for block in blocks]
        self._public_jwks = [_public_jwk(key) for key in keys]
        self._by_kid = {jwk["kid"]: key for jwk, key in zip(self._public_jwks, keys, strict=True)}
        self._signing_key, self._signing_kid = keys[0], self._public_jwks[0]["kid"]
        # `services.identity.tokens` keeps here what these keys have verified, by the token's digest.
        self.verified: dict[bytes, Any] = {}

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JSON Web Key Set (RFC 7517, 5)."""
        return {"keys": self._public_jwks}

    def public_key(self) -> dict[str, str]:
        """Return the public half of the key that signs, in PEM."""
        public: Any = self._signing_key.public_key()
        return {
            "kid": self._signing_kid,
            "algorithm": "EdDSA",
            "public_key": public_key_pem(public),
        }

    def encode(self, payload: dict[str, Any]) -> str:
        return jwt.encode(
            payload | {"iss": self.issuer},
            self._signing_key,
            algorithm=self.algorithm,
            headers={"kid": self._signing_kid},
        )

    def get_verifying_key(self, token: Any) -> Any:
        try:
            return self._by_kid[jwt.get_unverified_header(token)["kid"]]
        except (KeyError, TypeError, jwt.InvalidTokenError):
            raise TokenBackendError("Token is invalid") from None


_kept: ReloadOnChange[KeySet] = ReloadOnChange("The set of token signing keys")


def key_set() -> KeySet:
    """Return the process's keys. They are loaded again when the file changes.

    Raises ConfigurationError, which says what to do and never shows content.
    """
    path, issuer = app_settings.JWT_KEY_FILE, app_settings.JWT_ISSUER
    return _kept.get(lambda: load_keys(path, issuer), arguments=(path, issuer), files=[path])


def load_keys(path: str, issuer: str) -> KeySet:
    """Load the keys of a file. Raises ConfigurationError as `key_set` does."""
    try:
        with Path(path).open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            blocks = pem_blocks(stream.read(MAX_FILE_BYTES))
    except OSError as error:
        raise ConfigurationError(
            f"The token signing key {path} (JWT_KEY_FILE) cannot be read ({error.strerror})."
            f" Make one with: openssl genpkey -algorithm ed25519 -out {path}"
        ) from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigurationError(
            f"The token signing key {path} is open to other users. Run: chmod 600 {path}"
        )
    if not blocks or b"BEGIN PRIVATE KEY" not in blocks[0]:
        raise ConfigurationError(
            f"{path} (JWT_KEY_FILE) must begin with an Ed25519 private key in PEM."
        )
    try:
        return KeySet(blocks, issuer=issuer)
    except (ValueError, TypeError, jwt.PyJWTError):
        raise ConfigurationError(
            f"{path} (JWT_KEY_FILE) holds a key that is malformed or not an Ed25519 key."
        ) from None


def pem_blocks(raw: bytes) -> list[bytes]:
    """Return the keys in a file's content, in their order. Text in between is ignored."""
    return [match.group(0) for match in _PEM_BLOCK.finditer(raw)]


def _public_jwk(key: Any) -> dict[str, str]:
    """Return the public half of a key. Its `kid` is the thumbprint (RFC 7638, RFC 8037 A.3)."""
    jwk = json.loads(OKPAlgorithm.to_jwk(key))
    if jwk.get("crv") != "Ed25519":
        raise ValueError("not an Ed25519 key")
    required = {name: jwk[name] for name in ("crv", "kty", "x")}
    canonical = json.dumps(required, sort_keys=True, separators=(",", ":")).encode()
    kid = base64url_encode(hashlib.sha256(canonical).digest()).decode()
    return required | {"kid": kid, "use": "sig", "alg": "EdDSA"}


def _forget(*, setting: str, **_: object) -> None:
    if setting == "SECRETS_APP":
        _kept.forget()


setting_changed.connect(_forget, dispatch_uid="secrets_app.services.identity.signing_keys")
