"""What a step of the segments phase has at hand, and what it knows of addresses."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from chalicelib.domain.consent.members import TAGGABLE, Member
from chalicelib.domain.departments import Department
from chalicelib.domain.planning import AddressState
from chalicelib.domain.runs import Run
from chalicelib.domain.seen_addresses import SeenAddresses
from chalicelib.domain.segments.filterable import filterable
from chalicelib.domain.segments.rules import matches
from chalicelib.domain.segments.segment import Segment, Tag
from chalicelib.errors import ServiceError
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.segments import MOST_MEMBERS_A_CALL
from chalicelib.store.address_status import AddressStatuses
from chalicelib.store.customer_reading import CustomerReader
from chalicelib.store.customer_tags import MarkChanges
from chalicelib.store.members import MemberStates
from chalicelib.sync.ports import Remaining
from chalicelib.sync.runs.phase_progress import PhaseReporter
from chalicelib.sync.runs.progress import ENOUGH_SECONDS

_MARKS_AT_ONCE = 4_000


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
    tell who can carry no tag, where that is certain; `noted_statuses` tell the same as last noted, for what is only
    counted. They are loaded when first asked for, as are those of which there was news (`looked_at`).
    `states` are addresses that were read already. `unfinished` must be looked at again by the next run, since a call
    failed. `seen` are those who carry a segment's tag in Mailchimp, where that was read back.
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
    are_statuses_certain: bool
    progress: PhaseReporter
    load_looked_at: Callable[[], frozenset[str]] = frozenset
    member_states: dict[str, MemberStates | None] = field(default_factory=dict)
    states: dict[str, AddressState] = field(default_factory=dict)
    unfinished: dict[str, set[str]] = field(default_factory=dict)
    seen: dict[str, SeenAddresses] = field(default_factory=dict)
    made_ready: set[str] = field(default_factory=set)  # segments whose tag and marks are as they should be
    # By customer: one who enters several segments is written once.
    to_change: dict[str, MarkChanges] = field(default_factory=dict)
    stored_seen: set[str] = field(default_factory=set)  # segments whose `seen` is stored for the next step
    goes_on: Callable[[], bool] = lambda: True  # asks whether the run was cancelled
    leaves_some: bool = False  # addresses of which there is news are left to the next run
    calls: int = 0
    most_calls: int | None = None  # after so many the rest is to be shared out among the lanes
    loaded_statuses: AddressStatuses | None = None
    loaded_looked_at: frozenset[str] | None = None

    @property
    def address_statuses(self) -> AddressStatuses:
        return self.noted_statuses if self.are_statuses_certain else AddressStatuses({})

    @property
    def noted_statuses(self) -> AddressStatuses:
        if self.loaded_statuses is None:
            self.loaded_statuses = self.load_statuses()
        return self.loaded_statuses

    @property
    def looked_at(self) -> frozenset[str]:
        if self.loaded_looked_at is None:
            self.loaded_looked_at = self.load_looked_at()
        return self.loaded_looked_at

    @property
    def is_to_be_shared(self) -> bool:
        return self.most_calls is not None and self.calls >= self.most_calls

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


def member_at(work: Work, key: str) -> Member:
    """What is known of an address. One that was not looked up can carry no tag; its address status says why."""
    state, member_states = work.states.get(key), work.member_states.get(key)
    if state is not None:
        return state.member
    if member_states is not None:
        return member_states.member(work.audience_id)
    known = work.address_statuses.get(key)
    return Member(key, "", status=known.status if known is not None else "absent")


def may_be_tagged(work: Work, key: str) -> bool:
    known = work.address_statuses.get(key)
    return known is None or known.status in TAGGABLE


def is_alone(work: Work, key: str) -> bool:
    """Whether one customer at the most has the address."""
    if key in work.states:
        address_customers = work.states[key].address_customers
        return address_customers is None or len(address_customers.customers) == 1
    known = work.address_statuses.get(key)
    return known is not None and known.customer_count == 1


def leaves_alone(work: Work, key: str, one: Difference) -> bool:
    """Whether the customer who leaves has the address alone. Of an address without one it is somebody else's."""
    return bool(one.customer_key) and is_alone(work, key)


def is_tried_again(work: Work, member: Member) -> bool:
    """Whether one whom Mailchimp passed over is sent again: once there is news of a subscribed one, and by full syncs.

    Of the other statuses it is not known that they may carry tags: they wait until they are subscribed or edited.
    """
    return member.status == "subscribed" and (work.run.type == "full" or member.address_key in work.looked_at)


def holds(doing: Doing, state: AddressState | None) -> bool:
    """Whether a customer with this address belongs to the segment; `state` is None for a customer who has it alone."""
    if state is None or state.address_customers is None:
        return False
    zone, rules = ZoneInfo(doing.work.department.timezone), doing.segment.rules
    return any(
        matches(rules, filterable(customer, zone), doing.work.today) for customer in state.address_customers.customers
    )


def is_taggable(member: Member) -> bool:
    """Whether Mailchimp has a member who may carry a tag, and we still know the address."""
    return member.status in TAGGABLE and bool(member.address)


def is_ready(segment: Segment, audience_id: str, made_ready: Collection[str]) -> bool:
    """Whether the differences can be sent. An old fault is over only for a segment that was made ready since."""
    tag = segment.tag
    if segment.deleting or segment.stale_marks or tag is None or (segment.fault and segment.id not in made_ready):
        return False
    return tag.audience_id == audience_id and tag.name == segment.name
