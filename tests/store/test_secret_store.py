from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from chalicelib.errors import RetryLater, StopRun
from chalicelib.store.secret_store import SecretStore

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

ARN = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:department-key"
# What AWS says while a removed secret is still being removed (Secrets Manager API Reference, CreateSecret).
STILL_THERE = "You can't create this secret because a secret with this name is already scheduled for deletion."


class Aws:
    """AWS's client with the answers it is going to get."""

    def __init__(self) -> None:
        self.client: SecretsManagerClient = boto3.client("secretsmanager", region_name="eu-central-1")
        self.answers = Stubber(self.client)
        self.answers.activate()
        self.waits: list[float] = []
        self.secret_store = SecretStore(self.client, sleep=self.waits.append)

    def will_refuse(self, call: str, code: str, words: str = "") -> None:
        self.answers.add_client_error(call, code, words)

    def will_create(self) -> None:
        self.answers.add_response("create_secret", {"ARN": ARN, "Name": "key", "VersionId": "1" * 32})

    def will_answer(self, text: str) -> None:
        self.answers.add_response("get_secret_value", {"ARN": ARN, "Name": "key", "SecretString": text})


@pytest.fixture
def aws() -> Aws:
    return Aws()


def test_a_name_that_is_still_being_removed_is_waited_for(aws: Aws) -> None:
    aws.will_refuse("put_secret_value", "InvalidRequestException", "The secret was marked for deletion.")
    aws.will_refuse("put_secret_value", "ResourceNotFoundException")
    aws.will_refuse("create_secret", "InvalidRequestException", STILL_THERE)
    aws.will_refuse("put_secret_value", "ResourceNotFoundException")
    aws.will_create()
    aws.secret_store.put("key", {"api_key": "new"})
    assert len(aws.waits) == 2
    assert aws.secret_store.fields("key") == {"api_key": "new"}
    aws.answers.assert_no_pending_responses()


def test_the_wait_ends_in_a_request_to_come_back(aws: Aws) -> None:
    for _ in range(4):
        aws.will_refuse("put_secret_value", "InvalidRequestException", "The secret was marked for deletion.")
    with pytest.raises(RetryLater, match="still being removed"):
        aws.secret_store.put("key", {"api_key": "new"})
    assert 5 < sum(aws.waits) < 15


@pytest.mark.parametrize(
    ("code", "words"), [("InvalidRequestException", "The secret is managed by a service."), ("AccessDenied", "")]
)
def test_other_refusals_are_not_waited_for(aws: Aws, code: str, words: str) -> None:
    aws.will_refuse("put_secret_value", code, words)
    with pytest.raises(ClientError):
        aws.secret_store.put("key", {"api_key": "new"})
    assert aws.waits == []


def test_a_value_can_be_read_past_the_memory(aws: Aws) -> None:
    aws.will_answer('{"api_key": "old"}')
    aws.will_answer('{"api_key": "new"}')
    assert aws.secret_store.fields("key") == {"api_key": "old"}
    assert aws.secret_store.fields("key") == {"api_key": "old"}
    assert aws.secret_store.fields_now("key") == {"api_key": "new"}
    assert aws.secret_store.fields("key") == {"api_key": "new"}


def test_a_secret_on_its_way_out_is_no_secret(aws: Aws) -> None:
    """A webhook's call right after the department was disconnected is refused like any other, and is no fault."""
    aws.will_refuse(
        "get_secret_value",
        "InvalidRequestException",
        "You can't perform this operation on the secret because it was marked for deletion.",
    )
    assert aws.secret_store.fields_now("key") == {}


def test_other_refusals_to_read_are_told(aws: Aws) -> None:
    aws.will_refuse("get_secret_value", "InvalidRequestException", "The secret is managed by a service.")
    with pytest.raises(ClientError):
        aws.secret_store.fields_now("key")


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException"])
def test_a_secret_that_was_never_stored_is_named(aws: Aws, code: str) -> None:
    """AWS refuses to look for a name that a policy spells out, since without a secret the name has no ending yet."""
    aws.will_refuse("get_secret_value", code)
    with pytest.raises(StopRun, match="no secret named pracbill-mailchimp/prod/pracbill-token"):
        aws.secret_store.needed_text("pracbill-mailchimp/prod/pracbill-token")


def test_what_may_pass_is_not_taken_for_a_missing_secret(aws: Aws) -> None:
    aws.will_refuse("get_secret_value", "InternalServiceError")
    with pytest.raises(ClientError):
        aws.secret_store.needed_text("pracbill-mailchimp/prod/pracbill-token")
