"""Mailchimp's API keys: 32 hexadecimal digits, a dash, and the data centre that is part of the server's name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from chalicelib.errors import KeyRejected

_FORM = re.compile(r"([0-9a-f]{32})-([a-z]{2,3}[0-9]{1,3})")


class MalformedKey(KeyRejected):
    """What was given cannot be an API key; it was not sent anywhere."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the right form. `hint` is the end of its secret part, for staff to tell keys apart."""

    value: str = field(repr=False)
    server_prefix: str
    hint: str


def parse_api_key(text: str) -> ApiKey:
    """Read a key, with the white space that copying brings along taken off.

    The form is checked before anything else, because the data centre becomes part of an address that the key is sent
    to. Raises MalformedKey.
    """
    value = text.strip()
    form = _FORM.fullmatch(value)
    if form is None:
        raise MalformedKey(
            "Invalid API key: this is not a Mailchimp API key. A key is 32 digits and letters from a to f, a dash and "
            "the server prefix, for example us21. Copy the whole key from Mailchimp: Account & billing, Extras, "
            "API keys.",
            code="key_rejected",
        )
    return ApiKey(value=value, server_prefix=form[2], hint=form[1][-4:])
