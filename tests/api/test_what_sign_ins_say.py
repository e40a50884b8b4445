"""The event and the answer of each way to sign in and of each reason to refuse it, word for word.

Asked for by mutation testing (docs/mutation.md)."""

from datetime import timedelta

import pytest
from django.contrib.auth.signals import user_logged_in
from django.utils import timezone

from secrets_app.models import Agent, ApiKey, AuditEvent, Principal
from tests.cast import PASSWORD, Api
from vaultsite.accounts.models import User


def with_password(email="alice@example.com", password=PASSWORD):
    return Api().post("/v1/auth/token", {"email": email, "password": password})


def with_key(key):
    return Api().post("/v1/auth/api-key-token", {"api_key": key})


def with_agent_key(key, **fields):
    return Api().post("/v1/auth/agent-token", {"api_key": key} | fields)


def last_event():
    event = AuditEvent.objects.order_by("created_at", "id").last()
    return (
        event.action,
        event.outcome,
        (event.actor_type, event.actor_id),
        (event.resource_type, event.resource_id),
        event.details,
    )


def success(who, method):
    kind, principal_id = who.principal.kind, who.principal.pk
    return (
        "auth.success",
        "success",
        (kind, principal_id),
        ("principal", principal_id),
        {"method": method},
    )


def failure(who, method, reason):
    """`who` is None where nobody is known to be meant."""
    kind = "anonymous" if who is None else who.principal.kind
    principal_id = None if who is None else who.principal.pk
    return (
        "auth.failure",
        "failure",
        (kind, principal_id),
        ("principal", principal_id),
        {"method": method, "reason": reason},
    )


def test_a_password(alice):
    assert with_password().status_code == 200
    assert last_event() == success(alice, "password")


def test_a_wrong_password(alice):
    assert with_password(password="wrong").status_code == 401
    assert last_event() == failure(alice, "password", "bad_credentials")
    assert with_password("nobody@example.com").status_code == 401
    assert last_event() == failure(None, "password", "bad_credentials")


@pytest.mark.parametrize("is_known", [True, False])
def test_a_lockout(alice, settings, is_known):
    settings.AXES_FAILURE_LIMIT, settings.AXES_COOLOFF_TIME = 1, timedelta(minutes=7)
    email = "alice@example.com" if is_known else "nobody@example.com"
    with_password(email, "wrong")
    answer = with_password(email)
    assert (answer.status_code, answer["Retry-After"]) == (429, "420")
    assert answer["Content-Type"] == "application/problem+json"
    assert last_event() == failure(alice if is_known else None, "password", "locked_out")


def test_a_lockout_without_an_end_is_told_to_come_back_in_a_quarter_of_an_hour(alice, settings):
    settings.AXES_FAILURE_LIMIT, settings.AXES_COOLOFF_TIME = 1, None
    with_password(password="wrong")
    answer = with_password()
    assert (answer.status_code, answer["Retry-After"]) == (429, "900")


def test_a_wrong_password_of_a_project_without_lockouts(alice, settings):
    """The app does not need django-axes."""
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if not each.startswith("axes.")]
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    settings.AXES_ENABLED = False
    assert with_password(password="wrong").status_code == 401
    assert last_event() == failure(alice, "password", "bad_credentials")


def test_a_locked_account_is_told_so_even_where_its_address_failed_too_often(alice, settings):
    settings.AXES_FAILURE_LIMIT = 1
    settings.SECRETS_APP = settings.SECRETS_APP | {"AUTH_FAILURE_RATE": "1/minute"}
    with_password(password="wrong")
    answer = with_password()
    assert (answer.status_code, answer["Retry-After"]) == (429, "900")


def test_a_password_leaves_what_a_sign_in_of_django_leaves(alice):
    """A project around the app may listen for people of its own class, and looks at `last_login`."""
    told = []

    def listen(sender, request, user, **_):
        told.append((request.path, user))

    user_logged_in.connect(listen, sender=User)
    try:
        before = timezone.now()
        with_password()
    finally:
        user_logged_in.disconnect(listen, sender=User)
    assert told == [("/v1/auth/token", alice.user)]
    alice.user.refresh_from_db()
    assert alice.user.last_login >= before


def inactive(who):
    Principal.objects.filter(pk=who.principal.pk).update(is_active=False)


def revoked(who):
    ApiKey.objects.filter(pk=who.key.pk).update(revoked_at=timezone.now())


def expired(who):
    ApiKey.objects.filter(pk=who.key.pk).update(expires_at=timezone.now())


def over(who):
    Principal.objects.filter(pk=who.principal.pk).update(expires_at=timezone.now())


def without_an_owner(who):
    Principal.objects.filter(pk=Agent.objects.get(pk=who.principal.pk).owner_id).update(
        is_active=False
    )


SPOILT = [
    (revoked, "revoked_key"),
    (expired, "expired_key"),
    (inactive, "inactive"),
    (over, "expired_principal"),
]


@pytest.mark.parametrize(("spoil", "reason"), SPOILT)
def test_a_key_that_does_not_sign_in(alice, spoil, reason):
    spoil(alice)
    assert with_key(alice.raw_key).status_code == 401
    assert last_event() == failure(alice, "api_key", reason)


@pytest.mark.parametrize(("spoil", "reason"), [*SPOILT, (without_an_owner, "inactive_owner")])
def test_an_agents_key_that_does_not_sign_in(robot, spoil, reason):
    spoil(robot)
    assert with_agent_key(robot.raw_key).status_code == 401
    assert last_event() == failure(robot, "agent_key", reason)


def test_keys_that_are_none_or_of_somebody_else(alice, robot):
    for key in ("1ck_unknown", robot.raw_key):
        assert with_key(key).status_code == 401
        assert last_event() == failure(None, "api_key", "unknown_key")
    for key in ("ocv_unknown", alice.raw_key):
        assert with_agent_key(key).status_code == 401
        assert last_event() == failure(None, "agent_key", "unknown_key")
    answer = with_agent_key(robot.raw_key, agent_id=str(alice.principal.pk))
    assert answer.status_code == 401
    assert last_event() == failure(robot, "agent_key", "other_agent")


def test_a_password_of_somebody_who_may_not_sign_in(alice):
    inactive(alice)
    assert with_password().status_code == 401
    assert last_event() == failure(alice, "password", "inactive")


def test_an_exchange_of_a_key_notes_its_use_once_in_ten_minutes(alice, time_machine):
    start = timezone.now()
    time_machine.move_to(start, tick=False)
    for minutes, noted in ((0, 0), (9, 0), (10, 10)):
        time_machine.move_to(start + timedelta(minutes=minutes), tick=False)
        assert with_key(alice.raw_key).status_code == 200
        alice.key.refresh_from_db()
        assert alice.key.last_used_at == start + timedelta(minutes=noted)


def test_a_token_made_with_a_key_at_the_other_door_lasts_as_asked_and_no_longer_than_usual(alice):
    def lasts(ttl):
        answer = Api().post(
            "/vault/v1/auth/token/create",
            {} if ttl is None else {"ttl": ttl},
            headers={"X-Vault-Token": alice.raw_key},
        )
        return answer.json()["auth"]["lease_duration"]

    assert lasts("60s") in (59, 60)
    assert lasts("9999h") == lasts(None) in (899, 900)


def by_token(who):
    return who.token


def by_itself(who):
    return who.raw_key


def all_ended(who):
    Principal.objects.filter(pk=who.principal.pk).update(token_generation=7)


@pytest.mark.parametrize(
    ("credential", "spoil", "reason"),
    [
        *(
            (credential, spoil, reason)
            for credential in (by_token, by_itself)
            for spoil, reason in SPOILT
        ),
        (by_token, all_ended, "revoked_token"),
    ],
)
def test_a_request_with_a_credential_that_does_not_hold(alice, credential, spoil, reason):
    bearer = credential(alice)
    spoil(alice)
    assert Api(bearer).get("/v1/vaults").status_code == 401
    assert last_event() == failure_of_a_bearer(alice.principal.pk, reason)


def test_a_request_with_a_token_that_was_revoked(alice):
    token = alice.token
    Api(token).delete("/v1/auth/token")
    Api(token).get("/v1/vaults")
    assert last_event() == failure_of_a_bearer(alice.principal.pk, "revoked_token")


def test_a_request_with_the_token_of_an_agent_whose_owner_left(robot):
    token = robot.token
    without_an_owner(robot)
    Api(token).get("/v1/vaults")
    assert last_event() == failure_of_a_bearer(robot.principal.pk, "inactive_owner")


def test_an_agent_works_until_its_owner_expires_to_the_instant(robot, time_machine):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    owner = Principal.objects.filter(agents__principal=robot.principal)
    owner.update(expires_at=now + timedelta(microseconds=1))
    assert robot.api.get("/v1/vaults").status_code == 200
    owner.update(expires_at=now)
    assert robot.api.get("/v1/vaults").status_code == 401
    assert last_event() == failure_of_a_bearer(robot.principal.pk, "inactive_owner")


@pytest.mark.parametrize(
    ("bearer", "reason"),
    [
        ("x", "invalid_token"),
        ("x" * 4096, "invalid_token"),
        ("x" * 4097, "malformed_token"),
        ("1ck_unknown", "unknown_principal"),
    ],
)
def test_a_request_with_what_is_no_credential(db, bearer, reason):
    assert Api(bearer).get("/v1/vaults").status_code == 401
    assert last_event() == failure_of_a_bearer(None, reason)


def test_a_request_with_a_token_that_worked_and_has_expired(alice, time_machine):
    start = timezone.now().replace(microsecond=0)
    time_machine.move_to(start, tick=False)
    api = Api(alice.token)
    assert api.get("/v1/vaults").status_code == 200
    time_machine.move_to(start + timedelta(seconds=900), tick=False)
    assert api.get("/v1/vaults").status_code == 401
    assert last_event() == failure_of_a_bearer(None, "invalid_token")


def failure_of_a_bearer(principal_id, reason):
    """Nobody has acted, but it is known whose credential it was."""
    return (
        "auth.failure",
        "failure",
        ("anonymous", None),
        ("principal", principal_id),
        {"method": "bearer", "reason": reason},
    )


def test_a_token_for_less_than_a_second_is_said_to_last_for_none(alice, time_machine):
    now = timezone.now()
    time_machine.move_to(now, tick=False)
    ApiKey.objects.filter(pk=alice.key.pk).update(expires_at=now + timedelta(milliseconds=500))
    assert with_key(alice.raw_key).json()["expires_in"] == 0
