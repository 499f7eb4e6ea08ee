"""One segment's differences between who matches and who carries its tag: found in the database, sent, noted.

The database answers only those who enter or leave. Their addresses go out at most 500 each way in a call, and a
customer's mark changes only after Mailchimp's answer said so: whatever is cut short is found again, and sent again it
changes nothing. Mailchimp passes over addresses that are not in the audience in silence, so what it answers is compared
with what was asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import TypeVar
from zoneinfo import ZoneInfo

from chalicelib.domain.customers import address_key
from chalicelib.domain.departments import Department
from chalicelib.domain.filterable import filterable
from chalicelib.domain.planning import AddressState
from chalicelib.domain.runs import Run
from chalicelib.domain.segment_state import TAGGABLE, Segment, Tag, Tally, reason_of
from chalicelib.domain.segments import Selection, carrying, matches
from chalicelib.domain.sightings import Sightings
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.segments import MOST_MEMBERS_A_CALL, SegmentChange
from chalicelib.store.customer_tags import CustomerTags
from chalicelib.store.members import Facets, MemberStore
from chalicelib.store.segment_query import Found, SegmentQuery
from chalicelib.sync.ports import Remaining
from chalicelib.sync.progress import ENOUGH_SECONDS

Thing = TypeVar("Thing")
# Opens the questions about a department's customers.
QueryFor = Callable[[Department], SegmentQuery]

_CUSTOMERS_AT_ONCE = 500
_MARKS_AT_ONCE = 4_000
MOST_STATES_KEPT = 20_000


@dataclass(slots=True)
class Work:
    """What a step has at hand for all segments of a department.

    `suspects` are addresses, by segment, that may carry its tag although no customer is marked so.
    """

    run: Run
    department: Department
    audience_id: str
    today: date
    query: SegmentQuery
    mailchimp: MailchimpClient
    remaining: Remaining
    suspects: dict[str, set[str]]
    facets: dict[str, Facets | None] = field(default_factory=dict)
    states: dict[str, AddressState] = field(default_factory=dict)
    carried_out: dict[str, CarriedOut] = field(default_factory=dict)  # by segment; not counted and noted yet
    # Marks to store, segments by customer: one who enters several segments is written once.
    to_mark: dict[str, set[str]] = field(default_factory=dict)
    to_unmark: dict[str, set[str]] = field(default_factory=dict)

    @property
    def is_short_of_time(self) -> bool:
        return self.remaining() < ENOUGH_SECONDS


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """A segment whose differences were all sent; `left_out` counts who matches and carries no tag, by reason."""

    segment: Segment
    left_out: Counter[str]


@dataclass(slots=True)
class Target:
    """An address to tag or untag, and the customers whose mark follows."""

    address: str
    customers: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """Addresses of one call by their keys, and customers whose mark changes without one."""

    targets: dict[str, Target] = field(default_factory=dict)
    quiet: list[str] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.targets) == MOST_MEMBERS_A_CALL

    @property
    def is_empty(self) -> bool:
        return not self.targets and not self.quiet

    def take_quiet(self) -> Batch:
        """The customers without a call as a batch of their own."""
        taken, self.quiet = Batch(quiet=self.quiet), []
        return taken

    @property
    def addresses(self) -> list[str]:
        return [target.address for target in self.targets.values()]

    def confirmed(self, addresses: Iterable[str]) -> dict[str, Target]:
        there = set(addresses)
        return {key: target for key, target in self.targets.items() if target.address in there}


@dataclass(slots=True)
class Doing:
    """One segment's pass. `left_out` counts customers who match and carry no tag, by reason."""

    work: Work
    segment: Segment
    tag: Tag
    left_out: Counter[str] = field(default_factory=Counter)
    tagged: set[str] = field(default_factory=set)
    passed_over: set[str] = field(default_factory=set)


class Differences:
    """`note(run, added, removed)` counts what was done in the run, and answers whether the run goes on."""

    def __init__(self, *, members: MemberStore, tags: CustomerTags, note: Callable[[Run, int, int], bool]) -> None:
        self._members = members
        self._tags = tags
        self._note = note

    def carry_out(self, work: Work, segment: Segment, tag: Tag) -> bool:
        """Send all differences of a segment; False when time was over before the end."""
        doing = Doing(work, segment, tag)
        for adding, removing in self._batches(doing):
            if not self._send(doing, adding, removing):
                return False
        work.carried_out[segment.id] = CarriedOut(segment, doing.left_out)
        return True

    def keep_marks(self, work: Work) -> None:
        """Store the marks that Mailchimp's answers asked for so far."""
        mark, unmark = work.to_mark, work.to_unmark
        work.to_mark, work.to_unmark = {}, {}
        self._tags.change(work.department.id, mark=mark, unmark=unmark)

    def tallies(self, work: Work) -> Iterator[tuple[Segment, Tally]]:
        """What there is now in the segments that were carried out: who matches carries the tag, or was left out."""
        self.keep_marks(work)
        marked: Counter[str] = Counter()
        addresses: dict[str, set[str | None]] = {segment_id: set() for segment_id in work.carried_out}
        for address, segment_ids in work.query.tagged(work.today) if work.carried_out else ():
            for segment_id in addresses.keys() & segment_ids:
                marked[segment_id] += 1
                addresses[segment_id].add(address)
        for segment_id, done in work.carried_out.items():
            members = len(addresses[segment_id])
            left_out = done.left_out + Counter({"shared_address": marked[segment_id] - members})
            yield done.segment, Tally(marked[segment_id] + done.left_out.total(), members, dict(left_out))
        work.carried_out.clear()

    def forget_marks(self, work: Work, segment: Segment) -> bool:
        """Take the segment's mark from all customers; False when time was over before the end."""
        for part in _slices(work.query.iterate(carrying(work.today, segment.id)), _CUSTOMERS_AT_ONCE):
            self._tags.unmark(segment.department_id, segment.id, [found.customer_key for found in part])
            if work.is_short_of_time:
                return False
        return True

    def heal(self, work: Work, segment: Segment, sightings: Sightings) -> None:
        """Bring the marks into line with Mailchimp, whose tagged members are the `sightings`.

        Who lost the tag there loses the mark, so that it is sent again. Who has it there without belonging to the
        segment becomes a suspect; only customers are looked at, so foreign members keep what somebody gave them.
        """
        for part in _slices(work.query.iterate(carrying(work.today, segment.id)), _CUSTOMERS_AT_ONCE):
            lost = [f.customer_key for f in part if f.address_key is None or f.address_key not in sightings]
            self._tags.unmark(segment.department_id, segment.id, lost)
        others = Selection(work.today, segment.rules, holds=False, outside=segment.id, with_address=True)
        wrong = {f.address_key for f in work.query.iterate(others) if f.address_key and f.address_key in sightings}
        work.suspects.setdefault(segment.id, set()).update(wrong)

    # ---------------------------------------------------------------------------------------------------- finding

    def _batches(self, doing: Doing) -> Iterator[tuple[Batch, Batch]]:
        """Whom to tag and whom to untag, a call's worth at a time."""
        work, segment = doing.work, doing.segment
        adding, removing = Batch(), Batch()
        found = work.query.differences(segment.rules, work.today, segment.id)
        suspects = ((Found("", "", key), True) for key in sorted(work.suspects.get(segment.id, ())))
        for part in _slices((each for source in (found, suspects) for each in source), _CUSTOMERS_AT_ONCE):
            known = self._facets(work, [one.address_key for one, leaves in part if one.address_key and not leaves])
            states = self._states(work, [one.address_key for one, leaves in part if one.address_key and leaves])
            for one, leaves in part:
                if leaves:
                    _take_leaving(doing, removing, one, states)
                else:
                    _take_entering(doing, adding, one, known)
                if adding.is_full or removing.is_full:
                    yield adding, removing
                    adding, removing = Batch(), Batch()
            if len(adding.quiet) + len(removing.quiet) >= _CUSTOMERS_AT_ONCE:
                yield adding.take_quiet(), removing.take_quiet()
        if not (adding.is_empty and removing.is_empty):
            yield adding, removing

    def _facets(self, work: Work, keys: Sequence[str]) -> dict[str, Facets | None]:
        """What is known of some addresses; remembered, since one customer is often in several segments."""
        missing = [key for key in dict.fromkeys(keys) if key not in work.facets]
        if len(work.facets) + len(missing) > MOST_STATES_KEPT:
            work.facets.clear()
            missing = list(dict.fromkeys(keys))
        known = self._members.facets(work.department.id, missing) if missing else {}
        work.facets.update({key: known.get(key) for key in missing})
        return work.facets

    def _states(self, work: Work, keys: Sequence[str]) -> dict[str, AddressState]:
        missing = [key for key in dict.fromkeys(keys) if key not in work.states]
        if len(work.states) + len(missing) > MOST_STATES_KEPT:
            work.states.clear()
            missing = list(dict.fromkeys(keys))
        found = self._members.states(work.department.id, missing, work.audience_id)
        work.states.update(zip(missing, found, strict=True))
        return work.states

    # ---------------------------------------------------------------------------------------------------- sending

    def _send(self, doing: Doing, adding: Batch, removing: Batch) -> bool:
        """One call, its answer noted; False when the step should end."""
        work, segment = doing.work, doing.segment
        change = SegmentChange()
        if adding.targets or removing.targets:
            change = work.mailchimp.change_segment_members(
                work.audience_id, doing.tag.id, add=adding.addresses, remove=removing.addresses
            )
        inside = adding.confirmed((*change.added, *change.already_in))
        # An address that Mailchimp passed over is not in the audience, so it carries no tag either.
        outside = removing.confirmed((*change.removed, *change.already_out, *change.ignored))
        _note_marks(work.to_mark, segment.id, [*adding.quiet, *_customers(inside.values())])
        _note_marks(work.to_unmark, segment.id, [*removing.quiet, *_customers(outside.values())])
        if len(work.to_mark) + len(work.to_unmark) >= _MARKS_AT_ONCE:
            self.keep_marks(work)
        doing.tagged |= inside.keys()
        passed_over = {key: target for key, target in adding.targets.items() if key not in inside}
        doing.passed_over |= passed_over.keys()
        doing.left_out["not_taken"] += len(_customers(passed_over.values()))
        if not adding.targets and not removing.targets:
            return not work.is_short_of_time
        return self._note(work.run, len(change.added), len(change.removed)) and not work.is_short_of_time


def tagged_in(work: Work, tag: Tag, sightings: Sightings, *, start: int) -> int | None:
    """Note the members who carry the tag in Mailchimp, from the `start`-th on.

    Answers where to go on when time is over, None at the end. Raises SegmentGone.
    """
    for page in work.mailchimp.segment_members(work.audience_id, tag.id, start=start):
        for member in page:
            if member.status in TAGGABLE:
                sightings.add(address_key(work.department.salt, member.address))
        start += len(page)
        if work.is_short_of_time:
            return start
    return None


def _take_entering(doing: Doing, batch: Batch, found: Found, known: dict[str, Facets | None]) -> None:
    key = found.address_key
    if key is None:
        doing.left_out["no_address"] += 1
    elif key in doing.tagged:
        batch.quiet.append(found.customer_key)
    elif key in doing.passed_over:
        doing.left_out["not_taken"] += 1
    elif key in batch.targets:
        batch.targets[key].customers.append(found.customer_key)
    else:
        facets = known.get(key)
        status = facets.member(doing.work.audience_id).status if facets else "absent"
        if facets is None or not _is_taggable(status, facets.address):
            doing.left_out[reason_of(status)] += 1
            return
        batch.targets[key] = Target(facets.address, [found.customer_key])


def _take_leaving(doing: Doing, batch: Batch, found: Found, states: dict[str, AddressState]) -> None:
    """Untag, unless the member carries no tag anyway, or must keep it for another customer with the address."""
    state = states.get(found.address_key or "")
    if state is None or not _is_taggable(state.member.status, state.member.address) or _holds(doing, state):
        batch.quiet += [found.customer_key] if found.customer_key else []
        return
    target = batch.targets.setdefault(state.member.address_key, Target(state.member.address))
    target.customers += [found.customer_key] if found.customer_key else []


def _holds(doing: Doing, state: AddressState) -> bool:
    """Whether a customer with this address belongs to the segment."""
    if state.sharers is None:
        return False
    zone, rules = ZoneInfo(doing.work.department.timezone), doing.segment.rules
    return any(matches(rules, filterable(customer, zone), doing.work.today) for customer in state.sharers.customers)


def _is_taggable(status: str, address: str) -> bool:
    """Whether Mailchimp has a member who may carry a tag, and we still know the address."""
    return status in TAGGABLE and bool(address)


def _note_marks(marks: dict[str, set[str]], segment_id: str, customers: Iterable[str]) -> None:
    for customer in customers:
        marks.setdefault(customer, set()).add(segment_id)


def _customers(targets: Iterable[Target]) -> list[str]:
    return [customer for target in targets for customer in target.customers]


def _slices(things: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    iterator = iter(things)
    while part := list(islice(iterator, size)):
        yield part
