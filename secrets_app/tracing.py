"""Trace a request's spans if the project around the app switches tracing on; otherwise do nothing.

Names and attributes come from code alone: no path, no statement, no message of an exception.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

_NOTHING: AbstractContextManager[Any] = nullcontext()
_tracer: Any = None


def trace_with(tracer: Any) -> None:
    """Use an `opentelemetry.trace.Tracer` from now on; None ends tracing."""
    global _tracer
    _tracer = tracer


def is_tracing() -> bool:
    """Tell whether tracing is on."""
    return _tracer is not None


def span(name: str, **attributes: str) -> AbstractContextManager[Any]:
    """Open a span around a block; without tracing this costs almost nothing."""
    return _NOTHING if _tracer is None else _span(_tracer, name, attributes)


@contextmanager
def _span(tracer: Any, name: str, attributes: dict[str, str]) -> Iterator[Any]:
    from opentelemetry.trace import StatusCode

    # By default a span records messages of exceptions, which may contain anything.
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
    """Open a span around each statement, named by its first word. For Django's `execute_wrapper`."""
    first_word = sql.split(maxsplit=1)[0].lstrip("(").upper() if isinstance(sql, str) else ""
    operation = first_word if first_word.isalpha() else "OTHER"
    vendor = context["connection"].vendor
    with span("database", **{"db.system.name": vendor, "db.operation.name": operation}):
        return execute(sql, params, many, context)
