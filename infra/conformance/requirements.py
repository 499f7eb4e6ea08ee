"""What is required, each under a name, with what to do when it is not met. The order here is the report's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    OK = "ok"
    NOT_MET = "not met"
    ADVICE = "advice"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Requirement:
    """`must` False: the integration copes without it, so it ends as advice and fails nothing."""

    name: str
    statement: str
    fix: str
    must: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of one requirement; `seen` is what the server showed."""

    name: str
    outcome: Outcome
    seen: str

    @property
    def requirement(self) -> Requirement:
        return REQUIREMENTS[self.name]


def judge(name: str, faults: Sequence[str], *, otherwise: str) -> Finding:
    """Met unless there are faults; the first few of them are told."""
    if not faults:
        return Finding(name, Outcome.OK, otherwise)
    told = "; ".join(faults[:3]) + (f"; and {len(faults) - 3} more" if len(faults) > 3 else "")
    return Finding(name, Outcome.NOT_MET if REQUIREMENTS[name].must else Outcome.ADVICE, told)


def not_checked(name: str, why: str) -> Finding:
    return Finding(name, Outcome.NOT_CHECKED, why)


_CATALOGUE = (
    Requirement(
        "department-read",
        "GET /departments/{d} answers 200 with id, name, timezone (IANA), country (ISO-2) and currency (ISO 4217).",
        "Check the URL, the token and the id of the department first; then answer all five members.",
    ),
    Requirement(
        "token-required",
        "Without a bearer token every call answers 401.",
        "Look at the token before anything else, on every route.",
    ),
    Requirement(
        "token-checked",
        "With a wrong bearer token every call answers 401.",
        "Compare the whole token, in constant time.",
    ),
    Requirement(
        "unknown-department",
        "A department that does not exist answers 404.",
        "Answer 404 rather than an empty list: an empty list looks like a department whose customers are all gone.",
    ),
    Requirement(
        "bad-updated-since-refused",
        "An updated_since that is no time answers 400.",
        "Parse it strictly. A time taken for 'never' or 'always' makes a sync miss changes without a word.",
    ),
    Requirement(
        "bad-cursor-refused",
        "A cursor that the server never gave answers 400.",
        "Refuse what does not decode. Starting from the top instead would let a list go round in circles.",
    ),
    Requirement(
        "bad-limit-refused",
        "A limit that is no number from 1 on answers 400.",
        "Refuse it and name the parameter.",
        must=False,
    ),
    Requirement(
        "errors-are-problems",
        "Refusals are problem documents (application/problem+json, RFC 9457) that repeat the status.",
        "Send title, status and detail with that content type.",
        must=False,
    ),
    Requirement(
        "customers-page-shape",
        "A page of all customers is {customers: [...], next_after}, next_after being text, or null on the last page.",
        "Send next_after on every page. Without it the end cannot be told from a fault.",
    ),
    Requirement(
        "customers-in-order",
        "All customers come by ascending id: ids of digits first, by number, then others by their bytes.",
        "Sort so in the query, not in the page; mind the database's collation for ids that are not numbers.",
    ),
    Requirement(
        "customers-once",
        "No customer comes twice while all customers are read.",
        "Page by 'id greater than after', never by counting rows.",
    ),
    Requirement(
        "customers-limit-kept",
        "A page of all customers holds at most `limit` customers.",
        "Apply `limit` to the query.",
    ),
    Requirement(
        "customers-next-after",
        "next_after is the id of the page's last customer, and so moves on with every page.",
        "Take it from the last customer of the page that is sent.",
    ),
    Requirement(
        "customers-after-gone",
        "`after` may name an id that is not there (any more): the list goes on with the next higher one.",
        "Compare with the id; do not look the customer up.",
    ),
    Requirement(
        "customers-same-twice",
        "Read again with another limit, all customers are the same.",
        "Leave nothing to the order in which the database happens to find rows.",
    ),
    Requirement(
        "id-and-updated-at",
        "Every customer has an id (text of 1 to 200 characters) and an updated_at.",
        "Send ids as text, numbers included; fill updated_at for old rows, with created_at if need be.",
    ),
    Requirement(
        "field-types",
        'Fields are of the described types: texts as text, inactive as "0" or "1", balance as decimal text, '
        "consent status subscribed, unsubscribed or null.",
        "Send the described type, or null where the value is not known.",
    ),
    Requirement(
        "times-have-zone",
        "Every time is RFC 3339 with a zone.",
        'Write the zone: "2026-03-04T05:06:07Z" or "...+11:00". Dates alone and local times are read as no time.',
    ),
    Requirement(
        "updated-at-moves",
        "updated_at moves forward with every change: it is not before the consent's changed_at or created_at, and "
        "a customer that reads differently has a later one.",
        "Move updated_at in the same transaction, for invoices, payments and consent too; a trigger does it best.",
    ),
    Requirement(
        "changes-page-shape",
        "A page of changes is {customers: [...], next_cursor, as_of}, next_cursor being text, or null on the last.",
        "Send all three members on every page, as_of as a time with a zone.",
    ),
    Requirement(
        "changes-in-order",
        "Changes come by ascending (updated_at, id).",
        "Sort by both, at the precision that is shown.",
    ),
    Requirement(
        "changes-once",
        "No change comes twice in one list.",
        "Let the cursor hold updated_at and id of the last customer sent, and go on strictly after both.",
    ),
    Requirement(
        "changes-limit-kept",
        "A page of changes holds at most `limit` customers.",
        "Apply `limit` to the query.",
    ),
    Requirement(
        "changes-cursor-moves",
        "A page never gives a cursor that was given before.",
        "Make the cursor from the last customer of the page.",
    ),
    Requirement(
        "changes-page-repeatable",
        "The same cursor sent twice gives the same page.",
        "Keep the whole place in the cursor, nothing in the server: a page that got lost is asked for again.",
    ),
    Requirement(
        "changes-since-kept",
        "No change in the list is older than updated_since.",
        "Compare times as times, offsets included.",
    ),
    Requirement(
        "changes-since-inclusive",
        "A change at exactly updated_since is in the list.",
        "Compare with 'at or after'.",
        must=False,
    ),
    Requirement(
        "changes-complete",
        "The changes since a time hold every customer whose updated_at is at or after it.",
        "Do not filter the list by anything but the time; customers without an address or consent belong to it.",
    ),
    Requirement(
        "changes-ties-kept",
        "Customers with the same updated_at are all listed, wherever a page ends.",
        "Go on after (updated_at, id), not after updated_at alone.",
    ),
    Requirement(
        "changes-same-content",
        "A customer reads the same in both lists.",
        "Make both lists with the same code.",
    ),
    Requirement(
        "as-of-not-ahead",
        "as_of is not in the future.",
        "Take it before reading the rows. Changes between the reading and a later as_of would be lost.",
    ),
    Requirement(
        "removed-reported",
        "A removed customer is among the changes as {id, deleted: true, updated_at}.",
        "Keep a row of each removed customer for 90 days or more and send it with the time of the removal.",
    ),
    Requirement(
        "removed-not-listed",
        "A removed customer is not among all customers.",
        "Leave removed customers out of the list without updated_since.",
    ),
    Requirement(
        "pages-in-time",
        "A page of 500 customers is answered within 5 seconds.",
        "Index (department, id) and (department, updated_at, id).",
        must=False,
    ),
    Requirement(
        "consent-token-required",
        "Without the right token consent cannot be written: 401.",
        "Look at the token before the body.",
    ),
    Requirement(
        "consent-answer-shape",
        "Writing consent answers 200 with {applied: number, unknown: [address]}.",
        "Answer both members, also for an empty list of changes.",
    ),
    Requirement(
        "consent-unknown-listed",
        "An address that no customer has is listed in `unknown`; an address that one has is not.",
        "Give back what was not found, as it was sent.",
    ),
    Requirement(
        "consent-repeat-changes-nothing",
        "Writing a consent that is already so changes nothing and does not move updated_at.",
        "Compare before writing. Calls are repeated after time-outs, and every move of updated_at is synced again.",
    ),
    Requirement(
        "consent-bad-change-refused",
        "A change with another status, or with a time without a zone, answers 400.",
        "Check the whole body before applying any of it.",
    ),
    Requirement(
        "consent-over-limit-refused",
        "More than 500 changes in one call answer 400.",
        "Refuse the call as a whole.",
        must=False,
    ),
    Requirement(
        "consent-changes-customers",
        "A newer change sets status and changed_at (= occurred_at) of every customer with the address, compared "
        "without regard to case and surrounding space.",
        "Compare trimmed and lower-cased; update every match.",
    ),
    Requirement(
        "consent-moves-updated-at",
        "A changed consent moves updated_at, so the customer is among the changes.",
        "Move updated_at in the same transaction.",
    ),
    Requirement(
        "consent-old-news-ignored",
        "A change that occurred before the consent's changed_at changes nothing.",
        "Compare occurred_at with changed_at before writing; messages arrive late and out of order.",
    ),
    Requirement(
        "key-set",
        "The key set holds public RS256 or ES256 keys, each with a kid of its own, and nothing private.",
        "Publish kty, kid, use, alg and the public numbers.",
    ),
    Requirement(
        "user-token",
        "A user's token verifies against the key set and holds iss, aud = pracbill-mailchimp, exp, and "
        'mailchimp_access as an object of department id (or "*") to "read" or "write".',
        "See the guide for an example.",
    ),
)

REQUIREMENTS = {requirement.name: requirement for requirement in _CATALOGUE}
