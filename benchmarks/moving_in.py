"""How long it takes to move 10,000 secrets with five versions each from a real OpenBao into PostgreSQL, and
how long a writer waits meanwhile.

    python -m benchmarks.moving_in [--secrets 10000] [--versions 5]
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import requests

from benchmarks.rig.openbao import openbao
from tests.run import postgresql

_MOUNT = "moving"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--secrets", type=int, default=10_000)
    parser.add_argument("--versions", type=int, default=5)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ |= {
            "VAULTSITE_HOME": str(folder / "var"),
            "DATABASE_URL": stack.enter_context(postgresql()),
            "LOG_LEVEL": "WARNING",
            "RATE_LIMIT": "",
            "DJANGO_SETTINGS_MODULE": "vaultsite.settings",
        }
        from benchmarks.hot_path import start

        application, demo = start()
        source = stack.enter_context(openbao(folder / "bao"))
        source.admin.sys.enable_secrets_engine("kv", path=_MOUNT, options={"version": "2"})
        began = time.monotonic()
        _fill(source.url, source.admin.token, options.secrets, options.versions)
        print(f"filled OpenBao in {time.monotonic() - began:.0f} s", flush=True)
        _measure(application, demo, source, options.secrets * options.versions)
    return 0


def _fill(url: str, token: str, secrets: int, versions: int) -> None:
    def write(part: range) -> None:
        with requests.Session() as session:
            session.headers["X-Vault-Token"] = token
            for number in part:
                path = f"{url}/v1/{_MOUNT}/data/app-{number % 100}/secret-{number}"
                for version in range(versions):
                    body = {"data": {"password": "x" * 32, "version": version}}
                    session.post(path, json=body, timeout=30).raise_for_status()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, [range(n, secrets, 8) for n in range(8)]))


def _measure(application: object, demo: dict[str, str], source: object, versions: int) -> None:
    from django.core.management import call_command

    from benchmarks.hot_path import request

    write = request(application, demo, "PUT")
    waits: list[float] = []
    is_over = threading.Event()

    def writer() -> None:
        while not is_over.is_set():
            began = time.monotonic()
            write()
            waits.append(time.monotonic() - began)
            time.sleep(0.05)

    thread = threading.Thread(target=writer)
    thread.start()
    os.environ["VAULT_TOKEN"] = source.admin.token  # type: ignore[attr-defined]
    began = time.monotonic()
    call_command(
        *("import_secrets", source.url, "--from", "hcvault"),  # type: ignore[attr-defined]
        *("--mount", _MOUNT, "--vault", demo["vault"]),
    )
    took = time.monotonic() - began
    is_over.set()
    thread.join()
    print(f"{versions} versions in {took:.0f} s: {versions / took:.0f} a second")
    waits.sort()
    print(
        f"{len(waits)} writes meanwhile: median {statistics.median(waits) * 1000:.0f} ms,"
        f" longest {waits[-1] * 1000:.0f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
