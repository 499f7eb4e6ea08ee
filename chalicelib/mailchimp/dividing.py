"""A call about many members that fails because of some of them: who they are is found by dividing the call.

Mailchimp refuses a whole call with a 400, or answers it with a fault again and again (5xx, no answer, half an answer),
though one member alone is the cause. Members that it names are taken out; where it names none the call is cut in two,
and each part tried, until the culprit is alone and all others are through. In an outage everything fails: then a
bounded number of calls is made, nobody is blamed, and the whole comes again later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from chalicelib.errors import RetryLater
from chalicelib.http_client.calls import FailedAlike
from chalicelib.mailchimp.errors import ItemError, WholeCallRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")
Got = TypeVar("Got")

# A culprit that Mailchimp does not name is found among 500 members in 18 calls, half of which get somebody through.
# Where that many are refused in a row, the members are not to blame.
MOST_CALLS_IN_VAIN = 40
# From 500 members down to one it is nine cuts: when so many calls fail in a row, down to a single member, it is
# Mailchimp that fails.
MOST_FAULTS_IN_VAIN = 10


@dataclass(frozen=True, slots=True)
class Culprit(Generic[Item]):
    """Who is to blame for a call that failed, and how it failed; `error` is the part of it that names the item."""

    item: Item
    cause: WholeCallRefused | FailedAlike
    error: ItemError | None = None


@dataclass(slots=True)
class Divided(Generic[Item, Got]):
    """What became of each item: part of an answer, a culprit, or neither.

    `unsettled` are items of which nothing is known though there is no more to try; `untried` those that were not got
    to: the call is to be made again with them.
    """

    got: list[Got] = field(default_factory=list)
    culprits: list[Culprit[Item]] = field(default_factory=list)
    unsettled: list[Item] = field(default_factory=list)
    untried: list[Item] = field(default_factory=list)


class DividedCall(Generic[Item, Got]):
    """One call about many items, divided where it must be.

    `send` makes the call for some of the items; its second argument says to try only once.
    `is_up` tells whether Mailchimp answers anything at all; `go_on` is asked between two calls; `cut` divides items in
    parts that are tried in order.
    """

    def __init__(
        self,
        send: Callable[[tuple[Item, ...], bool], Got],
        *,
        is_up: Callable[[], bool],
        go_on: Callable[[], bool],
        cut: Callable[[tuple[Item, ...]], list[tuple[Item, ...]]],
    ) -> None:
        self._send = send
        self._is_up = is_up
        self._go_on = go_on
        self._cut = cut
        self._divided = Divided[Item, Got]()
        self._suspected: list[Item] = []
        self._refused_in_vain = 0
        self._faults_in_vain = 0

    def make(self, items: Sequence[Item]) -> Divided[Item, Got]:
        """Raises what `send` raises while nothing has a result, but never WholeCallRefused."""
        waiting = [tuple(items)]
        while waiting:
            if self._refused_in_vain >= MOST_CALLS_IN_VAIN:
                self._divided.unsettled += [*_all(waiting), *self._suspected]
                break
            if self._is_started and not self._go_on():
                self._leave(waiting)
                break
            part = waiting.pop()
            try:
                waiting += self._try(part)
            except RetryLater:
                if not self._has_result:
                    raise
                self._leave([*waiting, part])
                break
        else:
            self._judge_suspects()
        return self._divided

    @property
    def _has_result(self) -> bool:
        return bool(self._divided.got or self._divided.culprits)

    @property
    def _is_started(self) -> bool:
        return self._has_result or self._faults_in_vain > 0

    def _try(self, part: tuple[Item, ...]) -> list[tuple[Item, ...]]:
        """Send a part; answers the parts to be tried instead, the next one last."""
        try:
            self._divided.got.append(self._send(part, self._faults_in_vain > 0 or bool(self._suspected)))
        except WholeCallRefused as refusal:
            rest = self._blame(part, refusal)
            # Who is named by Mailchimp is out of the way, even where it names one a call.
            self._refused_in_vain = 0 if len(_all(rest)) < len(part) and rest else self._refused_in_vain + 1
            return rest
        except FailedAlike:
            self._faults_in_vain += 1
            if self._faults_in_vain > MOST_FAULTS_IN_VAIN or not (self._is_started_well or self._is_up()):
                raise
            if len(part) > 1:
                return self._cut(part)[::-1]
            self._suspected.append(part[0])
        else:
            self._refused_in_vain = self._faults_in_vain = 0
        return []

    @property
    def _is_started_well(self) -> bool:
        """Whether it is known that Mailchimp answers: something went through, or it was asked at the first fault."""
        return self._has_result or self._faults_in_vain > 1

    def _blame(self, part: tuple[Item, ...], refusal: WholeCallRefused) -> list[tuple[Item, ...]]:
        """Take out those who are named, or the only one there is; answers the parts to be tried without them."""
        named = {
            error.index: Culprit(part[error.index], refusal, error)
            for error in reversed(refusal.errors)  # of several reasons for one item the first is kept
            if error.index is not None and error.index < len(part)
        }
        if named:
            self._divided.culprits += named.values()
            rest = tuple(item for index, item in enumerate(part) if index not in named)
            return [rest] if rest else []
        if len(part) == 1:
            error = refusal.errors[0] if refusal.errors else None
            self._divided.culprits.append(Culprit(part[0], refusal, error))
            return []
        return self._cut(part)[::-1]

    def _judge_suspects(self) -> None:
        """Try those who failed alone once more, now that all others are through. Who fails again is to blame.

        Nobody is while nothing else goes through, neither a member nor a call of another kind: that is an outage.
        """
        failed: list[Culprit[Item]] = []
        for place, item in enumerate(self._suspected):
            if not self._go_on():
                self._divided.untried += self._suspected[place:]
                break
            try:
                self._divided.got.append(self._send((item,), True))
            except WholeCallRefused as refusal:
                self._blame((item,), refusal)
            except FailedAlike as fault:
                failed.append(Culprit(item, fault))
            except RetryLater:
                self._divided.untried += self._suspected[place:]
                break
        if failed and self._is_outage(len(failed)):
            if not self._has_result:
                raise failed[0].cause
            self._divided.untried += [culprit.item for culprit in failed]
            return
        self._divided.culprits += failed

    def _is_outage(self, failed: int) -> bool:
        return (failed > 1 and not self._has_result) or not self._is_up()

    def _leave(self, parts: Sequence[Sequence[Item]]) -> None:
        self._divided.untried += [*_all(parts), *self._suspected]


def halves(items: tuple[Item, ...]) -> list[tuple[Item, ...]]:
    middle = len(items) // 2
    return [items[:middle], items[middle:]]


def _all(parts: Sequence[Sequence[Item]]) -> list[Item]:
    return [item for part in parts for item in part]
