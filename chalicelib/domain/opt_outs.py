"""Which opt-out is remembered when several are known."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.domain.members import OptOut


def newest_opt_out(known: OptOut | None, told: OptOut) -> OptOut:
    """The opt-out to remember: the latest time, and the person's own word rather than anybody else's.

    Who said no first in Mailchimp stays: PracBill may take back only a no of its own.
    """
    if known is None:
        return told
    later, earlier = (told, known) if told.at > known.at else (known, told)
    if later.route == "pracbill" and earlier.route != "pracbill":
        return replace(earlier, at=later.at)
    return later
