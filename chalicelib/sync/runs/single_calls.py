"""Calls about one address each, one after another: one that always fails must not keep the others from theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.push_results import PushResult
from chalicelib.domain.refusals import classify
from chalicelib.errors import RetryLater, StopRun
from chalicelib.http_client.calls import FailedAlike
from chalicelib.mailchimp.answers import failed_member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chalicelib.domain.planning import Operation
    from chalicelib.sync.ports import Remaining

# What ends a chunk's calls before their end; what was done until then is kept all the same.
Interruption = RetryLater | StopRun

# Single calls are begun only while so many seconds are left; what is left undone belongs to the next delivery.
SECONDS_FOR_A_CALL = 20.0
REST_FOLLOWS = "There was no time for all; the rest of this part of the sync follows."
# When so many in a row fail and nobody gets through, it is Mailchimp that fails.
_MOST_IN_VAIN = 3


def result_of_failed(operation: Operation, failed: FailedAlike) -> PushResult:
    """An operation whose call fails again and again, while those of others do not."""
    words = failed_member(operation.address, failed)
    return PushResult(operation, "refused", refusal=classify(words.text, words.code))


class SingleCalls:
    """`call` carries one operation out. `is_up` tells whether Mailchimp answers anything at all."""

    def __init__(
        self, call: Callable[[Operation], PushResult], *, is_up: Callable[[], bool], remaining: Remaining
    ) -> None:
        self._call = call
        self._is_up = is_up
        self._remaining = remaining
        self._results: list[PushResult] = []
        self._failed: list[tuple[Operation, FailedAlike]] = []

    def make(
        self,
        operations: Iterable[Operation],
        finalise: Callable[[Operation, FailedAlike], PushResult] = result_of_failed,
    ) -> tuple[list[PushResult], Interruption | None]:
        """Carry out what can be; what interrupted it is answered too: what is done must be kept first.

        A call that fails alike is repeated after the others; when it fails again, `finalise` gives the result.
        """
        interruption = self._each(operations)
        if interruption is None and self._failed:
            suspected, self._failed = self._failed, []
            interruption = self._each([operation for operation, _ in suspected])
        if interruption is None and self._failed:
            interruption = self._outage()
        if interruption is None:
            self._results += [finalise(operation, failed) for operation, failed in self._failed]
        return self._results, interruption

    def _each(self, operations: Iterable[Operation]) -> Interruption | None:
        in_vain = 0
        for operation in operations:
            if self._remaining() < SECONDS_FOR_A_CALL:
                return RetryLater(REST_FOLLOWS)
            try:
                self._results.append(self._call(operation))
                in_vain = 0
            except FailedAlike as failed:
                in_vain += 1
                if in_vain == _MOST_IN_VAIN or (not self._results and not self._is_up()):
                    return failed
                self._failed.append((operation, failed))
            except (RetryLater, StopRun) as interruption:
                return interruption
        return None

    def _outage(self) -> RetryLater | None:
        """What to say when nobody is to blame for calls that failed twice; None when those are who they are about."""
        if (len(self._failed) > 1 and not self._results) or not self._is_up():
            return self._failed[0][1]
        return None
