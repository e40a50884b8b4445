import pytest
from django.db import connection

from secrets_app.models import SecretVersion
from secrets_app.sql.compiled import cursor_of
from tests.cast import body, secret_url

pytestmark = [pytest.mark.only_on("postgresql"), pytest.mark.django_db(transaction=True)]


def test_a_leader_that_became_a_standby_is_left_and_the_client_told_to_come_back(alice, vault):
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")  # what a standby says of itself
    stale = connection.connection
    response = alice.api.put(secret_url(vault), body())
    assert response.status_code == 500
    assert response["Retry-After"]
    assert not SecretVersion.objects.exists()
    connection.close_if_unusable_or_obsolete()  # as after each request
    assert stale.closed
    assert alice.api.put(secret_url(vault), body()).status_code == 201


def test_a_connection_survives_an_error_that_was_not_its_own(alice, vault):
    alice.api.put(secret_url(vault), body())
    kept = connection.connection
    connection.errors_occurred = True
    connection.close_if_unusable_or_obsolete()
    assert connection.connection is kept


def test_the_kept_cursor_numbers_what_it_is_given():
    cursor = cursor_of(connection)
    asked = "SELECT %s::int, '100%%s', %s::text || '%%'" + " " * 5000
    for n in (1, 2):
        cursor.execute(asked, [n, "%s $1"])
        assert cursor.fetchone() == (n, "100%s", "%s $1%")
    cursor.execute("SELECT '100%s'")
    assert cursor.fetchone() == ("100%s",)
