"""What the routes need from the rest of the service. `bootstrap.services()` answers an object of this shape.

Every method may raise the exceptions of chalicelib.errors; the edge turns them into problem answers. `by` is the
subject of the caller's token and belongs into logs and the ledger. A list method answers one page as `Slice`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    from chalicelib.contract.account import (
        AudienceList,
        AudienceOverview,
        ConnectionStatus,
        Panel,
        SettingsChanges,
        SettingsView,
    )
    from chalicelib.contract.customers import CustomerView, ErasureReceipt, FoundCustomers, Reconciliation
    from chalicelib.contract.runs import History, LogEntryView, RecordView, RunView
    from chalicelib.contract.segments import SegmentFields, SegmentPreview, SegmentTemplate, SegmentView
    from chalicelib.domain.audiences import NewAudience
    from chalicelib.domain.limits import Allowance
    from chalicelib.domain.logs import LogFilter
    from chalicelib.domain.segments.rules import Rule
    from chalicelib.domain.segments.validation import Definition

Item = TypeVar("Item")
# The items of one page, newest first, and the key to continue after; None when there is no more. The key comes back
# as `after` through the caller's hands: whatever it says, it must not lead out of the department it was asked for.
Slice = tuple[Sequence[Item], str | None]


class Connections(Protocol):
    """A department's link to a Mailchimp account."""

    def status(self, department_id: str) -> ConnectionStatus: ...

    def connect(self, department_id: str, api_key: str, *, by: str) -> ConnectionStatus: ...

    def disconnect(self, department_id: str, *, by: str) -> ConnectionStatus: ...


class Audiences(Protocol):
    """The account's audiences and the one the department uses."""

    def list(self, department_id: str, *, name: str | None = None) -> AudienceList: ...

    def create(self, department_id: str, audience: NewAudience, *, by: str, key: str = "") -> AudienceOverview: ...

    def select(self, department_id: str, audience_id: str, *, by: str) -> AudienceOverview: ...

    def overview(self, department_id: str) -> AudienceOverview: ...


class DepartmentSettings(Protocol):
    """What a department may choose."""

    def get(self, department_id: str) -> SettingsView: ...

    def put(self, department_id: str, changes: SettingsChanges, *, by: str) -> SettingsView: ...


class Runs(Protocol):
    """Syncs: start them, watch them, decide about them. `start` refuses with 409 while a run is active."""

    def start(
        self, department_id: str, run_type: Literal["incremental", "full"], *, dry_run: bool, by: str
    ) -> RunView: ...

    def list(self, department_id: str, *, limit: int, after: str | None) -> Slice[RunView]: ...

    def get(self, department_id: str, run_id: str) -> RunView: ...

    def approve(self, department_id: str, run_id: str, *, by: str) -> RunView: ...

    def cancel(self, department_id: str, run_id: str, *, by: str) -> RunView: ...

    def retry(self, department_id: str, run_id: str, *, by: str) -> RunView: ...


class Records(Protocol):
    """What a run did for single customers, problems first; a filter that is empty or None lets everything through."""

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
    ) -> Slice[RecordView]: ...


class Logs(Protocol):
    """The Sync Logs."""

    def list(self, department_id: str, wanted: LogFilter, *, limit: int, after: str | None) -> Slice[LogEntryView]: ...


class Customers(Protocol):
    """One customer: why it is where it is, and the right to be forgotten."""

    def explain(self, department_id: str, customer_id: str) -> CustomerView: ...

    def erase(self, department_id: str, customer_id: str, *, by: str) -> ErasureReceipt: ...


class CustomerSearch(Protocol):
    """Finding customers by address, id or name."""

    def find(self, department_id: str, text: str) -> FoundCustomers: ...


class Reconciliations(Protocol):
    """PracBill's count against Mailchimp's."""

    def get(self, department_id: str) -> Reconciliation: ...


class Histories(Protocol):
    """The trend, day by day."""

    def get(self, department_id: str, *, days: int) -> History: ...


class Segments(Protocol):
    """Segments and what a builder of segments needs. `list` answers all of them: a department has few."""

    def fields(self, department_id: str | None) -> SegmentFields: ...

    def templates(self, department_id: str | None) -> Sequence[SegmentTemplate]: ...

    def list(self, department_id: str) -> Sequence[SegmentView]: ...

    def get(self, department_id: str, segment_id: str) -> SegmentView: ...

    def create(self, department_id: str, wanted: Definition, *, by: str) -> SegmentView: ...

    def update(
        self, department_id: str, segment_id: str, wanted: Definition, *, version: int | None, by: str
    ) -> SegmentView: ...

    def delete(self, department_id: str, segment_id: str, *, by: str) -> None: ...

    def preview(
        self, department_id: str, rules: tuple[Rule, ...], *, segment_id: str | None, per_rule: bool
    ) -> SegmentPreview: ...


class Panels(Protocol):
    """The page's first answer; nobody outside is asked for it."""

    def panel(self, department_id: str) -> Panel: ...


class CallLimits(Protocol):
    """Counts expensive calls before they are carried out. `count` refuses with 429 what would be too many."""

    def count(self, department_id: str, allowance: Allowance, *, by: str) -> None: ...


class Services(Protocol):
    """Everything the routes may call."""

    @property
    def limits(self) -> CallLimits: ...

    @property
    def connections(self) -> Connections: ...

    @property
    def audiences(self) -> Audiences: ...

    @property
    def settings(self) -> DepartmentSettings: ...

    @property
    def runs(self) -> Runs: ...

    @property
    def records(self) -> Records: ...

    @property
    def logs(self) -> Logs: ...

    @property
    def customers(self) -> Customers: ...

    @property
    def search(self) -> CustomerSearch: ...

    @property
    def reconciliation(self) -> Reconciliations: ...

    @property
    def segments(self) -> Segments: ...

    @property
    def panels(self) -> Panels: ...

    @property
    def history(self) -> Histories: ...
