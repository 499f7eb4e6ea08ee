"""The service, joined in one place: functions, tests and benchmarks all take it from here.

It is built in three layers: foundations.py (seams, stores, clients), run_machinery.py (the phases of a run), and here
what functions and routes call. Each part is made when it is first asked for, and once a process: the routes, the
workers and the sweeper need different parts, and import and make only their own.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from chalicelib.run_machinery import RunMachinery

if TYPE_CHECKING:
    from chalicelib.handlers.queue_worker import EventWorker, SyncWorker
    from chalicelib.sync.account.audiences import Audiences
    from chalicelib.sync.account.call_limits import CallLimits
    from chalicelib.sync.account.connection_panel import RunCalls
    from chalicelib.sync.account.connections import Connections
    from chalicelib.sync.account.settings import DepartmentSettings
    from chalicelib.sync.consent.erasure import Erasure
    from chalicelib.sync.consent.webhook_events import Events
    from chalicelib.sync.panels import Panels
    from chalicelib.sync.reports.customer_report import Customers, Reconciliations
    from chalicelib.sync.reports.customer_search import CustomerSearch
    from chalicelib.sync.reports.history import Histories
    from chalicelib.sync.runs.records import Records
    from chalicelib.sync.runs.runs import Runs
    from chalicelib.sync.runs.sweeper import Sweeper
    from chalicelib.sync.runs.sync_logs import Logs
    from chalicelib.sync.segments.management import Segments
    from chalicelib.sync.segments.previews import Previews


class Container(RunMachinery):
    """What the functions enter by, and what the routes call: the latter has the names of contract/services.py."""

    # -------------------------------------------------------------------------------------------- functions

    @cached_property
    def sync_worker(self) -> SyncWorker:
        from chalicelib.handlers.queue_worker import SyncWorker

        return SyncWorker(self.orchestrator, self.stores.queue, self.seams.meter)

    @cached_property
    def event_worker(self) -> EventWorker:
        from chalicelib.handlers.queue_worker import EventWorker

        return EventWorker(self.events, self.stores.event_queue, self.seams.meter)

    @cached_property
    def sweeper(self) -> Sweeper:
        from chalicelib.sync.runs.sweeper import Sweeper

        return Sweeper(
            departments=self.stores.departments,
            runs=self.stores.runs,
            queue=self.stores.queue,
            lifecycle=self.lifecycle,
            schedule=self.schedule,
            clock=self.seams.clock,
            meter=self.seams.meter,
        )

    @cached_property
    def events(self) -> Events:
        from chalicelib.sync.consent.webhook_events import Events

        return Events(
            stores=self.stores,
            observations=self.observations,
            outbox=self.outbox,
            mailchimp_for=self.mailchimp_for,
            clock=self.seams.clock,
            meter=self.seams.meter,
        )

    # ------------------------------------------------------------------------------------------ for the routes

    @cached_property
    def limits(self) -> CallLimits:
        from chalicelib.sync.account.call_limits import CallLimits

        return CallLimits(self.stores.call_counts, clock=self.seams.clock)

    @cached_property
    def connections(self) -> Connections:
        from chalicelib.sync.account.connection_panel import ConnectionPanel
        from chalicelib.sync.account.connections import Connections

        return Connections(
            self.stores.departments,
            self.accounts,
            self.hooks,
            registration=self.registration,
            attempts=self.stores.attempts,
            panel=ConnectionPanel(
                audience_status=self.audience_status,
                runs=self.run_calls,
                schedule=self.schedule,
                clock=self.seams.clock,
            ),
            stop_run=self.stop_run,
            clock=self.seams.clock,
        )

    def stop_run(self, department_id: str, reason: str) -> None:
        self.lifecycle.stop_active(department_id, reason)

    @cached_property
    def run_calls(self) -> RunCalls:
        from chalicelib.sync.account.connection_panel import RunCalls

        return RunCalls(
            active=self.runs.active,
            last_failed=self.runs.last_failed,
            view=self.runs.view,
            first_plan=self.lifecycle.first_plan,
        )

    @cached_property
    def audiences(self) -> Audiences:
        from chalicelib.sync.account.audiences import Audiences

        return Audiences(
            self.stores.departments,
            self.accounts,
            self.hooks,
            audience_status=self.audience_status,
            runs=self.run_calls,
            segment_count=self.segment_count,
            requests=self.stores.requests,
            clock=self.seams.clock,
        )

    def segment_count(self, department_id: str) -> int:
        return len(self.segments.list(department_id))

    @cached_property
    def settings(self) -> DepartmentSettings:
        from chalicelib.sync.account.settings import DepartmentSettings

        return DepartmentSettings(self.stores.departments, registration=self.registration)

    @cached_property
    def runs(self) -> Runs:
        from chalicelib.sync.runs.runs import Runs

        return Runs(
            departments=self.stores.departments,
            runs=self.stores.runs,
            logs=self.stores.logs,
            lifecycle=self.lifecycle,
            views=self.views,
            clock=self.seams.clock,
        )

    @cached_property
    def records(self) -> Records:
        from chalicelib.sync.runs.records import Records

        return Records(runs=self.stores.runs, logs=self.stores.logs, customers=self.stores.customers)

    @cached_property
    def logs(self) -> Logs:
        from chalicelib.sync.runs.sync_logs import Logs

        return Logs(self.stores.logs)

    @cached_property
    def customers(self) -> Customers:
        from chalicelib.sync.reports.customer_report import Customers

        return Customers(
            departments=self.stores.departments,
            customers=self.stores.customers,
            members=self.stores.members,
            ledger=self.stores.ledger,
            segments=self.segments.defined,
            eraser=self.eraser,
            clock=self.seams.clock,
        )

    @cached_property
    def history(self) -> Histories:
        from chalicelib.sync.reports.history import Histories

        return Histories(departments=self.stores.departments, logs=self.stores.logs, clock=self.seams.clock)

    @cached_property
    def search(self) -> CustomerSearch:
        from chalicelib.sync.reports.customer_search import CustomerSearch

        return CustomerSearch(
            departments=self.stores.departments,
            customers=self.stores.customers,
            members=self.stores.members,
            reader_for=self.reader_for,
        )

    @cached_property
    def reconciliation(self) -> Reconciliations:
        from chalicelib.sync.reports.customer_report import Reconciliations

        return Reconciliations(
            departments=self.stores.departments,
            members=self.stores.members,
            checks=self.stores.rechecks,
            address_statuses=self.stores.address_statuses,
            reader_for=self.reader_for,
            mailchimp_for=self.mailchimp_in_request,
            clock=self.seams.clock,
        )

    @cached_property
    def previews(self) -> Previews:
        from chalicelib.sync.segments.previews import Previews

        return Previews(
            customers=self.stores.customers,
            members=self.stores.members,
            address_statuses=self.stores.address_statuses,
            runs=self.stores.runs,
            reader_for=self.reader_for,
            pracbill_for=self.pracbill_for,
            clock=self.seams.clock,
        )

    @cached_property
    def segments(self) -> Segments:
        from chalicelib.sync.segments.management import Segments

        return Segments(
            stores=self.stores,
            registration=self.registration,
            reader_for=self.reader_for,
            previews=self.previews,
            runs=self.runs,
            mailchimp_for=self.mailchimp_in_request,
            clock=self.seams.clock,
            entropy=lambda: self.seams.entropy(4),
        )

    @cached_property
    def panels(self) -> Panels:
        from chalicelib.sync.panels import Panels

        return Panels(
            departments=self.stores.departments,
            runs=self.runs,
            logs=self.logs,
            segments=self.segments.list,
            schedule=self.schedule,
            clock=self.seams.clock,
        )

    @cached_property
    def eraser(self) -> Erasure:
        from chalicelib.sync.consent.erasure import Erasure

        return Erasure(
            departments=self.stores.departments,
            customers=self.stores.customers,
            members=self.stores.members,
            ledger=self.stores.ledger,
            logs=self.stores.logs,
            mailchimp_for=self.mailchimp_in_request,
            clock=self.seams.clock,
        )
