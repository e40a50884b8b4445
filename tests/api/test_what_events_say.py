"""The event of each change and each look, word for word; also of those that failed.

Asked for by mutation testing (docs/mutation.md)."""

import pytest
from django.utils import timezone

from secrets_app.models import AuditEvent, Secret
from tests.cast import allow, body, secret_url, vault_of

WHOLE = {  # how each is asked for, by the action that the log calls it
    "secret.read": lambda api, v, path: api.get(secret_url(v, path)),
    "secret.describe": lambda api, v, path: api.request("HEAD", secret_url(v, path)),
    "secret.delete": lambda api, v, path: api.delete(secret_url(v, path)),
    "secret.purge": lambda api, v, path: api.delete(secret_url(v, path) + "?purge=true"),
    "secret.undelete": lambda api, v, path: api.post(f"/v1/vaults/{v.pk}/secret-undelete/{path}"),
    "secret.rotate": lambda api, v, path: api.post(f"/v1/vaults/{v.pk}/secret-rotate/{path}", {}),
    "secret.versions": lambda api, v, path: api.get(f"/v1/vaults/{v.pk}/secret-versions/{path}"),
}
OF_A_VERSION = {
    "secret.read": lambda api, v, path, n: api.get(f"/v1/vaults/{v.pk}/secret-version/{path}/{n}"),
    "secret.describe": lambda api, v, path, n: api.request(
        "HEAD", f"/v1/vaults/{v.pk}/secret-version/{path}/{n}"
    ),
    "secret.disable": lambda api, v, path, n: api.post(
        f"/v1/vaults/{v.pk}/secret-version-disable/{path}/{n}"
    ),
}


def last_event():
    event = AuditEvent.objects.order_by("created_at", "id").last()
    return event.action, event.outcome, event.resource_type, event.resource_id, event.details


def is_alices(alice, vault):
    event = AuditEvent.objects.order_by("created_at", "id").last()
    return (event.actor_id, event.actor_type, event.vault_id) == (
        alice.principal.pk,
        "user",
        vault.pk,
    )


@pytest.fixture
def stored(alice, vault):
    for value in ("one", "two"):
        alice.api.put(secret_url(vault, "a/b"), body(value))
    return Secret.objects.get()


@pytest.mark.parametrize("action", WHOLE)
def test_of_a_path_where_nothing_is(alice, vault, action):
    response = WHOLE[action](alice.api, vault, "no/such")
    assert response.status_code == 404
    if response.content:
        assert response.json()["detail"] == "There is no secret at this path."
    details = {"path": "no/such", "reason": "NotFound"}
    assert last_event() == (action, "failure", "secret", None, details)
    assert is_alices(alice, vault)


@pytest.mark.parametrize("action", OF_A_VERSION)
def test_of_a_version_that_is_not_there(alice, vault, stored, action):
    response = OF_A_VERSION[action](alice.api, vault, "a/b", 3)
    assert response.status_code == 404
    if response.content:
        assert response.json()["detail"] == "There is no such version."
    details = {"path": "a/b", "reason": "NotFound"}
    assert last_event() == (action, "failure", "secret", None, details)
    assert is_alices(alice, vault)


@pytest.mark.parametrize("action", ["secret.delete", "secret.rotate", "secret.versions"])
def test_of_a_deleted_secret(alice, vault, stored, action):
    alice.api.delete(secret_url(vault, "a/b"))
    response = WHOLE[action](alice.api, vault, "a/b")
    assert response.status_code == 404
    assert response.json()["detail"] == "There is no secret at this path."
    details = {"path": "a/b", "reason": "NotFound"}
    assert last_event() == (action, "failure", "secret", None, details)


def test_of_a_version_of_a_deleted_secret(alice, vault, stored):
    alice.api.delete(secret_url(vault, "a/b"))
    response = OF_A_VERSION["secret.disable"](alice.api, vault, "a/b", 1)
    assert (response.status_code, response.json()["detail"]) == (
        404,
        "There is no secret at this path.",
    )
    for action in ("secret.read", "secret.describe"):
        assert OF_A_VERSION[action](alice.api, vault, "a/b", 1).status_code == 410
        details = {"path": "a/b", "reason": "deleted"}
        assert last_event() == (action, "failure", "secret", None, details)


def test_of_an_undelete_where_nothing_was_deleted(alice, vault, stored):
    response = WHOLE["secret.undelete"](alice.api, vault, "a/b")
    assert (response.status_code, response.json()["detail"]) == (409, "The secret is not deleted.")
    details = {"path": "a/b", "reason": "Conflict"}
    assert last_event() == ("secret.undelete", "failure", "secret", None, details)
    assert is_alices(alice, vault)


@pytest.mark.parametrize(
    ("action", "more"),
    [
        ("secret.read", {"version": 2}),
        ("secret.describe", {"version": 2}),
        ("secret.delete", {}),
        ("secret.purge", {}),
        ("secret.rotate", {"version": 3, "type": "password"}),
    ],
)
def test_of_what_was_done_to_a_secret(alice, vault, stored, action, more):
    assert WHOLE[action](alice.api, vault, "a/b").status_code < 300
    assert last_event() == (action, "success", "secret", stored.pk, {"path": "a/b"} | more)
    assert is_alices(alice, vault)


def test_of_an_undelete(alice, vault, stored):
    alice.api.delete(secret_url(vault, "a/b"))
    assert WHOLE["secret.undelete"](alice.api, vault, "a/b").status_code == 200
    assert last_event() == ("secret.undelete", "success", "secret", stored.pk, {"path": "a/b"})


@pytest.mark.parametrize("action", OF_A_VERSION)
def test_of_what_was_done_to_a_version(alice, vault, stored, action):
    assert OF_A_VERSION[action](alice.api, vault, "a/b", 1).status_code < 300
    details = {"path": "a/b", "version": 1}
    assert last_event() == (action, "success", "secret", stored.pk, details)
    assert is_alices(alice, vault)


def test_of_a_purge_by_somebody_who_does_not_own_the_vault(bob, vault, stored):
    allow(bob, vault, "**", "read", "write", "delete")
    assert WHOLE["secret.purge"](bob.api, vault, "a/b").status_code == 403
    details = {"path": "a/b", "reason": "not_the_owner"}
    assert last_event() == ("secret.purge", "denied", "secret", None, details)


def test_of_a_list_and_of_versions(alice, vault, stored):
    assert alice.api.get(f"/v1/vaults/{vault.pk}/secrets?prefix=a/").status_code == 200
    details = {"prefix": "a/", "count": 1}
    assert last_event() == ("secret.list", "success", "vault", vault.pk, details)
    assert WHOLE["secret.versions"](alice.api, vault, "a/b").status_code == 200
    details = {"path": "a/b", "count": 2}
    assert last_event() == ("secret.versions", "success", "secret", stored.pk, details)


def test_of_a_version_that_an_operator_disables(stored):
    from secrets_app.models import SecretVersion
    from secrets_app.services.audit import OPERATOR
    from secrets_app.services.secrets.lifecycle import disable_any_version

    version = SecretVersion.objects.get(number=1)
    disable_any_version(version_id=version.pk, actor=OPERATOR)
    details = {"path": "a/b", "version": 1}
    assert last_event() == ("secret.disable", "success", "secret", stored.pk, details)


def test_a_purge_takes_the_versions_and_kept_answers_of_its_secret_and_no_other(alice, vault):
    """A purge that took all of a vault would have been noticed by nobody."""
    from secrets_app.models import IdempotencyKey, SecretVersion

    for path in ("gone", "kept"):
        alice.api.put(secret_url(vault, path), body(path), headers={"Idempotency-Key": path})
    alice.api.delete(secret_url(vault, "gone") + "?purge=true")
    assert [each.secret.path for each in SecretVersion.objects.all()] == ["kept"]
    assert [each.body["path"] for each in IdempotencyKey.objects.all()] == ["kept"]
    assert alice.api.get(secret_url(vault, "kept")).json()["value"] == "kept"


@pytest.mark.parametrize("action", [*WHOLE, "secret.disable"])
def test_what_is_done_at_a_path_of_one_vault_is_not_done_at_the_same_path_of_another(
    alice, vault, action
):
    """Nor at another path of the same vault. A lock by the path alone would have been noticed by nobody."""
    others = [vault_of(alice, name) for name in ("other", "third")]
    for where in (others[0], vault, others[1]):
        for path in ("a/a", "a/b", "a/c"):
            alice.api.put(secret_url(where, path), body("kept"))
    if action == "secret.undelete":
        Secret.objects.update(deleted_at=timezone.now())
    before = state_of_all()
    mine = (vault.pk, "a/b")
    if action == "secret.disable":
        response = OF_A_VERSION[action](alice.api, vault, "a/b", 1)
    else:
        response = WHOLE[action](alice.api, vault, "a/b")
    assert response.status_code < 300
    after = state_of_all()
    is_a_look = action in ("secret.read", "secret.describe", "secret.versions")
    assert (before.pop(mine, None) == after.pop(mine, None)) is is_a_look
    assert after == before


def state_of_all():
    """Vault and path → what a change changes."""
    return {
        (secret.vault_id, secret.path): (
            secret.current_version,
            secret.deleted_at,
            list(secret.versions.order_by("number").values_list("number", "disabled_at")),
        )
        for secret in Secret.objects.all()
    }


@pytest.mark.parametrize("action", ["secret.delete", "secret.purge", "secret.rotate"])
def test_a_path_where_nothing_is_stands_for_no_other(alice, vault, stored, action):
    assert WHOLE[action](alice.api, vault, "a/c").status_code == 404
    assert alice.api.get(secret_url(vault, "a/b")).json()["value"] == "two"


@pytest.mark.parametrize(
    ("reason", "words", "mark"),
    [
        ("disabled", "disabled", {"disabled_at": timezone.now()}),
        ("destroyed", "destroyed", {"destroyed_at": timezone.now(), "value": None}),
        ("expired", "expired", {"expires_at": timezone.now()}),
        ("used_up", "used up", {"max_access_count": 1, "access_count": 1}),
    ],
)
@pytest.mark.parametrize("action", OF_A_VERSION.keys() - {"secret.disable"})
def test_of_a_version_that_cannot_be_read_any_more(
    alice, vault, stored, action, reason, words, mark
):
    stored.versions.filter(number=2).update(**mark)
    for ask in (
        WHOLE[action](alice.api, vault, "a/b"),
        OF_A_VERSION[action](alice.api, vault, "a/b", 2),
    ):
        assert ask.status_code == 410
        if ask.content:
            detail = f"The secret is not available any more: {words}."
            assert ask.json()["detail"] == detail
        details = {"path": "a/b", "reason": reason}
        assert last_event() == (action, "failure", "secret", None, details)


def test_of_the_last_access_that_somebody_else_took(alice, vault, stored, monkeypatch):
    """Between looking and spending."""
    from secrets_app.services.secrets import reveal

    stored.versions.update(max_access_count=1)
    opened = reveal.open_version

    def and_somebody_is_faster(version):
        stored.versions.update(access_count=1)
        return opened(version)

    monkeypatch.setattr(reveal, "open_version", and_somebody_is_faster)
    response = WHOLE["secret.read"](alice.api, vault, "a/b")
    detail = "The secret is not available any more: used up."
    assert (response.status_code, response.json()["detail"]) == (410, detail)
    details = {"path": "a/b", "reason": "used_up"}
    assert last_event() == ("secret.read", "failure", "secret", None, details)


def test_of_a_read_by_somebody_who_has_this_version(alice, vault, stored):
    stored.versions.update(max_access_count=1)
    known = {"If-None-Match": '"2"'}
    response = alice.api.get(secret_url(vault, "a/b"), headers=known)
    assert (response.status_code, response.content) == (304, b"")
    assert response["ETag"] == '"2"'
    details = {"path": "a/b", "version": 2}
    assert last_event() == ("secret.describe", "success", "secret", stored.pk, details)
    assert is_alices(alice, vault)
    response = alice.api.get(secret_url(vault, "a/b"), headers={"If-None-Match": '"1"'})
    assert (response.status_code, response.json()["value"]) == (200, "two")


def test_of_what_failed_without_a_path(alice, vault, stored):
    item = {"path": "a/b"} | body("three") | {"if_version": 1}
    response = alice.api.post(f"/v1/vaults/{vault.pk}/secrets:batchWrite", {"secrets": [item]})
    assert response.status_code == 412
    details = {"reason": "PreconditionFailed"}
    assert last_event() == ("secret.write", "failure", "secret", None, details)
    assert is_alices(alice, vault)


def test_of_a_batch_that_one_may_not_write_as_a_whole(bob, vault, stored):
    allow(bob, vault, "a/*", "write")
    before = set(AuditEvent.objects.values_list("pk", flat=True))
    items = [{"path": path} | body() for path in ("a/b", "c", "d/e")]
    response = bob.api.post(f"/v1/vaults/{vault.pk}/secrets:batchWrite", {"secrets": items})
    assert response.status_code == 403
    events = AuditEvent.objects.exclude(pk__in=before)
    assert {(e.action, e.outcome, e.resource_type, e.vault_id) for e in events} == {
        ("secret.write", "denied", "secret", vault.pk)
    }
    assert sorted((e.details["path"], e.details) for e in events) == [
        (path, {"path": path, "permission": "write"}) for path in ("c", "d/e")
    ]


@pytest.mark.parametrize("more", [{}, {"Idempotency-Key": "k"}])
def test_of_a_write_the_fast_and_the_slow_way(alice, vault, stored, more):
    wrong = {"If-Match": '"1"'} | more
    response = alice.api.put(secret_url(vault, "a/b"), body("three"), headers=wrong)
    assert response.status_code == 412
    details = {"path": "a/b", "reason": "PreconditionFailed"}
    assert last_event() == ("secret.write", "failure", "secret", None, details)
    assert is_alices(alice, vault)
    right = {"If-Match": '"2"'} | more
    response = alice.api.put(secret_url(vault, "a/b"), body("three"), headers=right)
    assert response.status_code == 201
    details = {"path": "a/b", "version": 3, "type": "password"}
    assert last_event() == ("secret.write", "success", "secret", stored.pk, details)
    assert is_alices(alice, vault)


def test_of_each_path_of_a_batch_that_is_read(bob, vault, stored, alice):
    for path in ("c", "d"):
        alice.api.put(secret_url(vault, path), body())
    Secret.objects.get(path="c").versions.update(disabled_at=timezone.now())
    allow(bob, vault, "a/*", "read")
    allow(bob, vault, "*", "read")
    before = set(AuditEvent.objects.values_list("pk", flat=True))
    paths = ["a/b", "c", "no", "x/y/z"]
    response = bob.api.post(f"/v1/vaults/{vault.pk}/secrets:batchRead", {"paths": paths})
    assert response.status_code == 200
    events = AuditEvent.objects.exclude(pk__in=before)
    assert {(e.action, e.resource_type, e.vault_id, e.actor_id) for e in events} == {
        ("secret.read", "secret", vault.pk, bob.principal.pk)
    }
    assert {e.details["path"]: (e.outcome, e.resource_id, e.details) for e in events} == {
        "a/b": ("success", stored.pk, {"path": "a/b", "version": 2}),
        "c": ("failure", None, {"path": "c", "reason": "disabled"}),
        "no": ("failure", None, {"path": "no", "reason": "NotFound"}),
        "x/y/z": ("denied", None, {"path": "x/y/z", "reason": "Forbidden"}),
    }


@pytest.mark.parametrize(
    ("network", "is_allowed"), [("127.0.0.0/8", True), ("198.51.100.0/24", False)]
)
def test_a_batch_is_judged_by_the_callers_address(bob, vault, stored, network, is_allowed):
    conditions = {"ip_allowlist": [network]}
    allow(bob, vault, "a/*", "read", "write", conditions=conditions)
    read = bob.api.post(f"/v1/vaults/{vault.pk}/secrets:batchRead", {"paths": ["a/b"]})
    assert ("two" in read.content.decode()) is is_allowed
    items = {"secrets": [{"path": "a/b"} | body("three")]}
    written = bob.api.post(f"/v1/vaults/{vault.pk}/secrets:batchWrite", items)
    assert (written.status_code < 300) is is_allowed
