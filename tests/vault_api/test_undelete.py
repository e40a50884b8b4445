"""Disabled and deleted mean one thing, whichever door says it (ADR 48): who may bring a version back over
/v1 may do so here, and nobody else."""

import pytest

from tests.cast import allow, body, deny, secret_url

RIGHTS = [(), ("read", "delete", "rotate"), ("write",)]


def over_v1(vault, action):
    return f"/v1/vaults/{vault.pk}/secret-{action}/a"


@pytest.mark.parametrize("denied", [(), ("write",)])
@pytest.mark.parametrize("granted", RIGHTS)
def test_what_the_owner_disabled_comes_back_by_whom_may_enable_it_over_v1(
    granted, denied, alice, bob, vault, door
):
    alice.api.put(secret_url(vault, "a"), body())
    if granted:
        allow(bob, vault, "**", *granted)
    if denied:
        deny(bob, vault, "a", *denied)
    alice.api.post(over_v1(vault, "version-disable") + "/1")
    here = door(bob)("PUT", f"{vault.pk}/undelete/a", {"versions": [1]}).status_code
    came_back = alice.api.get(secret_url(vault, "a")).status_code == 200
    alice.api.post(over_v1(vault, "version-disable") + "/1")
    there = bob.api.post(over_v1(vault, "version-enable") + "/1").status_code
    assert (here, there) in ((204, 204), (403, 403))
    assert came_back is (here == 204)


@pytest.mark.parametrize("granted", RIGHTS)
def test_what_the_owner_deleted_comes_back_by_whom_may_undelete_it_over_v1(
    granted, alice, bob, vault, door
):
    alice.api.put(secret_url(vault, "a"), body())
    if granted:
        allow(bob, vault, "**", *granted)
    alice.api.delete(secret_url(vault, "a"))
    here = door(bob)("PUT", f"{vault.pk}/undelete/a", {"versions": [1]}).status_code
    came_back = alice.api.get(secret_url(vault, "a")).status_code == 200
    alice.api.delete(secret_url(vault, "a"))
    there = bob.api.post(over_v1(vault, "undelete")).status_code
    assert (here, there) in ((204, 200), (403, 403))
    assert came_back is (here == 204)


def test_what_was_destroyed_does_not_come_back(alice, vault, door):
    """For what must stay away: `destroy`, or a purge, both the owner's."""
    mine = door(alice)
    mine.put("team/a", {"n": 1})
    mine("PUT", "team/destroy/a", {"versions": [1]})
    assert mine("PUT", "team/undelete/a", {"versions": [1]}).status_code == 204
    assert mine.data("team/a") == 404
    assert alice.api.post(over_v1(vault, "version-enable") + "/1").status_code == 410
