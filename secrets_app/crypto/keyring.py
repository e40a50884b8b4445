"""Encrypt with envelopes: root key → KEK (one per vault and version) → DEK (one per secret version).

The keyring never sees a database. The encryption context brings what it needs of a KEK.
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
    """A provider's answer. `error` is None when its active key works."""

    key_ids: frozenset[str]
    error: ProviderError | None


class Keyring:
    """Seals and opens values. Safe to share between threads.

    The first of `providers` is active, the others only unwrap. `kek_cache_ttl` is in seconds; with 0 the
    provider is asked for every operation. Unwrapped KEKs are cached, DEKs and plaintext never.
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
        """Return the ids of all usable root keys, the active one first."""
        known = dict.fromkeys([self.active_root_key_id])
        for provider in self._providers:
            known |= dict.fromkeys([provider.active_key_id, *sorted(provider.key_ids)])
        return tuple(known)

    def health(self) -> list[ProviderHealth]:
        """Ask every provider whether it works now, the active one first."""
        return [_health(provider) for provider in self._providers]

    def create_kek(self, vault_id: UUID, version: int) -> WrappedKek:
        """Generate a KEK and wrap it under the active root key. Raises ProviderError."""
        return self._wrap(generate_key(), WrappedKek(vault_id, version, "", b""))

    def create_audit_key(self, number: int) -> WrappedAuditKey:
        """Generate the secret of an audit log and wrap it likewise. Raises ProviderError."""
        return self._wrap(generate_key(), WrappedAuditKey(number, "", b""))

    def open_audit_key(self, wrapped: WrappedAuditKey) -> AuditKey:
        """Unwrap the secret of an audit log. It is not cached here. Raises OpenError, ProviderError."""
        return AuditKey(self._unwrap(wrapped))

    def rewrap(self, wrapped: Wrapped) -> Wrapped:
        """Wrap an existing key again, under the active root key. Raises OpenError, ProviderError."""
        return self._wrap(self._unwrap(wrapped), wrapped)

    def check(self, wrapped: Wrapped) -> None:
        """Check with the provider that a wrapped key opens. Raises OpenError, ProviderError."""
        self._unwrap(wrapped)

    def prepare(self, kek: WrappedKek) -> None:
        """Unwrap a KEK into the cache now, so that no lock is held later while the provider answers.

        Raises OpenError, ProviderError. Does nothing when KEKs are not cached.
        """
        if self._kek_cache_ttl > 0:
            self.unwrapped(kek)

    def seal(self, plaintext: Plaintext, context: EncryptionContext) -> bytes:
        """Encrypt a value under a new DEK. Returns envelope bytes. Raises OpenError, ProviderError."""
        return self.unwrapped(context.kek).seal(plaintext, context)

    def open(self, raw: bytes, context: EncryptionContext) -> Plaintext:
        """Decrypt envelope bytes. Raises EnvelopeError, OpenError, ProviderError."""
        return self.unwrapped(context.kek).open(raw, context)

    def seal_digest(self, digest: bytes, kek: WrappedKek, label: bytes) -> bytes:
        """Encrypt a digest of something secret, so that stored bytes do not help to guess it.

        `label` says what kind of digest it is. Raises OpenError, ProviderError.
        """
        return self.unwrapped(kek).seal_digest(digest, digest_aad(label, kek))

    def open_digest(self, box: bytes, kek: WrappedKek, label: bytes) -> bytes:
        """Decrypt what `seal_digest` returned. Raises OpenError, ProviderError."""
        return self.unwrapped(kek).open_digest(box, digest_aad(label, kek))

    def unwrapped(self, kek: WrappedKek) -> Kek:
        """Return a KEK ready for use, from the cache or its provider. Raises OpenError, ProviderError."""
        if self._kek_cache_ttl <= 0:
            return Kek(self._unwrap(kek))
        # The cache key covers all of the wrapped KEK: an altered blob or context never hits the cache.
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
            self._evict(now)
        return unwrapped

    def _evict(self, now: float) -> None:
        """Drop expired KEKs, and the oldest while there are too many."""
        while self._keks:
            expires_at, _ = next(iter(self._keks.values()))
            if expires_at > now and len(self._keks) <= _CACHED_KEKS:
                return
            self._keks.popitem(last=False)

    def _wrap(self, key: bytes, place: Wrapped) -> Wrapped:
        """Wrap `key` under the active root key, bound to the context of `place`."""
        provider = self._providers[0]
        aad = place.aad()
        payload = key if provider.binds_context else key + _binding(aad)
        wrapped = replace(
            place, root_key_id=provider.active_key_id, blob=provider.wrap(payload, aad)
        )
        # A wrapping that does not open must not become the only copy of a key.
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
    """Return what to wrap along with a key if the provider cannot bind a context itself."""
    return hashlib.sha256(aad).digest()
