"""The differences between who belongs to segments and who carries their tags: found, sent, noted.

Customers are held against all segments, in one reading of everybody or of those who changed. The addresses of those who
enter or leave go out at most 500 each way in a call, and a customer's mark changes only after Mailchimp's answer said
so: whatever is cut short is found again, and sent again it changes nothing. Mailchimp passes over addresses that are
not in the audience in silence, so what it answers is compared with what was asked. Whom it passed over is remembered
and not sent again and again. A call that fails says nothing about its members: the next run sends them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from chalicelib.domain.consent.members import Member
from chalicelib.domain.customers import address_key
from chalicelib.domain.departments import Department
from chalicelib.domain.planning import AddressState
from chalicelib.domain.runs import Run
from chalicelib.domain.seen_addresses import SeenAddresses
from chalicelib.domain.segments.evaluation import rule_sets
from chalicelib.domain.segments.filterable import filterable
from chalicelib.domain.segments.membership_counts import MembershipCounts
from chalicelib.domain.segments.rules import matches
from chalicelib.domain.segments.segment import TAGGABLE, Segment, Tag, reason_of
from chalicelib.errors import RefuseRequest, ServiceError
from chalicelib.iteration import slices
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.errors import SegmentGone, WholeCallRefused
from chalicelib.mailchimp.segments import MOST_MEMBERS_A_CALL
from chalicelib.store.address_status import AddressStatuses
from chalicelib.store.customer_reading import CustomerReader, CustomerRow, place_of
from chalicelib.store.customer_tags import CustomerTags, MarkChanges, left_out_text
from chalicelib.store.members import MemberStates, MemberStore
from chalicelib.sync.ports import Remaining
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.progress import ENOUGH_SECONDS

_CUSTOMERS_AT_ONCE = 500
_MARKS_AT_ONCE = 4_000
# The run is looked at, whether it was cancelled, once for so many parts of customers: about once a second.
_PARTS_A_LOOK = 20
MOST_STATES_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Difference:
    """A customer who enters or leaves segments, which are told by their ids.

    `left_out` says why the customer did not carry their tags so far, `obsolete` are those of its segments that this is
    no longer true of. `lost` are those among `enters` whose tag the member lost although the customer is marked.
    """

    customer_key: str
    address_key: str | None
    enters: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    obsolete: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Work:
    """What a step has at hand for all segments of a department.

    `rechecks` are addresses, by segment, that may carry its tag although no customer is marked so. `address_statuses`
    tell who can carry no tag; they are loaded when first asked for. `states` are addresses that were read already,
    `looked_at` those of which there was news. `not_settled` are addresses that must be looked at again by the next run,
    since a call failed. `seen` are those who carry a segment's tag in Mailchimp, where that was read back.
    """

    run: Run
    department: Department
    audience_id: str
    today: date
    reader: CustomerReader
    mailchimp: MailchimpClient
    remaining: Remaining
    rechecks: dict[str, set[str]]
    load_statuses: Callable[[], AddressStatuses]
    progress: PhaseReporter
    looked_at: frozenset[str] = frozenset()
    member_states: dict[str, MemberStates | None] = field(default_factory=dict)
    states: dict[str, AddressState] = field(default_factory=dict)
    not_settled: dict[str, set[str]] = field(default_factory=dict)
    seen: dict[str, SeenAddresses] = field(default_factory=dict)
    made_ready: set[str] = field(default_factory=set)  # segments whose tag and marks are as they should be
    # By customer: one who enters several segments is written once.
    to_change: dict[str, MarkChanges] = field(default_factory=dict)
    stored_seen: set[str] = field(default_factory=set)  # segments whose `seen` is stored for the next step
    goes_on: Callable[[], bool] = lambda: True  # asks whether the run was cancelled
    leaves_some: bool = False  # addresses of which there is news are left to the next run
    loaded_statuses: AddressStatuses | None = None

    @property
    def address_statuses(self) -> AddressStatuses:
        if self.loaded_statuses is None:
            self.loaded_statuses = self.load_statuses()
        return self.loaded_statuses

    @property
    def has_many_marks(self) -> bool:
        return len(self.to_change) >= _MARKS_AT_ONCE

    @property
    def is_short_of_time(self) -> bool:
        return self.remaining() < ENOUGH_SECONDS

    def marks_of(self, customer: str) -> MarkChanges:
        return self.to_change.setdefault(customer, MarkChanges())


@dataclass(frozen=True, slots=True)
class Passed:
    """How far customers were held against segments.

    `troubles` are what stands in the way of single segments, by their ids: SegmentGone, RefuseRequest or
    WholeCallRefused. `stopped_at` is where to go on (a place of the walk), None at the end.
    """

    troubles: dict[str, ServiceError]
    stopped_at: str | None = None


@dataclass(slots=True)
class Target:
    """An address to tag or untag, and the customers whose mark follows."""

    address: str
    customers: list[Difference] = field(default_factory=list)
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
    """One segment's part of a pass.

    Of addresses that several customers have, `tagged` and `passed_over` tell what became of them. `failed` are those
    whose calls fail. `waiting_since` is the place before the first customer who waits to be sent.
    """

    work: Work
    segment: Segment
    tag: Tag
    adding: Batch = field(default_factory=Batch)
    removing: Batch = field(default_factory=Batch)
    tagged: set[str] = field(default_factory=set)
    passed_over: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    trouble: ServiceError | None = None  # why nothing more is done for the segment
    waiting_since: str = ""

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

    def carry_out(
        self, work: Work, segments: Sequence[Segment], rows: Iterable[CustomerRow], *, after: str = ""
    ) -> Passed:
        """Hold customers against segments that have their tags, and send the differences.

        The clock is looked at between two parts of the customers. Who does not get the time for everything stops at a
        place before which everything is settled, and never stops without having gone on. `after` is where the rows
        begin. Rechecks come after the rows.
        """
        doings = {segment.id: Doing(work, segment, segment.tag) for segment in segments if segment.tag is not None}
        place, is_stopped = after, False
        for number, part in enumerate(slices(rows, _CUSTOMERS_AT_ONCE)):
            found = list(differences(part, doings, work.today, work.seen))
            if not self._take_all(work, doings, found, place):
                is_stopped = True
                break
            place = place_of(part[-1].customer_key)
            if work.is_short_of_time or (number % _PARTS_A_LOOK == 0 and not work.goes_on()):
                is_stopped = True
                break
        if not is_stopped:
            is_stopped = not self._take_all(work, doings, list(_rechecks_of(work, doings)), place)
        stopped_at = self._send_waiting(work, doings, place, is_stopped=is_stopped)
        self.keep_marks(work)
        return Passed({key: d.trouble for key, d in doings.items() if d.trouble is not None}, stopped_at)

    def _take_all(self, work: Work, doings: Mapping[str, Doing], found: Sequence[Difference], place: str) -> bool:
        """Put customers into the calls of their segments; False when the step should end."""
        for part in slices(found, _CUSTOMERS_AT_ONCE):
            self._look_up(work, part)
            for one in part:
                if not self._take(doings, one, place):
                    return False
            if work.has_many_marks:
                self.keep_marks(work)
        return True

    def _send_waiting(self, work: Work, doings: Mapping[str, Doing], place: str, *, is_stopped: bool) -> str | None:
        """Send what waits, in the order in which it began to; None when everything is settled, else where to go on.

        A step that has to stop sends one call more, so that each step settles something.
        """
        for doing in sorted((d for d in doings.values() if d.is_waiting), key=lambda d: d.waiting_since):
            if is_stopped and not work.goes_on():
                break
            if not self._send(doing) or is_stopped:
                break
        left = [doing.waiting_since for doing in doings.values() if doing.is_waiting]
        return min([place, *left]) if is_stopped or left else None

    def keep_marks(self, work: Work) -> None:
        """Store the marks that Mailchimp's answers asked for so far."""
        changes, work.to_change = work.to_change, {}
        self._tags.change(work.department.id, changes)

    def count(self, work: Work, segments: Sequence[Segment]) -> MembershipCounts:
        """What there is now in some segments, of all customers."""
        self.keep_marks(work)
        counts = MembershipCounts([segment.id for segment in segments])
        for row in work.reader.walk():
            tags, left_out = row.in_segments, row.left_out
            if tags or left_out:
                key = row.address_key
                known = work.address_statuses.get(key) if key is not None else None
                counts.add(
                    key,
                    tags,
                    left_out,
                    is_reached=known is not None and known.is_reached,
                    is_alone=known is not None and known.customer_count == 1,
                )
        return counts

    def forget_marks(self, work: Work, segment: Segment) -> bool:
        """Take everything of the segment from all customers; False when time was over before the end."""
        concerned = (row for row in work.reader.walk() if segment.id in row.in_segments or segment.id in row.left_out)
        for part in slices(concerned, _CUSTOMERS_AT_ONCE):
            self._tags.unmark(segment.department_id, segment.id, part)
            if work.is_short_of_time:
                return False
        return True

    def keep_unsettled(self, work: Work) -> None:
        """Note whom the next run must look at again, since a call about them failed."""
        batch = self._members.batch(work.department.id)
        for segment_id, keys in work.not_settled.items():
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

    def _take(self, doings: Mapping[str, Doing], one: Difference, place: str) -> bool:
        """Put a customer into the calls of the segments concerned, and send those that are full."""
        entered = [doing for segment_id in one.enters if (doing := doings[segment_id]).trouble is None]
        left = [doing for segment_id in one.leaves if (doing := doings[segment_id]).trouble is None]
        for doing in (*entered, *left):
            if not doing.is_waiting:
                doing.waiting_since = place
        for doing in entered:
            _take_entering(doing, one)
        for doing in left:
            _take_leaving(doing, one)
        for segment_id in one.obsolete:
            _let_in(doings[segment_id], one)
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
        for one in _customers(inside.values()):
            _mark(doing, one)
        for one in _customers(outside.values()):
            _unmark(doing, one)
        for one in _customers(passed_over.values()):
            _leave_out(doing, one, "not_taken")
        for one in _customers(failed.values()):
            _leave_out(doing, one, "not_yet")
        if work.has_many_marks:
            self.keep_marks(work)
        doing.tagged |= {key for key in inside if not _is_alone(work, key)}
        doing.passed_over |= {key for key in passed_over if not _is_alone(work, key)}
        doing.failed |= failed.keys()
        work.not_settled.setdefault(segment_id, set()).update(failed, removing.confirmed(change.failed))
        # Who was not got to is sent again, by this step or the next one.
        doing.adding = Batch(untried)
        doing.removing = Batch(removing.confirmed(change.untried))
        goes_on = self._note(work.run, len(change.added), len(change.removed))
        return goes_on and not change.untried and not work.is_short_of_time


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


def differences(
    rows: Iterable[CustomerRow], doings: Mapping[str, Doing], today: date, seen: Mapping[str, SeenAddresses]
) -> Iterator[Difference]:
    """Who of some customers enters or leaves any of the segments, with an address or not.

    Where the tag's members were read back (`seen`), these are what counts: who is marked and lost the tag enters again,
    who has it without belonging to the segment leaves. Foreign members keep what somebody gave them.
    """
    rules = rule_sets({key: doing.segment.rules for key, doing in doings.items()}, today)
    for row in rows:
        fields, tags, left_out, address = row.filterable, row.in_segments, row.left_out, row.address_key
        enters, leaves, obsolete, lost = [], [], [], []
        for segment_id, wanted in rules.items():
            is_tagged = segment_id in tags
            if wanted.matches(fields):
                if not is_tagged:
                    enters.append(segment_id)
                elif segment_id in seen and _has_lost(doings[segment_id], address, seen[segment_id]):
                    enters.append(segment_id)
                    lost.append(segment_id)
                elif segment_id in left_out:
                    obsolete.append(segment_id)
                continue
            if is_tagged or (segment_id in seen and address is not None and address in seen[segment_id]):
                leaves.append(segment_id)
            if segment_id in left_out:
                obsolete.append(segment_id)
        if enters or leaves or obsolete:
            yield Difference(
                row.customer_key, address, tuple(enters), tuple(leaves), tuple(obsolete), tuple(lost), left_out
            )


def _has_lost(doing: Doing, address: str | None, seen: SeenAddresses) -> bool:
    """Whether a marked customer's member lost the tag in Mailchimp.

    Pending members keep the mark, since it is not documented whether the listing shows them.
    """
    if address is None:
        return True
    if address in seen:
        return False
    known = doing.work.address_statuses.get(address)
    return known is None or known.status != "pending"


def _rechecks_of(work: Work, doings: Mapping[str, Doing]) -> Iterator[Difference]:
    """Addresses that may carry a tag without a marked customer, as if they left the segment."""
    for segment_id in doings:
        for key in sorted(work.rechecks.get(segment_id, ())):
            yield Difference("", key, leaves=(segment_id,))


def _mark(doing: Doing, one: Difference) -> None:
    changes = doing.work.marks_of(one.customer_key)
    changes.mark.add(doing.segment.id)
    changes.unmark.discard(doing.segment.id)
    _let_in(doing, one)


def _unmark(doing: Doing, one: Difference) -> None:
    if one.customer_key:
        doing.work.marks_of(one.customer_key).unmark.add(doing.segment.id)


def _leave_out(doing: Doing, one: Difference, code: str) -> None:
    """Note why a customer who belongs to the segment does not carry its tag, where that is not known."""
    if one.left_out.get(doing.segment.id) != code:
        _let_in(doing, one)
        doing.work.marks_of(one.customer_key).leave_out.add(left_out_text(doing.segment.id, code))


def _let_in(doing: Doing, one: Difference) -> None:
    segment_id = doing.segment.id
    if segment_id in one.left_out:
        doing.work.marks_of(one.customer_key).let_in.add(left_out_text(segment_id, one.left_out[segment_id]))


def _take_entering(doing: Doing, one: Difference) -> None:
    work, key, segment_id = doing.work, one.address_key, doing.segment.id
    if segment_id in one.lost:
        _unmark(doing, one)
    if key is None:
        _leave_out(doing, one, "no_address")
    elif key in doing.tagged:
        _mark(doing, one)
    elif key in doing.passed_over:
        _leave_out(doing, one, "not_taken")
    elif key in doing.failed:
        _leave_out(doing, one, "not_yet")
    elif key in doing.adding.targets:
        doing.adding.targets[key].customers.append(one)
    else:
        member = _member(work, key)
        if not _is_taggable(member):
            _leave_out(doing, one, reason_of(member.status))
        elif one.left_out.get(segment_id) == "not_taken" and not _is_tried_again(work, member):
            return
        else:
            doing.adding.targets[key] = Target(member.address, [one], member.spelling)


def _take_leaving(doing: Doing, one: Difference) -> None:
    """Untag, unless the member carries no tag anyway, or must keep it for another customer with the address."""
    work, key = doing.work, one.address_key
    member = _member(work, key) if key is not None else None
    if key is None or member is None or not _is_taggable(member) or _holds(doing, work.states.get(key)):
        _unmark(doing, one)
        return
    doing.removing.targets.setdefault(key, Target(member.address, spelling=member.spelling)).customers.append(one)


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


def _customers(targets: Iterable[Target]) -> list[Difference]:
    return [one for target in targets for one in target.customers]
