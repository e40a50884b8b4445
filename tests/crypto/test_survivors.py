"""What mutation testing found untested (docs/mutation.md)."""

import threading
import time
from contextlib import nullcontext
from uuid import UUID

import pytest

from secrets_app.crypto import envelope, keyring
from secrets_app.crypto.audit_key import AuditKey
from secrets_app.crypto.context import WrappedAuditKey, digest_aad
from secrets_app.crypto.envelope import HEADER_BYTES, Envelope
from secrets_app.crypto.keyring import Keyring
from secrets_app.crypto.plaintext import Plaintext
from secrets_app.crypto.signing import generate_signing_key_pem
from secrets_app.crypto.timeout import TimeoutProvider
from secrets_app.errors import EnvelopeError, OpenError, ProviderError, ProviderUnavailable
from tests.crypto.test_keyring import CountingProvider, context


def test_the_length_of_an_envelope_is_bounded_to_the_byte(monkeypatch):
    shortest = b"\x01" + bytes(HEADER_BYTES - 1 + 28)
    assert Envelope.from_bytes(shortest).box == bytes(28)
    monkeypatch.setattr(envelope, "MAX_ENVELOPE_BYTES", len(shortest) + 1)
    assert Envelope.from_bytes(shortest + b"x").box == bytes(28) + b"x"
    for wrong in (shortest[:-1], shortest + b"xx"):
        with pytest.raises(EnvelopeError):
            Envelope.from_bytes(wrong)


def test_the_keys_of_the_audit_log_stay_what_they_are():
    """Other labels would make every stored MAC and seal void. RFC 5869 and RFC 8032, worked out apart."""
    key = AuditKey(bytes(range(32)))
    assert key.public_key.hex() == (
        "5b9394953940df6cdf60036ef2a0970a27e4051da746a99744e839e013acc334"
    )
    wrapped = WrappedAuditKey(1, "local:x", b"")
    label = b"vaultsite/v1/audit-key"
    assert wrapped.aad() == b"\0\0\0\x16" + label + b"\0\0\0\x08" + (1).to_bytes(8, "big")


def test_a_digest_opens_in_its_own_context_only():
    ring = Keyring([CountingProvider()], kek_cache_ttl=60)
    kek = ring.create_kek(UUID(int=1), 1)
    other = ring.create_kek(UUID(int=2), 1)
    box = ring.seal_digest(b"digest", kek, b"what")
    assert ring.open_digest(box, kek, b"what") == b"digest"
    for wrong_kek, label in ((kek, b"else"), (other, b"what")):
        with pytest.raises(OpenError):
            ring.open_digest(box, wrong_kek, label)
    assert digest_aad(b"what", kek) == (
        b"\0\0\0\x13vaultsite/v1/digest\0\0\0\x04what\0\0\0\x10"
        + UUID(int=1).bytes
        + b"\0\0\0\x08"
        + (1).to_bytes(8, "big")
    )


@pytest.mark.parametrize("ttl", [0.5, 1])
def test_a_cache_of_a_second_or_less_is_one(ttl):
    provider = CountingProvider()
    ring = Keyring([provider], kek_cache_ttl=ttl)
    kek = ring.create_kek(UUID(int=1), 1)
    before = provider.unwraps
    assert ring.unwrapped(kek) is ring.unwrapped(kek)
    assert provider.unwraps == before + 1


def test_without_a_cache_no_unwrapped_key_stays():
    ring = Keyring([CountingProvider()], kek_cache_ttl=0)
    kek = ring.create_kek(UUID(int=1), 1)
    ring.open(ring.seal(Plaintext(b"x"), context(kek)), context(kek))
    assert not ring._keks


def test_a_full_cache_drops_the_oldest_key(monkeypatch):
    monkeypatch.setattr(keyring, "_CACHED_KEKS", 2)
    provider = CountingProvider()
    ring = Keyring([provider], kek_cache_ttl=60)
    keks = [ring.create_kek(UUID(int=n), 1) for n in range(3)]
    for kek in keks:
        ring.prepare(kek)
    assert len(ring._keks) == 2
    provider.unwraps = 0
    ring.prepare(keks[2])
    ring.prepare(keks[1])
    assert provider.unwraps == 0
    ring.prepare(keks[0])
    assert provider.unwraps == 1


def test_health_names_the_keys_of_a_provider():
    provider = CountingProvider()
    (health,) = Keyring([provider], kek_cache_ttl=0).health()
    assert (health.key_ids, health.error) == (provider.key_ids, None)


def test_a_signing_key_is_pkcs8_without_a_password():
    pem = generate_signing_key_pem()
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----")


class Hanging:
    """Hangs while `gate` is shut."""

    binds_context = True
    active_key_id = "x"
    key_ids = frozenset({"x"})

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.asked = 0
        self.answer: Exception | None = None

    def check_health(self) -> None:
        self.asked += 1
        self.gate.wait(10)
        if self.answer is not None:
            raise self.answer


def test_while_a_provider_is_away_one_caller_asks_and_the_others_are_refused_at_once():
    provider = Hanging()
    timed = TimeoutProvider(provider, timeout_s=0.5)
    with pytest.raises(ProviderUnavailable):
        timed.check_health()
    # One of these waits for its time to end; nobody else does.
    took = []

    def ask():
        began = time.monotonic()
        with pytest.raises(ProviderUnavailable):
            timed.check_health()
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert provider.asked == 2
    assert len([each for each in took if each < 0.4]) == 5
    # A no is an answer, and so is a yes: the next ones ask side by side again.
    for answer in (ProviderError("no"), None):
        provider.answer = answer
        provider.gate.set()
        with pytest.raises(ProviderError) if answer else nullcontext():
            timed.check_health()
        assert timed._is_away is False


def test_a_provider_is_asked_side_by_side_while_it_answers():
    provider = Hanging()
    timed = TimeoutProvider(provider, timeout_s=5)
    threads = [threading.Thread(target=timed.check_health) for _ in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 3
    while provider.asked < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert provider.asked == 4
    # What hangs does not keep the process from ending.
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "key-provider")
    provider.gate.set()
    for thread in threads:
        thread.join()
