"""Rotations while clients read and write: no request fails, whatever is killed in between."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.e2e.load import Load, fill
from tests.e2e.server import ROOT, manage, serve

pytestmark = pytest.mark.no_cover

UNLIMITED = {"RATE_LIMIT": "", "SIGN_IN_RATE_LIMIT": "", "LOG_LEVEL": "INFO"}
VERSIONS = 500


@pytest.fixture
def database(fresh_database):
    """A database of its own for each test."""
    return fresh_database


def manage_json(server, *arguments, **variables):
    done = manage(*arguments, "--json", environment=server.environment | variables)
    return json.loads(done.stdout)


def kill_after(seconds, *arguments, environment):
    """Start a command and kill it, unless it ends before. Returns whether it was killed."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def test_rotations_under_load_that_are_killed_again_and_again(tmp_path, database):
    home = tmp_path / "var"
    with serve(home, database, **UNLIMITED) as server:
        demo = server.quickstart()
        fill(server, demo, VERSIONS)
        vault = demo["vault_id"]
        with Load(server, demo) as load:
            killed = 0
            began = time.monotonic()
            manage("rotate_kek", vault, "--dry-run", environment=server.environment)
            start_up = time.monotonic() - began
            for _ in range(10):
                wait = start_up + random.uniform(0, 1)
                if kill_after(wait, "rotate_kek", vault, environment=server.environment):
                    killed += 1
                else:
                    start_up *= 0.7  # the machine was busier with the dry run
                if killed == 3:
                    break
            assert killed, "no run was killed before it was through"
            manage_json(server, "rotate_kek", vault)
            # A second root key, first known, then active, then used; the server is not restarted.
            key_file = home / "root.key"
            manage("create_root_key", f"file:{key_file}", environment=server.environment)
            first, second = key_file.read_text().split()
            draft = home / "root.key.draft"
            draft.write_text(f"{second}\n{first}\n")
            draft.chmod(0o600)
            draft.replace(key_file)
            for _ in range(2):
                kill_after(
                    start_up + random.uniform(-0.2, 0.2),
                    "rotate_root",
                    environment=server.environment,
                )
            manage_json(server, "rotate_root")
            manage_json(server, "rotate_jwt_key")
        assert manage_json(server, "verify_vault")["findings"] == []
        inventory = manage_json(server, "keys")
        assert inventory["keys_under_old_root_keys"] == 0
        # What a writer had begun under a retired key is left for the next run.
        assert manage_json(server, "rotate_kek", "--older-than", "365")["failed"] == []
        assert manage_json(server, "keys")["values_under_retired_keys"] == 0
        # The old root key is not needed any more.
        key_file.write_text(second + "\n")
        load.check()
        answer = server.request(
            "GET", f"/v1/vaults/{vault}/secrets/bulk/{VERSIONS - 1}", token=demo["token"]
        )
        assert answer[1]["value"] == f"bulk value {VERSIONS - 1}"


@pytest.mark.only_on("postgresql")
def test_moving_from_a_file_to_an_hsm_under_load(tmp_path, database, hsm):
    home = tmp_path / "var"
    file = f"file:{home}/root.key"
    hsm_first = UNLIMITED | hsm.environment | {"ROOT_KEY_URLS": f"{hsm.url},{file}"}
    with serve(home, database, **UNLIMITED) as old:
        demo = old.quickstart()
        fill(old, demo, 400)
        with Load(old, demo) as load:
            # Every server learns to unwrap with the HSM before anything is wrapped by it.
            both = hsm_first | {"ROOT_KEY_URLS": f"{file},{hsm.url}"}
            with serve(home, database, **both) as middle:
                load.server = middle
                time.sleep(0.5)
                rotated = manage_json(middle, "rotate_root", **hsm_first)
                assert rotated["active_root_key"] == "pkcs11:token=vault;object=root"
                assert rotated["rewrapped"] >= 1
                with serve(home, database, **hsm_first) as new:
                    load.server = new
                    time.sleep(1)
                    assert manage_json(new, "rotate_root")["failed"] == []
                    assert manage_json(new, "rotate_kek", demo["vault_id"])["moved"] >= 400
                    assert new.request("GET", "/v1/health/hsm")[1] == {"status": "ok"}
                    load.stop()
    only_hsm = hsm_first | {"ROOT_KEY_URLS": hsm.url}
    (home / "root.key").unlink()
    with serve(home, database, **only_hsm) as alone:
        load.server = alone
        load.check()
        assert manage_json(alone, "verify_vault")["findings"] == []
        (root,) = manage_json(alone, "keys")["root_keys"]
        assert (root["role"], root["error"]) == ("active", None)
