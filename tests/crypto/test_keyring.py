import threading
from dataclasses import replace
from uuid import UUID

import pytest

from secrets_app.crypto.aead import Cipher, generate_key
from secrets_app.crypto.context import EncryptionContext, WrappedKek
from secrets_app.crypto.envelope import HEADER_BYTES
from secrets_app.crypto.keyring import Keyring
from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import (
    ConfigurationError,
    EnvelopeError,
    OpenError,
    ProviderError,
    ProviderUnavailable,
)
from secrets_app.providers.local import LocalProvider

VAULT = UUID(int=1)


class CountingProvider(LocalProvider):
    """A real provider that counts, and can be switched off."""

    def __init__(self) -> None:
        super().__init__([generate_key()])
        self.unwraps = 0
        self.is_down = False

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        if self.is_down:
            raise ProviderUnavailable
        self.unwraps += 1
        return super().unwrap(key_id, blob, context)


class UnboundProvider(CountingProvider):
    """Wraps whatever it is given, like an HSM's key wrap: it cannot bind a context."""

    binds_context = False

    def wrap(self, key: bytes, context: bytes) -> bytes:
        return super().wrap(key, b"")

    def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
        return super().unwrap(key_id, blob, b"")


def context(kek: WrappedKek, **changes: object) -> EncryptionContext:
    return replace(
        EncryptionContext(VAULT, UUID(int=2), "a/b", 1, "note", kek),
        **changes,  # type: ignore[arg-type]
    )


@pytest.fixture(params=[CountingProvider, UnboundProvider])
def provider(request):
    return request.param()


@pytest.fixture
def ring(provider):
    return Keyring([provider], kek_cache_ttl=60)


def test_what_is_sealed_opens(ring):
    kek = ring.create_kek(VAULT, 1)
    sealed = ring.seal(Plaintext(b"value"), context(kek))
    assert ring.open(sealed, context(kek)).reveal() == b"value"
    assert b"value" not in sealed


def test_sealing_the_same_value_twice_gives_unrelated_bytes(ring):
    kek = ring.create_kek(VAULT, 1)
    one, other = (ring.seal(Plaintext(b"value"), context(kek)) for _ in range(2))
    assert one[1:] != other[1:]
    assert one[1:61] != other[1:61]


@pytest.mark.parametrize(
    "changes",
    [
        {"vault_id": UUID(int=9)},
        {"secret_id": UUID(int=9)},
        {"path": "a/c"},
        {"version": 2},
        {"type": "file"},
    ],
)
def test_nothing_opens_in_another_context(ring, changes):
    kek = ring.create_kek(VAULT, 1)
    sealed = ring.seal(Plaintext(b"value"), context(kek))
    with pytest.raises(OpenError):
        ring.open(sealed, context(kek, **changes))


def test_nothing_opens_under_another_kek(ring):
    sealed = ring.seal(Plaintext(b"value"), context(ring.create_kek(VAULT, 1)))
    with pytest.raises(OpenError):
        ring.open(sealed, context(ring.create_kek(VAULT, 1)))


@pytest.mark.parametrize("change", [{"vault_id": UUID(int=9)}, {"version": 2}])
def test_a_wrapped_kek_opens_for_its_vault_and_version_only(ring, change):
    kek = ring.create_kek(VAULT, 1)
    ring.check(kek)
    with pytest.raises(OpenError):
        ring.check(replace(kek, **change))
    # … not even when the right one is cached.
    ring.prepare(kek)
    with pytest.raises(OpenError):
        ring.seal(Plaintext(b"x"), context(replace(kek, **change)))


def test_rewrapping_moves_the_dek_and_leaves_the_ciphertext(ring):
    old, new = ring.create_kek(VAULT, 1), ring.create_kek(VAULT, 2)
    sealed = ring.seal(Plaintext(b"value"), context(old))
    moved = ring.unwrapped(old).rewrap(sealed, context(old), to=ring.unwrapped(new))
    assert moved[HEADER_BYTES:] == sealed[HEADER_BYTES:]
    assert moved[:HEADER_BYTES] != sealed[:HEADER_BYTES]
    assert ring.open(moved, context(new)).reveal() == b"value"
    with pytest.raises(OpenError):
        ring.open(moved, context(old))


def test_rewrapping_refuses_what_does_not_belong_there(ring):
    old, new = (ring.unwrapped(ring.create_kek(VAULT, n)) for n in (1, 2))
    where = context(ring.create_kek(VAULT, 1))
    sealed = old.seal(Plaintext(b"value"), where)
    old.check(sealed, where)
    for bad, there in ((sealed, replace(where, version=2)), (sealed[:-1] + b"x", where)):
        with pytest.raises(OpenError):
            old.check(bad, there)
    with pytest.raises(OpenError):
        old.rewrap(sealed, replace(where, version=2), to=new)
    with pytest.raises(EnvelopeError):
        old.rewrap(b"", where, to=new)


def test_a_provider_that_garbles_a_key_never_gets_to_wrap_the_only_copy(provider):
    class Garbling(CountingProvider):
        def unwrap(self, key_id: str, blob: bytes, context: bytes) -> bytes:
            return bytes(len(super().unwrap(key_id, blob, context)))

    with pytest.raises((ProviderError, OpenError)):
        Keyring([Garbling()], kek_cache_ttl=60).create_kek(VAULT, 1)
    kek = Keyring([provider], kek_cache_ttl=60).create_kek(VAULT, 1)
    with pytest.raises((ProviderError, OpenError)):
        Keyring([Garbling(), provider], kek_cache_ttl=60).rewrap(kek)


def test_the_health_of_every_provider_is_told_the_active_one_first(provider):
    class Away(CountingProvider):
        def check_health(self) -> None:
            raise ProviderUnavailable

    away = Away()
    active, older = Keyring([away, provider], kek_cache_ttl=60).health()
    assert isinstance(active.error, ProviderUnavailable)
    assert active.key_ids == away.key_ids
    assert older.error is None


def test_a_kek_moves_to_the_active_root_key_and_values_stay(provider):
    old_ring = Keyring([provider], kek_cache_ttl=60)
    kek = old_ring.create_kek(VAULT, 1)
    sealed = old_ring.seal(Plaintext(b"value"), context(kek))
    new_root = CountingProvider()
    moved = Keyring([new_root, provider], kek_cache_ttl=60).rewrap(kek)
    assert moved.root_key_id == new_root.active_key_id
    opened = Keyring([new_root], kek_cache_ttl=60).open(sealed, context(moved))
    assert opened.reveal() == b"value"


def test_keks_are_cached_for_a_bounded_time(provider, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("secrets_app.crypto.keyring.time.monotonic", lambda: now[0])
    ring = Keyring([provider], kek_cache_ttl=60)
    kek = ring.create_kek(VAULT, 1)
    provider.unwraps = 0
    for _ in range(5):
        ring.seal(Plaintext(b"x"), context(kek))
    assert provider.unwraps == 1
    now[0] += 59.9
    ring.seal(Plaintext(b"x"), context(kek))
    assert provider.unwraps == 1
    now[0] += 0.2
    ring.seal(Plaintext(b"x"), context(kek))
    assert provider.unwraps == 2


def test_a_cache_of_zero_seconds_asks_the_provider_each_time(provider):
    ring = Keyring([provider], kek_cache_ttl=0)
    kek = ring.create_kek(VAULT, 1)
    provider.unwraps = 0
    ring.prepare(kek)
    for _ in range(3):
        ring.seal(Plaintext(b"x"), context(kek))
    assert provider.unwraps == 3


def test_a_provider_that_is_down_is_an_error_once_the_cache_has_nothing(provider):
    ring = Keyring([provider], kek_cache_ttl=60)
    kek, other = ring.create_kek(VAULT, 1), ring.create_kek(VAULT, 2)
    sealed = ring.seal(Plaintext(b"value"), context(kek))
    provider.is_down = True
    assert ring.open(sealed, context(kek)).reveal() == b"value"
    with pytest.raises(ProviderUnavailable):
        ring.seal(Plaintext(b"x"), context(other))


def test_a_kek_of_an_unknown_root_key_names_that_key(ring):
    kek = replace(ring.create_kek(VAULT, 1), root_key_id="local:unknown")
    with pytest.raises(ProviderError, match="local:unknown"):
        ring.check(kek)


def test_a_keyring_without_a_provider_is_refused():
    with pytest.raises(ConfigurationError, match="ROOT_KEY_URLS"):
        Keyring([], kek_cache_ttl=60)


def test_many_threads_seal_and_open_at_once(ring):
    keks = [ring.create_kek(UUID(int=n), 1) for n in range(4)]
    failures: list[BaseException] = []

    def work(n: int) -> None:
        try:
            where = context(keks[n % 4], vault_id=UUID(int=n % 4), version=n)
            for _ in range(50):
                value = Plaintext(str(n).encode())
                assert ring.open(ring.seal(value, where), where).reveal() == str(n).encode()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_key_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        Cipher(b"short")


def test_the_key_cannot_be_read_back_from_a_cipher():
    key = generate_key()
    cipher = Cipher(key)
    assert key.hex() not in repr(cipher)
    assert not hasattr(cipher, "__dict__")


@pytest.mark.parametrize("length", range(28))
def test_a_box_too_short_for_nonce_and_tag_is_an_open_error(length):
    with pytest.raises(OpenError):
        Cipher(generate_key()).decrypt(bytes(length), b"")
