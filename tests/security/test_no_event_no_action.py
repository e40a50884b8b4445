"""Every action leaves an event, and what cannot leave one does not happen. Routes and commands are read
from the code, so that a new one has to be added here."""

import os
from dataclasses import replace
from uuid import uuid4

import pytest
from django.contrib.admin.sites import site
from django.core.management import CommandError, get_commands
from django.db import DatabaseError, connection

from secrets_app.models import AuditEvent, Principal
from tests.api.test_every_route import ENDPOINTS
from tests.every_action import (
    ADMIN_ACTIONS,
    ANONYMOUS_ROUTES,
    COMMANDS,
    ROUTES,
    SILENT_COMMANDS,
    SILENT_ROUTES,
    events,
    make_world,
    stored,
)
from tests.every_event import (
    EVENTS_OF_ADMIN_ACTIONS,
    EVENTS_OF_COMMANDS,
    EVENTS_OF_REFUSALS,
    EVENTS_OF_ROUTES,
    lines_of,
    names_of,
)
from tests.postgresql import BIN

APPS = ("secrets_app", "vaultsite.accounts")


@pytest.fixture
def world(alice, bob, tmp_path, settings, monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")  # of `backup`
    monkeypatch.setenv("VAULTSITE_PASSWORD", "correct horse battery staple")  # of `create_user`
    return make_world(alice, bob, tmp_path)


@pytest.fixture
def read_only_log(db):
    """Switches the log off for writing, in the database itself."""

    table = AuditEvent._meta.db_table

    def switch():
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute(
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                    " $$ BEGIN RAISE EXCEPTION 'the log is read-only'; END $$"
                )
                cursor.execute(
                    f"CREATE TRIGGER read_only BEFORE INSERT ON {table} EXECUTE FUNCTION refuse()"
                )
            else:
                cursor.execute(
                    f"CREATE TRIGGER read_only BEFORE INSERT ON {table}"
                    " BEGIN SELECT RAISE(ABORT, 'the log is read-only'); END"
                )

    yield switch
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("DROP FUNCTION IF EXISTS refuse CASCADE")
        else:
            cursor.execute("DROP TRIGGER IF EXISTS read_only")


def test_every_route_and_command_is_tried_or_named_as_silent():
    assert {(method, route) for route, _, method, _ in ENDPOINTS} == ROUTES.keys() | SILENT_ROUTES
    commands = {name for name, app in get_commands().items() if app in APPS}
    assert commands == COMMANDS.keys() | SILENT_COMMANDS
    assert not ROUTES.keys() & SILENT_ROUTES


@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_every_route_leaves_an_event(route, world):
    before, names = events(), names_of(world)
    answer = ROUTES[route](world)
    assert answer.status_code < 300, answer.content
    new = AuditEvent.objects.order_by("-id")[: events() - before]
    assert len(new) >= 1
    assert {event.outcome for event in new} == {"success"}
    # All fields are filled in, whatever the way.
    is_anonymous = route in ANONYMOUS_ROUTES
    assert {event.actor_id is None for event in new} == {is_anonymous}
    assert all(event.ip_address and event.request_id for event in new)
    assert all(len(bytes(event.mac)) == 32 for event in new)
    # A new route's line goes into the table; it is read by whoever reads the log.
    assert sorted(lines_of(new, names)) == sorted(EVENTS_OF_ROUTES.get(route, ["?"]))


# What names something of Alice's. The last one explains to anybody why they may do nothing.
OF_ALICE = [
    route
    for route in ROUTES
    if ("vault_id" in route[1] or "item_id" in route[1]) and not route[1].endswith("/access")
]


@pytest.mark.parametrize("route", OF_ALICE, ids=" ".join)
def test_every_refusal_of_a_stranger_leaves_an_event_with_its_reason(route, world, charlie):
    before, names = events(), names_of(world)
    answer = ROUTES[route](replace(world, alice=charlie))
    assert answer.status_code in (403, 404)
    (event,) = AuditEvent.objects.order_by("-id")[: events() - before]
    assert (event.outcome, event.actor_id) == ("denied", charlie.principal.pk)
    assert event.details["reason"]
    assert event.ip_address
    assert event.request_id
    assert lines_of([event], names) == EVENTS_OF_REFUSALS.get(route, ["?"])


@pytest.mark.parametrize("exists", [True, False])
def test_a_strangers_look_at_an_agent_leaves_the_same_event_whether_there_is_one(
    exists, world, charlie
):
    agent_id = world.agent_id if exists else str(uuid4())
    assert charlie.api.get(f"/v1/agents/{agent_id}").status_code == 404
    event = AuditEvent.objects.latest("id")
    assert (event.action, event.outcome, event.details) == (
        "agent.read",
        "denied",
        {"reason": "not_the_owner"},
    )
    assert str(event.resource_id) == agent_id


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_leaves_an_event_of_the_operator(name, world):
    COMMANDS[name].before(world)
    names = names_of(world)
    before = set(AuditEvent.objects.values_list("pk", flat=True))
    COMMANDS[name].use(world)
    new = AuditEvent.objects.exclude(pk__in=before)
    assert new
    assert {event.actor_type for event in new} == {"operator"}
    assert sorted(lines_of(new, names)) == sorted(EVENTS_OF_COMMANDS.get(name, ["?"]))


def test_every_action_of_the_admin_is_tried():
    actions = {
        (model._meta.model_name, action)
        for model, admin in site._registry.items()
        for action in admin.actions
    }
    assert actions == ADMIN_ACTIONS.keys()


@pytest.mark.parametrize("action", ADMIN_ACTIONS, ids=" ".join)
def test_every_action_of_the_admin_leaves_an_event_of_the_person(action, world):
    names = names_of(world)
    before = set(AuditEvent.objects.values_list("pk", flat=True))
    answer = ADMIN_ACTIONS[action](world)
    assert answer.status_code == 302, answer.content
    new = AuditEvent.objects.exclude(pk__in=before)
    operator = Principal.objects.get(user__email="operator@example.com")
    assert new
    assert {(event.outcome, event.actor_id) for event in new} == {("success", operator.pk)}
    assert all(event.resource_id and event.ip_address and event.request_id for event in new)
    assert sorted(lines_of(new, names)) == sorted(EVENTS_OF_ADMIN_ACTIONS.get(action, ["?"]))


# In no transaction of the test's own, which PostgreSQL would end with the first error.
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
def test_no_route_does_anything_that_cannot_be_logged(route, world, read_only_log):
    # Signed in beforehand: that is not what is tried here.
    before = stored()
    read_only_log()
    answer = ROUTES[route](world)
    assert answer.status_code == 500
    assert answer["Content-Type"] == "application/problem+json"
    assert stored() == before


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_does_anything_that_cannot_be_logged(name, world, read_only_log):
    COMMANDS[name].before(world)
    before = stored()
    read_only_log()
    with pytest.raises((DatabaseError, CommandError)):  # `doctor` tells it among other things
        COMMANDS[name].use(world)
    assert stored() == before


@pytest.mark.parametrize("action", ADMIN_ACTIONS, ids=" ".join)
def test_no_action_of_the_admin_does_anything_that_cannot_be_logged(action, world, read_only_log):
    before = stored()
    read_only_log()
    assert ADMIN_ACTIONS[action](world).status_code == 500
    assert stored() == before


@pytest.mark.parametrize(
    "what",
    [
        "bad password",
        "bad key",
        "bad bearer",
        "denied",
    ],
)
def test_refusals_are_refused_all_the_more(what, world, charlie, read_only_log):
    from tests.cast import Api

    read_only_log()
    answer = {
        "bad password": lambda: Api().post(
            "/v1/auth/token", {"email": "alice@example.com", "password": "x"}
        ),
        "bad key": lambda: Api().post("/v1/auth/api-key-token", {"api_key": "1ck_x"}),
        "bad bearer": lambda: Api("x").get("/v1/auth/me"),
        "denied": lambda: charlie.api.get(world.at("/secrets/a")),
    }[what]()
    assert answer.status_code == 500
