"""E-mail addresses: which may leave at all, and how one is shown where it must not be read."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from chalicelib.domain.customers import mail_address

if TYPE_CHECKING:
    from types import ModuleType

# Plain addresses, which nearly all are: letters, digits and a few signs, no part longer than the standards allow. What
# this takes the library takes too (a test holds one against the other); it spares most customers of a sync the library.
_PLAIN = re.compile(
    r"(?=.{1,64}@)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*"
    r"@(?=.{1,189}\Z)(?:[a-z0-9]{1,63}\.|[a-z0-9]{1,30}-[a-z0-9]{1,30}\.)+[a-z]{2,63}\Z"
)


def usable_address(email: str) -> str | None:
    """The address in the form by which we compare, or None when it is none (RFC 5321, 5322).

    Mailchimp takes no letters outside ASCII before the @; a domain outside ASCII it takes.
    """
    address = mail_address(email)
    if _PLAIN.match(address):
        return address
    if not address.isascii():
        return None
    library = _library()
    try:
        library.validate_email(address, check_deliverability=False, strict=True)
    except library.EmailNotValidError:
        return None
    return address


@lru_cache(maxsize=1)
def _library() -> ModuleType:
    """What judges the addresses that are not plain. It takes long to import, and most functions never need it."""
    import email_validator

    # It also refuses names reserved for tests and documentation. Whether a domain takes mail is for Mailchimp to say,
    # per address and in its own words; only what cannot be an address at all is held back here.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    return email_validator


def mask_address(address: str) -> str:
    """Enough to recognise an address one knows, not enough to learn it: `a***@clinic.test`."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}" if at else "***"
