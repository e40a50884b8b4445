"""The restore drill of docs/operations.md, on throw-away data: back up while clients write, destroy,
restore elsewhere with the root key, verify, compare. Run by the tests, and by whoever wants to see it:

    python -m tests.e2e.drill [--only sqlite|postgresql]
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack, nullcontext
from pathlib import Path
from subprocess import CalledProcessError

from secrets_app.providers.local import generate_root_key_text
from tests.e2e.load import Load, fill
from tests.e2e.processes import wait_for_all
from tests.e2e.server import Server, manage, new_database, serve
from tests.postgresql import BIN

_FILLED = 200


class Drill:
    """`url` names a PostgreSQL server, None means SQLite. Everything it makes is in `folder`."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self._folder, self._url = folder, url
        self._home = folder / "elsewhere" / "var"
        self._safe = folder / "safe"
        self._backup = folder / "backup"

    def run(self) -> None:
        with ExitStack() as stack:
            self._back_up_and_destroy()
            restored = stack.enter_context(new_database(self._url))
            environment = self._restore(restored)
            self._say("verify")
            assert "all is well" in manage("verify_vault", environment=environment).stdout
            assert "verified" in manage("verify_audit", environment=environment).stdout
            with serve(self._home, restored) as server:
                self._compare(server)
            self._try_wrong_key(environment)

    def _back_up_and_destroy(self) -> None:
        old = self._folder / "here" / "var"
        old.parent.mkdir()
        with new_database(self._url) as url, serve(old, url, PATH=_PATH) as server:
            self._demo = server.quickstart()
            fill(server, self._demo, _FILLED)
            with Load(server, self._demo) as load:
                while load.writes < 30:
                    assert load.is_alive()
                self._before = dict(load.written)
                self._say("back up while clients write")
                writes = load.writes
                manage("backup", str(self._backup), environment=server.environment)
                assert load.writes > writes, "nobody wrote meanwhile"
            # The root key is not in a backup: it was put elsewhere when it was made.
            self._safe.mkdir()
            for name in ("root.key", "demo.json"):
                shutil.copy(old / name, self._safe)
        self._say("destroy")
        wait_for_all(server.process)
        shutil.rmtree(old)

    def _restore(self, url: str | None) -> dict[str, str]:
        self._say("restore elsewhere, with the root key")
        self._home.mkdir(parents=True)
        environment = {"PATH": _PATH, "VAULTSITE_HOME": str(self._home), "LOG_FORMAT": "line"}
        environment |= {"SECRET_KEY": "another", "ALLOWED_HOSTS": "127.0.0.1"}
        if url:
            environment["DATABASE_URL"] = url
            command = ["pg_restore", "--no-owner", "--exit-on-error", f"--dbname={_libpq(url)}"]
            subprocess.run([*command, self._backup], check=True, env={"PATH": _PATH})
        else:
            shutil.copy(self._backup, self._home / "db.sqlite3")
        for file in self._safe.iterdir():
            shutil.copy(file, self._home)
        # Keys of tokens are made anew: clients sign in again.
        jwt = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(self._home / "jwt.pem")]
        subprocess.run(jwt, check=True)
        (self._home / "jwt.pem").chmod(0o600)
        manage("check", "--database", "default", environment=environment)
        return environment

    def _compare(self, server: Server) -> None:
        self._say("compare values")
        demo = server.quickstart()
        assert demo["vault_id"] == self._demo["vault_id"]
        url = f"/v1/vaults/{demo['vault_id']}/secrets"
        for n in range(0, _FILLED, 20):
            _, answer = server.request("GET", f"{url}/bulk/{n}", token=demo["token"])
            assert answer["value"] == f"bulk value {n}"
        for path, value in self._before.items():
            _, answer = server.request("GET", f"{url}/{path}", token=demo["token"])
            # What was acknowledged before the backup began is there, or what came after it.
            *worker, turn = value.split()
            *same_worker, restored_turn = answer["value"].split()
            assert worker == same_worker
            assert int(restored_turn) >= int(turn)
        assert server.request("PUT", f"{url}/after", _NOTE, demo["token"])[0] == 201

    def _try_wrong_key(self, environment: dict[str, str]) -> None:
        self._say("with another root key it says so, and does not start")
        (self._home / "root.key").write_text(generate_root_key_text())
        said = _failure(lambda: manage("verify_vault", environment=environment))
        assert "No configured root key is" in said, said
        start = ["python", "-c", "import vaultsite.wsgi"]
        done = subprocess.run(
            start, env=environment, capture_output=True, text=True, cwd=_ROOT, check=False
        )
        assert done.returncode == 1
        assert "Restore the root key that belongs to this database" in done.stderr

    def _say(self, what: str) -> None:
        print(f"drill on {'postgresql' if self._url else 'sqlite'}: {what}", flush=True)


_ROOT = Path(__file__).resolve().parents[2]
_PATH = os.pathsep.join([str(BIN), str(_ROOT / ".venv" / "bin"), os.environ["PATH"]])
_NOTE = {"type": "note", "value": "after the restore"}


def _libpq(url: str) -> str:
    return url.replace("postgres://", "postgresql://", 1)


def _failure(call) -> str:
    try:
        call()
    except CalledProcessError as error:
        return str(error.stdout + error.stderr)
    raise AssertionError("it should have failed")


def main() -> None:
    from tests.run import DATABASES, postgresql

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=DATABASES)
    only = parser.parse_args().only
    for database in [only] if only else DATABASES:
        server = postgresql() if database == "postgresql" else nullcontext()
        with tempfile.TemporaryDirectory() as folder, server as url:
            Drill(Path(folder), url).run()


if __name__ == "__main__":
    main()
