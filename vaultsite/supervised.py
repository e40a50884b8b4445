"""End a worker when the process that started it has ended, in whatever way."""

import multiprocessing
import os
import signal
import threading
import time

_GRACE_S = 30  # as the supervisor's own `--workers-kill-timeout`


def end_with_supervisor() -> None:
    """Act, in a worker of granian, as for SIGTERM when its supervisor is gone.

    A supervisor that was killed cannot tell its workers. They would go on answering, with nobody to
    restart, count or stop them.
    """
    supervisor = multiprocessing.parent_process()
    if supervisor is None:
        return

    def wait() -> None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_S)
        os._exit(1)  # whatever a request hangs on

    threading.Thread(target=wait, name="end-with-supervisor", daemon=True).start()
