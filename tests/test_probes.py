import pytest
from django.db import OperationalError
from django.test import Client

from vaultsite import probes


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    monkeypatch.setattr(probes, "_migrated", False)


def test_alive_without_a_database():
    # No fixture gives access to one: a query would fail.
    answer = Client().get("/livez")
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_ready_when_the_database_is(db):
    for _ in range(2):
        answer = Client().get("/readyz")
        assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.parametrize("migrated", [True, False])
def test_not_ready_while_the_database_is_away(db, monkeypatch, migrated):
    def away(*_):
        raise OperationalError("host=secret-name")

    monkeypatch.setattr(probes, "_migrated", migrated)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("django.db.backends.base.base.BaseDatabaseWrapper.cursor", away)
        answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert answer.content == b"the database does not answer\n"


def test_not_ready_before_all_migrations(db):
    from django.db.migrations.recorder import MigrationRecorder

    MigrationRecorder.Migration.objects.filter(app="secrets_app").order_by("-id").first().delete()
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.content) == (503, b"migrations are to be applied\n")


def test_probes_are_not_sent_to_https(db, settings):
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/livez").status_code == 200
    assert Client().get("/readyz").status_code == 200
    assert Client().get("/livez/").status_code == 301
    assert Client().get("/v1/health").status_code == 301


def test_probes_are_only_read(db):
    assert Client().post("/livez").status_code == 405
    assert Client().post("/readyz").status_code == 405
