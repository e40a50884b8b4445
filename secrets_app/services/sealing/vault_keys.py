"""Generate vault keys, and provide the one that seals."""

from uuid import UUID

from secrets_app.errors import CryptoError
from secrets_app.keys import keyring
from secrets_app.models import VaultKey


def generate_vault_key(*, vault_id: UUID, version: int) -> VaultKey:
    """Generate and wrap a KEK, without saving it: no lock may be held while a key provider answers.

    Raises ProviderError.
    """
    kek = keyring().create_kek(vault_id, version)
    return VaultKey(
        vault_id=vault_id, version=version, root_key_id=kek.root_key_id, wrapped=kek.blob
    )


def active_vault_key(*, vault_id: UUID) -> VaultKey:
    """Return the key that seals new versions, unwrapped into the keyring's cache.

    To be called before a transaction begins, so that no lock is held while a key provider answers.
    Raises OpenError, ProviderError.
    """
    key = VaultKey.objects.filter(vault_id=vault_id, state=VaultKey.State.ACTIVE).first()
    return prepare_vault_key(key)


def prepare_vault_key(key: VaultKey | None) -> VaultKey:
    """Unwrap an active key that was read already, and return it. Raises as `active_vault_key`."""
    if key is None:
        raise CryptoError("The vault has no active key.")
    keyring().prepare(key.wrapped_key())
    return key


def seal_digest(key: VaultKey, digest: bytes, label: bytes) -> bytes:
    """Encrypt the digest of something secret under a vault's key. Raises OpenError, ProviderError."""
    return keyring().seal_digest(digest, key.wrapped_key(), label)


def open_digest(key: VaultKey, box: bytes, label: bytes) -> bytes:
    """Decrypt what `seal_digest` returned. Raises OpenError, ProviderError."""
    return keyring().open_digest(box, key.wrapped_key(), label)
