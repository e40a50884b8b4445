"""The page where people see where they are signed in, by pages and by the API, and end it."""

from typing import cast
from uuid import UUID

from allauth.usersessions.models import UserSession
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from secrets_app.admin.acting import actor_of
from secrets_app.models import SignInSession
from secrets_app.services.identity import end_session_by_id, list_sessions, principal_for_user
from vaultsite.accounts.models import User
from vaultsite.accounts.web_sessions import end_web_session


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def sessions(request: HttpRequest) -> HttpResponse:
    """List one's sessions. POST ends the web session `id`, the session `api`, or all but this one."""
    user = cast(User, request.user)
    of_api = list_sessions(principal_id=principal_for_user(user).id)
    if request.method != "POST":
        rows = UserSession.objects.purge_and_list(user)
        rows.sort(key=lambda row: row.last_seen_at, reverse=True)
        context = {"sessions": rows, "of_api": of_api}
        return render(request, "accounts/sessions.html", context)
    web = UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key)
    chosen, chosen_of_api = request.POST.get("id", ""), request.POST.get("api", "")
    if chosen_of_api:
        _end_of_api(request, of_api.filter(pk=_uuid(chosen_of_api)))
    elif chosen:
        number = int(chosen) if chosen.isdecimal() and len(chosen) < 19 else 0
        _end_web(request, web.filter(pk=number))
    else:
        _end_web(request, web)
        _end_of_api(request, of_api)
    return redirect("usersessions_list")


def _end_web(request: HttpRequest, chosen: QuerySet[UserSession]) -> None:
    for each in chosen:
        end_web_session(session=each, actor=actor_of(request))


def _end_of_api(request: HttpRequest, chosen: QuerySet[SignInSession]) -> None:
    for each in chosen:
        end_session_by_id(
            session_id=each.pk, principal_id=each.principal_id, actor=actor_of(request)
        )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)  # nobody's
