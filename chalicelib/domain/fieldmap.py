"""Which of a customer's fields go into which merge field of the audience, and in what form.

Formats and limits are Mailchimp's (Marketing API, "Merge fields"): text values hold 255 bytes, an address is written
whole or not at all, `""` empties a field.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

from chalicelib.domain.customers import Address, Customer

MergeValue = str | dict[str, str]
MergeValues = dict[str, MergeValue]

MAX_TEXT_BYTES = 255
# Countries that practices write by name; Mailchimp wants ISO 3166-1 alpha-2 codes.
_COUNTRY_CODES = {
    "australia": "AU",
    "austria": "AT",
    "canada": "CA",
    "england": "GB",
    "france": "FR",
    "germany": "DE",
    "great britain": "GB",
    "india": "IN",
    "ireland": "IE",
    "netherlands": "NL",
    "new zealand": "NZ",
    "scotland": "GB",
    "singapore": "SG",
    "south africa": "ZA",
    "switzerland": "CH",
    "uk": "GB",
    "united kingdom": "GB",
    "united states": "US",
    "usa": "US",
    "wales": "GB",
}


@dataclass(frozen=True, slots=True)
class WantedField:
    """A merge field we fill: created when the audience lacks it, left out when it is there with another type."""

    tag: str
    name: str
    type: str


WANTED_FIELDS = (
    WantedField("FNAME", "First Name", "text"),
    WantedField("LNAME", "Last Name", "text"),
    WantedField("COMPANY", "Company", "text"),
    WantedField("PHONE", "Phone Number", "phone"),
    WantedField("ADDRESS", "Address", "address"),
)


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The fields of one audience that we may fill. `us_phone`: PHONE takes only (123) 456-7890."""

    tags: tuple[str, ...]
    us_phone: bool = False
    country: str = ""  # ISO code of the department, for addresses that name none


def merge_values(customer: Customer, fields: FieldMap) -> MergeValues:
    """The merge fields a member should hold for this customer; every tag of `fields` is present."""
    return {tag: _value(tag, customer, fields) for tag in fields.tags}


def values_fingerprint(values: MergeValues) -> str:
    """Tells whether Mailchimp already holds these values through us."""
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def cut_to_bytes(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """The longest beginning of `text` of at most `limit` bytes of UTF-8, cut between characters."""
    if len(text) * 4 <= limit:
        return text
    return text.encode()[:limit].decode(errors="ignore")


def _value(tag: str, customer: Customer, fields: FieldMap) -> MergeValue:
    match tag:
        case "FNAME":
            return cut_to_bytes(customer.first_name)
        case "LNAME":
            return cut_to_bytes(customer.last_name)
        case "COMPANY":
            return cut_to_bytes(customer.company_name)
        case "PHONE":
            return us_phone(customer.phone) if fields.us_phone else cut_to_bytes(customer.phone)
        case "ADDRESS":
            return address_value(customer.address, fields.country) or ""
    raise ValueError(f"no customer field for the merge field {tag}")


def address_value(address: Address, default_country: str) -> dict[str, str] | None:
    """Mailchimp's address object, or None when a part that it requires is missing."""
    country = _country_code(address.country, default_country)
    if not (address.line1 and address.city and address.state and address.postcode and country):
        return None
    return {
        "addr1": cut_to_bytes(address.line1),
        "addr2": cut_to_bytes(address.line2),
        "city": cut_to_bytes(address.city),
        "state": cut_to_bytes(address.state),
        "zip": cut_to_bytes(address.postcode),
        "country": country,
    }


def us_phone(phone: str) -> str:
    """`(123) 456-7890` for a number of ten digits (or eleven with a leading 1), else nothing, as Mailchimp refuses."""
    digits = re.sub(r"[^0-9]", "", phone)
    if len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    return f"({digits[:3]}) {digits[3:6]}-{digits[6:]}" if len(digits) == 10 else ""


def _country_code(country: str, default: str) -> str:
    """ISO code, or empty for a country we cannot name: a wrong country is worse than no address."""
    if not country:
        return default
    known = _COUNTRY_CODES.get(country.casefold(), "")
    if not known and len(country) == 2 and country.isascii() and country.isalpha():
        return country.upper()
    return known
