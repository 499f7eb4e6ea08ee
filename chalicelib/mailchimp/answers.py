"""What Mailchimp tells, as values. Readers are lenient: a missing or odd part becomes empty, never an error.

Shapes: Marketing API 3.0, contract 3.0.91. Addresses are lower-cased, since Mailchimp keys members that way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from chalicelib.domain.audiences import MergeField
from chalicelib.domain.consent.members import Status
from chalicelib.domain.customers import mail_address
from chalicelib.domain.moments import parse_moment
from chalicelib.domain.refusals import FAILING_CALL
from chalicelib.domain.texts import text_of

if TYPE_CHECKING:
    from chalicelib.http_client.calls import FailedAlike

Document = Mapping[str, Any]
_STATUSES: Mapping[str, Status] = {status: status for status in get_args(Status)}


@dataclass(frozen=True, slots=True)
class Account:
    """The account behind a key; `role` is the level of the key's user, e.g. `owner`."""

    account_id: str
    account_name: str
    role: str


@dataclass(frozen=True, slots=True)
class Audience:
    """An audience. `member_count` counts the subscribed; Mailchimp caches it for some minutes."""

    id: str
    name: str
    member_count: int
    double_optin: bool
    marketing_permissions: bool  # GDPR fields are on


@dataclass(frozen=True, slots=True)
class Audiences:
    """The account's audiences. `max_instances` is None when the plan sets no limit."""

    items: tuple[Audience, ...]
    may_create: bool
    max_instances: int | None
    current: int


@dataclass(frozen=True, slots=True)
class RemoteMember:
    """A member as Mailchimp has it. Listings leave `merge_fields` empty unless asked."""

    id: str  # md5 of the address, as a rule
    contact_id: str  # stays when the address changes
    address: str = field(repr=False)
    status: Status
    last_changed: datetime | None  # None only when Mailchimp sent none
    unsubscribe_reason: str = ""
    timestamp_opt: datetime | None = None
    merge_fields: Mapping[str, object] = field(default_factory=dict, repr=False)
    spelling: str = field(default="", repr=False)  # of the address, where Mailchimp has another than we compare by


@dataclass(frozen=True, slots=True)
class RefusedMember:
    """A member that Mailchimp refused, in its own words; domain/refusals.py tells what they mean."""

    address: str = field(repr=False)
    text: str = field(repr=False)
    code: str = ""
    field: str = ""
    field_message: str = ""


def failed_member(address: str, failed: FailedAlike) -> RefusedMember:
    """A member for which Mailchimp does not answer, while it does for others."""
    status = failed.transient.status
    return RefusedMember(address, f"HTTP {status}" if status is not None else "", FAILING_CALL)


@dataclass(frozen=True, slots=True)
class MemberAnswer:
    """What became of a call about one member.

    `done`: carried out, or it was so already. `absent`: nobody with this address is in the audience. `refused`:
    Mailchimp does not do it; `refused` holds its words. `unmoved`: Mailchimp took a rename and left the address as it
    was. `member` is how the member is now, where Mailchimp tells.
    """

    outcome: Literal["done", "absent", "refused", "unmoved"]
    member: RemoteMember | None = None
    refused: RefusedMember | None = None


@dataclass(frozen=True, slots=True)
class PushAnswer:
    """What became of each member of a push.

    `unsettled` are addresses of which nothing is known, though the push is over: they belong into a later one.
    `untried` are those that the push did not get to: it is to be taken up again with them.
    """

    created: tuple[RemoteMember, ...] = ()
    updated: tuple[RemoteMember, ...] = ()
    refused: tuple[RefusedMember, ...] = ()
    unsettled: tuple[str, ...] = ()
    untried: tuple[str, ...] = ()

    def __add__(self, other: PushAnswer) -> PushAnswer:
        return PushAnswer(
            self.created + other.created,
            self.updated + other.updated,
            self.refused + other.refused,
            self.unsettled + other.unsettled,
            self.untried + other.untried,
        )


@dataclass(frozen=True, slots=True)
class Segment:
    """A static segment, which is a tag at the same time: same id, same name."""

    id: int
    name: str
    member_count: int


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook of an audience. Its address holds our token, so it is not shown; the secret comes at creation only."""

    id: str
    url: str = field(repr=False)
    signing_secret: str | None = field(repr=False)
    events: Mapping[str, bool]
    sources: Mapping[str, bool]


def subscriber_hash(address: str) -> str:
    """Mailchimp's id of a member: md5 of the lower-cased address."""
    return id_of_spelling(mail_address(address))


def id_of_spelling(address: str) -> str:
    """The id of a member whose address Mailchimp has in just this spelling."""
    return hashlib.md5(address.encode(errors="surrogatepass"), usedforsecurity=False).hexdigest()


def read_account(document: Document) -> Account:
    return Account(
        account_id=_text(document, "account_id"),
        account_name=_text(document, "account_name"),
        role=_text(document, "role"),
    )


def read_audience(document: Document) -> Audience:
    return Audience(
        id=_text(document, "id"),
        name=_text(document, "name"),
        member_count=_count(_part(document, "stats"), "member_count"),
        double_optin=document.get("double_optin") is True,
        marketing_permissions=document.get("marketing_permissions") is True,
    )


def read_audiences(audiences: tuple[Document, ...], first_page: Document) -> Audiences:
    limits = _part(first_page, "constraints")
    maximum = limits.get("max_instances")
    return Audiences(
        items=tuple(read_audience(audience) for audience in audiences),
        # Without constraints nothing forbids it; creating tells.
        may_create=limits.get("may_create") is not False,
        max_instances=maximum if isinstance(maximum, int) and maximum >= 0 else None,
        current=_count(limits, "current_total_instances") or len(audiences),
    )


def read_merge_field(document: Document) -> MergeField:
    return MergeField(
        merge_id=_count(document, "merge_id"),
        tag=_text(document, "tag"),
        type=_text(document, "type"),
        required=document.get("required") is True,
        phone_format=_text(_part(document, "options"), "phone_format"),
    )


def read_member(document: Document) -> RemoteMember:
    return RemoteMember(
        id=_text(document, "id"),
        contact_id=_text(document, "contact_id"),
        address=(address := mail_address(_text(document, "email_address"))),
        spelling=_spelling(_text(document, "email_address"), address),
        status=_status(document.get("status")),
        last_changed=parse_moment(_text(document, "last_changed")),
        unsubscribe_reason=_text(document, "unsubscribe_reason"),
        timestamp_opt=parse_moment(_text(document, "timestamp_opt")),
        merge_fields=_part(document, "merge_fields"),
    )


def _spelling(written: str, address: str) -> str:
    """Mailchimp's own spelling, where its domain is not written as we compare it."""
    return "" if written.isascii() or address == written.lower() else written.lower()


def read_refused(document: Document) -> RefusedMember:
    return RefusedMember(
        address=mail_address(_text(document, "email_address")),
        text=_text(document, "error"),
        code=_text(document, "error_code"),
        field=_text(document, "field"),
        field_message=_text(document, "field_message"),
    )


def read_segment(document: Document) -> Segment:
    return Segment(
        id=_count(document, "id"),
        name=_text(document, "name"),
        member_count=_count(document, "member_count"),
    )


def read_webhook(document: Document) -> Webhook:
    return Webhook(
        id=_text(document, "id"),
        url=_text(document, "url"),
        signing_secret=_text(document, "signing_secret") or None,
        events=_switches(document, "events"),
        sources=_switches(document, "sources"),
    )


def objects(document: Document, name: str) -> tuple[Document, ...]:
    """The objects of a list in an answer; anything else in it is left out."""
    found = document.get(name)
    return tuple(item for item in found if isinstance(item, dict)) if isinstance(found, list) else ()


def total_items(document: Document) -> int | None:
    total = document.get("total_items")
    return total if isinstance(total, int) else None


def _status(word: object) -> Status:
    """A status that Mailchimp may add one day counts as `pending`: a state in which we leave people alone."""
    return _STATUSES.get(word, "pending") if isinstance(word, str) else "pending"


def _text(document: Document, name: str) -> str:
    return text_of(document.get(name))


def _count(document: Document, name: str) -> int:
    value = document.get(name)
    return value if isinstance(value, int) else 0


def _part(document: Document, name: str) -> Document:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _switches(document: Document, name: str) -> dict[str, bool]:
    return {key: value is True for key, value in _part(document, name).items()}
