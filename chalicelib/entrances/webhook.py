"""Where Lambda enters for Mailchimp's webhook: of this module only, so that a start imports no more than it needs.

What the first call needs is made while the function starts, where AWS counts no time-out and gives more of a processor.
"""

from __future__ import annotations

import os
from typing import Any

from chalicelib import bootstrap

if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    bootstrap.prepare_webhook()


def webhook(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one call."""
    return bootstrap.webhook(event)
