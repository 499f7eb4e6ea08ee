from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError
from pynamodb.exceptions import GetError, PutError

from chalicelib.store.faults import is_old_table, passing
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


@pytest.mark.parametrize(
    "words",
    [
        "The provided key element does not match the schema",
        "Query condition missed key schema element: bucket",
        "One or more parameter values were invalid: Missing the key bucket in the item",
    ],
)
def test_a_table_from_before_a_change_is_told_from_other_faults(words: str) -> None:
    error = ClientError({"Error": {"Code": "ValidationException", "Message": words}}, "Query")
    assert is_old_table(error)
    assert is_old_table(GetError("words", cause=error))
    assert passing(error) is None
    assert not is_old_table(refused("ValidationException"))
    assert not is_old_table(ValueError(words))
