"""The pages that a browser meets outside of the API and the admin."""

import re

import pytest
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import OperationalError, connection
from django.test import Client
from django.urls import path

from tests.cast import secret_url
from vaultsite import urls

TOLD = "canary-" + "5be2"
handler400, handler403 = urls.handler400, urls.handler403
handler404, handler500 = urls.handler404, urls.handler500


def failing_with(error):
    def view(request):
        raise error

    return view


urlpatterns = [
    path("failing/400", failing_with(BadRequest(TOLD))),
    path("failing/403", failing_with(PermissionDenied(TOLD))),
    path("failing/500", failing_with(RuntimeError(TOLD))),
    *urls.urlpatterns,
]


@pytest.fixture
def browser():
    """One that gets to see what a view raises as a page."""
    return Client(raise_request_exception=False)


def is_page(answer, status, title):
    assert answer.status_code == status
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in answer["Content-Security-Policy"]
    text = answer.content.decode()
    assert f"<h1>{title}</h1>" in text
    assert '<html lang="en">' in text
    # Nothing that the policy would stop, and nothing from elsewhere.
    assert not re.search(
        r"<script|<style|\sstyle=|\son\w+=|//", text.replace("http://testserver", "")
    )
    return text


def test_the_start_page_says_what_this_is_and_where_to_go(client):
    """Without a database: the tests have none unless they ask for it."""
    text = is_page(client.get("/"), 200, "Vaultsite")
    for target in ("/docs", "/v1/openapi.json", "/admin/"):
        assert f'href="{target}"' in text
        assert client.get(target).status_code in (200, 302)
    assert "curl http://testserver/v1/auth/api-key-token" in text


def test_the_start_page_tells_a_stranger_no_version(client):
    answer = client.get("/")
    assert not re.search(r"\d\.\d", answer.content.decode())
    assert not {"Server", "X-Powered-By"} & set(answer.headers)


def test_the_lines_for_a_first_token_work(client, alice):
    text = client.get("/").content.decode().replace("&#x27;", "'").replace("&quot;", '"')
    url, media_type, sent = re.search(
        r"curl http://testserver(\S+) -H 'Content-Type: (\S+)' -d '(.*?)'", text
    ).groups()
    answer = client.post(url, sent.replace("YOUR-API-KEY", alice.raw_key), content_type=media_type)
    assert answer.status_code == 200
    assert answer.json()["access_token"]


def test_the_start_page_answers_head_and_takes_nothing(client):
    head = client.head("/")
    assert (head.status_code, head.content) == (200, b"")
    assert client.post("/").status_code == 405


def test_a_host_that_is_not_ours_is_not_repeated(browser):
    text = is_page(browser.get("/", HTTP_HOST="evil.example.com"), 400, "Bad request")
    assert "evil" not in text


@pytest.mark.parametrize(
    ("status", "title"),
    [(400, "Bad request"), (403, "Not allowed"), (500, "Something went wrong")],
)
def test_a_failing_view_is_a_page_that_repeats_nothing(browser, settings, status, title):
    settings.ROOT_URLCONF = __name__
    text = is_page(browser.get(f"/failing/{status}?{TOLD}"), status, title)
    assert TOLD not in text
    assert "failing" not in text


@pytest.mark.parametrize("where", ["/api-keys/openai", "/v2/x", "/admin/nope/", "/static/nope.css"])
def test_an_unknown_address_is_a_page_that_does_not_repeat_it(browser, root, where):
    for each in (browser, root):
        answer = each.get(where)
        if answer.status_code == 302:
            assert where.startswith("/admin/")
            continue
        text = is_page(answer, 404, "Page not found")
        assert where.strip("/") not in text


def test_below_v1_there_are_problem_documents_as_before(browser, vault, alice):
    for where in ("/v1", "/v1/", "/v1/nope", "/.well-known/nope"):
        answer = browser.get(where, HTTP_ACCEPT="text/html")
        assert answer.status_code == 404
        assert answer["Content-Type"] == "application/problem+json"
    assert alice.api.get(secret_url(vault, "nope")).json()["status"] == 404


def test_a_form_without_its_token_is_a_page(db):
    client = Client(enforce_csrf_checks=True)
    text = is_page(client.post("/accounts/login/", {"login": TOLD}), 403, "Not allowed")
    assert TOLD not in text
    assert "Cookies" in text


def test_without_a_database_the_start_page_works_and_the_admin_says_it_failed(browser):
    def away(*_):
        raise OperationalError(TOLD)

    with connection.execute_wrapper(away):
        is_page(browser.get("/"), 200, "Vaultsite")
        is_page(browser.get("/nope"), 404, "Page not found")
        browser.cookies["sessionid"] = "x" * 32
        text = is_page(browser.get("/admin/"), 500, "Something went wrong")
    assert TOLD not in text
