"""What a newcomer does: one command, then the printed lines."""

import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest

from tests.e2e.server import ROOT, manage, serve

pytestmark = pytest.mark.only_on("sqlite")


def test_the_printed_curl_lines_work_as_they_are(server):
    lines = [
        line for line in server.log.read_text().splitlines() if line.startswith(("TOKEN=", "curl "))
    ]
    assert len(lines) == 3
    done = subprocess.run(
        ["bash", "-euc", "\n".join(line.replace("curl ", "curl -sS ", 1) for line in lines)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert '"version":1' in done.stdout
    assert '"value":"my-first-secret"' in done.stdout
    assert not done.stderr


def test_everything_made_is_for_the_owner_alone(server):
    assert stat.S_IMODE(server.home.stat().st_mode) == 0o700
    files = [file for file in server.home.iterdir() if file.is_file()]
    assert {"root.key", "jwt.pem", "vaultsite.env", "demo.json"} <= {file.name for file in files}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_json_has_what_a_script_needs_and_repeats_it_with_a_fresh_token(server):
    first, second = server.quickstart(), server.quickstart()
    assert set(first) == {"base_url", "email", "password", "api_key", "vault_id", "token"}
    assert first["base_url"] == server.base_url
    assert first["token"] != second["token"]
    assert first | {"token": ""} == second | {"token": ""}
    for answer in (first, second):
        assert server.request("GET", "/v1/vaults", token=answer["token"])[0] == 200
    status, signed_in = server.request(
        "POST", "/v1/auth/token", {"email": first["email"], "password": first["password"]}
    )
    assert status == 200
    assert jwt.decode(signed_in["access_token"], options={"verify_signature": False})["iss"]


def test_a_second_start_keeps_data_and_credentials(tmp_path):
    with serve(tmp_path / "var") as first:
        before = first.quickstart()
        url = f"/v1/vaults/{before['vault_id']}/secrets/a"
        body = {"type": "note", "value": "kept"}
        assert first.request("PUT", url, body, before["token"])[0] == 201
    with serve(tmp_path / "var") as second:
        after = second.quickstart()
        kept = ("email", "password", "api_key", "vault_id")
        assert {k: before[k] for k in kept} == {k: after[k] for k in kept}
        assert second.request("GET", url, token=after["api_key"])[1]["value"] == "kept"


def test_a_lost_root_key_stops_the_start_and_is_not_replaced(tmp_path):
    with serve(tmp_path / "var") as first:
        environment = first.environment
    (tmp_path / "var" / "root.key").unlink()
    with pytest.raises(subprocess.CalledProcessError) as caught:
        manage("quickstart", environment=environment)
    assert "root.key" in caught.value.stderr
    assert "backup" in caught.value.stderr
    assert not (tmp_path / "var" / "root.key").exists()


def test_another_root_key_stops_the_start_and_says_what_to_do(tmp_path):
    from secrets_app.providers.local import generate_root_key_text

    with serve(tmp_path / "var") as first:
        environment = first.environment
    (tmp_path / "var" / "root.key").write_text(generate_root_key_text())
    with pytest.raises(subprocess.CalledProcessError) as caught:
        manage("quickstart", environment=environment)
    assert "secrets_app.E008" in caught.value.stderr
    assert re.search(r"Restore the root key", caught.value.stderr)


def test_a_bad_port_is_refused(tmp_path):
    environment = {"PATH": "/usr/bin", "VAULTSITE_HOME": str(tmp_path / "var"), "PORT": "http"}
    with pytest.raises(subprocess.CalledProcessError) as caught:
        manage("quickstart", environment=environment)
    assert "PORT must be a port number" in caught.value.stderr


def test_a_body_in_chunks_is_read_like_any_other(server):
    import http.client
    import json

    demo = server.quickstart()
    connection = http.client.HTTPConnection(server.base_url.removeprefix("http://"), timeout=30)
    body = json.dumps({"type": "note", "value": "in chunks"}).encode()
    connection.request(
        "PUT",
        f"/v1/vaults/{demo['vault_id']}/secrets/chunked",
        body=iter([body[:7], body[7:]]),
        headers={"Authorization": f"Bearer {demo['token']}", "Content-Type": "application/json"},
        encode_chunked=True,
    )
    assert connection.getresponse().status == 201
    connection.close()


def test_quickstarts_at_once_do_not_get_in_each_others_way(tmp_path):
    import os
    from concurrent.futures import ThreadPoolExecutor

    environment = {"PATH": os.environ["PATH"], "VAULTSITE_HOME": str(tmp_path / "var")}
    with ThreadPoolExecutor(4) as pool:
        runs = list(
            pool.map(lambda _: manage("quickstart", "--json", environment=environment), range(4))
        )
    answers = [json.loads(run.stdout) for run in runs]
    assert len({(a["password"], a["api_key"], a["vault_id"]) for a in answers}) == 1


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    mode = tmp_path.stat().st_mode
    environment = {"PATH": "/usr/bin", "VAULTSITE_HOME": str(tmp_path)}
    with pytest.raises(subprocess.CalledProcessError) as caught:
        manage("quickstart", environment=environment)
    assert "folder of its own" in caught.value.stderr
    assert tmp_path.stat().st_mode == mode
    assert [file.name for file in tmp_path.iterdir()] == ["holiday.jpg"]


def test_idle_connections_do_not_stop_the_server(server):
    """Ten clients that send the beginning of a body and then nothing."""
    import socket

    host, port = server.base_url.removeprefix("http://").split(":")
    idle = []
    for _ in range(10):
        connection = socket.create_connection((host, int(port)), timeout=10)
        connection.sendall(
            b"POST /v1/auth/token HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        idle.append(connection)
    try:
        assert server.request("GET", "/v1/health")[0] == 200
    finally:
        for connection in idle:
            connection.close()


def test_a_chunked_body_is_not_read_before_the_caller_is_known(server):
    import socket

    host, port = server.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"PUT /v1/vaults/x/secrets/a HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        assert b" 401 " in connection.recv(1000)


def test_the_audit_log_is_sealed_while_the_server_runs(tmp_path):
    with serve(tmp_path / "var", AUDIT_SEAL_EVERY="1") as server:
        demo = server.quickstart()
        deadline = time.monotonic() + 30
        while True:
            status, found = server.request("GET", "/v1/audit/verify", token=demo["token"])
            assert (status, found["chain_valid"]) == (200, True)
            if "checkpoint" in found:
                break
            assert time.monotonic() < deadline
            time.sleep(0.2)
        file = tmp_path / "checkpoint"
        file.write_text(json.dumps(found["checkpoint"]))
        manage("verify_audit", "--checkpoint", str(file), environment=server.environment)
        assert server.request("GET", "/v1/health")[1]["status"] == "healthy"


def test_events_go_to_standard_output_when_asked_for(tmp_path):
    with serve(tmp_path / "var", AUDIT_LOG="on", AUDIT_SEAL_EVERY="0") as server:
        demo = server.quickstart()
        server.request("GET", f"/v1/vaults/{demo['vault_id']}/secrets", token=demo["token"])
        lines = [line for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert "secret.list" in {json.loads(line)["action"] for line in lines}


def test_a_reader_that_has_seen_enough_is_no_error(server):
    """`manage.py keys | head`"""
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [sys.executable, "manage.py", "keys"],
        cwd=ROOT,
        env=server.environment,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (141, "")


def test_nothing_outlives_a_supervisor_that_was_killed(tmp_path):
    """SIGKILL, or the kernel when memory is short: it cannot tell its worker and the sealer."""
    with serve(tmp_path / "var") as server:
        children = [
            Path(f"/proc/{pid}")
            for pid in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
            .read_text()
            .split()
        ]
        assert len(children) == 2
        server.process.kill()
        deadline = time.monotonic() + 20
        while any(child.exists() for child in children):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with pytest.raises(OSError, match="refused"):
            server.exchange("GET", "/livez")
