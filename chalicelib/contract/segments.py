"""Segments, their rules and previews, as they cross the HTTP edge."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from chalicelib.contract.common import DifferenceReason, Params
from chalicelib.domain.segments.fields import Choice, ValueType
from chalicelib.domain.segments.rules import Rule, RuleValue

SegmentSyncState = Literal["pending", "syncing", "synced", "error"]


@dataclass(frozen=True, slots=True)
class SegmentView:
    """A segment. `customer_count` is who matched at `as_of`; null before the first evaluation.

    `version` grows with every edit: sent back with a change, it keeps two editors from overwriting each other.
    `tagged_count` are the members who carry the segment's tag as of `last_synced_at`, whatever their status; the
    counts of `difference` add up to `customer_count` less `tagged_count`. `reachable_count` are the customers whom a
    campaign to the segment reaches, counted as a preview counts them. `message` says why the segment could not be
    brought to Mailchimp; null when it could.
    """

    id: str
    name: str
    rules: tuple[Rule, ...]
    customer_count: int | None
    as_of: datetime | None
    mailchimp_segment_id: int | None
    sync_state: SegmentSyncState
    version: int
    tagged_count: int | None = None
    reachable_count: int | None = None
    difference: tuple[DifferenceReason, ...] = ()
    last_synced_at: datetime | None = None
    message: str | None = None
    code: str | None = None
    params: Params = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreviewCustomer:
    """A customer of a preview's sample, as PracBill has it. The address is in full: staff check their own customers."""

    id: str
    email: str | None
    company_name: str | None
    first_name: str | None
    last_name: str | None


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many customers one rule alone matches."""

    field: str
    operator: str
    value: RuleValue
    count: int


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """How many customers would enter or leave a segment, and who, for example."""

    count: int
    sample: tuple[PreviewCustomer, ...]


@dataclass(frozen=True, slots=True)
class SegmentPreview:
    """Who matches some rules at `as_of`: `count` of `total` customers, `reachable_count` of whom campaigns would reach.

    Reached is who is subscribed, or will be by the next sync: consent, opt-outs and refusals are all counted in.
    `per_rule` is null unless asked for, `entering` and `leaving` unless a segment was named to compare with.
    """

    count: int
    reachable_count: int
    total: int
    as_of: datetime
    sample: tuple[PreviewCustomer, ...]
    per_rule: tuple[RuleCount, ...] | None
    entering: MembershipChange | None
    leaving: MembershipChange | None


@dataclass(frozen=True, slots=True)
class FieldOperator:
    """An operator a field allows; `value_type` says what goes with it."""

    operator: str
    label: str
    value_type: ValueType


@dataclass(frozen=True, slots=True)
class SegmentField:
    """A field that rules can ask about. `choices` are offers, not a limit; `hint` is shown beside the input."""

    field: str
    label: str
    hint: str
    computed: bool
    operators: tuple[FieldOperator, ...]
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class SegmentFields:
    """What a segment builder needs to draw itself; every segment has 1 to `max_rules` rules."""

    fields: tuple[SegmentField, ...]
    max_rules: int


@dataclass(frozen=True, slots=True)
class SegmentTemplate:
    """A ready-made segment to start from."""

    id: str
    name: str
    description: str
    rules: tuple[Rule, ...]
