"""Our webhook at Mailchimp: registered, looked after, removed.

Its address is `{PUBLIC_URL}/webhooks/mailchimp/{department_id}/{token}`. Of the token only the SHA-256 is kept, in the
hook record (store/hook_records.py), which the webhook's function reads to know its callers. Hooks are ours when the
record names them or their address begins with ours; a copy of this service under another PUBLIC_URL therefore never
touches them.

Registering writes the record before it asks Mailchimp, because Mailchimp calls the address while it creates the hook
and wants to be answered. Until the hook's id is added the record counts as unfinished, so whatever a crash leaves
behind is cleared away at the next look.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from chalicelib.domain.health import webhook_missing, with_hook_finding
from chalicelib.domain.moments import moment_text, parse_moment
from chalicelib.errors import KeyRejected, RetryLater, ServiceError, StopRun
from chalicelib.http_client.addresses import is_plain_http
from chalicelib.mailchimp.errors import AudienceGone, WebhookRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from chalicelib.domain.departments import Audience, Department, Finding
    from chalicelib.mailchimp.answers import Webhook
    from chalicelib.mailchimp.client import MailchimpClient
    from chalicelib.store.departments import DepartmentStore
    from chalicelib.store.hook_records import HookRecordStore

logger = logging.getLogger("pracbill-mailchimp.hooks")

# The events that we want. `campaign` is not about people.
WANTED_EVENTS = frozenset({"subscribe", "unsubscribe", "profile", "cleaned", "upemail"})
# Our own writes must not come back to us as events; other API clients' changes are read by the pull.
WANTED_SOURCES = frozenset({"user", "admin"})
_TOKEN_BYTES = 32
# What Mailchimp thinks of an address does not change from one sync to the next, and a department without changes writes
# nothing there.
_REFUSED_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class WebhookRecord:
    """What we keep of our webhook. Hashes are SHA-256 in hexadecimal.

    `hook_id` is empty until Mailchimp has created the hook, `signing_secret` when it signs nothing. `refused_at` is
    when Mailchimp last refused a hook at an address that begins with `refused_prefix`.
    """

    token_hash: str
    url_hash: str
    account_id: str
    audience_id: str
    hook_id: str = ""
    signing_secret: str = field(default="", repr=False)
    refused_at: str = ""
    refused_prefix: str = ""

    @classmethod
    def from_fields(cls, stored: dict[str, str]) -> WebhookRecord | None:
        """The record of stored fields; None for the empty fields of one that is not there."""
        return cls(**{name.name: stored.get(name.name, "") for name in fields(cls)}) if stored else None


def secret_hash(text: str) -> str:
    """What is stored of a token, or of an address that holds one; a caller's token is compared by it."""
    return sha256(text.encode()).hexdigest()


class _StillRefused(Exception):
    """Mailchimp refused this very hook not long ago; the finding that tells so stands."""


class WebhookRegistration:
    """`public_url` is asked for when a hook is looked at."""

    def __init__(
        self,
        departments: DepartmentStore,
        records: HookRecordStore,
        *,
        public_url: Callable[[], str],
        clock: Callable[[], datetime],
        new_token: Callable[[], str] = lambda: secrets.token_urlsafe(_TOKEN_BYTES),
    ) -> None:
        self._departments = departments
        self._records = records
        self._public_url = public_url
        self._clock = clock
        self._new_token = new_token

    def repair(self, department: Department, client: MailchimpClient, *, patient: bool = False) -> Department:
        """See that the selected audience has our webhook and no stale one of ours; answers the department as stored.

        One reading call when all is well. When Mailchimp does not accept the webhook or fails, that becomes a finding
        of the audience and not an error, since the scheduled pull brings opt-outs as well. `patient`: a hook whose
        address Mailchimp refused, for another reason than that it did not answer, is not tried again on the same day.
        Raises KeyRejected and AudienceGone.
        """
        audience, connection = department.audience, department.connection
        if audience is None or connection is None:
            return department
        try:
            listed = client.webhooks(audience.id)
        except (KeyRejected, AudienceGone):
            raise
        except ServiceError:
            return department  # nobody knows how it stands: the next look will
        try:
            hook_id = self._ensure(department.id, connection.account_id, audience.id, client, listed, patient)
            finding = None
        except (KeyRejected, AudienceGone):
            raise
        except _StillRefused:
            return department
        except (WebhookRefused, RetryLater, StopRun) as refused:
            logger.warning("No webhook for department %s: %s", department.id, type(refused).__name__)
            reason = refused.reason if isinstance(refused, WebhookRefused) else "no_answer"
            hook_id, finding = "", webhook_missing(refused.message, reason)
        return self._departments.change(department.id, partial(_with_hook, audience.id, hook_id, finding))

    def retire(self, department: Department, client: MailchimpClient | None) -> bool:
        """Stop answering our webhook and remove it as far as Mailchimp lets us; answers whether none is left.

        Our own record goes first: that must not wait for Mailchimp. `client` is None when there is no usable key.
        """
        record = self._record(department.id)
        self._records.remove(department.id)
        audiences = {record.audience_id} if record else set()
        if department.audience is not None:
            audiences.add(department.audience.id)
        left = [a for a in audiences if client is None or not self._remove_all(department.id, a, record, client)]
        return record is None or not left

    def foreign_hosts(self, department_id: str, listed: Iterable[Webhook]) -> tuple[str, ...]:
        """The servers that webhooks other than ours report to. Their full addresses may hold secrets of others."""
        record, root = self._record(department_id), self._root()
        others = (hook.url for hook in listed if not self._is_ours(department_id, hook, record))
        hosts = (urlsplit(url).hostname for url in others if not url.startswith(root))
        return tuple(host or "an unknown server" for host in hosts)

    def is_shared(self, department_id: str, listed: Iterable[Webhook]) -> bool:
        """Whether another department's webhook is among them."""
        return any(hook.url.startswith(self._root()) for hook in listed if not self._is_ours(department_id, hook, None))

    def _ensure(
        self,
        department_id: str,
        account_id: str,
        audience_id: str,
        client: MailchimpClient,
        listed: Sequence[Webhook],
        patient: bool,
    ) -> str:
        """The id of our hook, made anew unless a good one is there; stale ones are removed first."""
        record = self._record(department_id)
        good = next((hook for hook in listed if self._is_good(department_id, audience_id, hook, record)), None)
        ours = [hook for hook in listed if self._is_ours(department_id, hook, record)]
        _delete(client, audience_id, [hook for hook in ours if hook is not good])
        if good is not None:
            return good.id
        if patient and record is not None and self._was_refused_lately(department_id, audience_id, record):
            raise _StillRefused()
        if record is not None and record.audience_id != audience_id:
            self._remove_all(department_id, record.audience_id, record, client)
        return self._register(department_id, account_id, audience_id, client)

    def _register(self, department_id: str, account_id: str, audience_id: str, client: MailchimpClient) -> str:
        if is_plain_http(self._public_url()):
            raise StopRun("The webhook was not registered: its address, PUBLIC_URL, must begin with https://.")
        token = self._new_token()
        url = self._prefix(department_id) + token
        record = WebhookRecord(secret_hash(token), secret_hash(url), account_id, audience_id)
        self._put(department_id, record)
        try:
            created = client.create_webhook(audience_id, url, events=WANTED_EVENTS)
        except WebhookRefused as refused:
            # Who could not be reached may be up again by the next sync; what the address is, stays.
            if refused.reason != "unreachable":
                refused_at, prefix = moment_text(self._clock()), self._prefix(department_id)
                self._put(department_id, replace(record, refused_at=refused_at, refused_prefix=prefix))
            raise
        self._put(department_id, replace(record, hook_id=created.id, signing_secret=created.signing_secret or ""))
        return created.id

    def _was_refused_lately(self, department_id: str, audience_id: str, record: WebhookRecord) -> bool:
        refused_at = parse_moment(record.refused_at)
        return (
            refused_at is not None
            and record.audience_id == audience_id
            and record.refused_prefix == self._prefix(department_id)
            and self._clock() < refused_at + _REFUSED_FOR
        )

    def _remove_all(
        self, department_id: str, audience_id: str, record: WebhookRecord | None, client: MailchimpClient
    ) -> bool:
        """Remove our hooks from an audience if Mailchimp lets us; answers whether none is left."""
        try:
            listed = client.webhooks(audience_id)
        except AudienceGone:
            return True  # and its hooks with it
        except ServiceError:
            return False
        return _delete(client, audience_id, [hook for hook in listed if self._is_ours(department_id, hook, record)])

    def _is_good(self, department_id: str, audience_id: str, hook: Webhook, record: WebhookRecord | None) -> bool:
        """The hook of a finished record, at today's address, with just the switches we want."""
        return (
            record is not None
            and record.audience_id == audience_id
            and record.hook_id == hook.id
            and record.url_hash == secret_hash(hook.url)
            and hook.url.startswith(self._prefix(department_id))
            and {event for event, on in hook.events.items() if on} == WANTED_EVENTS
            and {source for source, on in hook.sources.items() if on} == WANTED_SOURCES
        )

    def _is_ours(self, department_id: str, hook: Webhook, record: WebhookRecord | None) -> bool:
        named = record is not None and (hook.id == record.hook_id or secret_hash(hook.url) == record.url_hash)
        return named or hook.url.startswith(self._prefix(department_id))

    def _prefix(self, department_id: str) -> str:
        return f"{self._root()}{quote(department_id, safe='')}/"

    def _root(self) -> str:
        """What the addresses of all departments' webhooks begin with."""
        return f"{self._public_url().rstrip('/')}/webhooks/mailchimp/"

    def _record(self, department_id: str) -> WebhookRecord | None:
        """Without what Mailchimp signs with: only the webhook's function can read that."""
        return WebhookRecord.from_fields(self._records.read(department_id))

    def _put(self, department_id: str, record: WebhookRecord) -> None:
        self._records.put(department_id, asdict(record))


def _with_hook(audience_id: str, hook_id: str, finding: Finding | None, department: Department) -> Department:
    """Note the outcome with the audience it is about; another may have been selected meanwhile."""
    audience = department.audience
    if audience is None or audience.id != audience_id:
        return department
    return replace(department, audience=without_hook(audience, finding, hook_id=hook_id))


def without_hook(audience: Audience, finding: Finding | None = None, *, hook_id: str = "") -> Audience:
    return replace(audience, hook_id=hook_id, findings=with_hook_finding(audience.findings, finding))


def _delete(client: MailchimpClient, audience_id: str, hooks: Iterable[Webhook]) -> bool:
    """Delete hooks; one that Mailchimp keeps for now is found again at the next look. Answers whether all are gone."""
    try:
        for hook in hooks:
            client.delete_webhook(audience_id, hook.id)
    except ServiceError:
        return False
    return True
