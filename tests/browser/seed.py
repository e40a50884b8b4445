"""Fills a server's database the way a year of use does: real calls, at times in the past.

    VAULTSITE_HOME=… python -m tests.browser.seed

Run as a process of its own, with the server's environment. Prints what the tests have to know, in JSON.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine

CANARY = "canary-" + "77b0a2c4-ünï"
PASSWORD = "correct horse battery staple"


def main() -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "vaultsite.settings"
    django.setup()
    print(json.dumps(fill()))


def fill() -> dict[str, Any]:
    from django.core.management import call_command

    from secrets_app.services.audit.seal import seal_events
    from tests import cast

    os.environ["VAULTSITE_PASSWORD"] = PASSWORD
    quiet = {"stdout": sys.stderr}
    now = datetime.now(UTC)
    yesterday = now.replace(hour=12, minute=0) - timedelta(days=1)
    with time_machine.travel(now - timedelta(days=120)):
        alice, bob = cast.person("alice"), cast.person("bob")
        payments = cast.vault_of(alice, "payments")
        cast.allow(bob, payments, "api-keys/**", "read")
    with time_machine.travel(now - timedelta(days=40)):
        web = cast.vault_of(alice, "web")
        carol = cast.person("carol")
        put(alice, payments, "api-keys/openai", type="api_key")
        put(alice, payments, "db/main", type="password")
        put(alice, payments, "legacy/ftp", type="password")
    with time_machine.travel(now - timedelta(days=3)):
        for path, days in (("tls/www", 5), ("tls/api", 20), ("tls/old", 1)):
            expires = (now + timedelta(days=days - 2)).isoformat() if days != 20 else None
            put(alice, web, path, type="certificate", expires_at=expires)
        put(alice, web, "session-key", type="password")
        carol.api.get(cast.secret_url(payments, "api-keys/openai"))
    with time_machine.travel(yesterday):
        for _ in range(3):
            assert bob.api.get(cast.secret_url(payments, "api-keys/openai")).status_code == 200
        carol.api.get(cast.secret_url(payments, "api-keys/openai"))
    for hours in range(20, -1, -2):
        with time_machine.travel(now - timedelta(hours=hours)):
            for _ in range(1 + hours // 2 % 4):
                alice.api.get(cast.secret_url(web, "session-key"))
            alice.api.get(cast.secret_url(payments, "db/main"))
            if hours % 4 == 0:
                put(alice, web, "session-key", type="password")
            if hours % 6 == 0:
                carol.api.get(cast.secret_url(web, "session-key"))
    agent = alice.api.post("/v1/agents", {"name": "deploy"}).json()
    seal_events()
    call_command("create_user", "root@example.com", superuser=True, **quiet)
    call_command("create_user", "olga@example.com", staff=True, **quiet)
    call_command("group", "operators", role="operator", add=["olga@example.com"], **quiet)
    return {
        "token": alice.token,
        "web": str(web.pk),
        "payments": str(payments.pk),
        "agent_key": agent["api_key"],
        "raw_key": alice.raw_key,
    }


def put(person: Any, vault: Any, path: str, **fields: Any) -> None:
    from tests import cast

    sent = {"value": CANARY, **{name: value for name, value in fields.items() if value}}
    answer = person.api.put(cast.secret_url(vault, path), sent)
    assert answer.status_code == 201, answer.content


if __name__ == "__main__":
    main()
