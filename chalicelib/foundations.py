"""What the workflows stand on: seams to the outside, stores, clients, and what several of them share.

container.py builds upon it. Each part is made when it is first asked for, and once a process; what it is made of is
imported then, so that a function that starts loads its own parts only.
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from chalicelib.config import API_SECONDS
from chalicelib.http_client.retry import DEFAULT_RETRY_POLICY, RetryPolicy
from chalicelib.observability import MetricsMeter
from chalicelib.store.stores import AwsClients, Retention

if TYPE_CHECKING:
    import requests

    from chalicelib.config import Settings
    from chalicelib.domain.departments import Department
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.mailchimp.keys import ApiKey
    from chalicelib.pracbill.client import PracBillClient
    from chalicelib.store.customer_reading import CustomerReader
    from chalicelib.store.stores import Stores
    from chalicelib.sync.account.audience_fields import AudienceFields
    from chalicelib.sync.account.audience_status import AudienceStatusCache
    from chalicelib.sync.account.credentials import LinkedAccounts
    from chalicelib.sync.account.registration import Registration
    from chalicelib.sync.account.schedule import Schedule
    from chalicelib.sync.account.webhook_registration import WebhookRegistration
    from chalicelib.sync.consent.observations import Observations
    from chalicelib.sync.consent.pracbill_outbox import PracBillOutbox
    from chalicelib.sync.ports import Clock, ProcessMeter, Remaining

# What a panel may wait for Mailchimp; three of them are the reserve that every call leaves. A Mailchimp that asks to
# slow down is not asked again: the panel shows what is known.
_GLANCE_SECONDS = 5.0
# A page of the database takes a fraction of it; the rest is for what comes after the reading.
_SECONDS_FOR_A_PAGE = 2.0
_ASK_ONCE = RetryPolicy(attempts=1)


def _new_session() -> requests.Session:
    from chalicelib.http_client.calls import new_session

    return new_session()


@dataclass(frozen=True, kw_only=True)
class Seams:
    """What the service takes from outside, with production's values. Tests and benchmarks give others.

    `entropy` answers so many random bytes as hexadecimal digits, `request_time` the seconds that are left to answer the
    request in hand.
    """

    clock: Clock = lambda: datetime.now(UTC)
    entropy: Callable[[int], str] = secrets.token_hex
    sleep: Callable[[float], None] = time.sleep
    random: Callable[[], float] = random.random
    request_time: Remaining = lambda: API_SECONDS
    http_session: Callable[[], requests.Session] = _new_session
    retry_policy: RetryPolicy = DEFAULT_RETRY_POLICY
    meter: ProcessMeter = field(default_factory=MetricsMeter)
    aws: AwsClients = field(default_factory=AwsClients)
    retention: Retention = field(default_factory=Retention)


class Foundations:
    """Stores, clients of Mailchimp and PracBill, and what several workflows share."""

    def __init__(self, env: Settings, seams: Seams | None = None) -> None:
        self.env = env
        self.seams = seams or Seams()

    def key_secret(self, department_id: str) -> str:
        """The name of the secret that holds a department's API key."""
        return self.env.secret("departments", department_id)

    def public_url(self) -> str:
        return self.env.public_url

    @cached_property
    def stores(self) -> Stores:
        from chalicelib.store.stores import Stores

        return Stores(self.env, self.seams.aws, self.seams.retention, self.seams.sleep)

    def reader_for(self, department: Department) -> CustomerReader:
        return self.stores.reader_for(department, self._check_request_time)

    def _check_request_time(self) -> None:
        """The gateway cuts off an answer without a word when it takes too long: whoever waits is told before."""
        from chalicelib.errors import RetryLater

        if self.seams.request_time() < _SECONDS_FOR_A_PAGE:
            raise RetryLater(
                "Reading all customers of this department took longer than one request may take. Nothing was changed. "
                "Try again in a minute.",
                after_seconds=60,
            )

    # --------------------------------------------------------------------------------- Mailchimp and PracBill

    @cached_property
    def _session(self) -> requests.Session:
        """Connections to Mailchimp and PracBill are kept between invocations."""
        return self.seams.http_session()

    def mailchimp_of_key(self, key: ApiKey) -> MailchimpClient:
        """A client for the request in hand."""
        return self.mailchimp(key, self.seams.request_time)

    def mailchimp_for_a_glance(self, key: ApiKey) -> MailchimpClient:
        """A client for what is nice to know: it asks once, and gives up a few seconds after it was made."""
        end = time.monotonic() + _GLANCE_SECONDS
        return self.mailchimp(key, lambda: end - time.monotonic(), _ASK_ONCE)

    def mailchimp_for(self, department: Department, remaining: Remaining) -> MailchimpClient:
        return self.mailchimp(self.accounts.key_for(department), remaining)

    def mailchimp_in_request(self, department: Department, remaining: Remaining) -> MailchimpClient:
        return self.mailchimp_for(department, lambda: min(remaining(), self.seams.request_time()))

    def mailchimp(self, key: ApiKey, remaining: Remaining, retry_policy: RetryPolicy | None = None) -> MailchimpClient:
        from chalicelib.mailchimp.client import MailchimpClient

        return MailchimpClient(
            key,
            url_template=self.env.mailchimp_api_url,
            remaining=remaining,
            retry_policy=retry_policy or self.seams.retry_policy,
            sleep=self.seams.sleep,
            random=self.seams.random,
            on_call=self.seams.meter.mailchimp_call,
            session_factory=lambda: self._session,
        )

    def pracbill_for(self, remaining: Remaining) -> PracBillClient:
        """The client towards PracBill; its token is read for each call and kept for at most a minute."""
        from chalicelib.pracbill.client import PracBillClient

        return PracBillClient(
            self.env.pracbill_api_url,
            self.pracbill_token,
            remaining=remaining,
            sleep=self.seams.sleep,
            random=self.seams.random,
            session_factory=lambda: self._session,
            retry_policy=self.seams.retry_policy,
        )

    def pracbill_token(self) -> str:
        return self.stores.secrets.needed_text(self.env.pracbill_token_secret)

    # --------------------------------------------------------------------------------------- shared by several

    @cached_property
    def observations(self) -> Observations:
        from chalicelib.sync.consent.observations import Observations

        return Observations(members=self.stores.members, ledger=self.stores.ledger)

    @cached_property
    def outbox(self) -> PracBillOutbox:
        from chalicelib.sync.consent.pracbill_outbox import PracBillOutbox

        return PracBillOutbox(
            departments=self.stores.departments,
            members=self.stores.members,
            pracbill_for=self.pracbill_for,
            clock=self.seams.clock,
        )

    @cached_property
    def accounts(self) -> LinkedAccounts:
        from chalicelib.sync.account.credentials import LinkedAccounts

        return LinkedAccounts(
            self.stores.departments,
            self.stores.secrets,
            self.mailchimp_of_key,
            secret_name=self.key_secret,
        )

    @cached_property
    def audience_status(self) -> AudienceStatusCache:
        from chalicelib.sync.account.audience_status import AudienceStatusCache

        return AudienceStatusCache(
            self.stores.departments, self.accounts, open_quickly=self.mailchimp_for_a_glance, clock=self.seams.clock
        )

    @cached_property
    def registration(self) -> Registration:
        from chalicelib.sync.account.registration import Registration

        return Registration(self.stores.departments, self.pracbill_for(self.seams.request_time))

    @cached_property
    def schedule(self) -> Schedule:
        from chalicelib.sync.account.schedule import Schedule

        return Schedule(self.env.sync_schedule, self.stores.schedule, clock=self.seams.clock)

    @cached_property
    def fields(self) -> AudienceFields:
        from chalicelib.sync.account.audience_fields import AudienceFields

        return AudienceFields(self.stores.departments, self.stores.logs, clock=self.seams.clock)

    @cached_property
    def hooks(self) -> WebhookRegistration:
        from chalicelib.sync.account.webhook_registration import WebhookRegistration

        return WebhookRegistration(
            self.stores.departments,
            self.stores.hook_records,
            public_url=self.public_url,
            clock=self.seams.clock,
        )
