"""Format log lines: JSON for machines or a line for people (LOG_FORMAT).

No line contains a path, a statement or an exception's message, which may contain anything.
"""

import logging
import time
import traceback
from types import TracebackType
from typing import Any

from pythonjsonlogger.json import JsonFormatter

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def _class_and_frames(exc_info: _ExcInfo) -> str:
    kind, _, frames = exc_info
    if kind is None:
        return ""
    return f"{kind.__qualname__}\n{''.join(traceback.format_tb(frames))}".rstrip()


class JsonLines(JsonFormatter):
    """One JSON object a line: time, level, logger, message, and the record's extra fields."""

    def __init__(self) -> None:
        super().__init__(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        )

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"

    def formatException(self, ei: Any) -> str:
        return _class_and_frames(ei)


class PlainLines(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name} {message}", style="{")

    def formatException(self, ei: Any) -> str:
        return _class_and_frames(ei)


class WithoutPath(logging.Filter):
    """Removes the path from Django's log lines of requests. Ours have the route and the id."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = record.__dict__.pop("request", None)
        path = getattr(request, "path", None)
        if path is not None:
            record.request_id = str(getattr(request, "request_id", None))
            match = getattr(request, "resolver_match", None)
            route = match.view_name if match is not None else "none"
            if isinstance(record.args, tuple):
                record.args = tuple(route if each == path else each for each in record.args)
        return True
