"""Does the time of a refusal tell the size of what lies at the path? A caller without any policy asks for
values and metadata of several sizes, and for a path that there is none of, in turn.

    python -m benchmarks.denied_reads [--rounds 1500] [--sqlite]
"""

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.run import postgresql

SIZES = (1, 900, 1_500, 4_000, 64_000, 1_000_000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1500)
    parser.add_argument("--sqlite", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "var"
        os.environ |= {
            "VAULTSITE_HOME": str(home),
            "RATE_LIMIT": "",
            "LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "vaultsite.settings",
        }
        if not options.sqlite:
            os.environ["DATABASE_URL"] = stack.enter_context(postgresql())
        measure(options.rounds)
    return 0


def measure(rounds: int) -> None:
    from benchmarks.hot_path import send, start

    application, _ = start()
    from tests import cast

    alice, bob = cast.person("alice"), cast.person("bob")
    vault = cast.vault_of(alice)
    kinds = {"nothing": "nothing"}
    for size in SIZES:
        content = {f"value of {size}": cast.body("v" * size)}
        if 1 < size < 64_000:
            content[f"metadata of {size}"] = cast.body("v", metadata={"m": "m" * size})
        for name, fields in content.items():
            kinds[name] = name.replace(" ", "-")
            url = cast.secret_url(vault, kinds[name])
            send(application, "PUT", url, json.dumps(fields).encode(), alice.token, expect="201")
    token = bob.token
    took: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name in random.sample(list(kinds), len(kinds)):
            url = cast.secret_url(vault, kinds[name])
            started = time.perf_counter()
            send(application, "GET", url, b"", token, expect="403")
            took[name].append((time.perf_counter() - started) * 1e6)
    print(f"{'at the path':<24}{'median µs':>12}{'lowest tenth µs':>18}")
    for name, times in took.items():
        tenth = statistics.quantiles(times, n=10)[0]
        print(f"{name:<24}{statistics.median(times):>12.0f}{tenth:>18.0f}")


if __name__ == "__main__":
    raise SystemExit(main())
