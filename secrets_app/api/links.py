"""Say in the OpenAPI document what can be done with an answer: Link Objects (OpenAPI 3.1.1 §4.8.20).

They are for generated clients, and for the chains of requests in `tests/fuzz`.
"""

from collections.abc import Iterator
from typing import Any

# The sources of the next request's parameters (runtime expressions, OpenAPI 3.1.1 §4.8.20.3).
_NEW_VAULT = {"vault_id": "$response.body#/id"}
_SAME_VAULT = {"vault_id": "$request.path.vault_id"}
_SAME_PATH = _SAME_VAULT | {"path": "$request.path.path"}
_NEW_VERSION = _SAME_PATH | {"number": "$response.body#/version"}
_SAME_VERSION = _SAME_PATH | {"number": "$request.path.number"}
_NEW_POLICY = _SAME_VAULT | {"item_id": "$response.body#/id"}
_SAME_ITEM = {"item_id": "$request.path.item_id"}
_SAME_POLICY = _SAME_VAULT | _SAME_ITEM

_AFTER_WRITE: dict[str, dict[str, str]] = {
    "secrets_retrieve": _SAME_PATH,
    "secrets_describe": _SAME_PATH,
    "secrets_update": _SAME_PATH | {"If-Match": "$response.header.ETag"},
    "secrets_rotate": _SAME_PATH,
    "secrets_destroy": _SAME_PATH,
    "secrets_list": _SAME_VAULT,
    "versions_list": _SAME_PATH,
    "versions_retrieve": _NEW_VERSION,
    "versions_describe": _NEW_VERSION,
    "versions_disable": _NEW_VERSION,
    "policies_explain": _SAME_PATH,
}
_IDENTITIES = {"agent_id": "$response.body#/agent/id"}
_SAME_AGENT = {"agent_id": "$request.path.agent_id"}
_NEW_IDENTITY = _SAME_AGENT | {"item_id": "$response.body#/id"}
_SAME_IDENTITY = _SAME_AGENT | {"item_id": "$request.path.item_id"}
_AGENT = {"item_id": "$response.body#/agent/id"}
# Names that go into the body, not among the parameters.
_NEW_KEY = {"api_key": "$response.body#/api_key"}
_NEW_REFRESH_TOKEN = {"refresh_token": "$response.body#/refresh_token"}
_USER_CODE = {"user_code": "$response.body#/user_code"}
_NEW_AGENT_KEY = _NEW_KEY | {"agent_id": "$response.body#/agent/id"}

# Operation and status → the next operations, with their parameters and fields.
_LINKS: dict[tuple[str, str], dict[str, dict[str, str]]] = {
    ("vaults_create", "201"): {
        "vaults_retrieve": _NEW_VAULT,
        "vaults_destroy": _NEW_VAULT,
        "secrets_update": _NEW_VAULT,
        "secrets_list": _NEW_VAULT,
        "batches_write": _NEW_VAULT,
        "policies_create": _NEW_VAULT,
        "policies_list": _NEW_VAULT,
    },
    ("vaults_destroy", "204"): {
        "vaults_retrieve": _SAME_VAULT,
        "secrets_update": _SAME_VAULT,
        "secrets_list": _SAME_VAULT,
        "policies_create": _SAME_VAULT,
    },
    ("secrets_update", "201"): _AFTER_WRITE,
    ("secrets_rotate", "201"): _AFTER_WRITE,
    ("secrets_undelete", "200"): _AFTER_WRITE,
    ("secrets_retrieve", "200"): {
        "secrets_retrieve": _SAME_PATH | {"If-None-Match": "$response.header.ETag"},
        "versions_retrieve": _NEW_VERSION,
    },
    ("secrets_destroy", "204"): {
        "secrets_retrieve": _SAME_PATH,
        "secrets_describe": _SAME_PATH,
        "secrets_undelete": _SAME_PATH,
        "secrets_rotate": _SAME_PATH,
        "versions_list": _SAME_PATH,
    },
    ("secrets_list", "200"): {
        "secrets_retrieve": _SAME_VAULT | {"path": "$response.body#/secrets/0/path"},
    },
    ("versions_retrieve", "200"): {"versions_disable": _SAME_VERSION},
    ("versions_enable", "204"): {
        "versions_retrieve": _SAME_VERSION,
        "versions_disable": _SAME_VERSION,
    },
    ("settings_update", "200"): {
        "settings_retrieve": _SAME_PATH,
        "secrets_update": _SAME_PATH,
        "secrets_retrieve": _SAME_PATH,
    },
    ("versions_disable", "204"): {
        "versions_enable": _SAME_VERSION,
        "versions_retrieve": _SAME_VERSION,
        "versions_list": _SAME_PATH,
        "secrets_retrieve": _SAME_PATH,
    },
    ("batches_write", "201"): {
        "batches_read": _SAME_VAULT,
        "secrets_retrieve": _SAME_VAULT | {"path": "$response.body#/secrets/0/path"},
        "secrets_list": _SAME_VAULT,
    },
    ("policies_create", "201"): {
        "policies_update": _NEW_POLICY,
        "policies_destroy": _NEW_POLICY,
        "policies_list": _SAME_VAULT,
    },
    ("policies_update", "200"): {
        "policies_update": _SAME_POLICY,
        "policies_destroy": _SAME_POLICY,
    },
    ("policies_destroy", "204"): {
        "policies_update": _SAME_POLICY,
        "policies_destroy": _SAME_POLICY,
        "policies_list": _SAME_VAULT,
    },
    ("agents_create", "201"): {
        "agents_retrieve": _AGENT,
        "agents_update": _AGENT,
        "agents_rotate_key": _AGENT,
        "agents_destroy": _AGENT,
        "agent_identities_create": _IDENTITIES,
        "agent_identities_list": _IDENTITIES,
        "auth_with_agent_key": _NEW_AGENT_KEY,
    },
    ("agent_identities_create", "201"): {
        "agent_identities_retrieve": _NEW_IDENTITY,
        "agent_identities_destroy": _NEW_IDENTITY,
        "agent_identities_list": _SAME_AGENT,
    },
    ("agent_identities_destroy", "204"): {
        "agent_identities_retrieve": _SAME_IDENTITY,
        "agent_identities_destroy": _SAME_IDENTITY,
        "agent_identities_list": _SAME_AGENT,
    },
    ("agents_rotate_key", "200"): {
        "agents_destroy": _AGENT,
        "auth_with_agent_key": _NEW_AGENT_KEY,
    },
    ("agents_destroy", "204"): {
        "agents_retrieve": _SAME_ITEM,
        "agents_update": _SAME_ITEM,
        "agents_rotate_key": _SAME_ITEM,
    },
    ("api_keys_create", "201"): {
        "api_keys_destroy": {"item_id": "$response.body#/key/id"},
        "auth_with_api_key": _NEW_KEY,
    },
    ("api_keys_destroy", "204"): {"api_keys_destroy": _SAME_ITEM, "api_keys_list": {}},
    ("passkeys_list", "200"): {
        "passkeys_destroy": {"item_id": "$response.body#/passkeys/0/id"},
    },
    ("passkeys_register_complete", "201"): {
        "passkeys_destroy": {"item_id": "$response.body#/passkey_id"},
    },
    ("auth_with_password", "200"): {"auth_refresh": _NEW_REFRESH_TOKEN},
    ("auth_refresh", "200"): {"auth_refresh": _NEW_REFRESH_TOKEN},
    ("devices_start", "200"): {
        "devices_poll": {"device_code": "$response.body#/device_code"},
        "devices_look": _USER_CODE,
        "devices_approve": _USER_CODE,
        "devices_deny": _USER_CODE,
    },
    ("devices_poll", "200"): {"auth_refresh": _NEW_REFRESH_TOKEN},
    ("sessions_list", "200"): {
        "sessions_destroy": {"item_id": "$response.body#/sessions/0/id"},
    },
    ("sessions_destroy", "204"): {"sessions_destroy": _SAME_ITEM, "sessions_list": {}},
    ("audit_list", "200"): {
        "audit_prove": {"item_id": "$response.body#/events/0/id"},
    },
}


def add_links(document: dict[str, Any]) -> None:
    """Add the links to an OpenAPI document of this API. Raises KeyError when one leads nowhere."""
    operations = {each["operationId"]: each for each in _operations(document)}
    for (source, status), targets in _LINKS.items():
        operations[source]["responses"][status]["links"] = {
            target: _link(operations[target], given) for target, given in targets.items()
        }


def _link(target: dict[str, Any], given: dict[str, str]) -> dict[str, Any]:
    places = {each["name"]: each["in"] for each in target.get("parameters", ())}
    parameters = {
        f"{places[name]}.{name}": source for name, source in given.items() if name in places
    }
    body = {name: source for name, source in given.items() if name not in places}
    if body and "requestBody" not in target:
        raise KeyError(*body)
    link: dict[str, Any] = {"operationId": target["operationId"]}
    if parameters:
        link["parameters"] = parameters
    if body:
        link["requestBody"] = body
    return link


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for item in document["paths"].values():
        yield from item.values()
