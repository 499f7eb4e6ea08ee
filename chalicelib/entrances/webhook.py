"""Where Lambda enters for Mailchimp's webhook: of this module only, so that a start imports no more than it needs."""

from __future__ import annotations

from typing import Any

from chalicelib import bootstrap

bootstrap.prepare(bootstrap.hook_records, bootstrap.event_sender)


def webhook(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one call."""
    return bootstrap.webhook(event)
