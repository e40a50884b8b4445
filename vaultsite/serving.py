"""The command line that starts the server, in one place for `quickstart`, tests and benchmarks."""

import sys


def command(
    *, port: int, host: str = "127.0.0.1", workers: int = 1, log_level: str = "warning"
) -> list[str]:
    """Give the words that start the server on `host` and `port` with so many worker processes.

    deploy/systemd has the same options written out; a test compares the two.
    """
    return [
        *(sys.executable, "-m", "granian", "vaultsite.asgi:application", "--interface", "asginl"),
        *("--loop", "uvloop"),
        *("--host", host, "--port", str(port), "--workers", str(workers), "--http", "1", "--no-ws"),
        # Connections of a worker, whatever they do; how long a head may take, in ms, and be, in bytes.
        *("--backlog", "2048", "--backpressure", "2048"),
        *("--http1-header-read-timeout", "10000", "--http1-buffer-size", "65536"),
        *("--log-level", log_level),
        *("--workers-kill-timeout", "30"),  # Ctrl-C ends it, whatever a request hangs on
    ]
