"""Why a customer is held back, in words for staff: the cause and what mends it. See refusals.py for Mailchimp's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo

from chalicelib.domain.consent.members import SPAM_REPORT, OptOut, OptOutRoute
from chalicelib.domain.refusals import refusal


@dataclass(frozen=True, slots=True)
class Explanation:
    """The words of one case."""

    cause: str
    fix: str
    params: dict[str, str | int] = field(default_factory=dict)  # what the words name that the case alone does not


HELD: dict[str, Explanation] = {
    "no_email": Explanation(
        "No e-mail address: the customer has none in PracBill.",
        "Add an e-mail address to the customer in PracBill.",
    ),
    "invalid_email": Explanation(
        "Invalid email: the customer has an invalid e-mail format in PracBill.",
        "Fix the e-mail address in PracBill; the next sync tries it.",
    ),
    "unusable_record": Explanation(
        "PracBill sent this record without the parts that every customer has.",
        "PracBill's developers should look at it: a customer needs an id and updated_at.",
    ),
    "opted_out": Explanation(
        "Opted out: PracBill has recorded that this person does not want marketing mail.",
        "Nothing to do, unless the person agrees again: then record the consent in PracBill, with the day and time at "
        "which it was given.",
    ),
    "no_consent": Explanation(
        "No consent: PracBill has no marketing consent recorded, and the settings say to leave such customers out.",
        "Record the person's consent in PracBill, or change the setting for unknown consent.",
    ),
    "compliance_state": Explanation(
        "Compliance state: this address was unsubscribed in Mailchimp before and cannot be added again without the "
        "person's own consent.",
        "Ask the person to sign up through a Mailchimp form of this audience. With the setting 'ask again', a consent "
        "recorded in PracBill after the opt-out makes Mailchimp send them a confirmation.",
    ),
    "consent_in_future": Explanation(
        "Consent dated in the future: the time of the consent in PracBill has not come yet, so it does not count as "
        "later than what Mailchimp or PracBill recorded before.",
        "Correct the day and time of the consent in PracBill.",
    ),
    "cleaned": Explanation(
        "Bounced: Mailchimp could not deliver to this address and no longer mails it.",
        "Check the address with the customer and enter the right one in PracBill.",
    ),
    "forgotten": Explanation(
        "No longer in Mailchimp: the contact was permanently deleted there, or the person changed the address in "
        "Mailchimp. A sync cannot add this address again.",
        "If the person has a new address, enter it in PracBill. Otherwise only the person can come back, by signing up "
        "through a Mailchimp form of this audience.",
    ),
    "not_confirmed": Explanation(
        "Not confirmed: Mailchimp has sent this person an e-mail that asks for a confirmation, and waits for the "
        "answer.",
        "Nothing to do: the person decides. If the e-mail was lost, they can sign up through a Mailchimp form of this "
        "audience.",
    ),
    "not_subscribed": Explanation(
        "Non-subscribed in Mailchimp: the contact was in the audience before this service, and what Mailchimp holds is "
        "newer than the consent in PracBill.",
        "Record the person's consent in PracBill again, or ask the person to sign up through a Mailchimp form of "
        "this audience.",
    ),
    "archived": Explanation(
        "Archived in Mailchimp: a user archived this contact there, so the sync does not change it.",
        "Restore the contact in Mailchimp if that was a mistake.",
    ),
    "erased": Explanation(
        "Erased: this person's data was erased at their request. No sync adds this address again.",
        "Nothing to do. The person may sign up again through a Mailchimp form of this audience.",
    ),
    "changed_meanwhile": Explanation(
        "The consent for this address changed while the sync was running, so nothing was sent.",
        "Nothing to do: the next sync checks this customer again.",
    ),
    "chunk_failed": Explanation(
        "Not sent: several calls to Mailchimp for this part of the sync failed. The log entry of the sync gives "
        "the cause.",
        "Nothing to do: the next sync sends it again. Retry starts one at once.",
    ),
}

# Who said a no in Mailchimp -> how a sentence begins that tells of it.
_WHO_UNSUBSCRIBED: dict[OptOutRoute, str] = {
    "person": "the person unsubscribed",
    "admin": "a user unsubscribed this contact",
}
# Why something was done, or is planned, for an address: by the rule of consent behind it, else by the action.
_RULES: dict[str, str] = {
    "yes-absent": "PracBill has this customer's consent, and the address was not in the audience.",
    "consent-given-again": "PracBill has taken its own opt-out back.",
    "unknown-add-transactional": "No consent is recorded in PracBill, so the address is added as non-subscribed: "
    "campaigns do not reach it.",
    "unknown-add-subscribed": "No consent is recorded in PracBill, and the settings say to subscribe such customers.",
    "opt-out-carried": "An opt-out is known for this address.",
    "removed-opt-out-carried": "An opt-out is known for this address.",
    "archived-restored": "The customer is back in PracBill.",
}
_ACTIONS: dict[str, str] = {
    "add": "The address was not in the audience.",
    "update": "The customer's data differ from what was sent before.",
    "subscribe": "PracBill has this customer's consent.",
    "unsubscribe": "PracBill has recorded that this person does not want marketing mail.",
    "ask": "PracBill has a consent from after an opt-out, so Mailchimp asks the person to confirm.",
    "archive": "No customer in PracBill has this address any more.",
    "rename": "The customer's e-mail address changed in PracBill.",
}


def reason(action: str, rule: str) -> str:
    """Why something was done, or is planned; empty for what needs no reason."""
    return _RULES.get(rule) or _ACTIONS.get(action, "")


def explanation(
    code: str, words: str = "", *, field: str = "", no: OptOut | None = None, zone: tzinfo = UTC
) -> Explanation:
    """Why an address is held back: a reason of ours, or a refusal of Mailchimp's, told with its `words`.

    `no` is the last known one; its day is told in `zone`. PracBill gets what was said in Mailchimp and repeats it,
    so its own no does not tell who can take it back.
    """
    if code in ("opted_out", "compliance_state") and no is not None and no.route in _WHO_UNSUBSCRIBED:
        return _unsubscribed_there(no, zone)
    if code in HELD:
        return HELD[code]
    known = refusal(code, field=field, words=words)
    return Explanation(known.told, known.fix, known.params)


def _unsubscribed_there(no: OptOut, zone: tzinfo) -> Explanation:
    who = "the person reported a campaign as spam" if no.reason == SPAM_REPORT else _WHO_UNSUBSCRIBED[no.route]
    if no.customers:
        # It came along from another address; who shares this one must not be taken for the one who said it.
        who = who.replace("the person", f"the person of customer {', '.join(no.customers)}")
    return Explanation(
        f"Compliance state: {who} in Mailchimp on {no.at.astimezone(zone):%Y-%m-%d}, so the address cannot be added "
        "again without the person's own consent.",
        HELD["compliance_state"].fix,
        {"who": "spam" if no.reason == SPAM_REPORT else no.route, "date": f"{no.at.astimezone(zone):%Y-%m-%d}"},
    )
