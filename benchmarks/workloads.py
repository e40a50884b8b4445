"""What is measured: the same work as a request to us and as one to OpenBao.

Both callers are let in by one policy for `bench/**` and own nothing. A value is 64 characters.
"""

from dataclasses import dataclass

from benchmarks.rig.wrk import Request

KEYS = 5_000
MANY = 50
PAGE = 100
VALUE = "sk-" + "0123456789abcdef" * 3 + "0123456789abc"

PATHS = [f"bench/app/key-{n:09}" for n in range(KEYS)]
# New paths lie under a folder that no other workload looks at.
_KEY, _NEW = "bench/app/key-{n}", "bench/new/key-{n}"
_SECRETS = "/v1/vaults/{vault}/secrets"
_BODY = f'{{"type":"api_key","value":"{VALUE}"}}'
_ITEM = f'{{"path":"{_KEY}","type":"api_key","value":"{VALUE}"}}'
_THEIR_BODY = f'{{"data":{{"value":"{VALUE}"}}}}'


@dataclass(frozen=True)
class Workload:
    """`target` is the ratio we promise, `is_new` that no path is ever used twice."""

    title: str
    ours: Request
    theirs: Request
    target: float | None = None
    is_new: bool = False


WORKLOADS = {
    "write": Workload(
        "write one secret, known path",
        Request("PUT", f"{_SECRETS}/{_KEY}", _BODY),
        Request("POST", f"/v1/secret/data/{_KEY}", _THEIR_BODY),
        target=2,
    ),
    "create": Workload(
        "write one secret, new path",
        Request("PUT", f"{_SECRETS}/{_NEW}", _BODY),
        Request("POST", f"/v1/secret/data/{_NEW}", _THEIR_BODY),
        target=2,
        is_new=True,
    ),
    "read": Workload(
        "read one secret",
        Request("GET", f"{_SECRETS}/{_KEY}"),
        Request("GET", f"/v1/secret/data/{_KEY}"),
        target=1.5,
    ),
    "read50": Workload(
        f"read {MANY} secrets",
        Request("POST", f"{_SECRETS}:batchRead", '{"paths":[{items}]}', f'"{_KEY}"', MANY),
        Request("GET", f"/v1/secret/data/{_KEY}", sent=MANY),
        target=10,
    ),
    "write50": Workload(
        f"write {MANY} secrets",
        Request("POST", f"{_SECRETS}:batchWrite", '{"secrets":[{items}]}', _ITEM, MANY),
        Request("POST", f"/v1/secret/data/{_KEY}", _THEIR_BODY, sent=MANY),
        target=10,
    ),
    "list": Workload(
        f"list {PAGE} secrets with their metadata",
        Request("GET", f"{_SECRETS}?prefix=bench/app/&limit={PAGE}"),
        Request("GET", f"/v1/secret/detailed-metadata/bench/app/?list=true&limit={PAGE}"),
    ),
    "names": Workload(
        f"list {PAGE} secrets, against bare names",
        Request("GET", f"{_SECRETS}?prefix=bench/app/&limit={PAGE}"),
        Request("GET", f"/v1/secret/metadata/bench/app/?list=true&limit={PAGE}"),
    ),
    "sign-in": Workload(
        "sign in (API key against AppRole)",
        Request("POST", "/v1/auth/api-key-token", '{"api_key":"{key}"}'),
        Request("POST", "/v1/auth/approle/login", '{"role_id":"{role}","secret_id":"{secret}"}'),
    ),
}
