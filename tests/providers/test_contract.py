"""What every key provider keeps to, tried on the real thing behind each (tests/providers/backends)."""

import base64
import gc
import logging
import threading
import time
from uuid import UUID

import pytest

from secrets_app.crypto.context import EncryptionContext
from secrets_app.crypto.keyring import Keyring
from secrets_app.crypto.plaintext import Plaintext
from secrets_app.errors import CryptoError, OpenError, ProviderError, ProviderUnavailable
from secrets_app.keys import build_provider
from tests.providers.backends.base import provider_of
from tests.providers.conftest import ALL, REMOTE

pytestmark = pytest.mark.usefixtures("_quick")
every = pytest.mark.parametrize("backend", ALL, indirect=True)
remote = pytest.mark.parametrize("backend", REMOTE, indirect=True)

KEY, CONTEXT = bytes(range(32)), b"\0\0\0\x10vaultsite/v1/kek\xff"


def until_it_works(provider):
    """Wait until a provider that was away is back, without doing anything to it but asking."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return provider.check_health()
        except ProviderUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


@every
@pytest.mark.parametrize("length", [32, 64])
def test_what_is_wrapped_unwraps(backend, length):
    provider = provider_of(backend)
    key = bytes(range(length))
    blob = provider.wrap(key, CONTEXT)
    assert provider.unwrap(provider.active_key_id, blob, CONTEXT) == key
    assert key not in blob
    assert provider.wrap(key, CONTEXT) != blob


@every
def test_another_process_unwraps_it_under_the_same_name(backend):
    one, other = provider_of(backend), provider_of(backend)
    assert one.active_key_id == other.active_key_id
    assert one.active_key_id in one.key_ids
    assert other.unwrap(one.active_key_id, one.wrap(KEY, CONTEXT), CONTEXT) == KEY


@every
def test_the_context_is_bound(backend):
    provider = provider_of(backend)
    assert provider.binds_context
    blob = provider.wrap(KEY, CONTEXT)
    for context in (b"another", CONTEXT + b"\0", CONTEXT[:-1], b"x"):
        with pytest.raises(OpenError):
            provider.unwrap(provider.active_key_id, blob, context)


@every
def test_truncated_and_altered_blobs_do_not_open(backend):
    provider = provider_of(backend)
    blob = provider.wrap(KEY, CONTEXT)
    flipped = blob[:-5] + bytes([blob[-5] ^ 1]) + blob[-4:]
    for bad in (b"", blob[:1], blob[: len(blob) // 2], blob[:-1], flipped):
        with pytest.raises(OpenError):
            provider.unwrap(provider.active_key_id, bad, CONTEXT)
    assert provider.unwrap(provider.active_key_id, blob, CONTEXT) == KEY


@every
def test_foreign_blobs_do_not_open(backend):
    provider, other = provider_of(backend), build_provider(backend.other_url)
    assert other.active_key_id != provider.active_key_id
    foreign = other.wrap(KEY, CONTEXT)
    assert other.unwrap(other.active_key_id, foreign, CONTEXT) == KEY
    with pytest.raises(OpenError):
        provider.unwrap(provider.active_key_id, foreign, CONTEXT)
    with pytest.raises(OpenError):
        provider.unwrap(other.active_key_id, foreign, CONTEXT)
    with pytest.raises(OpenError):
        provider.unwrap(provider.active_key_id, b"\xff" * 120, CONTEXT)


@every
def test_it_is_healthy(backend):
    assert provider_of(backend).check_health() is None


@every
def test_many_threads_use_it_at_once(backend):
    provider = provider_of(backend)
    failures: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for turn in range(3):
                key, context = bytes([n, turn]) * 16, str(n).encode()
                blob = provider.wrap(key, context)
                assert provider.unwrap(provider.active_key_id, blob, context) == key
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@every
def test_a_keyring_seals_and_opens_with_it(backend):
    ring = Keyring([provider_of(backend)], kek_cache_ttl=0)
    kek = ring.create_kek(UUID(int=1), 1)
    where = EncryptionContext(UUID(int=1), UUID(int=2), "a/b", 1, "note", kek)
    assert ring.open(ring.seal(Plaintext(b"value"), where), where).reveal() == b"value"


@every
def test_nothing_secret_shows_in_logs_errors_names_or_reprs(backend, caplog):
    hidden = [KEY.hex(), base64.b64encode(KEY).decode(), repr(KEY)[2:-1], *backend.secrets]
    before = [logging.getLogger(name).level for name in ("botocore", "google")]
    shown: list[str] = []
    with caplog.at_level(logging.DEBUG):
        provider = provider_of(backend)
        blob = provider.wrap(KEY, CONTEXT)
        provider.unwrap(provider.active_key_id, blob, CONTEXT)
        for bad in (b"", b"x" * 90):
            with pytest.raises(CryptoError) as caught:
                provider.unwrap(provider.active_key_id, bad, CONTEXT)
            shown += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    shown += [repr(provider), provider.active_key_id, *map(repr, vars(provider).values())]
    shown += [record.getMessage() + repr(record.__dict__) for record in caplog.records]
    for text in shown:
        for secret in hidden:
            assert secret not in text
    for name, level in zip(("botocore", "google"), before, strict=True):
        logging.getLogger(name).setLevel(level)


@remote
def test_one_that_is_down_is_unavailable_and_comes_back_by_itself(backend):
    provider = provider_of(backend)
    blob = provider.wrap(KEY, CONTEXT)
    with backend.down():
        for _ in range(2):
            with pytest.raises(ProviderUnavailable):
                provider.unwrap(provider.active_key_id, blob, CONTEXT)
        with pytest.raises(ProviderUnavailable):
            provider.wrap(KEY, CONTEXT)
        with pytest.raises(ProviderUnavailable):
            provider.check_health()
    until_it_works(provider)
    assert provider.unwrap(provider.active_key_id, blob, CONTEXT) == KEY


@remote
def test_one_that_is_down_at_first_is_built_and_works_later(backend):
    with backend.down():
        provider = provider_of(backend)
        with pytest.raises(ProviderUnavailable):
            provider.check_health()
    until_it_works(provider)
    blob = provider.wrap(KEY, CONTEXT)
    assert provider.unwrap(provider.active_key_id, blob, CONTEXT) == KEY


@remote
def test_one_that_does_not_answer_is_given_up_and_comes_back_by_itself(backend):
    provider = provider_of(backend)
    blob = provider.wrap(KEY, CONTEXT)
    with backend.stalled():
        # Returns at all, though the other side goes on saying nothing.
        with pytest.raises(ProviderUnavailable):
            provider.unwrap(provider.active_key_id, blob, CONTEXT)
        with pytest.raises(ProviderUnavailable):
            provider.check_health()
    until_it_works(provider)
    assert provider.unwrap(provider.active_key_id, blob, CONTEXT) == KEY


@remote
def test_a_disabled_key_is_a_refusal_not_an_outage(backend):
    provider = provider_of(backend)
    blob = provider.wrap(KEY, CONTEXT)
    with backend.disabled():
        for call in (
            lambda: provider.wrap(KEY, CONTEXT),
            lambda: provider.unwrap(provider.active_key_id, blob, CONTEXT),
            provider.check_health,
        ):
            with pytest.raises(ProviderError) as caught:
                call()
            assert not isinstance(caught.value, ProviderUnavailable)
    assert provider.unwrap(provider.active_key_id, blob, CONTEXT) == KEY


@remote
def test_a_provider_that_is_not_used_any_more_is_let_go(backend):
    import weakref

    provider = provider_of(backend)
    provider.check_health()
    gone = weakref.ref(provider)
    del provider
    gc.collect()
    assert gone() is None
