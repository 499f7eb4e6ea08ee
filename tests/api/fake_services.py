"""The rest of the service, in memory: answers an example of everything and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

from chalicelib.contract.account import (
    AudienceList,
    AudienceOverview,
    AudienceSummary,
    ConnectionStatus,
    Panel,
    SettingsChanges,
    SettingsView,
)
from chalicelib.contract.common import DifferenceReason
from chalicelib.contract.customers import (
    CustomerView,
    ErasureReceipt,
    FoundCustomer,
    FoundCustomers,
    LastPush,
    LedgerEntryView,
    Reconciliation,
    RefusalView,
    RuleVerdict,
    SegmentVerdict,
)
from chalicelib.contract.runs import (
    BrakeStop,
    History,
    HistoryDay,
    LogEntryView,
    PhaseProgress,
    RecordView,
    RunProgress,
    RunView,
)
from chalicelib.contract.segments import (
    FieldOperator,
    MembershipChange,
    PreviewCustomer,
    RuleCount,
    SegmentField,
    SegmentFields,
    SegmentPreview,
    SegmentTemplate,
    SegmentView,
)
from chalicelib.contract.services import Services, Slice
from chalicelib.domain.audiences import NewAudience
from chalicelib.domain.departments import BrakeLimits, Finding
from chalicelib.domain.limits import Allowance
from chalicelib.domain.logs import LogFilter
from chalicelib.domain.segments.fields import Choice
from chalicelib.domain.segments.rules import Rule
from chalicelib.domain.segments.validation import Definition
from chalicelib.mailchimp.keys import parse_api_key

# Not UTC on purpose: the edge must turn it into UTC.
AT = datetime(2026, 3, 1, 12, 30, tzinfo=timezone(timedelta(hours=2)))
RULE = Rule("state", "equals", "VIC")
PERSON = PreviewCustomer("7", "kim@example.com", "Acme", None, None)
FINDING = Finding("webhook_missing", "warning", "The webhook is gone.", "Select the audience again.")


def run(run_id: str = "run-1", **changes: Any) -> RunView:
    values: dict[str, Any] = {
        "id": run_id,
        "type": "full",
        "dry_run": False,
        "trigger": "manual",
        "started_by": "user-7",
        "approved_by": None,
        "phase": "approval",
        "status": "awaiting_approval",
        "started_at": AT,
        "finished_at": None,
        "progress": RunProgress(
            planned=9,
            done=4,
            failed=1,
            rate=12.5,
            eta=AT,
            phases=(PhaseProgress("pull", "members", "done", 7, True, 7, 0),),
        ),
        "counts": {"add": 4},
        "held_by_reason": {},
        "record_counts": {"failed": 0, "refused": 1, "held": 2, "planned": 0, "done": 4},
        "message": "Waiting for approval.",
        "brake": BrakeStop("Too many.", {"archive": 120}, "removals", {"planned": 120, "audience": 500, "limit": 100}),
        "code": "awaiting_approval",
    }
    return RunView(**{**values, **changes})


def segment(segment_id: str = "seg-1") -> SegmentView:
    return SegmentView(segment_id, "Victoria", (RULE,), 12, AT, 4711, "synced", 3)


@dataclass
class Fake:
    """One part of the service. `asked` is shared by all parts; `fails` is raised by every call while it is set."""

    asked: list[tuple[Any, ...]]
    failing: list[Exception]

    def note(self, *call: Any) -> None:
        if self.failing:
            raise self.failing[0]
        self.asked.append(call)


class FakeConnections(Fake):
    def status(self, department_id: str) -> ConnectionStatus:
        self.note("status", department_id)
        summary = AudienceSummary("a1", "Customers", 500)
        return ConnectionStatus("connected", "Acme Ltd", "us21", "f00d", summary, AT, run(), (FINDING,))

    def connect(self, department_id: str, api_key: str, *, by: str) -> ConnectionStatus:
        self.note("connect", department_id, api_key, by)
        key = parse_api_key(api_key)  # the whole key is in hand here, as it is in the product
        return ConnectionStatus("connected", "Acme Ltd", key.server_prefix, key.hint, None, None, None, ())

    def disconnect(self, department_id: str, *, by: str) -> ConnectionStatus:
        self.note("disconnect", department_id, by)
        return ConnectionStatus("not_connected", None, None, None, None, None, None, ())


class FakeAudiences(Fake):
    def list(self, department_id: str, *, name: str | None = None) -> AudienceList:
        self.note("audiences", department_id, name)
        return AudienceList(
            tuple(AudienceSummary(f"a{n}", f"Audience {n}", n) for n in range(3)), False, "The plan allows three."
        )

    def create(self, department_id: str, audience: NewAudience, *, by: str, key: str = "") -> AudienceOverview:
        self.note("create audience", department_id, audience, by, *([key] if key else []))
        return AudienceOverview("a9", audience.name, 0, AT, 0, None, None, ())

    def select(self, department_id: str, audience_id: str, *, by: str) -> AudienceOverview:
        self.note("select", department_id, audience_id, by)
        return AudienceOverview(audience_id, "Customers", 500, AT, 2, None, run(), (FINDING,))

    def overview(self, department_id: str) -> AudienceOverview:
        self.note("overview", department_id)
        return AudienceOverview("a1", "Customers", None, None, 2, AT, None, ())


class FakeSettings(Fake):
    def get(self, department_id: str) -> SettingsView:
        self.note("settings", department_id)
        return SettingsView("transactional", "archive", False, BrakeLimits(), False)

    def put(self, department_id: str, changes: SettingsChanges, *, by: str) -> SettingsView:
        self.note("change settings", department_id, changes, by)
        return SettingsView(changes.unknown_consent or "transactional", "archive", False, BrakeLimits(), True)


class FakeRuns(Fake):
    def start(self, department_id: str, run_type: Literal["incremental", "full"], *, dry_run: bool, by: str) -> RunView:
        self.note("start", department_id, run_type, dry_run, by)
        return run(type=run_type, dry_run=dry_run)

    def list(self, department_id: str, *, limit: int, after: str | None) -> Slice[RunView]:
        self.note("runs", department_id, limit, after)
        first = 0 if after is None else int(after) + 1
        last = min(first + limit, 5)
        return [run(f"run-{n}") for n in range(first, last)], (str(last - 1) if last < 5 else None)

    def get(self, department_id: str, run_id: str) -> RunView:
        self.note("run", department_id, run_id)
        return run(run_id, brake=None, finished_at=AT, status="success", phase="close")

    def approve(self, department_id: str, run_id: str, *, by: str) -> RunView:
        self.note("approve", department_id, run_id, by)
        return run(run_id)

    def cancel(self, department_id: str, run_id: str, *, by: str) -> RunView:
        self.note("cancel", department_id, run_id, by)
        return run(run_id)

    def retry(self, department_id: str, run_id: str, *, by: str) -> RunView:
        self.note("retry", department_id, run_id, by)
        return run("run-2")


class FakeRecords(Fake):
    def list(
        self,
        department_id: str,
        run_id: str,
        *,
        outcomes: Collection[str],
        code: str | None,
        action: str | None,
        customer_id: str | None,
        limit: int,
        after: str | None,
    ) -> Slice[RecordView]:
        self.note("records", department_id, run_id, outcomes, code, action, customer_id, limit, after)
        cause = "Unsubscribed before."
        record = RecordView("compliance_state", cause, None, "7", "kim@example.com", "add", "refused", AT)
        return (record,), "r7"


class FakeLogs(Fake):
    def list(self, department_id: str, wanted: LogFilter, *, limit: int, after: str | None) -> Slice[LogEntryView]:
        self.note("logs", department_id, wanted, limit, after)
        entry = LogEntryView(
            AT, "push", "full", "staff", "success", "4 added.", "run-1", {"add": 4}, {}, False, (), "synced"
        )
        return [entry], "l1"


class FakeCustomers(Fake):
    def explain(self, department_id: str, customer_id: str) -> CustomerView:
        self.note("explain", department_id, customer_id)
        rule = RuleVerdict("state", "equals", "VIC", True, 'State equals "VIC"', 'The state is "vic".')
        verdict = SegmentVerdict("seg-1", "Victoria", True, False, (rule,))
        return CustomerView(
            customer_id,
            False,
            "Not in the audience: unsubscribed in Mailchimp.",
            "k***@example.com",
            "unsubscribed",
            ("8",),
            LastPush(AT, "subscribed"),
            (verdict,),
            RefusalView("compliance_state", "Unsubscribed before.", "Ask the person.", AT, None),
            (
                LedgerEntryView(
                    AT, AT, None, "unsubscribed", "the person", "webhook", "opt-out-stands", {"reason": "x"}
                ),
            ),
        )

    def erase(self, department_id: str, customer_id: str, *, by: str) -> ErasureReceipt:
        self.note("erase", department_id, customer_id, by)
        return ErasureReceipt(customer_id, AT, "Erased.")


class FakeSearch(Fake):
    def find(self, department_id: str, text: str) -> FoundCustomers:
        self.note("find", department_id, text)
        return FoundCustomers((FoundCustomer("7", "kim@example.com", "Acme", None, None, "name"),), False)


class FakeHistory(Fake):
    def get(self, department_id: str, *, days: int) -> History:
        self.note("history", department_id, days)
        return History((HistoryDay("2026-03-01", 500, None, 4, 1),), "Australia/Melbourne")


class FakeReconciliation(Fake):
    def get(self, department_id: str) -> Reconciliation:
        self.note("reconciliation", department_id)
        return Reconciliation(10, 8, 2, (DifferenceReason("no_address", 2, "No e-mail address."),), AT)


class FakeSegments(Fake):
    def fields(self, department_id: str | None) -> SegmentFields:
        self.note("fields", department_id)
        operator = FieldOperator("equals", "Equals", "text")
        return SegmentFields((SegmentField("state", "State", "VIC", False, (operator,), (Choice("VIC", "VIC"),)),), 20)

    def templates(self, department_id: str | None) -> Sequence[SegmentTemplate]:
        self.note("templates", department_id)
        return [SegmentTemplate("t1", "Owing", "Who owes.", (Rule("balance_greater_than", "is", "100.50"),))]

    def list(self, department_id: str) -> Sequence[SegmentView]:
        self.note("segments", department_id)
        return [segment(f"seg-{n}") for n in range(5)]

    def get(self, department_id: str, segment_id: str) -> SegmentView:
        self.note("segment", department_id, segment_id)
        return segment(segment_id)

    def create(self, department_id: str, wanted: Definition, *, by: str) -> SegmentView:
        self.note("create segment", department_id, wanted, by)
        return segment()

    def update(
        self,
        department_id: str,
        segment_id: str,
        wanted: Definition,
        *,
        version: int | None,
        by: str,
    ) -> SegmentView:
        self.note("update segment", department_id, segment_id, wanted, version, by)
        return segment(segment_id)

    def delete(self, department_id: str, segment_id: str, *, by: str) -> None:
        self.note("delete segment", department_id, segment_id, by)

    def preview(
        self, department_id: str, rules: tuple[Rule, ...], *, segment_id: str | None, per_rule: bool
    ) -> SegmentPreview:
        self.note("preview", department_id, rules, segment_id, per_rule)
        change = MembershipChange(1, (PERSON,)) if segment_id else None
        counts = tuple(RuleCount(r.field, r.operator, r.value, 3) for r in rules) if per_rule else None
        return SegmentPreview(3, 2, 10, AT.astimezone(UTC), (PERSON,), counts, change, change)


@dataclass
class FakeLimits:
    """Counts nothing; refuses with `refusal` while there is one."""

    counted: list[tuple[str, str, str]] = field(default_factory=list)
    refusal: Exception | None = None

    def count(self, department_id: str, allowance: Allowance, *, by: str) -> None:
        self.counted.append((department_id, allowance.kind, by))
        if self.refusal is not None:
            raise self.refusal


class FakePanels(Fake):
    def panel(self, department_id: str) -> Panel:
        self.note("panel", department_id)
        quiet = Fake([], [])
        parts = (quiet.asked, quiet.failing)
        return Panel(
            "read",
            AT,
            FakeConnections(*parts).status(department_id),
            FakeAudiences(*parts).overview(department_id),
            FakeSettings(*parts).get(department_id),
            run(),
            tuple(FakeSegments(*parts).list(department_id)),
            tuple(FakeLogs(*parts).list(department_id, LogFilter(), limit=20, after=None)[0]),
        )


@dataclass
class FakeServices:
    """What bootstrap would answer."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)
    failing: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limits = FakeLimits()
        self.connections = FakeConnections(self.asked, self.failing)
        self.audiences = FakeAudiences(self.asked, self.failing)
        self.settings = FakeSettings(self.asked, self.failing)
        self.runs = FakeRuns(self.asked, self.failing)
        self.records = FakeRecords(self.asked, self.failing)
        self.logs = FakeLogs(self.asked, self.failing)
        self.customers = FakeCustomers(self.asked, self.failing)
        self.history = FakeHistory(self.asked, self.failing)
        self.search = FakeSearch(self.asked, self.failing)
        self.reconciliation = FakeReconciliation(self.asked, self.failing)
        self.segments = FakeSegments(self.asked, self.failing)
        self.panels = FakePanels(self.asked, self.failing)


def fits(fake: FakeServices) -> Services:
    """Says to the type checker that the fake has the shape of the real thing."""
    return fake
