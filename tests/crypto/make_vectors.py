"""Prints `vectors.json` anew. Only for a new format version: existing vectors never change.

python -m tests.crypto.make_vectors > tests/crypto/vectors.json
"""

import json
import sys
from unittest import mock
from uuid import UUID

from secrets_app.crypto import aead
from secrets_app.crypto.context import EncryptionContext, WrappedKek
from secrets_app.crypto.keyring import Keyring
from secrets_app.crypto.plaintext import Plaintext
from secrets_app.providers.local import LocalProvider

ROOT_KEY = bytes(range(32))
KEK, DEK = bytes(range(32, 64)), bytes(range(64, 96))
VAULT, SECRET = UUID(int=1), UUID(int=2)
VALUES = ["", "hunter2", "née\r\n\0🔑"]


def main() -> None:
    nonces = iter(bytes([n]) * 12 for n in range(1, 100))
    vectors = []
    with mock.patch.object(aead.os, "urandom", lambda _: next(nonces)):  # noqa: PT008
        for number, value in enumerate(VALUES, start=1):
            ring = Keyring([LocalProvider([ROOT_KEY])], kek_cache_ttl=0)
            with mock.patch("secrets_app.crypto.keyring.generate_key", return_value=KEK):
                kek = ring.create_kek(VAULT, 1)
            context = EncryptionContext(VAULT, SECRET, "api-keys/openai", number, "api_key", kek)
            with mock.patch("secrets_app.crypto.keyring.generate_key", return_value=DEK):
                envelope = ring.seal(Plaintext(value.encode()), context)
            vectors.append(
                {
                    "root_key": ROOT_KEY.hex(),
                    "root_key_id": kek.root_key_id,
                    "wrapped_kek": kek.blob.hex(),
                    "kek_version": kek.version,
                    "vault_id": str(VAULT),
                    "secret_id": str(SECRET),
                    "path": context.path,
                    "version": number,
                    "type": context.type,
                    "value": value,
                    "value_aad": context.value_aad().hex(),
                    "envelope": envelope.hex(),
                }
            )
    json.dump(vectors, sys.stdout, indent=1)
    sys.stdout.write("\n")


def context_of(vector: dict[str, object]) -> EncryptionContext:
    """The context a vector was sealed in."""
    vault_id = UUID(str(vector["vault_id"]))
    kek = WrappedKek(
        vault_id,
        int(str(vector["kek_version"])),
        str(vector["root_key_id"]),
        bytes.fromhex(str(vector["wrapped_kek"])),
    )
    return EncryptionContext(
        vault_id,
        UUID(str(vector["secret_id"])),
        str(vector["path"]),
        int(str(vector["version"])),
        str(vector["type"]),
        kek,
    )


if __name__ == "__main__":
    main()
