"""Fuzzing from outside: schemathesis reads the OpenAPI document of a live server on PostgreSQL, and
tries what it allows and what it does not, one operation after the other and in chains of them.

    python -m tests.fuzz.api [--cases 200] [--seed 1]

`--cases` is for each operation; of chains there are ten times as many. All of schemathesis's checks are on.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from tests.e2e.server import ROOT, Server, new_database, serve

_CONFIG = Path(__file__).with_name("schemathesis.toml")
# Chains get long only when many are tried.
_CHAINS = 10
# The limits would answer instead of the service; they are tested where they are set.
UNLIMITED = {"RATE_LIMIT": "", "SIGN_IN_RATE_LIMIT": "", "LOG_LEVEL": "INFO"}


@dataclass(frozen=True)
class Findings:
    passed: bool
    output: str

    @property
    def cases(self) -> int:
        return sum(int(n) for n in re.findall(r"(\d+) generated", self.output))

    @property
    def links(self) -> int:
        """How many links between operations were followed."""
        return sum(int(n) for n in re.findall(r"(\d+) covered /", self.output))


def fuzz(server: Server, *, cases: int, seed: int | None = None) -> Findings:
    """Try every operation of a running server, then chains of them."""
    demo = server.quickstart()
    (key,) = server.request("GET", "/v1/auth/api-keys", token=demo["api_key"])[1]["keys"]
    names = {
        "FUZZ_API_KEY": demo["api_key"],
        "FUZZ_KEY_ID": key["id"],
        "FUZZ_VAULT": demo["vault_id"],
    }
    phases = {"coverage,fuzzing": cases, "stateful": cases * _CHAINS}
    runs = [
        subprocess.run(
            [
                *(Path(sys.executable).with_name("schemathesis"), "--config-file", _CONFIG),
                *("run", f"{server.base_url}/v1/openapi.json", "--checks", "all"),
                *("--phases", phase, "--max-examples", str(number)),
                *("--continue-on-failure", "--no-color"),
                *(() if seed is None else ("--seed", str(seed))),
            ],
            cwd=server.home,  # where it keeps the examples it found
            env=os.environ | names | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        for phase, number in phases.items()
    ]
    failed = server.log.read_text().count(" failed with ")
    # What ends the key would make everything after it a 401.
    alive = server.request("GET", "/v1/auth/me", token=demo["api_key"])[0] == HTTPStatus.OK
    passed = alive and not failed and all(run.returncode == 0 for run in runs)
    return Findings(passed, "\n".join(run.stdout for run in runs))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    from tests.run import postgresql  # warns at its import where there is no XDG_RUNTIME_DIR

    with (
        tempfile.TemporaryDirectory() as folder,
        postgresql() as url,
        new_database(url) as database,
        serve(Path(folder) / "var", database, **UNLIMITED) as server,
    ):
        findings = fuzz(server, cases=options.cases, seed=options.seed)
    print(findings.output)
    return 0 if findings.passed else 1


if __name__ == "__main__":
    sys.exit(main())
