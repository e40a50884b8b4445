"""Fuzzing from outside: schemathesis reads the OpenAPI document of a live server on PostgreSQL, and
tries what it allows and what it does not, one operation after the other and in chains of them.

    python -m tests.fuzz.api [--cases 200] [--seed 1]

`--cases` is for each operation. Chains follow the links of the document, and others that schemathesis
infers, over all operations and over some that belong together. All of
schemathesis's checks are on, but for what `_TOGETHER` names.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from tests.e2e.server import ROOT, Server, new_database, serve

_CONFIG = Path(__file__).with_name("schemathesis.toml")
# A set of chains ends early where the state of the service keeps hypothesis from repeating a request, so
# many sets do more than a large one.
_CHAINS_PER_CASE = 10
_CASES_PER_ROUND = 20
_PATHS = ("app/db", "app/key", "a")
# What to chain, and checks that do not hold for it: DELETE deactivates an agent, which is still there to
# be looked at.
_TOGETHER = {
    "(?!agents_destroy$).*": "",
    "vaults_create|vaults_destroy|secrets_.*|versions_list": "",
    "vaults_create|secrets_(update|destroy|undelete|retrieve)|versions_.*": "",
    "vaults_create|vaults_destroy|policies_.*": "",
    "vaults_create|secrets_(list|retrieve)|batches_.*": "",
    "agents_.*|agent_identities_.*|auth_with_agent_key|audit_.*": "use_after_free",
    "api_keys_.*|auth_with_api_key|audit_.*": "",
}
_SET = "\n--- chains ---\n"
# The limits would answer instead of the service; they are tested where they are set.
UNLIMITED = {
    "RATE_LIMIT": "",
    "SIGN_IN_RATE_LIMIT": "",
    "AUTH_FAILURE_RATE": "",
    "LOG_LEVEL": "INFO",
}


@dataclass(frozen=True)
class Findings:
    passed: bool
    output: str

    @property
    def cases(self) -> int:
        return sum(int(n) for n in re.findall(r"(\d+) generated", self.output))

    @property
    def chained(self) -> int:
        """How many of these were steps of chains."""
        _, *chains = self.output.split(_SET)
        return sum(int(n) for each in chains for n in re.findall(r"(\d+) generated", each))

    @property
    def links(self) -> int:
        """How many links between operations were followed, by the set of chains that followed most."""
        return max((int(n) for n in re.findall(r"(\d+) covered /", self.output)), default=0)


def fuzz(server: Server, *, cases: int, seed: int | None = None) -> Findings:
    """Try every operation of a running server, then chains of them."""
    demo = server.quickstart()
    (key,) = server.request("GET", "/v1/auth/api-keys", token=demo["api_key"])[1]["keys"]
    me = server.request("GET", "/v1/auth/me", token=demo["api_key"])[1]
    names = {
        "FUZZ_USER": me["id"],
        "FUZZ_PATHS": " ".join(_PATHS),
        "FUZZ_API_KEY": demo["api_key"],
        "FUZZ_KEY_ID": key["id"],
        "FUZZ_VAULT": demo["vault_id"],
    }
    start = random.randrange(2**31) if seed is None else seed
    runs = [
        _run(server, names, start, "--phases", "coverage,fuzzing", "--max-examples", str(cases))
    ]
    for number in range(1 + cases // _CASES_PER_ROUND):
        for together, besides in _TOGETHER.items():
            for path in _PATHS:
                server.request(
                    *("PUT", f"/v1/vaults/{demo['vault_id']}/secrets/{path}"),
                    {"type": "note", "value": "v"},
                    demo["api_key"],
                )
            runs.append(
                _run(
                    *(server, names, start + number),
                    *("--phases", "stateful", "--max-examples", str(cases * _CHAINS_PER_CASE)),
                    *("--include-operation-id-regex", f"^({together})$"),
                    *(("--exclude-checks", besides) if besides else ()),
                )
            )
    failed = server.log.read_text().count(" failed with ")
    # What ends the key would make everything after it a 401.
    alive = server.request("GET", "/v1/auth/me", token=demo["api_key"])[0] == HTTPStatus.OK
    passed = alive and not failed and all(run.returncode == 0 for run in runs)
    return Findings(passed, _SET.join(run.stdout for run in runs))


def _run(
    server: Server, names: dict[str, str], seed: int, *options: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(Path(sys.executable).with_name("schemathesis"), "--config-file", _CONFIG),
            *("run", f"{server.base_url}/v1/openapi.json", "--checks", "all", *options),
            *("--seed", str(seed), "--continue-on-failure", "--no-color"),
        ],
        cwd=server.home,  # where it keeps the examples it found
        env=os.environ | names | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


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
    print(
        f"{findings.cases} requests, {findings.chained} of them in chains that followed up to "
        f"{findings.links} links: {'nothing found' if findings.passed else 'FAILED'}"
    )
    return 0 if findings.passed else 1


if __name__ == "__main__":
    sys.exit(main())
