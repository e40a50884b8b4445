from uuid import UUID

import pytest
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError
from psycopg.errors import ReadOnlySqlTransaction

from tests.cast import Api, secret_url


def is_problem(response, status):
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
    assert UUID(problem["instance"].removeprefix("urn:uuid:"))
    return problem


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "FOO"])
@pytest.mark.parametrize("path", ["/v1/", "/v1/nope", "/v1/vaults/", "/v1/secrets", "/v1/é"])
def test_an_unknown_route_is_a_404_problem(nobody, method, path):
    is_problem(nobody.request(method, path), 404)


@pytest.mark.parametrize("method", ["POST", "PATCH", "TRACE", "FOO"])
def test_a_wrong_method_is_a_405_problem_that_says_what_is_allowed(alice, vault, method):
    response = alice.api.request(method, secret_url(vault))
    is_problem(response, 405)
    assert {"GET", "PUT"} <= set(response["Allow"].split(", "))


def test_an_error_before_any_view_is_a_problem_too(nobody):
    is_problem(nobody.get("/v1/health", HTTP_HOST="evil.example.com"), 400)


def test_outside_the_api_django_answers_as_ever(nobody):
    assert nobody.get("/nope")["Content-Type"].startswith("text/html")


def test_an_unexpected_error_is_a_500_problem_and_is_logged_without_its_message(
    alice, monkeypatch, caplog
):
    message = "hunter" + str(1 + 1)  # so that a source line in the traceback does not hold it

    def fail(*args, **kwargs):
        raise RuntimeError(message)

    api = alice.api
    monkeypatch.setattr("secrets_app.api.views.vaults.list_vaults", fail)
    problem = is_problem(api.get("/v1/vaults"), 500)
    request_id = problem["instance"].removeprefix("urn:uuid:")
    assert request_id in caplog.text
    assert "RuntimeError" in caplog.text
    assert message not in caplog.text + str(problem)


def test_options_names_the_methods_and_nothing_else(alice, vault, nobody):
    response = alice.api.request("OPTIONS", secret_url(vault))
    assert (response.status_code, response.content) == (204, b"")
    assert "PUT" in response["Allow"]
    assert nobody.request("OPTIONS", secret_url(vault)).status_code == 401


def test_health_needs_no_sign_in(nobody):
    answer = nobody.get("/v1/health").json()
    assert answer["status"] == "healthy"
    assert answer["version"]


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError, InternalError])
def test_whatever_the_database_cannot_do_now_is_a_500_to_come_back_after(
    alice, vault, kind, monkeypatch, caplog
):
    """An InternalError was seen once in some thousand requests while a cluster changed its leader."""

    def fail(*_, **__):
        raise kind(message) from ReadOnlySqlTransaction(message)

    message = "s3cr3t"
    token = alice.token
    monkeypatch.setattr("secrets_app.services.identity.identification.find_by_token", fail)
    response = Api(token).get(f"/v1/vaults/{vault.id}")
    assert (response.status_code, response["Retry-After"]) == (500, "5")
    assert message not in response.content.decode() + caplog.text
    logged = f"failed with {kind.__name__}"
    assert logged in caplog.text
    assert ("25006" in caplog.text) is issubclass(kind, DatabaseError)
