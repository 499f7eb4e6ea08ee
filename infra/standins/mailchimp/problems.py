"""Every refusal with its exact title and text, as published or recorded from Mailchimp."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

ERRORS_URL = "https://mailchimp.com/developer/marketing/docs/errors/"
NOT_VALIDATED = "The resource submitted could not be validated. For field-specific details, see the 'errors' array."
INVALID_MERGE_FIELDS = "Your merge fields were invalid."
CANNOT_ARCHIVE = "This list member cannot be removed. Can not archive a contact that is bounced, pending or archived"
NOT_ON_LIST = "None of the emails provided were subscribed to the list"
TOO_MANY_ITEMS = (
    "Maximum allowed member items exceeded, please provide at most 500 items in "
    "members_to_add field or members_to_remove field"
)


@dataclass(frozen=True)
class FieldError:
    """One entry of a problem's `errors`."""

    field: str
    message: str


class Problem(Exception):
    """An answer other than success. `code` is set for refusals that the bulk call tells apart."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        typed: bool = True,
        headers: Mapping[str, str] | None = None,
        code: str = "ERROR_GENERIC",
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.typed = typed
        self.headers = dict(headers or {})
        self.code = code

    def document(self, instance: str) -> dict[str, Any]:
        """The problem document; some member refusals are recorded without `type`."""
        document: dict[str, Any] = {"type": ERRORS_URL} if self.typed else {}
        document |= {"title": self.title, "status": self.status, "detail": self.detail, "instance": instance}
        if self.errors:
            document["errors"] = [{"field": error.field, "message": error.message} for error in self.errors]
        return document


class GatewayTimeout(Exception):
    """The call ran past the time limit: the edge answers 502 with HTML."""


def invalid_resource(detail: str, *errors: FieldError) -> Problem:
    return Problem(400, "Invalid Resource", detail, errors=errors)


def not_validated(*errors: FieldError) -> Problem:
    """A failure of the published schema, one entry per field."""
    return invalid_resource(NOT_VALIDATED, *errors)


def required_missing(*names: str, field: str = "") -> Problem:
    return not_validated(FieldError(field, f"Required fields were not provided: {', '.join(names)}"))


def not_found() -> Problem:
    return Problem(404, "Resource Not Found", "The requested resource could not be found.")


def method_not_allowed(allowed: Sequence[str]) -> Problem:
    detail = (
        "The requested method and resource are not compatible. "
        "See the Allow header for this resource's available methods."
    )
    return Problem(405, "Method Not Allowed", detail, headers={"Allow": ", ".join(allowed)})


def cannot_archive() -> Problem:
    return Problem(405, "Method Not Allowed", CANNOT_ARCHIVE, headers={"Allow": "GET, PUT"})


def key_missing() -> Problem:
    return Problem(401, "API Key Missing", "Your request did not include an API key.")


def key_invalid() -> Problem:
    detail = "Your API key may be invalid, or you've attempted to access the wrong datacenter."
    return Problem(401, "API Key Invalid", detail)


def wrong_datacenter(datacenter: str, *, status: int) -> Problem:
    if status == 401:
        return key_invalid()
    return Problem(403, "Forbidden", f"The API key provided is linked to datacenter '{datacenter}'")


def user_disabled() -> Problem:
    return Problem(403, "User Disabled", "This account has been deactivated.")


def not_permitted() -> Problem:
    return Problem(403, "User action not permitted", "User does not have access to the requested operation")


def too_many_requests(retry_after: int) -> Problem:
    detail = "You have exceeded the limit of 10 simultaneous connections."
    headers = {"Retry-After": str(retry_after)} if retry_after else None
    return Problem(429, "Too Many Requests", detail, headers=headers)


def json_unreadable() -> Problem:
    return Problem(400, "JSON Parse Exception", "We encountered an unspecified JSON parsing error.")


def fields_invalid() -> Problem:
    return Problem(422, "Requested Fields Invalid", "The fields requested from this resource are invalid.")


def member_exists(address: str) -> Problem:
    detail = f"{address} is already a list member. Use PUT to insert or update list members."
    return Problem(400, "Member Exists", detail, typed=False)


def contact_exists(address: str) -> Problem:
    """What the bulk call says of a known member when it may not update."""
    detail = (
        f"{address} is already a list member, do you want to update? "
        "please provide update_existing:true in the request body"
    )
    return Problem(400, "Member Exists", detail, code="ERROR_CONTACT_EXISTS")


def compliance_state(address: str, wording: str) -> Problem:
    cause = "due to unsubscribe, bounce, or compliance review"
    if wording == "older":
        detail = f"{address} is already a list member in compliance state {cause}."
    else:
        detail = f"{address} is in a compliance state {cause} and cannot be subscribed."
    return Problem(400, "Member In Compliance State", detail, typed=False)


def forgotten(address: str, wording: str) -> Problem:
    if wording == "older":
        detail = (
            f"{address} was previously removed from this audience. "
            "To rejoin, they'll need to sign up using a Mailchimp form."
        )
    else:
        detail = (
            f"{address} was permanently deleted and cannot be re-imported. "
            "The contact must re-subscribe to get back on the list."
        )
    return Problem(400, "Forgotten Email Not Subscribed", detail, typed=False)


def malformed_address() -> Problem:
    return invalid_resource("Please provide a valid email address.")


def fake_address(address: str) -> Problem:
    return invalid_resource(f"{address} looks fake or invalid, please enter a real email address.")


def signed_up_too_often(address: str) -> Problem:
    return invalid_resource(
        f"{address} has signed up to a lot of lists very recently; we're not allowing more signups for now"
    )


def unknown_interest(interest_id: str) -> Problem:
    return invalid_resource(f"Invalid interest ID: '{interest_id}'.")


def invalid_merge_fields(errors: Sequence[FieldError]) -> Problem:
    return invalid_resource(INVALID_MERGE_FIELDS, *errors)


def cannot_rename(status: str) -> Problem:
    """Only subscribed members may change their address."""
    message = (
        f'This member\'s status is "{status}." You can only update email addresses for '
        'members with a status of "subscribed."'
    )
    return not_validated(FieldError("email address", message))


def address_taken(address: str, status: str) -> Problem:
    """The new address of a member belongs to another contact; an archived one is called Deleted here."""
    name = {"archived": "Deleted", "transactional": "Non-Subscribed"}.get(status, status.capitalize())
    return not_validated(FieldError("email address", f'"{address}" is already in this list with a status of "{name}".'))


# Answers to the request header X-Trigger-Error, by the old machine names of the errors.
TRIGGERED: Mapping[str, Callable[[], Problem]] = {
    "BadRequest": partial(Problem, 400, "Bad Request", "Your request could not be processed."),
    "InvalidAction": partial(Problem, 400, "Invalid Action", "The action requested was not valid for this resource."),
    "InvalidResource": partial(Problem, 400, "Invalid Resource", "The resource submitted could not be validated."),
    "JSONParseError": json_unreadable,
    "APIKeyMissing": key_missing,
    "APIKeyInvalid": key_invalid,
    "Forbidden": partial(Problem, 403, "Forbidden", "You are not permitted to access this resource."),
    "UserDisabled": user_disabled,
    "WrongDatacenter": partial(Problem, 403, "Forbidden", "The API key provided is linked to a different datacenter."),
    "ResourceNotFound": not_found,
    "MethodNotAllowed": partial(method_not_allowed, ("GET",)),
    "ResourceNestingTooDeep": partial(
        Problem, 414, "Resource Nesting Too Deep", "The sub-resource requested is nested too deeply."
    ),
    "InvalidMethodOverride": partial(
        Problem,
        422,
        "InvalidMethodOverride",
        "You can only use the X-HTTP-Method-Override header with the POST method.",
    ),
    "RequestedFieldsInvalid": fields_invalid,
    "TooManyRequests": partial(too_many_requests, 0),
    "InternalServerError": partial(
        Problem,
        500,
        "Internal Server Error",
        "A deep, internal error has occurred during the processing of your request. Please contact support.",
    ),
    "ComplianceRelated": partial(Problem, 503, "Compliance Related", "This method has been disabled."),
}

_USUAL = {
    400: "BadRequest",
    401: "APIKeyInvalid",
    403: "Forbidden",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    429: "TooManyRequests",
}


def usual_problem(status: int) -> Problem:
    """The most common problem with that HTTP code."""
    problem = TRIGGERED[_USUAL.get(status, "InternalServerError")]()
    problem.status = status
    return problem
