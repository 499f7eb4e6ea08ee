"""One seeded stand-in for the tests that only read, and small empty ones for the tests that change things."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from infra.standins.pracbill import PracBillStandIn
from infra.standins.pracbill.moments import parse_time

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
LONG_AGO = "1970-01-01T00:00:00Z"


class Clock:
    """Stands still until told to move."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def move(self, **span: float) -> None:
        self.moment += timedelta(**span)


class Caller:
    """Calls a stand-in over HTTP as the integration does."""

    def __init__(self, standin: PracBillStandIn) -> None:
        self.standin = standin
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update(standin.headers)

    def get(self, path: str = "", *, department: str | None = None, **options: Any) -> requests.Response:
        base = f"{self.standin.url}/departments/{department or self.standin.department_id}"
        return self.session.get(f"{base}{path}", timeout=60, **options)

    def post_consent(self, *changes: dict[str, Any], department: str | None = None) -> requests.Response:
        url = f"{self.standin.url}/departments/{department or self.standin.department_id}/marketing-consent"
        return self.session.post(url, json={"changes": list(changes)}, timeout=60)

    def control(self, method: str, path: str = "", **options: Any) -> requests.Response:
        return self.session.request(method, f"{self.standin.control_url}{path}", timeout=60, **options)

    def all_customers(self, *, limit: int = 500) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        after = ""
        while True:
            page = self.get("/customers", params={"limit": limit, "after": after}).json()
            found += page["customers"]
            if page["next_after"] is None:
                return found
            after = page["next_after"]

    def all_changes(self, since: str = LONG_AGO, *, limit: int = 500) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = self.get("/customers", params={"updated_since": since, "limit": limit, "cursor": cursor}).json()
            found += page["customers"]
            if page["next_cursor"] is None:
                return found
            cursor = page["next_cursor"]


def opt_out(email: str, at: str = "2026-03-04T11:00:00Z", **rest: Any) -> dict[str, Any]:
    return {
        "email": email,
        "status": "unsubscribed",
        "occurred_at": at,
        "source": "mailchimp",
        "reason": "asked",
        **rest,
    }


def opt_in(email: str, at: str = "2026-03-04T11:00:00Z", **rest: Any) -> dict[str, Any]:
    return {**opt_out(email, at), "status": "subscribed", **rest}


def document_of(standin: PracBillStandIn, customer_id: str, *, department_id: str | None = None) -> dict[str, Any]:
    """What the API shows of a customer who is there."""
    document = standin.customer(customer_id, department_id=department_id)
    assert document is not None
    return document


def updated_at(standin: PracBillStandIn, customer_id: str) -> datetime:
    return parse_time(document_of(standin, customer_id)["updated_at"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pracbill(clock: Clock) -> Iterator[PracBillStandIn]:
    """Empty departments, at noon."""
    with PracBillStandIn(customers=0, now=clock) as standin:
        yield standin


@pytest.fixture
def caller(pracbill: PracBillStandIn) -> Iterator[Caller]:
    caller = Caller(pracbill)
    yield caller
    caller.session.close()


@pytest.fixture(scope="session")
def seeded() -> Iterator[Caller]:
    """2,000 customers that no test may change."""
    with PracBillStandIn(now=Clock()) as standin:
        caller = Caller(standin)
        yield caller
        caller.session.close()
