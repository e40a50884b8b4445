"""A value, a token, API keys and the root key go through every route, command and page; afterwards they
are nowhere but where they belong. `tests/e2e/test_canary.py` looks at what a real server leaves behind."""

import base64
import gc
import json
import logging
from pathlib import Path

import pytest
from django.contrib.admin.sites import site
from django.db import connection
from django.test import Client
from django.urls import reverse

from secrets_app.models import AuditEvent, IdempotencyKey
from secrets_app.services.audit.seal import seal_events
from tests.cast import PASSWORD, Api, body, secret_url
from tests.every_action import COMMANDS, ROUTES, make_world, run
from tests.spellings import found_in
from vaultsite.accounts.models import User

CANARY = "canary-" + "77ab1d-ünï"
# What an answer to the right caller holds, on purpose.
SHOWING = {"value", "access_token", "api_key", "token"}


@pytest.fixture
def secrets(alice, settings):
    """Name → what must not be found."""
    (root_key,) = settings.SECRETS_APP["ROOT_KEY_URLS"]
    return {
        "value": CANARY,
        "token": alice.token,
        "API key": alice.raw_key,
        "password": PASSWORD,
        "root key": base64.b64decode(Path(root_key.removeprefix("file:")).read_text().split()[-1]),
    }


@pytest.fixture
def walked(alice, bob, vault, tmp_path, caplog, settings, monkeypatch, secrets):
    """Every route, with what leads it astray as well; then every command."""
    settings.METRICS_TOKEN = "scrape-" + "me"
    monkeypatch.setenv("VAULTSITE_PASSWORD", PASSWORD)
    caplog.set_level("DEBUG")
    world = make_world(alice, bob, tmp_path)
    secrets["agent's key"] = world.agent_key
    api = Api(secrets["token"])
    once = {"Idempotency-Key": "once"}
    fields = body(CANARY, metadata={"tags": ["x"]}, max_access_count=3)
    answers = [
        api.put(secret_url(vault), fields, headers=once),
        api.put(secret_url(vault), fields, headers=once),
        api.put(secret_url(vault), fields | {"type": CANARY}),
        api.put(secret_url(vault), fields | {"expires_at": CANARY}),
        api.put(secret_url(vault), {"value": CANARY, "valeu": CANARY}),
        api.put(secret_url(vault) + "..", fields),
        api.put(secret_url(vault), f'{{"value": "{CANARY}"'.encode()),
        api.post(
            f"/v1/vaults/{vault.pk}/secrets:batchWrite", {"secrets": [{"path": "b/c"} | fields]}
        ),
        Api(CANARY).get(secret_url(vault)),
        Api("1ck_" + "x" * 43).get(secret_url(vault)),
        Api().post("/v1/auth/token", {"email": "alice@example.com", "password": CANARY}),
        Api().post("/v1/auth/api-key-token", {"api_key": secrets["agent's key"]}),
    ]
    answers += [api.get(secret_url(vault)) for _ in range(4)]
    for method, route in ROUTES:
        if method == "DELETE" and not route.endswith("secrets"):
            continue
        answers.append(ROUTES[method, route](world))
    for name in ("keys", "verify_vault", "verify_audit", "whocan", "rotate_kek"):
        COMMANDS[name].before(world)
        COMMANDS[name].use(world)
    seal_events()
    return answers


def test_no_sink_holds_a_value_a_token_or_a_key(walked, secrets, caplog, tmp_path, vault):
    """CVE-2025-62513, CVE-2025-62705, CVE-2024-8365: audit, log, admin, metrics, export, OpenAPI,
    kept answers, and the whole database."""
    run("export_audit", "--output", tmp_path / "out")
    sinks = {
        "log": logged(caplog),
        "audit": json.dumps(list(AuditEvent.objects.values()), default=repr).encode(),
        "kept answers": repr(list(IdempotencyKey.objects.values())).encode(),
        "OpenAPI": Api().get("/v1/openapi.json").content,
        "metrics": Client()
        .get("/metrics", headers={"Authorization": "Bearer scrape-" + "me"})
        .content,
        "health": Api().get("/v1/health").content,
        "database": dump(),
    }
    sinks |= {f"export {file.name}": file.read_bytes() for file in (tmp_path / "out").rglob("*.*")}
    sinks |= dict(admin_pages())
    assert len(sinks) > 30
    assert all(sinks.values()), "a sink that is empty proves nothing"
    for sink, content in sinks.items():
        for name, text in secrets.items():
            assert found_in(content, text) == [], f"{name} in {sink}"


def test_only_answers_meant_to_show_a_secret_do(walked, secrets):
    """CVE-2025-62513, CVE-2025-62705, CVE-2024-8365"""
    shown = 0
    for answer in walked:
        if not answer.content:
            continue
        content = answer.json()
        shown += _without(content, SHOWING)
        for name, text in secrets.items():
            assert found_in(json.dumps(content, ensure_ascii=False).encode(), text) == [], name
            assert found_in(str(answer.headers).encode(), text) == []
    assert shown >= 5


def test_no_object_of_the_app_shows_a_secret(walked, secrets, alice, vault):
    """CVE-2025-62513, CVE-2025-62705, CVE-2024-8365: whatever is in memory, shown by its repr, as an
    error tracker does with local variables."""
    from secrets_app.keys import keyring
    from secrets_app.models import SecretVersion
    from secrets_app.services.identity.tokens import issue_token
    from secrets_app.services.secrets.reveal import Revealed, open_version
    from secrets_app.services.secrets.write import NewVersion

    version = SecretVersion.objects.select_related("secret", "vault_key").last()
    value = open_version(version)
    issued = issue_token(principal=alice.principal, api_key=alice.key, lifetime_s=900)
    held = [
        NewVersion(type="note", value=value),
        Revealed(version, value),
        version.value,
        version.encryption_context(),
        issued,
        keyring(),
    ]
    checked = secrets | {"new token": issued.access_token}
    kinds = set()
    for each in [*held, *gc.get_objects()]:
        # Of its type only: a weak proxy whose object is gone answers nothing else.
        if issubclass(type(each), type) or not type(each).__module__.startswith("secrets_app"):
            continue
        kinds.add(type(each))
        for name, text in checked.items():
            assert found_in(repr(each).encode(), text) == [], f"{name} in {type(each)}"
    assert {type(each) for each in held} <= kinds


def logged(caplog) -> bytes:
    formatter = logging.Formatter("%(name)s %(message)s")
    return "\n".join(map(formatter.format, caplog.get_records("setup"))).encode()


def admin_pages():
    operator = Client()
    operator.force_login(User.objects.create_superuser("root@example.com", "x"))
    for model in site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield f"{name} list", operator.get(reverse(f"{name}_changelist")).content
        for instance in model._base_manager.all()[:5]:
            page = operator.get(reverse(f"{name}_change", args=[instance.pk]))
            yield f"{name} {instance.pk}", page.content


def dump() -> bytes:
    """Every row of every table, bytes as they are."""
    rows = b""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                for cell in row:
                    raw = bytes(cell) if isinstance(cell, (bytes, memoryview)) else None
                    rows += (raw if raw is not None else str(cell).encode()) + b"\n"
    return rows


def _without(content, names):
    """Take members of these names out, anywhere; returns how many there were."""
    if isinstance(content, list):
        return sum(_without(each, names) for each in content)
    if not isinstance(content, dict):
        return 0
    taken = [content.pop(name) for name in names & content.keys()]
    return len(taken) + sum(_without(each, names) for each in content.values())
