"""Sessions of people: going on with them by refresh tokens, seeing them, ending them."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest

from secrets_app.models import AuditEvent, Principal, SignInSession
from tests.cast import PASSWORD, Api

START = datetime(2027, 1, 1, tzinfo=UTC)
HOURS_12 = timedelta(hours=12)


def sign_in(name="alice", **extra):
    sent = {"email": f"{name}@example.com", "password": PASSWORD}
    answer = Api().post("/v1/auth/token", sent, **extra)
    assert answer.status_code == 200
    return answer.json()


def refresh(token, **extra):
    return Api().post("/v1/auth/refresh", {"refresh_token": token}, **extra)


def works(token):
    return Api(token).get("/v1/auth/me").status_code == 200


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def events(action):
    return list(AuditEvent.objects.filter(action=action).order_by("id"))


def test_a_sign_in_gives_a_refresh_token_and_that_gives_the_next_ones(alice):
    first = sign_in()
    assert set(first) == {"access_token", "token_type", "expires_in", "refresh_token"}
    answer = refresh(first["refresh_token"])
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    second = answer.json()
    assert set(second) == set(first)
    assert second["expires_in"] == 900
    assert second["refresh_token"].startswith("1rt_")
    assert second["refresh_token"] != first["refresh_token"]
    assert works(first["access_token"])
    assert works(second["access_token"])
    assert refresh(second["refresh_token"]).status_code == 200
    session = SignInSession.objects.get()
    for event in events("auth.refresh"):
        assert (event.actor_id, event.resource_id) == (alice.principal.id, session.pk)
    assert len(events("auth.refresh")) == 2


def test_no_part_of_a_refresh_token_is_stored(alice):
    raw = sign_in()["refresh_token"].removeprefix("1rt_")
    row = str(SignInSession.objects.values().get()) + str(list(AuditEvent.objects.values()))
    assert not any(raw[n : n + 12] in row for n in range(len(raw) - 11))


def test_nothing_moves_the_end_of_a_session(alice, time_machine):
    time_machine.move_to(START, tick=False)
    token = sign_in()["refresh_token"]
    for minutes in range(10, 720, 10):
        time_machine.move_to(START + timedelta(minutes=minutes), tick=False)
        answer = refresh(token).json()
        token = answer["refresh_token"]
    assert answer["expires_in"] == 600
    time_machine.move_to(START + HOURS_12 - timedelta(seconds=1), tick=False)
    answer = refresh(token).json()
    assert answer["expires_in"] == 1
    time_machine.move_to(START + HOURS_12, tick=False)
    assert refresh(answer["refresh_token"]).status_code == 401
    assert not works(answer["access_token"])


def test_a_deployment_can_make_sessions_shorter_and_a_principals_end_does(
    alice, settings, time_machine
):
    time_machine.move_to(START, tick=False)
    settings.SECRETS_APP = settings.SECRETS_APP | {"USER_SESSION_TTL": 60}
    assert sign_in()["expires_in"] == 60
    Principal.objects.filter(pk=alice.principal.pk).update(expires_at=START + timedelta(seconds=30))
    token = sign_in()["refresh_token"]
    time_machine.move_to(START + timedelta(seconds=30), tick=False)
    assert refresh(token).status_code == 401


def test_without_a_refresh_token_an_access_token_of_a_session_gets_a_fresh_one(alice, time_machine):
    time_machine.move_to(START, tick=False)
    token = sign_in()["access_token"]
    for minutes in range(10, 720, 10):
        time_machine.move_to(START + timedelta(minutes=minutes), tick=False)
        answer = Api(token).post("/v1/auth/refresh")
        assert answer.status_code == 200
        assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
        token = answer.json()["access_token"]
    assert claims_of(token)["exp"] == int((START + HOURS_12).timestamp())
    time_machine.move_to(START + HOURS_12, tick=False)
    assert Api(token).post("/v1/auth/refresh").status_code == 401


def test_once_its_refresh_token_was_used_a_session_goes_on_by_that_alone(alice):
    answer = sign_in()
    assert refresh(answer["refresh_token"]).status_code == 200
    refused = Api(answer["access_token"]).post("/v1/auth/refresh")
    assert refused.status_code == 400
    assert "refresh_token" in refused.json()["errors"]
    assert works(answer["access_token"])


def test_keys_agents_and_what_was_made_from_a_token_are_not_refreshed(alice, robot):
    derived = Api(sign_in()["access_token"]).post("/vault/v1/auth/token/create", {})
    for bearer in (
        alice.raw_key,
        alice.token,
        robot.token,
        derived.json()["auth"]["client_token"],
    ):
        refused = Api(bearer).post("/v1/auth/refresh")
        assert refused.status_code == 400
        assert "refresh_token" in refused.json()["errors"]
    assert Api().post("/v1/auth/refresh").status_code == 401
    assert Api("x").post("/v1/auth/refresh", {}).status_code == 401
    assert AuditEvent.objects.filter(action="auth.refresh").count() == 0


def test_a_stale_access_token_sent_along_keeps_nobody_from_refreshing(alice):
    token = sign_in()["refresh_token"]
    assert Api("stale").post("/v1/auth/refresh", {"refresh_token": token}).status_code == 200


def test_signing_out_ends_the_session_and_no_other(alice):
    mine, other = sign_in(), sign_in()
    more = refresh(mine["refresh_token"]).json()
    assert Api(mine["access_token"]).delete("/v1/auth/token").status_code == 204
    for token in (mine["access_token"], more["access_token"]):
        assert not works(token)
    assert refresh(more["refresh_token"]).status_code == 401
    assert works(other["access_token"])
    (event,) = events("auth.session_end")
    assert event.details == {"reason": "signed_out"}
    assert len(events("auth.revoke")) == 1


def test_what_was_made_from_a_token_ends_with_the_session_and_ends_alone(alice):
    answer = sign_in()
    fresh = Api(answer["access_token"]).post("/v1/auth/refresh").json()["access_token"]

    def derive(token):
        made = Api(token).post("/vault/v1/auth/token/create", {})
        return made.json()["auth"]["client_token"]

    one, other = derive(answer["access_token"]), derive(answer["access_token"])
    assert Api(one).delete("/v1/auth/token").status_code == 204
    assert not works(one)
    assert works(other)
    assert works(answer["access_token"])
    # By another token of the session than the one it was made from.
    assert Api(fresh).delete("/v1/auth/token").status_code == 204
    assert not works(other)
    assert not works(answer["access_token"])


@pytest.mark.parametrize("change", ["password", "end_all", "generation", "user", "principal"])
def test_what_ends_all_tokens_ends_sessions_for_good(alice, change):
    from secrets_app.services.audit import OPERATOR
    from secrets_app.services.identity import end_tokens

    answer = sign_in()
    principals = Principal.objects.filter(pk=alice.principal.pk)
    if change == "password":
        sent = {"current_password": PASSWORD, "new_password": PASSWORD + " again"}
        api = Api(answer["access_token"])
        assert api.post("/v1/auth/change-password", sent).status_code == 200
    elif change == "end_all":
        end_tokens(principal_id=alice.principal.id, actor=OPERATOR)
    elif change == "generation":
        principals.update(token_generation=7)
    elif change == "user":
        type(alice.user).objects.filter(pk=alice.user.pk).update(is_active=False)
    else:
        principals.update(is_active=False)
    assert not works(answer["access_token"])
    assert refresh(answer["refresh_token"]).status_code == 401
    # Whoever comes back signs in again: what was tried meanwhile has ended.
    type(alice.user).objects.filter(pk=alice.user.pk).update(is_active=True)
    principals.update(is_active=True, token_generation=0)
    assert refresh(answer["refresh_token"]).status_code == 401
    assert SignInSession.objects.get().ended_at is not None


def test_without_its_event_nothing_is_refreshed_or_signed_in(alice, unwritable_log):
    token = sign_in()["refresh_token"]
    with unwritable_log():
        assert refresh(token).status_code == 500
        sent = {"email": "alice@example.com", "password": PASSWORD}
        assert Api().post("/v1/auth/token", sent).status_code == 500
    assert SignInSession.objects.count() == 1
    assert refresh(token).status_code == 200


def listed(token):
    return Api(token).get("/v1/auth/sessions").json()["sessions"]


def test_a_person_sees_where_they_are_signed_in(alice, bob, time_machine):
    time_machine.move_to(START, tick=False)
    old = sign_in(REMOTE_ADDR="192.0.2.9")
    sign_in("bob")
    time_machine.move_to(START + timedelta(minutes=5), tick=False)
    refresh(old["refresh_token"])
    mine = sign_in()["access_token"]
    now, other = listed(mine)
    assert other == {
        "id": str(SignInSession.objects.get(address="192.0.2.9").pk),
        "method": "password",
        "second_factor": False,
        "ip_address": "192.0.2.9",
        "created_at": "2027-01-01T00:00:00Z",
        "last_used_at": "2027-01-01T00:05:00Z",
        "expires_at": "2027-01-01T12:00:00Z",
        "is_current": False,
    }
    assert now["is_current"] is True
    # A key shows them too; none of them is its own.
    assert [each["is_current"] for each in listed(alice.raw_key)] == [False, False]


def test_what_has_ended_is_not_listed(alice, time_machine):
    time_machine.move_to(START, tick=False)
    Api(sign_in()["access_token"]).delete("/v1/auth/token")
    sign_in()
    alice.principal.token_generation += 1
    alice.principal.save()
    sign_in()
    time_machine.move_to(START + timedelta(hours=1), tick=False)
    mine = sign_in()["access_token"]
    assert len(listed(mine)) == 2
    time_machine.move_to(START + HOURS_12, tick=False)
    assert len(listed(alice.raw_key)) == 1


def test_a_person_ends_a_session_of_theirs(alice):
    lost, mine = sign_in(), sign_in()
    other = next(each for each in listed(mine["access_token"]) if not each["is_current"])
    url = f"/v1/auth/sessions/{other['id']}"
    assert Api(mine["access_token"]).delete(url).status_code == 204
    assert not works(lost["access_token"])
    assert refresh(lost["refresh_token"]).status_code == 401
    assert works(mine["access_token"])
    assert Api(mine["access_token"]).delete(url).status_code == 204
    (event,) = events("auth.session_end")
    assert (event.actor_id, str(event.resource_id)) == (alice.principal.id, other["id"])


def test_somebody_elses_session_is_unknown_and_the_attempt_recorded(alice, bob):
    his = sign_in("bob")
    session = SignInSession.objects.get()
    for missing in (session.pk, "00000000-0000-4000-8000-000000000000"):
        assert alice.api.delete(f"/v1/auth/sessions/{missing}").status_code == 404
    assert alice.api.delete("/v1/auth/sessions/x").status_code == 400
    assert works(his["access_token"])
    (event,) = events("auth.session_end")
    assert (event.outcome, event.actor_id) == ("denied", alice.principal.id)


def test_an_agent_has_no_sessions(robot):
    url = "/v1/auth/sessions"
    for method, path in (("GET", url), ("DELETE", url), ("DELETE", f"{url}/{robot.key.pk}")):
        assert robot.api.request(method, path).status_code == 403


def test_a_person_ends_all_at_once(alice, bob):
    his, mine = sign_in("bob"), [sign_in(), sign_in()]
    assert Api(mine[0]["access_token"]).delete("/v1/auth/sessions").status_code == 204
    for each in mine:
        assert not works(each["access_token"])
        assert refresh(each["refresh_token"]).status_code == 401
    assert works(his["access_token"])
    assert len(events("auth.revoke_all")) == 1
