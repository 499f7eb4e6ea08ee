"""The stand-ins of Mailchimp and PracBill without a port: calls to them, and their webhooks, stay within the process.

For workflows in the fast tier. No HTTP is spoken as it is with `tests/portless.py`, which saves half of the time; what
it adds (kept connections, broken ones, timeouts) is tested on the same stand-ins behind a port.
"""

from __future__ import annotations

import http.client
import io
import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from infra.standins.mailchimp import delivery
from infra.standins.mailchimp import server as mailchimp_server
from infra.standins.mailchimp import standin as mailchimp_standin
from infra.standins.mailchimp.gate import Gate
from infra.standins.mailchimp.gate import Request as MailchimpRequest
from infra.standins.pracbill import answers as pracbill_answers
from infra.standins.pracbill import standin as pracbill_standin
from infra.standins.pracbill.server import Hangup, Respond
from tests.sync import office

_PORTS = itertools.count(10_000)  # nothing listens in the fast tier, so none is taken
_answering: dict[int, Callable[[requests.PreparedRequest], HTTPResponse]] = {}
_hooks: dict[int, PortlessHooks] = {}
_get_adapter = requests.Session.get_adapter


class _Portless:
    """What a stand-in has of its server, and what answers in its place."""

    def __init__(self) -> None:
        self.port = next(_PORTS)
        _answering[self.port] = self.answer

    def begin(self) -> None:
        """There is nothing to start."""

    def close(self) -> None:
        _answering.pop(self.port, None)

    def answer(self, request: requests.PreparedRequest) -> HTTPResponse:
        raise NotImplementedError


class PortlessMailchimp(_Portless):
    def __init__(self, port: int, gate: Gate, control: mailchimp_server.ControlHandler) -> None:
        super().__init__()
        self._gate, self._control = gate, control

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: requests.PreparedRequest) -> HTTPResponse:
        method, parts = str(request.method), urlsplit(str(request.url))
        asked = MailchimpRequest(method, parts.path, parts.query, _headers(request), _body(request), "127.0.0.1")
        answer = mailchimp_server.respond(asked, self._gate, self._control)
        if answer.dropped:
            raise requests.ConnectionError("the connection was closed without an answer")
        return _response(answer.status, answer.headers, answer.body)


class PortlessPracBill(_Portless):
    def __init__(self, respond: Respond, *, port: int = 0) -> None:
        super().__init__()
        self._respond = respond

    def answer(self, request: requests.PreparedRequest) -> HTTPResponse:
        parts = urlsplit(str(request.url))
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        asked = pracbill_answers.Request.from_target(str(request.method), target, _headers(request), _body(request))
        try:
            answer = self._respond(asked)
        except Hangup:
            raise requests.ConnectionError("the connection was closed without an answer") from None
        if answer.cut_after is not None:
            raise requests.exceptions.ChunkedEncodingError("the connection broke in the midst of the answer")
        return _response(answer.status, {"Content-Type": answer.content_type, **answer.headers}, answer.body)


class _InProcess(HTTPAdapter):
    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        return self.build_response(request, _answering[urlsplit(str(request.url)).port or 0](request))


def _adapter_for(self: requests.Session, url: str) -> BaseAdapter:
    _, _, rest = url.partition("://127.0.0.1:")
    port = rest.partition("/")[0]
    return _InProcess() if port.isdigit() and int(port) in _answering else _get_adapter(self, url)


class PortlessHooks:
    """What a test has of the server to which webhooks go; its handler is given each as bytes."""

    def __init__(self, _address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._handler = handler
        self.server_address = ("127.0.0.1", next(_PORTS))
        _hooks[self.server_address[1]] = self

    def serve_forever(self, _seconds: float) -> None:
        """There is nothing to wait for."""

    def shutdown(self) -> None:
        _hooks.pop(self.server_address[1], None)

    def server_close(self) -> None:
        """There is nothing to close."""

    def answer(self, request: bytes) -> bytes:
        connection = _Bytes(request)
        self._handler(connection, ("127.0.0.1", 0), self)  # type: ignore[arg-type] # as much of both as it needs
        return connection.sent


class _Bytes:
    """As much of a socket as HTTP's classes need: what comes is there already, what goes is kept."""

    def __init__(self, received: bytes) -> None:
        self._received, self.sent = received, b""

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        return io.BytesIO(self._received)

    def sendall(self, data: bytes) -> None:
        self.sent += data


class _HookConnection(http.client.HTTPConnection):
    """Mailchimp's connection to our address. Whatever else it is to reach is not there."""

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **_: Any) -> None:
        if self.port not in _hooks:
            raise ConnectionRefusedError
        lines = [f"{method} {url} HTTP/1.0", *(f"{name}: {value}" for name, value in headers.items())]
        lines += [f"Content-Length: {len(body)}"] if body else []
        self._answer = _hooks[self.port].answer("\r\n".join([*lines, "", ""]).encode() + (body or b""))

    def getresponse(self) -> http.client.HTTPResponse:
        response = http.client.HTTPResponse(_Bytes(self._answer))  # type: ignore[arg-type] # as much as it needs
        response.begin()
        return response


@contextmanager
def without_ports() -> Iterator[None]:
    """Stand-ins that are made from here on have no port."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mailchimp_standin, "HttpServer", PortlessMailchimp)
        patch.setattr(pracbill_standin, "LoopbackServer", PortlessPracBill)
        patch.setattr(delivery, "_connect", lambda scheme, host: _HookConnection(host))
        patch.setattr(office, "ThreadingHTTPServer", PortlessHooks)
        patch.setattr(requests.Session, "get_adapter", _adapter_for)
        yield


def _headers(request: requests.PreparedRequest) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in request.headers.items()}


def _body(request: requests.PreparedRequest) -> bytes:
    body = request.body or b""
    return body.encode() if isinstance(body, str) else bytes(body)


def _response(status: int, headers: Mapping[str, str], body: bytes) -> HTTPResponse:
    return HTTPResponse(io.BytesIO(body), headers, status, preload_content=False)
