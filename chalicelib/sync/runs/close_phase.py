"""The last step of a run: what is left for PracBill is sent, the audience is counted, the run is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.domain.runs import Run, closing_code, closing_message, closing_params, closing_status
from chalicelib.errors import RetryLater, StopRun

if TYPE_CHECKING:
    from chalicelib.domain.departments import Department
    from chalicelib.sync.account.audience_status import AudienceStatusCache
    from chalicelib.sync.consent.pracbill_outbox import PracBillOutbox
    from chalicelib.sync.ports import MailchimpFor, Remaining
    from chalicelib.sync.runs.lifecycle import Lifecycle


class ClosePhase:
    def __init__(
        self,
        *,
        lifecycle: Lifecycle,
        outbox: PracBillOutbox,
        audience_status: AudienceStatusCache,
        mailchimp_for: MailchimpFor,
    ) -> None:
        self._lifecycle = lifecycle
        self._outbox = outbox
        self._audience_status = audience_status
        self._mailchimp_for = mailchimp_for

    def step(self, run: Run, department: Department, remaining: Remaining) -> Run | None:
        """End the run with what it has to say."""
        # Opt-outs that Mailchimp's refusals showed, or that were observed before PracBill had the customer. When
        # PracBill is away they are kept for the next pull: no sync is held up for that.
        try:
            backlog = self._outbox.send(department, remaining).backlog
        except (RetryLater, StopRun):
            backlog = self._outbox.backlog(department.id)
        if run.type != "segments":
            self._audience_status.recount(department, lambda: self._mailchimp_for(department, remaining))
        message, params = closing_message(run), closing_params(run)
        if backlog is not None:
            message, params["waiting"] = f"{message} {backlog.message}", backlog.count
        self._lifecycle.finish(run, closing_status(run), message, code=closing_code(run), params=params)
        return None
