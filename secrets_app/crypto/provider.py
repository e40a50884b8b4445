"""The Protocol that a key provider fulfils: it holds root keys and wraps KEKs with them."""

from typing import Protocol


class KeyProvider(Protocol):
    """A place where root keys live (a file, an HSM, a cloud KMS). Knows nothing of vaults or secrets.

    A provider is used from many threads at once. Its errors are those of `errors.py`, with nothing
    secret in them; vendor exceptions are translated inside the provider. How a KEK is bound to its
    vault, how it is cached and which provider is asked does not belong here: that is the keyring's.
    """

    @property
    def binds_context(self) -> bool:
        """Whether `wrap` authenticates its context. If not, the keyring adds the binding."""

    @property
    def active_key_id(self) -> str:
        """The root key that `wrap` uses: a stable name that is safe to store and to show."""

    @property
    def key_ids(self) -> frozenset[str]:
        """Every root key that `unwrap` can use, the active one included."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a key of 32 bytes (or 64, when the keyring adds the binding) under the active key.

        Raises ProviderUnavailable when the provider cannot be reached, ProviderError when it refuses.
        """

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        """Decrypt what `wrap` made under `key_id`.

        Raises OpenError when blob, key and context do not belong together, ProviderUnavailable and
        ProviderError as `wrap` does.
        """

    def check_health(self) -> None:
        """Return when the active key can be used now; raise as `wrap` does otherwise."""
