"""What must hold for each route of the Vault door, read from the URL configuration itself."""

import re
from uuid import uuid4

import pytest

from secrets_app.models import AuditEvent, SecretVersion
from secrets_app.policy.decision import Permission
from secrets_app.vault_api.door import Access, Route
from secrets_app.vault_api.urls import unknown, urlpatterns
from tests.cast import PASSWORD, allow, body, deny, secret_url, vault_of
from tests.every_action import stored
from tests.vault_api.conftest import Door

ROUTES = [each.callback for each in urlpatterns if isinstance(each.callback, Route)]
ACTIONS = [
    (route.template, method, action) for route in ROUTES for method, action in route.actions.items()
]
IN_VAULT = [each for each in ACTIONS if "{mount}" in each[0]]
READ, WRITE, DELETE = Permission.READ, Permission.WRITE, Permission.DELETE
# A row for each route and method: what it takes, as docs/vault-clients.md and kv2.md say. It is written out
# here so that a route that asks for too little, or that nobody thought about, is noticed.
TAKES: dict[tuple[str, str], set[Access | Permission]] = {
    ("/{mount}/data/{path}", "GET"): {READ},
    ("/{mount}/data/{path}", "PUT"): {WRITE},
    ("/{mount}/data/{path}", "PATCH"): {WRITE, READ},
    ("/{mount}/data/{path}", "DELETE"): {DELETE},
    ("/{mount}/metadata/{path}", "GET"): {READ},
    ("/{mount}/metadata/{path}", "LIST"): {Access.MEMBER},
    ("/{mount}/metadata/{path}", "PUT"): {WRITE},
    ("/{mount}/metadata/{path}", "PATCH"): {WRITE},
    ("/{mount}/metadata/{path}", "DELETE"): {Access.OWNER},
    ("/{mount}/metadata", "LIST"): {Access.MEMBER},
    ("/{mount}/subkeys/{path}", "GET"): {READ},
    ("/{mount}/delete/{path}", "PUT"): {DELETE},
    ("/{mount}/undelete/{path}", "PUT"): {WRITE},
    ("/{mount}/destroy/{path}", "PUT"): {Access.OWNER},
    ("/{mount}/config", "GET"): {Access.MEMBER},
    ("/{mount}/config", "PUT"): {Access.MEMBER},
    ("/auth/token/lookup-self", "GET"): {Access.SIGNED_IN},
    ("/auth/token/renew-self", "PUT"): {Access.SIGNED_IN},
    ("/auth/token/create", "PUT"): {Access.SIGNED_IN},
    ("/auth/token/revoke-self", "PUT"): {Access.SIGNED_IN},
    ("/sys/capabilities-self", "PUT"): {Access.SIGNED_IN},
    ("/sys/internal/ui/mounts/{place}", "GET"): {Access.SIGNED_IN},  # and looks for itself
    ("/sys/internal/ui/mounts", "GET"): {Access.SIGNED_IN},
    ("/sys/mounts", "GET"): {Access.SIGNED_IN},
    ("/auth/approle/login", "PUT"): {Access.SIGN_IN},
    ("/auth/userpass/login/{email}", "PUT"): {Access.SIGN_IN},
    ("/auth/jwt/login", "PUT"): {Access.SIGN_IN},
    ("/auth/kubernetes/login", "PUT"): {Access.SIGN_IN},
    ("/auth/{method}/login", "PUT"): {Access.PUBLIC},
    ("/sys/health", "GET"): {Access.PUBLIC},
    ("/sys/health", "HEAD"): {Access.PUBLIC},
    ("/sys/init", "GET"): {Access.PUBLIC},
    ("/sys/seal-status", "GET"): {Access.PUBLIC},
    ("/sys/leader", "GET"): {Access.PUBLIC},
    ("/sys/internal/specs/openapi", "GET"): {Access.PUBLIC},
}
PUBLIC = {each for each, takes in TAKES.items() if takes & {Access.PUBLIC, Access.SIGN_IN}}
BODIES = {
    "data": {"data": {"k": "new"}},
    "metadata": {"custom_metadata": {"k": "v"}},
    "delete": {"versions": [1]},
    "undelete": {"versions": [1]},
    "destroy": {"versions": [1]},
    "login": {"role": "x", "jwt": "x.y.z", "role_id": "x", "secret_id": "y", "password": PASSWORD},
    "capabilities-self": {"paths": ["team/data/a"]},
}
# They change nothing and show no secret: what the service is, which vaults one sees, and what one may do.
SILENT = {
    *((template, method) for template, method in PUBLIC if not template.startswith("/auth")),
    ("/auth/{method}/login", "PUT"),
    ("/auth/token/lookup-self", "GET"),
    ("/auth/token/renew-self", "PUT"),
    ("/sys/capabilities-self", "PUT"),
    ("/sys/internal/ui/mounts/{place}", "GET"),
    ("/sys/internal/ui/mounts", "GET"),
    ("/sys/mounts", "GET"),
    ("/{mount}/config", "GET"),
    ("/{mount}/config", "PUT"),
}


def names(cases):
    return [f"{method} {template}" for template, method, _ in cases]


def request_of(template, method, mount="team", path="a"):
    """URL below /vault/v1/ and body of a request that is well made."""
    url = template.removeprefix("/").replace("{mount}", mount).replace("{path}", path)
    url = url.replace("{place}", f"{mount}/x").replace("{email}", "alice@example.com")
    url = url.replace("{method}", "oidc")
    assert "{" not in url, f"teach this test to fill in {url}"
    kind = next((kind for kind in BODIES if kind in re.split("[/]", template)), None)
    return url, BODIES.get(kind) if method in ("PUT", "PATCH") else None


def send(door, template, method, mount="team", path="a"):
    return door(method, *request_of(template, method, mount, path))


def test_every_route_has_a_row_and_nothing_else_answers():
    assert [(template, method) for template, method, _ in ACTIONS if method == "POST"] == []
    assert {(template, method) for template, method, _ in ACTIONS} == TAKES.keys()
    *routes, last = urlpatterns
    assert [each.callback for each in routes] == ROUTES
    assert last.callback is unknown


@pytest.mark.parametrize("route", ROUTES, ids=[route.template for route in ROUTES])
def test_a_route_in_a_vault_names_it_as_its_mount(route):
    """So that none is judged without its vault, or with another than the one in its address."""
    (pattern,) = (each.pattern for each in urlpatterns if each.callback is route)
    assert set(pattern.regex.groupindex) == set(re.findall(r"{(\w+)}", route.template))
    for action in route.actions.values():
        is_judged_in_vault = action.access in (*Permission, Access.MEMBER, Access.OWNER)
        assert is_judged_in_vault is ("{mount}" in route.template)


@pytest.mark.parametrize(("template", "method", "action"), ACTIONS, ids=names(ACTIONS))
def test_every_action_declares_who_may_use_it(template, method, action):
    assert {action.access, action.also} - {None} == TAKES[template, method]
    assert (action.access is Access.OWNER) is bool(action.event)
    assert action.also is None or isinstance(action.access, Permission)


@pytest.mark.parametrize(("template", "method", "action"), ACTIONS, ids=names(ACTIONS))
def test_without_a_token_all_but_what_is_public_is_denied(template, method, action, vault):
    answer = send(Door(None), template, method)
    if template in ("/auth/jwt/login", "/auth/kubernetes/login"):
        assert AuditEvent.objects.filter(details__reason="malformed_assertion").exists()
    elif (template, method) in PUBLIC:
        assert answer.status_code != 403
    else:
        assert (answer.status_code, answer.json()) == (403, {"errors": ["permission denied"]})


@pytest.mark.parametrize(("template", "method", "action"), IN_VAULT, ids=names(IN_VAULT))
def test_who_has_no_policy_is_denied_and_changes_nothing(
    template, method, action, alice, charlie, vault, door
):
    alice.api.put(secret_url(vault, "a"), body())
    before = stored()
    for mount in ("team", str(vault.pk), "none", str(uuid4())):
        answer = send(door(charlie), template, method, mount)
        assert (answer.status_code, answer.json()) == (403, {"errors": ["permission denied"]})
    assert stored() == before


# By what it takes to be allowed over /v1: there the same policy decides.
OVER_V1 = {
    Permission.READ: lambda who, vault: who.api.get(secret_url(vault, "a")),
    Permission.WRITE: lambda who, vault: who.api.put(secret_url(vault, "a"), body()),
    Permission.DELETE: lambda who, vault: who.api.delete(secret_url(vault, "a")),
    Access.OWNER: lambda who, vault: who.api.delete(secret_url(vault, "a") + "?purge=true"),
    Access.MEMBER: lambda who, vault: who.api.get(f"/v1/vaults/{vault.pk}/secrets"),
}


ALL = ("read", "write", "delete", "rotate")
# What is allowed everywhere, and what of it is denied at the path.
POLICIES = [
    *(((each,), ()) for each in ALL),
    *((ALL, (each,)) for each in ALL),
    (("read", "write"), ()),
    ((), ()),
]


@pytest.mark.parametrize(("template", "method", "action"), IN_VAULT, ids=names(IN_VAULT))
def test_a_policy_that_forbids_over_v1_forbids_here(
    template, method, action, alice, bob, vault, door
):
    seen = set()
    for granted, denied in POLICIES:
        alice.api.put(secret_url(vault, "a"), body())
        policies = [allow(bob, vault, "**", *granted)] if granted else []
        policies += [deny(bob, vault, "a", *denied)] if denied else []
        here = send(door(bob), template, method, str(vault.pk)).status_code
        there = [OVER_V1[each](bob, vault).status_code for each in TAKES[template, method]]
        assert (here == 403) is (403 in there), (granted, denied)
        seen.add(here == 403)
        for policy in policies:
            policy.delete()
    assert True in seen
    assert (False in seen) is (TAKES[template, method] != {Access.OWNER})


@pytest.mark.parametrize(("template", "method", "action"), IN_VAULT, ids=names(IN_VAULT))
def test_the_owner_may_do_everything(template, method, action, alice, vault, door):
    alice.api.put(secret_url(vault, "a"), body())
    mounts = ("team", str(vault.pk))
    statuses = {send(door(alice), template, method, mount).status_code for mount in mounts}
    assert statuses <= ({400} if "config" in template and method == "PUT" else {200, 204, 404})


@pytest.mark.parametrize(("template", "method", "action"), IN_VAULT, ids=names(IN_VAULT))
def test_rights_in_one_vault_count_nothing_in_another(
    template, method, action, alice, bob, vault, door
):
    allow(bob, vault_of(alice, "other"), "**", "read", "write", "delete", "rotate")
    assert send(door(bob), template, method, str(vault.pk)).status_code == 403


@pytest.mark.parametrize(("template", "method", "action"), ACTIONS, ids=names(ACTIONS))
def test_what_is_done_leaves_an_event_that_names_the_door(
    template, method, action, alice, vault, door
):
    alice.api.put(secret_url(vault, "a"), body())
    before = AuditEvent.objects.count()
    send(door(alice), template, method)
    new = list(AuditEvent.objects.order_by("id")[before:])
    assert bool(new) is ((template, method) not in SILENT)
    assert all(event.details["door"] == "kv2" for event in new)


@pytest.mark.parametrize(("template", "method", "action"), ACTIONS, ids=names(ACTIONS))
def test_what_cannot_be_recorded_does_not_happen(
    template, method, action, alice, vault, door, unwritable_log
):
    alice.api.put(secret_url(vault, "a"), body("s3cr3t"))
    mine, before = door(alice), stored()
    with unwritable_log():
        answer = send(mine, template, method)
    if (template, method) not in SILENT:
        assert answer.status_code == 500
        assert answer.json() == {"errors": ["internal error"]}
        assert int(answer["Retry-After"]) > 0
        assert stored() == before
    assert b"s3cr3t" not in answer.content
    assert SecretVersion.objects.count() == 1
