"""What the stand-ins' HTTP servers share: listening on loopback, and ending at once with all connections."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ListeningServer(ThreadingHTTPServer):
    """A thread for each connection, from `begin` until `close`; port 0 takes a free one."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler], *, name: str) -> None:
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", port), handler)
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name=name, daemon=True)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def begin(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop listening and break the connections that are still open, as a stopping server does."""
        self._closing = True
        # Wakes the accepting thread. The standard loop would find out by polling, which takes longer than most tests.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._thread.join()
        self.server_close()
        with self._guard:
            for connection in self._connections:
                hang_up(connection)

    def _accept(self) -> None:
        while True:
            try:
                connection, address = self.get_request()
            except OSError:  # out of file descriptors, say: the next caller may find better times
                time.sleep(0.05)
                continue
            if self._closing:
                connection.close()
                return
            self.process_request(connection, address)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._connections.discard(request)
        super().shutdown_request(request)


def hang_up(connection: socket.socket) -> None:
    """Break a connection without an answer."""
    with suppress(OSError):  # the other side may have been faster
        connection.shutdown(socket.SHUT_RDWR)
