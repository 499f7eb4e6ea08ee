"""One HTTP call: a session that is kept, a limit on every wait, repeats where they make sense.

Nothing here logs: paths hold ids and hashes of addresses, bodies hold people. What may be counted goes to `on_call`.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NotRequired, TypedDict
from urllib.parse import quote

import requests
from urllib3.exceptions import MaxRetryError

from chalicelib.errors import RetryLater, StopRun
from chalicelib.http_client.addresses import is_plain_http
from chalicelib.http_client.retry import (
    DEFAULT_RETRY_POLICY,
    SHORTEST_CALL_SECONDS,
    RetryPolicy,
    TransientError,
    next_wait,
    transient_error_of,
    unreadable,
)

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
# A connection that rested longer may have been dropped without a word while the function was frozen. Measured by the
# clock on the wall, since others may stand still meanwhile.
_IDLE_SECONDS = 30.0
# A call that fails after such a time was too much for the other side, or met something that holds it up.
SLOW_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `template` is the path with names in braces, `ids` what stands for them; metrics see the template."""

    method: str
    template: str
    ids: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: object | None = None  # sent as JSON
    read_seconds: float = READ_SECONDS
    creates: bool = False  # done twice it would make two of a thing
    tries: int | None = None  # at most so many, where the usual number is too much
    divisible: bool = False  # the caller divides it when it fails: one that was slow is not repeated as it is

    @property
    def path(self) -> str:
        return self.template.format_map({name: _path_part(text) for name, text in self.ids.items()})


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @cached_property
    def document(self) -> Any:
        """The body's JSON; None when it is none, as with the HTML that gateways answer."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class CallMade:
    """A call as metrics may know it. `status` is None when no answer came."""

    method: str
    template: str
    status: int | None
    seconds: float


class FailedAlike(RetryLater):
    """Every try failed in the same way, and what was sent may be the cause: the same call would fail again.

    `transient` is what the tries met.
    """

    def __init__(self, message: str, transient: TransientError) -> None:
        super().__init__(message, after_seconds=transient.retry_after)
        self.transient = transient


class UncertainCreation(RetryLater):
    """Nobody knows whether the thing was created: look for it before asking again."""


def ignore_call(call: CallMade) -> None:
    """For callers that count nothing."""


class KeptSession(requests.Session):
    """A session for all calls of a process: connections are kept, but only while they are surely alive.

    It takes nothing from the environment and keeps no cookies: no proxy and no .netrc may redirect a call that has a
    key, and what one account was sent is not shown to another.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        self.headers["User-Agent"] = "pracbill-mailchimp"
        self._clock = clock
        self._used_at = clock()

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if self._clock() - self._used_at > _IDLE_SECONDS:
            self.close()
        try:
            return super().send(request, **options)
        finally:
            self._used_at = self._clock()


def new_session() -> requests.Session:
    return KeptSession()


class ClientOptions(TypedDict):
    """What every client is given by its caller.

    `remaining` tells the seconds left to the caller, and no call or wait goes beyond it; `random` gives numbers of
    [0, 1) for the jitter of waits; `on_call` gets every try for metrics, without ids and addresses.
    """

    remaining: Callable[[], float]
    sleep: Callable[[float], None]
    random: Callable[[], float]
    on_call: NotRequired[Callable[[CallMade], None]]
    session_factory: NotRequired[Callable[[], requests.Session]]
    retry_policy: NotRequired[RetryPolicy]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Whom the calls go to, and how it is spoken to and of.

    `name` is for staff; `authorization` gives the header's value for each call; `explain` gives the words for staff of
    an error that may pass; `silent_403`: see `retry.transient_error_of`; `only_json`: the body of a success is JSON, if
    there is one.
    """

    url: str
    name: str
    authorization: Callable[[], str] = field(repr=False)
    explain: Callable[[TransientError], str]
    silent_403: bool = False
    only_json: bool = False


class HttpCalls:
    """Calls to one server with one authorization; the options are those of ClientOptions."""

    def __init__(
        self,
        server: Server,
        *,
        remaining: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
        on_call: Callable[[CallMade], None] = ignore_call,
        session_factory: Callable[[], requests.Session] = new_session,
        retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._base_url = server.url.rstrip("/")
        self._remaining = remaining
        self._sleep = sleep
        self._random = random
        self._on_call = on_call
        self._session = session_factory()
        self._retry_policy = retry_policy
        self._clock = clock

    def send(self, call: Call) -> Answer:
        """Make the call until it is answered in earnest.

        Raises RetryLater when faults do not pass in the time and attempts there are (UncertainCreation when the call
        creates something and may have been carried out, FailedAlike when what was sent may be the cause), StopRun when
        the address of the server is unusable: nothing is sent where anybody could listen.
        """
        if is_plain_http(self._base_url):
            raise StopRun(f"The configured address of {self._server.name} must begin with https://.")
        faults: list[TransientError] = []
        for attempt in itertools.count(1):
            started = self._clock()
            outcome = self._try_once(call)
            transient = outcome if isinstance(outcome, TransientError) else self._transient_error_of(outcome)
            if transient is None:
                assert isinstance(outcome, Answer)
                return outcome
            faults.append(transient)
            if call.divisible and transient.may_be_ours and self._clock() - started >= SLOW_SECONDS:
                raise FailedAlike(self._server.explain(transient), transient)
            self._wait_or_give_up(call, faults, attempt)
        raise AssertionError("unreachable")

    def close(self) -> None:
        self._session.close()

    def _transient_error_of(self, answer: Answer) -> TransientError | None:
        if self._server.only_json and answer.is_success and answer.body.strip() and answer.document is None:
            return unreadable(answer.status)
        silent = self._server.silent_403 and answer.status == 403 and not isinstance(answer.document, dict)
        is_page = answer.body.lstrip()[:1] == b"<"
        return transient_error_of(answer.status, answer.headers, silent_403=silent, is_page=is_page)

    def _wait_or_give_up(self, call: Call, faults: Sequence[TransientError], attempt: int) -> None:
        transient = faults[-1]
        wait = next_wait(
            transient,
            self._retry_policy,
            attempt=attempt,
            creates=call.creates,
            time_left=self._remaining(),
            jitter=self._random(),
            tries=call.tries,
        )
        if wait is not None:
            self._sleep(wait)
            return
        if call.creates and transient.may_have_run:
            raise UncertainCreation(self._server.explain(transient), after_seconds=transient.retry_after)
        if transient.may_be_ours and all(transient.is_like(earlier) for earlier in faults):
            raise FailedAlike(self._server.explain(transient), transient)
        raise RetryLater(self._server.explain(transient), after_seconds=transient.retry_after)

    def _try_once(self, call: Call) -> Answer | TransientError:
        read_seconds = min(call.read_seconds, self._remaining() - self._retry_policy.reserve)
        if read_seconds < SHORTEST_CALL_SECONDS:
            name = self._server.name
            raise RetryLater(
                f"{name} did not answer in time. A sync continues automatically; anything else can be repeated."
            )
        started = self._clock()
        outcome = self._exchange(call, read_seconds)
        self._on_call(CallMade(call.method, call.template, outcome.status, self._clock() - started))
        return outcome

    def _exchange(self, call: Call, read_seconds: float) -> Answer | TransientError:
        headers = {"Authorization": self._server.authorization(), "Accept": "application/json"}
        body = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(call.body, separators=(",", ":")).encode()
        try:
            answer = self._session.request(
                call.method,
                self._base_url + call.path,
                params=call.query or None,
                data=body,
                headers=headers,
                timeout=(CONNECT_SECONDS, read_seconds),
                allow_redirects=False,  # a redirect would carry the key elsewhere
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema, requests.exceptions.InvalidSchema):
            raise StopRun(f"The configured address of {self._server.name} is not a web address.") from None
        except requests.exceptions.InvalidHeader:
            # `from None`: the original message quotes the header, and with it the key.
            raise StopRun(
                f"The configured key or token for {self._server.name} has characters that cannot be sent."
            ) from None
        except requests.RequestException as broken:
            return TransientError(None, may_have_run=not _never_connected(broken))
        return Answer(answer.status_code, answer.headers, answer.content)


def _never_connected(broken: requests.RequestException) -> bool:
    """No connection came about, so nothing can have been carried out."""
    if isinstance(broken, requests.exceptions.ConnectTimeout | requests.exceptions.SSLError):
        return True
    # urllib3 gives up with MaxRetryError only while connecting: what breaks later is another error.
    return isinstance(broken, requests.exceptions.ConnectionError) and any(
        isinstance(cause, MaxRetryError) for cause in broken.args
    )


def _path_part(text: str) -> str:
    if text in ("", ".", ".."):
        raise ValueError("an id that would change the meaning of the path")
    return quote(text, safe="@")  # which a path may hold as it is (RFC 3986, 3.3)
