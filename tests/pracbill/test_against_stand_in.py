"""The client against the stand-in: two readings of PracBill's contract that must agree."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.customers import Customer, RemovedCustomer, mail_address
from chalicelib.errors import RetryLater
from chalicelib.pracbill.answers import BadRecord, ConsentChange
from chalicelib.pracbill.client import PracBillClient
from chalicelib.pracbill.errors import ContractViolation, DepartmentUnknown, TokenRefused
from infra.standins.pracbill.standin import PracBillStandIn
from tests.http_client.scripted import Waiting
from tests.pracbill.test_client import client_of

pytestmark = pytest.mark.server

LONG_AGO = "2000-01-01T00:00:00Z"


@pytest.fixture
def pracbill() -> Iterator[PracBillStandIn]:
    with PracBillStandIn(customers=1200) as stand_in:
        yield stand_in


@pytest.fixture
def client(pracbill: PracBillStandIn, waiting: Waiting) -> PracBillClient:
    return client_of(pracbill.url, waiting, pracbill.token)


def read(client: PracBillClient, pracbill: PracBillStandIn) -> list[str]:
    pages = client.customers(pracbill.department_id)
    return [record.id for page in pages for record in page.records if isinstance(record, Customer)]


def test_every_customer_of_a_messy_department_is_read(client: PracBillClient, pracbill: PracBillStandIn) -> None:
    assert read(client, pracbill) == [str(document["id"]) for document in pracbill.customers()]
    pages = list(client.customers(pracbill.department_id))
    assert not [r for page in pages for r in page.records if isinstance(r, BadRecord)]
    assert len(pages) == 3


def test_changes_hold_removed_customers_and_go_on_from_a_cursor(
    client: PracBillClient, pracbill: PracBillStandIn
) -> None:
    gone = str(pracbill.customers()[3]["id"])
    assert pracbill.remove(gone)
    pages = list(client.changes(pracbill.department_id, since=LONG_AGO))
    records = [record for page in pages for record in page.records]
    assert gone in {record.id for record in records if isinstance(record, RemovedCustomer)}
    assert {r.id for r in records if isinstance(r, Customer)} == {str(d["id"]) for d in pracbill.customers()}
    rest = list(client.changes(pracbill.department_id, since=LONG_AGO, cursor=pages[0].next_cursor))
    assert [r for page in rest for r in page.records] == [r for page in pages[1:] for r in page.records]
    later = list(client.changes(pracbill.department_id, since=pages[-1].as_of))
    assert sum(len(page.records) for page in later) <= 1


def test_consent_is_written_once_however_often_it_is_told(client: PracBillClient, pracbill: PracBillStandIn) -> None:
    found = next(page for page in client.customers(pracbill.department_id))
    somebody = next(
        r for r in found.records if isinstance(r, Customer) and r.consent == "subscribed" and "@" in r.email
    )
    when = datetime.now(UTC) + timedelta(seconds=1)
    address = mail_address(somebody.email)
    changes = [
        ConsentChange(address, "unsubscribed", when, "mailchimp", "unsubscribe"),
        ConsentChange("nobody-at-all@clinic.test", "unsubscribed", when, "mailchimp", ""),
    ]
    for _ in range(2):
        written = client.write_consent(pracbill.department_id, changes)
        assert written.unknown == ("nobody-at-all@clinic.test",)
    stored = pracbill.customer(somebody.id)
    assert stored is not None and stored["marketing_consent"]["status"] == "unsubscribed"


def test_departments(client: PracBillClient, pracbill: PracBillStandIn, waiting: Waiting) -> None:
    department = client.department(pracbill.department_id)
    assert (department.timezone, department.currency, department.note) == ("Australia/Melbourne", "AUD", "")
    with pytest.raises(DepartmentUnknown):
        client.department("nowhere")
    with pytest.raises(TokenRefused):
        client_of(pracbill.url, waiting, "wrong").department(pracbill.department_id)


@pytest.mark.parametrize(
    ("kind", "skip", "words"),
    [("nonsense", 0, "not a JSON object"), ("out_of_order", 1, "out of order"), ("repeated_cursor", 0, "next_after")],
)
def test_what_breaks_the_contract_stops_the_run(
    client: PracBillClient, pracbill: PracBillStandIn, kind: str, skip: int, words: str
) -> None:
    pracbill.inject(kind, skip=skip)
    with pytest.raises(ContractViolation, match=f"PracBill .*{words}"):
        read(client, pracbill)


def test_a_repeated_cursor_of_changes_stops_the_run(client: PracBillClient, pracbill: PracBillStandIn) -> None:
    pracbill.inject("repeated_cursor")
    with pytest.raises(ContractViolation, match="sent before"):
        list(client.changes(pracbill.department_id, since=LONG_AGO))


@pytest.mark.parametrize("kind", ["status", "drop", "drop_midway"])
def test_what_may_pass_passes(client: PracBillClient, pracbill: PracBillStandIn, waiting: Waiting, kind: str) -> None:
    pracbill.inject(kind, calls=2, skip=1)
    assert len(read(client, pracbill)) == 1200
    assert len(waiting.slept) == 2
    pracbill.inject(kind, calls=5)
    with pytest.raises(RetryLater, match="PracBill"):
        read(client, pracbill)
