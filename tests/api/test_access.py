from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from secrets_app.models import AuditEvent, Principal
from tests.cast import allow, deny


def explain(api, vault, path="a/b", permission="read", **query):
    query = {"path": path, "permission": permission} | query
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return api.get(f"/v1/vaults/{vault.id}/access?{text}")


def test_the_owner_learns_why_anybody_may_or_may_not(alice, bob, vault):
    about = {"principal_id": bob.principal.id}
    answer = explain(alice.api, vault, **about).json()
    assert answer == {
        "principal_id": str(bob.principal.id),
        "path": "a/b",
        "permission": "read",
        "allowed": False,
        "reason": "no_policy_matches",
        "policies": [],
    }
    first = allow(bob, vault, "a/*", "read")
    answer = explain(alice.api, vault, **about).json()
    assert (answer["allowed"], answer["policies"]) == (True, [str(first.id)])
    second = deny(bob, vault, "**", "read")
    answer = explain(alice.api, vault, **about).json()
    assert (answer["reason"], answer["policies"]) == ("denied_by_policy", [str(second.id)])
    assert explain(alice.api, vault).json()["reason"] == "owner"
    assert AuditEvent.objects.filter(action="access.explain").count() == 4


def test_everybody_learns_about_itself_and_nobody_about_others(alice, bob, charlie, vault):
    allow(bob, vault, "a/*", "read")
    assert explain(bob.api, vault).json()["allowed"] is True
    assert explain(charlie.api, vault).json()["reason"] == "no_policy_matches"
    for who in (bob, charlie):
        response = explain(who.api, vault, principal_id=alice.principal.id)
        assert response.status_code == 403
        event = AuditEvent.objects.latest("id")
        assert (event.action, event.outcome) == ("access.explain", "denied")


def test_conditions_are_judged_from_the_callers_own_address(alice, bob, vault):
    allow(bob, vault, "**", "read", conditions={"ip_allowlist": ["127.0.0.0/8"]})
    assert explain(bob.api, vault).json()["allowed"] is True
    # Bob's address is not known to the owner, so the condition does not count as held.
    about = {"principal_id": bob.principal.id}
    assert explain(alice.api, vault, **about).json()["allowed"] is False


def test_what_expires_is_judged_at_this_moment(alice, bob, vault, time_machine):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    about = {"principal_id": bob.principal.id}
    policy = allow(bob, vault, "**", "read", expires_at=now)
    assert explain(alice.api, vault, **about).json()["reason"] == "no_policy_matches"
    soon = now + timedelta(microseconds=1)
    policy.expires_at = soon
    policy.save()
    Principal.objects.filter(pk=bob.principal.pk).update(expires_at=soon)
    assert explain(alice.api, vault, **about).json()["allowed"] is True
    Principal.objects.filter(pk=bob.principal.pk).update(expires_at=now)
    assert explain(alice.api, vault, **about).json()["reason"] == "inactive_principal"


def test_an_inactive_principal_may_do_nothing(alice, bob, vault):
    allow(bob, vault, "**", "read")
    Principal.objects.filter(pk=bob.principal.pk).update(is_active=False)
    answer = explain(alice.api, vault, principal_id=bob.principal.id).json()
    assert (answer["allowed"], answer["reason"]) == (False, "inactive_principal")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"path": "a..b"}, "path"),
        ({"path": ""}, "path"),
        ({"permission": "own"}, "permission"),
        ({"principal_id": "x"}, "principal_id"),
        ({"principal_id": uuid4()}, "principal_id"),
        ({"who": "me"}, "who"),
    ],
)
def test_a_bad_question_is_400_and_named(alice, vault, query, field):
    response = explain(alice.api, vault, **query)
    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
