"""Spans of a request, when the project around the app switches tracing on; nothing otherwise.

Names and attributes come from code alone: no path, no statement, no message of an exception.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

_NOTHING: AbstractContextManager[Any] = nullcontext()
_tracer: Any = None


def trace_with(tracer: Any) -> None:
    """Take an `opentelemetry.trace.Tracer` from now on; None: no spans."""
    global _tracer
    _tracer = tracer


def is_tracing() -> bool:
    return _tracer is not None


def span(name: str, **attributes: str) -> AbstractContextManager[Any]:
    """A span around a block, or nothing at hardly any cost."""
    return _NOTHING if _tracer is None else _span(_tracer, name, attributes)


@contextmanager
def _span(tracer: Any, name: str, attributes: dict[str, str]) -> Iterator[Any]:
    from opentelemetry.trace import StatusCode

    # Left to itself it would record messages of exceptions, which may hold anything.
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_attribute("error.type", type(error).__name__)
            current.set_status(StatusCode.ERROR)
            raise


def trace_query(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """For Django's `execute_wrapper`: a span around each statement, with its first word."""
    first_word = sql.split(maxsplit=1)[0].lstrip("(").upper() if isinstance(sql, str) else ""
    operation = first_word if first_word.isalpha() else "OTHER"
    vendor = context["connection"].vendor
    with span("database", **{"db.system.name": vendor, "db.operation.name": operation}):
        return execute(sql, params, many, context)
