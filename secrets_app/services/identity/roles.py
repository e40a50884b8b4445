"""Define what people may do in the admin: roles are sets of Django's permissions. None shows a value."""

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db.models import Q, QuerySet

# The admin's actions. Each has a permission of its own.
ACTIONS = (
    "disable_secretversion",
    "revoke_apikey",
    "deactivate_agent",
    "end_tokens_principal",
    "end_signinsession",
    "rotate_vault",
)
# An auditor sees all metadata and the audit log; an operator may act as well.
ROLES = ("auditor", "operator")


def permissions_of(*, role: str) -> QuerySet[Permission]:
    """Return the permissions of one of `ROLES`."""
    own = Q(content_type__app_label="secrets_app")
    wanted = own & Q(codename__startswith="view_")
    for model in (get_user_model(), Group):
        label, name = model._meta.app_label, model._meta.model_name
        wanted |= Q(content_type__app_label=label, codename=f"view_{name}")
    if role == "operator":
        wanted |= own & Q(codename__in=ACTIONS)
    return Permission.objects.filter(wanted)
