"""Provide the demo account of `manage.py quickstart`: the first run makes it, later ones find it."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from secrets_app.models import ApiKey, Principal, Vault
from secrets_app.services.audit import OPERATOR
from secrets_app.services.identity import (
    create_api_key,
    digest_api_key,
    issue_token,
    principal_for_user,
)
from secrets_app.services.secrets import create_vault
from vaultsite.accounts.models import User
from vaultsite.home import write_private

_EMAIL = "demo@vaultsite.local"
_VAULT = "demo"
_TOKEN_TTL_S = 900


@dataclass(frozen=True, slots=True)
class Demo:
    """The account. `password` is None once it was changed: then only its owner knows it."""

    email: str
    password: str | None
    api_key: str
    vault_id: str
    token: str


def ensure_demo(file: Path) -> Demo:
    """Make what is missing of the account. Its credentials are kept in `file` (mode 0600)."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    user, password = _user(kept.get("password"))
    principal = principal_for_user(user)
    key, api_key = _api_key(principal, kept.get("api_key"))
    credentials = {"email": user.email, "password": password, "api_key": api_key}
    if credentials != kept:
        write_private(file, json.dumps(credentials, indent=2).encode(), replace=True)
    token = issue_token(principal=principal, api_key=key, lifetime_s=_TOKEN_TTL_S)
    return Demo(vault_id=str(_vault(principal).id), token=token.access_token, **credentials)


def as_json(demo: Demo, base_url: str) -> str:
    """Return the account as one line of JSON, for scripts."""
    return json.dumps({"base_url": base_url} | asdict(demo))


def _user(kept_password: str | None) -> tuple[User, str | None]:
    user = User.objects.filter(email=_EMAIL).first()
    if user is None:
        password = kept_password or secrets.token_urlsafe(18)
        return User.objects.create_user(_EMAIL, password, display_name="Demo"), password
    still_valid = kept_password is not None and user.check_password(kept_password)
    return user, kept_password if still_valid else None


def _api_key(principal: Principal, kept: str | None) -> tuple[ApiKey, str]:
    if kept is not None:
        key = ApiKey.objects.filter(
            principal=principal, digest=digest_api_key(kept), revoked_at=None
        ).first()
        if key is not None:
            return key, kept
    return create_api_key(principal=principal, name="quickstart", actor=OPERATOR)


def _vault(principal: Principal) -> Vault:
    vault = Vault.objects.filter(owner=principal, name=_VAULT, deleted_at=None).first()
    return vault or create_vault(
        owner_id=principal.id,
        owner_kind=principal.kind,
        name=_VAULT,
        description="Made by quickstart.",
        actor=OPERATOR,
    )
