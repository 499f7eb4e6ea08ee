"""Every call to Mailchimp, for one API key.

Facts about Mailchimp stand next to the code that meets them; all of them are from the Marketing API 3.0's
documentation and contract (3.0.91) unless said otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from chalicelib.mailchimp.api import MailchimpApi
from chalicelib.mailchimp.audiences import AudienceCalls
from chalicelib.mailchimp.members import MemberCalls
from chalicelib.mailchimp.push import PushCalls
from chalicelib.mailchimp.segments import SegmentCalls
from chalicelib.mailchimp.webhooks import WebhookCalls

if TYPE_CHECKING:
    from chalicelib.http_client.calls import ClientOptions
    from chalicelib.mailchimp.keys import ApiKey


class MailchimpClient(AudienceCalls, MemberCalls, PushCalls, SegmentCalls, WebhookCalls):
    """A client belongs to one key. Every method may raise KeyRejected, NotPermitted, UnexpectedAnswer, RetryLater.

    `url_template` may hold `{dc}` for the key's server.
    """

    def __init__(self, key: ApiKey, *, url_template: str, **client_options: Unpack[ClientOptions]) -> None:
        super().__init__(MailchimpApi(key, url_template=url_template, **client_options))

    def close(self) -> None:
        """Give the connections back."""
        self._api.close()
