"""Logs and metrics. Log lines carry ids and error kinds; never keys, addresses, names or what the other side wrote."""

from __future__ import annotations

import threading
import traceback
from functools import lru_cache
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from chalicelib.http_client.calls import CallMade  # with all of requests, which not every function needs

_counting = threading.Lock()  # a step counts in several threads, and Powertools' counters expect one


@lru_cache(maxsize=1)
def logger() -> Logger:
    """The one logger; service name and level come from Powertools' own variables."""
    return Logger(service="pracbill-mailchimp")


@lru_cache(maxsize=1)
def _metrics() -> Metrics:
    return Metrics(namespace="PracBillMailchimp", service="pracbill-mailchimp")


class MetricsMeter:
    """Counts into CloudWatch by embedded metric format: lines of the log, no calls."""

    def count(self, name: str, value: float = 1, unit: str = "Count") -> None:
        with _counting:
            _metrics().add_metric(name=name, unit=MetricUnit(unit), value=value)

    def mailchimp_call(self, call: CallMade) -> None:
        """One call to Mailchimp, and whether it was turned away for too many connections."""
        self.count("MailchimpCalls")
        if call.status == 429:
            self.count("MailchimpThrottles")

    def flush(self) -> None:
        """Write what was counted; called at the end of each invocation."""
        if _metrics().metric_set:
            _metrics().flush_metrics()


def log_failure(message: str, error: BaseException, **ids: object) -> None:
    """Log an unexpected error by its kind and place. Its text may quote data, so it is left out."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    place = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    logger().error(message, extra={"error": type(error).__name__, "place": place, **ids})
