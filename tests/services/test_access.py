from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from secrets_app.errors import Forbidden, NotFound
from secrets_app.models.request_state import Fetch
from secrets_app.policy.decision import Permission, Reason
from secrets_app.services.access.authorization import authorize
from secrets_app.services.identity.identification import identify
from secrets_app.services.secrets.reveal import reveal_secret
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
    identified(bob, vault.id)  # Django asks SQLite once in a process whether it knows JSON
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


def test_what_was_read_along_for_one_path_never_stands_for_another(alice, vault):
    for path in ("a", "b"):
        alice.api.put(secret_url(vault, path), body(f"of {path}"))
    caller = identify(
        bearer=alice.token,
        vault_id=vault.pk,
        address=None,
        request_id=uuid4(),
        path="a",
        fetch=Fetch.CURRENT,
    )
    for path in ("a", "b"):
        revealed = reveal_secret(caller=caller, vault_id=vault.pk, path=path)
        assert revealed.value.reveal() == f"of {path}".encode()


def test_a_denial_whose_event_cannot_be_written_is_no_quiet_denial(charlie, vault, unwritable_log):
    caller = identified(charlie, vault.id)

    with unwritable_log(), pytest.raises(OperationalError):
        authorize(caller=caller, vault_id=vault.id, path="a", permission=Permission.READ)
    with pytest.raises(Forbidden):
        authorize(caller=caller, vault_id=vault.id, path="a", permission=Permission.READ)


def round_trips(act):
    """What is asked of the database on the way, BEGIN and COMMIT and checks of the connection included."""
    with CaptureQueriesContext(connection) as asked:
        answer = act()
    assert answer.status_code in (200, 201)
    return [query["sql"] for query in asked]


@pytest.mark.django_db(transaction=True)
def test_a_read_is_two_round_trips(bob, vault):
    allow(bob, vault, "**", "read", "write")
    api = bob.api
    api.put(secret_url(vault), body())
    api.get(secret_url(vault))
    assert len(round_trips(lambda: api.get(secret_url(vault)))) == 2


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_counted_reads_and_writes_are_two_round_trips(bob, vault):
    """On SQLite, where there are no trips, they are a transaction."""
    allow(bob, vault, "**", "read", "write")
    api = bob.api
    # Statements are put together at their first use in a process, some in a transaction of its own.
    for _ in range(2):
        api.put(secret_url(vault), body(max_access_count=3))
    api.get(secret_url(vault))
    assert len(round_trips(lambda: api.put(secret_url(vault), body()))) == 2
    assert len(round_trips(lambda: api.put(secret_url(vault, "new"), body()))) == 2
    api.put(secret_url(vault), body(max_access_count=3))
    assert len(round_trips(lambda: api.get(secret_url(vault)))) == 2
