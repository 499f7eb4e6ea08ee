from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from pynamodb.exceptions import GetError, PutError

from chalicelib.store.faults import passing
from chalicelib.store.versions import TooMuchContention


def refused(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Query",
    )


@pytest.mark.parametrize(
    "error",
    [
        refused("ProvisionedThroughputExceededException"),
        refused("ThrottlingException"),
        refused("RequestLimitExceeded"),
        refused("InternalServerError", 500),
        refused("ServiceUnavailable", 503),
        GetError("words", cause=refused("ThrottlingException")),
        PutError("words", cause=ReadTimeoutError(endpoint_url="https://dynamodb")),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
        ConnectTimeoutError(endpoint_url="https://dynamodb"),
        TooMuchContention("Department"),
    ],
    ids=str,
)
def test_what_passes_asks_to_come_back(error: Exception) -> None:
    later = passing(error)
    assert later is not None
    assert 1 <= (later.after_seconds or 0) <= 30
    assert "words" not in later.message


@pytest.mark.parametrize(
    "error",
    [refused("ValidationException"), refused("AccessDeniedException"), PutError("words"), ValueError("words")],
    ids=str,
)
def test_what_does_not_pass_is_no_reason_to_come_back(error: Exception) -> None:
    assert passing(error) is None
