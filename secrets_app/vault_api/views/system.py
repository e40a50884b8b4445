"""What the service is, which mounts there are, and what a caller may do where."""

from typing import Any
from uuid import NAMESPACE_URL, uuid5

from django.http import HttpResponse
from django.utils import timezone

from secrets_app.conf import app_settings
from secrets_app.errors import InvalidInput, InvalidPath
from secrets_app.http.version import VERSION
from secrets_app.models import Vault
from secrets_app.models.request_state import Fetch
from secrets_app.policy.decision import Permission
from secrets_app.policy.path import parse_path
from secrets_app.services.access import authorize_member, is_member, may
from secrets_app.services.caller import Caller
from secrets_app.services.keys import provider_status
from secrets_app.services.secrets import get_vault, list_mounts
from secrets_app.vault_api.answers import DENIED, encode, envelope, plain, refusal
from secrets_app.vault_api.door import Call, Found

# Clients look for features by the version of the protocol's first server.
PROTOCOL_VERSION = f"1.15.0+vaultsite.{VERSION}"
_MOST_PATHS = 100

_READ, _WRITE, _DELETE = {Permission.READ}, {Permission.WRITE}, {Permission.DELETE}
# What permissions at a path, all of them, allow to do with it, by the kind of call.
_AT_PATH: dict[str, tuple[tuple[set[Permission], tuple[str, ...]], ...]] = {
    "data": (
        (_READ, ("read",)),
        (_WRITE, ("create", "update")),
        (_READ | _WRITE, ("patch",)),
        (_DELETE, ("delete",)),
    ),
    "metadata": ((_READ, ("read", "list")), (_WRITE, ("create", "update", "patch"))),
    "subkeys": ((_READ, ("read",)),),
    "delete": ((_DELETE, ("create", "update")),),
    "undelete": ((_WRITE, ("create", "update")),),
}
_OF_OWNER = {"metadata": ("delete",), "destroy": ("create", "update")}
_OF_ANYBODY: dict[str, list[str]] = {
    "auth/token/lookup-self": ["read"],
    "auth/token/renew-self": ["update"],
    "auth/token/revoke-self": ["update"],
    "auth/token/create": ["create", "update"],
    "sys/capabilities-self": ["update"],
    "sys/mounts": ["read"],
    "sys/internal/ui/mounts": ["read"],
}
_ORDER = ("create", "read", "update", "patch", "delete", "list")


def health(_: Call) -> HttpResponse:
    """Whether the service can work; 503 while no root key can be used."""
    sealed = _is_sealed()
    told = {
        "initialized": True,
        "sealed": sealed,
        "standby": False,
        "replication_performance_mode": "disabled",
        "replication_dr_mode": "disabled",
        "server_time_utc": int(timezone.now().timestamp()),
        "version": PROTOCOL_VERSION,
    } | _cluster()
    return plain(told, status=503 if sealed else 200)


def seal_status(_: Call) -> HttpResponse:
    """The same, as the CLI asks for it."""
    told = {
        "type": "shamir",
        "initialized": True,
        "sealed": _is_sealed(),
        "t": 1,
        "n": 1,
        "progress": 0,
        "nonce": "",
        "version": PROTOCOL_VERSION,
        "build_date": "",
        "migration": False,
        "recovery_seal": False,
        "storage_type": "database",
    }
    return plain(told | _cluster())


def init(_: Call) -> HttpResponse:
    """There is nothing to initialise."""
    return plain({"initialized": True})


def leader(_: Call) -> HttpResponse:
    """Every process is as good as another."""
    return plain({"ha_enabled": False})


def mount(call: Call) -> HttpResponse:
    """Where a path's mount is: what a client asks before anything else."""
    name = call.rest["place"].partition("/")[0]
    found = call.identify(name, None, Fetch.NOTHING)
    found.check_name(is_read=True)
    if found.vault_id is None:
        return refusal(403, DENIED)
    authorize_member(caller=found.caller, vault_id=found.vault_id)
    told = _mount(get_vault(caller=found.caller, vault_id=found.vault_id))
    told = {"path": f"{name}/"} | told
    return envelope(call.request_id, encode(told))


def mounts(call: Call) -> HttpResponse:
    """The vaults the caller sees, by name."""
    told = _mounts(call.caller)
    more = "".join(f",{encode(name)}:{encode(each)}" for name, each in told.items())
    return envelope(call.request_id, encode(told), more=more)


def mounts_for_pages(call: Call) -> HttpResponse:
    """The same, as pages ask for it."""
    return envelope(call.request_id, encode({"secret": _mounts(call.caller), "auth": {}}))


def capabilities_self(call: Call) -> HttpResponse:
    """What the caller may do at paths."""
    given = call.body.get("paths", call.body.get("path"))
    paths = [given] if isinstance(given, str) else given
    if not isinstance(paths, list) or not paths:
        raise InvalidInput({"paths": ["paths must be supplied"]})
    if len(paths) > _MOST_PATHS or not all(isinstance(path, str) for path in paths):
        raise InvalidInput({"paths": [f"These are at most {_MOST_PATHS} texts."]})
    seen: dict[str, Found] = {}
    told: dict[str, list[str]] = {str(path): _capabilities(call, str(path), seen) for path in paths}
    if len(told) == 1:
        told["capabilities"] = next(iter(told.values()))
    reserved = ("request_id", "lease_id", "renewable", "lease_duration", "data", "auth")
    more = "".join(
        f",{encode(name)}:{encode(each)}"
        for name, each in told.items()
        if name not in (*reserved, "wrap_info", "warnings")
    )
    return envelope(call.request_id, encode(told), more=more)


def _capabilities(call: Call, path: str, seen: dict[str, Found]) -> list[str]:
    asked = path.strip("/").removeprefix("v1/")
    if asked in _OF_ANYBODY:
        return _OF_ANYBODY[asked]
    name, _, rest = asked.partition("/")
    kind, _, inner = rest.partition("/")
    if name not in seen:
        seen[name] = call.identify(name, None, Fetch.NOTHING)
    caller, vault_id = seen[name].caller, seen[name].vault_id
    if vault_id is None or caller.vault is None or not caller.vault.is_consistent:
        return ["deny"]
    found: set[str] = set()
    if kind == "metadata" and (not inner or path.endswith("/")):
        found |= {"list"} if is_member(caller=caller, vault_id=vault_id) else set()
    elif kind == "config":
        found |= {"read"} if is_member(caller=caller, vault_id=vault_id) else set()
    else:
        try:
            parse_path(inner)
        except InvalidPath:
            return ["deny"]
        for demanded, names in _AT_PATH.get(kind, ()):
            if all(
                may(caller=caller, vault_id=vault_id, path=inner, permission=each)
                for each in demanded
            ):
                found.update(names)
        if caller.vault.is_owner:
            found.update(_OF_OWNER.get(kind, ()))
    if seen[name].is_shared:
        found &= {"read", "list"}  # the rest by the vault's id: see `Found.check_name`
    return [each for each in _ORDER if each in found] or ["deny"]


def _mounts(caller: Caller) -> dict[str, Any]:
    """By name; by id where a name cannot be in a path or means another vault."""
    return {f"{name}/": _mount(vault) for name, vault in list_mounts(caller=caller)}


def _mount(vault: Vault) -> dict[str, Any]:
    return {
        "type": "kv",
        "options": {"version": "2"},
        "accessor": f"kv_{vault.pk.hex[:8]}",
        "description": vault.description,
        "config": {"default_lease_ttl": 0, "max_lease_ttl": 0, "force_no_cache": False},
        "local": False,
        "seal_wrap": False,
        "external_entropy_access": False,
        "uuid": str(vault.pk),
    }


def _is_sealed() -> bool:
    return provider_status() == "unavailable"


def _cluster() -> dict[str, str]:
    issuer = app_settings.JWT_ISSUER
    return {"cluster_name": "vaultsite", "cluster_id": str(uuid5(NAMESPACE_URL, issuer))}
