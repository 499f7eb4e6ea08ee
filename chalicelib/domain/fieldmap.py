"""Which of a customer's fields go into which merge field of the audience, and in what form.

Formats and limits are Mailchimp's (Marketing API, "Merge fields"): text values hold 255 bytes, an address is written
whole or not at all, `""` empties a field.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from chalicelib.domain.compact_json import to_json
from chalicelib.domain.countries import country_code

if TYPE_CHECKING:
    from chalicelib.domain.customers import Address, Customer

MergeValue = str | dict[str, str]
MergeValues = dict[str, MergeValue]

MAX_TEXT_BYTES = 255
# Where a state is part of every address; elsewhere many addresses have none.
_WITH_STATES = frozenset({"US", "CA", "AU"})
# Merge fields that hold one text of the customer's, and the attribute that has it.
_TEXTS = {"FNAME": "first_name", "LNAME": "last_name", "COMPANY": "company_name", "PHONE": "phone"}
_ADDRESS_PARTS = {"line1": "addr1", "line2": "addr2", "city": "city", "state": "state", "postcode": "zip"}
# The digits of a North American number, with what people write before and between them, and nothing else.
_GAP = r"[\s().\-/]*"
_US_PHONE = re.compile(
    rf"{_GAP}(?:(?:\+|\b){_GAP}1{_GAP})?([2-9][0-9]{{2}}){_GAP}([2-9][0-9]{{2}}){_GAP}([0-9]{{4}}){_GAP}"
)


@dataclass(frozen=True, slots=True)
class WantedField:
    """A merge field we fill: created when the audience lacks it, left out when it is there with another type.

    `noun` and `nouns` are what staff call its contents.
    """

    tag: str
    name: str
    type: str
    noun: str
    nouns: str


WANTED_FIELDS = (
    WantedField("FNAME", "First Name", "text", "first name", "first names"),
    WantedField("LNAME", "Last Name", "text", "last name", "last names"),
    WantedField("COMPANY", "Company", "text", "company name", "company names"),
    WantedField("PHONE", "Phone Number", "phone", "phone number", "phone numbers"),
    WantedField("ADDRESS", "Address", "address", "postal address", "addresses"),
)


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The fields of one audience that we may fill. `us_phone`: PHONE takes only (123) 456-7890."""

    tags: tuple[str, ...]
    us_phone: bool = False
    country: str = ""  # ISO code of the department, for addresses that name none
    ids: tuple[int, ...] = ()  # Mailchimp's, one a tag: a field that was deleted and made anew has another


LeftOutCode = Literal[
    "cut", "address_incomplete", "country_unknown", "us_phone", "field_unusable", "value_refused", "state_missing"
]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A value that Mailchimp does not get, or not whole.

    `details` are the parts that an address lacks, or of which the end is cut; of a refused value Mailchimp's words.
    """

    tag: str
    code: LeftOutCode
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """The merge fields a member should hold for a customer, and what of the customer they lack."""

    values: MergeValues
    left_out: tuple[LeftOut, ...] = ()


def prepare(customer: Customer, fields: FieldMap) -> Prepared:
    """What to send for this customer; every tag of `fields` is present."""
    values: MergeValues = {}
    left_out: list[LeftOut] = []
    for tag in fields.tags:
        values[tag], lacking = _value(tag, customer, fields)
        if lacking is not None:
            left_out.append(lacking)
    if len(fields.tags) < len(WANTED_FIELDS):
        others = (wanted.tag for wanted in WANTED_FIELDS if wanted.tag not in fields.tags)
        left_out += [LeftOut(tag, "field_unusable") for tag in others if _has(tag, customer)]
    return Prepared(values, tuple(left_out))


def values_fingerprint(values: Mapping[str, object]) -> str:
    """Tells whether Mailchimp holds these values: the same for ours and for what it answers, where nothing differs."""
    normal = {tag: _normal(values[tag]) for tag in sorted(values)}
    return hashlib.blake2b(to_json(normal).encode(), digest_size=10).hexdigest()


def held_fingerprint(held: Mapping[str, object], fields: FieldMap) -> str:
    """The fingerprint of what a member holds in the fields that we fill; `held` are all its merge fields."""
    return values_fingerprint({tag: held.get(tag, "") for tag in fields.tags})


def _normal(value: object) -> MergeValue:
    """A value without what makes no difference. An empty address comes as text, or as an object with a country."""
    if not isinstance(value, Mapping):
        return "" if value is None else str(value).strip()
    parts = {part: str(value.get(part) or "").strip() for part in ("addr1", "addr2", "city", "country", "state", "zip")}
    country, parts["country"] = parts["country"].upper(), ""
    return parts | {"country": country} if any(parts.values()) else ""


def cut_to_bytes(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """The longest beginning of `text` of at most `limit` bytes of UTF-8, cut between characters."""
    if len(text) * 4 <= limit:
        return text
    return text.encode()[:limit].decode(errors="ignore")


def _value(tag: str, customer: Customer, fields: FieldMap) -> tuple[MergeValue, LeftOut | None]:
    if tag == "ADDRESS":
        return _address(customer.address, fields.country)
    text: str = getattr(customer, _TEXTS[tag])
    if tag == "PHONE" and fields.us_phone:
        phone = us_phone(text)
        return phone, LeftOut(tag, "us_phone") if text and not phone else None
    return _text(tag, text)


def _has(tag: str, customer: Customer) -> bool:
    """Whether the customer has a value for one of our fields."""
    return _has_address(customer.address) if tag == "ADDRESS" else bool(getattr(customer, _TEXTS[tag]))


def _text(tag: str, text: str) -> tuple[str, LeftOut | None]:
    kept = cut_to_bytes(text)
    return kept, None if kept == text else LeftOut(tag, "cut")


def _has_address(address: Address) -> bool:
    """A country alone is no address."""
    return bool(address.line1 or address.line2 or address.city or address.state or address.postcode)


def _address(address: Address, default_country: str) -> tuple[MergeValue, LeftOut | None]:
    if not _has_address(address):
        return "", None
    country = country_code(address.country or default_country)
    if not country:
        return "", LeftOut("ADDRESS", "country_unknown")
    needed = ("line1", "city", "state", "postcode") if country in _WITH_STATES else ("line1", "city", "postcode")
    missing = tuple(part for part in needed if not getattr(address, part))
    if missing:
        return "", LeftOut("ADDRESS", "address_incomplete", missing)
    value = {theirs: cut_to_bytes(getattr(address, ours)) for ours, theirs in _ADDRESS_PARTS.items()}
    cut = tuple(ours for ours, theirs in _ADDRESS_PARTS.items() if value[theirs] != getattr(address, ours))
    return value | {"country": country}, LeftOut("ADDRESS", "cut", cut) if cut else None


def us_phone(phone: str) -> str:
    """`(123) 456-7890` for a North American number, else nothing: Mailchimp would force other numbers into that form.

    `0412 345 678` has ten digits as well. In North America area codes and exchanges begin with 2 to 9 (ITU E.164,
    numbering plan of country code 1).
    """
    written = _US_PHONE.fullmatch(phone)
    return f"({written[1]}) {written[2]}-{written[3]}" if written else ""
