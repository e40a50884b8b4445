import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Kept connections are checked before each request. Django asks the server for it, which is a third
    of what a request asks at all."""

    def is_usable(self) -> bool:
        """An idle connection has nothing to read. Where there is something, it is the end of the
        connection, or a message that makes it worth asking. After an error it is asked whether it
        still takes writes: the server may have become a standby."""
        connection: Any = self.connection
        if connection is None or connection.closed:
            return False
        if self.errors_occurred:
            return self._takes_writes()
        poll = select.poll()
        try:
            poll.register(connection.fileno(), select.POLLIN)
        except (OSError, psycopg.Error):
            return False
        return not poll.poll(0) or bool(super().is_usable())

    def _takes_writes(self) -> bool:
        try:
            return bool(
                self.connection.execute("SHOW transaction_read_only").fetchone() == ("off",)
            )
        except psycopg.Error:
            return False
