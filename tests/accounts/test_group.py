import json
from io import StringIO

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from secrets_app.models import AuditEvent
from tests.cast import body, secret_url


def group(*arguments):
    out = StringIO()
    call_command("group", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_members_of_a_group_have_its_policies_from_the_next_request_on(alice, bob, vault):
    alice.api.put(secret_url(vault), body())
    assert group("team") == {"name": "team", "members": []}
    # Whoever writes a policy for a group is in it.
    assert group("team", "--add", "alice@example.com")["members"] == ["alice@example.com"]
    policy = {
        "secret_path_pattern": "**",
        "principal_type": "group",
        "principal_id": "team",
        "permissions": ["read"],
    }
    assert alice.api.post(f"/v1/vaults/{vault.id}/policies", policy).status_code == 201
    assert bob.api.get(secret_url(vault)).status_code == 403
    assert group("team", "--add", "BOB@example.com")["members"] == [
        "alice@example.com",
        "bob@example.com",
    ]
    assert bob.api.get(secret_url(vault)).status_code == 200
    assert group("team", "--remove", "bob@example.com")["members"] == ["alice@example.com"]
    assert bob.api.get(secret_url(vault)).status_code == 403
    events = AuditEvent.objects.filter(resource_id=bob.principal.id, actor_type="operator")
    assert {"group.add", "group.remove"} <= set(events.values_list("action", flat=True))


def test_an_unknown_person_or_a_bad_name_changes_nothing(alice):
    with pytest.raises(CommandError, match="no such person"):
        group("team", "--add", "alice@example.com", "--add", "nobody@example.com")
    for name in ("", "a\nb", "x" * 151):
        with pytest.raises(CommandError, match="150"):
            group(name)
    assert not Group.objects.exists()


def test_a_group_of_auditors_sees_every_event_until_it_is_withdrawn(alice, bob, vault):
    permission = "secrets_app.view_auditevent"

    def seen():
        return bob.api.get("/v1/audit/events").json()["count"]

    before = seen()
    group("auditors", "--add", "bob@example.com", "--grant", permission)
    assert seen() == AuditEvent.objects.count() > before
    group("auditors", "--withdraw", permission)
    assert seen() < AuditEvent.objects.count()
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"group.create", "group.grant", "group.withdraw"} <= actions
    event = AuditEvent.objects.get(action="group.grant")
    assert event.details == {"group": "auditors", "permission": permission}


@pytest.mark.parametrize("name", ["", "view_auditevent", "secrets_app.", "nothing.at_all"])
def test_an_unknown_permission_changes_nothing(alice, name):
    with pytest.raises(CommandError, match="no such permission"):
        group("auditors", "--grant", name)
    assert not Group.objects.exists()
