"""Show people, groups and web sessions. `manage.py create_user` and `group` change the first two."""

from typing import Any
from uuid import UUID

import allauth.account.admin
import allauth.mfa.admin
import allauth.socialaccount.admin
import allauth.usersessions.admin  # noqa: F401  (they register what is taken away below)
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from secrets_app.admin.acting import confirm_and_act
from secrets_app.admin.read_only import ReadOnlyAdmin, related
from secrets_app.errors import NotFound
from secrets_app.models import Principal
from secrets_app.services.caller import Actor
from vaultsite.accounts.factors import recovery_codes_left
from vaultsite.accounts.models import User
from vaultsite.accounts.second_factor import FACTORS, PASSKEY, RECOVERY_CODES, TOTP
from vaultsite.accounts.web_sessions import end_web_session

# The library's pages would show secrets and change things without an event.
for model in (
    Authenticator,
    EmailAddress,
    EmailConfirmation,
    Group,
    SocialAccount,
    SocialApp,
    SocialToken,
    UserSession,
):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Group)
class GroupAdmin(ReadOnlyAdmin):
    list_display = ("name", "members")
    search_fields = ("name",)
    fields = ("name", "members", "permissions")
    readonly_fields = ("members",)

    @admin.display(description="members")
    def members(self, row: Group) -> str:
        found = User.objects.filter(groups=row).order_by("email").values_list("email", flat=True)
        return ", ".join(found[:50])


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    list_display = (
        "email",
        "display_name",
        "is_active",
        "is_staff",
        "has_second_factor",
        "last_login",
        "principal_link",
    )
    list_filter = ("is_active", "is_staff", "is_superuser")
    list_select_related = ("principal",)
    search_fields = ("email", "display_name")
    date_hierarchy = "date_joined"
    ordering = ("email",)
    fields = (
        "id",
        "email",
        "display_name",
        "is_active",
        "is_staff",
        "is_superuser",
        "groups",
        "factors",
        "date_joined",
        "last_login",
        "principal_link",
    )
    readonly_fields = ("factors", "principal_link")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        people: QuerySet[User] = super().get_queryset(request).prefetch_related("authenticator_set")
        return people

    @admin.display(description="second factor", boolean=True)
    def has_second_factor(self, row: User) -> bool:
        return any(each.type in FACTORS for each in _factors_of(row).all())

    @admin.display(description="second factor")
    def factors(self, row: User) -> str:
        """Tell what somebody has, never what it is made of."""
        told = []
        for each in _factors_of(row).order_by("type", "created_at"):
            if each.type == TOTP:
                told.append(f"authenticator app since {each.created_at:%Y-%m-%d}")
            elif each.type == PASSKEY:
                told.append(f"passkey “{each.data['name']}” since {each.created_at:%Y-%m-%d}")
            elif each.type == RECOVERY_CODES:
                told.append(f"{recovery_codes_left(each)} recovery codes left")
        return ", ".join(told) or "none"

    @admin.display(description="principal")
    def principal_link(self, row: User) -> SafeString | None:
        try:
            return self.link(row.principal, row.principal.name or str(row.principal.pk))
        except Principal.DoesNotExist:
            return None


def _factors_of(row: User) -> Any:
    # A relation of django-allauth's, which has no types.
    return row.authenticator_set  # type: ignore[attr-defined]


@admin.register(UserSession)
class WebSessionAdmin(ReadOnlyAdmin):
    """Browsers that somebody is signed in with. The key of a session is a credential, so none is shown."""

    list_display = ("who", "user_agent", "created_at", "last_seen_at")
    list_select_related = ("user",)
    search_fields = ("user__email", "ip")
    date_hierarchy = "created_at"
    ordering = ("-last_seen_at",)
    fields = ("user_link", "ip", "user_agent", "created_at", "last_seen_at")
    readonly_fields = ("user_link",)
    actions = ("end",)
    user_link = related("user", "email")

    @admin.display(description="person and address", ordering="user__email")
    def who(self, row: UserSession) -> str:
        return f"{row.user} from {row.ip}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[UserSession]:
        return super().get_queryset(request).defer("session_key", "data")

    # Who sees people sees these; who ends tokens ends these. Roles need nothing new.
    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("accounts.view_user")

    def has_end_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("secrets_app.end_tokens_principal")

    @admin.action(description="End the chosen web sessions", permissions=["end"])
    def end(self, request: HttpRequest, queryset: QuerySet[UserSession]) -> HttpResponse | None:
        return confirm_and_act(
            self, request, queryset, question="End these web sessions", act=_end_session
        )


def _end_session(session_id: UUID, actor: Actor) -> str:
    session = UserSession.objects.select_related("user").filter(pk=session_id).first()
    if session is None:
        raise NotFound("It has ended already.")
    end_web_session(session=session, actor=actor)
    return "ended."
