from __future__ import annotations

import pytest

from chalicelib.http_client.retry import (
    DEFAULT_RETRY_POLICY,
    RetryPolicy,
    TransientError,
    next_wait,
    transient_error_of,
    unreadable,
)

BUSY = TransientError(429, may_have_run=False)
GATEWAY = TransientError(502, may_have_run=True)


def wait(
    transient: TransientError, *, attempt: int = 1, creates: bool = False, time_left: float = 300.0, jitter: float = 0.5
) -> float | None:
    return next_wait(
        transient, DEFAULT_RETRY_POLICY, attempt=attempt, creates=creates, time_left=time_left, jitter=jitter
    )


@pytest.mark.parametrize("status", [200, 204, 301, 400, 401, 403, 404, 405, 408, 409, 414, 422, 426])
def test_an_answer_in_earnest_is_never_a_passing_fault(status: int) -> None:
    assert transient_error_of(status, {}, silent_403=False) is None


def test_too_many_requests_were_not_carried_out() -> None:
    assert transient_error_of(429, {}, silent_403=False) == TransientError(429, may_have_run=False)


def test_a_403_without_json_counts_as_too_many_requests_where_its_sender_means_that() -> None:
    assert transient_error_of(403, {}, silent_403=True) == TransientError(403, may_have_run=False)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_fault_of_the_server_may_have_been_carried_out(status: int) -> None:
    assert transient_error_of(status, {}, silent_403=False) == TransientError(status, may_have_run=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "9" * 400}, 86400.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "Fri, 02 Jan 2026 00:00:30 GMT", "Date": "Fri, 02 Jan 2026 00:00:10 GMT"}, 20.0),
        ({"Retry-After": "Fri, 02 Jan 2026 00:00:00 GMT", "Date": "Fri, 02 Jan 2026 00:00:10 GMT"}, 0.0),
        ({"Retry-After": "Fri, 02 Jan 2026 00:00:30 GMT"}, None),
        ({"Retry-After": "Fri, 02 Jan 2026 00:00:30", "Date": "Fri, 02 Jan 2026 00:00:10"}, None),  # of no zone
        ({"Retry-After": "Fri, 09 Jan 2026 00:00:30 GMT", "Date": "Fri, 02 Jan 2026 00:00:10 GMT"}, 86400.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date_of_the_server(
    headers: dict[str, str], seconds: float | None
) -> None:
    for status in (429, 403, 500, 502, 503, 504):
        transient = transient_error_of(status, headers, silent_403=True)
        assert transient is not None
        assert transient.retry_after == seconds


def test_waits_double_and_are_drawn_at_random_below_their_limit() -> None:
    assert [wait(BUSY, attempt=n) for n in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert wait(BUSY, attempt=4, jitter=0.0) == 0.0


def test_waits_have_a_longest_one() -> None:
    retry_policy = RetryPolicy(attempts=99, first_wait=1.0, longest_wait=30.0)
    assert next_wait(BUSY, retry_policy, attempt=50, creates=False, time_left=1e9, jitter=1.0) == 30.0


def test_a_call_is_made_five_times_with_waits_of_up_to_half_a_minute() -> None:
    assert RetryPolicy(attempts=5, first_wait=1.0, longest_wait=30.0, reserve=3.0) == DEFAULT_RETRY_POLICY


def test_attempts_come_to_an_end() -> None:
    assert wait(BUSY, attempt=5) is None


def test_a_wait_that_was_asked_for_is_kept_in_full() -> None:
    assert wait(TransientError(429, may_have_run=False, retry_after=20.0), jitter=0.5) == 20.5
    longest = DEFAULT_RETRY_POLICY.longest_wait
    assert wait(TransientError(429, may_have_run=False, retry_after=longest), jitter=0.5) == longest + 0.5
    assert wait(TransientError(429, may_have_run=False, retry_after=longest + 1)) is None
    assert wait(TransientError(429, may_have_run=False, retry_after=0.0), jitter=0.5) == 0.5


def test_one_call_may_be_made_less_often_than_usual_and_never_more() -> None:
    def tried(attempt: int, tries: int) -> bool:
        waited = next_wait(
            BUSY, DEFAULT_RETRY_POLICY, attempt=attempt, creates=False, time_left=300.0, jitter=0.5, tries=tries
        )
        return waited is not None

    assert [tried(1, 1), tried(1, 2), tried(2, 2)] == [False, True, False]
    assert [tried(4, 99), tried(5, 99)] == [True, False]


def test_an_answer_that_cannot_be_read_may_have_been_carried_out() -> None:
    assert unreadable(200) == TransientError(200, may_have_run=True)


def test_a_fault_may_be_of_our_making_only_where_the_call_arrived() -> None:
    assert (GATEWAY.may_be_ours, BUSY.may_be_ours) == (True, False)
    assert GATEWAY.is_like(TransientError(502, may_have_run=True, retry_after=9.0))
    assert not GATEWAY.is_like(TransientError(503, may_have_run=True))
    assert not GATEWAY.is_like(TransientError(502, may_have_run=False))


@pytest.mark.parametrize("is_page", [True, False])
def test_a_web_page_is_known_as_one(is_page: bool) -> None:
    for status in (403, 429):
        transient = transient_error_of(status, {}, silent_403=True, is_page=is_page)
        assert transient is not None and transient.is_page is is_page


def test_what_does_not_fit_into_the_time_left_is_given_up() -> None:
    assert wait(BUSY, time_left=5.5) == 0.5
    assert wait(BUSY, time_left=5.4) is None
    assert wait(TransientError(503, may_have_run=True, retry_after=3600.0)) is None


def test_a_creation_is_not_repeated_when_it_may_have_been_carried_out() -> None:
    assert wait(GATEWAY, creates=True) is None
    assert wait(GATEWAY, creates=False) == 0.5
    assert wait(BUSY, creates=True) == 0.5
