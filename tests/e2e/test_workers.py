"""How many processes `make run` starts, and that what they count adds up."""

import os
import stat
import subprocess
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.server import manage, serve

SCRAPED = {"METRICS_NETWORKS": "127.0.0.1/32", "AUDIT_SEAL_EVERY": "0", "RATE_LIMIT": ""}


def workers_of(server):
    """The processes that answer: the children of the supervisor that load the application."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    told = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    return [line for line in told if b"spawn_main" in line or b"granian" in line]


def counted(server):
    """How many answers of the vaults' list the metrics tell of."""
    with urllib.request.urlopen(server.base_url + "/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "vaultsite_requests_total"
        and sample.labels["route"] == "secrets_app:vaults"
    )


def folders(server):
    return sorted((server.home / "metrics").iterdir())


def refusal(tmp_path, **variables):
    environment = {"PATH": os.environ["PATH"], "VAULTSITE_HOME": str(tmp_path / "var")}
    with pytest.raises(subprocess.CalledProcessError) as caught:
        manage("quickstart", "--serve", environment=environment | variables)
    return caught.value.stderr


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5", "٢", "257", "9" * 5000])
def test_a_number_of_workers_that_is_none_is_refused(tmp_path, number):
    assert "WORKERS must be a whole number from 1 to 256." in refusal(tmp_path, WORKERS=number)


@pytest.mark.only_on("sqlite")
def test_several_workers_on_sqlite_are_refused_with_what_to_do(tmp_path):
    said = refusal(tmp_path, WORKERS="2")
    assert "SQLite" in said
    assert "DATABASE_URL" in said


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("variables", [{}, {"WORKERS": "1"}])
def test_on_sqlite_there_is_one_worker(tmp_path, variables):
    with serve(tmp_path / "var", **SCRAPED, **variables) as server:
        assert len(workers_of(server)) == 1
        token = server.quickstart()["token"]
        assert server.request("GET", "/v1/vaults", token=token)[0] == 200
        assert counted(server) == 1


@pytest.mark.only_on("postgresql")
def test_on_postgresql_there_is_one_for_each_core_and_at_least_two(tmp_path, fresh_database):
    with serve(tmp_path / "var", fresh_database, **SCRAPED) as server:
        assert len(workers_of(server)) == max(2, len(os.sched_getaffinity(0)))


@pytest.mark.only_on("postgresql")
def test_what_several_workers_count_is_one_sum_from_each_start_on(tmp_path, fresh_database):
    home = tmp_path / "var"
    with serve(home, fresh_database, WORKERS="3", **SCRAPED) as server:
        assert len(workers_of(server)) == 3
        token = server.quickstart()["token"]
        with ThreadPoolExecutor(12) as pool:
            answers = pool.map(
                lambda _: server.request("GET", "/v1/vaults", token=token)[0], range(60)
            )
            assert set(answers) == {200}
        assert {counted(server) for _ in range(12)} == {60}  # whichever of them answers
        (first,) = folders(server)
        assert first.name == str(server.process.pid)
        assert stat.S_IMODE(first.stat().st_mode) == 0o700
        assert len(list(first.glob("counter_*.db"))) > 1
        server.kill()
        with serve(home, fresh_database, WORKERS="2", **SCRAPED) as second:
            assert second.request("GET", "/v1/vaults", token=token)[0] == 200
            assert counted(second) == 1
            (folder,) = folders(second)  # what was left behind is gone
            assert folder != first


@pytest.mark.only_on("postgresql")
def test_a_folder_that_the_operator_names_is_used(tmp_path, fresh_database):
    named = tmp_path / "metrics"
    named.mkdir()
    settings = SCRAPED | {"PROMETHEUS_MULTIPROC_DIR": str(named)}
    with serve(tmp_path / "var", fresh_database, **settings) as server:
        token = server.quickstart()["token"]
        assert server.request("GET", "/v1/vaults", token=token)[0] == 200
        assert list(named.glob("counter_*.db"))
        assert not (server.home / "metrics").exists()
