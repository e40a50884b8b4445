"""A disk that fills up under a running server, and gets room again: a real one, of a few megabytes."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.server import manage, serve
from tests.faults.postgresql import own_postgresql

pytestmark = pytest.mark.no_cover

_BIG = "x" * 500_000
_MOST = 100  # far more than fit


class SmallDisk:
    """A file system in memory, so that only this one fills up. Mounting it takes root, on Linux."""

    def __init__(self, at: Path, megabytes: int) -> None:
        at.mkdir()
        self.at = at
        _as_root("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=1777", "tmpfs", str(at))

    def give_room(self, megabytes: int) -> None:
        _as_root("mount", "-o", f"remount,size={megabytes}m", str(self.at))

    def remove(self) -> None:
        _as_root("umount", "--lazy", str(self.at))


def _as_root(*command: str) -> None:
    sudo = () if os.getuid() == 0 else ("sudo", "-n")
    done = subprocess.run([*sudo, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small disk cannot be made here: {done.stderr.strip()}")  # fails in CI


@contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[SmallDisk]:
    disk = SmallDisk(at, megabytes)
    try:
        yield disk
    finally:
        disk.remove()


@contextmanager
def database_on(disk: SmallDisk, home: Path) -> Iterator[tuple[Path, str | None]]:
    """Home of a server whose database is on the disk, and the database's URL; None is SQLite's."""
    if "TEST_DATABASE_URL" not in os.environ:
        yield disk.at / "var", None
        return
    import psycopg

    with own_postgresql() as postgresql:
        folder = disk.at / "tables"
        folder.mkdir(mode=0o700)
        _own(folder, postgresql.data)
        with psycopg.connect(postgresql.url, autocommit=True) as connection:
            connection.execute(f"CREATE TABLESPACE small LOCATION '{folder}'")
            connection.execute("CREATE DATABASE on_small_disk TABLESPACE small")
        yield home, postgresql.url.replace("/postgres?", "/on_small_disk?")


def _own(folder: Path, like: Path) -> None:
    owner = like.stat()
    os.chown(folder, owner.st_uid, owner.st_gid)


def test_a_disk_that_is_full_loses_nothing_and_all_goes_on_when_there_is_room(tmp_path):
    # Open to PostgreSQL's own user, as the folder above is not.
    with (
        small_disk(Path(os.environ.get("TMPDIR", "/tmp")) / f"small-{os.getpid()}", 30) as disk,
        database_on(disk, tmp_path / "var") as (home, url),
        serve(home, url, RATE_LIMIT="", SIGN_IN_RATE_LIMIT="", LOG_LEVEL="ERROR") as server,
    ):
        demo = server.quickstart()
        token, vault = demo["api_key"], f"/v1/vaults/{demo['vault_id']}"

        def put(number: int) -> int:
            body = {"type": "note", "value": f"{number}{_BIG}"}
            status, headers, raw = server.exchange("PUT", f"{vault}/secrets/n{number}", body, token)
            if status != 201:
                assert status == 500
                assert headers["Content-Type"] == "application/problem+json"
                assert int(headers["Retry-After"]) > 0
                assert b"xxx" not in raw
                assert b"disk" not in raw.lower()
            return status

        stored = []
        for number in range(_MOST):
            if put(number) != 201:
                break
            stored.append(number)
        assert 2 < len(stored) < _MOST
        # Nor does anything else that is large get in, or get half in.
        items = [{"path": f"b{n}", "type": "note", "value": _BIG} for n in range(2)]
        batch = server.request("POST", f"{vault}/secrets:batchWrite", {"secrets": items}, token)
        assert batch[0] == 500
        assert server.exchange("GET", "/livez")[0] == 200

        disk.give_room(300)
        assert put(_MOST) == 201  # at once, with nobody's help
        for number in [*stored, _MOST]:
            status, secret = server.request("GET", f"{vault}/secrets/n{number}", token=token)
            assert (status, secret["version"]) == (200, 1)
            assert secret["value"] == f"{number}{_BIG}"
        listed = server.request("GET", f"{vault}/secrets?limit=200", token=token)[1]["secrets"]
        paths = {each["path"] for each in listed}
        assert {f"n{number}" for number in [*stored, _MOST]} <= paths
        assert not paths & {"b0", "b1", f"n{len(stored)}"}
        for command in ("verify_audit", "verify_vault"):
            manage(command, environment=server.environment)  # raises for what does not fit
