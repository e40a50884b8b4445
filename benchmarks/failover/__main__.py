"""The leader of a real cluster is killed under load: is anything lost, and for how long is it away?

    pip install -r requirements/bench.txt; apt-get install etcd-server pgbouncer
    python -m benchmarks.failover [--publish]

Three nodes (etcd, Patroni, PostgreSQL, pgbouncer in transaction mode each) and our server as in
production, on this machine. First the leader's node is killed with SIGKILL, then it comes back, then
Patroni is asked for another leader. About four minutes. `--publish` puts the result into docs/scaling.md.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg

from benchmarks.failover.cluster import Cluster, cluster, until
from benchmarks.failover.load import Ledger, Writers
from benchmarks.rig import report
from benchmarks.rig.service import Service, service

_STEADY_S = 10

_STORED = """
SELECT s.path, count(v.id), (SELECT count(*) FROM secrets_app_auditevent e
  WHERE e.action = 'secret.write' AND e.outcome = 'success' AND e.resource_id = s.id)
FROM secrets_app_secret s LEFT JOIN secrets_app_secretversion v ON v.secret_id = s.id
WHERE s.path LIKE 'bench/%' GROUP BY s.id, s.path
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        print(line, flush=True)

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vaultsite-cluster-")))
        nodes = stack.enter_context(cluster(folder / "nodes"))
        ours = stack.enter_context(
            service(folder / "service", nodes.url, DATABASE_POOLER="on", LOG_LEVEL="ERROR")
        )
        ours.prepare()
        with Writers(ours) as ledger:
            try:
                story(nodes, ledger, tell)
            except SystemExit:
                print(ledger.attempts[-5:], (folder / "server.log").read_text()[-3000:])
                raise
        good = judge(nodes, ours, ledger, tell)
        if not good:
            print(unusual((folder / "server.log").read_text()))
    if options.publish:
        head = f"{report.today()}, {report.machine()}:"
        report.put("scaling.md", "failover", "\n".join([head, "", "```", *told, "```"]))
    return 0 if good else 1


def story(nodes: Cluster, ledger: Ledger, tell: Callable[[str], None]) -> None:
    """What happens to the cluster while the clients write."""
    time.sleep(_STEADY_S)
    tell(f"writes before the failure: {len(ledger.acknowledged):,} in {_STEADY_S} s")
    lost = nodes.leader()
    assert lost
    killed = time.monotonic()
    lost.kill()
    tell(f"SIGKILL to etcd, Patroni, PostgreSQL and pgbouncer of the leader, node {lost.name}")
    until(lambda: ledger.is_flowing(killed), 60, "writes after the kill", nodes)
    length, failures = ledger.outage(killed)
    leader = nodes.leader()
    tell(
        f"  no write for {length:.1f} s, {failures} requests refused; then node"
        f" {leader.name if leader else '?'} took over, nobody had to do anything"
    )
    time.sleep(_STEADY_S)
    lost.start()
    took = until(lambda: nodes.standbys() == 2, 120, "the killed node to be back", nodes)
    tell(f"the killed node was switched on again: a standby in step after {took:.0f} s")
    time.sleep(_STEADY_S)
    leader = nodes.leader()
    assert leader
    began = time.monotonic()
    nodes.switch_over(leader)
    until(lambda: nodes.leader() not in (None, leader), 60, "another leader", nodes)
    until(lambda: ledger.is_flowing(began), 120, "writes after the switch", nodes)
    length, failures = ledger.outage(began)
    tell(
        f"planned switch to another leader: no write for {length:.1f} s, {failures} requests refused"
    )
    time.sleep(_STEADY_S)


def judge(nodes: Cluster, ours: Service, ledger: Ledger, tell: Callable[[str], None]) -> bool:
    """Compare what clients were told with what is stored; true when nothing is wrong."""
    with psycopg.connect(nodes.url, prepare_threshold=None) as connection:
        rows = connection.execute(_STORED).fetchall()
    stored = {path: (versions, events) for path, versions, events in rows}
    values = read_back(ours, sorted(ledger.acknowledged))
    lost = [path for path, value in ledger.acknowledged.items() if values.get(path) != value]
    uneven = [path for path, counts in stored.items() if counts != (1, 1)]
    doubtful = [path for path in ledger.refused if path in stored]
    statuses = Counter(attempt.status for attempt in ledger.attempts)
    failed = [attempt for attempt in ledger.attempts if attempt.status >= 500]
    wrong = [each for each in failed if not (each.is_problem and each.has_retry_after)]
    slowest = max(attempt.took for attempt in ledger.attempts)
    verified = subprocess.run(
        [sys.executable, "manage.py", "verify_audit"],
        cwd=report.ROOT,
        env=ours.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    answers = ", ".join(f"{n:,} × {status or 'none'}" for status, n in sorted(statuses.items()))
    tell(f"answers: {answers}; the longest took {slowest:.1f} s")
    tell(f"acknowledged writes: {len(ledger.acknowledged):,}, lost: {len(lost)}")
    tell(
        f"secrets with other than one version and one audit event: {len(uneven)} of {len(stored):,}"
    )
    tell(f"5xx answers: {len(failed)}, without problem document or Retry-After: {len(wrong)}")
    tell(
        f"refused writes of clients that asked once: {len(ledger.refused)}, of which stored all the"
        f" same: {len(doubtful)} (the connection broke during COMMIT)"
    )
    tell(f"verify_audit: exit status {verified.returncode}")
    good = not (lost or uneven or wrong or verified.returncode or statuses[0])
    tell("PASSED" if good else "FAILED")
    if not good:
        print(lost[:5], uneven[:5], wrong[:5], verified.stdout[-500:], verified.stderr[-500:])
    return good


def unusual(log: str) -> str:
    """What failed other than for a database that was away, from the service's log."""
    failures = re.split(r"^(?=.*request \S+ failed with )", log, flags=re.MULTILINE)
    named = [each for each in failures if "failed with" in each]
    rest = [each for each in named if not re.search("with (Operational|Interface)Error", each)]
    return f"{len(named)} failures, {len(rest)} of them unusual\n" + "\n".join(rest[:3])


def read_back(ours: Service, paths: list[str]) -> dict[str, str]:
    """The values of the paths, through the API."""
    token, found = ours.token(), {}
    for start in range(0, len(paths), 200):
        body = {"paths": paths[start : start + 200]}
        answer = ours.ask("POST", f"/v1/vaults/{ours.vault}/secrets:batchRead", body, token)
        found |= {each["path"]: each["value"] for each in answer["secrets"]}
    return found


if __name__ == "__main__":
    sys.exit(main())
