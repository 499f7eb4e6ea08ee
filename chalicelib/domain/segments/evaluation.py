"""Everything that is asked about a department's customers at one time, evaluated in one reading of them."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from chalicelib.domain.segments.filterable import Filterable, Sample
from chalicelib.domain.segments.rules import Comparison, Rule, comparison

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date


class Candidate(Protocol):
    """A customer who may match, as a reading finds it."""

    @property
    def customer_key(self) -> str: ...

    @property
    def filterable(self) -> Filterable: ...

    @property
    def sample(self) -> Sample: ...


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules of a segment on a day, ready to be held against many customers."""

    comparisons: tuple[Comparison, ...]

    @classmethod
    def of(cls, rules: Sequence[Rule], today: date) -> RuleSet:
        return cls(tuple(comparison(rule, today) for rule in rules))

    def matches(self, filterable: Filterable) -> bool:
        return all(each.holds(filterable) for each in self.comparisons)

    def each(self, filterable: Filterable) -> list[bool]:
        """Whether each of the rules holds, alone."""
        return [each.holds(filterable) for each in self.comparisons]


def rule_sets(segments: Mapping[str, Sequence[Rule]], today: date) -> dict[str, RuleSet]:
    """The rules of several segments, by their ids."""
    return {segment_id: RuleSet.of(rules, today) for segment_id, rules in segments.items()}


@dataclass(slots=True)
class Group:
    """How many customers belong to something, and the first of them by their keys, at most `limit`."""

    limit: int
    count: int = 0
    _first: list[tuple[str, Sample]] = field(default_factory=list)

    def add(self, one: Candidate) -> None:
        self.count += 1
        key = one.customer_key
        if len(self._first) < self.limit or (self._first and key < self._first[-1][0]):
            insort(self._first, (key, one.sample), key=lambda kept: kept[0])
            del self._first[self.limit :]

    @property
    def first(self) -> tuple[Sample, ...]:
        return tuple(sample for _, sample in self._first)


class PreviewCounts:
    """What a preview tells of some rules, counted customer by customer.

    With `instead_of`, the present rules of a segment, also who would enter and leave it. With `per_rule` also how many
    each rule matches alone.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        today: date,
        *,
        instead_of: Sequence[Rule] | None = None,
        per_rule: bool = False,
        sample_size: int,
    ) -> None:
        self.total = 0
        self.reachable = 0
        self.matching = Group(sample_size)
        self.entering = Group(sample_size)
        self.leaving = Group(sample_size)
        self.alone = [0] * len(rules) if per_rule else []
        self._rules = RuleSet.of(rules, today)
        self._present = RuleSet.of(instead_of, today) if instead_of is not None else None

    def add(self, one: Candidate, is_reached: Callable[[], bool]) -> None:
        """Count one customer; `is_reached` says whether campaigns reach it, and is asked only of those who match."""
        fields = one.filterable
        self.total += 1
        is_in = self._holds(fields)
        if is_in:
            self.matching.add(one)
            self.reachable += is_reached()
        if self._present is None:
            return
        was_in = self._present.matches(fields)
        if is_in and not was_in:
            self.entering.add(one)
        elif was_in and not is_in:
            self.leaving.add(one)

    def _holds(self, fields: Filterable) -> bool:
        if not self.alone:
            return self._rules.matches(fields)
        each = self._rules.each(fields)
        for number, holds in enumerate(each):
            self.alone[number] += holds
        return all(each)
