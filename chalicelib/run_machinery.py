"""The phases of a run, joined with what they need."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from chalicelib.foundations import Foundations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chalicelib.domain.runs import PhaseName
    from chalicelib.sync.ports import Phase
    from chalicelib.sync.runs.apply_phase import ApplyPhase
    from chalicelib.sync.runs.approval_phase import ApprovalPhase
    from chalicelib.sync.runs.close_phase import ClosePhase
    from chalicelib.sync.runs.ingest_phase import IngestPhase
    from chalicelib.sync.runs.lifecycle import Lifecycle
    from chalicelib.sync.runs.orchestrator import Orchestrator
    from chalicelib.sync.runs.plan_phase import PlanPhase
    from chalicelib.sync.runs.pull_phase import PullPhase
    from chalicelib.sync.runs.views import RunViews
    from chalicelib.sync.segments.segments_phase import SegmentsPhase


Part = TypeVar("Part")


class _MadeOnUse(MutableMapping["PhaseName", Part]):
    """Parts by phase, each imported and made when a step is the first to need it."""

    def __init__(self, makers: dict[PhaseName, Callable[[], Part]]) -> None:
        self._makers = makers

    def __getitem__(self, phase: PhaseName) -> Part:
        return self._makers[phase]()

    def __setitem__(self, phase: PhaseName, part: Part) -> None:
        self._makers[phase] = lambda: part

    def __delitem__(self, phase: PhaseName) -> None:
        del self._makers[phase]

    def __iter__(self) -> Iterator[PhaseName]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class RunMachinery(Foundations):
    """The steps of a run, and what drives them."""

    @cached_property
    def lifecycle(self) -> Lifecycle:
        from chalicelib.sync.runs.lifecycle import Lifecycle

        return Lifecycle(
            departments=self.stores.departments,
            runs=self.stores.runs,
            logs=self.stores.logs,
            queue=self.stores.queue,
            view_of=lambda run: self.views.of(run),
            clock=self.seams.clock,
            entropy=lambda: self.seams.entropy(2),
            meter=self.seams.meter,
        )

    @cached_property
    def views(self) -> RunViews:
        from chalicelib.sync.runs.views import RunViews

        return RunViews(runs=self.stores.runs, clock=self.seams.clock)

    @cached_property
    def orchestrator(self) -> Orchestrator:
        from chalicelib.sync.runs.orchestrator import Orchestrator

        return Orchestrator(
            departments=self.stores.departments,
            runs=self.stores.runs,
            lifecycle=self.lifecycle,
            phases=self.phases,
            chunks=_MadeOnUse({"apply": lambda: self.apply_phase, "segments": lambda: self.segments_phase.shares}),
            clock=self.seams.clock,
        )

    @cached_property
    def phases(self) -> MutableMapping[PhaseName, Phase]:
        return _MadeOnUse(
            {
                "pull": lambda: self.pull_phase,
                "ingest": lambda: self.ingest_phase,
                "plan": lambda: self.plan_phase,
                "approval": lambda: self.approval_phase,
                "apply": lambda: self.apply_phase,
                "segments": lambda: self.segments_phase,
                "close": lambda: self.close_phase,
            }
        )

    @cached_property
    def pull_phase(self) -> PullPhase:
        from chalicelib.sync.runs.audience_opening import AudienceOpener
        from chalicelib.sync.runs.pull_phase import PullPhase

        return PullPhase(
            observations=self.observations,
            outbox=self.outbox,
            opener=AudienceOpener(mailchimp_for=self.mailchimp_for, fields=self.fields, hooks=self.hooks),
            stores=self.stores,
            clock=self.seams.clock,
        )

    @cached_property
    def ingest_phase(self) -> IngestPhase:
        from chalicelib.sync.runs.ingest_phase import IngestPhase
        from chalicelib.sync.runs.unreadable import UnreadableCounts

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
        from chalicelib.sync.runs.brake import Brake
        from chalicelib.sync.runs.plan_phase import PlanPhase

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
    def approval_phase(self) -> ApprovalPhase:
        from chalicelib.sync.runs.approval_phase import ApprovalPhase

        return ApprovalPhase(
            customers=self.stores.customers,
            members=self.stores.members,
            runs=self.stores.runs,
            pracbill_for=self.pracbill_for,
            clock=self.seams.clock,
        )

    @cached_property
    def apply_phase(self) -> ApplyPhase:
        from chalicelib.sync.consent.address_changes import AddressChanges
        from chalicelib.sync.runs.apply_phase import ApplyPhase
        from chalicelib.sync.runs.chunk_calls import ChunkCalls
        from chalicelib.sync.runs.chunk_results import ChunkResults
        from chalicelib.sync.runs.chunk_sender import ChunkSender

        results = ChunkResults(
            departments=self.stores.departments,
            members=self.stores.members,
            logs=self.stores.logs,
            ledger=self.stores.ledger,
            pushed_members=self.stores.pushed_members,
            observations=self.observations,
            meter=self.seams.meter,
        )
        sender = ChunkSender(
            departments=self.stores.departments,
            members=self.stores.members,
            runs=self.stores.runs,
            calls=ChunkCalls(
                address_changes=AddressChanges(self.stores.members, self.observations),
                fields=self.fields,
                clock=self.seams.clock,
            ),
            results=results,
            mailchimp_for=self.mailchimp_for,
            clock=self.seams.clock,
        )
        return ApplyPhase(
            runs=self.stores.runs,
            queue=self.stores.queue,
            sender=sender,
            results=results,
            clock=self.seams.clock,
            meter=self.seams.meter,
        )

    @cached_property
    def close_phase(self) -> ClosePhase:
        from chalicelib.sync.runs.close_phase import ClosePhase

        return ClosePhase(
            lifecycle=self.lifecycle,
            outbox=self.outbox,
            audience_status=self.audience_status,
            mailchimp_for=self.mailchimp_for,
        )

    @cached_property
    def segments_phase(self) -> SegmentsPhase:
        from chalicelib.sync.segments.segments_phase import SegmentsPhase

        return SegmentsPhase(
            stores=self.stores,
            reader_for=self.reader_for,
            mailchimp_for=self.mailchimp_for,
            clock=self.seams.clock,
        )
