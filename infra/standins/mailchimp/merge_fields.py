"""Merge fields of an audience: their definition and what values they take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

MergeValue = str | int | float | dict[str, str]

TYPES = ("text", "number", "address", "phone", "date", "url", "imageurl", "radio", "dropdown", "birthday", "zip")
MAX_FIELDS = 30
MAX_TAG_LENGTH = 10
MAX_TEXT_BYTES = 255
_DATE_FORMS = ("%Y-%m-%d", "%Y/%m/%d", "%m/%d/%Y", "%d-%m-%Y")
_ADDRESS_PARTS = ("addr1", "addr2", "city", "state", "zip", "country")
_WITH_STATES = ("", "US", "CA", "AU")
_ADDRESS_REQUIRED = ("addr1", "city", "state", "zip")


class InvalidValue(ValueError):
    """A merge value was refused; the text is the one that Mailchimp shows."""


@dataclass
class MergeField:
    """One merge field. Values are kept under its tag, which may be renamed."""

    merge_id: int
    tag: str
    name: str
    type: str
    required: bool = False
    default_value: str = ""
    public: bool = False
    display_order: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    help_text: str = ""

    def view(self, list_id: str) -> dict[str, Any]:
        """As the API shows it."""
        return asdict(self) | {"list_id": list_id, "_links": []}

    def clean(self, value: MergeValue, *, stateless: bool = False) -> MergeValue:
        """The value as it will be stored; raises InvalidValue. The empty string clears any field.

        `stateless`: an address needs no state where addresses have none.
        """
        if value == "":
            return ""
        if self.type == "address":
            return _clean_address(value, stateless=stateless)
        if self.type == "number":
            return _clean_number(value)
        if isinstance(value, dict):
            raise InvalidValue("Please enter a value")
        text = value if isinstance(value, str) else str(value)
        cleaner = _CLEANERS.get(self.type)
        return cleaner(text, self.options) if cleaner else text


def default_fields() -> list[MergeField]:
    """What a new audience starts with."""
    return [
        MergeField(1, "FNAME", "First Name", "text", display_order=2, options={"size": 25}),
        MergeField(2, "LNAME", "Last Name", "text", display_order=3, options={"size": 25}),
        MergeField(3, "ADDRESS", "Address", "address", display_order=4, options={"default_country": 164}),
        MergeField(4, "PHONE", "Phone Number", "phone", display_order=5, options={"phone_format": "none"}),
    ]


def cut_to_bytes(text: str, limit: int = MAX_TEXT_BYTES) -> str:
    """The longest start of the text that fits; a character is not split."""
    if len(text) * 4 <= limit or len(text.encode()) <= limit:
        return text
    return text.encode()[:limit].decode(errors="ignore")


def _clean_address(value: MergeValue, *, stateless: bool) -> MergeValue:
    country = value.get("country", "").upper() if isinstance(value, dict) else ""
    required = [part for part in _ADDRESS_REQUIRED if part != "state" or not stateless or country in _WITH_STATES]
    if not isinstance(value, dict) or not all(value.get(part, "").strip() for part in required):
        raise InvalidValue("Please enter a complete address")
    address = {part: cut_to_bytes(value.get(part, "")) for part in _ADDRESS_PARTS}
    # default_country 164 is the United States; what is no two-letter code falls back to it.
    address["country"] = address["country"].upper() if re.fullmatch("[A-Za-z]{2}", address["country"]) else "US"
    return address


def _clean_number(value: MergeValue) -> MergeValue:
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)\s*", value, re.ASCII):
        number = float(value)
        return int(number) if number.is_integer() else number
    raise InvalidValue("Please enter a number")


def _clean_text(text: str, _: Mapping[str, Any]) -> str:
    return cut_to_bytes(text)


def _clean_phone(text: str, options: Mapping[str, Any]) -> str:
    if options.get("phone_format") == "US":
        digits = re.sub(r"\D", "", text)
        if len(digits) != 10:
            raise InvalidValue("Please enter a valid phone number")
        return f"({digits[:3]}) {digits[3:6]}-{digits[6:]}"
    return cut_to_bytes(text)


def _clean_date(text: str, _: Mapping[str, Any]) -> str:
    for form in _DATE_FORMS:
        try:
            return datetime.strptime(text, form).strftime("%Y-%m-%d")
        except ValueError:
            continue
    raise InvalidValue("Please enter a valid date")


def _clean_birthday(text: str, options: Mapping[str, Any]) -> str:
    form = "%d/%m/%Y" if options.get("date_format") == "DD/MM" else "%m/%d/%Y"
    try:
        datetime.strptime(f"{text}/2000", form)
    except ValueError:
        raise InvalidValue("Please enter a valid birthday") from None
    return text


def _clean_zip(text: str, _: Mapping[str, Any]) -> str:
    if not re.fullmatch(r"\d{5}", text, re.ASCII):
        raise InvalidValue("Please enter a valid zip code")
    return text


def _clean_url(text: str, _: Mapping[str, Any]) -> str:
    if not re.match(r"https?://[^\s/]+", text):
        raise InvalidValue("Please enter a valid URL")
    return cut_to_bytes(text)


def _clean_choice(text: str, options: Mapping[str, Any]) -> str:
    if text not in options.get("choices", []):
        raise InvalidValue("The value you selected is not a valid choice.")
    return text


_CLEANERS = {
    "text": _clean_text,
    "phone": _clean_phone,
    "date": _clean_date,
    "birthday": _clean_birthday,
    "zip": _clean_zip,
    "url": _clean_url,
    "imageurl": _clean_url,
    "radio": _clean_choice,
    "dropdown": _clean_choice,
}
