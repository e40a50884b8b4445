"""Where the microseconds of one GET and one PUT go: the WSGI application in this process, no network.

    python -m benchmarks.hot_path [--requests 3000] [--sqlite] [--parts] [--profile]

Processor time, not time on the clock, so that it can be repeated on a machine that does other things.
"""

import argparse
import cProfile
import io
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.run import postgresql

_ROUNDS = 7


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=3000, help="of each kind, over all rounds")
    parser.add_argument("--sqlite", action="store_true")
    parser.add_argument("--parts", action="store_true", help="measure the parts of a GET apart")
    parser.add_argument("--profile", action="store_true", help="show the 45 costliest functions")
    options = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "var"
        os.environ |= {
            "VAULTSITE_HOME": str(home),
            "RATE_LIMIT": "1000000/minute",
            "SIGN_IN_RATE_LIMIT": "",
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "vaultsite.settings",
        }
        if not options.sqlite:
            os.environ["DATABASE_URL"] = stack.enter_context(postgresql())
        measure(options.requests, options.parts, options.profile)
    return 0


def measure(requests: int, with_parts: bool, with_profile: bool) -> None:
    application, demo = start()
    calls = {
        "GET": request(application, demo, "GET"),
        "PUT": request(application, demo, "PUT"),
        # The same secret through the Vault door, the vault by its id and by its name.
        "kv2 GET": request(application, demo, "kv2 GET"),
        "kv2 name": request(application, demo, "kv2 name"),
        "health": request(application, demo, "health"),
    }
    for call in calls.values():
        for _ in range(50):
            call()
    each = max(1, requests // _ROUNDS)
    print(
        f"{'':8}{'Python µs':>12}{'system µs':>12}{'database µs':>14}   processor time of one request"
    )
    spent: dict[str, list[tuple[float, float, float]]] = {name: [] for name in calls}
    # In turns, so that what else the machine does falls on all of them.
    for _ in range(_ROUNDS):
        for name, call in calls.items():
            before, database = os.times(), backend_seconds()
            for _ in range(each):
                call()
            now = os.times()
            in_python, in_system = now.user - before.user, now.system - before.system
            spent[name].append((in_python, in_system, backend_seconds() - database))
    for name, rounds in spent.items():
        medians = [statistics.median(part) / each * 1e6 for part in zip(*rounds, strict=True)]
        print(f"{name:8}{medians[0]:12.0f}{medians[1]:12.0f}{medians[2]:14.0f}")
    if with_parts:
        show_parts(application, demo, each)
    if with_profile:
        for name in ("GET", "kv2 name", "PUT"):
            show_profile(name, calls[name], each)


def start() -> tuple[Any, dict[str, Any]]:
    """The application as a server loads it, and the demo account."""
    from vaultsite import home

    home.create()
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)
    from django.conf import settings

    from vaultsite.demo import ensure_demo
    from vaultsite.wsgi import application

    demo = ensure_demo(settings.HOME / "demo.json")
    return application, {"vault": str(demo.vault_id), "key": demo.api_key}


def request(application: Any, demo: dict[str, Any], kind: str) -> Callable[[], None]:
    """One request as a function."""
    path = f"/v1/vaults/{demo['vault']}/secrets/api-keys/openai"
    token = sign_in(application, demo["key"])
    body = (
        b'{"type":"api_key","value":"sk-0123456789abcdef0123456789abcdef"}'
        if kind == "PUT"
        else b""
    )
    method, status = ("PUT", "201") if kind == "PUT" else ("GET", "200")
    if kind == "health":
        path = "/v1/auth/jwt-public-key"
    if kind.startswith("kv2"):
        path = f"/vault/v1/{'demo' if kind == 'kv2 name' else demo['vault']}/data/api-keys/openai"
    if kind in ("GET", "kv2 GET"):
        request(application, demo, "PUT")()

    def call() -> None:
        send(application, method, path, body, token, expect=status)

    return call


def sign_in(application: Any, key: str) -> str:
    import json

    body = json.dumps({"api_key": key}).encode()
    answer = send(application, "POST", "/v1/auth/api-key-token", body, "", expect="200")
    return str(json.loads(answer)["access_token"])


def send(
    application: Any, method: str, path: str, body: bytes, token: str, *, expect: str
) -> bytes:
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if token:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    seen: list[str] = []
    answer = application(environ, lambda status, _: seen.append(status))
    content = b"".join(answer)
    if hasattr(answer, "close"):
        answer.close()
    if not seen[0].startswith(expect):
        raise SystemExit(f"{method} answered {seen[0]}: {content[:200]!r}")
    return content


def backend_seconds() -> float:
    """Processor time of this connection's PostgreSQL process; 0 for SQLite, which is part of ours."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0.0
    if connection.connection is None:
        connection.ensure_connection()
    pid = connection.connection.info.backend_pid
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show_parts(application: Any, demo: dict[str, Any], each: int) -> None:
    """What a GET does, one step after the other, each many times over. What is left of the whole is the
    frame around it, and what the processor has forgotten while it waited."""
    from uuid import UUID, uuid4

    from secrets_app.api.serializers.secrets import RevealedSecretSerializer
    from secrets_app.models.request_state import Fetch
    from secrets_app.services.audit import SUCCESS, Event, Resource, record_all
    from secrets_app.services.caller import Actor
    from secrets_app.services.identity import identify, read_token
    from secrets_app.services.secrets.reveal import Revealed, open_version

    token, vault, path = sign_in(application, demo["key"]), UUID(demo["vault"]), "api-keys/openai"

    def identified() -> Any:
        return identify(
            bearer=token,
            vault_id=vault,
            address="127.0.0.1",
            request_id=uuid4(),
            path=path,
            fetch=Fetch.CURRENT,
        )

    caller = identified()
    version = caller.path_state(vault, path).version
    revealed = Revealed(version, open_version(version))
    resource = Resource("secret", version.secret_id, vault)
    event = Event("secret.read", SUCCESS, resource, {"path": path, "version": version.number})
    actor: Actor = caller.actor
    parts = {
        "the token, known": lambda: read_token(token),
        "who, may, and what: the first statement": identified,
        "opening the value": lambda: open_version(version),
        "the event: MAC and second statement": lambda: record_all([event], actor=actor),
        "the answer's members": lambda: RevealedSecretSerializer.show(revealed),
        "the frame: a request that does nothing": request(application, demo, "health"),
    }
    print(f"\n{'part of a GET':45}{'ours µs':>10}{'database µs':>14}")
    for name, part in parts.items():
        part()
        before, database = time.process_time(), backend_seconds()
        for _ in range(each):
            part()
        ours = (time.process_time() - before) / each * 1e6
        print(f"{name:45}{ours:10.0f}{(backend_seconds() - database) / each * 1e6:14.0f}")


def show_profile(name: str, call: Callable[[], None], count: int) -> None:
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    for _ in range(count):
        call()
    profile.disable()
    print(f"\n{name}, {count} requests")
    pstats.Stats(profile).sort_stats("cumtime").print_stats(75)


if __name__ == "__main__":
    sys.exit(main())
