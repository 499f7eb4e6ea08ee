"""Where Mailchimp reaches our webhook: HTTP on loopback, passed on to the function as API Gateway does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit


class Doorbell:
    def __init__(self) -> None:
        self.function: Callable[[dict[str, Any]], int] = lambda event: 404
        bell = self

        class Handler(BaseHTTPRequestHandler):
            def _ring(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                *_, department_id, token = urlsplit(self.path).path.split("/")
                event = {
                    "httpMethod": self.command,
                    "pathParameters": {"department_id": unquote(department_id), "token": token},
                    "headers": dict(self.headers.items()),
                    "body": body.decode(),
                    "isBase64Encoded": False,
                }
                self.send_response(bell.function(event))
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = _ring

            def log_message(self, format: str, *args: Any) -> None:
                """Silence: paths hold tokens."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/api"
