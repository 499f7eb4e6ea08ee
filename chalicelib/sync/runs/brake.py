"""The brake: holds a plan that would do more than anybody expects until staff have approved it."""

from __future__ import annotations

from chalicelib.domain.departments import Department
from chalicelib.domain.runs import BrakeReason, Run, brake_reason, planned_additions, planned_removals
from chalicelib.store.address_status import AddressStatusStore
from chalicelib.sync.ports import MailchimpFor, Remaining


class Brake:
    def __init__(self, *, address_statuses: AddressStatusStore, mailchimp_for: MailchimpFor) -> None:
        self._address_statuses = address_statuses
        self._mailchimp_for = mailchimp_for

    def reason(self, run: Run, department: Department, remaining: Remaining) -> BrakeReason | None:
        """Why the run must wait for approval, None when it need not. Mailchimp is asked only where it could matter."""
        limits, removals = department.settings.brake, planned_removals(run)
        additions = planned_additions(run) if run.trigger == "schedule" else 0
        members = self._members(run, department) if removals else 0
        audience_size = 0
        if removals > limits.removals or additions > limits.additions or (removals and not members):
            audience_size = self._audience_size(department, remaining)
        return brake_reason(run, audience_size, members or audience_size, limits)

    def _members(self, run: Run, department: Department) -> int:
        """The department's own members before the plan is carried out; 0 where that is not known.

        A plan of all addresses has just noted where they stand: those it archives have lost their customer already.
        """
        known = self._address_statuses.load(department.id, department.audience_id).members
        everything = run.type == "full" or department.replan_all
        return known + run.planned_counts.get("archive", 0) if everything else known

    def _audience_size(self, department: Department, remaining: Remaining) -> int:
        assert department.audience is not None
        return self._mailchimp_for(department, remaining).audience(department.audience.id).member_count
