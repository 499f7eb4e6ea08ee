"""Faults on order: what a real PracBill does on a bad day, for the next N calls."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from infra.standins.pracbill.answers import Answer, Request, encode, problem

NONSENSE = b"<html><body><h1>PracBill is being updated</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One order. `calls` says how many calls it spoils, after letting `skip` pass; `path` limits it to paths with
    that text in them. Without `path` it meets every call of PracBill's API, and never the key set.

    Kinds: `status` (answers `status`, with `retry_after` seconds if given), `nonsense` (200 with a page that is not
    JSON), `truncated` (the true answer cut off in the middle), `out_of_order` (a list whose first and last customers
    have changed places), `repeated_cursor` (a page that points to itself), `hang` (silence for `seconds`, then the
    connection breaks), `drop` (breaks at once), `drop_midway` (breaks after half of the body).
    """

    kind: str
    calls: int = 1
    skip: int = 0
    path: str = ""
    status: int = 503
    retry_after: int | None = None
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}")
        if self.calls < 1 or self.skip < 0 or not 400 <= self.status <= 599:
            raise ValueError("calls must be 1 or more, skip 0 or more, status 400 to 599")

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Fault:
        """Raises ValueError for an unknown key or kind, or a value of another type."""
        if unknown := set(body) - {field.name for field in fields(cls)}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        try:
            return cls(**body)
        except TypeError as error:
            raise ValueError(str(error)) from None


KINDS = ("status", "nonsense", "truncated", "out_of_order", "repeated_cursor", "hang", "drop", "drop_midway")


class FaultQueue:
    """Orders are met first come first served, one a call."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._orders.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._orders.clear()

    def pending(self) -> list[dict[str, Any]]:
        with self._lock:
            return [asdict(fault) for fault in self._orders]

    def take(self, request: Request) -> Fault | None:
        """The fault that this call meets, if any; counts it."""
        with self._lock:
            for index, fault in enumerate(self._orders):
                if not _concerns(fault, request):
                    continue
                if fault.skip:
                    self._orders[index] = replace(fault, skip=fault.skip - 1)
                    return None
                if fault.calls == 1:
                    del self._orders[index]
                else:
                    self._orders[index] = replace(fault, calls=fault.calls - 1)
                return fault
            return None


def _concerns(fault: Fault, request: Request) -> bool:
    if fault.path not in request.path or (not fault.path and request.segments[0] != "departments"):
        return False
    is_list = request.method == "GET" and request.path.endswith("/customers")
    if fault.kind == "out_of_order":
        return is_list
    if fault.kind == "repeated_cursor":
        return is_list and bool(request.query.get("cursor") or request.query.get("after"))
    return True


def refuse(fault: Fault) -> Answer:
    """The answer of a `status` fault."""
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(fault.status, "A fault that was asked for.", headers=headers)


def spoil(fault: Fault, request: Request, answer: Answer) -> Answer:
    """The true answer, made wrong as the fault says."""
    if fault.kind == "nonsense":
        return Answer(200, NONSENSE, "text/html; charset=utf-8")
    if fault.kind == "truncated":
        return replace(answer, body=answer.body[: len(answer.body) // 2])
    if fault.kind == "drop_midway":
        return replace(answer, cut_after=len(answer.body) // 2)
    if answer.status != 200:
        return answer
    if fault.kind == "out_of_order":
        return replace(answer, body=encode(_swap_ends(answer.json())))
    if fault.kind == "repeated_cursor":
        return replace(answer, body=encode(_point_to_itself(answer.json(), request.query)))
    return answer


def _swap_ends(page: dict[str, Any]) -> dict[str, Any]:
    customers = page["customers"]
    if len(customers) > 1:
        customers[0], customers[-1] = customers[-1], customers[0]
    return page


def _point_to_itself(page: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    if "next_cursor" in page:
        return {**page, "next_cursor": query["cursor"]}
    return {**page, "next_after": query["after"]}
