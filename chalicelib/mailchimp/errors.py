"""Mailchimp's answers other than success, turned into our families (chalicelib/errors.py).

What each answer means: Marketing API, "Errors"; which of them carry no JSON: "Rate limits and timeouts". Messages here
are ours. Mailchimp's own words often hold an address: they are kept only where a caller must read them, and logged
nowhere.

KeyRejected        401; 403 of a deactivated account or of the wrong data centre
StopRun
├── NotPermitted   403: the user of the key may not do this
├── NotFound       404: AudienceGone, SegmentGone
├── WholeCallRefused  400 of a call with many members, though one of them may be the cause
└── UnexpectedAnswer  anything that the contract does not know
RefuseRequest
├── RequestRefused    400 of something that staff asked for
├── PlanLimitReached
└── WebhookRefused
RetryLater         429, 403 without JSON, 5xx, no answer: see http_client/retry.py
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn

from chalicelib.domain.texts import text_of
from chalicelib.errors import FieldError, KeyRejected, RefuseRequest, ServiceError, StopRun
from chalicelib.http_client import retry
from chalicelib.http_client.calls import Answer, FailedAlike

if TYPE_CHECKING:
    from chalicelib.http_client.retry import TransientError

_ITEM = re.compile(r"members\.item:(\d+)\b\.?(.*)")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document as it came; parts that were missing are empty."""

    status: int
    title: str
    detail: str
    errors: tuple[tuple[str, str], ...]  # (field, message)

    @property
    def words(self) -> str:
        """Everything it says, in lower case, for looking for signals."""
        return " ".join((self.title, self.detail, *(f"{name} {message}" for name, message in self.errors))).lower()


def problem_of(answer: Answer) -> Problem:
    """Read an answer leniently: `type` and `instance` may be missing, gateways answer HTML."""
    document = answer.document
    fields = document if isinstance(document, dict) else {}
    errors = fields.get("errors")
    return Problem(
        status=answer.status,
        title=text_of(fields.get("title")),
        detail=text_of(fields.get("detail")),
        errors=tuple(
            (text_of(error.get("field")), text_of(error.get("message")))
            for error in (errors if isinstance(errors, list) else [])
            if isinstance(error, dict)
        ),
    )


class NotPermitted(StopRun):
    """The key is good, but its user may not do this."""


class NotFound(StopRun):
    """What a call is about does not exist on Mailchimp's side."""


class AudienceGone(NotFound):
    def __init__(self) -> None:
        super().__init__("The audience no longer exists in Mailchimp. Select another audience for this department.")


class SegmentGone(NotFound):
    def __init__(self) -> None:
        super().__init__("The segment's tag no longer exists in Mailchimp; the next sync creates it again.")


class UnexpectedAnswer(StopRun):
    """Mailchimp answers in a way that its documentation does not know."""


@dataclass(frozen=True, slots=True)
class ItemError:
    """One reason for refusing a whole call; `index` is the member's place in it, None when it names none."""

    index: int | None
    field: str
    message: str


class WholeCallRefused(StopRun):
    """A call with many members was refused as a whole, and nothing of it is believed to be written.

    `detail` and `errors` are Mailchimp's words: they may hold addresses and belong to the records only.
    """

    def __init__(self, detail: str, errors: tuple[ItemError, ...]) -> None:
        super().__init__("Mailchimp refused a whole group of members because of some of them.")
        self.detail = detail
        self.errors = errors


class RequestRefused(RefuseRequest):
    """Mailchimp does not accept what was asked for; `errors` name the fields."""

    def __init__(self, message: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(message, status=422, title="Refused by Mailchimp", code="refused-by-mailchimp", errors=errors)


class PlanLimitReached(RefuseRequest):
    def __init__(self) -> None:
        super().__init__(
            "Mailchimp does not allow another audience: the plan's limit of audiences is reached, or the user of "
            "the API key may not create audiences. Select an existing audience and use segments in it.",
            status=409,
            title="No further audience",
            code="plan-limit-reached",
        )


class WebhookRefused(RefuseRequest):
    """`reason` tells what is wrong with the address that Mailchimp should call."""

    def __init__(self, reason: Literal["unreachable", "invalid_url", "exists", "other"]) -> None:
        super().__init__(_WEBHOOK_WORDS[reason], status=422, title="Webhook refused", code="webhook-refused")
        self.reason = reason


_WEBHOOK_WORDS = {
    "unreachable": "Mailchimp cannot reach this service's webhook address. Check that PUBLIC_URL is the public address "
    "of the deployed API. Until then opt-outs are read at each sync.",
    "invalid_url": "Mailchimp does not accept this service's webhook address: it must be a public web address. Check "
    "PUBLIC_URL. Until then opt-outs are read at each sync.",
    "exists": "The audience already has a webhook with this address. Remove it in Mailchimp and try again.",
    "other": "Mailchimp does not accept the webhook. Until it does, opt-outs are read at each sync.",
}


BLOCKED = (
    "Access blocked: a firewall in front of Mailchimp refuses this service's calls with a web page (HTTP 403). "
    "Access from this service's network address seems to be blocked. Wait an hour; if this lasts, ask Mailchimp's "
    "support to allow the address from which the service calls, and inform the operators of this integration. The "
    "API key is not the cause."
)


def explain_fault(transient: TransientError) -> str:
    """Words for a fault that may pass."""
    if transient.status == 403 and transient.is_page:
        return BLOCKED
    if transient.status in (403, 429):
        return (
            "Rate limit exceeded: Mailchimp has had too many requests from this account. Wait a few minutes and "
            "try again; syncs continue automatically."
        )
    if transient.status is not None and transient.status < 300:
        return "Mailchimp's answer could not be read. Wait a few minutes and try again; syncs continue automatically."
    if transient.status is not None:
        return (
            f"Mailchimp has an internal error at the moment (HTTP {transient.status}). Wait a few minutes and try "
            "again; syncs continue automatically."
        )
    return (
        "Mailchimp cannot be reached. Wait a few minutes and try again; if a new key keeps failing, check that the "
        "server prefix at its end is the one in the address of your Mailchimp account."
    )


def unreadable(status: int = 200) -> FailedAlike:
    """A success whose body is not what it should be: mostly a gateway in between, so it may pass."""
    transient = retry.unreadable(status)
    return FailedAlike(explain_fault(transient), transient)


def raise_refusal(answer: Answer, *, missing: NotFound | None = None) -> NoReturn:
    """Raise what an answer other than success stands for; `missing` is what a 404 means for this call."""
    raise _refusal(problem_of(answer), missing) from None


def refused_request(problem: Problem) -> RequestRefused:
    """A 400 on something that staff asked for, told by field and without Mailchimp's words."""
    named = tuple(
        FieldError(name, _field_words(message), "refused_by_mailchimp") for name, message in problem.errors if name
    )
    fields = ", ".join(error.field for error in named)
    return RequestRefused(
        f"Mailchimp does not accept: {fields}." if fields else "Mailchimp does not accept what was sent.", named
    )


def refused_webhook(problem: Problem) -> WebhookRefused:
    words = problem.words
    if "multiple webhooks" in words:
        return WebhookRefused("exists")
    if "verify the url" in words or "http code" in words:
        return WebhookRefused("unreachable")
    return WebhookRefused("invalid_url" if "invalid url" in words else "other")


def refused_whole(problem: Problem) -> WholeCallRefused:
    return WholeCallRefused(problem.detail, tuple(_item_error(name, text) for name, text in problem.errors))


def _refusal(problem: Problem, missing: NotFound | None) -> ServiceError:
    match problem.status:
        case 401:
            return KeyRejected(
                "Invalid API key: Mailchimp does not accept it. It may have been revoked, or it belongs to another "
                "server. Generate a new API key in Mailchimp and connect again with it.",
                code="key_rejected",
            )
        case 403:
            return _forbidden(problem)
        case 404 if missing is not None:
            return missing
    return UnexpectedAnswer(
        f"Mailchimp gave an unexpected answer (HTTP {problem.status}). Nothing was changed; if it happens again, "
        "report it to the developers of this integration."
    )


def _forbidden(problem: Problem) -> ServiceError:
    words = problem.words
    if "user disabled" in words or "deactivated" in words or "suspended" in words:
        return KeyRejected(
            "Mailchimp has deactivated the account. Log in to Mailchimp to see why; connect again when it is active.",
            code="account_deactivated",
        )
    if "datacenter" in words or "data center" in words:
        return KeyRejected(
            "Invalid API key: its server prefix is not the server of its Mailchimp account. Copy the whole key "
            "from Mailchimp and connect again.",
            code="wrong_data_centre",
        )
    return NotPermitted(
        "Mailchimp does not allow this for the user of the API key. Use a key of a user with the role Admin or Owner, "
        "and check that the plan includes what was asked for."
    )


def _field_words(message: str) -> str:
    said = message.lower()
    if "required" in said or "not be blank" in said or "enter a value" in said:
        return "Mailchimp needs a value here."
    return "Mailchimp does not accept this value."


def _item_error(name: str, message: str) -> ItemError:
    item = _ITEM.match(name)
    return ItemError(int(item[1]), item[2], message) if item else ItemError(None, name, message)
