"""The brake: holds a plan that would do more than anybody expects until staff have approved it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.brake import BrakeReason, brake_reason, planned_additions, planned_removals
from chalicelib.domain.consent.members import TAGGABLE

if TYPE_CHECKING:
    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.store.address_status import AddressStatusStore
    from chalicelib.store.members import MemberStore
    from chalicelib.store.tag_rechecks import TagRecheckStore
    from chalicelib.sync.ports import MailchimpFor, Remaining

# Beyond so many addresses nobody is looked for who came back: staff decide then anyway.
_MOST_LOOKED_AT = 2_000


class Brake:
    def __init__(
        self,
        *,
        address_statuses: AddressStatusStore,
        checks: TagRecheckStore,
        members: MemberStore,
        mailchimp_for: MailchimpFor,
    ) -> None:
        self._address_statuses = address_statuses
        self._checks = checks
        self._members_store = members
        self._mailchimp_for = mailchimp_for

    def reason(self, run: Run, department: Department, remaining: Remaining) -> BrakeReason | None:
        """Why the run must wait for approval, None when it need not. Mailchimp is asked only where it could matter."""
        limits, removals = department.settings.brake, planned_removals(run)
        additions = planned_additions(run) if run.trigger == "schedule" else 0
        leaving = self._leaving_segments(department)
        members = self._members(run, department, leaving) if removals or leaving else 0
        audience_size, most = 0, max(removals, leaving)
        if most > limits.removals or additions > limits.additions or (most and not members):
            audience_size = self._audience_size(department, remaining)
        return brake_reason(run, audience_size, members or audience_size, limits, leaving_segments=leaving)

    def _leaving_segments(self, department: Department) -> int:
        """Where removed customers stay members: how many would lose the tags that they carry.

        They are told by the tag rechecks, which stay until a sync has come that far, however many were stopped before.
        """
        if department.settings.consent.on_removed != "keep":
            return 0
        checks = self._checks.ascending(department.id)
        left = list(dict.fromkeys(check.address_key for check in checks if check.is_gone and check.segments))
        # A list that was wrong may have been mended since, and who has left the audience carries no tag.
        states = self._members_store.states(department.id, left[:_MOST_LOOKED_AT], department.audience_id)
        stay = sum(state.address_customers is None and state.member.status in TAGGABLE for state in states)
        return stay + len(left[_MOST_LOOKED_AT:])

    def _members(self, run: Run, department: Department, leaving: int) -> int:
        """The department's own members before the plan is carried out; 0 where that is not known.

        A plan of all addresses has just noted where they stand: those it archives, and those who stay without their
        customer, do not count any more.
        """
        known = self._address_statuses.load(department.id, department.audience_id).members
        everything = run.type == "full" or department.replan_all
        return known + run.planned_counts.get("archive", 0) + leaving if everything else known

    def _audience_size(self, department: Department, remaining: Remaining) -> int:
        assert department.audience is not None
        return self._mailchimp_for(department, remaining).audience(department.audience.id).member_count
