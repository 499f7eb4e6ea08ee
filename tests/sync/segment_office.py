"""A practice with segments: the engine of runs, its segments phase and staff's workflows, joined as in production."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from chalicelib.contract.segments import SegmentPreview, SegmentView
from chalicelib.domain.departments import Department
from chalicelib.domain.runs import Run
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.segment import Segment
from chalicelib.domain.segments.validation import Definition, check_definition, check_rules
from chalicelib.sync.runs.progress import ENOUGH_SECONDS
from chalicelib.sync.segments.segments_phase import SegmentsPhase
from tests.sync.engine import Engine, Practice

VICTORIA = Rule("state", "equals", "VIC")
NEW_IN_30_DAYS = Rule("created_in_last_days", "is", 30)


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
        service = engine.service
        self.sync_phase, self.previews, self.service = service.segments_phase, service.previews, service.segments
        engine.phases["segments"] = self.sync_phase
        self.store, self.tags, self.checks = engine.stores.segments, engine.stores.tags, engine.stores.rechecks
        self.address_statuses, self.reader_for = engine.stores.address_statuses, engine.service.reader_for

    def be_short_of_time(self, *, short: bool = True) -> None:
        """From now on no step of the segments phase has time for more than it must do."""
        self.engine.phases["segments"] = ShortOfTime(self.sync_phase) if short else self.sync_phase

    # customers

    def customer(self, name: str, *, state: str = "VIC", consent: str | None = "subscribed", **fields: Any) -> None:
        """A customer whose id and address begin with `name`."""
        email = fields.pop("email", f"{name}@clinic.test")
        self.practice.customer(name, email, consent, address={"state": state}, **fields)

    def move(self, name: str, state: str) -> None:
        self.practice.edit(name, address={"state": state})

    # acting

    def create(self, name: str = "Victoria", *rules: Rule) -> SegmentView:
        return self.service.create(self.id, _defined(name, rules or (VICTORIA,)), by=self.by)

    def edit(self, view: SegmentView, *rules: Rule, name: str | None = None, version: int | None = None) -> None:
        wanted = _defined(name or view.name, rules or view.rules)
        self.service.update(self.id, view.id, wanted, version=version, by=self.by)

    def delete(self, view: SegmentView) -> None:
        self.service.delete(self.id, view.id, by=self.by)

    def preview(self, *rules: Rule, segment: SegmentView | None = None, per_rule: bool = False) -> SegmentPreview:
        checked = check_rules([asdict(rule) for rule in rules or (VICTORIA,)])
        return self.service.preview(self.id, checked, segment_id=segment.id if segment else None, per_rule=per_rule)

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


def _defined(name: str, rules: Iterable[Rule]) -> Definition:
    """As the API hands on what staff send: only what was checked reaches the service."""
    return check_definition(name, [asdict(rule) for rule in rules])
