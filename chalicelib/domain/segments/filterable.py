"""What segment rules look at: a customer's fields in the form in which they are compared.

The same form is stored with the customer, packed (docs/segments.md says how), so that a reading of all customers need
not make it anew: texts as `comparable_text` makes them, balances as numbers, days as `YYYY-MM-DD` texts whose order is
the calendar's.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from chalicelib.domain.compact_json import from_json, to_json
from chalicelib.domain.segments.calendar import day_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from chalicelib.domain.customers import Customer

# Far above any real text. A rule's value has at most 255 characters, 765 when case-folded (one character can become
# three), so a cut text can never equal one; and a customer stays far below DynamoDB's 400 KB however long its texts.
LONGEST_TEXT: Final = 1_000
# What is a number or a day to rules, and may be there without being one: then `<name>_unreadable` has what is there.
READABLE_ATTRIBUTES: Final = ("balance", "last_invoice_on", "created_on")
NUMBER_DIGITS: Final = 20
BALANCE_DIGITS: Final = 38

# Signs that nobody sees: soft hyphen, zero-width space and joiners, marks of direction, byte-order mark.
_INVISIBLE = dict.fromkeys(
    [0x00AD, 0x034F, 0x061C, 0x180E, 0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070)]
)
# Word processors and phones turn an apostrophe into one of these.
_APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u2018\u02bc\u201b\uff07"), "'")
_ALIKE: Final = _INVISIBLE | _APOSTROPHES

_PLAIN_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?", re.ASCII)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Filterable:
    """One customer as rules see it. None: PracBill has no value.

    Texts are in the form of `comparable_text`. `created_on` and `last_invoice_on` are days (`YYYY-MM-DD`) of the
    department's calendar. `<attribute>_unreadable` is what PracBill has where it is no day or no number: that is
    neither a value nor none.

    The order of the attributes is that of the stored form (`filterable_to_document`): new ones come last.
    """

    company_name: str | None = None
    email: str | None = None
    city: str | None = None
    state: str | None = None
    postcode: str | None = None
    country: str | None = None
    inactive: str | None = None
    status: str | None = None
    customer_type: str | None = None
    created_on: str | None = None
    last_invoice_on: str | None = None
    balance: Decimal | None = None
    created_on_unreadable: str | None = None
    last_invoice_on_unreadable: str | None = None
    balance_unreadable: str | None = None

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Those of `READABLE_ATTRIBUTES` of which PracBill has something that cannot be read."""
        return tuple(name for name in READABLE_ATTRIBUTES if getattr(self, f"{name}_unreadable") is not None)

    @property
    def is_readable(self) -> bool:
        return not (self.created_on_unreadable or self.last_invoice_on_unreadable or self.balance_unreadable)


@dataclass(frozen=True, slots=True)
class Sample:
    """A customer as a preview shows it: as PracBill wrote it, not as rules compare it."""

    id: str
    email: str = ""
    company_name: str = ""
    first_name: str = ""
    last_name: str = ""


def filterable(customer: Customer, zone: ZoneInfo) -> Filterable:
    """What rules see of `customer`; days are those of the department's `zone`. Never raises."""
    address = customer.address
    created_on = day_of(customer.created_at, zone) or None
    last_invoice_on = day_of(customer.last_invoice_at, zone) or None
    balance = plain_decimal(customer.balance.strip(), digits=BALANCE_DIGITS)
    return Filterable(
        company_name=comparable_text(customer.company_name),
        email=comparable_text(customer.email),
        city=comparable_text(address.city),
        state=comparable_text(address.state),
        postcode=comparable_text(address.postcode),
        country=comparable_text(address.country),
        inactive=comparable_text(customer.inactive),
        status=comparable_text(customer.status),
        customer_type=comparable_text(customer.customer_type),
        created_on=created_on,
        last_invoice_on=last_invoice_on,
        balance=balance,
        created_on_unreadable=_unreadable(customer.created_at, created_on),
        last_invoice_on_unreadable=_unreadable(customer.last_invoice_at, last_invoice_on),
        balance_unreadable=_unreadable(customer.balance, balance),
    )


def search_text(sample: Sample) -> str:
    """The names of a customer in the form in which they are looked for."""
    names = (sample.company_name, f"{sample.first_name} {sample.last_name}".strip())
    return " | ".join(text for name in names if name and (text := comparable_text(name)))


def comparable_text(text: str) -> str | None:
    """The form in which texts are compared: without surrounding space, without case. None when nothing is left.

    Letters with accents are in one form (NFC), signs that nobody sees are left out, and all apostrophes are the plain
    one. Half characters (lone surrogates, from broken `\\ud800` escapes) become `?`: no database can store them.
    """
    folded = text.strip().lower() if text.isascii() else _folded(text)
    return folded[:LONGEST_TEXT] or None


def _folded(text: str) -> str:
    # Taken apart first: a letter and its accents fold alike in whatever order and form they were written.
    apart = unicodedata.normalize("NFD", _storable(text.translate(_ALIKE)))
    return unicodedata.normalize("NFC", apart.casefold()).strip()


def plain_decimal(text: str, *, digits: int) -> Decimal | None:
    """The number that `text` is, or None: an optional minus sign, digits, optionally a point and more digits.

    `digits` limits how many are written in all, leading zeros too. Everything else (`1e5`, `$100`, `1,000`, `+5`, `.5`,
    `NaN`, digits of other scripts) is text: guessing what it might mean would put customers into segments by accident.
    """
    if len(text) > digits + 2 or _PLAIN_NUMBER.fullmatch(text) is None:
        return None
    if len(text) - text.count("-") - text.count(".") > digits:
        return None
    # A minus zero would be written back as "-0".
    return Decimal(text) or _ZERO


def number_of(text: str | None) -> Decimal | None:
    """The number that a customer's text is for rules that compare numbers; None for any other text."""
    # Most texts begin with a letter; asking that first makes a customer a third cheaper.
    if text is None or text[0] not in "-0123456789":
        return None
    return plain_decimal(text, digits=NUMBER_DIGITS)


def sample_of(customer: Customer) -> Sample:
    """What a preview shows of `customer`."""
    return Sample(
        id=customer.id,
        email=_shown(customer.email),
        company_name=_shown(customer.company_name),
        first_name=_shown(customer.first_name),
        last_name=_shown(customer.last_name),
    )


def filterable_to_document(filterable: Filterable) -> str:
    """The stored form, `filterable_from_document` reads it back: a JSON list in the order of the attributes.

    Each reading of customers pays for every byte, so names are left out, and what is not there at the end.
    """
    balance = filterable.balance
    values = [value or "" for value in _texts_of(filterable)]
    values[_BALANCE] = "" if balance is None else f"{balance:f}"
    while values and not values[-1]:
        values.pop()
    return to_json(values)


def filterable_from_document(document: str) -> Filterable:
    values: list[Any] = [value or None for value in from_json(document)]
    if len(values) > _BALANCE and values[_BALANCE] is not None:
        values[_BALANCE] = Decimal(values[_BALANCE])
    return Filterable(*values)


def sample_to_document(sample: Sample) -> str:
    """The stored form, without the id, which the customer's key has; `sample_from_document` reads it back."""
    return to_json([sample.email, sample.company_name, sample.first_name, sample.last_name])


def sample_from_document(customer_id: str, document: str) -> Sample:
    return Sample(customer_id, *from_json(document))


_NAMES: Final = tuple(field.name for field in fields(Filterable))
_BALANCE: Final = _NAMES.index("balance")
_texts_of: Final = attrgetter(*_NAMES)


def _unreadable(written: str, value: str | Decimal | None) -> str | None:
    """What PracBill wrote, if it wrote something of which no value could be made."""
    return None if value is not None or not written.strip() else _shown(written.strip())


def _shown(text: str) -> str:
    cut = text[:LONGEST_TEXT]
    return cut if cut.isascii() else _storable(cut)


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
