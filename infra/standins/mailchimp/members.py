"""A member of an audience and how the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from .addresses import unique_email_id
from .clock import stamp
from .merge_fields import MergeValue

if TYPE_CHECKING:
    from .audiences import Audience

ADMIN_REASON = "N/A (Unsubscribed by admin)"
MAX_TAGS_SHOWN = 50


@dataclass(slots=True)
class Member:
    """One contact of one audience. Instants are whole seconds since 1970, 0 where unknown.

    `blocked` is empty, or why nobody but the person may subscribe again: "person", "complaint" or "bounce".
    It outlives archiving. `joins` are the last times the address was added (for the sign-up throttle).
    """

    contact_id: str
    id: str
    address: str
    web_id: int
    status: str
    last_changed: int
    created: int
    merges: dict[str, MergeValue] = field(default_factory=dict)
    tags: dict[int, int] = field(default_factory=dict)
    email_type: str = "html"
    language: str = ""
    vip: bool = False
    location: dict[str, float] = field(default_factory=dict)
    ip_signup: str = ""
    timestamp_signup: int = 0
    ip_opt: str = ""
    timestamp_opt: int = 0
    source: str = "API - Generic"
    rating: int = 2
    blocked: str = ""
    unsubscribe_reason: str = ""
    unsubscribed_at: int = 0
    campaign_id: str = ""
    confirmations_sent: int = 0
    joins: list[int] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """Everything, for the state file."""
        return {name: getattr(self, name) for name in _FIELD_NAMES}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Member:
        member = cls(**record)
        member.tags = {int(tag_id): added for tag_id, added in member.tags.items()}
        return member


_FIELD_NAMES = tuple(item.name for item in fields(Member))


def member_view(audience: Audience, member: Member) -> dict[str, Any]:
    """The member object of the API, with every key of contract 3.0.91."""
    merges = {tag: member.merges.get(tag, "") for tag in audience.merge_tags}
    view: dict[str, Any] = {
        "id": member.id,
        "email_address": audience.shown_address(member),
        "unique_email_id": unique_email_id(member.address),
        "contact_id": member.contact_id,
        "full_name": f"{merges.get('FNAME', '')} {merges.get('LNAME', '')}".strip(),
        "web_id": member.web_id,
        "email_type": member.email_type,
        "status": member.status,
        "consents_to_one_to_one_messaging": True,
        "sms_phone_number": "",
        "sms_subscription_status": "",
        "sms_subscription_last_updated": "",
        "merge_fields": merges,
        "interests": {},
        "stats": {"avg_open_rate": 0, "avg_click_rate": 0},
        "ip_signup": member.ip_signup,
        "timestamp_signup": stamp(member.timestamp_signup),
        "ip_opt": member.ip_opt,
        "timestamp_opt": stamp(member.timestamp_opt),
        "member_rating": member.rating,
        "last_changed": stamp(member.last_changed),
        "language": member.language,
        "vip": member.vip,
        "email_client": "",
        "location": _location(member),
        "marketing_permissions": [],
        "last_note": None,
        "source": member.source,
        "tags_count": len(member.tags),
        "tags": [{"id": tag, "name": audience.segments[tag].name} for tag in list(member.tags)[:MAX_TAGS_SHOWN]],
        "list_id": audience.id,
        "_links": [],
    }
    if member.status == "unsubscribed":
        view["unsubscribe_reason"] = member.unsubscribe_reason
    return view


def _location(member: Member) -> dict[str, Any]:
    return {
        "latitude": member.location.get("latitude", 0),
        "longitude": member.location.get("longitude", 0),
        "gmtoff": 0,
        "dstoff": 0,
        "country_code": "",
        "timezone": "",
        "region": "",
    }


MEMBER_KEYS = frozenset(
    "id email_address unique_email_id contact_id full_name web_id email_type status unsubscribe_reason "
    "consents_to_one_to_one_messaging sms_phone_number sms_subscription_status sms_subscription_last_updated "
    "merge_fields interests stats ip_signup timestamp_signup ip_opt timestamp_opt member_rating last_changed "
    "language vip email_client location marketing_permissions last_note source tags_count tags list_id _links".split()
)
