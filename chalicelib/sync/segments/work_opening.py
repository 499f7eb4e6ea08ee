"""Getting together what a step, or a lane's share, of the segments phase needs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from chalicelib.domain.segments.calendar import today_in
from chalicelib.sync.segments.segment_work import Work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.store.stores import Stores
    from chalicelib.store.tag_rechecks import TagRecheck
    from chalicelib.sync.ports import Clock, MailchimpFor, ReaderFor, Remaining
    from chalicelib.sync.runs.phase_progress import PhaseReporter
    from chalicelib.sync.segments.changed_customers import ChangedCustomers
    from chalicelib.sync.segments.segment_notes import SegmentNotes


class WorkOpener:
    def __init__(
        self,
        *,
        stores: Stores,
        reader_for: ReaderFor,
        mailchimp_for: MailchimpFor,
        notes: SegmentNotes,
        clock: Clock,
    ) -> None:
        self._checks, self._address_statuses = stores.rechecks, stores.address_statuses
        self._reader_for = reader_for
        self._mailchimp_for = mailchimp_for
        self._notes = notes
        self._clock = clock

    def open(
        self,
        run: Run,
        department: Department,
        progress: PhaseReporter,
        remaining: Remaining,
        *,
        checks: Sequence[TagRecheck] | None = None,
        changed: ChangedCustomers | None = None,
    ) -> Work:
        """What is at hand for the department's segments. The `checks` of a share are dealt with by somebody else."""
        return Work(
            run=run,
            department=department,
            audience_id=department.audience_id,
            today=today_in(ZoneInfo(department.timezone), self._clock()),
            reader=self._reader_for(department),
            mailchimp=self._mailchimp_for(department, remaining),
            remaining=remaining,
            rechecks=_by_segment(checks or ()),
            load_statuses=lambda: self._address_statuses.load(department.id, department.audience_id),
            # Nothing is while a plan of all addresses is only partly carried out.
            are_statuses_certain=not (run.type == "segments" and department.replan_all),
            progress=progress,
            load_looked_at=lambda: self._looked_at(department, checks),
            states=changed.states if changed is not None else {},
            goes_on=lambda: self._notes.goes_on(run),
        )

    def _looked_at(self, department: Department, checks: Sequence[TagRecheck] | None) -> frozenset[str]:
        known = self._checks.ascending(department.id) if checks is None else checks
        return frozenset(check.address_key for check in known)


def _by_segment(checks: Sequence[TagRecheck]) -> dict[str, set[str]]:
    """Addresses that may carry a tag without a marked customer, by segment."""
    rechecks: dict[str, set[str]] = {}
    for check in checks:
        for segment_id in check.segments:
            rechecks.setdefault(segment_id, set()).add(check.address_key)
    return rechecks
