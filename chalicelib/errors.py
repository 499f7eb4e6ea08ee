"""Our exceptions, named by what happens next.

ServiceError
├── RetryLater       the same step may work in a while: the queue brings the message back
├── StopRun          no further call makes sense (bad key, PracBill breaks its contract): the run ends in Error
│   └── KeyRejected  Mailchimp refuses the key or the account: the schedule stops too, until the key is replaced
└── RefuseRequest    the caller asked for something we cannot do: a problem answer tells what and how to mend it

A single address that Mailchimp refuses is not an exception: it is an outcome (domain/refusals.py).

Every message is written for PracBill's staff and carries neither keys nor addresses. It is shown in Sync Logs and
in problem answers. The provider's own words go to no one but the record of the customer they are about.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field


class ServiceError(Exception):
    """Root of everything this service raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class RetryLater(ServiceError):
    """A passing fault: throttled, time-out, 5xx, PracBill away."""

    def __init__(self, message: str, *, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class StopRun(ServiceError):
    """The run cannot go on and a repeat would not help; `message` says what to check."""


class KeyRejected(StopRun):
    """Mailchimp refuses the key or has deactivated the account. `code` is a health code."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of a request: `field` is a path such as `rules[2].value`.

    `code` and `params` say the same as `message`, for whoever says it in another language.
    """

    field: str
    message: str
    code: str = "invalid"
    params: dict[str, str | int] = dataclass_field(default_factory=dict)


class RefuseRequest(ServiceError):
    """Becomes an `application/problem+json` answer (RFC 9457).

    `code` is the last part of the problem's `type`, `extra` further members of the document.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        title: str,
        code: str,
        errors: tuple[FieldError, ...] = (),
        extra: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.title = title
        self.code = code
        self.errors = errors
        self.extra = extra or {}


def bad_input(*errors: FieldError, detail: str = "Some fields of the request are not valid.") -> RefuseRequest:
    """400 naming every field at fault."""
    return RefuseRequest(detail, status=400, title="Bad input", code="bad-input", errors=errors)


def not_found(detail: str) -> RefuseRequest:
    """404 for a thing of this department that does not exist."""
    return RefuseRequest(detail, status=404, title="Not found", code="not-found")


def conflict(
    detail: str, *, code: str = "conflict", field: str = "", extra: dict[str, object] | None = None
) -> RefuseRequest:
    """409: the request fits, but not the present state. `field` names the one of the body that is in the way."""
    errors = (FieldError(field, detail, code.replace("-", "_")),) if field else ()
    return RefuseRequest(detail, status=409, title="Conflict", code=code, errors=errors, extra=extra)
