"""Starting, awaiting and ending the processes of a server. Benchmarks use it too."""

import os
import random
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT_S = 60
# Not seeded by tests: two runs at once are to try other ports.
_random = random.SystemRandom()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at.

    It is below those that Linux gives to outgoing connections (from 32768), or one of these could take
    it before the server that it is meant for.
    """
    while True:
        port = _random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def start(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, so that all it starts can be killed; append to `log`."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when `url` answers 200. Raises AssertionError, with the log, after a minute."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text()[-4000:]}")


@contextmanager
def ended(process: subprocess.Popen[bytes], how: signal.Signals, within_s: int) -> Iterator[None]:
    """End the process by a signal after the block. Raises TimeoutExpired, having killed it."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(timeout=within_s)
        except subprocess.TimeoutExpired:
            kill(process)
            raise


def wait_for_all(process: subprocess.Popen[bytes], within_s: int = 60) -> None:
    """Wait until all that an ended process started has ended too. Raises TimeoutError.

    The sealer outlives its server by up to a second, and has the database open until then.
    """
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise TimeoutError(f"what {process.args!r} started is still there")


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for all that it started: supervisor, workers and sealer."""

    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
