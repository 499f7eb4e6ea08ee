"""The HTTP side: keep-alive HTTP/1.1 on loopback, a thread for each connection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import urlsplit

from infra.standins.listening import ListeningServer, hang_up

from .gate import DROPPED, Gate, Request, Response, html_response

API_ROOT = "/3.0"
CONTROL_ROOT = "/_control"
ControlHandler = Callable[[Request], Response]


def respond(request: Request, gate: Gate, control: ControlHandler) -> Response:
    """The answer to a request, whose path is the whole one here."""
    if request.path == API_ROOT:
        return Response(301, b"", {"Location": API_ROOT + "/"})
    for root, answer in ((API_ROOT, gate.answer), (CONTROL_ROOT, control)):
        if request.path == root or request.path.startswith(root + "/"):
            return answer(replace(request, path=request.path[len(root) :]))
    return html_response(404)


class HttpServer(ListeningServer):
    """Listens until closed; closing also ends the connections that are kept alive."""

    def __init__(self, port: int, gate: Gate, control: ControlHandler) -> None:
        super().__init__(port, _Handler, name="mailchimp")
        self.gate = gate
        self.control = control

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        # A client may go away; its request was worked off all the same.
        with suppress(OSError):
            super().finish_request(request, client_address)


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
            hang_up(self.connection)
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
        return respond(request, self.server.gate, self.server.control)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _respond

    def version_string(self) -> str:
        return "openresty"

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent: request lines hold addresses. The journal tells what was called."""


__all__ = ["API_ROOT", "CONTROL_ROOT", "DROPPED", "HttpServer"]
