"""What a second review found, each as the claim that holds now."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from secrets_app.models import IdempotencyKey, Secret, SecretVersion, Vault, VaultKey
from tests.api.test_concurrency import all_at_once
from tests.cast import Api, allow, body, secret_url


def older(model, days):
    model.objects.update(deleted_at=datetime.now(UTC) - timedelta(days=days))


def test_a_strange_charset_or_a_thousand_parameters_do_no_harm(db):
    """Django acts on the charset before any view, and raises."""
    from vaultsite.wsgi import application

    for content_type, query in [
        ("application/json; charset=rot13", "x"),
        ("application/json;charset=undefined", "x"),
        ("application/json; charset=utf-8", "&".join(f"a{n}=1" for n in range(1100))),
    ]:
        said = []
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/v1/health",
            "QUERY_STRING": query,
            "CONTENT_TYPE": content_type,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "HTTP_HOST": "localhost",
            "wsgi.input": io.BytesIO(),
            "wsgi.url_scheme": "http",
            "wsgi.errors": io.StringIO(),
        }
        response = application(environ, lambda status, headers, said=said: said.append(status))
        response.close()
        assert said == ["200 OK"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "secrets"), ("DELETE", "secrets/a"), ("GET", "secret-versions/a")]
)
def test_too_many_parameters_are_a_400(alice, vault, method, path):
    query = "&".join(f"a{n}=1" for n in range(1100))
    response = alice.api.request(method, f"/v1/vaults/{vault.id}/{path}?{query}")
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["query"]


@pytest.mark.parametrize(
    ("route", "content"),
    [
        ("batchRead", {"paths": [""] * 200_000}),
        ("batchWrite", {"secrets": [{}] * 100_000}),
    ],
)
def test_a_list_that_is_too_long_is_refused_by_its_length_alone(alice, vault, route, content):
    response = alice.api.post(f"/v1/vaults/{vault.id}/secrets:{route}", content)
    assert response.status_code == 400
    assert len(response.content) < 1000


@pytest.mark.parametrize(("permission", "route"), [("rotate", "rotate"), ("write", "undelete")])
def test_who_may_not_read_is_not_told_metadata_by_another_route(
    alice, bob, vault, permission, route
):
    fields = body(metadata={"deal": "secret"}, expires_at="2099-01-01T00:00:00Z")
    alice.api.put(secret_url(vault, "a"), fields)
    allow(bob, vault, "**", permission)
    url = f"/v1/vaults/{vault.id}/secret-{route}/a"
    if route == "undelete":
        alice.api.delete(secret_url(vault, "a"))
    answer = bob.api.post(url, headers={"Idempotency-Key": "k"})
    assert answer.status_code in (200, 201)
    assert set(answer.json()) == {"id", "path", "type", "version", "created_at"}
    assert "deal" not in IdempotencyKey.objects.get().body


def test_a_secret_purged_between_making_and_locking_it_is_made_once_more(alice, vault, monkeypatch):
    """On PostgreSQL a purge can come in between; here it does so for certain."""
    from django.db.models import QuerySet

    purged = []
    bulk_create = QuerySet.bulk_create

    def purge_right_after(self, objects, **options):
        made = bulk_create(self, objects, **options)
        if self.model is Secret and not purged:
            purged.append(Secret.objects.filter(versions__isnull=True).delete())
        return made

    monkeypatch.setattr(QuerySet, "bulk_create", purge_right_after)
    assert alice.api.put(secret_url(vault, "a"), body()).status_code == 201
    purged.clear()
    url = f"/v1/vaults/{vault.id}/secrets:batchWrite"
    items = [{"path": path} | body() for path in ("b", "c")]
    assert alice.api.post(url, {"secrets": items}).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_writes_and_purges_at_once_give_no_500(alice, vault):
    token = alice.token
    url = f"/v1/vaults/{vault.id}/secrets:batchWrite"

    def work(n):
        api = Api(token)
        if n % 3 == 0:
            return [
                api.delete(secret_url(vault, "a") + "?purge=true").status_code for _ in range(8)
            ]
        if n % 3 == 1:
            return [api.put(secret_url(vault, "a"), body()).status_code for _ in range(8)]
        items = [{"path": path} | body() for path in ("a", "b")]
        return [api.post(url, {"secrets": items}).status_code for _ in range(8)]

    statuses = {status for result in all_at_once(work, 12) for status in result}
    assert statuses <= {201, 204, 404, 409}


@pytest.mark.django_db(transaction=True)
def test_batches_of_reads_and_capped_writes_do_not_wait_for_each_other_for_ever(
    alice, vault, settings
):
    settings.SECRETS_APP = settings.SECRETS_APP | {"MAX_VERSIONS": 1}
    token = alice.token
    paths = [f"p{n}" for n in range(8)]
    base = f"/v1/vaults/{vault.id}/secrets"
    items = [{"path": path} | body(max_access_count=1000) for path in paths]
    alice.api.post(f"{base}:batchWrite", {"secrets": items})

    def work(n):
        api = Api(token)
        if n % 2:
            return [
                api.post(f"{base}:batchWrite", {"secrets": items}).status_code for _ in range(4)
            ]
        content = {"paths": paths[:: 1 - 2 * (n % 4 // 2)]}
        return [api.post(f"{base}:batchRead", content).status_code for _ in range(4)]

    statuses = {status for result in all_at_once(work, 10) for status in result}
    assert statuses == {200, 201}


def test_a_write_revives_no_value_that_was_past_its_retention(alice, vault):
    alice.api.put(secret_url(vault, "a"), body("leaked"))
    alice.api.delete(secret_url(vault, "a"))
    older(Secret, 31)
    assert alice.api.put(secret_url(vault, "a"), body("new")).json()["version"] == 2
    old = f"/v1/vaults/{vault.id}/secret-version/a/1"
    assert alice.api.get(old).status_code == 410
    assert SecretVersion.objects.get(number=1).value is None
    # Within the window a write is an undelete and a write.
    alice.api.delete(secret_url(vault, "a"))
    alice.api.put(secret_url(vault, "a"), body("newer"))
    current = f"/v1/vaults/{vault.id}/secret-version/a/2"
    assert alice.api.get(current).json()["value"] == "new"


@pytest.mark.parametrize("end", ["purge", "shred"])
def test_nothing_of_what_is_purged_stays_in_kept_answers(alice, vault, end):
    from django.core.management import call_command

    fields = body(metadata={"deal": "secret"})
    alice.api.put(secret_url(vault, "a"), fields, headers={"Idempotency-Key": "1"})
    alice.api.put(secret_url(vault, "b"), fields, headers={"Idempotency-Key": "2"})
    if end == "purge":
        alice.api.delete(secret_url(vault, "a") + "?purge=true")
        assert [kept.body["path"] for kept in IdempotencyKey.objects.all()] == ["b"]
    else:
        alice.api.delete(f"/v1/vaults/{vault.id}")
        older(Vault, 31)
        call_command("purge_secrets", "--json", stdout=io.StringIO())
        assert not IdempotencyKey.objects.exists()


def test_a_copy_with_its_wrapped_keys_opens_no_more_once_the_root_key_is_retired(
    alice, vault, settings, monkeypatch
):
    """Shredding destroys the keys in the database; a copy that holds them too is as good as the root
    key of its time (docs/limitations.md)."""
    from secrets_app.errors import CryptoError
    from secrets_app.providers.local import generate_root_key_text
    from secrets_app.services.secrets.reveal import open_version

    alice.api.put(secret_url(vault, "a"), body("x"))
    (copy,) = SecretVersion.objects.select_related("secret", "vault_key")
    assert open_version(copy).reveal() == b"x"
    VaultKey.objects.update(wrapped=b"", state="destroyed")
    assert open_version(copy).reveal() == b"x"
    monkeypatch.setenv("NEXT_ROOT_KEY", generate_root_key_text())
    settings.SECRETS_APP = settings.SECRETS_APP | {"ROOT_KEY_URLS": ["env:NEXT_ROOT_KEY"]}
    with pytest.raises(CryptoError):
        open_version(copy)


@pytest.mark.parametrize("content", [{"dry_run": True}, b"{", []])
def test_a_post_that_takes_no_fields_does_nothing_when_it_gets_some(alice, vault, content):
    alice.api.put(secret_url(vault, "a"), body())
    base = f"/v1/vaults/{vault.id}"
    assert alice.api.post(f"{base}/secret-version-disable/a/1", content).status_code == 400
    assert alice.api.get(secret_url(vault, "a")).status_code == 200
    alice.api.delete(secret_url(vault, "a"))
    assert alice.api.post(f"{base}/secret-undelete/a", content).status_code == 400
    assert alice.api.get(secret_url(vault, "a")).status_code == 410


def test_a_dry_run_counts_what_a_purge_destroys(alice, vault):
    import json

    from django.core.management import call_command

    from tests.cast import vault_of

    alice.api.put(secret_url(vault, "a"), body(), headers={"Idempotency-Key": "1"})
    alice.api.delete(secret_url(vault, "a"))
    older(Secret, 31)
    alice.api.delete(f"/v1/vaults/{vault.id}")
    vault_of(alice, "other")
    IdempotencyKey.objects.update(created_at=datetime.now(UTC) - timedelta(days=2))
    told = []
    for arguments in (["--dry-run"], []):
        out = io.StringIO()
        call_command("purge_secrets", "--json", *arguments, stdout=out)
        told.append(json.loads(out.getvalue()))
    assert told[0] == told[1]
    assert (told[0]["secrets"], told[0]["idempotency_keys"]) == (1, 1)


def test_an_unset_description_is_left_out(alice):
    assert "description" not in alice.api.post("/v1/vaults", {"name": "x"}).json()


@pytest.mark.django_db(transaction=True)
def test_a_vault_is_not_made_in_a_transaction_that_waits_for_a_key_provider(alice, monkeypatch):
    from secrets_app.providers.local import LocalProvider

    seen = []
    wrap = LocalProvider.wrap

    def watch(self, key, context):
        seen.append(connection.in_atomic_block)
        return wrap(self, key, context)

    monkeypatch.setattr(LocalProvider, "wrap", watch)
    assert alice.api.post("/v1/vaults", {"name": "x"}).status_code == 201
    assert seen == [False]
