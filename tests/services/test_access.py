from uuid import uuid4

import pytest
from django.db import OperationalError

from secrets_app.errors import Forbidden, NotFound
from secrets_app.policy.decision import Permission, Reason
from secrets_app.services.access import authorize, identify
from tests.cast import allow, body, deny, secret_url


def identified(person, vault_id):
    return identify(bearer=person.token, vault_id=vault_id, address="192.0.2.7", request_id=uuid4())


def test_everything_about_a_caller_comes_with_one_query(bob, vault, django_assert_num_queries):
    rules = {
        allow(bob, vault, "a/**", "read").id,
        deny(bob, vault, "a/b", "read").id,
        allow(bob, vault, "c", "write").id,
    }
    token = bob.token
    with django_assert_num_queries(1):
        caller = identify(bearer=token, vault_id=vault.id, address=None, request_id=uuid4())
    assert {rule.policy_id for rule in caller.vault.rules} == rules
    assert not caller.vault.is_owner


def test_policies_of_others_and_of_other_vaults_are_not_brought_along(alice, bob, charlie, vault):
    from tests.cast import vault_of

    other = vault_of(alice, "other")
    allow(charlie, vault, "**", "read")
    allow(bob, other, "**", "read")
    assert identified(bob, vault.id).vault.rules == ()


def test_the_owner_is_known_as_such(alice, vault):
    caller = identified(alice, vault.id)
    assert caller.vault.is_owner
    decision = authorize(caller=caller, vault_id=vault.id, path="a", permission=Permission.WRITE)
    assert decision.reason is Reason.OWNER


def test_a_caller_brought_for_one_vault_is_nobody_in_another(alice, vault):
    caller = identified(alice, vault.id)
    with pytest.raises(NotFound):
        authorize(caller=caller, vault_id=uuid4(), path="a", permission=Permission.READ)


def test_a_denial_whose_event_cannot_be_written_is_no_quiet_denial(charlie, vault, monkeypatch):
    from secrets_app.models import AuditEvent

    caller = identified(charlie, vault.id)

    def fail(*args, **kwargs):
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(AuditEvent.objects, "bulk_create", fail)
        with pytest.raises(OperationalError):
            authorize(caller=caller, vault_id=vault.id, path="a", permission=Permission.READ)
    with pytest.raises(Forbidden):
        authorize(caller=caller, vault_id=vault.id, path="a", permission=Permission.READ)


def test_the_number_of_statements_of_a_read_and_a_write_is_fixed(
    bob, vault, django_assert_max_num_queries
):
    allow(bob, vault, "**", "read", "write")
    api = bob.api
    api.put(secret_url(vault), body())
    # Savepoints of the test's own transaction count along: two each.
    with django_assert_max_num_queries(5):
        assert api.get(secret_url(vault)).status_code == 200
    with django_assert_max_num_queries(8):
        assert api.put(secret_url(vault), body()).status_code == 201
