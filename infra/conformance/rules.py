"""The rules of docs/pracbill-api.yaml as pure functions: order, times, types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

Customer = Mapping[str, Any]

TEXT_FIELDS = ("email", "company_name", "first_name", "last_name", "phone", "status", "customer_type")
ADDRESS_FIELDS = ("line1", "line2", "city", "state", "postcode", "country")
LONGEST_ID = 200
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?", re.ASCII)


def id_rank(customer_id: str) -> tuple[int, int, bytes]:
    """Sorts as the list of all customers does."""
    if customer_id.isascii() and customer_id.isdigit():
        return (0, int(customer_id), b"")
    return (1, 0, customer_id.encode())


def read_time(value: object) -> datetime | None:
    """None for anything that is not RFC 3339 with a zone."""
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def change_rank(customer: Customer) -> tuple[datetime, tuple[int, int, bytes]] | None:
    """Sorts as the list of changes does; None when the time cannot be read."""
    changed_at = read_time(customer["updated_at"])
    return (changed_at, id_rank(customer["id"])) if changed_at else None


def is_usable(customer: object) -> bool:
    """Whether it has what everything else hangs on."""
    return (
        isinstance(customer, dict)
        and isinstance(customer.get("id"), str)
        and 1 <= len(customer["id"]) <= LONGEST_ID
        and isinstance(customer.get("updated_at"), str)
    )


def address_key(customer: Customer) -> str:
    email = customer.get("email")
    return email.strip().lower() if isinstance(email, str) else ""


def consent_of(customer: Customer) -> tuple[str | None, datetime | None]:
    """Status and time; None for what is missing or unreadable."""
    consent = customer.get("marketing_consent")
    if not isinstance(consent, dict):
        return None, None
    status = consent.get("status")
    return (status if status in ("subscribed", "unsubscribed") else None), read_time(consent.get("changed_at"))


def time_faults(customer: Customer) -> Iterator[str]:
    consent = customer.get("marketing_consent")
    times = {name: customer.get(name) for name in ("updated_at", "created_at", "last_invoice_at")}
    times["marketing_consent.changed_at"] = consent.get("changed_at") if isinstance(consent, dict) else None
    for name, value in times.items():
        if value is not None and read_time(value) is None:
            # A time is no one's secret, anything else might be.
            shown = value if isinstance(value, str) and value[:2].isdigit() else type(value).__name__
            yield f"{name} of customer {customer['id']} is {shown[:40]}"


def type_faults(customer: Customer) -> Iterator[str]:
    """Names the field and the type found, not the value."""
    for name, value, is_right in _typed_values(customer):
        if value is not None and not is_right(value):
            kind = "text of another form" if isinstance(value, str) else type(value).__name__
            yield f"{name} of customer {customer['id']} is {kind}"


def _typed_values(customer: Customer) -> Iterator[tuple[str, object, Callable[[Any], bool]]]:
    yield from ((name, customer.get(name), _is_text) for name in TEXT_FIELDS)
    yield "inactive", customer.get("inactive"), lambda value: value in ("0", "1")
    yield "balance", customer.get("balance"), lambda value: _is_text(value) and bool(_DECIMAL.fullmatch(value))
    yield "address", customer.get("address"), _is_object
    yield "marketing_consent", customer.get("marketing_consent"), _is_object
    if isinstance(address := customer.get("address"), dict):
        yield from ((f"address.{name}", address.get(name), _is_text) for name in ADDRESS_FIELDS)
    if isinstance(consent := customer.get("marketing_consent"), dict):
        yield "consent status", consent.get("status"), lambda value: value in ("subscribed", "unsubscribed")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def late_facts(customer: Customer) -> Iterator[str]:
    """Facts that a customer tells of although they came after its updated_at."""
    updated_at = read_time(customer["updated_at"])
    facts = {"created_at": read_time(customer.get("created_at")), "changed_at": consent_of(customer)[1]}
    for name, moment in facts.items():
        if updated_at and moment and moment > updated_at:
            yield f"customer {customer['id']} has updated_at {customer['updated_at']}, before its {name}"
