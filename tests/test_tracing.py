"""Spans, with the real SDK: what is traced, and what never shows there."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from secrets_app.tracing import span, trace_with
from tests.cast import Api, body, secret_url

CANARY = "canary-" + "9c4"


@pytest.fixture
def exporter():
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace_with(provider.get_tracer("test"))
    yield kept
    trace_with(None)
    provider.shutdown()


def test_a_request_its_caller_its_statements_and_its_provider(alice, vault, exporter, settings):
    settings.SECRETS_APP = settings.SECRETS_APP | {"KEK_CACHE_TTL": 0}
    answer = alice.api.put(secret_url(vault), body())
    spans = exporter.get_finished_spans()
    (request,) = [each for each in spans if each.parent is None]
    assert request.name == "PUT secrets_app:secret"
    assert dict(request.attributes) == {
        "http.request.method": "PUT",
        "http.route": "secrets_app:secret",
        "http.response.status_code": 201,
        "vaultsite.request_id": answer["X-Request-Id"],
    }
    assert {each.context.trace_id for each in spans} == {request.context.trace_id}
    names = [each.name for each in spans]
    assert names.count("identify") == 1
    assert "database" in names
    (unwrap,) = [each for each in spans if each.name == "provider"]
    assert dict(unwrap.attributes) == {"scheme": "file", "operation": "unwrap"}
    statements = [each for each in spans if each.name == "database"]
    told = {each.attributes["db.operation.name"] for each in statements}
    assert "SELECT" in told
    assert told & {"INSERT", "WITH"}  # on PostgreSQL one statement reads and writes
    assert all(each.isalpha() for each in told)
    within = {each.context.span_id: each.name for each in spans}
    assert "identify" in {within[each.parent.span_id] for each in statements}


def test_no_span_holds_a_path_a_value_a_token_or_a_key(alice, vault, exporter):
    token = alice.token
    url = secret_url(vault, CANARY)
    Api(token).put(url, body(CANARY))
    Api(token).get(url)
    Api(token).get(url + ".." + CANARY)
    Api(alice.raw_key).get(f"/{CANARY}")
    Api(CANARY).get(url)
    Api().post("/v1/auth/token", {"email": CANARY, "password": CANARY})
    text = "".join(each.to_json() for each in exporter.get_finished_spans())
    assert text
    for secret in (CANARY, token, alice.raw_key, str(vault.id)):
        assert secret not in text


def test_a_failure_is_its_class_and_not_its_message(exporter):
    with pytest.raises(ValueError, match=CANARY), span("block"):
        raise ValueError(CANARY)
    (failed,) = exporter.get_finished_spans()
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes == {"error.type": "ValueError"}
    assert CANARY not in failed.to_json()


def test_without_tracing_there_is_nothing(alice, vault):
    assert span("a") is span("b")
    assert alice.api.put(secret_url(vault), body()).status_code == 201
