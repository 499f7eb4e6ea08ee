"""HTTP/1.1 with kept connections over a function from request to answer; loopback only."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from infra.standins.listening import ListeningServer
from infra.standins.pracbill.answers import Answer, Request, problem

MAX_BODY = 4 * 1024 * 1024
_IDLE_SECONDS = 120


class Hangup(Exception):
    """Break the connection without an answer."""


Respond = Callable[[Request], Answer]


class LoopbackServer(ListeningServer):
    """Serves from the moment it is made until `close`. `respond` may raise Hangup; port 0 takes a free one."""

    request_queue_size = 128

    def __init__(self, respond: Respond, *, port: int = 0) -> None:
        self.respond = respond
        super().__init__(port, _Connection, name="loopback")
        self.begin()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that goes away in the middle is no news."""


class _Connection(BaseHTTPRequestHandler):
    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Head and body leave in one packet; without this each line of the head is its own system call.
    wbufsize = 64 * 1024
    timeout = _IDLE_SECONDS

    def _serve(self) -> None:
        try:
            answer = self._answer()
        except Hangup:
            self.close_connection = True
            return
        self._send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve

    def _answer(self) -> Answer:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit():
            self.close_connection = True
            return problem(400, "Send the body with a Content-Length.")
        if int(length) > MAX_BODY:
            self.close_connection = True
            return problem(413, f"A body may have at most {MAX_BODY} bytes.")
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        return self.server.respond(Request.from_target(self.command, self.path, headers, body))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.cut_after])
        self.wfile.flush()
        if answer.cut_after is not None:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Silence: paths hold customer ids, and the stand-in keeps its own record of calls."""
