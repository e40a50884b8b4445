"""A drill: a vault moves from a key file to SoftHSM2 while clients read and write, and nothing fails.

    python -m benchmarks.move_to_hsm [--versions 10000] [--sqlite]

Servers are replaced one after the other, as in a rolling restart (docs/keys.md, «Moving to another
provider»). At the end everything is verified and read back with the HSM alone, the key file deleted.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.load import Load, fill
from tests.e2e.server import Server, manage, new_database, serve
from tests.providers.backends.softhsm import SoftHsm, why_not
from tests.run import postgresql

_UNLIMITED = {"RATE_LIMIT": "", "SIGN_IN_RATE_LIMIT": "", "LOG_LEVEL": "WARNING"}


class Drill:
    def __init__(self) -> None:
        self.load: Load | None = None

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Print how long a step took and what clients did meanwhile."""
        began, reads, writes = time.monotonic(), *self._done()
        yield
        seconds = time.monotonic() - began
        reads, writes = (
            now - then for now, then in zip(self._done(), (reads, writes), strict=True)
        )
        print(f"| {what} | {seconds:.1f} s | {reads} | {writes} |", flush=True)

    def _done(self) -> tuple[int, int]:
        return (self.load.reads, self.load.writes) if self.load else (0, 0)


def command(server: Server, *arguments: str, **variables: str) -> dict[str, Any]:
    done = manage(*arguments, "--json", environment=server.environment | variables)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def move(home: Path, database: str | None, hsm: SoftHsm, versions: int) -> None:
    drill = Drill()
    file = f"file:{home}/root.key"
    settings = _UNLIMITED | hsm.environment
    both = settings | {"ROOT_KEY_URLS": f"{file},{hsm.url}"}
    hsm_first = settings | {"ROOT_KEY_URLS": f"{hsm.url},{file}"}
    print("| step | time | reads | writes |\n|---|---|---|---|")
    with serve(home, database, **_UNLIMITED) as old, ExitStack() as servers:
        demo = old.quickstart()
        with drill.step(f"{versions} versions are written"):
            fill(old, demo, versions)
        with Load(old, demo) as load:
            drill.load = load
            with drill.step("a server that also unwraps with the HSM takes over"):
                load.server = servers.enter_context(serve(home, database, **both))
            with drill.step("a server that wraps with the HSM takes over"):
                new = servers.enter_context(serve(home, database, **hsm_first))
                load.server = new
            with drill.step("rotate_root"):
                rewrapped = command(new, "rotate_root")
            with drill.step("rotate_kek"):
                rotated = command(new, "rotate_kek", demo["vault_id"])
            with drill.step("verify_vault"):
                assert command(new, "verify_vault")["findings"] == []
            load.stop()
    (home / "root.key").unlink()
    only_hsm = settings | {"ROOT_KEY_URLS": hsm.url}
    with serve(home, database, **only_hsm) as alone:
        load.server = alone
        with drill.step("all is read back with the HSM alone, the key file deleted"):
            load.check()
        verified = command(alone, "verify_vault")
    assert verified["findings"] == []
    print(
        f"\n{rewrapped['rewrapped']} vault keys rewrapped, {rotated['moved']} values moved,"
        f" {verified['checked']} rows verified, no finding; {load.reads} reads and {load.writes} writes"
        " by clients, none failed."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--sqlite", action="store_true", help="instead of PostgreSQL")
    options = parser.parse_args()
    if missing := why_not():
        raise SystemExit(missing)
    with tempfile.TemporaryDirectory(prefix="vaultsite-drill-") as folder:
        (Path(folder) / "hsm").mkdir()
        hsm = SoftHsm(Path(folder) / "hsm")
        home = Path(folder) / "installation" / "var"
        home.parent.mkdir()
        if options.sqlite:
            move(home, None, hsm, options.versions)
            return
        with postgresql() as url, new_database(url) as database:
            move(home, database, hsm, options.versions)


if __name__ == "__main__":
    main()
