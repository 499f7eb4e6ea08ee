"""The account's audiences and the one a department uses: listing, creating, selecting, the overview panel.

Selecting means: look at the audience, create the merge fields it lacks, store it, register our webhook, and have a
first plan made. Each step can be repeated, and selecting the selected audience again repeats all but the plan: that is
how staff have us take note of what they have mended in Mailchimp.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from chalicelib.contract.account import AudienceList, AudienceOverview, AudienceSummary
from chalicelib.domain.departments import Audience, Department, Finding
from chalicelib.domain.health import health
from chalicelib.domain.preflight import PreFlight, check_audience, differ
from chalicelib.domain.segments.validation import name_key
from chalicelib.errors import FieldError, RefuseRequest, ServiceError, conflict, not_found
from chalicelib.http_client.calls import UncertainCreation
from chalicelib.mailchimp.errors import AudienceGone, PlanLimitReached, RequestRefused
from chalicelib.store.requests import KeptRequest, RequestStore
from chalicelib.sync.account.audience_fields import CompletedFields, create_missing, traits_of, with_look
from chalicelib.sync.account.connections import for_another_audience
from chalicelib.sync.account.credentials import LinkedAccount, LinkedAccounts, not_connected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from chalicelib.contract.runs import RunView
    from chalicelib.domain.audiences import NewAudience
    from chalicelib.mailchimp.answers import Audience as RemoteAudience
    from chalicelib.mailchimp.answers import Audiences as RemoteAudiences
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.sync.account.audience_status import AudienceStatusCache
    from chalicelib.sync.account.connection_panel import RunCalls
    from chalicelib.sync.account.webhook_registration import WebhookRegistration

# API Gateway answers for us after 29 seconds, and the function of the routes ends soon after.
_LONGEST_REQUEST = timedelta(seconds=60)

logger = logging.getLogger("pracbill-mailchimp.audiences")

# Mailchimp's names of a new audience's parts -> the fields of our form.
_FORM_FIELDS = {
    "contact.company": "company",
    "contact.address1": "address.line1",
    "contact.address2": "address.line2",
    "contact.city": "address.city",
    "contact.state": "address.state",
    "contact.zip": "address.postcode",
    "contact.country": "address.country",
    "campaign_defaults.from_name": "from_name",
    "campaign_defaults.from_email": "from_email",
    "campaign_defaults.language": "language",
}


class Audiences:
    """`segment_count` gives the number of a department's segments."""

    def __init__(
        self,
        departments: DepartmentStore,
        accounts: LinkedAccounts,
        hooks: WebhookRegistration,
        *,
        audience_status: AudienceStatusCache,
        runs: RunCalls,
        segment_count: Callable[[str], int],
        requests: RequestStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._departments = departments
        self._accounts = accounts
        self._hooks = hooks
        self._audience_status = audience_status
        self._runs = runs
        self._segment_count = segment_count
        self._requests = requests
        self._clock = clock

    def list(self, department_id: str, *, name: str | None = None) -> AudienceList:
        """The account's audiences, or those of one name, and whether its plan allows another."""
        with self._accounts.open(department_id) as linked:
            found = linked.client.audiences()
        items = tuple(one for one in _summaries(found) if name is None or name_key(one.name) == name_key(name))
        return AudienceList(items, found.may_create, None if found.may_create else _plan_words(found))

    def create(self, department_id: str, audience: NewAudience, *, by: str, key: str = "") -> AudienceOverview:
        """Create an audience and select it; with a `key` only once, however often the request comes.

        Raises RefuseRequest: 409 when the plan allows no further audience (`audiences` are the ones there are), a run
        is active (`run`) or the same request is still under way (`retry_after`), 422 when Mailchimp does not accept a
        field or the key was used for another request.
        """
        if not key:
            return self.select(department_id, self._created(department_id, audience, by=by), by=by)
        request = KeptRequest(request_digest(audience), self._clock())
        kept = self._requests.begin(department_id, key, request)
        if kept is not None and kept.digest != request.digest:
            raise _other_request()
        if kept is not None and kept.is_done:
            return self.overview(department_id)
        if kept is not None:
            self._refuse_while_under_way(kept)
            request = kept
        return self._create_once(department_id, audience, request, by=by, key=key)

    def _create_once(
        self, department_id: str, audience: NewAudience, request: KeptRequest, *, by: str, key: str
    ) -> AudienceOverview:
        """Go on with a request from where it stands: a function that died leaves that behind."""
        if not request.made:
            try:
                made = self._created(department_id, audience, by=by, request=request, key=key)
            except UncertainCreation:
                raise  # what was there before is kept: the next one looks for what came of it
            except ServiceError:
                self._requests.forget(department_id, key)
                raise
            request = self._requests.made(department_id, key, request, made)
        overview = self.select(department_id, request.made, by=by)
        self._requests.done(department_id, key, request)
        return overview

    def _created(
        self,
        department_id: str,
        audience: NewAudience,
        *,
        by: str,
        request: KeptRequest | None = None,
        key: str = "",
    ) -> str:
        """The id of the new audience, which an earlier try of the same request may have made already."""
        with self._accounts.open(department_id) as linked:
            self._refuse_while_running(linked.department)
            before = linked.client.audiences()
            made = _made_before(before, audience, request.known) if request and request.known is not None else None
            if made is None:
                if request is not None:
                    known = [there.id for there in before.items]
                    self._requests.about_to_create(department_id, key, request, known)
                made = _create(linked.client, audience, before)
        logger.info("An audience was created for department %s by %s", department_id, by)
        return made.id

    def _refuse_while_under_way(self, kept: KeptRequest) -> None:
        """The first one may still be at it, as long as a function runs at the most."""
        left = _LONGEST_REQUEST - (self._clock() - kept.begun_at)
        if left > timedelta(0) and not kept.made:
            seconds = max(1, ceil(left.total_seconds()))
            raise conflict(
                "This audience is being created. Wait a moment, then look at the audience.",
                code="still-under-way",
                extra={"retry_after": seconds},
            )

    def select(self, department_id: str, audience_id: str, *, by: str) -> AudienceOverview:
        """Make an audience the department's primary one, or look after the selected one again.

        Raises RefuseRequest: 404 when the account has no such audience (`audiences` are the ones there are), 409 when a
        run is active (`run`) and the audience would be another one. A webhook that Mailchimp does not accept is
        a finding of the overview and no error.
        """
        with self._accounts.open(department_id) as linked:
            is_other = not _is_selected(linked.department, audience_id)
            if is_other:
                self._refuse_while_running(linked.department)
            remote = _look_up(linked.client, audience_id)
            found, checked = self._pre_flight(linked, remote)
            department = self._departments.change(department_id, partial(self._selected, remote, found, checked))
            self._hooks.repair(department, linked.client)
        logger.info("Audience %s was selected for department %s by %s", audience_id, department_id, by)
        if is_other:
            self._runs.first_plan(department_id, by)
        return self._panel(self._audience_status.fresh(self._departments.get(department_id) or department))

    def overview(self, department_id: str) -> AudienceOverview:
        """The overview panel. Mailchimp is asked at most once a minute, and never waited for long.

        Raises RefuseRequest: 409 while the department is not connected, 404 when no audience is selected.
        """
        department = self._departments.get(department_id)
        if department is None or department.connection is None:
            raise not_connected()
        return self._panel(self._audience_status.refreshed(department))

    def _pre_flight(self, linked: LinkedAccount, remote: RemoteAudience) -> tuple[CompletedFields, PreFlight]:
        client, department = linked.client, linked.department
        found = create_missing(client, remote.id, client.merge_fields(remote.id))
        hooks = client.webhooks(remote.id)
        traits = replace(
            traits_of(remote),
            foreign_hook_hosts=self._hooks.foreign_hosts(department.id, hooks),
            is_shared=self._hooks.is_shared(department.id, hooks),
        )
        return found, check_audience(found.fields, traits, country=department.country)

    def _selected(
        self, remote: RemoteAudience, found: CompletedFields, checked: PreFlight, department: Department
    ) -> Department:
        """The department with this audience; what was known of another one is void, of this one it stays.

        Of the same audience the next sync reads what its members hold: whoever selects it again misses something there.
        """
        before = department.audience
        if department.connection is None:
            raise not_connected()
        if before is None or before.id != remote.id:
            self._refuse_while_running(department)
            audience = Audience(remote.id, remote.name, checked.fields, selected_at=self._clock())
            department = for_another_audience(department)
        else:
            audience = replace(before, findings=(), state_required_at=None)
            department = department.with_values_unsure(self._clock())
            # A field more or less changes what every member should hold.
            if differ(before.fields, checked.fields):
                department = department.to_be_decided_anew()
        return replace(department, audience=with_look(audience, remote, checked, found, self._clock()))

    def _refuse_while_running(self, department: Department) -> None:
        if not department.active_run_id:
            return
        active = self._runs.active(department)
        raise conflict(
            "A sync is running for this department. Wait for it to end, or cancel it, before another audience is "
            "selected.",
            code="run-active",
            extra={"run": self._runs.view(active) if active is not None else None},
        )

    def _panel(self, department: Department) -> AudienceOverview:
        if department.audience is None:
            raise not_found("No audience is selected for this department yet.")
        run = self._runs.active(department) if department.active_run_id else None
        failed = self._runs.last_failed(department)
        return overview_of(
            department,
            department.audience,
            segments=self._segment_count(department.id),
            active_run=self._runs.view(run) if run is not None else None,
            findings=health(department, run=run, failed=failed, now=self._clock()),
        )


def overview_of(
    department: Department,
    audience: Audience,
    *,
    segments: int,
    active_run: RunView | None,
    findings: tuple[Finding, ...],
) -> AudienceOverview:
    """The overview panel from what is stored."""
    return AudienceOverview(
        id=audience.id,
        name=audience.name,
        member_count=audience.status.member_count if audience.status else None,
        counted_at=audience.status.counted_at if audience.status else None,
        segments=segments,
        last_synced_at=department.last_synced_at,
        active_run=active_run,
        health=findings,
    )


def _is_selected(department: Department, audience_id: str) -> bool:
    return department.audience is not None and department.audience.id == audience_id


def _look_up(client: MailchimpClient, audience_id: str) -> RemoteAudience:
    try:
        return client.audience(audience_id)
    except AudienceGone:
        words = "This audience is not in the Mailchimp account. Select one of the audiences of the account."
        raise RefuseRequest(
            words,
            status=404,
            title="Not found",
            code="no-such-audience",
            errors=(FieldError("audience_id", words, "no_such_audience"),),
            extra={"audiences": _summaries(client.audiences())},
        ) from None


def request_digest(audience: NewAudience) -> str:
    return hashlib.blake2b(json.dumps(asdict(audience), sort_keys=True).encode(), digest_size=16).hexdigest()


def _other_request() -> RefuseRequest:
    return RefuseRequest(
        "This Idempotency-Key was used for another audience. Use a new key for each audience.",
        status=422,
        title="Key used before",
        code="idempotency-key-reused",
    )


def _made_before(there: RemoteAudiences, audience: NewAudience, known: Collection[str]) -> RemoteAudience | None:
    """The audience of that name that was not there before."""
    return next((one for one in there.items if one.name == audience.name and one.id not in known), None)


def _create(client: MailchimpClient, audience: NewAudience, before: RemoteAudiences) -> RemoteAudience:
    if not before.may_create:
        raise _plan_limit(before)
    try:
        return client.create_audience(audience)
    except PlanLimitReached:
        raise _plan_limit(before) from None
    except RequestRefused as refused:
        raise RequestRefused(refused.message, tuple(_of_our_form(error) for error in refused.errors)) from None
    except UncertainCreation:
        made = _made_before(client.audiences(), audience, {there.id for there in before.items})
        if made is None:
            raise
        return made


def _of_our_form(error: FieldError) -> FieldError:
    return replace(error, field=_FORM_FIELDS.get(error.field, error.field))


def _plan_limit(found: RemoteAudiences) -> RefuseRequest:
    return RefuseRequest(
        _plan_words(found),
        status=409,
        title="No further audience",
        code="plan-limit-reached",
        extra={"audiences": _summaries(found)},
    )


def _plan_words(found: RemoteAudiences) -> str:
    way_out = "Select an existing audience; one is enough, and segments divide it into groups."
    if found.max_instances is None or found.may_create:
        return (
            "Mailchimp does not allow another audience: the plan's limit of audiences is reached, or the user of "
            f"the API key may not create audiences. {way_out}"
        )
    return (
        f"The plan of this Mailchimp account allows {found.max_instances} audience"
        f"{'' if found.max_instances == 1 else 's'}, and it has {found.current}. {way_out}"
    )


def _summaries(found: RemoteAudiences) -> tuple[AudienceSummary, ...]:
    return tuple(AudienceSummary(audience.id, audience.name, audience.member_count) for audience in found.items)
