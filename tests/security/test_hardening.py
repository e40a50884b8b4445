"""Settings of production. What browsers and TLS see of them: `tests/e2e/test_deploy.py`."""

import os
import subprocess
import sys
from pathlib import Path

from django.test import Client

ROOT = Path(__file__).resolve().parents[2]


def test_the_api_sets_no_cookie_and_takes_none(alice):
    client = Client()
    client.force_login(alice.user)
    response = client.get("/v1/vaults")
    assert response.status_code == 401
    assert not response.cookies


def test_djangos_own_check_of_a_deployment_finds_nothing():
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "VAULTSITE_HOME": os.environ["VAULTSITE_HOME"],
            "INSECURE_HTTP": "off",
            "SECRET_KEY": "".join(map(chr, range(40, 120))),
            "ALLOWED_HOSTS": "vault.example.com",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
