"""Read the OpenID Connect providers from the settings.

`OIDC_PROVIDERS=corp,google` names them, in the order of their buttons. `OIDC_CORP_ISSUER` and the like
describe each. docs/people-sign-in.md lists them. Nothing is stored in the database.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from secrets_app.errors import ConfigurationError, OutboundError
from secrets_app.outbound import parse_url
from secrets_app.providers.credential import Credential

_ID = re.compile(r"[a-z][a-z0-9]{0,31}")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
_SCOPE = re.compile(r"[!#-\[\]-~]+")
# As long as a column of django-allauth.
_MAX_ISSUER_CHARS = 200
MAX_GROUP_CHARS = 150
_KEYS = {
    "ISSUER",
    "CLIENT_ID",
    "CLIENT_SECRET",
    "NAME",
    "SCOPES",
    "CA_FILE",
    "TRUSTED_DOMAINS",
    "VERIFIED_CLAIM",
    "REQUIRED_CLAIMS",
    "PROVISION",
    "USERINFO",
    "SECOND_FACTOR",
    "GROUPS_CLAIM",
    "GROUP_MAP",
    "GROUP_PREFIX",
}


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenID Connect provider, as the deployment describes it. `secret` names a place, or is None."""

    id: str
    issuer: str
    client_id: str
    secret: Credential | None = field(repr=False)
    name: str
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    ca_file: str | None = None
    # Whose verified addresses count, and whether such people get an account by themselves.
    trusted_domains: frozenset[str] = frozenset()
    verified_claim: str = "email_verified"
    provisions: bool = False
    required_claims: tuple[tuple[str, str], ...] = ()
    asks_userinfo: bool = False
    # Whether a second factor set up here is not asked for, since the provider asks for its own.
    has_second_factor: bool = False
    groups_claim: str = ""
    group_map: tuple[tuple[str, str], ...] = ()
    group_prefix: str = ""


def providers() -> tuple[Provider, ...]:
    """Return the providers in the order of the settings. Raises ConfigurationError."""
    found, problems = read_providers()
    if problems:
        raise ConfigurationError(problems[0])
    return found


def find_provider(provider_id: str) -> Provider | None:
    """Return the provider of this name. Raises ConfigurationError."""
    return next((each for each in providers() if each.id == provider_id), None)


def read_providers() -> tuple[tuple[Provider, ...], tuple[str, ...]]:
    """Return the providers that are described well, and what is wrong with the others."""
    return _read(tuple(settings.OIDC_PROVIDERS), tuple(sorted(settings.OIDC_VARIABLES.items())))


@lru_cache(maxsize=8)
def _read(
    ids: tuple[str, ...], variables: tuple[tuple[str, str], ...]
) -> tuple[tuple[Provider, ...], tuple[str, ...]]:
    found, problems = [], []
    known = {"OIDC_PROVIDERS"}
    for provider_id in ids:
        if _ID.fullmatch(provider_id) is None:
            problems.append(
                "OIDC_PROVIDERS must be names of lower-case letters and digits, such as `corp`."
            )
            continue
        prefix = f"OIDC_{provider_id.upper()}_"
        known |= {prefix + key for key in _KEYS}
        own = {
            name.removeprefix(prefix): value.strip()
            for name, value in variables
            if name.startswith(prefix)
        }
        try:
            found.append(_provider(provider_id, prefix, own))
        except ConfigurationError as error:
            problems.append(error.detail)
    if len(set(ids)) != len(ids):
        problems.append("OIDC_PROVIDERS names a provider twice.")
    issuers = [(each.issuer, each.client_id) for each in found]
    if len(set(issuers)) != len(issuers):
        problems.append("Two providers have the same issuer and client id.")
    problems += [
        f"{name} is no setting of a provider." for name, _ in variables if name not in known
    ]
    return tuple(found), tuple(problems)


def _provider(provider_id: str, prefix: str, own: Mapping[str, str]) -> Provider:
    name = own.get("NAME") or provider_id
    if len(name) > 60 or not name.isprintable():
        raise ConfigurationError(f"{prefix}NAME must be at most 60 printable characters.")
    secret, domains = own.get("CLIENT_SECRET", ""), _list(own.get("TRUSTED_DOMAINS", ""))
    provisions = _switch(prefix, "PROVISION", own)
    if any(_DOMAIN.fullmatch(each.lower()) is None for each in domains):
        raise ConfigurationError(f"{prefix}TRUSTED_DOMAINS must be domains, such as example.com.")
    if provisions and not domains:
        raise ConfigurationError(f"{prefix}PROVISION needs {prefix}TRUSTED_DOMAINS.")
    group_prefix, group_map = own.get("GROUP_PREFIX", ""), _pairs(prefix, "GROUP_MAP", own)
    for group in [group_prefix, *(ours for _, ours in group_map)]:
        if len(group) > MAX_GROUP_CHARS or not group.isprintable():
            raise ConfigurationError(f"{prefix}GROUP_MAP or GROUP_PREFIX names no possible group.")
    if (group_prefix or group_map) and not own.get("GROUPS_CLAIM"):
        raise ConfigurationError(
            f"{prefix}GROUP_MAP and {prefix}GROUP_PREFIX need {prefix}GROUPS_CLAIM."
        )
    factor = own.get("SECOND_FACTOR", "ask")
    if factor not in ("ask", "provider"):
        raise ConfigurationError(f"{prefix}SECOND_FACTOR must be ask or provider.")
    return Provider(
        id=provider_id,
        issuer=_issuer(prefix, own),
        client_id=_client_id(prefix, own),
        secret=Credential.at(secret, what=f"{prefix}CLIENT_SECRET") if secret else None,
        name=name,
        scopes=_scopes(prefix, own),
        ca_file=_ca_file(prefix, own),
        trusted_domains=frozenset(each.lower() for each in domains),
        verified_claim=own.get("VERIFIED_CLAIM") or "email_verified",
        provisions=provisions,
        required_claims=_pairs(prefix, "REQUIRED_CLAIMS", own),
        asks_userinfo=_switch(prefix, "USERINFO", own),
        has_second_factor=factor == "provider",
        groups_claim=own.get("GROUPS_CLAIM", ""),
        group_map=group_map,
        group_prefix=group_prefix,
    )


def _issuer(prefix: str, own: Mapping[str, str]) -> str:
    issuer = own.get("ISSUER", "")
    try:
        parse_url(issuer, any_port=True)
    except OutboundError:
        issuer = ""
    if not issuer or "?" in issuer or len(issuer) > _MAX_ISSUER_CHARS:
        raise ConfigurationError(
            f"{prefix}ISSUER must be the https URL of the provider, as its discovery document has it."
        )
    return issuer


def _client_id(prefix: str, own: Mapping[str, str]) -> str:
    client_id = own.get("CLIENT_ID", "")
    if not 0 < len(client_id) <= 255 or not client_id.isascii() or not client_id.isprintable():
        raise ConfigurationError(f"{prefix}CLIENT_ID must be what the provider calls this service.")
    return client_id


def _scopes(prefix: str, own: Mapping[str, str]) -> tuple[str, ...]:
    scopes = tuple((own.get("SCOPES") or "openid email profile").replace(",", " ").split())
    if "openid" not in scopes or not all(map(_SCOPE.fullmatch, scopes)):
        raise ConfigurationError(f"{prefix}SCOPES must be scopes, `openid` among them.")
    return scopes


def _ca_file(prefix: str, own: Mapping[str, str]) -> str | None:
    path = own.get("CA_FILE", "")
    if path and not (Path(path).is_absolute() and Path(path).is_file()):
        raise ConfigurationError(f"{prefix}CA_FILE must be the absolute path of a file in PEM.")
    return path or None


def _switch(prefix: str, key: str, own: Mapping[str, str]) -> bool:
    value = (own.get(key) or "off").lower()
    if value not in ("on", "off", "true", "false"):
        raise ConfigurationError(f"{prefix}{key} must be on or off.")
    return value in ("on", "true")


def _pairs(prefix: str, key: str, own: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Read `theirs=ours,…`."""
    pairs = []
    for each in _list(own.get(key, "")):
        theirs, sign, ours = each.rpartition("=")
        if not sign or not theirs.strip() or not ours.strip():
            raise ConfigurationError(f"{prefix}{key} must be pairs `name=value`, comma-separated.")
        pairs.append((theirs.strip(), ours.strip()))
    if len(dict(pairs)) != len(pairs):
        raise ConfigurationError(f"{prefix}{key} has a name twice.")
    return tuple(pairs)


def _list(text: str) -> list[str]:
    return list(_parts(text))


def _parts(text: str) -> Iterator[str]:
    for part in text.split(","):
        if part.strip():
            yield part.strip()
