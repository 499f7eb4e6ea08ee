"""The differences between who belongs to segments and who carries their tags: found, sent, noted.

One reading of the customers answers for all segments who enters or leaves. Their addresses go out at most 500
each way in a call, and a customer's mark changes only after Mailchimp's answer said so: whatever is cut short is found
again, and sent again it changes nothing. Mailchimp passes over addresses that are not in the audience in silence, so
what it answers is compared with what was asked. Whom it passed over is remembered and not sent again and again. A call
that fails says nothing about its members: those whose calls fail are sent again by the next run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import TypeVar
from zoneinfo import ZoneInfo

from chalicelib.domain.consent.members import Member
from chalicelib.domain.customers import address_key
from chalicelib.domain.departments import Department
from chalicelib.domain.planning import AddressState
from chalicelib.domain.runs import Run
from chalicelib.domain.seen_addresses import SeenAddresses
from chalicelib.domain.segments.evaluation import RuleSet, rule_sets
from chalicelib.domain.segments.filterable import filterable
from chalicelib.domain.segments.rules import Rule, matches
from chalicelib.domain.segments.segment import TAGGABLE, Segment, SegmentCounts, Tag, reason_of
from chalicelib.errors import RefuseRequest
from chalicelib.iteration import slices
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.errors import SegmentGone, WholeCallRefused
from chalicelib.mailchimp.segments import MOST_MEMBERS_A_CALL
from chalicelib.store.address_status import AddressStatuses
from chalicelib.store.customer_reading import CustomerReader, CustomerRow
from chalicelib.store.customer_tags import CustomerTags
from chalicelib.store.members import MemberStates, MemberStore
from chalicelib.sync.ports import Remaining
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.progress import ENOUGH_SECONDS

Thing = TypeVar("Thing")

_CUSTOMERS_AT_ONCE = 500
_MARKS_AT_ONCE = 4_000
MOST_STATES_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A customer who enters or leaves segments, which are told by their ids.

    `passed_over` are the segments for whose tags Mailchimp passed the member over before.
    """

    customer_key: str
    address_key: str | None
    enters: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    passed_over: frozenset[str] = frozenset()


@dataclass(slots=True)
class Work:
    """What a step has at hand for all segments of a department.

    `rechecks` are addresses, by segment, that may carry its tag although no customer is marked so. `address_statuses`
    tell who can carry no tag. `states` are addresses that were read already, `looked_at` those of which there was news.
    `not_untagged` are addresses, by segment, that may carry its tag still, since the call to take it failed.
    """

    run: Run
    department: Department
    audience_id: str
    today: date
    reader: CustomerReader
    mailchimp: MailchimpClient
    remaining: Remaining
    rechecks: dict[str, set[str]]
    address_statuses: AddressStatuses
    progress: PhaseReporter
    looked_at: frozenset[str] = frozenset()
    member_states: dict[str, MemberStates | None] = field(default_factory=dict)
    states: dict[str, AddressState] = field(default_factory=dict)
    wrongly_tagged: dict[str, set[str]] = field(default_factory=dict)  # suspects by segment, found in this step
    not_untagged: dict[str, set[str]] = field(default_factory=dict)
    made_ready: set[str] = field(default_factory=set)  # segments whose tag and marks are as they should be
    carried_out: dict[str, CarriedOut] = field(default_factory=dict)  # by segment; not counted and noted yet
    # Marks to store, segments by customer: one who enters several segments is written once.
    to_mark: dict[str, set[str]] = field(default_factory=dict)
    to_unmark: dict[str, set[str]] = field(default_factory=dict)
    to_pass_over: dict[str, set[str]] = field(default_factory=dict)

    @property
    def has_many_marks(self) -> bool:
        return len(self.to_mark) + len(self.to_unmark) + len(self.to_pass_over) >= _MARKS_AT_ONCE

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
    spelling: str = ""  # Mailchimp's of the address, where it has another


@dataclass(slots=True)
class Batch:
    """Addresses of one direction of a call by their keys."""

    targets: dict[str, Target] = field(default_factory=dict)

    @property
    def is_full(self) -> bool:
        return len(self.targets) == MOST_MEMBERS_A_CALL

    @property
    def addresses(self) -> list[str]:
        return [target.spelling or target.address for target in self.targets.values()]

    def confirmed(self, addresses: Iterable[str]) -> dict[str, Target]:
        there = set(addresses)
        return {key: target for key, target in self.targets.items() if target.address in there}


@dataclass(slots=True)
class Doing:
    """One segment's part of a pass. `left_out` counts customers who match and carry no tag, by reason.

    Of addresses that several customers have, `tagged` and `passed_over` tell what became of them. `failed` are those
    whose calls fail.
    """

    work: Work
    segment: Segment
    tag: Tag
    adding: Batch = field(default_factory=Batch)
    removing: Batch = field(default_factory=Batch)
    left_out: Counter[str] = field(default_factory=Counter)
    tagged: set[str] = field(default_factory=set)
    passed_over: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    trouble: Exception | None = None  # why nothing more is done for the segment
    is_cut_short: bool = False  # a call did not get to everybody

    @property
    def is_due(self) -> bool:
        return self.trouble is None and (self.adding.is_full or self.removing.is_full)

    @property
    def is_waiting(self) -> bool:
        return self.trouble is None and bool(self.adding.targets or self.removing.targets)


class Differences:
    """`note(run, added, removed)` counts what was done in the run, and answers whether the run goes on."""

    def __init__(self, *, members: MemberStore, tags: CustomerTags, note: Callable[[Run, int, int], bool]) -> None:
        self._members = members
        self._tags = tags
        self._note = note

    def carry_out(self, work: Work, segments: Sequence[Segment]) -> dict[str, Exception] | None:
        """Send all differences of some segments that have their tags; None when time was over before the end.

        Answers what stands in the way of single ones, by their ids: SegmentGone, RefuseRequest or WholeCallRefused.
        """
        doings = {segment.id: Doing(work, segment, segment.tag) for segment in segments if segment.tag is not None}
        rules = {key: doing.segment.rules for key, doing in doings.items()}
        found = differences(work.reader.walk(), rules, work.today)
        for part in slices(chain(found, _rechecks_of(work, doings)), _CUSTOMERS_AT_ONCE):
            self._look_up(work, part)
            if not all(self._take(doings, one) for one in part):
                return None
            if work.has_many_marks:
                self.keep_marks(work)
                if work.is_short_of_time:
                    return None
        waiting = [doing for doing in doings.values() if doing.is_waiting]
        for sent, doing in enumerate(waiting, start=1):
            # After the last call there is nothing left for which time could be short.
            if not self._send(doing) and sent < len(waiting):
                return None
        if any(doing.is_cut_short for doing in waiting):
            return None
        for key, doing in doings.items():
            if doing.trouble is None:
                work.carried_out[key] = CarriedOut(doing.segment, doing.left_out)
        return {key: doing.trouble for key, doing in doings.items() if doing.trouble is not None}

    def keep_marks(self, work: Work) -> None:
        """Store the marks that Mailchimp's answers asked for so far."""
        mark, unmark, pass_over = work.to_mark, work.to_unmark, work.to_pass_over
        work.to_mark, work.to_unmark, work.to_pass_over = {}, {}, {}
        self._tags.change(work.department.id, mark=mark, unmark=unmark, pass_over=pass_over)

    def tallies(self, work: Work) -> Iterator[tuple[Segment, SegmentCounts]]:
        """What there is now in the segments that were carried out: who matches carries the tag, or was left out."""
        self.keep_marks(work)
        marked, members, reached = Counter[str](), Counter[str](), Counter[str]()
        # One number an address, a bit a segment: this grows with the department and not with its segments.
        bits = {segment_id: 1 << place for place, segment_id in enumerate(work.carried_out)}
        known: dict[str | None, int] = {}
        for row in work.reader.walk() if bits else ():
            address, segment_ids = row.address_key, row.in_segments
            if not segment_ids:
                continue
            before = known.get(address, 0)
            after = before
            is_reached = address is not None and work.address_statuses.is_reached(address)
            for segment_id in segment_ids:
                bit = bits.get(segment_id, 0)
                if bit:
                    marked[segment_id] += 1
                    reached[segment_id] += is_reached
                    members[segment_id] += not before & bit
                    after |= bit
            known[address] = after
        for segment_id, done in work.carried_out.items():
            left_out = done.left_out + Counter({"shared_address": marked[segment_id] - members[segment_id]})
            customers, tagged = marked[segment_id] + done.left_out.total(), members[segment_id]
            yield done.segment, SegmentCounts(customers, tagged, reached[segment_id], dict(left_out))
        work.carried_out.clear()

    def forget_marks(self, work: Work, segment: Segment) -> bool:
        """Take the segment's mark from all customers; False when time was over before the end."""
        for part in slices(_carrying(work, segment), _CUSTOMERS_AT_ONCE):
            self._tags.unmark(segment.department_id, segment.id, [found.customer_key for found in part])
            if work.is_short_of_time:
                return False
        return True

    def heal(self, work: Work, segment: Segment, seen_addresses: SeenAddresses) -> None:
        """Bring the marks into line with Mailchimp, whose tagged members are the `seen_addresses`.

        Who lost the tag there loses the mark, so that it is sent again. Pending members keep it, since it is not
        documented whether the listing shows them. Who has it there without belonging to the
        segment becomes a suspect; only customers are looked at, so foreign members keep what somebody gave them.
        """
        for part in slices(_carrying(work, segment), _CUSTOMERS_AT_ONCE):
            lost = [
                found.customer_key
                for found in part
                if found.address_key is None or not (found.address_key in seen_addresses or _is_pending(work, found))
            ]
            self._tags.unmark(segment.department_id, segment.id, lost)
        rules = RuleSet.of(segment.rules, work.today)
        wrong = {
            row.address_key
            for row in work.reader.walk()
            if row.address_key
            and segment.id not in row.in_segments
            and row.address_key in seen_addresses
            and not rules.matches(row.filterable)
        }
        work.rechecks.setdefault(segment.id, set()).update(wrong)
        work.wrongly_tagged[segment.id] = wrong

    def keep_rechecks(self, work: Work) -> None:
        """Note whom `heal` found, for the next step: the tags are not dealt with in this one."""
        self._put_rechecks(work, work.wrongly_tagged)

    def keep_failed(self, work: Work) -> None:
        """Note who may carry a tag still since the call to take it failed, for the next run."""
        self._put_rechecks(work, work.not_untagged)

    def _put_rechecks(self, work: Work, by_segment: Mapping[str, set[str]]) -> None:
        batch = self._members.batch(work.department.id)
        for segment_id, keys in by_segment.items():
            for key in sorted(keys):
                # The segment takes a customer's place, so that one address can be noted for each of several segments.
                batch.recheck(key, left_by=segment_id, segments=(segment_id,))
        batch.flush()

    # ---------------------------------------------------------------------------------------------------- finding

    def _look_up(self, work: Work, part: Sequence[Difference]) -> None:
        """Read what is known of addresses that may be sent; what was read before is remembered."""
        if len(work.states) + len(work.member_states) + len(part) > MOST_STATES_KEPT:
            work.states.clear()
            work.member_states.clear()
        asked = [(one.address_key, one) for one in part if one.address_key is not None]
        unknown = [(key, one) for key, one in asked if key not in work.states]
        shared = list(dict.fromkeys(key for key, one in unknown if one.leaves and not _leaves_alone(work, key, one)))
        found = self._members.states(work.department.id, shared, work.audience_id)
        work.states.update(zip(shared, found, strict=True))
        others = dict.fromkeys(key for key, one in unknown if one.leaves or _may_be_tagged(work, key))
        unread = [key for key in others if key not in work.states and key not in work.member_states]
        known = self._members.member_states(work.department.id, unread) if unread else {}
        work.member_states.update({key: known.get(key) for key in unread})

    def _take(self, doings: Mapping[str, Doing], one: Difference) -> bool:
        """Put a customer into the calls of the segments concerned, and send those that are full."""
        entered = [doing for segment_id in one.enters if (doing := doings[segment_id]).trouble is None]
        left = [doing for segment_id in one.leaves if (doing := doings[segment_id]).trouble is None]
        for doing in entered:
            _take_entering(doing, one)
        for doing in left:
            _take_leaving(doing, one)
        return all(self._send(doing) for doing in (*entered, *left) if doing.is_due)

    # ---------------------------------------------------------------------------------------------------- sending

    def _send(self, doing: Doing) -> bool:
        """One call, its answer noted; False when the step should end."""
        work, segment_id = doing.work, doing.segment.id
        adding, removing = doing.adding, doing.removing
        doing.adding, doing.removing = Batch(), Batch()
        try:
            change = work.mailchimp.change_segment_surely(
                work.audience_id,
                doing.tag.id,
                add=adding.addresses,
                remove=removing.addresses,
                go_on=lambda: not work.is_short_of_time,
            )
        except (SegmentGone, RefuseRequest, WholeCallRefused) as trouble:
            doing.trouble = trouble
            return True
        work.progress.add(len(adding.targets) + len(removing.targets))
        inside = adding.confirmed((*change.added, *change.already_in))
        # An address that Mailchimp passed over is not in the audience, so it carries no tag either.
        outside = removing.confirmed((*change.removed, *change.already_out, *change.ignored))
        failed, untried = adding.confirmed(change.failed), adding.confirmed(change.untried)
        answered = inside.keys() | failed.keys() | untried.keys()
        passed_over = {key: t for key, t in adding.targets.items() if key not in answered}
        _note_marks(work.to_mark, segment_id, _customers(inside.values()))
        _note_marks(work.to_unmark, segment_id, _customers(outside.values()))
        _note_marks(work.to_pass_over, segment_id, _customers(passed_over.values()))
        if work.has_many_marks:
            self.keep_marks(work)
        doing.tagged |= {key for key in inside if not _is_alone(work, key)}
        doing.passed_over |= {key for key in passed_over if not _is_alone(work, key)}
        doing.failed |= failed.keys()
        doing.left_out["not_taken"] += len(_customers(passed_over.values()))
        doing.left_out["not_yet"] += len(_customers(failed.values()))
        work.not_untagged.setdefault(segment_id, set()).update(removing.confirmed(change.failed))
        # Who was not got to is found again by the next step.
        doing.is_cut_short = bool(change.untried)
        goes_on = self._note(work.run, len(change.added), len(change.removed))
        return goes_on and not doing.is_cut_short and not work.is_short_of_time


def differences(
    rows: Iterable[CustomerRow], segments: Mapping[str, Sequence[Rule]], today: date
) -> Iterator[Difference]:
    """Who of some customers enters or leaves any of the segments (rules by id), with an address or not."""
    rules = rule_sets(segments, today)
    for row in rows:
        fields, tags = row.filterable, row.in_segments
        enters, leaves = [], []
        for segment_id, wanted in rules.items():
            if wanted.matches(fields):
                if segment_id not in tags:
                    enters.append(segment_id)
            elif segment_id in tags:
                leaves.append(segment_id)
        if enters or leaves:
            passed_over = frozenset(row.passed_over)
            yield Difference(row.customer_key, row.address_key, tuple(enters), tuple(leaves), passed_over)


def _carrying(work: Work, segment: Segment) -> Iterator[CustomerRow]:
    """Who carries the segment's tag, whatever its rules."""
    return (row for row in work.reader.walk() if segment.id in row.in_segments)


def tagged_in(work: Work, tag: Tag, seen_addresses: SeenAddresses, *, start: int) -> int | None:
    """Note the members who carry the tag in Mailchimp, from the `start`-th on.

    Answers where to go on when time is over, None at the end. Raises SegmentGone.
    """
    for page in work.mailchimp.segment_members(work.audience_id, tag.id, start=start):
        for member in page:
            if member.status in TAGGABLE:
                seen_addresses.add(address_key(work.department.salt, member.address))
        start += len(page)
        work.progress.add(len(page))
        # An empty page is the end, however little time there is.
        if page and work.is_short_of_time:
            return start
    return None


def _is_pending(work: Work, found: CustomerRow) -> bool:
    known = work.address_statuses.get(found.address_key) if found.address_key is not None else None
    return known is not None and known.status == "pending"


def _rechecks_of(work: Work, doings: Mapping[str, Doing]) -> Iterator[Difference]:
    """Addresses that may carry a tag without a marked customer, as if they left the segment."""
    for segment_id in doings:
        for key in sorted(work.rechecks.get(segment_id, ())):
            yield Difference("", key, leaves=(segment_id,))


def _take_entering(doing: Doing, one: Difference) -> None:
    work, key, segment_id = doing.work, one.address_key, doing.segment.id
    if key is None:
        doing.left_out["no_address"] += 1
    elif key in doing.tagged:
        _note_marks(work.to_mark, segment_id, [one.customer_key])
    elif key in doing.passed_over:
        doing.left_out["not_taken"] += 1
        _note_marks(work.to_pass_over, segment_id, [one.customer_key])
    elif key in doing.failed:
        doing.left_out["not_yet"] += 1
    elif key in doing.adding.targets:
        doing.adding.targets[key].customers.append(one.customer_key)
    else:
        member = _member(work, key)
        if not _is_taggable(member):
            doing.left_out[reason_of(member.status)] += 1
        elif segment_id in one.passed_over and not _is_tried_again(work, member):
            doing.left_out["not_taken"] += 1
        else:
            doing.adding.targets[key] = Target(member.address, [one.customer_key], member.spelling)


def _take_leaving(doing: Doing, one: Difference) -> None:
    """Untag, unless the member carries no tag anyway, or must keep it for another customer with the address."""
    work, key = doing.work, one.address_key
    customers = [one.customer_key] if one.customer_key else []
    member = _member(work, key) if key is not None else None
    if key is None or member is None or not _is_taggable(member) or _holds(doing, work.states.get(key)):
        _note_marks(work.to_unmark, doing.segment.id, customers)
        return
    doing.removing.targets.setdefault(key, Target(member.address, spelling=member.spelling)).customers += customers


def _member(work: Work, key: str) -> Member:
    """What is known of an address. One that was not looked up can carry no tag; its address status says why."""
    state, member_states = work.states.get(key), work.member_states.get(key)
    if state is not None:
        return state.member
    if member_states is not None:
        return member_states.member(work.audience_id)
    known = work.address_statuses.get(key)
    return Member(key, "", status=known.status if known is not None else "absent")


def _may_be_tagged(work: Work, key: str) -> bool:
    known = work.address_statuses.get(key)
    return known is None or known.status in TAGGABLE


def _is_alone(work: Work, key: str) -> bool:
    """Whether one customer at the most has the address."""
    if key in work.states:
        address_customers = work.states[key].address_customers
        return address_customers is None or len(address_customers.customers) == 1
    known = work.address_statuses.get(key)
    return known is not None and known.customer_count == 1


def _leaves_alone(work: Work, key: str, one: Difference) -> bool:
    """Whether the customer who leaves has the address alone. Of an address without one it is somebody else's."""
    return bool(one.customer_key) and _is_alone(work, key)


def _is_tried_again(work: Work, member: Member) -> bool:
    """Whether one whom Mailchimp passed over is sent again: once there is news of a subscribed one, and by full syncs.

    Of the other statuses it is not known that they may carry tags: they wait until they are subscribed or edited.
    """
    return member.status == "subscribed" and (work.run.type == "full" or member.address_key in work.looked_at)


def _holds(doing: Doing, state: AddressState | None) -> bool:
    """Whether a customer with this address belongs to the segment; `state` is None for a customer who has it alone."""
    if state is None or state.address_customers is None:
        return False
    zone, rules = ZoneInfo(doing.work.department.timezone), doing.segment.rules
    return any(
        matches(rules, filterable(customer, zone), doing.work.today) for customer in state.address_customers.customers
    )


def _is_taggable(member: Member) -> bool:
    """Whether Mailchimp has a member who may carry a tag, and we still know the address."""
    return member.status in TAGGABLE and bool(member.address)


def _note_marks(marks: dict[str, set[str]], segment_id: str, customers: Iterable[str]) -> None:
    for customer in customers:
        marks.setdefault(customer, set()).add(segment_id)


def _customers(targets: Iterable[Target]) -> list[str]:
    return [customer for target in targets for customer in target.customers]
