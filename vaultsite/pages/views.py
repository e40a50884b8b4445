"""The start page."""

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Say what this is, where its documentation and admin are, and how to get a first token.

    Asks no database and reads no session. Names no version: that would tell strangers what to try.
    """
    address = f"{request.scheme}://{request.get_host()}"  # of ALLOWED_HOSTS
    return HttpResponse(render_to_string("pages/home.html", {"address": address}))
