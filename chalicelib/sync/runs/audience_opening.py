"""What a run does in Mailchimp before it reads the first member."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chalicelib.domain.departments import Department
    from chalicelib.domain.runs import Run
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.sync.account.audience_fields import AudienceFields
    from chalicelib.sync.account.webhook_registration import WebhookRegistration
    from chalicelib.sync.ports import MailchimpFor, Remaining


class AudienceOpener:
    """Opens a run's audience. In its first step the fields we need and our webhook are put in place."""

    def __init__(self, *, mailchimp_for: MailchimpFor, fields: AudienceFields, hooks: WebhookRegistration) -> None:
        self._mailchimp_for = mailchimp_for
        self._fields = fields
        self._hooks = hooks

    def open(self, run: Run, department: Department, remaining: Remaining) -> tuple[Department, MailchimpClient]:
        """The department as stored by then, and a client of its key. Raises KeyRejected without a key."""
        mailchimp = self._mailchimp_for(department, remaining)
        if not run.cursor:
            department = self._fields.look(run, department, mailchimp)
            department = self._hooks.repair(department, mailchimp, patient=True)
        return department, mailchimp
