"""django-oauth-toolkit, as a process of its own over HTTPS, meets our relying party."""

import re
import ssl
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

import pytest
from django.test import Client

from secrets_app.models import AuditEvent
from tests.cast import PASSWORD
from tests.oidc.browser import begin, moves_to
from tests.oidc.toolkit import PASSWORD as AT_PROVIDER
from vaultsite.accounts.models import User


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, request, stream, code, message, headers, url):
        return (
            None
            if "/callback/" in url
            else super().redirect_request(request, stream, code, message, headers, url)
        )


def sign_in_at(real, url, name):
    """Sign in at the provider's page. Returns the answer that it sends back by the browser."""
    context = ssl.create_default_context(cafile=str(real.authority.ca_file))
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPCookieProcessor(CookieJar()),
        NoRedirect,
    )
    with opener.open(url) as page:
        there = page.url
        csrf = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())[1]
    form = {"csrfmiddlewaretoken": csrf, "username": name, "password": AT_PROVIDER}
    request = urllib.request.Request(
        there, urllib.parse.urlencode(form).encode(), {"Referer": there}
    )
    with pytest.raises(urllib.error.HTTPError, match="302") as redirected:
        opener.open(request)
    location = redirected.value.headers["Location"]
    redirected.value.close()
    return {
        name: each[0] for name, each in urllib.parse.parse_qs(location.partition("?")[2]).items()
    }


def test_a_person_signs_in_by_a_real_provider(real_provider):
    dora = User.objects.create_user("dora@example.com", PASSWORD)
    real_provider.people(dora={"email": "Dora@example.com", "email_verified": True})
    begun = begin(next="/accounts/sessions/")
    assert begun.asked["code_challenge_method"] == "S256"
    answer = begun.come_back(**sign_in_at(real_provider, begun.url, "dora"))
    assert moves_to(answer) == "/accounts/sessions/"
    assert begun.client.get("/accounts/").context["user"] == dora
    actions = list(AuditEvent.objects.order_by("id").values_list("action", "details__method"))
    assert actions == [("auth.identity_add", None), ("auth.success", "oidc_corp")]


def test_the_second_time_the_subject_alone_counts(real_provider):
    dora = User.objects.create_user("dora@example.com", PASSWORD)
    real_provider.people(dora={"email": "dora@example.com", "email_verified": True})
    begun = begin()
    begun.come_back(**sign_in_at(real_provider, begun.url, "dora"))
    real_provider.people(dora={"email": "eve@example.com", "email_verified": True})
    User.objects.create_user("eve@example.com", PASSWORD)
    again = begin(Client())
    again.come_back(**sign_in_at(real_provider, again.url, "dora"))
    assert again.client.get("/accounts/").context["user"] == dora
