"""The service in its own wiring, against the stand-ins: for tests and benchmarks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from chalicelib.config import Settings
from chalicelib.container import Container
from chalicelib.domain.departments import Department
from chalicelib.errors import KeyRejected
from chalicelib.foundations import Seams
from chalicelib.mailchimp.client import MailchimpClient
from chalicelib.mailchimp.keys import ApiKey, parse_api_key
from chalicelib.pracbill.client import PracBillClient
from chalicelib.sync.ports import Remaining
from infra.standins.mailchimp import MailchimpStandIn
from infra.standins.pracbill import PracBillStandIn


class StandInService(Container):
    """PracBill's token is the stand-in's, if there is one. Departments have the keys that staff gave."""

    def __init__(
        self,
        mailchimp: MailchimpStandIn,
        pracbill: PracBillStandIn | None,
        seams: Seams,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        servers = {"MAILCHIMP_API_URL": mailchimp.url} | ({"PRACBILL_API_URL": pracbill.url} if pracbill else {})
        super().__init__(Settings({**os.environ, **servers, **(environment or {})}), seams)
        self.standin, self._pracbill = mailchimp, pracbill
        self.other_pracbill: Any = None  # asked instead of the stand-in, where a test gives one

    def mailchimp_for_a_glance(self, key: ApiKey) -> MailchimpClient:
        """A busy machine may need more than the moment that a panel waits."""
        return self.mailchimp_of_key(key)

    def pracbill_for(self, remaining: Remaining) -> PracBillClient:
        return self.other_pracbill or super().pracbill_for(remaining)

    def pracbill_token(self) -> str:
        assert self._pracbill is not None
        return self._pracbill.token


class ConnectedService(StandInService):
    """Every connected department has the key of the stand-in's account, without asking for a secret."""

    rejection: KeyRejected | None = None  # raised instead, where a test gives one

    def mailchimp_for(self, department: Department, remaining: Remaining) -> MailchimpClient:
        if self.rejection is not None:
            raise self.rejection
        if department.connection is None:
            raise KeyRejected("There is no API key for this department.", code="key_rejected")
        return self.mailchimp(parse_api_key(self.standin.api_key), remaining)
