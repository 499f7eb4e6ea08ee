"""Where an address stands: its member, whether campaigns reach it, and what it adds to a difference of counts.

Runs keep this of every address (store/address_status.py), so that previews, segments and the reconciliation need not
read all members. All of it follows from an address's state and the plan's decision about it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.domain.consent.members import Member, Status
from chalicelib.domain.planning import AddressState, Held, Operation

# Why PracBill's count of customers and Mailchimp's of subscribed members differ, in the order in which it is told.
REASONS = {
    "no_address": "Customers without a usable e-mail address.",
    "shared_address": "Customers who share the address of another customer: together they are one member.",
    "transactional": "Members without recorded consent; Mailchimp does not count them as subscribed.",
    "pending": "People who have not confirmed yet.",
    "opted_out": "Customers who opted out, in PracBill or in Mailchimp.",
    "no_consent": "Customers without recorded consent, left out by the settings.",
    "cleaned": "Addresses that bounced.",
    "forgotten": "Contacts deleted for good in Mailchimp.",
    "archived": "Contacts archived in Mailchimp.",
    "erased": "People whose data was erased.",
    "refused": "Addresses that Mailchimp refuses; see the records of the last full sync.",
    "not_yet": "Customers that the next sync will add or change.",
    "foreign": "Subscribed members that match no customer of this department.",
    "not_counted_yet": "The rest: what changed on either side since the last sync.",
}


@dataclass(frozen=True, slots=True)
class AddressStatus:
    """One address. `reason` is why it counts on one side only (of `REASONS`); empty where it counts on both or none.

    `customer_count` are the customers who have the address.
    """

    status: Status
    reason: str
    is_reached: bool
    customer_count: int


def address_status(state: AddressState, decision: Operation | Held) -> AddressStatus:
    """As the address stands now. Whether campaigns reach it is told as it will be once the decision is carried out."""
    customer_count = len(state.address_customers.customers) if state.address_customers else 0
    reason = _reason_now(state, decision)
    return AddressStatus(
        state.member.status, reason, bool(customer_count) and is_reachable(state, decision), customer_count
    )


def address_status_after(now: AddressStatus, state: AddressState, decision: Operation | Held) -> AddressStatus:
    """As it stands when the decision has been carried out as planned; `now` is its status before."""
    if isinstance(decision, Held):
        return now
    if decision.action == "rename":
        # Decided at the address that the member leaves.
        return replace(now, status="absent", reason="")
    if decision.action == "update" or decision.status is None:
        return replace(now, reason="" if now.status == "subscribed" else _held_reason(state.member, ""))
    status: Status = "archived" if decision.action == "archive" else decision.status
    if not now.customer_count:
        return replace(now, status=status, reason="foreign" if status == "subscribed" else "")
    return replace(now, status=status, reason="" if status == "subscribed" else _held_reason(state.member, "", status))


def is_reachable(state: AddressState, decision: Operation | Held) -> bool:
    """Whether campaigns reach an address after its planned `decision`: consent, refusals and status all have a say."""
    if isinstance(decision, Held):
        return state.member.status == "subscribed"
    match decision.action:
        case "update" | "rename":
            return state.member.status == "subscribed" or decision.action == "rename"
        case "add" | "subscribe":
            return decision.status == "subscribed"
        case _:
            return False


def _reason_now(state: AddressState, decision: Operation | Held) -> str:
    status = state.member.status
    if state.address_customers is None:
        return "foreign" if status == "subscribed" else ""
    if status == "subscribed":
        return ""
    return _held_reason(state.member, decision.code if isinstance(decision, Held) else "not_yet")


def _held_reason(member: Member, code: str, status: Status | None = None) -> str:
    """Why a customer's address is no subscribed member; `code` is the plan's."""
    status = status or member.status
    is_yes_disbelieved = code == "consent_in_future" and member.opt_out is not None
    if code in ("opted_out", "compliance_state") or is_yes_disbelieved or status == "unsubscribed":
        return "opted_out"
    if code in REASONS:
        return code
    if status in ("transactional", "pending"):
        return status
    return "refused" if member.refusal is not None else "not_yet"
