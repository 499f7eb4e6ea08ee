"""PracBill's failures in our families (chalicelib/errors.py), each naming PracBill and what to check.

RetryLater            5xx, 429, no answer: see http_client/retry.py
StopRun
├── DepartmentUnknown 404
├── TokenRefused      401, 403
└── ContractViolation  an answer that breaks the contract in docs/pracbill-api.yaml
    └── ConsentRefused  400, 422 of a consent change
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.errors import StopRun

if TYPE_CHECKING:
    from chalicelib.http_client.retry import TransientError


class DepartmentUnknown(StopRun):
    def __init__(self) -> None:
        super().__init__(
            "PracBill does not know this department (404). Check the department's id, and that PRACBILL_API_URL is the "
            "address of PracBill's API."
        )


class TokenRefused(StopRun):
    def __init__(self, status: int) -> None:
        super().__init__(
            f"PracBill refuses this service's token (HTTP {status}). Check the secret that PRACBILL_TOKEN_SECRET "
            "names, and the rights of that token in PracBill."
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A call of PracBill's contract, and what its failing means for the sync."""

    call: str
    consequence: str


_NOTHING_SENT = "Nothing was sent to Mailchimp."
DEPARTMENT = Endpoint("GET /departments/{id}", _NOTHING_SENT)
CUSTOMERS = Endpoint("GET /departments/{id}/customers", _NOTHING_SENT)
CHANGES = Endpoint("GET /departments/{id}/customers?updated_since=", _NOTHING_SENT)
CONSENT = Endpoint("POST /departments/{id}/marketing-consent", "Consent changes were not sent to PracBill.")


class ContractViolation(StopRun):
    """`wrong` completes "PracBill ..."; `endpoint` is the call that PracBill's developers should check."""

    def __init__(self, wrong: str, endpoint: Endpoint) -> None:
        super().__init__(
            f"PracBill {wrong}. {endpoint.consequence} PracBill's developers should check {endpoint.call}."
        )


class ConsentRefused(ContractViolation):
    """PracBill takes none of the changes of consent of one call."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused a request (HTTP {status})", CONSENT)


_GOES_ON = "A sync continues automatically; anything else can be tried again in a minute."


def explain_fault(transient: TransientError) -> str:
    """Words for a fault of PracBill that may pass, in a sync or in a request of staff."""
    if transient.status == 429:
        return f"PracBill accepts no more requests at the moment (HTTP 429). {_GOES_ON}"
    if transient.status is not None:
        return f"PracBill has an internal error at the moment (HTTP {transient.status}). {_GOES_ON}"
    return f"PracBill cannot be reached. {_GOES_ON} If this lasts, check PRACBILL_API_URL."
