"""A real HTTP server that answers by script, and a waiting room without a clock."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from chalicelib.http_client.calls import CallMade
from tests.portless import PortlessServer


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; `path` is decoded, `target` is not."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """`way`: answer; hang up without an answer; break off in the middle of the body; stay silent until the end."""

    status: int = 200
    body: Any = None  # bytes as they are, everything else as JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    way: str = "answer"

    def raw(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


HANG_UP = Reply(way="hang_up")
BREAK_OFF = Reply(body=b'{"id": "half of an answ', way="break_off")
SILENCE = Reply(way="silence")

Answering = Callable[[Asked], Reply]


class ScriptedServer:
    """Answers with the replies of its script in turn, then with what `otherwise` says."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.connections = 0
        self.over = threading.Event()
        self.otherwise: Answering = lambda asked: Reply(
            599, {"title": f"not in the script: {asked.method} {asked.path}"}
        )
        self._script: list[Reply] = []

    def will(self, *replies: Reply) -> None:
        self._script += replies

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        return self._script.pop(0) if self._script else self.otherwise(asked)

    @property
    def is_through(self) -> bool:
        return not self._script


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """A server for the length of the block."""
    with PortlessServer(_Handler) as server:
        script = ScriptedServer(server.url)
        server.script = script  # type: ignore[attr-defined]
        try:
            yield script
        finally:
            script.over.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave together: no waiting for acknowledgements

    def setup(self) -> None:
        super().setup()
        self.server.script.connections += 1  # type: ignore[attr-defined]

    def _take(self) -> None:
        script: ScriptedServer = self.server.script  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = script.answer(Asked(self.command, self.path, dict(self.headers.items()), body))
        if reply.way == "silence":
            script.over.wait(20)
        if reply.way in ("silence", "hang_up"):
            self.close_connection = True
            return
        raw = reply.raw()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw) + (100 if reply.way == "break_off" else 0)))
        self.end_headers()
        self.wfile.write(raw)
        self.close_connection = reply.way == "break_off"

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _take

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@dataclass
class Waiting:
    """Stands for the caller's time: `sleep` only takes from what is left, and everything is written down."""

    left: float = 300.0
    jitter: float = 0.5
    slept: list[float] = field(default_factory=list)
    calls: list[CallMade] = field(default_factory=list)

    def remaining(self) -> float:
        return self.left

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.left -= seconds

    def random(self) -> float:
        return self.jitter
