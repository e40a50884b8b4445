"""The pool of threads that runs Django."""

import threading

from vaultsite.server.threads import Threads


def test_a_job_that_raises_does_not_end_its_thread(caplog):
    pool, done = Threads(1, name="test"), threading.Event()

    def broken():
        raise RuntimeError("broken")

    for _ in range(3):
        pool.run(broken)
    pool.run(done.set)
    assert done.wait(10)
    assert "a request failed outside Django" in caplog.text
