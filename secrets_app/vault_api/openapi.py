"""The OpenAPI document of this door, made of its routes."""

import re
from collections.abc import Sequence
from typing import Any

from django.http import HttpResponse

from secrets_app.http.version import VERSION
from secrets_app.policy.path import MAX_PATH_CHARS, PATH_REGEX
from secrets_app.vault_api.answers import plain
from secrets_app.vault_api.door import Access, Action, Route

# Methods that OpenAPI 3.0 has a name for; LIST is told as `GET ?list=true`.
_METHODS = ("GET", "PUT", "PATCH", "DELETE")
_PATH = {"type": "string", "pattern": f"^{PATH_REGEX}$", "maxLength": MAX_PATH_CHARS}
_STATUSES = {
    "200": "What was asked for, in Vault's envelope.",
    "204": "Done.",
    "400": "The request is not valid.",
    "403": "No valid token, or not allowed.",
    "404": "Nothing there, or a version that was deleted or destroyed.",
    "405": "Not with this method.",
    "413": "Too large.",
    "415": "A PATCH is sent as application/merge-patch+json.",
    "429": "Too many requests.",
    "500": "Something failed inside.",
    "503": "No root key can be used.",
}


def document(routes: Sequence[Route]) -> HttpResponse:
    """OpenAPI 3.0 of the routes."""
    paths = {route.template: _item(route) for route in routes}
    return plain(
        {
            "openapi": "3.0.3",
            "info": {"title": "Vaultsite, as Vault's KV version 2", "version": VERSION},
            "servers": [{"url": "../../../"}],
            "paths": paths,
            "components": {
                "securitySchemes": {
                    "token": {"type": "apiKey", "in": "header", "name": "X-Vault-Token"}
                }
            },
        }
    )


def _item(route: Route) -> dict[str, Any]:
    item = {
        method.lower(): _operation(route, method, action)
        for method, action in route.actions.items()
        if method in _METHODS
    }
    if "LIST" in route.actions and "GET" not in route.actions:
        listing = _operation(route, "LIST", route.actions["LIST"])
        required = {"name": "list", "in": "query", "required": True, "schema": {"enum": ["true"]}}
        item["get"] = listing | {"parameters": [*listing["parameters"], required]}
    return item


def _operation(route: Route, method: str, action: Action) -> dict[str, Any]:
    name = re.sub(r"[^a-z]+", "_", route.template.lower()).strip("_")
    parameters: list[dict[str, Any]] = [
        {
            "name": each,
            "in": "path",
            "required": True,
            "schema": _PATH if each == "path" else {"type": "string", "minLength": 1},
        }
        for each in re.findall(r"\{(\w+)\}", route.template)
    ]
    parameters += [
        {"name": each, "in": "query", "schema": schema} for each, schema in action.query.items()
    ]
    told: dict[str, Any] = {
        "operationId": f"{method.lower()}_{name}",
        "summary": action.summary,
        "parameters": parameters,
        "responses": {status: {"description": text} for status, text in _STATUSES.items()},
        "security": [] if action.access in (Access.PUBLIC, Access.SIGN_IN) else [{"token": []}],
    }
    if action.body is not None:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        schema = dict(action.body) or {"type": "object"}
        told["requestBody"] = {"content": {kind: {"schema": schema}}}
    return told
