"""The customers a stand-in starts with: about four in five ordinary, the others as messy as life.

Everything follows from a seed, a number of customers and a moment, so the same three give the same customers. Each
customer that is not ordinary has one kind, named in KINDS with its number per 2,000 customers. What customers differ
in anyway (consent, activity, invoices, balances) is spread over all of them; `survey` counts it.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeVar

from infra.standins.pracbill import vocabulary as words
from infra.standins.pracbill.consent import address_key
from infra.standins.pracbill.department import Document, Record, make_record
from infra.standins.pracbill.moments import format_time, parse_time

PER = 2_000
ORDINARY = "ordinary"
REMOVED = "removed"
_REMOVED_PER = 25
_IMPORTED_SHARE = 0.08

Group = Sequence[Document]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Draw:
    """What a kind may draw on; `turn` counts the groups of the kind, so that its variants follow each other."""

    rng: random.Random
    turn: int
    now: datetime

    def pick(self, variants: Sequence[T]) -> T:
        return variants[self.turn % len(variants)]


@dataclass(frozen=True, slots=True)
class Kind:
    """`change` turns a group of `size` ordinary customers into this kind; there are `groups` per 2,000 customers."""

    name: str
    groups: int
    change: Callable[[Group, Draw], None]
    size: int = 1

    def group_count(self, customers: int) -> int:
        return (customers * self.groups + PER // 2) // PER


def composition(customers: int = PER) -> dict[str, int]:
    """How many customers of each kind a department of that many has; `removed` ones come on top."""
    counts = {kind.name: kind.group_count(customers) * kind.size for kind in KINDS}
    counts[ORDINARY] = customers - sum(counts.values())
    counts[REMOVED] = _removed_count(customers)
    return counts


def survey(documents: Iterable[Mapping[str, Any]], *, now: datetime) -> dict[str, int]:
    """Count what customers differ in, from what the API shows of them. Recent means within 180 days."""
    counts: Counter[str] = Counter()
    addresses: Counter[str] = Counter()
    for document in documents:
        counts["customers"] += 1
        counts[f"consent_{(document.get('marketing_consent') or {}).get('status') or 'unknown'}"] += 1
        counts[f"inactive_{document.get('inactive') or 'unknown'}"] += 1
        counts[f"invoice_{_invoice_age(document, now)}"] += 1
        counts["owing"] += Decimal(document.get("balance") or "0") > 0
        addresses[address_key(document.get("email"))] += 1
    counts["without_address"] = addresses.pop("", 0)
    counts["distinct_addresses"] = len(addresses)
    counts["shared_addresses"] = sum(1 for sharers in addresses.values() if sharers > 1)
    return dict(counts)


def seed_records(*, customers: int, seed: int, now: datetime) -> list[Record]:
    """A department's past: customers, removed ones among them, with `updated_at` spread over the years until `now`."""
    rng = random.Random(f"times {seed}")
    now = now.replace(microsecond=0)
    pairs = draft_customers(count=customers, seed=seed, first_number=7, now=now)
    imported_at = now - timedelta(days=2, hours=3)
    records = [
        make_record(document, _updated_at(document, rng, imported_at, now), kind=kind) for document, kind in pairs
    ]
    return records + list(_removed(records, rng, now))


def share_addresses(records: Sequence[Record], others: Sequence[Record], count: int) -> list[Record]:
    """`records`, where the first `count` ordinary ones have the address of an ordinary one of `others`."""
    addresses = iter([record.document["email"] for record in others if record.kind == ORDINARY][:count])
    return [_with_address(record, next(addresses, None)) if record.kind == ORDINARY else record for record in records]


def _with_address(record: Record, email: str | None) -> Record:
    if email is None:
        return record
    fields = {name: value for name, value in record.document.items() if name != "updated_at"}
    return make_record({**fields, "email": email}, record.updated_at, kind=record.kind)


def draft_customers(*, count: int, seed: int, first_number: int, now: datetime) -> list[tuple[Document, str]]:
    """New customers with their kinds, without `updated_at`; ids are numbers from `first_number` on, with gaps."""
    rng = random.Random(seed)
    number = first_number
    documents: list[Document] = []
    for _ in range(count):
        documents.append(_ordinary(rng, number, now))
        number += rng.randint(1, 5)
    kinds = [ORDINARY] * count
    for kind, turn, places in _groups(rng, count):
        kind.change([documents[place] for place in places], Draw(rng, turn, now))
        for place in places:
            kinds[place] = kind.name
    return list(zip(documents, kinds, strict=True))


def _groups(rng: random.Random, count: int) -> Iterator[tuple[Kind, int, list[int]]]:
    places = list(range(count))
    rng.shuffle(places)
    for kind in KINDS:
        for turn in range(kind.group_count(count)):
            yield kind, turn, [places.pop() for _ in range(kind.size)]


def _removed_count(customers: int) -> int:
    return (customers * _REMOVED_PER + PER // 2) // PER


def _removed(records: Sequence[Record], rng: random.Random, now: datetime) -> Iterator[Record]:
    numbers = {int(record.id) for record in records if record.id.isdigit()}
    gaps = [number for number in range(7, max(numbers, default=7)) if number not in numbers]
    for number in sorted(rng.sample(gaps, min(_removed_count(len(records)), len(gaps)))):
        removed_at = now - timedelta(minutes=rng.randint(60, 500_000))
        yield make_record({"id": str(number), "deleted": True}, removed_at, kind=REMOVED)


def _updated_at(document: Document, rng: random.Random, imported_at: datetime, now: datetime) -> datetime:
    """Not before anything that `document` tells of; some share the moment of one import."""
    consent = document.get("marketing_consent") or {}
    told = (document.get("created_at"), document.get("last_invoice_at"), consent.get("changed_at"))
    latest = max((parse_time(text) for text in told if text), default=now - timedelta(days=900))
    if latest <= imported_at and rng.random() < _IMPORTED_SHARE:
        return imported_at
    return latest + (now - latest) * (rng.random() ** 3)


def _invoice_age(document: Mapping[str, Any], now: datetime) -> str:
    if not document.get("last_invoice_at"):
        return "never"
    return "recent" if now - parse_time(document["last_invoice_at"]) <= timedelta(days=180) else "old"


# An ordinary customer


def _ordinary(rng: random.Random, number: int, now: datetime) -> Document:
    first, last = rng.choice(words.FIRST_NAMES), rng.choice(words.LAST_NAMES)
    customer_type = _weighted(rng, words.CUSTOMER_TYPES)
    created = now - timedelta(minutes=rng.randint(30, 525_600 * rng.choice((1, 3, 8))))
    return {
        "id": str(number),
        "email": f"{first}.{last}.{number}@{rng.choice(words.MAIL_DOMAINS)}".lower(),
        "company_name": "" if customer_type == "Individual" else _company(rng),
        "first_name": first,
        "last_name": last,
        "phone": _phone(rng),
        "address": _address(rng, *rng.choice(words.PLACES), "AU"),
        "inactive": "1" if rng.random() < 0.12 else "0",
        "status": _weighted(rng, words.STATUSES),
        "customer_type": customer_type,
        "created_at": format_time(created),
        "last_invoice_at": _invoice_time(rng, created, now),
        "balance": "0.00" if rng.random() < 0.55 else f"{rng.randint(500, 250_000) / 100:.2f}",
        "marketing_consent": _consent(rng, created, now),
    }


def _company(rng: random.Random) -> str:
    name = f"{rng.choice(words.COMPANY_WORDS)} {rng.choice(words.COMPANY_TRADES)}"
    return f"{name} {rng.choice(words.COMPANY_FORMS)}"


def _phone(rng: random.Random) -> str:
    """Numbers from the ranges kept free for fiction, written as people write them."""
    tail = rng.randint(0, 999)
    mobile = f"0491 570 {tail:03d}", f"+61 491 570 {tail:03d}", f"0491570{tail:03d}", f"(03) 5550 {tail:04d}"
    return rng.choice(mobile)


def _address(rng: random.Random, city: str, state: str, postcode: str, country: str) -> Document:
    return {
        "line1": f"{rng.randint(1, 399)} {rng.choice(words.STREETS)}",
        "line2": f"Suite {rng.randint(1, 40)}" if rng.random() < 0.2 else "",
        "city": city,
        "state": state,
        "postcode": postcode,
        "country": country,
    }


def _invoice_time(rng: random.Random, created: datetime, now: datetime) -> str | None:
    draw = rng.random()
    if draw < 0.25:
        return None
    days = rng.uniform(0, 180) if draw < 0.7 else rng.uniform(181, 2_000)
    return format_time(max(created, now - timedelta(days=days)))


def _consent(rng: random.Random, created: datetime, now: datetime) -> Document:
    status = _weighted(rng, (("subscribed", 58), ("unsubscribed", 14), (None, 28)))
    changed_at = created + (now - created) * rng.random()
    return {"status": status, "changed_at": format_time(changed_at) if status else None}


def _weighted(rng: random.Random, choices: Sequence[tuple[T, int]]) -> T:
    return rng.choices([value for value, _ in choices], [weight for _, weight in choices])[0]


# The kinds. Each function changes a group in place.


def _set(**changes: Any) -> Callable[[Group, Draw], None]:
    def change(group: Group, draw: Draw) -> None:
        for document in group:
            document.update(changes)

    return change


def _leave_out(*names: str) -> Callable[[Group, Draw], None]:
    def change(group: Group, draw: Draw) -> None:
        for document in group:
            for name in names:
                del document[name]

    return change


def _set_address(**changes: Any) -> Callable[[Group, Draw], None]:
    def change(group: Group, draw: Draw) -> None:
        for document in group:
            document["address"].update(changes)

    return change


def _give_consent(document: Document, status: str | None, changed_at: datetime | None) -> None:
    document["marketing_consent"] = {"status": status, "changed_at": format_time(changed_at) if changed_at else None}


def _couple(group: Group, draw: Draw) -> None:
    first, second = group
    second.update(email=first["email"], last_name=first["last_name"], address=dict(first["address"]))
    second["marketing_consent"] = dict(first["marketing_consent"])


def _couple_at_odds(group: Group, draw: Draw) -> None:
    first, second = group
    _couple(group, draw)
    # Each way of writing the address is the same mailbox.
    second["email"] = draw.pick((f" {first['email']}", first["email"].title(), f"{first['email'].upper()} "))
    _give_consent(first, "subscribed", draw.now - timedelta(days=100))
    other = draw.pick(("unsubscribed", None))
    _give_consent(second, other, draw.now - timedelta(days=300) if other else None)


def _family(group: Group, draw: Draw) -> None:
    parent, *children = group
    for child in children:
        child.update(email=parent["email"], last_name=parent["last_name"], address=dict(parent["address"]))
        child.update(company_name=None, customer_type="Individual", phone=None)
        _give_consent(child, None, None)


def _accountant(group: Group, draw: Draw) -> None:
    for place, document in enumerate(group):
        document["email"] = f"books.{draw.turn}@ledger-and-sons.test"
        document.update(customer_type="Business", company_name=_company(draw.rng))
        document["inactive"] = "1" if place % 5 == 4 else "0"
        status = "subscribed" if draw.turn % 2 else ("subscribed", None, "subscribed", "unsubscribed")[place % 4]
        _give_consent(document, status, draw.now - timedelta(days=40 + place) if status else None)


def _malformed(name: str) -> Callable[[Group, Draw], None]:
    def change(group: Group, draw: Draw) -> None:
        group[0]["email"] = words.MALFORMED_ADDRESSES[name].format(group[0]["id"])

    return change


def _fake(group: Group, draw: Draw) -> None:
    group[0]["email"] = group[0]["email"].partition("@")[0] + "@" + draw.pick(words.FAKE_DOMAINS)


def _mixed_case(group: Group, draw: Draw) -> None:
    email = group[0]["email"]
    group[0]["email"] = draw.pick((email.title(), email.upper(), email[0].upper() + email[1:]))


def _stray_spaces(group: Group, draw: Draw) -> None:
    group[0]["email"] = draw.pick((" {}", "{} ", "\t{}", "  {}\n")).format(group[0]["email"])


def _unicode_name(name: str) -> Callable[[Group, Draw], None]:
    def change(group: Group, draw: Draw) -> None:
        first, last, company = draw.pick(words.UNICODE_NAMES[name])
        group[0].update(first_name=first, last_name=last, company_name=company)

    return change


def _long_name(group: Group, draw: Draw) -> None:
    group[0].update(company_name=draw.pick(words.LONG_NAMES), first_name=draw.pick(words.LONG_NAMES[::-1]))


def _leading_zero(group: Group, draw: Draw) -> None:
    group[0]["address"] = _address(draw.rng, *draw.pick(words.LEADING_ZERO_PLACES), "AU")


def _abroad(group: Group, draw: Draw) -> None:
    group[0]["address"] = _address(draw.rng, *draw.pick(words.FOREIGN_PLACES))


def _odd_labels(group: Group, draw: Draw) -> None:
    status, customer_type = draw.pick(words.ODD_LABELS)
    group[0].update(status=status, customer_type=customer_type)


def _consent_null_with_time(group: Group, draw: Draw) -> None:
    _give_consent(group[0], None, draw.now - timedelta(days=200))


def _consent_without_time(group: Group, draw: Draw) -> None:
    _give_consent(group[0], draw.pick(("subscribed", "unsubscribed")), None)


def _created_with_offset(group: Group, draw: Draw) -> None:
    moment = parse_time(group[0]["created_at"]).astimezone(timezone(timedelta(hours=10)))
    group[0]["created_at"] = moment.isoformat(timespec="seconds")


def _id_not_of_digits(group: Group, draw: Draw) -> None:
    group[0]["id"] = draw.pick(("L-{}", "a{}", "Z{}x", "import_{}")).format(group[0]["id"])


KINDS = (
    Kind("couple_sharing_address", 16, _couple, size=2),
    Kind("couple_with_differing_consent", 8, _couple_at_odds, size=2),
    Kind("parent_and_children", 10, _family, size=3),
    Kind("companies_of_one_accountant", 1, _accountant, size=12),
    Kind("email_null", 10, _set(email=None)),
    Kind("email_absent", 10, _leave_out("email")),
    Kind("email_empty", 6, _set(email="")),
    Kind("email_blank", 4, _set(email="   ")),
    *(Kind(name, 5, _malformed(name)) for name in words.MALFORMED_ADDRESSES),
    Kind("email_called_fake", 14, _fake),
    Kind("email_in_mixed_case", 16, _mixed_case),
    Kind("email_with_stray_spaces", 12, _stray_spaces),
    *(Kind(name, 7, _unicode_name(name)) for name in words.UNICODE_NAMES),
    Kind("name_over_255_bytes", 10, _long_name),
    Kind("address_without_city", 6, _set_address(city="")),
    Kind("address_without_postcode", 6, _set_address(postcode=None)),
    Kind("address_without_line1", 4, _set_address(line1="  ")),
    Kind("address_null", 5, _set(address=None)),
    Kind("address_absent", 5, _leave_out("address")),
    Kind("address_of_empty_texts", 4, _set_address(line1="", line2="", city="", state="", postcode="", country="")),
    Kind("postcode_with_leading_zero", 12, _leading_zero),
    Kind("country_as_name", 8, _set_address(country="Australia")),
    Kind("country_in_lower_case", 5, _set_address(country="au")),
    Kind("country_empty", 5, _set_address(country="")),
    Kind("country_abroad", 8, _abroad),
    Kind("odd_status_or_type", 21, _odd_labels),
    Kind("inactive_absent", 8, _leave_out("inactive")),
    Kind("balance_negative", 8, _set(balance="-125.50")),
    Kind("balance_large", 4, _set(balance="98765432109.87")),
    Kind("balance_without_cents", 4, _set(balance="100")),
    Kind("balance_absent", 6, _leave_out("balance")),
    Kind("consent_null_with_time", 6, _consent_null_with_time),
    Kind("consent_without_time", 8, _consent_without_time),
    Kind("consent_object_null", 6, _set(marketing_consent=None)),
    Kind("consent_absent", 6, _leave_out("marketing_consent")),
    Kind("created_with_offset", 6, _created_with_offset),
    Kind("created_long_ago", 4, _set(created_at="1999-12-31T23:59:59Z")),
    Kind("created_absent", 4, _leave_out("created_at")),
    Kind("sparse", 6, _leave_out("company_name", "phone", "address", "status", "customer_type", "last_invoice_at")),
    Kind(
        "only_required_fields",
        4,
        _leave_out(
            *("email", "company_name", "first_name", "last_name", "phone", "address", "inactive", "status"),
            *("customer_type", "created_at", "last_invoice_at", "balance", "marketing_consent"),
        ),
    ),
    Kind("id_not_of_digits", 10, _id_not_of_digits),
)
