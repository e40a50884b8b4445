"""Define what a key provider must do: hold root keys and wrap KEKs with them."""

from typing import Protocol


class KeyProvider(Protocol):
    """A place for root keys (a file, an HSM, a cloud KMS). It knows nothing of vaults or secrets.

    Many threads use a provider at once. It raises the errors of `errors.py`, with nothing secret in
    them; a provider translates its vendor's exceptions itself. The keyring, not the provider, binds a
    KEK to its vault, caches it and chooses the provider.
    """

    @property
    def binds_context(self) -> bool:
        """Tell whether `wrap` authenticates its context. If not, the keyring adds the binding."""

    @property
    def active_key_id(self) -> str:
        """Return the root key that `wrap` uses: a stable name that is safe to store and show."""

    @property
    def key_ids(self) -> frozenset[str]:
        """Return every root key that `unwrap` can use, the active one included."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Encrypt a key of 32 bytes (or 64, when the keyring adds the binding) under the active key.

        Raises ProviderUnavailable when the provider cannot be reached, ProviderError when it refuses.
        """

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        """Decrypt what `wrap` made under `key_id`.

        Raises OpenError when blob, key and context do not belong together; ProviderUnavailable and
        ProviderError as `wrap` does.
        """

    def check_health(self) -> None:
        """Check that the active key can be used now. Raises as `wrap` does."""
