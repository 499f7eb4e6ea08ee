"""The webhooks of an audience."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chalicelib.http_client.calls import Call
from chalicelib.mailchimp.answers import Webhook, objects, read_webhook
from chalicelib.mailchimp.api import Resource, check_success, object_of
from chalicelib.mailchimp.errors import AudienceGone, problem_of, refused_webhook

if TYPE_CHECKING:
    from collections.abc import Iterable

EVENTS = ("subscribe", "unsubscribe", "profile", "cleaned", "upemail", "campaign")


class WebhookCalls(Resource):
    """Listing, creating and deleting webhooks."""

    def webhooks(self, audience_id: str) -> tuple[Webhook, ...]:
        """Raises AudienceGone."""
        call = Call("GET", "/lists/{audience}/webhooks", {"audience": audience_id})
        return tuple(read_webhook(hook) for hook in objects(self._api.read(call, missing=AudienceGone()), "webhooks"))

    def create_webhook(self, audience_id: str, url: str, *, events: Iterable[str]) -> Webhook:
        """Have Mailchimp call `url` for `events`, whoever causes them but an API client: our own writes stay silent.

        Mailchimp probes the address while it answers. The signing secret is in this answer only. Raises
        WebhookRefused, AudienceGone, UncertainCreation.
        """
        wanted = set(events)
        if not wanted <= set(EVENTS):
            raise ValueError("an event that Mailchimp does not know")
        body = {
            "url": url,
            # All keys are sent: what Mailchimp takes for a missing one is not documented.
            "events": {event: event in wanted for event in EVENTS},
            "sources": {"user": True, "admin": True, "api": False},
        }
        answer = self._api.send(
            Call("POST", "/lists/{audience}/webhooks", {"audience": audience_id}, body=body, creates=True)
        )
        if answer.status == 400:
            raise refused_webhook(problem_of(answer))
        return read_webhook(object_of(answer, missing=AudienceGone()))

    def delete_webhook(self, audience_id: str, webhook_id: str) -> None:
        """Delete a webhook; one that is gone already is fine."""
        ids = {"audience": audience_id, "webhook": webhook_id}
        answer = self._api.send(Call("DELETE", "/lists/{audience}/webhooks/{webhook}", ids))
        if answer.status != 404:
            check_success(answer)
