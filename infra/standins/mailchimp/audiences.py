"""One audience: its members with the indexes that make calls on 500 of them cheap, its segments and hooks."""

from __future__ import annotations

import itertools
import secrets
from bisect import bisect_left
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from .addresses import subscriber_hash
from .clock import stamp
from .members import Member
from .merge_fields import MergeField, default_fields
from .readings import Readings

_KEPT_LISTINGS = 8


@dataclass
class Segment:
    """A static segment, which is the same thing as a tag, or a saved one (`conditions` set)."""

    id: int
    name: str
    created: int
    updated: int
    options: dict[str, Any] | None = None

    @property
    def is_static(self) -> bool:
        return self.options is None


@dataclass
class Webhook:
    """A webhook of an audience. `disabled` and `deleted` hooks get nothing; only the first kind is listed."""

    id: str
    url: str
    events: dict[str, bool]
    sources: dict[str, bool]
    secret: str = ""
    disabled: bool = False
    deleted: bool = False

    def wants(self, event: str, source: str) -> bool:
        """Whether it asked for the event. The source `system` (bounces, campaigns) is not filtered."""
        if self.disabled or self.deleted or not self.events.get(event):
            return False
        return source == "system" or bool(self.sources.get(source))


@dataclass
class Audience:
    """All state of one audience. Callers hold the world's lock."""

    id: str
    web_id: int
    settings: dict[str, Any]
    created: int
    readings: Readings
    merge_fields: list[MergeField] = field(default_factory=default_fields)
    segments: dict[int, Segment] = field(default_factory=dict)
    webhooks: list[Webhook] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    throttled: set[str] = field(default_factory=set)
    next_number: int = 1000
    next_merge_id: int = 5

    def __post_init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.by_id: dict[str, Member] = {}
        self.by_address: dict[str, Member] = {}
        self.tagged: dict[int, dict[str, Member]] = {segment: {} for segment in self.segments}
        self.counts: Counter[str] = Counter()
        self.version = 0
        self.stats_cache: tuple[int, dict[str, Any]] | None = None
        # What the state file does not know yet.
        self.unsaved: set[str] = set()
        self.settings_unsaved = True
        self._moved: set[str] = set()
        self._by_last_changed: list[Member] = []
        self._listings: OrderedDict[object, tuple[int, list[Member]]] = OrderedDict()
        self.refresh_fields()

    # --- members ---

    def find(self, key: str) -> Member | None:
        """By md5 of the address, contact id or the address itself."""
        return self.by_id.get(key.lower()) or self.by_address.get(key.lower()) or self.members.get(key)

    def add(self, member: Member) -> None:
        """Take a new member into all indexes."""
        self.members[member.contact_id] = member
        self.by_id[member.id] = member
        self.by_address[member.address.lower()] = member
        self.counts[member.status] += 1
        for tag in member.tags:
            self.tagged[tag][member.contact_id] = member
        self.mark(member)

    def remove(self, member: Member) -> None:
        """Drop a member for good."""
        del self.members[member.contact_id]
        del self.by_id[member.id]
        del self.by_address[member.address.lower()]
        self.counts[member.status] -= 1
        for tag in member.tags:
            self.tagged[tag].pop(member.contact_id, None)
        self.mark(member)

    def rename(self, member: Member, address: str) -> None:
        """Give a member a new address; its id follows."""
        del self.by_id[member.id]
        del self.by_address[member.address.lower()]
        member.address, member.id = address, subscriber_hash(address)
        self.by_id[member.id] = member
        self.by_address[address.lower()] = member

    def set_status(self, member: Member, status: str) -> None:
        self.counts[member.status] -= 1
        self.counts[status] += 1
        member.status = status

    def touch(self, member: Member, now: int) -> None:
        """A real change: move `last_changed`."""
        member.last_changed = now
        self.mark(member)

    def mark(self, member: Member) -> None:
        """Have the member saved and every listing made anew."""
        self.version += 1
        self.unsaved.add(member.contact_id)
        self._moved.add(member.contact_id)

    def shown_address(self, member: Member) -> str:
        return member.address.lower() if self.readings.address_case == "lower" else member.address

    def by_last_changed(self) -> list[Member]:
        """All members by ascending `last_changed`; equal ones in an arbitrary but steady order."""
        if self._moved:
            moved = self._moved
            order = [member for member in self._by_last_changed if member.contact_id not in moved]
            fresh = sorted((self.members[key] for key in moved if key in self.members), key=_changed_key)
            if fresh:
                # Changes are usually the newest: only what lies behind the first of them is sorted again.
                start = bisect_left(order, _changed_key(fresh[0]), key=_changed_key)
                order[start:] = sorted(order[start:] + fresh, key=_changed_key)
            self._by_last_changed = order
            self._moved = set()
        return self._by_last_changed

    def listing(self, key: object, select: Callable[[], list[Member]]) -> list[Member]:
        """The members of a listing, kept until the audience changes so that paging does not select anew."""
        kept = self._listings.get(key)
        if kept is None or kept[0] != self.version:
            kept = (self.version, select())
            self._listings[key] = kept
            if len(self._listings) > _KEPT_LISTINGS:
                self._listings.popitem(last=False)
        return kept[1]

    # --- merge fields ---

    def refresh_fields(self) -> None:
        """After a merge field came, changed or went."""
        self.merge_tags = [item.tag for item in self.merge_fields]
        self.fields_by_tag = {item.tag: item for item in self.merge_fields}
        self.required_tags = [item.tag for item in self.merge_fields if item.required]
        self.settings_unsaved = True
        self.version += 1

    # --- segments and tags ---

    def new_number(self) -> int:
        self.next_number += 1
        self.settings_unsaved = True
        return self.next_number

    def add_segment(self, name: str, now: int, options: dict[str, Any] | None = None) -> Segment:
        segment = Segment(self.new_number(), name, now, now, options)
        self.segments[segment.id] = segment
        self.tagged[segment.id] = {}
        self.settings_unsaved = True
        return segment

    def remove_segment(self, segment: Segment) -> None:
        for member in list(self.tagged[segment.id].values()):
            del member.tags[segment.id]
            self.mark(member)
        del self.segments[segment.id], self.tagged[segment.id]
        self.settings_unsaved = True

    def segment_named(self, name: str) -> Segment | None:
        """The first static segment of that name; case does not count."""
        wanted = name.strip().lower()
        return next((item for item in self.segments.values() if item.is_static and item.name.lower() == wanted), None)

    def tag_for(self, name: str, now: int) -> Segment:
        """The tag of that name, made if it is not there; a known tag keeps its own spelling."""
        return self.segment_named(name) or self.add_segment(name.strip(), now)

    def add_tag(self, member: Member, segment: Segment, now: int) -> bool:
        """Tag a member; false if it had the tag."""
        if segment.id in member.tags:
            return False
        member.tags[segment.id] = now
        self.tagged[segment.id][member.contact_id] = member
        return True

    def remove_tag(self, member: Member, segment: Segment) -> bool:
        if segment.id not in member.tags:
            return False
        del member.tags[segment.id]
        del self.tagged[segment.id][member.contact_id]
        return True

    # --- figures ---

    def stats(self, now: int) -> dict[str, Any]:
        """Counts of the audience, served from a cache as Mailchimp does."""
        if self.stats_cache is None or now - self.stats_cache[0] >= self.readings.stats_cached_seconds:
            self.stats_cache = (now, self._count())
        return self.stats_cache[1]

    def _count(self) -> dict[str, Any]:
        since_send = ("member_count_since_send", "unsubscribe_count_since_send", "cleaned_count_since_send")
        rates = ("avg_sub_rate", "avg_unsub_rate", "target_sub_rate", "open_rate", "click_rate")
        joined = max((member.timestamp_opt for member in self.members.values()), default=0)
        left = max((member.unsubscribed_at for member in self.members.values()), default=0)
        return {
            "member_count": self.counts["subscribed"],
            "total_contacts": len(self.members),
            "unsubscribe_count": self.counts["unsubscribed"],
            "cleaned_count": self.counts["cleaned"],
            **dict.fromkeys(since_send, 0),
            "campaign_count": 0,
            "campaign_last_sent": "",
            "merge_field_count": len(self.merge_fields),
            **dict.fromkeys(rates, 0),
            "last_sub_date": stamp(joined),
            "last_unsub_date": stamp(left),
        }

    # --- the state file ---

    def record(self) -> dict[str, Any]:
        """Everything but the members."""
        return {
            "id": self.id,
            "web_id": self.web_id,
            "settings": self.settings,
            "created": self.created,
            "merge_fields": [asdict(item) for item in self.merge_fields],
            "segments": [asdict(item) for item in self.segments.values()],
            "webhooks": [asdict(item) for item in self.webhooks],
            "forgotten": sorted(self.forgotten),
            "throttled": sorted(self.throttled),
            "next_number": self.next_number,
            "next_merge_id": self.next_merge_id,
        }

    @classmethod
    def from_record(cls, record: dict[str, Any], members: Iterable[Member], readings: Readings) -> Audience:
        audience = cls(
            **record
            | {
                "merge_fields": [MergeField(**item) for item in record["merge_fields"]],
                "segments": {item["id"]: Segment(**item) for item in record["segments"]},
                "webhooks": [Webhook(**item) for item in record["webhooks"]],
                "forgotten": set(record["forgotten"]),
                "throttled": set(record["throttled"]),
                "readings": readings,
            }
        )
        for member in sorted(members, key=lambda item: item.web_id):
            audience.add(member)
        audience.unsaved.clear()
        audience.settings_unsaved = False
        return audience


def _changed_key(member: Member) -> tuple[int, str]:
    # The contact id is random: an order that helps nobody.
    return member.last_changed, member.contact_id


def new_audience(settings: dict[str, Any], *, now: int, readings: Readings) -> Audience:
    """An empty audience with Mailchimp's default merge fields."""
    return Audience(secrets.token_hex(5), next(_WEB_IDS), settings, now, readings)


_WEB_IDS = itertools.count(secrets.randbelow(1_000_000) + 1_000)
