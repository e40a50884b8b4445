"""Finding one's way: filters, search, date drill-down and links of the admin's lists."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.admin.sites import site
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from secrets_app.admin.read_only import BoundedPaginator
from secrets_app.models import ApiKey, AuditEvent, Secret, SecretVersion, VaultKey
from secrets_app.models.ids import uuid7
from tests.cast import allow, body, secret_url, vault_of, write_events

OURS = {m: a for m, a in site._registry.items() if m._meta.app_label == "secrets_app"}


def url_of(model, **query):
    return reverse(f"admin:secrets_app_{model._meta.model_name}_changelist", query=query)


def rows(client, model, **query):
    page = client.get(url_of(model, **query))
    assert page.status_code == 200, page.headers.get("Location")
    return {str(row) for row in page.context["cl"].result_list}


@pytest.fixture
def secrets(alice, vault):
    """By path: what is the matter with each."""
    now = timezone.now()
    dates = {
        "tomorrow": now + timedelta(days=1),
        "in-20-days": now + timedelta(days=20),
        "yesterday": now - timedelta(days=1),
    }
    for path in ("plain", "disabled", "deleted", *dates):
        expires = dates.get(path)
        extra = {} if expires is None else {"expires_at": expires.isoformat()}
        alice.api.put(secret_url(vault, path), body(**extra))
    alice.api.put(secret_url(vault_of(alice, "other"), "note"), body(type="note"))
    alice.api.post(f"/v1/vaults/{vault.pk}/secret-version-disable/disabled/1")
    alice.api.delete(secret_url(vault, "deleted"))
    alice.api.get(secret_url(vault, "plain"))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"expires": "week"}, {"tomorrow"}),
        ({"expires": "month"}, {"tomorrow", "in-20-days"}),
        ({"expires": "expired"}, {"yesterday"}),
        ({"expires": "never"}, {"plain", "disabled", "deleted", "note"}),
        ({"type": "note"}, {"note"}),
        ({"state": "disabled"}, {"disabled"}),
        ({"state": "deleted"}, {"deleted"}),
        ({"state": "living", "expires": "never"}, {"plain", "disabled", "note"}),
        ({"read": "never", "expires": "never", "state": "living"}, {"disabled", "note"}),
        ({"read": "30"}, set()),
        ({"q": "in-20"}, {"in-20-days"}),
        ({"q": "other"}, {"note"}),
    ],
)
def test_secrets_are_found_by_what_is_the_matter_with_them(operator, secrets, query, found):
    assert rows(operator, Secret, **query) == found


def test_a_secret_expires_with_its_current_version(operator, alice, vault):
    soon = (timezone.now() + timedelta(days=1)).isoformat()
    alice.api.put(secret_url(vault, "a"), body(expires_at=soon))
    assert rows(operator, Secret, expires="week") == {"a"}
    alice.api.put(secret_url(vault, "a"), body())
    assert rows(operator, Secret, expires="week") == set()


def test_an_old_secret_that_was_not_read_lately(operator, alice, vault):
    long_ago = timezone.now() - timedelta(days=100)
    for path in ("once", "often"):
        alice.api.put(secret_url(vault, path), body())
        alice.api.get(secret_url(vault, path))
    Secret.objects.update(created_at=long_ago)
    once = Secret.objects.get(path="once")
    event = AuditEvent.objects.get(resource_id=once.pk, action="secret.read")
    AuditEvent.objects.filter(pk=event.pk).update(
        id=uuid7(long_ago + timedelta(days=1)), created_at=long_ago
    )
    assert rows(operator, Secret, read="30") == {"once"}
    assert rows(operator, Secret, read="never") == set()


def test_versions_by_state_and_secret(operator, alice, vault):
    for _ in range(2):
        alice.api.put(secret_url(vault, "a"), body())
    alice.api.post(f"/v1/vaults/{vault.pk}/secret-version-disable/a/1")
    secret = Secret.objects.get()
    assert rows(operator, SecretVersion, state="disabled") == {f"{secret.pk} v1"}
    assert rows(operator, SecretVersion, state="readable") == {f"{secret.pk} v2"}
    assert len(rows(operator, SecretVersion, secret_id=secret.pk)) == 2
    assert rows(operator, SecretVersion, secret_id=uuid4()) == set()
    assert rows(operator, SecretVersion, type="note") == set()


@pytest.mark.parametrize("model", [VaultKey, ApiKey])
def test_keys_by_age(operator, alice, vault, model):
    assert rows(operator, model, age="90") == set()
    model.objects.update(created_at=timezone.now() - timedelta(days=91))
    assert len(rows(operator, model, age="90")) == 1
    assert rows(operator, model, age="30-90") == set()


def test_what_of_the_log(operator, alice, charlie, vault):
    alice.api.put(secret_url(vault, "a"), body())
    alice.api.get(secret_url(vault, "a"))
    charlie.api.get(secret_url(vault, "a"))
    alice.api.get(secret_url(vault, "nothing-here"))
    operator.get("/v1/auth/me", headers={"Authorization": "Bearer nonsense"})

    def actions(**query):
        page = operator.get(url_of(AuditEvent, **query))
        return [(e.action, e.outcome) for e in page.context["cl"].result_list]

    assert actions(what="reads") == [("secret.read", "success")]
    assert actions(what="writes") == [("secret.write", "success")]
    assert [outcome for _, outcome in actions(what="denials")] == ["denied"]
    assert len(actions(what="refused")) == 3
    assert actions(what="failed-sign-ins") == [("auth.failure", "failure")]
    assert actions(what="sign-ins") == []
    assert len(actions(what="reads", when="today")) == 1
    assert actions(what="reads", when="yesterday") == []
    assert len(actions(what="reads", when="week")) == 1
    now = timezone.now()
    assert actions(when=f"{now.isoformat()}..{now.isoformat()}") == []
    assert actions(q=str(uuid4())) == []


@pytest.mark.parametrize("by", ["path", "name", "actor", "event", "request", "vault"])
def test_the_log_is_searched_by_what_people_remember(operator, alice, vault, by):
    alice.api.put(secret_url(vault, "api-keys/openai"), body())
    write_events(3)
    event = AuditEvent.objects.get(action="secret.write")
    text = {
        "path": "keys/open",
        "name": "alice@",
        "actor": event.actor_id,
        "event": event.pk,
        "request": event.request_id,
        "vault": event.vault_id,
    }[by]
    found = rows(operator, AuditEvent, q=text)
    assert str(event) in found
    assert not any("test.write" in each for each in found)


def test_dates_of_the_log_lead_from_year_to_day(operator, db):
    write_events(2)
    at = timezone.now() - timedelta(days=400)
    AuditEvent.objects.filter(pk=AuditEvent.objects.order_by("id")[0].pk).update(
        id=uuid7(at), created_at=at
    )
    page = operator.get(url_of(AuditEvent)).content.decode()
    years = {int(year) for year in re.findall(r"\?created_at__year=(\d+)", page)}
    assert years == set(range(at.year, timezone.now().year + 1))
    when = {"created_at__year": at.year, "created_at__month": at.month}
    assert len(rows(operator, AuditEvent, **when)) == 1
    assert len(rows(operator, AuditEvent, created_at__day=at.day, **when)) == 1
    assert operator.get(url_of(AuditEvent, created_at__year="x")).status_code == 302


@pytest.mark.parametrize(
    ("model", "query"),
    [
        (AuditEvent, {"when": "x..y"}),
        (AuditEvent, {"actor_id": "x"}),
        (ApiKey, {"age": "x"}),
        (Secret, {"vault_id": "x"}),
    ],
)
def test_a_filter_that_makes_no_sense_is_taken_away(operator, model, query):
    assert operator.get(url_of(model, **query)).headers["Location"].endswith("?e=1")


def test_the_log_names_who_and_what(operator, alice, vault):
    alice.api.put(secret_url(vault, "api-keys/openai"), body())
    page = operator.get(url_of(AuditEvent, what="writes")).content.decode()
    assert ">api-keys/openai</a>" in page
    assert ">alice@example.com</a>" in page
    event = AuditEvent.objects.get(action="secret.write")
    page = operator.get(reverse("admin:secrets_app_auditevent_change", args=[event.pk]))
    assert ">api-keys/openai</a>" in page.content.decode()


@pytest.fixture
def filled(alice, bob, robot, vault):
    allow(bob, vault, "a/**", "read")
    alice.api.put(secret_url(vault), body(), headers={"Idempotency-Key": "once"})
    alice.api.delete("/v1/auth/token")


@pytest.mark.parametrize("model", OURS, ids=lambda m: m.__name__)
def test_every_link_of_a_page_leads_somewhere(model, root, filled, log):
    pages = [url_of(model)]
    if row := model.objects.first():
        pages.append(reverse(f"admin:secrets_app_{model._meta.model_name}_change", args=[row.pk]))
    links = set()
    for page in pages:
        content = root.get(page).content.decode()
        links |= {
            link.replace("&amp;", "&")
            for link in re.findall(r'href="(/admin/secrets_app/[^"]+)"', content)
        }
    assert links
    for link in links:
        assert root.get(link).status_code == 200, link


def test_a_list_takes_as_many_queries_however_many_rows_it_shows(root, alice, vault):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            for model in (Secret, SecretVersion, AuditEvent):
                root.get(url_of(model))
        return len(captured)

    alice.api.put(secret_url(vault, "first"), body())
    before = queries()
    for n in range(5):
        alice.api.put(secret_url(vault, f"more/{n}"), body())
    assert queries() == before


def test_a_list_counts_no_further_than_its_end(monkeypatch, db):
    write_events(12)
    assert BoundedPaginator(AuditEvent.objects.order_by("id"), 5).count == 12
    monkeypatch.setattr(BoundedPaginator, "MOST", 10)
    assert BoundedPaginator(AuditEvent.objects.order_by("id"), 5).num_pages == 2
