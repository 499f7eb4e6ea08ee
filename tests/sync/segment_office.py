"""A practice with segments: the engine of runs, its segments phase and staff's workflows, joined as in production."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from chalicelib.contract.segments import SegmentPreview, SegmentRule, SegmentView
from chalicelib.domain.departments import Department
from chalicelib.domain.runs import Run
from chalicelib.domain.segments.segment import Segment
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.store.address_status import AddressStatusStore
from chalicelib.store.customer_reading import CustomerReader
from chalicelib.store.customer_tags import CustomerTags
from chalicelib.store.segments import SegmentStore
from chalicelib.store.tag_rechecks import TagRecheckStore
from chalicelib.sync.account.registration import Registration
from chalicelib.sync.runs.progress import ENOUGH_SECONDS
from chalicelib.sync.segments.management import Segments
from chalicelib.sync.segments.previews import Previews
from chalicelib.sync.segments.segments_phase import SegmentsPhase
from tests.sync.engine import Engine, Practice

VICTORIA = SegmentRule("state", "equals", "VIC")
NEW_IN_30_DAYS = SegmentRule("created_in_last_days", "is", 30)


class ShortOfTime:
    """The segments phase with next to no time in every step."""

    def __init__(self, phase: SegmentsPhase) -> None:
        self._phase = phase

    def step(self, run: Run, department: Department, remaining: Callable[[], float]) -> Run | None:
        return self._phase.step(run, department, lambda: ENOUGH_SECONDS - 1)


class SegmentOffice:
    """One practice and its segments. Addresses are told by their part before the @."""

    def __init__(self, engine: Engine, practice: Practice) -> None:
        self.engine, self.practice, self.id = engine, practice, practice.id
        self.control = practice.control
        self.by = "user-1"
        self._join()

    def _join(self) -> None:
        engine = self.engine
        client, customers_table = engine.customers._client, engine.customers._table
        members_table = engine.members._table
        numbers = itertools.count(1)
        self.store = SegmentStore()
        self.tags = CustomerTags(client, customers_table)
        self.checks = TagRecheckStore(client, members_table)
        self.address_statuses = AddressStatusStore(client, members_table)
        self.sync_phase = SegmentsPhase(
            segments=self.store,
            departments=engine.departments,
            customers=engine.customers,
            members=engine.members,
            tags=self.tags,
            checks=self.checks,
            address_statuses=self.address_statuses,
            seen_addresses=engine.seen_addresses,
            runs=engine.runs,
            logs=engine.logs,
            reader_for=self.reader_for,
            mailchimp_for=engine.mailchimp_for,
            clock=engine.clock,
        )
        engine.steps._segments = self.sync_phase
        self.previews = Previews(
            customers=engine.customers,
            members=engine.members,
            address_statuses=self.address_statuses,
            runs=engine.runs,
            reader_for=self.reader_for,
            pracbill_for=engine.pracbill_for,
            clock=engine.clock,
        )
        self.service = Segments(
            segments=self.store,
            departments=engine.departments,
            registration=Registration(engine.departments, engine.pracbill_for(lambda: 20.0)),
            reader_for=self.reader_for,
            previews=self.previews,
            runs=engine.lifecycle,
            mailchimp_for=self._mailchimp_for,
            clock=engine.clock,
            entropy=lambda: f"{next(numbers):04x}",
        )

    def reader_for(self, department: Department) -> CustomerReader:
        customers = self.engine.customers
        return CustomerReader(customers._client, customers._table, department.id)

    def _mailchimp_for(self, department: Department, remaining: Callable[[], float]) -> MailchimpClient:
        return self.engine.mailchimp_for(department, remaining)

    def be_short_of_time(self, *, short: bool = True) -> None:
        """From now on no step of the segments phase has time for more than it must do."""
        self.engine.steps._segments = ShortOfTime(self.sync_phase) if short else self.sync_phase

    # customers

    def customer(self, name: str, *, state: str = "VIC", consent: str | None = "subscribed", **fields: Any) -> None:
        """A customer whose id and address begin with `name`."""
        email = fields.pop("email", f"{name}@clinic.test")
        self.practice.customer(name, email, consent, address={"state": state}, **fields)

    def move(self, name: str, state: str) -> None:
        self.practice.edit(name, address={"state": state})

    # acting

    def create(self, name: str = "Victoria", *rules: SegmentRule) -> SegmentView:
        return self.service.create(self.id, name, rules or (VICTORIA,), by=self.by)

    def edit(self, view: SegmentView, *rules: SegmentRule, name: str | None = None, version: int | None = None) -> None:
        self.service.update(self.id, view.id, name or view.name, rules or view.rules, version=version, by=self.by)

    def delete(self, view: SegmentView) -> None:
        self.service.delete(self.id, view.id, by=self.by)

    def preview(
        self, *rules: SegmentRule, segment: SegmentView | None = None, per_rule: bool = False
    ) -> SegmentPreview:
        return self.service.preview(
            self.id, rules or (VICTORIA,), segment_id=segment.id if segment else None, per_rule=per_rule
        )

    def run(self) -> Run:
        """Let the runs that are queued come to their end; answers the latest one."""
        self.engine.work()
        return self.practice.latest()

    def sync(self, run_type: Any = "incremental") -> Run:
        return self.practice.sync(run_type)

    # looking

    def view(self, view: SegmentView) -> SegmentView:
        return self.service.get(self.id, view.id)

    def stored(self, view: SegmentView) -> Segment:
        segment = self.store.get(self.id, view.id)
        assert segment is not None
        return segment

    def tags_there(self) -> dict[str, int]:
        """Mailchimp's tags by name, with their ids."""
        found = self.practice.api("GET", "/segments?type=static&count=1000")["segments"]
        return {tag["name"]: tag["id"] for tag in found}

    def tagged(self, name: str = "Victoria") -> list[str]:
        """Who carries a tag in Mailchimp, whatever their status."""
        members = self.control.members(self.practice.audience_id)
        return sorted(_name(member["email_address"]) for member in members if name in member["tag_names"])

    def marked(self, view: SegmentView) -> list[str]:
        """Customers who are marked as carrying the segment's tag."""
        stored = self.engine.customers.ascending(self.id)
        return sorted(customer.customer_id for customer in stored if view.id in customer.in_segments)

    def segment_calls(self) -> int:
        """Calls that changed a tag's members since the journal was reset."""
        writes = self.practice.writes()
        return sum(1 for method, path in writes if method == "POST" and "/segments/" in path)

    def messages(self) -> list[str]:
        return [entry.message for entry in self.practice.log()]


def _name(address: str) -> str:
    return address.partition("@")[0]
