"""Request ids, the access line, and what log lines never say."""

import io
import json
import logging
from uuid import UUID

import pytest
from django.test import Client

from secrets_app.models import AuditEvent
from tests.cast import Api, body, secret_url
from vaultsite.logs import JsonLines, PlainLines, WithoutPath

CANARY = "canary-" + "7b1"


class Lines(list):
    """What a handler as in the settings writes."""

    def __init__(self, formatter):
        self.text = io.StringIO()
        self.handler = logging.StreamHandler(self.text)
        self.handler.setFormatter(formatter)
        self.handler.addFilter(WithoutPath())

    def read(self):
        return [json.loads(line) for line in self.text.getvalue().splitlines()]


@pytest.fixture
def lines():
    made = Lines(JsonLines())
    root = logging.getLogger()
    root.addHandler(made.handler)
    yield made
    root.removeHandler(made.handler)


def access_lines(lines):
    return [line for line in lines.read() if line["logger"] == "secrets_app.access"]


def test_one_id_in_header_event_problem_and_line(alice, charlie, vault, lines):
    answer = charlie.api.get(secret_url(vault, CANARY))
    made = UUID(answer["X-Request-Id"])
    assert answer.json()["instance"] == f"urn:uuid:{made}"
    assert AuditEvent.objects.get(request_id=made).outcome == "denied"
    (line,) = access_lines(lines)
    assert line["duration_ms"] > 0
    assert line["time"].endswith("Z")
    told = {key: line[key] for key in line.keys() - {"duration_ms", "time"}}
    assert told == {
        "level": "INFO",
        "logger": "secrets_app.access",
        "message": "GET secrets_app:secret 403",
        "request_id": str(made),
        "principal": str(charlie.principal.id),
        "route": "secrets_app:secret",
        "method": "GET",
        "status": 403,
    }


def test_the_client_does_not_choose_the_id(alice):
    mine = "11111111-1111-4111-8111-111111111111"
    answer = alice.api.get("/v1/auth/me", headers={"X-Request-Id": mine})
    assert answer["X-Request-Id"] != mine
    assert UUID(answer["X-Request-Id"]).version == 4


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nowhere"),
        ("GET", "/nowhere"),
        ("GET", "/v1/health"),
        ("GET", "/admin/"),
        ("GET", "/metrics"),
        ("GET", "/static/admin/css/base.css"),
        ("POST", "/v1/auth/token"),
    ],
)
def test_every_answer_has_an_id_and_a_line(db, lines, method, path):
    answer = Api().request(method, path)
    answer.close()
    UUID(answer["X-Request-Id"])
    (line,) = access_lines(lines)
    assert line["request_id"] == answer["X-Request-Id"]
    assert line["principal"] is None


def test_what_fails_before_a_view_is_reached_has_the_same_id(db, settings):
    answer = Client(raise_request_exception=False).get("/v1/health", headers={"host": "evil"})
    assert answer.status_code == 400
    assert answer.json()["instance"] == f"urn:uuid:{answer['X-Request-Id']}"


def test_no_line_holds_a_path_a_value_a_token_or_a_key(alice, vault, lines):
    token = alice.token
    api, url = Api(token), secret_url(vault, CANARY)
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        api.put(url, body(CANARY))
        api.put(url, body(CANARY) | {CANARY: 1})
        api.get(url + f"?{CANARY}={CANARY}")
        api.get(secret_url(vault, "..." + CANARY))
        Api(alice.raw_key).get(url)
        Api(CANARY).get(url)
        Api().post("/v1/auth/token", {"email": CANARY, "password": CANARY})
        Api().get(f"/{CANARY}")
        Client(raise_request_exception=False).get("/v1/x", headers={"host": CANARY})
    finally:
        logging.getLogger().setLevel(logging.INFO)
    assert len(access_lines(lines)) == 9
    text = lines.text.getvalue()
    for secret in (CANARY, token, alice.raw_key, str(vault.id)):
        assert secret not in text


@pytest.mark.parametrize("formatter", [JsonLines, PlainLines])
def test_an_exception_is_its_class_and_frames_and_a_request_its_route(db, rf, formatter):
    lines = Lines(formatter())
    request = rf.get(f"/v1/{CANARY}")
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        record = logging.makeLogRecord(
            {
                "name": "django.request",
                "msg": "%s: %s",
                "args": ("Internal Server Error", request.path),
                "exc_info": (ValueError, error, error.__traceback__),
                "request": request,
                "levelname": "ERROR",
            }
        )
    lines.handler.handle(record)
    text = lines.text.getvalue()
    assert CANARY not in text
    assert "Internal Server Error: none" in text
    assert "ValueError" in text
    assert "test_observe.py" in text


def test_a_server_error_outside_the_api_is_logged_without_its_path(
    db, lines, settings, monkeypatch
):
    def broken(**_):
        raise RuntimeError(CANARY)

    settings.METRICS_TOKEN = "t"
    monkeypatch.setattr("vaultsite.metrics.generate_latest", broken)
    client = Client(raise_request_exception=False)
    answer = client.get(f"/metrics?{CANARY}", headers={"Authorization": "Bearer t"})
    assert answer.status_code == 500
    (line,) = [line for line in lines.read() if line["level"] == "ERROR"]
    assert line["message"] == "Internal Server Error: metrics"
    assert line["request_id"] == answer["X-Request-Id"]
    assert CANARY not in lines.text.getvalue()


def test_a_person_in_the_admin_is_told_by_id(admin_client, admin_user, lines):
    assert admin_client.get("/admin/").status_code == 200
    assert access_lines(lines)[-1]["principal"] == f"user:{admin_user.pk}"


def test_the_app_works_without_the_middleware(alice, vault, settings):
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "observe" not in each]
    answer = alice.api.put(secret_url(vault), body())
    assert answer.status_code == 201
    assert "X-Request-Id" not in answer
    assert alice.api.get(secret_url(vault, "none")).json()["instance"].startswith("urn:uuid:")
