import threading

import pytest

from secrets_app.crypto.timeout import TimeoutProvider
from secrets_app.errors import OpenError, ProviderUnavailable
from secrets_app.providers.local import LocalProvider


class Gated(LocalProvider):
    """A real provider whose calls can be held up."""

    def __init__(self):
        super().__init__([bytes(range(32))])
        self.open = threading.Event()
        self.open.set()
        self.calls = 0

    def unwrap(self, key_id, blob, context):
        self.calls += 1
        self.open.wait()
        return super().unwrap(key_id, blob, context)


@pytest.fixture
def gated():
    provider = Gated()
    yield provider
    provider.open.set()


def test_it_answers_and_refuses_as_the_provider_does(gated):
    timed = TimeoutProvider(gated, timeout_s=5)
    blob = timed.wrap(b"k" * 32, b"c")
    assert timed.unwrap(timed.active_key_id, blob, b"c") == b"k" * 32
    with pytest.raises(OpenError):
        timed.unwrap(timed.active_key_id, blob, b"d")
    assert timed.check_health() is None
    assert (timed.binds_context, timed.key_ids) == (True, gated.key_ids)


def test_while_it_is_away_one_caller_asks_and_the_others_are_refused_at_once(gated):
    timed = TimeoutProvider(gated, timeout_s=0.2)
    blob = timed.wrap(b"k" * 32, b"c")
    gated.open.clear()
    with pytest.raises(ProviderUnavailable, match="in time"):
        timed.unwrap(timed.active_key_id, blob, b"c")
    assert gated.calls == 1
    refused: list[str] = []

    def ask():
        with pytest.raises(ProviderUnavailable) as caught:
            timed.unwrap(timed.active_key_id, blob, b"c")
        refused.append(str(caught.value))

    threads = [threading.Thread(target=ask) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 30
    # The first call, and one at a time after it: far fewer than there were callers.
    assert gated.calls < 20
    gated.open.set()
    assert timed.unwrap(timed.active_key_id, blob, b"c") == b"k" * 32


def test_calls_that_hang_take_a_bounded_number_of_threads(gated):
    timed = TimeoutProvider(gated, timeout_s=0.05)
    blob = timed.wrap(b"k" * 32, b"c")
    gated.open.clear()
    for _ in range(40):
        with pytest.raises(ProviderUnavailable):
            timed.unwrap(timed.active_key_id, blob, b"c")
    assert gated.calls == 16
    with pytest.raises(ProviderUnavailable, match="do not end"):
        timed.unwrap(timed.active_key_id, blob, b"c")
