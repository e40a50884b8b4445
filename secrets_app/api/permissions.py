"""Check who may use a view's action. An action that declares nothing is refused."""

from enum import Enum
from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from secrets_app.errors import Forbidden
from secrets_app.policy.decision import Permission
from secrets_app.services.access import (
    authorize,
    authorize_member,
    require_owner,
    vault_of,
)

# DRF's actions with another name in the audit log.
_EVENT_NAMES = {"destroy": "delete"}


class Access(Enum):
    """Rules that need no path. For the others a view declares a `Permission`."""

    PUBLIC = "anybody, without signing in"
    SIGNED_IN = "any caller"
    VAULT_KNOWN = "any caller who names a vault that exists; the service judges"
    VAULT_OWNER = "the vault's owner"
    VAULT_MEMBER = "the vault's owner and whoever has a policy in it"


class DeclaredAccess(BasePermission):
    """Judges by the URL alone, before the body is read: a 403 does not reveal what exists."""

    def has_permission(self, request: Request, view: Any) -> bool:
        action = view.action
        if action is None:
            raise MethodNotAllowed(request.method or "")
        if action == "metadata":
            return True  # OPTIONS lists a route's methods and reveals no resource
        rule = view.access.get(action)
        if isinstance(rule, Permission):
            authorize(
                caller=view.caller,
                vault_id=view.kwargs["vault_id"],
                path=view.kwargs["path"],
                permission=rule,
            )
        elif rule is Access.VAULT_KNOWN:
            vault_of(view.caller, view.kwargs["vault_id"])
        elif rule is Access.VAULT_OWNER:
            require_owner(
                caller=view.caller,
                vault_id=view.kwargs["vault_id"],
                action=f"{view.resource}.{_EVENT_NAMES.get(action, action)}",
            )
        elif rule is Access.VAULT_MEMBER:
            authorize_member(caller=view.caller, vault_id=view.kwargs["vault_id"])
        elif rule is not Access.PUBLIC and rule is not Access.SIGNED_IN:
            raise Forbidden("This action declares no permission.")
        return True
