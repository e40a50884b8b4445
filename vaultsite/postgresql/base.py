"""Check kept connections without asking the server."""

import re
import select
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg
from django.db.backends.postgresql import base

_MARK = re.compile("%[%s]")


@lru_cache(maxsize=512)
def _numbered(query: str) -> bytes:
    """Write a statement's placeholders as PostgreSQL numbers them: `$1` for the first `%s`."""
    number = count(1)
    text = _MARK.sub(lambda mark: "%" if mark[0] == "%%" else f"${next(number)}", query)
    return text.encode()


class _KeptCursor(base.CursorMixin, psycopg.RawCursor[Any]):
    """Keeps the numbered form of each statement.

    The driver's own cursor keeps it up to 4,096 characters only, and then makes it at each run.
    """

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        text = query if params is None else _numbered(query)
        return super().execute(text, params, **options)


class DatabaseWrapper(base.DatabaseWrapper):
    """Checks a kept connection before each request, without a round trip.

    Django's own check is a query, which is a third of all that a request asks.
    """

    _kept: tuple[Any, Any] | None = None

    def kept_cursor(self) -> Any:
        """Return a cursor that stays from statement to statement.

        It keeps what the driver has learnt about types; a new one takes as long as a small statement.
        Callers must fetch all rows before they go on.
        """
        self.close_if_health_check_failed()
        self.ensure_connection()
        if self._kept is None or self._kept[0] is not self.connection:
            cursor = _KeptCursor(self.connection)
            # As text, ciphertext would come in hexadecimal, and times without their zone.
            cursor.format = psycopg.pq.Format.BINARY
            self._kept = (self.connection, cursor)
        return self._prepare_cursor(self._kept[1])  # type: ignore[attr-defined]

    def is_usable(self) -> bool:
        """Tell whether a kept connection can be used.

        An idle connection has nothing to read. Anything there means that it has ended, or is a message
        worth asking about. After an error the server is asked whether it still accepts writes: it may
        have become a standby.
        """
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
