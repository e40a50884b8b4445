"""Attacks on sessions: refresh tokens that were copied, forged, or belong elsewhere (issue 17)."""

import threading

import pytest
from django.db import connection

from secrets_app.models import AuditEvent
from tests.api.test_sessions import events, refresh, sign_in, works
from tests.cast import Api


def test_a_refresh_token_used_twice_ends_the_whole_family(alice):
    """RFC 9700, 4.14.2"""
    stolen = sign_in()
    mine, other = refresh(stolen["refresh_token"]).json(), sign_in()
    replayed = refresh(stolen["refresh_token"], REMOTE_ADDR="192.0.2.66")
    assert replayed.status_code == 401
    assert not works(stolen["access_token"])
    assert not works(mine["access_token"])
    assert refresh(mine["refresh_token"]).status_code == 401
    assert works(other["access_token"])
    (event,) = events("auth.refresh_reused")
    assert (event.outcome, event.actor_id) == ("failure", alice.principal.id)
    assert event.ip_address == "192.0.2.66"
    (ended,) = events("auth.session_end")
    assert ended.details == {"reason": "refresh_reused"}


def test_any_older_one_counts_not_only_the_last(alice):
    first = latest = sign_in()["refresh_token"]
    for _ in range(3):
        latest = refresh(latest).json()["refresh_token"]
    assert refresh(first).status_code == 401
    assert refresh(latest).status_code == 401


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_wins_and_the_family_ends(alice):
    """RFC 9700, 4.14.2"""
    first = sign_in()
    answers, gate = [], threading.Barrier(4)

    def race():
        try:
            gate.wait()
            answers.append(refresh(first["refresh_token"]))
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    won = [each.json() for each in answers if each.status_code == 200]
    assert len(won) == 1
    assert {each.status_code for each in answers} == {200, 401}
    assert not works(won[0]["access_token"])
    assert not works(first["access_token"])
    assert refresh(won[0]["refresh_token"]).status_code == 401
    assert len(events("auth.refresh_reused")) == 1
    assert len(events("auth.session_end")) == 1


def test_what_is_no_refresh_token_is_refused_alike_and_ends_nothing(alice):
    good = sign_in()
    raw = good["refresh_token"]
    wrong = [
        raw[:-1],
        raw + "A",
        raw.removeprefix("1rt_"),
        raw.replace("1rt_", "1ck_"),
        "1rt_",
        "1rt_" + "A" * 65,
        "é" * 65,
        good["access_token"][:128],
        alice.raw_key,
    ]
    answers = [refresh(each) for each in wrong]
    assert {each.status_code for each in answers} == {401}
    assert len({str(each.json() | {"instance": ""}) for each in answers}) == 1
    for odd in ("x" * 129, "x" * 60_000, good["access_token"], "", 1, None, ["x"], "1rt_\0"):
        assert refresh(odd).status_code in (400, 401)
    assert refresh("x" * 70_000).status_code == 413
    assert AuditEvent.objects.filter(action="auth.refresh_reused").count() == 0
    assert refresh(raw).status_code == 200


def test_a_refresh_token_is_no_bearer_and_no_key(alice):
    raw = sign_in()["refresh_token"]
    assert not works(raw)
    assert Api().post("/v1/auth/api-key-token", {"api_key": raw}).status_code == 401
    assert Api(raw).post("/v1/auth/refresh").status_code == 401


def test_handle_and_secret_of_two_sessions_do_not_mix(alice, bob):
    mine, his = sign_in()["refresh_token"], sign_in("bob")["refresh_token"]
    # Handles have 22 characters. A right one with a wrong secret was copied in part, and ends.
    assert refresh(mine[:26] + his[26:]).status_code == 401
    assert refresh(mine).status_code == 401
    answer = refresh(his)
    assert answer.status_code == 200
    me = Api(answer.json()["access_token"]).get("/v1/auth/me").json()
    assert me["email"] == "bob@example.com"


def test_guesses_are_refused_beyond_a_rate_and_counted(alice, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"AUTH_FAILURE_RATE": "3/hour"}
    raw = sign_in()["refresh_token"]
    statuses = [refresh("1rt_" + "A" * 65).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert refresh(raw).status_code == 200
