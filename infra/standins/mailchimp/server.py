"""The HTTP side: keep-alive HTTP/1.1 on loopback, a thread for each connection."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import urlsplit

from .gate import DROPPED, Gate, Request, Response, html_response

API_ROOT = "/3.0"
CONTROL_ROOT = "/_control"
ControlHandler = Callable[[Request], Response]


class HttpServer(ThreadingHTTPServer):
    """Listens until closed; closing also ends the connections that are kept alive."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, port: int, gate: Gate, control: ControlHandler) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.gate = gate
        self.control = control
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self._closing = False
        self._thread = threading.Thread(target=self._accept, name="mailchimp", daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def begin(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        # Wakes the accepting thread. The standard loop would find out by polling, which takes longer than most tests.
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.server_address[1]), timeout=1).close()
        self._thread.join()
        self.server_close()
        with self._open_lock:
            connections = list(self._open)
        for connection in connections:
            _hang_up(connection)

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

    def finish_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        try:
            super().finish_request(request, client_address)
        except OSError:
            # The client went away; its request was worked off all the same.
            pass
        finally:
            with self._open_lock:
                self._open.discard(request)


def _hang_up(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # One write for headers and body together.
    wbufsize = -1
    server: HttpServer
    _with_body: ClassVar[frozenset[str]] = frozenset({"POST", "PUT", "PATCH"})

    def _respond(self) -> None:
        response = self._response()
        if response.dropped:
            self.close_connection = True
            _hang_up(self.connection)
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != 204:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def _response(self) -> Response:
        length = self.headers.get("Content-Length")
        if length is None and self.command in self._with_body:
            # The body's end is unknown: the edge refuses, and the connection cannot be used again.
            self.close_connection = True
            return html_response(411)
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=parts.path,
            query=parts.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(int(length)) if length else b"",
            client_ip=self.client_address[0],
        )
        return self._dispatch(request)

    def _dispatch(self, request: Request) -> Response:
        if request.path == API_ROOT:
            return Response(301, b"", {"Location": API_ROOT + "/"})
        for root, answer in ((API_ROOT, self.server.gate.answer), (CONTROL_ROOT, self.server.control)):
            if request.path == root or request.path.startswith(root + "/"):
                below = Request(**request.__dict__ | {"path": request.path[len(root) :]})
                return answer(below)
        return html_response(404)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond

    def version_string(self) -> str:
        return "openresty"

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: request lines hold addresses. The journal tells what was called."""


__all__ = ["API_ROOT", "CONTROL_ROOT", "DROPPED", "HttpServer"]
