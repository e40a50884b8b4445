import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Kept connections are checked before each request. Django asks the server for it, which is a third
    of what a request asks at all."""

    _kept: tuple[Any, Any] | None = None

    def kept_cursor(self) -> Any:
        """A cursor that stays from statement to statement, with what the driver has learnt about types: to
        make one takes as long as a small statement. For those who fetch all before they go on."""
        self.close_if_health_check_failed()
        self.ensure_connection()
        if self._kept is None or self._kept[0] is not self.connection:
            cursor = self.create_cursor()
            cursor.format = psycopg.pq.Format.BINARY  # ciphertext would come in hexadecimal
            self._kept = (self.connection, cursor)
        return self._prepare_cursor(self._kept[1])  # type: ignore[attr-defined]

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
