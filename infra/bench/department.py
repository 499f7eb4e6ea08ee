"""A department of many made-up customers as it is after a full sync, for the benchmarks of segments.

Everything lies in the tables as the service writes it: customers with the marks of ten segments, their documents and
delivery states, whom campaigns reach. Of Mailchimp's side there is only what a run asks for.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zlib import crc32
from zoneinfo import ZoneInfo

# Read when the tables' models are imported.
os.environ.setdefault("STAGE", "bench")

from chalicelib.domain.address_status import AddressStatus
from chalicelib.domain.consent.members import DeliveryState, Status
from chalicelib.domain.customers import (
    Address,
    Customer,
    address_key,
    customer_key,
    customer_to_document,
    fingerprint,
)
from chalicelib.domain.departments import Audience, Connection, Department
from chalicelib.domain.fieldmap import FieldMap
from chalicelib.domain.segments.filterable import Filterable, filterable, sample_of
from chalicelib.domain.segments.rules import Rule, matches
from chalicelib.domain.segments.validation import check_rules
from chalicelib.iteration import slices
from chalicelib.store.address_status import AddressStatusStore
from chalicelib.store.customers import CustomerBatch, CustomerStore, StoredCustomer
from chalicelib.store.member_batch import MemberBatch
from chalicelib.store.members import MemberStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TODAY = date(2026, 7, 15)
NOON = datetime(2026, 7, 15, 2, 0, tzinfo=UTC)
TIMEZONE = "Australia/Melbourne"
ZONE = ZoneInfo(TIMEZONE)
DEPARTMENT = "bench"
SALT = "5a" * 32
_AT_ONCE = 1_000
# What Mailchimp has made of ten addresses; sharers of one have the same.
_SUBSCRIBED: Status = "subscribed"
_STATUSES: tuple[Status | None, ...] = (*[_SUBSCRIBED] * 7, "transactional", "transactional", None)


def connected_department(audience_id: str) -> Department:
    """The department itself, connected to an audience of which nothing is known yet."""
    return Department(
        id=DEPARTMENT,
        name="Bench",
        timezone=TIMEZONE,
        country="AU",
        currency="AUD",
        address_salt=SALT,
        connection=Connection("connected", "account-1", "Bench", "us21", "abcd", NOON),
        audience=Audience(audience_id, "Bench", FieldMap(("FNAME", "LNAME", "COMPANY"), country="AU"), NOON),
    )


def _rules(*rules: tuple[str, str, object]) -> tuple[Rule, ...]:
    return check_rules([{"field": field, "operator": operator, "value": value} for field, operator, value in rules])


# Of one to three rules, all kinds of fields and operators among them.
SEGMENTS = {
    "s01": _rules(("state", "equals", "VIC"), ("inactive", "does_not_equal", "1")),
    "s02": _rules(("has_invoice_in_last_months", "is_not", 6)),
    "s03": _rules(("balance_greater_than", "is", 0)),
    "s04": _rules(("created_in_last_days", "is", 30)),
    "s05": _rules(("customer_type", "equals", "Business"), ("status", "equals", "Active")),
    "s06": _rules(("postcode", "greater_than", 2999), ("postcode", "less_than", 4000)),
    "s07": _rules(("company_name", "contains", "harbour")),
    "s08": _rules(("state", "is_empty", None)),
    "s09": _rules(("city", "equals", "Perth"), ("balance_greater_than", "is", 500), ("inactive", "equals", "0")),
    "s10": _rules(("email", "does_not_contain", "practice1"), ("has_invoice_in_last_days", "is", 90)),
}


@dataclass(frozen=True)
class Person:
    """A customer and what Mailchimp has made of the address: None where it is no member."""

    customer: Customer
    status: Status | None


def people(count: int) -> Iterator[Person]:
    """Made-up customers, the same ones every time: some without address or consent, some with a shared address."""
    chance = random.Random(7)  # noqa: S311 - nothing secret
    for number in range(1, count + 1):
        customer = _customer(chance, number)
        yield Person(customer, _STATUSES[crc32(customer.email.encode()) % len(_STATUSES)])


def _customer(chance: random.Random, number: int) -> Customer:
    sharer = number - 1 if chance.random() < 0.03 else number
    return Customer(
        id=str(number),
        updated_at="2026-07-01T00:00:00Z",
        email="" if chance.random() < 0.05 else f"person.{sharer}@practice{sharer % 900}.example",
        company_name=f"{chance.choice(['Acme', 'Harbour', 'Summit', 'Wattle'])} Health {number} Pty Ltd",
        first_name=chance.choice(["Alex", "Kim", "Sam"]),
        last_name=f"Person{number}",
        phone="0400 000 000",
        address=Address(
            line1=f"{number % 300} Main Street",
            city=chance.choice(["Melbourne", "Geelong", "Sydney", "Perth"]),
            state=chance.choice(["VIC", "vic", "NSW", "WA", "QLD", ""]),
            postcode=f"{chance.randrange(200, 9999):04d}",
            country="AU",
        ),
        inactive=chance.choice("00001"),
        status=chance.choice(["Active", "On hold"]),
        customer_type=chance.choice(["Business", "Private"]),
        created_at=_moment(chance, 2_000),
        last_invoice_at=_moment(chance, 500) if chance.random() < 0.9 else "",
        balance=f"{chance.uniform(-100, 2_000):.2f}",
        consent="subscribed",
        consent_changed_at="2026-01-01T00:00:00Z",
    )


def _moment(chance: random.Random, days: int) -> str:
    return f"{TODAY - timedelta(days=chance.randrange(days))}T{chance.randrange(24):02d}:30:00Z"


def key_of(customer: Customer) -> str:
    return address_key(bytes.fromhex(SALT), customer.email) if customer.email else ""


class BenchDepartment:
    """Fills the tables, and changes customers as the first phases of a run do."""

    def __init__(self, client: DynamoDBClient, customers: str, members: str, audience_id: str) -> None:
        self._client = client
        self._audience_id = audience_id
        self._customers = CustomerStore(client, customers)
        self._members_table = members
        self._members = MemberStore(client, members)

    def fill(self, count: int) -> None:
        """Store everybody."""
        address_statuses: dict[str, AddressStatus] = {}
        for part in slices(people(count), _AT_ONCE):
            customers, members = self._customers.batch(DEPARTMENT), self._members.batch(DEPARTMENT)
            for person in part:
                _put_customer(customers, person.customer, _tags(person))
                if person.customer.email:
                    _put_document(members, person.customer)
                if person.customer.email and person.status:
                    self._put_delivery(members, person, person.status)
            customers.flush()
            members.flush()
            for person in part:
                _note(address_statuses, person)
        store = AddressStatusStore(self._client, self._members_table)
        changes = store.changes(DEPARTMENT, self._audience_id)
        changes.note(address_statuses)
        changes.flush()
        store.looked_at(DEPARTMENT, self._audience_id, NOON)

    def change(self, persons: Iterable[Person]) -> list[Customer]:
        """Turn everything about some customers: they leave segments and enter others. Answers them as they are now."""
        chance = random.Random(11)  # noqa: S311 - nothing secret
        pairs = [(person, _turned(chance, person.customer)) for person in persons]
        customers, members = self._customers.batch(DEPARTMENT), self._members.batch(DEPARTMENT)
        for person, customer in pairs:
            _put_customer(customers, customer, _tags(person))
            if customer.email:
                members.recheck(key_of(customer))
                _put_document(members, customer)
        members.flush()
        customers.flush()
        return [customer for _, customer in pairs]

    def _put_delivery(self, batch: MemberBatch, person: Person, status: Status) -> None:
        push = DeliveryState(
            self._audience_id, status, NOON - timedelta(days=1), person.customer.id, "f" * 32, "consent-subscribed"
        )
        batch.put_delivery(key_of(person.customer), person.customer.email, push)


def _put_customer(batch: CustomerBatch, customer: Customer, tags: tuple[str, ...]) -> None:
    document = customer_to_document(customer)
    known = StoredCustomer(
        customer_key(customer.id), customer.id, fingerprint(document, TIMEZONE), key_of(customer), tags
    )
    batch.put(known, filterable(customer, ZONE), sample_of(customer))


def _put_document(batch: MemberBatch, customer: Customer) -> None:
    batch.put_document(key_of(customer), customer_key(customer.id), customer_to_document(customer))


def _note(address_statuses: dict[str, AddressStatus], person: Person) -> None:
    """Where the person's address stands; another customer may have it already."""
    key = key_of(person.customer)
    if not key:
        return
    status, customer_count = (
        person.status or "absent",
        address_statuses[key].customer_count if key in address_statuses else 0,
    )
    reasons = {"subscribed": "", "absent": "not_yet"}
    address_statuses[key] = AddressStatus(
        status, reasons.get(status, status), status == "subscribed", customer_count + 1
    )


def tags_of(fields: Filterable) -> tuple[str, ...]:
    """The segments to which a customer belongs."""
    return tuple(segment_id for segment_id, rules in SEGMENTS.items() if matches(rules, fields, TODAY))


def _tags(person: Person) -> tuple[str, ...]:
    """The segments whose tag the member carries through the customer."""
    return tags_of(filterable(person.customer, ZONE)) if person.customer.email and person.status else ()


def _turned(chance: random.Random, customer: Customer) -> Customer:
    other = _customer(chance, int(customer.id))
    return replace(other, id=customer.id, email=customer.email, updated_at="2026-07-14T00:00:00Z")
