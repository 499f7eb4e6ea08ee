"""Faults of AWS that pass: too many requests at once, a service that is away, no connection."""

from __future__ import annotations

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection
from pynamodb.exceptions import PynamoDBException

from chalicelib.errors import RetryLater
from chalicelib.store.versions import TooMuchContention

_TOO_MANY = frozenset(
    """
    ProvisionedThroughputExceededException ThrottlingException Throttling ThrottledException RequestLimitExceeded
    RequestThrottled RequestThrottledException TooManyRequestsException SlowDown
    TransactionInProgressException
    """.split()
)
_WAIT_SECONDS = 5


# What DynamoDB says where a table has other keys than the code asks for (DynamoDB Local and AWS have the same words).
_OTHER_KEYS = ("does not match the schema", "missed key schema element", "Missing the key")


def is_old_table(error: BaseException) -> bool:
    """Whether a table is from before a change of its keys: only a deployment mends it (docs/deploy.md, Old tables)."""
    cause = _cause(error)
    if not isinstance(cause, ClientError):
        return False
    said = cause.response.get("Error", {})
    words = said.get("Message", "")
    return said.get("Code") == "ValidationException" and any(part in words for part in _OTHER_KEYS)


def _cause(error: BaseException) -> BaseException:
    return error.cause if isinstance(error, PynamoDBException) and error.cause is not None else error


def passing(error: BaseException) -> RetryLater | None:
    """What to tell a caller about a fault of AWS that passes; None for any other error.

    The SDK has tried several times by then, so what is asked of the caller is to wait.
    """
    cause = _cause(error)
    if isinstance(cause, HTTPClientError | NoConnection):
        return RetryLater(
            "The database did not answer in time. Try again in a few seconds.", after_seconds=_WAIT_SECONDS
        )
    if isinstance(cause, TooMuchContention):
        return RetryLater("Somebody else was changing the same thing. Try again in a few seconds.", after_seconds=1)
    if not isinstance(cause, ClientError):
        return None
    status = cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if status >= 500 or cause.response.get("Error", {}).get("Code") in _TOO_MANY:
        return RetryLater(
            "The database is too busy right now. Try again in a few seconds.", after_seconds=_WAIT_SECONDS
        )
    return None
