"""Random ids name no vault, and what lies behind would never be tried: most requests that fit the
document go to a vault and a path that exist. Loaded by schemathesis (`schemathesis.toml`)."""

import os
import random
from typing import Any
from uuid import UUID

import schemathesis

_PATHS = ("app/db", "app/key", "a")


@schemathesis.hook
def before_call(context: Any, case: Any, **kwargs: Any) -> None:
    # Nor does the key that all this is done with go: it is in a list whose ids are tried.
    if case.path_parameters.get("item_id") == os.environ["FUZZ_KEY_ID"]:
        case.path_parameters["item_id"] = str(UUID(int=0))
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    chance = random.Random(f"{case.path_parameters}{case.headers}")  # the same on a replay
    route = case.operation.path
    # The vault itself stays: others come and go.
    if route.startswith("/v1/vaults/{vault_id}/") and chance.random() < 0.8:
        case.path_parameters["vault_id"] = os.environ["FUZZ_VAULT"]
    if "path" in case.path_parameters and chance.random() < 0.5:
        case.path_parameters["path"] = chance.choice(_PATHS)
    # The generator puts 0 into headers, whatever their pattern.
    for name in ("If-Match", "If-None-Match"):
        if case.headers and case.headers.get(name) == "0":
            case.headers[name] = "*"
    # One key for different requests is a 422 that hides everything else.
    if case.headers and "Idempotency-Key" in case.headers and chance.random() < 0.8:
        del case.headers["Idempotency-Key"]
