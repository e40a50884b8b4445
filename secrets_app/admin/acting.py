"""Carry out admin actions: confirm the choice, then call a service for each row as the person signed in."""

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID, uuid4

from django import forms
from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from secrets_app.admin.read_only import ReadOnlyAdmin
from secrets_app.errors import SecretsAppError
from secrets_app.services.access import client_address
from secrets_app.services.caller import Actor
from secrets_app.services.identity import principal_for_user

# Nobody would wait for more.
_MOST_ROWS = 100


def actor_of(request: HttpRequest) -> Actor:
    """Return the person signed in, as the actor of events."""
    # The admin admits only users who are signed in.
    principal = principal_for_user(cast(AbstractBaseUser, request.user))
    request_id = getattr(request, "request_id", None) or uuid4()
    return Actor(principal.id, principal.kind, client_address(request), request_id)


def confirm_and_act(
    admin: ReadOnlyAdmin,
    request: HttpRequest,
    rows: QuerySet[Any],
    *,
    question: str,
    act: Callable[[UUID, Actor], str],
    most: int = _MOST_ROWS,
    form: forms.Form | None = None,
) -> HttpResponse | None:
    """Ask `question` above the rows. After the confirmation, call `act` for each row.

    Each row has its own transaction. `act` returns the message to show; a refusal shows its reason. More
    than `most` rows are refused. `form` asks for what `act` needs in addition, until it is valid.
    """
    chosen = list(rows[: most + 1])
    if len(chosen) > most:
        admin.message_user(request, f"Choose at most {most} rows.", messages.ERROR)
        return None
    if "confirmed" not in request.POST or (form is not None and not form.is_valid()):
        return TemplateResponse(
            request,
            "admin/secrets_app/confirm_action.html",
            {
                **admin.admin_site.each_context(request),
                "title": question,
                "opts": admin.opts,
                "rows": [(row.pk, admin.called(row)) for row in chosen],
                "action": request.POST.get("action"),
                "checkbox": helpers.ACTION_CHECKBOX_NAME,
                "media": admin.media,
                "form": form,
            },
        )
    actor = actor_of(request)
    for row in chosen:
        try:
            admin.message_user(
                request, f"{admin.called(row)}: {act(row.pk, actor)}", messages.SUCCESS
            )
        except SecretsAppError as error:
            admin.message_user(request, f"{admin.called(row)}: {error.detail}", messages.ERROR)
    return None
