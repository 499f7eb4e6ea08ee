"""The few addresses of the histories' people, so that they meet often, and when two spellings are one mailbox."""

from __future__ import annotations

from contextlib import suppress

# Names in scripts, and the spellings that PracBill may have. The first is the one that people and staff use.
SPELLINGS = {
    "ann": ("ann@clinic.test", "Ann@Clinic.test"),
    "bob": ("bob@clinic.test", " bob@clinic.test"),
    "cat": ("cat@clinic.test",),
    "dan": ("dan@clinic.test",),
    "eve": ("eve@clinic.test",),
    "fay": ("fay@clinic.test", "FAY@CLINIC.TEST"),
    "gus": ("gus@clinic.test",),
    "hal": ("hal@clinic.test",),
    "mia": ("mia@xn--mller-kva.test", "mia@müller.test", "Mia@MÜLLER.test"),
}
NAMES = tuple(SPELLINGS)
FAKE = "kim@example.com"  # Mailchimp calls it made up
BROKEN = "front desk@clinic.test"


def canonical(email: str) -> str:
    """The one form of an address: lower case, its domain in ASCII."""
    local, at, domain = email.strip().lower().rpartition("@")
    with suppress(UnicodeError):
        domain = domain.encode("idna").decode() if not domain.isascii() else domain
    return f"{local}{at}{domain}"


def spelling(name: str, number: int = 0) -> str:
    spellings = SPELLINGS[name]
    return spellings[number % len(spellings)]


def is_mailable(address: str) -> bool:
    """Whether Mailchimp takes the address; ours are chosen so that this is plain."""
    return address.endswith(".test") and " " not in address
