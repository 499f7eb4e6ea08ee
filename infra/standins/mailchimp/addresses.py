"""Which e-mail addresses Mailchimp takes."""

from __future__ import annotations

import hashlib
import re

import idna

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@((?:{_LABEL}\.)+(?:[A-Za-z]{{2,63}}|xn--[A-Za-z0-9-]+))")

# Seen refused although well formed: foo@example.com (recorded), foo@bar.com and …@gmail.con (reported).
FAKE_DOMAINS = frozenset({"example.com", "bar.com"})
FAKE_ENDINGS = (".con",)


def is_well_formed(address: str) -> bool:
    """Whether the address has the form that Mailchimp accepts: one @, ASCII before it, a domain with an ending.

    A domain may be written in letters outside ASCII. It is kept as it was written: that Mailchimp takes it for the same
    as its punycode is nowhere documented.
    """
    local, at, domain = address.rpartition("@")
    match = _ADDRESS.fullmatch(f"{local}{at}{_in_ascii(domain)}")
    return match is not None and len(match[1]) <= 64 and len(address) <= 254


def _in_ascii(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode()
    except UnicodeError:
        return ""


def looks_fake(address: str) -> bool:
    """Whether a well-formed address is one that Mailchimp takes for made up."""
    domain = address.rpartition("@")[2].lower()
    return domain in FAKE_DOMAINS or domain.endswith(FAKE_ENDINGS)


def subscriber_hash(address: str) -> str:
    """The member id: md5 of the lower-cased address."""
    return hashlib.md5(address.lower().encode(), usedforsecurity=False).hexdigest()


def old_subscriber_hash(address: str) -> str:
    """The member id in lists from before about 2015: md5 of the address as it was written."""
    return hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()


def unique_email_id(address: str) -> str:
    """Ten hex digits that belong to the address whatever the audience; not a piece of the md5."""
    return hashlib.sha1(address.lower().encode(), usedforsecurity=False).hexdigest()[:10]
