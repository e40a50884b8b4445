"""What goes wrong before a view is reached, in the form of the door that was knocked at."""

from django.http import HttpRequest, HttpResponse

from secrets_app.api import problems
from secrets_app.vault_api import answers


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400."""
    if _is_vault(request):
        return answers.outside_a_view(400)
    return problems.bad_request(request, exception)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    if _is_vault(request):
        return answers.outside_a_view(404)
    return problems.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """500."""
    return answers.outside_a_view(500) if _is_vault(request) else problems.server_error(request)


def _is_vault(request: HttpRequest) -> bool:
    return request.path_info.startswith("/vault/")
