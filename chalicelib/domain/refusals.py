"""Why Mailchimp refuses single addresses: the closed table of known cases, in plain words with the way out.

Mailchimp tells refusals apart by little more than English sentences that change over the years, and the sentences hold
the address. So several signals are tried on the text with all addresses masked, and what is not known is kept as
"refused by Mailchimp" in its own words, masked. The wordings are those of the Marketing API's "Errors" page and of
answers that integrations recorded between 2016 and 2026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.fieldmap import WANTED_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

MASK = "(address)"
_LONGEST_WORDS = 300
# The code under which mailchimp/ hands over who makes calls fail.
FAILING_CALL = "FAILING_CALL"
_ADDRESS = re.compile(r"""[^\s"<>(),;:]+@[^\s"'<>(),;:]+""")
_MERGE_TAG = re.compile(r"(?:merge_fields\.)?([A-Z][A-Z0-9_]{0,9})(?:\..*)?")

# The fields that this service fills, from PracBill; all others are Mailchimp's. Our own names for what they hold, for
# staff who do not know merge tags.
_FIELD_NAMES = {wanted.tag: f"the {wanted.noun}" for wanted in WANTED_FIELDS}


@dataclass(frozen=True, slots=True)
class RetryRule:
    """When a refused address is tried again: by itself after `delays`, one by one, and then not before its customer is
    edited or the person's consent changes on Mailchimp's side."""

    delays: tuple[timedelta, ...] = ()

    def next_delay(self, refusals: int) -> timedelta | None:
        """How long to wait after the given number of refusals in a row (1 = the first); None: not by itself."""
        return self.delays[refusals - 1] if 0 < refusals <= len(self.delays) else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal as staff read it. `words` are Mailchimp's own, with addresses masked."""

    code: str
    title: str
    cause: str
    fix: str
    retry: RetryRule
    words: str = ""
    field: str = ""  # the merge field concerned, as Mailchimp names it

    @property
    def summary(self) -> str:
        """What happened, without Mailchimp's own words: these may quote what a customer has."""
        return f"{self.title}: {self.cause}"

    @property
    def params(self) -> dict[str, str | int]:
        """What the words name that the code alone does not."""
        named = {"field": self.field, "said": self.words.rstrip(".")}
        return {name: text for name, text in named.items() if text}

    @property
    def told(self) -> str:
        """What happened, under the name that the user guide gives it, and in Mailchimp's own words as well."""
        quoted = f" Mailchimp says: {self.words.rstrip('.')}." if self.words else ""
        return f"{self.summary}{quoted}"


_NOT_BY_ITSELF = RetryRule()
# What operators were told by Mailchimp: try after 5 minutes, then 1, 2 and 7 days.
_THROTTLED = RetryRule((timedelta(minutes=5), timedelta(days=1), timedelta(days=2), timedelta(days=7)))
# What a hitch was blamed on goes with the next sync; what lasts must not cost every sync its time.
_FAILING = RetryRule((timedelta(minutes=15), timedelta(hours=4), timedelta(days=1), timedelta(days=7)))
_LOOK_AGAIN = RetryRule((timedelta(days=1), timedelta(days=7)))

REFUSALS: Mapping[str, Refusal] = {
    refusal.code: refusal
    for refusal in (
        Refusal(
            "invalid_email",
            "Invalid email",
            "The customer has an invalid e-mail format.",
            "Fix the e-mail address in PracBill.",
            _NOT_BY_ITSELF,
        ),
        Refusal(
            "looks_fake",
            "Invalid email",
            "Mailchimp considers the e-mail address fake or mistyped.",
            "Check the part after the @ for typing errors and fix the e-mail address in PracBill.",
            _NOT_BY_ITSELF,
        ),
        Refusal(
            "compliance_state",
            "Compliance state",
            "The person unsubscribed, or mail to the address bounced or was reported. Mailchimp lets only the "
            "person subscribe again.",
            "Cannot be added again without consent: the person must sign up with the audience's Mailchimp form, or "
            "confirm an invitation where the department has allowed those.",
            _NOT_BY_ITSELF,
        ),
        Refusal(
            "previously_unsubscribed",
            "Compliance state",
            "The person unsubscribed from this audience before.",
            "Cannot be added again without consent: the person must sign up with the audience's Mailchimp form, or "
            "confirm an invitation where the department has allowed those.",
            _NOT_BY_ITSELF,
        ),
        Refusal(
            "forgotten",
            "Compliance state",
            "The contact was permanently deleted from the audience. Mailchimp does not allow it to be imported again.",
            "The person must sign up with the audience's Mailchimp form.",
            _NOT_BY_ITSELF,
        ),
        Refusal(
            "signup_throttle",
            "Too many sign-ups",
            "The address was signed up for many Mailchimp audiences lately, so Mailchimp does not accept it for now.",
            "Nothing to do: it is tried again after 5 minutes, 1 day, 2 days and 7 days.",
            _THROTTLED,
        ),
        Refusal(
            "merge_field_invalid",
            "Invalid field",
            "Mailchimp does not accept what the customer has for {field}.",
            "Correct {field} in PracBill.",
            _NOT_BY_ITSELF,
        ),
        Refusal(
            "merge_field_required",
            "Missing field",
            "The audience requires a value for {field}, and the customer has none.",
            "Enter it in PracBill, or make the field optional in Mailchimp: Audience, Settings, Audience fields.",
            _LOOK_AGAIN,
        ),
        Refusal(
            "foreign_field_invalid",
            "Invalid field",
            "Mailchimp does not accept what the contact has for {field}. PracBill does not fill this field.",
            "Correct {field} in the contact's profile in Mailchimp, or change the field there: Audience, Settings, "
            "Audience fields. If the contact should get no more mail, unsubscribe it in Mailchimp.",
            _LOOK_AGAIN,
        ),
        Refusal(
            "foreign_field_required",
            "Missing field",
            "The audience requires a value for {field}. PracBill does not fill this field.",
            "Make {field} optional in Mailchimp: Audience, Settings, Audience fields. Or enter it in the contact's "
            "profile there. If the contact should get no more mail, unsubscribe it in Mailchimp.",
            _LOOK_AGAIN,
        ),
        Refusal(
            "plan_full",
            "Plan limit",
            "The Mailchimp plan allows no further contacts.",
            "Archive contacts that are not needed in Mailchimp, or change the plan; it is tried twice more.",
            _LOOK_AGAIN,
        ),
        Refusal(
            "already_member",
            "Already a member",
            "The address was added to the audience by another user or tool at the same time.",
            "Nothing to do: the next sync updates it.",
            RetryRule((timedelta(minutes=5), timedelta(days=1))),
        ),
        Refusal(
            "cannot_archive",
            "Cannot be archived",
            "Mailchimp does not archive contacts that bounced or wait for a confirmation.",
            "Nothing to do: such a contact gets no mail. Archive it in Mailchimp if it should leave the audience.",
            _NOT_BY_ITSELF,
        ),
        Refusal(
            "stays_archived",
            "Stays archived",
            "The customer is back, but Mailchimp does not restore the contact from its archive without a consent.",
            "Record the person's consent in PracBill, or restore the contact in Mailchimp: Audience, All contacts, "
            "Archived contacts.",
            _NOT_BY_ITSELF,
        ),
        Refusal(
            "cannot_rename",
            "Address not changed",
            "Mailchimp changes the e-mail address of subscribed contacts only.",
            "Nothing to do: the old address is archived and the new one added.",
            _NOT_BY_ITSELF,
        ),
        Refusal(
            "rename_clash",
            "Address not changed",
            "The customer's new e-mail address is already in the audience.",
            "Nothing to do: the old address is archived and the contact that is there is updated.",
            _NOT_BY_ITSELF,
        ),
        Refusal(
            "no_answer",
            "Mailchimp fails",
            "Mailchimp answers each call with this address with an internal error, or not at all.",
            "Nothing to do at first: it is tried again after 15 minutes, 4 hours, 1 day and 7 days. If this lasts, "
            "report the address to Mailchimp's support.",
            _FAILING,
        ),
        Refusal(
            "unknown",
            "Refused by Mailchimp",
            "Mailchimp refused the address for a reason this service does not know.",
            "Read Mailchimp's message and correct the customer in PracBill if it says so. The address is tried "
            "twice more.",
            _LOOK_AGAIN,
        ),
    )
}

# In order: a text may hold the signals of several cases, and the graver one comes first. Every row lists alternatives;
# in each, all fragments must be there.
_SIGNALS: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = (
    (
        "forgotten",
        (
            ("permanently deleted",),
            ("previously removed", "audience"),
            ("previously removed", "list"),
            ("cannot be re-imported",),
            ("can't be re-imported",),
            ("forgotten email",),
        ),
    ),
    (
        "previously_unsubscribed",
        (
            ("previously unsubscribed",),
            ("unsubscribed", "opt in"),
            ("unsubscribed", "resubscribe"),
            ("unsubscribed", "re-subscribe"),
            ("not be resubscribed",),
        ),
    ),
    (
        "compliance_state",
        (
            ("compliance",),
            # Not without the reason: a plan's limit may also be why somebody cannot be subscribed.
            ("not be subscribed", "unsubscribed"),
            ("not be subscribed", "bounce"),
            ("not be subscribed", "cleaned"),
        ),
    ),
    (
        "signup_throttle",
        (
            ("signed up", "lot of lists"),
            ("signed up", "too many"),
            ("more signups",),
            ("more sign-ups",),
            ("recent signups",),
            ("recent sign-ups",),
        ),
    ),
    ("cannot_archive", (("can not archive",), ("cannot archive",), ("member cannot be removed",))),
    ("cannot_rename", (("only update email", "status of"), ("only update email", "subscribed"))),
    ("rename_clash", (("already in this list",), ("already in this audience",))),
    (
        "already_member",
        (("already a list member",), ("already subscribed",), ("member exists",), ("error_contact_exists",)),
    ),
    ("plan_full", (("plan", "limit"), ("contact limit",), ("plan", "upgrade"))),
    ("looks_fake", (("looks fake",), ("real email",), ("fake or invalid",))),
    (
        "invalid_email",
        (
            ("valid email",),
            ("email address", "invalid"),
            ("email address", "not valid"),
            ("invalid email",),
            ("single @",),
            ("email address must",),
            ("email_address", "schema"),
            ("email_address", "required fields"),
            ("email_address", "blank"),
        ),
    ),
)
_REQUIRED = ("enter a value", "is required", "required field", "must provide", "can't be blank", "cannot be blank")
_INCOMPLETE_ADDRESS = "complete address"
_MERGE_TEXTS = (
    "merge field",
    "merge_field",
    "enter a number",
    "enter a value",
    _INCOMPLETE_ADDRESS,
    "not a valid choice",
    "schema describes",
    "schemas described",
)


def classify(text: str, code: str = "", field: str = "", field_message: str = "", *, address: str = "") -> Refusal:
    """What a refusal means.

    `text` is Mailchimp's sentence, `code` the bulk call's `error_code`, `field` and `field_message` what it says of a
    merge field. `address` is masked too where the text quotes it in a form that does not look like an address.
    """
    full = " ".join(part for part in (text, field_message) if part)
    words = mask_addresses(full, address)
    if code == FAILING_CALL:
        return replace(REFUSALS["no_answer"], words=words)
    tag = _MERGE_TAG.fullmatch(field)
    # An address or the name of a merge field may look like a signal ("compliance@..."), so neither is searched.
    said = f"{code} {'' if tag else field} {_without_addresses(full, address)}".lower()
    for known, alternatives in _SIGNALS:
        if any(all(fragment in said for fragment in fragments) for fragments in alternatives):
            return replace(REFUSALS[known], words=words)
    if tag or any(fragment in said for fragment in _MERGE_TEXTS):
        required = any(fragment in said for fragment in _REQUIRED)
        whose = "foreign_field" if tag and tag[1] not in _FIELD_NAMES else "merge_field"
        return refusal(f"{whose}_{'required' if required else 'invalid'}", field=field, words=words)
    return refusal("unknown", words=words)


def our_field(field: str, text: str) -> str:
    """The tag of the field of ours that a refusal is about; empty where it is about none, or does not tell.

    `field` is what Mailchimp names, often nothing; then `text` may name it.
    """
    tag = _MERGE_TAG.match(field)
    if tag is not None:
        return tag[1] if tag[1] in _FIELD_NAMES else ""
    named = [name for name in _FIELD_NAMES if re.search(rf"(?<![\w@.]){name}(?![\w@.]*@)\b", text)]
    return named[0] if len(named) == 1 else ("ADDRESS" if wants_complete_address(text) else "")


def wants_complete_address(text: str) -> bool:
    """Whether a refusal says that parts of a postal address are missing."""
    return _INCOMPLETE_ADDRESS in text.lower()


def refusal(code: str, *, field: str = "", words: str = "") -> Refusal:
    """The refusal with this code, as it was kept; a code that is not known is `unknown`."""
    found = REFUSALS.get(code, REFUSALS["unknown"])
    name = _field_name(field)
    cause, fix = found.cause.format(field=name), found.fix.format(field=name)
    if code.startswith("merge_field") and _MERGE_TAG.fullmatch(field) is None:
        fix += " If nothing is wrong there, look at the fields of the contact's profile in Mailchimp."
    return replace(found, cause=cause, fix=fix, words=words, field=field)


def mask_addresses(text: str, address: str = "") -> str:
    """The text without e-mail addresses, cut to a readable length.

    `address` is masked even where it has no @, as in what Mailchimp says of an address that is none.
    """
    masked = _without_addresses(text, address)
    if address:
        masked = re.sub(rf"(?<!\w){re.escape(address)}(?!\w)", MASK, masked, flags=re.IGNORECASE)
    return masked if len(masked) <= _LONGEST_WORDS else masked[: _LONGEST_WORDS - 1] + "…"


def _without_addresses(text: str, address: str) -> str:
    if "@" in address:
        text = re.sub(re.escape(address), MASK, text, flags=re.IGNORECASE)
    return " ".join(_ADDRESS.sub(MASK, text).split())


def _field_name(field: str) -> str:
    tag = _MERGE_TAG.fullmatch(field)
    if tag is None:
        return "one of the fields"
    return f"{_FIELD_NAMES[tag[1]]} ({tag[1]})" if tag[1] in _FIELD_NAMES else f"the field {tag[1]}"
