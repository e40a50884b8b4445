"""Signing in through the Vault door, and what a token does with itself."""

from datetime import UTC, datetime, timedelta

import pytest
from axes.models import AccessAttempt

from secrets_app.models import Agent, AuditEvent
from secrets_app.vault_api.views.signing_in import WRONG_PASSWORD
from tests.api.test_assertion_sign_in import agent_id, identity  # noqa: F401
from tests.cast import PASSWORD, Api, allow
from tests.issuers import claims_of, kubernetes, sign
from tests.spellings import found_in
from tests.vault_api.conftest import Door

TYPED = "my-" + "pass-is-7q2x"


@pytest.fixture
def nobodys():
    return Door(None)


def login(door, who, secret=None):
    return door(
        "POST",
        "auth/approle/login",
        {"role_id": str(who.principal.pk), "secret_id": secret or who.raw_key},
    )


def test_an_agent_signs_in_with_its_id_and_key(robot, vault, nobodys):
    Agent.objects.filter(pk=robot.principal.pk).update(owner=vault.owner)
    allow(robot, vault, "**", "read", "write")
    answer = login(nobodys, robot).json()
    auth = answer["auth"]
    assert answer["data"] is None
    assert auth["lease_duration"] == 3600
    assert (auth["renewable"], auth["token_type"], auth["policies"]) == (
        False,
        "service",
        ["default"],
    )
    assert auth["entity_id"] == str(robot.principal.pk)
    agents = Door(auth["client_token"])
    assert agents.put(f"{vault.pk}/a", {"n": 1}).status_code == 200
    assert agents.put("team/a", {"n": 2}).status_code == 200
    told = agents("GET", "auth/token/lookup-self").json()["data"]
    assert (told["entity_id"], told["accessor"]) == (auth["entity_id"], auth["accessor"])
    assert 3590 < told["ttl"] <= told["creation_ttl"] == 3600
    event = AuditEvent.objects.filter(action="auth.success").get()
    assert event.details == {"method": "agent_key", "door": "kv2"}


def test_every_refusal_of_a_role_reads_alike(robot, alice, nobodys):
    wrong = "invalid role or secret ID"
    bodies = [
        {},
        {"role_id": str(robot.principal.pk)},
        {"role_id": "robot", "secret_id": robot.raw_key},
        {"role_id": str(alice.principal.pk), "secret_id": robot.raw_key},
        {"role_id": str(alice.principal.pk), "secret_id": alice.raw_key},
        {"role_id": str(robot.principal.pk), "secret_id": "ocv_" + "x" * 43},
        {"role_id": 5, "secret_id": []},
        {"role_id": str(robot.principal.pk), "secret_id": "x" * 5000},
    ]
    for body in bodies:
        answer = nobodys("PUT", "auth/approle/login", body)
        assert (answer.status_code, answer.json()) == (400, {"errors": [wrong]})


def test_a_person_signs_in_with_a_password(alice, vault, nobodys):
    answer = nobodys("PUT", "auth/userpass/login/alice@example.com", {"password": PASSWORD})
    auth = answer.json()["auth"]
    assert auth["metadata"] == {"username": "alice@example.com"}
    assert Door(auth["client_token"]).put("team/a", {"n": 1}).status_code == 200
    for email, password in (("alice@example.com", "wrong"), ("nobody@example.com", PASSWORD)):
        refused = nobodys("PUT", f"auth/userpass/login/{email}", {"password": password})
        assert (refused.status_code, refused.json()) == (
            400,
            {"errors": ["invalid username or password"]},
        )


def test_wrong_passwords_lock_out_here_as_they_do_there(alice, nobodys):
    for _ in range(10):
        nobodys("PUT", "auth/userpass/login/alice@example.com", {"password": "wrong"})
    locked = nobodys("PUT", "auth/userpass/login/alice@example.com", {"password": PASSWORD})
    assert locked.status_code == 429
    assert int(locked["Retry-After"]) > 0
    over_v1 = Api().post("/v1/auth/token", {"email": "alice@example.com", "password": PASSWORD})
    assert over_v1.status_code == 429


def test_an_address_that_is_none_is_written_nowhere(alice, nobodys, caplog):
    """People type passwords into the wrong field, and this one is a part of the path."""
    caplog.set_level("DEBUG")
    for password in ("wrong", PASSWORD):
        answer = nobodys("PUT", f"auth/userpass/login/{TYPED}", {"password": password})
        assert (answer.status_code, answer.json()["errors"]) == (400, [WRONG_PASSWORD])
    attempts = list(AccessAttempt.objects.values())
    assert attempts
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "failure" in logged
    for sink in (logged, repr(attempts), repr(list(AuditEvent.objects.values()))):
        assert found_in(sink.encode(), TYPED) == []


def test_attempts_count_for_both_doors_together(alice, nobodys, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"SIGN_IN_RATE_LIMIT": "3/minute"}
    content = {"email": "alice@example.com", "password": PASSWORD}
    assert Api().post("/v1/auth/token", content).status_code == 200
    login = ("PUT", "auth/userpass/login/alice@example.com", {"password": PASSWORD})
    assert [nobodys(*login).status_code for _ in range(3)] == [200, 200, 429]


def test_requests_count_for_both_doors_together(alice, vault, door, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"RATE_LIMIT": "2/minute"}
    alice.api.get("/v1/vaults")
    seen = [door(alice)("GET", "team/config") for _ in range(2)]
    assert [each.status_code for each in seen] == [200, 429]
    assert int(seen[1]["Retry-After"]) > 0


def test_a_way_to_sign_in_that_is_not_there_says_so(nobodys):
    answer = nobodys("POST", "auth/oidc/login", {"role": "x", "jwt": "y"})
    assert answer.status_code == 404
    assert "no handler for route" in answer.json()["errors"][0]


@pytest.mark.parametrize("method", ["jwt", "kubernetes"])
def test_a_workload_signs_in_with_a_token_of_its_own(
    alice,
    vault,
    agent_id,  # noqa: F811
    issuer,
    nobodys,
    method,
):
    alice.api.request("PATCH", f"/v1/agents/{agent_id}", {"name": "deploy"})
    claims = {"sub": "system:serviceaccount:prod:api"}
    assert identity(alice, agent_id, issuer, claims=claims).status_code == 201
    token = sign("rsa", kubernetes(issuer.url))
    for role in (agent_id, "deploy"):
        answer = nobodys("POST", f"auth/{method}/login", {"role": role, "jwt": token})
        assert answer.status_code == 200, answer.content
        auth = answer.json()["auth"]
        assert (auth["entity_id"], auth["metadata"]) == (agent_id, {"role": role})
        assert (auth["lease_duration"], auth["orphan"]) == (3600, True)
        assert Door(auth["client_token"])("GET", "auth/token/lookup-self").status_code == 200
    event = AuditEvent.objects.filter(action="auth.success").first()
    assert event.details["door"] == "kv2"
    assert event.details["method"] == "assertion"


def test_a_role_that_is_not_one_agents_and_a_token_that_is_not_its_are_denied_alike(
    alice,
    bob,
    agent_id,  # noqa: F811
    issuer,
    nobodys,
):
    identity(alice, agent_id, issuer)
    good = sign("rsa", claims_of(issuer.url))

    def login(role, token=good):
        return nobodys("PUT", "auth/jwt/login", {"role": role, "jwt": token})

    assert login("ci").status_code == 200
    wrong = [login("CI"), login(""), login("ci\0"), login("x" * 300), login(str(bob.principal.pk))]
    wrong += [login("ci", "x.y.z"), login("ci", good[:-3]), login("ci", "")]
    # Where two have a name, it is nobody's; an agent that is gone has none.
    other = bob.api.post("/v1/agents", {"name": "ci"}).json()["agent"]["id"]
    wrong.append(login("ci"))
    for answer in wrong:
        assert (answer.status_code, answer.json()) == (403, {"errors": ["permission denied"]})
    bob.api.delete(f"/v1/agents/{other}")
    assert login("ci").status_code == 200
    for content in ({}, {"role": "ci"}, {"role": 5, "jwt": good}, {"role": "ci", "jwt": [good]}):
        assert nobodys("PUT", "auth/jwt/login", content).status_code == 400


def test_any_kind_of_credential_is_taken_in_either_header(alice, vault):
    for credential in (alice.token, alice.raw_key):
        assert Door(credential)("GET", "team/config").status_code == 200
        bearer = {"Authorization": f"Bearer {credential}"}
        assert Door(None)("GET", "team/config", headers=bearer).status_code == 200


@pytest.mark.parametrize("token", [None, "", "s.wrong", "hvs.x", "ünï", "x" * 9000, "1ck_wrong"])
def test_without_a_valid_token_everything_is_denied(token, alice, vault):
    headers = {} if token is None else {"X-Vault-Token": token}
    answer = Door(None)("GET", "team/data/a", headers=headers)
    assert (answer.status_code, answer.json()) == (403, {"errors": ["permission denied"]})
    answer = Door(None)("GET", "team/data/..", headers=headers)
    assert answer.status_code == 403


def test_a_token_made_from_a_token_ends_with_it(alice, vault, door):
    mine = door(alice)
    made = mine("PUT", "auth/token/create", {"ttl": "2m"}).json()["auth"]
    child = Door(made["client_token"])
    assert made["lease_duration"] == 120
    assert child("GET", "team/config").status_code == 200
    assert child("PUT", "auth/token/create", {}).status_code == 400
    long = mine("POST", "auth/token/create", {"ttl": "9999h"}).json()["auth"]
    assert long["lease_duration"] <= mine("GET", "auth/token/lookup-self").json()["data"]["ttl"] + 1
    # Of the child alone, then of the parent.
    assert Door(long["client_token"])("POST", "auth/token/revoke-self").status_code == 204
    assert mine("GET", "team/config").status_code == 200
    assert mine("PUT", "auth/token/revoke-self").status_code == 204
    assert mine("GET", "team/config").status_code == 403
    assert child("GET", "team/config").status_code == 403


def test_a_token_made_from_a_token_is_narrowed_like_it_and_ends_with_its_key(robot, alice, vault):
    from secrets_app.models import Agent
    from secrets_app.services.audit import OPERATOR
    from secrets_app.services.identity.api_keys import revoke_api_key
    from tests.cast import vault_of

    other = vault_of(alice, "other")
    allow(robot, vault, "**", "read")
    allow(robot, other, "**", "read")
    Agent.objects.update(vault_ids=[str(vault.pk)])
    token = login(Door(None), robot).json()["auth"]["client_token"]
    Agent.objects.update(vault_ids=[])
    child = Door(Door(token)("PUT", "auth/token/create", {}).json()["auth"]["client_token"])
    assert child("GET", f"{vault.pk}/data/a").status_code == 404
    assert child("GET", f"{other.pk}/data/a").status_code == 403
    revoke_api_key(key_id=robot.key.pk, principal_id=None, actor=OPERATOR)
    assert child("GET", f"{vault.pk}/data/a").status_code == 403


def test_a_token_made_from_one_of_a_password_ends_when_that_one_would_have(
    alice, nobodys, time_machine
):
    start = datetime(2027, 1, 1, tzinfo=UTC)
    time_machine.move_to(start, tick=False)
    answer = nobodys("PUT", "auth/userpass/login/alice@example.com", {"password": PASSWORD})
    parent = Door(answer.json()["auth"]["client_token"])
    time_machine.move_to(start + timedelta(seconds=300), tick=False)
    made = parent("PUT", "auth/token/create", {}).json()["auth"]
    assert made["lease_duration"] == 600
    event = AuditEvent.objects.order_by("created_at").last()
    assert (event.action, event.outcome, event.resource_type, event.resource_id) == (
        "auth.success",
        "success",
        "principal",
        alice.principal.pk,
    )
    assert event.details == {"method": "token", "door": "kv2"}
    again = Door(made["client_token"])("PUT", "auth/token/create", {})
    told = ["A token that was made from another token makes no tokens."]
    assert (again.status_code, again.json()) == (400, {"errors": told})
    time_machine.move_to(start + timedelta(seconds=900), tick=False)
    assert Door(made["client_token"])("GET", "auth/token/lookup-self").status_code == 403


def test_who_asks_for_less_than_all_is_not_given_all(alice, vault, door):
    for asked in (
        {"policies": ["read-only"]},
        {"num_uses": 1},
        {"policies": "x"},
        {"num_uses": "x"},
    ):
        assert door(alice)("PUT", "auth/token/create", asked).status_code == 400
    taken = {"policies": ["default"], "num_uses": 0}
    assert door(alice)("PUT", "auth/token/create", taken).status_code == 200


def test_an_api_key_makes_a_token_and_is_not_revoked_as_one(alice, vault):
    by_key = Door(alice.raw_key)
    made = by_key("PUT", "auth/token/create", {"ttl": "1m"}).json()["auth"]
    assert made["lease_duration"] in (59, 60)
    assert Door(made["client_token"])("GET", "team/config").status_code == 200
    assert by_key("PUT", "auth/token/revoke-self").status_code == 400
    assert by_key("GET", "auth/token/lookup-self").json()["data"]["ttl"] == 0


def test_tokens_are_not_renewed(alice, door):
    answer = door(alice)("POST", "auth/token/renew-self", {})
    assert (answer.status_code, answer.json()) == (400, {"errors": ["lease is not renewable"]})
