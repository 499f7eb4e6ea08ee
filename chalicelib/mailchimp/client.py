"""Every call to Mailchimp, for one API key.

Facts about Mailchimp stand next to the code that meets them; all of them are from the Marketing API 3.0's
documentation and contract (3.0.91) unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Callable

import requests

from chalicelib.mailchimp.api import MailchimpApi
from chalicelib.mailchimp.audiences import AudienceCalls
from chalicelib.mailchimp.keys import ApiKey
from chalicelib.mailchimp.members import MemberCalls
from chalicelib.mailchimp.push import PushCalls
from chalicelib.mailchimp.segments import SegmentCalls
from chalicelib.mailchimp.webhooks import WebhookCalls
from chalicelib.outbound.calls import CallMade, ignore_call, new_session
from chalicelib.outbound.retry import USUAL_PATIENCE, Patience


class MailchimpClient(AudienceCalls, MemberCalls, PushCalls, SegmentCalls, WebhookCalls):
    """A client belongs to one key. Every method may raise KeyRejected, NotPermitted, UnexpectedAnswer, RetryLater.

    `url_template` may hold `{dc}` for the key's server; `remaining` tells the seconds left to the caller, and no call
    or wait goes beyond it; `on_call` hears of every call for metrics, without ids and addresses.
    """

    def __init__(
        self,
        key: ApiKey,
        *,
        url_template: str,
        remaining: Callable[[], float],
        sleep: Callable[[float], None],
        random: Callable[[], float],
        on_call: Callable[[CallMade], None] = ignore_call,
        session_factory: Callable[[], requests.Session] = new_session,
        patience: Patience = USUAL_PATIENCE,
    ) -> None:
        super().__init__(
            MailchimpApi(
                key,
                url_template=url_template,
                remaining=remaining,
                sleep=sleep,
                random=random,
                on_call=on_call,
                session_factory=session_factory,
                patience=patience,
            )
        )

    def close(self) -> None:
        """Give the connections back."""
        self._api.close()
