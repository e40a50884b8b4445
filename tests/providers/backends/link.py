"""A TCP link to a server that can be cut or stalled."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Link:
    """Listens on `port` and passes bytes to `target`, a port of this machine, and back."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._flowing = threading.Event()
        self._flowing.set()
        self.port = 0
        self._listen()

    def close(self) -> None:
        self._cut()
        self._flowing.set()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Connections are refused, and those there are end."""
        self._cut()
        try:
            yield
        finally:
            self._listen()

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Connections are accepted, and nothing is passed on."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _cut(self) -> None:
        if self._listener is not None:
            # Only shutdown wakes the thread that waits in accept().
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        pair = {client: server, server: client}
        self._open |= pair.keys()
        with client, server, selectors.DefaultSelector() as selector:
            for each in pair:
                selector.register(each, selectors.EVENT_READ)
            with contextlib.suppress(OSError):
                while True:
                    for ready, _ in selector.select():
                        data = ready.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data:
                            return
                        self._flowing.wait()
                        pair[ready.fileobj].sendall(data)  # type: ignore[index]
        self._open -= pair.keys()
