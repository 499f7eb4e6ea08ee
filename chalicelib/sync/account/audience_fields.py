"""The audience's fields: looked at by every run, and at once where Mailchimp refuses a value.

Fields are deleted, made anew, retyped and made required in Mailchimp while a department is synced. Each look creates
what is missing and leaves out what clashes. Where a field is not the one it was, the plan is told what every member
holds, so that it sends again what the change made wrong, and nothing else.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from chalicelib.domain.audiences import MergeField
from chalicelib.domain.departments import Audience, AudienceStatus, Department
from chalicelib.domain.health import AUDIENCE_GONE
from chalicelib.domain.logs import LogEntry
from chalicelib.domain.preflight import (
    AudienceTraits,
    PreFlight,
    check_audience,
    differ,
    fields_message,
    findings_after_look,
    missing_fields,
)
from chalicelib.errors import RefuseRequest
from chalicelib.mailchimp.errors import AudienceGone, NotPermitted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chalicelib.domain.runs import Run
    from chalicelib.mailchimp.answers import Audience as RemoteAudience
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.logs import LogStore
    from chalicelib.sync.ports import Clock

logger = logging.getLogger("pracbill-mailchimp.fields")

# A field that Mailchimp does not let us create is asked for again after this long, or once there is room.
_REFUSED_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CompletedFields:
    """The audience's fields after creating those we fill; `refused` are tags that Mailchimp did not let us create."""

    fields: tuple[MergeField, ...]
    refused: tuple[str, ...] = ()


class AudienceFields:
    def __init__(self, departments: DepartmentStore, logs: LogStore, *, clock: Clock) -> None:
        self._departments = departments
        self._logs = logs
        self._clock = clock

    def look(self, run: Run, department: Department, client: MailchimpClient) -> Department:
        """Compare the audience with what is known of it, at the beginning of a run; answers the department as stored.

        Two reading calls when nothing changed. Raises AudienceGone, noted as a finding, and what a reading call raises.
        """
        return self._look(run, department, client, before_plan=True)

    def look_again(self, run: Run, department: Department, client: MailchimpClient) -> Department:
        """The same after the plan, when Mailchimp has refused a value: what the change made wrong is the next run's."""
        return self._look(run, department, client, before_plan=False)

    def note_state_required(self, department: Department) -> Department:
        """Remember that Mailchimp refused a postal address for its missing state: others like it are sent without."""
        now = self._clock()

        def noted(stored: Department) -> Department:
            audience = stored.audience
            if audience is None or audience.id != department.audience_id or audience.requires_state(now):
                return stored
            return replace(stored, audience=replace(audience, state_required_at=now))

        return self._departments.change(department.id, noted)

    def _look(self, run: Run, department: Department, client: MailchimpClient, *, before_plan: bool) -> Department:
        known = department.audience
        if known is None:
            return department
        try:
            remote = client.audience(known.id)
            fields = client.merge_fields(known.id)
        except AudienceGone:
            self._note_gone(department, known.id)
            raise
        found = CompletedFields(fields)
        if missing_fields(fields):
            if run.dry_run:
                return department  # the next sync creates it
            if run.type == "full" or _may_be_created(known, fields, self._clock()):
                found = create_missing(client, known.id, fields)
            else:
                found = CompletedFields(fields, known.refused_fields)
        return self._note(run, department, remote, found, before_plan=before_plan)

    def _note(
        self,
        run: Run,
        department: Department,
        remote: RemoteAudience,
        found: CompletedFields,
        *,
        before_plan: bool,
    ) -> Department:
        known = department.audience
        assert known is not None
        checked = check_audience(found.fields, traits_of(remote), country=department.country)
        now = self._clock()
        if differ(known.fields, checked.fields):
            # The entry first: once the fields are stored, the difference is not seen again.
            self._log(run, known, checked)

        def noted(stored: Department) -> Department:
            audience = stored.audience
            if audience is None or audience.id != remote.id:
                return stored
            changed = differ(audience.fields, checked.fields)
            audience = with_look(audience, remote, checked, found, now)
            stored = replace(stored, audience=audience)
            if not changed:
                return stored
            if before_plan:
                return replace(stored, replan_all=True).with_values_unsure(run.started_at)
            return stored.to_be_decided_anew().with_values_unsure(now)

        return self._departments.change(department.id, noted)

    def _log(self, run: Run, known: Audience, checked: PreFlight) -> None:
        message = fields_message(known.fields, checked.fields)
        logger.info("The fields of audience %s changed for department %s", known.id, run.department_id)
        entry = LogEntry(
            self._clock(),
            "push",
            run.log_type,
            run.log_trigger,
            "success",
            message,
            run.id,
            code="fields_restored",
        )
        self._logs.add(run.department_id, entry, key=f"{run.id}:fields:{'-'.join(map(str, checked.fields.ids))}")

    def _note_gone(self, department: Department, audience_id: str) -> None:
        now = self._clock()

        def gone(stored: Department) -> Department:
            audience = stored.audience
            if audience is None or audience.id != audience_id:
                return stored
            status = AudienceStatus(now, findings=(AUDIENCE_GONE,))
            return replace(stored, audience=replace(audience, status=status))

        self._departments.change(department.id, gone)


def create_missing(client: MailchimpClient, audience_id: str, fields: tuple[MergeField, ...]) -> CompletedFields:
    """Create the fields we fill and the audience lacks; one that Mailchimp refuses is simply not there."""
    refused: list[str] = []
    for wanted in missing_fields(fields):
        try:
            created = client.create_merge_field(audience_id, tag=wanted.tag, name=wanted.name, type=wanted.type)
        except (RefuseRequest, NotPermitted):
            refused.append(wanted.tag)
            continue
        fields += (created,)
    return CompletedFields(fields, tuple(refused))


def traits_of(remote: RemoteAudience) -> AudienceTraits:
    return AudienceTraits(
        double_optin=remote.double_optin,
        marketing_permissions=remote.marketing_permissions,
    )


def with_look(
    audience: Audience, remote: RemoteAudience, checked: PreFlight, found: CompletedFields, now: datetime
) -> Audience:
    """The audience after a look at it; what is known of its webhooks stays."""
    refused_at = audience.fields_refused_at if audience.refused_fields == found.refused else now
    status = audience.status
    if status is not None and AUDIENCE_GONE in status.findings:
        status = None
    return replace(
        audience,
        name=remote.name or audience.name,
        double_optin=remote.double_optin,
        fields=checked.fields,
        findings=findings_after_look(audience.findings, checked.findings),
        status=status,
        refused_fields=found.refused,
        fields_refused_at=refused_at if found.refused else None,
        field_count=len(found.fields),
    )


def _may_be_created(audience: Audience, fields: Sequence[MergeField], now: datetime) -> bool:
    """Whether missing fields are worth a try: a refusal stands for a day, unless fields were deleted since."""
    missing = {wanted.tag for wanted in missing_fields(fields)}
    if not missing <= set(audience.refused_fields) or len(fields) < audience.field_count:
        return True
    return audience.fields_refused_at is None or now >= audience.fields_refused_at + _REFUSED_FOR
