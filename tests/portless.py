"""HTTP servers without a port: what connects to one gets the other end of a pair of sockets within this process.

Client and server speak HTTP as ever, with silences, half answers and hung up connections; only nothing listens.
"""

from __future__ import annotations

import itertools
import socket
import socketserver
import sys
from socketserver import BaseRequestHandler
from types import TracebackType
from typing import Any, Self

from urllib3.util import connection

_servers: dict[int, PortlessServer] = {}
_connect = connection.create_connection


class PortlessServer(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """Reached by its `url` from the moment it is made until it is closed, by whatever connects with urllib3."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: type[BaseRequestHandler]) -> None:
        # Numbers of ports that only a superuser could open.
        self.number = next(number for number in itertools.count(1) if number not in _servers)
        super().__init__(("127.0.0.1", self.number), handler)
        _servers[self.number] = self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.number}"

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.process_request(theirs, ("127.0.0.1", 0))
        return ours

    def close(self) -> None:
        _servers.pop(self.number, None)

    def shutdown_request(self, request: Any) -> None:
        request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a client that went away is no fault
            super().handle_error(request, client_address)


def _create_connection(address: tuple[str, int], timeout: Any = None, *arguments: Any, **options: Any) -> socket.socket:
    server = _servers.get(address[1])
    if server is None:
        return _connect(address, timeout, *arguments, **options)
    ours = server.connect()
    if timeout is None or isinstance(timeout, int | float):
        ours.settimeout(timeout)
    return ours


connection.create_connection = _create_connection
