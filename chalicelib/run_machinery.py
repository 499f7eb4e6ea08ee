"""The phases of a run, joined with what they need."""

from __future__ import annotations

from functools import cached_property

from chalicelib.domain.runs import PhaseName
from chalicelib.foundations import Foundations
from chalicelib.sync.consent.address_changes import AddressChanges
from chalicelib.sync.ports import Phase
from chalicelib.sync.runs.apply_phase import ApplyPhase
from chalicelib.sync.runs.audience_opening import AudienceOpener
from chalicelib.sync.runs.brake import Brake
from chalicelib.sync.runs.chunk_calls import ChunkCalls
from chalicelib.sync.runs.chunk_results import ChunkResults
from chalicelib.sync.runs.close_phase import ClosePhase
from chalicelib.sync.runs.ingest_phase import IngestPhase
from chalicelib.sync.runs.lifecycle import Lifecycle
from chalicelib.sync.runs.orchestrator import Orchestrator
from chalicelib.sync.runs.plan_phase import PlanPhase
from chalicelib.sync.runs.pull_phase import PullPhase
from chalicelib.sync.runs.unreadable import UnreadableCounts
from chalicelib.sync.runs.views import RunViews
from chalicelib.sync.segments.segments_phase import SegmentsPhase


class RunMachinery(Foundations):
    """The steps of a run, and what drives them."""

    @cached_property
    def lifecycle(self) -> Lifecycle:
        return Lifecycle(
            departments=self.stores.departments,
            runs=self.stores.runs,
            logs=self.stores.logs,
            queue=self.stores.queue,
            views=self.views,
            clock=self.seams.clock,
            entropy=lambda: self.seams.entropy(2),
            meter=self.seams.meter,
        )

    @cached_property
    def views(self) -> RunViews:
        return RunViews(runs=self.stores.runs, clock=self.seams.clock)

    @cached_property
    def orchestrator(self) -> Orchestrator:
        return Orchestrator(
            departments=self.stores.departments,
            runs=self.stores.runs,
            lifecycle=self.lifecycle,
            phases=self.phases,
            chunks={"apply": self.apply_phase, "segments": self.segments_phase.shares},
            clock=self.seams.clock,
        )

    @cached_property
    def phases(self) -> dict[PhaseName, Phase]:
        return {
            "pull": self.pull_phase,
            "ingest": self.ingest_phase,
            "plan": self.plan_phase,
            "apply": self.apply_phase,
            "segments": self.segments_phase,
            "close": self.close_phase,
        }

    @cached_property
    def pull_phase(self) -> PullPhase:
        return PullPhase(
            observations=self.observations,
            outbox=self.outbox,
            opener=AudienceOpener(mailchimp_for=self.mailchimp_for, fields=self.fields, hooks=self.hooks),
            stores=self.stores,
            clock=self.seams.clock,
        )

    @cached_property
    def ingest_phase(self) -> IngestPhase:
        return IngestPhase(
            departments=self.stores.departments,
            customers=self.stores.customers,
            members=self.stores.members,
            runs=self.stores.runs,
            logs=self.stores.logs,
            unreadable=UnreadableCounts(departments=self.stores.departments, reader_for=self.reader_for),
            pracbill_for=self.pracbill_for,
            clock=self.seams.clock,
        )

    @cached_property
    def plan_phase(self) -> PlanPhase:
        return PlanPhase(
            members=self.stores.members,
            runs=self.stores.runs,
            logs=self.stores.logs,
            ledger=self.stores.ledger,
            outbox=self.outbox,
            brake=Brake(
                address_statuses=self.stores.address_statuses,
                checks=self.stores.rechecks,
                members=self.stores.members,
                mailchimp_for=self.mailchimp_for,
            ),
            clock=self.seams.clock,
        )

    @cached_property
    def apply_phase(self) -> ApplyPhase:
        results = ChunkResults(
            departments=self.stores.departments,
            members=self.stores.members,
            logs=self.stores.logs,
            ledger=self.stores.ledger,
            pushed_members=self.stores.pushed_members,
            observations=self.observations,
            meter=self.seams.meter,
        )
        return ApplyPhase(
            members=self.stores.members,
            runs=self.stores.runs,
            queue=self.stores.queue,
            calls=ChunkCalls(
                address_changes=AddressChanges(self.stores.members, self.observations),
                fields=self.fields,
                clock=self.seams.clock,
            ),
            results=results,
            mailchimp_for=self.mailchimp_for,
            clock=self.seams.clock,
            meter=self.seams.meter,
        )

    @cached_property
    def close_phase(self) -> ClosePhase:
        return ClosePhase(
            lifecycle=self.lifecycle,
            outbox=self.outbox,
            audience_status=self.audience_status,
            mailchimp_for=self.mailchimp_for,
        )

    @cached_property
    def segments_phase(self) -> SegmentsPhase:
        return SegmentsPhase(
            stores=self.stores,
            reader_for=self.reader_for,
            mailchimp_for=self.mailchimp_for,
            clock=self.seams.clock,
        )
