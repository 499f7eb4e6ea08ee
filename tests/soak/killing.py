"""Workers that die before a write to a table or queue, or before a call to the outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.client import BaseClient
from requests.adapters import HTTPAdapter

_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "SendMessageBatch"})


class Killed(BaseException):
    """The function was ended in the middle. Not an Exception: nothing in it can take notice."""


class Executioner:
    """Counts what an armed worker does, and ends it before the one that is due."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left = 0
        self._pauses = 0
        self.is_armed = False

    def order(self, nth: int) -> None:
        """Let the worker die before its nth write or call from now on; 0: let it live."""
        self._left = nth

    def pass_by(self, what: str) -> None:
        with self._lock:
            if not self.is_armed or self._pauses or self._left == 0:
                return
            self._left -= 1
            if self._left == 0:
                raise Killed(what)

    @contextmanager
    def armed(self) -> Iterator[None]:
        self.is_armed = True
        try:
            yield
        finally:
            self.is_armed = False

    @contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Others act: what they do is not the worker's."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1


@contextmanager
def watched(executioner: Executioner) -> Iterator[None]:
    call_aws, send = BaseClient._make_api_call, HTTPAdapter.send  # type: ignore[attr-defined]

    def watched_aws(self: Any, operation: str, arguments: Any) -> Any:
        if operation in _WRITES:
            executioner.pass_by(operation)
        return call_aws(self, operation, arguments)

    def watched_send(self: Any, request: Any, *arguments: Any, **options: Any) -> Any:
        executioner.pass_by(f"{request.method} {request.url}")
        return send(self, request, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", watched_aws)
        patch.setattr(HTTPAdapter, "send", watched_send)
        yield
