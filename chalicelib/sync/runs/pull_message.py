"""What was read from Mailchimp and sent to PracBill, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.logs import customers_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = {
    "opted_out": "unsubscribed",
    "bounced": "bounced",
    "deleted": "deleted in Mailchimp",
    "resubscribed": "subscribed again",
    "not_accepted": "subscribed in Mailchimp despite an opt-out, which still counts",
    "address_changed": "changed their address in Mailchimp",
}


def pull_message(counts: dict[str, int], customer_ids: Sequence[str] = ()) -> str:
    """What was read from Mailchimp and sent to PracBill, in a sentence or two."""
    observed = ", ".join(f"{counts[name]} {words}" for name, words in _WORDS.items() if counts.get(name))
    told = counts.get("told", 0)
    sent = "1 update" if told == 1 else f"{told} updates"
    who = f" ({customers_in_words(customer_ids)})" if customer_ids else ""
    parts = [f"From Mailchimp: {observed}{who}." if observed else "", f"{sent} sent to PracBill." if told else ""]
    return " ".join(part for part in parts if part)
