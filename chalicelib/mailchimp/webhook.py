"""Webhook calls from Mailchimp: the signature, the form, the event in it. Nothing here writes, asks or logs.

Shapes: Marketing API's documentation, "Webhooks" (2026): a form, one event a call, with keys such as `data[email]`.
This module is loaded by a function that must answer fast, so it imports little.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Literal, cast, get_args
from urllib.parse import parse_qsl

from chalicelib.domain.customers import mail_address

if TYPE_CHECKING:
    from collections.abc import Mapping

EventType = Literal["subscribe", "unsubscribe", "profile", "cleaned", "upemail"]

# Older signatures may be recordings that somebody plays back.
MAX_SIGNATURE_AGE_SECONDS = 300
_FIRED_AT = "%Y-%m-%d %H:%M:%S"
_MOST_FIELDS = 2_000
_LONGEST_ADDRESS = 320
_LONGEST_TEXT = 100
_LONGEST_HEADER = 1_000


@dataclass(frozen=True, slots=True)
class HookEvent:
    """An event as it travels to the event worker. Addresses are in the form by which members are compared.

    `address` is the one it is about, of `upemail` the new one; `fired_at` is as Mailchimp wrote it. `reason` is
    `manual` or `abuse` of an unsubscribe, `hard` or `abuse` of a bounce; `action` is `unsub` or `delete`.
    """

    type: EventType
    department_id: str
    audience_id: str
    address: str = field(repr=False)
    fired_at: str
    old_address: str = field(default="", repr=False)
    action: str = ""
    reason: str = ""
    campaign_id: str = ""

    @property
    def identity(self) -> str:
        """The same for every delivery of an event: Mailchimp sends no id, and may deliver more than once."""
        parts = (self.department_id, self.type, self.audience_id, self.address, self.old_address, self.fired_at)
        return sha256("\n".join(parts).encode(errors="replace")).hexdigest()

    @property
    def fired_at_moment(self) -> datetime | None:
        """When it happened; None when Mailchimp's text is no time. It names no zone; by practice it is UTC."""
        try:
            return datetime.strptime(self.fired_at, _FIRED_AT).replace(tzinfo=UTC)
        except ValueError:
            return None

    def arrived(self, at: float) -> HookEvent:
        """The event as it is queued: one that does not say when it happened did so when it arrived, in Unix seconds.

        Without a time all events of a kind about one address would pass for repeats of the first.
        """
        if self.fired_at_moment is not None:
            return self
        return replace(self, fired_at=datetime.fromtimestamp(at, UTC).strftime(_FIRED_AT))


class NotAnEvent(ValueError):
    """A message that is none of ours. Nothing else may be taken for that, or an event gets lost."""


def write_event(event: HookEvent) -> str:
    """The body of a message."""
    return json.dumps(asdict(event))


def read_event(body: str) -> HookEvent:
    """The event of a message of ours. Raises NotAnEvent for anything else."""
    try:
        return HookEvent(**json.loads(body))
    except (ValueError, TypeError) as error:
        raise NotAnEvent from error


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a form; of a repeated one the last. Raises ValueError when there are absurdly many."""
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    return dict(pairs)


def event_of(fields: Mapping[str, str], department_id: str) -> HookEvent | None:
    """The event of a form; None for one that we have no use for, or that lacks what it is about."""
    kind = fields.get("type", "")
    if kind not in get_args(EventType):
        return None
    event = HookEvent(
        type=cast(EventType, kind),
        department_id=department_id,
        audience_id=_field(fields, "list_id"),
        address=_address(fields, "new_email" if kind == "upemail" else "email"),
        fired_at=fields.get("fired_at", "").strip()[:_LONGEST_TEXT],
        old_address=_address(fields, "old_email") if kind == "upemail" else "",
        action=_field(fields, "action"),
        reason=_field(fields, "reason"),
        campaign_id=_field(fields, "campaign_id"),
    )
    complete = event.audience_id and event.address and (kind != "upemail" or event.old_address)
    return event if complete else None


def is_signed(body: bytes, header: str, secret: str, *, now: float) -> bool:
    """Whether `X-Mailchimp-Signature` (`t=<unix seconds>,v1=<hex>`) was made over this body with this secret, lately.

    The signature is HMAC-SHA256 over `<t>.<raw body>` (Marketing API, "Webhooks", 2026).
    """
    if len(header) > _LONGEST_HEADER:
        return False
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) < 12):
        return False
    expected = hmac.digest(secret.encode(), times[0].encode() + b"." + body, "sha256").hex().encode()
    shown = [value.lower().encode(errors="replace") for name, _, value in parts if name == "v1"]
    # Every one is compared, so that the time taken tells nothing.
    matches = sum(hmac.compare_digest(expected, each) for each in shown)
    return matches > 0 and abs(now - int(times[0])) <= MAX_SIGNATURE_AGE_SECONDS


def _field(fields: Mapping[str, str], name: str) -> str:
    return fields.get(f"data[{name}]", "").strip()[:_LONGEST_TEXT]


def _address(fields: Mapping[str, str], name: str) -> str:
    """As members are compared (domain/customers.mail_address); empty for what cannot be an address."""
    address = mail_address(fields.get(f"data[{name}]", ""))
    return address if "@" in address and len(address) <= _LONGEST_ADDRESS else ""
