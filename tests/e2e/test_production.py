"""The server of the systemd unit, with two workers: metrics of both, log lines, and its end."""

import gzip
import json
import signal
import sqlite3
import threading
import time
import urllib.request
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.load import Load
from tests.e2e.production import production

pytestmark = pytest.mark.only_on("sqlite")  # the database is not what is tried here


@pytest.fixture
def server(tmp_path):
    with production(tmp_path, METRICS_NETWORKS="127.0.0.1/32") as running:
        yield running


class Collector(ThreadingHTTPServer):
    """What spans are sent to: OTLP over HTTP."""

    def __init__(self):
        self.received = []
        super().__init__(("127.0.0.1", 0), CollectorHandler)

    def spans(self):
        for raw in list(self.received):
            for resource in ExportTraceServiceRequest.FromString(raw).resource_spans:
                for scope in resource.scope_spans:
                    yield from scope.spans


class CollectorHandler(BaseHTTPRequestHandler):
    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        is_zipped = self.headers.get("Content-Encoding") == "gzip"
        self.server.received.append(gzip.decompress(raw) if is_zipped else raw)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def collector():
    with Collector() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def traced(tmp_path, collector):
    settings = {
        "TRACING": "on",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "METRICS_NETWORKS": "127.0.0.1/32",
    }
    with production(tmp_path, **settings) as running:
        yield running


def samples(server):
    with urllib.request.urlopen(server.base_url + "/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        (each.name, frozenset(each.labels.items())): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def _busy_workers(server):
    """How many have counted a request of the route."""
    files = server.metrics.glob("counter_*.db")
    return sum(b"secrets_app:secret" in file.read_bytes() for file in files)


def test_metrics_of_two_workers_are_one_and_their_spans_arrive(traced, collector):
    server = traced
    demo = server.quickstart()
    url = f"/v1/vaults/{demo['vault_id']}/secrets/of-the-path"
    body = {"type": "note", "value": "v"}
    sent = 0
    while sent < 30 or _busy_workers(server) < 2:
        assert sent < 500, "one worker got it all"
        assert server.request("PUT", url, body, demo["token"])[0] == 201
        sent += 1
    route = {"route": "secrets_app:secret", "method": "PUT"}
    answered = ("vaultsite_requests_total", frozenset((route | {"status": "201"}).items()))
    timed = ("vaultsite_request_duration_seconds_count", frozenset(route.items()))
    for _ in range(6):  # whichever of the two answers
        found = samples(server)
        assert (found[answered], found[timed]) == (sent, sent)
    assert found[("vaultsite_secrets", frozenset({("state", "available")}))] == 1
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    access = [line for line in lines if line["logger"] == "secrets_app.access"]
    assert len({line["request_id"] for line in access}) == len(access) > 30
    assert {"_granian"} < {line["logger"] for line in lines}
    deadline = time.monotonic() + 20
    while [each.name for each in collector.spans()].count("PUT secrets_app:secret") < sent:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert {"identify", "database"} < {each.name for each in collector.spans()}
    told = server.log.read_bytes() + b"".join(collector.received)
    for secret in ("of-the-path", demo["vault_id"], demo["token"]):
        assert secret.encode() not in told


def told_failures(server):
    """How many refused credentials the log tells of, one by one and in sums."""
    query = "SELECT details FROM secrets_app_auditevent WHERE action LIKE 'auth.failure%'"
    with closing(sqlite3.connect(server.home / "db.sqlite3")) as database:
        return sum(json.loads(row[0]).get("more", 1) for row in database.execute(query))


def test_a_reload_loses_no_request_and_a_stop_lets_those_in_flight_finish(server):
    """Nor does either lose what was counted of failures and not told yet."""
    demo = server.quickstart()
    failures = told_failures(server) + 200
    for number in range(200):
        assert server.request("GET", "/v1/auth/me", token=f"nonsense{number}")[0] in (401, 429)
    with Load(server, demo) as load:
        server.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 60
        while server.log.read_text().count("Stopped old worker-") < 2:
            assert load.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        writes = load.writes
        while load.writes < writes + 10:
            assert load.is_alive()
            time.sleep(0.1)
    url = f"/v1/vaults/{demo['vault_id']}/secrets/late"
    body = {"type": "note", "value": "v"}
    answers = []

    def put():
        answers.append(server.request("PUT", url, body, demo["token"])[0])

    with closing(sqlite3.connect(server.home / "db.sqlite3", isolation_level=None)) as lock:
        lock.execute("BEGIN IMMEDIATE")  # so that a writer has to wait
        writers = [threading.Thread(target=put) for _ in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 15  # the writers would give up after 20
        while True:  # no new ones
            try:
                urllib.request.urlopen(server.base_url + "/livez", timeout=5).close()
            except OSError:
                break
            assert time.monotonic() < deadline
        assert server.process.poll() is None
        assert not answers
        lock.execute("ROLLBACK")
    for writer in writers:
        writer.join(timeout=30)
    assert answers == [201] * 4
    assert server.process.wait(timeout=30) == 0
    assert told_failures(server) == failures
