"""The bounds of bodies, with a sender that is a coroutine. tests/e2e/test_slow_clients.py has real ones."""

import asyncio

import pytest

from vaultsite.server.bodies import FREE_BYTES, Bodies, Gone
from vaultsite.server.headers import Refused


def sender(*parts, more=False):
    left = list(parts)

    async def receive():
        if not left:
            await asyncio.sleep(3600)
        part = left.pop(0)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": more or bool(left)}

    return receive


def read(bodies, receive, length=None):
    return asyncio.run(bodies.read(receive, length))


def test_a_body_of_parts_is_put_together_and_ends_where_it_is_said_to():
    bodies = Bodies(longest=100)
    assert read(bodies, sender(b"ab", b"", b"c")) == b"abc"
    assert read(bodies, sender(b"ab", b"c", more=True), 3) == b"abc"


def test_a_body_is_cut_after_the_longest():
    assert len(read(Bodies(longest=10), sender(b"x" * 8, b"x" * 8, more=True))) == 16


def test_who_goes_away_is_gone():
    with pytest.raises(Gone):
        read(Bodies(longest=10), sender(b"x", None))


def test_the_budget_is_for_all_and_comes_back_small_bodies_are_free():
    big = FREE_BYTES + 60
    bodies = Bodies(longest=2 * big, budget=100)
    first = read(bodies, sender(b"x" * big))
    for _ in range(3):
        with pytest.raises(Refused) as refused:
            read(bodies, sender(b"x" * big))
        assert refused.value.status == 503
        assert len(read(bodies, sender(b"x" * FREE_BYTES))) == FREE_BYTES
    bodies.give_back(len(first))
    assert read(bodies, sender(b"x" * big))


def test_a_slow_body_is_refused_and_holds_nothing_any_longer(monkeypatch):
    monkeypatch.setattr("vaultsite.server.bodies.GRACE_S", 0.05)
    bodies = Bodies(longest=4 * FREE_BYTES, budget=2 * FREE_BYTES)
    for _ in range(3):
        with pytest.raises(Refused) as refused:
            read(bodies, sender(b"x" * 1000, more=True))
        assert refused.value.status == 408
    assert read(bodies, sender(b"x" * 3 * FREE_BYTES))


def test_one_address_gets_a_part_of_the_budget():
    """So that a few connections of a stranger do not keep the bodies of others out."""
    size = 10 * FREE_BYTES
    bodies = Bodies(longest=size, budget=4 * size)
    assert len(asyncio.run(bodies.read(sender(b"x" * size), None, address="192.0.2.1"))) == size
    with pytest.raises(Refused) as refused:
        asyncio.run(bodies.read(sender(b"x" * size), None, address="192.0.2.1"))
    assert refused.value.status == 503
    assert len(asyncio.run(bodies.read(sender(b"y" * size), None, address="192.0.2.2"))) == size
    bodies.give_back(size, "192.0.2.1")
    assert len(asyncio.run(bodies.read(sender(b"x" * size), None, address="192.0.2.1"))) == size


def test_a_body_that_the_server_cannot_frame_is_refused():
    async def receive():
        raise RuntimeError("a broken chunk")

    with pytest.raises(Refused) as refused:
        read(Bodies(longest=10), receive)
    assert refused.value.status == 400
