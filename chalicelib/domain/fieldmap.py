"""Which of a customer's fields go into which merge field of the audience, and in what form.

Formats and limits are Mailchimp's (Marketing API, "Merge fields"): text values hold 255 bytes, an address is written
whole or not at all, `""` empties a field.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
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


# The digits of a North American number, with what people write before and between them, and nothing else.
_GAP = r"[\s().\-/]*"
_US_PHONE = re.compile(
    rf"{_GAP}(?:(?:\+|\b){_GAP}1{_GAP})?([2-9][0-9]{{2}}){_GAP}([2-9][0-9]{{2}}){_GAP}([0-9]{{4}}){_GAP}"
)


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
    ids: tuple[int, ...] = ()  # Mailchimp's, one a tag: a field that was deleted and made anew has another


def merge_values(customer: Customer, fields: FieldMap) -> MergeValues:
    """The merge fields a member should hold for this customer; every tag of `fields` is present."""
    return {tag: _value(tag, customer, fields) for tag in fields.tags}


def values_fingerprint(values: Mapping[str, object]) -> str:
    """Tells whether Mailchimp holds these values: the same for ours and for what it answers, where nothing differs."""
    normal = {tag: _normal(value) for tag, value in values.items()}
    text = json.dumps(normal, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=10).hexdigest()


def held_fingerprint(held: Mapping[str, object], fields: FieldMap) -> str:
    """The fingerprint of what a member holds in the fields that we fill; `held` are all its merge fields."""
    return values_fingerprint({tag: held.get(tag, "") for tag in fields.tags})


def _normal(value: object) -> MergeValue:
    """A value without what makes no difference. An empty address comes as text, or as an object with a country."""
    if not isinstance(value, Mapping):
        return "" if value is None else str(value).strip()
    parts = {part: str(value.get(part) or "").strip() for part in ("addr1", "addr2", "city", "state", "zip")}
    country = str(value.get("country") or "").strip().upper()
    return parts | {"country": country} if any(parts.values()) else ""


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
    """`(123) 456-7890` for a North American number, else nothing: Mailchimp would force other numbers into that form.

    `0412 345 678` has ten digits as well. In North America area codes and exchanges begin with 2 to 9 (ITU E.164,
    numbering plan of country code 1).
    """
    written = _US_PHONE.fullmatch(phone)
    return f"({written[1]}) {written[2]}-{written[3]}" if written else ""


def _country_code(country: str, default: str) -> str:
    """ISO code, or empty for a country we cannot name: a wrong country is worse than no address."""
    if not country:
        return default
    known = _COUNTRY_CODES.get(country.casefold(), "")
    if not known and len(country) == 2 and country.isascii() and country.isalpha():
        return country.upper()
    return known
