"""Envelope encryption: root key → KEK (one per vault and version) → DEK (one per secret version).

The keyring never sees a database. What it needs of a KEK travels in the encryption context.
"""

import hashlib
import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from secrets_app.crypto.aead import KEY_BYTES, generate_key
from secrets_app.crypto.audit_key import AuditKey
from secrets_app.crypto.context import EncryptionContext, WrappedAuditKey, WrappedKek, digest_aad
from secrets_app.crypto.kek import Kek
from secrets_app.crypto.plaintext import Plaintext
from secrets_app.crypto.provider import KeyProvider
from secrets_app.errors import ConfigurationError, OpenError, ProviderError, UnknownRootKey
from secrets_app.metrics import KEK_CACHE_HITS, KEK_CACHE_MISSES

_CACHED_KEKS = 4096

Wrapped = TypeVar("Wrapped", bound=WrappedKek | WrappedAuditKey)


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """How a provider answered. `error` is None when its active key can be used."""

    key_ids: frozenset[str]
    error: ProviderError | None


class Keyring:
    """Seals and opens values. Safe to share between threads.

    `providers`: the first is active, the others only unwrap. `kek_cache_ttl` in seconds; 0 asks the
    provider for every operation. Unwrapped KEKs are cached; DEKs and plaintext never are.
    """

    def __init__(self, providers: Sequence[KeyProvider], *, kek_cache_ttl: float) -> None:
        if not providers:
            raise ConfigurationError("No root key is configured. Set ROOT_KEY_URLS.")
        self._providers = tuple(providers)
        self._kek_cache_ttl = kek_cache_ttl
        self._keks: OrderedDict[bytes, tuple[float, Kek]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def active_root_key_id(self) -> str:
        return self._providers[0].active_key_id

    @property
    def root_key_ids(self) -> tuple[str, ...]:
        """Every root key that opens here, the active one first."""
        known = dict.fromkeys([self.active_root_key_id])
        for provider in self._providers:
            known |= dict.fromkeys([provider.active_key_id, *sorted(provider.key_ids)])
        return tuple(known)

    def health(self) -> list[ProviderHealth]:
        """Ask every provider whether it can work now, the active one first."""
        return [_health(provider) for provider in self._providers]

    def create_kek(self, vault_id: UUID, version: int) -> WrappedKek:
        """Draw a fresh KEK and wrap it under the active root key. Raises ProviderError."""
        return self._wrap(generate_key(), WrappedKek(vault_id, version, "", b""))

    def create_audit_key(self, number: int) -> WrappedAuditKey:
        """Draw a fresh secret for the audit log, wrapped likewise. Raises ProviderError."""
        return self._wrap(generate_key(), WrappedAuditKey(number, "", b""))

    def open_audit_key(self, wrapped: WrappedAuditKey) -> AuditKey:
        """Asks the provider; not cached here. Raises OpenError, ProviderError."""
        return AuditKey(self._unwrap(wrapped))

    def rewrap(self, wrapped: Wrapped) -> Wrapped:
        """Wrap an existing key anew under the active root key. Raises OpenError, ProviderError."""
        return self._wrap(self._unwrap(wrapped), wrapped)

    def check(self, wrapped: Wrapped) -> None:
        """Return when the wrapped key opens, asking the provider. Raises OpenError, ProviderError."""
        self._unwrap(wrapped)

    def prepare(self, kek: WrappedKek) -> None:
        """Ask the provider for a KEK now, so that no lock is held while it answers.

        Raises OpenError, ProviderError. Does nothing when KEKs are not cached.
        """
        if self._kek_cache_ttl > 0:
            self.unwrapped(kek)

    def seal(self, plaintext: Plaintext, context: EncryptionContext) -> bytes:
        """Seal a value under a fresh DEK. Returns envelope bytes. Raises OpenError, ProviderError."""
        return self.unwrapped(context.kek).seal(plaintext, context)

    def open(self, raw: bytes, context: EncryptionContext) -> Plaintext:
        """Open envelope bytes. Raises EnvelopeError, OpenError, ProviderError."""
        return self.unwrapped(context.kek).open(raw, context)

    def seal_digest(self, digest: bytes, kek: WrappedKek, label: bytes) -> bytes:
        """Encrypt a digest of something secret, so that it cannot be guessed from what is stored.

        `label` says what it is of. Raises OpenError, ProviderError.
        """
        return self.unwrapped(kek).seal_digest(digest, digest_aad(label, kek))

    def open_digest(self, box: bytes, kek: WrappedKek, label: bytes) -> bytes:
        """The digest that `seal_digest` took. Raises OpenError, ProviderError."""
        return self.unwrapped(kek).open_digest(box, digest_aad(label, kek))

    def unwrapped(self, kek: WrappedKek) -> Kek:
        """A KEK ready for use, from the cache or from its provider. Raises OpenError, ProviderError."""
        if self._kek_cache_ttl <= 0:
            return Kek(self._unwrap(kek))
        # Keyed by all that makes the KEK what it is: an altered blob or context never hits the cache.
        cache_key = hashlib.sha256(kek.root_key_id.encode() + b"\0" + kek.aad() + kek.blob).digest()
        now = time.monotonic()
        with self._lock:
            cached = self._keks.get(cache_key)
            if cached is not None and cached[0] > now:
                KEK_CACHE_HITS.inc()
                return cached[1]
        KEK_CACHE_MISSES.inc()
        unwrapped = Kek(self._unwrap(kek))
        with self._lock:
            self._keks[cache_key] = (now + self._kek_cache_ttl, unwrapped)
            self._keks.move_to_end(cache_key)
            self._forget_old(now)
        return unwrapped

    def _forget_old(self, now: float) -> None:
        """Drop what has expired, oldest first, and what is too much."""
        while self._keks:
            expires_at, _ = next(iter(self._keks.values()))
            if expires_at > now and len(self._keks) <= _CACHED_KEKS:
                return
            self._keks.popitem(last=False)

    def _wrap(self, key: bytes, place: Wrapped) -> Wrapped:
        """`key` in the place of what `place` holds, bound to the same context."""
        provider = self._providers[0]
        aad = place.aad()
        payload = key if provider.binds_context else key + _binding(aad)
        wrapped = replace(
            place, root_key_id=provider.active_key_id, blob=provider.wrap(payload, aad)
        )
        # What cannot be opened again must not become the only copy of a key.
        if not hmac.compare_digest(self._unwrap(wrapped), key):
            raise ProviderError("The key provider did not give back the key it was given.")
        return wrapped

    def _unwrap(self, wrapped: WrappedKek | WrappedAuditKey) -> bytes:
        provider = self._provider_of(wrapped.root_key_id)
        aad = wrapped.aad()
        payload = provider.unwrap(wrapped.root_key_id, wrapped.blob, aad)
        if provider.binds_context:
            key = payload
        else:
            key, binding = payload[:KEY_BYTES], payload[KEY_BYTES:]
            if not hmac.compare_digest(binding, _binding(aad)):
                raise OpenError
        if len(key) != KEY_BYTES:
            raise OpenError
        return key

    def _provider_of(self, root_key_id: str) -> KeyProvider:
        for provider in self._providers:
            if root_key_id in provider.key_ids:
                return provider
        raise UnknownRootKey(root_key_id)


def _health(provider: KeyProvider) -> ProviderHealth:
    try:
        provider.check_health()
    except ProviderError as error:
        return ProviderHealth(provider.key_ids, error)
    return ProviderHealth(provider.key_ids, None)


def _binding(aad: bytes) -> bytes:
    """What is wrapped along with a KEK where the provider itself cannot bind a context."""
    return hashlib.sha256(aad).digest()
