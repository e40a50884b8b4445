"""What the log says of everybody who is not let in, word for word, and the edges of who is.

Asked for by mutation testing (docs/mutation.md)."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from secrets_app.errors import Forbidden, NotFound, Unauthenticated
from secrets_app.models import Agent, ApiKey, AuditEvent, Principal
from secrets_app.models.request_state import Fetch, PathState
from secrets_app.policy.decision import Permission
from secrets_app.services.access.authorization import (
    authorize,
    authorize_member,
    may,
    require_owner,
    vault_of,
)
from secrets_app.services.audit import OPERATOR
from secrets_app.services.caller import Actor
from secrets_app.services.identity.api_keys import revoke_api_key
from secrets_app.services.identity.identification import identify
from secrets_app.services.identity.tokens import issue_token, read_token, revoke_token
from tests import cast
from tests.cast import allow, body, secret_url

ADDRESS = "192.0.2.7"


def caller_of(person, vault, address=ADDRESS, **fetch):
    return identify(
        bearer=person.token, vault_id=vault.id, address=address, request_id=uuid4(), **fetch
    )


def last_event():
    return AuditEvent.objects.order_by("id").last()


def said(event):
    """Everything that an event says."""
    return {
        "action": event.action,
        "outcome": event.outcome,
        "actor": (event.actor_type, event.actor_id),
        "resource": (event.resource_type, event.resource_id),
        "vault": event.vault_id,
        "details": event.details,
        "address": event.ip_address,
        "request": event.request_id,
    }


def deactivate(who):
    Principal.objects.filter(pk=who.principal.pk).update(is_active=False)


def disable_user(who):
    who.user.is_active = False
    who.user.save()


def expire(who):
    Principal.objects.filter(pk=who.principal.pk).update(expires_at=timezone.now())


def revoke_key(who):
    revoke_api_key(key_id=who.key.pk, principal_id=who.principal.pk, actor=OPERATOR)


def expire_key(who):
    ApiKey.objects.filter(pk=who.key.pk).update(expires_at=timezone.now())


def end_tokens(who):
    generation = who.principal.token_generation + 1
    Principal.objects.filter(pk=who.principal.pk).update(token_generation=generation)


@pytest.mark.parametrize(
    ("end", "reason", "holds_for_keys"),
    [
        (deactivate, "inactive", True),
        (disable_user, "inactive", True),
        (expire, "expired_principal", True),
        (revoke_key, "revoked_key", True),
        (expire_key, "expired_key", True),
        (end_tokens, "revoked_token", False),
    ],
)
def test_each_refusal_is_logged_with_its_reason_and_whose_it_is(
    alice, vault, end, reason, holds_for_keys
):
    bearers = [alice.token] + ([alice.raw_key] if holds_for_keys else [])
    for bearer in bearers:
        identify(bearer=bearer, vault_id=vault.id, address=None, request_id=uuid4())
    end(alice)
    for bearer in bearers:
        request_id = uuid4()
        with pytest.raises(Unauthenticated) as refused:
            identify(bearer=bearer, vault_id=vault.id, address=ADDRESS, request_id=request_id)
        assert refused.value.reason == reason
        assert said(last_event()) == {
            "action": "auth.failure",
            "outcome": "failure",
            "actor": ("anonymous", None),
            "resource": ("principal", alice.principal.pk),
            "vault": None,
            "details": {"method": "bearer", "reason": reason},
            "address": ADDRESS,
            "request": request_id,
        }


def test_a_revoked_token_is_refused_and_others_of_its_key_are_not(alice):
    ended, other = alice.token, alice.token
    revoke_token(claims=read_token(ended), actor=OPERATOR)
    with pytest.raises(Unauthenticated) as refused:
        identify(bearer=ended, vault_id=None, address=None, request_id=uuid4())
    assert refused.value.reason == "revoked_token"
    identify(bearer=other, vault_id=None, address=None, request_id=uuid4())


def test_a_token_that_needs_no_key_outlives_the_key(alice):
    token = issue_token(principal=alice.principal, api_key=None, lifetime_s=900).access_token
    revoke_key(alice)
    assert identify(bearer=token, vault_id=None, address=None, request_id=uuid4()).claims


def test_a_key_that_nobody_has_is_said_to_be_unknown(alice):
    bearer = "1ck_" + "A" * 43
    with pytest.raises(Unauthenticated) as refused:
        identify(bearer=bearer, vault_id=None, address=ADDRESS, request_id=uuid4())
    assert refused.value.reason == "unknown_principal"
    event = said(last_event())
    assert event["resource"] == ("principal", None)
    assert event["details"] == {"method": "bearer", "reason": "unknown_principal"}


def test_an_expiry_that_is_now_has_passed(alice, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    token = alice.token
    later = timezone.now() + timedelta(seconds=1)
    for update in (
        lambda when: Principal.objects.filter(pk=alice.principal.pk).update(expires_at=when),
        lambda when: ApiKey.objects.filter(pk=alice.key.pk).update(expires_at=when),
    ):
        update(later)
        identify(bearer=token, vault_id=None, address=None, request_id=uuid4())
        update(timezone.now())
        with pytest.raises(Unauthenticated):
            identify(bearer=token, vault_id=None, address=None, request_id=uuid4())
        update(None)


def test_the_use_of_a_key_is_noted_once_in_a_while(alice, django_assert_num_queries):
    identify(bearer=alice.raw_key, vault_id=None, address=None, request_id=uuid4())
    noted = ApiKey.objects.get(pk=alice.key.pk).last_used_at
    assert timezone.now() - noted < timedelta(minutes=1)
    with django_assert_num_queries(1):
        identify(bearer=alice.raw_key, vault_id=None, address=None, request_id=uuid4())


def test_the_log_will_name_who_asked_from_where_and_in_which_request(alice, robot, vault):
    for who, kind in ((alice, "user"), (robot, "agent")):
        request_id = uuid4()
        caller = identify(
            bearer=who.token, vault_id=vault.id, address=ADDRESS, request_id=request_id
        )
        assert caller.actor == Actor(who.principal.pk, kind, ADDRESS, request_id)


def test_agent_and_token_may_each_be_kept_to_vaults(alice, robot):
    here, there = cast.vault_of(alice, "here"), cast.vault_of(alice, "there")
    for vault in (here, there):
        allow(robot, vault, "**", "read")

    def rules_in(vault, kept_to=()):
        token = issue_token(
            principal=robot.principal, api_key=robot.key, lifetime_s=900, vault_ids=kept_to
        )
        return identify(
            bearer=token.access_token, vault_id=vault.id, address=None, request_id=uuid4()
        ).vault.rules

    assert rules_in(here)
    assert rules_in(there)
    assert rules_in(here, [str(here.pk)])
    assert not rules_in(there, [str(here.pk)])
    Agent.objects.filter(pk=robot.principal.pk).update(vault_ids=[str(here.pk)])
    assert rules_in(here)
    assert not rules_in(there)
    assert not rules_in(here, [str(there.pk)])
    Agent.objects.filter(pk=robot.principal.pk).update(vault_ids=[str(here.pk), str(there.pk)])
    assert rules_in(there)


@pytest.mark.parametrize("credential", ["token", "raw_key"])
def test_what_is_sought_comes_with_either_credential(alice, vault, credential):
    alice.api.put(secret_url(vault, "a/b"), body())
    bearer = getattr(alice, credential)
    caller = identify(
        bearer=bearer,
        vault_id=vault.id,
        address=None,
        request_id=uuid4(),
        path="a/b",
        fetch=Fetch.CURRENT,
    )
    assert caller.vault.is_owner
    state = caller.path_state(vault.id, "a/b")
    assert isinstance(state, PathState)
    assert state.version.secret.path == "a/b"
    # Whatever else is asked for did not come along.
    assert caller.path_state(vault.id, "a/c") is None
    assert caller.path_state(uuid4(), "a/b") is None


def test_nothing_comes_along_where_nothing_is_sought(alice, vault):
    assert caller_of(alice, vault).path_state(vault.id, "a/b") is None
    nowhere = identify(bearer=alice.token, vault_id=uuid4(), address=None, request_id=uuid4())
    assert nowhere.vault is None
    assert nowhere.path_state(vault.id, "a/b") is None


def test_a_denial_says_what_was_asked_for_and_which_policies_denied(bob, vault):
    policy = allow(bob, vault, "a/*", "read", effect="deny")
    caller = caller_of(bob, vault)
    with pytest.raises(Forbidden):
        authorize(caller=caller, vault_id=vault.id, path="a/b", permission=Permission.READ)
    assert said(last_event()) == {
        "action": "secret.read",
        "outcome": "denied",
        "actor": ("user", bob.principal.pk),
        "resource": ("secret", None),
        "vault": vault.id,
        "details": {
            "path": "a/b",
            "permission": "read",
            "reason": "denied_by_policy",
            "policies": [str(policy.pk)],
        },
        "address": ADDRESS,
        "request": caller.actor.request_id,
    }


def test_whoever_is_no_member_is_logged_at_the_vault(charlie, vault):
    caller = caller_of(charlie, vault)
    with pytest.raises(Forbidden):
        authorize_member(caller=caller, vault_id=vault.id)
    event = said(last_event())
    assert (event["action"], event["outcome"]) == ("vault.read", "denied")
    assert (event["resource"], event["vault"]) == (("vault", vault.id), vault.id)
    assert event["details"] == {"reason": "not_a_member"}


def test_what_is_the_owners_is_logged_at_the_vault_or_at_the_path(charlie, vault):
    caller = caller_of(charlie, vault)
    with pytest.raises(Forbidden):
        require_owner(caller=caller, vault_id=vault.id, action="vault.delete")
    event = said(last_event())
    assert (event["action"], event["outcome"]) == ("vault.delete", "denied")
    assert (event["resource"], event["vault"]) == (("vault", vault.id), vault.id)
    assert event["details"] == {"reason": "not_the_owner"}

    with pytest.raises(Forbidden):
        require_owner(caller=caller, vault_id=vault.id, action="secret.purge", path="a/b")
    event = said(last_event())
    assert (event["resource"], event["vault"]) == (("secret", None), vault.id)
    assert event["details"] == {"reason": "not_the_owner", "path": "a/b"}


def test_conditions_are_judged_with_the_callers_address_and_the_time(bob, vault):
    allow(bob, vault, "here", "read", conditions={"ip_allowlist": [f"{ADDRESS}/32"]})
    allow(bob, vault, "ended", "read", expires_at=timezone.now() - timedelta(seconds=1))
    allow(bob, vault, "later", "read", expires_at=timezone.now() + timedelta(hours=1))

    def judged(path, address=ADDRESS, permission=Permission.READ):
        caller = caller_of(bob, vault, address)
        question = {"vault_id": vault.id, "path": path, "permission": permission}
        try:
            authorize(caller=caller, **question)
        except Forbidden:
            assert not may(caller=caller, **question)
            return False
        assert may(caller=caller, **question)
        return True

    assert judged("here")
    assert not judged("here", "192.0.2.8")
    assert not judged("here", permission=Permission.WRITE)
    assert not judged("ended")
    assert judged("later")


def test_the_owner_may_whatever_no_policy_says(alice, vault):
    caller = caller_of(alice, vault)
    assert may(caller=caller, vault_id=vault.id, path="a", permission=Permission.WRITE)


def test_a_policy_makes_a_member_until_the_moment_it_ends(bob, vault, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    policy = allow(bob, vault, "a", "read", expires_at=timezone.now() + timedelta(seconds=1))
    authorize_member(caller=caller_of(bob, vault), vault_id=vault.id)
    policy.expires_at = timezone.now()
    policy.save()
    with pytest.raises(Forbidden):
        authorize_member(caller=caller_of(bob, vault), vault_id=vault.id)


def test_a_vault_that_is_not_there_is_not_found_in_these_words(alice, vault):
    caller = caller_of(alice, vault)
    assert vault_of(caller, vault.id).is_owner
    with pytest.raises(NotFound) as missing:
        vault_of(caller, uuid4())
    assert missing.value.detail == "There is no such vault."
