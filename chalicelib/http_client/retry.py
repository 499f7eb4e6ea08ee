"""The one place that decides whether a call is made again.

What may pass is repeated: too many requests, faults of the other side, no answer. What the other side means is not:
every other 4xx. The wait grows and is drawn at random below its limit (full jitter), so that many workers which fail
together do not come back together. The real cap is the time left: when the next try does not fit, the queue brings the
whole step back later.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

# A call that is given less than this is not worth starting.
SHORTEST_CALL_SECONDS = 2.0
_LONGEST_ASKED_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class TransientError:
    """Why a call failed in a way that may pass.

    `status` is None when no answer came. `may_have_run`: the other side may have carried the call out all the same.
    """

    status: int | None
    may_have_run: bool
    retry_after: float | None = None  # seconds the other side asks for
    is_page: bool = False  # the answer was a web page, not one of the API's own

    @property
    def may_be_ours(self) -> bool:
        """Whether the content of the call may be the cause: it arrived, and too many calls are not the reason."""
        return self.may_have_run

    def is_like(self, other: TransientError) -> bool:
        return (self.status, self.may_have_run) == (other.status, other.may_have_run)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how long to try. Seconds; `reserve` is left for the caller to put its things in order."""

    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 30.0
    reserve: float = 3.0


DEFAULT_RETRY_POLICY = RetryPolicy()


def unreadable(status: int) -> TransientError:
    """A success whose body is not what it should be: cut short on the way, or a page of a gateway in between."""
    return TransientError(status, may_have_run=True)


def transient_error_of(
    status: int, headers: Mapping[str, str], *, silent_403: bool, is_page: bool = False
) -> TransientError | None:
    """The passing fault that an answer stands for, or None when it must be taken at its word.

    `silent_403`: the answer carries no JSON and its sender uses a bare 403 for too many requests, as Mailchimp does
    (Marketing API, "Rate limits and timeouts"). `is_page`: it is a web page, as firewalls answer it.
    """
    if status == 429 or (status == 403 and silent_403):
        return TransientError(status, may_have_run=False, retry_after=_retry_after(headers), is_page=is_page)
    if status >= 500:
        # A 502 or 504 of Mailchimp's edge means that the request ran too long; it may still be running.
        return TransientError(status, may_have_run=True, retry_after=_retry_after(headers))
    return None


def next_wait(
    transient: TransientError,
    retry_policy: RetryPolicy,
    *,
    attempt: int,
    creates: bool,
    time_left: float,
    jitter: float,
    tries: int | None = None,
) -> float | None:
    """Seconds to wait before trying again, or None to give up.

    `attempt` counts from 1; `creates`: a repeat of something that was carried out would make it twice; `jitter` is a
    random number of [0, 1). `tries` is how often this one call is made at most, where that is less than usual.
    """
    most = retry_policy.attempts if tries is None else min(tries, retry_policy.attempts)
    if attempt >= most or (creates and transient.may_have_run):
        return None
    if transient.retry_after is not None and transient.retry_after > retry_policy.longest_wait:
        return None  # whoever made the call says that it waits, and comes back
    limit = min(retry_policy.longest_wait, retry_policy.first_wait * 2 ** (attempt - 1))
    # A wait that was asked for is kept in full, with a little jitter on top.
    wait = limit * jitter if transient.retry_after is None else transient.retry_after + retry_policy.first_wait * jitter
    return wait if wait + SHORTEST_CALL_SECONDS + retry_policy.reserve <= time_left else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds: a number, or a date counted from the answer's own `Date` (RFC 9110, 10.2.3)."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_ASKED_SECONDS)
    until, now = _http_date(text), _http_date(headers.get("Date", ""))
    if until is None or now is None:
        return None
    return min(max(0.0, (until - now).total_seconds()), _LONGEST_ASKED_SECONDS)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
