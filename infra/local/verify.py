"""Checks a finished sync from outside: customers against members, with none of the service's own code.

Both sides are read over their own HTTP APIs. What should be there is worked out here from the plain rules of the
product (README, "What it promises"), so a mistake in the service and the same mistake in its tests cannot agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

STATUSES = ("subscribed", "unsubscribed", "cleaned", "pending", "transactional", "archived")
OPTED_OUT = frozenset({"unsubscribed", "cleaned"})
_PAGE = 1000
_CUSTOMER_PAGE = 500
_LONGEST_TEXT_BYTES = 255
_TEXT_FIELDS = {"FNAME": "first_name", "LNAME": "last_name", "COMPANY": "company_name", "PHONE": "phone"}
_ADDRESS_PARTS = {"addr1": "line1", "addr2": "line2", "city": "city", "state": "state", "zip": "postcode"}
_REQUIRED_PARTS = ("addr1", "city", "state", "zip")

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mailchimp:
    """Mailchimp's API, read only."""

    url: str
    api_key: str

    def members(self, audience_id: str) -> dict[str, dict[str, Any]]:
        """Every member by address, archived ones too."""
        found = {}
        for status in STATUSES:
            for member in self._listing(f"/lists/{audience_id}/members", "members", status=status):
                found[member["email_address"].strip().lower()] = member
        return found

    def audience_ids(self) -> list[str]:
        return [str(audience["id"]) for audience in self._listing("/lists", "lists")]

    def foreign_fields(self, audience_id: str) -> frozenset[str]:
        """Merge fields that somebody made with another type or form than ours: they hold nothing of PracBill's."""
        found = self._listing(f"/lists/{audience_id}/merge-fields", "merge_fields")
        return frozenset(str(field["tag"]) for field in found if not _is_as_ours(field))

    def _listing(self, path: str, kind: str, **query: str) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            answer = _get(
                self.url.rstrip("/").replace("{dc}", self.api_key.rpartition("-")[2]) + path,
                {**query, "count": str(_PAGE), "offset": str(offset)},
                auth=("verify", self.api_key),
            )
            page = answer[kind]
            yield from page
            offset += len(page)
            if not page or offset >= answer.get("total_items", offset):
                return


@dataclass(frozen=True, slots=True)
class PracBill:
    """PracBill's API, read only."""

    url: str
    token: str
    department_id: str

    def country(self) -> str:
        return str(self._get(f"/departments/{self.department_id}", {}).get("country") or "")

    def customers(self) -> Iterator[dict[str, Any]]:
        query = {"limit": str(_CUSTOMER_PAGE)}
        while True:
            page = self._get(f"/departments/{self.department_id}/customers", query)
            yield from page["customers"]
            if page.get("next_after") is None:
                return
            query["after"] = page["next_after"]

    def _get(self, path: str, query: Mapping[str, str]) -> Any:
        return _get(self.url.rstrip("/") + path, query, headers={"Authorization": f"Bearer {self.token}"})


def _get(url: str, query: Mapping[str, str], **options: Any) -> Any:
    session = requests.Session()
    session.trust_env = False
    answer = session.get(url, params=dict(query), timeout=60, **options)
    answer.raise_for_status()
    return answer.json()


@dataclass(slots=True)
class Report:
    """What was compared, and every difference found."""

    expected: int = 0
    refused: int = 0
    held_back: int = 0
    foreign: int = 0
    differences: list[str] = field(default_factory=list)

    def note(self, address: str, customers: Iterable[Document], text: str) -> None:
        ids = ", ".join(str(customer["id"]) for customer in customers) or "none"
        self.differences.append(f"{mask(address)} (customers: {ids}): {text}")

    def summary(self) -> str:
        verdict = "as it should be" if not self.differences else f"{len(self.differences)} differences"
        return (
            f"{self.expected} addresses expected in the audience, {self.held_back} to be kept out or opted out, "
            f"{self.refused} that Mailchimp refuses, {self.foreign} members without a customer: {verdict}"
        )


class Verification:
    """Compares the two sides after a sync.

    `before` are the members that the audience held before the service first saw it: their status wins, and those
    without a customer must be as they were. `is_refused` tells the addresses that Mailchimp does not take,
    `foreign_fields` the merge fields that are not for us to fill.
    """

    def __init__(
        self,
        customers: Iterable[Document],
        members: Mapping[str, Document],
        *,
        before: Mapping[str, Document],
        is_refused: Callable[[str], bool],
        unknown_consent: str = "transactional",
        country: str = "",
        foreign_fields: Collection[str] = (),
    ) -> None:
        self._sharers = by_address(customers)
        self._members = members
        self._before = before
        self._is_refused = is_refused
        self._unknown_consent = unknown_consent
        self._country = country
        self._foreign_fields = foreign_fields
        self._report = Report()

    def compare(self) -> Report:
        for address, address_customers in self._sharers.items():
            self._compare_address(address, address_customers)
        for address in self._members.keys() | self._before.keys():
            if address not in self._sharers:
                self._compare_foreign(address)
        return self._report

    def _compare_address(self, address: str, address_customers: list[Document]) -> None:
        member, before = self._members.get(address), self._before.get(address)
        if before is None and self._is_refused(address):
            self._report.refused += 1
            if member is not None:
                self._report.note(address, address_customers, "is a member although Mailchimp refuses the address")
            return
        wanted = self._wanted_status(address_customers, before)
        if wanted is None:
            self._report.held_back += 1
            if member is not None:
                self._report.note(
                    address, address_customers, f"is a member ({member['status']}) and should not be there"
                )
            return
        self._report.expected += 1
        if member is None:
            self._report.note(address, address_customers, f"is missing, should be {wanted}")
        elif member["status"] != wanted:
            self._report.note(address, address_customers, f"is {member['status']}, should be {wanted}")
        elif wanted not in OPTED_OUT | {"archived"} and not self._is_refused(address):
            self._compare_values(address, address_customers, member)

    def _wanted_status(self, address_customers: list[Document], before: Document | None) -> str | None:
        """The status an address should have; None: it should not be in the audience."""
        word = strictest_consent(address_customers)
        if before is not None:
            return _status_at_first_contact(word, address_customers, before)
        if word == "unsubscribed":
            return None
        if word == "subscribed":
            return "subscribed"
        return {"skip": None, "transactional": "transactional", "subscribe": "subscribed"}[self._unknown_consent]

    def _compare_values(self, address: str, address_customers: list[Document], member: Document) -> None:
        """Any of the customers that may speak for the address must match in all fields."""
        found = member.get("merge_fields") or {}
        faults = [list(self._value_faults(customer, found)) for customer in speakers(address_customers)]
        if all(faults):
            fewest = min(faults, key=len)
            self._report.note(address, address_customers, "; ".join(fewest))

    def _value_faults(self, customer: Document, found: Document) -> Iterator[str]:
        for tag, name in _TEXT_FIELDS.items():
            if tag in self._foreign_fields:
                continue
            wanted = cut(text_of(customer.get(name)))
            if text_of(found.get(tag)) != wanted.strip():
                yield f"{tag} is not what the customer has"
        address = found.get("ADDRESS") or ""
        if "ADDRESS" in self._foreign_fields:
            return
        if not is_right_address(address, customer.get("address"), self._country):
            yield "ADDRESS is not what the customer has"

    def _compare_foreign(self, address: str) -> None:
        member, before = self._members.get(address), self._before.get(address)
        if before is None:
            self._report.note(address, (), "is a member and belongs to no customer")
            return
        self._report.foreign += 1
        if member is None:
            self._report.note(address, (), "was a member before and is gone")
            return
        for name in ("status", "merge_fields", "tags"):
            if _filled(member.get(name)) != _filled(before.get(name)):
                self._report.note(address, (), f"belongs to no customer, and its {name} changed")


def _status_at_first_contact(word: str | None, address_customers: list[Document], before: Document) -> str:
    """What Mailchimp holds stands, unless PracBill's own word is a no, or a yes that came after a mere silence."""
    known = str(before["status"])
    if word == "unsubscribed" and known in {"subscribed", "pending", "transactional"}:
        return "unsubscribed"
    if word == "subscribed" and known == "transactional":
        given = [str(consent_of(customer).get("changed_at") or "") for customer in address_customers]
        if all(given) and min(map(_time, given)) > _time(str(before["last_changed"])):
            return "subscribed"
    return known


def _filled(value: Any) -> Any:
    """Merge fields without the empty ones: a field that was created for the audience is one for every member."""
    return {tag: held for tag, held in value.items() if held != ""} if isinstance(value, Mapping) else value


def _is_as_ours(field: Document) -> bool:
    tag, kind = field["tag"], field["type"]
    if tag == "PHONE":
        return bool(kind == "phone" and (field.get("options") or {}).get("phone_format", "none") != "US")
    return bool(kind == ("address" if tag == "ADDRESS" else "text"))


def by_address(customers: Iterable[Document]) -> dict[str, list[Document]]:
    """Customers by the address that they share, those without one left out."""
    address_customers: dict[str, list[Document]] = defaultdict(list)
    for customer in customers:
        address = text_of(customer.get("email")).lower()
        if address and not customer.get("deleted"):
            address_customers[address].append(customer)
    return dict(address_customers)


def strictest_consent(address_customers: Iterable[Document]) -> str | None:
    """One no is a no; what is not a clear yes is silence."""
    words = [consent_of(customer).get("status") for customer in address_customers]
    if "unsubscribed" in words:
        return "unsubscribed"
    return "subscribed" if all(word == "subscribed" for word in words) else None


def consent_of(customer: Document) -> Document:
    consent = customer.get("marketing_consent")
    return consent if isinstance(consent, Mapping) else {}


def speakers(address_customers: list[Document]) -> list[Document]:
    """The customers whose data may stand for the address: active before inactive, then the latest change."""
    active = [
        customer for customer in address_customers if text_of(customer.get("inactive")) != "1"
    ] or address_customers
    latest = max(_moment(customer) for customer in active)
    return [customer for customer in active if _moment(customer) == latest]


def _moment(customer: Document) -> datetime:
    return _time(str(customer["updated_at"]))


def _time(text: str) -> datetime:
    """RFC 3339 allows small letters, Python does not."""
    moment = datetime.fromisoformat(text.upper())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def is_right_address(found: Any, wanted: Any, default_country: str) -> bool:
    """Whole or not at all. A country written by name may be told in letters, or the address left out."""
    parts = wanted if isinstance(wanted, Mapping) else {}
    values = {part: cut(text_of(parts.get(name))) for part, name in _ADDRESS_PARTS.items()}
    country = text_of(parts.get("country")) or default_country
    is_code = len(country) == 2
    if not all(values[part] for part in _REQUIRED_PARTS) or not country:
        return not found
    if not found:
        return not is_code
    same = all(text_of(found.get(part)) == value.strip() for part, value in values.items())
    return same and (not is_code or found.get("country") == country.upper())


def text_of(value: Any) -> str:
    """A number counts as PracBill wrote it; everything that is not one value counts as missing."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def cut(text: str) -> str:
    """As much of the text as Mailchimp keeps."""
    return text.encode()[:_LONGEST_TEXT_BYTES].decode(errors="ignore")


def mask(address: str) -> str:
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}" if local else "***"
