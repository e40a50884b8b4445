import pytest
from django.test import Client

from tests.cast import write_events

TOKEN = "scrape-" + "me"


def get(token=TOKEN, **extra):
    return Client().get("/metrics", headers={"Authorization": f"Bearer {token}"}, **extra)


@pytest.fixture
def on(settings):
    settings.METRICS_TOKEN = TOKEN


def test_without_a_token_the_page_is_not_there(db, settings):
    settings.METRICS_TOKEN = ""
    assert get("").status_code == 404
    assert Client().get("/metrics").status_code == 404


@pytest.mark.parametrize("token", ["", "wrong", "\u00e9"])
def test_another_token_does_not_open_it(db, on, token):
    assert get(token).status_code == 404


def test_the_lag_of_sealing(db, on):
    write_events(1)
    answer = get()
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain")
    (line,) = [
        line
        for line in answer.content.decode().splitlines()
        if line.startswith("vaultsite_audit_seal_lag_seconds ")
    ]
    assert 0 <= float(line.split()[1]) < 60
    assert "vaultsite_audit_write_failures_total " in answer.content.decode()


def test_it_answers_without_a_database(db, on, monkeypatch):
    from django.db import OperationalError

    def away():
        raise OperationalError

    monkeypatch.setattr("vaultsite.metrics.seal_lag", away)
    answer = get()
    assert answer.status_code == 200
    assert b"vaultsite_audit_write_failures_total" in answer.content
    assert b"seal_lag" not in answer.content


def test_it_is_only_read(db, on):
    post = Client().post("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert post.status_code == 405
