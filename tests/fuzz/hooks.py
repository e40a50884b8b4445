"""Random ids and names fit the document and nothing that exists, so what lies behind would never be
tried: most requests that fit name a vault, a path, a principal that are there. Loaded by schemathesis
(`schemathesis.toml`)."""

import os
import random
from http import HTTPStatus
from typing import Any
from uuid import UUID, uuid4

import schemathesis
from schemathesis.generation.meta import TestPhase

_PATTERNS = ("**", "app/*", "app/**", "a", "nothing/here")
# What earlier requests have put there, deleted since or not: chains go on with it.
_made: set[str] = set()


@schemathesis.hook
def before_call(context: Any, case: Any, **kwargs: Any) -> None:
    # The key and the vault that all this is done with stay: they are in lists whose ids are tried.
    named = case.path_parameters
    if named.get("item_id") == os.environ["FUZZ_KEY_ID"]:
        named["item_id"] = str(UUID(int=0))
    is_end_of_vault = (case.method, case.operation.path) == ("DELETE", "/v1/vaults/{vault_id}")
    if is_end_of_vault and named["vault_id"] == os.environ["FUZZ_VAULT"]:
        named["vault_id"] = str(UUID(int=0))
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    seen = f"{case.path_parameters}{case.headers}{case.body}"
    chance = random.Random(seen)  # the same on a replay
    _name_what_exists(case, chance)
    # The generator puts 0 into headers, whatever their pattern.
    for name in ("If-Match", "If-None-Match"):
        if case.headers and case.headers.get(name) == "0":
            case.headers[name] = "*"
    if case.headers and "Idempotency-Key" in case.headers:
        # One key for different requests is a 422 that hides everything else.
        if chance.random() < 0.8:
            del case.headers["Idempotency-Key"]
        # The answer to a repeat tells of what was there then, and a chain would go on with it.
        elif case.meta.phase.name is TestPhase.STATEFUL:
            case.headers["Idempotency-Key"] = uuid4().hex


def _name_what_exists(case: Any, chance: random.Random) -> None:
    route, named, body = case.operation.path, case.path_parameters, case.body
    if (
        route.startswith("/v1/vaults/{vault_id}/")
        and named["vault_id"] not in _made
        and chance.random() < 0.8
    ):
        named["vault_id"] = os.environ["FUZZ_VAULT"]
    if "path" in named and named["path"] not in _made and chance.random() < 0.8:
        named["path"] = chance.choice(os.environ["FUZZ_PATHS"].split())
    if case.method != "POST" or not isinstance(body, dict) or chance.random() < 0.2:
        return
    if route in {"/v1/vaults", "/v1/agents", "/v1/auth/api-keys"}:
        body["name"] = uuid4().hex  # one that is taken is a 409, and nothing could follow
        body.pop("expires_at", None)  # as would one that has passed
    elif route == "/v1/vaults/{vault_id}/policies":
        body |= {
            "principal_type": "user",
            "principal_id": os.environ["FUZZ_USER"],
            "secret_path_pattern": chance.choice(_PATTERNS),
        }
        body.pop("conditions", None)


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    if response.status_code != HTTPStatus.CREATED:
        return
    route = (case.method, case.operation.path)
    if route == ("POST", "/v1/vaults"):
        _made.add(response.json()["id"])
    elif route == ("PUT", "/v1/vaults/{vault_id}/secrets/{path}"):
        _made.add(case.path_parameters["path"])
