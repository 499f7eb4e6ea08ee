"""Customers as PracBill tells them: reading, keys, fingerprint.

PracBill owns who the customers are. A record may be messy: everything but `id` and `updated_at` may be missing, null
or of an unexpected type, and no record may stop the others, so reading never raises for a single field.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final, Literal
from unicodedata import normalize

from chalicelib.domain.compact_json import from_json, to_json
from chalicelib.domain.texts import text_of

ConsentWord = Literal["subscribed", "unsubscribed"]

# Part of every fingerprint: raising it makes the next full sync store and decide everything anew.
FINGERPRINT_VERSION = 3
_MAX_ID_LENGTH = 200
_MAX_TEXT_LENGTH = 2_000
_NO_CONSENT: dict[str, Any] = {"status": None, "changed_at": ""}


class UnusableRecord(ValueError):
    """A customer without a usable `id` or `updated_at`: PracBill breaks its own contract."""


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address; every part is text, empty when PracBill has none."""

    line1: str = ""
    line2: str = ""
    city: str = ""
    state: str = ""
    postcode: str = ""
    country: str = ""


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer of a department. Texts are stripped, empty when missing; times are RFC 3339 as PracBill wrote."""

    id: str
    updated_at: str
    email: str = ""
    company_name: str = ""
    first_name: str = ""
    last_name: str = ""
    phone: str = ""
    address: Address = Address()
    inactive: str = ""
    status: str = ""
    customer_type: str = ""
    created_at: str = ""
    last_invoice_at: str = ""
    balance: str = ""
    consent: ConsentWord | None = None
    consent_changed_at: str = ""

    @property
    def is_active(self) -> bool:
        """PracBill's flag is "1" for inactive; missing means active."""
        return self.inactive != "1"


_NO_ADDRESS: Final = Address()
_PARTS: Final = tuple(part.name for part in fields(Address))
_parts_of: Final = attrgetter(*_PARTS)
# In the order in which they are stored; the consent, which is two of them, comes last.
_STORED: Final = tuple(one.name for one in fields(Customer) if not one.name.startswith("consent"))
_stored_values: Final = attrgetter(*_STORED)


@dataclass(frozen=True, slots=True)
class RemovedCustomer:
    """A customer that PracBill no longer has, as the list of changes tells it."""

    id: str
    updated_at: str


def customer_from_json(record: object) -> Customer:
    """Read one record of PracBill's list.

    Raises UnusableRecord when it is not an object with `id` and `updated_at`.
    """
    fields = _object(record)
    address = fields.get("address")
    consent = fields.get("marketing_consent")
    parts = address if isinstance(address, Mapping) else {}
    given = consent if isinstance(consent, Mapping) else {}
    word = given.get("status")
    return Customer(
        id=_identity(fields),
        updated_at=_moment(fields),
        email=_text(fields.get("email")),
        company_name=_text(fields.get("company_name")),
        first_name=_text(fields.get("first_name")),
        last_name=_text(fields.get("last_name")),
        phone=_text(fields.get("phone")),
        address=Address(
            line1=_text(parts.get("line1")),
            line2=_text(parts.get("line2")),
            city=_text(parts.get("city")),
            state=_text(parts.get("state")),
            postcode=_text(parts.get("postcode")),
            country=_text(parts.get("country")),
        ),
        inactive=_text(fields.get("inactive")),
        status=_text(fields.get("status")),
        customer_type=_text(fields.get("customer_type")),
        created_at=_written(fields.get("created_at")),
        last_invoice_at=_written(fields.get("last_invoice_at")),
        balance=_written(fields.get("balance")),
        # Anything that is not a clear yes or no is no consent recorded, never a yes.
        consent=word if word in ("subscribed", "unsubscribed") else None,
        consent_changed_at=_text(given.get("changed_at")),
    )


def change_from_json(record: object) -> Customer | RemovedCustomer:
    """Read one record of PracBill's list of changes, where a removed customer comes as `deleted: true`."""
    fields = _object(record)
    if fields.get("deleted") is True:
        return RemovedCustomer(id=_identity(fields), updated_at=_moment(fields))
    return customer_from_json(fields)


def customer_key(customer_id: str) -> str:
    """A text that sorts by bytes as PracBill sorts ids: digits numerically and first, others by bytes.

    >>> sorted(["10", "9", "b", "007", "7"], key=customer_key)
    ['7', '007', '9', '10', 'b']
    """
    if not (customer_id.isascii() and customer_id.isdigit()):
        return "1" + customer_id
    number = customer_id.lstrip("0") or "0"
    return f"0{len(number):03d}{number}" + ("" if number == customer_id else f"~{customer_id}")


def customer_id_of(key: str) -> str:
    """The id of which `customer_key` made the key.

    >>> [customer_id_of(customer_key(id)) for id in ("10", "007", "0", "b")]
    ['10', '007', '0', 'b']
    """
    if key.startswith("1"):
        return key[1:]
    number, tilde, written = key[4:].partition("~")
    return written if tilde else number


def mail_address(email: str) -> str:
    """The form by which addresses are compared everywhere: small letters, the domain as the mail system writes it.

    A domain outside ASCII is one domain, whether it was written in letters or in punycode (IDNA), with a letter's
    accent as one sign or as two. Mailchimp keys members by the lower-cased address.
    """
    address = email.strip().lower()
    return address if address.isascii() else _with_ascii_domain(normalize("NFC", address))


def address_in_letters(address: str) -> str:
    """The other spelling of an address in the form of `mail_address`: the same one where its domain is plain ASCII."""
    local, at, domain = address.rpartition("@")
    if "xn--" not in domain:
        return address
    import idna  # its tables are large, and few addresses need them

    try:
        return f"{local}{at}{idna.decode(domain)}"
    except UnicodeError:
        return address


def _with_ascii_domain(address: str) -> str:
    """The address as it is where its domain cannot be one."""
    local, at, domain = address.rpartition("@")
    if not at or domain.isascii():
        return address
    import idna  # its tables are large, and few addresses need them

    try:
        return f"{local}{at}{idna.encode(domain, uts46=True).decode().lower()}"
    except UnicodeError:
        return address


def address_key(salt: bytes, address: str) -> str:
    """What an address is filed under: a keyed hash, so that an erased address can be known again but not read.

    `salt` belongs to the department; `address` must already be in the form of `mail_address`.
    """
    return hmac.digest(salt, address.encode(), "sha256").hex()[:32]


def customer_to_document(customer: Customer) -> str:
    """Compact JSON of a customer as we keep it; `customer_from_document` reads it back.

    Empty parts are left out: the document is stored once a customer and read back for every decision.
    """
    document: dict[str, Any] = {
        name: value for name, value in zip(_STORED, _stored_values(customer), strict=True) if value
    }
    if customer.address == _NO_ADDRESS:
        del document["address"]
    else:
        parts = zip(_PARTS, _parts_of(customer.address), strict=True)
        document["address"] = {name: part for name, part in parts if part}
    if customer.consent or customer.consent_changed_at:
        document["marketing_consent"] = {"status": customer.consent, "changed_at": customer.consent_changed_at}
    return to_json(document)


def customer_from_document(document: str) -> Customer:
    """The customer that a document holds. It was written by us, so nothing of it is checked again."""
    fields = from_json(document)
    consent = fields.pop("marketing_consent", _NO_CONSENT)
    address = Address(**fields.pop("address", {}))
    return Customer(**fields, address=address, consent=consent["status"], consent_changed_at=consent["changed_at"])


def fingerprint(document: str, timezone: str) -> str:
    """Tells whether a stored customer is the same as the one PracBill sends now; `document` as above.

    The department's time zone is part of it, since the stored dates of segments are dates in that zone.
    """
    text = f"{FINGERPRINT_VERSION}:{timezone}:{document}"
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).hexdigest()


def _object(record: object) -> Mapping[str, Any]:
    if not isinstance(record, Mapping):
        raise UnusableRecord("a customer that is not an object")
    return record


def _identity(fields: Mapping[str, Any]) -> str:
    value = fields.get("id")
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(text, str) or not text or len(text) > _MAX_ID_LENGTH or _has_half_characters(text):
        raise UnusableRecord("a customer without a usable id")
    return text


def _moment(fields: Mapping[str, Any]) -> str:
    value = fields.get("updated_at")
    if not isinstance(value, str) or not (text := _text(value)):
        raise UnusableRecord("a customer without updated_at")
    return text


def _has_half_characters(text: str) -> bool:
    """Lone surrogates, which JSON can bring but UTF-8, and so every table, cannot hold."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _written(value: object) -> str:
    """Text of a field where something unreadable must not pass for nothing: what is not one value is kept as JSON."""
    if value is None or isinstance(value, str):
        return _text(value)
    return _text(json.dumps(value, default=str))


def _text(value: object) -> str:
    """Text of a field; numbers as PracBill wrote them, everything that is not one value as missing.

    Absurdly long texts are cut, so that no record outgrows the table.
    """
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _MAX_TEXT_LENGTH:
            text = text[:_MAX_TEXT_LENGTH].strip()
        return text if text.isascii() else text_of(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    return str(value)
